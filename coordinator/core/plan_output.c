/* What plan_day() gives out: how long it lives, and how it is read. */
#include "coordinator/core/plan.h"

#include <stdlib.h>

void plan_output_deinit(struct plan_output *output)
{
    free(output->exchanges);
    free(output->turns);
    free(output->shortfalls);
    *output = PLAN_OUTPUT_NULL;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A number of its own for each exchange: a pair starts one a day (splitmix64). */
static uint64_t seed_of(const struct plan_input *input, uint32_t from, uint32_t to)
{
    uint64_t z = input->seed + UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(int64_t)input->date;
    z ^= (uint64_t)from << 32 | to;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static struct plan_turn turn_of(const struct plan_input *input, int64_t epoch,
                                const struct plan_packed_turn *t, const struct plan_account *from,
                                const struct plan_account *to)
{
    int64_t send_at = epoch + t->send;
    int64_t deadline = send_at + input->policy->action_deadline_ms;
    struct plan_turn turn = {
        .send_at = send_at,
        .send_until = least(send_at + input->policy->send_slot_ms, from->window_end[t->day]),
        .open_at = epoch + t->open,
        .open_until = least(to->window_end[t->open_day], deadline),
        .date = input->date + t->day,
        .open_date = input->date + t->open_day,
        .day_cap = from->quota[t->day],
    };
    if (t->reopen != 0) {
        turn.reopen_at = epoch + t->reopen;
        turn.reopen_until = least(to->window_end[t->reopen_day], deadline);
    }
    return turn;
}

void plan_exchange_at(const struct plan_input *input, const struct plan_output *output,
                      size_t index, struct plan_exchange *ret_exchange)
{
    const struct plan_packed *x = &output->exchanges[index];
    const struct plan_account *from = &input->accounts[x->from];
    const struct plan_account *to = &input->accounts[x->to];
    const struct plan_pack *pack = input->packs;
    uint32_t scenario = x->scenario;
    for (; pack->language != from->language || scenario >= pack->scenarios; pack++)
        if (pack->language == from->language)
            scenario -= pack->scenarios;
    *ret_exchange = (struct plan_exchange){
        .from = from->handle,
        .to = to->handle,
        .pack = pack->digest,
        .scenario = scenario,
        .seed = seed_of(input, from->handle, to->handle),
        .same_owner = x->same_owner,
        .turns_count = x->turns_count,
    };
    for (uint32_t i = 0; i < x->turns_count; i++)
        ret_exchange->turns[i] = turn_of(input, output->epoch, &output->turns[x->turns + i],
                                         i % 2 ? to : from, i % 2 ? from : to);
}
