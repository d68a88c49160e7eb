/* ClientHello of TLS (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301): what a client asks for, read without taking part.
 * Strict, because another one decides by the same bytes: what says two things, or could be read in two ways, is
 * refused. Nothing is allocated. The message may lie in any number of records, and come in any pieces. */
#ifndef MW_PROTO_CLIENTHELLO_H
#define MW_PROTO_CLIENTHELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mw_clienthello_result {
    MW_CLIENTHELLO_LARGE = -2, /* it would have more bytes than allowed */
    MW_CLIENTHELLO_BAD = -1,   /* no ClientHello, or a bad one */
    MW_CLIENTHELLO_MORE,       /* more bytes are needed */
    MW_CLIENTHELLO_DONE,
};

enum {
    MW_CLIENTHELLO_MOST = 65536,    /* bytes, headers of records included, that one may have at all */
    MW_CLIENTHELLO_NAME = 255,      /* of a server name */
    MW_CLIENTHELLO_PROTOCOLS = 512, /* of all names of ALPN, each with its length */
};

/* Zeroed before the first look. */
struct mw_clienthello {
    size_t wanted; /* of MORE: so many bytes from the start are worth another look */
    uint16_t version; /* the highest that it offers: 0x0304 is TLS 1.3 */
    bool is_encrypted; /* it has an encrypted ClientHello inside, and the name is that of who can read it */
    uint16_t name_size, protocols_size; /* 0: it has none */
    char name[MW_CLIENTHELLO_NAME]; /* in small letters: letters, digits, '-', '_' and '.' */
    char protocols[MW_CLIENTHELLO_PROTOCOLS]; /* each behind a byte with its length */
    const char *why; /* of BAD */
    /* How far it was read: */
    size_t at; /* where the next record begins */
    size_t gathered, message; /* bytes of the message in the records before; that it has (0: not yet known) */
    uint8_t head[4]; /* of the message */
};

/* Looks at the first `size` bytes of a connection, all of them at each call; those that were looked at already
 * are not looked at again until the message is complete. `most`: bytes that it may have. What cannot become a
 * ClientHello is refused as soon as that is seen. So is one with something behind it in its last record. */
enum mw_clienthello_result mw_clienthello_look(struct mw_clienthello *hello, const void *bytes, size_t size,
                                               size_t most);

#endif
