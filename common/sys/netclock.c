#include "common/sys/netclock.h"

#include "common/base/error.h"

#include <errno.h>

/* Of what two clocks may differ without one of them having been held or stepped: their grain, and
 * one part in a thousand of the time between two readings. */
#define GRAIN_MS 2
#define DRIFT_DIVISOR 1000

__extension__ typedef __int128 wide;

static int64_t saturate(wide v)
{
    if (v > FLZ_NEVER)
        return FLZ_NEVER;
    return v < -FLZ_NEVER ? -FLZ_NEVER : (int64_t)v;
}

static int64_t scale(int64_t real_ms, uint32_t rate_milli)
{
    return saturate((wide)real_ms * rate_milli / NETCLOCK_RATE_ONE);
}

/* base + elapsed real time at the rate. */
static int64_t advance(int64_t base, int64_t elapsed, uint32_t rate_milli)
{
    return saturate((wide)base + scale(elapsed, rate_milli));
}

/* The least real time in which the clock goes on by `network_ms`. */
static wide unscale_up(wide network_ms, uint32_t rate_milli)
{
    if (network_ms <= 0)
        return 0;
    return (network_ms * NETCLOCK_RATE_ONE + rate_milli - 1) / rate_milli;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool within_step(int64_t a, int64_t b)
{
    wide d = (wide)a - b;
    return d <= NETCLOCK_STEP_MAX_MS && d >= -NETCLOCK_STEP_MAX_MS;
}

/* ---- Leader ---- */

static void set_base(struct netclock_leader *clock, int64_t network, int64_t boot)
{
    clock->base_network = network;
    clock->base_boot = boot;
}

static void start_real(struct netclock_leader *clock, const struct netclock_leader_options *options,
                       int64_t boot, int64_t real)
{
    const struct netclock_reading *before = &options->before;
    int64_t expected = before->shown ? before->shown : options->newest;
    bool known = before->shown && before->boot >= 0 && before->boot <= boot;
    if (known)
        expected = advance(expected, boot - before->boot, NETCLOCK_RATE_ONE);
    bool believed = expected == 0 || within_step(real, expected) || (!known && real > expected);
    set_base(clock, believed ? real : expected, boot);
    clock->refused_step_ms = believed ? 0 : saturate((wide)real - expected);
}

static void start_lab(struct netclock_leader *clock, const struct netclock_leader_options *options,
                      int64_t boot, int64_t real)
{
    int64_t start = options->newest;
    if (start == 0)
        start = options->lab_start ? options->lab_start : real;
    set_base(clock, start, boot);
}

int netclock_leader_init(struct netclock_leader *clock, struct netclock_leader_options options,
                         int64_t boot, int64_t real)
{
    uint32_t rate = options.rate_milli ? options.rate_milli : NETCLOCK_RATE_ONE;
    if (rate > NETCLOCK_RATE_MAX || options.newest < 0 || boot < 0)
        return flz_fail(-EINVAL);
    *clock = (struct netclock_leader){.rate_milli = rate, .newest = options.newest};
    if (rate == NETCLOCK_RATE_ONE)
        start_real(clock, &options, boot, real);
    else
        start_lab(clock, &options, boot, real);
    return 0;
}

static int64_t elapsed(const struct netclock_leader *clock, int64_t boot)
{
    return max64(0, boot - clock->base_boot);
}

/* A hold that has run into its limit ends where the limit was, not where that is noticed. */
static void end_hold(struct netclock_leader *clock, int64_t boot)
{
    if (!clock->held || boot - clock->held_since_boot < NETCLOCK_HOLD_MAX_MS)
        return;
    clock->base_boot = clock->held_since_boot + NETCLOCK_HOLD_MAX_MS;
    clock->held = false;
    clock->hold_spent = true;
}

/*
 * UTC while it agrees with what has elapsed since the last reading that did; each reading that
 * agrees is the new base, so that a refused step leaves no jump behind.
 */
static int64_t follow_real(struct netclock_leader *clock, int64_t boot, int64_t real)
{
    int64_t expected = advance(clock->base_network, elapsed(clock, boot), NETCLOCK_RATE_ONE);
    if (!within_step(real, expected)) {
        clock->refused_step_ms = saturate((wide)real - expected);
        return expected;
    }
    clock->refused_step_ms = 0;
    set_base(clock, real, boot);
    return real;
}

/* What the clock shows, were it not for its promise never to go back. */
static int64_t raw_now(struct netclock_leader *clock, int64_t boot, int64_t real)
{
    if (clock->rate_milli == NETCLOCK_RATE_ONE)
        return follow_real(clock, boot, real);
    end_hold(clock, boot);
    if (clock->held)
        return clock->base_network;
    return advance(clock->base_network, elapsed(clock, boot), clock->rate_milli);
}

int64_t netclock_leader_now(struct netclock_leader *clock, int64_t boot, int64_t real)
{
    clock->newest = max64(clock->newest, raw_now(clock, boot, real));
    return clock->newest;
}

struct netclock_reading netclock_leader_read(struct netclock_leader *clock, int64_t boot,
                                             int64_t real)
{
    return (struct netclock_reading){.shown = raw_now(clock, boot, real), .boot = boot};
}

int64_t netclock_leader_refused_step(const struct netclock_leader *clock)
{
    return clock->refused_step_ms;
}

void netclock_leader_confirm(struct netclock_leader *clock, int64_t boot, int64_t real)
{
    if (clock->rate_milli != NETCLOCK_RATE_ONE)
        return;
    set_base(clock, real, boot);
    clock->refused_step_ms = 0;
}

bool netclock_leader_hold(struct netclock_leader *clock, int64_t boot)
{
    if (clock->rate_milli == NETCLOCK_RATE_ONE)
        return false;
    int64_t now = netclock_leader_now(clock, boot, 0);
    if (clock->held || clock->hold_spent)
        return clock->held;
    clock->base_network = now;
    clock->base_boot = clock->held_since_boot = boot;
    clock->held = true;
    return true;
}

void netclock_leader_resume(struct netclock_leader *clock, int64_t boot)
{
    end_hold(clock, boot);
    if (clock->held)
        clock->base_boot = max64(boot, clock->held_since_boot);
    clock->held = clock->hold_spent = false;
}

int64_t netclock_leader_wait_ms(struct netclock_leader *clock, int64_t at, int64_t boot,
                                int64_t real)
{
    if (netclock_leader_now(clock, boot, real) >= at)
        return 0;
    if (at == FLZ_NEVER)
        return FLZ_NEVER;
    int64_t raw = raw_now(clock, boot, real);
    if (clock->rate_milli == NETCLOCK_RATE_ONE)
        return saturate((wide)at - raw);
    wide since = clock->held ? (wide)boot - clock->held_since_boot - NETCLOCK_HOLD_MAX_MS
                             : (wide)boot - clock->base_boot;
    return saturate(unscale_up((wide)at - clock->base_network, clock->rate_milli) - since);
}

/* ---- Follower ---- */

/* Where the sample puts network time at `boot`. */
static int64_t estimate(const struct netclock_sample *sample, int64_t boot, uint32_t rate_milli)
{
    return advance(sample->network, boot - sample->received_boot, rate_milli);
}

static const struct netclock_sample *best(const struct netclock_follower *clock)
{
    const struct netclock_sample *found = &clock->samples[0];
    for (uint32_t i = 1; i < clock->count; i++) {
        const struct netclock_sample *sample = &clock->samples[i];
        if (sample->rtt < found->rtt ||
            (sample->rtt == found->rtt && sample->received_boot > found->received_boot))
            found = sample;
    }
    return found;
}

/*
 * Each sample is right to half its round trip. Two of which the ranges do not meet cannot both
 * come from a clock that went on evenly.
 */
static bool contradicts(const struct netclock_sample *fresh, const struct netclock_sample *old,
                        uint32_t rate_milli)
{
    int64_t between = max64(0, fresh->received_boot - old->received_boot);
    int64_t slack_ms = (fresh->rtt + old->rtt + 1) / 2 + GRAIN_MS + between / DRIFT_DIVISOR;
    wide d = (wide)fresh->network - estimate(old, fresh->received_boot, rate_milli);
    return (d < 0 ? -d : d) > scale(slack_ms, rate_milli);
}

static void drop_contradicted(struct netclock_follower *clock, const struct netclock_sample *fresh)
{
    struct netclock_sample kept[NETCLOCK_SAMPLES];
    uint32_t n = 0;
    uint32_t oldest = clock->next + NETCLOCK_SAMPLES - clock->count;
    for (uint32_t i = 0; i < clock->count; i++) {
        const struct netclock_sample *old = &clock->samples[(oldest + i) % NETCLOCK_SAMPLES];
        if (!contradicts(fresh, old, clock->rate_milli))
            kept[n++] = *old;
    }
    for (uint32_t i = 0; i < n; i++)
        clock->samples[i] = kept[i];
    clock->count = n;
    clock->next = n % NETCLOCK_SAMPLES;
}

static void add_sample(struct netclock_follower *clock, struct netclock_sample sample)
{
    clock->samples[clock->next] = sample;
    clock->next = (clock->next + 1) % NETCLOCK_SAMPLES;
    if (clock->count < NETCLOCK_SAMPLES)
        clock->count++;
}

int netclock_follower_pulse(struct netclock_follower *clock, const struct netclock_pulse *pulse)
{
    if (pulse->rate_milli == 0 || pulse->rate_milli > NETCLOCK_RATE_MAX)
        return flz_fail(-EINVAL);
    if (pulse->sent_boot < 0 || pulse->received_boot < pulse->sent_boot ||
        (clock->count > 0 && pulse->sent_boot < clock->newest_sent_boot))
        return NETCLOCK_E_STALE;

    if (pulse->rate_milli != clock->rate_milli)
        clock->count = clock->next = 0;
    clock->rate_milli = pulse->rate_milli;
    int64_t rtt = pulse->received_boot - pulse->sent_boot;
    struct netclock_sample sample = {
        .network = advance(pulse->network_now, rtt / 2, pulse->rate_milli),
        .received_boot = pulse->received_boot,
        .rtt = rtt,
    };
    drop_contradicted(clock, &sample);
    add_sample(clock, sample);
    clock->horizon = pulse->horizon;
    clock->newest_sent_boot = pulse->sent_boot;
    return 0;
}

int netclock_follower_now(struct netclock_follower *clock, int64_t boot, int64_t *ret_network)
{
    if (clock->count == 0)
        return NETCLOCK_E_UNKNOWN;
    int64_t now = estimate(best(clock), boot, clock->rate_milli);
    if (now > clock->horizon)
        now = clock->horizon;
    clock->newest = max64(clock->newest, now);
    *ret_network = clock->newest;
    return 0;
}
