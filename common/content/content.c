#include "common/content/content.h"

#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/content/content_pack.h"
#include "common/content/utf8.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES_MAX 512
#define TEXT_BYTES_MAX 480
#define HEAD_WORDS_MAX (CONTENT_FIELDS_MAX + 1)
#define RANGE_MAX 9999

/* Where in the file one may be; each keyword names the states that allow it. */
enum state {
    STATE_HEAD = 1,
    STATE_SCENARIO = 2, /* its draws */
    STATE_TURN = 4,
};

/* "keyword arg arg = text | text", with the texts of the continuation lines that follow it. */
struct entry {
    const struct keyword *keyword; /* NULL: nothing open */
    struct flz_view args[HEAD_WORDS_MAX - 1];
    uint32_t n_args;
    struct choice texts;
    uint32_t line;
};

struct parser {
    struct content_pack *pack;
    const char *file;
    struct flz_msg *msg;
    uint32_t line;
    enum state state;
    struct entry entry;
};

struct keyword {
    const char *name;
    unsigned states;
    uint32_t args_min, args_max;
    bool has_texts;
    int (*finish)(struct parser *parser, const struct entry *entry);
};

__attribute__((format(printf, 3, 4)))
static int refuse(struct parser *parser, uint32_t line, const char *format, ...)
{
    char text[FLZ_MSG_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    flz_msg_set(parser->msg, "%s:%" PRIu32 ": %s", parser->file, line, text);
    return flz_fail(-EINVAL);
}

/* Room for one more element of an array of the pack; NULL when memory is refused. */
#define pack_add(pack, array)                                                                      \
    (flz_grow((void **)&(pack)->array, &(pack)->array##_capacity, (pack)->n_##array + 1,           \
              sizeof *(pack)->array) < 0                                                           \
         ? NULL                                                                                    \
         : memset(&(pack)->array[(pack)->n_##array++], 0, sizeof *(pack)->array))

static bool view_is(struct flz_view view, const char *s)
{
    return flz_view_equal(view, flz_view_str(s));
}

static struct flz_view view_part(struct flz_view view, size_t from, size_t to)
{
    return (struct flz_view){.data = view.data + from, .len = to - from};
}

static struct flz_view view_trim(struct flz_view view)
{
    while (view.len > 0 && view.data[0] == ' ')
        view = view_part(view, 1, view.len);
    while (view.len > 0 && view.data[view.len - 1] == ' ')
        view.len--;
    return view;
}

/* Names are [a-z][a-z0-9_-]*, short enough for a field. */
static bool name_is_valid(struct flz_view name)
{
    if (name.len == 0 || name.len >= CONTENT_NAME_MAX || name.data[0] < 'a' || name.data[0] > 'z')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!(name.data[i] >= 'a' && name.data[i] <= 'z') &&
            !(name.data[i] >= '0' && name.data[i] <= '9') && name.data[i] != '-' &&
            name.data[i] != '_')
            return false;
    return true;
}

static void name_copy(struct flz_view name, char ret_name[static CONTENT_NAME_MAX])
{
    assert(name.len < CONTENT_NAME_MAX);
    memcpy(ret_name, name.data, name.len);
    ret_name[name.len] = '\0';
}

struct flz_view content_field(struct flz_view value, uint32_t field)
{
    for (;; field--) {
        const uint8_t *tilde = value.len ? memchr(value.data, '~', value.len) : NULL;
        size_t end = tilde ? (size_t)(tilde - value.data) : value.len;
        if (field == 0)
            return view_trim(view_part(value, 0, end));
        if (!tilde)
            return FLZ_VIEW_NULL;
        value = view_part(value, end + 1, value.len);
    }
}

static uint32_t field_count(struct flz_view value)
{
    uint32_t count = 1;
    for (size_t i = 0; i < value.len; i++)
        count += value.data[i] == '~';
    return count;
}

const struct choice *content_draw_values(const struct content_pack *pack, const struct draw *draw)
{
    return draw->kind == DRAW_LIST ? &pack->lists[draw->list].values : &draw->values;
}

uint64_t content_draw_size(const struct content_pack *pack, const struct draw *draw)
{
    if (draw->kind == DRAW_RANGE)
        return (uint64_t)(draw->high - draw->low) + 1;
    return content_draw_values(pack, draw)->count;
}

const struct slot *content_slot(const struct content_pack *pack, const struct scenario *scenario,
                                struct flz_view name)
{
    for (uint32_t i = 0; i < scenario->n_slots; i++) {
        const struct slot *slot = &pack->slots[scenario->first_slot + i];
        if (name.len == strlen(slot->name) && name.len > 0 &&
            flz_ascii_lower((char)name.data[0]) == slot->name[0] &&
            memcmp(name.data + 1, slot->name + 1, name.len - 1) == 0)
            return slot;
    }
    return NULL;
}

static struct scenario *last_scenario(struct content_pack *pack)
{
    return &pack->scenarios[pack->n_scenarios - 1];
}

static struct turn *last_turn(struct content_pack *pack)
{
    return &pack->turns[pack->n_turns - 1];
}

/* What slots a text may name besides those of its scenario. */
static const char *const names_body[] = {"from_name", "from_full", "to_name", "to_full", NULL};
static const char *const names_attribution[] = {"to_name", "to_full", NULL};
static const char *const names_footer[] = {"network", "contact", NULL};
static const char *const names_none[] = {NULL};

static bool name_among(struct flz_view name, const char *const *names)
{
    for (; *names; names++)
        if (view_is(name, *names))
            return true;
    return false;
}

/* Checks one "{name}" whose "{" is at `at`; *ret_end is behind its "}". */
static int check_slot(struct parser *parser, const struct text *text, const char *const *names,
                      size_t at, size_t *ret_end)
{
    const uint8_t *close = memchr(text->text.data + at, '}', text->text.len - at);
    if (!close)
        return refuse(parser, text->line, "'{' without '}'");
    size_t end = (size_t)(close - text->text.data);
    struct flz_view name = view_part(text->text, at + 1, end);
    bool is_slot = parser->state != STATE_HEAD &&
                   content_slot(parser->pack, last_scenario(parser->pack), name);
    if (!is_slot && !name_among(name, names))
        return refuse(parser, text->line, "no slot '%.*s' here",
                      (int)(name.len < CONTENT_NAME_MAX ? name.len : CONTENT_NAME_MAX),
                      (const char *)name.data);
    *ret_end = end + 1;
    return 0;
}

/* A text with slots and one level of "[this|that]". */
static int check_text(struct parser *parser, const struct text *text, const char *const *names)
{
    bool in_group = false;
    for (size_t i = 0; i < text->text.len;) {
        char c = (char)text->text.data[i];
        if (c == '{') {
            int r = check_slot(parser, text, names, i, &i);
            if (r < 0)
                return r;
            continue;
        }
        if (c == '}' || c == '~')
            return refuse(parser, text->line, "'%c' does not belong here", c);
        if ((c == '[') == in_group && (c == '[' || c == ']'))
            return refuse(parser, text->line, "groups '[a|b]' cannot be nested");
        if (c == '[' || c == ']')
            in_group = c == '[';
        i++;
    }
    return in_group ? refuse(parser, text->line, "'[' without ']'") : 0;
}

static int check_texts(struct parser *parser, struct choice texts, const char *const *names)
{
    for (uint32_t i = 0; i < texts.count; i++) {
        int r = check_text(parser, &parser->pack->texts[texts.first + i], names);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Values of lists and picks: plain words, each of `n_fields` parts. */
static int check_values(struct parser *parser, struct choice values, uint32_t n_fields)
{
    for (uint32_t i = 0; i < values.count; i++) {
        const struct text *value = &parser->pack->texts[values.first + i];
        if (field_count(value->text) != n_fields)
            return refuse(parser, value->line, "%" PRIu32 " parts with '~' between are wanted",
                          n_fields);
        for (uint32_t field = 0; field < n_fields; field++)
            if (content_field(value->text, field).len == 0)
                return refuse(parser, value->line, "an empty value");
        for (size_t at = 0; at < value->text.len; at++)
            if (strchr("{}[]", value->text.data[at]))
                return refuse(parser, value->line, "a value has no slots and no groups");
    }
    return 0;
}

static int take_single(struct parser *parser, const struct entry *entry, struct choice *ret_choice)
{
    if (ret_choice->count > 0)
        return refuse(parser, entry->line, "'%s' a second time", entry->keyword->name);
    if (entry->texts.count != 1)
        return refuse(parser, entry->line, "'%s' has one text", entry->keyword->name);
    *ret_choice = entry->texts;
    return 0;
}

static int finish_language(struct parser *parser, const struct entry *entry)
{
    struct flz_view text = parser->pack->texts[entry->texts.first].text;
    if (parser->pack->language[0])
        return refuse(parser, entry->line, "'language' a second time");
    if (entry->texts.count != 1 || text.len != 2 || !name_is_valid(text))
        return refuse(parser, entry->line, "the language is two lower-case letters");
    name_copy(text, parser->pack->language);
    return 0;
}

static bool text_names(struct flz_view text, const char *slot)
{
    return memmem(text.data, text.len, slot, strlen(slot)) != NULL;
}

static int finish_footer(struct parser *parser, const struct entry *entry)
{
    int r = take_single(parser, entry, &parser->pack->footer);
    if (r < 0)
        return r;
    struct flz_view text = parser->pack->texts[entry->texts.first].text;
    if (!text_names(text, "{network}") || !text_names(text, "{contact}"))
        return refuse(parser, entry->line, "the footer names {network} and {contact}");
    return check_texts(parser, entry->texts, names_footer);
}

static int finish_attribution(struct parser *parser, const struct entry *entry)
{
    int r = take_single(parser, entry, &parser->pack->attribution);
    return r < 0 ? r : check_texts(parser, entry->texts, names_attribution);
}

static struct list *find_list(struct content_pack *pack, struct flz_view name)
{
    for (size_t i = 0; i < pack->n_lists; i++)
        if (view_is(name, pack->lists[i].name))
            return &pack->lists[i];
    return NULL;
}

static int finish_list(struct parser *parser, const struct entry *entry)
{
    struct content_pack *pack = parser->pack;
    if (!name_is_valid(entry->args[0]) || find_list(pack, entry->args[0]))
        return refuse(parser, entry->line, "a list needs a new name of lower-case letters");
    if (pack->n_lists == CONTENT_LISTS_MAX)
        return refuse(parser, entry->line, "more than %d lists", CONTENT_LISTS_MAX);
    struct list *list = pack_add(pack, lists);
    if (!list)
        return flz_fail(-ENOMEM);
    name_copy(entry->args[0], list->name);
    list->values = entry->texts;
    return check_values(parser, entry->texts, 1);
}

static int open_scenario(struct parser *parser, const struct entry *entry)
{
    struct content_pack *pack = parser->pack;
    uint32_t index;
    char name[CONTENT_NAME_MAX];
    if (!name_is_valid(entry->args[0]))
        return refuse(parser, entry->line, "a scenario's name is of lower-case letters");
    name_copy(entry->args[0], name);
    for (index = 0; index < pack->n_scenarios; index++)
        if (strcmp(pack->scenarios[index].name, name) == 0)
            return refuse(parser, entry->line, "scenario '%s' a second time", name);
    if (index == CONTENT_SCENARIOS_MAX)
        return refuse(parser, entry->line, "more than %d scenarios", CONTENT_SCENARIOS_MAX);

    struct scenario *scenario = pack_add(pack, scenarios);
    if (!scenario)
        return flz_fail(-ENOMEM);
    *scenario = (struct scenario){
        .first_draw = (uint32_t)pack->n_draws,
        .first_slot = (uint32_t)pack->n_slots,
        .first_turn = (uint32_t)pack->n_turns,
        .line = entry->line,
    };
    memcpy(scenario->name, name, sizeof name);
    parser->state = STATE_SCENARIO;
    return 0;
}

static int add_draw(struct parser *parser, const struct entry *entry, const struct draw *draw)
{
    struct content_pack *pack = parser->pack;
    struct scenario *scenario = last_scenario(pack);
    if (scenario->n_draws == CONTENT_DRAWS_MAX)
        return refuse(parser, entry->line, "more than %d draws", CONTENT_DRAWS_MAX);
    struct draw *added = pack_add(pack, draws);
    if (!added)
        return flz_fail(-ENOMEM);
    *added = *draw;
    added->line = entry->line;
    scenario->n_draws++;

    for (uint32_t i = 0; i < entry->n_args; i++) {
        struct flz_view name = entry->args[i];
        if (!name_is_valid(name) || content_slot(pack, scenario, name) ||
            name_among(name, names_body) || name_among(name, names_footer))
            return refuse(parser, entry->line, "a slot needs a new name of lower-case letters");
        if (scenario->n_slots == CONTENT_SLOTS_MAX)
            return refuse(parser, entry->line, "more than %d slots", CONTENT_SLOTS_MAX);
        struct slot *slot = pack_add(pack, slots);
        if (!slot)
            return flz_fail(-ENOMEM);
        name_copy(name, slot->name);
        slot->draw = scenario->n_draws - 1;
        slot->field = i;
        scenario->n_slots++;
    }
    return 0;
}

/* "draw day = weekday". Draws from one list never agree, so it must be long enough for them all. */
static int finish_draw(struct parser *parser, const struct entry *entry)
{
    struct content_pack *pack = parser->pack;
    const struct scenario *scenario = last_scenario(pack);
    const struct list *list = find_list(pack, pack->texts[entry->texts.first].text);
    if (entry->texts.count != 1 || !list)
        return refuse(parser, entry->line, "'draw' names one list of this pack");
    struct draw draw = {.kind = DRAW_LIST, .list = (uint32_t)(list - pack->lists), .n_fields = 1};
    uint32_t taken = 0;
    for (uint32_t i = 0; i < scenario->n_draws; i++) {
        const struct draw *other = &pack->draws[scenario->first_draw + i];
        taken += other->kind == DRAW_LIST && other->list == draw.list;
    }
    if (taken >= list->values.count)
        return refuse(parser, entry->line, "list '%s' is too short for another draw", list->name);
    return add_draw(parser, entry, &draw);
}

static int finish_pick(struct parser *parser, const struct entry *entry)
{
    struct draw draw = {.kind = DRAW_PICK, .values = entry->texts, .n_fields = entry->n_args};
    int r = check_values(parser, entry->texts, entry->n_args);
    return r < 0 ? r : add_draw(parser, entry, &draw);
}

/* "range n = 3..12" */
static int finish_range(struct parser *parser, const struct entry *entry)
{
    struct flz_view text = parser->pack->texts[entry->texts.first].text;
    char low[16] = "", high[16] = "";
    uint64_t from, to;
    const uint8_t *dots = memmem(text.data, text.len, "..", 2);
    size_t n = dots ? (size_t)(dots - text.data) : text.len;
    if (entry->texts.count == 1 && dots && n < sizeof low && text.len - n - 2 < sizeof high) {
        memcpy(low, text.data, n);
        memcpy(high, dots + 2, text.len - n - 2);
    }
    if (flz_parse_u64(low, RANGE_MAX, &from) < 0 || flz_parse_u64(high, RANGE_MAX, &to) < 0 ||
        from >= to)
        return refuse(parser, entry->line, "a range is LOW..HIGH, at most %d", RANGE_MAX);
    struct draw draw = {
        .kind = DRAW_RANGE, .low = (int64_t)from, .high = (int64_t)to, .n_fields = 1};
    return add_draw(parser, entry, &draw);
}

/* A turn is complete when the next one, the next scenario or the end of the file comes. */
static int close_turn(struct parser *parser)
{
    struct content_pack *pack = parser->pack;
    if (parser->state != STATE_TURN)
        return 0;
    const struct turn *turn = last_turn(pack);
    bool says = false;
    for (uint32_t i = 0; i < turn->n_items; i++) {
        enum item_kind kind = pack->items[turn->first_item + i].kind;
        says = says || kind == ITEM_LINE || kind == ITEM_SAY;
    }
    if (!says)
        return refuse(parser, turn->line, "a turn that says nothing");
    if (last_scenario(pack)->n_turns == 1 && turn->subject.count == 0)
        return refuse(parser, turn->line, "the first turn needs a subject");
    return 0;
}

static int close_scenario(struct parser *parser)
{
    int r = close_turn(parser);
    if (r < 0)
        return r;
    if (parser->pack->n_scenarios > 0 && last_scenario(parser->pack)->n_turns == 0)
        return refuse(parser, last_scenario(parser->pack)->line, "a scenario without a turn");
    return 0;
}

static int finish_scenario(struct parser *parser, const struct entry *entry)
{
    int r = close_scenario(parser);
    return r < 0 ? r : open_scenario(parser, entry);
}

static int finish_turn(struct parser *parser, const struct entry *entry)
{
    struct content_pack *pack = parser->pack;
    int r = close_turn(parser);
    if (r < 0)
        return r;
    if (last_scenario(pack)->n_turns == CONTENT_TURNS_MAX)
        return refuse(parser, entry->line, "more than %d turns", CONTENT_TURNS_MAX);
    struct turn *turn = pack_add(pack, turns);
    if (!turn)
        return flz_fail(-ENOMEM);
    turn->first_item = (uint32_t)pack->n_items;
    turn->line = entry->line;
    last_scenario(pack)->n_turns++;
    parser->state = STATE_TURN;
    return 0;
}

static int finish_subject(struct parser *parser, const struct entry *entry)
{
    struct turn *turn = last_turn(parser->pack);
    if (last_scenario(parser->pack)->n_turns > 1)
        return refuse(parser, entry->line, "replies keep the subject of the first turn");
    if (turn->subject.count > 0)
        return refuse(parser, entry->line, "'subject' a second time");
    turn->subject = entry->texts;
    return check_texts(parser, entry->texts, names_none);
}

static int add_item(struct parser *parser, const struct entry *entry, enum item_kind kind)
{
    struct turn *turn = last_turn(parser->pack);
    if (turn->n_items == CONTENT_ITEMS_MAX)
        return refuse(parser, entry->line, "more than %d items", CONTENT_ITEMS_MAX);
    struct item *item = pack_add(parser->pack, items);
    if (!item)
        return flz_fail(-ENOMEM);
    *item = (struct item){.kind = kind, .texts = entry->texts};
    turn->n_items++;
    return check_texts(parser, entry->texts, names_body);
}

static int finish_line(struct parser *parser, const struct entry *entry)
{
    return add_item(parser, entry, ITEM_LINE);
}

static int finish_say(struct parser *parser, const struct entry *entry)
{
    return add_item(parser, entry, ITEM_SAY);
}

static int finish_maybe(struct parser *parser, const struct entry *entry)
{
    return add_item(parser, entry, ITEM_MAYBE);
}

static int finish_gap(struct parser *parser, const struct entry *entry)
{
    return add_item(parser, entry, ITEM_GAP);
}

static const struct keyword keywords[] = {
    {"language", STATE_HEAD, 0, 0, true, finish_language},
    {"footer", STATE_HEAD, 0, 0, true, finish_footer},
    {"attribution", STATE_HEAD, 0, 0, true, finish_attribution},
    {"list", STATE_HEAD, 1, 1, true, finish_list},
    {"scenario", STATE_HEAD | STATE_SCENARIO | STATE_TURN, 1, 1, false, finish_scenario},
    {"draw", STATE_SCENARIO, 1, 1, true, finish_draw},
    {"pick", STATE_SCENARIO, 1, CONTENT_FIELDS_MAX, true, finish_pick},
    {"range", STATE_SCENARIO, 1, 1, true, finish_range},
    {"turn", STATE_SCENARIO | STATE_TURN, 0, 0, false, finish_turn},
    {"subject", STATE_TURN, 0, 0, true, finish_subject},
    {"line", STATE_TURN, 0, 0, true, finish_line},
    {"say", STATE_TURN, 0, 0, true, finish_say},
    {"maybe", STATE_TURN, 0, 0, true, finish_maybe},
    {"gap", STATE_TURN, 0, 0, false, finish_gap},
};

static int finish_entry(struct parser *parser)
{
    struct entry entry = parser->entry;
    parser->entry.keyword = NULL;
    return entry.keyword ? entry.keyword->finish(parser, &entry) : 0;
}

static int add_text(struct parser *parser, struct flz_view view)
{
    struct choice *texts = &parser->entry.texts;
    view = view_trim(view);
    if (view.len == 0)
        return refuse(parser, parser->line, "an empty text");
    if (view.len > TEXT_BYTES_MAX)
        return refuse(parser, parser->line, "a text above %d bytes", TEXT_BYTES_MAX);
    if (texts->count == CONTENT_ALTERNATIVES_MAX)
        return refuse(parser, parser->line, "more than %d alternatives", CONTENT_ALTERNATIVES_MAX);
    struct text *text = pack_add(parser->pack, texts);
    if (!text)
        return flz_fail(-ENOMEM);
    *text = (struct text){.text = view, .line = parser->line};
    texts->count++;
    return 0;
}

/* Splits at each "|" outside of a group. */
static int add_texts(struct parser *parser, struct flz_view view)
{
    bool in_group = false;
    size_t start = 0;
    for (size_t i = 0; i <= view.len; i++) {
        if (i < view.len) {
            in_group = view.data[i] == '[' || (in_group && view.data[i] != ']');
            if (view.data[i] != '|' || in_group)
                continue;
        }
        int r = add_text(parser, view_part(view, start, i));
        if (r < 0)
            return r;
        start = i + 1;
    }
    return 0;
}

static int open_entry(struct parser *parser, struct flz_view word)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (!view_is(word, keywords[i].name))
            continue;
        if (!(keywords[i].states & parser->state))
            return refuse(parser, parser->line, "'%s' does not belong here", keywords[i].name);
        parser->entry = (struct entry){
            .keyword = &keywords[i],
            .texts = {.first = (uint32_t)parser->pack->n_texts},
            .line = parser->line,
        };
        return 0;
    }
    return refuse(parser, parser->line, "unknown keyword '%.*s'",
                  (int)(word.len < CONTENT_NAME_MAX ? word.len : CONTENT_NAME_MAX),
                  (const char *)word.data);
}

/* "keyword arg arg", what stands before the "=". */
static int parse_head(struct parser *parser, struct flz_view head)
{
    bool first = true;
    head = view_trim(head);
    while (head.len > 0 || first) {
        const uint8_t *space = head.len ? memchr(head.data, ' ', head.len) : NULL;
        size_t end = space ? (size_t)(space - head.data) : head.len;
        struct flz_view word = view_part(head, 0, end);
        int r = 0;
        if (first)
            r = open_entry(parser, word);
        else if (parser->entry.n_args == parser->entry.keyword->args_max)
            r = refuse(parser, parser->line, "too many words after '%s'",
                       parser->entry.keyword->name);
        else
            parser->entry.args[parser->entry.n_args++] = word;
        if (r < 0)
            return r;
        first = false;
        head = view_trim(view_part(head, end, head.len));
    }
    if (parser->entry.n_args < parser->entry.keyword->args_min)
        return refuse(parser, parser->line, "'%s' needs a name", parser->entry.keyword->name);
    return 0;
}

static int parse_entry(struct parser *parser, struct flz_view line)
{
    int r = finish_entry(parser);
    if (r < 0)
        return r;
    const uint8_t *equals = memchr(line.data, '=', line.len);
    size_t head = equals ? (size_t)(equals - line.data) : line.len;
    r = parse_head(parser, view_part(line, 0, head));
    if (r < 0)
        return r;
    if (parser->entry.keyword->has_texts != (equals != NULL))
        return refuse(parser, parser->line,
                      equals ? "'%s' takes no '='" : "'%s' needs '=' and a text",
                      parser->entry.keyword->name);
    return equals ? add_texts(parser, view_part(line, head + 1, line.len)) : 0;
}

/* "    | another text" */
static int parse_continuation(struct parser *parser, struct flz_view line)
{
    line = view_trim(line);
    if (line.data[0] != '|')
        return refuse(parser, parser->line, "an indented line continues with '|'");
    if (!parser->entry.keyword || !parser->entry.keyword->has_texts)
        return refuse(parser, parser->line, "nothing to continue");
    return add_texts(parser, view_part(line, 1, line.len));
}

static int parse_line(struct parser *parser, struct flz_view line)
{
    if (line.len > LINE_BYTES_MAX)
        return refuse(parser, parser->line, "a line above %d bytes", LINE_BYTES_MAX);
    if (!utf8_is_line(line))
        return refuse(parser, parser->line, "not a line of UTF-8 text (tabs, CR, invisible "
                                            "characters are refused)");
    if (line.len > 0 && line.data[line.len - 1] == ' ')
        return refuse(parser, parser->line, "a space at the end of the line");
    if (parser->line == 1)
        return view_is(line, "fluenzr-pack 1")
                   ? 0
                   : refuse(parser, 1, "the first line is 'fluenzr-pack 1'");
    if (line.len == 0 || line.data[0] == '#')
        return 0;
    return line.data[0] == ' ' ? parse_continuation(parser, line) : parse_entry(parser, line);
}

static int parse_lines(struct parser *parser, struct flz_view rest)
{
    while (rest.len > 0) {
        parser->line++;
        const uint8_t *lf = memchr(rest.data, '\n', rest.len);
        if (!lf)
            return refuse(parser, parser->line, "the last line does not end");
        size_t len = (size_t)(lf - rest.data);
        int r = parse_line(parser, view_part(rest, 0, len));
        if (r < 0)
            return r;
        rest = view_part(rest, len + 1, rest.len);
    }
    return 0;
}

static int finish_pack(struct parser *parser)
{
    const struct content_pack *pack = parser->pack;
    int r = finish_entry(parser);
    if (r < 0)
        return r;
    r = close_scenario(parser);
    if (r < 0)
        return r;
    if (!pack->language[0] || pack->footer.count == 0 || pack->attribution.count == 0)
        return refuse(parser, parser->line, "language, footer and attribution are needed");
    if (pack->n_scenarios == 0)
        return refuse(parser, parser->line, "a pack without a scenario");
    return 0;
}

static int pack_new(struct flz_view bytes, struct content_pack **ret_pack)
{
    _cleanup_(content_freep) struct content_pack *pack = calloc(1, sizeof *pack);
    if (!pack)
        return flz_fail(-ENOMEM);
    pack->bytes = malloc(bytes.len + 1);
    if (!pack->bytes)
        return flz_fail(-ENOMEM);
    if (bytes.len > 0)
        memcpy(pack->bytes, bytes.data, bytes.len);
    pack->id = flz_digest_of(bytes);
    *ret_pack = steal_ptr(&pack);
    return 0;
}

int content_parse(struct flz_view bytes, const char *file, struct content_pack **ret_pack,
                  struct flz_msg *msg)
{
    if (bytes.len > CONTENT_PACK_BYTES_MAX) {
        flz_msg_set(msg, "%s: a pack above %d bytes", file, CONTENT_PACK_BYTES_MAX);
        return flz_fail(-EFBIG);
    }
    _cleanup_(content_freep) struct content_pack *pack = NULL;
    int r = pack_new(bytes, &pack);
    if (r < 0)
        return r;

    struct parser parser = {.pack = pack, .file = file, .msg = msg, .state = STATE_HEAD};
    r = parse_lines(&parser, (struct flz_view){.data = pack->bytes, .len = bytes.len});
    if (r < 0)
        return r;
    r = finish_pack(&parser);
    if (r < 0)
        return r;
    *ret_pack = steal_ptr(&pack);
    return 0;
}

struct content_pack *content_free(struct content_pack *pack)
{
    if (!pack)
        return NULL;
    free(pack->bytes);
    free(pack->texts);
    free(pack->lists);
    free(pack->draws);
    free(pack->slots);
    free(pack->items);
    free(pack->turns);
    free(pack->scenarios);
    free(pack);
    return NULL;
}

struct flz_digest content_id(const struct content_pack *pack)
{
    return pack->id;
}

const char *content_language(const struct content_pack *pack)
{
    return pack->language;
}

uint32_t content_scenarios(const struct content_pack *pack)
{
    return (uint32_t)pack->n_scenarios;
}

uint32_t content_turns(const struct content_pack *pack, uint32_t scenario)
{
    return scenario < pack->n_scenarios ? pack->scenarios[scenario].n_turns : 0;
}
