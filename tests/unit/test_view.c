#include "coordinator/view.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "coordinator/meters.h"
#include "coordinator/view_json.h"
#include "coordinator/words.h"
#include "tests/cli/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ann@alpha and bob@beta at n1, cleo@gamma at n2, which is away. */
struct fixture {
    struct server *world;
    struct view view;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->world = world_new(NULL);
    uint32_t n1 = world_add_node(fixture->world, "n1", true);
    uint32_t n2 = world_add_node(fixture->world, "n2", false);
    world_probe(fixture->world, world_add_account(fixture->world, n1, "ann@alpha.test", "Alpha"),
                true);
    world_probe(fixture->world, world_add_account(fixture->world, n1, "bob@beta.test", "Beta"),
                true);
    world_probe(fixture->world, world_add_account(fixture->world, n2, "cleo@gamma.test", "Gamma"),
                true);
    assert_int_equal(view_init(&fixture->view, fixture->world, "", true), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    view_deinit(&fixture->view);
    (void)world_free(fixture->world);
    free(fixture);
    return 0;
}

static struct fixture *with_scope(void **state, const char *scope)
{
    struct fixture *fixture = *state;
    fixture->view.scope = scope;
    return fixture;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    assert_non_null(text);
    return text;
}

static const struct view_account_filter any = {.node = COORD_NONE, .page = {.after = COORD_NONE}};
static const struct view_plan_query all_plans = {.account = COORD_NONE,
                                                 .page = {.after = COORD_NONE}};
static const struct view_plan_query plan_of_ann = {.account = 0, .page = {.after = COORD_NONE}};

/* The number of items; checks the envelope on the way. */
static size_t count_items(json_t *document, const char *kind)
{
    assert_non_null(document);
    assert_string_equal(text_of(document, "apiVersion"), "fluenzr/v1");
    assert_string_equal(text_of(document, "kind"), kind);
    assert_true(json_is_integer(json_object_get(document, "revision")));
    assert_true(json_is_array(json_object_get(document, "items")));
    size_t count = json_array_size(json_object_get(document, "items"));
    json_decref(document);
    return count;
}

/* The problem with this code; NULL when there is none. Owned by `problems`. */
static json_t *problem_of(json_t *problems, const char *code)
{
    size_t i;
    json_t *problem;
    json_array_foreach(problems, i,
                       problem) if (strcmp(text_of(problem, "code"), code) == 0) return problem;
    return NULL;
}

/* Of a status; owned by it. */
static json_t *problems_in(json_t *status)
{
    return json_object_get(json_object_get(status, "item"), "problems");
}

/* ---- Scope ---- */

static void an_operator_sees_its_node_only(void **state)
{
    struct fixture *fixture = with_scope(state, "node/n1");
    assert_int_equal(count_items(view_accounts(&fixture->view, &any), "AccountList"), 2);
    assert_int_equal(count_items(view_nodes(&fixture->view), "NodeList"), 1);
    assert_int_equal(count_items(view_plan(&fixture->view, &all_plans), "PlanList"), 2);
    assert_int_equal(view_find_account(&fixture->view, "cleo@gamma.test"), COORD_NONE);
    assert_int_equal(view_find_node(&fixture->view, "n2"), COORD_NONE);
}

static void a_viewer_sees_its_owner_only(void **state)
{
    struct fixture *fixture = with_scope(state, "owner/Beta");
    assert_int_equal(count_items(view_accounts(&fixture->view, &any), "AccountList"), 1);
    assert_int_equal(count_items(view_nodes(&fixture->view), "NodeList"), 0);
    assert_int_equal(view_find_account(&fixture->view, "bob@beta.test"), 1);
    assert_int_equal(view_find_account(&fixture->view, "ann@alpha.test"), COORD_NONE);
}

/* The world's one sent message is ann's, in Junk. */
static size_t junk_of(const struct view *view, enum view_stats_by by)
{
    struct view_stats_query query = {
        .from = WORLD_DATE - 7, .to = WORLD_DATE + 1, .account = COORD_NONE, .by = by};
    json_t *document = view_slices(view, &query);
    size_t junk = 0;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(document, "items"), i, item)
        junk += (size_t)json_integer_value(json_object_get(item, "junk"));
    json_decref(document);
    return junk;
}

