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

/* The problems of the network, worst first: {"severity","code","subject","message","next"}. */
json_t *view_problems(const struct view *view, size_t *ret_critical);

enum ramp_phase view_phase(const struct row_account *row);

/* The curve's own value for its next sending day. */
uint32_t view_curve(const struct row_account *row);
/* What its owner may send besides, today. */
struct ramp_band view_prospecting(const struct row_account *row);
