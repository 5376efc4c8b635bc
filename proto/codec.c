#include "proto/codec.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "proto/codec_table.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Nesting is fixed by the tables (report → receipt …); this only bounds a mistake in them. */
#define DEPTH_MAX 8

size_t flz_codec_size(const struct flz_codec *codec)
{
    return codec->size;
}

static void *at(void *base, size_t offset)
{
    return (uint8_t *)base + offset;
}

static const void *at_const(const void *base, size_t offset)
{
    return (const uint8_t *)base + offset;
}

static bool is_zero(const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* ---- Encoding: our struct → generated struct in a scratch arena → bytes ---- */

struct encoder {
    struct flz_arena *arena;
    int depth;
};

static int fill(struct encoder *e, const struct flz_codec *codec, const void *object,
                ProtobufCMessage **ret_message, bool *ret_empty);

static int scalar_size(enum flz_field_kind kind)
{
    switch (kind) {
    case FIELD_U32:
    case FIELD_S32: return 4;
    case FIELD_U64:
    case FIELD_S64: return 8;
    case FIELD_BOOL: return (int)sizeof(bool);
    case FIELD_FIXED:
    case FIELD_TEXT:
    case FIELD_VIEW:
    case FIELD_MESSAGE:
    case FIELD_MESSAGES:
    case FIELD_FIXEDS:
    case FIELD_VIEWS: break;
    }
    return 0;
}

static bool fill_scalar(const struct flz_field *field, const ProtobufCFieldDescriptor *descriptor,
                        const void *from, void *message)
{
    size_t size = (size_t)scalar_size(field->kind);
    if (is_zero(from, size))
        return false;
    *(protobuf_c_boolean *)at(message, descriptor->quantifier_offset) = 1;
    if (field->kind == FIELD_BOOL)
        *(protobuf_c_boolean *)at(message, descriptor->offset) = 1;
    else
        memcpy(at(message, descriptor->offset), from, size);
    return true;
}

static ProtobufCBinaryData binary(const void *data, size_t len)
{
    /* protobuf-c takes a writable pointer but only reads it when packing. */
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = len};
}

static bool fill_binary(const ProtobufCFieldDescriptor *descriptor, const void *data, size_t len,
                        void *message)
{
    *(protobuf_c_boolean *)at(message, descriptor->quantifier_offset) = 1;
    *(ProtobufCBinaryData *)at(message, descriptor->offset) = binary(data, len);
    return true;
}

static int fill_text(const struct flz_field *field, const ProtobufCFieldDescriptor *descriptor,
                     const char *text, void *message, bool *ret_set)
{
    if (!memchr(text, '\0', field->bound))
        return flz_fail(-EINVAL);
    *ret_set = text[0] != '\0';
    if (*ret_set)
        *(const char **)at(message, descriptor->offset) = text;
    return 0;
}

static int fill_repeated(struct encoder *e, const struct flz_field *field,
                         const ProtobufCFieldDescriptor *descriptor, const void *object,
                         void *message, bool *ret_set)
{
    size_t count = *(const size_t *)at_const(object, field->count_offset);
    const uint8_t *items = *(const uint8_t *const *)at_const(object, field->offset);
    *ret_set = count > 0;
    if (count == 0)
        return 0;
    if (count > field->bound)
        return flz_fail(-EINVAL);

    bool messages = field->kind == FIELD_MESSAGES;
    size_t slot = messages ? sizeof(ProtobufCMessage *) : sizeof(ProtobufCBinaryData);
    void *array = flz_arena_alloc(e->arena, count * slot);
    if (!array)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < count; i++) {
        if (messages) {
            bool empty;
            int r = fill(e, field->nested, items + i * field->nested->size,
                         &((ProtobufCMessage **)array)[i], &empty);
            if (r < 0)
                return r;
        } else if (field->kind == FIELD_VIEWS) {
            struct flz_view view = ((const struct flz_view *)(const void *)items)[i];
            ((ProtobufCBinaryData *)array)[i] = binary(view.data, view.len);
        } else {
            ((ProtobufCBinaryData *)array)[i] =
                binary(items + i * field->item_size, field->item_size);
        }
    }
    *(size_t *)at(message, descriptor->quantifier_offset) = count;
    *(void **)at(message, descriptor->offset) = array;
    return 0;
}

static int fill_message(struct encoder *e, const struct flz_field *field,
                        const ProtobufCFieldDescriptor *descriptor, const void *from,
                        void *message, bool *ret_set)
{
    ProtobufCMessage *nested;
    bool empty;
    int r = fill(e, field->nested, from, &nested, &empty);
    if (r < 0)
        return r;
    *ret_set = !empty || field->required;
    if (*ret_set)
        *(ProtobufCMessage **)at(message, descriptor->offset) = nested;
    return 0;
}

