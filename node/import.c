#include "node/import.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "node/csv.h"
#include "node/row.h"
#include "proto/codec.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define POLL_MS 20
#define IMPORT_ROW_WAIT_MS 5
#define CONSENT_DAYS_DEFAULT 180

/*
 *  READ ─► DNS ─► STORING ─► REPORTED ─► DONE
 *    └───────┴───────┴──────────┴──────► DONE (refused, or accepted with a word about what waits)
 */
enum step { STEP_DNS, STEP_STORING, STEP_REPORTED, STEP_DONE };

enum verdict { VERDICT_REFUSED, VERDICT_ACCEPTED, VERDICT_CHANGED, VERDICT_QUEUED, VERDICT_WOULD };

struct item {
    struct row row;
    struct import *import;
    enum step step;
    enum verdict verdict;
    bool known; /* the address was a member before */
    struct flz_msg text;
    int64_t until_boot;
};

struct import {
    struct import_parts parts;
    struct admin_call *call;
    uv_timer_t timer;   /* its close callback frees the import */
    struct item *items; /* owned */
    size_t count;
    size_t capacity;
    size_t done;
    size_t storing; /* journal_sync() answers still to come */
    bool closed;    /* the timer's handle is gone; freed when nothing comes any more */
    struct import *next;
    struct flz_consent consent;
    bool accept_ask;
    bool dry_run;
};

static const char *const verdict_words[] = {
    [VERDICT_REFUSED] = "refused", [VERDICT_ACCEPTED] = "accepted",  [VERDICT_CHANGED] = "changed",
    [VERDICT_QUEUED] = "queued",   [VERDICT_WOULD] = "would accept",
};

static void finish(struct item *item, enum verdict verdict)
{
    if (item->step == STEP_DONE)
        return;
    item->step = STEP_DONE;
    item->verdict = verdict;
    item->import->done++;
    flz_secret_deinit(&item->row.password);
}

/* ---- The report ---- */

int import_report(const struct import_parts *parts, struct member *member)
{
    struct flz_account *account = &member->record.account;
    struct flz_address address;
    int r = flz_address_parse(account->address, &address);
    if (r < 0)
        return r;
    struct flz_attestation attestation = {
        .network = parts->identity->trust.network,
        .node = parts->identity->node,
        .account = account->id,
        .address = flz_address_digest(&address),
        .consent_until = account->consent.until,
        .actions = account->consent.actions,
    };
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_signer signer = identity_signer(parts->identity);
    r = flz_encode(&flz_codec_attestation, &attestation, &payload);
    if (r == 0)
        r = flz_seal_signed(FLZ_KIND_ATTESTATION, flz_buf_view(&payload), &signer, &bytes);
    if (r < 0)
        return r;
    struct flz_report report = {.kind = FLZ_REPORT_ACCOUNT, .account = *account};
    report.account.attestation = flz_buf_view(&bytes);
    /* The record names its report, and is gathered before it: both are durable together. */
    member->record.report = outbox_newest(parts->outbox) + 1;
    member->record.accepted = false;
    member->record.verdict[0] = '\0';
    r = members_gather(parts->members, member);
    if (r == 0)
        r = outbox_add(parts->outbox, &report);
    assert(r < 0 || report.seq == member->record.report);
    return r;
}

/* ---- One row ---- */

static int refuse(struct item *item, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct item *item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(item->text.text, sizeof item->text.text, format, args);
    va_end(args);
    finish(item, VERDICT_REFUSED);
    return 1;
}

/* Microsoft's own servers take no passwords, and nobody else's take Microsoft's tokens. */
static bool passes_login(struct item *item, const struct provider *provider)
{
    bool token = item->row.record.login == MEMBER_LOGIN_TOKEN;
    if (token && provider->login != PROVIDER_MICROSOFT)
        return !refuse(item, "password: is empty, and %s has no other way to log in",
                       provider->name);
    if (!token && provider->login == PROVIDER_MICROSOFT &&
        providers_owns_host(item->import->parts.providers, provider, &item->row.smtp,
                            &item->row.imap))
        return !refuse(item,
                       "%s takes no passwords any more: leave it empty, name the provider in "
                       "the row, and sign in afterwards",
                       provider->name);
    return true;
}

