/* Scores of accounts and domains: what score.h computes, out of tallies and days. */
#include "coordinator/core/state.h"

#include "common/base/time.h"

/* Days are local: another zone's may be a day ahead of the date that is asked for. */
static void add_days(const struct coord *core, struct row_tally cell, int32_t date,
                     struct score_sums *sums)
{
    cell.span = TALLY_DAY;
    for (int32_t age = -1; age < SCORE_DAYS; age++) {
        cell.date = date - age;
        const struct row_tally *day = tally_find(core, &cell);
        if (day)
            score_add(sums, day, age > 0 ? (uint32_t)age : 0);
    }
}

static void add_long(const struct coord *core, struct row_tally cell, int32_t date,
                     struct score_sums *sums)
{
    struct row_tally sum = cell;
    tally_sum(core, cell, date - SCORE_DAYS_LONG + 1, date + 1, &sum);
    tally_sum_weeks(core, cell, date - SCORE_DAYS_LONG + 1, date, &sum);
    score_add(sums, &sum, 0);
}

/* The two newest sending days that are over. */
static void set_cadence(const struct coord *core, const struct row_account *row, int32_t date,
                        struct score_facts *facts)
{
    uint32_t volumes[2] = {0};
    size_t found = 0;
    for (int32_t at = date; at > date - STATE_DAYS_KEPT && found < 2; at--) {
        const struct day_state *day = state_find_day(core, row->handle, at);
        if (day && day->row.planned_day && day->row.closed && at <= row->closed_date)
            volumes[found++] = day->row.committed;
    }
    if (found == 2) {
        facts->volume = volumes[0];
        facts->volume_before = volumes[1];
    }
}

static struct score_facts facts_of(const struct coord *core, const struct row_account *row,
                                   int32_t date)
{
    struct score_facts facts = {.volume = 0};
    int32_t newest = (int32_t)(row->issued_at / FLZ_DAY_MS);
    set_cadence(core, row, date, &facts);
    if (row->issued_at != 0 && date > newest)
        facts.idle_days = (uint32_t)(date - newest);
    return facts;
}

void coord_score(const struct coord *core, const struct coord_score_query *query,
                 struct score *ret_score)
{
    const struct row_account *row = &core->accounts[query->account].row;
    bool domain = query->basis == COORD_SCORE_DOMAIN;
    struct row_tally cell = {.scope = domain ? TALLY_DOMAIN : TALLY_ACCOUNT,
                             .subject = domain ? row->domain : query->account};
    bool all = query->provider == COORD_NONE;
    uint32_t end = all ? (uint32_t)core->names[NAME_PROVIDER].count : query->provider + 1;
    struct score_sums sums = {.seen = 0};
    struct score_facts facts = {.volume = 0};
    for (cell.object = all ? 0 : query->provider; cell.object < end; cell.object++) {
        if (query->basis == COORD_SCORE_LONG)
            add_long(core, cell, query->date, &sums);
        else
            add_days(core, cell, query->date, &sums);
    }
    if (!domain)
        facts = facts_of(core, row, query->date);
    *ret_score = score_of(&sums, &facts);
}
