/*
 * The tables of record.proto, and the shells that events and rows travel in: a type or kind, a
 * version, and the body as bytes, so that a reader that does not know a type says so instead of
 * skipping it. See codec_table.h.
 */
#include "proto/codec_table.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "proto/node.pb-c.h"
#include "proto/record.h"
#include "proto/record.pb-c.h"
#include "proto/tables_record.h"

#include <errno.h>
#include <string.h>

static const struct flz_field pause_target_fields[] = {
    U32(flz_pause, scope), TEXT(flz_pause, name), FIXED(flz_pause, account)};
static const struct flz_codec codec_pause_target = {
    .descriptor = &flz__pause__descriptor,
    .fields = pause_target_fields,
    .fields_count = 3,
    .size = sizeof(struct flz_pause),
};

CODEC(row_task, flz__row_task, row_task,
      U32(row_task, state), U32(row_task, outcome), U32(row_task, reason), U32(row_task, fault),
      U32(row_task, node), U32(row_task, attempt), U32(row_task, reply_code),
      BOOL(row_task, presumed), S64(row_task, issued_at), S64(row_task, ended_at));

CODEC(row_turn, flz__row_turn, row_turn,
      S64(row_turn, send_at), S64(row_turn, send_until), S64(row_turn, open_at),
      S64(row_turn, open_until), S32(row_turn, date), S32(row_turn, open_date),
      U32(row_turn, day_cap), MESSAGE(row_turn, send, flz_codec_row_task),
      MESSAGE(row_turn, find, flz_codec_row_task), MESSAGE(row_turn, unspam, flz_codec_row_task),
      MESSAGE(row_turn, open, flz_codec_row_task), U32(row_turn, placement),
      U32(row_turn, authentication), S64(row_turn, arrival_ms), BOOL(row_turn, sender_witness),
      BOOL(row_turn, contradicted), S64(row_turn, reopen_at), S64(row_turn, reopen_until),
      U32(row_turn, bounce), BOOL(row_turn, complained));

CODEC(row_forgotten, flz__row_forgotten, row_forgotten,
      FIXED(row_forgotten, generation), S64(row_forgotten, from), S64(row_forgotten, restored_at),
      S64(row_forgotten, until));

CODEC(row_network, flz__row_network, row_network,
      FIXED(row_network, id), S64(row_network, now), U64(row_network, epoch),
      FIXED(row_network, generation), U64(row_network, revocation_version),
      U32(row_network, exchanges), U32(row_network, plans), U32(row_network, pauses),
      S32(row_network, newest_date), S64(row_network, quiet_until),
      MESSAGES(row_network, forgotten, FLZ_FORGOTTEN_MAX, flz_codec_row_forgotten),
      U32(row_network, alerts));

CODEC(row_setting, flz__row_setting, row_setting,
      TEXT(row_setting, key), S64(row_setting, value), S64(row_setting, at),
      TEXT(row_setting, by));

CODEC(row_name, flz__row_name, row_name,
      U32(row_name, kind), U32(row_name, handle), FIXED(row_name, digest), TEXT(row_name, text));

CODEC(row_invite, flz__row_invite, row_invite,
      U32(row_invite, handle), U32(row_invite, state), FIXED(row_invite, node),
      TEXT(row_invite, name), FIXED(row_invite, token), S64(row_invite, not_after),
      S64(row_invite, at));

CODEC(row_node, flz__row_node, row_node,
      U32(row_node, handle), U32(row_node, state), FIXED(row_node, id), TEXT(row_node, name),
      FIXED(row_node, token), FIXED(row_node, certificate), FIXED(row_node, sign_key),
      FIXED(row_node, curve_key), S64(row_node, joined_at), S64(row_node, seen_at),
      S64(row_node, revoked_at), FIXED(row_node, incarnation), U64(row_node, report_seq),
      U32(row_node, losses), U32(row_node, equivocations), FIXEDS(row_node, packs, FLZ_PACKS_MAX),
      U64(row_node, revocation_version), VIEW(row_node, revocation, FLZ_REVOCATION_BYTES_MAX));

