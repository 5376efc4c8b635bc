/*
 * The wire between coordinator and nodes: what stands in for ZeroMQ (common/sys/bus.h). Frames of a
 * connection arrive in their order while nothing goes wrong. What goes wrong: a frame is lost,
 * doubled, late (and so behind later ones), changed, or one of an earlier day comes again; a
 * connection breaks, or stands and carries nothing.
 */
#pragma once

#include "tests/sim/world/world.h"

/* What goes wrong with a frame, of a million. */
struct wire_trouble {
    uint32_t lost;
    uint32_t doubled;
    uint32_t late;
    uint32_t changed;
    uint32_t replayed;
    uint32_t broken; /* its connection */
};

extern struct wire_trouble wire_trouble;

/* Between this node and the coordinator until then; `silent`: connections stand meanwhile. */
void wire_cut(struct proc *node, int64_t until, bool silent);

/* Delivers bytes as if `node` had sent them, on its connection, if there is one. */
void wire_forge(struct proc *node, struct flz_view bytes);

/* Called for each frame between members: when it is sent; when it is handed over, before and after
 * its receiver looks at it. May return other bytes to be sent in its place (borrowed). */
struct wire_watch {
    struct flz_view (*on_sent)(struct proc *from, struct proc *to, struct flz_view bytes);
    void (*on_arrives)(struct proc *from, struct proc *to, struct flz_view bytes);
    void (*on_taken)(struct proc *from, struct proc *to, struct flz_view bytes);
};

extern struct wire_watch wire_watch;
