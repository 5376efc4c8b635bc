/*
 * Feedback reports written by strangers.
 */
#include "node/core/arf.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arf arf;
    struct flz_address address;
    if (!arf_parse((struct flz_view){data, size}, &arf))
        return 0;
    assert(arf_type_str(arf.type)[0]);
    assert(!arf.recipient[0] || flz_address_parse(arf.recipient, &address) == 0);
    assert(memchr(arf.user_agent, '\0', sizeof arf.user_agent));
    assert(!strpbrk(arf.user_agent, "\r\n"));
    assert(!arf.reporter[0] || flz_domain_check(arf.reporter) == 0);
    return 0;
}
