#include "tests/sim/world/trouble.h"

#include "common/base/cleanup.h"
#include "proto/codec.h"
#include "tests/sim/world/disk.h"
#include "tests/sim/world/logtrouble.h"
#include "tests/sim/world/network.h"
#include "tests/sim/world/post.h"
#include "tests/sim/world/stand.h"
#include "tests/sim/world/watch.h"
#include "tests/sim/world/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAWN_PERMILLE 300 /* of the kinds, in a seed */
#define QUIET_MS (25 * FLZ_HOUR_MS)
#define REPORTS_MAX 200

static int64_t end_at;
static char drawn[1200];
static bool revoked;               /* one node at most */
static bool backed_up;             /* one restore at most */
static bool harmed[NETWORK_NODES]; /* its journal was lost or set back, or it lies: once */
static struct keys_sign_pair liar_key;

static struct proc *any_node(void)
{
    return network.nodes[world_between(0, NETWORK_NODES - 1)];
}

static struct proc *any_proc(void)
{
    return world_chance(400) ? network.coordinator : any_node();
}

/* A node that nothing irreparable has happened to; NULL: there is none. */
static struct proc *sound_node(void)
{
    size_t node = (size_t)world_between(0, NETWORK_NODES - 1);
    if (harmed[node] || network.nodes[node]->ordered_down)
        return NULL;
    harmed[node] = true;
    return network.nodes[node];
}

static int64_t minutes(int64_t low, int64_t high)
{
    return world_between(low * FLZ_MINUTE_MS, high * FLZ_MINUTE_MS);
}

/* ---- What comes a few times a day ---- */

static void partition(void)
{
    struct proc *node = any_node();
    int64_t until = world.now + minutes(1, 70);
    world_say("%s is cut off", node->name);
    wire_cut(node, until, false);
}

static void partition_silently(void)
{
    struct proc *node = any_node();
    int64_t until = world.now + minutes(1, 70);
    world_say("%s is cut off, and its connection stands", node->name);
    wire_cut(node, until, true);
}

static void on_disk_empty(void *data)
{
    struct proc *proc = data;
    world_say("the disk of %s has room again", proc->name);
    disk_set_free(proc, 0, false);
}

static void fill_disk(void)
{
    struct proc *proc = any_proc();
    world_say("the disk of %s is full", proc->name);
    disk_set_free(proc, 1 << 20, true);
    world_at(world.now + minutes(1, 50), on_disk_empty, proc);
}

static void nearly_fill_disk(void)
{
    struct proc *proc = any_proc();
    world_say("the disk of %s is nearly full", proc->name);
    disk_set_free(proc, UINT64_C(100) << 20, false);
    world_at(world.now + minutes(1, 90), on_disk_empty, proc);
}

static void fail_write(void)
{
    struct proc *proc = any_proc();
    world_say("the next write of %s fails", proc->name);
    disk_fail_next(proc);
}

static void doubt_log(void)
{
    logtrouble_unknown();
}

static void fence(void)
{
    world_say("another writer takes the log");
    logtrouble_fence();
}

static void jump_clock(void)
{
    struct proc *proc = any_proc();
    int64_t by = world_between(-50, 50) * FLZ_MINUTE_MS;
    /* The coordinator's clock is the network's: it may be wrong by a little, or by so much that the
     * step is refused; but not so early that its own certificate has not begun. */
    if (proc == network.coordinator)
        by = world_chance(700) ? by / 60 : world_between(2, 30) * FLZ_HOUR_MS;
    world_say("the clock of %s jumps by %lld s", proc->name, (long long)by / 1000);
    proc->skew_ms += by;
}

static void freeze(void)
{
    struct proc *proc = any_proc();
    int64_t ms = world_chance(500) ? minutes(0, 2) : minutes(2, 40);
    world_say("%s stands still for %lld s", proc->name, (long long)ms / 1000);
    proc->frozen_until = world.now + ms;
    if (proc->wake_at < proc->frozen_until)
        proc->wake_at = proc->frozen_until;
}

static void on_back(void *data)
{
    struct proc *proc = data;
    proc->ordered_down = false;
    if (!proc->alive)
        world_start(proc);
}

