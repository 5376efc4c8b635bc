#include "coordinator/ctl/ctl.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

#define NAMES_MAX 128

/* ---- Finding a command ---- */

static size_t first_word_len(const char *name)
{
    return strcspn(name, " ");
}

static bool is_group(const char *word)
{
    size_t count;
    const struct ctl_command *commands = ctl_commands(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len = first_word_len(commands[i].name);
        if (commands[i].name[len] && strlen(word) == len &&
            strncmp(commands[i].name, word, len) == 0)
            return true;
    }
    return false;
}

static const struct ctl_command *find(const char *name)
{
    size_t count;
    const struct ctl_command *commands = ctl_commands(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* "Did you mean …?" over whole names, then over first words. */
static int unknown_command(const struct ctl *ctl, const char *name)
{
    size_t count;
    const struct ctl_command *commands = ctl_commands(&count);
    const char *names[NAMES_MAX];
    char firsts[NAMES_MAX][32];
    size_t n = 0;
    for (size_t i = 0; i < count && n + 2 <= NAMES_MAX; i++) {
        names[n++] = commands[i].name;
        (void)snprintf(firsts[n], sizeof firsts[n], "%.*s", (int)first_word_len(commands[i].name),
                       commands[i].name);
        names[n] = firsts[n];
        n++;
    }
    const char *near = flz_did_you_mean(name, names, n);
    char hint[FLZ_MSG_MAX];
    if (near)
        (void)snprintf(hint, sizeof hint, "did you mean 'fluenzrctl %s'?", near);
    else
        (void)snprintf(hint, sizeof hint, "all commands: fluenzrctl help");
    return talk_usage(ctl, hint, "there is no command '%s'", name);
}

/* ---- Options ---- */

struct parser {
    struct ctl *ctl;
    int argc;
    char **argv;
    int at;
    struct ctl_arguments *arguments;
};

static const struct ctl_option *find_option(const struct ctl_option *options, const char *name,
                                            size_t len)
{
    for (; options && options->name; options++)
        if (strlen(options->name) == len && strncmp(options->name, name, len) == 0)
            return options;
    return NULL;
}

static int unknown_option(const struct parser *parser, const char *name, size_t len)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    char word[64];
    (void)snprintf(word, sizeof word, "%.*s", (int)len, name);
    const struct ctl_command *command = parser->arguments->command;
    for (const struct ctl_option *o = ctl_global_options(); o->name; o++)
        names[n++] = o->name;
    for (const struct ctl_option *o = command ? command->options : NULL; o && o->name; o++)
        names[n++] = o->name;
    const char *near = flz_did_you_mean(word, names, n);
    char hint[FLZ_MSG_MAX];
    if (near)
        (void)snprintf(hint, sizeof hint, "did you mean --%s?", near);
    else
        (void)snprintf(hint, sizeof hint, "see fluenzrctl %s --help", command ? command->name : "");
    return talk_usage(parser->ctl, hint, "there is no option --%s here", word);
}

static int set_output(struct ctl *ctl, const char *value)
{
    static const char *const words[] = {
        [CTL_TABLE] = "table", [CTL_WIDE] = "wide", [CTL_JSON] = "json"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], value) == 0) {
            ctl->output = (enum ctl_output)i;
            return 0;
        }
    }
    return talk_usage(ctl, "outputs: table, wide, json", "there is no output '%s'", value);
}

static int set_timeout(struct ctl *ctl, const char *value)
{
    int64_t ms;
    if (flz_parse_duration_ms(value, &ms) < 0 || ms <= 0 || ms > INT32_MAX)
        return talk_usage(ctl, "durations: 500ms, 10s, 2m", "--timeout '%s' is not a duration",
                          value);
    ctl->timeout_ms = (int)ms;
    ctl->timeout_given = true;
    return 0;
}

static int set_global(struct parser *parser, const struct ctl_option *option, const char *value)
{
    struct ctl *ctl = parser->ctl;
    if (strcmp(option->name, "output") == 0)
        return set_output(ctl, value);
    if (strcmp(option->name, "timeout") == 0)
        return set_timeout(ctl, value);
    if (strcmp(option->name, "quiet") == 0)
        ctl->quiet = true;
    else if (strcmp(option->name, "endpoint") == 0)
        ctl->endpoint = value;
    else if (strcmp(option->name, "identity") == 0)
        ctl->admin_dir = value;
    else if (strcmp(option->name, "no-color") == 0)
        ctl->color = false;
    else
        parser->arguments->help = true;
    return 0;
}

static int set_option(struct parser *parser, const struct ctl_option *option, const char *value)
{
    struct ctl_arguments *arguments = parser->arguments;
    if (find_option(ctl_global_options(), option->name, strlen(option->name)) == option)
        return set_global(parser, option, value);
    if (arguments_get(arguments, option->name))
        return talk_usage(parser->ctl, "", "--%s is given twice", option->name);
    arguments->options[arguments->options_count].option = option;
    arguments->options[arguments->options_count].value = value;
    arguments->options_count++;
    return 0;
}

/* The value behind "=", or the next word. */
static int take_option(struct parser *parser, const struct ctl_option *option, const char *inlined)
{
    if (!option->value) {
        if (inlined)
            return talk_usage(parser->ctl, "", "--%s takes no value", option->name);
        return set_option(parser, option, "");
    }
    if (!inlined && parser->at + 1 < parser->argc)
        inlined = parser->argv[++parser->at];
    if (!inlined)
        return talk_usage(parser->ctl, "", "--%s needs a value: %s", option->name, option->value);
    return set_option(parser, option, inlined);
}

