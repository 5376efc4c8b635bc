/*
 * What each folder is for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/cleanup.h"
#include "node/core/folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void add(struct folder_list *list, const char *name, char delimiter, uint32_t attributes)
{
    struct imap_list response = {.attributes = attributes, .delimiter = delimiter};
    (void)snprintf(response.name, sizeof response.name, "%s", name);
    assert_int_equal(folder_list_add(list, &response), 0);
}

static const char *name_of(const struct folder_list *list, enum folder_role role)
{
    uint32_t i = folder_list_find(list, role);
    return i == FOLDER_NONE ? "" : list->folders[i].name;
}

static void attributes_win_over_names(void **state)
{
    (void)state;
    _cleanup_(folder_list_deinit) struct folder_list list = FOLDER_LIST_NULL;
    add(&list, "inbox", '/', 0);
    add(&list, "Spam", '/', 0);
    add(&list, "Werkkamer", '/', IMAP_ATTR_JUNK);
    add(&list, "Trash", '/', IMAP_ATTR_NOSELECT);
    add(&list, "Sent", '/', 0);
    add(&list, "Everything", '/', IMAP_ATTR_ALL);
    assert_int_equal(folder_list_settle(&list, "FluenzR"), 0);
    assert_string_equal(name_of(&list, FOLDER_INBOX), "inbox");
    assert_string_equal(name_of(&list, FOLDER_JUNK), "Werkkamer");
    assert_int_equal(list.folders[1].role, FOLDER_OTHER);
    assert_string_equal(name_of(&list, FOLDER_SENT), "Sent");
    assert_string_equal(name_of(&list, FOLDER_TRASH), "");
    assert_string_equal(name_of(&list, FOLDER_ALL), "Everything");
    assert_string_equal(list.own, "FluenzR");
}

static void names_are_known_in_many_languages(void **state)
{
    (void)state;
    static const char *const junk[] = {"Junk",
                                       "SPAM",
                                       "Junk Email",
                                       "Junk E-mail",
                                       "Bulk Mail",
                                       "Courrier indésirable",
                                       "INDÉSIRABLES",
                                       "Pourriel",
                                       "Spamverdacht",
                                       "Correo no deseado",
                                       "Posta indesiderata",
                                       "Skräppost",
                                       "Спам",
                                       "НЕЖЕЛАТЕЛЬНАЯ ПОЧТА",
                                       "迷惑メール",
                                       "Lixo Eletrônico"};
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++)
        assert_int_equal(folder_role_of_name(junk[i]), FOLDER_JUNK);
    assert_int_equal(folder_role_of_name("Éléments envoyés"), FOLDER_SENT);
    assert_int_equal(folder_role_of_name("Gelöschte Elemente"), FOLDER_TRASH);
    assert_int_equal(folder_role_of_name("WYSŁANE"), FOLDER_SENT);
    assert_int_equal(folder_role_of_name("Junkyard plans"), FOLDER_OTHER);
    assert_int_equal(folder_role_of_name(""), FOLDER_OTHER);
}

static void prefix_and_delimiter_are_the_servers(void **state)
{
    (void)state;
    _cleanup_(folder_list_deinit) struct folder_list list = FOLDER_LIST_NULL;
    add(&list, "INBOX", '.', 0);
    add(&list, "INBOX.Courrier ind&AOk-sirable", '.', 0);
    add(&list, "INBOX.Clients.Spam", '.', 0);
    add(&list, "INBOX.FluenzR", '.', 0);
    add(&list, "Shared.Junk", '.', 0);
    list.namespace = (struct imap_namespace){
        .prefix = "INBOX.", .delimiter = '.', .foreign = {"Shared."}, .n_foreign = 1};
    assert_int_equal(folder_list_settle(&list, "FluenzR"), 0);
    assert_string_equal(name_of(&list, FOLDER_JUNK), "INBOX.Courrier ind&AOk-sirable");
    assert_int_equal(list.folders[2].role, FOLDER_OTHER); /* somebody's own folder */
    assert_string_equal(name_of(&list, FOLDER_OWN), "INBOX.FluenzR");
    assert_false(list.folders[4].selectable);
}

static void without_namespace_the_prefix_is_seen(void **state)
{
    (void)state;
    _cleanup_(folder_list_deinit) struct folder_list list = FOLDER_LIST_NULL;
    add(&list, "INBOX", '.', 0);
    add(&list, "INBOX.Spam", '.', 0);
    add(&list, "INBOX.Sent", '.', 0);
    assert_int_equal(folder_list_settle(&list, "Échanges"), 0);
    assert_string_equal(list.own, "INBOX.&AMk-changes");
    assert_string_equal(name_of(&list, FOLDER_JUNK), "INBOX.Spam");

    folder_list_reset(&list);
    add(&list, "INBOX", '/', 0);
    add(&list, "INBOX/Spam", '/', 0);
    add(&list, "Archive", '/', 0);
    add(&list, "[Gmail]/Corbeille", '/', 0);
    assert_int_equal(folder_list_settle(&list, "FluenzR"), 0);
    assert_string_equal(list.own, "FluenzR");
    assert_string_equal(name_of(&list, FOLDER_JUNK), "INBOX/Spam");
    assert_string_equal(name_of(&list, FOLDER_TRASH), "[Gmail]/Corbeille");
}

static void impossible_own_names_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a.b", "a*", "a\r\nb", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        _cleanup_(folder_list_deinit) struct folder_list list = FOLDER_LIST_NULL;
        add(&list, "INBOX", '.', 0);
        assert_int_equal(folder_list_settle(&list, bad[i]), -EINVAL);
    }
}

static void too_many_folders_are_said_to_be(void **state)
{
    (void)state;
    _cleanup_(folder_list_deinit) struct folder_list list = FOLDER_LIST_NULL;
    char name[FOLDER_NAME_MAX + 8];
    for (unsigned i = 0; i < FOLDER_COUNT_MAX; i++) {
        (void)snprintf(name, sizeof name, "f%u", i);
        add(&list, name, '/', 0);
        add(&list, name, '/', 0); /* twice: counted once */
    }
    assert_false(list.incomplete);
    add(&list, "one more", '/', 0);
    assert_true(list.incomplete);
    assert_int_equal(list.count, FOLDER_COUNT_MAX);

    folder_list_reset(&list);
    memset(name, 'a', sizeof name);
    name[FOLDER_NAME_MAX] = '\0';
    add(&list, name, '/', 0);
    assert_true(list.incomplete);
    assert_int_equal(list.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_win_over_names),
        cmocka_unit_test(names_are_known_in_many_languages),
        cmocka_unit_test(prefix_and_delimiter_are_the_servers),
        cmocka_unit_test(without_namespace_the_prefix_is_seen),
        cmocka_unit_test(impossible_own_names_are_refused),
        cmocka_unit_test(too_many_folders_are_said_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
