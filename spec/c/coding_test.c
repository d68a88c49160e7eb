/* layers: proto base */
#include "proto/coding.h"
#include "support/alloc_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CODINGS = 4, SIZE = 60000 };

static const enum mw_coding codings[CODINGS] = {MW_CODING_GZIP, MW_CODING_DEFLATE, MW_CODING_RAW, MW_CODING_BROTLI};

static struct mw_encoder *encoder;
static struct mw_decoder *decoder;
static struct mw_text coded, plain;
static char *sample;

/* Words in no order: it shrinks, but not to nothing. */
static void fill_sample(void) {
    static const char *const words[] = {"stream ", "buffer ", "of ", "the ", "task\n", "waits ", "\xff\x00\x01", "and "};
    uint64_t seed = 42;
    for (size_t at = 0; at < SIZE;) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const char *word = words[seed >> 61];
        for (; *word && at < SIZE; word++) {
            sample[at++] = *word;
        }
    }
}

static int open_sample(void **state) {
    (void)state;
    sample = malloc(SIZE);
    assert_non_null(sample);
    fill_sample();
    return 0;
}

static int close_sample(void **state) {
    (void)state;
    free(sample);
    return 0;
}

static void end_encoder(void) {
    mw_encoder_free(encoder);
    encoder = NULL;
}

static void end_decoder(void) {
    mw_decoder_free(decoder);
    decoder = NULL;
}

static int close_all(void **state) {
    (void)state;
    alloc_failure_disarm();
    end_encoder();
    end_decoder();
    mw_text_free(&coded);
    mw_text_free(&plain);
    return 0;
}

/* The whole of `size` bytes of the sample, coded, as the only text of `coded`. */
static void code(enum mw_coding coding, int level, int window, size_t size) {
    mw_text_free(&coded);
    encoder = mw_encoder_new(coding, level, window);
    assert_non_null(encoder);
    assert_true(mw_encoder_add(encoder, sample, size, MW_CODING_END, &coded));
    end_encoder();
}

static void begin_decoding(enum mw_coding coding) {
    end_decoder();
    mw_text_free(&plain);
    decoder = mw_decoder_new(coding, 0);
    assert_non_null(decoder);
}

/* What is coded, as a block of exactly that size, so that sanitizers see a step too far. */
static enum mw_decoding decode_piece(const char *bytes, size_t size, size_t most, size_t *used) {
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    size_t before = plain.size;
    enum mw_decoding result = mw_decoder_add(decoder, copy, size, most, &plain, used);
    assert_true(*used <= size);
    assert_true(plain.size - before <= most);
    free(copy);
    return result;
}

static void assert_decodes(size_t size) {
    size_t used;
    assert_int_equal(decode_piece(coded.bytes, coded.size, SIZE, &used), MW_DECODING_END);
    assert_int_equal(used, coded.size);
    assert_int_equal(plain.size, size);
    assert_memory_equal(plain.bytes, sample, size);
}

static void what_is_coded_comes_back(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 5000, SIZE};
    for (int i = 0; i < CODINGS; i++) {
        for (int level = 1; level <= 9; level += 4) {
            for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
                code(codings[i], level, 0, sizes[j]);
                begin_decoding(codings[i]);
                assert_decodes(sizes[j]);
            }
            assert_true(coded.size < SIZE / 3);
        }
    }
}

static void a_window_may_be_smaller(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        for (int window = 9; window <= 15; window++) {
            code(codings[i], 6, window, SIZE);
            end_decoder();
            mw_text_free(&plain);
            decoder = mw_decoder_new(codings[i], window);
            assert_non_null(decoder);
            assert_decodes(SIZE);
        }
    }
}

static void what_looks_back_too_far_is_bad(void **state) {
    (void)state;
    size_t used;
    code(MW_CODING_DEFLATE, 9, 15, SIZE);
    decoder = mw_decoder_new(MW_CODING_DEFLATE, 9);
    assert_int_equal(decode_piece(coded.bytes, coded.size, SIZE, &used), MW_DECODING_BAD);
}

/* The same bytes, whatever the pieces are in which they are coded and decoded. */
static void pieces_may_be_cut_anywhere(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        mw_text_free(&coded);
        encoder = mw_encoder_new(codings[i], 6, 0);
        for (size_t at = 0; at < 3000; at++) {
            assert_true(mw_encoder_add(encoder, sample + at, 1, MW_CODING_MORE, &coded));
        }
        assert_true(mw_encoder_add(encoder, NULL, 0, MW_CODING_END, &coded));
        end_encoder();
        begin_decoding(codings[i]);
        size_t used;
        for (size_t at = 0; at + 1 < coded.size; at++) {
            assert_int_equal(decode_piece(coded.bytes + at, 1, SIZE, &used), MW_DECODING_MORE);
            assert_int_equal(used, 1);
        }
        assert_int_equal(decode_piece(coded.bytes + coded.size - 1, 1, SIZE, &used), MW_DECODING_END);
        assert_int_equal(plain.size, 3000);
        assert_memory_equal(plain.bytes, sample, 3000);
    }
}

