#include "node/grant_advice.h"

#include "common/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *error;
    enum grant_class class;
    const char *advice;
} errors[] = {
    {"authorization_pending", GRANT_PENDING, "waiting for the sign-in"},
    {"slow_down", GRANT_SLOW_DOWN, "waiting for the sign-in"},
    {"invalid_grant", GRANT_NEEDS_AUTH, "the sign-in is no longer good; sign in again"},
    {"interaction_required", GRANT_NEEDS_AUTH, "a person is asked for; sign in again"},
    {"login_required", GRANT_NEEDS_AUTH, "a person is asked for; sign in again"},
    {"consent_required", GRANT_NEEDS_AUTH, "consent is asked for; sign in again"},
    {"access_denied", GRANT_NEEDS_AUTH, "the sign-in was declined"},
    {"authorization_declined", GRANT_NEEDS_AUTH, "the sign-in was declined"},
    {"expired_token", GRANT_NEEDS_AUTH, "the code ran out before anybody signed in; begin again"},
    {"bad_verification_code", GRANT_NEEDS_AUTH, "the code is not known any more; begin again"},
    {"invalid_client", GRANT_MISCONFIGURED, "the app registration is not what the server expects"},
    {"unauthorized_client", GRANT_MISCONFIGURED, "the app may not sign people in this way"},
    {"invalid_scope", GRANT_MISCONFIGURED, "the app registration lacks a permission"},
    {"invalid_resource", GRANT_MISCONFIGURED, "the directory has no Exchange Online"},
    {"unsupported_grant_type", GRANT_MISCONFIGURED, "the server does not know this way to sign in"},
    {"unsupported_response_type", GRANT_MISCONFIGURED, "the app may not sign people in this way"},
    {"invalid_request", GRANT_MISCONFIGURED, "the server does not understand the request"},
    {"temporarily_unavailable", GRANT_TEMPORARY, "the sign-in server is busy"},
    {"server_error", GRANT_TEMPORARY, "the sign-in server fails"},
};

static const struct {
    unsigned code;
    const char *advice;
} numbers[] = {
    {16000, "several accounts are signed in there; use a private window of the browser"},
    {50034, "this person is not in the directory; is oauth.microsoft.tenant the right one?"},
    {50020, "this person is not in the directory; is oauth.microsoft.tenant the right one?"},
    {50053, "the account is locked, or the address is held for an attacker's; wait, then sign in"},
    {50055, "the password has expired; set a new one, then sign in again"},
    {50057, "the account is disabled in the directory; ask its administrator"},
    {50058, "nobody is signed in any more; sign in again"},
    {50059, "the server does not know whose directory this is; set oauth.microsoft.tenant"},
    {50072, "the person has to register for a second factor; sign in again"},
    {50074, "a second factor is asked for; sign in again"},
    {50076, "a second factor is asked for; sign in again"},
    {50078, "the second factor has run out; sign in again"},
    {50079, "the person has to register for a second factor; sign in again"},
    {50089, "the sign-in has run out; sign in again"},
    {50105, "the person is not assigned to the app; the directory's administrator assigns people"},
    {50133, "the password was changed; sign in again"},
    {50158, "a further proof is asked for by the directory's policy; sign in again"},
    {50173, "the password was changed, or sign-ins were revoked; sign in again"},
    {50196, "too many requests of this app in a row; it goes on by itself later"},
    {53000, "the directory's policy asks for a managed device; its administrator can exempt this"},
    {53001, "the directory's policy asks for a joined device; its administrator can exempt this"},
    {53003, "blocked by a Conditional Access policy of the directory; if you used --device, sign "
            "in by the browser instead: new policies block device codes"},
    {53004, "the person must complete a security set-up first; sign in by the browser"},
    {65001, "nobody has consented to the app's permissions; an administrator grants them in Entra"},
    {65004, "the person declined the app's permissions; sign in again and accept"},
    {70000, "the sign-in is no longer good; sign in again"},
    {70008, "the sign-in has run out; sign in again"},
    {70011, "the app lacks IMAP.AccessAsUser.All or SMTP.Send; add both in Entra"},
    {70016, "waiting for the sign-in"},
    {70018, "the code is not known; begin again"},
    {70019, "the code ran out before anybody signed in; begin again"},
    {70020, "the code ran out before anybody signed in; begin again"},
    {70043, "the directory limits how long a sign-in lasts; sign in again"},
    {70044, "the directory limits how long a session lasts; sign in again"},
    {75011, "another way of signing in is asked for; sign in again"},
    {90002, "there is no such directory; correct oauth.microsoft.tenant"},
    {90033, "the sign-in server has a passing fault"},
    {90072, "this person is not in the directory; is oauth.microsoft.tenant the right one?"},
    {90094, "an administrator of the directory must consent to the app"},
    {90095, "an administrator of the directory must consent to the app"},
    {135010, "the sign-in has run out; sign in again"},
    {500011, "the directory has no Exchange Online"},
    {500113, "the app has no redirect address; add http://localhost under Mobile and desktop"},
    {50011, "the app lacks the redirect address http://localhost (Mobile and desktop)"},
    {50194, "the app serves one directory only; set oauth.microsoft.tenant to its id"},
    {530002, "the directory's policy asks for a compliant device; its administrator can exempt the "
             "app"},
    {530003, "the directory's policy asks for a managed device; its administrator can exempt the "
             "app"},
    {700016, "no such app in the directory; correct oauth.microsoft.client_id or tenant"},
    {700082, "unused for 90 days, the sign-in has run out; sign in again"},
    {700084, "the sign-in has run out; sign in again"},
    {7000112, "the app is disabled in the directory"},
    {7000218, "the app is not a public client: allow public client flows in Entra"},
    {9002313, "the server does not understand the request"},
};

