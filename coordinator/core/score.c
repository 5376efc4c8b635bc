#include "coordinator/core/score.h"

#define COMPLAINT_COST 1500   /* hundredths */
#define REFUSED_WORST 50000   /* 5 % in millionths: as bad as it gets */
#define CADENCE_FREE 250000   /* ±25 % */
#define CADENCE_SPAN 750000   /* beyond these */
#define CAP_FLOOR 2000        /* hundredths, with nothing in the inbox */
#define IDLE_DAY 64039        /* 2^(−1/30), of 65536 */
#define IDLE_DAYS_MAX 365

static const struct {
    const char *name;
    uint32_t weight;
} parts[SCORE_PARTS] = {
    [SCORE_PLACEMENT] = {"placement", 45},
    [SCORE_DELIVERY] = {"delivery", 20},
    [SCORE_AUTHENTICATION] = {"authentication", 15},
    [SCORE_CADENCE] = {"cadence", 10},
    [SCORE_CARRIED_OUT] = {"carriedOut", 10},
};

uint32_t score_weight(enum score_part part)
{
    return parts[part].weight;
}

const char *score_part_name(enum score_part part)
{
    return parts[part].name;
}

/* 2^(−age/3), of WILSON_ONE. */
static uint64_t weight_of(uint32_t age)
{
    static const uint32_t thirds[] = {65536, 52016, 41285};
    return age / 3 < 32 ? (uint64_t)thirds[age % 3] >> age / 3 : 0;
}

void score_add(struct score_sums *sums, const struct row_tally *tally, uint32_t age)
{
    uint64_t weight = weight_of(age);
    sums->seen += tally->inbox + tally->junk + tally->missing;
    sums->complaints += tally->complaints;
    sums->inbox += weight * tally->inbox;
    sums->junk += weight * tally->junk;
    sums->missing += weight * tally->missing;
    sums->sent += weight * tally->sent;
    sums->refused += weight * ((uint64_t)tally->bounced + tally->refused_hard);
    sums->verdicts += weight * tally->verdicts;
    sums->passed += weight * ((uint64_t)tally->spf + tally->dkim + tally->dmarc);
    sums->due += weight * tally->due;
    sums->done += weight * tally->done;
}

/* Sums are at most some 2^50: a share is computed without its lowest bits, if need be. */
static uint32_t share(uint64_t part, uint64_t whole)
{
    while (whole > UINT64_MAX / SHARE_ONE) {
        part >>= 1;
        whole >>= 1;
    }
    return part >= whole ? SHARE_ONE : (uint32_t)(part * SHARE_ONE / whole);
}

static void set(struct score *score, enum score_part part, bool known, uint32_t value)
{
    score->has_part[part] = known;
    score->part[part] = known ? value : 0;
}

static void set_delivery(struct score *score, const struct score_sums *sums)
{
    uint64_t tried = sums->sent + sums->refused;
    uint32_t refused = tried > 0 ? share(sums->refused, tried) : 0;
    uint32_t bad = refused < REFUSED_WORST ? refused : REFUSED_WORST;
    set(score, SCORE_DELIVERY, tried > 0, SHARE_ONE - bad * (SHARE_ONE / REFUSED_WORST));
}

static void set_cadence(struct score *score, const struct score_facts *facts)
{
    uint32_t v = facts->volume;
    uint32_t before = facts->volume_before;
    uint64_t apart = v > before ? v - before : before - v;
    uint64_t change = before > 0 ? apart * SHARE_ONE / before : 0;
    /* One message more or less is no jump, whatever it is of few. */
    uint64_t over = apart > 1 && change > CADENCE_FREE ? change - CADENCE_FREE : 0;
    uint64_t bad = over < CADENCE_SPAN ? over * SHARE_ONE / CADENCE_SPAN : SHARE_ONE;
    set(score, SCORE_CADENCE, before > 0, (uint32_t)(SHARE_ONE - bad));
}

static uint32_t sum_of(const struct score *score)
{
    uint64_t sum = 0;
    uint32_t weights = 0;
    for (int i = 0; i < SCORE_PARTS; i++) {
        sum += score->has_part[i] ? (uint64_t)parts[i].weight * score->part[i] : 0;
        weights += score->has_part[i] ? parts[i].weight : 0;
    }
    return weights > 0 ? (uint32_t)(sum / weights / 100) : 0;
}

/* All in Junk: 20; half: 50; none: no bound. */
static uint32_t cap_of(uint32_t inbox)
{
    return inbox <= SHARE_ONE / 2 ? CAP_FLOOR + inbox * 3 / 500 : inbox / 100;
}

static uint32_t idle(uint32_t value, uint32_t days)
{
    uint32_t over = days > SCORE_IDLE_FREE ? days - SCORE_IDLE_FREE : 0;
    uint64_t kept = (uint64_t)value << 16;
    for (uint32_t i = 0; i < over && i < IDLE_DAYS_MAX; i++)
        kept = kept * IDLE_DAY >> 16;
    return (uint32_t)(kept >> 16);
}

struct score score_of(const struct score_sums *sums, const struct score_facts *facts)
{
    uint64_t observed = sums->inbox + sums->junk + sums->missing;
    struct score score = {
        .known = sums->seen >= SCORE_SEEN_MIN,
        .seen = sums->seen,
        .inbox = wilson_interval(sums->inbox, observed),
        .complaints = sums->complaints,
        .idle_days = facts->idle_days,
    };
    set(&score, SCORE_PLACEMENT, observed > 0, score.inbox.low);
    set_delivery(&score, sums);
    set(&score, SCORE_AUTHENTICATION, sums->verdicts > 0,
        sums->verdicts > 0 ? share(sums->passed, 3 * sums->verdicts) : 0);
    set_cadence(&score, facts);
    set(&score, SCORE_CARRIED_OUT, sums->due > 0,
        sums->due > 0 ? share(sums->done, sums->due) : 0);
    score.sum = sum_of(&score);
    score.cap = cap_of(score.inbox.share);

    uint32_t value = score.sum < score.cap ? score.sum : score.cap;
    uint64_t cost = (uint64_t)COMPLAINT_COST * sums->complaints;
    value = cost < value ? value - (uint32_t)cost : 0;
    score.value = (idle(value, facts->idle_days) + 50) / 100;
    return score;
}
