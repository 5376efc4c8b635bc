/* Help, the manual page and completion, all from the table of commands. */
#include "coordinator/ctl/ctl.h"

#include <stdio.h>
#include <string.h>

static const char *const exit_codes[] = {
    "0 done",   "1 failed",       "2 difference", "3 partly done",    "4 wait timed out",
    "64 usage", "69 unreachable", "75 try again", "77 not permitted", "78 configuration",
};

#define EXIT_CODES_COUNT (sizeof exit_codes / sizeof *exit_codes)

static void print_options(FILE *to, const struct ctl_option *options)
{
    for (; options && options->name; options++) {
        char text[96];
        (void)snprintf(text, sizeof text, "--%s%s%s", options->name, options->value ? " " : "",
                       options->value ? options->value : "");
        (void)fprintf(to, "  %-34s %s\n", text, options->help);
    }
}

static void print_overview(FILE *to)
{
    size_t count;
    const struct ctl_command *commands = ctl_commands(&count);
    (void)fputs("usage: fluenzrctl [options] COMMAND …\n\ncommands:\n", to);
    for (size_t i = 0; i < count; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s %s", commands[i].name, commands[i].words);
        (void)fprintf(to, "  %-25s %s\n", text, commands[i].summary);
    }
    (void)fputs("\noptions:\n", to);
    print_options(to, ctl_global_options());
    (void)fputs("\nexit codes: ", to);
    for (size_t i = 0; i < EXIT_CODES_COUNT; i++)
        (void)fprintf(to, "%s%s", i ? ", " : "", exit_codes[i]);
    (void)fputs("\nhelp for one: fluenzrctl COMMAND --help; manual page: fluenzrctl help man\n",
                to);
}

void help_print(FILE *to, const struct ctl_command *command)
{
    if (!command) {
        print_overview(to);
        return;
    }
    (void)fprintf(to, "usage: fluenzrctl %s%s%s%s\n\n%s.\n", command->name,
                  command->words[0] ? " " : "", command->words,
                  command->options ? " [options]" : "", command->summary);
    if (command->details[0])
        (void)fprintf(to, "\n%s", command->details);
    if (command->options) {
        (void)fputs("\noptions:\n", to);
        print_options(to, command->options);
    }
    (void)fputs("\nfor every command:\n", to);
    print_options(to, ctl_global_options());
}

/* ---- The manual page ---- */

/* roff: a backslash, and a point or quote at the begin of a line, are escaped. */
static void print_roff(const char *text)
{
    bool begin = true;
    for (; *text; text++) {
        if (begin && (*text == '.' || *text == '\''))
            (void)fputs("\\&", stdout);
        if (*text == '\\')
            (void)fputs("\\e", stdout);
        else if (*text == '-')
            (void)fputs("\\-", stdout);
        else
            (void)fputc(*text, stdout);
        begin = *text == '\n';
    }
}

static void print_roff_options(const struct ctl_option *options)
{
    for (; options && options->name; options++) {
        (void)fputs(".TP\n\\fB\\-\\-", stdout);
        print_roff(options->name);
        (void)fputs("\\fR ", stdout);
        print_roff(options->value ? options->value : "");
        (void)fputc('\n', stdout);
        print_roff(options->help);
        (void)fputc('\n', stdout);
    }
}

static void print_man(void)
{
    size_t count;
    const struct ctl_command *commands = ctl_commands(&count);
    (void)printf(".TH FLUENZRCTL 1 \"\" \"FluenzR %s\"\n.SH NAME\n"
                 "fluenzrctl \\- administer a FluenzR network\n.SH SYNOPSIS\n"
                 ".B fluenzrctl\n[options] COMMAND ...\n.SH DESCRIPTION\n"
                 "Data goes to stdout, talk to stderr. With \\fB\\-o json\\fR documents and errors "
                 "are JSON, and fields are only ever added.\n.SH OPTIONS\n",
                 FLZ_VERSION);
    print_roff_options(ctl_global_options());
    (void)fputs(".SH COMMANDS\n", stdout);
    for (size_t i = 0; i < count; i++) {
        (void)fputs(".SS ", stdout);
        print_roff(commands[i].name);
        (void)fputc(' ', stdout);
        print_roff(commands[i].words);
        (void)fputc('\n', stdout);
        print_roff(commands[i].summary);
        (void)fputs(".\n", stdout);
        if (commands[i].details[0]) {
            (void)fputs(".PP\n.nf\n", stdout);
            print_roff(commands[i].details);
            (void)fputs(".fi\n", stdout);
        }
        print_roff_options(commands[i].options);
    }
    (void)fputs(".SH EXIT STATUS\n", stdout);
    for (size_t i = 0; i < EXIT_CODES_COUNT; i++)
        (void)printf(".br\n%s\n", exit_codes[i]);
    (void)fputs(
        ".SH ENVIRONMENT\nFLUENZR_ADMIN, FLUENZR_ENDPOINT, FLUENZR_NODE_ENDPOINT, NO_COLOR\n",
        stdout);
}

