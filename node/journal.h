/*
 * The node's journal: RocksDB, written before every effect on the world (DESIGN 6). Writes gather
 * while one group commit (sync=1, on the pool thread) is under way; on_durable says when a write is
 * on the disk. After a write error nothing is durable any more: the journal is broken, every later
 * write fails, and the node ends.
 *
 * Column families: jobs (task id), reports (be64 seq), members (account id), secrets (account id),
 * days (account id ‖ be32 local date), meta (names).
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/id.h"

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s;
struct journal;

enum journal_family {
    JOURNAL_JOBS,
    JOURNAL_REPORTS,
    JOURNAL_MEMBERS,
    JOURNAL_SECRETS,
    JOURNAL_DAYS,
    JOURNAL_META,
    JOURNAL_FAMILIES,
};

/*
 * Opens, or makes, the journal below `path`; a new one gets a random incarnation. `loop` is
 * borrowed. 0, -EBUSY (another process has it), negative (msg).
 */
int journal_open(struct uv_loop_s *loop, const char *path, struct journal **ret_journal,
                 struct flz_msg *msg);

/* Waits for the commit under way; what was gathered after it is written too, and who asked to be
 * told is told, within the call. Runs the loop meanwhile. */
struct journal *journal_close(struct journal *journal);

struct flz_id journal_incarnation(const struct journal *journal);

/* Called once, when a write failed for good (-EIO …): the node must end. */
void journal_on_broken(struct journal *journal, void (*on_broken)(int r, void *data), void *data);

/* Gathers a write; copied. Nothing is durable yet. */
void journal_put(struct journal *journal, enum journal_family family, struct flz_view key,
                 struct flz_view value);
void journal_delete(struct journal *journal, enum journal_family family, struct flz_view key);

/*
 * Asks to be told when everything gathered so far is durable: r = 0, or negative when it never will
 * be (the journal is broken). On a full disk the answer waits until there is room. Callbacks come
 * from the loop, in order; a broken or closing journal answers at once.
 */
void journal_sync(struct journal *journal, void (*on_durable)(int r, void *data), void *data);

/* Starts a commit of what was gathered, for writes that nobody waits for. */
void journal_flush(struct journal *journal);

/* False while the free space is below the limit: nothing new is accepted then. */
bool journal_admits(const struct journal *journal);
/* Bytes free on its disk; 0 when that cannot be told. */
uint64_t journal_free_bytes(const struct journal *journal);

/* Reads all pairs of a family in key order. The views live during the call. 0 or the first negative
 * answer. Sees what is durable, not what is still gathered. */
int journal_each(struct journal *journal, enum journal_family family,
                 int (*on_pair)(struct flz_view key, struct flz_view value, void *data),
                 void *data);

/* The same for the keys of one prefix from `first` on. */
int journal_range(struct journal *journal, enum journal_family family, struct flz_view first,
                  struct flz_view prefix,
                  int (*on_pair)(struct flz_view key, struct flz_view value, void *data),
                  void *data);

/* Appends the newest value to `buf`, gathered ones included; 0, JOURNAL_E_ABSENT or negative. */
enum { JOURNAL_E_ABSENT = 1 };
int journal_get(struct journal *journal, enum journal_family family, struct flz_view key,
                struct flz_buf *buf);
