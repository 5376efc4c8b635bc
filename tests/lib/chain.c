#include "tests/lib/chain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void chain_deinit(struct chain *chain)
{
    flz_buf_deinit(&chain->bytes);
}

static void add_event(struct segment_builder *builder, uint64_t number, size_t size)
{
    uint8_t *event = malloc(size + 8);
    assert(event);
    memset(event, (int)(number % 251), size + 8);
    flz_put_be64(event, number);
    segment_add(builder, (struct flz_view){.data = event, .len = size});
    free(event);
}

struct flz_view chain_make(struct chain *chain, uint32_t count, size_t size)
{
    struct segment_builder builder = {.count = 0};
    const struct rlog_bounds *bounds = &chain->bounds;
    for (uint32_t i = 0; i < count; i++)
        add_event(&builder, bounds->last_event + 1 + i, size);
    chain->header = (struct segment){
        .seq = bounds->last + 1,
        .epoch = bounds->epoch,
        .generation = bounds->generation,
        .first_event = bounds->last_event + 1,
        .at = 1000 * (int64_t)(bounds->last + 1),
        .previous = bounds->head,
    };
    flz_put_be64(chain->header.nonce.b, ++chain->nonce);
    flz_buf_reset(&chain->bytes);
    int r = segment_finish(&builder, &chain->header, &chain->bytes);
    assert(r == 0);
    segment_builder_deinit(&builder);
    return flz_buf_view(&chain->bytes);
}

void chain_advance(struct chain *chain)
{
    struct rlog_bounds *bounds = &chain->bounds;
    bounds->first = bounds->first ? bounds->first : chain->header.seq;
    bounds->last = chain->header.seq;
    bounds->last_event = chain->header.first_event + chain->header.count - 1;
    bounds->head = chain->header.digest;
}
