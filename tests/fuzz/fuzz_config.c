/*
 * Configuration files: any bytes are read or refused, and what was read is dumped and read back as
 * the same.
 */
#include "common/sys/config.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct conf {
    char name[CONFIG_TEXT_MAX];
    char path[CONFIG_TEXT_MAX];
    bool strict;
    int64_t port, timeout_ms, bytes, deep;
    int level;
    struct config_list hosts;
};

static const char *const levels[] = {"low", "high", NULL};

static const struct config_key keys[] = {
    {"name", CONFIG_TEXT, offsetof(struct conf, name), .fallback = "x", .max = 20},
    {"path", CONFIG_PATH, offsetof(struct conf, path), .fallback = ""},
    {"strict", CONFIG_BOOL, offsetof(struct conf, strict), .fallback = "true"},
    {"bus.port", CONFIG_INT, offsetof(struct conf, port), .min = 1, .max = 9, .fallback = "1"},
    {"bus.timeout", CONFIG_DURATION, offsetof(struct conf, timeout_ms), .fallback = "1s"},
    {"bus.a.b", CONFIG_INT, offsetof(struct conf, deep), .fallback = "-1"},
    {"size", CONFIG_SIZE, offsetof(struct conf, bytes), .fallback = "1KiB"},
    {"level", CONFIG_ENUM, offsetof(struct conf, level), .words = levels, .fallback = "low"},
    {"hosts", CONFIG_LIST, offsetof(struct conf, hosts), .fallback = "a"},
};

#define KEYS (sizeof keys / sizeof keys[0])

static int read_conf(struct flz_view text, struct conf *conf)
{
    struct config_doc *doc;
    struct config_source sources[KEYS];
    struct flz_msg msg = FLZ_MSG_NULL;
    memset(conf, 0, sizeof *conf);
    int r = config_doc_parse("f", text, &doc, &msg);
    assert(r == 0 || msg.text[0]);
    if (r < 0)
        return r;
    r = config_node_read(doc, config_doc_root(doc), keys, KEYS, conf, sources, &msg);
    assert(r == 0 || msg.text[0]);
    (void)config_doc_free(doc);
    return r;
}

static void assert_same(const struct conf *a, const struct conf *b)
{
    assert(strcmp(a->name, b->name) == 0);
    assert(strcmp(a->path, b->path) == 0);
    assert(a->strict == b->strict && a->level == b->level && a->deep == b->deep);
    assert(a->port == b->port && a->timeout_ms == b->timeout_ms && a->bytes == b->bytes);
    assert(a->hosts.count == b->hosts.count);
    for (size_t i = 0; i < a->hosts.count; i++)
        assert(strcmp(a->hosts.items[i], b->hosts.items[i]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf conf, again;
    if (read_conf((struct flz_view){data, size}, &conf) < 0)
        return 0;
    struct flz_buf text = FLZ_BUF_NULL;
    config_dump("f", keys, KEYS, &conf, NULL, &text);
    int r = read_conf(flz_buf_view(&text), &again);
    assert(r == 0);
    assert_same(&conf, &again);
    flz_buf_deinit(&text);
    return 0;
}
