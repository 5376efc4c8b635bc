#include "tests/bench/dovecot.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAIL_USER "mail"

static const char settings[] =
    "base_dir = %s/run\n"
    "state_dir = %s/run\n"
    "log_path = %s/dovecot.log\n"
    "protocols = imap\n"
    "listen = 127.0.0.1\n"
    "ssl = required\n"
    "ssl_cert = <%s\n"
    "ssl_key = <%s\n"
    "auth_failure_delay = 0\n"
    "mail_location = maildir:~/Maildir\n"
    "mail_fsync = never\n"
    "mail_max_userip_connections = 1000\n"
    "first_valid_uid = 1\n"
    "first_valid_gid = 1\n"
    "passdb {\n"
    "  driver = static\n"
    "  args = password=" DOVECOT_PASSWORD "\n"
    "}\n"
    "userdb {\n"
    "  driver = static\n"
    "  args = uid=" MAIL_USER " gid=" MAIL_USER " home=%s/mail/%%n\n"
    "}\n"
    "service anvil {\n"
    "  unix_listener anvil-auth-penalty {\n"
    "    mode = 0\n"
    "  }\n"
    "}\n"
    "service imap-login {\n"
    "  service_count = 0\n"
    "  process_min_avail = 2\n"
    "  inet_listener imap {\n"
    "    port = 0\n"
    "  }\n"
    "  inet_listener imaps {\n"
    "    port = %u\n"
    "    ssl = yes\n"
    "  }\n"
    "}\n"
    "service imap {\n"
    "  service_count = 1000\n"
    "  process_min_avail = 4\n"
    "}\n"
    "namespace inbox {\n"
    "  inbox = yes\n"
    "  separator = /\n"
    "  mailbox Junk {\n"
    "    special_use = \\Junk\n"
    "    auto = create\n"
    "  }\n"
    "  mailbox Sent {\n"
    "    special_use = \\Sent\n"
    "    auto = create\n"
    "  }\n"
    "  mailbox Trash {\n"
    "    special_use = \\Trash\n"
    "    auto = create\n"
    "  }\n"
    "}\n";

static bool answers(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool up = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    return up;
}

bool dovecot_start(struct dovecot *dovecot, const char *cert)
{
    char text[4096], path[BENCH_PATH_MAX + 32];
    *dovecot = (struct dovecot){.port = bench_port()};
    if (!bench_has("dovecot") || geteuid() != 0) {
        (void)fprintf(stderr, "%s: no Dovecot: it needs dovecot-imapd, and root to start it\n",
                      program_invocation_short_name);
        return false;
    }
    bench_folder(dovecot->folder);
    const char *folder = dovecot->folder;
    (void)snprintf(path, sizeof path, "%s/mail", folder);
    bench_need(mkdir(path, 0755) == 0, path);
    dovecot_delivered(dovecot);
    (void)snprintf(path, sizeof path, "%s/dovecot.conf", folder);
    (void)snprintf(text, sizeof text, settings, folder, folder, folder, cert, cert, folder,
                   (unsigned)dovecot->port);
    bench_write(path, text);
    const char *const argv[] = {"/usr/sbin/dovecot", "-F", "-c", path, NULL};
    char log[BENCH_PATH_MAX + 32];
    (void)snprintf(log, sizeof log, "%s/out", folder);
    dovecot->pid = bench_start(log, argv);
    for (int i = 0; i < 200 && !answers(dovecot->port); i++)
        (void)usleep(50000);
    bench_need(answers(dovecot->port), "starting Dovecot");
    return true;
}

void dovecot_stop(struct dovecot *dovecot)
{
    bench_stop(dovecot->pid);
    if (dovecot->folder[0])
        bench_remove(dovecot->folder);
    *dovecot = (struct dovecot){.pid = 0};
}

void dovecot_deliver(const struct dovecot *dovecot, const char *name, unsigned serial,
                     const char *message)
{
    static const char *const folders[] = {"", "/Maildir", "/Maildir/new", "/Maildir/cur",
                                          "/Maildir/tmp"};
    char path[BENCH_PATH_MAX + 128];
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        (void)snprintf(path, sizeof path, "%s/mail/%s%s", dovecot->folder, name, folders[i]);
        bench_need(mkdir(path, 0755) == 0 || errno == EEXIST, path);
    }
    (void)snprintf(path, sizeof path, "%s/mail/%s/Maildir/new/1800000000.M%06uP1.bench",
                   dovecot->folder, name, serial);
    bench_write(path, message);
}

void dovecot_delivered(const struct dovecot *dovecot)
{
    char line[BENCH_PATH_MAX + 64];
    (void)snprintf(line, sizeof line, "chown -R " MAIL_USER ": %s/mail", dovecot->folder);
    bench_need(system(line) == 0, line);
}
