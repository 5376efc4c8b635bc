#include "coordinator/persons.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "coordinator/families.h"
#include "proto/codec.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct person person;
    uint8_t *attestation; /* owned */
    bool known;
};

struct persons {
    struct store *store;
    const struct seal_key *kek;
    struct entry *entries; /* owned; by account handle */
    size_t count;
    size_t capacity;
};

static struct flz_view handle_key(uint32_t account, uint8_t key[static 4])
{
    flz_put_be32(key, account);
    return (struct flz_view){.data = key, .len = 4};
}

/* What a sealed key or record is bound to: its purpose and its account. */
static void fill_aad(const char *purpose, uint32_t account, struct flz_buf *aad)
{
    flz_buf_add_str(aad, purpose);
    flz_buf_add_be32(aad, account);
}

static int entry_at(struct persons *persons, uint32_t account, struct entry **ret_entry)
{
    size_t before = persons->count;
    int r = flz_grow((void **)&persons->entries, &persons->capacity, (size_t)account + 1,
                     sizeof *persons->entries);
    if (r < 0)
        return r;
    if (persons->count <= account) {
        persons->count = (size_t)account + 1;
        memset(persons->entries + before, 0,
               (persons->count - before) * sizeof *persons->entries);
    }
    *ret_entry = &persons->entries[account];
    return 0;
}

static int keep(struct persons *persons, uint32_t account, const struct flz_account *record)
{
    struct entry *entry;
    int r = entry_at(persons, account, &entry);
    if (r < 0)
        return r;
    uint8_t *attestation = malloc(record->attestation.len + 1);
    if (!attestation)
        return flz_fail(-ENOMEM);
    if (record->attestation.len > 0)
        memcpy(attestation, record->attestation.data, record->attestation.len);
    free(entry->attestation);
    entry->attestation = attestation;
    entry->known = true;
    struct person *person = &entry->person;
    memcpy(person->address, record->address, sizeof person->address);
    memcpy(person->owner, record->owner, sizeof person->owner);
    memcpy(person->consent_by, record->consent.by, sizeof person->consent_by);
    person->attestation =
        (struct flz_view){.data = attestation, .len = record->attestation.len};
    return 0;
}

/* ---- Loading ---- */

struct load {
    struct persons *persons;
    struct flz_msg *msg;
};

/* The account's own key. 0, STORE_E_ABSENT (erased), negative. */
static int load_key(struct persons *persons, uint32_t account, struct seal_key *ret_key)
{
    _cleanup_(flz_buf_deinit) struct flz_buf blob = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf aad = FLZ_BUF_NULL;
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    uint8_t key[4];
    int r = store_get(persons->store, FAMILY_KEYS, handle_key(account, key), &blob);
    if (r != 0)
        return r;
    fill_aad("fluenzr/person-key/v1", account, &aad);
    r = seal_open(persons->kek, flz_buf_view(&aad), flz_buf_view(&blob), &secret);
    if (r != 0)
        return flz_fail(r == SEAL_E_KEY ? -ENOKEY : -EBADMSG);
    return seal_key_of_secret(&secret, ret_key);
}

static int load_one(struct persons *persons, uint32_t account, struct flz_view blob)
{
    _cleanup_(seal_key_deinit) struct seal_key key = SEAL_KEY_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf aad = FLZ_BUF_NULL;
    _cleanup_(flz_secret_deinit) struct flz_secret plain = FLZ_SECRET_NULL;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_account record;
    int r = load_key(persons, account, &key);
    if (r != 0)
        return r == STORE_E_ABSENT ? 0 : r;
    fill_aad("fluenzr/person/v1", account, &aad);
    if (seal_open(&key, flz_buf_view(&aad), blob, &plain) != 0)
        return flz_fail(-EBADMSG);
    r = flz_decode(&flz_codec_account, flz_secret_view(&plain), &arena, &record);
    return r < 0 ? r : keep(persons, account, &record);
}

static int on_stored(struct flz_view key, struct flz_view value, void *data)
{
    struct load *load = data;
    int r = key.len == 4 ? load_one(load->persons, flz_be32(key.data), value) : flz_fail(-EBADMSG);
    if (r < 0)
        flz_msg_set(load->msg, "the side table's record of account %u %s",
                    key.len == 4 ? flz_be32(key.data) : 0,
                    r == -ENOKEY ? "is sealed under another key: is persons.key the right one?"
                                 : "is damaged");
    return r;
}

FLZ_DEFINE_FREEP(struct persons, persons_free)

int persons_open(struct store *store, const struct seal_key *kek, struct persons **ret_persons,
                 struct flz_msg *msg)
{
    _cleanup_(persons_freep) struct persons *persons = calloc(1, sizeof *persons);
    if (!persons)
        return flz_fail(-ENOMEM);
    persons->store = store;
    persons->kek = kek;
    struct load load = {.persons = persons, .msg = msg};
    int r = store_each(store, FAMILY_PERSONS, FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_stored, &load);
    if (r < 0)
        return r;
    *ret_persons = steal_ptr(&persons);
    return 0;
}

struct persons *persons_free(struct persons *persons)
{
    if (!persons)
        return NULL;
    for (size_t i = 0; i < persons->count; i++)
        free(persons->entries[i].attestation);
    free(persons->entries);
    free(persons);
    return NULL;
}

/* ---- Use ---- */

const struct person *persons_find(const struct persons *persons, uint32_t account)
{
    return account < persons->count && persons->entries[account].known
               ? &persons->entries[account].person
               : NULL;
}

int persons_put(struct persons *persons, uint32_t account, const struct flz_account *report,
                struct store_batch *batch)
{
    _cleanup_(seal_key_deinit) struct seal_key key = SEAL_KEY_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf plain = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf key_blob = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf blob = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf key_aad = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf aad = FLZ_BUF_NULL;
    uint8_t handle[4];
    struct flz_account record = *report;
    int r = flz_encode(&flz_codec_account, &record, &plain);
    if (r == 0)
        r = seal_key_generate(&key);
    if (r < 0)
        return r;
    fill_aad("fluenzr/person-key/v1", account, &key_aad);
    fill_aad("fluenzr/person/v1", account, &aad);
    r = seal_close(persons->kek, flz_buf_view(&key_aad), flz_secret_view(&key.secret), &key_blob);
    if (r == 0)
        r = seal_close(&key, flz_buf_view(&aad), flz_buf_view(&plain), &blob);
    if (r < 0)
        return r;
    store_put(batch, FAMILY_KEYS, handle_key(account, handle), flz_buf_view(&key_blob));
    store_put(batch, FAMILY_PERSONS, handle_key(account, handle), flz_buf_view(&blob));
    return keep(persons, account, report);
}

void persons_erase(struct persons *persons, uint32_t account, struct store_batch *batch)
{
    uint8_t key[4];
    store_delete(batch, FAMILY_KEYS, handle_key(account, key));
    store_delete(batch, FAMILY_PERSONS, handle_key(account, key));
    if (account >= persons->count)
        return;
    struct entry *entry = &persons->entries[account];
    sodium_memzero(&entry->person, sizeof entry->person);
    free(entry->attestation);
    *entry = (struct entry){.known = false};
}
