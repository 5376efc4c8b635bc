/*
 * A content pack: the reviewed texts of everyday conversations in one language, in the plain line
 * format of deploy/content/README.md. Parsed whole and strictly from bytes; never written by us.
 * Pure: the same pack, scenario, step, seed and names give the same bytes on every machine, so
 * that a task carries numbers and never text, and both ends can regenerate what was said.
 *
 * Packs hold conversations people can read. Nothing here decorates, hides or randomises a message
 * beyond choosing among whole reviewed sentences and the facts (day, place, number) they mention.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/id.h"

#include <stdbool.h>
#include <stdint.h>

#define CONTENT_PACK_BYTES_MAX (256 * 1024)
#define CONTENT_SCENARIOS_MAX 64
#define CONTENT_TURNS_MAX 5  /* a first message and up to four replies */
#define CONTENT_NAME_MAX 32  /* bytes with the NUL: names of scenarios, lists and slots */
#define CONTENT_COLUMNS_MAX 78
#define CONTENT_BODY_MAX 2048    /* bytes of a body, footer and quotation included */
#define CONTENT_SUBJECT_MAX 160  /* bytes of a subject with the NUL, "Re: " included */
#define CONTENT_VARIANTS_MIN 10000 /* distinct first messages a scenario must be able to give */

/* Opaque; immutable once parsed, so it may be read by several accounts at once. */
struct content_pack;

/*
 * What people are called in a text. Borrowed UTF-8, each "" when it is not known: the slot then
 * vanishes together with the space before it ("Hello {to_name}," gives "Hello,"), and a line that
 * was nothing but an unknown name is left out.
 */
struct content_names {
    const char *from_name; /* given name of who writes */
    const char *from_full;
    const char *to_name;   /* given name of who is written to */
    const char *to_full;
};

/*
 * Parses a pack; `bytes` are copied. `file` is only used in messages ("fr.pack:12: …"). 0, -EINVAL
 * (msg says where and why), -EFBIG above CONTENT_PACK_BYTES_MAX, or -ENOMEM. The caller owns
 * *ret_pack.
 */
int content_parse(struct flz_view bytes, const char *file, struct content_pack **ret_pack,
                  struct flz_msg *msg);

/* Accepts NULL; returns NULL. */
struct content_pack *content_free(struct content_pack *pack);
FLZ_DEFINE_FREEP(struct content_pack, content_free)

/* The pack's name: BLAKE2b-256 of the file's bytes. */
struct flz_digest content_id(const struct content_pack *pack);

/* "fr", "en": what the account's language is compared with. Lives as long as the pack. */
const char *content_language(const struct content_pack *pack);

/* Scenarios are numbered 0 .. content_scenarios() - 1 in the order of the file. */
uint32_t content_scenarios(const struct content_pack *pack);

/* Number of messages of the conversation, 1 .. CONTENT_TURNS_MAX; 0 when `scenario` is out of
 * range. Steps are 0 (the first message) .. turns - 1. */
uint32_t content_turns(const struct content_pack *pack, uint32_t scenario);

/* Upper bound of the distinct texts (subject and body, names apart) of one step; saturates. */
uint64_t content_variants(const struct content_pack *pack, uint32_t scenario, uint32_t step);

/*
 * Appends the subject of the conversation, without "Re: " and without a line end. It depends on
 * pack, scenario and seed only. 0, -ERANGE (no such scenario), or -ENOMEM.
 */
int content_subject(const struct content_pack *pack, uint32_t scenario, uint64_t seed,
                    struct flz_buf *ret_text);

/*
 * Appends the body of one step: UTF-8, LF after each line, no line above CONTENT_COLUMNS_MAX
 * columns, no empty first or last line. 0, -ERANGE (no such scenario or step), or -ENOMEM.
 */
int content_body(const struct content_pack *pack, uint32_t scenario, uint32_t step, uint64_t seed,
                 const struct content_names *names, struct flz_buf *ret_text);

/*
 * Appends the pack's sentence that says what the message is, wrapped, with LF: "automated exchange
 * between consenting members of `network`; to stop: `contact`". 0 or -ENOMEM. Both texts are
 * data of the network, already checked by the caller (compose does).
 */
int content_footer(const struct content_pack *pack, const char *network, const char *contact,
                   struct flz_buf *ret_text);

/* Appends the line before a quotation ("{to_name} wrote:"), with LF; nothing when the name of who
 * is written to, and so is quoted, is unknown. 0 or -ENOMEM. */
int content_attribution(const struct content_pack *pack, const struct content_names *names,
                        struct flz_buf *ret_text);

/*
 * Reviews a parsed pack as an editor would: too few or too many turns, too few distinct texts,
 * links, capitals, "!!", "Re:", markup, sales vocabulary, long subjects and bodies, stray spaces
 * before commas, unused draws. One call of `on_finding` per finding;
 * `text` lives for the call. Returns the number of findings, or -ENOMEM.
 */
int content_lint(const struct content_pack *pack,
                 void (*on_finding)(void *userdata, uint32_t line, const char *text),
                 void *userdata);