/* What the tables and DNS say. True when the row may go on. */
static bool passes_policy(struct item *item, const struct domain_facts *facts)
{
    const struct import *import = item->import;
    const char *domain = flz_address_domain(&item->row.address);
    struct flz_account *account = &item->row.record.account;
    if (domains_is_google_address(domain) || facts->google ||
        domains_is_google_host(item->row.smtp.host) || domains_is_google_host(item->row.imap.host))
        return !refuse(item, "Gmail and Google Workspace are not warmed: Google's terms forbid it. "
                             "See 'plan ramp' for warming with the owner's own mail");
    if (facts->opt_out)
        return !refuse(item, "the domain's owner refuses: _fluenzr.%s says p=deny", domain);
    const struct provider *provider =
        providers_find(import->parts.providers, account->provider, domain, facts, &item->row.smtp,
                       &item->row.imap);
    if (provider->policy == PROVIDER_DENY)
        return !refuse(item, "provider %s is refused: %s", provider->name, provider->reason);
    if (provider->policy == PROVIDER_ASK && !import->accept_ask)
        return !refuse(item,
                       "provider %s asks first: %s. With the provider's permission, add "
                       "--accept ask",
                       provider->name, provider->reason);
    memcpy(account->provider, provider->name, sizeof account->provider);
    return passes_login(item, provider);
}

static void maybe_free(struct import *import)
{
    if (!import->closed || import->storing > 0)
        return;
    for (size_t i = 0; i < import->count; i++)
        row_deinit(&import->items[i].row);
    free(import->items);
    free(import);
}

static void on_stored(int r, void *data)
{
    struct item *item = data;
    item->import->storing--;
    if (item->step != STEP_STORING) {
        maybe_free(item->import);
        return;
    }
    if (r < 0) {
        (void)refuse(item, "the node's journal could not store it: %s", strerror(-r));
        return;
    }
    const struct import_parts *parts = &item->import->parts;
    struct member *member = members_find(parts->members, item->row.record.account.id);
    int reported = member ? import_report(parts, member) : -ENOENT;
    if (reported < 0) {
        (void)refuse(item, "stored here, but not reported: %s", strerror(-reported));
        return;
    }
    item->step = STEP_REPORTED;
    item->until_boot = flz_boottime_ms() + IMPORT_VERDICT_WAIT_MS;
    parts->on_member(item->row.record.account.id, parts->data);
}

/* A sign-in is for the login name that it was made for. */
static bool keeps_sign_in(const struct item *item, const struct member *known)
{
    return known && known->record.login == MEMBER_LOGIN_TOKEN &&
           item->row.record.login == MEMBER_LOGIN_TOKEN &&
           flz_ascii_equal_nocase(known->record.user, item->row.record.user);
}

static void keep_sign_in(struct item *item, const struct member *known)
{
    struct journal_member *record = &item->row.record;
    if (keeps_sign_in(item, known)) {
        memcpy(record->needs_auth, known->record.needs_auth, sizeof record->needs_auth);
        record->token_at = known->record.token_at;
        return;
    }
    (void)snprintf(record->needs_auth, sizeof record->needs_auth, "nobody has signed in yet");
}

static void keep_days_off(struct row *row, const struct flz_account *known)
{
    struct flz_days_off *off = &row->record.account.days_off;
    if (row->keeps_holidays)
        memcpy(off->holidays, known->days_off.holidays, sizeof off->holidays);
    if (row->keeps_blackout)
        memcpy(off->away, known->days_off.away, sizeof off->away);
}

