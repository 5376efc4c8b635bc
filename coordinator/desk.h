/*
 * The desk: the coordinator's administration verbs. It reads the core and the persons table, gives
 * commands to the server, and answers each call once: at once when it only looks, after the commit
 * when it changes something. Documents come from coordinator/view.h, the same as those of the HTTP
 * API; the list of verbs stands in desk.c.
 *
 * Who may do what: ADMIN everything; OPERATOR of node N sees and changes what belongs to that node;
 * VIEWER of owner O sees that owner's accounts, and changes nothing.
 */
#pragma once

#include "common/sys/admin.h"

/* For admin_new(): `server` is the struct server, which outlives the admin door. */
void desk_on_call(struct admin_call *call, void *server);
