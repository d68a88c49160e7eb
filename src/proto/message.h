/* Plain data as bytes: what processes of the daemon say to each other, what a
 * script gives to its successor, what subscribers get. Null, booleans, 64-bit
 * integers, doubles, byte strings, and tables of these. Little-endian, the same on
 * every machine. Reading is strict: bytes from anywhere are either a whole message
 * within the limits or nothing.
 *
 * A value is a byte that says its kind, and behind it
 *   integer  a varint of seven bits a byte, the lowest first, after zigzag (0, -1, 1, -2, … become 0, 1, 2, 3, …)
 *   number   the eight bytes of an IEEE double
 *   string   its length, a varint, and its bytes
 *   table    the length of its inside in four bytes, and keys and values in turn; of a kind of
 *            its own when it is marked as a list
 * A varint is never longer than it must be: what was read, written again, is the same bytes. */
#ifndef MW_PROTO_MESSAGE_H
#define MW_PROTO_MESSAGE_H

#include "base/text.h"

#include <stdint.h>

enum { MW_MESSAGE_DEPTH_MOST = 100, MW_MESSAGE_SIZE_MOST = 64 * 1024 * 1024 };

/* --- writing: appended to a text, whose `failed` says when memory is out. A table is
 * mw_message_open, then keys and values in turn, then mw_message_close with what open gave. The
 * writer sees to it that the result stays within the limits, for mw_message_read refuses it otherwise. */

void mw_message_nil(struct mw_text *text);
void mw_message_boolean(struct mw_text *text, bool value);
void mw_message_integer(struct mw_text *text, int64_t value);
void mw_message_number(struct mw_text *text, double value);
void mw_message_string(struct mw_text *text, const void *bytes, size_t size);
size_t mw_message_open(struct mw_text *text);
size_t mw_message_open_list(struct mw_text *text); /* marked as a list, whatever its keys: what is [] in JSON */
void mw_message_close(struct mw_text *text, size_t opened);

/* A key that is a C string, and its value. */
void mw_message_put_boolean(struct mw_text *text, const char *key, bool value);
void mw_message_put_integer(struct mw_text *text, const char *key, int64_t value);
void mw_message_put_number(struct mw_text *text, const char *key, double value);
void mw_message_put_string(struct mw_text *text, const char *key, const char *value); /* NULL: nothing is put */

/* --- reading --- */

enum mw_value_type {
    MW_VALUE_NIL,
    MW_VALUE_BOOLEAN,
    MW_VALUE_INTEGER,
    MW_VALUE_NUMBER,
    MW_VALUE_STRING,
    MW_VALUE_TABLE
};

/* A value within a message, which must outlive it. */
struct mw_value {
    enum mw_value_type type;
    bool boolean; /* of a table: it is marked as a list */
    int64_t integer;
    double number;     /* of an integer, too */
    const char *bytes; /* of a string, or the inside of a table */
    size_t size;
};

/* Reads the one value that `bytes` are. False when they are no message: cut short, too
 * long, too deep, of an unknown kind, a table key that is nil, not a number or a table, or
 * more behind the value. A key may occur twice. */
bool mw_message_read(struct mw_value *value, const void *bytes, size_t size);

/* The next pair of a table that mw_message_read has accepted; `*at` is 0 at first. False when there
 * is none, or `table` is no table. */
bool mw_value_next(const struct mw_value *table, size_t *at, struct mw_value *key, struct mw_value *value);

/* The value of a string key, the first one; nil when there is none or `table` is no table. */
struct mw_value mw_value_field(const struct mw_value *table, const char *key);

/* The same for what is expected to be of a kind, and otherwise `otherwise`. */
int64_t mw_value_integer(const struct mw_value *table, const char *key, int64_t otherwise);
double mw_value_number(const struct mw_value *table, const char *key, double otherwise);
bool mw_value_boolean(const struct mw_value *table, const char *key, bool otherwise);
/* A copy with a NUL behind, cut to `size`, which is not 0; "" when there is none. Returns `text`. */
const char *mw_value_string(const struct mw_value *table, const char *key, char *text, size_t size);

#endif
