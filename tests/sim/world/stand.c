#include "tests/sim/world/stand.h"

#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/sys/admin.h"
#include "common/sys/clock.h"
#include "common/sys/dns.h"
#include "common/sys/fsutil.h"
#include "common/sys/http.h"
#include "common/sys/log.h"
#include "common/sys/service.h"
#include "node/io/oauth.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool stand_dns_fails;

/* ---- Clocks ---- */

int64_t flz_boottime_ms(void)
{
    const struct proc *proc = world.current;
    if (!proc)
        return world.now;
    int64_t elapsed = world.now - world.started;
    return proc->boot_base + elapsed + elapsed * proc->drift_ppm / 1000000;
}

int64_t flz_realtime_ms(void)
{
    return world.now + (world.current ? world.current->skew_ms : 0);
}

/* ---- The log ---- */

const char *const flz_log_level_words[] = {"error", "warning", "notice", "info", "debug", NULL};
const char *const flz_log_format_words[] = {"logfmt", "json", NULL};

void flz_log_init(struct flz_log *log, int fd, enum flz_log_level level, enum flz_log_format format)
{
    *log = (struct flz_log){.fd = fd, .level = level, .format = format};
}

void flz_log(struct flz_log *log, enum flz_log_level level, const char *event, const char *fields,
             ...)
{
    char line[2048];
    va_list args;
    if (!log || level > log->level)
        return;
    va_start(args, fields);
    (void)vsnprintf(line, sizeof line, fields, args);
    va_end(args);
    if (strstr(line, STAND_SECRET))
        world_fail("I12", "a password in the log: %s %s", event, line);
    if (strcmp(event, "ready") == 0 && world.current && world.current->ready_at == 0)
        world.current->ready_at = world.now;
    world_say("%s %s", event, line);
}

void flz_log_failure(struct flz_log *log, const char *event, int r, const struct flz_msg *msg)
{
    struct flz_origin origin = flz_error_origin();
    flz_log(log, FLZ_LOG_ERROR, event, "error=\"%s\" at=%s:%d message=%s", strerror(-r),
            origin.file ? origin.file : "?", origin.line, msg ? msg->text : "");
}

void service_notify(const char *format, ...)
{
    (void)format;
}

int64_t service_watchdog_ms(void)
{
    return 0;
}

struct flz_id service_boot_id(void)
{
    return flz_id_of_u64(world.current ? world.current->boots + 1 : 0);
}

/* ---- Chance and keys ---- */

static const char *random_name(void)
{
    return "the seed";
}

static uint32_t random_word(void)
{
    return (uint32_t)flz_rng_next(&world.random);
}

static void random_fill(void *const bytes, const size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)flz_rng_next(&world.random);
}

static struct randombytes_implementation chance = {
    .implementation_name = random_name, .random = random_word, .buf = random_fill};

void stand_init(void)
{
    (void)randombytes_set_implementation(&chance);
    WORLD_MUST(sodium_init() >= 0, "libsodium cannot start");
}

static void digest_signature(unsigned char *signature, const unsigned char *message,
                             unsigned long long size, const unsigned char *key)
{
    struct flz_hash hash;
    struct flz_digest digest;
    flz_hash_init(&hash);
    flz_hash_add(&hash, key, 32);
    flz_hash_add(&hash, message, (size_t)size);
    digest = flz_hash_digest(&hash);
    memcpy(signature, digest.b, 32);
    memcpy(signature + 32, digest.b, 32);
}

int crypto_sign_detached(unsigned char *signature, unsigned long long *ret_size,
                         const unsigned char *message, unsigned long long size,
                         const unsigned char *secret)
{
    digest_signature(signature, message, size, secret + 32);
    if (ret_size)
        *ret_size = crypto_sign_BYTES;
    return 0;
}

int crypto_sign_verify_detached(const unsigned char *signature, const unsigned char *message,
                                unsigned long long size, const unsigned char *key)
{
    unsigned char wanted[crypto_sign_BYTES];
    digest_signature(wanted, message, size, key);
    return memcmp(wanted, signature, sizeof wanted) == 0 ? 0 : -1;
}