int cmd_help(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    size_t count;
    const struct ctl_command *commands = ctl_commands(&count);
    char name[64];
    if (arguments->words_count == 0) {
        help_print(stdout, NULL);
        return 0;
    }
    if (strcmp(arguments->words[0], "man") == 0) {
        print_man();
        return 0;
    }
    (void)snprintf(name, sizeof name, "%s%s%s", arguments->words[0],
                   arguments->words_count > 1 ? " " : "",
                   arguments->words_count > 1 ? arguments->words[1] : "");
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            help_print(stdout, &commands[i]);
            return 0;
        }
    }
    return talk_usage(ctl, "all commands: fluenzrctl help", "there is no command '%s'", name);
}

/* ---- Completion ---- */

static void print_words(const char *first)
{
    size_t count;
    const struct ctl_command *commands = ctl_commands(&count);
    size_t first_len = first ? strlen(first) : 0;
    const char *last = "";
    for (size_t i = 0; i < count; i++) {
        const char *name = commands[i].name;
        size_t len = strcspn(name, " ");
        if (!first) {
            if (strncmp(last, name, len) != 0 || (last[len] != ' ' && last[len] != '\0'))
                (void)printf("%.*s ", (int)len, name);
            last = name;
        } else if (len == first_len && strncmp(name, first, len) == 0 && name[len]) {
            (void)printf("%s ", name + len + 1);
        }
    }
}

static void print_option_words(const struct ctl_option *options)
{
    for (; options && options->name; options++)
        (void)printf("--%s ", options->name);
}

int cmd_completion(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    size_t count;
    const struct ctl_command *commands = ctl_commands(&count);
    if (strcmp(arguments->words[0], "bash") != 0)
        return talk_usage(ctl, "fluenzrctl completion bash", "there is no completion for '%s'",
                          arguments->words[0]);
    (void)fputs("# bash completion for fluenzrctl\n_fluenzrctl()\n{\n"
                "    local cur=${COMP_WORDS[COMP_CWORD]} words=() word list=\n"
                "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                "        [[ $word == -* ]] || words+=(\"$word\")\n    done\n"
                "    case \"${words[0]-} ${words[1]-}\" in\n",
                stdout);
    for (size_t i = 0; i < count; i++) {
        const char *name = commands[i].name;
        (void)printf("    '%s%s'*) list='", name, strchr(name, ' ') ? "" : " ");
        print_option_words(commands[i].options);
        (void)fputs("' ;;\n", stdout);
    }
    (void)fputs("    esac\n    if [[ $cur == -* ]]; then\n        list+=' ", stdout);
    print_option_words(ctl_global_options());
    (void)fputs("'\n    elif [[ ${#words[@]} -eq 0 ]]; then\n        list='", stdout);
    print_words(NULL);
    (void)fputs("'\n    elif [[ ${#words[@]} -eq 1 ]]; then\n        case ${words[0]} in\n",
                stdout);
    for (size_t i = 0; i < count; i++) {
        char first[32];
        size_t len = strcspn(commands[i].name, " ");
        bool begins = i == 0 || strncmp(commands[i - 1].name, commands[i].name, len) != 0 ||
                      (commands[i - 1].name[len] != ' ' && commands[i - 1].name[len] != '\0');
        if (!commands[i].name[len] &&
            !(i + 1 < count && strncmp(commands[i + 1].name, commands[i].name, len) == 0))
            continue;
        if (!begins)
            continue;
        (void)snprintf(first, sizeof first, "%.*s", (int)len, commands[i].name);
        (void)printf("        %s) list='", first);
        print_words(first);
        (void)fputs("' ;;\n", stdout);
    }
    (void)fputs("        *) list= ;;\n        esac\n    fi\n"
                "    mapfile -t COMPREPLY < <(compgen -W \"$list\" -- \"$cur\")\n}\n"
                "complete -o default -F _fluenzrctl fluenzrctl\n",
                stdout);
    return ferror(stdout) ? ADMIN_FAILED : 0;
}