static int fill_field(struct encoder *e, const struct flz_field *field,
                      const ProtobufCFieldDescriptor *descriptor, const void *object,
                      void *message, bool *ret_set)
{
    const void *from = at_const(object, field->offset);
    const struct flz_view *view = from;
    switch (field->kind) {
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_S32:
    case FIELD_S64:
    case FIELD_BOOL: *ret_set = fill_scalar(field, descriptor, from, message); return 0;
    case FIELD_FIXED:
        *ret_set = !is_zero(from, field->bound) &&
                   fill_binary(descriptor, from, field->bound, message);
        return 0;
    case FIELD_TEXT: return fill_text(field, descriptor, from, message, ret_set);
    case FIELD_VIEW:
        if (view->len > field->bound)
            return flz_fail(-EINVAL);
        *ret_set = view->len > 0 && fill_binary(descriptor, view->data, view->len, message);
        return 0;
    case FIELD_MESSAGE: return fill_message(e, field, descriptor, from, message, ret_set);
    case FIELD_MESSAGES:
    case FIELD_FIXEDS:
    case FIELD_VIEWS: return fill_repeated(e, field, descriptor, object, message, ret_set);
    }
    assert(!"field kind");
    return 0;
}

static int fill(struct encoder *e, const struct flz_codec *codec, const void *object,
                ProtobufCMessage **ret_message, bool *ret_empty)
{
    assert(e->depth < DEPTH_MAX);
    ProtobufCMessage *message = flz_arena_alloc(e->arena, codec->descriptor->sizeof_message);
    if (!message)
        return flz_fail(-ENOMEM);
    protobuf_c_message_init(codec->descriptor, message);

    e->depth++;
    bool empty = true;
    for (size_t i = 0; i < codec->fields_count; i++) {
        bool set = false;
        int r = fill_field(e, &codec->fields[i], &codec->descriptor->fields[i], object, message,
                           &set);
        if (r < 0)
            return r;
        empty = empty && !set;
    }
    e->depth--;
    *ret_message = message;
    *ret_empty = empty;
    return 0;
}

int flz_encode(const struct flz_codec *codec, const void *object, struct flz_buf *buf)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct encoder e = {.arena = &arena};
    ProtobufCMessage *message;
    bool empty;
    int r = fill(&e, codec, object, &message, &empty);
    if (r < 0)
        return r;

    uint8_t *p = flz_buf_reserve(buf, protobuf_c_message_get_packed_size(message));
    if (!p)
        return flz_fail(-ENOMEM);
    buf->len += protobuf_c_message_pack(message, p);
    return 0;
}

/* ---- Decoding: bytes → generated struct in a scratch arena → our struct ---- */

/* protobuf-c tells no text's length: what it allocates is preceded by its size. */
#define SIZE_ROOM _Alignof(max_align_t)

static void *arena_alloc(void *data, size_t n)
{
    static_assert(sizeof n <= SIZE_ROOM, "the size fits before the block");
    uint8_t *block = n < SIZE_MAX - SIZE_ROOM ? flz_arena_alloc(data, SIZE_ROOM + n) : NULL;
    if (!block)
        return NULL;
    memcpy(block, &n, sizeof n);
    return block + SIZE_ROOM;
}

/* Octets of a text, NULs inside included. */
static size_t text_len(const char *text)
{
    size_t n;
    memcpy(&n, text - SIZE_ROOM, sizeof n);
    return n - 1;
}

static void arena_free(void *data, void *p)
{
    (void)data;
    (void)p;
}

static int take(const struct flz_codec *codec, const ProtobufCMessage *message,
                struct flz_arena *arena, void *object);

static int take_text(const struct flz_field *field, const char *text, void *to, bool *ret_set)
{
    size_t len = text ? text_len(text) : 0;
    *ret_set = len > 0;
    if (!*ret_set)
        return 0;
    if (len >= field->bound || memchr(text, '\0', len))
        return flz_fail(-EBADMSG);
    memcpy(to, text, len + 1);
    return 0;
}

static int take_view(ProtobufCBinaryData data, size_t bound, struct flz_arena *arena,
                     struct flz_view *ret_view)
{
    if (data.len > bound)
        return flz_fail(-EBADMSG);
    *ret_view = flz_arena_copy(arena, (struct flz_view){.data = data.data, .len = data.len});
    return ret_view->len == data.len ? 0 : flz_fail(-ENOMEM);
}

