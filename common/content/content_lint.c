#include "common/base/text.h"
#include "common/content/content_pack.h"
#include "common/content/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SCENARIOS_MIN 8
#define TURNS_MIN 3
#define SUBJECT_COLUMNS_MAX 70
#define CAPITALS_MAX 2
/* Renderings looked at per step, besides each text on its own. */
#define SAMPLES 200
/* Room that a quotation and the footer need in a body of CONTENT_BODY_MAX. */
#define OWN_BODY_MAX 1300

struct review {
    const struct content_pack *pack;
    void (*on_finding)(void *userdata, uint32_t line, const char *text);
    void *userdata;
    int findings;
};

__attribute__((format(printf, 3, 4)))
static void find(struct review *review, uint32_t line, const char *format, ...)
{
    char text[FLZ_MSG_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    review->findings++;
    review->on_finding(review->userdata, line, text);
}

/* What makes readers and postmasters distrust a text, wherever it stands in it. */
static const char *const suspect_pieces[] = {
    "http", "www.", "://", "@",    "<",   ">",   "!!",  "??",  "?!", "...", "Re:", "RE:", "Fwd:",
    "Tr:",  "$",    "%",   "\u20ac", "\u00a3", "*", "#", ".com", ".fr", ".net", "&",   " ,",  " .",
};

/* Words of selling, as whole words, lower case. */
static const char *const suspect_words[] = {
    "free",      "offer",    "offers",  "discount", "buy",        "click",    "winner",
    "prize",     "cash",     "cheap",   "urgent",   "guarantee",  "guaranteed", "sale",
    "sales",     "deal",     "deals",   "promo",    "promotion",  "subscribe", "unsubscribe",
    "credit",    "loan",     "casino",  "bonus",    "earn",       "income",   "gratuit",
    "gratuite",  "gratuitement", "offre", "offres", "remise",     "cliquez",  "gagnez",
    "gagner",    "argent",   "soldes",  "achetez",  "acheter",    "abonnez",  "garantie",
    "garanti",   "rabais",   "prix",    "viagra",   "crypto",     "bitcoin",
};

static bool is_word_byte(uint8_t c)
{
    char lower = flz_ascii_lower((char)c);
    return (lower >= 'a' && lower <= 'z') || c >= 0x80;
}

static void review_word(struct review *review, const struct text *text, const uint8_t *word,
                        size_t len)
{
    char lower[32];
    size_t capitals = 0;
    for (size_t i = 0; i < len; i++)
        capitals += word[i] >= 'A' && word[i] <= 'Z';
    if (capitals > CAPITALS_MAX)
        find(review, text->line, "capitals in '%.*s'", (int)len, (const char *)word);
    if (len >= sizeof lower)
        return;
    memcpy(lower, word, len);
    lower[len] = '\0';
    flz_ascii_lower_str(lower);
    for (size_t i = 0; i < sizeof suspect_words / sizeof *suspect_words; i++)
        if (strcmp(lower, suspect_words[i]) == 0)
            find(review, text->line, "'%s' belongs to selling", lower);
}

static void review_text(struct review *review, const struct text *text)
{
    struct flz_view view = text->text;
    for (size_t i = 0; i < sizeof suspect_pieces / sizeof *suspect_pieces; i++)
        if (memmem(view.data, view.len, suspect_pieces[i], strlen(suspect_pieces[i])))
            find(review, text->line, "'%s' in a text", suspect_pieces[i]);
    if (memmem(view.data, view.len, "  ", 2))
        find(review, text->line, "two spaces in a row");
    for (size_t i = 0; i < view.len;) {
        size_t n = 0;
        while (i + n < view.len && is_word_byte(view.data[i + n]))
            n++;
        if (n > 0)
            review_word(review, text, view.data + i, n);
        i += n + 1;
    }
}

/* A text opens with a capital (Latin-1 included), a figure, a mark, a person, or a slot or group
 * that has one. */
static bool opens_well(struct flz_view text)
{
    bool inside = (text.data[0] == '{' || text.data[0] == '[') && text.len > 1;
    const uint8_t *c = text.data + inside;
    size_t left = text.len - inside;
    if ((left > 5 && memcmp(c, "from_", 5) == 0) || (left > 3 && memcmp(c, "to_", 3) == 0))
        return true;
    if (c[0] == 0xc3 && left > 1)
        return c[1] < 0xa0;
    return !(c[0] >= 'a' && c[0] <= 'z');
}

static bool closes_well(struct flz_view text)
{
    return strchr(".?!:])}", text.data[text.len - 1]) != NULL;
}

static void review_sentences(struct review *review, struct choice texts, bool closes)
{
    for (uint32_t i = 0; i < texts.count; i++) {
        const struct text *text = &review->pack->texts[texts.first + i];
        if (!opens_well(text->text))
            find(review, text->line, "a sentence begins with a capital");
        if (closes && !closes_well(text->text))
            find(review, text->line, "a sentence ends with . ? ! or :");
        for (uint32_t j = 0; j < i; j++)
            if (flz_view_equal(text->text, review->pack->texts[texts.first + j].text))
                find(review, text->line, "the same text twice");
    }
}

static void on_texts(struct review *review, struct choice texts, const struct scenario *scenario,
                     uint32_t *used)
{
    for (uint32_t i = 0; i < texts.count; i++) {
        struct flz_view text = review->pack->texts[texts.first + i].text;
        for (size_t at = 0; at < text.len; at++) {
            const uint8_t *name = text.data + at + 1;
            const uint8_t *close =
                text.data[at] == '{' ? memchr(name, '}', text.len - at - 1) : NULL;
            if (!close)
                continue;
            const struct slot *slot =
                content_slot(review->pack, scenario,
                             (struct flz_view){.data = name, .len = (size_t)(close - name)});
            if (slot)
                *used |= 1U << slot->draw;
        }
    }
}

static void review_draws(struct review *review, const struct scenario *scenario)
{
    uint32_t used = 0;
    for (uint32_t t = 0; t < scenario->n_turns; t++) {
        const struct turn *turn = &review->pack->turns[scenario->first_turn + t];
        on_texts(review, turn->subject, scenario, &used);
        for (uint32_t i = 0; i < turn->n_items; i++)
            on_texts(review, review->pack->items[turn->first_item + i].texts, scenario, &used);
    }
    for (uint32_t i = 0; i < scenario->n_draws; i++)
        if (!(used & 1U << i))
            find(review, review->pack->draws[scenario->first_draw + i].line,
                 "nothing mentions this draw");
}

static void review_turn(struct review *review, const struct turn *turn)
{
    review_sentences(review, turn->subject, false);
    for (uint32_t i = 0; i < turn->n_items; i++) {
        const struct item *item = &review->pack->items[turn->first_item + i];
        review_sentences(review, item->texts, item->kind != ITEM_LINE);
    }
}

/* Reads a rendering line by line; false once something was found in it. */
static bool review_rendering(struct review *review, uint32_t line, struct flz_buf *body)
{
    int before = review->findings;
    if (body->len > OWN_BODY_MAX)
        find(review, line, "a body of %zu bytes; quotation and footer need their room", body->len);
    for (const char *p = flz_buf_str(body); *p && review->findings == before;) {
        size_t n = strcspn(p, "\n");
        struct flz_view view = {.data = (const uint8_t *)p, .len = n};
        if (utf8_columns(view) > CONTENT_COLUMNS_MAX)
            find(review, line, "a line of %zu columns", utf8_columns(view));
        if (memmem(p, n, " ,", 2) || memmem(p, n, " .", 2) || memmem(p, n, "..", 2))
            find(review, line, "can be said as '%.*s'", (int)n, p);
        p += n + 1;
    }
    return review->findings == before;
}

static int review_samples(struct review *review, uint32_t scenario, uint32_t step)
{
    static const struct content_names known = {"Alexandra", "Alexandra Charbonneau", "Dominique",
                                               "Dominique Vandenbroucke"};
    static const struct content_names unknown = {"", "", "", ""};
    const struct scenario *s = &review->pack->scenarios[scenario];
    uint32_t line = review->pack->turns[s->first_turn + step].line;
    bool clean = true;
    for (uint64_t seed = 0; seed < SAMPLES && clean; seed++) {
        _cleanup_(flz_buf_deinit) struct flz_buf body = FLZ_BUF_NULL;
        int r = content_body(review->pack, scenario, step, seed, seed % 2 ? &known : &unknown,
                             &body);
        if (r < 0)
            return r;
        clean = review_rendering(review, line, &body);
    }
    return 0;
}

static int review_subjects(struct review *review, uint32_t scenario)
{
    uint32_t line = review->pack->scenarios[scenario].line;
    for (uint64_t seed = 0; seed < SAMPLES; seed++) {
        _cleanup_(flz_buf_deinit) struct flz_buf subject = FLZ_BUF_NULL;
        int r = content_subject(review->pack, scenario, seed, &subject);
        if (r < 0)
            return r;
        if (utf8_columns(flz_buf_view(&subject)) <= SUBJECT_COLUMNS_MAX)
            continue;
        find(review, line, "a subject above %d columns: '%s'", SUBJECT_COLUMNS_MAX,
             flz_buf_str(&subject));
        break;
    }
    return 0;
}

static int review_scenario(struct review *review, uint32_t index)
{
    const struct scenario *scenario = &review->pack->scenarios[index];
    uint64_t variants = content_variants(review->pack, index, 0);
    if (scenario->n_turns < TURNS_MIN)
        find(review, scenario->line, "fewer than %d turns", TURNS_MIN);
    if (variants < CONTENT_VARIANTS_MIN)
        find(review, scenario->line, "only %" PRIu64 " first messages, below %d", variants,
             CONTENT_VARIANTS_MIN);
    review_draws(review, scenario);

    int r = review_subjects(review, index);
    for (uint32_t step = 0; r == 0 && step < scenario->n_turns; step++) {
        review_turn(review, &review->pack->turns[scenario->first_turn + step]);
        r = review_samples(review, index, step);
    }
    return r;
}

int content_lint(const struct content_pack *pack,
                 void (*on_finding)(void *userdata, uint32_t line, const char *text),
                 void *userdata)
{
    struct review review = {.pack = pack, .on_finding = on_finding, .userdata = userdata};
    if (pack->n_scenarios < SCENARIOS_MIN)
        find(&review, 1, "fewer than %d scenarios", SCENARIOS_MIN);
    for (size_t i = 0; i < pack->n_texts; i++)
        review_text(&review, &pack->texts[i]);
    for (uint32_t i = 0; i < pack->n_scenarios; i++) {
        int r = review_scenario(&review, i);
        if (r < 0)
            return r;
    }
    return review.findings;
}