static void every_cut_is_a_stream_that_goes_on(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        code(codings[i], 6, 0, 500);
        for (size_t cut = 0; cut < coded.size; cut++) {
            size_t used;
            begin_decoding(codings[i]);
            assert_int_equal(decode_piece(coded.bytes, cut, SIZE, &used), MW_DECODING_MORE);
            assert_int_equal(used, cut);
            assert_int_equal(decode_piece(coded.bytes + cut, coded.size - cut, SIZE, &used), MW_DECODING_END);
            assert_int_equal(plain.size, 500);
        }
    }
}

static void what_was_flushed_can_be_decoded(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        size_t used;
        mw_text_free(&coded);
        begin_decoding(codings[i]);
        encoder = mw_encoder_new(codings[i], 6, 0);
        for (size_t at = 0; at < 5000; at += 100) {
            size_t before = coded.size;
            assert_true(mw_encoder_add(encoder, sample + at, 100, MW_CODING_SYNC, &coded));
            assert_int_equal(decode_piece(coded.bytes + before, coded.size - before, SIZE, &used), MW_DECODING_MORE);
            assert_int_equal(plain.size, at + 100);
            assert_true(codings[i] == MW_CODING_BROTLI ||
                        memcmp(coded.bytes + coded.size - 4, "\x00\x00\xff\xff", 4) == 0);
        }
        assert_memory_equal(plain.bytes, sample, 5000);
        end_encoder();
    }
}

static void a_flush_with_nothing_new_adds_next_to_nothing(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        encoder = mw_encoder_new(codings[i], 6, 0);
        mw_text_free(&coded);
        assert_true(mw_encoder_add(encoder, "a", 1, MW_CODING_SYNC, &coded));
        size_t before = coded.size;
        assert_true(mw_encoder_add(encoder, NULL, 0, MW_CODING_SYNC, &coded));
        assert_true(mw_encoder_add(encoder, "", 0, MW_CODING_MORE, &coded));
        assert_true(coded.size <= before + 5);
        end_encoder();
    }
}

static void a_reset_begins_a_new_stream(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        code(codings[i], 6, 0, 1000);
        struct mw_text again = {.bytes = NULL};
        encoder = mw_encoder_new(codings[i], 6, 0);
        assert_true(mw_encoder_add(encoder, sample, 700, MW_CODING_SYNC, &again));
        for (int round = 0; round < 3; round++) {
            mw_text_free(&again);
            mw_encoder_reset(encoder);
            assert_true(mw_encoder_add(encoder, sample, 1000, MW_CODING_END, &again));
            assert_int_equal(again.size, coded.size);
            assert_memory_equal(again.bytes, coded.bytes, coded.size);
        }
        end_encoder();
        size_t used;
        begin_decoding(codings[i]);
        decode_piece(coded.bytes, coded.size / 2, SIZE, &used);
        for (int round = 0; round < 3; round++) {
            mw_text_free(&plain);
            mw_decoder_reset(decoder);
            assert_decodes(1000);
        }
        mw_text_free(&again);
    }
}

static void no_more_comes_out_than_was_asked_for(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        code(codings[i], 6, 0, 3000);
        for (size_t most = 0; most <= 3000; most += most < 20 ? 1 : 149) {
            begin_decoding(codings[i]);
            size_t used, at = 0;
            enum mw_decoding result;
            while ((result = decode_piece(coded.bytes + at, coded.size - at, most, &used)) == MW_DECODING_FULL && most) {
                at += used;
            }
            assert_int_equal(result, most ? MW_DECODING_END : MW_DECODING_FULL);
            assert_int_equal(plain.size, most ? 3000 : 0);
            assert_memory_equal(plain.bytes, sample, plain.size);
        }
    }
}

static void a_stream_of_just_that_size_has_ended(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        size_t used;
        code(codings[i], 6, 0, 3000);
        begin_decoding(codings[i]);
        assert_int_equal(decode_piece(coded.bytes, coded.size, 3000, &used), MW_DECODING_END);
        begin_decoding(codings[i]);
        assert_int_equal(decode_piece(coded.bytes, coded.size, 2999, &used), MW_DECODING_FULL);
    }
}

static void a_bomb_gives_what_was_asked_for_only(void **state) {
    (void)state;
    char *zeros = calloc(1, 1 << 20);
    assert_non_null(zeros);
    for (int i = 0; i < CODINGS; i++) {
        mw_text_free(&coded);
        encoder = mw_encoder_new(codings[i], 9, 0);
        for (int mebibyte = 0; mebibyte < 20; mebibyte++) {
            assert_true(mw_encoder_add(encoder, zeros, 1 << 20, MW_CODING_MORE, &coded));
        }
        assert_true(mw_encoder_add(encoder, NULL, 0, MW_CODING_END, &coded));
        end_encoder();
        assert_true(coded.size < 30000);
        size_t used;
        begin_decoding(codings[i]);
        assert_int_equal(decode_piece(coded.bytes, coded.size, 10000, &used), MW_DECODING_FULL);
        assert_int_equal(plain.size, 10000);
        assert_true(plain.room <= 1 << 15);
    }
    free(zeros);
}

