/* Counters sliced otherwise than by day and account: out of the tallies. */
#include "common/base/cleanup.h"
#include "common/base/map.h"
#include "coordinator/view_json.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line: what its two keys mean depends on the slicing. */
struct slice {
    uint32_t key[2];
    uint32_t account; /* one of those in it; COORD_NONE: none is known */
    struct row_tally sum;
};

struct slicing {
    const struct view *view;
    const struct view_stats_query *query;
    enum row_tally_scope scope;
    struct slice *slices; /* owned */
    size_t count;
    size_t capacity;
    struct flz_map by_key;
};

static void slicing_deinit(struct slicing *s)
{
    free(s->slices);
    flz_map_deinit(&s->by_key);
}

/* The scope that is read: accounts one by one where not everything may be seen, or is wanted. */
static enum row_tally_scope scope_of(const struct view *view, const struct view_stats_query *query)
{
    bool all = view_sees_all(view) && query->account == COORD_NONE;
    switch (query->by) {
    case VIEW_BY_NODE: return TALLY_NODE;
    case VIEW_BY_SCENARIO: return TALLY_SCENARIO;
    case VIEW_BY_PROVIDER:
    case VIEW_BY_TOWARDS: return all ? TALLY_PAIR : TALLY_ACCOUNT;
    case VIEW_BY_DOMAIN: return all ? TALLY_DOMAIN : TALLY_ACCOUNT;
    case VIEW_BY_OWNER:
    case VIEW_BY_DAY:
    case VIEW_BY_ACCOUNT: break;
    }
    return TALLY_ACCOUNT;
}

/* The line that the tally belongs to; false: to none that may be seen. */
static bool place(const struct slicing *s, const struct row_tally *t, struct slice *ret_slice)
{
    bool of_account = t->scope == TALLY_ACCOUNT;
    const struct row_account *row = of_account ? coord_account(s->view->core, t->subject) : NULL;
    struct slice slice = {.account = of_account ? t->subject : COORD_NONE};
    if (of_account && (!row || !view_sees_account(s->view, t->subject) ||
                       (s->query->account != COORD_NONE && s->query->account != t->subject)))
        return false;
    switch (s->query->by) {
    case VIEW_BY_TOWARDS: slice.key[0] = t->object; break;
    case VIEW_BY_DOMAIN: slice.key[0] = row ? row->domain : t->subject; break;
    case VIEW_BY_OWNER: slice.key[0] = row ? row->owner : COORD_NONE; break;
    case VIEW_BY_PROVIDER:
        slice.key[0] = row ? row->provider : t->subject;
        slice.key[1] = t->object;
        break;
    case VIEW_BY_NODE: slice.key[0] = t->subject; break;
    case VIEW_BY_SCENARIO:
        slice.key[0] = t->subject;
        slice.key[1] = t->object;
        break;
    case VIEW_BY_DAY:
    case VIEW_BY_ACCOUNT: return false;
    }
    *ret_slice = slice;
    if (s->query->by == VIEW_BY_NODE)
        return view_sees_node(s->view, t->subject);
    return of_account || view_sees_all(s->view);
}

static void add_tally(struct slicing *s, const struct row_tally *t)
{
    struct slice slice;
    if (t->scope != (uint32_t)s->scope || !place(s, t, &slice))
        return;
    struct flz_id key = flz_id_of_u64((uint64_t)slice.key[0] << 32 | slice.key[1]);
    uint32_t i = flz_map_get(&s->by_key, key);
    if (i == FLZ_MAP_NONE) {
        i = (uint32_t)s->count;
        if (flz_grow((void **)&s->slices, &s->capacity, s->count + 1, sizeof slice) < 0 ||
            flz_map_set(&s->by_key, key, i) < 0)
            return;
        s->slices[s->count++] = slice;
    }
    coord_tally_add(&s->slices[i].sum, t);
}

/* Days are there for about two weeks; before that, weeks that lie within the dates. */
static bool is_within(const struct view_stats_query *query, const struct row_tally *t)
{
    int32_t days = t->span == TALLY_WEEK ? 7 : 1;
    return t->span != TALLY_MONTH && t->date >= query->from && t->date + days - 1 <= query->to;
}

static int on_archived(const void *row, void *data)
{
    struct slicing *s = data;
    if (is_within(s->query, row))
        add_tally(s, row);
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct slice *x = a;
    const struct slice *y = b;
    if (x->key[0] != y->key[0])
        return x->key[0] < y->key[0] ? -1 : 1;
    return (x->key[1] > y->key[1]) - (x->key[1] < y->key[1]);
}

