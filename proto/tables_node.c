/* The tables of node.proto and envelope.proto; see codec_table.h. */
#include "proto/codec_table.h"
#include "proto/envelope.h"
#include "proto/envelope.pb-c.h"
#include "proto/node.pb-c.h"
#include "proto/vocab.h"

#define SIGNED_MAX (8 * 1024) /* a certificate chain or an attestation, signed */

CODEC(signed, flz__signed, flz_signed,
      U32_REQUIRED(flz_signed, kind), VIEW(flz_signed, payload, FLZ_SIGNED_PAYLOAD_MAX),
      FIXED_REQUIRED(flz_signed, key), FIXED_REQUIRED(flz_signed, signature));

CODEC(certificate, flz__certificate, flz_certificate,
      FIXED_REQUIRED(flz_certificate, network), FIXED_REQUIRED(flz_certificate, key),
      FIXED(flz_certificate, curve_key), U32_REQUIRED(flz_certificate, role),
      TEXT(flz_certificate, scope), TEXT(flz_certificate, name), U64(flz_certificate, serial),
      S64(flz_certificate, not_before), S64(flz_certificate, not_after));

CODEC(invite, flz__invite, flz_invite,
      FIXED_REQUIRED(flz_invite, network), FIXED_REQUIRED(flz_invite, node),
      TEXT(flz_invite, name), FIXED_REQUIRED(flz_invite, token_key), S64(flz_invite, not_after));

CODEC(node_certificate, flz__node_certificate, flz_node_certificate,
      VIEW(flz_node_certificate, admin_certificate, SIGNED_MAX),
      VIEW(flz_node_certificate, invite, SIGNED_MAX),
      FIXED_REQUIRED(flz_node_certificate, sign_key),
      FIXED_REQUIRED(flz_node_certificate, curve_key), S64(flz_node_certificate, created));

CODEC(revocation, flz__revocation, flz_revocation,
      FIXED_REQUIRED(flz_revocation, network), FIXED_REQUIRED(flz_revocation, node),
      S64(flz_revocation, at), VIEW(flz_revocation, admin_certificate, FLZ_REVOCATION_BYTES_MAX));

CODEC(log_head, flz__log_head, flz_log_head,
      FIXED_REQUIRED(flz_log_head, network), FIXED_REQUIRED(flz_log_head, generation),
      U64(flz_log_head, segment), U64(flz_log_head, last_event),
      FIXED_REQUIRED(flz_log_head, digest), S64(flz_log_head, at),
      VIEW(flz_log_head, issuer_certificate, FLZ_LOG_HEAD_BYTES_MAX));

CODEC(attestation, flz__attestation, flz_attestation,
      FIXED_REQUIRED(flz_attestation, network), FIXED_REQUIRED(flz_attestation, node),
      FIXED_REQUIRED(flz_attestation, account), FIXED_REQUIRED(flz_attestation, address),
      S64(flz_attestation, consent_until), U32(flz_attestation, actions));

static const struct flz_field text_fields[] = {TEXT(flz_text, text)};
static const struct flz_codec codec_text = {
    .descriptor = &flz__text__descriptor,
    .fields = text_fields,
    .fields_count = 1,
    .size = sizeof(struct flz_text),
};

CODEC(task, flz__task, flz_task,
      FIXED_REQUIRED(flz_task, id), FIXED_REQUIRED(flz_task, exchange),
      FIXED_REQUIRED(flz_task, account), FIXED(flz_task, peer_account),
      U32_REQUIRED(flz_task, kind), U32(flz_task, turn), U32(flz_task, attempt),
      U32(flz_task, turns), S64(flz_task, not_before), S64(flz_task, not_after),
      S64(flz_task, deadline), S64(flz_task, expires), TEXT(flz_task, from), TEXT(flz_task, to),
      FIXED(flz_task, pack), U32(flz_task, scenario), U64(flz_task, seed),
      TEXT(flz_task, message_id), TEXT(flz_task, in_reply_to),
      MESSAGES(flz_task, references, FLZ_TURNS_MAX, codec_text), S32(flz_task, local_date),
      U32(flz_task, day_cap), VIEW(flz_task, attestation, SIGNED_MAX),
      FIXED(flz_task, attestation_signer), BOOL(flz_task, search_all),
      S64(flz_task, mail_time), FIXED(flz_task, mail_key), FIXED(flz_task, mail_signature),
      VIEW(flz_task, voucher, FLZ_VOUCHER_MAX));

