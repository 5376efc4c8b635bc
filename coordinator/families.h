/*
 * The column families of the coordinator's store.
 */
#pragma once

enum family {
    FAMILY_LOG,     /* be64 segment seq → segment */
    FAMILY_META,    /* names: epoch, generation, clock, marks, files of the archive */
    FAMILY_ROWS,    /* row kind u8 ‖ row key → row: what a core is loaded from */
    FAMILY_ARCHIVE, /* the same for ended exchanges and old days */
    FAMILY_PERSONS, /* be32 account → sealed person */
    FAMILY_KEYS,    /* be32 account → sealed key of that person */
    FAMILY_NODES,   /* be32 node → Signed(NODE), its certificate */
    FAMILIES,
};

/* Their names on disk. */
extern const char *const family_names[FAMILIES];
