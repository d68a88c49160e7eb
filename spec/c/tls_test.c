/* layers: base loop net */
/* TLS over streams in memory and sockets: what goes through, and what ends it. */
#include "net/relay.h"
#include "net/send_file.h"
#include "net/stream_internal.h"
#include "net/tls_internal.h"
#include "support/tls_ends.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024 };

static void open_memory(void) {
    ends_connect_memory();
    ends_shake_hands("localhost");
}

static void open_sockets(void) {
    ends_connect_sockets();
    ends_shake_hands("localhost");
}

static SSL *ssl_of(const struct end *end) {
    return ((struct mw_tls *)end->witness.stream->transport)->ssl;
}

static void send_all(struct end *from, struct end *to, size_t size) {
    size_t before = to->witness.received;
    assert_int_equal(witness_queue(&from->witness, before, size), 0);
    mw_net_flush(world.net);
    world_run_until(to->witness.received == before + size);
}

static void a_handshake_opens_the_connection(void **state) {
    (void)state;
    struct mw_tls_facts facts;
    open_memory();
    assert_true(mw_tls_is_on(client.witness.stream));
    assert_true(mw_tls_describe(client.witness.stream, &facts));
    assert_string_equal(facts.version, "TLSv1.3");
    assert_true(facts.verified && facts.certificate && !facts.resumed && !facts.protocol);
    assert_true(mw_tls_describe(server.witness.stream, &facts));
    assert_string_equal(facts.server_name, "localhost");
    assert_false(facts.verified || facts.certificate);
    assert_int_equal(client.witness.readable + server.witness.readable, 0);
}

static void bytes_arrive_both_ways(void **state) {
    (void)state;
    open_memory();
    assert_int_equal(witness_queue(&client.witness, 0, 1000), 0);
    assert_int_equal(witness_queue(&server.witness, 0, 3 * MIB), 0);
    mw_net_flush(world.net);
    world_run_until(server.witness.received == 1000 && client.witness.received == 3 * MIB);
}

static void bytes_arrive_over_sockets(void **state) {
    (void)state;
    open_sockets();
    assert_int_equal(witness_queue(&client.witness, 0, 3 * MIB), 0);
    assert_int_equal(witness_queue(&server.witness, 0, 3 * MIB), 0);
    world_run_until(server.witness.received == 3 * MIB && client.witness.received == 3 * MIB);
}

static void version_12_does_the_same(void **state) {
    (void)state;
    struct mw_tls_facts facts;
    ends_connect_memory();
    ends_begin(&client, "localhost");
    SSL_set_max_proto_version(ssl_of(&client), TLS1_2_VERSION);
    ends_begin(&server, NULL);
    world_run_until(client.done && server.done);
    mw_tls_describe(server.witness.stream, &facts);
    assert_string_equal(facts.version, "TLSv1.2");
    send_all(&client, &server, 100 * KIB);
    send_all(&server, &client, 100 * KIB);
}

static void older_versions_are_refused(void **state) {
    (void)state;
    ends_connect_memory();
    ends_begin(&client, "localhost");
    SSL_set_min_proto_version(ssl_of(&client), TLS1_VERSION);
    SSL_set_max_proto_version(ssl_of(&client), TLS1_1_VERSION);
    SSL_set_security_level(ssl_of(&client), 0);
    assert_int_equal(SSL_set_cipher_list(ssl_of(&client), "ALL:@SECLEVEL=0"), 1);
    ends_begin(&server, NULL);
    world_run_until(client.done && server.done);
    ends_expect(&server, "protocol", "versions of TLS");
    ends_expect(&client, "protocol", "versions of TLS");
}

static void several_pieces_become_records_in_order(void **state) {
    (void)state;
    open_memory();
    size_t sizes[] = {1, 100, 20000, 3, 16384, 40000, 2}, at = 0;
    struct iovec pieces[7];
    for (int i = 0; i < 7; i++) {
        pieces[i] = (struct iovec){.iov_base = world_bytes(at, sizes[i]), .iov_len = sizes[i]};
        at += sizes[i];
    }
    assert_int_equal(mw_stream_queue_pieces(client.witness.stream, pieces, 7), 0);
    for (int i = 0; i < 7; i++) {
        free(pieces[i].iov_base);
    }
    world_run_until(server.witness.received == at);
}

