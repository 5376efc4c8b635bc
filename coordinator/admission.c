#include "coordinator/admission.h"

#include "coordinator/rlog/committer.h"

#define MIB (1u << 20)

static bool is_refused(const struct admission_facts *facts)
{
    return facts->waits_for != RLOG_OK;
}

static void say_why(const struct admission_facts *facts, struct flz_msg *ret_why)
{
    if (facts->waits_for == RLOG_FULL)
        flz_msg_set(ret_why,
                    "the disk of the coordinator is full, and nothing is written: free space below "
                    "%s; it goes on by itself then",
                    facts->dir);
    else if (is_refused(facts))
        flz_msg_set(ret_why, "the coordinator's log cannot be written now (%s); it is tried again "
                             "every second",
                    rlog_result_str(facts->waits_for));
    else if (facts->free_bytes < facts->free_min)
        flz_msg_set(ret_why,
                    "the disk of the coordinator is nearly full: %llu MiB are free and %llu MiB "
                    "are needed; free space below %s, and it goes on by itself",
                    (unsigned long long)(facts->free_bytes / MIB),
                    (unsigned long long)(facts->free_min / MIB), facts->dir);
    else
        flz_msg_set(ret_why,
                    "the disk of the coordinator is too slow for what is to be written below %s: "
                    "it goes on by itself when that is done",
                    facts->dir);
}

enum admission admission_of(const struct admission_facts *facts, struct flz_msg *ret_why)
{
    *ret_why = FLZ_MSG_NULL;
    bool low = facts->free_bytes < facts->free_min;
    if (!is_refused(facts) && !low && !facts->crowded)
        return ADMISSION_OPEN;
    say_why(facts, ret_why);
    bool reserve = facts->free_bytes >= ADMISSION_RESCUE_FREE_MIN;
    return !is_refused(facts) && reserve && facts->has_room ? ADMISSION_RESCUE : ADMISSION_CLOSED;
}

static bool is_rescue(enum coord_command_kind kind)
{
    switch (kind) {
    case COORD_LEAD: /* without it there is nobody to decide anything */
    case COORD_HELLO:
    case COORD_PAUSE:
    case COORD_REVOKE:
    case COORD_END_CONSENT:
    case COORD_REMOVE:
    case COORD_SUPPRESS:
    case COORD_ALERT: /* that the disk is full, among others */
    case COORD_ALERT_ACK: return true;
    case COORD_INVITE:
    case COORD_JOIN:
    case COORD_CREDIT:
    case COORD_REPORT:
    case COORD_TICK:
    case COORD_PLAN:
    case COORD_RESUME:
    case COORD_UNSUPPRESS:
    case COORD_SET_POLICY:
    case COORD_CLEAR: break;
    }
    return false;
}

bool admission_admits(enum admission admission, enum coord_command_kind kind)
{
    return admission == ADMISSION_OPEN || kind == COORD_CREDIT ||
           (admission == ADMISSION_RESCUE && is_rescue(kind));
}
