/*
 * What an authorization server's refusal means, in words for the person who has to do something.
 * The class goes by the error word (RFC 6749 5.2, RFC 8628 3.5), which is what servers promise;
 * Microsoft's AADSTS numbers, which may change, choose the advice only.
 */
#pragma once

#include "node/grant.h"

/*
 * `error` and `description` as the server sent them. The text names the number and what to do next;
 * of an unknown number it repeats the server's first sentence, with addresses left out, since it
 * may come to stand in a log.
 */
enum grant_class grant_advice(const char *error, const char *description,
                              char ret_text[static FLZ_REPLY_TEXT_MAX]);
