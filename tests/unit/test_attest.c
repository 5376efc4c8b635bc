#include "node/attest.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "proto/cert.h"
#include "proto/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1803880800000)

static struct attest_time at(int64_t now)
{
    return (struct attest_time){.now = now, .civil = true};
}

/* A network of one coordinator, one administrator and the recipient's node. */
struct fx {
    struct keys_sign_pair root, issuer, admin, token, peer, stranger;
    struct identity identity;
    struct attest_nodes *nodes;
    struct flz_buf admin_certificate, invite, node_certificate, attestation;
    struct flz_view certificates[1];
    struct flz_tasks frame;
    struct flz_task task;
    struct flz_attestation claim;
};

static void seal(enum flz_kind kind, const struct flz_codec *codec, const void *object,
                 const struct keys_sign_pair *key, struct flz_buf *buf)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct flz_signer signer = {
        .key = key->public_key, .on_sign = keys_on_sign, .data = (void *)(uintptr_t)key};
    flz_buf_reset(buf);
    assert_int_equal(flz_encode(codec, object, &payload), 0);
    assert_int_equal(flz_seal_signed(kind, flz_buf_view(&payload), &signer, buf), 0);
}

static struct flz_certificate certificate_of(const struct fx *fx, const struct keys_sign_pair *key,
                                             enum flz_role role)
{
    int64_t now = flz_realtime_ms();
    return (struct flz_certificate){.network = fx->identity.trust.network,
                                    .key = key->public_key,
                                    .role = role,
                                    .scope = "network",
                                    .name = "test",
                                    .serial = 1,
                                    .not_before = now - FLZ_HOUR_MS,
                                    .not_after = now + FLZ_HOUR_MS};
}

/* A coordinator's counts at the time of the mail, in network time. */
static struct flz_certificate issuer_of(const struct fx *fx, int64_t not_before, int64_t not_after)
{
    struct flz_certificate issuer = certificate_of(fx, &fx->issuer, FLZ_ROLE_ISSUER);
    issuer.not_before = not_before;
    issuer.not_after = not_after;
    return issuer;
}

static void attest(struct fx *fx, const struct keys_sign_pair *key)
{
    seal(FLZ_KIND_ATTESTATION, &flz_codec_attestation, &fx->claim, key, &fx->attestation);
    fx->task.attestation = flz_buf_view(&fx->attestation);
}

static void sign_mail(struct fx *fx, const struct keys_sign_pair *key)
{
    struct flz_address from, to;
    struct flz_digest digest;
    struct xheader header = {.network = fx->identity.trust.network,
                             .exchange = fx->task.exchange,
                             .step = fx->task.turn,
                             .time_ms = fx->task.mail_time,
                             .expiry_ms = fx->task.expires,
                             .key = key->id};
    (void)snprintf(header.message_id, sizeof header.message_id, "%s", fx->task.message_id);
    assert_int_equal(flz_address_parse(fx->task.from, &from), 0);
    assert_int_equal(flz_address_parse(fx->task.to, &to), 0);
    assert_int_equal(xheader_digest(&header, &from, &to, &digest), 0);
    assert_int_equal(keys_on_sign(&digest, &fx->task.mail_signature, (void *)(uintptr_t)key), 0);
    fx->task.mail_key = key->id;
}

static void certify_node(struct fx *fx, const struct keys_sign_pair *admin)
{
    struct flz_invite invite = {.network = fx->identity.trust.network,
                                .node = {.b = {8}},
                                .name = "n2",
                                .token_key = fx->token.public_key,
                                .not_after = flz_realtime_ms() + FLZ_HOUR_MS};
    seal(FLZ_KIND_INVITE, &flz_codec_invite, &invite, admin, &fx->invite);
    struct flz_node_certificate node = {.admin_certificate = flz_buf_view(&fx->admin_certificate),
                                        .invite = flz_buf_view(&fx->invite),
                                        .sign_key = fx->peer.public_key,
                                        .curve_key = {.b = {5}},
                                        .created = flz_realtime_ms()};
    seal(FLZ_KIND_NODE, &flz_codec_node_certificate, &node, &fx->token, &fx->node_certificate);
    fx->certificates[0] = flz_buf_view(&fx->node_certificate);
    fx->frame = (struct flz_tasks){.certificates = fx->certificates, .certificates_count = 1};
    fx->task.attestation_signer = flz_digest_of(fx->certificates[0]);
}

