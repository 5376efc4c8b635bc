#include "node/row.h"

#include "common/base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COLUMNS 16

static const char *const names[COLUMNS] = {
    "address", "owner", "provider",  "smtp",    "imap",     "user",   "password", "timezone",
    "hours",   "days",  "intensity", "profile", "language", "volume", "holidays", "blackout"};

static int setup(void **state)
{
    struct tz *tz = NULL;
    if (tz_new(&tz) < 0)
        return -1;
    *state = tz;
    return 0;
}

static int teardown(void **state)
{
    (void)tz_free(*state);
    return 0;
}

static const char *const good[COLUMNS] = {"Ada.L@A.test",
                                          "ACME",
                                          "smtp",
                                          "smtps://mail.a.test",
                                          "imap://mail.a.test:1143",
                                          "ada",
                                          "secret",
                                          "Europe/Paris",
                                          "08:30-17:15",
                                          "Mon-Wed,Fri",
                                          "25",
                                          "low_use",
                                          "fr",
                                          "12",
                                          "fr",
                                          "2026-12-24..2027-01-02 2027-05-14"};

static struct row_columns columns_of(void)
{
    struct row_columns columns;
    char *fields[COLUMNS];
    struct flz_msg msg;
    for (size_t i = 0; i < COLUMNS; i++)
        fields[i] = (char *)(uintptr_t)names[i];
    assert_int_equal(row_columns_read(fields, COLUMNS, &columns, &msg), 0);
    return columns;
}

/* Reads the good row with one field changed; index COLUMNS: none. */
static int read_with(struct tz *tz, size_t index, const char *value, struct row *row,
                     struct flz_msg *msg)
{
    static char texts[COLUMNS][400];
    char *fields[COLUMNS];
    struct row_columns columns = columns_of();
    for (size_t i = 0; i < COLUMNS; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%s", i == index ? value : good[i]);
        fields[i] = texts[i];
    }
    int r = row_read(&columns, fields, COLUMNS, 7, &(struct row_tables){.tz = tz}, row, msg);
    assert_string_equal(texts[6], ""); /* the password is wiped in place, whatever happens */
    return r;
}

static void good_row_is_read_whole(void **state)
{
    struct row row;
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(read_with(*state, COLUMNS, "", &row, &msg), 0);
    const struct flz_account *account = &row.record.account;
    assert_int_equal(row.line, 7);
    assert_string_equal(account->address, "ada.l@a.test");
    assert_string_equal(account->owner, "ACME");
    assert_string_equal(row.record.user, "ada");
    assert_int_equal(row.smtp.port, 465);
    assert_int_equal(row.imap.port, 1143);
    assert_int_equal(account->start_minute, 8 * 60 + 30);
    assert_int_equal(account->end_minute, 17 * 60 + 15);
    assert_int_equal(account->days, 0x17);
    assert_int_equal(account->target, 25);
    assert_int_equal(account->intensity, 0);
    assert_int_equal(account->profile, FLZ_PROFILE_LOW_USE);
    assert_int_equal(account->volume, 12);
    assert_string_equal(account->days_off.holidays, "FR");
    char away[FLZ_AWAY_TEXT_MAX];
    flz_away_format(account->days_off.away, away);
    assert_string_equal(away, "2026-12-24..2027-01-02,2027-05-14");
    assert_false(row.keeps_holidays || row.keeps_blackout);
    assert_memory_equal(row.password.data, "secret", 6);
    row_deinit(&row);
}

static void what_is_left_out_has_its_default(void **state)
{
    struct row row;
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(read_with(*state, 1, "", &row, &msg), 0);
    assert_string_equal(row.record.account.owner, "a.test");
    row_deinit(&row);
    assert_int_equal(read_with(*state, 5, "", &row, &msg), 0);
    assert_string_equal(row.record.user, "Ada.L@a.test");
    row_deinit(&row);
    assert_int_equal(read_with(*state, 8, "", &row, &msg), 0);
    assert_int_equal(row.record.account.start_minute, 9 * 60);
    row_deinit(&row);
    assert_int_equal(read_with(*state, 9, "Sat-Mon", &row, &msg), 0);
    assert_int_equal(row.record.account.days, 0x61);
    row_deinit(&row);
    assert_int_equal(read_with(*state, 8, "22:00-06:00", &row, &msg), 0);
    row_deinit(&row);
    assert_int_equal(read_with(*state, 10, "HIGH", &row, &msg), 0);
    assert_int_equal(row.record.account.intensity, FLZ_INTENSITY_HIGH);
    row_deinit(&row);
}

