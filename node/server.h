/*
 * The node's server: makes the parts, joins them, runs the loop until a signal asks it to stop.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/log.h"
#include "node/config.h"

/* Runs the node. 0 when it was asked to stop; -EX values of sysexits.h positive otherwise:
 * EX_CONFIG (78) for what an operator must mend first, EX_TEMPFAIL (75) for what may pass,
 * EX_SOFTWARE. The reason was logged. */
int node_run(const struct config *config, struct flz_log *log);