static void take_down(void)
{
    struct proc *proc = any_proc();
    if (proc->ordered_down)
        return;
    proc->ordered_down = true;
    world_kill(proc, "its machine is off");
    world_at(world.now + minutes(2, 100), on_back, proc);
}

static void reboot(void)
{
    struct proc *proc = any_proc();
    if (proc->ordered_down)
        return;
    world_kill(proc, "its machine starts anew");
    proc->boot_base = world_between(0, 60000) - (world.now - world.started);
    proc->boots++;
}

static void kill_one(void)
{
    struct proc *proc = any_proc();
    if (!proc->ordered_down)
        world_kill(proc, "killed");
}

struct backup {
    struct disk *copy;
    struct proc *proc;
};

static void put_back(struct proc *proc, const struct disk *copy)
{
    proc->ordered_down = true;
    world_kill(proc, "its disk is put back");
    disk_put_back(proc, copy);
    world_at(world.now + minutes(1, 5), on_back, proc);
}

static void on_restore(void *data)
{
    struct backup *backup = data;
    if (world.now >= end_at)
        return;
    if (backup->proc->ordered_down) {
        world_at(world.now + minutes(5, 10), on_restore, backup);
        return;
    }
    world_say("a backup of the coordinator is put back");
    put_back(backup->proc, backup->copy);
    network.restored = true;
    watch_restored(world.now + QUIET_MS);
}

static void back_up(void)
{
    struct backup *backup = malloc(sizeof *backup);
    WORLD_MUST(backup, "memory");
    if (backed_up)
        return;
    backed_up = true;
    world_say("a backup of the coordinator is made");
    *backup = (struct backup){.copy = disk_copy(network.coordinator), .proc = network.coordinator};
    world_at(world.now + minutes(20, 400), on_restore, backup);
}

static void on_import(void *data)
{
    network_import(network_index_of(data));
}

static void lose_journal(void)
{
    /* What a restored log forgot is told by the journals: both at once is lost for good. */
    struct proc *node = backed_up ? NULL : sound_node();
    if (!node)
        return;
    world_say("%s loses its journal", node->name);
    node->ordered_down = true;
    world_kill(node, "its disk is gone");
    disk_wipe(node);
    watch_lost(network_index_of(node));
    world_at(world.now + minutes(1, 30), on_back, node);
    world_at(world.now + minutes(31, 40), on_import, node);
}

static void on_set_back(void *data)
{
    struct backup *backup = data;
    if (world.now >= end_at || backup->proc->ordered_down || backed_up)
        return;
    world_say("the journal of %s is set back", backup->proc->name);
    watch_lost(network_index_of(backup->proc));
    put_back(backup->proc, backup->copy);
}

static void set_journal_back(void)
{
    struct proc *node = sound_node();
    struct backup *backup = malloc(sizeof *backup);
    WORLD_MUST(backup, "memory");
    if (!node)
        return;
    *backup = (struct backup){.copy = disk_copy(node), .proc = node};
    world_at(world.now + minutes(10, 300), on_set_back, backup);
}

static void revoke(void)
{
    size_t node = (size_t)world_between(0, NETWORK_NODES - 1);
    if (revoked)
        return;
    revoked = true;
    world_say("%s is revoked", network.nodes[node]->name);
    network_revoke(node);
}

static void pause_some(void)
{
    char target[64];
    switch (world_between(0, 3)) {
    case 0: (void)snprintf(target, sizeof target, "network"); break;
    case 1: (void)snprintf(target, sizeof target, "node/%s", any_node()->name); break;
    case 2:
        (void)snprintf(target, sizeof target, "domain/d%lld.test",
                       (long long)world_between(0, NETWORK_ACCOUNTS / 2));
        break;
    default: (void)snprintf(target, sizeof target, "provider/hosted"); break;
    }
    network_order("pause", "target", target, world_chance(500) ? "20m" : "2h");
}

static void end_consent(void)
{
    network_order("account rm", "account",
                  post_address((size_t)world_between(0, NETWORK_ACCOUNTS - 1)), NULL);
}

