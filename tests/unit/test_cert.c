/* Root 1, admin 2, token 3, node 4; each test breaks one link of the chain. */
#include "proto/cert.h"

#include "common/base/cleanup.h"
#include "proto/codec.h"
#include "tests/unit/sign_fixture.h"

#include <errno.h>
#include <stdio.h>

#define YEAR INT64_C(31536000000)

struct chain {
    uint8_t root, admin, invite, token, node; /* who signs or is named at each link */
    struct flz_certificate certificate;
    struct flz_invite invitation;
    struct flz_node_certificate made;
    struct flz_buf bytes;
    struct flz_msg msg;
};

static struct flz_id an_id(uint8_t n)
{
    return (struct flz_id){.b = {n}};
}

static struct flz_trust trust(void)
{
    return (struct flz_trust){.network = an_id(1), .root = test_key(1).key};
}

static struct chain chain(void)
{
    struct chain c = {.root = 1, .admin = 2, .invite = 2, .token = 3, .node = 4};
    c.certificate = (struct flz_certificate){.network = an_id(1),
                                             .key = test_key(2).key,
                                             .role = FLZ_ROLE_ADMIN,
                                             .scope = "network",
                                             .name = "ann",
                                             .not_before = 10,
                                             .not_after = YEAR};
    c.invitation = (struct flz_invite){.network = an_id(1),
                                       .node = an_id(7),
                                       .name = "n1",
                                       .token_key = test_key(3).key,
                                       .not_after = 1000};
    c.made = (struct flz_node_certificate){.sign_key = test_key(4).key, .created = 500};
    c.made.curve_key.b[0] = 5;
    return c;
}

static void seal(const struct flz_codec *codec, const void *object, enum flz_kind kind,
                 uint8_t seed, struct flz_buf *buf)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct test_key k = test_key(seed);
    struct flz_signer signer = test_signer(&k);
    assert_int_equal(flz_encode(codec, object, &payload), 0);
    assert_int_equal(flz_seal_signed(kind, flz_buf_view(&payload), &signer, buf), 0);
}

static int check_node(struct chain *c, struct flz_node_identity *ret_identity)
{
    _cleanup_(flz_buf_deinit) struct flz_buf admin = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf invite = FLZ_BUF_NULL;
    seal(&flz_codec_certificate, &c->certificate, FLZ_KIND_CERTIFICATE, c->root, &admin);
    seal(&flz_codec_invite, &c->invitation, FLZ_KIND_INVITE, c->invite, &invite);
    c->made.admin_certificate = flz_buf_view(&admin);
    c->made.invite = flz_buf_view(&invite);
    flz_buf_reset(&c->bytes);
    seal(&flz_codec_node_certificate, &c->made, FLZ_KIND_NODE, c->token, &c->bytes);
    struct flz_trust t = trust();
    c->msg = FLZ_MSG_NULL;
    int r = flz_cert_check_node(&t, flz_buf_view(&c->bytes), ret_identity, &c->msg);
    flz_buf_deinit(&c->bytes);
    return r;
}

static void a_node_is_who_its_chain_says(void **state)
{
    struct chain c = chain();
    struct flz_node_identity identity;
    assert_int_equal(check_node(&c, &identity), 0);
    assert_true(flz_id_equal(identity.node, an_id(7)));
    assert_string_equal(identity.name, "n1");
    assert_memory_equal(identity.sign_key.b, test_key(4).key.b, 32);
    assert_memory_equal(identity.token_key.b, test_key(3).key.b, 32);
    (void)snprintf(c.certificate.scope, sizeof c.certificate.scope, "node/n1");
    assert_int_equal(check_node(&c, &identity), 0);
}

