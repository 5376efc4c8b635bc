/* Whether something new may be decided, and what waits until it may. */
#include "common/base/cleanup.h"
#include "coordinator/admission.h"
#include "coordinator/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1u << 20)

static const struct admission_facts plenty = {
    .dir = "/var/lib/x", .free_bytes = 900ull * MIB, .free_min = 256 * MIB, .has_room = true};

static const enum coord_command_kind stops[] = {COORD_PAUSE,  COORD_REVOKE,   COORD_END_CONSENT,
                                                COORD_REMOVE, COORD_SUPPRESS, COORD_HELLO,
                                                COORD_LEAD};
static const enum coord_command_kind others[] = {COORD_TICK,   COORD_REPORT,     COORD_PLAN,
                                                 COORD_RESUME, COORD_UNSUPPRESS, COORD_SET_POLICY,
                                                 COORD_INVITE, COORD_JOIN,     COORD_CLEAR};

static void assert_admits(enum admission admission, bool rescue, bool all)
{
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
        assert_int_equal(admission_admits(admission, stops[i]), rescue);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(admission_admits(admission, others[i]), all);
    assert_true(admission_admits(admission, COORD_CREDIT)); /* makes no event */
}

static void with_room_everything_is_decided(void **state)
{
    (void)state;
    struct flz_msg why;
    enum admission admission = admission_of(&plenty, &why);
    assert_int_equal(admission, ADMISSION_OPEN);
    assert_string_equal(why.text, "");
    assert_admits(admission, true, true);
}

static void below_the_limit_only_what_stops_something_is_decided(void **state)
{
    (void)state;
    struct flz_msg why;
    struct admission_facts facts = plenty;
    facts.free_bytes = facts.free_min;
    assert_int_equal(admission_of(&facts, &why), ADMISSION_OPEN);
    facts.free_bytes--;
    assert_int_equal(admission_of(&facts, &why), ADMISSION_RESCUE);
    assert_non_null(strstr(why.text, "/var/lib/x"));
    assert_non_null(strstr(why.text, "255 MiB are free and 256 MiB are needed"));
    assert_admits(ADMISSION_RESCUE, true, false);
    facts.free_bytes = ADMISSION_RESCUE_FREE_MIN - 1;
    assert_int_equal(admission_of(&facts, &why), ADMISSION_CLOSED);
    assert_admits(ADMISSION_CLOSED, false, false);
}

static void a_log_that_refuses_holds_everything(void **state)
{
    (void)state;
    static const enum rlog_result results[] = {RLOG_FULL, RLOG_UNAVAILABLE};
    static const char *const words[] = {"is full", "cannot be written now"};
    for (size_t i = 0; i < 2; i++) {
        struct flz_msg why;
        struct admission_facts facts = plenty;
        facts.waits_for = results[i];
        assert_int_equal(admission_of(&facts, &why), ADMISSION_CLOSED);
        assert_non_null(strstr(why.text, words[i]));
    }
}

static void a_crowded_group_holds_all_but_what_it_has_room_for(void **state)
{
    (void)state;
    struct flz_msg why;
    struct admission_facts facts = plenty;
    facts.crowded = true;
    assert_int_equal(admission_of(&facts, &why), ADMISSION_RESCUE);
    assert_non_null(strstr(why.text, "too slow"));
    facts.has_room = false;
    assert_int_equal(admission_of(&facts, &why), ADMISSION_CLOSED);
}

/* ---- The backlog ---- */

static void add(struct backlog *backlog, uint32_t node, const char *text, int result)
{
    assert_int_equal(backlog_add(backlog, node, flz_view_str(text), 7), result);
}

static void assert_first(struct backlog *backlog, uint32_t node, const char *text)
{
    const struct backlog_frame *frame = backlog_first(backlog);
    assert_non_null(frame);
    assert_int_equal(frame->node, node);
    assert_int_equal(frame->next, 7);
    assert_true(flz_view_equal(flz_buf_view(&frame->payload), flz_view_str(text)));
    backlog_drop_first(backlog);
}

static void frames_come_back_in_their_order(void **state)
{
    (void)state;
    _cleanup_(backlog_deinit) struct backlog backlog = {.head = 0};
    assert_null(backlog_first(&backlog));
    for (int round = 0; round < 3; round++) {
        add(&backlog, 1, "a", 0);
        add(&backlog, 2, "b", 0);
        add(&backlog, 1, "c", 0);
        assert_true(backlog_has(&backlog, 2));
        assert_first(&backlog, 1, "a");
        assert_first(&backlog, 2, "b");
        assert_false(backlog_has(&backlog, 2));
        add(&backlog, 3, "d", 0);
        assert_first(&backlog, 1, "c");
        assert_first(&backlog, 3, "d");
        assert_true(backlog_is_empty(&backlog));
        assert_int_equal(backlog.bytes, 0);
    }
}

static void a_node_keeps_four_frames_here_and_all_of_them_so_many_bytes(void **state)
{
    (void)state;
    _cleanup_(backlog_deinit) struct backlog backlog = {.bytes_max = 10};
    for (int i = 0; i < BACKLOG_NODE_MAX; i++)
        add(&backlog, 1, "12", 0);
    add(&backlog, 1, "x", BACKLOG_E_NODE);
    add(&backlog, 2, "123", BACKLOG_E_FULL);
    add(&backlog, 2, "12", 0);
    add(&backlog, 3, "1", BACKLOG_E_FULL);
    assert_first(&backlog, 1, "12");
    add(&backlog, 3, "1", 0);
}

static void a_node_that_begins_anew_leaves_nothing(void **state)
{
    (void)state;
    _cleanup_(backlog_deinit) struct backlog backlog = {.head = 0};
    add(&backlog, 1, "a", 0);
    add(&backlog, 2, "b", 0);
    add(&backlog, 1, "c", 0);
    add(&backlog, 2, "d", 0);
    backlog_forget(&backlog, 1);
    assert_false(backlog_has(&backlog, 1));
    assert_first(&backlog, 2, "b");
    assert_first(&backlog, 2, "d");
    assert_true(backlog_is_empty(&backlog));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_room_everything_is_decided),
        cmocka_unit_test(below_the_limit_only_what_stops_something_is_decided),
        cmocka_unit_test(a_log_that_refuses_holds_everything),
        cmocka_unit_test(a_crowded_group_holds_all_but_what_it_has_room_for),
        cmocka_unit_test(frames_come_back_in_their_order),
        cmocka_unit_test(a_node_keeps_four_frames_here_and_all_of_them_so_many_bytes),
        cmocka_unit_test(a_node_that_begins_anew_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
