/*
 * Ownership written where the thing is born:
 *
 *     _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
 *     _cleanup_(lease_freep) struct lease *lease = NULL;
 *     ...
 *     *ret_lease = steal_ptr(&lease);
 */
#pragma once

#include <stdlib.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Takes the pointer out of its owner, which is left NULL. */
#define steal_ptr(p)                                                                               \
    ({                                                                                             \
        __typeof__(*(p)) stolen_ = *(p);                                                           \
        *(p) = NULL;                                                                               \
        stolen_;                                                                                   \
    })

/* Defines `<free>p`, the cleanup function for a pointer freed by `free` (which accepts NULL). */
#define FLZ_DEFINE_FREEP(type, free_fn)                                                            \
    static inline void free_fn##p(type **p)                                                        \
    {                                                                                              \
        if (*p)                                                                                    \
            (void)free_fn(*p);                                                                     \
    }

static inline void flz_freep(void *p)
{
    free(*(void **)p);
}
