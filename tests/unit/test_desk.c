/* The desk without its door: admin_* stand here, so that a call may say what no client would. */
#include "coordinator/desk.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "proto/codec.h"
#include "tests/cli/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- The door ---- */

struct admin_call {
    const char *verb;
    const char *arguments[8][2];
    struct flz_view body;
    unsigned answers;
    enum admin_exit code;
    char error[64];
    char message[FLZ_MSG_MAX];
};

const char *admin_verb(const struct admin_call *call)
{
    return call->verb;
}

const char *admin_argument(const struct admin_call *call, const char *key)
{
    for (size_t i = 0; i < 8; i++)
        if (call->arguments[i][0] && strcmp(call->arguments[i][0], key) == 0)
            return call->arguments[i][1];
    return NULL;
}

struct flz_view admin_body(const struct admin_call *call)
{
    return call->body;
}

const char *admin_who(const struct admin_call *call)
{
    return "test";
}

const char *admin_scope(const struct admin_call *call)
{
    return "";
}

bool admin_may(const struct admin_call *call, const char *target, bool changes)
{
    return true;
}

void admin_answer(struct admin_call *call, enum admin_exit code, json_t *json, const char *message)
{
    call->answers++;
    call->code = code;
    json_decref(json);
}

void admin_refuse(struct admin_call *call, enum admin_exit code, const char *error,
                  const char *message, const char *hint)
{
    call->answers++;
    call->code = code;
    (void)snprintf(call->error, sizeof call->error, "%s", error);
    (void)snprintf(call->message, sizeof call->message, "%s", message);
}

/* ---- A network with keys ---- */

struct fixture {
    struct server *world;
    struct keys_sign_pair root;
    struct keys_sign_pair admin;
    struct keys_sign_pair stranger;
    struct flz_id network;
    struct flz_buf certificate; /* base64url */
    struct flz_buf invite;
};

static struct flz_signer signer_of(struct keys_sign_pair *pair)
{
    return (struct flz_signer){.key = pair->public_key, .on_sign = keys_on_sign, .data = pair};
}

static void seal(enum flz_kind kind, const struct flz_codec *codec, const void *object,
                 struct keys_sign_pair *key, struct flz_buf *ret_bytes)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct flz_signer signer = signer_of(key);
    flz_buf_reset(ret_bytes);
    assert_int_equal(flz_encode(codec, object, &payload), 0);
    assert_int_equal(flz_seal_signed(kind, flz_buf_view(&payload), &signer, ret_bytes), 0);
}

static void certify(struct fixture *fixture, uint32_t role, const char *scope)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_certificate certificate = {.network = fixture->network,
                                          .key = fixture->admin.public_key,
                                          .role = role,
                                          .name = "somebody",
                                          .serial = 1,
                                          .not_before = flz_realtime_ms() - FLZ_HOUR_MS,
                                          .not_after = flz_realtime_ms() + FLZ_HOUR_MS};
    (void)snprintf(certificate.scope, sizeof certificate.scope, "%s", scope);
    seal(FLZ_KIND_CERTIFICATE, &flz_codec_certificate, &certificate, &fixture->root, &bytes);
    flz_buf_reset(&fixture->certificate);
    flz_base64url_encode(flz_buf_view(&bytes), &fixture->certificate);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct flz_msg msg;
    assert_int_equal(flz_secret_harden(true, &msg), 0);
    assert_int_equal(keys_sign_generate(&fixture->root), 0);
    assert_int_equal(keys_sign_generate(&fixture->admin), 0);
    assert_int_equal(keys_sign_generate(&fixture->stranger), 0);
    memset(fixture->network.b, 7, sizeof fixture->network.b);
    struct coordinator_identity identity = {
        .trust = {.network = fixture->network, .root = fixture->root.public_key}};
    fixture->world = world_new(&identity);
    uint32_t n1 = world_add_node(fixture->world, "n1", true);
    (void)world_add_account(fixture->world, n1, "ann@alpha.test", "Alpha");
    certify(fixture, FLZ_ROLE_ADMIN, "network");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    (void)world_free(fixture->world);
    keys_sign_deinit(&fixture->root);
    keys_sign_deinit(&fixture->admin);
    keys_sign_deinit(&fixture->stranger);
    flz_buf_deinit(&fixture->certificate);
    flz_buf_deinit(&fixture->invite);
    free(fixture);
    return 0;
}

static struct flz_invite an_invite(const struct fixture *fixture)
{
    struct flz_invite invite = {.network = fixture->network,
                                .name = "n3",
                                .token_key = fixture->stranger.public_key,
                                .not_after = flz_realtime_ms() + FLZ_HOUR_MS};
    memset(invite.node.b, 3, sizeof invite.node.b);
    return invite;
}

