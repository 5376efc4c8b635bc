#include "common/sys/config.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/fsutil.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define CONFIG_KEYS_MAX 256 /* of a table, as far as suggestions go */

struct config_doc {
    yaml_document_t document;
    char name[CONFIG_TEXT_MAX];
};

/* ---- The document ---- */

static int parse_error(const char *name, const yaml_parser_t *parser, struct flz_msg *msg)
{
    flz_msg_set(msg, "%s:%zu:%zu: %s", name, parser->problem_mark.line + 1,
                parser->problem_mark.column + 1, parser->problem ? parser->problem : "not YAML");
    return flz_fail(-EINVAL);
}

FLZ_DEFINE_FREEP(struct config_doc, config_doc_free)

static yaml_node_t *node_of(const struct config_doc *doc, struct config_node node)
{
    /* libyaml only reads here, but takes a writable document. */
    yaml_document_t *document = (yaml_document_t *)(uintptr_t)&doc->document;
    return node.id > 0 ? yaml_document_get_node(document, node.id) : NULL;
}

/* A second document would go unread, and who wrote it would think otherwise. */
static int check_rest(yaml_parser_t *parser, const char *name, struct flz_msg *msg)
{
    yaml_document_t rest;
    if (!yaml_parser_load(parser, &rest))
        return parse_error(name, parser, msg);
    const yaml_node_t *root = yaml_document_get_root_node(&rest);
    size_t line = root ? root->start_mark.line + 1 : 0;
    yaml_document_delete(&rest);
    if (line == 0)
        return 0;
    flz_msg_set(msg, "%s:%zu:1: a second document; only one is read", name, line);
    return flz_fail(-EINVAL);
}

/* Values are C strings: one with a NUL would be read in part. */
static int check_scalar(const struct config_doc *doc, int id, struct flz_msg *msg)
{
    const yaml_node_t *node = node_of(doc, (struct config_node){.id = id});
    if (node->type != YAML_SCALAR_NODE ||
        !memchr(node->data.scalar.value, '\0', node->data.scalar.length))
        return 0;
    return config_node_error(doc, (struct config_node){.id = id}, msg, "a text with a NUL in it");
}

/* A value has one place: shared ones, by alias, could form rings and outgrow the file. */
static int check_place(const struct config_doc *doc, int id, uint8_t *seen, struct flz_msg *msg)
{
    if (!seen[id]++)
        return check_scalar(doc, id, msg);
    return config_node_error(doc, (struct config_node){.id = id}, msg,
                             "anchors and aliases are not taken; write the value twice");
}

struct doc_key {
    const char *text;
    int id;
};

static int compare_doc_keys(const void *a, const void *b)
{
    const struct doc_key *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order ? order : x->id - y->id;
}

/* Every key is a text, and stands once. */
static int check_mapping(const struct config_doc *doc, struct config_node node, struct flz_msg *msg)
{
    const yaml_node_pair_t *pairs = node_of(doc, node)->data.mapping.pairs.start;
    size_t n = config_node_count(doc, node);
    _cleanup_(flz_freep) struct doc_key *keys = calloc(n ? n : 1, sizeof *keys);
    if (!keys)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < n; i++) {
        struct config_node key = {.id = pairs[i].key};
        keys[i] = (struct doc_key){config_node_text(doc, key), key.id};
        if (!keys[i].text)
            return config_node_error(doc, key, msg, "a key must be a text");
    }
    qsort(keys, n, sizeof *keys, compare_doc_keys);
    for (size_t i = 1; i < n; i++)
        if (strcmp(keys[i].text, keys[i - 1].text) == 0)
            return config_node_error(doc, (struct config_node){.id = keys[i].id}, msg,
                                     "the key '%s' stands twice", keys[i].text);
    return 0;
}

static int check_children(const struct config_doc *doc, struct config_node node, uint8_t *seen,
                          struct flz_msg *msg)
{
    enum config_kind kind = config_node_kind(doc, node);
    int r = 0;
    for (size_t i = 0; r == 0 && i < config_node_count(doc, node); i++) {
        if (kind == CONFIG_SEQUENCE) {
            r = check_place(doc, config_node_item(doc, node, i).id, seen, msg);
            continue;
        }
        const yaml_node_pair_t *pair = &node_of(doc, node)->data.mapping.pairs.start[i];
        r = check_place(doc, pair->key, seen, msg);
        if (r == 0)
            r = check_place(doc, pair->value, seen, msg);
    }
    return r == 0 && kind == CONFIG_MAPPING ? check_mapping(doc, node, msg) : r;
}