CODEC(row_account, flz__row_account, row_account,
      U32(row_account, handle), U32(row_account, state), FIXED(row_account, id),
      FIXED(row_account, address), U32(row_account, node), U32(row_account, generation),
      U32(row_account, domain), U32(row_account, owner), U32(row_account, provider),
      TEXT(row_account, zone), U32(row_account, start_minute), U32(row_account, end_minute),
      U32(row_account, days), U32(row_account, intensity), U32(row_account, target),
      U32(row_account, profile), TEXT(row_account, language), U32(row_account, volume),
      S64(row_account, consent_given), S64(row_account, consent_until),
      S64(row_account, consent_ended), U32(row_account, consent_actions),
      S64(row_account, registered_at), S64(row_account, bound_at), S64(row_account, begins_at),
      S64(row_account, probe_at), U32(row_account, probe_reason), U32(row_account, quota_permille),
      BOOL(row_account, login_ok), BOOL(row_account, mx_changed), BOOL(row_account, opt_out),
      BOOL(row_account, denied), FIXED(row_account, mx), U32(row_account, ramp_day),
      U32(row_account, ramp_reference), U32(row_account, ramp_last_quota),
      S32(row_account, ramp_last_date), S32(row_account, planned_date),
      S32(row_account, closed_date), S64(row_account, issued_at), S64(row_account, trouble_at),
      TEXT(row_account, trouble), U32(row_account, tries), S64(row_account, next_try_at),
      MESSAGE(row_account, days_off, flz_codec_days_off), S32(row_account, ramp_sent_date),
      S64(row_account, answers_until), TEXT(row_account, answers));

CODEC(row_pause, flz__row_pause, row_pause,
      U32(row_pause, handle), MESSAGE(row_pause, target, codec_pause_target),
      U32(row_pause, subject), TEXT(row_pause, reason), S64(row_pause, at), S64(row_pause, until),
      TEXT(row_pause, by));

CODEC(row_suppression, flz__row_suppression, row_suppression,
      FIXED(row_suppression, address), TEXT(row_suppression, reason), S64(row_suppression, at),
      TEXT(row_suppression, by),
      U32(row_suppression, kind));

CODEC(row_alert, flz__row_alert, row_alert,
      U32(row_alert, handle), U32(row_alert, code), U32(row_alert, severity),
      U32(row_alert, scope), U32(row_alert, subject), U32(row_alert, count),
      U32(row_alert, example), S64(row_alert, value), S64(row_alert, opened_at),
      S64(row_alert, updated_at), S64(row_alert, resolved_at), S64(row_alert, acked_at),
      S64(row_alert, silent_until), TEXT(row_alert, acked_by), TEXT(row_alert, reason));

CODEC(row_contact, flz__row_contact, row_contact,
      U32(row_contact, from), U32(row_contact, to), S32(row_contact, date));

CODEC(row_day, flz__row_day, row_day,
      U32(row_day, account), S32(row_day, date), BOOL(row_day, planned_day), BOOL(row_day, closed),
      BOOL(row_day, met), U32(row_day, quota), U32(row_day, possible), U32(row_day, shortfall),
      U32(row_day, shortfall_reason), S64(row_day, window_start), S64(row_day, window_end),
      U32(row_day, planned), U32(row_day, reserved), U32(row_day, committed),
      U32(row_day, dropped), U32(row_day, issued), U32(row_day, sent), U32(row_day, rejected),
      U32(row_day, withdrawn), U32(row_day, expired), U32(row_day, declined),
      U32(row_day, ambiguous), U32(row_day, indeterminate), U32(row_day, inbox),
      U32(row_day, junk), U32(row_day, other), U32(row_day, missing), U32(row_day, unobserved),
      U32(row_day, rescued), U32(row_day, opened), U32(row_day, replied), U32(row_day, credited),
      U32(row_day, inbound), U32(row_day, received), U32(row_day, opens), U32(row_day, rescues),
      S32(row_day, waits_until),
      U32(row_day, bounced_hard), U32(row_day, bounced_soft), U32(row_day, complaints));

CODEC(row_exchange, flz__row_exchange, row_exchange,
      U32(row_exchange, handle), U32(row_exchange, state), FIXED(row_exchange, id),
      U32(row_exchange, from), U32(row_exchange, to), BOOL(row_exchange, one_node),
      BOOL(row_exchange, same_owner), FIXED(row_exchange, pack), U32(row_exchange, scenario),
      U64(row_exchange, seed), S64(row_exchange, expires), S64(row_exchange, planned_at),
      S64(row_exchange, tidy_at), S64(row_exchange, ended_at),
      MESSAGE(row_exchange, tidy_from, flz_codec_row_task),
      MESSAGE(row_exchange, tidy_to, flz_codec_row_task),
      MESSAGES(row_exchange, turns, FLZ_TURNS_MAX, flz_codec_row_turn),
      BOOL(row_exchange, recovered), U32(row_exchange, from_provider),
      U32(row_exchange, to_provider));

