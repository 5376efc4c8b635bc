/*
 * One row of `account import`: reading and checking what an operator wrote, before anything outside
 * is asked.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/secret.h"
#include "common/sys/tz.h"
#include "node/endpoint.h"
#include "node/providers.h"
#include "proto/journal.h"

#include <stddef.h>

/* A row as a record, with its secret. */
struct row {
    int line;
    struct flz_address address;
    struct journal_member record; /* account.id null, consent not filled in */
    struct endpoint smtp;
    struct endpoint imap;
    struct flz_secret password; /* null: MEMBER_LOGIN_TOKEN, a person signs in */
    /* The file has no such column: an account that is known keeps what it has. */
    bool keeps_holidays;
    bool keeps_blackout;
};

void row_deinit(struct row *row);

/* Which column stands where; from the header line. */
struct row_columns {
    int index[16]; /* by enum row_column; -1 = absent */
};

/* The columns of DESIGN 8, in any order; address is required, and smtp, imap and password where no
 * provider may know better. 0 or -EINVAL (unknown or doubled column: msg with a did-you-mean). */
int row_columns_read(char *const *fields, size_t count, struct row_columns *ret_columns,
                     struct flz_msg *msg);

/* How many of the columns are settings, which may be changed alone. */
#define ROW_SETTINGS 9
/* Their names: timezone, hours, days, …; static. */
void row_settings(const char *ret_names[static ROW_SETTINGS]);

/* Reads one setting into the account. 0, -ENOENT, or -EINVAL (msg says why; the account is
 * unchanged). "none" ends holidays and blackouts. */
int row_set(const char *setting, const char *value, struct tz *tz, struct flz_account *account,
            struct flz_msg *msg);

/* Borrowed. */
struct row_tables {
    struct tz *tz;
    const struct providers *providers; /* NULL: none is known */
};

/* Reads and checks one record; the password field is wiped in place. What the row leaves out, the
 * provider that it names may give: servers, and another way to log in than a password. 0 or -EINVAL
 * (msg says which column and why); on failure *ret_row holds the address as far as it was readable.
 */
int row_read(const struct row_columns *columns, char **fields, size_t count, int line,
             const struct row_tables *tables, struct row *ret_row, struct flz_msg *msg);
