/* layers: net loop base */
#include "net/resolver.h"

#include "net/resolver_cache.h"
#include "support/alloc_failure.h"
#include "support/dns_server.h"

#include <ares.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIST = 8, PATIENCE = 10 };

struct fixture {
    struct mw_loop *loop;
    struct dns_server *server;
    struct mw_resolver *resolver;
};

/* What a callback was given. */
struct seen {
    struct mw_loop *loop;
    unsigned calls;
    char code[32], message[MW_FAULT_MESSAGE];
    size_t count;
    struct mw_addr addresses[LIST];
    struct mw_record records[LIST];
    char texts[LIST][1024];
};

static void keep_outcome(struct seen *seen, size_t count, const struct mw_fault *fault) {
    seen->calls++;
    seen->count = count;
    snprintf(seen->code, sizeof seen->code, "%s", fault ? fault->code : "");
    snprintf(seen->message, sizeof seen->message, "%s", fault ? fault->message : "");
    mw_loop_stop(seen->loop);
}

static void on_addresses(void *context, const struct mw_addr *list, size_t count,
                         const struct mw_fault *fault) {
    struct seen *seen = context;
    keep_outcome(seen, count, fault);
    assert_true((list == NULL) == (fault != NULL));
    for (size_t i = 0; i < count && i < LIST; i++) {
        seen->addresses[i] = list[i];
    }
}

static void on_records(void *context, const struct mw_record *list, size_t count,
                       const struct mw_fault *fault) {
    struct seen *seen = context;
    keep_outcome(seen, count, fault);
    assert_true((list == NULL) == (fault != NULL));
    for (size_t i = 0; i < count && i < LIST; i++) {
        seen->records[i] = list[i];
        assert_true(list[i].length < sizeof seen->texts[i]);
        memcpy(seen->texts[i], list[i].text, list[i].length + 1);
    }
}

/* A bound for the loop: what must happen happens before it. */
struct guard {
    struct mw_timer timer;
    struct mw_loop *loop;
    bool rang;
};

static void on_guard(struct mw_timer *timer) {
    struct guard *guard = (struct guard *)(void *)timer;
    guard->rang = true;
    mw_loop_stop(guard->loop);
}

/* Runs the loop until so many calls were seen in all. */
static void wait_for_calls(struct mw_loop *loop, const unsigned *calls, unsigned wanted) {
    struct guard guard = {.loop = loop, .rang = false};
    mw_timer_init(&guard.timer, on_guard);
    assert_true(mw_timer_set(mw_loop_timers(loop), &guard.timer, mw_loop_update(loop) + PATIENCE));
    while (*calls < wanted && !guard.rang) {
        mw_loop_run(loop);
    }
    mw_timer_remove(mw_loop_timers(loop), &guard.timer);
    assert_int_equal(*calls, wanted);
}

static void on_limit(struct ev_loop *ev, ev_timer *limit, int events) {
    (void)ev;
    (void)events;
    struct guard *guard = limit->data;
    on_guard(&guard->timer);
}

/* Lets the loop run until nothing holds it any more. */
static void run_dry(struct mw_loop *loop) {
    struct guard guard = {.loop = loop, .rang = false};
    struct ev_loop *ev = mw_loop_ev(loop);
    ev_timer limit;
    ev_timer_init(&limit, on_limit, PATIENCE, 0.);
    limit.data = &guard;
    ev_timer_start(ev, &limit);
    ev_unref(ev);
    mw_loop_run(loop);
    ev_ref(ev);
    ev_timer_stop(ev, &limit);
    assert_false(guard.rang);
}

static void wait_for(struct seen *seen) {
    wait_for_calls(seen->loop, &seen->calls, 1);
}

static struct mw_lookup *ask(struct fixture *f, struct seen *seen, const char *name, int family) {
    *seen = (struct seen){.loop = f->loop};
    return mw_resolver_addresses(f->resolver, name, strlen(name), 80, family, on_addresses, seen);
}

static struct mw_lookup *ask_records(struct fixture *f, struct seen *seen, const char *name,
                                     enum mw_record_type type) {
    *seen = (struct seen){.loop = f->loop};
    return mw_resolver_records(f->resolver, name, strlen(name), type, on_records, seen);
}

static void resolve(struct fixture *f, struct seen *seen, const char *name, int family) {
    assert_non_null(ask(f, seen, name, family));
    assert_int_equal(seen->calls, 0);
    wait_for(seen);
}

static void resolve_records(struct fixture *f, struct seen *seen, const char *name,
                            enum mw_record_type type) {
    assert_non_null(ask_records(f, seen, name, type));
    assert_int_equal(seen->calls, 0);
    wait_for(seen);
}

static void assert_address(const struct seen *seen, size_t index, const char *expected) {
    char text[MW_ADDR_TEXT];
    assert_true(index < seen->count);
    assert_string_equal(mw_addr_format(&seen->addresses[index], text), expected);
}

static void assert_fault(const struct seen *seen, const char *code, const char *message) {
    assert_string_equal(seen->message, message);
    assert_string_equal(seen->code, code);
    assert_int_equal(seen->count, 0);
}

/* The fixture's resolver anew, with other options. */
static void reopen(struct fixture *f, struct mw_resolver_options options) {
    struct mw_fault fault;
    mw_resolver_free(f->resolver);
    options.servers = options.servers ? options.servers : dns_server_address(f->server);
    f->resolver = mw_resolver_new(f->loop, &options, &fault);
    assert_non_null(f->resolver);
}

