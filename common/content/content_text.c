#include "common/base/rng.h"
#include "common/content/content_pack.h"
#include "common/content/utf8.h"

#include <errno.h>
#include <string.h>

#define WRAP_COLUMNS 72
/* Stands for a space where no line may be broken ("9_h_30" in a pack) until a line is written. */
#define GLUE '\x01'

/* Numbers of the random sequences drawn from one seed; a step has its own, so that a reviewer who
 * adds a sentence to one turn leaves the others as they were. */
enum sequence {
    SEQUENCE_FACTS = 0,
    SEQUENCE_SUBJECT = 1,
    SEQUENCE_STEP = 2, /* + step */
};

/* One message being said. */
struct speaker {
    const struct content_pack *pack;
    const struct scenario *scenario; /* NULL for the pack's own sentences */
    const struct content_names *names;
    const char *network, *contact;
    struct flz_rng rng;
    uint64_t drawn[CONTENT_DRAWS_MAX]; /* facts of the conversation: an index, or a number */
};

static void seed_rng(struct flz_rng *rng, uint64_t seed, uint64_t sequence)
{
    static const char domain[] = "fluenzr/content/v1";
    uint8_t bytes[sizeof domain + 8];
    memcpy(bytes, domain, sizeof domain);
    flz_put_be64(bytes + sizeof domain, seed);
    flz_rng_init(rng, (struct flz_view){.data = bytes, .len = sizeof bytes}, sequence);
}

/* The n-th value of the list that no earlier draw of this conversation has taken. */
static uint64_t nth_untaken(const struct speaker *speaker, uint32_t n_drawn, uint32_t list,
                            uint64_t n)
{
    const struct draw *draws = &speaker->pack->draws[speaker->scenario->first_draw];
    for (uint64_t value = 0;; value++) {
        bool taken = false;
        for (uint32_t i = 0; i < n_drawn; i++)
            taken = taken || (draws[i].kind == DRAW_LIST && draws[i].list == list &&
                              speaker->drawn[i] == value);
        if (!taken && n-- == 0)
            return value;
    }
}

/* Draws the facts of the conversation; they are the same in each of its steps. */
static void draw_facts(struct speaker *speaker, uint64_t seed)
{
    struct flz_rng rng;
    seed_rng(&rng, seed, SEQUENCE_FACTS);
    for (uint32_t i = 0; i < speaker->scenario->n_draws; i++) {
        const struct draw *draw = &speaker->pack->draws[speaker->scenario->first_draw + i];
        uint64_t size = content_draw_size(speaker->pack, draw);
        if (draw->kind == DRAW_RANGE) {
            speaker->drawn[i] = (uint64_t)draw->low + flz_rng_below(&rng, size);
            continue;
        }
        uint64_t taken = 0;
        for (uint32_t j = 0; draw->kind == DRAW_LIST && j < i; j++) {
            const struct draw *other = &speaker->pack->draws[speaker->scenario->first_draw + j];
            taken += other->kind == DRAW_LIST && other->list == draw->list;
        }
        uint64_t n = flz_rng_below(&rng, size - taken);
        speaker->drawn[i] = draw->kind == DRAW_LIST ? nth_untaken(speaker, i, draw->list, n) : n;
    }
}

static void speaker_init(struct speaker *speaker, const struct content_pack *pack,
                         uint32_t scenario, uint64_t seed, uint64_t sequence)
{
    *speaker = (struct speaker){.pack = pack, .scenario = &pack->scenarios[scenario]};
    draw_facts(speaker, seed);
    seed_rng(&speaker->rng, seed, sequence);
}

/* Appends a value; with `capital`, its first letter (ASCII or Latin-1) in upper case. "_" glues. */
static void add_value(struct flz_buf *out, struct flz_view value, bool capital)
{
    size_t start = out->len;
    flz_buf_add_view(out, value);
    if (flz_buf_error(out) < 0 || value.len == 0)
        return;
    uint8_t *p = out->data + start;
    if (capital && p[0] >= 'a' && p[0] <= 'z')
        p[0] = (uint8_t)(p[0] - 'a' + 'A');
    else if (capital && value.len > 1 && p[0] == 0xc3 && p[1] >= 0xa0 && p[1] != 0xb7 &&
             p[1] != 0xbf)
        p[1] = (uint8_t)(p[1] - 0x20);
    for (size_t i = 0; i < value.len; i++)
        if (p[i] == '_')
            p[i] = GLUE;
}