/* The reader rests, and what OpenSSL holds by then is shown by no descriptor. */
static void a_reader_that_rests_loses_nothing(void **state) {
    (void)state;
    open_sockets();
    const struct mw_stream_marks marks = {.input = 1, .high = 64 * KIB, .low = 1, .cap = 4 * MIB};
    mw_stream_set_marks(server.witness.stream, &marks);
    server.witness.leaves_input = true;
    assert_int_equal(witness_queue(&client.witness, 0, 300 * KIB), 0);
    assert_int_equal(mw_stream_shutdown(client.witness.stream), 0);
    while (!mw_stream_at_end(server.witness.stream)) {
        size_t before = server.witness.received;
        world_run_until((witness_take(&server.witness),
                         server.witness.received > before || mw_stream_at_end(server.witness.stream)));
    }
    assert_int_equal(server.witness.received, 300 * KIB);
}

/* A reader that asks for small amounts at a time, from a record that is there as a whole. */
static void a_read_of_a_few_bytes_leaves_the_rest(void **state) {
    (void)state;
    char bytes[7];
    open_memory();
    ev_io_stop(mw_loop_ev(world.loop), &server.witness.stream->input);
    server.witness.leaves_input = true;
    assert_int_equal(witness_queue(&client.witness, 0, 20), 0);
    mw_net_flush(world.net);
    world_settle();
    assert_int_equal(server.witness.readable, 1);
    witness_take(&server.witness);
    assert_int_equal(witness_queue(&client.witness, 20, 20), 0);
    mw_stream_flush(client.witness.stream);
    size_t at = 20;
    for (ssize_t got; (got = server.witness.stream->ops->read(server.witness.stream, bytes, sizeof bytes)) > 0;) {
        for (ssize_t i = 0; i < got; i++) {
            assert_int_equal(bytes[i], world_pattern(at++));
        }
    }
    assert_int_equal(at, 40);
}

static void the_end_is_told_by_close_notify(void **state) {
    (void)state;
    open_sockets();
    assert_int_equal(witness_queue(&client.witness, 0, 300 * KIB), 0);
    assert_int_equal(mw_stream_shutdown(client.witness.stream), 0);
    world_run_until(mw_stream_at_end(server.witness.stream));
    assert_int_equal(server.witness.received, 300 * KIB);
    assert_int_equal(mw_stream_input_fault(server.witness.stream), 0);
    send_all(&server, &client, 300 * KIB);
    assert_int_equal(mw_stream_shutdown(server.witness.stream), 0);
    world_run_until(mw_stream_at_end(client.witness.stream));
}

static void a_close_says_goodbye(void **state) {
    (void)state;
    open_sockets();
    assert_int_equal(witness_queue(&client.witness, 0, 300 * KIB), 0);
    witness_close(&client.witness, 5);
    world_run_until(mw_stream_at_end(server.witness.stream));
    assert_int_equal(server.witness.received, 300 * KIB);
    witness_close(&server.witness, 5);
    world_run_until(world.net->streams == 0);
}

static void an_idle_connection_that_is_closed_says_goodbye_too(void **state) {
    (void)state;
    open_memory();
    witness_close(&client.witness, 0);
    world_run_until(mw_stream_at_end(server.witness.stream));
    assert_int_equal(mw_stream_input_fault(server.witness.stream), 0);
}

static void an_end_without_close_notify_is_a_fault(void **state) {
    (void)state;
    open_sockets();
    send_all(&client, &server, 1000);
    shutdown(mw_stream_fd(client.witness.stream), SHUT_WR);
    world_run_until(mw_stream_input_fault(server.witness.stream));
    assert_int_equal(mw_stream_input_fault(server.witness.stream), ECONNRESET);
    assert_false(mw_stream_at_end(server.witness.stream));
    send_all(&server, &client, 1000);
}

/* What was queued is lost: the peer must not take what came for all of it. */
static void a_close_that_loses_output_does_not_say_goodbye(void **state) {
    (void)state;
    open_sockets();
    server.witness.leaves_input = true;
    assert_int_equal(witness_queue(&client.witness, 0, 32 * MIB), 0);
    world_settle();
    assert_true(mw_stream_pending(client.witness.stream) > 0);
    witness_close(&client.witness, 0);
    server.witness.leaves_input = false;
    witness_take(&server.witness);
    world_run_until(mw_stream_input_fault(server.witness.stream));
    assert_false(mw_stream_at_end(server.witness.stream));
}

