/* The tables of journal.proto; see codec_table.h. */
#include "proto/codec_table.h"
#include "proto/journal.h"
#include "proto/journal.pb-c.h"

CODEC(job, flz__job, journal_job,
      U32_REQUIRED(journal_job, version), MESSAGE_REQUIRED(journal_job, task, flz_codec_task),
      U32_REQUIRED(journal_job, state), U32(journal_job, tries), S64(journal_job, dot_at),
      U32(journal_job, reason), U32(journal_job, reply_code), TEXT(journal_job, enhanced),
      TEXT(journal_job, text), BOOL(journal_job, answer_pending),
      TEXT(journal_job, message_id_seen), FIXED(journal_job, content),
      S64(journal_job, ended_at), U32(journal_job, placement), U32(journal_job, outcome),
      BOOL(journal_job, given_up));

CODEC(member, flz__member, journal_member,
      U32_REQUIRED(journal_member, version),
      MESSAGE_REQUIRED(journal_member, account, flz_codec_account),
      TEXT(journal_member, smtp_url), TEXT(journal_member, imap_url), TEXT(journal_member, user),
      U32(journal_member, login), BOOL(journal_member, released), U64(journal_member, report),
      BOOL(journal_member, accepted), TEXT(journal_member, verdict),
      U32(journal_member, login_failures), TEXT(journal_member, needs_auth),
      S64(journal_member, token_at));

CODEC(day_count, flz__day_count, journal_day, U32(journal_day, dots));