static void open_fixture(struct fixture *f, const char *host) {
    f->loop = mw_loop_new();
    assert_non_null(f->loop);
    f->server = dns_server_new(mw_loop_ev(f->loop), host);
    assert_non_null(f->server);
    f->resolver = NULL;
    reopen(f, (struct mw_resolver_options){.resolv_conf = "/dev/null"});
}

static int setup(void **state) {
    struct fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    open_fixture(f, "127.0.0.1");
    *state = f;
    return 0;
}

static void close_fixture(struct fixture *f) {
    mw_resolver_free(f->resolver);
    dns_server_free(f->server);
    mw_loop_free(f->loop);
}

static int teardown(void **state) {
    close_fixture(*state);
    free(*state);
    return 0;
}

static unsigned count_descriptors(void) {
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder)) {
        count++;
    }
    closedir(folder);
    return count;
}

/* --- addresses --- */

static void finds_addresses_of_both_families(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "both.test", DNS_A, 60, "127.0.0.1");
    dns_server_add_text(f->server, "both.test", DNS_AAAA, 60, "::1");
    resolve(f, &seen, "both.test", AF_UNSPEC);
    assert_int_equal(seen.count, 2);
    /* RFC 6724: both can be reached, and ::1 comes before what is mapped. */
    assert_address(&seen, 0, "[::1]:80");
    assert_address(&seen, 1, "127.0.0.1:80");
    assert_int_equal(dns_server_asked(f->server), 2);
}

static void asks_for_one_family_only(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "both.test", DNS_A, 60, "127.0.0.9");
    dns_server_add_text(f->server, "both.test", DNS_AAAA, 60, "::9");
    resolve(f, &seen, "both.test", AF_INET6);
    assert_int_equal(seen.count, 1);
    assert_address(&seen, 0, "[::9]:80");
    resolve(f, &seen, "both.test", AF_INET);
    assert_int_equal(seen.count, 1);
    assert_address(&seen, 0, "127.0.0.9:80");
    assert_int_equal(dns_server_asked(f->server), 2);
}

static void follows_aliases(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "alias.test", DNS_CNAME, 60, "real.test");
    dns_server_add_text(f->server, "real.test", DNS_A, 60, "127.0.0.5");
    resolve(f, &seen, "alias.test", AF_INET);
    assert_int_equal(seen.count, 1);
    assert_address(&seen, 0, "127.0.0.5:80");
}

static void takes_numeric_hosts_as_they_are(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    resolve(f, &seen, "127.0.0.1", AF_UNSPEC);
    assert_int_equal(seen.count, 1);
    assert_address(&seen, 0, "127.0.0.1:80");
    resolve(f, &seen, "::1", AF_INET6);
    assert_address(&seen, 0, "[::1]:80");
    resolve(f, &seen, "fe80::1%lo", AF_UNSPEC);
    assert_address(&seen, 0, "[fe80::1%lo]:80");
    resolve(f, &seen, "::1", AF_INET);
    assert_fault(&seen, "not_found", "resolve ::1: it has no IPv4 address");
    resolve(f, &seen, "127.0.0.1", AF_INET6);
    assert_fault(&seen, "not_found", "resolve 127.0.0.1: it has no IPv6 address");
    assert_int_equal(dns_server_asked(f->server), 0);
}

static void reads_the_hosts_file(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    resolve(f, &seen, "localhost", AF_INET);
    assert_true(seen.count >= 1);
    assert_address(&seen, 0, "127.0.0.1:80");
    assert_int_equal(dns_server_asked(f->server), 0);
}

static void asks_servers_over_ipv6(void **state) {
    (void)state;
    struct fixture f;
    struct seen seen;
    open_fixture(&f, "::1");
    dns_server_add_text(f.server, "six.test", DNS_A, 60, "127.0.0.6");
    resolve(&f, &seen, "six.test", AF_INET);
    assert_address(&seen, 0, "127.0.0.6:80");
    assert_int_equal(dns_server_asked(f.server), 1);
    close_fixture(&f);
}

static void asks_the_next_server_when_one_is_dead(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    char servers[128];
    /* Nothing listens on the discard port of this address: the kernel says so at once. */
    snprintf(servers, sizeof servers, "127.0.0.77:9,%s", dns_server_address(f->server));
    reopen(f, (struct mw_resolver_options){.servers = servers, .resolv_conf = "/dev/null"});
    dns_server_add_text(f->server, "next.test", DNS_A, 60, "127.0.0.8");
    resolve(f, &seen, "next.test", AF_INET);
    assert_address(&seen, 0, "127.0.0.8:80");
}

static void leaves_out_addresses_past_the_limit(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    for (int i = 0; i < MW_ADDRESSES_MAX + 5; i++) {
        char text[32];
        snprintf(text, sizeof text, "127.1.0.%d", i);
        dns_server_add_text(f->server, "many.test", DNS_A, 60, text);
    }
    resolve(f, &seen, "many.test", AF_INET);
    assert_int_equal(seen.count, MW_ADDRESSES_MAX);
}

/* --- records --- */

