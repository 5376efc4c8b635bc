#include "tests/lib/smtpdrive.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct run {
    const struct smtpdrive *drive;
    struct smtpdrive_outcome *outcome;
    struct conn *conn;
    struct smtp smtp;
    uv_timer_t clock;
    uv_timer_t limit;
    bool over;
    bool noop_done;
    bool reset_done;
    bool sent;
};

static void finish(struct run *run)
{
    run->over = true;
    run->conn = conn_close(run->conn);
    (void)uv_timer_stop(&run->clock);
}

static void take_result(struct run *run, enum smtp_event event)
{
    if (event == SMTP_E_DONE)
        run->outcome->dones++;
    if (event == SMTP_E_DONE || (run->outcome->dones == 0 && !run->outcome->auth_refused))
        run->outcome->result = *smtp_result(&run->smtp);
}

static void send_message(struct run *run)
{
    struct flz_address from;
    struct flz_address to;
    assert(flz_address_parse(run->drive->from, &from) == 0);
    assert(flz_address_parse(run->drive->to, &to) == 0);
    struct smtp_message message = {
        .from = &from, .to = &to, .body = flz_view_str(run->drive->body), .envid = "task-1"};
    run->sent = true;
    int r = smtp_send(&run->smtp, &message);
    assert(r == 0 || r == -EPIPE);
}

static void on_ready(struct run *run)
{
    const struct smtpdrive *drive = run->drive;
    run->outcome->capabilities = *smtp_capabilities(&run->smtp);
    enum smtp_mechanism mechanism = smtp_choose(&run->smtp, drive->token);
    if (drive->user && !smtp_authenticated(&run->smtp) && mechanism != 0) {
        (void)smtp_auth(&run->smtp, mechanism, drive->user);
    } else if (drive->noop && !run->noop_done) {
        run->noop_done = true;
        (void)smtp_noop(&run->smtp);
    } else if (drive->noop && !run->reset_done) {
        run->reset_done = true;
        (void)smtp_reset(&run->smtp);
    } else if (drive->from && !run->sent) {
        send_message(run);
    } else {
        (void)smtp_quit(&run->smtp);
    }
}

static void on_event(struct run *run, enum smtp_event event)
{
    switch (event) {
    case SMTP_E_MORE: return;
    case SMTP_E_READY: on_ready(run); return;
    case SMTP_E_SECRET:
        (void)smtp_secret(&run->smtp, flz_view_str(run->drive->password), run->drive->target.host,
                          run->drive->target.port);
        return;
    case SMTP_E_REFUSED:
        take_result(run, event);
        run->outcome->auth_refused = run->outcome->result.stage == SMTP_STAGE_AUTH;
        (void)smtp_quit(&run->smtp);
        return;
    case SMTP_E_DOT:
        run->outcome->dot = true;
        if (run->drive->drop) {
            take_result(run, smtp_drop(&run->smtp));
            finish(run);
        } else if (!run->drive->hold) {
            (void)smtp_release_dot(&run->smtp);
        }
        return;
    case SMTP_E_DONE:
        take_result(run, event);
        if (smtp_alive(&run->smtp))
            (void)smtp_quit(&run->smtp);
        return;
    case SMTP_E_CLOSED:
        run->outcome->quit = smtp_result(&run->smtp)->stage == SMTP_STAGE_QUIT &&
                             smtp_result(&run->smtp)->reply.code == 221;
        take_result(run, event);
        finish(run);
        return;
    }
}

static void on_clock(uv_timer_t *timer)
{
    struct run *run = timer->data;
    take_result(run, smtp_lost(&run->smtp, "time-out"));
    finish(run);
}

static void step(struct run *run, struct flz_view in)
{
    for (int event; !run->over && (event = smtp_step(&run->smtp, &in)) != SMTP_E_MORE;) {
        assert(event > 0);
        on_event(run, (enum smtp_event)event);
    }
    if (run->over)
        return;
    struct flz_view out = smtp_output(&run->smtp);
    if (out.len > 0 && conn_send(run->conn, out) == 0)
        smtp_taken(&run->smtp, out.len);
    int64_t ms = smtp_timeout_ms(&run->smtp);
    (void)uv_timer_stop(&run->clock);
    if (ms >= 0)
        (void)uv_timer_start(&run->clock, on_clock, (uint64_t)ms, 0);
}

static void on_open(struct conn *conn, void *userdata)
{
    struct run *run = userdata;
    run->outcome->opened = true;
    (void)conn_peer_info(conn, &run->outcome->peer);
    smtp_init(&run->smtp, &(struct smtp_options){
                              .ehlo_name = "client.test",
                              .encrypted = run->drive->target.scheme != CONN_SMTP_PLAIN,
                              .greeted = true,
                              .timeout_ms_max = run->drive->timeout_ms,
                          });
    step(run, FLZ_VIEW_NULL);
}

static void on_data(struct conn *conn, struct flz_view data, void *userdata)
{
    step(userdata, data);
}

static void on_closed(struct conn *conn, enum conn_end end, const struct flz_msg *msg,
                      void *userdata)
{
    struct run *run = userdata;
    run->outcome->end = end;
    (void)snprintf(run->outcome->words, sizeof(run->outcome->words), "%s", msg->text);
    (void)snprintf(run->outcome->server_text, sizeof(run->outcome->server_text), "%s",
                   conn_server_text(conn));
    if (run->outcome->opened)
        take_result(run, smtp_lost(&run->smtp, "connection lost"));
    finish(run);
}

static void on_limit(uv_timer_t *timer)
{
    (void)fprintf(stderr, "smtpdrive: not ended after 20 s\n");
    abort();
}

void smtpdrive_run(struct uv_loop_s *loop, struct conn_pool *pool, const struct smtpdrive *drive,
                   struct smtpdrive_outcome *ret_outcome)
{
    static const struct conn_events events = {
        .on_open = on_open, .on_data = on_data, .on_closed = on_closed};
    struct run run = {.drive = drive, .outcome = ret_outcome};
    *ret_outcome = (struct smtpdrive_outcome){.opened = false};
    (void)uv_timer_init(loop, &run.clock);
    (void)uv_timer_init(loop, &run.limit);
    run.clock.data = &run;
    (void)uv_timer_start(&run.limit, on_limit, 20000, 0);

    int r = conn_open(pool, &drive->target, &events, &run, &run.conn);
    assert(r == 0);
    while (!run.over)
        (void)uv_run(loop, UV_RUN_ONCE);
    smtp_deinit(&run.smtp);
    uv_close((uv_handle_t *)&run.clock, NULL);
    uv_close((uv_handle_t *)&run.limit, NULL);
    (void)uv_run(loop, UV_RUN_NOWAIT);
}
