/* layers: base net */
/* wrap: mmap getrandom pthread_mutex_lock pthread_mutexattr_setrobust */
#include "net/admission.h"
#include "support/alloc_failure.h"
#include "support/mapping_failure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKERS = 2 };

/* What fails on order, with that error. */
static int lock_error, robust_error;

int wrapped_lock(pthread_mutex_t *mutex) __asm__("__wrap_pthread_mutex_lock");
int libc_lock(pthread_mutex_t *mutex) __asm__("__real_pthread_mutex_lock");
int wrapped_setrobust(pthread_mutexattr_t *attributes, int robust) __asm__("__wrap_pthread_mutexattr_setrobust");
int libc_setrobust(pthread_mutexattr_t *attributes, int robust) __asm__("__real_pthread_mutexattr_setrobust");

/* A child process dies with the mutex in its hands. */
static bool dies_with_the_lock;

int wrapped_lock(pthread_mutex_t *mutex) {
    int error = lock_error ? lock_error : libc_lock(mutex);
    if (dies_with_the_lock) {
        _exit(0);
    }
    return error;
}

int wrapped_setrobust(pthread_mutexattr_t *attributes, int robust) {
    return robust_error ? robust_error : libc_setrobust(attributes, robust);
}

static struct mw_admissions *all;
static const struct mw_admission_rules no_rules;

static int open_all(void **state) {
    (void)state;
    mmap_error = random_error = lock_error = robust_error = 0;
    all = mw_admissions_new(WORKERS);
    return all ? 0 : -1;
}

static int close_all(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_admissions_free(all);
    return 0;
}

static struct mw_addr peer_of(const char *text) {
    struct mw_addr addr;
    struct mw_address address;
    const char *why;
    char whole[MW_ADDR_TEXT];
    snprintf(whole, sizeof whole, *text == '/' ? "unix://%s" : strchr(text, ':') ? "[%s]:7" : "%s:7", text);
    assert_true(mw_address_parse(&address, whole, strlen(whole), &why));
    assert_true(mw_addr_resolve(&addr, &address));
    return addr;
}

static enum mw_admission_verdict enter_at(struct mw_admission *admission, const char *text, double now) {
    struct mw_addr peer = peer_of(text);
    return mw_admission_enter(admission, &peer, now);
}

static enum mw_admission_verdict enter(struct mw_admission *admission, const char *text) {
    return enter_at(admission, text, 1000);
}

static void leave(struct mw_admission *admission, const char *text) {
    struct mw_addr peer = peer_of(text);
    struct mw_endpoint endpoint;
    mw_endpoint_pack(&endpoint, &peer);
    mw_admission_leave(admission, &endpoint);
}

static struct mw_admission *made(int worker, const char *name, const struct mw_admission_rules *rules) {
    struct mw_admission *admission = mw_admission_new(all, worker, name, rules);
    assert_non_null(admission);
    return admission;
}

static void without_rules_everybody_enters(void **state) {
    (void)state;
    struct mw_admission *service = made(1, "echo", &no_rules);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(enter(service, "192.0.2.1"), MW_ADMITTED);
    }
    assert_int_equal(mw_admission_connections(service), 1000);
    for (int i = 0; i < 1000; i++) {
        leave(service, "192.0.2.1");
    }
    assert_int_equal(mw_admission_connections(service), 0);
    mw_admission_free(service);
}

static void workers_count_connections_together(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.connections = 3};
    struct mw_admission *one = made(1, "echo", &rules), *two = made(2, "echo", &rules), *other = made(2, "other", &rules);
    assert_int_equal(enter(one, "192.0.2.1"), MW_ADMITTED);
    assert_int_equal(enter(two, "192.0.2.2"), MW_ADMITTED);
    assert_int_equal(enter(one, "/run/x.sock"), MW_ADMITTED);
    assert_int_equal(enter(two, "192.0.2.3"), MW_REFUSED_CONNECTIONS);
    assert_int_equal(enter(one, "192.0.2.3"), MW_REFUSED_CONNECTIONS);
    assert_int_equal(enter(other, "192.0.2.3"), MW_ADMITTED);
    assert_int_equal(mw_admission_connections(one), 3);
    leave(two, "192.0.2.2");
    assert_int_equal(enter(one, "192.0.2.3"), MW_ADMITTED);
    mw_admission_free(one);
    mw_admission_free(two);
    mw_admission_free(other);
}

