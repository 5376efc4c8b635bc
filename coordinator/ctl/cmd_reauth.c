/* Signing in for an account: the node runs it, this program shows the address and asks how it goes.
 * No token passes through here. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 500
#define PASTED_MAX 8192

struct run {
    const struct ctl *ctl;
    const char *node_endpoint;
    const char *address;
    bool device;
    bool told;
    bool listens; /* to what is pasted */
    char id[33];
    char pasted[PASTED_MAX];
    size_t pasted_len;
};

static struct ask ask_of(const struct run *run, const char *verb)
{
    struct ask ask = {.verb = verb, .node_endpoint = run->node_endpoint};
    if (run->id[0])
        ask_add(&ask, "signin", run->id);
    return ask;
}

static int begin(struct run *run)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = ask_of(run, "signin begin");
    ask_add(&ask, "account", run->address);
    ask_add(&ask, "device", run->device ? "yes" : NULL);
    int code = ask_do(run->ctl, &ask, &answer);
    if (code != ADMIN_OK)
        return code;
    return flz_text_copy(run->id, sizeof run->id, show_string(answer.json, "signin")) == 0
               ? ADMIN_OK
               : talk_fail(run->ctl, ADMIN_FAILED, "ANSWER", "the node's answer cannot be read",
                           "are fluenzrctl and fluenzr-node of one version?");
}

/* Where the person goes, to standard output; what to do there, to the terminal. */
static void tell(struct run *run, const json_t *json)
{
    run->told = true;
    if (run->ctl->output == CTL_JSON) {
        show_json(json);
    } else {
        (void)puts(show_string(json, "url"));
        if (run->device)
            (void)puts(show_string(json, "code"));
    }
    (void)fflush(stdout);
    if (run->device) {
        talk(run->ctl, "Open this address in a browser, type the code, and sign in as %s.",
             run->address);
        talk(run->ctl, "Give the code to nobody else.");
        return;
    }
    int port = (int)show_integer(json, "port");
    talk(run->ctl, "Open this address in a browser, and sign in as %s.", run->address);
    talk(run->ctl, "A browser on another machine ends at a page that does not load. Copy that");
    talk(run->ctl, "page's whole address, paste it here and press Enter; or forward the port");
    talk(run->ctl, "before you begin there: ssh -L %d:127.0.0.1:%d THIS-HOST", port, port);
}

static void paste(struct run *run)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = ask_of(run, "signin paste");
    ask_add(&ask, "address", run->pasted);
    /* What is wrong with it is told; the sign-in goes on waiting. */
    (void)ask_do(run->ctl, &ask, &answer);
}

/* Takes what has been pasted up to now; at the end of a line it goes to the node. */
static void take_pasted(struct run *run)
{
    ssize_t n =
        read(STDIN_FILENO, run->pasted + run->pasted_len, sizeof run->pasted - 1 - run->pasted_len);
    if (n <= 0) {
        run->listens = n < 0 && errno == EINTR;
        return;
    }
    run->pasted_len += (size_t)n;
    run->pasted[run->pasted_len] = '\0';
    char *end = strpbrk(run->pasted, "\r\n");
    if (!end && run->pasted_len < sizeof run->pasted - 1)
        return;
    if (end)
        *end = '\0';
    if (run->pasted[0])
        paste(run);
    sodium_memzero(run->pasted, sizeof run->pasted);
    run->pasted_len = 0;
}

static void wait_a_while(struct run *run)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, run->listens ? 1 : 0, LOOK_MS) > 0)
        take_pasted(run);
}

/* -1: it goes on. */
static int look(struct run *run)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = ask_of(run, "signin look");
    int code = ask_do(run->ctl, &ask, &answer);
    if (code != ADMIN_OK)
        return code;
    const char *state = show_string(answer.json, "state");
    if (strcmp(state, "done") == 0) {
        talk(run->ctl, "%s is signed in. The node looks at its mailbox now.", run->address);
        return ADMIN_OK;
    }
    if (strcmp(state, "failed") == 0)
        return talk_fail(run->ctl, ADMIN_FAILED, "SIGN_IN", show_string(answer.json, "text"),
                         "deploy/OPERATING.md, \"Microsoft 365\"");
    if (!run->told && strcmp(state, "waiting") == 0)
        tell(run, answer.json);
    return -1;
}

int sign_in(const struct ctl *ctl, const char *node_endpoint, const char *address, bool device)
{
    struct run run = {.ctl = ctl,
                      .node_endpoint = node_endpoint,
                      .address = address,
                      .device = device,
                      .listens = !device};
    int code = begin(&run);
    if (code != ADMIN_OK)
        return code;
    while ((code = look(&run)) < 0)
        wait_a_while(&run);
    sodium_memzero(run.pasted, sizeof run.pasted);
    return code;
}

int cmd_account_reauth(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct flz_address address;
    if (flz_address_parse(arguments->words[0], &address) < 0)
        return talk_usage(ctl, "", "'%s' is not an address", arguments->words[0]);
    return sign_in(ctl, ask_node_endpoint(ctl, arguments), address.text,
                   arguments_get(arguments, "device") != NULL);
}
