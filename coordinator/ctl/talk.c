#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ANSWER_MAX 1024

/* Other people's words do not move our cursor. */
static void print_clean(const char *text)
{
    for (; *text; text++)
        (void)fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stderr);
}

int talk_fail(const struct ctl *ctl, enum admin_exit code, const char *error, const char *message,
              const char *hint)
{
    if (ctl->output == CTL_JSON) {
        json_t *json = json_pack("{s:{s:s,s:s,s:s}}", "error", "code", error, "message", message,
                                 "hint", hint);
        if (json)
            (void)json_dumpf(json, stderr, JSON_COMPACT);
        (void)fputc('\n', stderr);
        json_decref(json);
        return (int)code;
    }
    (void)fputs("fluenzrctl: ", stderr);
    print_clean(message);
    if (hint[0]) {
        (void)fputs("\n  ", stderr);
        print_clean(hint);
    }
    (void)fputc('\n', stderr);
    return (int)code;
}

int talk_usage(const struct ctl *ctl, const char *hint, const char *format, ...)
{
    char text[FLZ_MSG_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return talk_fail(ctl, ADMIN_USAGE, "USAGE", text, hint);
}

void talk(const struct ctl *ctl, const char *format, ...)
{
    char text[FLZ_MSG_MAX];
    if (ctl->quiet || ctl->output == CTL_JSON)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_clean(text);
    (void)fputc('\n', stderr);
}

bool talk_is_terminal(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

char *talk_ask(const char *question, const char *fallback)
{
    char line[ANSWER_MAX];
    if (!talk_is_terminal())
        return NULL;
    if (fallback)
        (void)fprintf(stderr, "%s [%s]: ", question, fallback);
    else
        (void)fprintf(stderr, "%s: ", question);
    if (!fgets(line, sizeof line, stdin))
        return NULL;
    line[strcspn(line, "\r\n")] = '\0';
    return strdup(line[0] || !fallback ? line : fallback);
}

int talk_ask_secret(const char *question, struct flz_secret *ret_secret)
{
    struct termios old;
    if (!talk_is_terminal() || tcgetattr(STDIN_FILENO, &old) < 0)
        return flz_fail(-ENOTTY);
    struct termios silent = old;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    (void)fprintf(stderr, "%s: ", question);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
        return flz_fail(-errno);
    int r = flz_secret_read_line(STDIN_FILENO, ANSWER_MAX, ret_secret);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
    (void)fputc('\n', stderr);
    return r;
}

bool talk_confirm(const struct ctl_arguments *arguments, const char *question)
{
    if (arguments_get(arguments, "yes"))
        return true;
    _cleanup_(flz_freep) char *answer = talk_ask(question, "no");
    return answer && strcmp(answer, "yes") == 0;
}