static int check_nodes(const struct config_doc *doc, struct flz_msg *msg)
{
    int n = (int)(doc->document.nodes.top - doc->document.nodes.start);
    if (n > CONFIG_NODES_MAX) {
        flz_msg_set(msg, "%s: more than %d values", doc->name, CONFIG_NODES_MAX);
        return flz_fail(-EINVAL);
    }
    _cleanup_(flz_freep) uint8_t *seen = calloc((size_t)n + 2, 1);
    if (!seen)
        return flz_fail(-ENOMEM);
    int r = n > 0 ? check_place(doc, 1, seen, msg) : 0;
    for (int id = 1; r == 0 && id <= n; id++)
        r = check_children(doc, (struct config_node){.id = id}, seen, msg);
    return r;
}

int config_doc_parse(const char *name, struct flz_view text, struct config_doc **ret_doc,
                     struct flz_msg *msg)
{
    struct config_doc *doc = calloc(1, sizeof *doc);
    if (!doc)
        return flz_fail(-ENOMEM);
    (void)snprintf(doc->name, sizeof doc->name, "%s", name);
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        free(doc);
        return flz_fail(-ENOMEM);
    }
    yaml_parser_set_input_string(&parser, text.data ? text.data : (const uint8_t *)"", text.len);
    int r = yaml_parser_load(&parser, &doc->document) ? 0 : parse_error(name, &parser, msg);
    if (r < 0)
        free(doc);
    else if ((r = check_rest(&parser, name, msg)) < 0 || (r = check_nodes(doc, msg)) < 0)
        (void)config_doc_free(doc);
    else
        *ret_doc = doc;
    yaml_parser_delete(&parser);
    return r;
}

int config_doc_open(const char *path, struct config_doc **ret_doc, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    int r = fsutil_read(path, CONFIG_FILE_MAX, &text, msg);
    if (r < 0)
        return r;
    const char *slash = strrchr(path, '/');
    return config_doc_parse(slash ? slash + 1 : path, flz_buf_view(&text), ret_doc, msg);
}

struct config_doc *config_doc_free(struct config_doc *doc)
{
    if (!doc)
        return NULL;
    yaml_document_delete(&doc->document);
    free(doc);
    return NULL;
}

struct config_node config_doc_root(const struct config_doc *doc)
{
    bool any = doc->document.nodes.top > doc->document.nodes.start;
    return (struct config_node){.id = any ? 1 : 0};
}

enum config_kind config_node_kind(const struct config_doc *doc, struct config_node node)
{
    const yaml_node_t *n = node_of(doc, node);
    if (!n)
        return CONFIG_NONE;
    switch (n->type) {
    case YAML_SCALAR_NODE: return CONFIG_SCALAR;
    case YAML_SEQUENCE_NODE: return CONFIG_SEQUENCE;
    case YAML_MAPPING_NODE: return CONFIG_MAPPING;
    case YAML_NO_NODE: break;
    }
    return CONFIG_NONE;
}

int config_node_line(const struct config_doc *doc, struct config_node node)
{
    const yaml_node_t *n = node_of(doc, node);
    return n ? (int)n->start_mark.line + 1 : 0;
}

