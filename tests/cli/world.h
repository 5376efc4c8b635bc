/*
 * A coordinator's server for tests of what people see: the real core behind coordinator/server.h,
 * without sockets, store or nodes. Commands are committed at once. Network time stands still at
 * WORLD_NOW unless it is moved.
 */
#pragma once

#include "coordinator/identity.h"
#include "coordinator/server.h"

#define WORLD_DATE 20780 /* Monday 2026-11-23 */
#define WORLD_NOW (WORLD_DATE * FLZ_DAY_MS + 10 * FLZ_HOUR_MS)

/* `identity` is taken over; may be NULL. */
struct server *world_new(struct coordinator_identity *identity);
struct server *world_free(struct server *world);

/* A node that joined; connected says whether its heartbeats come. */
uint32_t world_add_node(struct server *world, const char *name, bool connected);
/* An account of the node; English, every day, all day, in UTC. */
uint32_t world_add_account(struct server *world, uint32_t node, const char *address,
                           const char *owner);
/* The node logged in, or could not. */
void world_probe(struct server *world, uint32_t account, bool login_ok);
/* A refused login, the `tries`th in a row; its node tries again in five minutes, or not after the
 * last one. 0: none was refused, somebody has to sign in. */
void world_refuse(struct server *world, uint32_t account, uint32_t tries);
/* Plans WORLD_DATE for all accounts. */
void world_plan(struct server *world);
/* The send of an exchange's first message, its find, as both nodes tell. */
void world_settle_first(struct server *world, uint32_t exchange, uint32_t placement);
/* Goes through WORLD_DATE and `days` more, the last one until that hour: plans, and does as nodes
 * do. The share of Junk falls day by day. */
void world_live(struct server *world, int days, int64_t hours);
/* What people call an account from now on. */
void world_rename(struct server *world, uint32_t account, const char *address, const char *owner);
void world_disconnect(struct server *world, uint32_t node);
/* The second segment of the log is not as it was written. */
void world_damage(struct server *world);
/* The log refuses from now on. */
void world_break(struct server *world);
/* Its disk is nearly full from now on, or is not any more. */
void world_hold_back(struct server *world, enum admission admission);
/* The host's clock jumped, and network time goes on without. */
void world_refuse_step(struct server *world, int64_t step_ms);
