#include "node/revocations.h"
#include "tests/unit/node_fixture.h"
#include "tests/unit/sign_fixture.h"

#include "common/base/cleanup.h"
#include "proto/codec.h"

#include <errno.h>

#define STATEMENTS 4

/* Root 1, administrator 2; one revocation of each node 10, 11, … */
struct net {
    struct flz_trust trust;
    struct flz_buf certificate;
    struct flz_buf bytes[STATEMENTS];
    struct flz_view views[STATEMENTS];
};

static struct flz_id node(uint8_t n)
{
    return (struct flz_id){.b = {(uint8_t)(10 + n)}};
}

static void seal(enum flz_kind kind, const struct flz_codec *codec, const void *object,
                 uint8_t seed, struct flz_buf *buf)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct test_key key = test_key(seed);
    struct flz_signer signer = test_signer(&key);
    flz_buf_reset(buf);
    assert_int_equal(flz_encode(codec, object, &payload), 0);
    assert_int_equal(flz_seal_signed(kind, flz_buf_view(&payload), &signer, buf), 0);
}

static void sign(struct net *net, uint8_t n, uint8_t seed)
{
    struct flz_revocation revocation = {.network = net->trust.network,
                                        .node = node(n),
                                        .at = 100 + n,
                                        .admin_certificate = flz_buf_view(&net->certificate)};
    seal(FLZ_KIND_REVOCATION, &flz_codec_revocation, &revocation, seed, &net->bytes[n]);
    net->views[n] = flz_buf_view(&net->bytes[n]);
}

static void net_init(struct net *net)
{
    *net = (struct net){.trust = {.network = {.b = {4}}, .root = test_key(1).key}};
    struct flz_certificate admin = {.network = net->trust.network,
                                    .key = test_key(2).key,
                                    .role = FLZ_ROLE_ADMIN,
                                    .scope = "network",
                                    .name = "ann",
                                    .not_after = 1000};
    seal(FLZ_KIND_CERTIFICATE, &flz_codec_certificate, &admin, 1, &net->certificate);
    for (uint8_t n = 0; n < STATEMENTS; n++)
        sign(net, n, 2);
}

static void net_deinit(struct net *net)
{
    flz_buf_deinit(&net->certificate);
    for (size_t n = 0; n < STATEMENTS; n++)
        flz_buf_deinit(&net->bytes[n]);
}

static struct revocations *opened(struct nfx *fx, const struct net *net)
{
    struct revocations *revocations = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    if (revocations_open(fx->journal, &net->trust, &revocations, &msg) < 0)
        fail_msg("%s", msg.text);
    return revocations;
}

/* Hands over the statements from + 1 … from + n. */
static int take(struct revocations *revocations, const struct net *net, uint64_t from, size_t n)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct flz_revocations frame = {
        .from = from, .revocations = net->views + from, .revocations_count = n};
    return revocations_take(revocations, &frame, &msg);
}

static void revocations_are_taken_in_order_and_survive_a_restart(void **state)
{
    struct nfx *fx = *state;
    _cleanup_(net_deinit) struct net net;
    net_init(&net);
    struct revocations *revocations = opened(fx, &net);
    assert_int_equal(take(revocations, &net, 1, 1), REVOCATIONS_E_GAP);
    assert_false(revocations_has(revocations, node(1)));
    assert_int_equal(take(revocations, &net, 0, 2), 0);
    assert_int_equal(revocations_version(revocations), 2);
    assert_int_equal(take(revocations, &net, 0, 3), 0); /* two of them are known */
    assert_int_equal(take(revocations, &net, 0, 1), 0);
    assert_int_equal(revocations_version(revocations), 3);
    for (int life = 0; life < 2; life++) {
        for (uint8_t n = 0; n < 3; n++)
            assert_true(revocations_has(revocations, node(n)));
        assert_false(revocations_has(revocations, node(3)));
        assert_int_equal(revocations_version(revocations), 3);
        revocations = revocations_free(revocations);
        nfx_close(fx);
        nfx_open(fx);
        revocations = opened(fx, &net);
    }
    (void)revocations_free(revocations);
}

static void a_forged_one_is_not_believed_nor_what_comes_with_it(void **state)
{
    struct nfx *fx = *state;
    _cleanup_(net_deinit) struct net net;
    net_init(&net);
    struct revocations *revocations = opened(fx, &net);
    sign(&net, 1, 3); /* not the administrator's key */
    assert_int_equal(take(revocations, &net, 0, 2), -EKEYREJECTED);
    assert_int_equal(revocations_version(revocations), 0);
    assert_false(revocations_has(revocations, node(0)));
    assert_false(revocations_has(revocations, node(1)));
    (void)revocations_free(revocations);
}

static void one_that_nobody_signed_counts_and_cuts_nobody_off(void **state)
{
    struct nfx *fx = *state;
    _cleanup_(net_deinit) struct net net;
    net_init(&net);
    struct revocations *revocations = opened(fx, &net);
    net.views[0] = FLZ_VIEW_NULL;
    assert_int_equal(take(revocations, &net, 0, 2), 0);
    assert_int_equal(revocations_version(revocations), 2);
    assert_false(revocations_has(revocations, node(0)));
    assert_true(revocations_has(revocations, node(1)));
    (void)revocations_free(revocations);
}

static void another_log_generation_counts_anew_and_forgets_nobody(void **state)
{
    struct nfx *fx = *state;
    _cleanup_(net_deinit) struct net net;
    net_init(&net);
    struct revocations *revocations = opened(fx, &net);
    assert_int_equal(take(revocations, &net, 0, 2), 0);
    revocations_restart(revocations);
    assert_int_equal(revocations_version(revocations), 0);
    /* The restored log lacks both, and has another one under their numbers. */
    net.views[0] = net.views[3];
    assert_int_equal(take(revocations, &net, 0, 1), 0);
    assert_int_equal(revocations_version(revocations), 1);
    assert_true(revocations_has(revocations, node(0)));
    assert_true(revocations_has(revocations, node(1)));
    assert_true(revocations_has(revocations, node(3)));
    (void)revocations_free(revocations);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nfx_setup, nfx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(revocations_are_taken_in_order_and_survive_a_restart),
        TEST(a_forged_one_is_not_believed_nor_what_comes_with_it),
        TEST(one_that_nobody_signed_counts_and_cuts_nobody_off),
        TEST(another_log_generation_counts_anew_and_forgets_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
