/*
 * How many first messages a plan could have at most: an exact maximum flow (Dinic) from senders to
 * recipients. It keeps members, domains, owners, languages, the cooldown, quotas and inbound bounds
 * (P1, P2, P3, P5, P7, P9 of coordinator/core/plan.h) and knows nothing of times (P6, P8) nor of
 * pairs that may begin one exchange a day (P4): no plan has more, and some pools allow fewer.
 */
#pragma once

#include "coordinator/core/plan.h"

/* Needs count² bits twice: for pools of some thousand accounts. Aborts when memory is short. */
uint64_t plan_flow_max(const struct plan_input *input);
