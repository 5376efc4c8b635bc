#include "tests/sim/world/books.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "coordinator/core/state.h"
#include "coordinator/identity.h"
#include "coordinator/rlog/segment.h"
#include "tests/sim/world/disk.h"
#include "tests/sim/world/network.h"
#include "tests/sim/world/post.h"
#include "tests/sim/world/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAYS_MAX 4000
#define WORDS_MAX 20000
#define CONTACTS_MAX 4000

struct books_counts books_counts;

/* Who has borne witness to a message, by the receipts in the log. */
struct words {
    uint32_t sender_node;
    uint32_t finder_node;
    bool sender;
    bool finder;
};

static struct words *words;
static size_t words_count;
static struct flz_map words_of;
static struct row_day *days;
static size_t days_count;

/* ---- The log ---- */

struct reading {
    struct coord *core;
    struct flz_digest head;
    uint64_t seq;
    uint64_t event;
    uint64_t epoch;
    struct flz_id generation;
};

static struct words *words_on(struct flz_id exchange, uint32_t turn)
{
    exchange.b[15] ^= (uint8_t)(turn + 1);
    uint32_t i = flz_map_get(&words_of, exchange);
    if (i != FLZ_MAP_NONE)
        return &words[i];
    WORLD_MUST(words_count < WORDS_MAX, "too many messages");
    (void)flz_map_set(&words_of, exchange, (uint32_t)words_count);
    return &words[words_count++];
}

/* Only the word of a node on a task that it was given counts. */
static void take_receipt(uint32_t node, const struct flz_receipt *receipt)
{
    const struct watch_order *order = watch_task(receipt->task);
    if (!order || order->kind != receipt->kind || order->turn != receipt->turn ||
        !flz_id_equal(order->exchange, receipt->exchange))
        return;
    struct words *on = words_on(receipt->exchange, receipt->turn);
    bool sent = receipt->outcome == FLZ_OUTCOME_SENT || receipt->outcome == FLZ_OUTCOME_AMBIGUOUS ||
                receipt->outcome == FLZ_OUTCOME_INDETERMINATE;
    if (flz_task_kind_sends(receipt->kind) && sent) {
        on->sender = true;
        on->sender_node = node;
    }
    if (receipt->kind == FLZ_TASK_FIND && receipt->outcome == FLZ_OUTCOME_FOUND) {
        on->finder = true;
        on->finder_node = node;
    }
}

static void take_event(struct coord *core, const struct event *event)
{
    if (event->report_seq > 0 && event->report_node < coord_node_count(core) &&
        coord_node(core, event->report_node)->state == NODE_REVOKED)
        world_fail("I11", "a revoked node's word is in the log (%s)", flz_event_name(event->type));
    if (event->type == EVENT_RECEIPT)
        take_receipt(event->report_node, &event->receipt.receipt);
    if (event->type == EVENT_RECOVERED)
        take_receipt(event->recovered.node, &event->recovered.receipt);
    books_counts.recovered += event->type == EVENT_RECOVERED;
    books_counts.presumed += event->type == EVENT_PRESUMED;
    books_counts.events++;
    if (coord_apply(core, event) < 0)
        world_fail("I10", "the log cannot be folded: %s", flz_event_name(event->type));
}

static int on_event(struct flz_view bytes, void *data)
{
    struct reading *reading = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct event event;
    if (flz_decode_event(bytes, &arena, &event) < 0)
        world_fail("I17", "an event cannot be read");
    take_event(reading->core, &event);
    return 0;
}

static void on_segment(struct flz_view key, struct flz_view value, void *data)
{
    struct reading *reading = data;
    struct segment segment;
    (void)key;
    if (segment_parse(value, &segment) < 0)
        world_fail("I17", "a segment is damaged");
    bool first = reading->seq == 0;
    if (segment.seq != reading->seq + 1 || segment.first_event != reading->event + 1 ||
        (!first && !flz_digest_equal(segment.previous, reading->head)))
        world_fail("I17", "segment %llu does not follow %llu", (unsigned long long)segment.seq,
                   (unsigned long long)reading->seq);
    if (segment.epoch < reading->epoch && flz_id_equal(segment.generation, reading->generation))
        world_fail("I6", "epoch %llu behind %llu", (unsigned long long)segment.epoch,
                   (unsigned long long)reading->epoch);
    reading->seq = segment.seq;
    reading->event = segment.first_event + segment.count - 1;
    reading->epoch = segment.epoch;
    reading->generation = segment.generation;
    reading->head = segment.digest;
    (void)segment_each(value, on_event, reading);
}