static int setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    struct flz_address to;
    assert_non_null(fx);
    struct keys_sign_pair *pairs[] = {&fx->root,  &fx->issuer, &fx->admin,
                                      &fx->token, &fx->peer,   &fx->stranger};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(keys_sign_generate(pairs[i]), 0);
    fx->nodes = attest_nodes_new();
    assert_non_null(fx->nodes);
    fx->identity.trust = (struct flz_trust){.network = {.b = {4}}, .root = fx->root.public_key};
    fx->identity.issuers[0] = issuer_of(fx, NOW - FLZ_HOUR_MS, NOW + FLZ_HOUR_MS);
    fx->identity.issuers_count = 1;
    struct flz_certificate admin = certificate_of(fx, &fx->admin, FLZ_ROLE_ADMIN);
    seal(FLZ_KIND_CERTIFICATE, &flz_codec_certificate, &admin, &fx->root, &fx->admin_certificate);
    fx->task = (struct flz_task){.id = {.b = {1}},
                                 .exchange = {.b = {2}},
                                 .account = {.b = {3}},
                                 .peer_account = {.b = {6}},
                                 .kind = FLZ_TASK_SEND,
                                 .from = "ada@a.test",
                                 .to = "bob@b.test",
                                 .message_id = "one@a.test",
                                 .mail_time = NOW,
                                 .expires = NOW + FLZ_DAY_MS};
    certify_node(fx, &fx->admin);
    assert_int_equal(flz_address_parse(fx->task.to, &to), 0);
    fx->claim = (struct flz_attestation){.network = fx->identity.trust.network,
                                         .node = {.b = {8}},
                                         .account = fx->task.peer_account,
                                         .address = flz_address_digest(&to),
                                         .consent_until = NOW + FLZ_DAY_MS,
                                         .actions = 15};
    attest(fx, &fx->peer);
    sign_mail(fx, &fx->issuer);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fx *fx = *state;
    struct keys_sign_pair *pairs[] = {&fx->root,  &fx->issuer, &fx->admin,
                                      &fx->token, &fx->peer,   &fx->stranger};
    for (size_t i = 0; i < 6; i++)
        keys_sign_deinit(pairs[i]);
    flz_buf_deinit(&fx->admin_certificate);
    flz_buf_deinit(&fx->invite);
    flz_buf_deinit(&fx->node_certificate);
    flz_buf_deinit(&fx->attestation);
    fx->nodes = attest_nodes_free(fx->nodes);
    free(fx);
    return 0;
}

static void expect_reason(struct fx *fx, enum flz_reason want)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    enum flz_reason got =
        attest_task(&fx->identity, fx->nodes, &fx->frame, &fx->task, at(NOW), &msg);
    if (got != want)
        fail_msg("reason %u (%s), not %u", (unsigned)got, msg.text, (unsigned)want);
    assert_true(want == FLZ_REASON_NONE || msg.text[0]);
}

/* ---- Sending ---- */

static void member_with_a_signed_header_may_be_written_to(void **state)
{
    expect_reason(*state, FLZ_REASON_NONE);
}

static void attestation_must_be_of_this_address_account_and_node(void **state)
{
    struct fx *fx = *state;
    struct flz_attestation good = fx->claim;
    struct flz_address other;
    assert_int_equal(flz_address_parse("eve@b.test", &other), 0);
    fx->claim.address = flz_address_digest(&other);
    attest(fx, &fx->peer);
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    fx->claim = good;
    fx->claim.account.b[0]++;
    attest(fx, &fx->peer);
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    fx->claim = good;
    fx->claim.node.b[0]++;
    attest(fx, &fx->peer);
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    fx->claim = good;
    fx->claim.network.b[0]++;
    attest(fx, &fx->peer);
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    fx->claim = good;
    attest(fx, &fx->peer);
    expect_reason(fx, FLZ_REASON_NONE);
}