CODEC(receipt, flz__receipt, flz_receipt,
      FIXED_REQUIRED(flz_receipt, task), FIXED_REQUIRED(flz_receipt, exchange),
      FIXED_REQUIRED(flz_receipt, account), U32_REQUIRED(flz_receipt, kind),
      U32(flz_receipt, turn), U32(flz_receipt, attempt), U32_REQUIRED(flz_receipt, outcome),
      U32(flz_receipt, reason), U32(flz_receipt, placement), S64(flz_receipt, at),
      S64(flz_receipt, dot_at), S32(flz_receipt, local_date), U32(flz_receipt, reply_code),
      TEXT(flz_receipt, enhanced), TEXT(flz_receipt, text), TEXT(flz_receipt, message_id_seen),
      FIXED(flz_receipt, evidence), U32(flz_receipt, authentication), S64(flz_receipt, arrival_ms),
      VIEW(flz_receipt, voucher, FLZ_VOUCHER_MAX), U32(flz_receipt, refusal),
      TEXT(flz_receipt, rule));

static const struct flz_field consent_fields[] = {
    S64(flz_consent, given), S64(flz_consent, until), U32(flz_consent, actions),
    TEXT(flz_consent, by)};
static const struct flz_codec codec_consent = {
    .descriptor = &flz__consent__descriptor,
    .fields = consent_fields,
    .fields_count = 4,
    .size = sizeof(struct flz_consent),
};

#define AWAY(n)                                                                                    \
    {.name = "first_" #n,                                                                          \
     .kind = FIELD_S32,                                                                            \
     .offset = offsetof(struct flz_days_off, away[(n)-1].first)},                                  \
    {                                                                                              \
        .name = "last_" #n, .kind = FIELD_S32,                                                     \
        .offset = offsetof(struct flz_days_off, away[(n)-1].last)                                  \
    }
static_assert(FLZ_AWAY_MAX == 4, "each range has its fields");

CODEC(days_off, flz__days_off, flz_days_off,
      TEXT(flz_days_off, holidays), AWAY(1), AWAY(2), AWAY(3), AWAY(4));

CODEC(account, flz__account, flz_account,
      FIXED_REQUIRED(flz_account, id), TEXT(flz_account, address), TEXT(flz_account, owner),
      TEXT(flz_account, provider), TEXT(flz_account, zone), U32(flz_account, start_minute),
      U32(flz_account, end_minute), U32(flz_account, days), U32(flz_account, intensity),
      U32(flz_account, target), U32(flz_account, profile), TEXT(flz_account, language),
      U32(flz_account, volume), MESSAGE(flz_account, consent, codec_consent),
      VIEW(flz_account, attestation, SIGNED_MAX),
      MESSAGE(flz_account, days_off, flz_codec_days_off));

CODEC(probe, flz__probe, flz_probe, FIXED_REQUIRED(flz_probe, account), S64(flz_probe, at),
      BOOL(flz_probe, login_ok), U32(flz_probe, reason), TEXT(flz_probe, text),
      U32(flz_probe, quota_permille), FIXED(flz_probe, mx), BOOL(flz_probe, opt_out),
      BOOL(flz_probe, denied), U32(flz_probe, tries), S64(flz_probe, next_at));

CODEC(notice, flz__notice, flz_notice, FIXED_REQUIRED(flz_notice, exchange),
      FIXED_REQUIRED(flz_notice, account), FIXED_REQUIRED(flz_notice, peer), U32(flz_notice, turn),
      S64(flz_notice, at), U32(flz_notice, refusal), U32(flz_notice, reason),
      U32(flz_notice, reply_code), TEXT(flz_notice, enhanced), TEXT(flz_notice, rule),
      TEXT(flz_notice, text));

/* No field of its own is required in a nested message that a report may leave out: the codec drops
 * an all-zero one, and a zero task id is no receipt. */
#define NESTED(codec) flz_codec_##codec

CODEC(report, flz__report, flz_report,
      U64(flz_report, seq), U32_REQUIRED(flz_report, kind),
      MESSAGE(flz_report, receipt, NESTED(receipt)), MESSAGE(flz_report, account, NESTED(account)),
      MESSAGE(flz_report, probe, NESTED(probe)), FIXED(flz_report, released),
      MESSAGE(flz_report, notice, NESTED(notice)));

static const struct flz_field verdict_fields[] = {
    U64(flz_verdict, seq), BOOL(flz_verdict, accepted), FIXED(flz_verdict, account),
    TEXT(flz_verdict, text)};
static const struct flz_codec codec_verdict = {
    .descriptor = &flz__verdict__descriptor,
    .fields = verdict_fields,
    .fields_count = 4,
    .size = sizeof(struct flz_verdict),
};

static const struct flz_field frame_header_fields[] = {
    FIXED_REQUIRED(flz_frame_header, network), FIXED_REQUIRED(flz_frame_header, node),
    U64(flz_frame_header, epoch), FIXED(flz_frame_header, generation), U64(flz_frame_header, seq)};
