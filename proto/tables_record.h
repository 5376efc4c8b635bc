/*
 * The codecs of records, one for each message of record.proto; seen by proto/ and by the tests that
 * hold tables and descriptors against each other.
 */
#pragma once

#include "proto/codec.h"

#include <stdint.h>

extern const struct flz_codec flz_codec_row_task;
extern const struct flz_codec flz_codec_row_turn;
extern const struct flz_codec flz_codec_row_forgotten;
extern const struct flz_codec flz_codec_row_network;
extern const struct flz_codec flz_codec_row_setting;
extern const struct flz_codec flz_codec_row_name;
extern const struct flz_codec flz_codec_row_invite;
extern const struct flz_codec flz_codec_row_node;
extern const struct flz_codec flz_codec_row_account;
extern const struct flz_codec flz_codec_row_pause;
extern const struct flz_codec flz_codec_row_suppression;
extern const struct flz_codec flz_codec_row_alert;
extern const struct flz_codec flz_codec_row_contact;
extern const struct flz_codec flz_codec_row_day;
extern const struct flz_codec flz_codec_row_exchange;
extern const struct flz_codec flz_codec_row_tally;
extern const struct flz_codec flz_codec_row_standing;
extern const struct flz_codec flz_codec_event_lead;
extern const struct flz_codec flz_codec_event_invited;
extern const struct flz_codec flz_codec_event_joined;
extern const struct flz_codec flz_codec_event_hello;
extern const struct flz_codec flz_codec_event_account;
extern const struct flz_codec flz_codec_event_probe;
extern const struct flz_codec flz_codec_event_released;
extern const struct flz_codec flz_codec_event_report_refused;
extern const struct flz_codec flz_codec_event_receipt;
extern const struct flz_codec flz_codec_event_plan_turn;
extern const struct flz_codec flz_codec_event_plan_exchange;
extern const struct flz_codec flz_codec_event_plan_account;
extern const struct flz_codec flz_codec_event_plan_part;
extern const struct flz_codec flz_codec_event_plan_seal;
extern const struct flz_codec flz_codec_event_issued;
extern const struct flz_codec flz_codec_event_presumed;
extern const struct flz_codec flz_codec_event_void;
extern const struct flz_codec flz_codec_event_settled;
extern const struct flz_codec flz_codec_event_reslotted;
extern const struct flz_codec flz_codec_event_recovered;
extern const struct flz_codec flz_codec_voucher;
extern const struct flz_codec flz_codec_event_ended;
extern const struct flz_codec flz_codec_event_day_closed;
extern const struct flz_codec flz_codec_event_paused;
extern const struct flz_codec flz_codec_event_resumed;
extern const struct flz_codec flz_codec_event_revoked;
extern const struct flz_codec flz_codec_event_consent_ended;
extern const struct flz_codec flz_codec_event_removed;
extern const struct flz_codec flz_codec_event_suppressed;
extern const struct flz_codec flz_codec_event_unsuppressed;
extern const struct flz_codec flz_codec_event_setting;
extern const struct flz_codec flz_codec_event_health;
extern const struct flz_codec flz_codec_event_alert;
extern const struct flz_codec flz_codec_event_alert_acked;
extern const struct flz_codec flz_codec_event_shell;
extern const struct flz_codec flz_codec_row_shell;

/* The codec of an event's body or of a row; NULL for an unknown one. */
const struct flz_codec *flz_event_codec(uint32_t type);
const struct flz_codec *flz_row_codec(uint32_t kind);