static void finds_mx_in_order_of_priority(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_mx(f->server, "mail.test", 300, 20, "second.mail.test");
    dns_server_add_mx(f->server, "mail.test", 200, 10, "first.mail.test");
    dns_server_add_mx(f->server, "mail.test", 100, 20, "third.mail.test");
    resolve_records(f, &seen, "mail.test", MW_RECORD_MX);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.texts[0], "first.mail.test");
    assert_int_equal(seen.records[0].priority, 10);
    assert_int_equal(seen.records[0].ttl, 200);
    assert_int_equal(seen.records[0].type, MW_RECORD_MX);
    assert_string_equal(seen.texts[1], "second.mail.test");
    assert_string_equal(seen.texts[2], "third.mail.test");
    assert_int_equal(seen.records[2].priority, 20);
}

static void shows_the_root_as_a_dot(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_mx(f->server, "nomail.test", 60, 0, ".");
    resolve_records(f, &seen, "nomail.test", MW_RECORD_MX);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.texts[0], ".");
}

static void expands_compressed_names(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    /* Priority 5, the label "mx", and a pointer to the name of the question. */
    static const char data[] = "\0\5\2mx\300\14";
    dns_server_add(f->server, "short.test", DNS_MX, 60, data, sizeof data - 1);
    resolve_records(f, &seen, "short.test", MW_RECORD_MX);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.texts[0], "mx.short.test");
    assert_int_equal(seen.records[0].priority, 5);
}

static void joins_the_strings_of_a_txt(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    static const char data[] = "\3one\4\0two\0";
    dns_server_add(f->server, "text.test", DNS_TXT, 60, data, sizeof data - 1);
    dns_server_add(f->server, "text.test", DNS_TXT, 60, "", 1);
    resolve_records(f, &seen, "text.test", MW_RECORD_TXT);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.records[0].length, 7);
    assert_memory_equal(seen.texts[0], "one\0two", 8);
    assert_int_equal(seen.records[1].length, 0);
}

static void finds_srv(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_srv(f->server, "_sip._tcp.test", 60, (const uint16_t[]){20, 5, 5061}, "b.test");
    dns_server_add_srv(f->server, "_sip._tcp.test", 60, (const uint16_t[]){10, 60, 5060}, "a.test");
    resolve_records(f, &seen, "_sip._tcp.test", MW_RECORD_SRV);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.texts[0], "a.test");
    assert_int_equal(seen.records[0].priority, 10);
    assert_int_equal(seen.records[0].weight, 60);
    assert_int_equal(seen.records[0].port, 5060);
    assert_string_equal(seen.texts[1], "b.test");
}

static void finds_names_of_addresses(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "3.2.0.127.in-addr.arpa", DNS_PTR, 60, "four.test");
    dns_server_add_text(f->server, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
                        DNS_PTR, 60, "six.test");
    resolve_records(f, &seen, "127.0.2.3", MW_RECORD_PTR);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.texts[0], "four.test");
    resolve_records(f, &seen, "::ffff:127.0.2.3", MW_RECORD_PTR);
    assert_string_equal(seen.texts[0], "four.test");
    resolve_records(f, &seen, "2001:db8::1", MW_RECORD_PTR);
    assert_string_equal(seen.texts[0], "six.test");
    resolve_records(f, &seen, "3.2.0.127.in-addr.arpa", MW_RECORD_PTR);
    assert_string_equal(seen.texts[0], "four.test");
    resolve_records(f, &seen, "127.0.2.4", MW_RECORD_PTR);
    assert_fault(&seen, "not_found", "resolve 127.0.2.4: no such name");
}

static void finds_address_records_with_their_ttl(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "a.test", DNS_A, 77, "127.0.0.3");
    dns_server_add_text(f->server, "a.test", DNS_AAAA, UINT32_C(0x80000000), "2001:db8::3");
    resolve_records(f, &seen, "a.test", MW_RECORD_A);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.texts[0], "127.0.0.3");
    assert_int_equal(seen.records[0].ttl, 77);
    resolve_records(f, &seen, "a.test", MW_RECORD_AAAA);
    assert_string_equal(seen.texts[0], "2001:db8::3");
    assert_int_equal(seen.records[0].ttl, 0);
}

static void asks_again_over_tcp_when_truncated(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    char data[900];
    for (size_t i = 0; i < sizeof data; i += 100) {
        data[i] = 99;
        memset(data + i + 1, 'a' + (int)(i / 100), 99);
    }
    dns_server_add(f->server, "long.test", DNS_TXT, 60, data, sizeof data);
    dns_server_set_mood(f->server, DNS_TRUNCATED);
    resolve_records(f, &seen, "long.test", MW_RECORD_TXT);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.records[0].length, 891);
    assert_int_equal(seen.texts[0][890], 'i');
    assert_int_equal(dns_server_asked_tcp(f->server), 1);
}

/* Every prefix of a good packet, and every byte of it turned into another one,
 * is refused or read within its bounds (the sanitizers see to that). */
