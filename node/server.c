#include "node/server.h"

#include "common/base/cleanup.h"
#include "common/sys/admin.h"
#include "common/sys/bus.h"
#include "common/sys/clock.h"
#include "common/sys/dns.h"
#include "common/sys/fsutil.h"
#include "common/sys/http.h"
#include "common/sys/seal.h"
#include "common/sys/service.h"
#include "common/sys/tz.h"
#include "node/control.h"
#include "node/domains.h"
#include "node/enrol.h"
#include "node/feedback.h"
#include "node/identity.h"
#include "node/import.h"
#include "node/io/conn.h"
#include "node/io/oauth.h"
#include "node/journal.h"
#include "node/link.h"
#include "node/members.h"
#include "node/outbox.h"
#include "node/packs.h"
#include "node/providers.h"
#include "node/render.h"
#include "node/signin.h"
#include "node/tokens.h"
#include "node/worker.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>

#define ENROL_TIMEOUT_MS 15000
#define PRUNE_MS 60000
#define DRAIN_MS 10000 /* at most, between the signal and the end */

/* All parts, in the order they are made; server_deinit ends them in the reverse one. */
struct server {
    const struct config *config;
    struct flz_log *log;
    uv_loop_t loop;
    bool loop_made;
    int lock_fd;
    struct identity identity;
    bool identified;
    struct seal_key vault;
    struct packs *packs;
    struct providers *providers;
    struct tz *tz;
    struct journal *journal;
    struct members *members;
    struct outbox *outbox;
    struct dns *dns;
    struct domains *domains;
    struct conn_pool *pool;
    struct grant_settings grant;
    struct oauth_client *oauth;
    struct tokens *tokens;
    struct signins *signins;
    struct worker *worker;
    struct feedback *feedback;
    struct bus *bus;
    struct link *link;
    struct control *control;
    uv_signal_t signals[2];
    uv_signal_t hangup;
    struct flz_msg
        providers_trouble; /* why the providers file could not be read anew; "" = it could */
    uv_timer_t housekeeping;
    uv_timer_t drain;
    int64_t drain_until_boot; /* 0: nobody has asked us to stop */
    int64_t pruned_boot;
    uint64_t trimmed_after; /* sessions and visits, when the heap was last trimmed */
    int handles;
    int exit_code;
};

/* ---- What the parts tell each other ---- */

static void on_reports_ready(void *data)
{
    struct server *server = data;
    if (server->link)
        link_flush(server->link);
}

static void on_domain_known(void *data)
{
    struct server *server = data;
    if (server->worker)
        worker_wake(server->worker);
}

static void on_token_news(struct member *member, enum flz_reason reason, const char *text,
                          void *data)
{
    struct server *server = data;
    worker_token_news(server->worker, member, reason, text);
}

static void on_signed_in(struct flz_id account, void *data)
{
    struct server *server = data;
    worker_account_changed(server->worker, account);
}

static void on_tasks(const struct flz_tasks *tasks, void *data)
{
    struct server *server = data;
    worker_accept(server->worker, tasks);
}

static struct member *member_of_report(struct server *server, uint64_t seq)
{
    for (size_t i = 0; i < members_count(server->members); i++) {
        struct member *member = members_at(server->members, i);
        if (member->record.report == seq)
            return member;
    }
    return NULL;
}

/* The network knows the address by another id: the account takes it, and its attestation, which
 * names the id, is made and reported anew. */
static int take_id(struct server *server, struct member *member, struct flz_id id)
{
    int r = members_rename(server->members, member->record.account.id, id);
    if (r == 0)
        r = control_report(server->control, member);
    return r;
}

