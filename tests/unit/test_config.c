#include "common/sys/config.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum level { LOW, MIDDLE, HIGH };

static const char *const levels[] = {"low", "middle", "high", NULL};

struct conf {
    char name[CONFIG_TEXT_MAX];
    char data_dir[CONFIG_TEXT_MAX];
    bool strict;
    int64_t port;
    int64_t timeout_ms;
    int64_t cache_size;
    int level;
    struct config_list hosts;
    int64_t deep;
};

static const struct config_key keys[] = {
    {"name", CONFIG_TEXT, offsetof(struct conf, name), .min = 1, .max = 8, .help = "who we are"},
    {"data_dir", CONFIG_PATH, offsetof(struct conf, data_dir), .fallback = "/var/lib/x"},
    {"strict", CONFIG_BOOL, offsetof(struct conf, strict), .fallback = "true"},
    {"bus.port", CONFIG_INT, offsetof(struct conf, port), .min = 1, .max = 65535,
     .fallback = "7400"},
    {"bus.timeout", CONFIG_DURATION, offsetof(struct conf, timeout_ms), .min = 100,
     .max = FLZ_HOUR_MS, .fallback = "10s"},
    {"bus.deep.er", CONFIG_INT, offsetof(struct conf, deep), .fallback = "-5"},
    {"cache.size", CONFIG_SIZE, offsetof(struct conf, cache_size), .fallback = "1MiB"},
    {"cache.level", CONFIG_ENUM, offsetof(struct conf, level), .words = levels,
     .fallback = "middle"},
    {"cache.hosts", CONFIG_LIST, offsetof(struct conf, hosts), .fallback = "a.test, b.test"},
};

#define KEYS (sizeof keys / sizeof keys[0])

static struct conf conf;
static struct config_source sources[KEYS];
static struct flz_msg msg;

static int read_text(const char *text)
{
    struct config_doc *doc = NULL;
    memset(&conf, 0xee, sizeof conf);
    msg = FLZ_MSG_NULL;
    int r = config_doc_parse("x.yaml", flz_view_str(text), &doc, &msg);
    if (r < 0)
        return r;
    r = config_node_read(doc, config_doc_root(doc), keys, KEYS, &conf, sources, &msg);
    assert_null(config_doc_free(doc));
    return r;
}

static void expect_error(const char *text, const char *error)
{
    assert_int_equal(read_text(text), -EINVAL);
    assert_string_equal(msg.text, error);
}

static void what_is_not_said_has_its_fallback(void **state)
{
    assert_int_equal(read_text("name: me\n"), 0);
    assert_string_equal(conf.name, "me");
    assert_string_equal(conf.data_dir, "/var/lib/x");
    assert_true(conf.strict);
    assert_int_equal(conf.port, 7400);
    assert_int_equal(conf.timeout_ms, 10000);
    assert_int_equal(conf.deep, -5);
    assert_int_equal(conf.cache_size, 1 << 20);
    assert_int_equal(conf.level, MIDDLE);
    assert_int_equal(conf.hosts.count, 2);
    assert_string_equal(conf.hosts.items[1], "b.test");
    assert_int_equal(sources[0].line, 1);
    assert_int_equal(sources[1].line, 0);
}

static void what_is_said_is_read(void **state)
{
    assert_int_equal(read_text("# comment\nname: \"me: #1\"\nstrict: false\ndata_dir: /srv\n"
                               "bus:\n  port: 1\n  timeout: 90s\n  deep:\n    er: 12\n"
                               "cache: {size: 512B, level: high, hosts: []}\n"),
                     0);
    assert_string_equal(conf.name, "me: #1");
    assert_string_equal(conf.data_dir, "/srv");
    assert_false(conf.strict);
    assert_int_equal(conf.port, 1);
    assert_int_equal(conf.timeout_ms, 90000);
    assert_int_equal(conf.deep, 12);
    assert_int_equal(conf.cache_size, 512);
    assert_int_equal(conf.level, HIGH);
    assert_int_equal(conf.hosts.count, 0);
    assert_int_equal(sources[3].line, 6);
    assert_int_equal(read_text("name: me\nbus:\n#  port: 1\ncache:\n  size: 1B\n"), 0);
    assert_int_equal(conf.port, 7400);
}

