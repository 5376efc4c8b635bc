#include "node/members.h"
#include "tests/unit/node_fixture.h"

#include <errno.h>

static const struct flz_id node_id = {.b = {9}};

static struct members *open_members(struct nfx *fx, const struct seal_key *kek)
{
    struct members *members = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    if (members_open(fx->journal, kek, node_id, &members, &msg) < 0)
        fail_msg("%s", msg.text);
    return members;
}

static struct journal_member record_of(uint8_t id, const char *address, const char *imap)
{
    struct journal_member record = {.version = JOURNAL_VERSION,
                                    .login = MEMBER_LOGIN_PASSWORD,
                                    .smtp_url = "smtps://127.0.0.1:465",
                                    .user = "user",
                                    .account = {.id = {.b = {id}}, .zone = "Etc/UTC"}};
    (void)snprintf(record.account.address, sizeof record.account.address, "%s", address);
    (void)snprintf(record.imap_url, sizeof record.imap_url, "%s", imap);
    return record;
}

static void put(struct nfx *fx, struct members *members, uint8_t id, const char *address,
                const char *password)
{
    struct nfx_answer answer = {.count = 0};
    struct flz_secret secret = FLZ_SECRET_NULL;
    struct journal_member record = record_of(id, address, "imaps://127.0.0.1:993");
    assert_int_equal(flz_secret_copy(flz_view_str(password), &secret), 0);
    assert_int_equal(members_put(members, &record, &secret, nfx_on_durable, &answer), 0);
    flz_secret_deinit(&secret);
    while (answer.count == 0)
        (void)uv_run(&fx->loop, UV_RUN_ONCE);
    assert_int_equal(answer.r, 0);
}

static void expect_secret(struct members *members, uint8_t id, const char *want)
{
    struct flz_secret secret = FLZ_SECRET_NULL;
    assert_int_equal(members_secret(members, (struct flz_id){.b = {id}}, &secret), 0);
    assert_int_equal(secret.len, strlen(want));
    assert_memory_equal(secret.data, want, secret.len);
    flz_secret_deinit(&secret);
}

static struct member *find(struct members *members, const char *text)
{
    struct flz_address address;
    assert_int_equal(flz_address_parse(text, &address), 0);
    return members_find_address(members, &address);
}

static void accounts_and_secrets_survive_a_restart(void **state)
{
    struct nfx *fx = *state;
    struct seal_key kek = SEAL_KEY_NULL, other = SEAL_KEY_NULL;
    struct flz_secret secret = FLZ_SECRET_NULL;
    assert_int_equal(seal_key_generate(&kek), 0);
    assert_int_equal(seal_key_generate(&other), 0);
    struct members *members = open_members(fx, &kek);
    put(fx, members, 1, "ada@a.test", "one");
    put(fx, members, 2, "bob@b.test", "two");
    (void)members_free(members);
    nfx_close(fx);
    nfx_open(fx);
    members = open_members(fx, &kek);
    assert_int_equal(members_count(members), 2);
    assert_ptr_equal(find(members, "Ada@A.test"), members_find(members, (struct flz_id){.b = {1}}));
    assert_null(find(members, "eve@a.test"));
    expect_secret(members, 1, "one");
    expect_secret(members, 2, "two");
    assert_int_equal(members_secret(members, (struct flz_id){.b = {3}}, &secret), -ENOENT);
    (void)members_free(members);
    members = open_members(fx, &other);
    assert_int_equal(members_secret(members, (struct flz_id){.b = {1}}, &secret), -ENOKEY);
    (void)members_free(members);
    seal_key_deinit(&kek);
    seal_key_deinit(&other);
}

static int on_any(struct flz_view key, struct flz_view value, void *data)
{
    const char *needle = data;
    assert_null(memmem(value.data, value.len, needle, strlen(needle)));
    return 0;
}

static void secret_lies_nowhere_in_the_clear_and_opens_for_its_account_only(void **state)
{
    struct nfx *fx = *state;
    struct seal_key kek = SEAL_KEY_NULL;
    struct flz_secret secret = FLZ_SECRET_NULL;
    struct flz_buf blob = FLZ_BUF_NULL;
    static char needle[] = "correct horse battery";
    struct flz_id one = {.b = {1}}, two = {.b = {2}};
    assert_int_equal(seal_key_generate(&kek), 0);
    struct members *members = open_members(fx, &kek);
    put(fx, members, 1, "ada@a.test", needle);
    put(fx, members, 2, "bob@b.test", "two");
    for (int family = 0; family < JOURNAL_FAMILIES; family++)
        assert_int_equal(journal_each(fx->journal, (enum journal_family)family, on_any, needle), 0);
    /* Moved to another account's place, it does not open. */
    struct flz_view one_key = {.data = one.b, .len = 16}, two_key = {.data = two.b, .len = 16};
    assert_int_equal(journal_get(fx->journal, JOURNAL_SECRETS, one_key, &blob), 0);
    journal_put(fx->journal, JOURNAL_SECRETS, two_key, flz_buf_view(&blob));
    assert_int_equal(members_secret(members, two, &secret), -EBADMSG);
    flz_buf_deinit(&blob);
    (void)members_free(members);
    seal_key_deinit(&kek);
}