static struct admin_call invite_with(struct fixture *fixture, const struct flz_invite *invite,
                                     struct keys_sign_pair *key)
{
    seal(FLZ_KIND_INVITE, &flz_codec_invite, invite, key, &fixture->invite);
    struct admin_call call = {
        .verb = "node invite",
        .arguments = {{"certificate", flz_buf_str(&fixture->certificate)}, {"name", "n3"}},
        .body = flz_buf_view(&fixture->invite)};
    desk_on_call(&call, fixture->world);
    assert_int_equal(call.answers, 1);
    return call;
}

/* ---- Invites ---- */

static void an_invite_is_recorded_by_its_tokens_digest(void **state)
{
    struct fixture *fixture = *state;
    struct flz_invite invite = an_invite(fixture);
    size_t before = coord_invite_count(server_core(fixture->world));
    struct admin_call call = invite_with(fixture, &invite, &fixture->admin);
    assert_int_equal(call.code, ADMIN_OK);
    assert_int_equal(coord_invite_count(server_core(fixture->world)), before + 1);
    const struct row_invite *row = coord_invite(server_core(fixture->world), (uint32_t)before);
    struct flz_digest digest = flz_digest_of(
        (struct flz_view){.data = invite.token_key.b, .len = sizeof invite.token_key.b});
    assert_memory_equal(row->token.b, digest.b, sizeof digest.b);
    assert_string_equal(row->name, "n3");
}

static void nothing_is_recorded_of(struct fixture *fixture, const struct flz_invite *invite,
                                   struct keys_sign_pair *key, enum admin_exit code)
{
    size_t before = coord_invite_count(server_core(fixture->world));
    struct admin_call call = invite_with(fixture, invite, key);
    assert_int_equal(call.code, code);
    assert_int_equal(coord_invite_count(server_core(fixture->world)), before);
}

static void an_invite_that_the_administrator_did_not_sign_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct flz_invite invite = an_invite(fixture);
    nothing_is_recorded_of(fixture, &invite, &fixture->stranger, ADMIN_NOT_PERMITTED);
}

static void an_invite_of_another_network_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct flz_invite invite = an_invite(fixture);
    invite.network.b[0]++;
    nothing_is_recorded_of(fixture, &invite, &fixture->admin, ADMIN_USAGE);
}

static void an_invite_lasts_from_now_on_and_30_days_at_most(void **state)
{
    struct fixture *fixture = *state;
    struct flz_invite invite = an_invite(fixture);
    invite.not_after = flz_realtime_ms() - 1;
    nothing_is_recorded_of(fixture, &invite, &fixture->admin, ADMIN_USAGE);
    invite.not_after = flz_realtime_ms() + 31 * FLZ_DAY_MS;
    nothing_is_recorded_of(fixture, &invite, &fixture->admin, ADMIN_USAGE);
}

static void an_invite_is_named_as_it_is_asked_for(void **state)
{
    struct fixture *fixture = *state;
    struct flz_invite invite = an_invite(fixture);
    (void)snprintf(invite.name, sizeof invite.name, "n4");
    nothing_is_recorded_of(fixture, &invite, &fixture->admin, ADMIN_USAGE);
}

static void only_an_administrator_of_that_node_invites_it(void **state)
{
    struct fixture *fixture = *state;
    struct flz_invite invite = an_invite(fixture);
    certify(fixture, FLZ_ROLE_OPERATOR, "node/n3");
    nothing_is_recorded_of(fixture, &invite, &fixture->admin, ADMIN_NOT_PERMITTED);
    certify(fixture, FLZ_ROLE_ADMIN, "node/n4");
    nothing_is_recorded_of(fixture, &invite, &fixture->admin, ADMIN_NOT_PERMITTED);
    certify(fixture, FLZ_ROLE_ADMIN, "node/n3");
    assert_int_equal(invite_with(fixture, &invite, &fixture->admin).code, ADMIN_OK);
}

/* ---- Changes ---- */

static struct admin_call call_account(struct fixture *fixture, const char *verb)
{
    struct admin_call call = {.verb = verb, .arguments = {{"account", "ann@alpha.test"}}};
    desk_on_call(&call, fixture->world);
    assert_int_equal(call.answers, 1);
    return call;
}

/* ---- Revocations ---- */

static struct admin_call revoke_with(struct fixture *fixture, struct flz_id node,
                                     struct keys_sign_pair *key)
{
    static struct flz_buf bytes; /* the call borrows it */
    _cleanup_(flz_buf_deinit) struct flz_buf certificate = FLZ_BUF_NULL;
    assert_int_equal(flz_base64url_decode(flz_buf_view(&fixture->certificate), &certificate), 0);
    struct flz_revocation revocation = {.network = fixture->network,
                                        .node = node,
                                        .at = flz_realtime_ms(),
                                        .admin_certificate = flz_buf_view(&certificate)};
    seal(FLZ_KIND_REVOCATION, &flz_codec_revocation, &revocation, key, &bytes);
    struct admin_call call = {
        .verb = "node revoke", .arguments = {{"name", "n1"}}, .body = flz_buf_view(&bytes)};
    desk_on_call(&call, fixture->world);
    assert_int_equal(call.answers, 1);
    flz_buf_deinit(&bytes);
    return call;
}

