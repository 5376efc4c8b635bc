#include "node/core/folder.h"

#include "common/base/error.h"
#include "common/base/text.h"
#include "node/core/mutf7.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define UTF8_MAX (2 * FOLDER_NAME_MAX)

struct known_name {
    const char *name; /* UTF-8, lower case as fold() makes it */
    enum folder_role role;
};

/* Names that mail programs and providers give to these folders. */
static const struct known_name known_names[] = {
    {"junk", FOLDER_JUNK},
    {"spam", FOLDER_JUNK},
    {"junk email", FOLDER_JUNK},
    {"junk e-mail", FOLDER_JUNK},
    {"junk mail", FOLDER_JUNK},
    {"junkmail", FOLDER_JUNK},
    {"bulk", FOLDER_JUNK},
    {"bulk mail", FOLDER_JUNK},
    {"spam mail", FOLDER_JUNK},
    {"spambox", FOLDER_JUNK},
    {"quarantine", FOLDER_JUNK},
    {"courrier indésirable", FOLDER_JUNK},
    {"courriers indésirables", FOLDER_JUNK},
    {"indésirables", FOLDER_JUNK},
    {"indesirables", FOLDER_JUNK},
    {"messages indésirables", FOLDER_JUNK},
    {"pourriel", FOLDER_JUNK},
    {"pourriels", FOLDER_JUNK},
    {"spamverdacht", FOLDER_JUNK},
    {"werbung", FOLDER_JUNK},
    {"unerwünscht", FOLDER_JUNK},
    {"unerwünschte werbung", FOLDER_JUNK},
    {"junk-e-mail", FOLDER_JUNK},
    {"correo no deseado", FOLDER_JUNK},
    {"no deseado", FOLDER_JUNK},
    {"correo basura", FOLDER_JUNK},
    {"posta indesiderata", FOLDER_JUNK},
    {"indesiderata", FOLDER_JUNK},
    {"lixo eletrônico", FOLDER_JUNK},
    {"lixo eletrónico", FOLDER_JUNK},
    {"correio não solicitado", FOLDER_JUNK},
    {"ongewenste e-mail", FOLDER_JUNK},
    {"ongewenst", FOLDER_JUNK},
    {"ongewenste post", FOLDER_JUNK},
    {"skräppost", FOLDER_JUNK},
    {"uønsket e-post", FOLDER_JUNK},
    {"uønsket mail", FOLDER_JUNK},
    {"søppelpost", FOLDER_JUNK},
    {"roskaposti", FOLDER_JUNK},
    {"wiadomości-śmieci", FOLDER_JUNK},
    {"wiadomości śmieci", FOLDER_JUNK},
    {"nevyžádaná pošta", FOLDER_JUNK},
    {"nevyžiadaná pošta", FOLDER_JUNK},
    {"levélszemét", FOLDER_JUNK},
    {"mesaje nedorite", FOLDER_JUNK},
    {"gereksiz e-posta", FOLDER_JUNK},
    {"istenmeyen", FOLDER_JUNK},
    {"нежелательная почта", FOLDER_JUNK},
    {"спам", FOLDER_JUNK},
    {"небажана пошта", FOLDER_JUNK},
    {"ανεπιθύμητα", FOLDER_JUNK},
    {"迷惑メール", FOLDER_JUNK},
    {"垃圾邮件", FOLDER_JUNK},
    {"垃圾郵件", FOLDER_JUNK},
    {"정크 메일", FOLDER_JUNK},
    {"스팸메일함", FOLDER_JUNK},

    {"sent", FOLDER_SENT},
    {"sent mail", FOLDER_SENT},
    {"sent items", FOLDER_SENT},
    {"sent messages", FOLDER_SENT},
    {"sent-mail", FOLDER_SENT},
    {"envoyés", FOLDER_SENT},
    {"messages envoyés", FOLDER_SENT},
    {"éléments envoyés", FOLDER_SENT},
    {"courrier envoyé", FOLDER_SENT},
    {"objets envoyés", FOLDER_SENT},
    {"gesendet", FOLDER_SENT},
    {"gesendete elemente", FOLDER_SENT},
    {"gesendete objekte", FOLDER_SENT},
    {"enviados", FOLDER_SENT},
    {"elementos enviados", FOLDER_SENT},
    {"itens enviados", FOLDER_SENT},
    {"posta inviata", FOLDER_SENT},
    {"inviati", FOLDER_SENT},
    {"verzonden", FOLDER_SENT},
    {"verzonden items", FOLDER_SENT},
    {"skickat", FOLDER_SENT},
    {"sendt", FOLDER_SENT},
    {"wysłane", FOLDER_SENT},
    {"odeslaná pošta", FOLDER_SENT},
    {"отправленные", FOLDER_SENT},

    {"trash", FOLDER_TRASH},
    {"deleted", FOLDER_TRASH},
    {"deleted items", FOLDER_TRASH},
    {"deleted messages", FOLDER_TRASH},
    {"bin", FOLDER_TRASH},
    {"corbeille", FOLDER_TRASH},
    {"éléments supprimés", FOLDER_TRASH},
    {"messages supprimés", FOLDER_TRASH},
    {"supprimés", FOLDER_TRASH},
    {"papierkorb", FOLDER_TRASH},
    {"gelöscht", FOLDER_TRASH},
    {"gelöschte elemente", FOLDER_TRASH},
    {"papelera", FOLDER_TRASH},
    {"elementos eliminados", FOLDER_TRASH},
    {"cestino", FOLDER_TRASH},
    {"posta eliminata", FOLDER_TRASH},
    {"lixeira", FOLDER_TRASH},
    {"itens excluídos", FOLDER_TRASH},
    {"prullenbak", FOLDER_TRASH},
    {"verwijderde items", FOLDER_TRASH},
    {"papperskorgen", FOLDER_TRASH},
    {"kosz", FOLDER_TRASH},
    {"koš", FOLDER_TRASH},
    {"удаленные", FOLDER_TRASH},
    {"корзина", FOLDER_TRASH},

    {"drafts", FOLDER_DRAFTS},
    {"draft", FOLDER_DRAFTS},
    {"brouillons", FOLDER_DRAFTS},
    {"entwürfe", FOLDER_DRAFTS},
    {"borradores", FOLDER_DRAFTS},
    {"bozze", FOLDER_DRAFTS},
    {"rascunhos", FOLDER_DRAFTS},
    {"concepten", FOLDER_DRAFTS},
    {"черновики", FOLDER_DRAFTS},

    {"all mail", FOLDER_ALL},
    {"tous les messages", FOLDER_ALL},
    {"alle nachrichten", FOLDER_ALL},
};

