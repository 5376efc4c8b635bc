/* The file itself, so that a test may stop its ZAP thread. */
#include "common/sys/bus.c"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#define LONG_MS 10000

/* ---- Both sides on one loop ---- */

struct side {
    struct bus_socket *socket;
    unsigned messages;
    size_t bytes;
    struct bus_message last; /* its view is not kept */
    char text[64];
    enum bus_state state;
    unsigned ups, downs, refusals;
    bool echo;          /* send each message back */
    bool close_at_once; /* close the socket from within the callback */
};

struct world {
    uv_loop_t loop;
    uv_timer_t alarm;
    bool late;
    struct bus *bus;
    struct keys_curve_pair server_key, client_key, stranger_key;
    struct side server, client;
    const char *fault;
};

static void on_message(struct bus_socket *socket, const struct bus_message *message, void *data)
{
    struct side *side = data;
    side->messages++;
    side->bytes += message->bytes.len;
    side->last = *message;
    size_t n =
        message->bytes.len < sizeof side->text - 1 ? message->bytes.len : sizeof side->text - 1;
    memcpy(side->text, message->bytes.data, n);
    side->text[n] = '\0';
    if (side->echo)
        assert_int_equal(
            bus_send(socket, message->peer.len ? &message->peer : NULL, message->bytes), 0);
    if (side->close_at_once)
        (void)bus_close(socket);
}

static void on_state(struct bus_socket *socket, enum bus_state state, void *data)
{
    struct side *side = data;
    side->state = state;
    side->ups += state == BUS_UP;
    side->downs += state == BUS_DOWN;
    side->refusals += state == BUS_REFUSED;
}

static void on_fault(struct bus *bus, const char *what, void *data)
{
    ((struct world *)data)->fault = what;
}

static struct bus_callbacks callbacks(struct side *side)
{
    return (struct bus_callbacks){on_message, on_state, side};
}

static void on_alarm(uv_timer_t *timer)
{
    ((struct world *)timer->data)->late = true;
}

/* Runs the loop until the condition holds; fails the test after `ms`. The only timer is the limit
 * itself, so that a message which is not noticed is not found by accident. */
