#include "tests/unit/content_fixture.h"

#include "node/core/compose.h"

#include <errno.h>

#define SEEDS 1000

static struct flz_address address(const char *text)
{
    struct flz_address parsed;
    assert_int_equal(flz_address_parse(text, &parsed), 0);
    return parsed;
}

/* A conversation between two people of which each test changes what it is about. */
struct talk {
    struct flz_address camille, paul;
    struct message_parent parent;
    struct compose_input input;
};

static void talk_init(struct talk *talk, const struct content_pack *pack, uint32_t step)
{
    memset(talk, 0, sizeof *talk);
    talk->camille = address("camille.durand@exemple.fr");
    talk->paul = address("paul.martin@example.org");
    strcpy(talk->parent.message_id, "parent@example.org");
    strcpy(talk->parent.references[0], "first@exemple.fr");
    talk->parent.n_references = 1;
    talk->input = (struct compose_input){
        .pack = pack,
        .step = step,
        .seed = 42,
        .from = step % 2 ? &talk->paul : &talk->camille,
        .to = step % 2 ? &talk->camille : &talk->paul,
        .message_id = "this@exemple.fr",
        .parent = step > 0 ? &talk->parent : NULL,
        .date_ms = INT64_C(1790000000000),
        .utc_offset_minutes = 120,
        .quote = true,
        .footer = true,
        .network = "Essai",
        .contact = "contact@example.net",
    };
}

static void a_message_id_is_keyed_and_of_the_sender(void **state)
{
    char id[XHEADER_MESSAGE_ID_MAX], other[XHEADER_MESSAGE_ID_MAX];
    uint8_t key[32];
    struct flz_id task;
    memset(key, 'k', sizeof key);
    for (uint8_t i = 0; i < 16; i++)
        task.b[i] = i;
    xheader_message_id_of((struct flz_view){key, sizeof key}, task, "exemple.fr", id);
    /* From another implementation of BLAKE2b. */
    assert_string_equal(id, "pk5kucshs7dmquic5zk54wivxmvikoov@exemple.fr");
    assert_true(xheader_message_id_is_valid(id));
    key[0] ^= 1;
    xheader_message_id_of((struct flz_view){key, sizeof key}, task, "exemple.fr", other);
    assert_string_not_equal(id, other);
}