CODEC(row_tally, flz__row_tally, row_tally,
      U32(row_tally, scope), U32(row_tally, subject), U32(row_tally, object), U32(row_tally, span),
      S32(row_tally, date), U32(row_tally, planned), U32(row_tally, issued), U32(row_tally, sent),
      U32(row_tally, refused_hard), U32(row_tally, refused_soft), U32(row_tally, indeterminate),
      U32(row_tally, bounced), U32(row_tally, complaints), U32(row_tally, inbox),
      U32(row_tally, junk), U32(row_tally, other), U32(row_tally, missing),
      U32(row_tally, unobserved), U32(row_tally, rescued), U32(row_tally, opened),
      U32(row_tally, replied), U32(row_tally, due), U32(row_tally, done), U32(row_tally, verdicts),
      U32(row_tally, spf), U32(row_tally, dkim), U32(row_tally, dmarc));

CODEC(row_standing, flz__row_standing, row_standing,
      U32(row_standing, account), U32(row_standing, provider), U32(row_standing, state),
      U32(row_standing, rule), S64(row_standing, since), S64(row_standing, until),
      S32(row_standing, window_date), S32(row_standing, fresh_date), U32(row_standing, level),
      U32(row_standing, seen), U32(row_standing, junk), U32(row_standing, low),
      U32(row_standing, complaints), FIXED(row_standing, evidence));

CODEC(event_lead, flz__event_lead, event_lead,
      U64(event_lead, epoch), FIXED(event_lead, generation), S64(event_lead, quiet_until));

CODEC(event_invited, flz__event_invited, event_invited,
      U32(event_invited, invite), FIXED(event_invited, node), TEXT(event_invited, name),
      FIXED(event_invited, token), S64(event_invited, not_after));

CODEC(event_joined, flz__event_joined, event_joined,
      U32(event_joined, node), U32(event_joined, invite), FIXED(event_joined, certificate),
      FIXED(event_joined, sign_key), FIXED(event_joined, curve_key));

CODEC(event_hello, flz__event_hello, event_hello,
      U32(event_hello, node), FIXED(event_hello, incarnation), U64(event_hello, report_seq),
      BOOL(event_hello, lost), FIXEDS(event_hello, packs, FLZ_PACKS_MAX));

CODEC(event_account, flz__event_account, event_account,
      U32(event_account, account), U32(event_account, node), FIXED(event_account, id),
      FIXED(event_account, address), U32(event_account, generation), U32(event_account, domain),
      U32(event_account, owner), U32(event_account, provider), FIXED(event_account, domain_digest),
      FIXED(event_account, owner_digest), TEXT(event_account, domain_name),
      TEXT(event_account, provider_name), TEXT(event_account, zone),
      U32(event_account, start_minute), U32(event_account, end_minute), U32(event_account, days),
      U32(event_account, intensity), U32(event_account, target), U32(event_account, profile),
      TEXT(event_account, language), U32(event_account, volume), S64(event_account, consent_given),
      S64(event_account, consent_until), U32(event_account, consent_actions),
      S64(event_account, begins_at), MESSAGE(event_account, days_off, flz_codec_days_off));

CODEC(event_probe, flz__event_probe, event_probe,
      U32(event_probe, account), S64(event_probe, at), BOOL(event_probe, login_ok),
      U32(event_probe, reason), TEXT(event_probe, text), U32(event_probe, quota_permille),
      FIXED(event_probe, mx), BOOL(event_probe, mx_changed), BOOL(event_probe, opt_out),
      BOOL(event_probe, denied), U32(event_probe, tries), S64(event_probe, next_at));

CODEC(event_released, flz__event_released, event_released,
      U32(event_released, account));

CODEC(event_report_refused, flz__event_report_refused, event_report_refused,
      U32(event_report_refused, kind), FIXED(event_report_refused, account),
      TEXT(event_report_refused, text));

CODEC(event_receipt, flz__event_receipt, event_receipt,
      U32(event_receipt, exchange), U32(event_receipt, effect), U32(event_receipt, fault),
      MESSAGE(event_receipt, receipt, flz_codec_receipt));