static void slices_tell_a_scope_its_own_only(void **state)
{
    struct fixture *fixture = *state;
    struct row_tally sent = {.scope = TALLY_ACCOUNT, .span = TALLY_DAY, .date = WORLD_DATE,
                             .sent = 1, .junk = 1};
    struct coord *core = (struct coord *)(uintptr_t)fixture->view.core;
    for (uint32_t scope = TALLY_ACCOUNT; scope <= TALLY_SCOPE_MAX; scope++) {
        sent.scope = scope;
        assert_int_equal(coord_load_row(core, ROW_TALLY, &sent), 0);
    }
    for (enum view_stats_by by = VIEW_BY_TOWARDS; by <= VIEW_BY_SCENARIO; by++)
        assert_int_equal(junk_of(&fixture->view, by), 1);
    fixture->view.scope = "owner/Alpha";
    assert_int_equal(junk_of(&fixture->view, VIEW_BY_TOWARDS), 1);
    assert_int_equal(junk_of(&fixture->view, VIEW_BY_OWNER), 1);
    fixture->view.scope = "owner/Beta";
    for (enum view_stats_by by = VIEW_BY_TOWARDS; by <= VIEW_BY_SCENARIO; by++)
        assert_int_equal(junk_of(&fixture->view, by), 0);
    fixture->view.scope = "node/n2";
    for (enum view_stats_by by = VIEW_BY_TOWARDS; by <= VIEW_BY_SCENARIO; by++)
        assert_int_equal(junk_of(&fixture->view, by), 0);
}

static void a_stranger_to_the_exchange_does_not_find_it(void **state)
{
    struct fixture *fixture = *state;
    world_plan(fixture->world);
    const struct row_exchange *x = coord_exchange(fixture->view.core, 0);
    assert_non_null(x);
    uint32_t third = 3 - x->from - x->to;
    char scope[FLZ_OWNER_MAX];
    (void)snprintf(scope, sizeof scope, "owner/%s",
                   persons_find(server_persons(fixture->world), third)->owner);
    fixture->view.scope = scope;
    assert_null(view_exchange(&fixture->view, x->id));
    fixture->view.scope = "";
    json_t *document = view_exchange(&fixture->view, x->id);
    assert_non_null(document);
    json_decref(document);
}

static void without_names_no_address_and_no_owner_is_told(void **state)
{
    struct fixture *fixture = *state;
    world_plan(fixture->world);
    fixture->view.names = false;
    struct view_exchange_filter filter = {
        .account = COORD_NONE, .ended = true, .limit = 10, .before = COORD_NONE};
    struct view_stats_query stats = {.from = WORLD_DATE,
                                     .to = WORLD_DATE,
                                     .account = COORD_NONE,
                                     .by = VIEW_BY_ACCOUNT,
                                     .page = VIEW_WHOLE};
    json_t *documents[] = {view_status(&fixture->view, NULL),
                           view_accounts(&fixture->view, &any),
                           view_exchanges(&fixture->view, &filter),
                           view_alerts(&fixture->view, true),
                           view_plan(&fixture->view, &plan_of_ann),
                           view_stats(&fixture->view, &stats),
                           view_nodes(&fixture->view)};
    static const char *const words[] = {"ann@", "bob@", "cleo@", "Alpha", "Beta", "Gamma"};
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        _cleanup_(flz_freep) char *text = json_dumps(documents[i], 0);
        assert_non_null(text);
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            assert_null(strstr(text, words[k]));
        json_decref(documents[i]);
    }
}

static void an_export_names_its_own_person_only(void **state)
{
    struct fixture *fixture = *state;
    world_plan(fixture->world);
    const struct row_exchange *x = coord_exchange(fixture->view.core, 0);
    json_t *document = view_account_export(&fixture->view, x->from);
    _cleanup_(flz_freep) char *text = json_dumps(document, 0);
    const struct person *own = persons_find(server_persons(fixture->world), x->from);
    const struct person *other = persons_find(server_persons(fixture->world), x->to);
    assert_non_null(strstr(text, own->address));
    assert_null(strstr(text, other->address));
    json_t *item = json_object_get(document, "item");
    assert_true(json_is_true(json_object_get(item, "complete")));
    assert_true(json_array_size(json_object_get(item, "exchanges")) > 0);
    json_decref(document);
}

/* ---- Readiness and problems ---- */

static void readiness_names_what_stands_in_the_way(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(view_readiness(&fixture->view, 0), VIEW_READY);
    assert_int_equal(view_readiness(&fixture->view, 2), VIEW_NODE_AWAY);
    world_probe(fixture->world, 0, false);
    assert_int_equal(view_readiness(&fixture->view, 0), VIEW_TROUBLE);
    world_refuse(fixture->world, 0, 2);
    assert_int_equal(view_readiness(&fixture->view, 0), VIEW_LOGIN);
    world_refuse(fixture->world, 0, 3);
    assert_int_equal(view_readiness(&fixture->view, 0), VIEW_NEEDS_AUTH);
    world_probe(fixture->world, 0, false);
    assert_int_equal(view_readiness(&fixture->view, 0), VIEW_TROUBLE);
    world_refuse(fixture->world, 0, 0);
    assert_int_equal(view_readiness(&fixture->view, 0), VIEW_NEEDS_AUTH);
    fixture->view.now += 25 * FLZ_HOUR_MS;
    assert_int_equal(view_readiness(&fixture->view, 1), VIEW_STALE);
    fixture->view.now += 200 * FLZ_DAY_MS;
    assert_int_equal(view_readiness(&fixture->view, 1), VIEW_CONSENT);
    uint32_t fresh = world_add_account(fixture->world, 0, "dora@delta.test", "Delta");
    fixture->view.now = WORLD_NOW;
    assert_int_equal(view_readiness(&fixture->view, fresh), VIEW_UNPROBED);
}