static void refuses_malformed_packets(void **state) {
    (void)state;
    static const unsigned char good[] = "\0\1\204\0\0\1\0\2\0\0\0\0" /* one question, two answers */
                                        "\1m\0\0\17\0\1"
                                        "\300\14\0\17\0\1\0\0\0\74\0\6\0\5\1x\300\14"
                                        "\300\14\0\17\0\1\0\0\0\50\0\5\0\1\1y\0";
    struct mw_record_list list;
    size_t size = sizeof good - 1;
    assert_int_equal(mw_records_parse(&list, good, size, MW_RECORD_MX), ARES_SUCCESS);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.ttl, 40);
    assert_string_equal(list.items[1].text, "x.m");
    free(list.items);
    assert_int_equal(mw_records_parse(&list, good, size, MW_RECORD_SRV), ARES_ENODATA);
    for (size_t length = 0; length < size; length++) {
        unsigned char *copy = malloc(length + 1);
        assert_non_null(copy);
        memcpy(copy, good, length);
        assert_int_equal(mw_records_parse(&list, copy, length, MW_RECORD_MX), ARES_EBADRESP);
        assert_null(list.items);
        free(copy);
    }
    for (size_t i = 0; i < size * 256; i++) {
        unsigned char changed[sizeof good];
        memcpy(changed, good, sizeof good);
        changed[i / 256] = (unsigned char)i;
        for (int type = 0; type < MW_RECORD_TYPES; type++) {
            int status = mw_records_parse(&list, changed, size, (enum mw_record_type)type);
            assert_true((status == ARES_SUCCESS) == (list.count > 0));
            free(list.items);
        }
    }
}

/* --- failures --- */

static void tells_what_does_not_exist(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "here.test", DNS_A, 60, "127.0.0.1");
    resolve(f, &seen, "gone.test", AF_UNSPEC);
    assert_fault(&seen, "not_found", "resolve gone.test: no such name");
    resolve(f, &seen, "here.test", AF_INET6);
    assert_fault(&seen, "not_found", "resolve here.test: it has no IPv6 address");
    resolve_records(f, &seen, "here.test", MW_RECORD_MX);
    assert_fault(&seen, "not_found", "resolve here.test: it has no MX record");
    resolve_records(f, &seen, "gone.test", MW_RECORD_SRV);
    assert_fault(&seen, "not_found", "resolve gone.test: no such name");
}

static void times_out(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    reopen(f, (struct mw_resolver_options){.resolv_conf = "/dev/null", .timeout = 0.03, .tries = 2});
    dns_server_set_mood(f->server, DNS_SILENT);
    double start = mw_loop_update(f->loop);
    resolve(f, &seen, "slow.test", AF_INET);
    assert_fault(&seen, "timeout", "timeout");
    for (int i = 0; i < 10; i++) {
        ev_run(mw_loop_ev(f->loop), EVRUN_NOWAIT); /* the server reads what has come */
    }
    assert_int_equal(dns_server_asked(f->server), 2);
    /* 30 ms, and 60 in the second round. */
    assert_true(mw_loop_update(f->loop) - start >= 0.09);
}

static void tells_that_servers_fail(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_set_mood(f->server, DNS_SERVFAIL);
    resolve(f, &seen, "a.test", AF_INET);
    assert_fault(&seen, "unavailable", "resolve a.test: the name servers fail or cannot be reached");
    dns_server_set_mood(f->server, DNS_REFUSED);
    resolve_records(f, &seen, "b.test", MW_RECORD_MX);
    assert_string_equal(seen.code, "unavailable");
    dns_server_set_mood(f->server, DNS_BROKEN);
    dns_server_add_mx(f->server, "c.test", 60, 1, "mx.test");
    resolve_records(f, &seen, "c.test", MW_RECORD_MX);
    assert_string_equal(seen.code, "unavailable");
    dns_server_set_mood(f->server, DNS_HELPFUL);
    resolve_records(f, &seen, "c.test", MW_RECORD_MX);
    assert_int_equal(seen.count, 1);
}

static void tells_that_no_server_can_be_reached(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    reopen(f, (struct mw_resolver_options){.resolv_conf = "/dev/null", .servers = "127.0.0.77:9"});
    resolve(f, &seen, "a.test", AF_UNSPEC);
    assert_fault(&seen, "unavailable", "resolve a.test: the name servers fail or cannot be reached");
}

static void tells_that_descriptors_have_run_out(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct mw_lookup *lookup = ask(f, &seen, "a.test", AF_INET);
    wait_for(&seen);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_non_null(lookup);
    assert_string_equal(seen.code, "descriptors");
    assert_non_null(strstr(seen.message, "resolve a.test: "));
    assert_non_null(strstr(seen.message, "raise the limit"));
}

static void assert_invalid(struct fixture *f, const char *name, size_t length, const char *message) {
    struct seen seen = {.loop = f->loop};
    assert_non_null(mw_resolver_addresses(f->resolver, name, length, 1, AF_UNSPEC, on_addresses, &seen));
    assert_int_equal(seen.calls, 0);
    wait_for(&seen);
    assert_fault(&seen, "invalid", message);
}