#define run_until(world, ms, condition)                                                            \
    do {                                                                                           \
        (world)->late = false;                                                                     \
        (void)uv_timer_start(&(world)->alarm, on_alarm, (ms), 0);                                  \
        while (!(condition) && !(world)->late)                                                     \
            (void)uv_run(&(world)->loop, UV_RUN_ONCE);                                             \
        (void)uv_timer_stop(&(world)->alarm);                                                      \
        if (!(condition))                                                                          \
            fail_msg("not within %d ms: %s", (int)(ms), #condition);                               \
    } while (0)

static void run_for(struct world *world, int ms)
{
    world->late = false;
    (void)uv_timer_start(&world->alarm, on_alarm, (uint64_t)ms, 0);
    while (!world->late)
        (void)uv_run(&world->loop, UV_RUN_ONCE);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct flz_msg msg;
    assert_non_null(world);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    assert_int_equal(uv_timer_init(&world->loop, &world->alarm), 0);
    world->alarm.data = world;
    assert_int_equal(keys_curve_generate(&world->server_key), 0);
    assert_int_equal(keys_curve_generate(&world->client_key), 0);
    assert_int_equal(keys_curve_generate(&world->stranger_key), 0);
    assert_int_equal(bus_new(&world->loop, on_fault, world, &world->bus, &msg), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    world->bus = bus_free(world->bus);
    uv_close((uv_handle_t *)&world->alarm, NULL);
    assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    keys_curve_deinit(&world->server_key);
    keys_curve_deinit(&world->client_key);
    keys_curve_deinit(&world->stranger_key);
    free(world);
    return 0;
}

static void listen_members(struct world *world, const char *endpoint)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    int r = bus_listen_curve(world->bus, endpoint, &world->server_key, callbacks(&world->server),
                             &world->server.socket, &msg);
    if (r != 0)
        fail_msg("%s", msg.text);
    assert_int_equal(bus_allow(world->server.socket, &world->client_key.public_key, 1), 0);
}

static void connect_as(struct world *world, const struct keys_curve_pair *own)
{
    struct flz_msg msg;
    assert_int_equal(bus_connect_curve(world->bus, bus_endpoint(world->server.socket),
                                       world->server_key.public_key, own, callbacks(&world->client),
                                       &world->client.socket, &msg),
                     0);
}

static void join(struct world *world)
{
    listen_members(world, "tcp://127.0.0.1:*");
    connect_as(world, &world->client_key);
    run_until(world, LONG_MS, world->client.ups == 1);
}

static struct flz_view text(const char *s)
{
    return flz_view_str(s);
}

/* ---- Members ---- */

static void a_member_is_heard_under_its_proved_key_and_answered(void **state)
{
    struct world *world = *state;
    join(world);
    assert_int_equal(bus_send(world->client.socket, NULL, text("hello")), 0);
    run_until(world, LONG_MS, world->server.messages == 1);
    assert_string_equal(world->server.text, "hello");
    assert_true(world->server.last.has_key);
    assert_memory_equal(world->server.last.key.b, world->client_key.public_key.b, 32);

    assert_int_equal(bus_send(world->server.socket, &world->server.last.peer, text("hi")), 0);
    run_until(world, LONG_MS, world->client.messages == 1);
    assert_string_equal(world->client.text, "hi");
    assert_false(world->client.last.has_key);
    assert_int_equal(bus_stats_of(world->server.socket).received, 1);
    assert_int_equal(bus_stats_of(world->server.socket).sent, 1);
}

static void an_empty_message_is_a_message(void **state)
{
    struct world *world = *state;
    join(world);
    assert_int_equal(bus_send(world->client.socket, NULL, FLZ_VIEW_NULL), 0);
    run_until(world, LONG_MS, world->server.messages == 1);
    assert_int_equal(world->server.bytes, 0);
}

static void a_stranger_is_refused_and_never_heard(void **state)
{
    struct world *world = *state;
    listen_members(world, "tcp://127.0.0.1:*");
    connect_as(world, &world->stranger_key);
    run_until(world, LONG_MS, world->client.refusals >= 1);
    assert_int_equal(bus_send(world->client.socket, NULL, text("let me in")), BUS_E_GONE);
    run_for(world, 300);
    assert_int_equal(world->server.messages, 0);
    assert_int_equal(world->client.ups, 0);
    assert_true(bus_stats_of(world->server.socket).refused >= 1);
}

static void nobody_is_allowed_before_the_list_is_set(void **state)
{
    struct world *world = *state;
    listen_members(world, "tcp://127.0.0.1:*");
    assert_int_equal(bus_allow(world->server.socket, NULL, 0), 0);
    connect_as(world, &world->client_key);
    run_until(world, LONG_MS, world->client.refusals >= 1);
}

static void a_refused_key_gets_in_once_it_is_allowed(void **state)
{
    struct world *world = *state;
    listen_members(world, "tcp://127.0.0.1:*");
    connect_as(world, &world->stranger_key);
    run_until(world, LONG_MS, world->client.refusals >= 1);
    struct flz_curve_public both[] = {world->client_key.public_key, world->stranger_key.public_key};
    assert_int_equal(bus_allow(world->server.socket, both, 2), 0);
    run_until(world, LONG_MS, world->client.ups == 1);
}

static void a_removal_holds_for_a_connection_that_stands(void **state)
{
    struct world *world = *state;
    join(world);
    assert_int_equal(bus_send(world->client.socket, NULL, text("one")), 0);
    run_until(world, LONG_MS, world->server.messages == 1);
    assert_int_equal(bus_allow(world->server.socket, &world->stranger_key.public_key, 1), 0);
    assert_int_equal(bus_send(world->client.socket, NULL, text("two")), 0);
    run_until(world, LONG_MS, bus_stats_of(world->server.socket).denied == 1);
    assert_int_equal(world->server.messages, 1);
}

static void allow_lists_have_an_end(void **state)
{
    struct world *world = *state;
    listen_members(world, "tcp://127.0.0.1:*");
    struct flz_curve_public key = {{1}};
    assert_int_equal(bus_allow(world->server.socket, &key, BUS_ALLOWED_MAX + 1), -E2BIG);
}

static void each_key_of_a_long_list_is_found(void **state)
{
    struct world *world = *state;
    enum { N = 1000 };
    static struct flz_curve_public keys[N];
    for (int i = 0; i < N; i++)
        randombytes_buf(keys[i].b, sizeof keys[i].b);
    keys[N / 2] = world->client_key.public_key;
    listen_members(world, "tcp://127.0.0.1:*");
    assert_int_equal(bus_allow(world->server.socket, keys, N), 0);
    for (int i = 0; i < N; i++)
        assert_true(domain_allows(world->server.socket->domain, keys[i].b));
    connect_as(world, &world->client_key);
    run_until(world, LONG_MS, world->client.ups == 1);
}

/* ---- The self-test and the watchdog ---- */

static void stop_zap_thread(struct bus *bus)
{
    (void)zmq_send(bus->control, "", 0, ZMQ_SNDMORE);
    (void)zmq_send(bus->control, "stop", 4, 0);
    (void)pthread_join(bus->zap.thread, NULL);
    bus->zap.running = false;
    bus->zap.socket = NULL;
}

static void nothing_opens_when_the_handler_does_not_answer(void **state)
{
    struct world *world = *state;
    struct flz_msg msg = FLZ_MSG_NULL;
    stop_zap_thread(world->bus);
    assert_int_equal(bus_listen_curve(world->bus, "tcp://127.0.0.1:*", &world->server_key,
                                      callbacks(&world->server), &world->server.socket, &msg),
                     -EPROTO);
    assert_non_null(strstr(msg.text, "self-test"));
    assert_null(world->server.socket);
}

/* Between the handler's death and the watchdog's finding: ZeroMQ by itself would let anyone in. */
static void nobody_comes_in_when_the_handler_is_gone(void **state)
{
    struct world *world = *state;
    listen_members(world, "tcp://127.0.0.1:*");
    stop_zap_thread(world->bus);
    connect_as(world, &world->stranger_key);
    run_for(world, 1500);
    assert_int_equal(world->client.ups, 0);
    assert_false(world->server.socket->closed);
}

static void members_endpoints_close_when_the_handler_dies(void **state)
{
    struct world *world = *state;
    join(world);
    stop_zap_thread(world->bus);
    run_until(world, 15000, world->fault != NULL);
    assert_true(world->server.socket->closed);
    assert_int_equal(bus_send(world->server.socket, &world->server.last.peer, text("x")),
                     BUS_E_GONE);
}

static void the_watchdog_is_content_with_a_living_handler(void **state)
{
    struct world *world = *state;
    join(world);
    run_for(world, 3 * WATCHDOG_MS + 500);
    assert_null(world->fault);
    assert_true(world->bus->misses <= 1);
}

/* ---- Outcomes of sending ---- */

static void a_peer_that_never_was_is_gone(void **state)
{
    struct world *world = *state;
    join(world);
    struct bus_peer peer = {.len = 5, .id = {0, 1, 2, 3, 4}};
    assert_int_equal(bus_send(world->server.socket, &peer, text("x")), BUS_E_GONE);
    assert_int_equal(bus_stats_of(world->server.socket).gone, 1);
}

static void a_peer_that_has_left_is_gone(void **state)
{
    struct world *world = *state;
    join(world);
    assert_int_equal(bus_send(world->client.socket, NULL, text("x")), 0);
    run_until(world, LONG_MS, world->server.messages == 1);
    (void)bus_close(world->client.socket);
    int r = 0;
    for (int i = 0; i < 100 && r != BUS_E_GONE; i++) {
        r = bus_send(world->server.socket, &world->server.last.peer, text("x"));
        run_for(world, 20);
    }
    assert_int_equal(r, BUS_E_GONE);
}

static void nothing_is_queued_for_a_server_that_is_not_there(void **state)
{
    struct world *world = *state;
    struct flz_msg msg;
    assert_int_equal(bus_connect_curve(world->bus, "tcp://127.0.0.1:9",
                                       world->server_key.public_key, &world->client_key,
                                       callbacks(&world->client), &world->client.socket, &msg),
                     0);
    assert_int_equal(bus_send(world->client.socket, NULL, text("x")), BUS_E_GONE);
    run_for(world, 200);
    assert_int_equal(bus_send(world->client.socket, NULL, text("x")), BUS_E_GONE);
    assert_int_equal(bus_state_of(world->client.socket), BUS_DOWN);
}

static void a_peer_that_does_not_read_is_full_and_loses_nothing(void **state)
{
    struct world *world = *state;
    static uint8_t big[256 * 1024];
    struct flz_view bytes = {big, sizeof big};
    listen_members(world, "tcp://127.0.0.1:*");
    struct bus_target target = {bus_endpoint(world->server.socket), &world->server_key.public_key,
                                &world->client_key, 0};
    struct bus_client *client;
    struct flz_msg msg;
    assert_int_equal(bus_client_open(&target, LONG_MS, &client, &msg), 0);
    assert_int_equal(bus_client_send(client, text("here I am")), 0);
    run_until(world, LONG_MS, world->server.messages == 1);

    unsigned queued = 0;
    int r;
    while ((r = bus_send(world->server.socket, &world->server.last.peer, bytes)) == 0 &&
           queued < 10000)
        queued++;
    assert_int_equal(r, BUS_E_FULL);
    assert_true(queued >= BUS_HWM);

    struct flz_buf buf = FLZ_BUF_NULL;
    for (unsigned i = 0; i < queued; i++) {
        flz_buf_reset(&buf);
        assert_int_equal(bus_client_receive(client, LONG_MS, &buf), 0);
        assert_int_equal(buf.len, sizeof big);
    }
    assert_int_equal(bus_client_receive(client, 100, &buf), BUS_E_TIMEOUT);
    flz_buf_deinit(&buf);
    (void)bus_client_close(client);
}

static void a_message_above_the_limit_is_not_taken(void **state)
{
    struct world *world = *state;
    static uint8_t big[BUS_MESSAGE_MAX + 1];
    join(world);
    assert_int_equal(bus_send(world->client.socket, NULL, (struct flz_view){big, sizeof big}),
                     -EMSGSIZE);
    assert_int_equal(bus_send(world->client.socket, NULL, (struct flz_view){big, sizeof big - 1}),
                     0);
    run_until(world, LONG_MS, world->server.messages == 1);
    assert_int_equal(world->server.bytes, BUS_MESSAGE_MAX);
}

/* ---- Nothing is overlooked ---- */

static void every_message_of_a_burst_is_delivered(void **state)
{
    struct world *world = *state;
    enum { N = 5000 };
    join(world);
    unsigned sent = 0;
    while (sent < N) {
        while (sent < N && bus_send(world->client.socket, NULL, text("burst")) == 0)
            sent++;
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    }
    run_until(world, LONG_MS, world->server.messages == N);
}

/* A send may swallow the signal of a message that has just come: both sides send at the same time,
 * and nothing but the message itself may wake the loop. */
static void a_send_never_hides_a_message_that_waits(void **state)
{
    struct world *world = *state;
    join(world);
    assert_int_equal(bus_send(world->client.socket, NULL, text("0")), 0);
    run_until(world, LONG_MS, world->server.messages == 1);
    struct bus_peer peer = world->server.last.peer;
    (void)uv_timer_stop(&world->bus->watchdog);
    for (unsigned i = 1; i <= 200; i++) {
        assert_int_equal(bus_send(world->client.socket, NULL, text("c")), 0);
        usleep(500); /* it arrives while we send the other way */
        assert_int_equal(bus_send(world->server.socket, &peer, text("s")), 0);
        usleep(500);
        run_until(world, 2000, world->server.messages == i + 1 && world->client.messages == i);
    }
}

/* ---- Enrolment ---- */

static void listen_open(struct world *world)
{
    struct flz_msg msg;
    assert_int_equal(bus_listen_open_curve(world->bus, "tcp://127.0.0.1:*", &world->server_key,
                                           callbacks(&world->server), &world->server.socket, &msg),
                     0);
}

static void anyone_may_knock_on_the_open_listener(void **state)
{
    struct world *world = *state;
    listen_open(world);
    connect_as(world, &world->stranger_key);
    run_until(world, LONG_MS, world->client.ups == 1);
    assert_int_equal(bus_send(world->client.socket, NULL, text("join")), 0);
    run_until(world, LONG_MS, world->server.messages == 1);
    assert_memory_equal(world->server.last.key.b, world->stranger_key.public_key.b, 32);
}

static void the_open_listener_is_limited_in_rate(void **state)
{
    struct world *world = *state;
    listen_open(world);
    connect_as(world, &world->stranger_key);
    run_until(world, LONG_MS, world->client.ups == 1);
    for (int i = 0; i < 40; i++)
        assert_int_equal(bus_send(world->client.socket, NULL, text("knock")), 0);
    run_until(world, LONG_MS,
              world->server.messages + bus_stats_of(world->server.socket).limited == 40);
    assert_in_range(world->server.messages, BUS_ENROL_BURST, BUS_ENROL_BURST + 5);
    run_for(world, 1100);
    unsigned before = world->server.messages;
    assert_int_equal(bus_send(world->client.socket, NULL, text("later")), 0);
    run_until(world, LONG_MS, world->server.messages == before + 1);
}

static void the_open_listener_takes_small_messages_only(void **state)
{
    struct world *world = *state;
    static uint8_t big[2 * BUS_ENROL_MESSAGE_MAX];
    listen_open(world);
    connect_as(world, &world->stranger_key);
    run_until(world, LONG_MS, world->client.ups == 1);
    struct flz_view bytes = {big, BUS_ENROL_MESSAGE_MAX};
    assert_int_equal(bus_send(world->client.socket, NULL, bytes), 0);
    run_until(world, LONG_MS, world->server.messages == 1);
    bytes.len++;
    assert_int_equal(bus_send(world->client.socket, NULL, bytes), 0);
    run_until(world, LONG_MS, bus_stats_of(world->server.socket).malformed == 1);
    bytes.len = sizeof big; /* ends the connection before it is read */
    assert_int_equal(bus_send(world->client.socket, NULL, bytes), 0);
    run_until(world, LONG_MS, world->client.downs == 1);
    assert_int_equal(world->server.messages, 1);
}

/* ---- Frames of others ---- */

static void a_message_of_several_frames_is_dropped(void **state)
{
    struct world *world = *state;
    join(world);
    assert_int_equal(zmq_send(world->client.socket->socket, "a", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(world->client.socket->socket, "b", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(world->client.socket->socket, "c", 1, 0), 1);
    assert_int_equal(bus_send(world->client.socket, NULL, text("whole")), 0);
    run_until(world, LONG_MS, world->server.messages == 1);
    assert_string_equal(world->server.text, "whole");
    assert_int_equal(bus_stats_of(world->server.socket).malformed, 1);
}

static void a_claimed_routing_id_is_no_identity(void **state)
{
    struct world *world = *state;
    listen_members(world, "tcp://127.0.0.1:*");
    void *socket = zmq_socket(world->bus->context, ZMQ_DEALER);
    char claimed[100];
    memset(claimed, 'n', sizeof claimed);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_ROUTING_ID, claimed, sizeof claimed), 0);
    assert_int_equal(set_common(socket, "", BUS_MESSAGE_MAX), 0);
    assert_int_equal(set_curve_client(socket, &world->client_key, &world->server_key.public_key),
                     0);
    assert_int_equal(zmq_connect(socket, bus_endpoint(world->server.socket)), 0);
    assert_int_equal(zmq_send(socket, "x", 1, 0), 1);
    run_until(world, LONG_MS, bus_stats_of(world->server.socket).malformed == 1);
    assert_int_equal(world->server.messages, 0);
    assert_int_equal(zmq_close(socket), 0);
}

/* ---- Connections come and go ---- */

static void a_member_comes_back_by_itself(void **state)
{
    struct world *world = *state;
    join(world);
    char endpoint[BUS_ENDPOINT_MAX];
    (void)snprintf(endpoint, sizeof endpoint, "%s", bus_endpoint(world->server.socket));
    world->server.socket = bus_close(world->server.socket);
    run_until(world, LONG_MS, world->client.downs == 1);
    assert_int_equal(bus_send(world->client.socket, NULL, text("x")), BUS_E_GONE);
    run_for(world, 200);
    listen_members(world, endpoint);
    run_until(world, LONG_MS, world->client.ups == 2);
    assert_int_equal(bus_send(world->client.socket, NULL, text("again")), 0);
    run_until(world, LONG_MS, world->server.messages == 1);
}

static void a_socket_may_close_itself_in_its_callback(void **state)
{
    struct world *world = *state;
    join(world);
    world->server.close_at_once = true;
    assert_int_equal(bus_send(world->client.socket, NULL, text("one")), 0);
    assert_int_equal(bus_send(world->client.socket, NULL, text("two")), 0);
    run_until(world, LONG_MS, world->client.downs == 1);
    assert_int_equal(world->server.messages, 1);
}

static void a_port_in_use_is_said(void **state)
{
    struct world *world = *state;
    struct flz_msg msg = FLZ_MSG_NULL;
    struct bus_socket *second = NULL;
    listen_members(world, "tcp://127.0.0.1:*");
    assert_int_equal(bus_listen_curve(world->bus, bus_endpoint(world->server.socket),
                                      &world->server_key, callbacks(&world->server), &second, &msg),
                     -EADDRINUSE);
    assert_non_null(strstr(msg.text, "tcp://127.0.0.1:"));
    assert_null(second);
}

static void addresses_of_ipv6_are_taken(void **state)
{
    struct world *world = *state;
    struct flz_msg msg;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0)
        skip();
    (void)close(fd);
    if (bus_listen_curve(world->bus, "tcp://[::1]:*", &world->server_key, callbacks(&world->server),
                         &world->server.socket, &msg) == -EADDRNOTAVAIL)
        skip();
    assert_int_equal(bus_allow(world->server.socket, &world->client_key.public_key, 1), 0);
    connect_as(world, &world->client_key);
    run_until(world, LONG_MS, world->client.ups == 1);
}