static void readiness_agrees_with_the_core(void **state)
{
    struct fixture *fixture = *state;
    struct coord_pool pool;
    coord_pool_of(fixture->view.core, 0, WORLD_NOW, &pool);
    assert_int_equal(pool.excluded_unready, 0);
    world_probe(fixture->world, 1, false);
    coord_pool_of(fixture->view.core, 0, WORLD_NOW, &pool);
    assert_int_equal(pool.excluded_unready, 1);
    assert_int_not_equal(view_readiness(&fixture->view, 1), VIEW_READY);
}

static void status_tells_a_node_that_is_away(void **state)
{
    struct fixture *fixture = *state;
    size_t critical = 0;
    json_t *document = view_status(&fixture->view, &critical);
    json_t *problems = problems_in(document);
    json_t *problem = problem_of(problems, "NODE_NOT_CONNECTED");
    assert_non_null(problem);
    assert_string_equal(text_of(problem, "subject"), "node/n2");
    assert_string_equal(text_of(problem, "severity"), "critical");
    assert_int_equal(critical, 1);
    json_decref(document);
}

static void status_tells_that_one_owner_cannot_be_paired_and_what_to_change(void **state)
{
    struct fixture fixture = {.world = world_new(NULL)};
    uint32_t n1 = world_add_node(fixture.world, "n1", true);
    world_probe(fixture.world, world_add_account(fixture.world, n1, "a@alpha.test", "One"), true);
    world_probe(fixture.world, world_add_account(fixture.world, n1, "b@beta.test", "One"), true);
    assert_int_equal(view_init(&fixture.view, fixture.world, "", true), 0);
    size_t critical = 0;
    json_t *document = view_status(&fixture.view, &critical);
    json_t *problems = problems_in(document);
    json_t *problem = problem_of(problems, "ONE_OWNER");
    assert_non_null(problem);
    assert_non_null(strstr(text_of(problem, "message"), "nothing can be paired"));
    assert_non_null(strstr(text_of(problem, "next"), "policy set same_owner_percent"));
    assert_int_equal(critical, 1);
    json_decref(document);
    view_deinit(&fixture.view);
    (void)world_free(fixture.world);
}

/* Its owner is away today, and declares more mail of his own than is advised. */
static void a_day_off_and_too_much_prospecting_are_told(void **state)
{
    struct fixture *fixture = *state;
    const struct view *view = &fixture->view;
    struct row_account *row = (struct row_account *)(uintptr_t)coord_account(view->core, 0);
    int32_t today = view_today(view, 0);
    char text[FLZ_TIME_TEXT_MAX], range[FLZ_TIME_TEXT_MAX];
    row->days = 0x7f;
    row->volume = 7;
    row->days_off.away[0] = (struct flz_date_range){.first = today, .last = today + 2};

    json_t *account = view_account(view, 0);
    const json_t *item = json_object_get(account, "item");
    const json_t *off = json_object_get(item, "daysOff");
    const json_t *own = json_object_get(item, "prospecting");
    flz_date_format(today + 3, text);
    assert_string_equal(text_of(off, "today"), "blackout");
    assert_string_equal(text_of(off, "nextSendingDay"), text);
    flz_date_format(today, range);
    assert_memory_equal(text_of(off, "blackout"), range, 10);
    assert_int_equal(json_integer_value(json_object_get(own, "advisedHigh")), 0);
    assert_true(json_is_true(json_object_get(own, "aboveAdvice")));
    json_decref(account);

    json_t *why = view_account_why(view, 0);
    const json_t *first = json_array_get(json_object_get(json_object_get(why, "item"), "why"), 0);
    assert_non_null(strstr(json_string_value(first), "no sending day of it (blackout)"));
    assert_non_null(strstr(json_string_value(first), text));
    json_decref(why);

    json_t *plan = view_plan(view, &plan_of_ann);
    const json_t *day = json_array_get(json_object_get(plan, "items"), 0);
    assert_string_equal(text_of(day, "dayOff"), "blackout");
    assert_true(json_is_null(json_object_get(day, "waitsUntil")));
    json_decref(plan);

    json_t *status = view_status(view, NULL);
    json_t *problems = json_object_get(json_object_get(status, "item"), "problems");
    assert_non_null(problem_of(problems, "PROSPECTING"));
    json_decref(status);
    for (uint32_t i = 0; i < 3; i++)
        ((struct row_account *)(uintptr_t)coord_account(view->core, i))->volume = 0;
    status = view_status(view, NULL);
    problems = json_object_get(json_object_get(status, "item"), "problems");
    assert_null(problem_of(problems, "PROSPECTING"));
    json_decref(status);
}

