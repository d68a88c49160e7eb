/* Version 1 of the PROXY protocol: "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"; and which version a header
 * is of. */
#include "proto/proxyhdr_internal.h"

#include <arpa/inet.h>
#include <string.h>

enum { LINE_MAX = 107 }; /* bytes of a version 1 header with CRLF (section 2.1) */

/* --- words --- */

struct words {
    const char *at, *end;
};

/* The next word, and behind the space that ends it, if there is one. False: none. */
static bool next_word(struct words *words, char *word, size_t room) {
    const char *space = memchr(words->at, ' ', (size_t)(words->end - words->at));
    const char *stop = space ? space : words->end;
    size_t size = (size_t)(stop - words->at);
    if (size == 0 || size >= room || memchr(words->at, '\0', size)) {
        return false;
    }
    memcpy(word, words->at, size);
    word[size] = '\0';
    words->at = space ? space + 1 : words->end;
    return true;
}

/* A port in decimal, without zeros before it. */
static bool next_port(struct words *words, in_port_t *port) {
    char word[6];
    unsigned number = 0;
    if (!next_word(words, word, sizeof word) || (word[0] == '0' && word[1])) {
        return false;
    }
    for (const char *at = word; *at; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        number = number * 10 + (unsigned)(*at - '0');
    }
    *port = htons((uint16_t)number);
    return number <= UINT16_MAX;
}

static bool next_address(struct words *words, int family, void *bytes) {
    char word[INET6_ADDRSTRLEN];
    return next_word(words, word, sizeof word) && inet_pton(family, word, bytes) == 1;
}

/* --- the line --- */

static bool read_v4(struct mw_proxyhdr *header, struct words *words) {
    struct sockaddr_in *from = &header->source.v4, *to = &header->destination.v4;
    header->source.length = header->destination.length = sizeof *from;
    from->sin_family = to->sin_family = AF_INET;
    return next_address(words, AF_INET, &from->sin_addr) && next_address(words, AF_INET, &to->sin_addr) &&
           next_port(words, &from->sin_port) && next_port(words, &to->sin_port);
}

static bool read_v6(struct mw_proxyhdr *header, struct words *words) {
    struct sockaddr_in6 *from = &header->source.v6, *to = &header->destination.v6;
    header->source.length = header->destination.length = sizeof *from;
    from->sin6_family = to->sin6_family = AF_INET6;
    return next_address(words, AF_INET6, &from->sin6_addr) && next_address(words, AF_INET6, &to->sin6_addr) &&
           next_port(words, &from->sin6_port) && next_port(words, &to->sin6_port);
}

/* Behind UNKNOWN anything may stand, and means nothing. */
static enum mw_proxyhdr_result read_line(struct mw_proxyhdr *header, const char *line, const char *end) {
    struct words words = {.at = line + 6, .end = end};
    char protocol[8];
    bool is_right = false;
    if (!next_word(&words, protocol, sizeof protocol)) {
        return mw_proxyhdr_refuse(header, "a PROXY header without a protocol");
    }
    if (strcmp(protocol, "UNKNOWN") == 0) {
        return MW_PROXYHDR_DONE;
    }
    if (strcmp(protocol, "TCP4") == 0) {
        is_right = read_v4(header, &words);
    } else if (strcmp(protocol, "TCP6") == 0) {
        is_right = read_v6(header, &words);
    }
    if (!is_right || words.at != end || end[-1] == ' ') {
        return mw_proxyhdr_refuse(header, "a bad PROXY header");
    }
    return MW_PROXYHDR_DONE;
}

enum mw_proxyhdr_result mw_proxyhdr_parse_1(struct mw_proxyhdr *header, const char *bytes, size_t size) {
    size_t looked = size < LINE_MAX ? size : LINE_MAX;
    const char *end = memchr(bytes, '\r', looked), *feed = memchr(bytes, '\n', looked);
    header->version = 1;
    if (feed ? !end || feed != end + 1 : end && end + 1 < bytes + looked) {
        return mw_proxyhdr_refuse(header, "a PROXY header that does not end with CRLF");
    }
    if (!feed) {
        return size < LINE_MAX ? MW_PROXYHDR_MORE
                                 : mw_proxyhdr_refuse(header, "a PROXY header that is too long");
    }
    header->size = (uint16_t)(feed + 1 - bytes);
    return read_line(header, bytes, end);
}

static bool begins(const char *bytes, size_t size, const char *with, size_t length) {
    return memcmp(bytes, with, size < length ? size : length) == 0;
}

enum mw_proxyhdr_result mw_proxyhdr_parse(struct mw_proxyhdr *header, const void *bytes, size_t size) {
    memset(header, 0, sizeof *header);
    if (size == 0) {
        return MW_PROXYHDR_MORE;
    }
    if (begins(bytes, size, "PROXY ", 6)) {
        return mw_proxyhdr_parse_1(header, bytes, size);
    }
    if (begins(bytes, size, mw_proxyhdr_signature, MW_PROXYHDR_SIGNATURE)) {
        return mw_proxyhdr_parse_2(header, bytes, size);
    }
    return mw_proxyhdr_refuse(header, "no PROXY header");
}
