#include "proto/clienthello.h"

#include <string.h>

enum {
    RECORD_HEAD = 5,
    RECORD_MOST = 16384, /* RFC 8446 §5.1 */
    HANDSHAKE = 22,
    CLIENT_HELLO = 1,
    RANDOM = 32,
    SESSION_ID_MOST = 32,
    EXTENSIONS_MOST = 128, /* browsers send some twenty */
    SERVER_NAME = 0,
    HOST_NAME = 0,
    ALPN = 16,
    PRE_SHARED_KEY = 41,
    SUPPORTED_VERSIONS = 43,
    ENCRYPTED = 0xfe0d,
    NEWEST = 0x0304,
};

/* Bytes of the message, wherever the records are cut. */
struct reader {
    struct mw_clienthello *hello;
    const uint8_t *bytes;
    size_t at, record; /* the next byte; how many are left in its record */
    size_t left;       /* in the innermost vector that is open */
};

static bool refuse(struct mw_clienthello *hello, const char *why) {
    hello->why = hello->why ? hello->why : why;
    return false;
}

static bool is_good(const struct reader *reader) {
    return !reader->hello->why;
}

static unsigned record_length(const uint8_t *head) {
    return (unsigned)head[3] << 8 | head[4];
}

/* --- reading the message --- */

static void enter_record(struct reader *reader) {
    reader->record = record_length(reader->bytes + reader->at);
    reader->at += RECORD_HEAD;
}

static unsigned read_byte(struct reader *reader) {
    if (reader->left == 0) {
        refuse(reader->hello, "it ends too early");
        return 0;
    }
    if (reader->record == 0) {
        enter_record(reader);
    }
    reader->left--;
    reader->record--;
    return reader->bytes[reader->at++];
}

static unsigned read_number(struct reader *reader, int bytes) {
    unsigned number = 0;
    while (bytes-- > 0) {
        number = number << 8 | read_byte(reader);
    }
    return number;
}

static void skip(struct reader *reader, size_t count) {
    while (count > 0 && is_good(reader)) {
        size_t here = count < reader->record ? count : reader->record;
        if (count > reader->left) {
            refuse(reader->hello, "it ends too early");
        } else if (here == 0) {
            enter_record(reader);
        } else {
            reader->at += here;
            reader->record -= here;
            reader->left -= here;
            count -= here;
        }
    }
}

/* A vector with that many bytes for its length: from now on it is all there is. Returns what lies behind it, for
 * leave_vector. */
static size_t enter_vector(struct reader *reader, int bytes, size_t least, size_t most) {
    size_t size = read_number(reader, bytes), behind;
    if (size > reader->left || size < least || size > most) {
        refuse(reader->hello, "a length in it is wrong");
        size = 0;
    }
    behind = reader->left - size;
    reader->left = size;
    return behind;
}

static void leave_vector(struct reader *reader, size_t behind) {
    if (reader->left > 0) {
        refuse(reader->hello, "a length in it is wrong");
    }
    reader->left = behind;
}

/* --- extensions --- */

