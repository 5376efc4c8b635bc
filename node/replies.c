#include "node/replies.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One rule as it is written. */
struct row {
    char id[CONFIG_TEXT_MAX];
    struct config_list provider, stage, enhanced, words, end;
    char code[CONFIG_TEXT_MAX];
    int is, scope, action;
    bool hard;
    int64_t backoff_ms;
};

static const struct config_key row_keys[] = {
    {"id", CONFIG_TEXT, offsetof(struct row, id), .min = 1, .max = FLZ_RULE_MAX - 1},
    {"provider", CONFIG_LIST, offsetof(struct row, provider), .fallback = ""},
    {"stage", CONFIG_LIST, offsetof(struct row, stage), .fallback = ""},
    {"code", CONFIG_TEXT, offsetof(struct row, code), .fallback = "any"},
    {"enhanced", CONFIG_LIST, offsetof(struct row, enhanced), .fallback = ""},
    {"words", CONFIG_LIST, offsetof(struct row, words), .fallback = ""},
    {"end", CONFIG_LIST, offsetof(struct row, end), .fallback = ""},
    {"class", CONFIG_ENUM, offsetof(struct row, is), .words = classify_class_words},
    {"spoils", CONFIG_ENUM, offsetof(struct row, scope), .words = classify_scope_words},
    {"hard", CONFIG_BOOL, offsetof(struct row, hard), .fallback = "false"},
    {"do", CONFIG_ENUM, offsetof(struct row, action), .fallback = "go-on",
     .words = classify_action_words},
    {"for", CONFIG_DURATION, offsetof(struct row, backoff_ms), .fallback = "0s", .min = 0,
     .max = 30 * FLZ_DAY_MS},
};

static const struct {
    const char *word;
    uint32_t bits;
} stages[] = {
    {"opening", CLASSIFY_AT(SMTP_STAGE_CONNECT) | CLASSIFY_AT(SMTP_STAGE_GREETING) |
                    CLASSIFY_AT(SMTP_STAGE_EHLO)},
    {"auth", CLASSIFY_AT(SMTP_STAGE_AUTH)},
    {"mail", CLASSIFY_AT(SMTP_STAGE_MAIL)},
    {"rcpt", CLASSIFY_AT(SMTP_STAGE_RCPT)},
    {"data",
     CLASSIFY_AT(SMTP_STAGE_DATA) | CLASSIFY_AT(SMTP_STAGE_BODY) | CLASSIFY_AT(SMTP_STAGE_DOT)},
    {"report", CLASSIFY_AT(CLASSIFY_STAGE_REPORT)},
};

static int read_stages(const struct config_list *list, uint32_t *ret_stages)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t n = 0;
        while (n < sizeof stages / sizeof *stages && strcmp(stages[n].word, list->items[i]) != 0)
            n++;
        if (n == sizeof stages / sizeof *stages)
            return -EINVAL;
        bits |= stages[n].bits;
    }
    *ret_stages = bits;
    return 0;
}

/* The first `n` characters, all digits. */
static int read_digits(const char *text, size_t n, int *ret_number)
{
    char copy[4] = "";
    uint64_t number;
    if (n >= sizeof copy)
        return -EINVAL;
    memcpy(copy, text, n);
    if (flz_parse_u64(copy, 999, &number) < 0)
        return -EINVAL;
    *ret_number = (int)number;
    return 0;
}

/* "550", "5xx", "none", "any". */
static int read_code(const char *text, int *ret_code)
{
    bool digits = strlen(text) == 3 && text[0] >= '2' && text[0] <= '5';
    if (strcmp(text, "any") == 0)
        *ret_code = CLASSIFY_X;
    else if (strcmp(text, "none") == 0)
        *ret_code = 0;
    else if (digits && strcmp(text + 1, "xx") == 0)
        *ret_code = text[0] - '0';
    else if (digits)
        return read_digits(text, 3, ret_code);
    else
        return -EINVAL;
    return 0;
}

/* A number, or "x" for any; `*text` is moved behind it and the dot that follows. */
static int read_number(const char **text, int max)
{
    size_t n = strcspn(*text, ".");
    int number = CLASSIFY_X;
    bool any = n == 1 && **text == 'x';
    if (!any && read_digits(*text, n, &number) < 0)
        return -EINVAL;
    *text += n + ((*text)[n] == '.');
    return number <= max ? number : -EINVAL;
}

/* "5.1.1", "x.2.2", "5.7.x", "none". */
static int read_enhanced(const char *text, struct classify_enhanced *ret_enhanced)
{
    if (strcmp(text, "none") == 0) {
        *ret_enhanced = (struct classify_enhanced){0, CLASSIFY_X, CLASSIFY_X};
        return 0;
    }
    size_t n = strlen(text);
    struct classify_enhanced e = {.class = read_number(&text, 5)};
    e.subject = e.class < CLASSIFY_X ? -EINVAL : read_number(&text, 999);
    e.detail = e.subject < CLASSIFY_X ? -EINVAL : read_number(&text, 999);
    if (e.detail < CLASSIFY_X || *text || n < 5)
        return -EINVAL;
    *ret_enhanced = e;
    return 0;
}

