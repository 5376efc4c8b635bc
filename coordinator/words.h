/*
 * The words of documents: one table for each enum, the same in the JSON API, the CLI and the
 * metrics. They are a promise: words may be added, never changed. "?" for a number that has none.
 */
#pragma once

#include <stdint.h>

const char *words_task_kind(uint32_t kind);       /* enum flz_task_kind: "send" … */
const char *words_outcome(uint32_t outcome);      /* enum flz_outcome */
const char *words_placement(uint32_t placement);  /* enum flz_placement */
const char *words_reason(uint32_t reason);        /* enum flz_reason */
const char *words_report_kind(uint32_t kind);     /* enum flz_report_kind */
const char *words_refusal(uint32_t refusal);      /* enum flz_refusal */
const char *words_notice(uint32_t effect);        /* enum event_notice */
const char *words_suppressed(uint32_t kind);      /* enum row_suppressed */
const char *words_task_state(uint32_t state);     /* enum row_task_state */
const char *words_exchange_state(uint32_t state); /* enum row_exchange_state */
const char *words_account_state(uint32_t state);  /* enum row_account_state */
const char *words_node_state(uint32_t state);     /* enum row_node_state */
const char *words_phase(uint32_t phase);          /* enum ramp_phase */
const char *words_intensity(uint32_t intensity);  /* enum flz_intensity */
const char *words_profile(uint32_t profile);      /* enum flz_profile */
const char *words_shortfall(uint32_t reason);     /* enum plan_reason */
const char *words_scope(uint32_t scope);          /* enum flz_scope */
const char *words_effect(uint32_t effect);        /* enum event_effect */

/* The word of one bit of enum flz_action or enum flz_auth_result; NULL when the bit has none. */
const char *words_action(uint32_t bit);
const char *words_authentication(uint32_t bit);

/* The value of a word in one of the tables above, given by its function; 0 when there is none. */
uint32_t words_find(const char *(*table)(uint32_t value), const char *word);
