#include "node/core/arf.h"

#include "common/base/text.h"

#include <string.h>

static const char *const type_words[] = {
    [ARF_OTHER] = "other",
    [ARF_ABUSE] = "abuse",
    [ARF_FRAUD] = "fraud",
    [ARF_VIRUS] = "virus",
    [ARF_OPT_OUT] = "opt-out",
    [ARF_NOT_SPAM] = "not-spam",
    [ARF_AUTH_FAILURE] = "auth-failure",
};

const char *arf_type_str(enum arf_type type)
{
    return type_words[type];
}

bool arf_is_complaint(const struct arf *arf)
{
    return arf->type != ARF_NOT_SPAM && arf->type != ARF_AUTH_FAILURE;
}

static enum arf_type type_of(const char *text)
{
    for (size_t i = 0; i < sizeof type_words / sizeof *type_words; i++)
        if (flz_ascii_equal_nocase(type_words[i], text))
            return (enum arf_type)i;
    return ARF_OTHER;
}

static void take_field(struct arf *arf, struct flz_view name, const char *text)
{
    if (header_name_is(name, "Feedback-Type"))
        arf->type = type_of(text);
    else if (header_name_is(name, "User-Agent"))
        (void)flz_text_copy(arf->user_agent, sizeof arf->user_agent, text);
    else if (header_name_is(name, "Original-Rcpt-To") && !arf->recipient[0])
        dsn_take_address(text, arf->recipient);
    else if (header_name_is(name, "Original-Envelope-Id"))
        (void)flz_text_copy(arf->envelope_id, sizeof arf->envelope_id, text);
    else if (header_name_is(name, "Reporting-MTA") ||
             (header_name_is(name, "Reported-Domain") && !arf->reporter[0]))
        dsn_take_host(dsn_behind_type(text), arf->reporter);
}

static void read_fields(struct flz_view block, struct arf *arf)
{
    struct flz_view name, value;
    char text[DSN_TEXT_MAX];
    for (unsigned n = 0; n < HEADER_FIELDS_MAX && header_field_next(&block, &name, &value); n++)
        if (header_unfold(value, text, sizeof text))
            take_field(arf, name, text);
}

/* Microsoft's JMRP: the message as an attachment, whose header names the one who complains. */
static bool parse_forwarded(const struct mime *mime, struct arf *arf)
{
    const struct mime_part *part = mime_find(mime, "message/rfc822");
    struct flz_view block = part ? part->body : FLZ_VIEW_NULL, name, value;
    char text[DSN_TEXT_MAX];
    for (unsigned n = 0; n < HEADER_FIELDS_MAX && header_field_next(&block, &name, &value); n++)
        if (header_name_is(name, "X-HmXmrOriginalRecipient") &&
            header_unfold(value, text, sizeof text))
            dsn_take_address(text, arf->recipient);
    if (!arf->recipient[0])
        return false;
    arf->type = ARF_ABUSE;
    (void)flz_text_copy(arf->user_agent, sizeof arf->user_agent, "JMRP");
    arf->has_original = dsn_original(mime, &arf->original);
    return true;
}

bool arf_parse(struct flz_view message, struct arf *ret_arf)
{
    struct mime mime;
    memset(ret_arf, 0, sizeof *ret_arf);
    mime_split(message, &mime);
    const struct mime_part *report = mime_find(&mime, "message/feedback-report");
    if (!report)
        return parse_forwarded(&mime, ret_arf);
    char text[8192];
    struct flz_view block = report->body;
    if (report->encoding != MIME_PLAIN)
        block = (struct flz_view){(const uint8_t *)text, mime_decode(report, text, sizeof text)};
    read_fields(block, ret_arf);
    ret_arf->has_original = dsn_original(&mime, &ret_arf->original);
    return true;
}
