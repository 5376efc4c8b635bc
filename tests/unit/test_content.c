#include "tests/unit/content_fixture.h"

#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/content/utf8.h"

#include <errno.h>

#define SEEDS 10000

static const struct content_names names = {"Camille", "Camille Durand", "Paul", "Paul Martin"};
static const struct content_names nobody = {"", "", "", ""};

#define SCENARIO FIXTURE_HEAD "scenario one\nturn\nsubject = S\n"

static void a_pack_is_refused_with_file_and_line(void **state)
{
    static const struct {
        const char *text;
        const char *msg;
    } cases[] = {
        {"", "test.pack:0: language, footer"},
        {"fluenzr-pack 2\n", "test.pack:1: the first line is"},
        {"fluenzr-pack 1\nlanguage = en", "test.pack:2: the last line does not end"},
        {"fluenzr-pack 1\nlanguage = english\n", "test.pack:2: the language is two"},
        {"fluenzr-pack 1\nlanguage = en \n", "test.pack:2: a space at the end"},
        {"fluenzr-pack 1\nlanguage\t= en\n", "test.pack:2: not a line of UTF-8"},
        {"fluenzr-pack 1\nlanguage = \xc3\n", "test.pack:2: not a line of UTF-8"},
        {"fluenzr-pack 1\nlist a = \xe0\x80\xaf\n",
         "test.pack:2: not a line of UTF-8"}, /* overlong */
        {"fluenzr-pack 1\nlist a = \xed\xa0\x80\n", "test.pack:2: not a line of UTF-8"},
        {"fluenzr-pack 1\nlist a = \xf4\x90\x80\x80\n", "test.pack:2: not a line of UTF-8"},
        {"fluenzr-pack 1\nlist a = x\xe2\x80\x8by\n", "test.pack:2: not a line of UTF-8"},
        {"fluenzr-pack 1\nlanguage = en\r\n", "test.pack:2: not a line of UTF-8"},
        {"fluenzr-pack 1\nfooter = see {contact}\nlist x = y\n", "test.pack:2: the footer names"},
        {"fluenzr-pack 1\nsing = la\n", "test.pack:2: unknown keyword 'sing'"},
        {"fluenzr-pack 1\nturn\n", "test.pack:2: 'turn' does not belong"},
        {"fluenzr-pack 1\nlist = a | b\n", "test.pack:2: 'list' needs a name"},
        {"fluenzr-pack 1\nlist Up = a | b\nlist x = y\n", "test.pack:2: a list needs a new name"},
        {"fluenzr-pack 1\nlist a b = c\n", "test.pack:2: too many words"},
        {"fluenzr-pack 1\nlist a = b ||\n", "test.pack:2: an empty text"},
        {"fluenzr-pack 1\nlist a\n", "test.pack:2: 'list' needs '='"},
        {"fluenzr-pack 1\n  | b\n", "test.pack:2: nothing to continue"},
        {"fluenzr-pack 1\nlist a = b\n  c\n", "test.pack:3: an indented line"},
        {"fluenzr-pack 1\nlist a = {x}\nlist b = c\n", "test.pack:2: a value has no slots"},
        {FIXTURE_HEAD, "test.pack:4: a pack without a scenario"},
        {FIXTURE_HEAD "scenario one\n", "test.pack:5: a scenario without a turn"},
        {FIXTURE_HEAD "scenario one\nturn\nline = x\n", "test.pack:6: the first turn needs"},
        {FIXTURE_HEAD "scenario one\nscenario one\n", "test.pack:5: a scenario without"},
        {FIXTURE_HEAD "scenario one\ndraw day = week\nturn\n", "test.pack:6: 'draw' names one"},
        {FIXTURE_HEAD "list l = a\nscenario one\ndraw x = l\ndraw y = l\nturn\n",
         "test.pack:8: list 'l' is too short"},
        {FIXTURE_HEAD "scenario one\nrange n = 5..5\nturn\n", "test.pack:6: a range is"},
        {FIXTURE_HEAD "scenario one\nrange n = 1..99999\nturn\n", "test.pack:6: a range is"},
        {FIXTURE_HEAD "scenario one\npick a b = x ~ y | z\nturn\n", "test.pack:6: 2 parts"},
        {FIXTURE_HEAD "scenario one\npick a = x\npick a = y\nturn\n", "test.pack:7: a slot needs"},
        {FIXTURE_HEAD "scenario one\npick to_name = x\nturn\n", "test.pack:6: a slot needs"},
        {SCENARIO, "test.pack:6: a turn that says nothing"},
        {SCENARIO "gap\n", "test.pack:6: a turn that says nothing"},
        {SCENARIO "line = {nope}\n", "test.pack:8: no slot 'nope'"},
        {SCENARIO "line = a\n  | {contact}\n", "test.pack:9: no slot 'contact'"},
        {SCENARIO "line = {to_name\n", "test.pack:8: '{' without"},
        {SCENARIO "line = to}\n", "test.pack:8: '}' does not belong"},
        {SCENARIO "line = [a|[b]]\n", "test.pack:8: groups"},
        {SCENARIO "line = [a|b\n", "test.pack:8: '[' without"},
        {SCENARIO "line = a ~ b\n", "test.pack:8: '~' does not belong"},
        {SCENARIO "line = a\nsubject = b\n", "test.pack:9: 'subject' a second time"},
        {SCENARIO "line = a\nturn\nsubject = b\n", "test.pack:10: replies keep the subject"},
        {SCENARIO "line = a\nturn\nline = b\nturn\nline = c\nturn\nline = d\nturn\nline = e\n"
                  "turn\nline = f\n",
         "test.pack:17: more than 5 turns"},
        {FIXTURE_HEAD "language = fr\nscenario one\n", "test.pack:5: 'language' a second time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct content_pack *pack = NULL;
        struct flz_msg msg = FLZ_MSG_NULL;
        assert_int_equal(content_parse(flz_view_str(cases[i].text), "test.pack", &pack, &msg),
                         -EINVAL);
        assert_null(pack);
        if (strncmp(msg.text, cases[i].msg, strlen(cases[i].msg)) != 0)
            fail_msg("case %zu: '%s', not '%s'", i, msg.text, cases[i].msg);
    }
}

static void a_pack_above_its_limit_is_refused_unread(void **state)
{
    char *text = malloc(CONTENT_PACK_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, '\n', CONTENT_PACK_BYTES_MAX + 1);
    struct content_pack *pack = NULL;
    struct flz_view view = {.data = (const uint8_t *)text, .len = CONTENT_PACK_BYTES_MAX + 1};
    assert_int_equal(content_parse(view, "test.pack", &pack, NULL), -EFBIG);
    assert_null(pack);
    free(text);
}

static void assert_body(const struct content_pack *pack, uint64_t seed,
                        const struct content_names *who, const char *want)
{
    _cleanup_(flz_buf_deinit) struct flz_buf body = FLZ_BUF_NULL;
    assert_int_equal(content_body(pack, 0, 0, seed, who, &body), 0);
    assert_string_equal(flz_buf_str(&body), want);
}

static void an_unknown_name_takes_its_space_and_its_line_along(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_parse(
        SCENARIO "gap\nline = Hello {to_name},\ngap\nsay = So.\nline = {from_name}\ngap\n");
    assert_body(pack, 1, &names, "Hello Paul,\n\nSo.\nCamille\n");
    assert_body(pack, 1, &nobody, "Hello,\n\nSo.\n");
}

static void paragraphs_are_wrapped_but_not_before_french_marks(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack =
        fixture_parse(SCENARIO "say = Viendriez-vous nous aider \u00e0 d\u00e9placer les tables de "
                               "la salle du fond \u00e0 9_h ?\n"
                               "gap\ngap\nsay = Nous dirions \u00ab un deux trois quatre cinq six "
                               "sept huit neuf dix douze \u00bb : oui.\n");
    assert_body(pack, 1, &nobody,
                "Viendriez-vous nous aider \u00e0 d\u00e9placer les tables de la salle du fond "
                "\u00e0\n9 h ?\n\n"
                "Nous dirions \u00ab un deux trois quatre cinq six sept huit neuf dix\ndouze "
                "\u00bb : oui.\n");
}

static void a_slot_with_a_capital_is_capitalised(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_parse(
        FIXTURE_HEAD "scenario one\npick a b = \u00e9t\u00e9 ~ x y\nturn\nsubject = S\n"
                     "say = {A} {a} {B} {b}.\n");
    assert_body(pack, 1, &nobody, "\u00c9t\u00e9 \u00e9t\u00e9 X y x y.\n");
}

static void two_draws_from_one_list_never_agree(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_parse(
        FIXTURE_HEAD "list l = a | b | c\nscenario one\ndraw x = l\ndraw y = l\ndraw z = l\n"
                     "turn\nsubject = S\nsay = {x}{y}{z}.\n");
    unsigned seen = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        _cleanup_(flz_buf_deinit) struct flz_buf body = FLZ_BUF_NULL;
        assert_int_equal(content_body(pack, 0, 0, seed, &nobody, &body), 0);
        const char *s = flz_buf_str(&body);
        assert_true(s[0] != s[1] && s[1] != s[2] && s[0] != s[2]);
        seen |= 1U << ((s[0] - 'a') * 3 + (s[1] - 'a'));
    }
    assert_int_equal(__builtin_popcount(seen), 6);
}

