#include "tests/sim/plan_read.h"

#include "common/base/cleanup.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *make(size_t count, size_t size)
{
    void *p = count > 0 ? calloc(count, size) : NULL;
    assert(p || count == 0);
    return p;
}

void plan_read_of(const struct plan_input *input, const struct plan_output *output,
                  struct plan_read *ret_read)
{
    struct plan_read read = {
        .exchanges = make(output->exchanges_count, sizeof *read.exchanges),
        .exchanges_count = output->exchanges_count,
        .shortfalls = make(output->shortfalls_count, sizeof *read.shortfalls),
        .shortfalls_count = output->shortfalls_count,
    };
    for (size_t i = 0; i < read.exchanges_count; i++)
        plan_exchange_at(input, output, i, &read.exchanges[i]);
    if (read.shortfalls_count > 0)
        memcpy(read.shortfalls, output->shortfalls,
               read.shortfalls_count * sizeof *read.shortfalls);
    *ret_read = read;
}

int plan_read_day(const struct plan_input *input, struct plan_read *ret_read)
{
    _cleanup_(plan_output_deinit) struct plan_output output = PLAN_OUTPUT_NULL;
    int r = plan_day(input, &output);
    if (r < 0)
        return r;
    plan_read_of(input, &output, ret_read);
    return 0;
}

void plan_read_deinit(struct plan_read *read)
{
    free(read->exchanges);
    free(read->shortfalls);
    *read = PLAN_READ_NULL;
}