static void names_are_read_from_addresses_or_left_out(void **state)
{
    static const char *const cases[][3] = {
        {"camille.durand@x.fr", "Camille Durand", "Camille"},
        {"CAMILLE.DURAND@x.fr", "Camille Durand", "Camille"},
        {"jean-pierre.o'neil@x.fr", "Jean-Pierre O'Neil", "Jean-Pierre"},
        {"anne_marie.le@x.fr", "Anne Marie Le", "Anne"},
        {"camille.durand+test@x.fr", "Camille Durand", "Camille"},
        {"camille.durand75@x.fr", "Camille Durand", "Camille"},
        {"camille@x.fr", "Camille", "Camille"},
        {"christine@x.fr", "Christine", "Christine"},
        {"mdupont@x.fr", "", ""}, /* rather no name than a wrong one */
        {"brigitte@x.fr", "Brigitte", "Brigitte"},
        {"camille2@x.fr", "Camille", "Camille"},
        {"cdurand@x.fr", "", ""},
        {"c.durand@x.fr", "", ""},
        {"camille.d@x.fr", "", ""},
        {"x7k2@x.fr", "", ""},
        {"camille.12345@x.fr", "", ""},
        {"team.north@x.fr", "", ""},
        {"user12@x.fr", "", ""},
        {"compta@x.fr", "", ""},
        {"a.b.c.d@x.fr", "", ""},
        {"anne.marie.de.la.tour@x.fr", "", ""},
        {"hh.kk@x.fr", "", ""},
        {"camille%durand@x.fr", "", ""},
        {"12@x.fr", "", ""},
        {"jo@x.fr", "", ""},
        {"abcdefghijklmnopqrstuvwxyz.durand@x.fr", "", ""},
        {"abcdefghijklmnopqrst.abcdefghijklmnopqrst.abcdefghijklmnopqrst@x.fr",
         "Abcdefghijklmnopqrst Abcdefghijklmnopqrst Abcdefghijklmnopqrst", "Abcdefghijklmnopqrst"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char full[MESSAGE_NAME_MAX], given[MESSAGE_NAME_MAX];
        struct flz_address who = address(cases[i][0]);
        compose_names_of(&who, full, given);
        assert_string_equal(full, cases[i][1]);
        assert_string_equal(given, cases[i][2]);
    }
}

static void a_first_message_starts_a_thread(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_pack("fr");
    struct talk talk;
    struct message_fields fields;
    talk_init(&talk, pack, 0);
    assert_int_equal(compose_message(&talk.input, &fields, NULL), 0);
    assert_string_equal(fields.from.text, "camille.durand@exemple.fr");
    assert_string_equal(fields.to_name, "Paul Martin");
    assert_string_equal(fields.auto_submitted, "auto-generated");
    assert_string_equal(fields.in_reply_to, "");
    assert_int_equal(fields.n_references, 0);
    assert_string_equal(fields.x_fluenzr, "");
    assert_null(strstr(fields.subject, "Re:"));
    assert_non_null(strstr(fields.body,
                           "\nCamille\n\n\u00c9change automatique entre membres consentants du "
                           "r\u00e9seau Essai ; pour\narr\u00eater : contact@example.net\n"));
}

static void a_reply_answers_its_parent_once(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_pack("en");
    struct talk talk;
    struct message_fields first, fields;
    talk_init(&talk, pack, 0);
    assert_int_equal(compose_message(&talk.input, &first, NULL), 0);
    for (uint32_t step = 1; step < 3; step++) {
        talk_init(&talk, pack, step);
        assert_int_equal(compose_message(&talk.input, &fields, NULL), 0);
        assert_string_equal(fields.auto_submitted, "auto-replied");
        assert_memory_equal(fields.subject, "Re: ", 4);
        assert_string_equal(fields.subject + 4, first.subject);
        assert_string_equal(fields.in_reply_to, "parent@example.org");
        assert_int_equal(fields.n_references, 2);
        assert_string_equal(fields.references[0], "first@exemple.fr");
        assert_string_equal(fields.references[1], "parent@example.org");
    }
}

static void the_newest_references_are_kept(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_pack("en");
    struct talk talk;
    struct message_fields fields;
    talk_init(&talk, pack, 1);
    for (char id[] = "a@x"; id[0] <= 'j'; id[0]++)
        message_parent_add(&talk.parent, flz_view_str(id));
    message_parent_add(&talk.parent, flz_view_str("j@x"));
    message_parent_add(&talk.parent, flz_view_str("not an id"));
    message_parent_add(&talk.parent, (struct flz_view){(const uint8_t *)"k\0@x", 4});
    message_parent_add(&talk.parent, FLZ_VIEW_NULL);
    assert_int_equal(talk.parent.n_references, MESSAGE_REFERENCES_MAX);
    assert_string_equal(talk.parent.references[MESSAGE_REFERENCES_MAX - 1], "j@x");
    assert_int_equal(compose_message(&talk.input, &fields, NULL), 0);
    assert_int_equal(fields.n_references, MESSAGE_REFERENCES_MAX);
    assert_string_equal(fields.references[0], "d@x");
    assert_string_equal(fields.references[MESSAGE_REFERENCES_MAX - 1], "parent@example.org");
}

/* The quotation's lines stand in the parent as it was sent; at most five. */
static bool check_quote(const char *body, const char *parent)
{
    int lines = 0;
    for (const char *line = body; *line; line += strcspn(line, "\n") + 1) {
        if (strncmp(line, "> ", 2) != 0)
            continue;
        char quoted[256];
        (void)snprintf(quoted, sizeof quoted, "%.*s", (int)strcspn(line + 2, "\n"), line + 2);
        if (strcmp(quoted, "[...]") != 0)
            assert_non_null(strstr(parent, quoted));
        lines++;
    }
    assert_true(lines <= 5);
    return lines > 0;
}

static void half_of_the_replies_quote_what_was_said(void **state)
{
    static const char *const languages[] = {"fr", "en"};
    for (size_t i = 0; i < 2; i++) {
        _cleanup_(content_freep) struct content_pack *pack = fixture_pack(languages[i]);
        int quotes = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct talk talk;
            struct message_fields parent, reply;
            talk_init(&talk, pack, 0);
            talk.input.seed = seed;
            talk.input.scenario = (uint32_t)(seed % content_scenarios(pack));
            assert_int_equal(compose_message(&talk.input, &parent, NULL), 0);
            uint32_t scenario = talk.input.scenario;
            talk_init(&talk, pack, 1);
            talk.input.seed = seed;
            talk.input.scenario = scenario;
            assert_int_equal(compose_message(&talk.input, &reply, NULL), 0);
            quotes += check_quote(reply.body, parent.body);
            talk.input.quote = false;
            assert_int_equal(compose_message(&talk.input, &reply, NULL), 0);
            assert_null(strstr(reply.body, "> "));
        }
        assert_in_range(quotes, SEEDS * 4 / 10, SEEDS * 6 / 10);
    }
}