static void consent_must_last_and_cover_opening(void **state)
{
    struct fx *fx = *state;
    fx->claim.consent_until = NOW;
    attest(fx, &fx->peer);
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    fx->claim.consent_until = NOW + 1;
    fx->claim.actions = FLZ_ACTION_SEND | FLZ_ACTION_REPLY;
    attest(fx, &fx->peer);
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
}

static void forged_and_foreign_signers_are_refused(void **state)
{
    struct fx *fx = *state;
    attest(fx, &fx->stranger);
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    attest(fx, &fx->issuer); /* not even a coordinator vouches for a member */
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    attest(fx, &fx->peer);
    fx->attestation.data[fx->attestation.len - 1] ^= 1;
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    attest(fx, &fx->peer);
    certify_node(fx, &fx->stranger); /* an invite that no administrator signed */
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    certify_node(fx, &fx->admin);
    expect_reason(fx, FLZ_REASON_NONE);
    fx->frame.certificates_count = 0;
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    fx->task.attestation = FLZ_VIEW_NULL;
    fx->frame.certificates_count = 1;
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
}

/* Three signatures are verified once for a certificate, not for each task. */
static void a_nodes_certificate_is_checked_once(void **state)
{
    struct fx *fx = *state;
    expect_reason(fx, FLZ_REASON_NONE);
    assert_int_equal(attest_nodes_count(fx->nodes), 1);
    /* A second check would fail. */
    fx->identity.trust.root = fx->stranger.public_key;
    expect_reason(fx, FLZ_REASON_NONE);
    assert_int_equal(attest_nodes_count(fx->nodes), 1);
    /* What is known of one says nothing of another, and a bad one is not remembered. */
    certify_node(fx, &fx->stranger);
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    expect_reason(fx, FLZ_REASON_NO_ATTESTATION);
    assert_int_equal(attest_nodes_count(fx->nodes), 1);
}

static void mail_header_must_be_a_coordinators_for_these_addresses(void **state)
{
    struct fx *fx = *state;
    sign_mail(fx, &fx->stranger);
    expect_reason(fx, FLZ_REASON_PROTOCOL);
    sign_mail(fx, &fx->issuer);
    fx->task.turn = 1;
    expect_reason(fx, FLZ_REASON_PROTOCOL);
    fx->task.turn = 0;
    fx->task.expires++;
    expect_reason(fx, FLZ_REASON_PROTOCOL);
    fx->task.expires--;
    (void)snprintf(fx->task.from, sizeof fx->task.from, "eve@a.test");
    expect_reason(fx, FLZ_REASON_PROTOCOL);
    (void)snprintf(fx->task.from, sizeof fx->task.from, "ada@a.test\r\nX: y");
    expect_reason(fx, FLZ_REASON_PROTOCOL);
}

static void roles_are_never_written_to(void **state)
{
    struct fx *fx = *state;
    (void)snprintf(fx->task.to, sizeof fx->task.to, "postmaster@b.test");
    sign_mail(fx, &fx->issuer);
    expect_reason(fx, FLZ_REASON_POLICY);
}

static void signer_of_an_attestation_is_told(void **state)
{
    struct fx *fx = *state;
    struct flz_id node;
    assert_int_equal(attest_signer(&fx->task, &node), FLZ_REASON_NONE);
    assert_true(flz_id_equal(node, fx->claim.node));
    fx->task.attestation = FLZ_VIEW_NULL;
    assert_int_equal(attest_signer(&fx->task, &node), FLZ_REASON_NO_ATTESTATION);
}

static void mailbox_tasks_need_no_attestation(void **state)
{
    struct fx *fx = *state;
    fx->task.kind = FLZ_TASK_OPEN;
    fx->task.attestation = FLZ_VIEW_NULL;
    expect_reason(fx, FLZ_REASON_NONE);
}

/* ---- What is found in a mailbox ---- */

