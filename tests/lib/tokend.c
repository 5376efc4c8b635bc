/*
 * The authorization server of tests/lib/tokenserver.h as a program, for scenarios with real mail
 * servers: tokend PEM NAME SECONDS prints its port, then obeys lines on standard input until they
 * end. "browse ADDRESS": the person NAME consents; answers with the address that the browser is
 * sent to. "counts": answers with requests, refreshed, replayed and unsound ones.
 */
#include "tests/lib/tokenserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 4096

static void obey(struct tokenserver *server, const char *line)
{
    char redirect[TOKENSERVER_ADDRESS_MAX];
    struct tokenserver_counts counts = tokenserver_counts(server);
    if (strncmp(line, "browse ", 7) == 0 && tokenserver_browse(server, line + 7, false, redirect))
        (void)puts(redirect);
    else if (strcmp(line, "counts") == 0)
        (void)printf("%u %u %u %u\n", counts.requests, counts.refreshes, counts.replayed,
                     counts.unsound);
    else
        (void)puts("what?");
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[LINE_SIZE];
    if (argc != 4) {
        (void)fputs("usage: tokend PEM NAME SECONDS\n", stderr);
        return 64;
    }
    struct tokenserver *server = tokenserver_start(argv[1]);
    tokenserver_person(server, argv[2], (int)strtol(argv[3], NULL, 10));
    (void)printf("%u\n", (unsigned)tokenserver_port(server));
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = '\0';
        obey(server, line);
    }
    (void)tokenserver_stop(server);
    return 0;
}