static void on_verdict(const struct flz_verdict *verdict, void *data)
{
    struct server *server = data;
    struct member *member = member_of_report(server, verdict->seq);
    if (!member)
        return;
    flz_log(server->log, verdict->accepted ? FLZ_LOG_INFO : FLZ_LOG_WARNING, "account_verdict",
            "account=%s accepted=%d text=%s", flz_id_str(member->record.account.id),
            verdict->accepted, verdict->text);
    if (verdict->accepted && !flz_id_is_null(verdict->account) &&
        !flz_id_equal(verdict->account, member->record.account.id)) {
        int r = take_id(server, member, verdict->account);
        if (r < 0)
            flz_log_failure(server->log, "account_not_renamed", r, NULL);
        return;
    }
    member->record.accepted = verdict->accepted;
    memcpy(member->record.verdict, verdict->text, sizeof member->record.verdict);
    (void)members_save(server->members, member);
    worker_wake(server->worker);
}

static void on_given_up(void *data)
{
    struct server *server = data;
    worker_give_up_sends(server->worker);
}

static void on_pulse(void *data)
{
    struct server *server = data;
    worker_wake(server->worker);
}

static size_t on_open(const struct flz_id **ret_open, void *data)
{
    struct server *server = data;
    return worker_open_ids(server->worker, ret_open);
}

static uint32_t on_credit(void *data)
{
    struct server *server = data;
    return worker_credit(server->worker);
}

static size_t on_packs(const struct flz_digest **ret_packs, void *data)
{
    struct server *server = data;
    return packs_digests(server->packs, ret_packs);
}

static bool on_loopback(void *data)
{
    struct server *server = data;
    return members_all_loopback(server->members);
}

static const struct link_events link_events = {
    .on_tasks = on_tasks,
    .on_verdict = on_verdict,
    .on_given_up = on_given_up,
    .on_pulse = on_pulse,
    .on_open = on_open,
    .on_credit = on_credit,
    .on_packs = on_packs,
    .on_loopback = on_loopback,
};

static void stop(struct server *server, int exit_code)
{
    server->exit_code = exit_code;
    uv_stop(&server->loop);
}

static void on_journal_broken(int r, void *data)
{
    struct server *server = data;
    flz_log_failure(server->log, "journal_broken", r, NULL);
    stop(server, EX_IOERR);
}

static void on_bus_fault(struct bus *bus, const char *what, void *data)
{
    struct server *server = data;
    flz_log(server->log, FLZ_LOG_ERROR, "bus_fault", "reason=%s", what);
    stop(server, EX_SOFTWARE);
}

/* Messages behind their dot get their answer: each one that does not is in doubt for days. */
static void on_drain(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (worker_is_drained(server->worker) || flz_boottime_ms() >= server->drain_until_boot)
        stop(server, 0);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    flz_log(server->log, FLZ_LOG_NOTICE, "stopping", "signal=%d", number);
    service_notify("STOPPING=1");
    if (server->drain_until_boot) {
        stop(server, 0); /* asked twice */
        return;
    }
    server->drain_until_boot = flz_boottime_ms() + DRAIN_MS;
    worker_drain(server->worker);
    (void)uv_timer_start(&server->drain, on_drain, 1, 50);
}

/* The limits and policies of the providers file apply from now on; a file that cannot be read
 * changes nothing, and status says so until it can. */
static void on_reload(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    struct flz_msg msg = FLZ_MSG_NULL;
    int r = providers_reload(server->providers, server->config->providers_file, &msg);
    server->providers_trouble = msg;
    if (r < 0) {
        flz_log(server->log, FLZ_LOG_ERROR, "providers_not_reloaded", "reason=%s", msg.text);
        return;
    }
    flz_log(server->log, FLZ_LOG_NOTICE, "providers_reloaded", "path=%s",
            server->config->providers_file);
    worker_providers_changed(server->worker);
}

/* What a burst of sessions has left free in the heap goes back to the system, when it is over. */
static void trim_heap(struct server *server)
{
    struct worker_stats stats = worker_stats_of(server->worker);
    uint64_t ended = stats.sessions + stats.visits;
    if (stats.sessions_open + stats.visits_open > 0 || ended == server->trimmed_after)
        return;
    server->trimmed_after = ended;
    (void)malloc_trim(0);
}

