#include "net/network_text.h"

#include <string.h>

void mw_network_text_init(struct mw_network_text *text, const char *bytes, size_t size) {
    *text = (struct mw_network_text){.at = bytes, .end = bytes + size};
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && is_blank(*at)) {
        at++;
    }
    return at;
}

static const char *skip_word(const char *at, const char *end) {
    while (at < end && !is_blank(*at)) {
        at++;
    }
    return at;
}

/* Where the line ends but for its remark. */
static const char *find_remark(const char *at, const char *end) {
    for (bool after_blank = true; at < end; at++) {
        if (after_blank && (*at == '#' || *at == ';')) {
            return at;
        }
        after_blank = is_blank(*at);
    }
    return end;
}

static void read_value(struct mw_network_text *text, const char *at, const char *end) {
    at = skip_blanks(at, end);
    while (end > at && is_blank(end[-1])) {
        end--;
    }
    text->value = at;
    text->value_size = (size_t)(end - at);
}

enum mw_network_text_result mw_network_text_next(struct mw_network_text *text) {
    while (text->at < text->end) {
        const char *line_end = memchr(text->at, '\n', (size_t)(text->end - text->at));
        const char *next = line_end ? line_end + 1 : text->end;
        const char *end = find_remark(text->at, line_end ? line_end : text->end);
        const char *word = skip_blanks(text->at, end), *behind = skip_word(word, end);
        text->at = next;
        text->line++;
        if (word == end) {
            continue;
        }
        if (!mw_network_parse(&text->network, word, (size_t)(behind - word), &text->why)) {
            return MW_NETWORK_TEXT_BAD;
        }
        read_value(text, behind, end);
        return MW_NETWORK_TEXT_ONE;
    }
    return MW_NETWORK_TEXT_END;
}
