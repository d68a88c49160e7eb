/* layers: base */
/* wrap: getrandom */
#include "base/hash.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/random.h>

#include <cmocka.h>

static bool without_random;

ssize_t wrapped_getrandom(void *bytes, size_t size, unsigned flags) __asm__("__wrap_getrandom");
ssize_t libc_getrandom(void *bytes, size_t size, unsigned flags) __asm__("__real_getrandom");

ssize_t wrapped_getrandom(void *bytes, size_t size, unsigned flags) {
    if (without_random) {
        errno = ENOSYS;
        return -1;
    }
    return libc_getrandom(bytes, size, flags);
}

/* The bytes 0, 1, 2, … under the key of the bytes 0 to 15: appendix A of the paper, and vectors of its authors. */
static void is_siphash(void **state) {
    (void)state;
    const struct mw_hash_key key = {.words = {0x0706050403020100, 0x0f0e0d0c0b0a0908}};
    unsigned char bytes[15];
    for (unsigned char i = 0; i < sizeof bytes; i++) {
        bytes[i] = i;
    }
    assert_int_equal(mw_hash(&key, bytes, 0), 0x726fdb47dd0e0e31);
    assert_int_equal(mw_hash(&key, bytes, 1), 0x74f839c593dc67fd);
    assert_int_equal(mw_hash(&key, bytes, 8), 0x93f5f5799a932462);
    assert_int_equal(mw_hash(&key, bytes, 15), 0xa129ca6149be45e5);
}

static void keys_differ(void **state) {
    (void)state;
    struct mw_hash_key one, other;
    assert_true(mw_hash_key_draw(&one) && mw_hash_key_draw(&other));
    assert_int_not_equal(mw_hash(&one, "word", 4), mw_hash(&other, "word", 4));
}

static void says_when_there_is_no_key(void **state) {
    (void)state;
    struct mw_hash_key key;
    without_random = true;
    assert_false(mw_hash_key_draw(&key));
    assert_int_equal(errno, ENOSYS);
    without_random = false;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_siphash),
        cmocka_unit_test(keys_differ),
        cmocka_unit_test(says_when_there_is_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
