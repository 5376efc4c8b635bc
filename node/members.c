#include "node/members.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "proto/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct members {
    struct journal *journal;
    const struct seal_key *kek;
    struct flz_id node;
    struct member **all; /* owned */
    size_t count;
    size_t capacity;
    struct flz_map by_id;
    struct flz_map by_address; /* under address_key() */
};

static struct flz_view id_view(const struct flz_id *id)
{
    return (struct flz_view){.data = id->b, .len = sizeof id->b};
}

static struct flz_id address_key(const char *address)
{
    struct flz_hash hash;
    flz_hash_init_id(&hash, FLZ_VIEW_NULL, "fluenzr/member-address/v1");
    for (const char *at = address; *at; at++) {
        char lower = flz_ascii_lower(*at);
        flz_hash_add(&hash, &lower, 1);
    }
    return flz_hash_id(&hash);
}

/* A sealed secret belongs to this node and account: moved elsewhere it does not open. */
static void fill_aad(const struct members *members, struct flz_id account, struct flz_buf *aad)
{
    flz_buf_add_str(aad, "fluenzr/account-secret/v1");
    flz_buf_add_view(aad, id_view(&members->node));
    flz_buf_add_view(aad, id_view(&account));
}

static int read_endpoints(struct member *member, struct flz_msg *msg)
{
    struct endpoint smtp, imap;
    int r = endpoint_parse(member->record.smtp_url, &smtp, msg);
    if (r == 0)
        r = endpoint_parse(member->record.imap_url, &imap, msg);
    if (r == 0)
        member->is_loopback = endpoint_is_loopback(&smtp) && endpoint_is_loopback(&imap);
    return r;
}

static struct endpoint endpoint_of(const char *url)
{
    struct endpoint endpoint;
    struct flz_msg msg;
    int r = endpoint_parse(url, &endpoint, &msg);
    assert(r == 0);
    return endpoint;
}

struct endpoint member_smtp(const struct member *member)
{
    return endpoint_of(member->record.smtp_url);
}

struct endpoint member_imap(const struct member *member)
{
    return endpoint_of(member->record.imap_url);
}

static int add_member(struct members *members, const struct journal_member *record,
                      struct flz_msg *msg)
{
    _cleanup_(flz_freep) struct member *member = calloc(1, sizeof *member);
    if (!member)
        return flz_fail(-ENOMEM);
    member->record = *record;
    /* The attestation is made anew when it is reported; a view must not outlive its arena. */
    member->record.account.attestation = FLZ_VIEW_NULL;
    int r = read_endpoints(member, msg);
    if (r < 0)
        return r;
    r = flz_grow((void **)&members->all, &members->capacity, members->count + 1,
                 sizeof *members->all);
    if (r < 0)
        return r;
    r = flz_map_set(&members->by_id, record->account.id, (uint32_t)members->count);
    if (r < 0)
        return r;
    r = flz_map_set(&members->by_address, address_key(record->account.address),
                    (uint32_t)members->count);
    if (r < 0) {
        flz_map_remove(&members->by_id, record->account.id);
        return r;
    }
    members->all[members->count++] = steal_ptr(&member);
    return 0;
}

struct load {
    struct members *members;
    struct flz_msg *msg;
};

static int on_stored(struct flz_view key, struct flz_view value, void *data)
{
    struct load *load = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct journal_member record;
    int r = flz_decode(&flz_codec_member, value, &arena, &record);
    if (r == 0 && record.version != JOURNAL_VERSION)
        r = flz_fail(-EBADMSG);
    if (r < 0) {
        flz_msg_set(load->msg, "an account in the journal cannot be read");
        return r;
    }
    return add_member(load->members, &record, load->msg);
}

FLZ_DEFINE_FREEP(struct members, members_free)

