#include "node/core/shaping.h"

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/time.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW_FLOOR_MS 2000 /* real time, however fast a lab is */
#define TURN_FLOOR_MS 2000
#define STEP_FLOOR_MS 500

const struct shaping_limits shaping_limits_default = {
    .ladder_ms = {FLZ_MINUTE_MS, 5 * FLZ_MINUTE_MS, 15 * FLZ_MINUTE_MS, FLZ_HOUR_MS},
};

static int64_t real_ms(struct shaping_clock clock, int64_t network_ms, int64_t floor_ms)
{
    int64_t real = network_ms * 1000 / clock.rate_milli;
    return real > floor_ms ? real : floor_ms;
}

/* ---- Lists ---- */

static struct shaping_list *list_of(struct shaping_line *line)
{
    return line->failing ? &line->service->failing : &line->service->well;
}

static void unlink_line(struct shaping_line *line)
{
    struct shaping_list *list = list_of(line);
    *(line->prev ? &line->prev->next : &list->first) = line->next;
    *(line->next ? &line->next->prev : &list->last) = line->prev;
    line->prev = line->next = NULL;
    list->count--;
}

static void link_first(struct shaping_line *line, bool failing)
{
    line->failing = failing;
    struct shaping_list *list = list_of(line);
    line->next = list->first;
    *(list->first ? &list->first->prev : &list->last) = line;
    list->first = line;
    list->count++;
}

static void link_last(struct shaping_line *line, bool failing)
{
    line->failing = failing;
    struct shaping_list *list = list_of(line);
    line->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = line;
    list->last = line;
    list->count++;
}

/* ---- Belonging ---- */

void shaping_deinit(struct shaping *shaping)
{
    for (size_t i = 0; i < shaping->count; i++)
        free(shaping->services[i]);
    free(shaping->services);
    flz_map_deinit(&shaping->by_key);
    *shaping = (struct shaping){.services = NULL};
}

static struct shaping_service *service_of(struct shaping *shaping, struct flz_id key)
{
    uint32_t index = flz_map_get(&shaping->by_key, key);
    if (index != FLZ_MAP_NONE)
        return shaping->services[index];
    struct shaping_service *service = calloc(1, sizeof *service);
    if (!service ||
        flz_grow((void **)&shaping->services, &shaping->capacity, shaping->count + 1,
                 sizeof(struct shaping_service *)) < 0 ||
        flz_map_set(&shaping->by_key, key, (uint32_t)shaping->count) < 0) {
        free(service);
        return NULL;
    }
    service->key = key;
    service->limits = shaping_limits_default;
    shaping->services[shaping->count++] = service;
    return service;
}

int shaping_join(struct shaping *shaping, struct flz_id key, struct shaping_line *line)
{
    void *owner = line->owner;
    shaping_leave(line);
    *line = (struct shaping_line){.owner = owner, .service = service_of(shaping, key)};
    if (!line->service)
        return flz_fail(-ENOMEM);
    link_last(line, false);
    return 0;
}

/* Whoever is to try for all cannot: somebody else is found when it is asked for. */
static void drop_turn(struct shaping_line *line)
{
    if (line->service->turn == line)
        line->service->turn = NULL;
}

void shaping_leave(struct shaping_line *line)
{
    if (!line->service)
        return;
    shaping_closed(line);
    drop_turn(line);
    unlink_line(line);
    line->service = NULL;
}

/* ---- Asking ---- */

/* One that worked when it was last tried, else the one that failed longest ago; the other way round
 * when the last one to have the turn did not take it. */
static struct shaping_line *next_turn(const struct shaping_service *service)
{
    struct shaping_line *well = service->well.first, *failing = service->failing.first;
    if (!well || !failing)
        return well ? well : failing;
    return (service->turns_missed % 2 == 0) == well->ok ? well : failing;
}

static bool is_taken(const struct shaping_service *service, struct shaping_clock clock)
{
    return service->turn && (service->turn->connected || clock.boot_now < service->turn_until_boot);
}

/* Gives the turn to a line when it is time, and on to another when it is not taken. */
static void give_turn(struct shaping_service *service, struct shaping_clock clock)
{
    if (!service->incident || clock.boot_now < service->turn_boot || is_taken(service, clock))
        return;
    struct shaping_line *idle = service->turn;
    if (idle) {
        unlink_line(idle);
        link_last(idle, idle->failing);
        service->turns_missed++;
    }
    service->turn = next_turn(service);
    service->turn_until_boot = clock.boot_now + real_ms(clock, SHAPING_TURN_MS, TURN_FLOOR_MS);
}

bool shaping_has_turn(struct shaping_line *line, struct shaping_clock clock)
{
    if (!line->service)
        return false;
    give_turn(line->service, clock);
    return line->service->turn == line;
}

static bool is_doubtful(const struct shaping_line *line, struct shaping_clock clock)
{
    const struct shaping_service *service = line->service;
    return service->well.count + service->failing.count >= SHAPING_INCIDENT_LINES_MIN &&
           line->refused_boot > 0 && service->ok_boot <= line->refused_boot &&
           clock.boot_now - line->refused_boot < real_ms(clock, SHAPING_DOUBT_MS, WINDOW_FLOOR_MS);
}

enum shaping_answer shaping_may_connect(struct shaping_line *line, bool last_try,
                                        struct shaping_clock clock)
{
    const struct shaping_service *service = line->service;
    if (service && service->incident && !line->urged)
        return shaping_has_turn(line, clock) ? SHAPING_YES : SHAPING_INCIDENT;
    if (clock.boot_now < line->wait_boot)
        return SHAPING_WAITS;
    if (!service)
        return SHAPING_YES;
    if (service->limits.connections > 0 && service->open >= service->limits.connections)
        return SHAPING_FULL;
    return last_try && is_doubtful(line, clock) ? SHAPING_DOUBTS : SHAPING_YES;
}

