/*
 * Proofs of what is in the log: made from log and archive, checked without them.
 */
#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/rng.h"
#include "coordinator/rlog/model.h"
#include "coordinator/rlog/prove.h"
#include "tests/lib/chain.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fx {
    struct rlog_model *model;
    struct rlog *log;
    uint64_t epoch;
    struct chain chain;
    struct flz_msg msg;
};

static int set_up(void **state)
{
    struct rlog_model_options options = {.seed = 1};
    struct fx *fx = calloc(1, sizeof *fx);
    assert_int_equal(rlog_model_new(&options, &fx->model), 0);
    assert_int_equal(rlog_model_open(fx->model, &fx->log), 0);
    assert_int_equal(rlog_campaign(fx->log, "test", &fx->epoch, &fx->msg), RLOG_OK);
    assert_int_equal(rlog_bounds(fx->log, &fx->chain.bounds), RLOG_OK);
    *state = fx;
    return 0;
}

static int tear_down(void **state)
{
    struct fx *fx = *state;
    (void)rlog_close(fx->log);
    (void)rlog_model_free(fx->model);
    chain_deinit(&fx->chain);
    free(fx);
    return 0;
}

static void append(struct fx *fx, uint32_t events, size_t size)
{
    struct flz_view bytes = chain_make(&fx->chain, events, size);
    assert_int_equal(rlog_append(fx->log, fx->epoch, bytes, NULL), RLOG_OK);
    chain_advance(&fx->chain);
}

static int prove(struct fx *fx, uint64_t event, struct proof *proof)
{
    struct proving proving = {.event = event};
    return prove_event(fx->log, &proving, proof, &fx->msg);
}

static void assert_proved(struct fx *fx, uint64_t event)
{
    _cleanup_(proof_deinit) struct proof proof = {.event = 0};
    struct segment last;
    assert_int_equal(prove(fx, event, &proof), 0);
    assert_int_equal(proof.event, event);
    assert_int_equal(proof.bytes.len, 20);
    assert_int_equal(flz_be64(proof.bytes.data), event);
    assert_null(proof_check(&proof, &last));
    assert_int_equal(last.seq, fx->chain.bounds.last);
    assert_true(flz_digest_equal(last.digest, fx->chain.bounds.head));
}

static void each_event_is_proved_up_to_the_newest_segment(void **state)
{
    struct fx *fx = *state;
    for (uint32_t i = 0; i < 30; i++)
        append(fx, i % 6, 20);
    for (uint64_t event = 1; event <= fx->chain.bounds.last_event; event++)
        assert_proved(fx, event);
}

static void what_is_archived_is_proved_as_well(void **state)
{
    struct fx *fx = *state;
    struct proof proof;
    for (uint32_t i = 0; i < 30; i++)
        append(fx, i % 6, 20);
    assert_int_equal(rlog_trim(fx->log, fx->epoch, 20, &fx->msg), RLOG_OK);
    assert_int_equal(rlog_forget(fx->log, fx->epoch, 10000, &fx->msg), RLOG_OK);
    struct rlog_bounds bounds;
    assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_OK);
    for (uint64_t event = 1; event <= bounds.last_event; event++) {
        if (event > bounds.forgotten.last_event)
            assert_proved(fx, event);
        else
            assert_int_equal(prove(fx, event, &proof), PROVE_E_ABSENT);
    }
}

static void what_is_not_there_is_not_proved(void **state)
{
    struct fx *fx = *state;
    struct proof proof;
    assert_int_equal(prove(fx, 1, &proof), PROVE_E_ABSENT);
    append(fx, 3, 20);
    assert_int_equal(prove(fx, 0, &proof), PROVE_E_ABSENT);
    assert_int_equal(prove(fx, 4, &proof), PROVE_E_ABSENT);
    append(fx, 1, PROOF_EVENT_MAX + 1);
    assert_int_equal(prove(fx, 4, &proof), PROVE_E_LARGE);
}