static int take_long(struct parser *parser, const char *text)
{
    const struct ctl_command *command = parser->arguments->command;
    size_t len = strcspn(text, "=");
    const struct ctl_option *option = find_option(ctl_global_options(), text, len);
    if (!option && command)
        option = find_option(command->options, text, len);
    if (!option)
        return unknown_option(parser, text, len);
    return take_option(parser, option, text[len] ? text + len + 1 : NULL);
}

static int take_short(struct parser *parser, const char *text)
{
    static const struct {
        char letter;
        const char *name;
    } letters[] = {{'o', "output"},   {'q', "quiet"}, {'e', "endpoint"},
                   {'i', "identity"}, {'h', "help"},  {'f', "follow"}};
    const struct ctl_command *command = parser->arguments->command;
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        if (letters[i].letter != text[0])
            continue;
        size_t len = strlen(letters[i].name);
        const struct ctl_option *option = find_option(ctl_global_options(), letters[i].name, len);
        if (!option && command)
            option = find_option(command->options, letters[i].name, len);
        if (!option)
            break;
        if (text[1] && !option->value) {
            int r = take_option(parser, option, NULL);
            return r ? r : take_short(parser, text + 1);
        }
        return take_option(parser, option, text[1] ? text + 1 : NULL);
    }
    return talk_usage(parser->ctl, "see fluenzrctl help", "there is no option -%c here", text[0]);
}

/* ---- The line ---- */

static int no_second_word(const struct ctl *ctl, const char *word)
{
    size_t count, len = strlen(word);
    const struct ctl_command *commands = ctl_commands(&count);
    struct flz_msg words = FLZ_MSG_NULL;
    for (size_t i = 0; i < count; i++)
        if (strncmp(commands[i].name, word, len) == 0 && commands[i].name[len] == ' ') {
            size_t n = strlen(words.text);
            (void)snprintf(words.text + n, sizeof words.text - n, "%s%s", n > 0 ? ", " : "",
                           commands[i].name + len + 1);
        }
    return talk_usage(ctl, "all commands: fluenzrctl help", "'%s' needs a second word: %s", word,
                      words.text);
}

static int take_command(struct parser *parser, const char *word)
{
    char name[64];
    bool group = is_group(word);
    const char *next = group && parser->at + 1 < parser->argc ? parser->argv[parser->at + 1] : NULL;
    (void)snprintf(name, sizeof name, "%s %s", word, next ? next : "");
    const struct ctl_command *command = next ? find(name) : NULL;
    if (command)
        parser->at++;
    else
        command = find(word);
    if (!command && group && next && next[0] != '-')
        return unknown_command(parser->ctl, name);
    if (!command && group)
        return no_second_word(parser->ctl, word);
    if (!command)
        return unknown_command(parser->ctl, word);
    parser->arguments->command = command;
    return 0;
}

static int take_word(struct parser *parser, const char *word)
{
    struct ctl_arguments *arguments = parser->arguments;
    if (!arguments->command)
        return take_command(parser, word);
    if (arguments->words_count == arguments->command->words_max) {
        char hint[FLZ_MSG_MAX];
        (void)snprintf(hint, sizeof hint,
                       "usage: fluenzrctl %s %s; a word with blanks needs quotes",
                       arguments->command->name, arguments->command->words);
        return talk_usage(parser->ctl, hint, "'%s' is one word too many for '%s'", word,
                          arguments->command->name);
    }
    arguments->words[arguments->words_count++] = word;
    return 0;
}

static int take(struct parser *parser, bool *ret_plain)
{
    const char *text = parser->argv[parser->at];
    if (*ret_plain || text[0] != '-' || !text[1])
        return take_word(parser, text);
    if (strcmp(text, "--") == 0) {
        *ret_plain = true;
        return 0;
    }
    return text[1] == '-' ? take_long(parser, text + 2) : take_short(parser, text + 1);
}

int arguments_parse(struct ctl *ctl, int argc, char **argv, struct ctl_arguments *ret_arguments)
{
    struct parser parser = {.ctl = ctl, .argc = argc, .argv = argv, .arguments = ret_arguments};
    bool plain = false;
    *ret_arguments = (struct ctl_arguments){.command = NULL};
    /* First, so that errors before it on the line are told in the right form, too. */
    for (int i = 1; i + 1 < argc; i++)
        if ((strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0) &&
            strcmp(argv[i + 1], "json") == 0)
            ctl->output = CTL_JSON;
    for (parser.at = 1; parser.at < argc; parser.at++) {
        int r = take(&parser, &plain);
        if (r != 0)
            return r;
    }
    const struct ctl_command *command = ret_arguments->command;
    if (command && !ret_arguments->help && ret_arguments->words_count < command->words_min) {
        char hint[FLZ_MSG_MAX];
        (void)snprintf(hint, sizeof hint, "see fluenzrctl %s --help", command->name);
        return talk_usage(ctl, hint, "'%s' needs %s", command->name, command->words);
    }
    return 0;
}

const char *arguments_get(const struct ctl_arguments *arguments, const char *name)
{
    for (size_t i = 0; i < arguments->options_count; i++)
        if (strcmp(arguments->options[i].option->name, name) == 0)
            return arguments->options[i].value;
    return NULL;
}
