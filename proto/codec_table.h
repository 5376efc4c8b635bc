/*
 * How a message's table is written; seen by the codec and by the tables only (this header names
 * generated types, so it is included by proto/ alone).
 */
#pragma once

#include "proto/codec.h"

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

enum flz_field_kind {
    FIELD_U32,
    FIELD_U64,
    FIELD_S32,
    FIELD_S64,
    FIELD_BOOL,
    FIELD_FIXED, /* exactly `bound` bytes held in place; all zero = absent */
    FIELD_TEXT,  /* char[bound] */
    FIELD_VIEW,  /* struct flz_view, at most `bound` bytes */
    FIELD_MESSAGE,
    /* Repeated: a pointer to an array in the arena, and a size_t count; at most `bound` items. */
    FIELD_MESSAGES,
    FIELD_FIXEDS, /* items of `item_size` bytes */
    FIELD_VIEWS,
};

struct flz_field {
    const char *name; /* as in the .proto file */
    enum flz_field_kind kind;
    bool required;
    size_t offset;
    size_t count_offset;
    size_t bound;
    size_t item_size;
    const struct flz_codec *nested;
};

struct flz_codec {
    const ProtobufCMessageDescriptor *descriptor;
    const struct flz_field *fields;
    size_t fields_count;
    size_t size;
};

#define MEMBER_SIZE(s, f) sizeof(((struct s *)0)->f)
#define U32(s, f) {.name = #f, .kind = FIELD_U32, .offset = offsetof(struct s, f)}
#define U64(s, f) {.name = #f, .kind = FIELD_U64, .offset = offsetof(struct s, f)}
#define S32(s, f) {.name = #f, .kind = FIELD_S32, .offset = offsetof(struct s, f)}
#define S64(s, f) {.name = #f, .kind = FIELD_S64, .offset = offsetof(struct s, f)}
#define BOOL(s, f) {.name = #f, .kind = FIELD_BOOL, .offset = offsetof(struct s, f)}
#define FIXED(s, f)                                                                                \
    {.name = #f, .kind = FIELD_FIXED, .offset = offsetof(struct s, f), .bound = MEMBER_SIZE(s, f)}
#define FIXED_REQUIRED(s, f)                                                                       \
    {.name = #f,                                                                                   \
     .kind = FIELD_FIXED,                                                                          \
     .required = true,                                                                             \
     .offset = offsetof(struct s, f),                                                              \
     .bound = MEMBER_SIZE(s, f)}
#define U32_REQUIRED(s, f)                                                                         \
    {.name = #f, .kind = FIELD_U32, .required = true, .offset = offsetof(struct s, f)}
#define TEXT(s, f)                                                                                 \
    {.name = #f, .kind = FIELD_TEXT, .offset = offsetof(struct s, f), .bound = MEMBER_SIZE(s, f)}
#define VIEW(s, f, max)                                                                            \
    {.name = #f, .kind = FIELD_VIEW, .offset = offsetof(struct s, f), .bound = (max)}
#define MESSAGE(s, f, codec)                                                                       \
    {.name = #f, .kind = FIELD_MESSAGE, .offset = offsetof(struct s, f), .nested = &(codec)}
#define MESSAGE_REQUIRED(s, f, codec)                                                              \
    {.name = #f,                                                                                   \
     .kind = FIELD_MESSAGE,                                                                        \
     .required = true,                                                                             \
     .offset = offsetof(struct s, f),                                                              \
     .nested = &(codec)}
#define MESSAGES(s, f, max, codec)                                                                 \
    {.name = #f,                                                                                   \
     .kind = FIELD_MESSAGES,                                                                       \
     .offset = offsetof(struct s, f),                                                              \
     .count_offset = offsetof(struct s, f##_count),                                                \
     .bound = (max),                                                                               \
     .nested = &(codec)}
#define FIXEDS(s, f, max)                                                                          \
    {.name = #f,                                                                                   \
     .kind = FIELD_FIXEDS,                                                                         \
     .offset = offsetof(struct s, f),                                                              \
     .count_offset = offsetof(struct s, f##_count),                                                \
     .bound = (max),                                                                               \
     .item_size = sizeof(*((struct s *)0)->f)}
#define VIEWS(s, f, max)                                                                           \
    {.name = #f,                                                                                   \
     .kind = FIELD_VIEWS,                                                                          \
     .offset = offsetof(struct s, f),                                                              \
     .count_offset = offsetof(struct s, f##_count),                                                \
     .bound = (max)}

/* Defines the codec `flz_codec_<name>` of `struct <type>` from the rows that follow. */
#define CODEC(codec_name, generated, type, ...)                                                    \
    static const struct flz_field codec_name##_fields[] = {__VA_ARGS__};                           \
    const struct flz_codec flz_codec_##codec_name = {                                              \
        .descriptor = &generated##__descriptor,                                                    \
        .fields = codec_name##_fields,                                                             \
        .fields_count = sizeof codec_name##_fields / sizeof *codec_name##_fields,                  \
        .size = sizeof(struct type),                                                               \
    }
