/*
 * Enrolment: turns a join token into this node's identity. Keys are made here and never leave; the
 * coordinator gets the certificate that the token lets us sign, burns the token in its log, and
 * answers with the certificates of the coordinators. Safe to repeat: a node that was interrupted
 * keeps its keys and presents the same certificate again.
 */
#pragma once

#include "common/base/error.h"

/*
 * `token_file` holds the line that `fluenzrctl node invite` printed (0600). Takes at most
 * `timeout_ms`. 0; -EAGAIN (the coordinator cannot be reached now); -EACCES (it refused: msg has
 * its words); negative. On success the token file may be deleted.
 */
int enrol(const char *state_dir, const char *token_file, int timeout_ms, struct flz_msg *msg);