CODEC(event_plan_turn, flz__event_plan_turn, event_plan_turn,
      S64(event_plan_turn, send_at), S64(event_plan_turn, send_until),
      S64(event_plan_turn, open_at), S64(event_plan_turn, open_until), S32(event_plan_turn, date),
      S32(event_plan_turn, open_date), U32(event_plan_turn, day_cap),
      S64(event_plan_turn, reopen_at), S64(event_plan_turn, reopen_until));

CODEC(event_plan_exchange, flz__event_plan_exchange, event_plan_exchange,
      FIXED(event_plan_exchange, id), U32(event_plan_exchange, from), U32(event_plan_exchange, to),
      BOOL(event_plan_exchange, one_node), BOOL(event_plan_exchange, same_owner),
      FIXED(event_plan_exchange, pack), U32(event_plan_exchange, scenario),
      U64(event_plan_exchange, seed), S64(event_plan_exchange, expires),
      MESSAGES(event_plan_exchange, turns, FLZ_TURNS_MAX, flz_codec_event_plan_turn));

CODEC(voucher, flz__voucher, flz_voucher,
      FIXED(flz_voucher, generation), S64(flz_voucher, issued_at), FIXED(flz_voucher, seal),
      FIXED(flz_voucher, from), FIXED(flz_voucher, to), S64(flz_voucher, planned_at),
      MESSAGE(flz_voucher, plan, flz_codec_event_plan_exchange));

CODEC(event_recovered, flz__event_recovered, event_recovered,
      U32(event_recovered, exchange), U32(event_recovered, node), U32(event_recovered, fault),
      S64(event_recovered, issued_at), MESSAGE(event_recovered, receipt, flz_codec_receipt),
      FIXED(event_recovered, from), FIXED(event_recovered, to), S64(event_recovered, planned_at),
      MESSAGE(event_recovered, plan, flz_codec_event_plan_exchange));

CODEC(event_plan_account, flz__event_plan_account, event_plan_account,
      U32(event_plan_account, account), U32(event_plan_account, quota),
      U32(event_plan_account, possible), U32(event_plan_account, shortfall),
      U32(event_plan_account, shortfall_reason), S64(event_plan_account, window_start),
      S64(event_plan_account, window_end), S32(event_plan_account, waits_until));

CODEC(event_plan_part, flz__event_plan_part, event_plan_part,
      U32(event_plan_part, plan), U32(event_plan_part, part), S32(event_plan_part, date),
      MESSAGES(event_plan_part, accounts, FLZ_PLAN_ACCOUNTS_MAX, flz_codec_event_plan_account),
      MESSAGES(event_plan_part, exchanges, FLZ_PLAN_EXCHANGES_MAX, flz_codec_event_plan_exchange));

CODEC(event_plan_seal, flz__event_plan_seal, event_plan_seal,
      U32(event_plan_seal, plan), U32(event_plan_seal, parts), S32(event_plan_seal, date),
      FIXED(event_plan_seal, hash), U32(event_plan_seal, accounts),
      U32(event_plan_seal, exchanges), U32(event_plan_seal, messages),
      BOOL(event_plan_seal, more));

CODEC(event_issued, flz__event_issued, event_issued,
      U32(event_issued, exchange), U32(event_issued, turn), U32(event_issued, kind),
      U32(event_issued, node), U32(event_issued, attempt), U32(event_issued, day_cap));

CODEC(event_presumed, flz__event_presumed, event_presumed,
      U32(event_presumed, exchange), U32(event_presumed, turn), U32(event_presumed, kind),
      U32(event_presumed, outcome), U32(event_presumed, reason), U32(event_presumed, fault));

CODEC(event_void, flz__event_void, event_void,
      U32(event_void, exchange), U32(event_void, turn), U32(event_void, kind),
      U32(event_void, reason), U32(event_void, fault));

CODEC(event_settled, flz__event_settled, event_settled,
      U32(event_settled, exchange), S64(event_settled, tidy_at));

CODEC(event_ended, flz__event_ended, event_ended,
      U32(event_ended, exchange));

CODEC(event_day_closed, flz__event_day_closed, event_day_closed,
      U32(event_day_closed, account), S32(event_day_closed, date), U32(event_day_closed, quota),
      U32(event_day_closed, committed), U32(event_day_closed, possible),
      BOOL(event_day_closed, met), U32(event_day_closed, ramp_day),
      U32(event_day_closed, ramp_reference), U32(event_day_closed, ramp_last_quota),
      S32(event_day_closed, ramp_last_date), S32(event_day_closed, ramp_sent_date));