/* I10: what the log gives, row by row, is what is stored. */
struct comparing {
    size_t rows;
};

static int on_folded_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct comparing *comparing = data;
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf value = FLZ_BUF_NULL;
    struct flz_view stored;
    bool old = kind == ROW_DAY_OLD || kind == ROW_EXCHANGE_OLD;
    if (deleted)
        return 0;
    flz_buf_add_byte(&key, (uint8_t)kind);
    flz_row_key(kind, row, &key);
    WORLD_MUST(flz_encode_row(kind, row, &value) == 0, "encode");
    if (!disk_durable(network.coordinator, old ? "archive" : "rows", flz_buf_view(&key), &stored) ||
        !flz_view_equal(stored, flz_buf_view(&value)))
        world_fail("I10", "a row of kind %d is not the fold of the log", (int)kind);
    comparing->rows += !old;
    return 0;
}

static void on_counted_row(struct flz_view key, struct flz_view value, void *data)
{
    (void)key, (void)value;
    (*(size_t *)data)++;
}

static struct coord *fold_log(void)
{
    struct reading reading = {.seq = 0};
    struct comparing comparing = {.rows = 0};
    struct policy policy = policy_default();
    char path[256];
    _cleanup_(flz_secret_deinit) struct flz_secret key = FLZ_SECRET_NULL;
    struct flz_msg msg;
    size_t stored = 0;
    (void)snprintf(path, sizeof path, "%s/coordinator/network.key", world.folder);
    WORLD_MUST(
        keys_secret_load(path, IDENTITY_NETWORK_KEY, IDENTITY_NETWORK_KEY_LEN, &key, &msg) == 0 &&
            coord_new(network.trust.network, flz_secret_view(&key), &policy, &reading.core) == 0,
        "no core");
    disk_each(network.coordinator, "log", on_segment, &reading);
    WORLD_MUST(coord_take_rows(reading.core, on_folded_row, &comparing) == 0, "rows");
    disk_each(network.coordinator, "rows", on_counted_row, &stored);
    if (stored != comparing.rows)
        world_fail("I10", "%zu rows are stored, %zu follow from the log", stored, comparing.rows);
    return reading.core;
}

/* ---- Exchanges ---- */

static struct row_day *day_at(uint32_t account, int32_t date)
{
    for (size_t i = 0; i < days_count; i++)
        if (days[i].account == account && days[i].date == date)
            return &days[i];
    WORLD_MUST(days_count < DAYS_MAX, "too many days");
    days[days_count] = (struct row_day){.account = account, .date = date};
    return &days[days_count++];
}

static void sum_exchange(const struct row_exchange *x)
{
    for (uint32_t i = 0; i < x->turns_count; i++) {
        struct row_day sender, recipient;
        aggregate_turn(x, i, &sender, &recipient);
        aggregate_add(day_at(exchange_sender(x, i), x->turns[i].date), &sender);
        aggregate_add(day_at(exchange_recipient(x, i), x->turns[i].open_date), &recipient);
        aggregate_add(day_at(COORD_NONE, x->turns[i].date), &sender);
        aggregate_add(day_at(COORD_NONE, x->turns[i].date), &recipient);
    }
}