static void a_pause_is_one_problem_and_to_an_operator_its_accounts_are(void **state)
{
    struct fixture *fixture = *state;
    struct coord_command pause = {
        .kind = COORD_PAUSE,
        .pause = {.target = {.scope = FLZ_SCOPE_NETWORK}, .reason = "x", .until = FLZ_NEVER}};
    assert_int_equal(server_submit(fixture->world, &pause, NULL, NULL), 0);
    json_t *document = view_status(&fixture->view, NULL);
    assert_non_null(problem_of(problems_in(document), "PAUSED"));
    assert_null(problem_of(problems_in(document), "UNREADY"));
    json_decref(document);

    fixture->view.scope = "node/n1";
    document = view_status(&fixture->view, NULL);
    assert_null(problem_of(problems_in(document), "PAUSED"));
    assert_non_null(problem_of(problems_in(document), "UNREADY"));
    json_decref(document);
}

static void why_blames_owners_only_when_nobody_else_will_be_ready(void **state)
{
    struct fixture fixture = {.world = world_new(NULL)};
    uint32_t n1 = world_add_node(fixture.world, "n1", true);
    (void)state;
    world_probe(fixture.world, world_add_account(fixture.world, n1, "a@alpha.test", "One"), true);
    world_probe(fixture.world, world_add_account(fixture.world, n1, "b@beta.test", "One"), true);
    assert_int_equal(view_init(&fixture.view, fixture.world, "", true), 0);
    struct coord_why why;
    coord_explain(fixture.view.core, 0, WORLD_NOW, &why);
    assert_non_null(strstr(why.lines[why.lines_count - 1].text, "same_owner_percent"));

    (void)world_add_account(fixture.world, n1, "c@gamma.test", "Two");
    coord_explain(fixture.view.core, 0, WORLD_NOW, &why);
    assert_non_null(strstr(why.lines[why.lines_count - 1].text, "1 not ready"));
    view_deinit(&fixture.view);
    (void)world_free(fixture.world);
}

static void status_tells_a_small_pool_and_a_log_that_refuses(void **state)
{
    struct fixture *fixture = *state;
    world_break(fixture->world);
    json_t *document = view_status(&fixture->view, NULL);
    json_t *problems = problems_in(document);
    assert_non_null(problem_of(problems, "POOL_SMALL"));
    json_t *broken = problem_of(problems, "NOT_READY");
    assert_non_null(broken);
    assert_non_null(strstr(text_of(broken, "message"), "no space left"));
    assert_ptr_equal(json_array_get(problems, 0), broken);
    json_decref(document);
}

static void status_tells_that_nothing_is_decided_for_want_of_disk(void **state)
{
    struct fixture *fixture = *state;
    world_hold_back(fixture->world, ADMISSION_RESCUE);
    json_t *document = view_status(&fixture->view, NULL);
    json_t *problem = problem_of(problems_in(document), "HELD_BACK");
    assert_non_null(problem);
    assert_string_equal(text_of(problem, "severity"), "critical");
    assert_non_null(strstr(text_of(problem, "message"), "nearly full"));
    assert_non_null(strstr(text_of(problem, "next"), "free space"));
    json_decref(document);
}

/* ---- Documents ---- */

/* Goes through a list page by page, as its "next" says; returns the pages, and all ids as one text.
 */
static size_t walk(struct fixture *fixture, struct view_account_filter filter, char *ids,
                   size_t size)
{
    size_t pages = 0;
    ids[0] = '\0';
    for (;;) {
        json_t *document = view_accounts(&fixture->view, &filter);
        json_t *items = json_object_get(document, "items");
        assert_true(filter.page.limit == 0 || json_array_size(items) <= filter.page.limit);
        for (size_t i = 0; i < json_array_size(items); i++)
            (void)snprintf(ids + strlen(ids), size - strlen(ids), "%s ",
                           text_of(json_array_get(items, i), "address"));
        const char *next = json_string_value(json_object_get(document, "next"));
        filter.page.after = next ? view_find_account(&fixture->view, next) : COORD_NONE;
        json_decref(document);
        assert_true(++pages < 100);
        if (filter.page.after == COORD_NONE)
            return pages;
    }
}

