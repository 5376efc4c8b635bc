/* The log, as it was and as it grows. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define POLL_MS 1000

/* What says nothing to people; programs find it in the JSON. */
static bool is_empty(const json_t *value)
{
    const char *text = json_string_value(value);
    return (text && (!*text || strcmp(text, "none") == 0)) ||
           (json_is_integer(value) && json_integer_value(value) == 0);
}

/* "key=value" for each detail; seq, time and type stand before them. */
static void print_event(const json_t *event)
{
    static const char *const before[] = {"seq", "at", "type", "exchangeHandle", "hash"};
    (void)printf("%8" PRId64 " %s %-14s", show_integer(event, "seq"), show_string(event, "at"),
                 show_string(event, "type"));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)event, key, value)
    {
        bool told = json_is_null(value);
        for (size_t i = 0; i < sizeof before / sizeof *before; i++)
            told = told || strcmp(before[i], key) == 0;
        if (told || is_empty(value))
            continue;
        (void)printf(" %s=", key);
        if (json_is_string(value) && !strpbrk(json_string_value(value), " \"")) {
            show_text(json_string_value(value));
        } else {
            (void)json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
        }
    }
    (void)fputc('\n', stdout);
}

/* Following, JSON comes as one object a line. */
static void print_all(const struct ctl *ctl, const json_t *items, uint64_t *last)
{
    size_t i;
    json_t *event;
    json_array_foreach((json_t *)(uintptr_t)items, i, event)
    {
        *last = (uint64_t)show_integer(event, "seq");
        if (ctl->output == CTL_JSON) {
            (void)json_dumpf(event, stdout, JSON_COMPACT);
            (void)fputc('\n', stdout);
        } else {
            print_event(event);
        }
    }
    (void)fflush(stdout);
}

/* What stands behind `last`; 0: the newest ones. */
static int read_some(const struct ctl *ctl, const struct ctl_arguments *arguments, uint64_t last,
                     bool silent, struct answer *answer)
{
    struct ask ask = {.verb = "events", .silent = silent};
    char after[24];
    (void)snprintf(after, sizeof after, "%" PRIu64, last);
    ask_add(&ask, "after", last ? after : NULL);
    ask_add_option(&ask, arguments, "limit");
    ask_add_option(&ask, arguments, "type");
    return ask_do(ctl, &ask, answer);
}

/* A coordinator that is being started again answers a little later: it is asked until it does, and
 * nothing is left out, since all that comes is behind the last event seen. */
static int follow(const struct ctl *ctl, const struct ctl_arguments *arguments, uint64_t last)
{
    const struct timespec pause = {.tv_sec = POLL_MS / 1000};
    bool away = false;
    while (nanosleep(&pause, NULL) == 0) {
        _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
        int code = read_some(ctl, arguments, last, away, &answer);
        bool passes = code == ADMIN_UNREACHABLE || code == ADMIN_TRY_AGAIN;
        if (!answer.json && !passes)
            return !away ? code
                         : talk_fail(ctl, (enum admin_exit)code, answer.error, answer.message, "");
        if (!answer.json && !away)
            talk(ctl, "asking again until it answers; after event %" PRIu64, last);
        else if (answer.json && away)
            talk(ctl, "it answers again");
        away = !answer.json;
        print_all(ctl, json_object_get(answer.json, "items"), &last);
        if (ferror(stdout))
            return ADMIN_FAILED;
    }
    return 0;
}

int cmd_events(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    uint64_t last = 0;
    bool follows = arguments_get(arguments, "follow") != NULL;
    const char *after = arguments_get(arguments, "after");
    if (after && (flz_parse_u64(after, INT64_MAX, &last) < 0 || last == 0))
        return talk_usage(ctl, "the first number of each line, or .seq with -o json",
                          "--after '%s' is not the number of an event", after);
    int code = read_some(ctl, arguments, last, false, &answer);
    if (!answer.json)
        return code;
    if (ctl->output == CTL_JSON && !follows) {
        show_json(answer.json);
        return code;
    }
    print_all(ctl, json_object_get(answer.json, "items"), &last);
    /* No event of that kind as yet: all that comes is behind the log's end. */
    if (last == 0)
        last = (uint64_t)show_integer(answer.json, "revision");
    return follows ? follow(ctl, arguments, last) : code;
}
