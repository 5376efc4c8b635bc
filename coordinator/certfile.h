/*
 * A certificate in a file: Signed(CERTIFICATE) as one line of base64url. It is public, but stands
 * in folders that are not; whoever reads one checks it (proto/cert.h).
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"

#define CERTFILE_MAX 4096 /* bytes of the file */

/* Never overwrites. 0, -EEXIST, -errno. */
int certfile_save(const char *path, struct flz_view certificate, struct flz_msg *msg);

/* Appends the certificate's bytes. 0, -EINVAL (not such a line), -EFBIG, -errno. */
int certfile_load(const char *path, struct flz_buf *buf, struct flz_msg *msg);