CODEC(event_paused, flz__event_paused, event_paused,
      U32(event_paused, pause), MESSAGE(event_paused, target, codec_pause_target),
      U32(event_paused, subject), TEXT(event_paused, reason), S64(event_paused, until),
      TEXT(event_paused, by));

CODEC(event_resumed, flz__event_resumed, event_resumed,
      U32(event_resumed, pause), TEXT(event_resumed, by));

CODEC(event_revoked, flz__event_revoked, event_revoked,
      U32(event_revoked, node), VIEW(event_revoked, revocation, FLZ_REVOCATION_BYTES_MAX));

CODEC(event_consent_ended, flz__event_consent_ended, event_consent_ended,
      U32(event_consent_ended, account));

CODEC(event_removed, flz__event_removed, event_removed,
      U32(event_removed, account));

CODEC(event_suppressed, flz__event_suppressed, event_suppressed,
      FIXED(event_suppressed, address), TEXT(event_suppressed, reason),
      TEXT(event_suppressed, by),
      U32(event_suppressed, kind));

CODEC(event_unsuppressed, flz__event_unsuppressed, event_unsuppressed,
      FIXED(event_unsuppressed, address), TEXT(event_unsuppressed, by));

CODEC(event_noticed, flz__event_noticed, event_noticed,
      U32(event_noticed, exchange), U32(event_noticed, recipient), U32(event_noticed, effect),
      S64(event_noticed, until), MESSAGE(event_noticed, notice, flz_codec_notice));

CODEC(event_opened, flz__event_opened, event_opened,
      U32(event_opened, account), TEXT(event_opened, by));

CODEC(event_setting, flz__event_setting, event_setting,
      TEXT(event_setting, key), S64(event_setting, value), TEXT(event_setting, by));

CODEC(event_reslotted, flz__event_reslotted, event_reslotted,
      U32(event_reslotted, exchange), U32(event_reslotted, turn), S64(event_reslotted, open_at),
      S64(event_reslotted, open_until));

CODEC(event_health, flz__event_health, event_health,
      U32(event_health, account), U32(event_health, provider), U32(event_health, before),
      U32(event_health, state), U32(event_health, rule), S64(event_health, until),
      S32(event_health, window_date), S32(event_health, fresh_date), U32(event_health, level),
      U32(event_health, seen), U32(event_health, junk), U32(event_health, low),
      U32(event_health, fresh_seen), U32(event_health, fresh_junk), U32(event_health, complaints),
      FIXED(event_health, evidence), TEXT(event_health, by));

CODEC(event_alert, flz__event_alert, event_alert,
      U32(event_alert, alert), U32(event_alert, code), U32(event_alert, severity),
      U32(event_alert, scope), U32(event_alert, subject), U32(event_alert, count),
      U32(event_alert, example), S64(event_alert, value));

CODEC(event_alert_acked, flz__event_alert_acked, event_alert_acked,
      U32(event_alert_acked, alert), S64(event_alert_acked, silent_until),
      TEXT(event_alert_acked, by), TEXT(event_alert_acked, reason));

/* ---- Events ---- */

struct event_shell {
    uint32_t type;
    uint32_t version;
    int64_t at;
    uint32_t report_node;
    uint64_t report_seq;
    struct flz_view body;
};

CODEC(event_shell, flz__event, event_shell,
      U32_REQUIRED(event_shell, type), U32_REQUIRED(event_shell, version), S64(event_shell, at),
      U32(event_shell, report_node), U64(event_shell, report_seq),
      VIEW(event_shell, body, FLZ_EVENT_SIZE_MAX));