static void generations_of_a_service_count_together(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.connections = 1};
    struct mw_admission *old = made(1, "echo", &rules), *new = made(1, "echo", &rules);
    assert_int_equal(enter(old, "192.0.2.1"), MW_ADMITTED);
    assert_int_equal(enter(new, "192.0.2.1"), MW_REFUSED_CONNECTIONS);
    leave(old, "192.0.2.1");
    mw_admission_free(old);
    assert_int_equal(enter(new, "192.0.2.1"), MW_ADMITTED);
    mw_admission_free(new);
}

static void addresses_are_counted_over_all_workers(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.per_address = 2};
    struct mw_admission *one = made(1, "echo", &rules), *two = made(2, "echo", &rules), *other = made(1, "other", &rules);
    assert_int_equal(enter(one, "192.0.2.1"), MW_ADMITTED);
    assert_int_equal(enter(two, "::ffff:192.0.2.1"), MW_ADMITTED);
    assert_int_equal(enter(one, "192.0.2.1"), MW_REFUSED_ADDRESS);
    assert_int_equal(enter(two, "192.0.2.1"), MW_REFUSED_ADDRESS);
    assert_int_equal(enter(one, "192.0.2.2"), MW_ADMITTED);
    assert_int_equal(enter(other, "192.0.2.1"), MW_ADMITTED);
    leave(one, "192.0.2.1");
    assert_int_equal(enter(two, "192.0.2.1"), MW_ADMITTED);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(enter(one, "/run/x.sock"), MW_ADMITTED);
    }
    mw_admission_free(one);
    mw_admission_free(two);
    mw_admission_free(other);
}

static void the_64_of_an_ipv6_peer_is_one_address(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.per_address = 1};
    struct mw_admission *service = made(1, "echo", &rules);
    assert_int_equal(enter(service, "2001:db8::1"), MW_ADMITTED);
    assert_int_equal(enter(service, "2001:db8::ffff:0:0:2"), MW_REFUSED_ADDRESS);
    assert_int_equal(enter(service, "2001:db8:0:1::1"), MW_ADMITTED);
    assert_int_equal(enter(service, "fe80::1%lo"), MW_ADMITTED);
    assert_int_equal(enter(service, "fe80::2%lo"), MW_ADMITTED);
    assert_int_equal(enter(service, "fe80::2%lo"), MW_REFUSED_ADDRESS);
    mw_admission_free(service);
}

/* With 10,000 addresses, about 30 seem to have more than they have; hardly any by two. */
static void an_address_is_hardly_ever_taken_for_another(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.per_address = 2};
    struct mw_admission *service = made(1, "echo", &rules);
    struct mw_addr peer = peer_of("10.0.0.0");
    int refused = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        peer.v4.sin_addr.s_addr = htonl(0x0a000000 + i / 2);
        refused += mw_admission_enter(service, &peer, 0) != MW_ADMITTED;
    }
    assert_in_range(refused, 0, 200);
    assert_int_equal(mw_admission_connections(service), 20000 - refused);
    mw_admission_free(service);
}

static void networks_come_first(void **state) {
    (void)state;
    struct mw_network allow, deny;
    const char *why;
    assert_true(mw_network_parse(&allow, "10.0.0.0/8", 10, &why) && mw_network_parse(&deny, "10.1.0.0/16", 11, &why));
    const struct mw_admission_rules rules = {.allow = &allow, .allows = 1, .deny = &deny, .denies = 1, .connections = 1};
    struct mw_admission *service = made(1, "echo", &rules);
    assert_int_equal(enter(service, "10.1.0.1"), MW_REFUSED_NETWORK);
    assert_int_equal(enter(service, "192.0.2.1"), MW_REFUSED_NETWORK);
    assert_int_equal(enter(service, "2001:db8::1"), MW_REFUSED_NETWORK);
    assert_int_equal(mw_admission_connections(service), 0);
    assert_int_equal(enter(service, "::ffff:10.0.0.1"), MW_ADMITTED);
    assert_int_equal(enter(service, "/run/x.sock"), MW_REFUSED_CONNECTIONS);
    mw_admission_free(service);
}

