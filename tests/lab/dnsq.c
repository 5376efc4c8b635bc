/*
 * dnsq.c - asks the lab's name server one question and prints the answers.
 *
 *   dnsq PORT udp|tcp NAME MX|TXT|A|CNAME
 *
 * One line per record of the answer section, "TYPE value", or "NXDOMAIN" or "NODATA". Exit 0 for
 * any of these, 1 when no answer came within two seconds. Debian's own tools for this (dig, drill)
 * would pull in a package each.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
    const char *name;
    int type;
} types[] = {{"MX", ns_t_mx}, {"TXT", ns_t_txt}, {"A", ns_t_a}, {"CNAME", ns_t_cname}};

static int type_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (!strcmp(types[i].name, name))
            return types[i].type;
    return -1;
}

static int receive_all(int fd, unsigned char *to, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(fd, to, n, 0);

        if (got <= 0)
            return -EIO;
        to += got;
        n -= (size_t)got;
    }
    return 0;
}

/* Over TCP each message has its length before it (RFC 1035, 4.2.2). Returns the answer's length. */
static int exchange(int fd, int tcp, unsigned char *packet, int n, size_t size)
{
    unsigned char length[2] = {(unsigned char)(n >> 8), (unsigned char)n};

    if (tcp && send(fd, length, 2, MSG_MORE) != 2)
        return -EIO;
    if (send(fd, packet, (size_t)n, 0) != n)
        return -EIO;
    if (!tcp)
        return (int)recv(fd, packet, size, 0);
    if (receive_all(fd, length, 2) < 0)
        return -EIO;
    n = length[0] << 8 | length[1];
    return receive_all(fd, packet, (size_t)n) < 0 ? -EIO : n;
}

static void print_txt(const unsigned char *data, size_t n)
{
    (void)fputs("TXT ", stdout);
    for (size_t at = 0; at < n && at + data[at] < n; at += data[at] + 1U)
        (void)fwrite(data + at + 1, 1, data[at], stdout);
    (void)putchar('\n');
}

static void print_record(ns_msg *answer, ns_rr *rr)
{
    const unsigned char *data = ns_rr_rdata(*rr);
    char name[NS_MAXDNAME] = "";
    char address[INET_ADDRSTRLEN] = "";

    switch (ns_rr_type(*rr)) {
    case ns_t_txt: print_txt(data, ns_rr_rdlen(*rr)); break;
    case ns_t_a: printf("A %s\n", inet_ntop(AF_INET, data, address, sizeof address)); break;
    case ns_t_cname:
    case ns_t_mx:
        (void)ns_name_uncompress(ns_msg_base(*answer), ns_msg_end(*answer),
                                 data + (ns_rr_type(*rr) == ns_t_mx ? 2 : 0), name, sizeof name);
        if (ns_rr_type(*rr) == ns_t_mx)
            printf("MX %u %s.\n", ns_get16(data), name);
        else
            printf("CNAME %s.\n", name);
        break;
    default: break;
    }
}

static int print_answer(const unsigned char *packet, int n)
{
    ns_msg answer;
    ns_rr rr;

    if (n < NS_HFIXEDSZ || ns_initparse(packet, n, &answer) < 0)
        return 1;
    if (ns_msg_getflag(answer, ns_f_rcode) == ns_r_nxdomain) {
        puts("NXDOMAIN");
        return 0;
    }
    if (ns_msg_getflag(answer, ns_f_rcode) != ns_r_noerror)
        return 1;
    if (ns_msg_count(answer, ns_s_an) == 0)
        puts("NODATA");
    for (int i = 0; i < ns_msg_count(answer, ns_s_an); i++)
        if (ns_parserr(&answer, ns_s_an, i, &rr) == 0)
            print_record(&answer, &rr);
    return 0;
}

int main(int argc, char **argv)
{
    static unsigned char packet[65536];
    struct timeval limit = {.tv_sec = 2};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int type = argc == 5 ? type_by_name(argv[4]) : -1;

    if (type < 0) {
        (void)fprintf(stderr, "usage: dnsq PORT udp|tcp NAME MX|TXT|A|CNAME\n");
        return 64;
    }
    int tcp = !strcmp(argv[2], "tcp");
    int fd = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    int n = res_mkquery(ns_o_query, argv[3], ns_c_in, type, NULL, 0, NULL, packet, sizeof packet);

    to.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (fd < 0 || n < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        return 1;
    n = exchange(fd, tcp, packet, n, sizeof packet);
    return print_answer(packet, n);
}
