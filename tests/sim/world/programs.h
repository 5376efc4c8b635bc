/*
 * The two programs, with the settings that they run with here. (Each has a struct config of its
 * own: they are filled in two files.)
 */
#pragma once

#include "common/sys/log.h"

#include <stdbool.h>

#define PROGRAM_HEARTBEAT_MS 20000
#define PROGRAM_LEASE_MS (15 * 60000)

int program_coordinator(const char *folder, bool restored, struct flz_log *log);
int program_node(const char *folder, const char *name, struct flz_log *log);