static void on_housekeeping(uv_timer_t *timer)
{
    struct server *server = timer->data;
    int64_t now, boot = flz_boottime_ms();
    service_notify("WATCHDOG=1");
    trim_heap(server);
    if (boot - server->pruned_boot < PRUNE_MS || link_now(server->link, &now) != 0)
        return;
    server->pruned_boot = boot;
    outbox_prune(server->outbox, now);
    worker_prune(server->worker, now);
    (void)tz_refresh(server->tz);
}

/* ---- Making the parts ---- */

static int identify(struct server *server, struct flz_msg *msg)
{
    const struct config *config = server->config;
    int r = identity_load(config->state_dir, &server->identity, msg);
    if (r == IDENTITY_E_ABSENT) {
        if (!config->join_token_file[0]) {
            flz_msg_set(msg, "this node is not enrolled; put the line of 'fluenzrctl node invite' "
                             "into a file (mode 0600) and name it as join_token_file");
            return flz_fail(-ENOKEY);
        }
        r = enrol(config->state_dir, config->join_token_file, ENROL_TIMEOUT_MS, msg);
        if (r < 0)
            return r;
        flz_log(server->log, FLZ_LOG_NOTICE, "enrolled", "hint=%s",
                "the join token is used up; delete its file");
        r = identity_load(config->state_dir, &server->identity, msg);
    }
    server->identified = r == 0;
    return flz_fold(r);
}

/* A node that has no journal yet makes its vault key where the operator said; after that a missing
 * one is a fault, since another key opens none of the secrets. */
static int open_vault(struct server *server, struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret passphrase = FLZ_SECRET_NULL;
    struct seal_source source = {.kind = (enum seal_source_kind)server->config->vault_source,
                                 .name = server->config->vault_name};
    char journal[4200];
    (void)snprintf(journal, sizeof journal, "%s/journal/CURRENT", server->config->state_dir);
    if (source.kind != SEAL_SOURCE_CREDENTIAL && access(source.name, F_OK) != 0) {
        if (access(journal, F_OK) == 0) {
            flz_msg_set(msg,
                        "%s: the vault's key is missing; this node's mailbox secrets are sealed "
                        "with it. Put it back, or set the node up anew",
                        source.name);
            return flz_fail(-ENOKEY);
        }
        int r = seal_key_create(&source, msg);
        if (r < 0)
            return r;
        flz_log(server->log, FLZ_LOG_NOTICE, "vault_made", "path=%s", source.name);
    }
    if (source.kind == SEAL_SOURCE_PASSPHRASE) {
        int r = flz_secret_read_line(STDIN_FILENO, 1024, &passphrase);
        if (r < 0) {
            flz_msg_set(msg, "the vault's passphrase is read as one line from standard input");
            return r;
        }
        source.passphrase = &passphrase;
    }
    return seal_key_open(&source, &server->vault, msg);
}

static int open_state(struct server *server, struct flz_msg *msg)
{
    char path[4200];
    const struct config *config = server->config;
    int r = fsutil_mkdir(config->state_dir, 0700, msg);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof path, "%s/lock", config->state_dir);
    r = fsutil_lock(path, &server->lock_fd, msg);
    if (r == FSUTIL_E_LOCKED)
        return flz_fail(-EBUSY);
    if (r == 0)
        r = identify(server, msg);
    if (r == 0)
        r = open_vault(server, msg);
    if (r == 0)
        r = packs_load(config->content_dir, &server->packs, msg);
    if (r == 0)
        r = providers_load(config->providers_file, &server->providers, msg);
    if (r == 0)
        r = tz_new(&server->tz);
    (void)snprintf(path, sizeof path, "%s/journal", config->state_dir);
    if (r == 0)
        r = journal_open(&server->loop, path, &server->journal, msg);
    if (r == 0)
        r = members_open(server->journal, &server->vault, server->identity.node, &server->members,
                         msg);
    if (r == 0)
        r = outbox_open(server->journal, on_reports_ready, server, &server->outbox, msg);
    return r;
}

