/* Lists of networks as text, one a line:
 *
 *     # people we know
 *     192.0.2.0/24     office    ; what stands behind the network is its value
 *     2001:db8::1
 */
#ifndef MW_NET_NETWORK_TEXT_H
#define MW_NET_NETWORK_TEXT_H

#include "net/network.h"

/* Where the reader stands, and what it has read there. */
struct mw_network_text {
    const char *at, *end;
    size_t line; /* from 1, of what was read last */
    struct mw_network network;
    const char *value; /* in the text, without blanks around it */
    size_t value_size; /* 0: there is none */
    const char *why;   /* of MW_NETWORK_TEXT_BAD: a static string */
};

enum mw_network_text_result {
    MW_NETWORK_TEXT_ONE,
    MW_NETWORK_TEXT_END,
    MW_NETWORK_TEXT_BAD,
};

/* Begins to read that text, which must stay. */
void mw_network_text_init(struct mw_network_text *text, const char *bytes, size_t size);

/* Reads on to the next network. Lines end with LF or CRLF; a "#" or ";" begins a remark, alone or behind a blank. */
enum mw_network_text_result mw_network_text_next(struct mw_network_text *text);

#endif