static unsigned number_of(const char *description)
{
    static const char mark[] = "AADSTS";
    const char *at = strstr(description, mark);
    uint64_t code = 0;
    char digits[12];
    if (!at)
        return 0;
    size_t n = strspn(at + sizeof mark - 1, "0123456789");
    if (n == 0 || n >= sizeof digits)
        return 0;
    memcpy(digits, at + sizeof mark - 1, n);
    digits[n] = '\0';
    return flz_parse_u64(digits, 99999999, &code) == 0 ? (unsigned)code : 0;
}

static const char *advice_of(unsigned code)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].code == code)
            return numbers[i].advice;
    return NULL;
}

/* The server's first sentence, printable, its words with an "@" left out. */
static void first_sentence(const char *description, char *ret_text, size_t size)
{
    size_t len = 0;
    while (*description && len + 2 < size) {
        size_t n = strcspn(description, " \t\r\n");
        bool address = memchr(description, '@', n) != NULL;
        bool last = n > 0 && description[n - 1] == '.';
        for (size_t i = 0; !address && i < n && len + 2 < size; i++)
            ret_text[len++] = description[i] >= ' ' && description[i] <= '~' ? description[i] : '?';
        if (address && len + 12 < size)
            len += (size_t)snprintf(ret_text + len, size - len, "(address)");
        description += n;
        if (last || *description == '\r' || *description == '\n')
            break;
        size_t gap = strspn(description, " \t");
        if (gap > 0 && *(description + gap))
            ret_text[len++] = ' ';
        description += gap ? gap : (size_t)(*description != '\0');
    }
    ret_text[len] = '\0';
}

enum grant_class grant_advice(const char *error, const char *description,
                              char ret_text[static FLZ_REPLY_TEXT_MAX])
{
    char words[FLZ_REPLY_TEXT_MAX];
    unsigned code = number_of(description);
    const char *advice = advice_of(code);
    enum grant_class class = GRANT_TEMPORARY;
    const char *meaning = "the sign-in server says what nobody understands";
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(errors[i].error, error) == 0) {
            class = errors[i].class;
            meaning = errors[i].advice;
        }
    if (advice) {
        (void)snprintf(ret_text, FLZ_REPLY_TEXT_MAX, "AADSTS%u: %s", code, advice);
        return class;
    }
    first_sentence(description, words, sizeof words);
    (void)snprintf(ret_text, FLZ_REPLY_TEXT_MAX, "%s%s%.*s", meaning, words[0] ? ": " : "",
                   (int)(FLZ_REPLY_TEXT_MAX / 2), words);
    return class;
}
