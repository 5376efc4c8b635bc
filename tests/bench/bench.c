#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_need(bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "%s: %s failed (%s)\n", program_invocation_short_name, what,
                  strerror(errno));
    exit(1);
}

void bench_sample(const char *table, const char *row, const char *column, double value)
{
    (void)printf("%s\t%s\t%s\t%.3f\n", table, row, column, value);
    (void)fflush(stdout);
}

unsigned bench_number(const char *text, unsigned max)
{
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    bench_need(*text && *end == '\0' && n > 0 && n <= max, text);
    return (unsigned)n;
}

double bench_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- Processes ---- */

/* Its parent, and its ticks with those of its children that have ended. False: it is gone. */
static bool read_stat(long pid, long *ret_parent, double *ret_ticks)
{
    char path[64], text[1024];
    unsigned long own[2], ended[2];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "re");
    const char *rest = file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
    if (file)
        (void)fclose(file);
    if (!rest || sscanf(rest + 2, "%*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu",
                        ret_parent, &own[0], &own[1], &ended[0], &ended[1]) != 5)
        return false;
    *ret_ticks = (double)(own[0] + own[1] + ended[0] + ended[1]);
    return true;
}

static bool descends(long pid, long from)
{
    double ticks;
    while (pid > 1 && pid != from)
        if (!read_stat(pid, &pid, &ticks))
            return false;
    return pid == from;
}

double bench_cpu(pid_t pid)
{
    double sum = 0, ticks;
    long parent;
    DIR *dir = opendir("/proc");
    bench_need(dir != NULL, "/proc");
    for (const struct dirent *entry; (entry = readdir(dir));) {
        long other = strtol(entry->d_name, NULL, 10);
        if (other > 0 && descends(other, pid) && read_stat(other, &parent, &ticks))
            sum += ticks;
    }
    (void)closedir(dir);
    return sum / (double)sysconf(_SC_CLK_TCK);
}

double bench_memory_kib(pid_t pid)
{
    char path[64], line[256];
    double kib = -1;
    (void)snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)pid);
    FILE *file = fopen(path, "re");
    bench_need(file != NULL, path);
    while (kib < 0 && fgets(line, sizeof line, file))
        (void)sscanf(line, "Pss: %lf kB", &kib);
    (void)fclose(file);
    bench_need(kib >= 0, path);
    return kib;
}

pid_t bench_start(const char *log, const char *const argv[])
{
    pid_t pid = fork();
    bench_need(pid >= 0, "fork");
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv); /* changes nothing, whatever it says */
    perror(argv[0]);
    _exit(127);
}

void bench_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
}

bool bench_has(const char *program)
{
    char line[BENCH_PATH_MAX];
    (void)snprintf(line, sizeof line, "PATH=$PATH:/usr/sbin command -v %s >/dev/null", program);
    return system(line) == 0;
}

/* ---- Files and ports ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)remove(path);
    return 0;
}

void bench_remove(const char *folder)
{
    /* Servers that are ending may still write. */
    for (int i = 0; i < 20 && access(folder, F_OK) == 0; i++) {
        (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        (void)usleep(i * 10000);
    }
}

static char folders[8][BENCH_PATH_MAX];
static size_t folders_count;
static pid_t maker; /* children do not clean up */

static void remove_folders(void)
{
    for (size_t i = 0; i < folders_count && getpid() == maker; i++)
        bench_remove(folders[i]);
}

void bench_folder(char ret_folder[static BENCH_PATH_MAX])
{
    (void)snprintf(ret_folder, BENCH_PATH_MAX, "/tmp/flz-bench-XXXXXX");
    bench_need(mkdtemp(ret_folder) && chmod(ret_folder, 0755) == 0, ret_folder);
    bench_need(folders_count < sizeof folders / sizeof *folders, "another folder");
    memcpy(folders[folders_count++], ret_folder, BENCH_PATH_MAX);
    maker = getpid();
    if (folders_count == 1)
        (void)atexit(remove_folders);
}

uint16_t bench_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    bench_need(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                   getsockname(fd, (struct sockaddr *)&address, &len) == 0,
               "a port");
    (void)close(fd);
    return ntohs(address.sin_port);
}

void bench_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bench_need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
    (void)close(fd);
}