static void removing_one_leaves_the_others_where_they_are(void **state)
{
    struct nfx *fx = *state;
    struct seal_key kek = SEAL_KEY_NULL;
    struct flz_secret secret = FLZ_SECRET_NULL;
    static const uint8_t day[20] = {1};
    struct flz_buf buf = FLZ_BUF_NULL;
    assert_int_equal(seal_key_generate(&kek), 0);
    struct members *members = open_members(fx, &kek);
    put(fx, members, 1, "ada@a.test", "one");
    put(fx, members, 2, "bob@b.test", "two");
    put(fx, members, 3, "eve@c.test", "three");
    struct member *eve = find(members, "eve@c.test");
    journal_put(fx->journal, JOURNAL_DAYS, (struct flz_view){.data = day, .len = 20},
                flz_view_str("x"));
    nfx_sync(fx);
    assert_int_equal(members_remove(members, (struct flz_id){.b = {1}}), 0);
    assert_int_equal(members_remove(members, (struct flz_id){.b = {1}}), -ENOENT);
    assert_int_equal(members_count(members), 2);
    assert_ptr_equal(find(members, "eve@c.test"), eve);
    assert_ptr_equal(members_find(members, (struct flz_id){.b = {3}}), eve);
    assert_null(find(members, "ada@a.test"));
    assert_int_equal(members_secret(members, (struct flz_id){.b = {1}}, &secret), -ENOENT);
    assert_int_equal(
        journal_get(fx->journal, JOURNAL_DAYS, (struct flz_view){.data = day, .len = 20}, &buf),
        JOURNAL_E_ABSENT);
    nfx_sync(fx);
    (void)members_free(members);
    members = open_members(fx, &kek);
    assert_int_equal(members_count(members), 2);
    (void)members_free(members);
    seal_key_deinit(&kek);
}

static void renamed_account_keeps_secret_and_counts(void **state)
{
    struct nfx *fx = *state;
    struct seal_key kek = SEAL_KEY_NULL;
    uint8_t day[20] = {1};
    struct flz_buf buf = FLZ_BUF_NULL;
    assert_int_equal(seal_key_generate(&kek), 0);
    struct members *members = open_members(fx, &kek);
    put(fx, members, 1, "ada@a.test", "one");
    put(fx, members, 2, "bob@b.test", "two");
    journal_put(fx->journal, JOURNAL_DAYS, (struct flz_view){.data = day, .len = 20},
                flz_view_str("x"));
    nfx_sync(fx);
    struct flz_id one = {.b = {1}}, two = {.b = {2}}, seven = {.b = {7}};
    assert_int_equal(members_rename(members, one, two), -EEXIST);
    expect_secret(members, 2, "two");
    struct member *ada = find(members, "ada@a.test");
    assert_int_equal(members_rename(members, one, seven), 0);
    assert_ptr_equal(members_find(members, seven), ada);
    assert_null(members_find(members, one));
    day[0] = 7;
    assert_int_equal(
        journal_get(fx->journal, JOURNAL_DAYS, (struct flz_view){.data = day, .len = 20}, &buf), 0);
    flz_buf_deinit(&buf);
    nfx_sync(fx);
    (void)members_free(members);
    nfx_close(fx);
    nfx_open(fx);
    members = open_members(fx, &kek);
    assert_int_equal(members_count(members), 2);
    expect_secret(members, 7, "one");
    (void)members_free(members);
    seal_key_deinit(&kek);
}

static void one_real_server_forbids_a_labs_clock(void **state)
{
    struct nfx *fx = *state;
    struct seal_key kek = SEAL_KEY_NULL;
    struct nfx_answer answer = {.count = 0};
    assert_int_equal(seal_key_generate(&kek), 0);
    struct members *members = open_members(fx, &kek);
    put(fx, members, 1, "ada@a.test", "one");
    assert_true(members_all_loopback(members));
    struct journal_member record = record_of(2, "bob@b.test", "imaps://imap.b.test:993");
    assert_int_equal(members_put(members, &record, NULL, nfx_on_durable, &answer), 0);
    assert_false(members_all_loopback(members));
    /* A change that cannot be read changes nothing. */
    (void)snprintf(record.imap_url, sizeof record.imap_url, "ftp://x");
    assert_true(members_put(members, &record, NULL, nfx_on_durable, &answer) < 0);
    assert_string_equal(members_find(members, record.account.id)->record.imap_url,
                        "imaps://imap.b.test:993");
    assert_false(members_all_loopback(members));
    assert_string_equal(member_imap(find(members, "bob@b.test")).host, "imap.b.test");
    /* And one that can takes the old server's part. */
    (void)snprintf(record.imap_url, sizeof record.imap_url, "imaps://127.0.0.1:993");
    assert_int_equal(members_put(members, &record, NULL, nfx_on_durable, &answer), 0);
    assert_true(members_all_loopback(members));
    assert_string_equal(member_imap(find(members, "bob@b.test")).host, "127.0.0.1");
    nfx_sync(fx);
    (void)members_free(members);
    seal_key_deinit(&kek);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nfx_setup, nfx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accounts_and_secrets_survive_a_restart),
        TEST(secret_lies_nowhere_in_the_clear_and_opens_for_its_account_only),
        TEST(removing_one_leaves_the_others_where_they_are),
        TEST(renamed_account_keeps_secret_and_counts),
        TEST(one_real_server_forbids_a_labs_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
