/*
 * Seats: what each account of a plan may still send and receive on each of its days, and at which
 * times. A sender of the unit has its date spread into slots beforehand; everywhere else a reply
 * looks for a free time. Reservations are taken and given back; nothing is drawn here that would
 * break quota (P9), inbound (P5), hours (P6) or spacing (P8). Accounts are indexes into the input.
 */
#pragma once

#include "common/base/rng.h"
#include "coordinator/core/plan.h"
#include "coordinator/core/slot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A planned time of a sender's date. */
struct seat_slot {
    int64_t at;
    bool used;
};

struct seat {
    uint32_t room[PLAN_DAYS];    /* messages it may still send */
    uint32_t replies[PLAN_DAYS]; /* of these, how many may be replies */
    uint32_t inbound[PLAN_DAYS]; /* messages it may still receive */
    struct slot_agenda agenda;   /* owned: busy times, slots, reserved replies */
    size_t slots_begin;          /* in seats.slots */
    uint32_t slots_count;
    uint32_t slots_next; /* below it all slots are used */
    uint32_t wanted;     /* messages its date leaves room for */
    uint32_t sent;       /* slots used */
};

struct seats {
    const struct plan_input *input; /* borrowed */
    struct seat *seats;             /* owned, one an account */
    struct seat_slot *slots;        /* owned */
    size_t slots_count;
};

#define SEATS_NULL ((struct seats){.input = NULL})

/* 0 or -ENOMEM. */
int seats_init(struct seats *seats, const struct plan_input *input, struct flz_rng *rng);
void seats_deinit(struct seats *seats);

/* The day on which a message sent at `send_at` can first be opened by this recipient, or -1. */
int seat_open_day(const struct seats *seats, uint32_t account, int64_t send_at);

/* Draws when it is opened on that day: open_at, open_until, open_date of `turn`, by its send_at;
 * and when on the next such day, if it is found too late for that. */
void seat_open(const struct seats *seats, uint32_t account, int day, struct flz_rng *rng,
               struct plan_turn *turn);

/* Once the answer to `turn` is known: a late opening of it, on the day of the answer, comes before
 * the answer where that day's hours allow. */
void seat_open_before(const struct seats *seats, uint32_t account, const struct plan_turn *answer,
                      struct flz_rng *rng, struct plan_turn *turn);

/* The earliest unused slot of a sender; NULL when none is left. Valid until seats_deinit. */
struct seat_slot *seat_next_slot(struct seats *seats, uint32_t account);

/* Draws when an account answers what it opened by `previous`: the sending half of `ret_turn`.
 * Nothing is reserved. false: no day has quota and a free time for it. */
bool seat_reply(const struct seats *seats, uint32_t account, const struct plan_turn *previous,
                struct flz_rng *rng, struct plan_turn *ret_turn);

/* Fills the sending half of `turn` for a time on a day. */
void seat_turn(const struct seats *seats, uint32_t account, int day, int64_t at,
               struct plan_turn *turn);

/* Reserves a turn with its sender and its recipient, and gives it back. `reply`: not the first.
 * 0 or -ENOMEM (nothing is reserved). */
int seat_reserve(struct seats *seats, uint32_t from, uint32_t to, const struct plan_turn *turn,
                 bool reply);
void seat_give_back(struct seats *seats, uint32_t from, uint32_t to, const struct plan_turn *turn,
                    bool reply);