static void store(struct item *item)
{
    struct import *import = item->import;
    struct flz_account *account = &item->row.record.account;
    struct member *known = members_find_address(import->parts.members, &item->row.address);
    item->known = known != NULL;
    if (known)
        account->id = known->record.account.id;
    else
        randombytes_buf(account->id.b, sizeof account->id.b);
    if (known)
        keep_days_off(&item->row, &known->record.account);
    account->consent = import->consent;
    bool token = item->row.record.login == MEMBER_LOGIN_TOKEN;
    if (token)
        keep_sign_in(item, known);
    if (known && !keeps_sign_in(item, known))
        tokens_forget(import->parts.tokens, known);
    item->step = STEP_STORING;
    import->storing++;
    int r = members_put(import->parts.members, &item->row.record,
                        token ? NULL : &item->row.password, on_stored, item);
    if (r == 0)
        return;
    import->storing--;
    (void)refuse(item, "could not be stored: %s", strerror(-r));
}

static void step_dns(struct item *item)
{
    struct import *import = item->import;
    const struct domain_facts *facts;
    const char *domain = flz_address_domain(&item->row.address);
    int r = domains_look(import->parts.domains, domain, &facts);
    if (r == DOMAINS_E_ASKED && flz_boottime_ms() < item->until_boot)
        return;
    if (r != 0) {
        (void)refuse(item, "DNS does not answer for %s; nothing is known against it, try again",
                     domain);
        return;
    }
    if (!passes_policy(item, facts))
        return;
    if (import->dry_run)
        finish(item, VERDICT_WOULD);
    else
        store(item);
}

static void step_reported(struct item *item)
{
    const struct import_parts *parts = &item->import->parts;
    /* By its address: the verdict may have given it the id that the network knows it by. */
    const struct member *member = members_find_address(parts->members, &item->row.address);
    if (!member) {
        (void)refuse(item, "the account was removed meanwhile");
        return;
    }
    item->row.record.account.id = member->record.account.id;
    if (member->record.accepted || member->record.verdict[0]) {
        flz_msg_set(&item->text, "%s", member->record.verdict);
        if (!member->record.accepted)
            finish(item, VERDICT_REFUSED);
        else
            finish(item, item->known ? VERDICT_CHANGED : VERDICT_ACCEPTED);
        return;
    }
    if (flz_boottime_ms() < item->until_boot)
        return;
    flz_msg_set(&item->text, "stored; the coordinator has not answered yet and will be told (%s)",
                link_state_text(parts->link));
    finish(item, VERDICT_QUEUED);
}

/* ---- The call ---- */

static void on_closed(uv_handle_t *handle)
{
    struct import *import = handle->data;
    import->closed = true;
    maybe_free(import);
}

static void close_import(struct import *import)
{
    struct import **at = import->parts.running;
    while (*at && *at != import)
        at = &(*at)->next;
    if (*at)
        *at = import->next;
    (void)uv_timer_stop(&import->timer);
    uv_close((uv_handle_t *)&import->timer, on_closed);
}

void import_cancel_all(struct import **running)
{
    while (*running) {
        struct import *import = *running;
        for (size_t i = 0; i < import->count; i++)
            finish(&import->items[i], VERDICT_REFUSED);
        admin_refuse(import->call, ADMIN_TRY_AGAIN, "STOPPING",
                     "the node is stopping; part of the rows may have been taken",
                     "run the same import again: rows that were taken are not taken twice");
        close_import(import);
    }
}

/* Taken, and of no use before somebody has signed in. */
static bool waits_for_sign_in(const struct item *item)
{
    return item->verdict != VERDICT_REFUSED && item->row.record.needs_auth[0];
}

/* One list of what is to be done next. */
static json_t *next_json(const struct import *import)
{
    json_t *commands = json_array();
    for (size_t i = 0; i < import->count; i++)
        if (waits_for_sign_in(&import->items[i]))
            json_array_append_new(commands, json_sprintf("fluenzrctl account reauth %s",
                                                         import->items[i].row.address.text));
    return commands;
}