size_t config_node_count(const struct config_doc *doc, struct config_node node)
{
    const yaml_node_t *n = node_of(doc, node);
    if (n && n->type == YAML_SEQUENCE_NODE)
        return (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    if (n && n->type == YAML_MAPPING_NODE)
        return (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
    return 0;
}

struct config_node config_node_item(const struct config_doc *doc, struct config_node node,
                                    size_t index)
{
    assert(index < config_node_count(doc, node));
    return (struct config_node){.id = node_of(doc, node)->data.sequence.items.start[index]};
}

const char *config_node_pair(const struct config_doc *doc, struct config_node node, size_t index,
                             struct config_node *ret_value)
{
    assert(index < config_node_count(doc, node));
    const yaml_node_pair_t *pair = &node_of(doc, node)->data.mapping.pairs.start[index];
    ret_value->id = pair->value;
    const char *key = config_node_text(doc, (struct config_node){.id = pair->key});
    return key ? key : "";
}

struct config_node config_node_get(const struct config_doc *doc, struct config_node node,
                                   const char *key)
{
    if (config_node_kind(doc, node) != CONFIG_MAPPING)
        return (struct config_node){.id = 0};
    for (size_t i = 0; i < config_node_count(doc, node); i++) {
        struct config_node value;
        if (strcmp(config_node_pair(doc, node, i, &value), key) == 0)
            return value;
    }
    return (struct config_node){.id = 0};
}

const char *config_node_text(const struct config_doc *doc, struct config_node node)
{
    const yaml_node_t *n = node_of(doc, node);
    return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

int config_node_error(const struct config_doc *doc, struct config_node node, struct flz_msg *msg,
                      const char *format, ...)
{
    const yaml_node_t *n = node_of(doc, node);
    struct flz_msg text;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text.text, sizeof text.text, format, args);
    va_end(args);
    flz_msg_set(msg, "%s:%zu:%zu: %s", doc->name, n ? n->start_mark.line + 1 : 1,
                n ? n->start_mark.column + 1 : 1, text.text);
    return flz_fail(-EINVAL);
}

/* ---- One value ---- */

int config_parse_size(const char *text, int64_t *ret_bytes)
{
    static const struct {
        const char *suffix;
        int shift;
    } units[] = {{"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 12)
        return flz_fail(-EINVAL);
    int64_t n = strtoll(text, NULL, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text + digits, units[i].suffix) != 0)
            continue;
        if (n > INT64_MAX >> units[i].shift)
            return flz_fail(-ERANGE);
        *ret_bytes = n << units[i].shift;
        return 0;
    }
    return flz_fail(-EINVAL);
}

static const char *want_of(enum config_type type)
{
    switch (type) {
    case CONFIG_BOOL: return "true or false";
    case CONFIG_INT: return "a whole number";
    case CONFIG_DURATION: return "a time with its unit: 250ms, 90s, 15m, 2h, 3d";
    case CONFIG_SIZE: return "a size with its unit: 512B, 64KiB, 1MiB, 2GiB";
    case CONFIG_PATH: return "an absolute path";
    case CONFIG_LIST: return "a list of texts";
    case CONFIG_TEXT:
    case CONFIG_ENUM: break;
    }
    return "a text";
}

static int parse_int(const char *text, int64_t *ret_value)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        return -EINVAL;
    *ret_value = v;
    return 0;
}

static int parse_enum(const char *text, const struct config_key *key, void *field)
{
    for (int i = 0; key->words[i]; i++)
        if (strcmp(key->words[i], text) == 0) {
            *(int *)field = i;
            return 0;
        }
    return -EINVAL;
}

/* Reads a scalar into its field. 0, -EINVAL (not of this type) or -ERANGE. */
static int parse_scalar(const char *text, const struct config_key *key, void *field)
{
    int64_t number = 0;
    int r = 0;
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_PATH:
        if (key->type == CONFIG_PATH && text[0] != '/' &&
            (text[0] || !key->fallback || key->fallback[0]))
            return -EINVAL;
        if (strlen(text) >= CONFIG_TEXT_MAX)
            return -ERANGE;
        memcpy(field, text, strlen(text) + 1);
        number = (int64_t)strlen(text);
        return key->max > 0 && (number < key->min || number > key->max) ? -ERANGE : 0;
    case CONFIG_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return -EINVAL;
        *(bool *)field = text[0] == 't';
        return 0;
    case CONFIG_ENUM: return parse_enum(text, key, field);
    case CONFIG_INT: r = parse_int(text, &number); break;
    case CONFIG_DURATION: r = flz_parse_duration_ms(text, &number); break;
    case CONFIG_SIZE: r = config_parse_size(text, &number); break;
    case CONFIG_LIST: return -EINVAL;
    }
    if (r < 0)
        return r;
    if ((key->min || key->max) && (number < key->min || number > key->max))
        return -ERANGE;
    *(int64_t *)field = number;
    return 0;
}

static int add_item(struct config_list *list, const char *text, size_t len)
{
    if (list->count == CONFIG_LIST_MAX || len >= CONFIG_TEXT_MAX)
        return -ERANGE;
    memcpy(list->items[list->count], text, len);
    list->items[list->count++][len] = '\0';
    return 0;
}

static void set_fallback(const struct config_key *key, void *base)
{
    void *field = (uint8_t *)base + key->offset;
    if (!key->fallback)
        return;
    if (key->type != CONFIG_LIST) {
        int r = parse_scalar(key->fallback, key, field);
        assert(r == 0);
        return;
    }
    struct config_list *list = field;
    list->count = 0;
    for (const char *at = key->fallback; *at;) {
        size_t len = strcspn(at, ",");
        int r = add_item(list, at, len);
        assert(r == 0);
        at += len;
        at += strspn(at, ", ");
    }
}

