/*
 * What an authorization server, or whoever pastes an address, may say. The first byte is the class
 * of the HTTP status (0: none), the rest the body, which is read as an address, too.
 */
#include "node/grant.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words for people and for logs: bounded, printable, without an address. */
static void check_text(const char *text)
{
    assert(strnlen(text, FLZ_REPLY_TEXT_MAX) < FLZ_REPLY_TEXT_MAX);
    assert(!strchr(text, '@'));
    for (const char *p = text; *p; p++)
        assert(*p >= ' ' && *p <= '~');
}

static void check_token(const struct flz_secret *token)
{
    for (size_t i = 0; i < token->len; i++)
        assert(token->data[i] >= ' ' && token->data[i] != 0x7f);
}

static void read_as_token(const struct oauth_answer *answer)
{
    struct grant grant;
    grant_read(answer, &grant);
    assert((grant.class == GRANT_OK) == (grant.access.data != NULL));
    assert(grant.class == GRANT_OK || !grant.refresh.data);
    assert(grant.class != GRANT_OK || (grant.expires_in_s >= 1 && grant.expires_in_s <= 86400));
    assert(answer->status / 100 == 2 || grant.class != GRANT_OK);
    if (answer->status != 0)
        check_text(grant.text);
    check_token(&grant.access);
    check_token(&grant.refresh);
    for (size_t i = 0; i < GRANT_NAMES_MAX; i++)
        assert(strnlen(grant.names[i], FLZ_ADDRESS_MAX) < FLZ_ADDRESS_MAX);
    grant_deinit(&grant);
}

static void read_as_device(const struct oauth_answer *answer)
{
    struct grant_device device;
    char text[FLZ_REPLY_TEXT_MAX] = "";
    if (grant_device_read(answer, &device, text) != GRANT_OK)
        return;
    for (const char *p = device.user_code; *p; p++)
        assert(*p >= ' ' && *p <= '~');
    assert(device.url[0] && device.device_code.data);
    assert(device.interval_s >= 1 && device.expires_in_s >= 1);
    grant_device_deinit(&device);
}

static void read_as_address(const uint8_t *data, size_t size)
{
    struct grant_browser browser = {.state = "s"};
    struct flz_secret code = FLZ_SECRET_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    char *address = calloc(1, size + 1);
    assert(address);
    memcpy(address, data, size);
    if (grant_redirect_read(&browser, address, &code, &msg) == 0) {
        assert(code.len > 0 && code.len < GRANT_CODE_MAX);
        check_token(&code);
    } else {
        assert(msg.text[0]);
        check_text(msg.text);
    }
    flz_secret_deinit(&code);
    free(address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct oauth_answer answer = {
        .status = data[0] % 6 * 100, .body = {.data = data + 1, .len = size - 1}, .text = ""};
    read_as_token(&answer);
    read_as_device(&answer);
    read_as_address(data + 1, size - 1);
    return 0;
}