/* When its first message may leave, as its hours are; "" when that cannot be told. */
static void first_slot(const struct item *item, char ret_text[static FLZ_TIME_TEXT_MAX])
{
    const struct import_parts *parts = &item->import->parts;
    const struct flz_account *account = &item->row.record.account;
    struct tz_hours hours = {.start_minute = (int)account->start_minute,
                             .end_minute = (int)account->end_minute,
                             .days = account->days};
    struct tz_window window;
    int64_t now;
    ret_text[0] = '\0';
    if (item->verdict != VERDICT_REFUSED && link_now(parts->link, &now) == 0 &&
        tz_next_window(parts->tz, account->zone, now, hours, &window) == 0)
        flz_time_format(now < window.start ? window.start : now, ret_text);
}

static json_t *row_json(const struct item *item)
{
    char first[FLZ_TIME_TEXT_MAX];
    bool has_account = item->verdict != VERDICT_REFUSED && item->verdict != VERDICT_WOULD;
    first_slot(item, first);
    return json_pack("{s:i,s:s,s:s,s:s,s:s,s:s}", "line", item->row.line, "address",
                     item->row.address.text, "verdict", verdict_words[item->verdict], "account",
                     has_account ? flz_id_str(item->row.record.account.id) : "", "firstSlot", first,
                     "text", item->text.text);
}

/* ---- Who can be paired with whom ---- */

/* What all accounts of this node, and those that a dry run would take, have in common. */
struct kinship {
    const char *owner; /* borrowed; NULL: none as yet */
    const char *domain;
    bool one_owner;
    bool one_domain;
    size_t count;
};

static void kinship_add(struct kinship *kinship, const struct flz_account *account)
{
    const char *at = strchr(account->address, '@');
    const char *domain = at ? at + 1 : "";
    const char *owner = account->owner[0] ? account->owner : domain;
    bool first = kinship->count++ == 0;
    kinship->one_owner =
        first || (kinship->one_owner && flz_ascii_equal_nocase(kinship->owner, owner));
    kinship->one_domain =
        first || (kinship->one_domain && flz_ascii_equal_nocase(kinship->domain, domain));
    kinship->owner = owner;
    kinship->domain = domain;
}

static struct kinship kinship_of(const struct import *import)
{
    struct kinship kinship = {.count = 0};
    for (size_t i = 0; i < members_count(import->parts.members); i++) {
        const struct member *member = members_at(import->parts.members, i);
        if (!member->record.released)
            kinship_add(&kinship, &member->record.account);
    }
    for (size_t i = 0; i < import->count; i++) {
        const struct item *item = &import->items[i];
        if (item->verdict == VERDICT_WOULD &&
            !members_find_address(import->parts.members, &item->row.address))
            kinship_add(&kinship, &item->row.record.account);
    }
    return kinship;
}

/* This node knows its own accounts only; whether others have partners for them is told by the
 * coordinator. */
static json_t *pairing_note(const struct import *import)
{
    struct kinship kinship = kinship_of(import);
    struct flz_msg msg = FLZ_MSG_NULL;
    if (kinship.count > 1 && kinship.one_domain)
        flz_msg_set(&msg,
                    "all %zu accounts of this node are of one domain and cannot be paired with one "
                    "another: unless other nodes have accounts of other owners and domains, "
                    "nothing is planned (fluenzrctl account why ADDRESS counts the partners)",
                    kinship.count);
    else if (kinship.count > 1 && kinship.one_owner)
        flz_msg_set(&msg,
                    "all %zu accounts of this node share one owner and cannot be paired with one "
                    "another: unless other nodes have accounts of other owners, nothing is planned "
                    "(fluenzrctl account why ADDRESS counts the partners). An administrator may "
                    "allow a share of pairs within one owner: fluenzrctl policy set "
                    "same_owner_percent 20",
                    kinship.count);
    return msg.text[0] ? json_string(msg.text) : json_null();
}

/* ---- The answer ---- */

