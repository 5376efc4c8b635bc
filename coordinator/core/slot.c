#include "coordinator/core/slot.h"

#include "common/base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Free stretches are at most one more than the messages of some days. */
#define STRETCHES_MAX 256

/* A free stretch of the range, and how many messages go there. */
struct stretch {
    int64_t first;
    int64_t last;
    size_t capacity;
    size_t count;
};

void slot_agenda_deinit(struct slot_agenda *agenda)
{
    free(agenda->times);
    *agenda = SLOT_AGENDA_NULL;
}

/* The first index whose time is at or after `at`. */
static size_t lower_bound(const struct slot_agenda *agenda, int64_t at)
{
    size_t low = 0;
    size_t high = agenda->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (agenda->times[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int slot_take(struct slot_agenda *agenda, int64_t at)
{
    int r = flz_grow((void **)&agenda->times, &agenda->capacity, agenda->count + 1,
                     sizeof(*agenda->times));
    if (r < 0)
        return r;

    size_t i = lower_bound(agenda, at);
    memmove(agenda->times + i + 1, agenda->times + i, (agenda->count - i) * sizeof(*agenda->times));
    agenda->times[i] = at;
    agenda->count++;
    return 0;
}

void slot_release(struct slot_agenda *agenda, int64_t at)
{
    size_t i = lower_bound(agenda, at);
    assert(i < agenda->count && agenda->times[i] == at);
    agenda->count--;
    memmove(agenda->times + i, agenda->times + i + 1, (agenda->count - i) * sizeof(*agenda->times));
}

bool slot_find(const struct slot_agenda *agenda, struct slot_range range, int64_t spacing,
               int64_t *ret_at)
{
    int64_t at = range.first;
    for (size_t i = lower_bound(agenda, at - spacing + 1); i < agenda->count; i++) {
        if (agenda->times[i] >= at + spacing)
            break;
        at = agenda->times[i] + spacing;
    }
    if (at > range.last)
        return false;
    *ret_at = at;
    return true;
}

static size_t add_stretch(struct stretch *stretches, size_t count, struct slot_range range,
                          int64_t spacing)
{
    if (range.first > range.last || count == STRETCHES_MAX)
        return count;
    stretches[count] = (struct stretch){
        .first = range.first,
        .last = range.last,
        .capacity = (size_t)((range.last - range.first) / spacing) + 1,
    };
    return count + 1;
}

static size_t find_stretches(const struct slot_agenda *agenda, struct slot_range range,
                             int64_t spacing, struct stretch *ret_stretches)
{
    size_t count = 0;
    int64_t first = range.first;
    for (size_t i = lower_bound(agenda, range.first - spacing + 1); i < agenda->count; i++) {
        int64_t busy = agenda->times[i];
        if (busy >= range.last + spacing)
            break;
        count = add_stretch(ret_stretches, count,
                            (struct slot_range){.first = first, .last = busy - spacing}, spacing);
        first = busy + spacing;
    }
    return add_stretch(ret_stretches, count,
                       (struct slot_range){.first = first, .last = range.last}, spacing);
}

/* Gives each stretch its part of `want` by length, then what is left over to whoever has room. */
static size_t share_out(struct stretch *stretches, size_t count, int64_t spacing, size_t want)
{
    int64_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += stretches[i].last - stretches[i].first + spacing;

    int64_t passed = 0;
    size_t due = 0;
    size_t given = 0;
    for (size_t i = 0; i < count; i++) {
        passed += stretches[i].last - stretches[i].first + spacing;
        size_t upto = (size_t)((__int128)passed * (__int128)want / length);
        size_t part = upto - due;
        stretches[i].count = part < stretches[i].capacity ? part : stretches[i].capacity;
        given += stretches[i].count;
        due = upto;
    }
    for (size_t i = 0; i < count && given < want; i++) {
        size_t room = stretches[i].capacity - stretches[i].count;
        size_t more = want - given < room ? want - given : room;
        stretches[i].count += more;
        given += more;
    }
    return given;
}

/* Each anywhere in its own part; who comes too near to the one before waits, and nobody so late
 * that those after him find no room. */
static void fill_stretch(const struct stretch *stretch, int64_t spacing, struct flz_rng *rng,
                         int64_t *ret_times)
{
    int64_t count = (int64_t)stretch->count;
    int64_t length = stretch->last - stretch->first;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = stretch->first +
                     flz_rng_between(rng, length * i / count, length * (i + 1) / count);
        int64_t latest = stretch->last - (count - 1 - i) * spacing;
        if (at > latest)
            at = latest;
        if (i > 0 && at < ret_times[i - 1] + spacing)
            at = ret_times[i - 1] + spacing;
        ret_times[i] = at;
    }
}

size_t slot_spread(const struct slot_agenda *agenda, struct slot_range range, int64_t spacing,
                   size_t want, struct flz_rng *rng, int64_t *ret_times)
{
    if (range.first > range.last || want == 0)
        return 0;

    struct stretch stretches[STRETCHES_MAX];
    size_t stretches_count = find_stretches(agenda, range, spacing, stretches);
    size_t given = share_out(stretches, stretches_count, spacing, want);
    size_t at = 0;
    for (size_t i = 0; i < stretches_count; i++) {
        fill_stretch(&stretches[i], spacing, rng, ret_times + at);
        at += stretches[i].count;
    }
    return given;
}