static void an_abort_does_not_say_goodbye(void **state) {
    (void)state;
    open_memory();
    mw_stream_abort(client.witness.stream);
    client.witness.stream = NULL;
    world_run_until(mw_stream_input_fault(server.witness.stream));
    assert_int_equal(mw_stream_input_fault(server.witness.stream), ECONNRESET);
}

static void bytes_that_are_no_record_end_it(void **state) {
    (void)state;
    struct mw_tls_facts facts;
    open_sockets();
    assert_int_equal(send(mw_stream_fd(client.witness.stream), "no record at all", 16, 0), 16);
    world_run_until(mw_stream_input_fault(server.witness.stream));
    assert_int_equal(mw_stream_input_fault(server.witness.stream), EPROTO);
    mw_tls_describe(server.witness.stream, &facts);
    assert_non_null(facts.reason);
    assert_int_equal(witness_queue(&server.witness, 0, 10), 0);
    assert_int_equal(mw_stream_flush(server.witness.stream), EPROTO);
    assert_int_equal(mw_stream_shutdown(server.witness.stream), EPROTO);
}

static void new_keys_are_taken_in_mid_stream(void **state) {
    (void)state;
    open_memory();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(ssl_of(&client), SSL_KEY_UPDATE_REQUESTED), 1);
        send_all(&client, &server, 50 * KIB);
        send_all(&server, &client, 50 * KIB);
    }
}

