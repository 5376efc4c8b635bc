#include "common/sys/seal.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/fluenzr-seal-XXXXXX";
static char path[64];
static struct seal_key key;

static int setup(void **state)
{
    if (!mkdtemp(dir) || seal_key_generate(&key) < 0)
        return -1;
    return snprintf(path, sizeof path, "%s/kek", dir) > 0 ? 0 : -1;
}

static int teardown(void **state)
{
    seal_key_deinit(&key);
    return rmdir(dir);
}

static struct flz_view view(const char *text)
{
    return flz_view_str(text);
}

static void a_blob_opens_under_its_key_and_for_its_place(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, SEAL_PLAIN_MAX};
    static uint8_t plain[SEAL_PLAIN_MAX];
    memset(plain, 0x5a, sizeof plain);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        _cleanup_(flz_buf_deinit) struct flz_buf blob = FLZ_BUF_NULL;
        _cleanup_(flz_secret_deinit) struct flz_secret back = FLZ_SECRET_NULL;
        struct flz_view bytes = {plain, sizes[i]};
        assert_int_equal(seal_close(&key, view("account/1"), bytes, &blob), 0);
        assert_int_equal(blob.len, sizes[i] + SEAL_OVERHEAD);
        assert_memory_equal(blob.data, "FZS1", 4);
        assert_int_equal(seal_open(&key, view("account/1"), flz_buf_view(&blob), &back), 0);
        assert_true(flz_view_equal(flz_secret_view(&back), bytes));
        struct flz_secret none = FLZ_SECRET_NULL;
        assert_int_equal(seal_open(&key, view("account/2"), flz_buf_view(&blob), &none),
                         SEAL_E_DAMAGED);
        assert_null(none.data);
    }
    struct flz_buf blob = FLZ_BUF_NULL;
    struct flz_view large = {plain, SEAL_PLAIN_MAX + 1};
    assert_int_equal(seal_close(&key, view(""), large, &blob), -EMSGSIZE);
    assert_int_equal(blob.len, 0);
}

static void the_same_text_is_sealed_differently_each_time(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf a = FLZ_BUF_NULL, b = FLZ_BUF_NULL;
    assert_int_equal(seal_close(&key, view("x"), view("password"), &a), 0);
    assert_int_equal(seal_close(&key, view("x"), view("password"), &b), 0);
    assert_memory_equal(a.data, b.data, 12);
    assert_memory_not_equal(a.data + 12, b.data + 12, a.len - 12);
    assert_null(memmem(a.data, a.len, "password", 8));
}