static void answer(struct import *import)
{
    json_t *rows = json_array();
    size_t refused = 0;
    for (size_t i = 0; i < import->count; i++) {
        refused += import->items[i].verdict == VERDICT_REFUSED;
        json_array_append_new(rows, row_json(&import->items[i]));
    }
    json_t *json = json_pack("{s:s,s:o,s:I,s:I,s:o,s:o}", "kind", "AccountImport", "rows", rows,
                             "taken", (json_int_t)(import->count - refused), "refused",
                             (json_int_t)refused, "note", pairing_note(import), "next",
                             next_json(import));
    enum admin_exit code = refused == 0              ? ADMIN_OK
                           : refused < import->count ? ADMIN_PARTLY
                                                     : ADMIN_FAILED;
    char message[128];
    (void)snprintf(message, sizeof message, "%zu of %zu rows taken%s", import->count - refused,
                   import->count, import->dry_run ? " (dry run: nothing was changed)" : "");
    admin_answer(import->call, code, json, message);
    close_import(import);
}

static void on_timer(uv_timer_t *timer)
{
    struct import *import = timer->data;
    for (size_t i = 0; i < import->count; i++) {
        struct item *item = &import->items[i];
        if (item->step == STEP_DNS)
            step_dns(item);
        else if (item->step == STEP_REPORTED)
            step_reported(item);
    }
    if (import->done == import->count)
        answer(import);
}

/* Two rows of one address do not say which of them is meant: both are refused. */
static int refuse_doubled(struct import *import)
{
    _cleanup_(flz_map_deinit) struct flz_map lines = FLZ_MAP_NULL;
    for (size_t i = 0; i < import->count; i++) {
        struct item *item = &import->items[i];
        struct flz_id key;
        if (!item->row.address.text[0])
            continue;
        struct flz_digest digest = flz_address_digest(&item->row.address);
        memcpy(key.b, digest.b, sizeof key.b);
        uint32_t first = flz_map_get(&lines, key);
        int r = first == FLZ_MAP_NONE ? flz_map_set(&lines, key, (uint32_t)i) : 0;
        if (r < 0)
            return r;
        if (first == FLZ_MAP_NONE)
            continue;
        struct item *other = &import->items[first];
        static const char text[] = "this address stands on line %d, too: leave one of them out";
        if (item->step != STEP_DONE)
            (void)refuse(item, text, other->row.line);
        if (other->step != STEP_DONE)
            (void)refuse(other, text, item->row.line);
    }
    return 0;
}

static int read_rows(struct import *import, char *text, struct flz_msg *msg)
{
    struct csv csv;
    struct row_columns columns;
    char *fields[CSV_FIELDS_MAX];
    size_t count;
    csv_init(&csv, text);
    int r = csv_next(&csv, fields, &count);
    if (r != 0) {
        flz_msg_set(msg, "line %d: no header line with the names of the columns", csv.line);
        return flz_fail(-EINVAL);
    }
    r = row_columns_read(fields, count, &columns, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "line %d", csv.line);
        return r;
    }
    while ((r = csv_next(&csv, fields, &count)) == 0) {
        if (import->count == IMPORT_ROWS_MAX) {
            flz_msg_set(msg, "more than %d rows; import them in several files", IMPORT_ROWS_MAX);
            return flz_fail(-E2BIG);
        }
        r = flz_grow((void **)&import->items, &import->capacity, import->count + 1,
                     sizeof *import->items);
        if (r < 0)
            return r;
        struct item *item = &import->items[import->count++];
        *item = (struct item){.import = import, .step = STEP_DNS};
        struct row_tables tables = {.tz = import->parts.tz, .providers = import->parts.providers};
        if (row_read(&columns, fields, count, csv.line, &tables, &item->row, &item->text) < 0)
            finish(item, VERDICT_REFUSED);
    }
    if (r == CSV_E_MALFORMED) {
        flz_msg_set(msg, "line %d: a quote is left open, or there are too many fields", csv.line);
        return flz_fail(-EINVAL);
    }
    return refuse_doubled(import);
}

