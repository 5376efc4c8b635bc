/*
 * The reputation score, 0 to 100, of a sender with the recipients of one provider, or with all of
 * them: published, with its parts, so that anybody can do the sum again.
 *
 *     P  placement: lower Wilson bound of inbox ÷ (inbox + junk + missing)          weighs 45
 *     D  deliverability: 1 − (bounced + refused for good) ÷ (sent + refused) ÷ 5 %         20
 *     A  authentication: SPF, DKIM and DMARC passed, of the verdicts of the recipients'
 *        providers                                                                         15
 *     C  cadence: 1 − what the newest two sending days differ by beyond ±25 %, ÷ 75 %      10
 *     G  carried out: openings and rescues by the network's own members, of those due.
 *        Executed orders, no engagement that anybody earned                                10
 *
 *     score = Σ weight · part ÷ Σ weight, over the parts that are known
 *             at most 20 + 60 · s for a share s in the inbox up to a half, 100 · s above it
 *             − 15 for each complaint, × ½ for each 30 idle days beyond the first 7
 *
 * Observations of the last 7 days count, half as much for every 3 days of age; fewer than 20 of
 * them (not weighted) make no score. Messages that nobody could look for are no observation, nor
 * is `other`: a folder that a person's own rule chose.
 */
#pragma once

#include "coordinator/core/wilson.h"
#include "proto/record.h"

#include <stdbool.h>
#include <stdint.h>

#define SCORE_SEEN_MIN 20    /* observations below which there is no score */
#define SCORE_DAYS 7         /* the window */
#define SCORE_DAYS_LONG 28   /* where the window holds too few */
#define SCORE_IDLE_FREE 7    /* days without a message that cost nothing */
#define SCORE_IDLE_HALF 30   /* days in which an idle sender's score halves, beyond these */

/* Sums of observations, in units of WILSON_ONE: weighted. All zero: none. */
struct score_sums {
    uint32_t seen; /* inbox, junk and missing, each as one */
    uint32_t complaints; /* likewise */
    uint64_t inbox;
    uint64_t junk;
    uint64_t missing;
    uint64_t sent;
    uint64_t refused; /* for good: by the server, or bounced later */
    uint64_t verdicts;
    uint64_t passed; /* of three for each verdict */
    uint64_t due;
    uint64_t done;
};

/* Adds a day, or several, as observations of that age in days; age 0 weighs full. */
void score_add(struct score_sums *sums, const struct row_tally *tally, uint32_t age);

/* What counters do not tell. */
struct score_facts {
    uint32_t volume;        /* messages of the newest sending day that is over */
    uint32_t volume_before; /* of the one before; 0: there was none */
    uint32_t idle_days;     /* since its newest message */
};

enum score_part {
    SCORE_PLACEMENT,
    SCORE_DELIVERY,
    SCORE_AUTHENTICATION,
    SCORE_CADENCE,
    SCORE_CARRIED_OUT,
    SCORE_PARTS,
};

struct score {
    bool known;
    uint32_t value; /* 0 … 100 */
    uint32_t seen;
    struct wilson inbox;
    bool has_part[SCORE_PARTS];
    uint32_t part[SCORE_PARTS]; /* millionths */
    uint32_t sum;        /* of the parts, before what lowers it: hundredths */
    uint32_t cap;        /* by placement: hundredths */
    uint32_t complaints;
    uint32_t idle_days;
};

/* The weight of a part, in hundredths of all. */
uint32_t score_weight(enum score_part part);
/* "placement" …: static. */
const char *score_part_name(enum score_part part);

struct score score_of(const struct score_sums *sums, const struct score_facts *facts);
