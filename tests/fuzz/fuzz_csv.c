/* An operator's CSV, as account import reads it: records, header line, rows. */
#include "node/csv.h"
#include "node/row.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct row *row)
{
    const struct flz_account *account = &row->record.account;
    assert(row->password.len > 0);
    assert(account->days > 0 && account->days <= TZ_ALL_DAYS);
    assert(account->start_minute < TZ_DAY_MINUTES && account->end_minute <= TZ_DAY_MINUTES);
    assert(!strpbrk(account->address, "\r\n <>") && strchr(account->address, '@'));
    assert(!strpbrk(row->record.user, "\r\n"));
    assert(account->intensity > 0 || (account->target > 0 && account->target <= 40));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tz *tz;
    if (!tz && tz_new(&tz) < 0)
        return 0;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';

    struct csv csv;
    struct row_columns columns;
    struct flz_msg msg = FLZ_MSG_NULL;
    char *fields[CSV_FIELDS_MAX];
    size_t count;
    csv_init(&csv, text);
    int r = csv_next(&csv, fields, &count);
    if (r == 0)
        r = row_columns_read(fields, count, &columns, &msg);
    while (r == 0 && csv_next(&csv, fields, &count) == 0) {
        struct row row;
        struct row_tables tables = {.tz = tz};
        if (row_read(&columns, fields, count, csv.line, &tables, &row, &msg) == 0)
            check(&row);
        row_deinit(&row);
    }
    free(text);
    return 0;
}