static int open_sign_ins(struct server *server)
{
    server->grant = node_config_grant(server->config);
    int r = oauth_client_new(&server->loop, server->config->ca_file, 0, &server->oauth);
    if (r < 0)
        return r;
    struct tokens_parts tokens = {
        .log = server->log,
        .members = server->members,
        .client = server->oauth,
        .settings = &server->grant,
        .on_news = on_token_news,
        .data = server,
    };
    r = tokens_new(&tokens, &server->tokens);
    if (r < 0)
        return r;
    struct signin_parts signins = {
        .loop = &server->loop,
        .log = server->log,
        .members = server->members,
        .tokens = server->tokens,
        .client = server->oauth,
        .settings = &server->grant,
        .on_done = on_signed_in,
        .data = server,
    };
    return signins_new(&signins, &server->signins);
}

static int open_worker(struct server *server, struct flz_msg *msg)
{
    const struct config *config = server->config;
    struct dns_options dns = {.servers = config->dns_servers};
    int r = dns_new(&server->loop, dns, &server->dns, msg);
    if (r == 0)
        r = domains_new(server->dns, on_domain_known, server, &server->domains);
    if (r == 0) {
        r = conn_pool_new(&server->loop, config->ca_file, NULL, &server->pool);
        if (r < 0)
            flz_msg_set(msg, "%s: the CA file cannot be read: %s", config->ca_file, strerror(-r));
        else
            conn_pool_deny(server->pool, domains_is_google_host,
                           "Gmail and Google Workspace are not warmed");
    }
    if (r == 0)
        r = open_sign_ins(server);
    if (r < 0)
        return r;
    struct worker_parts parts = {
        .loop = &server->loop,
        .log = server->log,
        .journal = server->journal,
        .outbox = server->outbox,
        .members = server->members,
        .providers = server->providers,
        .domains = server->domains,
        .packs = server->packs,
        .tz = server->tz,
        .pool = server->pool,
        .tokens = server->tokens,
        .identity = &server->identity,
        .ehlo_name = config->ehlo_name,
        .connect_timeout_ms = config->connect_timeout_ms,
        .reply_timeout_ms = config->reply_timeout_ms,
        .credit_max = (uint32_t)config->credit,
        .probe_age_ms_max = config->probe_age_ms,
    };
    return worker_open(&parts, &server->worker, msg);
}

static int open_doors(struct server *server, struct flz_msg *msg)
{
    const struct config *config = server->config;
    int r = bus_new(&server->loop, on_bus_fault, server, &server->bus, msg);
    if (r < 0)
        return r;
    struct link_options link = {
        .endpoint = server->identity.endpoint,
        .coordinator_key = server->identity.coordinator_key,
        .identity = &server->identity,
        .heartbeat_ms = config->heartbeat_ms,
        .version = FLZ_VERSION,
    };
    r = link_new(server->bus, &server->loop, server->log, server->journal, server->outbox, &link,
                 &link_events, server, &server->link, msg);
    if (r < 0)
        return r;
    worker_set_link(server->worker, server->link);
    struct feedback_parts feedback = {.loop = &server->loop,
                                      .log = server->log,
                                      .pool = server->pool,
                                      .worker = server->worker,
                                      .config = config};
    r = feedback_open(&feedback, &server->feedback, msg);
    if (r < 0)
        return r;
    struct control_parts control = {
        .loop = &server->loop,
        .log = server->log,
        .bus = server->bus,
        .identity = &server->identity,
        .link = server->link,
        .worker = server->worker,
        .members = server->members,
        .outbox = server->outbox,
        .domains = server->domains,
        .dns = server->dns,
        .providers = server->providers,
        .providers_trouble = &server->providers_trouble,
        .tokens = server->tokens,
        .signins = server->signins,
        .journal = server->journal,
        .pool = server->pool,
        .ehlo_name = config->ehlo_name,
        .connect_timeout_ms = config->connect_timeout_ms,
        .tz = server->tz,
        .listen_admin = config->listen_admin,
        .listen_http = config->listen_http,
    };
    return control_open(&control, &server->control, msg);
}