static void what_follows_the_end_is_not_used(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        size_t used;
        code(codings[i], 6, 0, 100);
        size_t size = coded.size;
        mw_text_puts(&coded, "more");
        begin_decoding(codings[i]);
        assert_int_equal(decode_piece(coded.bytes, coded.size, SIZE, &used), MW_DECODING_END);
        assert_int_equal(used, size);
    }
}

static void what_is_of_no_coding_is_bad(void **state) {
    (void)state;
    static const char *const texts[CODINGS] = {"PK\3\4 no gzip", "\xff no zlib", "\xff no raw deflate", "\x11 reserved"};
    for (int i = 0; i < CODINGS; i++) {
        size_t used;
        begin_decoding(codings[i]);
        assert_int_equal(decode_piece(texts[i], strlen(texts[i]), SIZE, &used), MW_DECODING_BAD);
    }
}

/* A byte that was changed is noticed by its checksum where there is one, and never worse than that anywhere. */
static void damage_is_bad(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        bool summed = codings[i] == MW_CODING_GZIP || codings[i] == MW_CODING_DEFLATE;
        code(codings[i], 6, 0, 400);
        for (size_t at = codings[i] == MW_CODING_GZIP ? 10 : 0; at < coded.size; at++) {
            size_t used;
            begin_decoding(codings[i]);
            coded.bytes[at] ^= 0x10;
            enum mw_decoding result = decode_piece(coded.bytes, coded.size, SIZE, &used);
            coded.bytes[at] ^= 0x10;
            assert_true(!summed || result != MW_DECODING_END);
        }
    }
}

/* Whether a round trip came to its end although the `nth` allocation fails. */
static bool goes_well(enum mw_coding coding, int nth) {
    struct mw_encoder *with = NULL;
    struct mw_decoder *back = NULL;
    size_t used = 0;
    alloc_failure_arm(nth);
    bool well = (with = mw_encoder_new(coding, 6, 0)) && mw_encoder_add(with, sample, 20000, MW_CODING_SYNC, &coded) &&
                mw_encoder_add(with, sample, 20000, MW_CODING_END, &coded) && (back = mw_decoder_new(coding, 0)) &&
                mw_decoder_add(back, coded.bytes, coded.size, SIZE, &plain, &used) == MW_DECODING_END;
    if (well) {
        mw_encoder_reset(with);
        mw_decoder_reset(back);
        plain.size = coded.size = 0;
        well = mw_encoder_add(with, sample, 20000, MW_CODING_END, &coded) &&
               mw_decoder_add(back, coded.bytes, coded.size, SIZE, &plain, &used) == MW_DECODING_END;
    }
    bool failed = alloc_failure_disarm();
    assert_true(well || failed);
    mw_encoder_free(with);
    mw_decoder_free(back);
    mw_text_free(&coded);
    mw_text_free(&plain);
    return !failed;
}

static void memory_may_be_out_anywhere(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        int nth = 1;
        while (!goes_well(codings[i], nth)) {
            assert_true(++nth < 500);
        }
        assert_true(nth > 5);
    }
}

static void memory_that_is_out_is_no_bad_data(void **state) {
    (void)state;
    for (int i = 0; i < CODINGS; i++) {
        code(codings[i], 6, 0, 20000);
        for (int nth = 1; nth < 100; nth++) {
            begin_decoding(codings[i]);
            size_t used;
            alloc_failure_arm(nth);
            enum mw_decoding result = mw_decoder_add(decoder, coded.bytes, coded.size, SIZE, &plain, &used);
            bool failed = alloc_failure_disarm();
            assert_int_equal(result, failed ? MW_DECODING_MEMORY : MW_DECODING_END);
            if (!failed) {
                break;
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_coded_comes_back, close_all),
        cmocka_unit_test_teardown(a_window_may_be_smaller, close_all),
        cmocka_unit_test_teardown(what_looks_back_too_far_is_bad, close_all),
        cmocka_unit_test_teardown(pieces_may_be_cut_anywhere, close_all),
        cmocka_unit_test_teardown(every_cut_is_a_stream_that_goes_on, close_all),
        cmocka_unit_test_teardown(what_was_flushed_can_be_decoded, close_all),
        cmocka_unit_test_teardown(a_flush_with_nothing_new_adds_next_to_nothing, close_all),
        cmocka_unit_test_teardown(a_reset_begins_a_new_stream, close_all),
        cmocka_unit_test_teardown(no_more_comes_out_than_was_asked_for, close_all),
        cmocka_unit_test_teardown(a_stream_of_just_that_size_has_ended, close_all),
        cmocka_unit_test_teardown(a_bomb_gives_what_was_asked_for_only, close_all),
        cmocka_unit_test_teardown(what_follows_the_end_is_not_used, close_all),
        cmocka_unit_test_teardown(what_is_of_no_coding_is_bad, close_all),
        cmocka_unit_test_teardown(damage_is_bad, close_all),
        cmocka_unit_test_teardown(memory_may_be_out_anywhere, close_all),
        cmocka_unit_test_teardown(memory_that_is_out_is_no_bad_data, close_all),
    };
    return cmocka_run_group_tests(tests, open_sample, close_sample);
}