static void pages_hold_each_account_once(void **state)
{
    struct fixture *fixture = *state;
    struct view_account_filter filter = any;
    char ids[512];
    assert_int_equal(walk(fixture, filter, ids, sizeof ids), 1);
    assert_string_equal(ids, "ann@alpha.test bob@beta.test cleo@gamma.test ");
    filter.page.limit = 1;
    assert_int_equal(walk(fixture, filter, ids, sizeof ids), 3);
    assert_string_equal(ids, "ann@alpha.test bob@beta.test cleo@gamma.test ");
    filter.page = (struct view_page){.after = COORD_NONE, .limit = 10, .looks = 2};
    filter.text = "CLEO@";
    assert_int_equal(walk(fixture, filter, ids, sizeof ids), 2);
    assert_string_equal(ids, "cleo@gamma.test ");
    filter = any;
    filter.readiness = "node-not-connected";
    assert_int_equal(walk(fixture, filter, ids, sizeof ids), 1);
    assert_string_equal(ids, "cleo@gamma.test ");
}

static void a_search_finds_no_one_by_a_name_that_is_not_told(void **state)
{
    struct fixture *fixture = *state;
    struct view_account_filter filter = any;
    filter.text = "ann@";
    assert_int_equal(count_items(view_accounts(&fixture->view, &filter), "AccountList"), 1);
    fixture->view.names = false;
    assert_int_equal(count_items(view_accounts(&fixture->view, &filter), "AccountList"), 0);
    filter.text = "alpha.test";
    assert_int_equal(count_items(view_accounts(&fixture->view, &filter), "AccountList"), 1);
}

static void plans_and_sums_come_in_pages_too(void **state)
{
    struct fixture *fixture = *state;
    world_plan(fixture->world);
    struct view_plan_query plan = {.account = COORD_NONE, .page = {.after = 0, .limit = 1}};
    json_t *document = view_plan(&fixture->view, &plan);
    assert_string_equal(text_of(json_array_get(json_object_get(document, "items"), 0), "address"),
                        "bob@beta.test");
    assert_true(json_is_string(json_object_get(document, "next")));
    json_decref(document);
    struct view_stats_query stats = {.from = WORLD_DATE,
                                     .to = WORLD_DATE,
                                     .account = COORD_NONE,
                                     .by = VIEW_BY_ACCOUNT,
                                     .page = {.after = 0, .limit = 5}};
    document = view_stats(&fixture->view, &stats);
    json_t *items = json_object_get(document, "items");
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(text_of(json_array_get(items, 0), "address"), "bob@beta.test");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(items, 0), "planned")),
                     coord_day(fixture->view.core, 1, WORLD_DATE)->planned);
    assert_true(json_is_null(json_object_get(document, "next")));
    json_decref(document);
}

/* A node that did not look says nothing of a message that was sent. */
static void a_look_that_was_none_says_nothing_of_a_message(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint32_t send;
        uint32_t find;
        const char *word;
    } cases[] = {
        {FLZ_OUTCOME_SENT, FLZ_OUTCOME_MISSING, "missing"},
        {FLZ_OUTCOME_SENT, FLZ_OUTCOME_UNOBSERVED, "unobserved"},
        {FLZ_OUTCOME_SENT, FLZ_OUTCOME_DECLINED, "unobserved"},
        {FLZ_OUTCOME_SENT, FLZ_OUTCOME_EXPIRED, "unobserved"},
        {FLZ_OUTCOME_SENT, FLZ_OUTCOME_WITHDRAWN, "unobserved"},
        {FLZ_OUTCOME_SENT, FLZ_OUTCOME_FAILED, "unobserved"},
        {FLZ_OUTCOME_INDETERMINATE, FLZ_OUTCOME_MISSING, "indeterminate"},
        {FLZ_OUTCOME_REJECTED, FLZ_OUTCOME_MISSING, "rejected"},
        {FLZ_OUTCOME_DECLINED, FLZ_OUTCOME_UNOBSERVED, "declined"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct row_turn turn = {.send = {.state = TASK_ENDED, .outcome = cases[i].send},
                                .find = {.state = TASK_ENDED, .outcome = cases[i].find}};
        struct row_exchange x = {.to = 1, .turns = &turn, .turns_count = 1};
        json_t *json = view_exchange_full(&fixture->view, &x);
        json_t *words = json_object_get(json, "messages");
        assert_string_equal(json_string_value(json_array_get(words, 0)), cases[i].word);
        json_decref(json);
    }
}

static void exchanges_go_on_before_the_last_one_told(void **state)
{
    struct fixture *fixture = *state;
    world_plan(fixture->world);
    size_t count = 0;
    struct view_exchange_filter filter = {.account = COORD_NONE, .limit = 1, .before = COORD_NONE};
    const char *next = "";
    json_t *document = NULL;
    while (next) {
        json_decref(document);
        document = view_exchanges(&fixture->view, &filter);
        count += json_array_size(json_object_get(document, "items"));
        next = json_string_value(json_object_get(document, "next"));
        struct flz_id id;
        if (next && flz_id_parse(next, &id) == 0)
            filter.before = coord_find_exchange(fixture->view.core, id);
        assert_true(count < 100);
    }
    json_decref(document);
    assert_int_equal(count, coord_exchange_limit(fixture->view.core));
    assert_true(count > 1);
}