static const struct flz_codec codec_frame_header = {
    .descriptor = &flz__frame_header__descriptor,
    .fields = frame_header_fields,
    .fields_count = 5,
    .size = sizeof(struct flz_frame_header),
};

CODEC(hello, flz__hello, flz_hello,
      MESSAGE_REQUIRED(flz_hello, header, codec_frame_header),
      FIXED_REQUIRED(flz_hello, incarnation), U64(flz_hello, report_seq),
      U64(flz_hello, report_acked), U32(flz_hello, credit),
      FIXEDS(flz_hello, open, FLZ_OPEN_TASKS_MAX), FIXEDS(flz_hello, packs, FLZ_PACKS_MAX),
      TEXT(flz_hello, version), S64(flz_hello, boot_ms), BOOL(flz_hello, endpoints_loopback),
      U64(flz_hello, report_first));

CODEC(welcome, flz__welcome, flz_welcome,
      MESSAGE_REQUIRED(flz_welcome, header, codec_frame_header), BOOL(flz_welcome, accepted),
      TEXT(flz_welcome, text), U64(flz_welcome, report_acked), FIXED(flz_welcome, incarnation));

CODEC(heartbeat, flz__heartbeat, flz_heartbeat,
      MESSAGE_REQUIRED(flz_heartbeat, header, codec_frame_header), S64(flz_heartbeat, boot_ms),
      U32(flz_heartbeat, credit), U32(flz_heartbeat, open_count),
      U64(flz_heartbeat, revocation_version));

static const struct flz_field pause_fields[] = {
    U32(flz_pause, scope), TEXT(flz_pause, name), FIXED(flz_pause, account)};
static const struct flz_codec codec_pause = {
    .descriptor = &flz__pause__descriptor,
    .fields = pause_fields,
    .fields_count = 3,
    .size = sizeof(struct flz_pause),
};

#define PAUSES_MAX 4096

CODEC(pulse, flz__pulse, flz_pulse,
      MESSAGE_REQUIRED(flz_pulse, header, codec_frame_header), S64(flz_pulse, echo_boot_ms),
      S64(flz_pulse, lease_ms), S64(flz_pulse, network_now), S64(flz_pulse, rate_milli),
      S64(flz_pulse, horizon), U64(flz_pulse, revocation_version),
      MESSAGES(flz_pulse, pauses, PAUSES_MAX, codec_pause),
      FIXEDS(flz_pulse, suppressed, FLZ_SUPPRESSED_MAX));

CODEC(revocations, flz__revocations, flz_revocations,
      MESSAGE_REQUIRED(flz_revocations, header, codec_frame_header), U64(flz_revocations, from),
      VIEWS(flz_revocations, revocations, FLZ_FRAME_REVOCATIONS_MAX));

CODEC(tasks, flz__tasks, flz_tasks,
      MESSAGE_REQUIRED(flz_tasks, header, codec_frame_header),
      MESSAGES(flz_tasks, tasks, FLZ_FRAME_TASKS_MAX, NESTED(task)),
      VIEWS(flz_tasks, certificates, FLZ_FRAME_TASKS_MAX));

CODEC(reports, flz__reports, flz_reports,
      MESSAGE_REQUIRED(flz_reports, header, codec_frame_header),
      FIXED_REQUIRED(flz_reports, incarnation),
      MESSAGES(flz_reports, reports, FLZ_FRAME_REPORTS_MAX, NESTED(report)));

CODEC(ack, flz__ack, flz_ack,
      MESSAGE_REQUIRED(flz_ack, header, codec_frame_header), FIXED(flz_ack, incarnation),
      U64(flz_ack, report_seq), MESSAGES(flz_ack, verdicts, FLZ_FRAME_REPORTS_MAX, codec_verdict));

CODEC(join_token, flz__join_token, flz_join_token,
      FIXED_REQUIRED(flz_join_token, network), FIXED_REQUIRED(flz_join_token, root),
      FIXED_REQUIRED(flz_join_token, token_seed),
      VIEW(flz_join_token, admin_certificate, SIGNED_MAX),
      VIEW(flz_join_token, invite, SIGNED_MAX), TEXT(flz_join_token, enrol_endpoint),
      TEXT(flz_join_token, node_endpoint), FIXED_REQUIRED(flz_join_token, coordinator_key),
      TEXT(flz_join_token, network_name), TEXT(flz_join_token, contact));

CODEC(join, flz__join, flz_join,
      VIEW(flz_join, node_certificate, SIGNED_MAX), TEXT(flz_join, version));

#define ISSUERS_MAX 16

CODEC(joined, flz__joined, flz_joined,
      BOOL(flz_joined, accepted), TEXT(flz_joined, text), VIEWS(flz_joined, issuers, ISSUERS_MAX),
      TEXT(flz_joined, network_name), TEXT(flz_joined, contact));
