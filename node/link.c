#include "node/link.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "proto/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PAUSES_MAX 4096
#define GENERATIONS_MAX 16
#define HELLO_RETRY_MS 2000
#define SILENCE_MS 30000 /* nothing believed for so long: hello is said again */

static const char meta_epoch[] = "epoch";
static const char meta_generations[] = "generations"; /* newest first, 16 bytes each */

struct link {
    struct uv_loop_s *loop;
    struct flz_log *log;
    struct journal *journal;
    struct outbox *outbox;
    struct revocations *revocations; /* owned */
    struct link_options options;
    const struct link_events *events;
    void *data;

    struct bus_socket *socket;
    uv_timer_t *beat; /* owned; freed in its close callback */

    bool welcomed; /* on this connection: reports and heartbeats go out */
    bool accepted; /* by the newest WELCOME, whichever connection it came by */
    bool refused;  /* by it; `refusal` says why */
    int64_t hello_boot;
    int64_t heard_boot; /* the newest believed frame */
    int64_t acked_boot; /* the newest ACK, or reports with none before them in flight */
    char refusal[FLZ_REPLY_TEXT_MAX];
    uint64_t seq_out;
    uint64_t seq_in; /* of the coordinator's frames in this epoch */
    uint64_t epoch;
    struct flz_id generations[GENERATIONS_MAX]; /* [0] is the one in force; the others given up */
    size_t generations_count;

    struct netclock_follower clock;
    int64_t rate_milli;
    int64_t lease_end_boot;
    struct flz_pause *pauses; /* owned */
    size_t pauses_count;
    struct flz_id *suppressed; /* owned */
    size_t suppressed_count;
    uint64_t revocations_all; /* how many there are, by the newest pulse */
};

/* ---- What survives a restart ---- */

static int load_meta(struct link *link)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    int r = journal_get(link->journal, JOURNAL_META, flz_view_str(meta_epoch), &buf);
    if (r < 0)
        return r;
    if (r == 0 && buf.len == 8)
        link->epoch = flz_be64(buf.data);

    flz_buf_reset(&buf);
    r = journal_get(link->journal, JOURNAL_META, flz_view_str(meta_generations), &buf);
    if (r < 0)
        return r;
    size_t n = buf.len / sizeof(struct flz_id);
    link->generations_count = n < GENERATIONS_MAX ? n : GENERATIONS_MAX;
    if (link->generations_count > 0)
        memcpy(link->generations, buf.data, link->generations_count * sizeof(struct flz_id));
    return 0;
}

static void save_meta(struct link *link)
{
    uint8_t epoch[8];
    flz_put_be64(epoch, link->epoch);
    journal_put(link->journal, JOURNAL_META, flz_view_str(meta_epoch),
                (struct flz_view){.data = epoch, .len = sizeof epoch});
    journal_put(link->journal, JOURNAL_META, flz_view_str(meta_generations),
                (struct flz_view){.data = (const uint8_t *)link->generations,
                                  .len = link->generations_count * sizeof(struct flz_id)});
    journal_flush(link->journal);
}

/* ---- Sending ---- */

static struct flz_frame_header next_header(struct link *link)
{
    return (struct flz_frame_header){
        .network = link->options.identity->trust.network,
        .node = link->options.identity->node,
        .epoch = link->epoch,
        .generation = link->generations_count > 0 ? link->generations[0] : FLZ_ID_NULL,
        .seq = ++link->seq_out,
    };
}

/* Signs and queues one frame. 0, a BUS_E_ outcome, or negative. */
static int send_frame(struct link *link, enum flz_kind kind, const struct flz_codec *codec,
                      const void *frame)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_signer signer = identity_signer(link->options.identity);
    int r = flz_encode(codec, frame, &payload);
    if (r < 0)
        return r;
    r = flz_seal_signed(kind, flz_buf_view(&payload), &signer, &bytes);
    if (r < 0)
        return r;
    return bus_send(link->socket, NULL, flz_buf_view(&bytes));
}