static void a_node_tells_how_many_cannot_log_in(void **state)
{
    struct fixture *fixture = *state;
    world_probe(fixture->world, 1, false);
    json_t *document = view_nodes(&fixture->view);
    json_t *node = json_array_get(json_object_get(document, "items"), 0);
    assert_int_equal(json_integer_value(json_object_get(node, "accounts")), 2);
    assert_int_equal(json_integer_value(json_object_get(node, "ready")), 1);
    assert_int_equal(json_integer_value(json_object_get(node, "loginFailures")), 1);
    json_decref(document);
}

static void days_of_the_archive_are_counted_once(void **state)
{
    struct fixture *fixture = *state;
    world_live(fixture->world, 30, 12);
    fixture->view.now = server_now(fixture->world);
    struct view_stats_query query = {.from = WORLD_DATE,
                                     .to = WORLD_DATE + 30,
                                     .account = COORD_NONE,
                                     .by = VIEW_BY_DAY,
                                     .page = VIEW_WHOLE};
    json_t *document = view_stats(&fixture->view, &query);
    json_t *items = json_object_get(document, "items");
    int64_t network = 0;
    assert_null(coord_day(fixture->view.core, COORD_NONE, WORLD_DATE));
    assert_true(json_integer_value(json_object_get(json_array_get(items, 0), "sent")) > 0);
    for (size_t i = 0; i < json_array_size(items); i++)
        network += json_integer_value(json_object_get(json_array_get(items, i), "sent"));
    json_decref(document);
    int64_t accounts = 0;
    query.by = VIEW_BY_ACCOUNT;
    document = view_stats(&fixture->view, &query);
    items = json_object_get(document, "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        accounts += json_integer_value(json_object_get(json_array_get(items, i), "sent"));
    json_decref(document);
    assert_int_equal(network, accounts);
    query.account = 0;
    query.by = VIEW_BY_DAY;
    document = view_stats(&fixture->view, &query);
    items = json_object_get(document, "items");
    assert_true(json_integer_value(json_object_get(json_array_get(items, 0), "sent")) > 0);
    json_decref(document);
}

static void times_are_rfc_3339_and_numbers_are_numbers(void **state)
{
    struct fixture *fixture = *state;
    json_t *document = view_account(&fixture->view, 0);
    json_t *item = json_object_get(document, "item");
    int64_t ms;
    assert_int_equal(flz_time_parse(text_of(item, "registeredAt"), &ms), 0);
    assert_int_equal(ms, WORLD_NOW);
    assert_true(json_is_null(json_object_get(json_object_get(item, "consent"), "ended")));
    assert_true(json_is_integer(json_object_get(item, "day")));
    assert_true(json_is_boolean(json_object_get(item, "ready")));
    assert_string_equal(text_of(item, "hours"), "00:00-24:00");
    assert_int_equal(json_array_size(json_object_get(item, "days")), 7);
    json_decref(document);
}

static void a_day_is_counted_where_it_is_looked_for(void **state)
{
    struct fixture *fixture = *state;
    world_plan(fixture->world);
    world_settle_first(fixture->world, 0, FLZ_PLACEMENT_JUNK);
    struct view_stats_query query = {.from = WORLD_DATE - 1,
                                     .to = WORLD_DATE,
                                     .account = COORD_NONE,
                                     .by = VIEW_BY_DAY,
                                     .page = VIEW_WHOLE};
    json_t *document = view_stats(&fixture->view, &query);
    json_t *day = json_array_get(json_object_get(document, "items"), 1);
    assert_int_equal(json_array_size(json_object_get(document, "items")), 2);
    assert_string_equal(text_of(day, "date"), "2026-11-23");
    assert_int_equal(json_integer_value(json_object_get(day, "sent")), 1);
    assert_int_equal(json_integer_value(json_object_get(day, "junk")), 1);
    assert_float_equal(json_real_value(json_object_get(day, "junkShare")), 1.0, 1e-9);
    json_decref(document);
}

static void stats_of_a_scope_are_the_sum_of_its_accounts(void **state)
{
    struct fixture *fixture = *state;
    world_plan(fixture->world);
    struct view_stats_query query = {.from = WORLD_DATE,
                                     .to = WORLD_DATE,
                                     .account = COORD_NONE,
                                     .by = VIEW_BY_DAY,
                                     .page = VIEW_WHOLE};
    fixture->view.scope = "node/n1";
    json_t *document = view_stats(&fixture->view, &query);
    json_t *day = json_array_get(json_object_get(document, "items"), 0);
    const struct row_day *ann = coord_day(fixture->view.core, 0, WORLD_DATE);
    const struct row_day *bob = coord_day(fixture->view.core, 1, WORLD_DATE);
    assert_non_null(ann);
    assert_non_null(bob);
    assert_int_equal(json_integer_value(json_object_get(day, "planned")),
                     ann->planned + bob->planned);
    json_decref(document);
}

static void events_come_newest_or_behind_a_number(void **state)
{
    struct fixture *fixture = *state;
    struct view_event_query query = {.limit = 2};
    json_t *document = view_events(&fixture->view, &query);
    json_t *items = json_object_get(document, "items");
    uint64_t newest = server_seq(fixture->world);
    assert_int_equal(json_array_size(items), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(items, 1), "seq")), newest);
    json_decref(document);

    query.after = 3;
    document = view_events(&fixture->view, &query);
    items = json_object_get(document, "items");
    assert_int_equal(json_array_size(items), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(items, 0), "seq")), 4);
    json_decref(document);

    query = (struct view_event_query){.limit = 10, .type = EVENT_JOINED};
    assert_int_equal(count_items(view_events(&fixture->view, &query), "EventList"), 2);
}