static void a_revocation_is_recorded_as_the_administrator_signed_it(void **state)
{
    struct fixture *fixture = *state;
    const struct coord *core = server_core(fixture->world);
    struct flz_id n1 = coord_node(core, 0)->id, other = {.b = {1}};
    struct admin_call unsigned_call = {.verb = "node revoke", .arguments = {{"name", "n1"}}};
    desk_on_call(&unsigned_call, fixture->world);
    assert_int_equal(unsigned_call.code, ADMIN_NOT_PERMITTED);
    assert_int_equal(revoke_with(fixture, n1, &fixture->stranger).code, ADMIN_NOT_PERMITTED);
    assert_int_equal(revoke_with(fixture, other, &fixture->admin).code, ADMIN_NOT_PERMITTED);
    assert_int_equal(coord_node(core, 0)->state, NODE_JOINED);
    assert_int_equal(revoke_with(fixture, n1, &fixture->admin).code, ADMIN_OK);
    assert_int_equal(coord_node(core, 0)->state, NODE_REVOKED);
    struct flz_revocation got;
    struct flz_msg msg;
    assert_int_equal(flz_cert_check_revocation(&server_identity(fixture->world)->trust,
                                               coord_node(core, 0)->revocation, &got, &msg),
                     0);
    assert_true(flz_id_equal(got.node, n1));
}

static void removing_works_after_the_consent_ended_too(void **state)
{
    struct fixture *fixture = *state;
    struct coord_command end = {.kind = COORD_END_CONSENT, .account = 0};
    assert_int_equal(server_submit(fixture->world, &end, NULL, NULL), 0);
    assert_int_equal(call_account(fixture, "account rm").code, ADMIN_OK);
    assert_int_equal(coord_account(server_core(fixture->world), 0)->state, ACCOUNT_REMOVED);
    struct admin_call again = call_account(fixture, "account rm");
    assert_int_equal(again.code, ADMIN_FAILED);
    assert_string_equal(again.error, "REFUSED");
}

static void what_the_log_refuses_is_to_be_tried_again(void **state)
{
    struct fixture *fixture = *state;
    world_break(fixture->world);
    struct admin_call call = call_account(fixture, "account rm");
    assert_int_equal(call.code, ADMIN_TRY_AGAIN);
    assert_string_equal(call.error, "NOT_COMMITTED");
    assert_int_equal(call_account(fixture, "account erase").code, ADMIN_TRY_AGAIN);
    assert_int_equal(coord_account(server_core(fixture->world), 0)->state, ACCOUNT_LIVE);
}

/* I19: what makes the network do less is taken as long as there is room for it. */
static void near_a_full_disk_only_what_stops_something_is_taken(void **state)
{
    struct fixture *fixture = *state;
    struct admin_call resume = {.verb = "resume", .arguments = {{"target", "network"}}};
    struct admin_call pause = {.verb = "pause",
                               .arguments = {{"target", "network"}, {"reason", "disk"}}};
    world_hold_back(fixture->world, ADMISSION_RESCUE);
    desk_on_call(&pause, fixture->world);
    assert_int_equal(pause.code, ADMIN_OK);
    desk_on_call(&resume, fixture->world);
    assert_int_equal(resume.code, ADMIN_TRY_AGAIN);
    assert_string_equal(resume.error, "HELD_BACK");
    assert_int_equal(coord_pause_count(server_core(fixture->world)), 1);
    world_hold_back(fixture->world, ADMISSION_CLOSED);
    assert_int_equal(call_account(fixture, "account rm").code, ADMIN_TRY_AGAIN);
    assert_int_equal(coord_account(server_core(fixture->world), 0)->state, ACCOUNT_LIVE);
    world_hold_back(fixture->world, ADMISSION_OPEN);
    assert_int_equal(call_account(fixture, "account rm").code, ADMIN_OK);
}

static void a_verb_that_is_none_is_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(call_account(fixture, "account sell").code, ADMIN_USAGE);
    assert_int_equal(call_account(fixture, "").code, ADMIN_USAGE);
}

#define DESK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(an_invite_is_recorded_by_its_tokens_digest),
        DESK_TEST(an_invite_that_the_administrator_did_not_sign_is_refused),
        DESK_TEST(an_invite_of_another_network_is_refused),
        DESK_TEST(an_invite_lasts_from_now_on_and_30_days_at_most),
        DESK_TEST(an_invite_is_named_as_it_is_asked_for),
        DESK_TEST(only_an_administrator_of_that_node_invites_it),
        DESK_TEST(a_revocation_is_recorded_as_the_administrator_signed_it),
        DESK_TEST(removing_works_after_the_consent_ended_too),
        DESK_TEST(what_the_log_refuses_is_to_be_tried_again),
        DESK_TEST(near_a_full_disk_only_what_stops_something_is_taken),
        DESK_TEST(a_verb_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
