#include "node/packs.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/sys/fsutil.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct packs {
    struct content_pack *packs[FLZ_PACKS_MAX]; /* owned */
    struct flz_digest digests[FLZ_PACKS_MAX];
    size_t count;
};

static int load_one(struct packs *packs, const char *path, struct flz_msg *msg)
{
    if (packs->count == FLZ_PACKS_MAX) {
        flz_msg_set(msg, "%s: more than %d content packs", path, FLZ_PACKS_MAX);
        return flz_fail(-E2BIG);
    }
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    int r = fsutil_read(path, CONTENT_PACK_BYTES_MAX, &bytes, msg);
    if (r < 0)
        return r;
    r = content_parse(flz_buf_view(&bytes), path, &packs->packs[packs->count], msg);
    if (r < 0)
        return r;
    packs->digests[packs->count] = content_id(packs->packs[packs->count]);
    packs->count++;
    return 0;
}

FLZ_DEFINE_FREEP(struct packs, packs_free)

int packs_load(const char *dir, struct packs **ret_packs, struct flz_msg *msg)
{
    _cleanup_(packs_freep) struct packs *packs = calloc(1, sizeof *packs);
    if (!packs)
        return flz_fail(-ENOMEM);
    char pattern[4096];
    (void)snprintf(pattern, sizeof pattern, "%s/*.pack", dir);
    _cleanup_(globfree) glob_t found = {0};
    if (glob(pattern, 0, NULL, &found) != 0) {
        flz_msg_set(msg, "%s: no content pack (*.pack) there", dir);
        return flz_fail(-ENOENT);
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int r = load_one(packs, found.gl_pathv[i], msg);
        if (r < 0)
            return r;
    }
    *ret_packs = steal_ptr(&packs);
    return 0;
}

struct packs *packs_free(struct packs *packs)
{
    if (!packs)
        return NULL;
    for (size_t i = 0; i < packs->count; i++)
        (void)content_free(packs->packs[i]);
    free(packs);
    return NULL;
}

const struct content_pack *packs_find(const struct packs *packs, struct flz_digest digest)
{
    for (size_t i = 0; i < packs->count; i++)
        if (flz_digest_equal(packs->digests[i], digest))
            return packs->packs[i];
    return NULL;
}

size_t packs_digests(const struct packs *packs, const struct flz_digest **ret_digests)
{
    *ret_digests = packs->digests;
    return packs->count;
}