static void suppress(void)
{
    network_order("suppress add", "address",
                  post_address((size_t)world_between(0, NETWORK_ACCOUNTS - 1)), NULL);
}

static void on_dns_back(void *data)
{
    (void)data;
    stand_dns_fails = false;
}

static void fail_dns(void)
{
    world_say("DNS answers nobody");
    stand_dns_fails = true;
    world_at(world.now + minutes(1, 120), on_dns_back, NULL);
}

/* ---- A node that lies ---- */

static struct flz_view tamper(size_t node, const struct flz_reports *frame, struct flz_view bytes)
{
    static const uint32_t outcomes[] = {FLZ_OUTCOME_SENT,     FLZ_OUTCOME_FOUND,
                                        FLZ_OUTCOME_REJECTED, FLZ_OUTCOME_DONE,
                                        FLZ_OUTCOME_EXPIRED,  FLZ_OUTCOME_AMBIGUOUS};
    static struct flz_buf lie;
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct flz_signer signer = {
        .key = liar_key.public_key, .on_sign = keys_on_sign, .data = &liar_key};
    (void)node;
    for (size_t i = 0; i < frame->reports_count; i++) {
        struct flz_report *report = (struct flz_report *)&frame->reports[i];
        if (report->kind != FLZ_REPORT_RECEIPT || !world_chance(400))
            continue;
        report->receipt.outcome = outcomes[world_between(0, 5)];
        report->receipt.placement = (uint32_t)world_between(0, 3);
        if (world_chance(100))
            report->receipt.turn = (uint32_t)world_between(0, 4);
        if (world_chance(100))
            report->receipt.kind = (uint32_t)world_between(1, 6);
    }
    flz_buf_reset(&lie);
    if (flz_encode(&flz_codec_reports, frame, &payload) < 0 ||
        flz_seal_signed(FLZ_KIND_REPORTS, flz_buf_view(&payload), &signer, &lie) < 0)
        return bytes;
    return flz_buf_view(&lie);
}

static void lie(void)
{
    static bool lies;
    struct proc *node = lies ? NULL : sound_node();
    if (!node)
        return;
    lies = true;
    world_say("%s begins to lie", node->name);
    network_node_key(network_index_of(node), &liar_key);
    watch_tamper = tamper;
    watch_liar(network_index_of(node));
}

/* ---- All kinds ---- */

struct kind {
    const char *name;
    uint32_t *rate; /* of a million; NULL: it comes a few times a day */
    uint32_t most;
    void (*strike)(void);
    int times; /* a day, at most */
};