/* A killed process's lock is gone with it. */
int __wrap_fsutil_lock(const char *path, int *ret_fd, struct flz_msg *msg);

int __wrap_fsutil_lock(const char *path, int *ret_fd, struct flz_msg *msg)
{
    (void)path, (void)msg;
    *ret_fd = -1;
    return 0;
}

/* ---- Administration ---- */

struct admin {
    admin_on_call on_call;
    void *data;
};

struct admin_call {
    struct proc *proc;
    struct stand_request request;
    struct flz_buf texts; /* verb, keys, values */
    struct flz_buf body;
    json_t *json;
};

static struct admin *doors[WORLD_PROCS_MAX];

int admin_new(struct bus *bus, const char *endpoint, const struct keys_curve_pair *curve,
              struct flz_log *log, const struct admin_options *options, admin_on_call on_call,
              void *data, struct admin **ret_admin, struct flz_msg *msg)
{
    (void)bus, (void)endpoint, (void)curve, (void)log, (void)options, (void)msg;
    struct admin *admin = calloc(1, sizeof *admin);
    if (!admin)
        return flz_fail(-ENOMEM);
    *admin = (struct admin){.on_call = on_call, .data = data};
    doors[world.current - world.procs] = admin;
    *ret_admin = admin;
    return 0;
}

struct admin *admin_free(struct admin *admin)
{
    if (admin)
        doors[world.current - world.procs] = NULL;
    free(admin);
    return NULL;
}

void stand_crashed(struct proc *proc)
{
    doors[proc - world.procs] = NULL;
}

void *stand_desk_data(const struct proc *proc)
{
    const struct admin *door = doors[proc - world.procs];
    return door ? door->data : NULL;
}

static char *keep_text(const char *text)
{
    char *kept = text ? strdup(text) : NULL;
    WORLD_MUST(kept || !text, "memory");
    return kept;
}

static void on_desk_request(void *data)
{
    struct admin_call *call = data;
    struct admin *door = doors[call->proc - world.procs];
    if (door)
        door->on_call(call, door->data);
}

bool stand_ask(struct proc *proc, const struct stand_request *request)
{
    if (!doors[proc - world.procs])
        return false;
    struct admin_call *call = calloc(1, sizeof *call);
    WORLD_MUST(call, "memory");
    call->proc = proc;
    call->request = *request;
    call->request.verb = keep_text(request->verb);
    for (size_t i = 0; i < STAND_ARGUMENTS_MAX; i++) {
        call->request.keys[i] = keep_text(request->keys[i]);
        call->request.values[i] = keep_text(request->values[i]);
    }
    flz_buf_add_view(&call->body, request->body);
    world_post(proc, world.now + 1, on_desk_request, call);
    return true;
}

const char *admin_verb(const struct admin_call *call)
{
    return call->request.verb;
}

const char *admin_argument(const struct admin_call *call, const char *key)
{
    for (size_t i = 0; i < STAND_ARGUMENTS_MAX && call->request.keys[i]; i++)
        if (strcmp(call->request.keys[i], key) == 0)
            return call->request.values[i];
    return NULL;
}

struct flz_view admin_body(const struct admin_call *call)
{
    return flz_buf_view(&call->body);
}

const char *admin_who(const struct admin_call *call)
{
    (void)call;
    return "administrator";
}

bool admin_may(const struct admin_call *call, const char *target, bool changes)
{
    (void)call, (void)target, (void)changes;
    return true;
}

const char *admin_scope(const struct admin_call *call)
{
    (void)call;
    return "";
}

static void answer(struct admin_call *call, int code, const char *message)
{
    world_say("%s: answered %d %s", call->request.verb, code, message);
    if (call->request.on_answer)
        call->request.on_answer(code, message, call->request.data);
}

void admin_answer(struct admin_call *call, enum admin_exit code, json_t *json, const char *message)
{
    json_decref(json);
    answer(call, (int)code, message ? message : "");
}