static enum mw_admission_verdict name(struct mw_admission *admission, const char *text) {
    struct mw_addr peer = peer_of(text);
    return mw_admission_name(admission, &peer);
}

static void who_comes_without_an_address_may_get_one(void **state) {
    (void)state;
    struct mw_network deny;
    const char *why;
    assert_true(mw_network_parse(&deny, "10.0.0.0/8", 10, &why));
    const struct mw_admission_rules rules = {.deny = &deny, .denies = 1, .per_address = 1};
    struct mw_admission *service = made(1, "echo", &rules);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(enter(service, "/run/x.sock"), MW_ADMITTED);
    }
    assert_int_equal(name(service, "/run/y.sock"), MW_ADMITTED);
    assert_int_equal(name(service, "10.0.0.1"), MW_REFUSED_NETWORK);
    assert_int_equal(name(service, "192.0.2.1"), MW_ADMITTED);
    assert_int_equal(name(service, "192.0.2.1"), MW_REFUSED_ADDRESS);
    assert_int_equal(enter(service, "192.0.2.1"), MW_REFUSED_ADDRESS);
    assert_int_equal(mw_admission_connections(service), 3);
    leave(service, "/run/x.sock");
    leave(service, "192.0.2.1");
    assert_int_equal(name(service, "192.0.2.1"), MW_ADMITTED);
    leave(service, "192.0.2.1");
    assert_int_equal(mw_admission_connections(service), 0);
    mw_admission_free(service);
}

static int enter_often(struct mw_admission *one, struct mw_admission *two, int times, double now) {
    int admitted = 0;
    for (int i = 0; i < times; i++) {
        admitted += enter_at(i % 2 ? two : one, "192.0.2.1", now) == MW_ADMITTED;
    }
    return admitted;
}

static void the_rate_is_that_of_all_workers(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.rate = 10, .burst = 5, .connections = 1000};
    struct mw_admission *one = made(1, "echo", &rules), *two = made(2, "echo", &rules);
    assert_int_equal(enter_often(one, two, 100, 1000), 5);
    assert_int_equal(enter_at(one, "192.0.2.1", 1000.05), MW_REFUSED_RATE);
    assert_int_equal(enter_often(one, two, 10, 1000.101), 1);
    assert_int_equal(enter_often(one, two, 10, 1000.301), 2);
    assert_int_equal(enter_often(one, two, 100, 2000), 5);
    assert_int_equal(mw_admission_connections(one), 13);
    mw_admission_free(one);
    mw_admission_free(two);
}

/* Over a long time the rate is kept exactly, however the connections fall on the clock. */
static void the_rate_is_exact(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.rate = 7, .burst = 0};
    struct mw_admission *one = made(1, "echo", &rules), *two = made(2, "echo", &rules);
    int admitted = 0;
    for (int i = 0; i < 100000; i++) {
        admitted += enter_at(i % 2 ? one : two, "192.0.2.1", i * 0.001) == MW_ADMITTED;
    }
    assert_in_range(admitted, 690, 701);
    mw_admission_free(one);
    mw_admission_free(two);
}

/* A loop whose clock is a little behind gives nothing away. */
static void clocks_may_differ(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.rate = 10, .burst = 5};
    struct mw_admission *service = made(1, "echo", &rules);
    assert_int_equal(enter_often(service, service, 5, 1000), 5);
    assert_int_equal(enter_at(service, "192.0.2.1", 999.8), MW_REFUSED_RATE);
    assert_int_equal(enter_at(service, "192.0.2.1", 1000.101), MW_ADMITTED);
    assert_int_equal(enter_at(service, "192.0.2.1", 1000.101), MW_REFUSED_RATE);
    mw_admission_free(service);
}

