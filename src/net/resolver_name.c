#include "net/resolver_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_MAX = 63 };

static const char *check_byte(unsigned char byte) {
    if (byte <= ' ' || byte == 0x7f) {
        return "a name has no spaces or control bytes";
    }
    if (byte > 0x7f) {
        return "a name is ASCII; write it in its xn-- form";
    }
    return byte == '\\' ? "a name has no backslash" : NULL;
}

/* A dot at the end is allowed: it says that the name is complete. */
const char *mw_name_check(const char *name, size_t length) {
    if (length == 0 || length > MW_HOST_MAX) {
        return length == 0 ? "the name is empty" : "a name has at most 253 bytes";
    }
    if (length == 1 && (name[0] == '*' || name[0] == '.')) {
        return "this is no name of a host";
    }
    size_t label = 0;
    for (size_t i = 0; i < length; i++) {
        const char *why = check_byte((unsigned char)name[i]);
        if (why) {
            return why;
        }
        if (name[i] == '.' && label == 0) {
            return "a part between two dots is empty";
        }
        label = name[i] == '.' ? 0 : label + 1;
        if (label > LABEL_MAX) {
            return "a part between two dots has at most 63 bytes";
        }
    }
    return NULL;
}

bool mw_name_numeric(struct mw_addr *addr, const char *name, size_t length, uint16_t port) {
    struct mw_address address = {.scheme = MW_SCHEME_TCP, .port = port, .fd = -1};
    bool any = length == 0 || (length == 1 && name[0] == '*');
    if (any || length > MW_HOST_MAX || memchr(name, '\0', length)) {
        return false;
    }
    memcpy(address.host, name, length);
    return mw_addr_resolve(addr, &address);
}

static void reverse_v4(const uint8_t bytes[4], char text[MW_NAME_REVERSE]) {
    snprintf(text, MW_NAME_REVERSE, "%u.%u.%u.%u.in-addr.arpa", bytes[3], bytes[2], bytes[1], bytes[0]);
}

void mw_name_reverse(const struct mw_addr *addr, char text[MW_NAME_REVERSE]) {
    static const char digits[] = "0123456789abcdef";
    if (addr->any.sa_family == AF_INET) {
        reverse_v4((const uint8_t *)&addr->v4.sin_addr, text);
        return;
    }
    const uint8_t *bytes = addr->v6.sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&addr->v6.sin6_addr)) {
        reverse_v4(bytes + 12, text);
        return;
    }
    for (int i = 15; i >= 0; i--) {
        *text++ = digits[bytes[i] & 15];
        *text++ = '.';
        *text++ = digits[bytes[i] >> 4];
        *text++ = '.';
    }
    memcpy(text, "ip6.arpa", sizeof "ip6.arpa");
}

void mw_name_key(char key[MW_NAME_KEY], char kind, const char *name) {
    *key++ = kind;
    for (; *name; name++) {
        *key++ = (char)tolower((unsigned char)*name);
    }
    *key = '\0';
}

void mw_name_printable(char text[MW_HOST_MAX + 1], const char *name, size_t length) {
    size_t count = length < MW_HOST_MAX ? length : MW_HOST_MAX;
    for (size_t i = 0; i < count; i++) {
        text[i] = (char)(name[i] > ' ' && name[i] < 0x7f ? name[i] : '?');
    }
    text[count] = '\0';
}
