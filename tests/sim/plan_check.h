/*
 * Checks a plan against the rules P1–P10 of coordinator/core/plan.h, from the input and the output
 * alone: it shares no code with the planner, and looks at everything the slow and plain way.
 */
#pragma once

#include "common/base/error.h"
#include "tests/sim/plan_read.h"

/* Not a rule of pairing: shortfalls complete, ascending, true; a reason where something is
 * missing. */
#define PLAN_CHECK_SHORTFALL 11

/* 0, or the number of the first rule found broken, with a line about it. */
int plan_check(const struct plan_input *input, const struct plan_read *output,
               struct flz_msg *ret_msg);

/* Sending days after `from` up to and with `to`, counted one by one. Mask 0 = every day. */
int plan_check_sending_days(uint32_t mask, int32_t from, int32_t to);
