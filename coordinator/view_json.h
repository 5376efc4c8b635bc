/*
 * Small builders that the views share (coordinator/view*.c and nobody else).
 */
#pragma once

#include "coordinator/core/ramp.h"
#include "coordinator/view.h"

/* Sets a key to a stolen value. A refused allocation leaves the key out. */
void view_put(json_t *object, const char *key, json_t *value);
void view_put_int(json_t *object, const char *key, int64_t value);
void view_put_bool(json_t *object, const char *key, bool value);
void view_put_text(json_t *object, const char *key, const char *text);

/* A text from outside: bytes that are not UTF-8 are shown as "?". */
json_t *view_text(const char *text);
json_t *view_time(int64_t ms);     /* null for 0 and FLZ_NEVER */
json_t *view_date(int32_t date);   /* null for 0 */
json_t *view_id(struct flz_id id); /* null for none */
json_t *view_digest(struct flz_digest digest);

/* The words of the bits that `word` knows, as a list. */
json_t *view_bits(uint32_t bits, const char *(*word)(uint32_t bit));

/*
 * A walk over the accounts, page by page:
 *
 *     struct view_walk walk = view_walk(&page);
 *     while (view_walk_goes_on(&walk, items, coord_account_count(core)))
 *         … view_walk_step(&walk) …
 *     return view_page_list(view, "AccountList", &walk, items);
 */
struct view_walk {
    struct view_page page;
    uint32_t at; /* the account to be looked at next */
    size_t looks;
};
struct view_walk view_walk(const struct view_page *page);
bool view_walk_goes_on(const struct view_walk *walk, const json_t *items, size_t end);
uint32_t view_walk_step(struct view_walk *walk);
/* view_list() with "next". */
json_t *view_page_list(const struct view *view, const char *kind, const struct view_walk *walk,
                       json_t *items);

/* Address of an account, "" when it is not told or erased. */
const char *view_address(const struct view *view, uint32_t account);
/* Owner, likewise. */
const char *view_owner(const struct view *view, uint32_t account);
const char *view_node_name(const struct view *view, uint32_t node);
const char *view_name(const struct view *view, enum row_name_kind kind, uint32_t handle);

/* The counters of a day; `day` may be NULL (all zero). */
void view_put_counters(json_t *object, const struct row_day *day);
/* Adds the counters of `day` to `sum`. */
void view_add_day(struct row_day *sum, const struct row_day *day);

/* An exchange with all its turns and tasks. */
json_t *view_exchange_full(const struct view *view, const struct row_exchange *x);

/* "network", "node/n1", "account/ID" … */
json_t *view_target(const struct flz_pause *target);

/* Its node does not try to log in again by itself. */
bool view_asks_person(const struct row_account *row);
/* What became of an account's logins, "login refused 1 of 3, next try at …"; "" when they work. In
 * whose words: row->trouble. */
void view_trouble(const struct row_account *row, struct flz_msg *ret_msg);

/* Why the account has no hours on the date though its week does: a holiday's name, "blackout"; "":
 * it is no day off. */
const char *view_day_off(const struct row_account *row, int32_t date);

/* The counters of a tally, and its share of Junk with its bounds. */
void view_put_tally(json_t *object, const struct row_tally *tally);

/* "score" (null: none), "scoreBasis" and "health": what a list shows. */
void view_put_score(const struct view *view, json_t *object, uint32_t account);
/* The worst of its states of health. */
uint32_t view_health(const struct view *view, uint32_t account);
/* Scores with all that they rest on, and health, towards all and towards each provider. */
json_t *view_reputation(const struct view *view, uint32_t account);

enum ramp_phase view_phase(const struct view *view, const struct row_account *row);

/* The curve's own value for its next sending day. */
uint32_t view_curve(const struct view *view, const struct row_account *row);
/* What its owner may send besides, today. */
struct ramp_band view_prospecting(const struct view *view, const struct row_account *row);