static void each_cut_and_flip_is_noticed(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf blob = FLZ_BUF_NULL;
    struct flz_secret none = FLZ_SECRET_NULL;
    assert_int_equal(seal_close(&key, view("x"), view("password"), &blob), 0);
    for (size_t n = 0; n < blob.len; n++) {
        struct flz_view cut = {blob.data, n};
        assert_int_equal(seal_open(&key, view("x"), cut, &none), SEAL_E_DAMAGED);
    }
    for (size_t bit = 0; bit < blob.len * 8; bit++) {
        blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int r = seal_open(&key, view("x"), flz_buf_view(&blob), &none);
        assert_int_equal(r, bit / 8 >= 4 && bit / 8 < 12 ? SEAL_E_KEY : SEAL_E_DAMAGED);
        blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    flz_buf_add_byte(&blob, 0);
    assert_int_equal(seal_open(&key, view("x"), flz_buf_view(&blob), &none), SEAL_E_DAMAGED);
    assert_null(none.data);
}

static void a_key_file_is_made_once_and_read_back(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct seal_source source = {.kind = SEAL_SOURCE_FILE, .name = path};
    struct seal_key a = SEAL_KEY_NULL, b = SEAL_KEY_NULL;
    assert_int_equal(seal_key_open(&source, &a, &msg), -ENOENT);
    assert_int_equal(seal_key_create(&source, &msg), 0);
    assert_int_equal(seal_key_create(&source, &msg), -EEXIST);
    assert_int_equal(seal_key_open(&source, &a, &msg), 0);

    /* The same text as a credential is the same key. */
    source = (struct seal_source){.kind = SEAL_SOURCE_CREDENTIAL, .name = "kek"};
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(seal_key_open(&source, &b, &msg), -ENOENT);
    assert_non_null(strstr(msg.text, "LoadCredential="));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(seal_key_open(&source, &b, &msg), -EPERM);
    assert_int_equal(chmod(path, 0440), 0); /* as an access list for our user shows */
    assert_int_equal(seal_key_open(&source, &b, &msg), 0);
    assert_memory_equal(&a.id, &b.id, sizeof a.id);
    assert_true(flz_secret_equal(&a.secret, &b.secret));
    assert_int_equal(seal_key_create(&source, &msg), -EOPNOTSUPP);
    assert_int_equal(unlink(path), 0);
    seal_key_deinit(&a);
    seal_key_deinit(&b);
}

static void the_name_of_a_key_tells_nothing_of_it(void **state)
{
    struct flz_secret bytes = FLZ_SECRET_NULL;
    struct seal_key made = SEAL_KEY_NULL;
    assert_int_equal(flz_secret_random(31, &bytes), 0);
    assert_int_equal(seal_key_of_secret(&bytes, &made), -EINVAL);
    assert_non_null(bytes.data);
    flz_secret_deinit(&bytes);
    assert_int_equal(flz_secret_random(32, &bytes), 0);
    assert_int_equal(seal_key_of_secret(&bytes, &made), 0);
    assert_null(bytes.data);
    assert_memory_not_equal(made.id.b, made.secret.data, sizeof made.id.b);
    seal_key_deinit(&made);
}

static void write_parameters(const char *text)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static void a_passphrase_gives_its_key(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    _cleanup_(flz_secret_deinit) struct flz_secret right = FLZ_SECRET_NULL, wrong = FLZ_SECRET_NULL;
    struct seal_key a = SEAL_KEY_NULL, b = SEAL_KEY_NULL;
    assert_int_equal(flz_secret_copy(view("correct horse"), &right), 0);
    assert_int_equal(flz_secret_copy(view("incorrect"), &wrong), 0);
    struct seal_source source = {SEAL_SOURCE_PASSPHRASE, path, NULL};
    assert_int_equal(seal_key_create(&source, &msg), 0);
    assert_int_equal(seal_key_open(&source, &a, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "passphrase"));
    /* The least that argon2id takes, since the real cost is meant to hurt. */
    write_parameters("fluenzr-kdf v1 argon2id 1 8192 AAECAwQFBgcICQoLDA0ODw\n");
    source.passphrase = &right;
    assert_int_equal(seal_key_open(&source, &a, &msg), 0);
    assert_int_equal(seal_key_open(&source, &b, &msg), 0);
    assert_memory_equal(&a.id, &b.id, sizeof a.id);
    seal_key_deinit(&b);
    source.passphrase = &wrong;
    assert_int_equal(seal_key_open(&source, &b, &msg), 0);
    assert_memory_not_equal(&a.id, &b.id, sizeof a.id);
    seal_key_deinit(&a);
    seal_key_deinit(&b);
    assert_int_equal(unlink(path), 0);
}

static void odd_parameters_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "fluenzr-kdf v1 argon2id 1 8192",
        "fluenzr-kdf v2 argon2id 1 8192 AAECAwQFBgcICQoLDA0ODw",
        "fluenzr-kdf v1 argon2id 1 8192 AAEC",
        "fluenzr-kdf v1 argon2id 0 8192 AAECAwQFBgcICQoLDA0ODw",
        "fluenzr-kdf v1 argon2id 1 99999999999 AAECAwQFBgcICQoLDA0ODw",
        "fluenzr-kdf v1 argon2id 1 1 AAECAwQFBgcICQoLDA0ODw",
        "fluenzr-kdf v1 argon2id 4000000000 8192 AAECAwQFBgcICQoLDA0ODw",
    };
    _cleanup_(flz_secret_deinit) struct flz_secret passphrase = FLZ_SECRET_NULL;
    assert_int_equal(flz_secret_copy(view("correct horse"), &passphrase), 0);
    struct seal_source source = {SEAL_SOURCE_PASSPHRASE, path, &passphrase};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        struct seal_key none = SEAL_KEY_NULL;
        write_parameters(texts[i]);
        assert_int_equal(seal_key_open(&source, &none, &msg), -EINVAL);
        assert_non_null(strstr(msg.text, path));
    }
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blob_opens_under_its_key_and_for_its_place),
        cmocka_unit_test(the_same_text_is_sealed_differently_each_time),
        cmocka_unit_test(each_cut_and_flip_is_noticed),
        cmocka_unit_test(a_key_file_is_made_once_and_read_back),
        cmocka_unit_test(the_name_of_a_key_tells_nothing_of_it),
        cmocka_unit_test(a_passphrase_gives_its_key),
        cmocka_unit_test(odd_parameters_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
