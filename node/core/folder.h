/*
 * The folders of one account, from LIST and NAMESPACE, and what each is for: by its SPECIAL-USE
 * attribute (RFC 6154); where no folder has the attribute of a role, by its name.
 */
#pragma once

#include "node/core/imap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLDER_NAME_MAX 256 /* as on the wire, bytes with the NUL; longer names are left out */
#define FOLDER_COUNT_MAX 256
#define FOLDER_NONE UINT32_MAX

enum folder_role {
    FOLDER_OTHER,
    FOLDER_INBOX,
    FOLDER_JUNK, /* several may be, when they are known by name only */
    FOLDER_SENT,
    FOLDER_TRASH,
    FOLDER_DRAFTS,
    FOLDER_ALL, /* shows every message once more */
    FOLDER_OWN, /* ours */
};

struct folder {
    char name[FOLDER_NAME_MAX];
    char delimiter;
    uint32_t attributes; /* enum imap_attribute */
    enum folder_role role;
    bool selectable; /* and the account's own, not shared by others */
};

struct folder_list {
    struct folder *folders; /* owned */
    size_t count;
    size_t capacity;
    bool incomplete; /* there are more than we can name or count */
    struct imap_namespace namespace;
    char own[FOLDER_NAME_MAX]; /* where our folder is or belongs, on the wire; "" = nowhere */
};

#define FOLDER_LIST_NULL ((struct folder_list){.folders = NULL})

void folder_list_deinit(struct folder_list *list);

/* Forgets the folders and the namespace. */
void folder_list_reset(struct folder_list *list);

/* Takes one LIST response. 0 or -ENOMEM. */
int folder_list_add(struct folder_list *list, const struct imap_list *response);

/*
 * Gives each folder its role, once all of LIST (and NAMESPACE, into list->namespace) is known.
 * `own_name` (UTF-8, one level) names ours under the personal prefix. 0, or -EINVAL when it cannot
 * be a folder's name here.
 */
int folder_list_settle(struct folder_list *list, const char *own_name);

/* The first folder of a role that can be opened, or FOLDER_NONE. */
uint32_t folder_list_find(const struct folder_list *list, enum folder_role role);

/* The folder of that name on the wire, or FOLDER_NONE. */
uint32_t folder_list_named(const struct folder_list *list, const char *name);

/* The role a name suggests, whatever its language; FOLDER_OTHER when none. `name` is UTF-8, the
 * last level alone. */
enum folder_role folder_role_of_name(const char *name);