static struct header header_of(struct fx *fx)
{
    struct header header = {.doubled = false};
    struct flz_address from, to;
    struct flz_msg msg = FLZ_MSG_NULL;
    char value[XHEADER_VALUE_MAX];
    assert_int_equal(flz_address_parse(fx->task.from, &from), 0);
    assert_int_equal(flz_address_parse(fx->task.to, &to), 0);
    if (attest_mail_header(&fx->identity, &fx->task, &from, &to, at(NOW), value, &msg) < 0)
        fail_msg("%s", msg.text);
    (void)snprintf(header.x_fluenzr, sizeof header.x_fluenzr, "%s", value);
    (void)snprintf(header.from, sizeof header.from, "%s", fx->task.from);
    (void)snprintf(header.to, sizeof header.to, "%s", fx->task.to);
    return header;
}

static bool is_ours(struct fx *fx, uint32_t turn, const struct header *header, int64_t now)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    bool ours = attest_found_header(&fx->identity, &fx->task, turn, header, at(now), &msg);
    assert_true(ours || msg.text[0]);
    return ours;
}

static void announced_message_is_known_again(void **state)
{
    struct fx *fx = *state;
    struct header header = header_of(fx);
    fx->task.kind = FLZ_TASK_FIND;
    assert_true(is_ours(fx, 0, &header, NOW));
    (void)snprintf(header.from, sizeof header.from, "ADA@A.test");
    assert_true(is_ours(fx, 0, &header, NOW));
    assert_false(is_ours(fx, 0, &header, fx->task.expires));
    assert_false(is_ours(fx, 1, &header, NOW));
    header.doubled = true;
    assert_false(is_ours(fx, 0, &header, NOW));
}

static void copied_header_is_not_enough(void **state)
{
    struct fx *fx = *state;
    struct header header = header_of(fx);
    fx->task.kind = FLZ_TASK_OPEN;
    struct header copy = header;
    (void)snprintf(copy.from, sizeof copy.from, "eve@a.test");
    assert_false(is_ours(fx, 0, &copy, NOW));
    copy = header;
    (void)snprintf(copy.to, sizeof copy.to, "eve@b.test");
    assert_false(is_ours(fx, 0, &copy, NOW));
    copy = header;
    copy.from[0] = '\0';
    assert_false(is_ours(fx, 0, &copy, NOW));
    /* A valid header of another message of the same two people. */
    struct flz_task task = fx->task;
    (void)snprintf(fx->task.message_id, sizeof fx->task.message_id, "two@a.test");
    sign_mail(fx, &fx->issuer);
    struct header other = header_of(fx);
    fx->task = task;
    assert_false(is_ours(fx, 0, &other, NOW));
    fx->task.exchange.b[0]++;
    assert_false(is_ours(fx, 0, &header, NOW));
}

static void forged_header_is_refused(void **state)
{
    struct fx *fx = *state;
    struct header header = header_of(fx);
    fx->task.kind = FLZ_TASK_FIND;
    char *signature = strstr(header.x_fluenzr, "s=");
    assert_non_null(signature);
    signature[2] = signature[2] == 'A' ? 'B' : 'A';
    assert_false(is_ours(fx, 0, &header, NOW));
    header = header_of(fx);
    fx->identity.issuers_count = 0; /* a key that is no coordinator's here */
    assert_false(is_ours(fx, 0, &header, NOW));
    fx->identity.issuers_count = 1;
    fx->identity.trust.network.b[0]++;
    assert_false(is_ours(fx, 0, &header, NOW));
    (void)snprintf(header.x_fluenzr, sizeof header.x_fluenzr, "v=1; nonsense");
    assert_false(is_ours(fx, 0, &header, NOW));
}

static void retired_key_still_vouches_for_its_mail(void **state)
{
    struct fx *fx = *state;
    struct header header = header_of(fx);
    fx->task.kind = FLZ_TASK_FIND;
    assert_true(is_ours(fx, 0, &header, NOW + 2 * FLZ_HOUR_MS));
}