static const struct {
    const char *name;
    const struct flz_codec *codec;
} event_types[EVENT_TYPE_MAX + 1] = {
    [EVENT_LEAD] = {"lead", &flz_codec_event_lead},
    [EVENT_INVITED] = {"invited", &flz_codec_event_invited},
    [EVENT_JOINED] = {"joined", &flz_codec_event_joined},
    [EVENT_HELLO] = {"hello", &flz_codec_event_hello},
    [EVENT_ACCOUNT] = {"account", &flz_codec_event_account},
    [EVENT_PROBE] = {"probe", &flz_codec_event_probe},
    [EVENT_RELEASED] = {"released", &flz_codec_event_released},
    [EVENT_REPORT_REFUSED] = {"report-refused", &flz_codec_event_report_refused},
    [EVENT_RECEIPT] = {"receipt", &flz_codec_event_receipt},
    [EVENT_PLAN_PART] = {"plan-part", &flz_codec_event_plan_part},
    [EVENT_PLAN_SEAL] = {"plan-seal", &flz_codec_event_plan_seal},
    [EVENT_ISSUED] = {"issued", &flz_codec_event_issued},
    [EVENT_PRESUMED] = {"presumed", &flz_codec_event_presumed},
    [EVENT_VOID] = {"void", &flz_codec_event_void},
    [EVENT_SETTLED] = {"settled", &flz_codec_event_settled},
    [EVENT_ENDED] = {"ended", &flz_codec_event_ended},
    [EVENT_DAY_CLOSED] = {"day-closed", &flz_codec_event_day_closed},
    [EVENT_PAUSED] = {"paused", &flz_codec_event_paused},
    [EVENT_RESUMED] = {"resumed", &flz_codec_event_resumed},
    [EVENT_REVOKED] = {"revoked", &flz_codec_event_revoked},
    [EVENT_CONSENT_ENDED] = {"consent-ended", &flz_codec_event_consent_ended},
    [EVENT_REMOVED] = {"removed", &flz_codec_event_removed},
    [EVENT_SUPPRESSED] = {"suppressed", &flz_codec_event_suppressed},
    [EVENT_UNSUPPRESSED] = {"unsuppressed", &flz_codec_event_unsuppressed},
    [EVENT_SETTING] = {"setting", &flz_codec_event_setting},
    [EVENT_RESLOTTED] = {"reslotted", &flz_codec_event_reslotted},
    [EVENT_RECOVERED] = {"recovered", &flz_codec_event_recovered},
    [EVENT_HEALTH] = {"health", &flz_codec_event_health},
    [EVENT_BOUNCED] = {"bounced", &flz_codec_event_noticed},
    [EVENT_COMPLAINED] = {"complained", &flz_codec_event_noticed},
    [EVENT_ANSWERED] = {"answered", &flz_codec_event_noticed},
    [EVENT_OPENED] = {"opened", &flz_codec_event_opened},
    [EVENT_ALERT_OPENED] = {"alert-opened", &flz_codec_event_alert},
    [EVENT_ALERT_UPDATED] = {"alert-updated", &flz_codec_event_alert},
    [EVENT_ALERT_RESOLVED] = {"alert-resolved", &flz_codec_event_alert},
    [EVENT_ALERT_ACKED] = {"alert-acked", &flz_codec_event_alert_acked},
};

const struct flz_codec *flz_event_codec(uint32_t type)
{
    return type <= EVENT_TYPE_MAX ? event_types[type].codec : NULL;
}

const char *flz_event_name(uint32_t type)
{
    return flz_event_codec(type) ? event_types[type].name : "?";
}

int flz_encode_event(const struct event *event, struct flz_buf *buf)
{
    const struct flz_codec *codec = flz_event_codec(event->type);
    if (!codec)
        return flz_fail(-EINVAL);
    _cleanup_(flz_buf_deinit) struct flz_buf body = FLZ_BUF_NULL;
    int r = flz_encode(codec, &event->lead, &body);
    if (r < 0)
        return r;

    struct event_shell shell = {
        .type = event->type,
        .version = FLZ_RECORD_VERSION,
        .at = event->at,
        .report_node = event->report_node,
        .report_seq = event->report_seq,
        .body = flz_buf_view(&body),
    };
    return flz_encode(&flz_codec_event_shell, &shell, buf);
}

int flz_decode_event(struct flz_view bytes, struct flz_arena *arena, struct event *ret_event)
{
    struct event_shell shell;
    int r = flz_decode(&flz_codec_event_shell, bytes, arena, &shell);
    if (r < 0)
        return r;
    const struct flz_codec *codec = flz_event_codec(shell.type);
    if (!codec || shell.version != FLZ_RECORD_VERSION)
        return flz_fail(-EPROTO);

    struct event event = {
        .type = shell.type,
        .at = shell.at,
        .report_node = shell.report_node,
        .report_seq = shell.report_seq,
    };
    r = flz_decode(codec, shell.body, arena, &event.lead);
    if (r < 0)
        return r;
    *ret_event = event;
    return 0;
}

int flz_encode_voucher(const struct flz_voucher *voucher, struct flz_buf *buf)
{
    size_t before = buf->len;
    int r = flz_encode(&flz_codec_voucher, voucher, buf);
    return r < 0 || buf->len - before <= FLZ_VOUCHER_MAX ? r : flz_fail(-EMSGSIZE);
}

