#include "script/l_address.h"

#include "net/network.h"

#include <lauxlib.h>
#include <string.h>

/* Of text in brackets, or of one that has a single colon, what belongs to the address. */
static void cut_port(const char **text, size_t *size) {
    const char *colon = memchr(*text, ':', *size), *end = *text + *size;
    if (*size && **text == '[') {
        const char *close = memchr(*text, ']', *size);
        *text += 1;
        *size = close ? (size_t)(close - *text) : 0;
    } else if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
        *size = (size_t)(colon - *text);
    }
}

bool mw_l_check_address_bytes(lua_State *L, int index, uint8_t bytes[16]) {
    struct mw_network network = {.bits = 0};
    const char *why;
    size_t size;
    const char *text = luaL_checklstring(L, index, &size);
    cut_port(&text, &size);
    if (memchr(text, '/', size) || !mw_network_parse(&network, text, size, &why)) {
        return false;
    }
    memcpy(bytes, network.bytes, sizeof network.bytes);
    return true;
}