static int take_repeated(const struct flz_field *field, size_t count, const void *array,
                         struct flz_arena *arena, void *object)
{
    if (count > field->bound)
        return flz_fail(-EBADMSG);
    size_t size = field->kind == FIELD_MESSAGES ? field->nested->size
                  : field->kind == FIELD_VIEWS  ? sizeof(struct flz_view)
                                                : field->item_size;
    uint8_t *items = count > 0 ? flz_arena_alloc(arena, count * size) : NULL;
    if (count > 0 && !items)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < count; i++) {
        int r = 0;
        if (field->kind == FIELD_MESSAGES) {
            r = take(field->nested, ((ProtobufCMessage *const *)array)[i], arena, items + i * size);
        } else {
            ProtobufCBinaryData data = ((const ProtobufCBinaryData *)array)[i];
            if (field->kind == FIELD_VIEWS)
                r = take_view(data, FLZ_CODEC_VIEW_MAX, arena, (void *)(items + i * size));
            else if (data.len != size)
                r = flz_fail(-EBADMSG);
            else
                memcpy(items + i * size, data.data, size);
        }
        if (r < 0)
            return r;
    }
    *(size_t *)at(object, field->count_offset) = count;
    *(void **)at(object, field->offset) = items;
    return 0;
}

static int take_fixed(const struct flz_field *field, ProtobufCBinaryData data, void *to)
{
    if (data.len != field->bound)
        return flz_fail(-EBADMSG);
    memcpy(to, data.data, data.len);
    return 0;
}

static int take_field(const struct flz_field *field, const ProtobufCFieldDescriptor *descriptor,
                      const void *message, struct flz_arena *arena, void *object, bool *ret_set)
{
    const void *from = at_const(message, descriptor->offset);
    const void *quantifier = at_const(message, descriptor->quantifier_offset);
    void *to = at(object, field->offset);
    int r = 0;
    switch (field->kind) {
    case FIELD_TEXT: return take_text(field, *(const char *const *)from, to, ret_set);
    case FIELD_MESSAGE:
        *ret_set = *(ProtobufCMessage *const *)from != NULL;
        return *ret_set ? take(field->nested, *(ProtobufCMessage *const *)from, arena, to) : 0;
    case FIELD_MESSAGES:
    case FIELD_FIXEDS:
    case FIELD_VIEWS:
        *ret_set = *(const size_t *)quantifier > 0;
        return take_repeated(field, *(const size_t *)quantifier, *(const void *const *)from, arena,
                             object);
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_S32:
    case FIELD_S64:
    case FIELD_BOOL:
    case FIELD_FIXED:
    case FIELD_VIEW: break;
    }
    *ret_set = *(const protobuf_c_boolean *)quantifier;
    if (!*ret_set)
        return 0;
    if (field->kind == FIELD_FIXED)
        r = take_fixed(field, *(const ProtobufCBinaryData *)from, to);
    else if (field->kind == FIELD_VIEW)
        r = take_view(*(const ProtobufCBinaryData *)from, field->bound, arena, to);
    else if (field->kind == FIELD_BOOL)
        *(bool *)to = *(const protobuf_c_boolean *)from != 0;
    else
        memcpy(to, from, (size_t)scalar_size(field->kind));
    return r;
}

static int take(const struct flz_codec *codec, const ProtobufCMessage *message,
                struct flz_arena *arena, void *object)
{
    memset(object, 0, codec->size);
    for (size_t i = 0; i < codec->fields_count; i++) {
        bool set = false;
        int r = take_field(&codec->fields[i], &codec->descriptor->fields[i], message, arena, object,
                           &set);
        if (r < 0)
            return r;
        if (codec->fields[i].required && !set)
            return flz_fail(-EBADMSG);
    }
    return 0;
}

int flz_decode(const struct flz_codec *codec, struct flz_view bytes, struct flz_arena *arena,
               void *ret_object)
{
    _cleanup_(flz_arena_deinit) struct flz_arena scratch = FLZ_ARENA_NULL;
    ProtobufCAllocator allocator = {
        .alloc = arena_alloc, .free = arena_free, .allocator_data = &scratch};
    ProtobufCMessage *message =
        protobuf_c_message_unpack(codec->descriptor, &allocator, bytes.len, bytes.data);
    if (!message)
        return flz_fail(-EBADMSG);

    void *object = flz_arena_alloc(&scratch, codec->size);
    if (!object)
        return flz_fail(-ENOMEM);
    int r = take(codec, message, arena, object);
    if (r < 0)
        return r;
    memcpy(ret_object, object, codec->size);
    return 0;
}