static const char *person(const struct speaker *speaker, struct flz_view name)
{
    const struct {
        const char *slot;
        const char *value;
    } people[] = {
        {"from_name", speaker->names ? speaker->names->from_name : ""},
        {"from_full", speaker->names ? speaker->names->from_full : ""},
        {"to_name", speaker->names ? speaker->names->to_name : ""},
        {"to_full", speaker->names ? speaker->names->to_full : ""},
        {"network", speaker->network},
        {"contact", speaker->contact},
    };
    for (size_t i = 0; i < sizeof people / sizeof *people; i++)
        if (flz_view_equal(name, flz_view_str(people[i].slot)))
            return people[i].value;
    return "";
}

static void add_person(const struct speaker *speaker, struct flz_view name, struct flz_buf *out)
{
    const char *value = person(speaker, name);
    if (!value || value[0] == '\0') {
        /* "Hello {to_name}," without a name is "Hello,". */
        if (out->len > 0 && out->data[out->len - 1] == ' ')
            out->len--;
        return;
    }
    flz_buf_add_str(out, value);
}

static void add_slot(const struct speaker *speaker, struct flz_view name, struct flz_buf *out)
{
    const struct slot *slot =
        speaker->scenario ? content_slot(speaker->pack, speaker->scenario, name) : NULL;
    if (!slot) {
        add_person(speaker, name, out);
        return;
    }
    const struct draw *draw = &speaker->pack->draws[speaker->scenario->first_draw + slot->draw];
    uint64_t drawn = speaker->drawn[slot->draw];
    if (draw->kind == DRAW_RANGE) {
        flz_buf_printf(out, "%u", (unsigned)drawn);
        return;
    }
    const struct choice *values = content_draw_values(speaker->pack, draw);
    const struct text *value = &speaker->pack->texts[values->first + drawn];
    add_value(out, content_field(value->text, slot->field), name.data[0] <= 'Z');
}

/* One member of "[this|that]", whose inside is `group`. */
static struct flz_view choose_member(struct speaker *speaker, struct flz_view group)
{
    uint64_t count = 1;
    for (size_t i = 0; i < group.len; i++)
        count += group.data[i] == '|';
    uint64_t chosen = flz_rng_below(&speaker->rng, count);
    const uint8_t *end = group.data + group.len;
    for (;; chosen--) {
        const uint8_t *bar = memchr(group.data, '|', (size_t)(end - group.data));
        const uint8_t *stop = bar ? bar : end;
        if (chosen == 0)
            return (struct flz_view){.data = group.data, .len = (size_t)(stop - group.data)};
        group.data = stop + 1;
    }
}

static void expand(struct speaker *speaker, struct flz_view text, struct flz_buf *out)
{
    for (size_t i = 0; i < text.len;) {
        uint8_t c = text.data[i];
        if (c != '{' && c != '[') {
            flz_buf_add_byte(out, c == '_' ? GLUE : c);
            i++;
            continue;
        }
        /* The parser has seen that each is closed. */
        const uint8_t *open = text.data + i + 1;
        const uint8_t *close = memchr(open, c == '{' ? '}' : ']', text.len - i - 1);
        struct flz_view inside = {.data = open, .len = (size_t)(close - open)};
        if (c == '{')
            add_slot(speaker, inside, out);
        else
            expand(speaker, choose_member(speaker, inside), out);
        i = (size_t)(close - text.data) + 1;
    }
}

static void say(struct speaker *speaker, struct choice texts, struct flz_buf *out)
{
    uint64_t chosen = flz_rng_below(&speaker->rng, texts.count);
    expand(speaker, speaker->pack->texts[texts.first + chosen].text, out);
}