static void say_hello(struct link *link)
{
    struct flz_hello hello = {
        .header = next_header(link),
        .incarnation = journal_incarnation(link->journal),
        .report_seq = outbox_newest(link->outbox),
        .report_acked = outbox_acked(link->outbox),
        .report_first = outbox_first(link->outbox),
        .credit = link->events->on_credit(link->data),
        .boot_ms = flz_boottime_ms(),
        .endpoints_loopback = link->events->on_loopback(link->data),
    };
    link->hello_boot = hello.boot_ms;
    hello.open_count = link->events->on_open(&hello.open, link->data);
    hello.packs_count = link->events->on_packs(&hello.packs, link->data);
    (void)flz_text_copy(hello.version, sizeof hello.version, link->options.version);
    int r = send_frame(link, FLZ_KIND_HELLO, &flz_codec_hello, &hello);
    flz_log(link->log, FLZ_LOG_INFO, "hello_sent", "open=%zu pending_reports=%zu result=%d",
            hello.open_count, outbox_pending(link->outbox), r);
}

static void beat(struct link *link)
{
    struct flz_heartbeat heartbeat = {
        .header = next_header(link),
        .boot_ms = flz_boottime_ms(),
        .credit = link->events->on_credit(link->data),
        .revocation_version = revocations_version(link->revocations),
    };
    const struct flz_id *open;
    heartbeat.open_count = (uint32_t)link->events->on_open(&open, link->data);
    (void)send_frame(link, FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
}

/* A coordinator that has lost track of us, or reports that nobody acknowledges: both sides start
 * again from what each of them has on its disk. */
static bool is_out_of_step(const struct link *link, int64_t now)
{
    return now - link->heard_boot >= SILENCE_MS ||
           (outbox_in_flight(link->outbox) > 0 && now - link->acked_boot >= SILENCE_MS);
}

static void on_beat(uv_timer_t *timer)
{
    struct link *link = timer->data;
    int64_t now = flz_boottime_ms();
    if (bus_state_of(link->socket) != BUS_UP)
        return;
    if (link->welcomed && is_out_of_step(link, now)) {
        flz_log(link->log, FLZ_LOG_WARNING, "coordinator_silent", "reports_in_flight=%zu",
                outbox_in_flight(link->outbox));
        link->welcomed = false;
    }
    if (!link->welcomed) {
        /* The answer to our HELLO was lost, or the coordinator asked us to wait. */
        if (now - link->hello_boot >= HELLO_RETRY_MS)
            say_hello(link);
        return;
    }
    beat(link);
    link_flush(link);
}

void link_flush(struct link *link)
{
    if (!link->welcomed)
        return;
    const struct flz_report *reports;
    size_t n;
    while ((n = outbox_next(link->outbox, &reports)) > 0) {
        struct flz_reports frame = {
            .header = next_header(link),
            .incarnation = journal_incarnation(link->journal),
            .reports = reports,
            .reports_count = n,
        };
        if (outbox_in_flight(link->outbox) == 1)
            link->acked_boot = flz_boottime_ms();
        int r = send_frame(link, FLZ_KIND_REPORTS, &flz_codec_reports, &frame);
        if (r == 0)
            continue;
        /* What the socket did not take is sent again after the next hello. */
        flz_log(link->log, FLZ_LOG_WARNING, "reports_not_sent", "first=%llu result=%d",
                (unsigned long long)reports[0].seq, r);
        link->welcomed = false;
        return;
    }
}

/* ---- Believing ---- */

static bool generation_given_up(const struct link *link, struct flz_id generation)
{
    for (size_t i = 1; i < link->generations_count; i++)
        if (flz_id_equal(link->generations[i], generation))
            return true;
    return false;
}

static void adopt_generation(struct link *link, struct flz_id generation)
{
    if (flz_id_is_null(generation) ||
        (link->generations_count > 0 && flz_id_equal(link->generations[0], generation)))
        return;
    if (link->generations_count > 0)
        link->events->on_given_up(link->data);
    size_t keep =
        link->generations_count < GENERATIONS_MAX ? link->generations_count : GENERATIONS_MAX - 1;
    memmove(link->generations + 1, link->generations, keep * sizeof *link->generations);
    link->generations[0] = generation;
    link->generations_count = keep + 1;
    revocations_restart(link->revocations);
    flz_log(link->log, FLZ_LOG_NOTICE, "log_generation", "generation=%s", flz_id_str(generation));
}

/* A WELCOME may open a new epoch, or a log generation that was never seen: its coordinator was
 * restored from a backup, and its epochs go on from the backup's. */
static bool opens_anew(const struct link *link, const struct flz_frame_header *header)
{
    bool known = link->generations_count > 0 && !flz_id_is_null(header->generation) &&
                 flz_id_equal(link->generations[0], header->generation);
    return header->epoch > link->epoch || (!known && !flz_id_is_null(header->generation));
}

/* NULL when the frame may be believed, else why not. */
static const char *check_header(struct link *link, const struct flz_frame_header *header,
                                bool welcome)
{
    const struct identity *identity = link->options.identity;
    if (!flz_id_equal(header->network, identity->trust.network))
        return "another network's frame";
    if (!flz_id_equal(header->node, identity->node))
        return "another node's frame";
    if (generation_given_up(link, header->generation))
        return "a log generation that was given up";
    if (welcome && opens_anew(link, header)) {
        link->epoch = header->epoch;
        adopt_generation(link, header->generation);
        save_meta(link);
        link->seq_in = header->seq;
        link->heard_boot = flz_boottime_ms();
        return NULL;
    }
    if (header->epoch < link->epoch)
        return "an older epoch";
    if (opens_anew(link, header))
        return "a new epoch or log generation without a welcome";
    if (header->seq <= link->seq_in)
        return "a repeated frame";
    link->seq_in = header->seq;
    link->heard_boot = flz_boottime_ms();
    return NULL;
}

static const char *check_signer(struct link *link, const struct flz_signed *message)
{
    const struct flz_certificate *issuer = identity_issuer(link->options.identity, message->key);
    if (!issuer)
        return "a signer that is no coordinator of this network";
    int64_t now = flz_realtime_ms();
    if (now < issuer->not_before || now >= issuer->not_after)
        return "an issuer certificate that is not valid now";
    if (flz_verify_signed(message, &issuer->key) < 0)
        return "a signature that does not verify";
    return NULL;
}

/* ---- Frames of the coordinator ---- */

/* Hello is said again every few seconds while it is refused: a reason is logged once. */
static void keep_refusal(struct link *link, const char *text)
{
    if (link->refused && strcmp(link->refusal, text) == 0)
        return;
    link->refused = true;
    (void)flz_text_copy(link->refusal, sizeof link->refusal, text);
    flz_log(link->log, FLZ_LOG_ERROR, "refused_by_coordinator", "reason=%s", text);
}

static const char *on_welcome(struct link *link, struct flz_view payload, struct flz_arena *arena)
{
    struct flz_welcome welcome;
    if (flz_decode(&flz_codec_welcome, payload, arena, &welcome) < 0)
        return "not readable";
    const char *why = check_header(link, &welcome.header, true);
    if (why)
        return why;
    if (!flz_id_equal(welcome.incarnation, journal_incarnation(link->journal)))
        return "a welcome to another incarnation";
    link->welcomed = false;
    link->accepted = welcome.accepted;
    if (!welcome.accepted) {
        keep_refusal(link, welcome.text);
        return NULL;
    }
    link->refused = false;
    link->refusal[0] = '\0';
    if (outbox_rewind(link->outbox, welcome.report_acked) < 0)
        return "acknowledges reports that were never written";
    link->welcomed = true;
    link->acked_boot = flz_boottime_ms();
    flz_log(link->log, FLZ_LOG_NOTICE, "welcomed", "epoch=%llu report_acked=%llu",
            (unsigned long long)link->epoch, (unsigned long long)welcome.report_acked);
    beat(link);
    link_flush(link);
    return NULL;
}

static int keep_pauses(struct link *link, const struct flz_pulse *pulse)
{
    _cleanup_(flz_freep) struct flz_pause *copy = calloc(pulse->pauses_count + 1, sizeof *copy);
    struct flz_id *suppressed = calloc(pulse->suppressed_count + 1, sizeof *suppressed);
    if (!copy || !suppressed) {
        free(suppressed);
        return flz_fail(-ENOMEM);
    }
    struct flz_pause *pauses = steal_ptr(&copy);
    if (pulse->pauses_count > 0)
        memcpy(pauses, pulse->pauses, pulse->pauses_count * sizeof *pauses);
    if (pulse->suppressed_count > 0)
        memcpy(suppressed, pulse->suppressed, pulse->suppressed_count * sizeof *suppressed);
    free(link->pauses);
    link->pauses = pauses;
    link->pauses_count = pulse->pauses_count;
    free(link->suppressed);
    link->suppressed = suppressed;
    link->suppressed_count = pulse->suppressed_count;
    return 0;
}

static const char *on_pulse(struct link *link, struct flz_view payload, struct flz_arena *arena)
{
    struct flz_pulse pulse;
    if (flz_decode(&flz_codec_pulse, payload, arena, &pulse) < 0)
        return "not readable";
    const char *why = check_header(link, &pulse.header, false);
    if (why)
        return why;
    if (pulse.rate_milli < 1 || pulse.rate_milli > NETCLOCK_RATE_MAX)
        return "a clock rate out of range";
    /* DESIGN 9: a clock that does not run at the world's pace is for labs only. */
    if (pulse.rate_milli != NETCLOCK_RATE_ONE && !link->events->on_loopback(link->data)) {
        flz_log(link->log, FLZ_LOG_ERROR, "lab_clock_refused",
                "rate_milli=%lld hint=\"this node has accounts on real servers\"",
                (long long)pulse.rate_milli);
        return "a lab's clock, but not every endpoint of this node is loopback";
    }
    int64_t boot = flz_boottime_ms();
    struct netclock_pulse sample = {
        .network_now = pulse.network_now,
        .horizon = pulse.horizon,
        .rate_milli = (uint32_t)pulse.rate_milli,
        .sent_boot = pulse.echo_boot_ms,
        .received_boot = boot,
    };
    /* A stop that cannot be remembered must not be missed: no memory, no authority. */
    if (netclock_follower_pulse(&link->clock, &sample) != 0 || keep_pauses(link, &pulse) < 0)
        return "an answer to an older heartbeat";
    link->rate_milli = pulse.rate_milli;
    link->revocations_all = pulse.revocation_version;
    int64_t lease = pulse.lease_ms < LINK_LEASE_MAX_MS ? pulse.lease_ms : LINK_LEASE_MAX_MS;
    link->lease_end_boot = pulse.echo_boot_ms + lease;
    link->events->on_pulse(link->data);
    return NULL;
}

/* Who is cut off is said by administrators; the coordinator only hands it on, in order. */
static const char *on_revocations(struct link *link, struct flz_view payload,
                                  struct flz_arena *arena)
{
    struct flz_revocations frame;
    struct flz_msg msg = FLZ_MSG_NULL;
    if (payload.len > FLZ_FRAME_SIZE_MAX ||
        flz_decode(&flz_codec_revocations, payload, arena, &frame) < 0)
        return "not readable";
    const char *why = check_header(link, &frame.header, false);
    if (why)
        return why;
    uint64_t before = revocations_version(link->revocations);
    int r = revocations_take(link->revocations, &frame, &msg);
    if (r < 0) {
        flz_log_failure(link->log, "revocation_refused", r, &msg);
        return "a revocation that cannot be believed";
    }
    if (revocations_version(link->revocations) == before)
        return NULL; /* known, or the next heartbeat asks for those before */
    flz_log(link->log, FLZ_LOG_NOTICE, "nodes_revoked", "known=%llu",
            (unsigned long long)revocations_version(link->revocations));
    if (link->welcomed)
        beat(link);
    return NULL;
}

static const char *on_tasks(struct link *link, struct flz_view payload, struct flz_arena *arena)
{
    struct flz_tasks tasks;
    if (payload.len > FLZ_FRAME_SIZE_MAX ||
        flz_decode(&flz_codec_tasks, payload, arena, &tasks) < 0)
        return "not readable";
    const char *why = check_header(link, &tasks.header, false);
    if (why)
        return why;
    link->events->on_tasks(&tasks, link->data);
    return NULL;
}

static const char *on_ack(struct link *link, struct flz_view payload, struct flz_arena *arena)
{
    struct flz_ack ack;
    if (flz_decode(&flz_codec_ack, payload, arena, &ack) < 0)
        return "not readable";
    const char *why = check_header(link, &ack.header, false);
    if (why)
        return why;
    if (!flz_id_equal(ack.incarnation, journal_incarnation(link->journal)))
        return "an acknowledgement of another incarnation";
    link->acked_boot = flz_boottime_ms();
    if (outbox_ack(link->outbox, ack.report_seq) < 0)
        return "acknowledges reports that were never written";
    for (size_t i = 0; i < ack.verdicts_count; i++)
        link->events->on_verdict(&ack.verdicts[i], link->data);
    link_flush(link);
    return NULL;
}

static void on_message(struct bus_socket *socket, const struct bus_message *message, void *data)
{
    struct link *link = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed frame;
    const char *why = "not a signed message";
    if (flz_open_signed(message->bytes, &arena, &frame) == 0) {
        why = check_signer(link, &frame);
        if (!why) {
            switch (frame.kind) {
            case FLZ_KIND_WELCOME: why = on_welcome(link, frame.payload, &arena); break;
            case FLZ_KIND_PULSE: why = on_pulse(link, frame.payload, &arena); break;
            case FLZ_KIND_REVOCATIONS: why = on_revocations(link, frame.payload, &arena); break;
            case FLZ_KIND_TASKS: why = on_tasks(link, frame.payload, &arena); break;
            case FLZ_KIND_ACK: why = on_ack(link, frame.payload, &arena); break;
            default: why = "a kind that coordinators do not send"; break;
            }
        }
    }
    if (why)
        flz_log(link->log, FLZ_LOG_WARNING, "frame_refused", "reason=%s bytes=%zu", why,
                message->bytes.len);
}

static void on_state(struct bus_socket *socket, enum bus_state state, void *data)
{
    struct link *link = data;
    link->welcomed = false;
    static const char *const words[] = {
        [BUS_DOWN] = "down", [BUS_UP] = "up", [BUS_REFUSED] = "refused"};
    flz_log(link->log, state == BUS_UP ? FLZ_LOG_INFO : FLZ_LOG_WARNING, "coordinator_link",
            "state=%s endpoint=%s", words[state], link->options.endpoint);
    if (state == BUS_UP)
        say_hello(link);
}

/* ---- Life ---- */

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

static int start_timer(struct link *link)
{
    link->beat = calloc(1, sizeof *link->beat);
    if (!link->beat)
        return flz_fail(-ENOMEM);
    int r = uv_timer_init(link->loop, link->beat);
    if (r < 0) {
        free(link->beat);
        link->beat = NULL;
        return flz_fail(r);
    }
    link->beat->data = link;
    uint64_t every = (uint64_t)link->options.heartbeat_ms;
    return uv_timer_start(link->beat, on_beat, every, every);
}

FLZ_DEFINE_FREEP(struct link, link_free)

int link_new(struct bus *bus, struct uv_loop_s *loop, struct flz_log *log, struct journal *journal,
             struct outbox *outbox, const struct link_options *options,
             const struct link_events *events, void *data, struct link **ret_link,
             struct flz_msg *msg)
{
    _cleanup_(link_freep) struct link *link = calloc(1, sizeof *link);
    if (!link)
        return flz_fail(-ENOMEM);
    link->loop = loop;
    link->log = log;
    link->journal = journal;
    link->outbox = outbox;
    link->options = *options;
    link->events = events;
    link->data = data;
    link->rate_milli = NETCLOCK_RATE_ONE;

    int r = load_meta(link);
    if (r < 0) {
        flz_msg_set(msg, "the journal's record of the coordinator cannot be read");
        return r;
    }
    r = revocations_open(journal, &options->identity->trust, &link->revocations, msg);
    if (r < 0)
        return r;
    struct bus_callbacks callbacks = {.on_message = on_message, .on_state = on_state, .data = link};
    r = bus_connect_curve(bus, options->endpoint, options->coordinator_key,
                          &options->identity->curve, callbacks, &link->socket, msg);
    if (r < 0)
        return r;
    r = start_timer(link);
    if (r < 0)
        return r;
    *ret_link = steal_ptr(&link);
    return 0;
}

struct link *link_free(struct link *link)
{
    if (!link)
        return NULL;
    if (link->socket)
        (void)bus_close(link->socket);
    if (link->beat)
        uv_close((uv_handle_t *)link->beat, free_timer);
    free(link->suppressed);
    free(link->pauses);
    (void)revocations_free(link->revocations);
    free(link);
    return NULL;
}

/* ---- Looking ---- */

int link_now(struct link *link, int64_t *ret_now)
{
    return netclock_follower_now(&link->clock, flz_boottime_ms(), ret_now);
}

int64_t link_rate_milli(const struct link *link)
{
    return link->rate_milli;
}

bool link_welcomed(const struct link *link)
{
    return link->welcomed;
}

bool link_accepted(const struct link *link)
{
    return link->accepted && !link_is_revoked(link, link->options.identity->node);
}

bool link_knows_revocations(const struct link *link)
{
    return revocations_version(link->revocations) >= link->revocations_all;
}

bool link_is_revoked(const struct link *link, struct flz_id node)
{
    return revocations_has(link->revocations, node);
}

int64_t link_lease_end_boot(const struct link *link)
{
    return link->lease_end_boot;
}

bool link_paused(const struct link *link, struct flz_id account, const char *provider,
                 const char *domain)
{
    for (size_t i = 0; i < link->pauses_count; i++) {
        const struct flz_pause *pause = &link->pauses[i];
        switch (pause->scope) {
        case FLZ_SCOPE_ACCOUNT:
            if (flz_id_equal(pause->account, account))
                return true;
            break;
        case FLZ_SCOPE_PROVIDER:
            if (strcmp(pause->name, provider) == 0)
                return true;
            break;
        case FLZ_SCOPE_DOMAIN:
            if (flz_ascii_equal_nocase(pause->name, domain))
                return true;
            break;
        /* NETWORK, NODE (only ever sent to that node), and scopes of a newer coordinator that we
         * cannot read: all of them stop us. */
        default: return true;
        }
    }
    return false;
}

bool link_suppressed(const struct link *link, struct flz_id account)
{
    for (size_t i = 0; i < link->suppressed_count; i++)
        if (flz_id_equal(link->suppressed[i], account))
            return true;
    return false;
}

const char *link_state_text(const struct link *link)
{
    if (link->welcomed)
        return "welcomed";
    if (link->refusal[0])
        return link->refusal;
    switch (bus_state_of(link->socket)) {
    case BUS_UP: return "waiting for the coordinator's welcome";
    case BUS_REFUSED: return "the coordinator refuses this node's key";
    case BUS_DOWN: break;
    }
    return "connecting";
}