int flz_decode_voucher(struct flz_view bytes, struct flz_arena *arena,
                       struct flz_voucher *ret_voucher)
{
    return flz_decode(&flz_codec_voucher, bytes, arena, ret_voucher);
}

/* ---- Rows ---- */

struct row_shell {
    uint32_t kind;
    uint32_t version;
    struct flz_view body;
};

CODEC(row_shell, flz__row, row_shell, U32_REQUIRED(row_shell, kind),
      U32_REQUIRED(row_shell, version), VIEW(row_shell, body, FLZ_EVENT_SIZE_MAX));

static const struct flz_codec *const row_kinds[ROW_KIND_MAX + 1] = {
    [ROW_NETWORK] = &flz_codec_row_network,
    [ROW_SETTING] = &flz_codec_row_setting,
    [ROW_NAME] = &flz_codec_row_name,
    [ROW_INVITE] = &flz_codec_row_invite,
    [ROW_NODE] = &flz_codec_row_node,
    [ROW_ACCOUNT] = &flz_codec_row_account,
    [ROW_PAUSE] = &flz_codec_row_pause,
    [ROW_SUPPRESSION] = &flz_codec_row_suppression,
    [ROW_CONTACT] = &flz_codec_row_contact,
    [ROW_DAY] = &flz_codec_row_day,
    [ROW_EXCHANGE] = &flz_codec_row_exchange,
    [ROW_DAY_OLD] = &flz_codec_row_day,
    [ROW_EXCHANGE_OLD] = &flz_codec_row_exchange,
    [ROW_TALLY] = &flz_codec_row_tally,
    [ROW_TALLY_OLD] = &flz_codec_row_tally,
    [ROW_STANDING] = &flz_codec_row_standing,
    [ROW_ALERT] = &flz_codec_row_alert,
};

const struct flz_codec *flz_row_codec(uint32_t kind)
{
    return kind <= ROW_KIND_MAX ? row_kinds[kind] : NULL;
}

int flz_encode_row(enum row_kind kind, const void *row, struct flz_buf *buf)
{
    const struct flz_codec *codec = flz_row_codec(kind);
    if (!codec)
        return flz_fail(-EINVAL);
    _cleanup_(flz_buf_deinit) struct flz_buf body = FLZ_BUF_NULL;
    int r = flz_encode(codec, row, &body);
    if (r < 0)
        return r;

    struct row_shell shell = {
        .kind = kind, .version = FLZ_RECORD_VERSION, .body = flz_buf_view(&body)};
    return flz_encode(&flz_codec_row_shell, &shell, buf);
}

int flz_decode_row(enum row_kind kind, struct flz_view bytes, struct flz_arena *arena,
                   union row *ret_row)
{
    struct row_shell shell;
    int r = flz_decode(&flz_codec_row_shell, bytes, arena, &shell);
    if (r < 0)
        return r;
    const struct flz_codec *codec = flz_row_codec(shell.kind);
    if (!codec || shell.kind != (uint32_t)kind || shell.version != FLZ_RECORD_VERSION)
        return flz_fail(-EPROTO);
    return flz_decode(codec, shell.body, arena, ret_row);
}

/* Dates may be before 1970 in theory: a flipped sign bit keeps their order in bytes. */
static uint32_t ordered(int32_t date)
{
    return (uint32_t)date ^ UINT32_C(0x80000000);
}

