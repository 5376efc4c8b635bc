/*
 * A node's admin socket that says what a test has written down: what fluenzrctl is tested against
 * where it speaks to a node. noded ENDPOINT FOLDER; answers the verb "account show" with the file
 * account-show.1 when it is asked first, with account-show.2 then, and without such a file with
 * account-show. Its first line is the exit code, the second one the words, the rest the document;
 * without a document a code that is not 0 is a refusal. What was asked is written to FOLDER/asked.
 * Ends by SIGTERM.
 */
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/sys/admin.h"
#include "common/sys/bus.h"
#include "common/sys/keys.h"
#include "proto/envelope.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct noded {
    uv_loop_t loop;
    uv_signal_t signal;
    struct bus *bus;
    struct admin *admin;
    const char *folder;
    unsigned asked;
};

static void on_signal(uv_signal_t *signal, int number)
{
    struct noded *noded = signal->data;
    (void)admin_free(noded->admin);
    uv_close((uv_handle_t *)signal, NULL);
    uv_stop(&noded->loop);
}

/* The file that answers the verb; `n`: asked for the n-th time, 0 = whenever. */
static FILE *open_answer(const struct noded *noded, const char *verb, unsigned n)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", noded->folder, verb);
    for (char *p = path + strlen(noded->folder); *p; p++)
        if (*p == ' ')
            *p = '-';
    if (n > 0)
        (void)snprintf(path + len, sizeof path - (size_t)len, ".%u", n);
    return fopen(path, "r");
}

static void write_down(const struct noded *noded, const struct admin_call *call)
{
    static const char *const keys[] = {"account", "consent-by", "accept",  "dry-run",
                                       "hours",   "holidays",   "blackout"};
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/asked", noded->folder);
    FILE *file = fopen(path, "a");
    if (!file)
        return;
    (void)fputs(admin_verb(call), file);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (admin_argument(call, keys[i]))
            (void)fprintf(file, " %s=%s", keys[i], admin_argument(call, keys[i]));
    (void)fputc('\n', file);
    (void)fclose(file);
}

static void on_call(struct admin_call *call, void *data)
{
    struct noded *noded = data;
    char code[16], words[256];
    write_down(noded, call);
    noded->asked += strcmp(admin_verb(call), "account show") == 0;
    FILE *file = open_answer(noded, admin_verb(call), noded->asked);
    if (!file)
        file = open_answer(noded, admin_verb(call), 0);
    if (!file || !fgets(code, sizeof code, file) || !fgets(words, sizeof words, file)) {
        admin_refuse(call, ADMIN_FAILED, "NO_SCRIPT", "no answer is written down", "");
    } else {
        enum admin_exit exit_code = (enum admin_exit)strtol(code, NULL, 10);
        json_t *json = json_loadf(file, 0, NULL);
        words[strcspn(words, "\n")] = '\0';
        if (exit_code != ADMIN_OK && !json)
            admin_refuse(call, exit_code, "REFUSED", words, "");
        else
            admin_answer(call, exit_code, json, words);
    }
    if (file)
        (void)fclose(file);
}

int main(int argc, char **argv)
{
    struct noded noded = {.folder = argc > 2 ? argv[2] : "."};
    struct keys_sign_pair key = KEYS_SIGN_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    (void)uv_loop_init(&noded.loop);
    (void)uv_signal_init(&noded.loop, &noded.signal);
    noded.signal.data = &noded;
    (void)uv_signal_start(&noded.signal, on_signal, SIGTERM);
    int r = flz_secret_harden(true, &msg);
    if (r == 0)
        r = keys_sign_generate(&key);
    struct admin_options options = {
        .signer = {.key = key.public_key, .on_sign = keys_on_sign, .data = &key}};
    if (r == 0)
        r = bus_new(&noded.loop, NULL, NULL, &noded.bus, &msg);
    if (r == 0)
        r = admin_new(noded.bus, argc > 1 ? argv[1] : "", NULL, NULL, &options, on_call, &noded,
                      &noded.admin, &msg);
    if (r < 0) {
        (void)fprintf(stderr, "noded: %s\n", msg.text);
        return 1;
    }
    (void)uv_run(&noded.loop, UV_RUN_DEFAULT);
    (void)bus_free(noded.bus);
    (void)uv_run(&noded.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&noded.loop);
    keys_sign_deinit(&key);
    return 0;
}
