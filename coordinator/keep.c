#include "coordinator/keep.h"

bool keep_get(const struct keep *keep, int64_t now_boot, struct flz_buf *body)
{
    if (keep->text.len == 0 || now_boot >= keep->until)
        return false;
    flz_buf_add(body, keep->text.data, keep->text.len);
    return true;
}

void keep_put(struct keep *keep, struct flz_view answer, int64_t began_boot, int64_t ended_boot)
{
    int64_t took = ended_boot - began_boot;
    flz_buf_deinit(&keep->text);
    keep->until = began_boot + took * KEEP_FACTOR;
    if (took < KEEP_FROM_MS)
        return;
    flz_buf_add(&keep->text, answer.data, answer.len);
    if (flz_buf_error(&keep->text) < 0)
        flz_buf_deinit(&keep->text);
}

void keep_deinit(struct keep *keep)
{
    flz_buf_deinit(&keep->text);
}
