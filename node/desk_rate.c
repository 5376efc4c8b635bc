#include "common/base/hash.h"
#include "common/base/text.h"
#include "node/desk.h"

#include <string.h>

/* Whom a message is counted for. */
enum rate_of { RATE_ACCOUNT, RATE_DOMAIN, RATE_PROVIDER, RATES };

struct rate {
    struct meter *meter; /* NULL: no limit, or no memory */
    const struct meter_limits *limits;
};

static struct flz_id key_of(enum rate_of of, const struct member *member)
{
    static const char *const kinds[] = {"account meter", "domain meter", "provider meter"};
    const struct flz_account *account = &member->record.account;
    char domain[FLZ_DOMAIN_MAX] = "";
    struct flz_hash hash;
    flz_hash_init_id(&hash, FLZ_VIEW_NULL, kinds[of]);
    switch (of) {
    case RATE_ACCOUNT: flz_hash_add_piece(&hash, account->id.b, sizeof account->id.b); break;
    case RATE_DOMAIN:
        (void)flz_text_copy(domain, sizeof domain, worker_domain_of(account->address));
        flz_ascii_lower_str(domain);
        flz_hash_add_piece(&hash, domain, strlen(domain));
        break;
    case RATE_PROVIDER:
        flz_hash_add_piece(&hash, account->provider, strlen(account->provider));
        break;
    case RATES: break;
    }
    return flz_hash_id(&hash);
}

static bool is_limited(const struct meter_limits *limits)
{
    return limits->most[METER_MINUTE] || limits->most[METER_HOUR] || limits->most[METER_DAY];
}

static void rates_of(struct desk *desk, const struct member *member, struct rate rates[RATES])
{
    const struct shaping_limits *limits = desk_limits(desk, member);
    const struct meter_limits *each[RATES] = {&limits->account, &limits->domain, &limits->provider};
    for (int i = 0; i < RATES; i++) {
        rates[i] = (struct rate){.limits = each[i]};
        if (is_limited(each[i]))
            rates[i].meter = meters_find(&desk->worker->meters, key_of((enum rate_of)i, member));
    }
}

int64_t desk_rate_next(struct desk *desk, const struct member *member, int64_t network_now)
{
    struct rate rates[RATES];
    int64_t next = network_now;
    rates_of(desk, member, rates);
    for (int i = 0; i < RATES; i++) {
        int64_t at =
            rates[i].meter ? meter_next(rates[i].meter, rates[i].limits, network_now) : network_now;
        next = at > next ? at : next;
    }
    return next;
}

void desk_rate_count(struct desk *desk, const struct member *member, int64_t network_now)
{
    struct rate rates[RATES];
    rates_of(desk, member, rates);
    for (int i = 0; i < RATES; i++)
        if (rates[i].meter)
            meter_count(rates[i].meter, 1, network_now);
}

void desk_rate_recall(struct desk *desk, const struct member *member, int64_t network_now)
{
    struct rate rates[RATES];
    int32_t today;
    if (desk->rate_recalled ||
        tz_local_day(desk->worker->parts.tz, member->record.account.zone, network_now, &today) < 0)
        return;
    desk->rate_recalled = true;
    uint32_t dots = worker_dots_on(desk->worker, desk->account, today);
    rates_of(desk, member, rates);
    for (int i = 0; i < RATES; i++)
        if (dots > 0 && rates[i].meter)
            meter_count_day(rates[i].meter, dots, network_now);
}