static void refuses_what_is_no_name(void **state) {
    struct fixture *f = *state;
    char longest[255];
    memset(longest, 'a', sizeof longest);
    for (size_t i = 63; i < sizeof longest; i += 64) {
        longest[i] = '.';
    }
    assert_invalid(f, "", 0, "resolve : the name is empty");
    assert_invalid(f, "a\0b", 3, "resolve a?b: a name has no spaces or control bytes");
    assert_invalid(f, "127.0.0.1\0", 10, "resolve 127.0.0.1?: a name has no spaces or control bytes");
    assert_invalid(f, "a\nb", 3, "resolve a?b: a name has no spaces or control bytes");
    assert_invalid(f, "a b", 3, "resolve a?b: a name has no spaces or control bytes");
    assert_invalid(f, "a..b", 4, "resolve a..b: a part between two dots is empty");
    assert_invalid(f, ".a", 2, "resolve .a: a part between two dots is empty");
    assert_invalid(f, ".", 1, "resolve .: this is no name of a host");
    assert_invalid(f, "*", 1, "resolve *: this is no name of a host");
    assert_invalid(f, "a\\.b", 4, "resolve a\\.b: a name has no backslash");
    assert_invalid(f, "\303\244.test", 7, "resolve ??.test: a name is ASCII; write it in its xn-- form");
    struct seen seen = {.loop = f->loop};
    assert_non_null(mw_resolver_records(f->resolver, longest, 254, MW_RECORD_TXT, on_records, &seen));
    wait_for(&seen);
    assert_string_equal(seen.code, "invalid");
    assert_non_null(strstr(seen.message, "at most 253 bytes"));
    seen.calls = 0;
    longest[63] = 'a';
    assert_non_null(mw_resolver_records(f->resolver, longest, 100, MW_RECORD_TXT, on_records, &seen));
    wait_for(&seen);
    assert_non_null(strstr(seen.message, "at most 63 bytes"));
    assert_int_equal(dns_server_asked(f->server), 0);
}

/* As long as a name may be. */
static void fill_name(char name[MW_HOST_MAX + 1]) {
    for (size_t i = 0; i < MW_HOST_MAX; i++) {
        name[i] = i % 64 == 63 ? '.' : 'a';
    }
    name[MW_HOST_MAX] = '\0';
}

static void takes_the_longest_name(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    char longest[MW_HOST_MAX + 1];
    fill_name(longest);
    resolve_records(f, &seen, longest, MW_RECORD_A);
    assert_string_equal(seen.code, "not_found");
    assert_string_equal(dns_server_last_name(f->server), longest);
}

static void refuses_servers_that_are_no_addresses(void **state) {
    struct fixture *f = *state;
    static const char *const lists[] = {
        "",
        "name.test",
        "127.0.0.1:99999",
        "127.0.0.1:0",
        "127.0.0.1,",
        "127.0.0.1:53 ,::1",
        "udp://127.0.0.1:53",
        "*:53",
        "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct mw_resolver_options options = {.servers = lists[i]};
        struct mw_fault fault;
        assert_null(mw_resolver_new(f->loop, &options, &fault));
        assert_string_equal(fault.code, "invalid");
        assert_non_null(strstr(fault.message, "name servers"));
    }
    struct mw_resolver_options options = {.servers = "127.0.0.1,127.0.0.1:5353,::1,[::1]:5353"};
    struct mw_fault fault;
    struct mw_resolver *resolver = mw_resolver_new(f->loop, &options, &fault);
    assert_non_null(resolver);
    mw_resolver_free(resolver);
}

/* --- the cache --- */

static void keeps_answers(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "kept.test", DNS_A, 60, "127.0.0.1");
    dns_server_add_mx(f->server, "kept.test", 60, 1, "mx.test");
    resolve(f, &seen, "kept.test", AF_INET);
    resolve_records(f, &seen, "kept.test", MW_RECORD_MX);
    resolve_records(f, &seen, "missing.test", MW_RECORD_MX);
    unsigned asked = dns_server_asked(f->server);
    dns_server_clear(f->server);
    resolve(f, &seen, "KEPT.test", AF_INET);
    assert_address(&seen, 0, "127.0.0.1:80");
    resolve_records(f, &seen, "kept.Test", MW_RECORD_MX);
    assert_string_equal(seen.texts[0], "mx.test");
    resolve_records(f, &seen, "missing.test", MW_RECORD_MX);
    assert_string_equal(seen.code, "not_found");
    assert_int_equal(dns_server_asked(f->server), asked);
    resolve(f, &seen, "kept.test", AF_INET6);
    assert_int_equal(dns_server_asked(f->server), asked + 1);
}

static void does_not_keep_what_has_no_time_to_live(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "zero.test", DNS_A, 0, "127.0.0.1");
    dns_server_add_text(f->server, "alias.test", DNS_CNAME, 0, "real.test");
    dns_server_add_text(f->server, "real.test", DNS_A, 60, "127.0.0.5");
    resolve(f, &seen, "zero.test", AF_INET);
    resolve(f, &seen, "zero.test", AF_INET);
    assert_int_equal(dns_server_asked(f->server), 2);
    resolve(f, &seen, "alias.test", AF_INET);
    resolve(f, &seen, "alias.test", AF_INET);
    assert_int_equal(dns_server_asked(f->server), 4);
    resolve_records(f, &seen, "alias.test", MW_RECORD_A);
    resolve_records(f, &seen, "alias.test", MW_RECORD_A);
    assert_int_equal(dns_server_asked(f->server), 6);
}

static void asks_again_when_the_time_is_over(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "brief.test", DNS_A, 1, "127.0.0.1");
    resolve(f, &seen, "brief.test", AF_INET);
    double start = mw_loop_now(f->loop);
    dns_server_clear(f->server);
    dns_server_add_text(f->server, "brief.test", DNS_A, 1, "127.0.0.2");
    do {
        resolve(f, &seen, "brief.test", AF_INET);
    } while (dns_server_asked(f->server) == 1 && mw_loop_now(f->loop) - start < PATIENCE);
    assert_address(&seen, 0, "127.0.0.2:80");
    assert_true(mw_loop_now(f->loop) - start >= 1);
}

