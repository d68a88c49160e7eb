/* layers: base */
/* Bytes as text and back: what is encoded is decoded as the same, in the room
 * that is promised to be enough, and a text that is refused has a place for it. */
#include "base/codec.h"
#include "target.h"

#include <string.h>

enum kind { BASE64, HEX, URL, QP, KINDS };

struct codec {
    enum kind kind;
    struct mw_base64 base64;
    bool flag; /* plus or binary */
};

static char *room_of(size_t size) {
    char *room = malloc(size);
    must(room != NULL);
    return room;
}

static bool decode(const struct codec *codec, const char *text, size_t length, char *data, size_t *size) {
    struct mw_codec_fault fault = {SIZE_MAX, NULL};
    bool ok = codec->kind == BASE64 ? mw_base64_decode(&codec->base64, text, length, data, size, &fault)
              : codec->kind == HEX  ? mw_hex_decode(text, length, data, size, &fault)
              : codec->kind == URL  ? mw_url_decode(codec->flag, text, length, data, size, &fault)
                                    : mw_qp_decode(text, length, data, size, &fault);
    must(ok ? *size <= length : fault.at <= length && fault.why && *fault.why);
    return ok;
}

/* The text, in a block of its own. */
static char *encode(const struct codec *codec, const char *data, size_t size, size_t *length) {
    size_t room = codec->kind == BASE64 ? mw_base64_room(size)
                  : codec->kind == HEX  ? size * 2
                  : codec->kind == URL  ? size * 3
                                        : mw_qp_room(size);
    char *text = room_of(room);
    switch (codec->kind) {
    case BASE64:
        *length = mw_base64_encode(&codec->base64, data, size, text);
        break;
    case HEX:
        mw_hex_encode(data, size, text);
        *length = room;
        break;
    case URL:
        *length = mw_url_encode(codec->flag, data, size, text);
        break;
    default:
        *length = mw_qp_encode(codec->flag, data, size, text);
    }
    must(*length <= room);
    return text;
}

/* Line ends of text may be written in another way: makes all of them LF. */
static size_t unify(char *data, size_t size) {
    size_t kept = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\r' || i + 1 == size || data[i + 1] != '\n') {
            data[kept++] = data[i];
        }
    }
    return kept;
}

static void check_lines(const char *text, size_t length) {
    for (size_t i = 0, column = 0; i < length; i++) {
        column = text[i] == '\n' ? 0 : column + (text[i] != '\r');
        must(column <= 76);
    }
}

/* Changes the data of quoted-printable text: its line ends become the same. */
static void check_round_trip(const struct codec *codec, char *data, size_t size) {
    size_t length, decoded;
    char *text = encode(codec, data, size, &length), *again = room_of(length);
    must(decode(codec, text, length, again, &decoded));
    if (codec->kind == QP) {
        check_lines(text, length);
    }
    if (codec->kind == QP && !codec->flag) {
        size = unify(data, size);
        decoded = unify(again, decoded);
    }
    must(decoded == size && memcmp(again, data, size) == 0);
    free(text);
    free(again);
}

/* Where a value has one text only, what was decoded is encoded as that. */
static void check_text(const struct codec *codec, const char *text, size_t length) {
    char *data = room_of(length);
    size_t size, again_length;
    if (decode(codec, text, length, data, &size)) {
        if (codec->kind == BASE64 && codec->base64.padded && !codec->base64.spaced) {
            char *again = encode(codec, data, size, &again_length);
            must(again_length == length && memcmp(again, text, length) == 0);
            free(again);
        }
        check_round_trip(codec, data, size);
    }
    free(data);
}

/* The first byte says which codec, the others are taken as text, then as data. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct input input = {bytes, size};
    unsigned how = input_byte(&input);
    struct codec codec = {
        how % KINDS,
        {.url = how & 0x10, .padded = how & 0x20, .spaced = how & 0x40},
        .flag = how & 0x10,
    };
    size_t length = input.left;
    char *text = room_of(length);
    memcpy(text, input.at, length);
    check_text(&codec, text, length);
    check_round_trip(&codec, text, length);
    free(text);
    return 0;
}