void folder_list_deinit(struct folder_list *list)
{
    free(list->folders);
    *list = FOLDER_LIST_NULL;
}

void folder_list_reset(struct folder_list *list)
{
    list->count = 0;
    list->incomplete = false;
    list->own[0] = '\0';
    memset(&list->namespace, 0, sizeof list->namespace);
}

int folder_list_add(struct folder_list *list, const struct imap_list *response)
{
    if (folder_list_named(list, response->name) != FOLDER_NONE)
        return 0;
    if (list->count == FOLDER_COUNT_MAX || strlen(response->name) >= FOLDER_NAME_MAX) {
        list->incomplete = true;
        return 0;
    }
    int r =
        flz_grow((void **)&list->folders, &list->capacity, list->count + 1, sizeof *list->folders);
    if (r < 0)
        return r;
    struct folder *folder = &list->folders[list->count++];
    *folder = (struct folder){.delimiter = response->delimiter, .attributes = response->attributes};
    return flz_text_copy(folder->name, sizeof folder->name, response->name);
}

uint32_t folder_list_find(const struct folder_list *list, enum folder_role role)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->folders[i].role == role && list->folders[i].selectable)
            return (uint32_t)i;
    return FOLDER_NONE;
}

static bool is_inbox(const char *name)
{
    return strcasecmp(name, "INBOX") == 0; /* RFC 3501 5.1 */
}

uint32_t folder_list_named(const struct folder_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->folders[i].name, name) == 0 ||
            (is_inbox(name) && is_inbox(list->folders[i].name)))
            return (uint32_t)i;
    return FOLDER_NONE;
}

/*
 * Lower case in place, for comparing with the table: ASCII, the Latin-1 letters (C3 80..9E), Latin
 * Extended-A's pairs (C4, C5: even is upper) where the table has some, and Russian capitals.
 */
static void fold(char *text)
{
    uint8_t *p = (uint8_t *)text;
    for (; *p; p++) {
        if (*p < 0x80) {
            *p = (uint8_t)flz_ascii_lower((char)*p);
        } else if (*p == 0xc3 && p[1] >= 0x80 && p[1] <= 0x9e && p[1] != 0x97) {
            *++p += 0x20;
        } else if (*p == 0xc5 && (p[1] == 0x9a || p[1] == 0xa0)) {
            *++p += 1; /* Ś, Š */
        } else if (*p == 0xc5 && (p[1] == 0x81 || p[1] == 0xbd)) {
            *++p += 1; /* Ł, Ž */
        } else if (*p == 0xd0 && p[1] >= 0x90 && p[1] <= 0x9f) {
            *++p += 0x20;
        } else if (*p == 0xd0 && p[1] >= 0xa0 && p[1] <= 0xaf) {
            *p = 0xd1;
            *++p -= 0x20;
        }
    }
}

enum folder_role folder_role_of_name(const char *name)
{
    char folded[UTF8_MAX];
    if (flz_text_copy(folded, sizeof folded, name) < 0)
        return FOLDER_OTHER;
    fold(folded);
    for (size_t i = 0; i < sizeof known_names / sizeof *known_names; i++)
        if (strcmp(known_names[i].name, folded) == 0)
            return known_names[i].role;
    return FOLDER_OTHER;
}

