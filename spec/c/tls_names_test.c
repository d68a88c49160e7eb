/* layers: base loop net */
#include "net/tls_names.h"
#include "support/alloc_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct mw_tls_names *make(const char *const *list) {
    struct mw_tls_names *names = mw_tls_names_new();
    assert_non_null(names);
    for (size_t i = 0; list[i]; i++) {
        assert_true(mw_tls_names_add(names, list[i], strlen(list[i]), i));
    }
    mw_tls_names_sort(names);
    return names;
}

static void a_name_is_found_exactly_or_under_its_wildcard(void **state) {
    (void)state;
    const char *const list[] = {"example.org", "*.example.org", "Mail.Example.org", "*.org", "localhost", NULL};
    struct mw_tls_names *names = make(list);
    assert_int_equal(mw_tls_names_find(names, "example.org"), 0);
    assert_int_equal(mw_tls_names_find(names, "EXAMPLE.ORG"), 0);
    assert_int_equal(mw_tls_names_find(names, "www.example.org"), 1);
    assert_int_equal(mw_tls_names_find(names, "mail.example.org"), 2);
    assert_int_equal(mw_tls_names_find(names, "other.org"), 3);
    assert_int_equal(mw_tls_names_find(names, "localhost"), 4);
    assert_int_equal(mw_tls_names_find(names, "a.b.example.org"), -1);
    assert_int_equal(mw_tls_names_find(names, ".org"), -1);
    assert_int_equal(mw_tls_names_find(names, "org"), -1);
    assert_int_equal(mw_tls_names_find(names, ""), -1);
    mw_tls_names_free(names);
}

static void the_first_of_the_same_names_counts(void **state) {
    (void)state;
    const char *const list[] = {"a.test", "b.test", "A.TEST", "b.test", NULL};
    struct mw_tls_names *names = make(list);
    assert_int_equal(mw_tls_names_find(names, "a.test"), 0);
    assert_int_equal(mw_tls_names_find(names, "b.test"), 1);
    assert_string_equal(mw_tls_names_at(names, 0), "a.test");
    assert_string_equal(mw_tls_names_at(names, 1), "b.test");
    assert_null(mw_tls_names_at(names, 2));
    mw_tls_names_free(names);
}

static void odd_names_are_left_out(void **state) {
    (void)state;
    char name[300];
    memset(name, 'a', sizeof name);
    const char *const none[] = {NULL};
    struct mw_tls_names *names = make(none);
    assert_int_equal(mw_tls_names_find(names, "a"), -1);
    assert_true(mw_tls_names_add(names, name, sizeof name, 0));
    assert_true(mw_tls_names_add(names, "bank.test\0.evil.test", 20, 0));
    assert_true(mw_tls_names_add(names, "", 0, 0));
    mw_tls_names_sort(names);
    assert_null(mw_tls_names_at(names, 0));
    name[sizeof name - 1] = '\0';
    assert_true(mw_tls_names_add(names, "a", 1, 0));
    assert_int_equal(mw_tls_names_find(names, name), -1);
    mw_tls_names_free(names);
    mw_tls_names_free(NULL);
}

static void memory_may_fail_at_each_step(void **state) {
    (void)state;
    for (int nth = 1; nth <= 3; nth++) {
        alloc_failure_arm(nth);
        struct mw_tls_names *names = mw_tls_names_new();
        assert_false(names && mw_tls_names_add(names, "a", 1, 0));
        assert_true(alloc_failure_disarm());
        mw_tls_names_free(names);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_found_exactly_or_under_its_wildcard),
        cmocka_unit_test(the_first_of_the_same_names_counts),
        cmocka_unit_test(odd_names_are_left_out),
        cmocka_unit_test(memory_may_fail_at_each_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
