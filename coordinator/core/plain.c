#include "coordinator/core/plain.h"

#include "coordinator/core/domain.h"

#include <string.h>

static const uint32_t daily[] = {50,    100,   250,   500,   1000,  2500,  5000,  7500,
                                 10000, 15000, 20000, 30000, 40000, 55000, 70000, 100000};

static const uint32_t stages[] = {1000,  2500,  5000,  6500,  8000,   10000,  14000, 20000,
                                  25000, 35000, 50000, 80000, 125000, 175000, 250000};

#define STEPS(array) .steps = (array), .steps_count = sizeof(array) / sizeof *(array)

static const struct plain_table tables[] = {
    {.name = "steady",
     .text = "20 on the first day, then a quarter more than the day before",
     .source = "Tipimail: regular sending, within 25 % of the day before"},
    {.name = "daily",
     STEPS(daily),
     .percent = 40,
     .text = "50, 100, 250, 500, 1000 … a day, for opted-in lists of a domain that is known",
     .source = "SendGrid's daily warm-up as SiteVibes tells it; SendGrid grows by 40 % a day"},
    {.name = "stages",
     STEPS(stages),
     .text = "1000, 2500, 5000, 6500 … a day; the next stage only when the last one was used whole",
     .source = "LeadConnector's stages"},
};

#define TABLES_COUNT (sizeof tables / sizeof *tables)

const struct plain_table *plain_tables(size_t *ret_count)
{
    *ret_count = TABLES_COUNT;
    return tables;
}

const struct plain_table *plain_find(const char *name)
{
    for (size_t i = 0; i < TABLES_COUNT; i++)
        if (strcmp(tables[i].name, name) == 0)
            return &tables[i];
    return NULL;
}

uint64_t plain_next(const struct plain_table *table, uint64_t level, const struct policy *policy)
{
    for (size_t i = 0; i < table->steps_count; i++)
        if (table->steps[i] > level)
            return table->steps[i];
    if (table->percent)
        return level + level * table->percent / 100;
    struct domain_level all = {.sent = level};
    return domain_limit(&all, policy);
}

const char *plain_audience(uint32_t number, uint32_t days_a_week)
{
    if (number <= days_a_week)
        return "who answered or clicked within 30 days";
    if (number <= 2 * days_a_week)
        return "who answered or clicked within 90 days";
    return "who consented and was active within 180 days";
}
