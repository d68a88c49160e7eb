/* layers: base */
#include "base/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct mw_base64 standard = {.padded = true};
static const struct mw_base64 url = {.url = true};
static const struct mw_base64 spaced = {.padded = true, .spaced = true};

static uint64_t seed;

/* A sequence that is the same in every run. */
static unsigned pseudo_random(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static int set_seed(void **state) {
    (void)state;
    seed = 42;
    return 0;
}

typedef bool decoder(const char *text, size_t length, char *data, size_t *size, struct mw_codec_fault *fault);

static bool decode_standard(const char *text, size_t length, char *data, size_t *size, struct mw_codec_fault *fault) {
    return mw_base64_decode(&standard, text, length, data, size, fault);
}

static bool decode_url(const char *text, size_t length, char *data, size_t *size, struct mw_codec_fault *fault) {
    return mw_base64_decode(&url, text, length, data, size, fault);
}

static bool decode_spaced(const char *text, size_t length, char *data, size_t *size, struct mw_codec_fault *fault) {
    return mw_base64_decode(&spaced, text, length, data, size, fault);
}

static bool decode_percent(const char *text, size_t length, char *data, size_t *size, struct mw_codec_fault *fault) {
    return mw_url_decode(false, text, length, data, size, fault);
}

/* Decodes in rooms of exactly the promised sizes, so that sanitizers see a step too far. */
static bool decode(decoder *with, const char *text, size_t length, char **data, size_t *size,
                   struct mw_codec_fault *fault) {
    char *copy = malloc(length ? length : 1);
    *data = malloc(length ? length : 1);
    assert_non_null(copy);
    assert_non_null(*data);
    memcpy(copy, text, length);
    bool good = with(copy, length, *data, size, fault);
    free(copy);
    return good;
}

static void assert_decodes(decoder *with, const char *text, const char *expected) {
    struct mw_codec_fault fault;
    size_t size = 999;
    char *data;
    assert_true(decode(with, text, strlen(text), &data, &size, &fault));
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(data, expected, size);
    free(data);
}

static void assert_refused(decoder *with, const char *text, size_t at) {
    struct mw_codec_fault fault = {.at = 999};
    size_t size;
    char *data;
    assert_false(decode(with, text, strlen(text), &data, &size, &fault));
    assert_int_equal(fault.at, at);
    assert_non_null(fault.why);
    free(data);
}

static void base64_has_the_vectors_of_the_rfc(void **state) {
    (void)state;
    static const char *const vectors[][2] = {
        {"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char text[16];
        size_t length = mw_base64_encode(&standard, vectors[i][0], strlen(vectors[i][0]), text);
        assert_int_equal(length, strlen(vectors[i][1]));
        assert_memory_equal(text, vectors[i][1], length);
        assert_decodes(decode_standard, vectors[i][1], vectors[i][0]);
    }
}

static void base64_refuses_what_is_not_exact(void **state) {
    (void)state;
    assert_refused(decode_standard, "Zg", 2);       /* no padding */
    assert_refused(decode_standard, "Zg=", 3);      /* too little */
    assert_refused(decode_standard, "Zg===", 4);    /* too much */
    assert_refused(decode_standard, "Zm9v=", 4);    /* where none belongs */
    assert_refused(decode_standard, "Zg==Zg==", 4); /* in the middle */
    assert_refused(decode_standard, "Zh==", 1);     /* bits behind the end */
    assert_refused(decode_standard, "Zm9=", 2);
    assert_refused(decode_standard, "Z", 1);
    assert_refused(decode_standard, "=", 0);
    assert_refused(decode_standard, "Zm9v\n", 4);
    assert_refused(decode_standard, "Zm-v", 2); /* of the other alphabet */
    assert_refused(decode_url, "Zm+v", 2);
    assert_refused(decode_url, "Zg=", 3);
}

static void base64_takes_what_it_is_told_to(void **state) {
    (void)state;
    assert_decodes(decode_url, "Zg", "f");
    assert_decodes(decode_url, "Zg==", "f");
    assert_decodes(decode_url, "_-8", "\xff\xef");
    assert_decodes(decode_spaced, " Zm\r\n9v\tYg = =\n", "foob");
}

static void hex_and_percent_are_strict(void **state) {
    (void)state;
    assert_decodes(mw_hex_decode, "fFaB", "\xff\xab");
    assert_refused(mw_hex_decode, "0", 1);
    assert_refused(mw_hex_decode, "0g", 1);
    assert_decodes(decode_percent, "a%20b+%C3%a9", "a b+\xc3\xa9");
    assert_refused(decode_percent, "ab%", 2);
    assert_refused(decode_percent, "ab%4", 2);
    assert_refused(decode_percent, "%4x", 0);
}

static void quoted_printable_follows_the_rfc(void **state) {
    (void)state;
    assert_decodes(mw_qp_decode, "a=3Db =\r\nc  \r\n d\t", "a=b c\r\n d");
    assert_decodes(mw_qp_decode, "soft= \t\nend=", "softend");
}

static void quoted_printable_refuses(void **state) {
    (void)state;
    assert_refused(mw_qp_decode, "ab=4", 2);
    assert_refused(mw_qp_decode, "ab=\rc", 2);
    assert_refused(mw_qp_decode, "a\rb", 1);
    assert_refused(mw_qp_decode, "a\xc3", 1);
    assert_refused(mw_qp_decode, "a= b", 1);
}

/* Every line has 76 characters at most, none ends with a blank, and all are printable. */
static void assert_fit_for_mail(const char *text, size_t length) {
    size_t line = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n') {
            assert_true(i > 0 && text[i - 1] == '\r');
            assert_true(line - 1 <= 76);
            assert_true(i < 2 || (text[i - 2] != ' ' && text[i - 2] != '\t'));
            line = 0;
            continue;
        }
        line++;
        assert_true((text[i] >= ' ' && text[i] <= '~') || text[i] == '\t' || text[i] == '\r');
    }
    assert_true(line <= 76);
}

