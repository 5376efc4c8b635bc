#include "common/base/id.h"

#include "common/base/error.h"
#include "common/base/text.h"

#include <errno.h>
#include <string.h>

bool flz_id_equal(struct flz_id a, struct flz_id b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

bool flz_id_is_null(struct flz_id id)
{
    return flz_id_equal(id, FLZ_ID_NULL);
}

void flz_id_format(struct flz_id id, char hex[static FLZ_ID_HEX_LEN + 1])
{
    flz_hex_encode(id.b, sizeof id.b, hex);
}

const char *flz_id_str(struct flz_id id)
{
    static _Thread_local char ring[8][FLZ_ID_HEX_LEN + 1];
    static _Thread_local unsigned next;
    char *text = ring[next++ % 8];
    flz_id_format(id, text);
    return text;
}

int flz_id_parse(const char *hex, struct flz_id *ret_id)
{
    struct flz_id id;
    if (strlen(hex) != FLZ_ID_HEX_LEN || flz_hex_decode(hex, FLZ_ID_HEX_LEN, id.b) < 0)
        return flz_fail(-EINVAL);
    *ret_id = id;
    return 0;
}
