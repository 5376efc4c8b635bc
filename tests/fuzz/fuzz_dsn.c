/*
 * Delivery reports written by strangers.
 */
#include "node/core/dsn.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
    assert(memchr(text, '\0', max));
    assert(!strpbrk(text, "\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dsn dsn;
    if (!dsn_parse((struct flz_view){data, size}, &dsn))
        return 0;
    assert(dsn.recipients_count > 0 && dsn.recipients_count <= DSN_RECIPIENTS_MAX);
    assert(dsn.standard || dsn.has_original);
    check_text(dsn.envelope_id, sizeof dsn.envelope_id);
    check_text(dsn.reporting_mta, sizeof dsn.reporting_mta);
    for (size_t i = 0; i < dsn.recipients_count; i++) {
        const struct dsn_recipient *recipient = &dsn.recipients[i];
        struct flz_address address;
        assert(!recipient->address[0] || flz_address_parse(recipient->address, &address) == 0);
        check_text(recipient->text, sizeof recipient->text);
        check_text(recipient->remote_mta, sizeof recipient->remote_mta);
        assert(recipient->action != DSN_ACTION_NONE);
        assert(recipient->code == 0 || (recipient->code >= 200 && recipient->code < 600));
        assert(recipient->enhanced.class == 0 || recipient->enhanced.class == 2 ||
               recipient->enhanced.class == 4 || recipient->enhanced.class == 5);
    }
    return 0;
}
