/*
 * What the benches share: samples for the script `table`, and what processes cost. A bench gives up
 * with words when something does not work; nothing here returns failure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_PATH_MAX 256

/* Ends the bench with status 1 unless `fine`. */
void bench_need(bool fine, const char *what);

/* One line on stdout: TABLE, ROW, COLUMN, VALUE, with tabs. */
void bench_sample(const char *table, const char *row, const char *column, double value);

/* A number of the command line, 1 … max. */
unsigned bench_number(const char *text, unsigned max);

/* Seconds of the monotonic clock. */
double bench_now(void);

/* CPU seconds of a process and all that it has started, those that have ended included. */
double bench_cpu(pid_t pid);

/* Memory of its own: its proportional share of each page, KiB. */
double bench_memory_kib(pid_t pid);

/* A new folder below /tmp that others may enter. It ends, with all that is in it, when the bench
 * does, however it does, or before. */
void bench_folder(char ret_folder[static BENCH_PATH_MAX]);
void bench_remove(const char *folder);

/* A free TCP port on loopback. */
uint16_t bench_port(void);

void bench_write(const char *path, const char *text);

/* Starts a program with stdout and stderr in the file `log`; it dies with us. */
pid_t bench_start(const char *log, const char *const argv[]);
/* SIGTERM, and waits. */
void bench_stop(pid_t pid);
/* The program is there to be run: looked for in PATH and /usr/sbin. */
bool bench_has(const char *program);
