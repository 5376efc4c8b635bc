/*
 * Header blocks written by strangers.
 */
#include "node/core/header.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct header header;
    struct flz_view block = {data, size};
    int64_t ms;
    char id[HEADER_MESSAGE_ID_MAX];
    header_parse(block, &header);
    /* No field carries a line end or a NUL in its middle out of here. */
    const char *const fields[] = {
        header.message_id, header.original_message_id, header.from,          header.to,
        header.subject,    header.x_fluenzr,           header.authentication};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert(!strpbrk(fields[i], "\r\n"));
    (void)header_subject_digest(block);
    (void)header_subject_digest(flz_view_str(header.subject));
    (void)header_authentication(header.authentication);
    (void)header_parse_date(block, &ms);
    (void)header_parse_message_id(block, id);
    return 0;
}