/* ---- The command line's side, on a thread of its own ---- */

struct request {
    struct bus_target target;
    int timeout_ms;
    int r;
    struct flz_msg msg;
    struct flz_buf answer;
    atomic_bool done;
    uv_async_t *wake; /* the loop has nothing else to wake it */
};

static void *run_request(void *data)
{
    struct request *request = data;
    request->r = bus_request(&request->target, text("status"), request->timeout_ms,
                             &request->answer, &request->msg);
    atomic_store(&request->done, true);
    (void)uv_async_send(request->wake);
    return NULL;
}

static void on_wake(uv_async_t *async)
{
    (void)async;
}

static int request(struct world *world, struct request *request)
{
    uv_async_t wake;
    pthread_t thread;
    assert_int_equal(uv_async_init(&world->loop, &wake, on_wake), 0);
    request->wake = &wake;
    atomic_store(&request->done, false);
    assert_int_equal(pthread_create(&thread, NULL, run_request, request), 0);
    run_until(world, LONG_MS, atomic_load(&request->done));
    (void)pthread_join(thread, NULL);
    uv_close((uv_handle_t *)&wake, NULL);
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    return request->r;
}

static void listen_ipc(struct world *world, char *endpoint, size_t size)
{
    struct flz_msg msg;
    (void)snprintf(endpoint, size, "ipc:///tmp/fluenzr-test-%d.sock", (int)getpid());
    assert_int_equal(bus_listen_ipc(world->bus, endpoint, callbacks(&world->server),
                                    &world->server.socket, &msg),
                     0);
}