static void other_rules_hold_at_once(void **state) {
    (void)state;
    const struct mw_admission_rules slow = {.rate = 0.001, .burst = 10}, fast = {.rate = 100, .burst = 1};
    const struct mw_admission_rules few = {.per_address = 1};
    struct mw_admission *service = made(1, "echo", &slow);
    assert_int_equal(enter_often(service, service, 20, 1000), 10);
    assert_true(mw_admission_set(service, &fast));
    assert_int_equal(enter_at(service, "192.0.2.1", 1000), MW_REFUSED_RATE);
    assert_int_equal(enter_at(service, "192.0.2.1", 1000.011), MW_ADMITTED);
    assert_true(mw_admission_set(service, &few));
    assert_int_equal(enter_at(service, "192.0.2.1", 1000.011), MW_REFUSED_ADDRESS);
    assert_int_equal(enter_at(service, "192.0.2.2", 1000.011), MW_ADMITTED);
    mw_admission_free(service);
}

static void a_dead_worker_holds_nothing(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.connections = 2, .per_address = 2};
    struct mw_admission *one = made(1, "echo", &rules);
    assert_int_equal(enter(one, "192.0.2.1"), MW_ADMITTED);
    pid_t child = fork();
    if (child == 0) {
        struct mw_admission *two = mw_admission_new(all, 2, "echo", &rules);
        _exit(two && enter(two, "192.0.2.1") == MW_ADMITTED ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(enter(one, "192.0.2.1"), MW_REFUSED_CONNECTIONS);
    mw_admissions_reset(all, 2);
    assert_int_equal(mw_admission_connections(one), 1);
    assert_int_equal(enter(one, "192.0.2.1"), MW_ADMITTED);
    assert_int_equal(enter(one, "192.0.2.1"), MW_REFUSED_CONNECTIONS);
    leave(one, "192.0.2.1");
    leave(one, "192.0.2.1");
    mw_admission_free(one);
}

/* Takes the only place again and again. Whether it was alone there each time. */
static bool crowd(int worker, atomic_int *inside) {
    const struct mw_admission_rules rules = {.connections = 1};
    struct mw_admission *service = made(worker, "echo", &rules);
    struct mw_addr peer = peer_of("192.0.2.1");
    struct mw_endpoint endpoint;
    bool alone = true;
    mw_endpoint_pack(&endpoint, &peer);
    for (int i = 0; i < 200000; i++) {
        if (mw_admission_enter(service, &peer, 0) == MW_ADMITTED) {
            alone = atomic_fetch_add(inside, 1) == 0 && alone;
            atomic_fetch_sub(inside, 1);
            mw_admission_leave(service, &endpoint);
        }
    }
    mw_admission_free(service);
    return alone;
}

static void processes_never_exceed_the_limit(void **state) {
    (void)state;
    atomic_int *inside = mmap(NULL, sizeof *inside, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(inside, MAP_FAILED);
    pid_t child = fork();
    if (child == 0) {
        _exit(crowd(2, inside) ? 0 : 1);
    }
    int status;
    bool alone = crowd(1, inside);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(alone);
    const struct mw_admission_rules rules = {.connections = 1};
    struct mw_admission *service = made(1, "echo", &rules);
    assert_int_equal(mw_admission_connections(service), 0);
    mw_admission_free(service);
    munmap(inside, sizeof *inside);
}

static void names_come_and_go(void **state) {
    (void)state;
    const struct mw_admission_rules rules = {.connections = 1};
    struct mw_admission *stays = made(1, "stays", &rules);
    assert_int_equal(enter(stays, "192.0.2.1"), MW_ADMITTED);
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "service %d", i);
        struct mw_admission *service = made(1 + i % WORKERS, name, &rules);
        assert_int_equal(enter(service, "192.0.2.1"), MW_ADMITTED);
        leave(service, "192.0.2.1");
        mw_admission_free(service);
    }
    assert_int_equal(enter(stays, "192.0.2.1"), MW_REFUSED_CONNECTIONS);
    struct mw_admission *same = made(2, "stays", &rules);
    assert_int_equal(mw_admission_connections(same), 1);
    mw_admission_free(same);
    mw_admission_free(stays);
}

