/*
 * maildirs.c - the independent witness: every message of every mailbox, read from the files.
 *
 *   maildirs ROOT        ROOT holds <domain>/<local part>/{layout,Maildir}
 *
 * One line per message: account, folder, Message-ID, X-FluenzR, From, To, flags, tab-separated, "-"
 * for what is absent. It shares no code with the node and asks no server. Folder names are written
 * as IMAP has them on the wire (modified UTF-7), with the prefix and separator of the account's
 * layout; a rename that overtakes the walk is met by reading that folder again.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES_MAX (256U << 10)
#define KEYWORDS_MAX 26
#define ATTEMPTS_MAX 8

enum field { FIELD_MESSAGE_ID, FIELD_X_FLUENZR, FIELD_FROM, FIELD_TO, FIELD_COUNT };

static const char *const field_names[FIELD_COUNT] = {"message-id:", "x-fluenzr:", "from:", "to:"};

struct folder {
    char account[512];
    char name[512];
    char path[PATH_MAX];
    char keywords[KEYWORDS_MAX][64];
};

/* Unfolded, with tabs and line ends as one blank, without blanks at either end. */
static void print_value(FILE *to, const char *value, size_t n)
{
    bool blank = false;
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        if (isspace((unsigned char)value[i])) {
            blank = any;
            continue;
        }
        if (blank)
            (void)fputc(' ', to);
        (void)fputc(value[i], to);
        blank = false;
        any = true;
    }
    if (!any)
        (void)fputc('-', to);
}

/* "Name <addr>" is reduced to addr; anything else stays as it is. */
static void print_address(FILE *to, const char *value, size_t n)
{
    const char *open = n ? memrchr(value, '<', n) : NULL;
    const char *close = open ? memchr(open, '>', n - (size_t)(open - value)) : NULL;

    if (close)
        print_value(to, open + 1, (size_t)(close - open - 1));
    else
        print_value(to, value, n);
}

static void print_headers(FILE *to, const char *text, size_t n)
{
    const char *value[FIELD_COUNT] = {NULL};
    size_t length[FIELD_COUNT] = {0};
    const char *end = text + n;

    while (text < end && *text != '\r' && *text != '\n') {
        const char *next = text;

        do {
            next = memchr(next, '\n', (size_t)(end - next));
            next = next ? next + 1 : end;
        } while (next < end && (*next == ' ' || *next == '\t'));
        for (size_t f = 0; f < FIELD_COUNT; f++) {
            size_t n_name = strlen(field_names[f]);

            if (value[f] || (size_t)(next - text) < n_name ||
                strncasecmp(text, field_names[f], n_name) != 0)
                continue;
            value[f] = text + n_name;
            length[f] = (size_t)(next - text) - n_name;
        }
        text = next;
    }
    for (size_t f = 0; f < FIELD_COUNT; f++) {
        (void)fputc('\t', to);
        if (f == FIELD_FROM || f == FIELD_TO)
            print_address(to, value[f], length[f]);
        else
            print_value(to, value[f], length[f]);
    }
}

/* The info part of a Maildir name, ":2,RSa": capitals are system flags, small letters keywords. */
static void print_flags(FILE *to, const struct folder *folder, const char *file)
{
    static const struct {
        char letter;
        const char *name;
    } flags[] = {{'R', "\\Answered"}, {'S', "\\Seen"},  {'F', "\\Flagged"},
                 {'T', "\\Deleted"},  {'D', "\\Draft"}, {'P', "$Forwarded"}};
    const char *info = strstr(file, ":2,");
    char before = '\t';

    for (size_t i = 0; info && i < sizeof flags / sizeof flags[0]; i++)
        if (strchr(info + 3, flags[i].letter)) {
            (void)fprintf(to, "%c%s", before, flags[i].name);
            before = ' ';
        }
    for (const char *c = info ? info + 3 : ""; *c; c++)
        if (*c >= 'a' && *c <= 'z' && folder->keywords[*c - 'a'][0]) {
            (void)fprintf(to, "%c%s", before, folder->keywords[*c - 'a']);
            before = ' ';
        }
    if (before == '\t')
        (void)fputs("\t-", to);
}

static int print_message(FILE *to, const struct folder *folder, const char *sub, const char *file)
{
    static char text[HEADER_BYTES_MAX];
    char path[PATH_MAX + 600];
    FILE *from;

    (void)snprintf(path, sizeof path, "%s/%s/%s", folder->path, sub, file);
    from = fopen(path, "re");
    if (!from)
        return -errno;
    size_t n = fread(text, 1, sizeof text, from);

    (void)fclose(from);
    (void)fprintf(to, "%s\t%s", folder->account, folder->name);
    print_headers(to, text, n);
    print_flags(to, folder, file);
    (void)fputc('\n', to);
    return 0;
}

static int walk_sub(FILE *to, const struct folder *folder, const char *sub)
{
    char path[PATH_MAX + 8];
    DIR *dir;
    int r = 0;

    (void)snprintf(path, sizeof path, "%s/%s", folder->path, sub);
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? 0 : -errno;
    for (struct dirent *e; r == 0 && (e = readdir(dir));)
        if (e->d_name[0] != '.')
            r = print_message(to, folder, sub, e->d_name);
    (void)closedir(dir);
    return r;
}