static void drops_the_oldest_answer(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    reopen(f, (struct mw_resolver_options){.resolv_conf = "/dev/null", .entries = 2});
    resolve_records(f, &seen, "one.test", MW_RECORD_A);
    resolve_records(f, &seen, "two.test", MW_RECORD_A);
    resolve_records(f, &seen, "three.test", MW_RECORD_A);
    assert_int_equal(dns_server_asked(f->server), 3);
    resolve_records(f, &seen, "three.test", MW_RECORD_A);
    resolve_records(f, &seen, "two.test", MW_RECORD_A);
    assert_int_equal(dns_server_asked(f->server), 3);
    resolve_records(f, &seen, "one.test", MW_RECORD_A);
    assert_int_equal(dns_server_asked(f->server), 4);
}

static struct mw_answer *new_answer(const char *key, double expires) {
    struct mw_answer *answer = mw_answer_new(key, 0, NULL, 0);
    assert_non_null(answer);
    answer->expires = expires;
    return answer;
}

static void cache_forgets_what_has_expired(void **state) {
    (void)state;
    struct mw_cache *cache = mw_cache_new(3);
    struct mw_answer *answer = new_answer("key", 10), *newer = new_answer("key", 20);
    mw_cache_keep(cache, answer);
    assert_null(mw_cache_find(cache, "other", 0));
    assert_ptr_equal(mw_cache_find(cache, "key", 9.9), answer);
    mw_answer_release(answer);
    assert_null(mw_cache_find(cache, "key", 10));
    mw_cache_keep(cache, answer);
    mw_cache_keep(cache, newer);
    assert_ptr_equal(mw_cache_find(cache, "key", 15), newer);
    mw_answer_release(newer);
    mw_answer_release(newer);
    mw_answer_release(answer);
    mw_cache_free(cache);
}

/* --- many at once --- */

static void shares_one_query_among_equal_lookups(void **state) {
    struct fixture *f = *state;
    struct seen one, two;
    dns_server_add_text(f->server, "shared.test", DNS_A, 60, "127.0.0.1");
    assert_non_null(ask(f, &one, "shared.test", AF_INET));
    two = (struct seen){.loop = f->loop};
    assert_non_null(mw_resolver_addresses(f->resolver, "Shared.Test", 11, 443, AF_INET, on_addresses, &two));
    wait_for(&one);
    wait_for(&two);
    assert_address(&one, 0, "127.0.0.1:80");
    assert_address(&two, 0, "127.0.0.1:443");
    assert_int_equal(dns_server_asked(f->server), 1);
}

enum { CROWD = 1500 };

static void on_crowd(void *context, const struct mw_record *list, size_t count,
                     const struct mw_fault *fault) {
    struct seen *seen = context;
    assert_null(fault);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].text, "127.2.3.4");
    seen->calls++;
    if (seen->calls == CROWD) {
        mw_loop_stop(seen->loop);
    }
}

static void answers_a_crowd(void **state) {
    struct fixture *f = *state;
    struct seen seen = {.loop = f->loop};
    reopen(f, (struct mw_resolver_options){.resolv_conf = "/dev/null", .timeout = 0.5, .tries = 5});
    for (int i = 0; i < CROWD; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%d.test", i);
        dns_server_add_text(f->server, name, DNS_A, 60, "127.2.3.4");
        assert_non_null(mw_resolver_records(f->resolver, name, strlen(name), MW_RECORD_A, on_crowd, &seen));
    }
    wait_for_calls(f->loop, &seen.calls, CROWD);
    assert_true(dns_server_asked(f->server) >= CROWD);
}

/* --- cancelling --- */

static void cancelled_lookups_hear_nothing(void **state) {
    struct fixture *f = *state;
    struct seen first, second, third;
    dns_server_add_text(f->server, "a.test", DNS_A, 60, "127.0.0.1");
    unsigned descriptors = count_descriptors();
    struct mw_lookup *lookup = ask(f, &first, "a.test", AF_INET);
    assert_non_null(ask(f, &second, "a.test", AF_INET));
    mw_lookup_cancel(lookup);
    wait_for(&second);
    assert_int_equal(second.count, 1);
    /* Answered, but not told yet. */
    lookup = ask(f, &third, "a.test", AF_INET);
    mw_lookup_cancel(lookup);
    run_dry(f->loop);
    assert_int_equal(first.calls, 0);
    assert_int_equal(third.calls, 0);
    assert_int_equal(count_descriptors(), descriptors);
}

static void the_last_one_to_cancel_leaves_nothing_behind(void **state) {
    struct fixture *f = *state;
    struct seen one, two;
    unsigned descriptors = count_descriptors();
    dns_server_set_mood(f->server, DNS_SILENT);
    struct mw_lookup *first = ask(f, &one, "a.test", AF_UNSPEC);
    struct mw_lookup *second = ask_records(f, &two, "b.test", MW_RECORD_MX);
    assert_non_null(first);
    assert_non_null(second);
    assert_true(count_descriptors() > descriptors);
    mw_lookup_cancel(first);
    mw_lookup_cancel(second);
    assert_int_equal(count_descriptors(), descriptors);
    run_dry(f->loop);
    assert_int_equal(one.calls + two.calls, 0);
    dns_server_set_mood(f->server, DNS_HELPFUL);
    dns_server_add_text(f->server, "a.test", DNS_A, 60, "127.0.0.1");
    resolve(f, &one, "a.test", AF_UNSPEC);
    assert_int_equal(one.count, 1);
}