int members_open(struct journal *journal, const struct seal_key *kek, struct flz_id node,
                 struct members **ret_members, struct flz_msg *msg)
{
    _cleanup_(members_freep) struct members *members = calloc(1, sizeof *members);
    if (!members)
        return flz_fail(-ENOMEM);
    members->journal = journal;
    members->kek = kek;
    members->node = node;
    struct load load = {.members = members, .msg = msg};
    int r = journal_each(journal, JOURNAL_MEMBERS, on_stored, &load);
    if (r < 0)
        return r;
    *ret_members = steal_ptr(&members);
    return 0;
}

struct members *members_free(struct members *members)
{
    if (!members)
        return NULL;
    for (size_t i = 0; i < members->count; i++)
        free(members->all[i]);
    free(members->all);
    flz_map_deinit(&members->by_id);
    flz_map_deinit(&members->by_address);
    free(members);
    return NULL;
}

size_t members_count(const struct members *members)
{
    return members->count;
}

struct member *members_at(struct members *members, size_t index)
{
    return members->all[index];
}

struct member *members_find(struct members *members, struct flz_id account)
{
    uint32_t index = flz_map_get(&members->by_id, account);
    return index == FLZ_MAP_NONE ? NULL : members->all[index];
}

struct member *members_find_address(struct members *members, const struct flz_address *address)
{
    uint32_t index = flz_map_get(&members->by_address, address_key(address->text));
    return index == FLZ_MAP_NONE ? NULL : members->all[index];
}

bool members_all_loopback(const struct members *members)
{
    for (size_t i = 0; i < members->count; i++)
        if (!members->all[i]->is_loopback)
            return false;
    return true;
}

static int journal_member_put(struct members *members, const struct journal_member *record)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    int r = flz_encode(&flz_codec_member, record, &buf);
    if (r < 0)
        return r;
    journal_put(members->journal, JOURNAL_MEMBERS, id_view(&record->account.id),
                flz_buf_view(&buf));
    return 0;
}

static int journal_secret_put(struct members *members, struct flz_id account,
                              const struct flz_secret *secret)
{
    _cleanup_(flz_buf_deinit) struct flz_buf aad = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf blob = FLZ_BUF_NULL;
    fill_aad(members, account, &aad);
    int r = seal_close(members->kek, flz_buf_view(&aad), flz_secret_view(secret), &blob);
    if (r < 0)
        return r;
    journal_put(members->journal, JOURNAL_SECRETS, id_view(&account), flz_buf_view(&blob));
    return 0;
}

/* Takes a changed record into memory; its endpoints have been read. */
static void change_member(struct member *member, const struct member *read)
{
    member->record = read->record;
    member->record.account.attestation = FLZ_VIEW_NULL;
    member->is_loopback = read->is_loopback;
}

int members_put(struct members *members, const struct journal_member *record,
                const struct flz_secret *secret, void (*on_durable)(int r, void *data), void *data)
{
    struct flz_msg msg;
    struct member read = {.record = *record};
    struct member *member = members_find(members, record->account.id);
    int r = read_endpoints(&read, &msg);
    if (r == 0 && !member)
        r = add_member(members, record, &msg);
    if (r == 0 && secret)
        r = journal_secret_put(members, record->account.id, secret);
    if (r == 0)
        r = journal_member_put(members, record);
    if (r < 0)
        return r;
    if (member && !secret && member->record.login != record->login)
        journal_delete(members->journal, JOURNAL_SECRETS, id_view(&record->account.id));
    if (member)
        change_member(member, &read);
    journal_sync(members->journal, on_durable, data);
    return 0;
}

int members_save(struct members *members, const struct member *member)
{
    int r = journal_member_put(members, &member->record);
    journal_flush(members->journal);
    return r;
}

int members_gather(struct members *members, const struct member *member)
{
    return journal_member_put(members, &member->record);
}