/* Numbered names, "0 $NotJunk": the letter a in a file name stands for keyword 0. */
static void load_keywords(struct folder *folder)
{
    char path[PATH_MAX + 32];
    char name[64];
    unsigned at;
    FILE *from;

    memset(folder->keywords, 0, sizeof folder->keywords);
    (void)snprintf(path, sizeof path, "%s/dovecot-keywords", folder->path);
    from = fopen(path, "re");
    if (!from)
        return;
    while (fscanf(from, "%u %63s", &at, name) == 2)
        if (at < KEYWORDS_MAX)
            (void)snprintf(folder->keywords[at], sizeof folder->keywords[at], "%s", name);
    (void)fclose(from);
}

/* When the directories "new" and "cur" were last changed, in one number. */
static int64_t changed_at(const struct folder *folder)
{
    static const char *const subs[] = {"new", "cur"};
    int64_t sum = 0;

    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX + 8];
        struct stat st;

        (void)snprintf(path, sizeof path, "%s/%s", folder->path, subs[i]);
        if (stat(path, &st) == 0)
            sum = sum * 31 + st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    }
    return sum;
}

static int walk_both(FILE *to, struct folder *folder)
{
    int r;

    load_keywords(folder);
    r = walk_sub(to, folder, "new");
    return r == 0 ? walk_sub(to, folder, "cur") : r;
}

/*
 * Output is gathered per folder, so that a folder which changes under the walk is read anew; one
 * that never stands still is printed as last seen.
 */
static int walk_folder(struct folder *folder)
{
    int r = -EAGAIN;
    bool steady = false;

    for (int attempt = 1; !steady && attempt <= ATTEMPTS_MAX; attempt++) {
        char *data = NULL;
        size_t n = 0;
        int64_t before = changed_at(folder);
        FILE *to = open_memstream(&data, &n);

        if (!to)
            return -ENOMEM;
        r = walk_both(to, folder);
        (void)fclose(to);
        steady = r == 0 && changed_at(folder) == before;
        if (r == 0 && (steady || attempt == ATTEMPTS_MAX))
            (void)fwrite(data, 1, n, stdout);
        free(data);
        if (r != 0 && r != -ENOENT)
            break;
    }
    if (r < 0)
        (void)fprintf(stderr, "maildirs: %s: %s\n", folder->path, strerror(-r));
    return r;
}

/* Maildir++ keeps folder A/B as the directory ".A.B"; the layout says how IMAP spells it. */
static void name_folder(struct folder *folder, const char *directory, const char *prefix,
                        char separator)
{
    char *c;

    (void)snprintf(folder->name, sizeof folder->name, "%s%s", prefix, directory + 1);
    for (c = folder->name + strlen(prefix); *c; c++)
        if (*c == '.')
            *c = separator;
}

static void load_layout(const char *home, char *ret_prefix, size_t n, char *ret_separator)
{
    char path[PATH_MAX + 16];
    char name[32] = "";
    FILE *from;

    (void)snprintf(path, sizeof path, "%s/layout", home);
    from = fopen(path, "re");
    if (from) {
        if (fscanf(from, "%31s", name) != 1)
            name[0] = '\0';
        (void)fclose(from);
    }
    bool dotted = !strcmp(name, "dot");

    (void)snprintf(ret_prefix, n, "%s", dotted ? "INBOX." : "");
    *ret_separator = dotted ? '.' : '/';
}

static int walk_account(const char *home, const char *account)
{
    struct folder folder;
    char prefix[16];
    char separator;
    char root[PATH_MAX];
    DIR *dir;
    int r = 0;

    load_layout(home, prefix, sizeof prefix, &separator);
    if (snprintf(root, sizeof root, "%s/Maildir", home) >= (int)sizeof root)
        return -ENAMETOOLONG;
    dir = opendir(root);
    if (!dir)
        return errno == ENOENT ? 0 : -errno;
    (void)snprintf(folder.account, sizeof folder.account, "%s", account);
    for (struct dirent *e; (e = readdir(dir));) {
        bool inbox = !strcmp(e->d_name, ".");

        if (e->d_name[0] != '.' || !strcmp(e->d_name, "..") || e->d_type != DT_DIR)
            continue;
        if (inbox)
            (void)strcpy(folder.name, "INBOX");
        else
            name_folder(&folder, e->d_name, prefix, separator);
        if (snprintf(folder.path, sizeof folder.path, "%s/%s", root, e->d_name) >=
            (int)sizeof folder.path)
            continue;
        if (walk_folder(&folder) < 0)
            r = -EIO;
    }
    (void)closedir(dir);
    return r;
}

static int walk_domain(const char *root, const char *domain)
{
    char path[PATH_MAX];
    char home[PATH_MAX];
    char account[512];
    DIR *dir;
    int r = 0;

    if (snprintf(path, sizeof path, "%s/%s", root, domain) >= (int)sizeof path)
        return -ENAMETOOLONG;
    dir = opendir(path);
    if (!dir)
        return -errno;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        if (snprintf(home, sizeof home, "%s/%s", path, e->d_name) >= (int)sizeof home)
            continue;
        (void)snprintf(account, sizeof account, "%s@%s", e->d_name, domain);
        if (walk_account(home, account) < 0)
            r = -EIO;
    }
    (void)closedir(dir);
    return r;
}

int main(int argc, char **argv)
{
    DIR *dir;
    int r = 0;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: maildirs ROOT\n");
        return 64;
    }
    dir = opendir(argv[1]);
    if (!dir) {
        (void)fprintf(stderr, "maildirs: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.' && walk_domain(argv[1], e->d_name) < 0)
            r = 1;
    (void)closedir(dir);
    return fflush(stdout) == 0 ? r : 1;
}