static void damage_is_named(void **state)
{
    struct fx *fx = *state;
    struct proof proof;
    for (int i = 0; i < 9; i++)
        append(fx, 1, 20);
    assert_int_equal(rlog_model_flip(fx->model, 7, 140, 1), 0);
    assert_int_equal(prove(fx, 3, &proof), -EUCLEAN);
    assert_non_null(strstr(fx->msg.text, "segment 7 "));
}

static void proving_ends_when_it_is_told_to(void **state)
{
    struct fx *fx = *state;
    struct proof proof;
    atomic_bool stop = true;
    struct proving proving = {.event = 1, .stop = &stop};
    append(fx, 1, 20);
    assert_int_equal(prove_event(fx->log, &proving, &proof, &fx->msg), -ECANCELED);
}

static void a_proof_is_bounded(void **state)
{
    struct fx *fx = *state;
    _cleanup_(proof_deinit) struct proof proof = {.event = 0};
    struct segment last;
    for (int i = 0; i < PROOF_HEADERS_MAX + 50; i++)
        append(fx, 1, 20);
    assert_int_equal(prove(fx, 7, &proof), 0);
    assert_int_equal(proof_headers_count(&proof), PROOF_HEADERS_MAX);
    assert_null(proof_check(&proof, &last));
    assert_int_equal(last.seq, 7 + PROOF_HEADERS_MAX - 1);
}

/* Whatever bit is changed: it proves nothing, or what it leads to is not in the log. */
static void each_flipped_bit_breaks_the_proof(void **state)
{
    struct fx *fx = *state;
    _cleanup_(proof_deinit) struct proof proof = {.event = 0};
    struct segment last;
    for (int i = 0; i < 4; i++)
        append(fx, 5, 20);
    assert_int_equal(prove(fx, 8, &proof), 0);
    struct {
        uint8_t *bytes;
        size_t len;
    } parts[] = {{proof.bytes.data, proof.bytes.len},
                 {proof.headers.data, proof.headers.len},
                 {proof.path.path[0].b, 32 * proof.path.path_count},
                 {(uint8_t *)&proof.path.index, 4},
                 {(uint8_t *)&proof.path.count, 4},
                 {(uint8_t *)&proof.path.path_count, 4},
                 {(uint8_t *)&proof.event, 8}};
    assert_true(proof.path.path_count > 0);
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++)
        for (size_t bit = 0; bit < 8 * parts[part].len; bit++) {
            parts[part].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (!proof_check(&proof, &last) &&
                flz_digest_equal(last.digest, fx->chain.bounds.head))
                fail_msg("part %zu bit %zu", part, bit);
            parts[part].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    assert_null(proof_check(&proof, &last));
}

static void headers_must_be_whole_and_follow_each_other(void **state)
{
    struct fx *fx = *state;
    _cleanup_(proof_deinit) struct proof proof = {.event = 0};
    struct segment last;
    assert_non_null(proof_check(&proof, &last));
    for (int i = 0; i < 4; i++)
        append(fx, 5, 20);
    assert_int_equal(prove(fx, 8, &proof), 0);
    proof.headers.len -= 1;
    assert_non_null(proof_check(&proof, &last));
    proof.headers.len -= SEGMENT_HEADER_LEN - 1;
    assert_null(proof_check(&proof, &last)); /* a shorter proof of an older head */
    assert_int_equal(last.seq, 3);
    memmove(proof.headers.data + SEGMENT_HEADER_LEN, proof.headers.data, SEGMENT_HEADER_LEN);
    assert_non_null(proof_check(&proof, &last));
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(each_event_is_proved_up_to_the_newest_segment),
        test(what_is_archived_is_proved_as_well),
        test(what_is_not_there_is_not_proved),
        test(damage_is_named),
        test(proving_ends_when_it_is_told_to),
        test(a_proof_is_bounded),
        test(each_flipped_bit_breaks_the_proof),
        test(headers_must_be_whole_and_follow_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
