/*
 * A parsed content pack from the inside, shared by its parser (content.c), its speaker
 * (content_text.c) and its reviewer (content_lint.c) and by nobody else.
 *
 * Everything is a flat array; a thing names its parts by first index and count. Texts are views
 * into the pack's own copy of the file.
 */
#pragma once

#include "common/content/content.h"

#define CONTENT_ITEMS_MAX 40        /* per turn */
#define CONTENT_ALTERNATIVES_MAX 64 /* per choice */
#define CONTENT_DRAWS_MAX 16        /* per scenario */
#define CONTENT_SLOTS_MAX 32        /* per scenario */
#define CONTENT_FIELDS_MAX 4        /* of one pick */
#define CONTENT_LISTS_MAX 32

struct text {
    struct flz_view text;
    uint32_t line;
};

/* One of texts[first .. first + count - 1]. */
struct choice {
    uint32_t first;
    uint32_t count;
};

struct list {
    char name[CONTENT_NAME_MAX];
    struct choice values;
};

enum draw_kind {
    DRAW_LIST,  /* from a list of the pack; two draws from one list never agree */
    DRAW_PICK,  /* from the scenario's own values, each of `fields` parts */
    DRAW_RANGE, /* a number */
};

struct draw {
    enum draw_kind kind;
    uint32_t list;
    struct choice values;
    int64_t low, high;
    uint32_t n_fields;
    uint32_t line;
};

/* A name for one part of what is drawn. */
struct slot {
    char name[CONTENT_NAME_MAX];
    uint32_t draw; /* within the scenario */
    uint32_t field;
};

enum item_kind {
    ITEM_LINE,  /* a line of its own */
    ITEM_SAY,   /* a sentence of the running paragraph */
    ITEM_MAYBE, /* the same, in every other message */
    ITEM_GAP,   /* ends the paragraph, leaves an empty line */
};

struct item {
    enum item_kind kind;
    struct choice texts;
};

struct turn {
    struct choice subject; /* of the first turn */
    uint32_t first_item, n_items;
    uint32_t line;
};

struct scenario {
    char name[CONTENT_NAME_MAX];
    uint32_t first_draw, n_draws;
    uint32_t first_slot, n_slots;
    uint32_t first_turn, n_turns;
    uint32_t line;
};

struct content_pack {
    uint8_t *bytes; /* owned */
    struct flz_digest id;
    char language[CONTENT_NAME_MAX];
    struct choice footer, attribution;

    /* Owned arrays, in the order of the file. */
    struct text *texts;
    struct list *lists;
    struct draw *draws;
    struct slot *slots;
    struct item *items;
    struct turn *turns;
    struct scenario *scenarios;
    size_t n_texts, n_lists, n_draws, n_slots, n_items, n_turns, n_scenarios;
    size_t texts_capacity, lists_capacity, draws_capacity, slots_capacity, items_capacity,
        turns_capacity, scenarios_capacity;
};

/* The values a draw chooses from. */
const struct choice *content_draw_values(const struct content_pack *pack, const struct draw *draw);

/* How many values that is, a range included. */
uint64_t content_draw_size(const struct content_pack *pack, const struct draw *draw);

/* The scenario's slot of that name, in lower case or with a capital; NULL when there is none. */
const struct slot *content_slot(const struct content_pack *pack, const struct scenario *scenario,
                                struct flz_view name);

/* Part number `field` of a value "la perceuse ~ la"; borrowed. */
struct flz_view content_field(struct flz_view value, uint32_t field);