static int parse_actions(const char *text, uint32_t *ret_actions)
{
    static const struct {
        const char *word;
        uint32_t bit;
    } actions[] = {{"send", FLZ_ACTION_SEND},
                   {"open", FLZ_ACTION_OPEN},
                   {"reply", FLZ_ACTION_REPLY},
                   {"move", FLZ_ACTION_MOVE},
                   {"delete", FLZ_ACTION_DELETE}};
    uint32_t bits = 0;
    while (*text) {
        size_t len = strcspn(text, ",");
        size_t i = 0;
        while (i < sizeof actions / sizeof *actions &&
               (strlen(actions[i].word) != len || strncmp(actions[i].word, text, len) != 0))
            i++;
        if (i == sizeof actions / sizeof *actions)
            return flz_fail(-EINVAL);
        bits |= actions[i].bit;
        text += len + (text[len] == ',');
    }
    *ret_actions = bits;
    return 0;
}

/* The owners' consent, as the operator records it: by whom, what for, until when. */
static const char *read_consent(struct import *import)
{
    struct flz_consent *consent = &import->consent;
    const char *by = admin_argument(import->call, "consent-by");
    const char *until = admin_argument(import->call, "consent-until");
    const char *actions = admin_argument(import->call, "consent");
    int64_t now;
    if (link_now(import->parts.link, &now) != 0)
        now = flz_realtime_ms();
    if (!by || !*by || flz_text_copy(consent->by, sizeof consent->by, by) < 0)
        return "say who gave the owners' consent: --consent-by NAME";
    consent->given = now;
    consent->until = now + CONSENT_DAYS_DEFAULT * FLZ_DAY_MS;
    int32_t day;
    if (until && flz_date_parse(until, &day) < 0)
        return "--consent-until is a date: 2027-05-31";
    if (until)
        consent->until = (int64_t)day * FLZ_DAY_MS;
    if (consent->until <= now)
        return "the consent would have ended already";
    if (parse_actions(actions ? actions : "send,open,reply,move", &consent->actions) < 0)
        return "--consent is a list of send, open, reply, move, delete";
    return NULL;
}

/* Items are pointed to by callbacks of the journal, so the table must not move any more: it is
 * complete before the first of them is stored. */
void import_start(const struct import_parts *parts, struct admin_call *call)
{
    struct import *import = calloc(1, sizeof *import);
    if (!import) {
        admin_refuse(call, ADMIN_FAILED, "NO_MEMORY", "out of memory", "");
        return;
    }
    import->parts = *parts;
    import->call = call;
    import->accept_ask = admin_argument(call, "accept") != NULL;
    import->dry_run = admin_argument(call, "dry-run") != NULL;
    (void)uv_timer_init(parts->loop, &import->timer);
    import->timer.data = import;

    struct flz_msg msg = FLZ_MSG_NULL;
    struct flz_view body = admin_body(call);
    char *text = malloc(body.len + 1);
    const char *why = text ? read_consent(import) : "out of memory";
    if (!why) {
        memcpy(text, body.data, body.len);
        text[body.len] = '\0';
        if (strlen(text) != body.len)
            why = "the file has a NUL byte: it is no CSV";
        else if (read_rows(import, text, &msg) < 0)
            why = msg.text;
    }
    if (text)
        sodium_memzero(text, body.len + 1);
    free(text);
    if (why) {
        admin_refuse(call, ADMIN_USAGE, "BAD_INPUT", why, "see fluenzrctl account import --help");
        close_import(import);
        return;
    }
    /* Many domains wait for one another's questions. */
    int64_t patience = IMPORT_DNS_WAIT_MS + (int64_t)import->count * IMPORT_ROW_WAIT_MS;
    for (size_t i = 0; i < import->count; i++)
        import->items[i].until_boot = flz_boottime_ms() + patience;
    import->next = *parts->running;
    *parts->running = import;
    (void)uv_timer_start(&import->timer, on_timer, POLL_MS, POLL_MS);
}