void flz_row_key(enum row_kind kind, const void *row, struct flz_buf *buf)
{
    switch (kind) {
    case ROW_NETWORK: break;
    case ROW_SETTING: flz_buf_add_str(buf, ((const struct row_setting *)row)->key); break;
    case ROW_NAME:
        flz_buf_add_be32(buf, ((const struct row_name *)row)->kind);
        flz_buf_add_be32(buf, ((const struct row_name *)row)->handle);
        break;
    case ROW_INVITE: flz_buf_add_be32(buf, ((const struct row_invite *)row)->handle); break;
    case ROW_NODE: flz_buf_add_be32(buf, ((const struct row_node *)row)->handle); break;
    case ROW_ACCOUNT: flz_buf_add_be32(buf, ((const struct row_account *)row)->handle); break;
    case ROW_PAUSE: flz_buf_add_be32(buf, ((const struct row_pause *)row)->handle); break;
    case ROW_ALERT: flz_buf_add_be32(buf, ((const struct row_alert *)row)->handle); break;
    case ROW_SUPPRESSION: {
        const struct row_suppression *suppression = row;
        flz_buf_add(buf, suppression->address.b, sizeof suppression->address.b);
        break;
    }
    case ROW_CONTACT:
        flz_buf_add_be32(buf, ((const struct row_contact *)row)->from);
        flz_buf_add_be32(buf, ((const struct row_contact *)row)->to);
        break;
    case ROW_DAY:
    case ROW_DAY_OLD:
        flz_buf_add_be32(buf, ((const struct row_day *)row)->account);
        flz_buf_add_be32(buf, ordered(((const struct row_day *)row)->date));
        break;
    case ROW_EXCHANGE:
    case ROW_EXCHANGE_OLD:
        flz_buf_add_be32(buf, ((const struct row_exchange *)row)->handle);
        break;
    case ROW_TALLY:
    case ROW_TALLY_OLD: {
        const struct row_tally *tally = row;
        flz_buf_add_byte(buf, (uint8_t)tally->scope);
        flz_buf_add_be32(buf, tally->subject);
        flz_buf_add_be32(buf, tally->object);
        flz_buf_add_byte(buf, (uint8_t)tally->span);
        flz_buf_add_be32(buf, ordered(tally->date));
        break;
    }
    case ROW_STANDING:
        flz_buf_add_be32(buf, ((const struct row_standing *)row)->account);
        flz_buf_add_be32(buf, ((const struct row_standing *)row)->provider);
        break;
    }
}

/* ---- Words ---- */

const char *flz_void_name(uint32_t reason)
{
    static const char *const names[ROW_VOID_MAX + 1] = {
        [VOID_NONE] = "none",
        [VOID_LATE] = "late",
        [VOID_PAUSED] = "paused",
        [VOID_CONSENT] = "consent",
        [VOID_REVOKED] = "revoked",
        [VOID_GONE] = "gone",
        [VOID_UNREADY] = "unready",
        [VOID_SUPPRESSED] = "suppressed",
        [VOID_EARLIER] = "earlier",
        [VOID_NEEDLESS] = "needless",
        [VOID_RESTORED] = "restored",
        [VOID_SPACING] = "spacing",
        [VOID_HEALTH] = "health",
    };
    return reason <= ROW_VOID_MAX ? names[reason] : "?";
}

const char *flz_health_name(uint32_t state)
{
    static const char *const names[HEALTH_STATE_MAX + 1] = {
        [HEALTH_HEALTHY] = "healthy",
        [HEALTH_WATCH] = "watch",
        [HEALTH_THROTTLED] = "throttled",
        [HEALTH_QUARANTINED] = "quarantined",
        [HEALTH_BLOCKED] = "blocked",
    };
    return state <= HEALTH_STATE_MAX ? names[state] : "?";
}

const char *flz_rule_name(uint32_t rule)
{
    static const char *const names[HEALTH_RULE_MAX + 1] = {
        [RULE_NONE] = "none",
        [RULE_FEW_IN_JUNK] = "few-in-junk",
        [RULE_COMPLAINT] = "complaint",
        [RULE_SPAM_WATCH] = "spam-watch",
        [RULE_SPAM_THROTTLE] = "spam-throttle",
        [RULE_SPAM_QUARANTINE] = "spam-quarantine",
        [RULE_SPAM_BLOCK] = "spam-block",
        [RULE_SPAM_CATASTROPHE] = "spam-catastrophe",
        [RULE_COMPLAINTS] = "complaints",
        [RULE_PROVIDER_CODE] = "provider-code",
        [RULE_FRESH] = "fresh",
        [RULE_EXPIRED] = "expired",
        [RULE_CLEARED] = "cleared",
    };
    return rule <= HEALTH_RULE_MAX ? names[rule] : "?";
}

const char *flz_fault_name(uint32_t fault)
{
    static const char *const names[] = {
        [FAULT_NONE] = "none",
        [FAULT_SENDER] = "sender",
        [FAULT_SENDER_NODE] = "sender-node",
        [FAULT_RECIPIENT] = "recipient",
        [FAULT_RECIPIENT_NODE] = "recipient-node",
        [FAULT_OWNER] = "owner",
        [FAULT_NETWORK] = "network",
    };
    return fault < sizeof names / sizeof *names ? names[fault] : "?";
}
