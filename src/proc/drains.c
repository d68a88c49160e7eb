#include "proc/drains.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct drain {
    struct mw_list node;
    char service[MW_SERVICE_NAME]; /* "": all */
    bool undo;
};

void mw_drains_init(struct mw_drains *drains) {
    mw_list_init(&drains->list);
}

/* What is said of all, or of the same service, stands in place of what was said before. */
static void forget(struct mw_drains *drains, const char *service) {
    for (struct mw_list *node = drains->list.next, *next; node != &drains->list; node = next) {
        struct drain *drain = mw_list_owner(node, struct drain, node);
        next = node->next;
        if (!service[0] || strcmp(drain->service, service) == 0) {
            mw_list_remove(node);
            free(drain);
        }
    }
}

void mw_drains_free(struct mw_drains *drains) {
    forget(drains, "");
}

/* One service that goes on while all drain must be said; else what is undone is simply gone. */
bool mw_drains_note(struct mw_drains *drains, const char *service, bool undo) {
    forget(drains, service);
    if (undo && (!service[0] || mw_list_empty(&drains->list))) {
        return true;
    }
    struct drain *drain = malloc(sizeof *drain);
    if (!drain) {
        return false;
    }
    mw_list_init(&drain->node);
    snprintf(drain->service, sizeof drain->service, "%s", service);
    drain->undo = undo;
    mw_list_append(&drains->list, &drain->node);
    return true;
}

void mw_drains_tell(const struct mw_drains *drains, struct mw_worker *worker) {
    for (const struct mw_list *node = drains->list.next; node != &drains->list; node = node->next) {
        const struct drain *drain = mw_list_owner(node, struct drain, node);
        struct mw_text text = {.bytes = NULL};
        size_t table = mw_message_open(&text);
        mw_message_put_integer(&text, "id", 0);
        mw_message_put_string(&text, "command", "drain");
        mw_message_put_string(&text, "service", drain->service[0] ? drain->service : NULL);
        mw_message_put_boolean(&text, "undo", drain->undo);
        mw_message_close(&text, table);
        mw_offspring_tell(worker->process, MW_ORDER_REQUEST, &text, NULL, 0);
        mw_text_free(&text);
    }
}
