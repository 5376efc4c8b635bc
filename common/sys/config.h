/*
 * Configuration: a YAML file against a table of keys. Unknown and duplicate keys, missing units and
 * values out of range are refused with "file:line:col: …" and, where one is near, a "did you mean".
 * Secrets never stand in a configuration; they are files of their own (keys.h, seal.h).
 *
 *     struct conf { char data_dir[CONFIG_TEXT_MAX]; int64_t timeout_ms; };
 *     static const struct config_key keys[] = {
 *         {"data_dir", CONFIG_PATH, offsetof(struct conf, data_dir), .fallback = "/var/lib/x"},
 *         {"bus.timeout", CONFIG_DURATION, offsetof(struct conf, timeout_ms),
 *          .min = 100, .max = FLZ_HOUR_MS, .fallback = "10s"},
 *     };
 *
 * One document a file; keys are texts and stand once; anchors and aliases are not taken.
 * Names are "key" at the top or "section.key" (deeper sections: "a.b.key").
 *
 * For files whose shape is data (the providers table) the document itself can be walked.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE_MAX (1 << 20) /* bytes */
#define CONFIG_NODES_MAX 65536    /* values in one document */
#define CONFIG_TEXT_MAX 256       /* bytes of a text with its NUL */
#define CONFIG_LIST_MAX 32        /* items of a list */
#define CONFIG_NAME_MAX 96        /* bytes of "section.key" with its NUL */

/* The field at `offset` has the type named here. */
enum config_type {
    CONFIG_TEXT,     /* char[CONFIG_TEXT_MAX]; min and max are bounds of its length, if max > 0 */
    CONFIG_PATH,     /* char[CONFIG_TEXT_MAX]; absolute, or "" if that is the fallback */
    CONFIG_BOOL,     /* bool; true or false, nothing else */
    CONFIG_INT,      /* int64_t */
    CONFIG_DURATION, /* int64_t in ms; the unit is required: 250ms 90s 15m 2h 3d */
    CONFIG_SIZE,     /* int64_t in bytes; the unit is required: 512B 64KiB 1MiB 2GiB */
    CONFIG_ENUM,     /* int; index of the word in `words` */
    CONFIG_LIST,     /* struct config_list */
};

struct config_list {
    size_t count;
    char items[CONFIG_LIST_MAX][CONFIG_TEXT_MAX];
};

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset;
    const char *fallback; /* as it would be written, lists as "a, b"; NULL: the key is required */
    int64_t min, max;     /* inclusive, for INT, DURATION, SIZE; not looked at when both are 0 */
    const char *const *words; /* NULL-terminated, for ENUM */
    const char *help;         /* one line, for config_dump() */
};

/* Where a value came from: its line in the file, or 0 for the fallback. */
struct config_source {
    int line;
};

/*
 * Reads `path` into the struct at `base`. `sources` (one per key) may be NULL. 0; -ENOENT and the
 * like when the file cannot be read; -EINVAL for what it says. On failure `msg` is filled, and the
 * struct at `base` is undefined.
 */
int config_load(const char *path, const struct config_key *keys, size_t n, void *base,
                struct config_source *sources, struct flz_msg *msg);

/* Fills the struct with the fallbacks alone (required keys are left zero). For tests and tools. */
void config_fallbacks(const struct config_key *keys, size_t n, void *base);

/*
 * The effective values as YAML, each with its source as a comment ("# fluenzr.yaml:12",
 * "# default"). Reading it back gives the same struct. `sources` may be NULL.
 */
void config_dump(const char *path, const struct config_key *keys, size_t n, const void *base,
                 const struct config_source *sources, struct flz_buf *buf);

/* ---- the document, for files whose shape is data ---- */

struct config_doc;

/* A value in a document; valid as long as the document. id 0 is no value. */
struct config_node {
    int id;
};

enum config_kind { CONFIG_NONE, CONFIG_SCALAR, CONFIG_SEQUENCE, CONFIG_MAPPING };

/* 0, -ENOENT …, -EINVAL. The document is owned by the caller. */
int config_doc_open(const char *path, struct config_doc **ret_doc, struct flz_msg *msg);

/* The same from bytes (borrowed during the call); `name` stands for the file in messages. */
int config_doc_parse(const char *name, struct flz_view text, struct config_doc **ret_doc,
                     struct flz_msg *msg);

struct config_doc *config_doc_free(struct config_doc *doc);

/* The top value; CONFIG_NONE for an empty file. */
struct config_node config_doc_root(const struct config_doc *doc);

enum config_kind config_node_kind(const struct config_doc *doc, struct config_node node);
int config_node_line(const struct config_doc *doc, struct config_node node);

/* Items of a sequence, pairs of a mapping; 0 for others. */
size_t config_node_count(const struct config_doc *doc, struct config_node node);

/* The item with this index (index < count), of a sequence. */
struct config_node config_node_item(const struct config_doc *doc, struct config_node node,
                                    size_t index);

/* The key (borrowed from the document) and value with this index, of a mapping. */
const char *config_node_pair(const struct config_doc *doc, struct config_node node, size_t index,
                             struct config_node *ret_value);

/* The value under a key of a mapping; id 0 when absent. */
struct config_node config_node_get(const struct config_doc *doc, struct config_node node,
                                   const char *key);

/* The text of a scalar, borrowed from the document; NULL for other kinds. */
const char *config_node_text(const struct config_doc *doc, struct config_node node);

/* Writes "file:line:col: <text>" and returns -EINVAL. */
int config_node_error(const struct config_doc *doc, struct config_node node, struct flz_msg *msg,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Reads one mapping against a table of keys, as config_load() does with the whole file. */
int config_node_read(const struct config_doc *doc, struct config_node node,
                     const struct config_key *keys, size_t n, void *base,
                     struct config_source *sources, struct flz_msg *msg);

/* "64MiB" → bytes. 0, -EINVAL (the unit is required) or -ERANGE. */
int config_parse_size(const char *text, int64_t *ret_bytes);