static void there_is_a_limit_of_names(void **state) {
    (void)state;
    struct mw_admission *services[MW_ADMISSION_SERVICES];
    char name[32];
    for (int i = 0; i < MW_ADMISSION_SERVICES; i++) {
        snprintf(name, sizeof name, "service %d", i);
        services[i] = made(1, name, &no_rules);
    }
    assert_null(mw_admission_new(all, 2, "one more", &no_rules));
    assert_int_equal(errno, ENOSPC);
    mw_admission_free(services[100]);
    services[100] = made(2, "one more", &no_rules);
    for (int i = 0; i < MW_ADMISSION_SERVICES; i++) {
        mw_admission_free(services[i]);
    }
}

static void who_dies_with_the_lock_leaves_none(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        dies_with_the_lock = true;
        mw_admission_new(all, 2, "echo", &no_rules);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < 2; i++) {
        struct mw_admission *service = made(1, "echo", &no_rules);
        assert_int_equal(enter(service, "192.0.2.1"), MW_ADMITTED);
        leave(service, "192.0.2.1");
        mw_admission_free(service);
    }
}

static void says_what_is_missing(void **state) {
    (void)state;
    mmap_error = ENOMEM;
    assert_null(mw_admissions_new(WORKERS));
    assert_int_equal(errno, ENOMEM);
    mmap_error = 0;
    random_error = ENOSYS;
    assert_null(mw_admissions_new(WORKERS));
    assert_int_equal(errno, ENOSYS);
    random_error = 0;
    robust_error = ENOTSUP;
    assert_null(mw_admissions_new(WORKERS));
    assert_int_equal(errno, ENOTSUP);
    lock_error = ENOTRECOVERABLE;
    assert_null(mw_admission_new(all, 1, "echo", &no_rules));
    assert_int_equal(errno, ENOTRECOVERABLE);
    mw_admissions_free(NULL);
    mw_admission_free(NULL);
}

static void memory_that_is_out_changes_nothing(void **state) {
    (void)state;
    const struct mw_admission_rules one = {.connections = 1}, any = {.connections = 0};
    for (int nth = 1; nth <= 2; nth++) {
        alloc_failure_arm(nth);
        assert_null(mw_admission_new(all, 1, "echo", &one));
        assert_int_equal(errno, ENOMEM);
        assert_true(alloc_failure_disarm());
    }
    struct mw_admission *service = made(1, "echo", &one);
    alloc_failure_arm(1);
    assert_false(mw_admission_set(service, &any));
    assert_true(alloc_failure_disarm());
    assert_int_equal(enter(service, "192.0.2.1"), MW_ADMITTED);
    assert_int_equal(enter(service, "192.0.2.1"), MW_REFUSED_CONNECTIONS);
    mw_admission_free(service);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_rules_everybody_enters),
        TEST(workers_count_connections_together),
        TEST(generations_of_a_service_count_together),
        TEST(addresses_are_counted_over_all_workers),
        TEST(the_64_of_an_ipv6_peer_is_one_address),
        TEST(an_address_is_hardly_ever_taken_for_another),
        TEST(networks_come_first),
        TEST(who_comes_without_an_address_may_get_one),
        TEST(the_rate_is_that_of_all_workers),
        TEST(the_rate_is_exact),
        TEST(clocks_may_differ),
        TEST(other_rules_hold_at_once),
        TEST(a_dead_worker_holds_nothing),
        TEST(processes_never_exceed_the_limit),
        TEST(names_come_and_go),
        TEST(there_is_a_limit_of_names),
        TEST(who_dies_with_the_lock_leaves_none),
        TEST(says_what_is_missing),
        TEST(memory_that_is_out_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
