/* layers: base proto */
/* ClientHello: however the bytes are cut, and whether they are looked at again or not, the same comes out. */
#include "proto/clienthello.h"
#include "target.h"

#include <string.h>

static void check_names(const struct mw_clienthello *hello) {
    size_t at = 0;
    must(hello->name_size <= sizeof hello->name && hello->protocols_size <= sizeof hello->protocols);
    must(!memchr(hello->name, '\0', hello->name_size));
    while (at < hello->protocols_size) {
        at += 1 + (size_t)(uint8_t)hello->protocols[at];
    }
    must(at == hello->protocols_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    enum { MOST = 8192 };
    struct mw_clienthello whole = {0}, grown = {0};
    enum mw_clienthello_result result = mw_clienthello_look(&whole, bytes, size, MOST), again = MW_CLIENTHELLO_MORE;
    for (size_t there = 0; there <= size && again == MW_CLIENTHELLO_MORE; there++) {
        uint8_t *copy = malloc(there + 1);
        memcpy(copy + 1, bytes, there);
        again = mw_clienthello_look(&grown, copy + 1, there, MOST);
        free(copy);
        must(again != MW_CLIENTHELLO_MORE || (grown.wanted > there && grown.wanted <= MOST));
    }
    must(again == result);
    must((result == MW_CLIENTHELLO_BAD) == (whole.why != NULL));
    if (result == MW_CLIENTHELLO_DONE) {
        must(memcmp(&whole, &grown, sizeof whole) == 0 && whole.at <= size);
        check_names(&whole);
    }
    return 0;
}