/* I2: the ledger's word on one message against the mail servers'. */
static void check_turn(const struct row_exchange *x, uint32_t turn)
{
    const struct row_turn *t = &x->turns[turn];
    const struct watch_order *order = watch_message(x->id, turn);
    const struct post_mail *mail = order ? post_find(order->message_id) : NULL;
    unsigned accepted = mail ? mail->accepted : 0;
    bool sent = aggregate_sent(t);
    bool maybe = t->send.state == TASK_ENDED && (t->send.outcome == FLZ_OUTCOME_INDETERMINATE ||
                                                 t->send.outcome == FLZ_OUTCOME_AMBIGUOUS);
    bool honest = !order || (!watch_is_liar(order->from % NETWORK_NODES) &&
                             !watch_is_liar(order->to % NETWORK_NODES));
    books_counts.turns++;
    books_counts.sent += sent;
    books_counts.replies += sent && turn > 0;
    books_counts.found += t->find.state == TASK_ENDED && t->find.outcome == FLZ_OUTCOME_FOUND;
    books_counts.rescued += t->unspam.state == TASK_ENDED && t->unspam.outcome == FLZ_OUTCOME_DONE;
    books_counts.ambiguous += maybe;
    if (honest && accepted > 0 && !sent && !maybe)
        world_fail("I2", "<%.12s…> was sent, and the ledger says outcome %u, reason %u%s%s",
                   order->message_id, t->send.outcome, t->send.reason,
                   t->send.state == TASK_VOID ? " (void)" : "",
                   t->contradicted ? " (contradicted)" : "");
    if (honest && sent && accepted == 0)
        world_fail("I2", "the ledger counts a message that never was (outcome %u)",
                   t->send.outcome);
    if (honest && t->find.outcome == FLZ_OUTCOME_FOUND && t->find.state == TASK_ENDED &&
        (!mail || !mail->lies_there))
        world_fail("I2", "found, says the ledger, what was never delivered");
}

/* Where nothing but mail is lost, whoever could look has looked: it is missing, not unobserved. */
static void check_missing(const struct row_exchange *x, uint32_t turn)
{
    const struct row_turn *t = &x->turns[turn];
    const struct watch_order *order = watch_message(x->id, turn);
    const struct post_mail *mail = order ? post_find(order->message_id) : NULL;
    if (strcmp(world.drawn, "mail-swallowed") != 0 || !mail || mail->accepted == 0 ||
        mail->lies_there)
        return;
    if (t->find.state != TASK_ENDED || t->find.outcome != FLZ_OUTCOME_MISSING)
        world_fail("I2", "a lost message is not told as missing (outcome %u)", t->find.outcome);
}

static void check_credit(const struct row_exchange *x, uint32_t turn)
{
    const struct row_turn *t = &x->turns[turn];
    if (!aggregate_credited(x, t))
        return;
    const struct words *on = words_on(x->id, turn);
    if (!on->sender || !on->finder || on->sender_node == on->finder_node)
        world_fail("I18",
                   "credit without two nodes' words (exchange %s, turn %u: sender %d of node %u, "
                   "finder %d of node %u)",
                   flz_id_str(x->id), turn, on->sender, on->sender_node, on->finder,
                   on->finder_node);
    books_counts.credited++;
}

static void on_exchange(struct flz_view key, struct flz_view value, void *data)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    (void)data;
    if (key.data[0] != ROW_EXCHANGE && key.data[0] != ROW_EXCHANGE_OLD)
        return;
    WORLD_MUST(flz_decode_row(key.data[0], value, &arena, &row) == 0, "row");
    for (uint32_t i = 0; i < row.exchange.turns_count; i++) {
        check_turn(&row.exchange, i);
        check_missing(&row.exchange, i);
        check_credit(&row.exchange, i);
    }
    sum_exchange(&row.exchange);
}

static void on_day(struct flz_view key, struct flz_view value, void *data)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    (void)data;
    if (key.data[0] != ROW_DAY && key.data[0] != ROW_DAY_OLD)
        return;
    WORLD_MUST(flz_decode_row(key.data[0], value, &arena, &row) == 0, "row");
    const struct row_day *want = day_at(row.day.account, row.day.date);
    if (memcmp(&want->planned, &row.day.planned,
               sizeof *want - offsetof(struct row_day, planned)) != 0)
        world_fail("I4", "the counters of account %u, date %d, are not the sum of its turns",
                   row.day.account, row.day.date);
    if (row.day.reserved > 0)
        world_fail("I13", "quota is reserved for nothing");
}

/* ---- The plan ---- */

/* Where its curve begins: what a day's quota was cut to, it may climb back from at once. */
static uint32_t first_level(uint32_t account)
{
    struct flz_view value;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    uint8_t key[5] = {ROW_ACCOUNT};
    flz_put_be32(key + 1, account);
    if (!disk_durable(network.coordinator, "rows",
                      (struct flz_view){.data = key, .len = sizeof key}, &value) ||
        flz_decode_row(ROW_ACCOUNT, value, &arena, &row) < 0)
        return 0;
    return row.account.profile == FLZ_PROFILE_NEW ? 5 : 10;
}

