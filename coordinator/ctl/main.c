/* fluenzrctl: the administrator's program. */
#include "coordinator/ctl/ctl.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* NO_COLOR (no-color.org): any value but the empty one. */
static bool wants_color(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && (!no_color || !*no_color) && term && strcmp(term, "dumb") != 0;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.timeout_ms = CTL_TIMEOUT_MS, .color = wants_color()};
    struct ctl_arguments arguments;
    struct flz_msg msg = FLZ_MSG_NULL;
    /* Tables measure characters; without a locale of UTF-8 they would be escaped. */
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    int code = arguments_parse(&ctl, argc, argv, &arguments);
    if (code != 0)
        return code;
    if (!arguments.command) {
        help_print(arguments.help ? stdout : stderr, NULL);
        return arguments.help ? 0 : ADMIN_USAGE;
    }
    if (arguments.help) {
        help_print(stdout, arguments.command);
        return 0;
    }
    /* Keys and passwords pass through: no core file, no swap where the limits allow it. */
    if (flz_secret_harden(true, &msg) < 0)
        return talk_fail(&ctl, ADMIN_FAILED, "NO_MEMORY", msg.text, "");
    code = arguments.command->run(&ctl, &arguments);
    if (fflush(stdout) != 0 && code == 0)
        code = ADMIN_FAILED;
    return code;
}
