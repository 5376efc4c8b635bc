#include "tests/lib/testcert.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAMES "DNS:mail.test,DNS:localhost,IP:127.0.0.1"

static void must(int fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "testcert: %s failed\n", what);
    abort();
}

struct pair {
    X509 *cert;
    EVP_PKEY *key;
};

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    must(ext != NULL, value);
    must(X509_add_ext(cert, ext, -1), "X509_add_ext");
    X509_EXTENSION_free(ext);
}

/* `issuer` NULL: signed by itself. `names` NULL: a CA. */
static struct pair make(const char *cn, const char *names, const struct pair *issuer, long end_s)
{
    static long serial = 1000;
    struct pair pair = {.cert = X509_new(), .key = EVP_EC_gen("P-256")};
    must(pair.cert && pair.key, "key");
    must(ASN1_INTEGER_set(X509_get_serialNumber(pair.cert), ++serial), "serial");
    must(X509_set_version(pair.cert, X509_VERSION_3), "version");
    must(X509_gmtime_adj(X509_getm_notBefore(pair.cert), -2 * 86400) != NULL, "begin");
    must(X509_gmtime_adj(X509_getm_notAfter(pair.cert), end_s) != NULL, "end");
    must(X509_set_pubkey(pair.cert, pair.key), "public key");
    X509_NAME *name = X509_get_subject_name(pair.cert);
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0),
         "name");
    X509 *by = issuer ? issuer->cert : pair.cert;
    must(X509_set_issuer_name(pair.cert, X509_get_subject_name(by)), "issuer");
    add_extension(pair.cert, by, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
    if (names)
        add_extension(pair.cert, by, NID_subject_alt_name, names);
    must(X509_sign(pair.cert, issuer ? issuer->key : pair.key, EVP_sha256()) > 0, "sign");
    return pair;
}

static void save(const char *folder, const char *file, struct pair pair, int with_key)
{
    FILE *f = fopen(testcert_path(folder, file), "we");
    must(f != NULL, file);
    must(PEM_write_X509(f, pair.cert), "write");
    if (with_key)
        must(PEM_write_PrivateKey(f, pair.key, NULL, NULL, 0, NULL, NULL), "write key");
    must(fclose(f) == 0, "close");
}

static void drop(struct pair pair)
{
    X509_free(pair.cert);
    EVP_PKEY_free(pair.key);
}

void testcert_make(char ret_folder[static 64])
{
    (void)snprintf(ret_folder, 64, "/tmp/fluenzr-cert-XXXXXX");
    must(mkdtemp(ret_folder) != NULL, "mkdtemp");
    struct pair ca = make("FluenzR test CA", NULL, NULL, 86400);
    struct pair other = make("Another CA", NULL, NULL, 86400);
    save(ret_folder, TESTCERT_CA, ca, 0);

    const struct {
        const char *file;
        const char *names;
        const struct pair *issuer;
        long end_s;
    } kinds[] = {
        {TESTCERT_GOOD, NAMES, &ca, 86400},
        {TESTCERT_EXPIRED, NAMES, &ca, -3600},
        {TESTCERT_WRONG_HOST, "DNS:other.test", &ca, 86400},
        {TESTCERT_GOOGLE, "DNS:other.test,DNS:imap.gmail.com", &ca, 86400},
        {TESTCERT_BOTH, NAMES ",DNS:*.google.com", &ca, 86400},
        {TESTCERT_FOREIGN, NAMES, &other, 86400},
        {TESTCERT_SELF, NAMES, NULL, 86400},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct pair pair = make("mail.test", kinds[i].names, kinds[i].issuer, kinds[i].end_s);
        save(ret_folder, kinds[i].file, pair, 1);
        drop(pair);
    }
    drop(ca);
    drop(other);
}

void testcert_remove(const char *folder)
{
    static const char *const files[] = {TESTCERT_CA,         TESTCERT_GOOD,   TESTCERT_EXPIRED,
                                        TESTCERT_WRONG_HOST, TESTCERT_GOOGLE, TESTCERT_BOTH,
                                        TESTCERT_FOREIGN,    TESTCERT_SELF};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        (void)unlink(testcert_path(folder, files[i]));
    (void)rmdir(folder);
}

const char *testcert_path(const char *folder, const char *file)
{
    static char ring[4][160];
    static unsigned next;
    char *path = ring[next++ % 4];
    (void)snprintf(path, sizeof(ring[0]), "%s/%s", folder, file);
    return path;
}