static void what_is_not_in_the_pack_is_refused(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_pack("en");
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    uint32_t n = content_scenarios(pack);
    assert_int_equal(content_body(pack, n, 0, 1, &names, &text), -ERANGE);
    assert_int_equal(content_body(pack, 0, content_turns(pack, 0), 1, &names, &text), -ERANGE);
    assert_int_equal(content_subject(pack, n, 1, &text), -ERANGE);
    assert_int_equal(content_turns(pack, n), 0);
    assert_int_equal(content_variants(pack, n, 0), 0);
    assert_int_equal(text.len, 0);
}

static void the_pack_is_named_by_its_bytes(void **state)
{
    static const char text[] = SCENARIO "line = x\n";
    _cleanup_(content_freep) struct content_pack *pack = fixture_parse(text);
    assert_true(flz_digest_equal(content_id(pack), flz_digest_of(flz_view_str(text))));
    assert_string_equal(content_language(pack), "en");
}

static void keep_finding(void *userdata, uint32_t line, const char *text)
{
    flz_buf_printf(userdata, "%u: %s\n", line, text);
}

static void the_lint_sees_what_an_editor_would(void **state)
{
    static const char *const wanted[] = {
        "1: fewer than 8 scenarios",
        "capitals in 'GREAT'",
        "'http' in a text",
        "'!!' in a text",
        "'free' belongs to selling",
        "begins with a capital",
        "ends with . ? ! or :",
        "fewer than 3 turns",
        "first messages, below 10000",
        "nothing mentions this draw",
        "'Re:' in a text",
        "the same text twice",
        "two spaces in a row",
        "can be said as '",
    };
    _cleanup_(content_freep) struct content_pack *pack = fixture_parse(
        FIXTURE_HEAD "scenario one\npick a = x | y\nturn\nsubject = Re: this\n"
                     "say = A GREAT thing!! | See http for free. | no capital. | No end\n"
                     "say = Twice. | Twice. | Two  spaces. | Good [|day] .\n");
    _cleanup_(flz_buf_deinit) struct flz_buf findings = FLZ_BUF_NULL;
    assert_true(content_lint(pack, keep_finding, &findings) >= 13);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(flz_buf_str(&findings), wanted[i]))
            fail_msg("'%s' not among\n%s", wanted[i], flz_buf_str(&findings));
}

