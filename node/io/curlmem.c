#include "node/io/curlmem.h"

#include "common/base/error.h"
#include "common/sys/secret.h"

#include <curl/curl.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* realloc() moves and leaves the old octets behind; this one does not. */
static void *move_and_wipe(void *old, size_t size)
{
    size_t had = old ? malloc_usable_size(old) : 0;
    if (size > 0 && size <= had)
        return old;
    void *new = malloc(size);
    if (!new)
        return NULL;
    if (had > 0)
        memcpy(new, old, had);
    flz_wipe_free(old);
    return new;
}

int curlmem_start(void)
{
    CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, flz_wipe_free, move_and_wipe,
                                         strdup, calloc);
    return code == CURLE_OK ? 0 : flz_fail(-ENOMEM);
}

void curlmem_stop(void)
{
    curl_global_cleanup();
}