static void put_names(const struct slicing *s, json_t *json, const struct slice *slice)
{
    const struct view *view = s->view;
    char text[16];
    switch (s->query->by) {
    case VIEW_BY_TOWARDS:
        view_put_text(json, "towards", view_name(view, NAME_PROVIDER, slice->key[0]));
        break;
    case VIEW_BY_PROVIDER:
        view_put_text(json, "provider", view_name(view, NAME_PROVIDER, slice->key[0]));
        view_put_text(json, "towards", view_name(view, NAME_PROVIDER, slice->key[1]));
        break;
    case VIEW_BY_DOMAIN:
        view_put_text(json, "domain", view_name(view, NAME_DOMAIN, slice->key[0]));
        break;
    case VIEW_BY_OWNER: view_put_text(json, "owner", view_owner(view, slice->account)); break;
    case VIEW_BY_NODE: view_put_text(json, "node", view_node_name(view, slice->key[0])); break;
    case VIEW_BY_SCENARIO:
        (void)snprintf(text, sizeof text, "%08x", slice->key[0]);
        view_put_text(json, "pack", text);
        view_put_int(json, "scenario", slice->key[1]);
        break;
    case VIEW_BY_DAY:
    case VIEW_BY_ACCOUNT: break;
    }
}

static json_t *slices_json(const struct slicing *s)
{
    json_t *items = json_array();
    for (size_t i = 0; i < s->count; i++) {
        json_t *json = json_object();
        put_names(s, json, &s->slices[i]);
        view_put_tally(json, &s->slices[i].sum);
        (void)json_array_append_new(items, json);
    }
    return items;
}

json_t *view_slices(const struct view *view, const struct view_stats_query *query)
{
    _cleanup_(slicing_deinit) struct slicing s = {
        .view = view, .query = query, .scope = scope_of(view, query), .by_key = FLZ_MAP_NULL};
    for (size_t i = 0; i < coord_tally_limit(view->core); i++) {
        const struct row_tally *tally = coord_tally(view->core, i);
        if (tally && is_within(query, tally))
            add_tally(&s, tally);
    }
    if (query->from < coord_network(view->core)->newest_date - VIEW_RECENT_DAYS)
        (void)server_each_row(view->server, ROW_TALLY_OLD, on_archived, &s);
    if (s.count > 1)
        qsort(s.slices, s.count, sizeof *s.slices, compare);
    return view_list(view, "SliceList", slices_json(&s));
}

/* ---- Counters ---- */

static const struct {
    const char *name;
    size_t offset;
} counters[] = {
#define COUNTER(name_, field) {name_, offsetof(struct row_tally, field)}
    COUNTER("planned", planned),
    COUNTER("issued", issued),
    COUNTER("sent", sent),
    COUNTER("refusedHard", refused_hard),
    COUNTER("refusedSoft", refused_soft),
    COUNTER("indeterminate", indeterminate),
    COUNTER("bounced", bounced),
    COUNTER("complaints", complaints),
    COUNTER("inbox", inbox),
    COUNTER("junk", junk),
    COUNTER("other", other),
    COUNTER("missing", missing),
    COUNTER("unobserved", unobserved),
    COUNTER("rescued", rescued),
    COUNTER("opened", opened),
    COUNTER("replied", replied),
    COUNTER("due", due),
    COUNTER("done", done),
    COUNTER("verdicts", verdicts),
    COUNTER("spf", spf),
    COUNTER("dkim", dkim),
    COUNTER("dmarc", dmarc),
#undef COUNTER
};

void view_put_tally(json_t *object, const struct row_tally *tally)
{
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        uint32_t value;
        memcpy(&value, (const uint8_t *)tally + counters[i].offset, sizeof value);
        view_put_int(object, counters[i].name, value);
    }
    uint64_t seen = (uint64_t)tally->inbox + tally->junk;
    struct wilson share = wilson_interval(tally->junk * WILSON_ONE, seen * WILSON_ONE);
    view_put(object, "junkShare", seen ? json_real((double)share.share / SHARE_ONE) : json_null());
    view_put(object, "junkShareLow", json_real((double)share.low / SHARE_ONE));
    view_put(object, "junkShareHigh", json_real((double)share.high / SHARE_ONE));
}