static void the_lint_sees_long_lines_subjects_and_bodies(void **state)
{
    char word[100], text[4096];
    memset(word, 'o', sizeof word);
    word[90] = '\0';
    (void)snprintf(text, sizeof text, SCENARIO "say = O%s.\nturn\nsay = Oo.\nturn\n", word);
    for (int i = 0; i < 9; i++) {
        size_t n = strlen(text);
        (void)snprintf(text + n, sizeof text - n, "say = O%s o%s.\n", word, word);
    }
    char *subject = strstr(text, "= S\n");
    memmove(subject + 92, subject + 3, strlen(subject + 3) + 1);
    memcpy(subject + 2, word, 90);
    _cleanup_(content_freep) struct content_pack *pack = fixture_parse(text);
    _cleanup_(flz_buf_deinit) struct flz_buf findings = FLZ_BUF_NULL;
    assert_true(content_lint(pack, keep_finding, &findings) > 0);
    assert_non_null(strstr(flz_buf_str(&findings), "a line of 92 columns"));
    assert_non_null(strstr(flz_buf_str(&findings), "a subject above 70 columns"));
    assert_non_null(strstr(flz_buf_str(&findings), "a body of 1"));
}

static void the_shipped_packs_pass_the_lint(void **state)
{
    static const char *const languages[] = {"fr", "en"};
    for (size_t i = 0; i < 2; i++) {
        _cleanup_(content_freep) struct content_pack *pack = fixture_pack(languages[i]);
        _cleanup_(flz_buf_deinit) struct flz_buf findings = FLZ_BUF_NULL;
        assert_string_equal(content_language(pack), languages[i]);
        assert_true(content_scenarios(pack) >= 10);
        if (content_lint(pack, keep_finding, &findings) != 0)
            fail_msg("%s.pack:\n%s", languages[i], flz_buf_str(&findings));
    }
}