static void each_broken_link_is_refused_with_its_reason(void **state)
{
#define BROKEN(change, words)                                                                      \
    do {                                                                                           \
        struct chain c = chain();                                                                  \
        struct flz_node_identity identity;                                                         \
        c.change;                                                                                  \
        assert_int_equal(check_node(&c, &identity), -EKEYREJECTED);                                \
        if (!strstr(c.msg.text, words))                                                            \
            fail_msg("%s: \"%s\" lacks \"%s\"", #change, c.msg.text, words);                       \
    } while (0)
    BROKEN(root = 9, "administrator's certificate: the signature");
    BROKEN(invite = 9, "invite: the signature");
    BROKEN(token = 9, "not made with its invite's token");
    BROKEN(certificate.network = an_id(2), "another network");
    BROKEN(invitation.network = an_id(2), "another network");
    BROKEN(certificate.role = FLZ_ROLE_OPERATOR, "may not invite");
    BROKEN(certificate.role = FLZ_ROLE_ISSUER, "may not invite");
    BROKEN(certificate.scope[6] = 'x', "may not invite");
    BROKEN(made.created = 1000, "had ended");
    BROKEN(made.created = 9, "had ended");
    BROKEN(certificate.not_after = 400, "had ended");
}

static void a_certificate_counts_within_its_time(void **state)
{
    struct chain c = chain();
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    seal(&flz_codec_certificate, &c.certificate, FLZ_KIND_CERTIFICATE, 1, &bytes);
    struct flz_trust t = trust();
    struct flz_certificate got;
    struct flz_msg msg;
    assert_int_equal(flz_cert_check(&t, flz_buf_view(&bytes), 10, &got, &msg), 0);
    assert_string_equal(got.name, "ann");
    assert_int_equal(flz_cert_check(&t, flz_buf_view(&bytes), YEAR - 1, &got, &msg), 0);
    assert_int_equal(flz_cert_check(&t, flz_buf_view(&bytes), 9, &got, &msg), -EKEYREJECTED);
    assert_int_equal(flz_cert_check(&t, flz_buf_view(&bytes), YEAR, &got, &msg), -EKEYREJECTED);
    assert_non_null(strstr(msg.text, "'ann' is valid from"));
    flz_buf_reset(&bytes);
    seal(&flz_codec_certificate, &c.certificate, FLZ_KIND_INVITE, 1, &bytes);
    assert_int_equal(flz_cert_check(&t, flz_buf_view(&bytes), 10, &got, &msg), -EKEYREJECTED);
    assert_int_equal(flz_cert_check(&t, flz_view_str("rubbish"), 10, &got, &msg), -EKEYREJECTED);
}

static void scopes_cover_themselves_and_the_network_covers_all(void **state)
{
    struct flz_certificate c = {.scope = "node/n1"};
    assert_true(flz_cert_covers(&c, "node/n1"));
    assert_false(flz_cert_covers(&c, "node/n10"));
    assert_false(flz_cert_covers(&c, "network"));
    (void)snprintf(c.scope, sizeof c.scope, "network");
    assert_true(flz_cert_covers(&c, "owner/acme"));
}

static int check_attestation(struct flz_attestation attestation, uint8_t signer, const char *text,
                             struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    seal(&flz_codec_attestation, &attestation, FLZ_KIND_ATTESTATION, signer, &bytes);
    struct flz_trust t = trust();
    struct flz_node_identity identity = {.node = an_id(7), .sign_key = test_key(4).key};
    struct flz_address address;
    struct flz_attestation got;
    assert_int_equal(flz_address_parse(text, &address), 0);
    return flz_cert_check_attestation(&t, flz_buf_view(&bytes), &identity, &address,
                                      FLZ_ACTION_OPEN, 100, &got, msg);
}

static void an_attestation_proves_one_address_of_one_node(void **state)
{
    struct flz_address address;
    assert_int_equal(flz_address_parse("Ann@Example.org", &address), 0);
    const struct flz_attestation good = {.network = an_id(1),
                                         .node = an_id(7),
                                         .account = an_id(8),
                                         .address = flz_address_digest(&address),
                                         .consent_until = 101,
                                         .actions = FLZ_ACTION_SEND | FLZ_ACTION_OPEN};
    struct flz_msg msg;
    assert_int_equal(check_attestation(good, 4, "ann@example.org", &msg), 0);
    assert_int_equal(check_attestation(good, 5, "ann@example.org", &msg), -EKEYREJECTED);
    assert_int_equal(check_attestation(good, 4, "bob@example.org", &msg), -EKEYREJECTED);
    struct flz_attestation bad = good;
    bad.consent_until = 100;
    assert_int_equal(check_attestation(bad, 4, "ann@example.org", &msg), -EKEYREJECTED);
    assert_non_null(strstr(msg.text, "consent has ended"));
    bad = good;
    bad.actions = FLZ_ACTION_SEND;
    assert_int_equal(check_attestation(bad, 4, "ann@example.org", &msg), -EKEYREJECTED);
    bad = good;
    bad.node = an_id(9);
    assert_int_equal(check_attestation(bad, 4, "ann@example.org", &msg), -EKEYREJECTED);
}

/* ---- Revocations: root 1, admin 2 ---- */

struct revoking {
    uint8_t root, admin;
    struct flz_certificate certificate;
    struct flz_revocation revocation;
    struct flz_msg msg;
};

static struct revoking revoking(void)
{
    return (struct revoking){.root = 1,
                             .admin = 2,
                             .certificate = chain().certificate,
                             .revocation = {.network = an_id(1), .node = an_id(7), .at = 500}};
}

static int check_revocation(struct revoking *r, enum flz_kind kind, size_t cut,
                            struct flz_revocation *ret_revocation)
{
    _cleanup_(flz_buf_deinit) struct flz_buf admin = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    seal(&flz_codec_certificate, &r->certificate, FLZ_KIND_CERTIFICATE, r->root, &admin);
    r->revocation.admin_certificate = flz_buf_view(&admin);
    seal(&flz_codec_revocation, &r->revocation, kind, r->admin, &bytes);
    struct flz_trust t = trust();
    struct flz_view view = flz_buf_view(&bytes);
    view.len -= cut;
    r->msg = FLZ_MSG_NULL;
    return flz_cert_check_revocation(&t, view, ret_revocation, &r->msg);
}

static void an_administrator_revokes_a_node_for_good(void **state)
{
    struct revoking r = revoking();
    struct flz_revocation got;
    assert_int_equal(check_revocation(&r, FLZ_KIND_REVOCATION, 0, &got), 0);
    assert_true(flz_id_equal(got.node, an_id(7)));
    assert_int_equal(got.at, 500);
    assert_null(got.admin_certificate.data);
}

static void a_revocation_that_no_administrator_signed_is_refused(void **state)
{
#define REFUSED(change, words)                                                                     \
    do {                                                                                           \
        struct revoking r = revoking();                                                            \
        struct flz_revocation got;                                                                 \
        r.change;                                                                                  \
        assert_int_equal(check_revocation(&r, FLZ_KIND_REVOCATION, 0, &got), -EKEYREJECTED);       \
        if (!strstr(r.msg.text, words))                                                            \
            fail_msg("%s: \"%s\" lacks \"%s\"", #change, r.msg.text, words);                       \
    } while (0)
    REFUSED(root = 9, "administrator's certificate: the signature");
    REFUSED(admin = 9, "the signature does not verify");
    REFUSED(certificate.role = FLZ_ROLE_ISSUER, "may not revoke");
    REFUSED(certificate.role = FLZ_ROLE_OPERATOR, "may not revoke");
    REFUSED(certificate.scope[0] = 'x', "may not revoke");
    REFUSED(revocation.network = an_id(2), "another network");
    REFUSED(revocation.at = 9, "not valid when it was signed");
    REFUSED(revocation.at = YEAR, "not valid when it was signed");
    struct revoking r = revoking();
    struct flz_revocation got;
    assert_int_equal(check_revocation(&r, FLZ_KIND_INVITE, 0, &got), -EKEYREJECTED);
    assert_int_equal(check_revocation(&r, FLZ_KIND_REVOCATION, 1, &got), -EKEYREJECTED);
    uint8_t large[FLZ_REVOCATION_BYTES_MAX + 1] = {0};
    struct flz_view view = {.data = large, .len = sizeof large};
    struct flz_trust t = trust();
    assert_int_equal(flz_cert_check_revocation(&t, view, &got, &r.msg), -EKEYREJECTED);
}

/* ---- Log heads: root 1, coordinator 2 ---- */

struct heading {
    uint8_t root, issuer;
    struct flz_certificate certificate;
    struct flz_log_head head;
    struct flz_msg msg;
};

static struct heading heading(void)
{
    struct heading h = {.root = 1,
                        .issuer = 2,
                        .certificate = chain().certificate,
                        .head = {.network = an_id(1), .generation = an_id(3), .segment = 70,
                                 .last_event = 900, .digest = {.b = {5}}, .at = 500}};
    h.certificate.role = FLZ_ROLE_ISSUER;
    return h;
}

static int check_log_head(struct heading *h, enum flz_kind kind, size_t cut,
                          struct flz_log_head *ret_head)
{
    _cleanup_(flz_buf_deinit) struct flz_buf issuer = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    seal(&flz_codec_certificate, &h->certificate, FLZ_KIND_CERTIFICATE, h->root, &issuer);
    h->head.issuer_certificate = flz_buf_view(&issuer);
    seal(&flz_codec_log_head, &h->head, kind, h->issuer, &bytes);
    struct flz_trust t = trust();
    struct flz_view view = flz_buf_view(&bytes);
    view.len -= cut;
    h->msg = FLZ_MSG_NULL;
    return flz_cert_check_log_head(&t, view, ret_head, &h->msg);
}

static void a_coordinator_states_its_log_for_good(void **state)
{
    struct heading h = heading();
    struct flz_log_head got;
    assert_int_equal(check_log_head(&h, FLZ_KIND_LOG_HEAD, 0, &got), 0);
    assert_int_equal(got.segment, 70);
    assert_int_equal(got.last_event, 900);
    assert_int_equal(got.digest.b[0], 5);
    assert_true(flz_id_equal(got.generation, an_id(3)));
    assert_null(got.issuer_certificate.data);
}

static void a_log_head_that_no_coordinator_signed_is_refused(void **state)
{
#define NO_HEAD(change, words)                                                                     \
    do {                                                                                           \
        struct heading h = heading();                                                              \
        struct flz_log_head got;                                                                   \
        h.change;                                                                                  \
        assert_int_equal(check_log_head(&h, FLZ_KIND_LOG_HEAD, 0, &got), -EKEYREJECTED);           \
        if (!strstr(h.msg.text, words))                                                            \
            fail_msg("%s: \"%s\" lacks \"%s\"", #change, h.msg.text, words);                       \
    } while (0)
    NO_HEAD(root = 9, "coordinator's certificate: the signature");
    NO_HEAD(issuer = 9, "the signature does not verify");
    NO_HEAD(certificate.role = FLZ_ROLE_ADMIN, "no coordinator's");
    NO_HEAD(head.network = an_id(2), "another network");
    NO_HEAD(head.at = 9, "not valid when it was signed");
    NO_HEAD(head.at = YEAR, "not valid when it was signed");
    struct heading h = heading();
    struct flz_log_head got;
    assert_int_equal(check_log_head(&h, FLZ_KIND_REVOCATION, 0, &got), -EKEYREJECTED);
    assert_int_equal(check_log_head(&h, FLZ_KIND_LOG_HEAD, 1, &got), -EKEYREJECTED);
    uint8_t large[FLZ_LOG_HEAD_BYTES_MAX + 1] = {0};
    struct flz_view view = {.data = large, .len = sizeof large};
    struct flz_trust t = trust();
    assert_int_equal(flz_cert_check_log_head(&t, view, &got, &h.msg), -EKEYREJECTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_who_its_chain_says),
        cmocka_unit_test(each_broken_link_is_refused_with_its_reason),
        cmocka_unit_test(a_certificate_counts_within_its_time),
        cmocka_unit_test(scopes_cover_themselves_and_the_network_covers_all),
        cmocka_unit_test(an_attestation_proves_one_address_of_one_node),
        cmocka_unit_test(an_administrator_revokes_a_node_for_good),
        cmocka_unit_test(a_revocation_that_no_administrator_signed_is_refused),
        cmocka_unit_test(a_coordinator_states_its_log_for_good),
        cmocka_unit_test(a_log_head_that_no_coordinator_signed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