void admin_refuse(struct admin_call *call, enum admin_exit code, const char *error,
                  const char *message, const char *hint)
{
    (void)error, (void)hint;
    answer(call, (int)code, message);
}

/* ---- DNS ---- */

struct dns {
    struct uv_loop_s *loop;
};

struct question {
    enum dns_type type;
    dns_on_answer on_answer;
    void *data;
    char name[FLZ_DOMAIN_MAX + 16];
};

int dns_new(struct uv_loop_s *loop, struct dns_options options, struct dns **ret_dns,
            struct flz_msg *msg)
{
    (void)options, (void)msg;
    struct dns *dns = calloc(1, sizeof *dns);
    if (!dns)
        return flz_fail(-ENOMEM);
    dns->loop = loop;
    *ret_dns = dns;
    return 0;
}

struct dns *dns_free(struct dns *dns)
{
    free(dns);
    return NULL;
}

static void on_question(void *data)
{
    struct question *question = data;
    struct dns_answer *found = calloc(1, sizeof *found);
    WORLD_MUST(found, "memory");
    found->outcome = DNS_ABSENT;
    found->reason = "";
    if (stand_dns_fails) {
        found->outcome = DNS_FAILED;
        found->reason = "server failure";
    } else if (question->type == DNS_MX || question->type == DNS_A) {
        found->outcome = DNS_FOUND;
        found->ttl_s = 3600;
        found->count = 1;
        (void)snprintf(found->records[0].host, sizeof found->records[0].host, "mx.%.200s",
                       question->name);
        (void)snprintf(found->records[0].address, sizeof found->records[0].address, "192.0.2.1");
    }
    question->on_answer(found, question->data);
    free(found);
    free(question);
}

int dns_query(struct dns *dns, const char *name, enum dns_type type, dns_on_answer on_answer,
              void *data)
{
    (void)dns;
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return flz_fail(-ENOMEM);
    *question = (struct question){.type = type, .on_answer = on_answer, .data = data};
    (void)snprintf(question->name, sizeof question->name, "%s", name);
    world_post(world.current, world.now + world_between(1, 60), on_question, question);
    return 0;
}

/* ---- HTTP: nobody looks ---- */

struct http {
    uint64_t answers;
};

int http_new(struct uv_loop_s *loop, const char *address, http_on_request on_request, void *data,
             struct http **ret_http, struct flz_msg *msg)
{
    (void)loop, (void)address, (void)on_request, (void)data, (void)msg;
    *ret_http = calloc(1, sizeof **ret_http);
    return *ret_http ? 0 : flz_fail(-ENOMEM);
}

struct http *http_free(struct http *http)
{
    free(http);
    return NULL;
}

const char *http_query(const struct http_request *request, const char *name)
{
    (void)request, (void)name;
    return NULL;
}

uint16_t http_port(const struct http *http)
{
    (void)http;
    return 0;
}

uint64_t http_count(const struct http *http, int status_class)
{
    (void)status_class;
    return http->answers;
}

/* ---- Sign-ins: no account here has one ---- */

struct oauth_client {
    struct uv_loop_s *loop;
};

int oauth_client_new(struct uv_loop_s *loop, const char *ca_file, int64_t timeout_ms,
                     struct oauth_client **ret_client)
{
    (void)ca_file, (void)timeout_ms;
    *ret_client = calloc(1, sizeof **ret_client);
    if (!*ret_client)
        return flz_fail(-ENOMEM);
    (*ret_client)->loop = loop;
    return 0;
}

struct oauth_client *oauth_client_free(struct oauth_client *client)
{
    free(client);
    return NULL;
}

int oauth_post(struct oauth_client *client, const char *url, struct flz_secret *form,
               oauth_on_answer on_answer, void *data, struct oauth_call **ret_call)
{
    (void)client, (void)url, (void)on_answer, (void)data, (void)ret_call;
    flz_secret_deinit(form);
    return flz_fail(-EINVAL);
}

struct oauth_call *oauth_cancel(struct oauth_call *call)
{
    (void)call;
    return NULL;
}
