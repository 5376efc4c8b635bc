/*
 * Looks at the framing of RocksDB's log files (WAL and MANIFEST) before RocksDB does, since its
 * reader takes two kinds of damage for the torn end of a file and silently drops what follows: a
 * length that points behind the end of the file, and a record type of a recycled log. And RocksDB
 * begins anew where CURRENT is missing: beside data that is damage, too.
 *
 * A file is a row of 32 KiB blocks; a record is { masked CRC-32C of type and payload u32 · length
 * u16 · type u8 · payload }, little-endian, and never crosses a block.
 */
#pragma once

#include "common/base/error.h"

/*
 * Checks each log file of the folder, which may be missing. 0 also when a file ends within a
 * record, as a crash leaves it; -EUCLEAN: damage, msg names file and byte; -errno.
 */
int store_check(const char *folder, struct flz_msg *msg);
