#include "coordinator/certfile.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/fsutil.h"

#include <errno.h>

int certfile_save(const char *path, struct flz_view certificate, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    flz_base64url_encode(certificate, &text);
    flz_buf_add_byte(&text, '\n');
    int r = flz_buf_error(&text);
    return r < 0 ? r : fsutil_write_new(path, 0600, flz_buf_view(&text), msg);
}

int certfile_load(const char *path, struct flz_buf *buf, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    int r = fsutil_read(path, CERTFILE_MAX, &text, msg);
    if (r < 0)
        return r;
    struct flz_view line = flz_buf_view(&text);
    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    if (line.len == 0 || flz_base64url_decode(line, buf) < 0) {
        flz_msg_set(msg, "%s: not a certificate: one line of base64url is expected", path);
        return flz_fail(-EINVAL);
    }
    return flz_buf_error(buf);
}
