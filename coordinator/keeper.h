/*
 * The keeper: sees to it that the log holds what the settings say and no more. Every minute it has
 * what is older moved into the archive, and what is too old for the archive forgotten; a few MiB at
 * a time, between two commits. What fails, as on a full disk, is logged and tried again.
 */
#pragma once

#include "coordinator/rlog/committer.h"

struct server;
struct keeper;

/* `server` outlives it and has its committer. 0 or -ENOMEM. */
int keeper_open(struct server *server, struct keeper **ret_keeper);
/* The loop runs on until its handle is closed. */
struct keeper *keeper_close(struct keeper *keeper);

/* For committer_events.on_kept. */
void keeper_told(struct keeper *keeper, const struct committer_kept *kept);
