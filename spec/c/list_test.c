/* layers: base */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    char name;
    struct mw_list node;
};

/* The names on the list, forwards; checks that the way back is the same. */
static const char *names(struct mw_list *list) {
    static char text[16];
    size_t length = 0;
    for (struct mw_list *node = list->next; node != list; node = node->next) {
        assert_ptr_equal(node->next->previous, node);
        text[length++] = mw_list_owner(node, struct item, node)->name;
    }
    text[length] = '\0';
    return text;
}

static void fill(struct mw_list *list, struct item *items, const char *letters) {
    mw_list_init(list);
    for (size_t i = 0; letters[i]; i++) {
        items[i].name = letters[i];
        mw_list_init(&items[i].node);
        mw_list_append(list, &items[i].node);
    }
}

static void appends_in_order(void **state) {
    (void)state;
    struct mw_list list;
    struct item items[3];
    fill(&list, items, "");
    assert_true(mw_list_empty(&list));
    fill(&list, items, "abc");
    assert_false(mw_list_empty(&list));
    assert_string_equal(names(&list), "abc");
}

static void removes_and_takes_back(void **state) {
    (void)state;
    struct mw_list list;
    struct item items[3];
    fill(&list, items, "abc");
    mw_list_remove(&items[1].node);
    assert_string_equal(names(&list), "ac");
    mw_list_append(&list, &items[1].node);
    assert_string_equal(names(&list), "acb");
}

static void removing_twice_is_harmless(void **state) {
    (void)state;
    struct mw_list list;
    struct item items[2];
    fill(&list, items, "ab");
    mw_list_remove(&items[0].node);
    mw_list_remove(&items[0].node);
    assert_string_equal(names(&list), "b");
    assert_true(mw_list_empty(&items[0].node));
}

static void splice_moves_all_nodes_behind(void **state) {
    (void)state;
    struct mw_list list, from;
    struct item items[2], others[2];
    fill(&list, items, "ab");
    fill(&from, others, "cd");
    mw_list_splice(&list, &from);
    assert_string_equal(names(&list), "abcd");
    assert_true(mw_list_empty(&from));
    mw_list_splice(&list, &from);
    assert_string_equal(names(&list), "abcd");
    mw_list_splice(&from, &list);
    assert_string_equal(names(&from), "abcd");
    assert_true(mw_list_empty(&list));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_in_order),
        cmocka_unit_test(removes_and_takes_back),
        cmocka_unit_test(removing_twice_is_harmless),
        cmocka_unit_test(splice_moves_all_nodes_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
