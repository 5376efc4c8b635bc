/*
 * The whole coordinator: opens everything, runs until it is asked to stop.
 */
#pragma once

#include "common/sys/log.h"
#include "coordinator/config.h"

#include <stdbool.h>

/*
 * `restored`: the state folder came from a backup. A new log generation begins: nodes refuse what
 * the old one signed, tell again what they keep, and nothing is sent for a day.
 *
 * 0 when it was asked to stop; else a code of sysexits.h: EX_CONFIG (78) for what an operator must
 * mend first, EX_TEMPFAIL (75) for what may pass, EX_IOERR, EX_SOFTWARE. The reason was logged.
 */
int coordinator_run(const struct config *config, bool restored, struct flz_log *log);