/* French sets a space before ? ! : ; and inside « »; no line is broken there. */
static bool may_break(struct flz_view before, const uint8_t *next, size_t n)
{
    static const char opening[] = "\u00ab", closing[] = "\u00bb";
    if (n > 0 && strchr("?!:;", *next))
        return false;
    if (n >= 2 && memcmp(next, closing, 2) == 0)
        return false;
    return before.len < 2 || memcmp(before.data + before.len - 2, opening, 2) != 0;
}

/* How far it is to the next place where a line may be broken. */
static size_t unbroken(struct flz_view text)
{
    for (size_t i = 0; i < text.len; i++) {
        struct flz_view before = {.data = text.data, .len = i};
        if (text.data[i] == ' ' && may_break(before, text.data + i + 1, text.len - i - 1))
            return i;
    }
    return text.len;
}

static void add_unglued(struct flz_buf *out, struct flz_view text)
{
    size_t start = out->len;
    flz_buf_add_view(out, text);
    for (size_t i = start; i < out->len; i++)
        if (out->data[i] == GLUE)
            out->data[i] = ' ';
}

/* Spaces in a row become one; a text that chose "nothing" in a group has such. */
static void squeeze(struct flz_buf *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] != ' ' || (n > 0 && text->data[n - 1] != ' '))
            text->data[n++] = text->data[i];
    if (n > 0 && text->data[n - 1] == ' ')
        n--;
    text->len = n;
}

/* Writes a paragraph or a line, wrapped, and forgets it. */
static void wrap(struct flz_buf *text, struct flz_buf *out)
{
    squeeze(text);
    struct flz_view rest = flz_buf_view(text);
    size_t column = 0;
    while (rest.len > 0) {
        size_t n = unbroken(rest);
        struct flz_view word = {.data = rest.data, .len = n};
        size_t columns = utf8_columns(word);
        if (column > 0 && column + 1 + columns > WRAP_COLUMNS) {
            flz_buf_add_byte(out, '\n');
            column = 0;
        }
        if (column > 0)
            flz_buf_add_byte(out, ' ');
        add_unglued(out, word);
        column += columns + (column > 0);
        n += n < rest.len;
        rest = (struct flz_view){.data = rest.data + n, .len = rest.len - n};
    }
    if (column > 0)
        flz_buf_add_byte(out, '\n');
    flz_buf_reset(text);
}

/* A body being written. */
struct body {
    struct flz_buf *out;
    size_t start;
    struct flz_buf paragraph;
    bool gap; /* an empty line is due before the next text */
};

/* Writes the running paragraph; an empty line goes before it if one is due and it says anything. */
static void end_paragraph(struct body *body)
{
    squeeze(&body->paragraph);
    if (body->paragraph.len == 0)
        return;
    if (body->gap && body->out->len > body->start)
        flz_buf_add_byte(body->out, '\n');
    body->gap = false;
    wrap(&body->paragraph, body->out);
}

static void say_item(struct speaker *speaker, const struct item *item, struct body *body)
{
    if (item->kind == ITEM_GAP) {
        end_paragraph(body);
        body->gap = true;
        return;
    }
    if (item->kind == ITEM_MAYBE && flz_rng_below(&speaker->rng, 2) == 0)
        return;
    if (item->kind == ITEM_LINE)
        end_paragraph(body);
    else if (body->paragraph.len > 0)
        flz_buf_add_byte(&body->paragraph, ' ');
    say(speaker, item->texts, &body->paragraph);
    if (item->kind == ITEM_LINE)
        end_paragraph(body);
}

int content_body(const struct content_pack *pack, uint32_t scenario, uint32_t step, uint64_t seed,
                 const struct content_names *names, struct flz_buf *ret_text)
{
    if (step >= content_turns(pack, scenario))
        return flz_fail(-ERANGE);
    struct speaker speaker;
    speaker_init(&speaker, pack, scenario, seed, SEQUENCE_STEP + step);
    speaker.names = names;

    struct body body = {.out = ret_text, .start = ret_text->len, .paragraph = FLZ_BUF_NULL};
    const struct turn *turn = &pack->turns[speaker.scenario->first_turn + step];
    for (uint32_t i = 0; i < turn->n_items; i++)
        say_item(&speaker, &pack->items[turn->first_item + i], &body);
    end_paragraph(&body);
    bool failed = flz_buf_error(&body.paragraph) < 0;
    flz_buf_deinit(&body.paragraph);
    return failed ? flz_fail(-ENOMEM) : flz_buf_error(ret_text);
}