static void start_handles(struct server *server)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        (void)uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        (void)uv_signal_start(&server->signals[i], on_signal, numbers[i]);
    }
    (void)uv_signal_init(&server->loop, &server->hangup);
    server->hangup.data = server;
    (void)uv_signal_start(&server->hangup, on_reload, SIGHUP);
    (void)uv_timer_init(&server->loop, &server->housekeeping);
    server->housekeeping.data = server;
    (void)uv_timer_init(&server->loop, &server->drain);
    server->drain.data = server;
    int64_t watchdog = service_watchdog_ms();
    uint64_t every = watchdog > 0 && watchdog < PRUNE_MS ? (uint64_t)watchdog : PRUNE_MS;
    (void)uv_timer_start(&server->housekeeping, on_housekeeping, every, every);
    server->handles = 3;
}

static void server_deinit(struct server *server)
{
    if (server->handles > 0) {
        uv_close((uv_handle_t *)&server->signals[0], NULL);
        uv_close((uv_handle_t *)&server->signals[1], NULL);
        uv_close((uv_handle_t *)&server->hangup, NULL);
        uv_close((uv_handle_t *)&server->housekeeping, NULL);
        uv_close((uv_handle_t *)&server->drain, NULL);
    }
    /* Closing the journal runs the loop: what it may call back is gone and forgotten by then. */
    server->control = control_close(server->control);
    server->signins = signins_free(server->signins);
    server->feedback = feedback_free(server->feedback);
    server->worker = worker_free(server->worker);
    server->tokens = tokens_free(server->tokens);
    server->oauth = oauth_client_free(server->oauth);
    server->link = link_free(server->link);
    server->bus = bus_free(server->bus);
    server->pool = conn_pool_free(server->pool);
    server->dns = dns_free(server->dns);
    (void)domains_free(server->domains);
    (void)journal_close(server->journal);
    (void)outbox_free(server->outbox);
    (void)members_free(server->members);
    (void)tz_free(server->tz);
    (void)providers_free(server->providers);
    (void)packs_free(server->packs);
    seal_key_deinit(&server->vault);
    if (server->identified)
        identity_deinit(&server->identity);
    if (server->loop_made) {
        (void)uv_run(&server->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&server->loop);
    }
    if (server->lock_fd >= 0)
        (void)close(server->lock_fd);
}

/* What an operator must mend, against what may pass by itself. */
static int exit_code_of(int r)
{
    return r == -EAGAIN || r == -EBUSY || r == -ENOSPC ? EX_TEMPFAIL : EX_CONFIG;
}

int node_run(const struct config *config, struct flz_log *log)
{
    _cleanup_(server_deinit) struct server server = {.config = config, .log = log, .lock_fd = -1};
    struct flz_msg msg = FLZ_MSG_NULL;
    if (uv_loop_init(&server.loop) < 0)
        return EX_OSERR;
    server.loop_made = true;
    render_init();
    /* Answers of the sign-in server pass through it. */
    json_set_alloc_funcs(malloc, flz_wipe_free);
    int r = open_state(&server, &msg);
    if (r == 0)
        r = open_worker(&server, &msg);
    if (r == 0)
        r = open_doors(&server, &msg);
    if (r < 0) {
        flz_log_failure(log, "start_failed", r, &msg);
        return exit_code_of(r);
    }
    journal_on_broken(server.journal, on_journal_broken, &server);
    start_handles(&server);
    flz_log(log, FLZ_LOG_NOTICE, "ready", "node=%s name=%s network=%s accounts=%zu version=%s",
            flz_id_str(server.identity.node), server.identity.name, server.identity.network_name,
            members_count(server.members), FLZ_VERSION);
    service_notify("READY=1\nSTATUS=%zu accounts", members_count(server.members));
    (void)uv_run(&server.loop, UV_RUN_DEFAULT);
    return server.exit_code;
}