static void key_counts_for_the_time_of_its_certificate_alone(void **state)
{
    struct fx *fx = *state;
    struct header header = header_of(fx);
    fx->task.kind = FLZ_TASK_FIND;
    struct flz_certificate *issuer = &fx->identity.issuers[0];
    *issuer = issuer_of(fx, NOW - 1, NOW); /* ended before t, with a signature that is good */
    assert_false(is_ours(fx, 0, &header, NOW));
    *issuer = issuer_of(fx, NOW + 1, NOW + 9); /* began after t */
    assert_false(is_ours(fx, 0, &header, NOW));
    *issuer = issuer_of(fx, NOW, NOW + 1);
    assert_true(is_ours(fx, 0, &header, NOW));
    /* Renewed: an older certificate of the same key is no hindrance. */
    fx->identity.issuers[1] = *issuer;
    *issuer = issuer_of(fx, 1, 2);
    fx->identity.issuers_count = 2;
    assert_true(is_ours(fx, 0, &header, NOW));
    fx->identity.issuers_count = 1;
    struct attest_time lab = {.now = NOW}; /* its days are no days of the world */
    struct flz_msg msg;
    assert_true(attest_found_header(&fx->identity, &fx->task, 0, &header, lab, &msg));
    fx->task.kind = FLZ_TASK_SEND; /* nor is mail sent with such a header */
    expect_reason(fx, FLZ_REASON_PROTOCOL);
}

/* ---- What was filed ---- */

static bool may_go(struct fx *fx, const char *address, int64_t before, const struct header *header,
                   int64_t now)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    bool old = attest_kept_header(&fx->identity, address, before, header, at(now), &msg);
    assert_true(old || msg.text[0]);
    return old;
}

static void old_and_expired_mail_of_the_account_may_go(void **state)
{
    struct fx *fx = *state;
    struct header header = header_of(fx);
    int64_t expired = fx->task.expires;
    assert_true(may_go(fx, "ada@a.test", NOW + 1, &header, expired)); /* sent */
    assert_true(may_go(fx, "BOB@b.test", NOW + 1, &header, expired)); /* received */
    assert_false(may_go(fx, "eve@b.test", NOW + 1, &header, expired));
    assert_false(may_go(fx, "ada@a.test", NOW, &header, expired)); /* not old enough */
    assert_false(may_go(fx, "ada@a.test", NOW + 1, &header, expired - 1)); /* tasks may come */
}

static void mail_that_is_not_ours_stays(void **state)
{
    struct fx *fx = *state;
    struct header header = header_of(fx), copy = header;
    int64_t now = fx->task.expires;
    copy.doubled = true;
    assert_false(may_go(fx, "ada@a.test", NOW + 1, &copy, now));
    copy = header;
    (void)snprintf(copy.from, sizeof copy.from, "eve@a.test");
    assert_false(may_go(fx, "bob@b.test", NOW + 1, &copy, now));
    copy = header;
    copy.x_fluenzr[0] = '\0';
    assert_false(may_go(fx, "ada@a.test", NOW + 1, &copy, now));
    copy = header;
    char *signature = strstr(copy.x_fluenzr, "s=");
    signature[2] = signature[2] == 'A' ? 'B' : 'A';
    assert_false(may_go(fx, "ada@a.test", NOW + 1, &copy, now));
    fx->identity.trust.network.b[0]++;
    assert_false(may_go(fx, "ada@a.test", NOW + 1, &header, now));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_nodes_certificate_is_checked_once),
        TEST(member_with_a_signed_header_may_be_written_to),
        TEST(attestation_must_be_of_this_address_account_and_node),
        TEST(consent_must_last_and_cover_opening),
        TEST(forged_and_foreign_signers_are_refused),
        TEST(mail_header_must_be_a_coordinators_for_these_addresses),
        TEST(roles_are_never_written_to),
        TEST(signer_of_an_attestation_is_told),
        TEST(mailbox_tasks_need_no_attestation),
        TEST(announced_message_is_known_again),
        TEST(copied_header_is_not_enough),
        TEST(forged_header_is_refused),
        TEST(retired_key_still_vouches_for_its_mail),
        TEST(key_counts_for_the_time_of_its_certificate_alone),
        TEST(old_and_expired_mail_of_the_account_may_go),
        TEST(mail_that_is_not_ours_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