static enum folder_role role_of_attributes(uint32_t attributes)
{
    static const struct {
        uint32_t attribute;
        enum folder_role role;
    } by_attribute[] = {
        {IMAP_ATTR_JUNK, FOLDER_JUNK},   {IMAP_ATTR_SENT, FOLDER_SENT},
        {IMAP_ATTR_TRASH, FOLDER_TRASH}, {IMAP_ATTR_DRAFTS, FOLDER_DRAFTS},
        {IMAP_ATTR_ALL, FOLDER_ALL},
    };
    for (size_t i = 0; i < sizeof by_attribute / sizeof *by_attribute; i++)
        if (attributes & by_attribute[i].attribute)
            return by_attribute[i].role;
    return FOLDER_OTHER;
}

/*
 * The part of a name that may tell its role: what stands below the personal prefix, below INBOX, or
 * below a provider's bracketed root ("[Gmail]/Spam"). NULL for deeper folders: "Projects/Spam" is
 * somebody's own.
 */
static const char *telling_part(const struct folder_list *list, const struct folder *folder)
{
    const char *name = folder->name;
    size_t prefix = strlen(list->namespace.prefix);
    if (prefix > 0 && strncasecmp(name, list->namespace.prefix, prefix) == 0)
        name += prefix;
    const char *level = folder->delimiter ? strchr(name, folder->delimiter) : NULL;
    if (level && (name[0] == '[' || (level == name + 5 && strncasecmp(name, "INBOX", 5) == 0))) {
        name = level + 1;
        level = strchr(name, folder->delimiter);
    }
    return level || *name == '\0' ? NULL : name;
}

static enum folder_role role_by_name(const struct folder_list *list, const struct folder *folder)
{
    char utf8[UTF8_MAX];
    const char *part = telling_part(list, folder);
    if (!part)
        return FOLDER_OTHER;
    /* A server that sends names in UTF-8 is understood as well. */
    return folder_role_of_name(mutf7_decode(part, utf8, sizeof utf8) == 0 ? utf8 : part);
}

static bool is_foreign(const struct folder_list *list, const char *name)
{
    for (size_t i = 0; i < list->namespace.n_foreign; i++) {
        const char *prefix = list->namespace.foreign[i];
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

/* Without NAMESPACE: "INBOX." is the prefix when everything lies below INBOX. */
static void guess_prefix(struct folder_list *list)
{
    char delimiter = '\0';
    for (size_t i = 0; i < list->count; i++) {
        const struct folder *folder = &list->folders[i];
        if (is_inbox(folder->name)) {
            list->namespace.delimiter = folder->delimiter;
            continue;
        }
        if (!folder->delimiter || strncasecmp(folder->name, "INBOX", 5) != 0 ||
            folder->name[5] != folder->delimiter)
            return;
        delimiter = folder->delimiter;
    }
    if (delimiter)
        (void)snprintf(list->namespace.prefix, sizeof list->namespace.prefix, "INBOX%c", delimiter);
}

static int settle_own(struct folder_list *list, const char *own_name)
{
    char wire[FOLDER_NAME_MAX];
    char delimiter = list->namespace.delimiter;
    if (!delimiter && list->count > 0)
        delimiter = list->folders[0].delimiter;
    int r = mutf7_encode(own_name, wire, sizeof wire);
    if (r < 0)
        return r;
    size_t prefix = strlen(list->namespace.prefix);
    if (wire[0] == '\0' || (delimiter && strchr(wire, delimiter)) || strpbrk(wire, "*%") ||
        prefix + strlen(wire) >= sizeof list->own)
        return flz_fail(-EINVAL);
    memcpy(list->own, list->namespace.prefix, prefix);
    memcpy(list->own + prefix, wire, strlen(wire) + 1);
    return 0;
}

static bool is_by_attribute(const struct folder_list *list, enum folder_role role)
{
    for (size_t i = 0; i < list->count; i++)
        if (role_of_attributes(list->folders[i].attributes) == role)
            return true;
    return false;
}

int folder_list_settle(struct folder_list *list, const char *own_name)
{
    if (!list->namespace.prefix[0] && !list->namespace.delimiter)
        guess_prefix(list);
    int r = settle_own(list, own_name);
    if (r < 0)
        return r;
    for (size_t i = 0; i < list->count; i++) {
        struct folder *folder = &list->folders[i];
        folder->selectable =
            !(folder->attributes & IMAP_ATTR_NOSELECT) && !is_foreign(list, folder->name);
        folder->role = role_of_attributes(folder->attributes);
        if (is_inbox(folder->name)) {
            folder->role = FOLDER_INBOX;
        } else if (strcmp(folder->name, list->own) == 0) {
            folder->role = FOLDER_OWN;
        } else if (folder->role == FOLDER_OTHER) {
            enum folder_role role = role_by_name(list, folder);
            if (!is_by_attribute(list, role))
                folder->role = role;
        }
    }
    return 0;
}