static void a_quotation_that_does_not_fit_is_left_out(void **state)
{
    char text[8192];
    (void)snprintf(text, sizeof text,
                   FIXTURE_HEAD "scenario s\nturn\nsubject = S\nline = Hi,\ngap\n");
    for (int i = 0; i < 4; i++)
        strcat(text,
               "say = Quoted words that fill a line of the message up to its very end, yes.\n");
    strcat(text, "turn\n");
    for (int i = 0; i < 27; i++)
        strcat(text,
               "line = Another line of the answer that is as long as lines of mail may get.\n");
    _cleanup_(content_freep) struct content_pack *pack = fixture_parse(text);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct talk talk;
        struct message_fields fields;
        talk_init(&talk, pack, 1);
        talk.input.seed = seed;
        assert_int_equal(compose_message(&talk.input, &fields, NULL), 0);
        assert_null(strstr(fields.body, "> "));
        assert_non_null(strstr(fields.body, "see contact@example.net\n"));
    }
}

static void a_text_above_the_limit_is_refused(void **state)
{
    char text[8192];
    (void)snprintf(text, sizeof text, FIXTURE_HEAD "scenario s\nturn\nsubject = S\n");
    for (int i = 0; i < 30; i++)
        strcat(text,
               "line = Another line of the letter that is as long as lines of mail may get.\n");
    _cleanup_(content_freep) struct content_pack *pack = fixture_parse(text);
    struct talk talk;
    struct message_fields fields;
    struct flz_msg msg = FLZ_MSG_NULL;
    talk_init(&talk, pack, 0);
    assert_int_equal(compose_message(&talk.input, &fields, &msg), -EMSGSIZE);
    assert_string_equal(msg.text, "text above the limits");
}

static void the_same_task_gives_the_same_message(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_pack("fr");
    _cleanup_(content_freep) struct content_pack *copy = fixture_pack("fr");
    for (uint32_t step = 0; step < 3; step++) {
        struct talk talk;
        struct message_fields one, two;
        memset(&one, 1, sizeof one);
        memset(&two, 2, sizeof two);
        talk_init(&talk, pack, step);
        assert_int_equal(compose_message(&talk.input, &one, NULL), 0);
        talk.input.pack = copy;
        assert_int_equal(compose_message(&talk.input, &two, NULL), 0);
        assert_memory_equal(&one, &two, sizeof one);
    }
}

static void what_must_not_stand_in_a_message_is_refused(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_pack("en");
    for (int i = 0; i < 14; i++) {
        struct talk talk;
        struct message_fields fields;
        struct flz_msg msg = FLZ_MSG_NULL;
        talk_init(&talk, pack, i % 2);
        switch (i) {
        case 0: talk.input.message_id = "a@b\r\nBcc: x@y"; break;
        case 1: strcpy(talk.parent.message_id, "a b@c"); break;
        case 2: talk.input.parent = &talk.parent; break;
        case 3: talk.input.parent = NULL; break;
        case 4: talk.input.network = "one\ntwo"; break;
        case 5: talk.input.contact = ""; break;
        case 6: talk.input.contact = NULL; break;
        case 7: talk.input.utc_offset_minutes = 15 * 60; break;
        case 8: talk.input.date_ms = -1; break;
        case 9: talk.input.date_ms = INT64_MAX; break;
        case 10: talk.input.network = "\xff"; break;
        case 11: talk.parent.n_references = MESSAGE_REFERENCES_MAX + 1; break;
        case 12: talk.input.message_id = ""; break;
        default: talk.input.network = "left \u202e right"; break;
        }
        assert_int_equal(compose_message(&talk.input, &fields, &msg), -EINVAL);
        assert_true(msg.text[0] != '\0');
    }
    struct talk talk;
    struct message_fields fields;
    talk_init(&talk, pack, 0);
    talk.input.scenario = content_scenarios(pack);
    assert_int_equal(compose_message(&talk.input, &fields, NULL), -ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_id_is_keyed_and_of_the_sender),
        cmocka_unit_test(names_are_read_from_addresses_or_left_out),
        cmocka_unit_test(a_first_message_starts_a_thread),
        cmocka_unit_test(a_reply_answers_its_parent_once),
        cmocka_unit_test(the_newest_references_are_kept),
        cmocka_unit_test(half_of_the_replies_quote_what_was_said),
        cmocka_unit_test(a_quotation_that_does_not_fit_is_left_out),
        cmocka_unit_test(a_text_above_the_limit_is_refused),
        cmocka_unit_test(the_same_task_gives_the_same_message),
        cmocka_unit_test(what_must_not_stand_in_a_message_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
