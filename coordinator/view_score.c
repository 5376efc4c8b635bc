/* Scores and health, as documents show them: never a number without what it rests on. */
#include "coordinator/core/health.h"
#include "coordinator/view_json.h"

static const char *basis_word(enum coord_score_basis basis)
{
    static const char *const words[] = {[COORD_SCORE_OWN] = "7d",
                                        [COORD_SCORE_LONG] = "28d",
                                        [COORD_SCORE_DOMAIN] = "domain-7d"};
    return words[basis];
}

static json_t *share(uint32_t millionths)
{
    return json_real((double)millionths / SHARE_ONE);
}

static json_t *parts_json(const struct score *score)
{
    json_t *parts = json_object();
    for (enum score_part i = 0; i < SCORE_PARTS; i++) {
        json_t *part = score->has_part[i] ? json_object() : json_null();
        if (score->has_part[i]) {
            view_put(part, "value", share(score->part[i]));
            view_put_int(part, "weight", score_weight(i));
        }
        view_put(parts, score_part_name(i), part);
    }
    return parts;
}

static json_t *trend_json(const struct view *view, struct coord_score_query query,
                          const struct score *now)
{
    struct score before;
    query.date -= SCORE_DAYS;
    coord_score(view->core, &query, &before);
    return now->known && before.known ? json_integer((json_int_t)now->value - before.value)
                                      : json_null();
}

static json_t *score_json(const struct view *view, const struct coord_score_query *query)
{
    struct score score;
    coord_score(view->core, query, &score);
    json_t *json = json_object();
    view_put_text(json, "basis", basis_word(query->basis));
    view_put(json, "value", score.known ? json_integer(score.value) : json_null());
    view_put_int(json, "seen", score.seen);
    json_t *inbox = json_object();
    view_put(inbox, "share", score.seen ? share(score.inbox.share) : json_null());
    view_put(inbox, "low", share(score.inbox.low));
    view_put(inbox, "high", share(score.inbox.high));
    view_put(json, "inbox", inbox);
    view_put(json, "parts", parts_json(&score));
    view_put(json, "sum", json_real((double)score.sum / 100));
    view_put(json, "placementCap", json_real((double)score.cap / 100));
    view_put_int(json, "complaints", score.complaints);
    view_put_int(json, "idleDays", score.idle_days);
    view_put(json, "trend",
             query->basis == COORD_SCORE_OWN ? trend_json(view, *query, &score) : json_null());
    return json;
}

static json_t *standing_json(const struct view *view, const struct row_standing *row)
{
    uint32_t cap = coord_health_cap(view->core, row->account, row->provider);
    json_t *json = json_object();
    view_put_text(json, "state", flz_health_name(row->state));
    view_put_text(json, "rule", flz_rule_name(row->rule));
    view_put(json, "since", view_time(row->since));
    view_put(json, "until", view_time(row->until));
    view_put_int(json, "seen", row->seen);
    view_put_int(json, "junk", row->junk);
    view_put(json, "junkShareLow", share(row->low));
    view_put_int(json, "complaints", row->complaints);
    view_put(json, "evidence", view_id(row->evidence));
    view_put(json, "messagesADay", cap == HEALTH_NO_CAP ? json_null() : json_integer(cap));
    return json;
}

static json_t *provider_json(const struct view *view, uint32_t account, uint32_t provider,
                             int32_t date)
{
    struct coord_score_query query = {.account = account, .provider = provider, .date = date};
    const struct row_standing *row = coord_standing(view->core, account, provider);
    json_t *json = json_object();
    view_put_text(json, "provider", view_name(view, NAME_PROVIDER, provider));
    view_put(json, "score", score_json(view, &query));
    view_put(json, "health", row ? standing_json(view, row) : json_null());
    return json;
}

/* The score that a list shows: the first that has enough to rest on. */
static enum coord_score_basis basis_of(const struct view *view, struct coord_score_query query,
                                       struct score *ret_score)
{
    for (query.basis = COORD_SCORE_OWN; query.basis <= COORD_SCORE_DOMAIN; query.basis++) {
        coord_score(view->core, &query, ret_score);
        if (ret_score->known)
            return query.basis;
    }
    return COORD_SCORE_OWN;
}

void view_put_score(const struct view *view, json_t *object, uint32_t account)
{
    struct coord_score_query query = {
        .account = account, .provider = COORD_NONE, .date = view_today(view, account)};
    struct score score;
    enum coord_score_basis basis = basis_of(view, query, &score);
    view_put(object, "score", score.known ? json_integer(score.value) : json_null());
    view_put(object, "scoreBasis", score.known ? json_string(basis_word(basis)) : json_null());
    view_put_text(object, "health", flz_health_name(view_health(view, account)));
}

uint32_t view_health(const struct view *view, uint32_t account)
{
    const struct row_standing *all = coord_standing(view->core, account, COORD_NONE);
    uint32_t worst = all ? all->state : HEALTH_HEALTHY;
    for (uint32_t i = 0; coord_name(view->core, NAME_PROVIDER, i); i++) {
        const struct row_standing *row = coord_standing(view->core, account, i);
        if (row && row->state > worst)
            worst = row->state;
    }
    return worst;
}

/* Whether anything is to be told of the account towards the provider. */
static bool has_written(const struct view *view, uint32_t account, uint32_t provider, int32_t date)
{
    struct coord_score_query query = {.account = account,
                                      .provider = provider,
                                      .date = date,
                                      .basis = COORD_SCORE_LONG};
    struct score score;
    coord_score(view->core, &query, &score);
    return score.has_part[SCORE_DELIVERY];
}

json_t *view_reputation(const struct view *view, uint32_t account)
{
    struct coord_score_query query = {
        .account = account, .provider = COORD_NONE, .date = view_today(view, account)};
    const struct row_standing *all = coord_standing(view->core, account, COORD_NONE);
    json_t *json = json_object();
    json_t *scores = json_array();
    for (query.basis = COORD_SCORE_OWN; query.basis <= COORD_SCORE_DOMAIN; query.basis++)
        (void)json_array_append_new(scores, score_json(view, &query));
    view_put(json, "scores", scores);
    view_put(json, "health", all ? standing_json(view, all) : json_null());
    json_t *providers = json_array();
    for (uint32_t i = 0; coord_name(view->core, NAME_PROVIDER, i); i++)
        if (coord_standing(view->core, account, i) ||
            has_written(view, account, i, query.date))
            (void)json_array_append_new(providers, provider_json(view, account, i, query.date));
    view_put(json, "providers", providers);
    return json;
}