/* More questions than may be under way at once: some still wait for their turn. */
static void crowds_can_leave(void **state) {
    struct fixture *f = *state;
    enum { MANY = 400 };
    static struct seen seen[MANY];
    static struct mw_lookup *lookups[MANY];
    unsigned descriptors = count_descriptors();
    dns_server_set_mood(f->server, DNS_SILENT);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            char name[32];
            snprintf(name, sizeof name, "n%d.test", i);
            lookups[i] = ask(f, &seen[i], name, AF_INET);
            assert_non_null(lookups[i]);
        }
        for (int i = MANY - 1; round == 0 && i >= 0; i--) {
            mw_lookup_cancel(lookups[i]);
        }
        if (round == 1) {
            mw_resolver_free(f->resolver);
            f->resolver = NULL;
        }
        assert_int_equal(count_descriptors(), descriptors);
        run_dry(f->loop);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(seen[i].calls, 0);
        }
    }
}

static void freeing_the_resolver_cancels_all(void **state) {
    struct fixture *f = *state;
    struct seen waiting, ready;
    dns_server_set_mood(f->server, DNS_SILENT);
    assert_non_null(ask(f, &waiting, "a.test", AF_UNSPEC));
    assert_non_null(ask(f, &ready, "127.0.0.1", AF_UNSPEC));
    mw_resolver_free(f->resolver);
    f->resolver = NULL;
    run_dry(f->loop);
    assert_int_equal(waiting.calls + ready.calls, 0);
}

struct chain {
    struct fixture *fixture;
    struct mw_lookup *victim;
    struct seen seen;
};

static void on_chain(void *context, const struct mw_addr *list, size_t count, const struct mw_fault *fault) {
    struct chain *chain = context;
    assert_null(fault);
    assert_int_equal(count, 1);
    assert_non_null(list);
    if (chain->victim) {
        mw_lookup_cancel(chain->victim);
        chain->victim = NULL;
    }
    if (++chain->seen.calls == 3) {
        mw_loop_stop(chain->seen.loop);
        return;
    }
    assert_non_null(
        mw_resolver_addresses(chain->fixture->resolver, "a.test", 6, 80, AF_INET, on_chain, chain));
}

static void callbacks_may_ask_and_cancel(void **state) {
    struct fixture *f = *state;
    struct chain chain = {.fixture = f, .seen = {.loop = f->loop}};
    struct seen victim;
    dns_server_add_text(f->server, "a.test", DNS_A, 60, "127.0.0.1");
    assert_non_null(mw_resolver_addresses(f->resolver, "a.test", 6, 80, AF_INET, on_chain, &chain));
    chain.victim = ask(f, &victim, "a.test", AF_INET);
    wait_for_calls(f->loop, &chain.seen.calls, 3);
    assert_int_equal(victim.calls, 0);
    assert_int_equal(dns_server_asked(f->server), 1);
}

/* --- resolv.conf --- */

static void write_file(const char *path, const char *text) {
    char other[64];
    snprintf(other, sizeof other, "%s.new", path);
    int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    assert_int_equal(rename(other, path), 0);
}

static void uses_the_search_list_for_hosts_only(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    char path[] = "/tmp/resolver_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, "search one.test two.test\n");
    reopen(f, (struct mw_resolver_options){.resolv_conf = path});
    dns_server_add_text(f->server, "host.two.test", DNS_A, 60, "127.0.0.2");
    resolve(f, &seen, "host", AF_INET);
    assert_address(&seen, 0, "127.0.0.2:80");
    assert_int_equal(dns_server_asked(f->server), 2);
    resolve(f, &seen, "host.", AF_INET);
    assert_fault(&seen, "not_found", "resolve host.: no such name");
    resolve_records(f, &seen, "host", MW_RECORD_A);
    assert_string_equal(seen.code, "not_found");
    assert_string_equal(dns_server_last_name(f->server), "host");
    char longest[MW_HOST_MAX + 1];
    fill_name(longest);
    resolve(f, &seen, longest, AF_INET);
    assert_string_equal(seen.code, "not_found");
    unlink(path);
}

static void reads_a_changed_resolv_conf(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    char path[] = "/tmp/resolver_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, "search old.test\n");
    reopen(f, (struct mw_resolver_options){.resolv_conf = path});
    dns_server_add_text(f->server, "host.old.test", DNS_A, 0, "127.0.0.1");
    dns_server_add_text(f->server, "host.new.test", DNS_A, 0, "127.0.0.2");
    resolve(f, &seen, "host", AF_INET);
    assert_address(&seen, 0, "127.0.0.1:80");
    write_file(path, "search new.test\n");
    double start = mw_loop_update(f->loop);
    do {
        resolve(f, &seen, "host", AF_INET);
    } while (seen.addresses[0].v4.sin_addr.s_addr == htonl(0x7f000001) &&
             mw_loop_now(f->loop) - start < PATIENCE);
    assert_address(&seen, 0, "127.0.0.2:80");
    unlink(path);
}

static void works_without_resolv_conf(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    reopen(f, (struct mw_resolver_options){.resolv_conf = "/dev/null/none"});
    dns_server_add_text(f->server, "a.test", DNS_A, 60, "127.0.0.1");
    resolve(f, &seen, "a.test", AF_INET);
    assert_address(&seen, 0, "127.0.0.1:80");
}

/* A query of the old kind is still under way when the change is noticed: what
 * is asked then waits for its end. */
