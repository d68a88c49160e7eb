/* The automaton of Aho and Corasick, with all transitions worked out: a step for each byte, however many are looked
 * for. */
#include "proto/signature_internal.h"

#include <stdlib.h>
#include <string.h>

static size_t count_bytes(const struct mw_signature *list, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += list[i].is_regex ? 0 : list[i].size;
    }
    return bytes;
}

/* Until the automaton is complete, 0 stands for no transition: nothing leads back to the beginning. */
static void insert(struct mw_signatures *set, const struct mw_signature *signature, uint32_t number) {
    uint16_t at = 0;
    for (size_t i = 0; i < signature->size; i++) {
        uint16_t *next = &set->states[at].next[(uint8_t)signature->text[i]];
        if (!*next) {
            set->states[set->state_count].found = MW_SIGNATURE_NONE;
            *next = (uint16_t)set->state_count++;
        }
        at = *next;
    }
    set->twins[number] = set->states[at].found;
    set->states[at].found = number;
}

static void follow(struct mw_signatures *set, uint16_t *fallback, uint16_t at, uint16_t back, int byte) {
    uint16_t next = set->states[at].next[byte];
    uint16_t shorter = set->states[back].next[byte];
    if (!next) {
        set->states[at].next[byte] = shorter;
        return;
    }
    fallback[next] = at == 0 ? 0 : shorter;
    const struct mw_signature_state *end = &set->states[fallback[next]];
    set->states[next].suffix = end->found == MW_SIGNATURE_NONE ? end->suffix : fallback[next];
}

/* Breadth first, so that the states of shorter ends are complete before those that fall back on them. `queue` and
 * `fallback` have room for all. */
static void complete(struct mw_signatures *set, uint16_t *queue, uint16_t *fallback) {
    size_t first = 0, last = 0;
    queue[last++] = 0;
    fallback[0] = 0;
    while (first < last) {
        uint16_t at = queue[first++];
        for (int byte = 0; byte < 256; byte++) {
            uint16_t next = set->states[at].next[byte];
            follow(set, fallback, at, fallback[at], byte);
            if (next) {
                queue[last++] = next;
            }
        }
    }
}

bool mw_signature_build(struct mw_signatures *set, const struct mw_signature *list) {
    size_t most = count_bytes(list, set->count) + 1;
    if (most == 1) {
        return true;
    }
    set->states = calloc(most, sizeof *set->states);
    uint16_t *room = malloc(2 * most * sizeof *room);
    if (!set->states || !room) {
        free(room);
        return false;
    }
    set->states[0].found = MW_SIGNATURE_NONE;
    set->state_count = 1;
    for (size_t i = 0; i < set->count; i++) {
        if (!list[i].is_regex) {
            insert(set, &list[i], (uint32_t)i);
        }
    }
    complete(set, room, room + most);
    free(room);
    return true;
}