static void a_request_on_this_machine_is_answered(void **state)
{
    struct world *world = *state;
    char endpoint[64];
    listen_ipc(world, endpoint, sizeof endpoint);
    struct stat st;
    assert_int_equal(stat(endpoint + 6, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    world->server.echo = true;
    struct request r = {.target = {.endpoint = endpoint}, .timeout_ms = LONG_MS};
    assert_int_equal(request(world, &r), 0);
    assert_string_equal(flz_buf_str(&r.answer), "status");
    assert_false(world->server.last.has_key);
    flz_buf_deinit(&r.answer);
    (void)bus_close(world->server.socket);
    assert_int_equal(access(endpoint + 6, F_OK), -1);
}

static void silence_is_a_timeout_and_absence_is_not(void **state)
{
    struct world *world = *state;
    char endpoint[64];
    listen_ipc(world, endpoint, sizeof endpoint);
    struct request r = {.target = {.endpoint = endpoint}, .timeout_ms = 300};
    assert_int_equal(request(world, &r), BUS_E_TIMEOUT);
    assert_int_equal(world->server.messages, 1);

    int64_t start = flz_boottime_ms();
    r.target.endpoint = "ipc:///tmp/fluenzr-no-such.sock";
    r.timeout_ms = LONG_MS;
    assert_int_equal(request(world, &r), BUS_E_UNREACHABLE);
    assert_true(flz_boottime_ms() - start < 2000);
    flz_buf_deinit(&r.answer);
}

static void a_socket_file_left_behind_is_nobody(void **state)
{
    struct world *world = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/tmp/fluenzr-stale-%d.sock",
                   (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd);
    char endpoint[128];
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s", address.sun_path);
    int64_t start = flz_boottime_ms();
    struct request r = {.target = {.endpoint = endpoint}, .timeout_ms = LONG_MS};
    assert_int_equal(request(world, &r), BUS_E_UNREACHABLE);
    assert_true(flz_boottime_ms() - start < 2000);
    (void)unlink(address.sun_path);
    flz_buf_deinit(&r.answer);
}

static void a_request_over_the_network_needs_an_allowed_key(void **state)
{
    struct world *world = *state;
    listen_members(world, "tcp://127.0.0.1:*");
    world->server.echo = true;
    struct request r = {.target = {bus_endpoint(world->server.socket),
                                   &world->server_key.public_key, &world->client_key, 0},
                        .timeout_ms = LONG_MS};
    assert_int_equal(request(world, &r), 0);
    assert_string_equal(flz_buf_str(&r.answer), "status");

    r.target.own = &world->stranger_key;
    assert_int_equal(request(world, &r), BUS_E_UNREACHABLE);
    assert_non_null(strstr(r.msg.text, "refused"));

    r.target.own = &world->client_key;
    r.target.server = &world->stranger_key.public_key;
    r.timeout_ms = 1000;
    assert_int_equal(request(world, &r), BUS_E_UNREACHABLE);

    r.target.own = NULL;
    assert_int_equal(request(world, &r), -EINVAL);
    flz_buf_deinit(&r.answer);
}

/* The loop is not run at all here: the handler answers on its own. */
static void the_handshake_does_not_wait_for_a_busy_loop(void **state)
{
    struct world *world = *state;
    listen_members(world, "tcp://127.0.0.1:*");
    struct bus_target target = {bus_endpoint(world->server.socket), &world->server_key.public_key,
                                &world->client_key, 0};
    struct bus_client *client;
    struct flz_msg msg;
    assert_int_equal(bus_client_open(&target, LONG_MS, &client, &msg), 0);
    (void)bus_client_close(client);
}

/* Allow-lists change while handshakes are judged: for the thread sanitizer. */
static void lists_may_change_while_handshakes_run(void **state)
{
    struct world *world = *state;
    listen_members(world, "tcp://127.0.0.1:*");
    struct bus_target target = {bus_endpoint(world->server.socket), &world->server_key.public_key,
                                &world->client_key, 0};
    struct flz_curve_public both[] = {world->client_key.public_key, world->stranger_key.public_key};
    for (int i = 0; i < 10; i++) {
        struct request r = {.target = target, .timeout_ms = 200};
        uv_async_t wake;
        pthread_t thread;
        assert_int_equal(uv_async_init(&world->loop, &wake, on_wake), 0);
        r.wake = &wake;
        assert_int_equal(pthread_create(&thread, NULL, run_request, &r), 0);
        while (!atomic_load(&r.done))
            assert_int_equal(bus_allow(world->server.socket, both, 2), 0);
        (void)pthread_join(thread, NULL);
        assert_int_equal(r.r, BUS_E_TIMEOUT);
        uv_close((uv_handle_t *)&wake, NULL);
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
        flz_buf_deinit(&r.answer);
    }
}

#define bus_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        bus_test(a_member_is_heard_under_its_proved_key_and_answered),
        bus_test(an_empty_message_is_a_message),
        bus_test(a_stranger_is_refused_and_never_heard),
        bus_test(nobody_is_allowed_before_the_list_is_set),
        bus_test(a_refused_key_gets_in_once_it_is_allowed),
        bus_test(a_removal_holds_for_a_connection_that_stands),
        bus_test(allow_lists_have_an_end),
        bus_test(each_key_of_a_long_list_is_found),
        bus_test(nothing_opens_when_the_handler_does_not_answer),
        bus_test(nobody_comes_in_when_the_handler_is_gone),
        bus_test(members_endpoints_close_when_the_handler_dies),
        bus_test(the_watchdog_is_content_with_a_living_handler),
        bus_test(a_peer_that_never_was_is_gone),
        bus_test(a_peer_that_has_left_is_gone),
        bus_test(nothing_is_queued_for_a_server_that_is_not_there),
        bus_test(a_peer_that_does_not_read_is_full_and_loses_nothing),
        bus_test(a_message_above_the_limit_is_not_taken),
        bus_test(every_message_of_a_burst_is_delivered),
        bus_test(a_send_never_hides_a_message_that_waits),
        bus_test(anyone_may_knock_on_the_open_listener),
        bus_test(the_open_listener_is_limited_in_rate),
        bus_test(the_open_listener_takes_small_messages_only),
        bus_test(a_message_of_several_frames_is_dropped),
        bus_test(a_claimed_routing_id_is_no_identity),
        bus_test(a_member_comes_back_by_itself),
        bus_test(a_socket_may_close_itself_in_its_callback),
        bus_test(a_port_in_use_is_said),
        bus_test(addresses_of_ipv6_are_taken),
        bus_test(a_request_on_this_machine_is_answered),
        bus_test(silence_is_a_timeout_and_absence_is_not),
        bus_test(a_socket_file_left_behind_is_nobody),
        bus_test(a_request_over_the_network_needs_an_allowed_key),
        bus_test(the_handshake_does_not_wait_for_a_busy_loop),
        bus_test(lists_may_change_while_handshakes_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
