#include "common/sys/keys.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/fluenzr-keys-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    return rmdir(dir);
}

static int setup(void **state)
{
    return snprintf(path, sizeof path, "%s/key", dir) > 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)unlink(path);
    return 0;
}

static void write_file(const char *text, mode_t mode)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void saved_pairs_come_back(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    _cleanup_(keys_sign_deinit) struct keys_sign_pair a = KEYS_SIGN_NULL, b = KEYS_SIGN_NULL;
    assert_int_equal(keys_sign_generate(&a), 0);
    assert_int_equal(keys_sign_save(path, &a, &msg), 0);
    assert_int_equal(keys_sign_save(path, &a, &msg), -EEXIST);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(keys_sign_load(path, &b, &msg), 0);
    assert_memory_equal(&a.public_key, &b.public_key, sizeof a.public_key);
    assert_memory_equal(&a.id, &b.id, sizeof a.id);
    assert_true(flz_secret_equal(&a.secret, &b.secret));
    keys_sign_deinit(&b);

    /* The other kind's file is none of ours. */
    struct keys_curve_pair c = KEYS_CURVE_NULL;
    assert_int_equal(keys_curve_load(path, &c, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "kind 'curve'"));
    assert_int_equal(unlink(path), 0);
    _cleanup_(keys_curve_deinit) struct keys_curve_pair d = KEYS_CURVE_NULL;
    assert_int_equal(keys_curve_generate(&c), 0);
    assert_int_equal(keys_curve_save(path, &c, &msg), 0);
    assert_int_equal(keys_curve_load(path, &d, &msg), 0);
    assert_memory_equal(&c.public_key, &d.public_key, sizeof c.public_key);
    keys_curve_deinit(&c);
}

/* RFC 8032 7.1 test 1, RFC 7748 6.1: the files mean what they say. */
static void keys_are_those_of_the_rfcs(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    uint8_t expected[32];
    write_file("fluenzr-key v1 sign\nnWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n", 0600);
    _cleanup_(keys_sign_deinit) struct keys_sign_pair pair = KEYS_SIGN_NULL;
    assert_int_equal(keys_sign_load(path, &pair, &msg), 0);
    assert_int_equal(flz_hex_decode("d75a980182b10ab7d54bfed3c964073a"
                                    "0ee172f3daa62325af021a68f707511a", 64, expected), 0);
    assert_memory_equal(pair.public_key.b, expected, 32);

    write_file("fluenzr-key v1 curve\ndwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo\n", 0600);
    _cleanup_(keys_curve_deinit) struct keys_curve_pair curve = KEYS_CURVE_NULL;
    assert_int_equal(keys_curve_load(path, &curve, &msg), 0);
    assert_int_equal(flz_hex_decode("8520f0098930a754748b7ddcb43ef75a"
                                    "0dbf3a0d26381af4eba4a98eaa9b4e6a", 64, expected), 0);
    assert_memory_equal(curve.public_key.b, expected, 32);
}

static void damaged_files_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "fluenzr-key v1 sign\n",
        "fluenzr-key v2 sign\nnWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n",
        "fluenzr-key v1 signs\nnWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n",
        "fluenzr-key v1 sign\nnWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2\n",
        "fluenzr-key v1 sign\nnWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2AA\n",
        "fluenzr-key v1 sign\nnWGxne+9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n",
        "fluenzr-key v1 sign\nnWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\nmore\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        struct keys_sign_pair pair = KEYS_SIGN_NULL;
        write_file(texts[i], 0600);
        assert_int_equal(keys_sign_load(path, &pair, &msg), -EINVAL);
        assert_non_null(strstr(msg.text, path));
        assert_null(strstr(msg.text, "nWGx"));
        assert_null(pair.secret.data);
    }
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    struct keys_sign_pair pair = KEYS_SIGN_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    write_file("fluenzr-key v1 sign\nnWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n", 0640);
    assert_int_equal(keys_sign_load(path, &pair, &msg), -EPERM);
    assert_non_null(strstr(msg.text, "chmod 600"));
    assert_int_equal(keys_sign_load("/nonexistent", &pair, &msg), -ENOENT);
}