void config_fallbacks(const struct config_key *keys, size_t n, void *base)
{
    for (size_t i = 0; i < n; i++)
        set_fallback(&keys[i], base);
}

/* ---- Saying a value ---- */

static void format_duration(int64_t ms, struct flz_buf *buf)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (i < 4 && (ms == 0 || ms % units[i].ms != 0))
        i++;
    flz_buf_printf(buf, "%lld%s", (long long)(ms / units[i].ms), units[i].suffix);
}

static void format_size(int64_t bytes, struct flz_buf *buf)
{
    static const char *const suffixes[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    for (; i < 4 && bytes != 0 && bytes % 1024 == 0; i++)
        bytes /= 1024;
    flz_buf_printf(buf, "%lld%s", (long long)bytes, suffixes[i]);
}

static void format_number(enum config_type type, int64_t number, struct flz_buf *buf)
{
    if (type == CONFIG_DURATION)
        format_duration(number, buf);
    else if (type == CONFIG_SIZE)
        format_size(number, buf);
    else
        flz_buf_printf(buf, "%lld", (long long)number);
}

/* ---- Faults ---- */

static int enum_error(const struct config_doc *doc, struct config_node node,
                      const struct config_key *key, const char *text, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf words = FLZ_BUF_NULL;
    size_t n = 0;
    for (; key->words[n]; n++)
        flz_buf_printf(&words, "%s%s", n ? ", " : "", key->words[n]);
    const char *near = flz_did_you_mean(text, key->words, n);
    return config_node_error(doc, node, msg, "%s: '%s' is not one of: %s%s%s%s", key->name, text,
                             flz_buf_str(&words), near ? " (did you mean '" : "", near ? near : "",
                             near ? "'?)" : "");
}

static int range_error(const struct config_doc *doc, struct config_node node,
                       const struct config_key *key, const char *text, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf min = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf max = FLZ_BUF_NULL;
    format_number(key->type, key->min, &min);
    format_number(key->type, key->max, &max);
    bool is_text = key->type == CONFIG_TEXT || key->type == CONFIG_PATH;
    return config_node_error(doc, node, msg, "%s: '%.*s' is out of range (%s to %s%s)", key->name,
                             64, text, flz_buf_str(&min), flz_buf_str(&max),
                             is_text ? " characters" : "");
}

static int value_error(const struct config_doc *doc, struct config_node node,
                       const struct config_key *key, const char *text, int r, struct flz_msg *msg)
{
    if (key->type == CONFIG_ENUM)
        return enum_error(doc, node, key, text, msg);
    if (r == -ERANGE && (key->min || key->max))
        return range_error(doc, node, key, text, msg);
    if (r == -ERANGE)
        return config_node_error(doc, node, msg, "%s: '%.*s…' is too large", key->name, 32, text);
    return config_node_error(doc, node, msg, "%s: '%s' is not %s", key->name, text,
                             want_of(key->type));
}

static int read_list(const struct config_doc *doc, struct config_node node,
                     const struct config_key *key, struct config_list *list, struct flz_msg *msg)
{
    list->count = 0;
    if (config_node_kind(doc, node) != CONFIG_SEQUENCE)
        return config_node_error(doc, node, msg, "%s: a list is needed: [a, b]", key->name);
    for (size_t i = 0; i < config_node_count(doc, node); i++) {
        struct config_node item = config_node_item(doc, node, i);
        const char *text = config_node_text(doc, item);
        if (!text)
            return config_node_error(doc, item, msg, "%s: a text is needed", key->name);
        if (add_item(list, text, strlen(text)) < 0)
            return config_node_error(doc, item, msg, "%s: too many items, or one too long",
                                     key->name);
    }
    return 0;
}

static int read_value(const struct config_doc *doc, struct config_node node,
                      const struct config_key *key, void *base, struct flz_msg *msg)
{
    void *field = (uint8_t *)base + key->offset;
    if (key->type == CONFIG_LIST)
        return read_list(doc, node, key, field, msg);
    const char *text = config_node_text(doc, node);
    if (!text)
        return config_node_error(doc, node, msg, "%s: %s is needed", key->name, want_of(key->type));
    int r = parse_scalar(text, key, field);
    return r < 0 ? value_error(doc, node, key, text, r, msg) : 0;
}

/* ---- A mapping against its table ---- */

struct reader {
    const struct config_doc *doc;
    const struct config_key *keys;
    size_t n;
    void *base;
    struct config_source *sources;
    bool *seen; /* one per key */
    struct flz_msg *msg;
};

static const struct config_key *find_key(const struct reader *reader, const char *name)
{
    for (size_t i = 0; i < reader->n; i++)
        if (strcmp(reader->keys[i].name, name) == 0)
            return &reader->keys[i];
    return NULL;
}

static bool is_section(const struct reader *reader, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < reader->n; i++)
        if (strncmp(reader->keys[i].name, name, len) == 0 && reader->keys[i].name[len] == '.')
            return true;
    return false;
}

