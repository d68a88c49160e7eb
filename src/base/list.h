/* An intrusive doubly linked list. A node lives inside its owner; a list head
 * is a node that belongs to nobody. No allocation, no ownership: whoever owns
 * the struct around a node takes it off every list before freeing it. */
#ifndef MW_BASE_LIST_H
#define MW_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct mw_list {
    struct mw_list *next, *previous;
};

/* The struct of type `type` whose member `member` is the node `node`. */
#define mw_list_owner(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* An empty list, or a node that is on no list. */
static inline void mw_list_init(struct mw_list *list) {
    list->next = list->previous = list;
}

static inline bool mw_list_empty(const struct mw_list *list) {
    return list->next == list;
}

/* Puts `node`, which must be on no list, behind the last one. */
static inline void mw_list_append(struct mw_list *list, struct mw_list *node) {
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

/* Takes `node` off its list, if it is on one; it may be appended again. */
static inline void mw_list_remove(struct mw_list *node) {
    node->previous->next = node->next;
    node->next->previous = node->previous;
    mw_list_init(node);
}

/* Moves all nodes of `from` behind those of `list`; `from` is empty after. */
static inline void mw_list_splice(struct mw_list *list, struct mw_list *from) {
    if (mw_list_empty(from)) {
        return;
    }
    from->next->previous = list->previous;
    from->previous->next = list;
    list->previous->next = from->next;
    list->previous = from->previous;
    mw_list_init(from);
}

#endif
