/*
 * Seats: what each account of a plan may still send and receive on each of its days, and at which
 * times. A sender of the unit has its date spread into slots beforehand; everywhere else a reply
 * looks for a free time. Reservations are taken and given back; nothing is drawn here that would
 * break quota (P9), inbound (P5), hours (P6) or spacing (P8). Accounts are places of the pool;
 * times are milliseconds after the epoch of the plan.
 */
#pragma once

#include "common/base/rng.h"
#include "coordinator/core/pool.h"
#include "coordinator/core/slot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One account, one cache line: all that is asked of a candidate. Counts of messages fit into a
 * byte: POLICY_DAILY_CEILING and inbound_percent bound them. */
struct seat {
    uint64_t used; /* slots that are taken, by bit */
    uint32_t domain;
    uint32_t owner;
    uint32_t node;
    uint32_t provider;
    uint32_t handle;
    uint32_t hours;       /* index into seats.hours */
    uint32_t slots_begin; /* in seats.slots */
    uint32_t received;    /* the newest exchange towards it, or SEAT_NO_EXCHANGE */
    uint16_t scarcity;    /* permille (scarcity.h) */
    uint8_t slots_count;
    uint8_t slots_next;              /* below it all slots are used */
    uint8_t room[PLAN_DAYS];         /* messages it may still send */
    uint8_t replies[PLAN_DAYS];      /* of these, how many may be replies */
    uint8_t inbound[PLAN_DAYS];      /* messages it may still receive */
    uint8_t inbound_most[PLAN_DAYS]; /* and could at first */
    uint8_t wanted;                  /* messages its date leaves room for */
    uint8_t sent;                    /* slots used */
    uint8_t tier;
    bool sends;
};

#define SEAT_NO_EXCHANGE UINT32_MAX

/* When messages may be sent, or opened, on each day: shared by all with the same hours. */
struct seat_hours {
    uint32_t first[PLAN_DAYS]; /* above last: no hours that day */
    uint32_t last[PLAN_DAYS];
    uint32_t end[PLAN_DAYS];
};

struct seats {
    const struct plan_input *input; /* borrowed */
    const struct pool *pool;        /* borrowed */
    int64_t epoch;                  /* 0 of all times here */
    struct seat *seats;             /* owned, one a place */
    struct slot_agenda *agendas;    /* owned, one a place: what it sends, its slots not included */
    uint32_t *slots;                /* owned */
    size_t slots_count;
    struct seat_hours *hours; /* owned */
    size_t hours_count;
    size_t hours_capacity;
};

#define SEATS_NULL ((struct seats){.input = NULL})

/* 0 or -ENOMEM. */
int seats_init(struct seats *seats, const struct pool *pool, struct flz_rng *rng);
void seats_deinit(struct seats *seats);

/* The first moment and the day on which a message sent then can be opened by this recipient, within
 * the action deadline. false: never. */
bool seat_can_open(const struct seats *seats, uint32_t place, int64_t send, int *ret_day,
                   int64_t *ret_first);

/* Draws when it is opened on that day, and when on the next such day, if it is found too late for
 * that: the opening half of `turn`, by its `send`. */
void seat_open(const struct seats *seats, uint32_t place, int day, struct flz_rng *rng,
               struct plan_packed_turn *turn);

/* Once the answer to `turn` is known: a late opening of it, on the day of the answer, comes before
 * the answer where that day's hours allow. */
void seat_open_before(const struct seats *seats, uint32_t place,
                      const struct plan_packed_turn *answer, struct flz_rng *rng,
                      struct plan_packed_turn *turn);

/* The earliest unused slot of a sender, or UINT32_MAX when none is left. */
uint32_t seat_next_slot(struct seats *seats, uint32_t place);

/* Whether that slot of a sender, which seat_next_slot gave, is used by now. */
bool seat_slot_used(const struct seats *seats, uint32_t place, uint32_t at);

/* Draws when an account answers what it opened by `previous`: the sending half of `ret_turn`.
 * Nothing is reserved. false: no day has quota and a free time for it. */
bool seat_reply(const struct seats *seats, uint32_t place, const struct plan_packed_turn *previous,
                struct flz_rng *rng, struct plan_packed_turn *ret_turn);

/* Reserves a turn with its sender and its recipient, and gives it back. `reply`: not the first.
 * 0 or -ENOMEM (nothing is reserved). */
int seat_reserve(struct seats *seats, uint32_t from, uint32_t to,
                 const struct plan_packed_turn *turn, bool reply);
void seat_give_back(struct seats *seats, uint32_t from, uint32_t to,
                    const struct plan_packed_turn *turn, bool reply);