/* What must hold for every text a member may get. */
static void check_rendering(const char *body)
{
    assert_true(body[0] != '\n' && body[0] != '\0');
    assert_null(strstr(body, "\n\n\n"));
    assert_null(strpbrk(body, "{}[]|~_\x01"));
    assert_null(strstr(body, " \n"));
    assert_null(strstr(body, "  "));
    assert_null(strstr(body, " ,"));
    assert_null(strstr(body, " ."));
    size_t len = strlen(body);
    assert_true(len >= 2 && body[len - 1] == '\n' && body[len - 2] != '\n');
    for (const char *line = body; *line;) {
        struct flz_view view = {.data = (const uint8_t *)line, .len = strcspn(line, "\n")};
        assert_true(utf8_is_line(view));
        assert_true(utf8_columns(view) <= CONTENT_COLUMNS_MAX);
        line += view.len + 1;
    }
}

static void add_if_new(struct flz_map *map, struct flz_buf *text, uint32_t *distinct)
{
    struct flz_digest digest = flz_digest_of(flz_buf_view(text));
    struct flz_id id;
    memcpy(id.b, digest.b, sizeof id.b);
    if (flz_map_get(map, id) != FLZ_MAP_NONE)
        return;
    ++*distinct;
    assert_int_equal(flz_map_set(map, id, 1), 0);
}

static void check_scenario(const struct content_pack *pack, uint32_t scenario)
{
    _cleanup_(flz_map_deinit) struct flz_map seen = FLZ_MAP_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    uint32_t distinct = 0, turns = content_turns(pack, scenario);
    assert_true(turns >= 3 && turns <= CONTENT_TURNS_MAX);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const struct content_names *who = seed % 2 ? &names : &nobody;
        flz_buf_reset(&text);
        assert_int_equal(content_body(pack, scenario, 0, seed, who, &text), 0);
        check_rendering(flz_buf_str(&text));
        add_if_new(&seen, &text, &distinct);

        flz_buf_reset(&text);
        uint32_t step = 1 + (uint32_t)(seed % (turns - 1));
        assert_int_equal(content_body(pack, scenario, step, seed, who, &text), 0);
        check_rendering(flz_buf_str(&text));
    }
    /* Of that many draws, hardly two agree: there are far more texts than seeds here. */
    assert_true(distinct > SEEDS * 99 / 100);
    assert_true(content_variants(pack, scenario, 0) > CONTENT_VARIANTS_MIN);
}

static void ten_thousand_seeds_give_distinct_clean_texts(void **state)
{
    static const char *const languages[] = {"fr", "en"};
    for (size_t i = 0; i < 2; i++) {
        _cleanup_(content_freep) struct content_pack *pack = fixture_pack(languages[i]);
        for (uint32_t scenario = 0; scenario < content_scenarios(pack); scenario++)
            check_scenario(pack, scenario);
    }
}

/* Facts belong to the conversation: the reply speaks of the day the first message named. */
static void all_turns_of_a_conversation_share_their_facts(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_parse(
        FIXTURE_HEAD "list day = one | two | three | four\nscenario s\ndraw d = day\n"
                     "range n = 1..500\nturn\nsubject = {d} {n}\nsay = {d} {n}\nturn\nmaybe = x.\n"
                     "say = {d} {n}\n");
    for (uint64_t seed = 0; seed < 100; seed++) {
        _cleanup_(flz_buf_deinit) struct flz_buf first = FLZ_BUF_NULL, reply = FLZ_BUF_NULL,
                                                 subject = FLZ_BUF_NULL;
        assert_int_equal(content_body(pack, 0, 0, seed, &nobody, &first), 0);
        assert_int_equal(content_body(pack, 0, 1, seed, &nobody, &reply), 0);
        assert_int_equal(content_subject(pack, 0, seed, &subject), 0);
        assert_non_null(strstr(flz_buf_str(&reply), flz_buf_str(&first)));
        assert_non_null(strstr(flz_buf_str(&first), flz_buf_str(&subject)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pack_is_refused_with_file_and_line),
        cmocka_unit_test(a_pack_above_its_limit_is_refused_unread),
        cmocka_unit_test(an_unknown_name_takes_its_space_and_its_line_along),
        cmocka_unit_test(paragraphs_are_wrapped_but_not_before_french_marks),
        cmocka_unit_test(a_slot_with_a_capital_is_capitalised),
        cmocka_unit_test(two_draws_from_one_list_never_agree),
        cmocka_unit_test(what_is_not_in_the_pack_is_refused),
        cmocka_unit_test(the_pack_is_named_by_its_bytes),
        cmocka_unit_test(the_lint_sees_what_an_editor_would),
        cmocka_unit_test(the_lint_sees_long_lines_subjects_and_bodies),
        cmocka_unit_test(the_shipped_packs_pass_the_lint),
        cmocka_unit_test(ten_thousand_seeds_give_distinct_clean_texts),
        cmocka_unit_test(all_turns_of_a_conversation_share_their_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