static void faults_are_named_with_their_place(void **state)
{
    expect_error("", "x.yaml:1:1: the key 'name' is missing (who we are)");
    expect_error("name: me\nnmae: x\n", "x.yaml:2:1: unknown key 'nmae' (did you mean 'name'?)");
    expect_error("name: me\nzzzzzzzz: x\n", "x.yaml:2:1: unknown key 'zzzzzzzz'");
    expect_error("name: me\nbus:\n  prot: 1\n",
                 "x.yaml:3:3: unknown key 'bus.prot' (did you mean 'bus.port'?)");
    expect_error("name: me\nname: you\n", "x.yaml:2:1: the key 'name' stands twice");
    expect_error("name: me\nbus: {port: 1}\nbus: {port: 2}\n",
                 "x.yaml:3:1: the key 'bus' stands twice");
    expect_error("name: me\nbus:\n  port: 0\n",
                 "x.yaml:3:9: bus.port: '0' is out of range (1 to 65535)");
    expect_error("name: me\nbus:\n  port: 99999999999999999999\n",
                 "x.yaml:3:9: bus.port: '99999999999999999999' is not a whole number");
    expect_error("name: me\nbus:\n  timeout: 10\n",
                 "x.yaml:3:12: bus.timeout: '10' is not a time with its unit: 250ms, 90s, 15m, 2h, "
                 "3d");
    expect_error("name: me\nbus:\n  timeout: 2h\n",
                 "x.yaml:3:12: bus.timeout: '2h' is out of range (100ms to 1h)");
    expect_error("name: me\ncache:\n  size: 64kb\n",
                 "x.yaml:3:9: cache.size: '64kb' is not a size with its unit: 512B, 64KiB, 1MiB, "
                 "2GiB");
    expect_error("name: me\ncache:\n  level: hgih\n",
                 "x.yaml:3:10: cache.level: 'hgih' is not one of: low, middle, high "
                 "(did you mean 'high'?)");
    expect_error("name: me\ncache:\n  hosts: a.test\n",
                 "x.yaml:3:10: cache.hosts: a list is needed: [a, b]");
    expect_error("name: me\nstrict: yes\n", "x.yaml:2:9: strict: 'yes' is not true or false");
    expect_error("name: me\ndata_dir: srv\n",
                 "x.yaml:2:11: data_dir: 'srv' is not an absolute path");
    expect_error("name: [me]\n", "x.yaml:1:7: name: a text is needed");
    expect_error("name: far too long\n",
                 "x.yaml:1:7: name: 'far too long' is out of range (1 to 8 characters)");
    expect_error("name: me\nbus: 7\n", "x.yaml:2:6: keys and values are needed");
    expect_error("- a\n- b\n", "x.yaml:1:1: keys and values are needed");
    expect_error("name: me\n[a]: x\n", "x.yaml:2:1: a key must be a text");
    expect_error("name: me\nbsu:\n  port: 1\n",
                 "x.yaml:2:1: unknown key 'bsu' (did you mean 'bus'?)");
    expect_error("name: me\nbus:\n  deap:\n    er: 1\n",
                 "x.yaml:3:3: unknown key 'bus.deap' (did you mean 'bus.deep'?)");
    expect_error("name: me\ndata_dir:\n", "x.yaml:2:10: data_dir: '' is not an absolute path");
    expect_error("name: me\nbus: &x {port: 1}\ncache: *x\n",
                 "x.yaml:2:6: anchors and aliases are not taken; write the value twice");
}

static void what_is_no_yaml_is_refused(void **state)
{
    static const char *const texts[] = {"name: [",  "name: me\n\tbus: x\n", "name: *none\n",
                                        "%",        "name: \"me\\q\"\n",    "\xff\xfe\xfd",
                                        "a: b: c\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(read_text(texts[i]), -EINVAL);
        assert_memory_equal(msg.text, "x.yaml:", 7);
    }
    expect_error("name: \"m\\0e\"\n", "x.yaml:1:7: a text with a NUL in it");
    expect_error("name: me\n---\nname: you\n", "x.yaml:3:1: a second document; only one is read");
    assert_int_equal(read_text("---\nname: me\n...\n"), 0);
}

