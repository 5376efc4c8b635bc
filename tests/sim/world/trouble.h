/*
 * What goes wrong. Each seed draws some of these kinds, and how much of them; the rest of the world
 * is in order. Kinds that are a rate strike by chance at each frame, command, write or step; the
 * others come a few times a day.
 */
#pragma once

#include "tests/sim/world/world.h"

/* How many kinds there are, and their names. */
size_t trouble_kinds(void);
const char *trouble_name(size_t kind);

/* Draws this seed's kinds, and lets them begin: until `end`. `only` NULL: as drawn; else the kinds
 * named in it, comma-separated. `dose` times as much of each; 1 as usual. */
void trouble_begin(int64_t end, const char *only, uint32_t dose);

/* The names of those drawn, for the summary. */
const char *trouble_drawn(void);

/* Nothing goes wrong any more, and what was broken is mended; what was stopped goes on. */
void trouble_end(void);