/* The answer to a request for new keys has no room: the read waits for some. */
static void a_read_may_have_to_write_first(void **state) {
    (void)state;
    open_sockets();
    client.witness.leaves_input = true;
    const struct mw_stream_marks marks = {.input = 1, .high = 64 * KIB, .low = 1, .cap = 32 * MIB};
    mw_stream_set_marks(client.witness.stream, &marks);
    assert_int_equal(witness_queue(&server.witness, 0, 16 * MIB), 0);
    world_settle();
    assert_true(mw_stream_pending(server.witness.stream) > 0);
    assert_int_equal(SSL_key_update(ssl_of(&client), SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(witness_queue(&client.witness, 0, 100 * KIB), 0);
    world_settle();
    client.witness.leaves_input = false;
    witness_take(&client.witness);
    world_run_until(client.witness.received == 16 * MIB && server.witness.received == 100 * KIB);
}

static void renegotiation_is_refused(void **state) {
    (void)state;
    ends_connect_memory();
    ends_begin(&client, "localhost");
    SSL_set_max_proto_version(ssl_of(&client), TLS1_2_VERSION);
    SSL_clear_options(ssl_of(&client), SSL_OP_NO_RENEGOTIATION);
    ends_begin(&server, NULL);
    world_run_until(client.done && server.done);
    assert_int_equal(SSL_renegotiate(ssl_of(&client)), 1);
    struct mw_tls *tls = client.witness.stream->transport;
    mw_tls_enter(tls);
    SSL_do_handshake(tls->ssl);
    mw_tls_leave(tls, NULL);
    world_settle();
    assert_int_equal(SSL_get_state(ssl_of(&server)), TLS_ST_OK);
    assert_int_equal(SSL_num_renegotiations(ssl_of(&server)), 0);
}

static void tls_goes_through_tls(void **state) {
    (void)state;
    open_memory();
    ends_shake_hands("localhost");
    assert_ptr_equal(((struct mw_tls *)client.witness.stream->transport)->lower, &mw_tls_ops);
    assert_int_equal(witness_queue(&client.witness, 0, 1 * MIB), 0);
    assert_int_equal(witness_queue(&server.witness, 0, 1 * MIB), 0);
    world_run_until(server.witness.received == 1 * MIB && client.witness.received == 1 * MIB);
    assert_int_equal(mw_stream_shutdown(client.witness.stream), 0);
    world_run_until(mw_stream_at_end(server.witness.stream));
}

/* Both layers may hold a rest that no descriptor shows. */
static void tls_in_tls_leaves_no_rest_behind(void **state) {
    (void)state;
    open_sockets();
    ends_shake_hands("localhost");
    assert_int_equal(SSL_set_max_send_fragment(ssl_of(&client), 5000), 1);
    for (size_t size = 60 * KIB; size < 140 * KIB; size += 193) {
        send_all(&client, &server, size);
    }
}

/* In memory nothing tells twice of the end. */
static void an_end_in_mid_record_is_told_in_memory(void **state) {
    (void)state;
    char bytes[17] = "\x17\x03\x03\x40"; /* the head of a record of 16 KiB, and a little of it */
    for (size_t size = 1; size <= 70 * KIB; size += 13 * KIB) {
        open_memory();
        send_all(&client, &server, 100);
        assert_int_equal(witness_queue(&client.witness, 100, size), 0);
        mw_net_flush(world.net);
        struct mw_stream *stream = client.witness.stream;
        struct mw_tls *tls = stream->transport;
        struct iovec piece = {bytes, sizeof bytes};
        while (mw_stream_pending(stream)) {
            world_settle();
        }
        stream->transport = tls->lower_transport;
        assert_int_equal(tls->lower->write(stream, &piece, 1), sizeof bytes);
        tls->lower->shutdown_write(stream);
        stream->transport = tls;
        world_run_until(mw_stream_input_fault(server.witness.stream));
        assert_int_equal(mw_stream_input_fault(server.witness.stream), ECONNRESET);
        assert_int_equal(server.witness.received, 100 + size);
    }
}

static const struct mw_stream_ops *below;
static unsigned followed, last;

static ssize_t count_writes(struct mw_stream *stream, const struct iovec *pieces, int count) {
    *(stream->more ? &followed : &last) += 1;
    return below->write(stream, pieces, count);
}

/* So that the kernel makes no segment of its own for each. */
static void records_of_one_write_are_known_to_be_followed(void **state) {
    (void)state;
    open_memory();
    struct mw_tls *tls = client.witness.stream->transport;
    below = tls->lower;
    struct mw_stream_ops counting = *below;
    counting.write = count_writes;
    tls->lower = &counting;
    followed = last = 0;
    assert_int_equal(witness_queue(&client.witness, 0, 48 * KIB + 1), 0);
    tls->lower = below;
    assert_int_equal(followed, 3);
    assert_int_equal(last, 1);
    world_run_until(server.witness.received == 48 * KIB + 1);
}

/* --- before and around the handshake --- */

static void what_was_queued_leaves_in_clear_first(void **state) {
    (void)state;
    ends_connect_sockets();
    assert_int_equal(mw_stream_queue(server.witness.stream, "220 go ahead\r\n", 14), 0);
    ends_begin(&server, NULL);
    char bytes[15] = "";
    world_run_until(recv(mw_stream_fd(client.witness.stream), bytes, 14, MSG_PEEK | MSG_DONTWAIT) == 14);
    assert_string_equal(bytes, "220 go ahead\r\n");
    assert_int_equal(recv(mw_stream_fd(client.witness.stream), bytes, 14, 0), 14);
    ends_begin(&client, "localhost");
    world_run_until(client.done && server.done);
    ends_expect(&client, NULL, NULL);
    send_all(&server, &client, 1000);
}

/* More than the transport takes at once. */
static void much_that_was_queued_leaves_in_clear_first(void **state) {
    (void)state;
    ends_connect_memory();
    client.witness.leaves_input = true;
    assert_int_equal(witness_queue(&server.witness, 0, 1 * MIB), 0);
    ends_begin(&server, NULL);
    client.witness.leaves_input = false;
    world_run_until(client.witness.received == 1 * MIB);
    assert_int_equal(server.done, 0);
    ends_begin(&client, "localhost");
    client.witness.received = 0;
    world_run_until(client.done && server.done);
    ends_expect(&server, NULL, NULL);
    send_all(&server, &client, 1000);
}

static void what_is_queued_meanwhile_leaves_behind_it(void **state) {
    (void)state;
    ends_connect_memory();
    ends_begin(&client, "localhost");
    ends_begin(&server, NULL);
    assert_int_equal(witness_queue(&client.witness, 0, 100), 0);
    mw_net_flush(world.net);
    assert_int_equal(witness_queue(&client.witness, 100, 40 * KIB), 0);
    assert_int_equal(mw_stream_shutdown(client.witness.stream), 0);
    world_run_until(mw_stream_at_end(server.witness.stream));
    assert_int_equal(server.witness.received, 40 * KIB + 100);
    assert_true(client.done && server.done);
}

static void bytes_in_clear_behind_the_agreement_are_refused(void **state) {
    (void)state;
    struct mw_fault fault;
    ends_connect_memory();
    server.witness.leaves_input = true;
    assert_int_equal(witness_queue(&client.witness, 0, 10), 0);
    mw_net_flush(world.net);
    world_run_until(server.witness.readable == 1);
    assert_false(ends_start(&server, NULL, &fault));
    assert_string_equal(fault.code, "protocol");
    assert_false(mw_tls_is_on(server.witness.stream));
    assert_int_equal(server.witness.readable, 1);
}

static void a_stream_that_is_not_fit_is_refused(void **state) {
    (void)state;
    struct mw_fault fault;
    ends_connect_memory();
    ends_begin(&client, "localhost");
    assert_false(ends_start(&client, "localhost", &fault));
    assert_string_equal(fault.code, "busy");
    mw_stream_shutdown(server.witness.stream);
    assert_false(ends_start(&server, NULL, &fault));
    assert_string_equal(fault.code, "closed");
    assert_false(mw_tls_describe(server.witness.stream, &(struct mw_tls_facts){0}));
}

static void a_client_names_its_server(void **state) {
    (void)state;
    struct mw_fault fault;
    char name[300];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    const char *const names[] = {NULL, "", ".", name};
    ends_connect_memory();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_false(ends_start(&client, names[i], &fault));
        assert_string_equal(fault.code, "invalid");
    }
    ends_shake_hands("LocalHost.");
}

/* The bytes of a whole handshake, cut everywhere: every byte comes in an event of its own. */
static void a_handshake_may_come_byte_by_byte(void **state) {
    (void)state;
    int ends[2], far[2];
    world_unix_pair(ends);
    world_unix_pair(far);
    witness_open(&client.witness, ends[0], &mw_plain_ops, NULL);
    witness_open(&server.witness, far[0], &mw_plain_ops, NULL);
    ends_begin(&client, "localhost");
    ends_begin(&server, NULL);
    int middle[2] = {ends[1], far[1]};
    while (!client.done || !server.done) {
        for (int i = 0; i < 2; i++) {
            char byte;
            if (read(middle[i], &byte, 1) == 1) {
                assert_int_equal(write(middle[!i], &byte, 1), 1);
            }
        }
        ev_run(mw_loop_ev(world.loop), EVRUN_NOWAIT);
    }
    ends_expect(&client, NULL, NULL);
    ends_expect(&server, NULL, NULL);
    close(middle[0]);
    close(middle[1]);
}

/* A raw socket in the place of the other end. */
static int connect_raw(struct end *end) {
    int ends[2];
    ends_disconnect();
    world_tcp_pair(ends);
    witness_open(&end->witness, ends[0], &mw_plain_ops, NULL);
    ends_begin(end, "localhost");
    return ends[1];
}

/* The client's first flight ends after each of its bytes. */
static void a_handshake_that_breaks_off_is_a_fault(void **state) {
    (void)state;
    char hello[4096];
    int raw = connect_raw(&client);
    world_settle();
    ssize_t size = recv(raw, hello, sizeof hello, 0);
    assert_true(size > 100);
    for (ssize_t cut = 0; cut < size; cut++) {
        close(raw);
        raw = connect_raw(&server);
        assert_int_equal(send(raw, hello, (size_t)cut, 0), cut);
        shutdown(raw, SHUT_WR);
        world_run_until(server.done);
        ends_expect(&server, "tls", "the peer has ended the connection");
        assert_int_equal(mw_stream_input_fault(server.witness.stream), ECONNRESET);
    }
    close(raw);
}

/* What the end says of a peer that sends that text; `answer`, if any, is what the peer gets back. */
static void speak_in_clear(struct end *end, const char *text, char answer[300]) {
    int raw = connect_raw(end);
    assert_int_equal(send(raw, text, strlen(text), 0), (ssize_t)strlen(text));
    world_run_until(end->done);
    if (answer) {
        ssize_t size = recv(raw, answer, 299, 0);
        answer[size > 0 ? size : 0] = '\0';
    }
    close(raw);
}

static void a_peer_that_speaks_in_clear_is_told(void **state) {
    (void)state;
    char answer[300];
    speak_in_clear(&server, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", answer);
    ends_expect(&server, "protocol", "no TLS (HTTP");
    assert_memory_equal(answer, "HTTP/1.1 400 Bad Request\r\n", 26);
    assert_string_equal(strstr(answer, "\r\n\r\n") + 4, "This port speaks TLS; use https instead.\n");
    assert_non_null(strstr(answer, "Content-Length: 41\r\n"));
    speak_in_clear(&server, "SSH-2.0-OpenSSH_9.2\r\n", NULL);
    ends_expect(&server, "protocol", "the peer speaks no TLS");
    speak_in_clear(&server, "EHLO localhost\r\n", NULL);
    ends_expect(&server, "protocol", "the peer speaks no TLS");
}

static void a_client_of_a_server_in_clear_is_told(void **state) {
    (void)state;
    speak_in_clear(&client, "220 mail.example ESMTP\r\n", NULL);
    ends_expect(&client, "protocol", "tls handshake: the peer speaks no TLS");
}

static void a_failed_handshake_leaves_a_dead_stream(void **state) {
    (void)state;
    speak_in_clear(&server, "SSH-2.0-OpenSSH_9.2\r\n", NULL);
    assert_int_equal(mw_stream_input_fault(server.witness.stream), EPROTO);
    assert_int_equal(mw_stream_output_fault(server.witness.stream), EPROTO);
    assert_int_equal(witness_queue(&server.witness, 0, 10), EPROTO);
    world_settle();
    assert_int_equal(server.witness.readable, 0);
}

static void a_handshake_has_its_time(void **state) {
    (void)state;
    ends_connect_sockets();
    ends_begin(&server, NULL);
    struct mw_tls *tls = server.witness.stream->transport;
    assert_true(mw_timer_set(mw_loop_timers(world.loop), &tls->phase->timer, mw_loop_now(world.loop) + 0.001));
    world_run_until(server.done);
    ends_expect(&server, "timeout", "timeout");
    assert_int_equal(mw_stream_input_fault(server.witness.stream), ETIMEDOUT);
}

static void a_cancelled_handshake_says_nothing(void **state) {
    (void)state;
    ends_connect_memory();
    ends_begin(&client, "localhost");
    ends_begin(&server, NULL);
    mw_tls_cancel(server.witness.stream);
    witness_close(&server.witness, 5);
    world_run_until(client.done);
    world_settle();
    assert_int_equal(server.done, 0);
    assert_non_null(client.fault.code);
    mw_tls_cancel(client.witness.stream);
}

static void the_stream_may_be_closed_when_it_is_done(void **state) {
    (void)state;
    ends_connect_memory();
    client.closes = server.closes = true;
    ends_meet("localhost");
    assert_true(!client.witness.stream && !server.witness.stream);
    ends_connect_memory();
    ends_begin(&server, NULL);
    assert_int_equal(mw_stream_queue(client.witness.stream, "HELO\r\n", 6), 0);
    mw_net_flush(world.net);
    world_run_until(!server.witness.stream);
}

static void a_stream_that_is_closed_in_mid_handshake_tells_nobody(void **state) {
    (void)state;
    ends_connect_memory();
    ends_begin(&client, "localhost");
    ends_begin(&server, NULL);
    assert_int_equal(witness_queue(&client.witness, 0, 1000), 0);
    witness_close(&client.witness, 5);
    world_run_until(server.witness.received == 1000);
    assert_int_equal(client.done, 0);
    witness_close(&server.witness, 5);
    world_run_until(world.net->streams == 0);
}

static void a_peer_that_resets_is_a_fault(void **state) {
    (void)state;
    ends_connect_sockets();
    ends_begin(&server, NULL);
    mw_stream_abort(client.witness.stream);
    client.witness.stream = NULL;
    world_run_until(server.done);
    ends_expect(&server, "reset", "reset");
}

/* --- what goes past the queue between sockets --- */

static bool sent;

static void on_sent(void *context, uint64_t size, int error) {
    (void)context;
    assert_int_equal(error, 0);
    assert_int_equal(size, 2 * MIB);
    sent = true;
}

static void a_file_goes_through(void **state) {
    (void)state;
    char *bytes = world_bytes(0, 2 * MIB);
    int file = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(write(file, bytes, 2 * MIB), 2 * MIB);
    free(bytes);
    open_sockets();
    sent = false;
    assert_non_null(mw_send_file_start(server.witness.stream, file, 0, 2 * MIB, on_sent, NULL));
    world_run_until(sent && client.witness.received == 2 * MIB);
    close(file);
}

static void on_relayed(void *context, uint64_t a_to_b, uint64_t b_to_a, int error) {
    (void)context;
    assert_int_equal(error, 0);
    assert_int_equal(a_to_b, 2 * MIB);
    assert_int_equal(b_to_a, 1000);
    sent = true;
}

/* From TLS to a plain socket. */
static void a_relay_goes_through(void **state) {
    (void)state;
    int ends[2];
    const struct mw_relay_options options = {0};
    struct witness plain = {0};
    open_sockets();
    world_tcp_pair(ends);
    struct mw_stream *out = mw_stream_new(world.net, ends[0], &mw_plain_ops, NULL);
    witness_open(&plain, ends[1], &mw_plain_ops, NULL);
    sent = false;
    assert_non_null(mw_relay_start(server.witness.stream, out, &options, on_relayed, NULL));
    assert_int_equal(witness_queue(&client.witness, 0, 2 * MIB), 0);
    assert_int_equal(witness_queue(&plain, 0, 1000), 0);
    mw_stream_shutdown(client.witness.stream);
    mw_stream_shutdown(plain.stream);
    world_run_until(sent && plain.received == 2 * MIB && client.witness.received == 1000);
    mw_stream_close(out, 0);
    witness_close(&plain, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, ends_open, ends_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_opens_the_connection),
        TEST(bytes_arrive_both_ways),
        TEST(bytes_arrive_over_sockets),
        TEST(version_12_does_the_same),
        TEST(older_versions_are_refused),
        TEST(several_pieces_become_records_in_order),
        TEST(a_reader_that_rests_loses_nothing),
        TEST(a_read_of_a_few_bytes_leaves_the_rest),
        TEST(the_end_is_told_by_close_notify),
        TEST(a_close_says_goodbye),
        TEST(an_idle_connection_that_is_closed_says_goodbye_too),
        TEST(an_end_without_close_notify_is_a_fault),
        TEST(a_close_that_loses_output_does_not_say_goodbye),
        TEST(an_abort_does_not_say_goodbye),
        TEST(bytes_that_are_no_record_end_it),
        TEST(new_keys_are_taken_in_mid_stream),
        TEST(a_read_may_have_to_write_first),
        TEST(renegotiation_is_refused),
        TEST(tls_goes_through_tls),
        TEST(tls_in_tls_leaves_no_rest_behind),
        TEST(an_end_in_mid_record_is_told_in_memory),
        TEST(records_of_one_write_are_known_to_be_followed),
        TEST(what_was_queued_leaves_in_clear_first),
        TEST(much_that_was_queued_leaves_in_clear_first),
        TEST(what_is_queued_meanwhile_leaves_behind_it),
        TEST(bytes_in_clear_behind_the_agreement_are_refused),
        TEST(a_stream_that_is_not_fit_is_refused),
        TEST(a_client_names_its_server),
        TEST(a_handshake_may_come_byte_by_byte),
        TEST(a_handshake_that_breaks_off_is_a_fault),
        TEST(a_peer_that_speaks_in_clear_is_told),
        TEST(a_client_of_a_server_in_clear_is_told),
        TEST(a_failed_handshake_leaves_a_dead_stream),
        TEST(a_handshake_has_its_time),
        TEST(a_cancelled_handshake_says_nothing),
        TEST(the_stream_may_be_closed_when_it_is_done),
        TEST(a_stream_that_is_closed_in_mid_handshake_tells_nobody),
        TEST(a_peer_that_resets_is_a_fault),
        TEST(a_file_goes_through),
        TEST(a_relay_goes_through),
    };
    return cmocka_run_group_tests(tests, ends_make_identities, ends_free_identities);
}