static void reads_a_changed_resolv_conf_when_queries_have_ended(void **state) {
    struct fixture *f = *state;
    struct seen slow, seen;
    char path[] = "/tmp/resolver_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, "search old.test\n");
    reopen(f, (struct mw_resolver_options){.resolv_conf = path, .timeout = 1.3, .tries = 1});
    dns_server_add_text(f->server, "host.new.test", DNS_A, 0, "127.0.0.2");
    dns_server_set_mood(f->server, DNS_SILENT);
    mw_loop_update(f->loop);
    assert_non_null(ask_records(f, &slow, "slow.test", MW_RECORD_A));
    write_file(path, "search new.test\n");
    struct guard guard = {.loop = f->loop, .rang = false};
    mw_timer_init(&guard.timer, on_guard);
    assert_true(mw_timer_set(mw_loop_timers(f->loop), &guard.timer, mw_loop_update(f->loop) + 1.1));
    mw_loop_run(f->loop);
    assert_true(guard.rang);
    dns_server_set_mood(f->server, DNS_HELPFUL);
    resolve(f, &seen, "host", AF_INET);
    assert_string_equal(slow.code, "timeout");
    assert_address(&seen, 0, "127.0.0.2:80");
    unlink(path);
}

/* --- memory --- */

/* With the nth allocation failing, for all n, a lookup is refused at once, or
 * ends with an answer or a fault, and another one then succeeds. */
static void survives_want_of_memory(void **state) {
    struct fixture *f = *state;
    struct seen seen;
    dns_server_add_text(f->server, "a.test", DNS_A, 0, "127.0.0.1");
    dns_server_add_text(f->server, "a.test", DNS_AAAA, 0, "::1");
    dns_server_add_mx(f->server, "a.test", 60, 1, "mx.test");
    reopen(f, (struct mw_resolver_options){.resolv_conf = "/dev/null", .timeout = 0.2, .tries = 5});
    /* libev's tables must not have to grow: it gives up when they cannot. */
    resolve(f, &seen, "a.test", AF_UNSPEC);
    unsigned refused = 0, failed = 0;
    for (int n = 1;; n++) {
        bool addresses = n % 2;
        alloc_failure_arm((n + 1) / 2);
        struct mw_lookup *lookup =
            addresses ? ask(f, &seen, "a.test", AF_UNSPEC) : ask_records(f, &seen, "a.test", MW_RECORD_MX);
        if (lookup) {
            wait_for(&seen);
        }
        bool reached = alloc_failure_disarm();
        refused += !lookup;
        failed += lookup && strcmp(seen.code, "memory") == 0;
        resolve(f, &seen, "a.test", AF_UNSPEC);
        assert_int_equal(seen.count, 2);
        reopen(f, (struct mw_resolver_options){.resolv_conf = "/dev/null", .timeout = 0.2, .tries = 5});
        if (!reached && addresses) {
            break;
        }
    }
    assert_true(refused >= 2);
    assert_true(failed >= 2);
}

static void opening_survives_want_of_memory(void **state) {
    struct fixture *f = *state;
    struct mw_resolver_options options = {.servers = "127.0.0.1:53", .resolv_conf = "/dev/null"};
    struct mw_resolver *resolver = NULL;
    bool reached = true;
    for (int n = 1; reached; n++) {
        struct mw_fault fault = {.code = ""};
        alloc_failure_arm(n);
        resolver = mw_resolver_new(f->loop, &options, &fault);
        reached = alloc_failure_disarm();
        if (!resolver) {
            assert_true(reached);
            assert_string_equal(fault.code, "memory");
        }
        mw_resolver_free(resolver);
    }
    assert_non_null(resolver);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(finds_addresses_of_both_families),
        test(asks_for_one_family_only),
        test(follows_aliases),
        test(takes_numeric_hosts_as_they_are),
        test(reads_the_hosts_file),
        test(asks_servers_over_ipv6),
        test(asks_the_next_server_when_one_is_dead),
        test(leaves_out_addresses_past_the_limit),
        test(finds_mx_in_order_of_priority),
        test(shows_the_root_as_a_dot),
        test(expands_compressed_names),
        test(joins_the_strings_of_a_txt),
        test(finds_srv),
        test(finds_names_of_addresses),
        test(finds_address_records_with_their_ttl),
        test(asks_again_over_tcp_when_truncated),
        test(refuses_malformed_packets),
        test(tells_what_does_not_exist),
        test(times_out),
        test(tells_that_servers_fail),
        test(tells_that_no_server_can_be_reached),
        test(tells_that_descriptors_have_run_out),
        test(refuses_what_is_no_name),
        test(takes_the_longest_name),
        test(refuses_servers_that_are_no_addresses),
        test(keeps_answers),
        test(does_not_keep_what_has_no_time_to_live),
        test(asks_again_when_the_time_is_over),
        test(drops_the_oldest_answer),
        test(cache_forgets_what_has_expired),
        test(shares_one_query_among_equal_lookups),
        test(answers_a_crowd),
        test(cancelled_lookups_hear_nothing),
        test(the_last_one_to_cancel_leaves_nothing_behind),
        test(crowds_can_leave),
        test(freeing_the_resolver_cancels_all),
        test(callbacks_may_ask_and_cancel),
        test(uses_the_search_list_for_hosts_only),
        test(works_without_resolv_conf),
        test(reads_a_changed_resolv_conf),
        test(reads_a_changed_resolv_conf_when_queries_have_ended),
        test(survives_want_of_memory),
        test(opening_survives_want_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