static void texts_that_are_not_utf8_do_not_lose_a_document(void **state)
{
    struct fixture *fixture = *state;
    struct coord_command pause = {.kind = COORD_PAUSE,
                                  .pause = {.target = {.scope = FLZ_SCOPE_NETWORK},
                                            .reason = "bad \xff byte",
                                            .until = FLZ_NEVER}};
    assert_int_equal(server_submit(fixture->world, &pause, NULL, NULL), 0);
    json_t *document = view_pauses(&fixture->view);
    json_t *item = json_array_get(json_object_get(document, "items"), 0);
    assert_string_equal(text_of(item, "reason"), "bad ? byte");
    assert_string_equal(text_of(item, "target"), "network");
    json_decref(document);
    assert_int_equal(view_readiness(&fixture->view, 0), VIEW_PAUSED);
}

static void every_word_is_found_again(void **state)
{
    assert_int_equal(words_find(words_scope, "domain"), FLZ_SCOPE_DOMAIN);
    assert_int_equal(words_find(words_outcome, "indeterminate"), FLZ_OUTCOME_INDETERMINATE);
    assert_int_equal(words_find(words_scope, "?"), 0);
    assert_int_equal(words_find(words_scope, ""), 0);
    assert_string_equal(words_outcome(FLZ_OUTCOME_FAILED), "failed");
    assert_string_equal(words_reason(FLZ_REASON_SUPPRESSED), "suppressed");
    assert_string_equal(words_reason(999), "?");
    for (uint32_t type = 1; type <= EVENT_TYPE_MAX; type++)
        if (flz_event_name(type)[0] != '?')
            assert_int_equal(words_find(flz_event_name, flz_event_name(type)), type);
}

static bool exposes(const struct metrics *metrics, const char *line)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    metrics_expose((struct metrics *)(uintptr_t)metrics, &text);
    return strstr(flz_buf_str(&text), line) != NULL;
}

static void a_scrape_looks_at_so_many_accounts_and_tells_when_it_is_through(void **state)
{
    struct fixture *fixture = *state;
    struct metrics *metrics;
    struct meters_walk walk = METERS_WALK_NULL;
    walk.looks = 2;
    world_plan(fixture->world);
    assert_int_equal(meters_new(&metrics), 0);
    meters_collect(metrics, fixture->world, &walk);
    assert_false(exposes(metrics, "fluenzr_accounts{"));
    meters_collect(metrics, fixture->world, &walk);
    assert_true(exposes(metrics, "fluenzr_accounts{state=\"ready\"} 2\n"));
    assert_true(exposes(metrics, "fluenzr_accounts{state=\"node-not-connected\"} 1\n"));
    assert_true(exposes(metrics, "fluenzr_node_accounts{node=\"n1\"} 2\n"));
    world_probe(fixture->world, 0, false);
    meters_collect(metrics, fixture->world, &walk);
    assert_true(exposes(metrics, "fluenzr_accounts{state=\"ready\"} 2\n"));
    meters_collect(metrics, fixture->world, &walk);
    assert_true(exposes(metrics, "fluenzr_accounts{state=\"ready\"} 1\n"));
    assert_true(exposes(metrics, "fluenzr_accounts{state=\"login-failed\"} 1\n"));
    meters_walk_deinit(&walk);
    (void)metrics_free(metrics);
}