static size_t fill(char *data, unsigned most) {
    static const char likely[] = " \t\r\n=%+-_/aZ0";
    size_t size = pseudo_random(most);
    for (size_t i = 0; i < size; i++) {
        data[i] = pseudo_random(2) ? likely[pseudo_random(sizeof likely - 1)] : (char)pseudo_random(256);
    }
    return size;
}

static void whatever_is_encoded_comes_back(void **state) {
    (void)state;
    for (int turn = 0; turn < 3000; turn++) {
        char data[300], *text = malloc(mw_qp_room(sizeof data)), *back;
        struct mw_codec_fault fault;
        size_t size = fill(data, sizeof data), length, back_size;
        assert_non_null(text);
        length = mw_base64_encode(&standard, data, size, text);
        assert_true(length <= mw_base64_room(size));
        assert_true(decode(decode_standard, text, length, &back, &back_size, &fault));
        assert_int_equal(back_size, size);
        assert_memory_equal(back, data, size);
        free(back);
        length = mw_base64_encode(&url, data, size, text);
        assert_true(decode(decode_url, text, length, &back, &back_size, &fault));
        assert_int_equal(back_size, size);
        assert_memory_equal(back, data, size);
        free(back);
        length = mw_url_encode(true, data, size, text);
        assert_true(length <= size * 3);
        assert_true(mw_url_decode(true, text, length, text, &back_size, &fault)); /* in place */
        assert_int_equal(back_size, size);
        assert_memory_equal(text, data, size);
        length = mw_qp_encode(true, data, size, text);
        assert_true(length <= mw_qp_room(size));
        assert_fit_for_mail(text, length);
        assert_true(decode(mw_qp_decode, text, length, &back, &back_size, &fault));
        assert_int_equal(back_size, size);
        assert_memory_equal(back, data, size);
        free(back);
        free(text);
    }
}

/* Also of text that nobody has encoded: what a decoder takes, its encoder gives back. */
static void a_value_has_one_text(void **state) {
    (void)state;
    static const char alphabet[] = "ABCDgZw089+/==";
    unsigned taken = 0;
    for (int turn = 0; turn < 20000; turn++) {
        char text[12], again[32], *data;
        struct mw_codec_fault fault;
        size_t length = pseudo_random(sizeof text), size;
        for (size_t i = 0; i < length; i++) {
            text[i] = alphabet[pseudo_random(sizeof alphabet - 1)];
        }
        if (decode(decode_standard, text, length, &data, &size, &fault)) {
            taken++;
            assert_int_equal(mw_base64_encode(&standard, data, size, again), length);
            assert_memory_equal(again, text, length);
        } else {
            assert_true(fault.at <= length);
        }
        free(data);
    }
    assert_true(taken > 1000);
}

static void no_bytes_harm_a_decoder(void **state) {
    (void)state;
    static decoder *const decoders[] = {decode_standard, decode_url,     decode_spaced,
                                        mw_hex_decode,   decode_percent, mw_qp_decode};
    for (int turn = 0; turn < 20000; turn++) {
        char text[64], *data;
        struct mw_codec_fault fault;
        size_t length = fill(text, sizeof text), size = 0;
        decoder *with = decoders[pseudo_random(sizeof decoders / sizeof *decoders)];
        if (decode(with, text, length, &data, &size, &fault)) {
            assert_true(size <= length);
        } else {
            assert_true(fault.at <= length);
        }
        free(data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_has_the_vectors_of_the_rfc),
        cmocka_unit_test(base64_refuses_what_is_not_exact),
        cmocka_unit_test(base64_takes_what_it_is_told_to),
        cmocka_unit_test(hex_and_percent_are_strict),
        cmocka_unit_test(quoted_printable_follows_the_rfc),
        cmocka_unit_test(quoted_printable_refuses),
        cmocka_unit_test_setup(whatever_is_encoded_comes_back, set_seed),
        cmocka_unit_test_setup(a_value_has_one_text, set_seed),
        cmocka_unit_test_setup(no_bytes_harm_a_decoder, set_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