/* The key or section beside the place of `name` that is most like it; else such a key anywhere. A
 * view that lasts until the next call of this thread. */
static const char *nearest_key(const struct reader *reader, const char *name)
{
    static _Thread_local char beside[CONFIG_KEYS_MAX][CONFIG_NAME_MAX];
    const char *words[CONFIG_KEYS_MAX];
    const char *dot = strrchr(name, '.');
    size_t prefix = dot ? (size_t)(dot - name) + 1 : 0;
    size_t n = 0;
    for (size_t i = 0; i < reader->n && n < CONFIG_KEYS_MAX; i++) {
        const char *key = reader->keys[i].name;
        if (strncmp(key, name, prefix) != 0)
            continue;
        size_t len = prefix + strcspn(key + prefix, ".");
        (void)snprintf(beside[n], sizeof beside[n], "%.*s", (int)len, key);
        words[n] = beside[n];
        n++;
    }
    const char *near = flz_did_you_mean(name, words, n);
    for (n = 0; n < reader->n && n < CONFIG_KEYS_MAX; n++)
        words[n] = reader->keys[n].name;
    return near ? near : flz_did_you_mean(name, words, n);
}

static int unknown_key(const struct reader *reader, struct config_node at, const char *name)
{
    const char *near = nearest_key(reader, name);
    return config_node_error(reader->doc, at, reader->msg, "unknown key '%s'%s%s%s", name,
                             near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static int read_mapping(struct reader *reader, struct config_node node, const char *prefix);

static int read_pair(struct reader *reader, struct config_node mapping, size_t index,
                     const char *prefix)
{
    struct config_node value;
    char name[CONFIG_NAME_MAX];
    const char *own = config_node_pair(reader->doc, mapping, index, &value);
    struct config_node at = {
        .id = node_of(reader->doc, mapping)->data.mapping.pairs.start[index].key};
    if (snprintf(name, sizeof name, "%s%s", prefix, own) >= (int)sizeof name)
        return config_node_error(reader->doc, at, reader->msg, "unknown key '%s'", own);
    const struct config_key *key = find_key(reader, name);
    if (key) {
        size_t i = (size_t)(key - reader->keys);
        if (reader->seen[i])
            return config_node_error(reader->doc, at, reader->msg, "the key '%s' stands twice",
                                     name);
        reader->seen[i] = true;
        if (reader->sources)
            reader->sources[i].line = config_node_line(reader->doc, value);
        return read_value(reader->doc, value, key, reader->base, reader->msg);
    }
    if (!is_section(reader, name))
        return unknown_key(reader, at, name);
    const char *text = config_node_text(reader->doc, value);
    if (text && !*text)
        return 0; /* a section of which every key is commented out */
    char section[CONFIG_NAME_MAX + 1];
    (void)snprintf(section, sizeof section, "%s.", name);
    return read_mapping(reader, value, section);
}

static int read_mapping(struct reader *reader, struct config_node node, const char *prefix)
{
    enum config_kind kind = config_node_kind(reader->doc, node);
    if (kind == CONFIG_NONE)
        return 0;
    if (kind != CONFIG_MAPPING)
        return config_node_error(reader->doc, node, reader->msg, "keys and values are needed");
    for (size_t i = 0; i < config_node_count(reader->doc, node); i++) {
        int r = read_pair(reader, node, i, prefix);
        if (r < 0)
            return r;
    }
    return 0;
}

int config_node_read(const struct config_doc *doc, struct config_node node,
                     const struct config_key *keys, size_t n, void *base,
                     struct config_source *sources, struct flz_msg *msg)
{
    _cleanup_(flz_freep) bool *seen = calloc(n ? n : 1, sizeof *seen);
    if (!seen)
        return flz_fail(-ENOMEM);
    config_fallbacks(keys, n, base);
    if (sources)
        memset(sources, 0, n * sizeof *sources);
    struct reader reader = {.doc = doc,
                            .keys = keys,
                            .n = n,
                            .base = base,
                            .sources = sources,
                            .seen = seen,
                            .msg = msg};
    int r = read_mapping(&reader, node, "");
    for (size_t i = 0; r == 0 && i < n; i++)
        if (!keys[i].fallback && !seen[i])
            r = config_node_error(doc, node, msg, "the key '%s' is missing (%s)", keys[i].name,
                                  keys[i].help ? keys[i].help : want_of(keys[i].type));
    return r;
}

int config_load(const char *path, const struct config_key *keys, size_t n, void *base,
                struct config_source *sources, struct flz_msg *msg)
{
    _cleanup_(config_doc_freep) struct config_doc *doc = NULL;
    int r = config_doc_open(path, &doc, msg);
    if (r < 0)
        return r;
    return config_node_read(doc, config_doc_root(doc), keys, n, base, sources, msg);
}

/* ---- Showing ---- */

static void format_text(const char *text, struct flz_buf *buf)
{
    flz_buf_add_byte(buf, '"');
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        if (c < 0x20 || c == 0x7f) {
            flz_buf_printf(buf, "\\x%02x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            flz_buf_add_byte(buf, '\\');
        flz_buf_add_byte(buf, c);
    }
    flz_buf_add_byte(buf, '"');
}

static void format_value(const struct config_key *key, const void *base, struct flz_buf *buf)
{
    const void *field = (const uint8_t *)base + key->offset;
    const struct config_list *list = field;
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_PATH: format_text(field, buf); break;
    case CONFIG_BOOL: flz_buf_add_str(buf, *(const bool *)field ? "true" : "false"); break;
    case CONFIG_INT:
    case CONFIG_DURATION:
    case CONFIG_SIZE: format_number(key->type, *(const int64_t *)field, buf); break;
    case CONFIG_ENUM: flz_buf_add_str(buf, key->words[*(const int *)field]); break;
    case CONFIG_LIST:
        flz_buf_add_byte(buf, '[');
        for (size_t i = 0; i < list->count; i++) {
            if (i > 0)
                flz_buf_add_str(buf, ", ");
            format_text(list->items[i], buf);
        }
        flz_buf_add_byte(buf, ']');
        break;
    }
}

static void indent(const char *name, size_t upto, struct flz_buf *buf)
{
    for (size_t i = 0; i < upto; i++)
        if (name[i] == '.')
            flz_buf_add_str(buf, "  ");
}

struct dump {
    const char *path;
    const struct config_key *keys;
    size_t n;
    const void *base;
    const struct config_source *sources;
    struct flz_buf *buf;
};

static void dump_key(const struct dump *dump, size_t i, size_t prefix)
{
    const char *name = dump->keys[i].name;
    indent(name, prefix, dump->buf);
    flz_buf_printf(dump->buf, "%s: ", name + prefix);
    format_value(&dump->keys[i], dump->base, dump->buf);
    if (dump->sources && dump->sources[i].line > 0)
        flz_buf_printf(dump->buf, "  # %s:%d\n", dump->path, dump->sources[i].line);
    else
        flz_buf_add_str(dump->buf, "  # default\n");
}

static bool is_first_of(const struct dump *dump, size_t i, size_t len)
{
    for (size_t j = 0; j < i; j++)
        if (strncmp(dump->keys[j].name, dump->keys[i].name, len) == 0)
            return false;
    return true;
}

/* The keys below the first `prefix` characters of `parent`: a section stands where its first key
 * does, with all of its keys. */
static void dump_section(const struct dump *dump, const char *parent, size_t prefix)
{
    for (size_t i = 0; i < dump->n; i++) {
        const char *name = dump->keys[i].name;
        if (strncmp(name, parent, prefix) != 0)
            continue;
        const char *dot = strchr(name + prefix, '.');
        size_t len = dot ? (size_t)(dot - name) + 1 : 0;
        if (!dot) {
            dump_key(dump, i, prefix);
        } else if (is_first_of(dump, i, len)) {
            indent(name, prefix, dump->buf);
            flz_buf_printf(dump->buf, "%.*s:\n", (int)(len - 1 - prefix), name + prefix);
            dump_section(dump, name, len);
        }
    }
}

void config_dump(const char *path, const struct config_key *keys, size_t n, const void *base,
                 const struct config_source *sources, struct flz_buf *buf)
{
    struct dump dump = {path, keys, n, base, sources, buf};
    dump_section(&dump, "", 0);
}