static void metrics_tell_what_the_curves_want_and_the_plan_leaves_out(void **state)
{
    struct fixture *fixture = *state;
    struct metrics *metrics;
    struct meters_walk walk = METERS_WALK_NULL;
    char line[96];
    world_plan(fixture->world);
    assert_int_equal(meters_new(&metrics), 0);
    meters_collect(metrics, fixture->world, &walk);
    uint32_t wanted = 0;
    uint32_t unplanned = 0;
    for (uint32_t i = 0; i < 3; i++) {
        const struct row_day *day = coord_day(fixture->view.core, i, WORLD_DATE);
        if (day && day->planned_day)
            wanted += view_curve(&fixture->view, coord_account(fixture->view.core, i));
        if (day && day->planned_day &&
            strcmp(words_shortfall(day->shortfall_reason), "cooldown") == 0)
            unplanned += day->shortfall;
    }
    assert_true(wanted > 0);
    (void)snprintf(line, sizeof line, "fluenzr_sends_wanted %u\n", wanted);
    assert_true(exposes(metrics, line));
    (void)snprintf(line, sizeof line, "fluenzr_sends_unplanned{reason=\"cooldown\"} %u\n",
                   unplanned);
    assert_true(exposes(metrics, line));
    assert_true(exposes(metrics, "fluenzr_disk_free_bytes 68719476736\n"));
    assert_true(exposes(metrics, "fluenzr_network_clock_refused_step_seconds 0\n"));
    meters_walk_deinit(&walk);
    (void)metrics_free(metrics);
}

static void metrics_hold_no_address(void **state)
{
    struct fixture *fixture = *state;
    struct metrics *metrics;
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    world_plan(fixture->world);
    assert_int_equal(meters_new(&metrics), 0);
    struct meters_walk walk = METERS_WALK_NULL;
    meters_collect(metrics, fixture->world, &walk);
    metrics_expose(metrics, &text);
    const char *exposed = flz_buf_str(&text);
    assert_null(strchr(exposed, '@'));
    assert_non_null(strstr(exposed, "fluenzr_node_up{node=\"n1\"} 1\n"));
    assert_non_null(strstr(exposed, "fluenzr_node_up{node=\"n2\"} 0\n"));
    assert_non_null(strstr(exposed, "fluenzr_accounts{state=\"ready\"} 2\n"));
    assert_non_null(strstr(exposed, "fluenzr_nodes{state=\"joined\"} 2\n"));
    meters_walk_deinit(&walk);
    (void)metrics_free(metrics);
}

#define VIEW_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VIEW_TEST(an_operator_sees_its_node_only),
        VIEW_TEST(a_viewer_sees_its_owner_only),
        VIEW_TEST(slices_tell_a_scope_its_own_only),
        VIEW_TEST(a_stranger_to_the_exchange_does_not_find_it),
        VIEW_TEST(without_names_no_address_and_no_owner_is_told),
        VIEW_TEST(an_export_names_its_own_person_only),
        VIEW_TEST(readiness_names_what_stands_in_the_way),
        VIEW_TEST(readiness_agrees_with_the_core),
        VIEW_TEST(status_tells_a_node_that_is_away),
        cmocka_unit_test(status_tells_that_one_owner_cannot_be_paired_and_what_to_change),
        VIEW_TEST(a_day_off_and_too_much_prospecting_are_told),
        VIEW_TEST(a_pause_is_one_problem_and_to_an_operator_its_accounts_are),
        cmocka_unit_test(why_blames_owners_only_when_nobody_else_will_be_ready),
        VIEW_TEST(status_tells_a_small_pool_and_a_log_that_refuses),
        VIEW_TEST(status_tells_that_nothing_is_decided_for_want_of_disk),
        VIEW_TEST(pages_hold_each_account_once),
        VIEW_TEST(a_search_finds_no_one_by_a_name_that_is_not_told),
        VIEW_TEST(plans_and_sums_come_in_pages_too),
        VIEW_TEST(a_look_that_was_none_says_nothing_of_a_message),
        VIEW_TEST(exchanges_go_on_before_the_last_one_told),
        VIEW_TEST(a_node_tells_how_many_cannot_log_in),
        VIEW_TEST(days_of_the_archive_are_counted_once),
        VIEW_TEST(times_are_rfc_3339_and_numbers_are_numbers),
        VIEW_TEST(a_day_is_counted_where_it_is_looked_for),
        VIEW_TEST(stats_of_a_scope_are_the_sum_of_its_accounts),
        VIEW_TEST(events_come_newest_or_behind_a_number),
        VIEW_TEST(texts_that_are_not_utf8_do_not_lose_a_document),
        VIEW_TEST(every_word_is_found_again),
        VIEW_TEST(a_scrape_looks_at_so_many_accounts_and_tells_when_it_is_through),
        VIEW_TEST(metrics_tell_what_the_curves_want_and_the_plan_leaves_out),
        VIEW_TEST(metrics_hold_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
