#include "coordinator/families.h"

const char *const family_names[FAMILIES] = {
    [FAMILY_LOG] = "log",         [FAMILY_META] = "meta",       [FAMILY_ROWS] = "rows",
    [FAMILY_ARCHIVE] = "archive", [FAMILY_PERSONS] = "persons", [FAMILY_KEYS] = "keys",
    [FAMILY_NODES] = "nodes",
};