/* I20: what an account may send grows by a quarter a day at most, at least by one. */
static void on_quota(struct flz_view key, struct flz_view value, void *data)
{
    static struct row_day before;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    (void)data;
    if (key.data[0] != ROW_DAY && key.data[0] != ROW_DAY_OLD)
        return;
    WORLD_MUST(flz_decode_row(key.data[0], value, &arena, &row) == 0, "row");
    if (!row.day.planned_day || row.day.account == COORD_NONE)
        return;
    bool same = before.account == row.day.account && before.planned_day;
    uint32_t level = same ? before.quota : 0;
    uint32_t first = first_level(row.day.account);
    level = level > first ? level : first;
    uint32_t step = level / 4 > 1 ? level / 4 : 1;
    if (row.day.quota > level + (same ? step : 0))
        world_fail("I20", "account %u: from %u to %u messages a day", row.day.account, level,
                   row.day.quota);
    before = row.day;
    before.quota = level > row.day.quota ? level : row.day.quota;
}

/* I20: first messages between two accounts are some days apart; each sender keeps to its cap. */
static void check_messages(void)
{
    for (size_t i = 0; i < post_mails(); i++) {
        const struct post_mail *mail = post_mail_at(i);
        const struct watch_order *order = watch_sent_by(mail->message_id);
        unsigned that_day = 0;
        WORLD_MUST(order, "a message without an order");
        for (size_t j = 0; j < post_mails(); j++) {
            const struct post_mail *other = post_mail_at(j);
            const struct watch_order *his = watch_sent_by(other->message_id);
            if (other->accepted == 0 || other->from != mail->from)
                continue;
            that_day += his->local_date == order->local_date;
            if (j >= i || mail->accepted == 0 || other->to != mail->to || order->turn > 0 ||
                his->turn > 0)
                continue;
            int32_t apart = order->local_date - his->local_date;
            if (apart > -NETWORK_COOLDOWN_DAYS && apart < NETWORK_COOLDOWN_DAYS)
                world_fail("I20", "account %zu writes to account %zu again after %d days",
                           mail->from, mail->to, apart);
        }
        if (that_day > order->day_cap)
            world_fail("I8", "account %zu sent %u messages on one day, its cap is %u", mail->from,
                       that_day, order->day_cap);
    }
}

/* I2, the other way round: no message that the ledger has no turn for. */
static void on_known(struct flz_view key, struct flz_view value, void *data)
{
    struct flz_map *known = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    if (key.data[0] != ROW_EXCHANGE && key.data[0] != ROW_EXCHANGE_OLD)
        return;
    WORLD_MUST(flz_decode_row(key.data[0], value, &arena, &row) == 0, "row");
    (void)flz_map_set(known, row.exchange.id, 1);
}

static void check_known(void)
{
    struct flz_map known = FLZ_MAP_NULL;
    disk_each(network.coordinator, "rows", on_known, &known);
    disk_each(network.coordinator, "archive", on_known, &known);
    for (size_t i = 0; i < post_mails(); i++) {
        const struct post_mail *mail = post_mail_at(i);
        const struct watch_order *order = watch_sent_by(mail->message_id);
        if (mail->accepted > 0 && flz_map_get(&known, order->exchange) == FLZ_MAP_NONE &&
            !watch_is_liar(order->node))
            world_fail("I2", "<%.12s…> was sent, and the ledger does not know it",
                       mail->message_id);
    }
    flz_map_deinit(&known);
}

void books_check(void)
{
    words = calloc(WORDS_MAX, sizeof *words);
    days = calloc(DAYS_MAX, sizeof *days);
    WORLD_MUST(words && days, "memory");
    struct coord *core = fold_log();
    disk_each(network.coordinator, "rows", on_exchange, NULL);
    disk_each(network.coordinator, "archive", on_exchange, NULL);
    disk_each(network.coordinator, "rows", on_day, NULL);
    disk_each(network.coordinator, "archive", on_day, NULL);
    disk_each(network.coordinator, "rows", on_quota, NULL);
    check_messages();
    check_known();
    (void)coord_free(core);
    free(words);
    free(days);
}