static void each_wrong_field_is_named(void **state)
{
    static const struct {
        size_t column;
        const char *value, *words;
    } wrong[] = {
        {0, "ada", "address"},
        {0, "ada@a.test\r\nRCPT TO:<x@y.z>", "address"},
        {0, "postmaster@a.test", "role"},
        {1, "a\tb", "owner"},
        {3, "", "smtp"},
        {3, "imaps://mail.a.test", "smtp"},
        {3, "smtps://mail.a.test:99999", "port"},
        {4, "pop3://mail.a.test", "POP3"},
        {4, "smtp://mail.a.test", "imap"},
        {5, "ada\x01", "user"},
        {6, "", "password"},
        {7, "Europe/Pari", "timezone"},
        {8, "9-18", "hours"},
        {8, "09:00-24:30", "hours"},
        {8, "09:00-09:00", "hours"},
        {8, "09:00-18:00x", "hours"},
        {9, "Mo", "days"},
        {9, ",", "days"},
        {10, "0", "intensity"},
        {10, "41", "intensity"},
        {10, "-3", "intensity"},
        {11, "old", "profile"},
        {12, "english", "language"},
        {12, "e\"", "language"},
        {13, "many", "volume"},
        {13, "100001", "volume"},
        {14, "XX", "holidays: there is no calendar"},
        {14, "FRANCE", "holidays: there is no calendar"},
        {15, "2027-01-02..2026-12-24", "blackout"},
        {15, "in summer", "blackout"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct row row;
        struct flz_msg msg = FLZ_MSG_NULL;
        int r = read_with(*state, wrong[i].column, wrong[i].value, &row, &msg);
        if (r != -EINVAL || !strstr(msg.text, wrong[i].words))
            fail_msg("'%s' as %s: %d, \"%s\"", wrong[i].value, names[wrong[i].column], r, msg.text);
        assert_null(strstr(msg.text, "secret"));
        row_deinit(&row);
    }
}

static void a_setting_is_changed_alone(void **state)
{
    const char *settings[ROW_SETTINGS];
    struct flz_msg msg = FLZ_MSG_NULL;
    struct flz_account account = {.target = 12, .start_minute = 540, .end_minute = 1080};
    row_settings(settings);
    for (size_t i = 0; i < ROW_SETTINGS; i++)
        assert_int_equal(row_set(settings[i], "no such value!", *state, &account, &msg), -EINVAL);
    assert_int_equal(account.target, 12);
    assert_int_equal(row_set("intensity", "low", *state, &account, &msg), 0);
    assert_int_equal(account.intensity, FLZ_INTENSITY_LOW);
    assert_int_equal(account.target, 0);
    assert_int_equal(row_set("intensity", "7", *state, &account, &msg), 0);
    assert_int_equal(account.intensity, 0);
    assert_int_equal(account.target, 7);
    assert_int_equal(row_set("holidays", "us", *state, &account, &msg), 0);
    assert_int_equal(row_set("blackout", "2026-12-24", *state, &account, &msg), 0);
    assert_string_equal(account.days_off.holidays, "US");
    assert_int_equal(row_set("holidays", "none", *state, &account, &msg), 0);
    assert_int_equal(row_set("blackout", "none", *state, &account, &msg), 0);
    struct flz_days_off none = {.holidays = ""};
    assert_memory_equal(&account.days_off, &none, sizeof none);
    assert_int_equal(account.end_minute, 1080);
    assert_int_equal(row_set("password", "x", *state, &account, &msg), -ENOENT);
}

static void header_must_name_known_columns_once(void **state)
{
    struct row_columns columns;
    struct flz_msg msg = FLZ_MSG_NULL;
    char *slip[] = {(char *)"address", (char *)"smtp", (char *)"imap", (char *)"pasword"};
    assert_int_equal(row_columns_read(slip, 4, &columns, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "did you mean 'password'"));
    char *twice[] = {(char *)"address", (char *)"Address"};
    assert_int_equal(row_columns_read(twice, 2, &columns, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "twice"));
    char *few[] = {(char *)"password", (char *)"address", (char *)"smtp"};
    assert_int_equal(row_columns_read(few, 3, &columns, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "'imap' is missing"));
}

static void short_record_is_no_password(void **state)
{
    struct row row;
    struct flz_msg msg = FLZ_MSG_NULL;
    char address[] = "ada@a.test", *fields[] = {address};
    struct row_columns columns = columns_of();
    assert_int_equal(
        row_read(&columns, fields, 1, 2, &(struct row_tables){.tz = *state}, &row, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "password"));
    row_deinit(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_row_is_read_whole),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(each_wrong_field_is_named),
        cmocka_unit_test(a_setting_is_changed_alone),
        cmocka_unit_test(header_must_name_known_columns_once),
        cmocka_unit_test(short_record_is_no_password),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