int content_subject(const struct content_pack *pack, uint32_t scenario, uint64_t seed,
                    struct flz_buf *ret_text)
{
    if (scenario >= pack->n_scenarios)
        return flz_fail(-ERANGE);
    struct speaker speaker;
    speaker_init(&speaker, pack, scenario, seed, SEQUENCE_SUBJECT);
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    say(&speaker, pack->turns[speaker.scenario->first_turn].subject, &text);
    if (flz_buf_error(&text) < 0)
        return flz_buf_error(&text);
    squeeze(&text);
    add_unglued(ret_text, flz_buf_view(&text));
    return flz_buf_error(ret_text);
}

/* A sentence of the pack's own, wrapped; nothing when it comes to nothing. */
static int add_sentence(struct speaker *speaker, struct choice texts, struct flz_buf *ret_text)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    seed_rng(&speaker->rng, 0, SEQUENCE_FACTS);
    say(speaker, texts, &text);
    if (flz_buf_error(&text) < 0)
        return flz_buf_error(&text);
    wrap(&text, ret_text);
    return flz_buf_error(ret_text);
}

int content_footer(const struct content_pack *pack, const char *network, const char *contact,
                   struct flz_buf *ret_text)
{
    struct speaker speaker = {.pack = pack, .network = network, .contact = contact};
    return add_sentence(&speaker, pack->footer, ret_text);
}

int content_attribution(const struct content_pack *pack, const struct content_names *names,
                        struct flz_buf *ret_text)
{
    if (names->to_name[0] == '\0' || names->to_full[0] == '\0')
        return 0;
    struct speaker speaker = {.pack = pack, .names = names};
    return add_sentence(&speaker, pack->attribution, ret_text);
}

/* ---- counting ------------------------------------------------------------------------------- */

static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* Ways to say one text, the facts it mentions apart. Marks those facts in `used`. */
static uint64_t count_text(const struct content_pack *pack, const struct scenario *scenario,
                           struct flz_view text, uint32_t *used)
{
    uint64_t count = 1, members = 1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '|')
            members++;
        if (text.data[i] == ']') {
            count = multiply(count, members);
            members = 1;
        }
        if (text.data[i] != '{')
            continue;
        const uint8_t *name = text.data + i + 1;
        const uint8_t *close = memchr(name, '}', text.len - i - 1);
        const struct slot *slot = content_slot(
            pack, scenario, (struct flz_view){.data = name, .len = (size_t)(close - name)});
        if (slot)
            *used |= 1U << slot->draw;
    }
    return count;
}

static uint64_t count_choice(const struct content_pack *pack, const struct scenario *scenario,
                             struct choice texts, uint32_t *used)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < texts.count; i++)
        count += count_text(pack, scenario, pack->texts[texts.first + i].text, used);
    return count;
}

static uint64_t count_facts(const struct content_pack *pack, const struct scenario *scenario,
                            uint32_t used)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < scenario->n_draws; i++)
        if (used & 1U << i)
            count = multiply(count,
                             content_draw_size(pack, &pack->draws[scenario->first_draw + i]));
    return count;
}

uint64_t content_variants(const struct content_pack *pack, uint32_t scenario, uint32_t step)
{
    if (step >= content_turns(pack, scenario))
        return 0;
    const struct scenario *s = &pack->scenarios[scenario];
    const struct turn *turn = &pack->turns[s->first_turn + step];
    uint32_t used = 0;
    uint64_t count = step == 0 ? count_choice(pack, s, turn->subject, &used) : 1;
    for (uint32_t i = 0; i < turn->n_items; i++) {
        const struct item *item = &pack->items[turn->first_item + i];
        if (item->kind == ITEM_GAP)
            continue;
        uint64_t ways = count_choice(pack, s, item->texts, &used);
        count = multiply(count, ways + (item->kind == ITEM_MAYBE));
    }
    return multiply(count, count_facts(pack, s, used));
}