static const struct kind kinds[] = {
    {"frames-lost", &wire_trouble.lost, 20000, NULL, 0},
    {"frames-doubled", &wire_trouble.doubled, 50000, NULL, 0},
    {"frames-late", &wire_trouble.late, 20000, NULL, 0},
    {"frames-changed", &wire_trouble.changed, 5000, NULL, 0},
    {"frames-replayed", &wire_trouble.replayed, 50000, NULL, 0},
    {"connections-broken", &wire_trouble.broken, 2000, NULL, 0},
    {"mail-refused", &post_trouble.refused, 100000, NULL, 0},
    {"mail-unreached", &post_trouble.unreached, 50000, NULL, 0},
    {"mail-reset", &post_trouble.reset, 20000, NULL, 0},
    {"smtp-4xx", &post_trouble.smtp_later, 50000, NULL, 0},
    {"smtp-5xx", &post_trouble.smtp_never, 20000, NULL, 0},
    {"smtp-drop", &post_trouble.smtp_drop, 30000, NULL, 0},
    {"smtp-hang", &post_trouble.smtp_hang, 20000, NULL, 0},
    {"smtp-garbage", &post_trouble.smtp_garbage, 10000, NULL, 0},
    {"dots-in-doubt", &post_trouble.dot_doubt, 150000, NULL, 0},
    {"login-later", &post_trouble.login, 50000, NULL, 0},
    {"imap-no", &post_trouble.imap_no, 30000, NULL, 0},
    {"imap-drop", &post_trouble.imap_drop, 20000, NULL, 0},
    {"imap-hang", &post_trouble.imap_hang, 10000, NULL, 0},
    {"imap-garbage", &post_trouble.imap_garbage, 10000, NULL, 0},
    {"mail-swallowed", &post_trouble.swallowed, 100000, NULL, 0},
    {"mail-delayed", &post_trouble.delayed, 100000, NULL, 0},
    {"crashes", &world.crash_ppm, 300, NULL, 0},
    {"disk-slow", &world.slow_ppm, 20000, NULL, 0},
    {"kills", NULL, 0, kill_one, 12},
    {"partition", NULL, 0, partition, 6},
    {"partition-silent", NULL, 0, partition_silently, 6},
    {"disk-full", NULL, 0, fill_disk, 4},
    {"disk-nearly-full", NULL, 0, nearly_fill_disk, 4},
    {"write-fails", NULL, 0, fail_write, 6},
    {"log-unknown", NULL, 0, doubt_log, 6},
    {"log-fenced", NULL, 0, fence, 4},
    {"clock-jumps", NULL, 0, jump_clock, 6},
    {"stands-still", NULL, 0, freeze, 8},
    {"off", NULL, 0, take_down, 4},
    {"reboot", NULL, 0, reboot, 4},
    {"restored-backup", NULL, 0, back_up, 1},
    {"journal-lost", NULL, 0, lose_journal, 2},
    {"journal-set-back", NULL, 0, set_journal_back, 2},
    {"node-revoked", NULL, 0, revoke, 1},
    {"pauses", NULL, 0, pause_some, 5},
    {"consent-ended", NULL, 0, end_consent, 2},
    {"suppressed", NULL, 0, suppress, 2},
    {"dns-fails", NULL, 0, fail_dns, 3},
    {"node-lies", NULL, 0, lie, 1},
};
#define KINDS (sizeof kinds / sizeof *kinds)

size_t trouble_kinds(void)
{
    return KINDS + 1; /* clocks that drift, below */
}

const char *trouble_name(size_t kind)
{
    return kind < KINDS ? kinds[kind].name : "clocks-drift";
}

const char *trouble_drawn(void)
{
    return drawn;
}

static void on_strike(void *data)
{
    const struct kind *kind = data;
    if (world.faults)
        kind->strike();
}

static bool is_wanted(const char *name, const char *only)
{
    if (!only)
        return world_chance(DRAWN_PERMILLE);
    size_t len = strlen(name);
    for (const char *at = strstr(only, name); at; at = strstr(at + 1, name))
        if ((at == only || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

static void note(const char *name)
{
    size_t len = strlen(drawn);
    (void)snprintf(drawn + len, sizeof drawn - len, "%s%s", len ? "," : "", name);
}

void trouble_begin(int64_t end, const char *only, uint32_t dose)
{
    end_at = end;
    world.drawn = drawn;
    world.faults = true;
    for (size_t i = 0; i < KINDS; i++) {
        const struct kind *kind = &kinds[i];
        if (!is_wanted(kind->name, only))
            continue;
        note(kind->name);
        if (kind->rate)
            *kind->rate = dose * (uint32_t)world_between(kind->most / 20, kind->most);
        int64_t times = kind->rate ? 0 : world_between(1, kind->times);
        for (int64_t n = kind->times > 1 ? times * dose : times; n > 0; n--)
            world_at(world_between(world.now, end - 1), on_strike, (void *)(uintptr_t)kind);
    }
    if (!is_wanted("clocks-drift", only))
        return;
    note("clocks-drift");
    for (size_t i = 0; i < world.procs_count; i++)
        world.procs[i].drift_ppm = world_between(-300, 300);
}

void trouble_end(void)
{
    world.faults = false;
    stand_dns_fails = false;
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].rate)
            *kinds[i].rate = 0;
    for (size_t i = 0; i < world.procs_count; i++) {
        struct proc *proc = &world.procs[i];
        disk_set_free(proc, 0, false);
        disk_mend(proc);
        if (proc != network.coordinator)
            wire_cut(proc, world.now, false);
        proc->frozen_until = world.now;
        proc->skew_ms = 0;
    }
    for (size_t i = 0; i < NETWORK_ACCOUNTS; i++)
        network_retry(i);
}