void shaping_urge(struct shaping_line *line)
{
    line->urged = true;
    line->wait_boot = 0;
}

void shaping_opened(struct shaping_line *line)
{
    line->urged = false;
    if (line->service && !line->connected)
        line->service->open++;
    line->connected = line->service != NULL;
}

void shaping_closed(struct shaping_line *line)
{
    if (line->service && line->connected)
        line->service->open--;
    line->connected = false;
}

/* ---- Hearing ---- */

/* They were kept from trying, or tried in vain: all may at once, as far as connections allow. */
static void end_incident(struct shaping_service *service, int64_t now)
{
    service->incident = false;
    service->ended_boot = now;
    service->turn = NULL;
    while (service->failing.first) {
        struct shaping_line *line = service->failing.first;
        unlink_line(line);
        line->doubted = true;
        line->step = 0;
        line->refused_boot = line->wait_boot = 0;
        link_last(line, false);
    }
}

bool shaping_worked(struct shaping_line *line, struct shaping_clock clock)
{
    struct shaping_service *service = line->service;
    bool ends = service && service->incident;
    line->ok = true;
    line->ok_boot = clock.boot_now;
    line->refused = line->doubted = false;
    line->step = line->charged = 0;
    line->refused_boot = line->wait_boot = 0;
    if (!service)
        return false;
    unlink_line(line);
    link_first(line, false);
    service->ok_boot = clock.boot_now;
    if (ends)
        end_incident(service, clock.boot_now);
    return ends;
}

/* What failed longer ago than the window says nothing about the provider now. */
static void forget_old(struct shaping_service *service, struct shaping_clock clock)
{
    int64_t since = clock.boot_now - real_ms(clock, SHAPING_WINDOW_MS, WINDOW_FLOOR_MS);
    while (service->failing.first && service->failing.first->failed_boot <= since) {
        struct shaping_line *line = service->failing.first;
        unlink_line(line);
        link_last(line, false);
    }
}

static bool is_incident(const struct shaping_service *service)
{
    uint64_t failing = service->failing.count, all = failing + service->well.count;
    return failing >= SHAPING_INCIDENT_LINES_MIN &&
           failing * 1000 >= all * SHAPING_INCIDENT_PERMILLE;
}

static int64_t step_wait(const struct shaping_service *service, uint32_t step,
                         struct shaping_clock clock, int64_t floor_ms)
{
    const struct shaping_limits *limits = service ? &service->limits : &shaping_limits_default;
    uint32_t index = step < SHAPING_STEPS ? step : SHAPING_STEPS - 1;
    return real_ms(clock, limits->ladder_ms[index], floor_ms);
}

/* The next line's turn comes a step of the ladder later. One that begins soon after the last ended
 * goes on where that one stood. */
static void next_step(struct shaping_service *service, struct shaping_clock clock)
{
    service->turn = NULL;
    service->turn_boot = clock.boot_now + step_wait(service, service->step, clock, STEP_FLOOR_MS);
    if (service->step < SHAPING_STEPS)
        service->step++;
}

static void begin_incident(struct shaping_service *service, struct shaping_clock clock)
{
    int64_t calm = real_ms(clock, SHAPING_WINDOW_MS, WINDOW_FLOOR_MS);
    if (service->ended_boot == 0 || clock.boot_now - service->ended_boot >= calm)
        service->step = 0;
    service->incident = true;
    service->since_boot = clock.boot_now;
    service->turns_missed = 0;
    next_step(service, clock);
}

/* Moves it to where it belongs after a failure. In an incident all that fail are kept, to go on
 * together when it is over; else a doubted line is no sign of one. */
static void note_failure(struct shaping_line *line, struct shaping_clock clock)
{
    struct shaping_service *service = line->service;
    if (!service->incident)
        forget_old(service, clock);
    unlink_line(line);
    link_last(line, service->incident || !line->doubted);
}

enum shaping_blame shaping_failed(struct shaping_line *line, struct shaping_failure failure,
                                  struct shaping_clock clock)
{
    struct shaping_service *service = line->service;
    int64_t wait = failure.wait_ms > 0 ? real_ms(clock, failure.wait_ms, failure.floor_ms)
                                       : step_wait(service, line->step, clock, failure.floor_ms);
    line->ok = false;
    line->refused = failure.refused;
    line->failed_boot = clock.boot_now;
    line->wait_boot = clock.boot_now + wait;
    if (line->step < SHAPING_STEPS)
        line->step++;
    if (failure.refused && line->refused_boot == 0)
        line->refused_boot = clock.boot_now;
    if (service) {
        bool held = service->incident, own_turn = service->turn == line;
        note_failure(line, clock);
        if (own_turn)
            next_step(service, clock);
        if (held)
            return SHAPING_NOT_CHARGED;
        if (is_incident(service)) {
            begin_incident(service, clock);
            return SHAPING_OPENED;
        }
    }
    line->charged += failure.refused;
    return failure.refused ? SHAPING_CHARGED : SHAPING_NOT_CHARGED;
}

void shaping_put_off(struct shaping_line *line, int64_t wait_ms, struct shaping_clock clock)
{
    line->ok = false;
    line->wait_boot = clock.boot_now + wait_ms;
}

uint32_t shaping_forgive(struct shaping_line *line)
{
    uint32_t charged = line->charged;
    line->charged = 0;
    return charged;
}

int64_t shaping_next(const struct shaping_line *line)
{
    const struct shaping_service *service = line->service;
    return service && service->incident ? service->turn_boot : line->wait_boot;
}