/* Joins the items, "|" between, in lower case. */
static int join(const struct config_list *list, char *text, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < list->count; i++) {
        const char *item = list->items[i];
        if (!item[0] || strchr(item, '|') || len + strlen(item) + 2 > size)
            return -EINVAL;
        len += (size_t)snprintf(text + len, size - len, "%s%s", i > 0 ? "|" : "", item);
    }
    flz_ascii_lower_str(text);
    return 0;
}

/* What parts of a rule say together. NULL, or what is wrong with it. */
static const char *contradiction(const struct classify_rule *rule)
{
    if (rule->action == CLASSIFY_SUSPEND && (rule->scope != CLASSIFY_MAILBOX || !rule->hard))
        return "'suspend' is for what spoils a mailbox and is hard";
    if (rule->action == CLASSIFY_STOP && (rule->scope < CLASSIFY_ACCOUNT || !rule->hard))
        return "'stop' is for what spoils an account or a provider and is hard";
    if ((rule->is == CLASSIFY_ACCEPTED) != (rule->scope == CLASSIFY_NOTHING))
        return "what is accepted spoils nothing, and nothing else does";
    return NULL;
}

static const char *fill(const struct row *row, struct classify_rule *rule)
{
    if (row->provider.count > CLASSIFY_PROVIDERS_MAX)
        return "too many providers";
    for (size_t i = 0; i < row->provider.count; i++)
        if (flz_text_copy(rule->providers[i], sizeof rule->providers[i], row->provider.items[i]) <
            0)
            return "the name of a provider is too long";
    rule->providers_count = row->provider.count;
    if (read_stages(&row->stage, &rule->stages) < 0)
        return "a stage is one of opening, auth, mail, rcpt, data, report";
    if (read_code(row->code, &rule->code) < 0)
        return "a code is 550, 5xx, none or any";
    if (row->enhanced.count > CLASSIFY_CODES_MAX)
        return "too many enhanced codes";
    for (size_t i = 0; i < row->enhanced.count; i++)
        if (read_enhanced(row->enhanced.items[i], &rule->enhanced[i]) < 0)
            return "an enhanced code is 5.1.1, x.2.2, 5.7.x or none";
    rule->enhanced_count = row->enhanced.count;
    if (join(&row->words, rule->words, sizeof rule->words) < 0 ||
        join(&row->end, rule->ends, sizeof rule->ends) < 0)
        return "words are not empty, have no '|', and are not too many";
    rule->is = (enum classify_class)row->is;
    rule->scope = (enum classify_scope)row->scope;
    rule->hard = row->hard;
    rule->action = (enum classify_action)row->action;
    rule->backoff_ms = row->backoff_ms;
    return contradiction(rule);
}

static int read_rule(const struct config_doc *doc, struct config_node node, struct row *row,
                     struct classify_rule *rule, struct flz_msg *msg)
{
    int r =
        config_node_read(doc, node, row_keys, sizeof row_keys / sizeof *row_keys, row, NULL, msg);
    if (r < 0)
        return r;
    (void)flz_text_copy(rule->id, sizeof rule->id, row->id);
    const char *wrong = fill(row, rule);
    return wrong ? config_node_error(doc, node, msg, "rule '%s': %s", rule->id, wrong) : 0;
}

int replies_read(const struct config_doc *doc, struct config_node node,
                 struct classify_rules *ret_rules, struct flz_msg *msg)
{
    size_t n = config_node_count(doc, node);
    if (config_node_kind(doc, node) != CONFIG_SEQUENCE || n > CLASSIFY_RULES_MAX)
        return config_node_error(doc, node, msg, "'replies' is a sequence of at most %d rules",
                                 CLASSIFY_RULES_MAX);
    _cleanup_(flz_freep) struct classify_rule *rules = calloc(n > 0 ? n : 1, sizeof *rules);
    _cleanup_(flz_freep) struct row *row = malloc(sizeof *row);
    if (!rules || !row)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < n; i++) {
        memset(row, 0, sizeof *row);
        int r = read_rule(doc, config_node_item(doc, node, i), row, &rules[i], msg);
        if (r < 0)
            return r;
    }
    *ret_rules = (struct classify_rules){.rules = steal_ptr(&rules), .count = n};
    return 0;
}

void replies_free(struct classify_rules *rules)
{
    free((void *)rules->rules);
    *rules = (struct classify_rules){.count = 0};
}