static char small(unsigned byte) {
    return (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
}

static bool is_of_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* RFC 6066 §3: one name of each kind, and there is only one kind. */
static void read_name(struct reader *reader) {
    struct mw_clienthello *hello = reader->hello;
    size_t list = enter_vector(reader, 2, 4, 0xffff);
    if (read_byte(reader) != HOST_NAME) {
        refuse(hello, "a server name of a kind that does not exist");
    }
    size_t behind = enter_vector(reader, 2, 1, MW_CLIENTHELLO_NAME);
    char last = '.';
    while (reader->left > 0 && is_good(reader)) {
        char c = small(read_byte(reader));
        if (!is_of_name(c) || (c == '.' && last == '.')) {
            refuse(hello, "a server name that is none");
        }
        hello->name[hello->name_size++] = last = c;
    }
    if (last == '.') {
        refuse(hello, "a server name that is none");
    }
    leave_vector(reader, behind);
    leave_vector(reader, list);
}

static void read_protocols(struct reader *reader) {
    struct mw_clienthello *hello = reader->hello;
    size_t behind = enter_vector(reader, 2, 2, sizeof hello->protocols);
    while (reader->left > 0 && is_good(reader)) {
        size_t size = read_byte(reader);
        if (size == 0 || size > reader->left) {
            refuse(hello, "a length in it is wrong");
            return;
        }
        hello->protocols[hello->protocols_size++] = (char)size;
        while (size-- > 0) {
            hello->protocols[hello->protocols_size++] = (char)read_byte(reader);
        }
    }
    leave_vector(reader, behind);
}

/* Others than those we know, as RFC 8701 has clients send them, do not count. */
static void read_versions(struct reader *reader) {
    size_t behind = enter_vector(reader, 1, 2, 254);
    unsigned best = 0;
    while (reader->left > 0 && is_good(reader)) {
        unsigned version = read_number(reader, 2);
        best = version <= NEWEST && version > best ? version : best;
    }
    reader->hello->version = (uint16_t)best;
    leave_vector(reader, behind);
}

static void read_extension(struct reader *reader, unsigned type) {
    switch (type) {
    case SERVER_NAME:
        read_name(reader);
        break;
    case ALPN:
        read_protocols(reader);
        break;
    case SUPPORTED_VERSIONS:
        read_versions(reader);
        break;
    case ENCRYPTED:
        reader->hello->is_encrypted = true;
        skip(reader, reader->left);
        break;
    default:
        skip(reader, reader->left);
    }
}

static bool is_among(const uint16_t *types, size_t count, unsigned type) {
    for (size_t i = 0; i < count; i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return false;
}

static void read_extensions(struct reader *reader) {
    uint16_t types[EXTENSIONS_MOST];
    size_t count = 0, all = enter_vector(reader, 2, 0, 0xffff);
    while (reader->left > 0 && is_good(reader)) {
        unsigned type = read_number(reader, 2);
        if (is_among(types, count, type)) {
            refuse(reader->hello, "an extension stands in it twice");
        } else if (count == EXTENSIONS_MOST) {
            refuse(reader->hello, "too many extensions");
        } else if (count > 0 && types[count - 1] == PRE_SHARED_KEY) {
            refuse(reader->hello, "something stands behind the pre-shared key");
        } else {
            size_t behind = enter_vector(reader, 2, 0, 0xffff);
            types[count++] = (uint16_t)type;
            read_extension(reader, type);
            leave_vector(reader, behind);
        }
    }
    leave_vector(reader, all);
}

/* --- the message --- */

static void read_ciphers(struct reader *reader) {
    size_t behind = enter_vector(reader, 2, 2, 0xfffe);
    if (reader->left % 2) {
        refuse(reader->hello, "half a cipher suite");
    }
    skip(reader, reader->left);
    leave_vector(reader, behind);
}

static void read_compression(struct reader *reader) {
    size_t behind = enter_vector(reader, 1, 1, 255);
    bool has_none = false;
    while (reader->left > 0 && is_good(reader)) {
        has_none = read_byte(reader) == 0 || has_none;
    }
    if (!has_none) {
        refuse(reader->hello, "it insists on compression");
    }
    leave_vector(reader, behind);
}

static enum mw_clienthello_result read_message(struct mw_clienthello *hello, const uint8_t *bytes) {
    struct reader reader = {.hello = hello, .bytes = bytes, .left = hello->message};
    skip(&reader, sizeof hello->head);
    hello->version = (uint16_t)read_number(&reader, 2);
    if (hello->version >> 8 != 3) {
        refuse(hello, "a version that does not exist");
    }
    skip(&reader, RANDOM);
    size_t behind = enter_vector(&reader, 1, 0, SESSION_ID_MOST);
    skip(&reader, reader.left);
    leave_vector(&reader, behind);
    read_ciphers(&reader);
    read_compression(&reader);
    if (reader.left > 0 && is_good(&reader)) {
        read_extensions(&reader);
    }
    leave_vector(&reader, 0);
    return is_good(&reader) ? MW_CLIENTHELLO_DONE : MW_CLIENTHELLO_BAD;
}

/* --- its records --- */

/* What is there of a record's head. RFC 8446 §5.1: no other record may come in between, none is empty. */
static bool check_head(struct mw_clienthello *hello, const uint8_t *head, size_t there) {
    if (there > 0 && head[0] != HANDSHAKE) {
        return refuse(hello, hello->at ? "another record in the middle of it" : "it is not TLS");
    }
    if (there > 1 && head[1] != 3) {
        return refuse(hello, "it is not TLS");
    }
    if (there >= RECORD_HEAD && (record_length(head) == 0 || record_length(head) > RECORD_MOST)) {
        return refuse(hello, "a record of a length that does not exist");
    }
    return true;
}

static bool check_type(struct mw_clienthello *hello, const uint8_t *head, size_t there) {
    return hello->at > 0 || there <= RECORD_HEAD || head[RECORD_HEAD] == CLIENT_HELLO ||
           refuse(hello, "the handshake begins with another message");
}

/* A record that is all there. */
static bool gather(struct mw_clienthello *hello, const uint8_t *record) {
    size_t length = record_length(record);
    for (size_t i = 0; i < length && hello->gathered + i < sizeof hello->head; i++) {
        hello->head[hello->gathered + i] = record[RECORD_HEAD + i];
    }
    hello->gathered += length;
    hello->at += RECORD_HEAD + length;
    if (hello->gathered >= sizeof hello->head) {
        size_t body = (size_t)hello->head[1] << 16 | (size_t)hello->head[2] << 8 | hello->head[3];
        hello->message = body + sizeof hello->head;
    }
    return hello->message == 0 || hello->gathered <= hello->message || refuse(hello, "something stands behind it");
}

static bool is_complete(const struct mw_clienthello *hello) {
    return hello->message > 0 && hello->gathered == hello->message;
}

/* At least so many bytes it will have. */
static size_t least_size(const struct mw_clienthello *hello) {
    return hello->at + RECORD_HEAD + (hello->message > hello->gathered ? hello->message - hello->gathered : 0);
}

/* The next record. MORE: it is there, or more is needed to say so. Its bytes are judged in the order in which they
 * come, so that the verdict does not depend on how many come at a time. */
static enum mw_clienthello_result look_at_record(struct mw_clienthello *hello, const uint8_t *record, size_t there,
                                                 size_t most) {
    if (least_size(hello) > most) {
        return MW_CLIENTHELLO_LARGE;
    }
    if (!check_head(hello, record, there)) {
        return MW_CLIENTHELLO_BAD;
    }
    hello->wanted = hello->at + RECORD_HEAD + (there < RECORD_HEAD ? 0 : record_length(record));
    if (hello->wanted > most) {
        return MW_CLIENTHELLO_LARGE;
    }
    return check_type(hello, record, there) ? MW_CLIENTHELLO_MORE : MW_CLIENTHELLO_BAD;
}

enum mw_clienthello_result mw_clienthello_look(struct mw_clienthello *hello, const void *all, size_t size,
                                               size_t most) {
    const uint8_t *bytes = all;
    while (!is_complete(hello)) {
        enum mw_clienthello_result result = look_at_record(hello, bytes + hello->at, size - hello->at, most);
        if (result != MW_CLIENTHELLO_MORE || size < hello->wanted) {
            return result;
        }
        if (!gather(hello, bytes + hello->at)) {
            return MW_CLIENTHELLO_BAD;
        }
    }
    return read_message(hello, bytes);
}