int members_secret(struct members *members, struct flz_id account, struct flz_secret *ret_secret)
{
    _cleanup_(flz_buf_deinit) struct flz_buf aad = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf blob = FLZ_BUF_NULL;
    int r = journal_get(members->journal, JOURNAL_SECRETS, id_view(&account), &blob);
    if (r < 0)
        return r;
    if (r == JOURNAL_E_ABSENT)
        return flz_fail(-ENOENT);
    fill_aad(members, account, &aad);
    switch (seal_open(members->kek, flz_buf_view(&aad), flz_buf_view(&blob), ret_secret)) {
    case 0: return 0;
    case SEAL_E_KEY: return flz_fail(-ENOKEY);
    case SEAL_E_DAMAGED: return flz_fail(-EBADMSG);
    default: return flz_fail(-ENOMEM);
    }
}

struct old_days {
    struct members *members;
    struct flz_id account;
    const struct flz_id *other; /* NULL: they are deleted */
};

static int on_day(struct flz_view key, struct flz_view value, void *data)
{
    const struct old_days *old = data;
    uint8_t moved[20];
    if (key.len == sizeof moved && old->other) {
        memcpy(moved, old->other->b, 16);
        memcpy(moved + 16, key.data + 16, 4);
        journal_put(old->members->journal, JOURNAL_DAYS,
                    (struct flz_view){.data = moved, .len = sizeof moved}, value);
    }
    journal_delete(old->members->journal, JOURNAL_DAYS, key);
    return 0;
}

static void move_days(struct members *members, struct flz_id account, const struct flz_id *other)
{
    struct old_days old = {.members = members, .account = account, .other = other};
    (void)journal_range(members->journal, JOURNAL_DAYS, FLZ_VIEW_NULL, id_view(&account), on_day,
                        &old);
}

int members_remove(struct members *members, struct flz_id account)
{
    uint32_t index = flz_map_get(&members->by_id, account);
    if (index == FLZ_MAP_NONE)
        return flz_fail(-ENOENT);
    journal_delete(members->journal, JOURNAL_SECRETS, id_view(&account));
    journal_delete(members->journal, JOURNAL_MEMBERS, id_view(&account));
    move_days(members, account, NULL);

    flz_map_remove(&members->by_id, account);
    flz_map_remove(&members->by_address, address_key(members->all[index]->record.account.address));
    free(members->all[index]);
    struct member *last = members->all[--members->count];
    if (index == members->count)
        return 0;
    members->all[index] = last;
    /* Setting keys that are there allocates nothing. */
    (void)flz_map_set(&members->by_id, last->record.account.id, index);
    (void)flz_map_set(&members->by_address, address_key(last->record.account.address), index);
    return 0;
}

int members_rename(struct members *members, struct flz_id account, struct flz_id other)
{
    uint32_t index = flz_map_get(&members->by_id, account);
    if (index == FLZ_MAP_NONE)
        return flz_fail(-ENOENT);
    if (flz_map_get(&members->by_id, other) != FLZ_MAP_NONE)
        return flz_fail(-EEXIST);
    struct member *member = members->all[index];
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    struct journal_member record = member->record;
    record.account.id = other;
    int r = members_secret(members, account, &secret);
    bool sealed = r == 0; /* nobody has signed in yet: there is nothing to move */
    if (r == 0 || r == -ENOENT)
        r = flz_map_set(&members->by_id, other, index);
    if (r == 0 && sealed)
        r = journal_secret_put(members, other, &secret);
    if (r == 0)
        r = journal_member_put(members, &record);
    if (r < 0) {
        flz_map_remove(&members->by_id, other);
        journal_delete(members->journal, JOURNAL_SECRETS, id_view(&other));
        return r;
    }
    journal_delete(members->journal, JOURNAL_SECRETS, id_view(&account));
    journal_delete(members->journal, JOURNAL_MEMBERS, id_view(&account));
    move_days(members, account, &other);
    flz_map_remove(&members->by_id, account);
    member->record.account.id = other;
    return 0;
}
