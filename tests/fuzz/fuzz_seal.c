/*
 * Sealed blobs from a disk that lies: any bytes are refused, or are a blob that we made. The first
 * byte says which of a true blob's bytes the rest are laid over.
 */
#include "common/sys/seal.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seal_key kek(uint8_t fill)
{
    struct flz_secret secret;
    struct seal_key key;
    int r = flz_secret_new(SEAL_KEY_LEN, &secret);
    assert(r == 0);
    memset(secret.data, fill, secret.len);
    r = seal_key_of_secret(&secret, &key);
    assert(r == 0);
    return key;
}

static void open_any(const struct seal_key *key, struct flz_view blob, bool true_blob)
{
    static const char aad[] = "place";
    struct flz_secret plain = FLZ_SECRET_NULL;
    struct flz_key_id id;
    int r = seal_open(key, flz_view_str(aad), blob, &plain);
    assert(true_blob ? r == 0 : r == SEAL_E_KEY || r == SEAL_E_DAMAGED);
    flz_secret_deinit(&plain);
    (void)seal_blob_key(blob, &id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seal_key key;
    static struct flz_buf made;
    if (!made.data) {
        key = kek(1);
        int r = seal_close(&key, flz_view_str("place"), flz_view_str("a password"), &made);
        assert(r == 0);
    }
    open_any(&key, (struct flz_view){data, size}, false);
    if (size < 2)
        return 0;
    uint8_t laid[256];
    size_t at = data[0] % made.len, n = size - 1 < made.len - at ? size - 1 : made.len - at;
    memcpy(laid, made.data, made.len);
    memcpy(laid + at, data + 1, n);
    open_any(&key, (struct flz_view){laid, made.len}, memcmp(laid, made.data, made.len) == 0);
    return 0;
}