static void symmetric_keys_have_a_kind_and_a_length(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    _cleanup_(flz_secret_deinit) struct flz_secret key = FLZ_SECRET_NULL, back = FLZ_SECRET_NULL;
    assert_int_equal(flz_secret_random(48, &key), 0);
    assert_int_equal(keys_secret_save(path, "network", &key, &msg), 0);
    assert_int_equal(keys_secret_load(path, "seal", 48, &back, &msg), -EINVAL);
    assert_int_equal(keys_secret_load(path, "network", 32, &back, &msg), -EINVAL);
    assert_int_equal(keys_secret_load(path, "network", 48, &back, &msg), 0);
    assert_true(flz_secret_equal(&key, &back));
    flz_secret_deinit(&back);
}

static void a_signature_fits_one_digest_and_one_key(void **state)
{
    _cleanup_(keys_sign_deinit) struct keys_sign_pair a = KEYS_SIGN_NULL;
    struct keys_sign_pair b = KEYS_SIGN_NULL;
    struct flz_digest digest = {.b = {1, 2, 3}}, other = {.b = {1, 2, 4}};
    assert_int_equal(keys_sign_generate(&a), 0);
    assert_int_equal(keys_sign_generate(&b), 0);
    struct flz_signature signature = keys_sign_digest(&a, digest), again;
    assert_true(keys_verify_digest(a.public_key, digest, signature));
    assert_false(keys_verify_digest(a.public_key, other, signature));
    assert_false(keys_verify_digest(b.public_key, digest, signature));
    assert_int_equal(keys_on_sign(&digest, &again, &a), 0);
    assert_memory_equal(&signature, &again, sizeof again);
    signature.b[63] ^= 0x20;
    assert_false(keys_verify_digest(a.public_key, digest, signature));
    struct flz_key_id id = keys_sign_id(a.public_key);
    assert_memory_equal(&id, &a.id, sizeof id);
    keys_sign_deinit(&b);
    keys_sign_deinit(&b);
}

static void public_keys_have_one_text(void **state)
{
    struct flz_sign_public key, back;
    char text[KEYS_TEXT_MAX];
    for (int i = 0; i < 32; i++)
        key.b[i] = (uint8_t)(i * 8 + 7);
    keys_sign_format(key, text);
    assert_int_equal(strlen(text), 43);
    assert_int_equal(keys_sign_parse(text, &back), 0);
    assert_memory_equal(&key, &back, sizeof key);
    struct flz_curve_public curve;
    assert_int_equal(keys_curve_parse(text, &curve), 0);
    keys_curve_format(curve, text);
    assert_int_equal(keys_curve_parse(text, &curve), 0);
    text[42] = (char)(text[42] + 1); /* a stray bit behind the last byte */
    assert_int_equal(keys_sign_parse(text, &back), -EINVAL);
    assert_int_equal(keys_sign_parse("", &back), -EINVAL);
    assert_int_equal(keys_sign_parse("AAAA", &back), -EINVAL);
}

/* The vector of ZeroMQ RFC 32, and bounds. */
static void z85_is_that_of_zeromq(void **state)
{
    struct flz_curve_public key, back;
    char text[KEYS_Z85_LEN + 1];
    for (int i = 0; i < 32; i += 8)
        memcpy(key.b + i, "\x86\x4F\xD2\x6F\xB5\x59\xF7\x5B", 8);
    keys_curve_to_z85(key, text);
    assert_string_equal(text, "HelloWorldHelloWorldHelloWorldHelloWorld");
    assert_int_equal(keys_curve_of_z85(text, &back), 0);
    assert_memory_equal(&key, &back, sizeof key);
    memset(key.b, 0xff, 32);
    keys_curve_to_z85(key, text);
    assert_int_equal(keys_curve_of_z85(text, &back), 0);
    assert_memory_equal(&key, &back, sizeof key);
    assert_int_equal(keys_curve_of_z85("HelloWorldHelloWorldHelloWorldHelloWorl", &back), -EINVAL);
    assert_int_equal(keys_curve_of_z85("HelloWorldHelloWorldHelloWorldHelloWorl\"", &back),
                     -EINVAL);
    assert_int_equal(keys_curve_of_z85("#####WorldHelloWorldHelloWorldHelloWorld", &back), -EINVAL);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_DIR(saved_pairs_come_back),
        IN_DIR(keys_are_those_of_the_rfcs),
        IN_DIR(damaged_files_are_refused),
        IN_DIR(a_file_that_others_may_read_is_refused),
        IN_DIR(symmetric_keys_have_a_kind_and_a_length),
        cmocka_unit_test(a_signature_fits_one_digest_and_one_key),
        cmocka_unit_test(public_keys_have_one_text),
        cmocka_unit_test(z85_is_that_of_zeromq),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
