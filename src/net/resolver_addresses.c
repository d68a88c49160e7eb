#include "net/resolver_addresses.h"

#include "net/resolver.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int shortest_ttl(const struct ares_addrinfo *info) {
    int ttl = INT_MAX;
    for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
        ttl = node->ai_ttl < ttl ? node->ai_ttl : ttl;
    }
    for (const struct ares_addrinfo_cname *alias = info->cnames; alias; alias = alias->next) {
        ttl = alias->ttl < ttl ? alias->ttl : ttl;
    }
    return ttl > 0 ? ttl : 0;
}

static size_t count_addresses(const struct ares_addrinfo *info) {
    size_t count = 0;
    for (const struct ares_addrinfo_node *node = info->nodes; node && count < MW_ADDRESSES_MAX;
         node = node->ai_next) {
        count++;
    }
    return count;
}

int mw_addresses_copy(struct mw_address_list *list, const struct ares_addrinfo *info) {
    *list = (struct mw_address_list){NULL, 0, 0};
    size_t count = count_addresses(info);
    if (count == 0) {
        return ARES_ENODATA;
    }
    struct mw_addr *items = calloc(count, sizeof *items);
    if (!items) {
        return ARES_ENOMEM;
    }
    const struct ares_addrinfo_node *node = info->nodes;
    for (size_t i = 0; i < count; i++, node = node->ai_next) {
        items[i].length = node->ai_addrlen;
        memcpy(&items[i].storage, node->ai_addr, node->ai_addrlen);
    }
    *list = (struct mw_address_list){items, count, shortest_ttl(info)};
    return ARES_SUCCESS;
}

struct mw_addr *mw_addresses_with_port(struct mw_addr *list, size_t count, uint16_t port) {
    for (size_t i = 0; i < count; i++) {
        if (list[i].any.sa_family == AF_INET) {
            list[i].v4.sin_port = htons(port);
        } else {
            list[i].v6.sin6_port = htons(port);
        }
    }
    return list;
}

struct mw_answer *mw_addresses_answer(const struct mw_addr *addr) {
    struct mw_addr *list = malloc(sizeof *list);
    if (!list) {
        return NULL;
    }
    *list = *addr;
    return mw_answer_new("", ARES_SUCCESS, list, 1);
}