static void rings_and_depth_are_survived(void **state)
{
    assert_int_equal(read_text("name: me\nbus: &x\n  deep: *x\n"), -EINVAL);
    assert_int_equal(read_text("&x name: me\n*x : you\n"), -EINVAL);
    static char deep[5001];
    memset(deep, '[', sizeof deep - 1);
    assert_int_equal(read_text(deep), -EINVAL);
    _cleanup_(flz_buf_deinit) struct flz_buf many = FLZ_BUF_NULL;
    flz_buf_add_str(&many, "name: [");
    for (int i = 0; i <= CONFIG_NODES_MAX; i++)
        flz_buf_add_str(&many, "1,");
    flz_buf_add_str(&many, "]\n");
    assert_int_equal(read_text(flz_buf_str(&many)), -EINVAL);
    assert_string_equal(msg.text, "x.yaml: more than 65536 values");
    /* Nine lists of nine of the one before: no value is copied. */
    assert_int_equal(read_text("a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nname: *c\n"),
                     -EINVAL);
}

static void lists_are_bounded(void **state)
{
    for (int n = CONFIG_LIST_MAX; n <= CONFIG_LIST_MAX + 1; n++) {
        _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
        flz_buf_add_str(&text, "name: me\ncache:\n  hosts: [");
        for (int i = 0; i < n; i++)
            flz_buf_printf(&text, "h%d,", i);
        flz_buf_add_str(&text, "]\n");
        assert_int_equal(read_text(flz_buf_str(&text)), n == CONFIG_LIST_MAX ? 0 : -EINVAL);
    }
    assert_int_equal(read_text("name: me\ncache:\n  hosts: [[a]]\n"), -EINVAL);
}

static void a_dump_reads_back_as_itself(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf dump = FLZ_BUF_NULL;
    assert_int_equal(
        read_text("name: \"a\\n\\\"\\t\\\\\"\ncache: {size: 3KiB, hosts: [\"x, y\", z]}\n"
                  "bus: {timeout: 1500ms}\n"),
        0);
    struct conf before = conf;
    config_dump("x.yaml", keys, KEYS, &conf, sources, &dump);
    assert_non_null(strstr(flz_buf_str(&dump), "  port: 7400  # default\n"));
    assert_non_null(strstr(flz_buf_str(&dump), "  size: 3KiB  # x.yaml:2\n"));
    assert_non_null(strstr(flz_buf_str(&dump), "  timeout: 1500ms  # x.yaml:3\n"));
    if (read_text(flz_buf_str(&dump)) < 0)
        fail_msg("%s in\n%s", msg.text, flz_buf_str(&dump));
    assert_string_equal(conf.name, before.name);
    assert_string_equal(conf.name, "a\n\"\t\\");
    assert_string_equal(conf.data_dir, before.data_dir);
    assert_int_equal(conf.timeout_ms, before.timeout_ms);
    assert_int_equal(conf.cache_size, before.cache_size);
    assert_int_equal(conf.deep, before.deep);
    assert_int_equal(conf.hosts.count, 2);
    assert_string_equal(conf.hosts.items[0], "x, y");
}

static void a_section_is_dumped_whole_wherever_its_keys_stand(void **state)
{
    static const struct config_key mixed[] = {
        {"a.x", CONFIG_INT, offsetof(struct conf, port), .fallback = "1"},
        {"b", CONFIG_BOOL, offsetof(struct conf, strict), .fallback = "false"},
        {"a.y.z", CONFIG_INT, offsetof(struct conf, deep), .fallback = "2"},
    };
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    config_fallbacks(mixed, 3, &conf);
    config_dump("x.yaml", mixed, 3, &conf, NULL, &text);
    assert_string_equal(flz_buf_str(&text), "a:\n  x: 1  # default\n  y:\n    z: 2  # default\n"
                                            "b: false  # default\n");
}

static void a_document_has_each_key_once_at_any_depth(void **state)
{
    struct config_doc *doc = NULL;
    msg = FLZ_MSG_NULL;
    assert_int_equal(
        config_doc_parse("x.yaml", flz_view_str("r:\n  - {a: 1, b: 2, a: 3}\n"), &doc, &msg),
        -EINVAL);
    assert_string_equal(msg.text, "x.yaml:2:18: the key 'a' stands twice");
}

static void files_are_read_and_named(void **state)
{
    char path[] = "/tmp/fluenzr-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "name: me\nx\n", 11), 11);
    assert_int_equal(close(fd), 0);
    assert_int_equal(config_load(path, keys, KEYS, &conf, NULL, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, strrchr(path, '/') + 1));
    assert_int_equal(truncate(path, 9), 0);
    assert_int_equal(config_load(path, keys, KEYS, &conf, NULL, &msg), 0);
    assert_string_equal(conf.name, "me");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(config_load(path, keys, KEYS, &conf, NULL, &msg), -ENOENT);
}

static void a_document_can_be_walked(void **state)
{
    struct config_doc *doc = NULL;
    const char *text = "rules:\n  - {name: a, n: 1}\n  - {name: b}\nlast: end\n";
    assert_int_equal(config_doc_parse("x.yaml", flz_view_str(text), &doc, &msg), 0);
    struct config_node root = config_doc_root(doc), value;
    assert_int_equal(config_node_count(doc, root), 2);
    assert_string_equal(config_node_pair(doc, root, 1, &value), "last");
    assert_string_equal(config_node_text(doc, value), "end");
    struct config_node rules = config_node_get(doc, root, "rules");
    assert_int_equal(config_node_kind(doc, rules), CONFIG_SEQUENCE);
    assert_int_equal(config_node_count(doc, rules), 2);
    struct config_node second = config_node_item(doc, rules, 1);
    assert_int_equal(config_node_line(doc, second), 3);
    assert_string_equal(config_node_text(doc, config_node_get(doc, second, "name")), "b");
    assert_int_equal(config_node_get(doc, second, "n").id, 0);
    assert_int_equal(config_node_get(doc, rules, "n").id, 0);
    assert_null(config_node_text(doc, rules));
    assert_int_equal(config_node_kind(doc, (struct config_node){0}), CONFIG_NONE);
    assert_int_equal(config_node_error(doc, second, &msg, "rule %d is odd", 2), -EINVAL);
    assert_string_equal(msg.text, "x.yaml:3:5: rule 2 is odd");
    doc = config_doc_free(doc);
    assert_int_equal(config_doc_parse("x.yaml", FLZ_VIEW_NULL, &doc, &msg), 0);
    assert_int_equal(config_doc_root(doc).id, 0);
    assert_null(config_doc_free(doc));
    assert_null(config_doc_free(NULL));
}

static void sizes_need_their_unit(void **state)
{
    int64_t bytes = 7;
    assert_int_equal(config_parse_size("64", &bytes), -EINVAL);
    assert_int_equal(config_parse_size("64K", &bytes), -EINVAL);
    assert_int_equal(config_parse_size("-1B", &bytes), -EINVAL);
    assert_int_equal(config_parse_size("MiB", &bytes), -EINVAL);
    assert_int_equal(config_parse_size("99999999TiB", &bytes), -ERANGE);
    assert_int_equal(bytes, 7);
    assert_int_equal(config_parse_size("2GiB", &bytes), 0);
    assert_int_equal(bytes, INT64_C(2) << 30);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_its_fallback),
        cmocka_unit_test(what_is_said_is_read),
        cmocka_unit_test(faults_are_named_with_their_place),
        cmocka_unit_test(what_is_no_yaml_is_refused),
        cmocka_unit_test(rings_and_depth_are_survived),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(a_dump_reads_back_as_itself),
        cmocka_unit_test(a_section_is_dumped_whole_wherever_its_keys_stand),
        cmocka_unit_test(a_document_has_each_key_once_at_any_depth),
        cmocka_unit_test(files_are_read_and_named),
        cmocka_unit_test(a_document_can_be_walked),
        cmocka_unit_test(sizes_need_their_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
