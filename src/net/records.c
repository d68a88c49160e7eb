#include "net/records.h"

#include <ares.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Sizes in bytes of the fixed parts of a packet; the class Internet. */
enum { HEADER = 12, QUESTION_TAIL = 4, RECORD_FIXED = 10, CLASS_IN = 1 };

static const struct {
    int number;
    const char *noun;
} types[MW_RECORD_TYPES] = {
    [MW_RECORD_A] = {1, "A record"},      [MW_RECORD_AAAA] = {28, "AAAA record"},
    [MW_RECORD_MX] = {15, "MX record"},   [MW_RECORD_TXT] = {16, "TXT record"},
    [MW_RECORD_SRV] = {33, "SRV record"}, [MW_RECORD_PTR] = {12, "PTR record"},
};

/* A place in a packet that is being read. */
struct reader {
    const unsigned char *packet, *at, *end;
};

/* What stands at the head of a record, and where its data is. */
struct head {
    int type, class;
    uint32_t ttl;
    const unsigned char *data;
    size_t size;
};

/* Collects records; while there are no items yet it only counts what they need. */
struct collector {
    enum mw_record_type type;
    struct mw_record *items;
    char *text;
    size_t count, used;
    uint32_t ttl;
};

int mw_record_number(enum mw_record_type type) {
    return types[type].number;
}

const char *mw_record_noun(enum mw_record_type type) {
    return types[type].noun;
}

static uint16_t read_16(const unsigned char *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* A time to live past 31 bits counts as 0, says RFC 2181. */
static uint32_t read_ttl(const unsigned char *at) {
    uint32_t ttl = (uint32_t)read_16(at) << 16 | read_16(at + 2);
    return ttl > INT32_MAX ? 0 : ttl;
}

static size_t left(const struct reader *reader) {
    return (size_t)(reader->end - reader->at);
}

/* Steps over a name; with `name` it is kept there, to be freed with ares_free_string. */
static int read_name(struct reader *reader, char **name) {
    char *text;
    long length;
    int status =
        ares_expand_name(reader->at, reader->packet, (int)(reader->end - reader->packet), &text, &length);
    if (status != ARES_SUCCESS) {
        return status == ARES_ENOMEM ? status : ARES_EBADRESP;
    }
    reader->at += length;
    if (name) {
        *name = text;
    } else {
        ares_free_string(text);
    }
    return ARES_SUCCESS;
}

static int skip_questions(struct reader *reader, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        int status = read_name(reader, NULL);
        if (status != ARES_SUCCESS) {
            return status;
        }
        if (left(reader) < QUESTION_TAIL) {
            return ARES_EBADRESP;
        }
        reader->at += QUESTION_TAIL;
    }
    return ARES_SUCCESS;
}

/* Reads the head of a record and steps over all of it. */
static int read_head(struct reader *reader, struct head *head) {
    int status = read_name(reader, NULL);
    if (status != ARES_SUCCESS) {
        return status;
    }
    if (left(reader) < RECORD_FIXED) {
        return ARES_EBADRESP;
    }
    const unsigned char *at = reader->at;
    *head = (struct head){read_16(at), read_16(at + 2), read_ttl(at + 4), at + RECORD_FIXED, read_16(at + 8)};
    reader->at += RECORD_FIXED;
    if (left(reader) < head->size) {
        return ARES_EBADRESP;
    }
    reader->at += head->size;
    return ARES_SUCCESS;
}

/* Text of the record that is being collected. */
static void append(struct collector *collector, const void *bytes, size_t size) {
    if (collector->items) {
        memcpy(collector->text + collector->used, bytes, size);
    }
    collector->used += size;
}

static int collect_address(struct collector *collector, const struct head *head, int family) {
    char text[INET6_ADDRSTRLEN];
    if (head->size != (family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr))) {
        return ARES_EBADRESP;
    }
    inet_ntop(family, head->data, text, sizeof text);
    append(collector, text, strlen(text));
    return ARES_SUCCESS;
}

static int collect_strings(struct collector *collector, const struct head *head) {
    size_t at = 0;
    while (at < head->size) {
        size_t length = head->data[at++];
        if (length > head->size - at) {
            return ARES_EBADRESP;
        }
        append(collector, head->data + at, length);
        at += length;
    }
    return ARES_SUCCESS;
}

/* The host that stands `offset` bytes into the data, up to its end. */
static int collect_host(struct collector *collector, const struct reader *packet, const struct head *head,
                        size_t offset) {
    if (head->size <= offset) {
        return ARES_EBADRESP;
    }
    struct reader data = {packet->packet, head->data + offset, packet->end};
    char *name;
    int status = read_name(&data, &name);
    if (status != ARES_SUCCESS) {
        return status;
    }
    const char *text = name[0] ? name : ".";
    append(collector, text, strlen(text));
    ares_free_string(name);
    return data.at == head->data + head->size ? ARES_SUCCESS : ARES_EBADRESP;
}

static int collect_text(struct collector *collector, const struct reader *packet, const struct head *head) {
    switch (collector->type) {
    case MW_RECORD_A:
        return collect_address(collector, head, AF_INET);
    case MW_RECORD_AAAA:
        return collect_address(collector, head, AF_INET6);
    case MW_RECORD_TXT:
        return collect_strings(collector, head);
    case MW_RECORD_MX:
        return collect_host(collector, packet, head, 2);
    case MW_RECORD_SRV:
        return collect_host(collector, packet, head, 6);
    case MW_RECORD_PTR:
        break;
    }
    return collect_host(collector, packet, head, 0);
}

/* The numbers in front of the host of an MX or SRV, which has been collected. */
static void fill_numbers(struct mw_record *record, const struct head *head) {
    if (record->type == MW_RECORD_MX || record->type == MW_RECORD_SRV) {
        record->priority = read_16(head->data);
    }
    if (record->type == MW_RECORD_SRV) {
        record->weight = read_16(head->data + 2);
        record->port = read_16(head->data + 4);
    }
}

static int collect(struct collector *collector, const struct reader *packet, const struct head *head) {
    size_t start = collector->used;
    int status = collect_text(collector, packet, head);
    if (status != ARES_SUCCESS) {
        return status;
    }
    if (collector->items) {
        struct mw_record *record = &collector->items[collector->count];
        *record = (struct mw_record){.type = collector->type, .ttl = head->ttl};
        record->text = collector->text + start;
        record->length = collector->used - start;
        fill_numbers(record, head);
    }
    append(collector, "", 1);
    collector->count++;
    return ARES_SUCCESS;
}

/* One pass over the answers of a packet. */
static int walk(struct collector *collector, const unsigned char *packet, size_t size) {
    struct reader reader = {packet, packet + HEADER, packet + size};
    int status = skip_questions(&reader, read_16(packet + 4));
    for (unsigned answers = read_16(packet + 6); status == ARES_SUCCESS && answers > 0; answers--) {
        struct head head;
        status = read_head(&reader, &head);
        if (status != ARES_SUCCESS) {
            return status;
        }
        if (head.ttl < collector->ttl) {
            collector->ttl = head.ttl;
        }
        bool wanted = head.type == types[collector->type].number && head.class == CLASS_IN;
        if (wanted && collector->count < MW_RECORDS_MAX) {
            status = collect(collector, &reader, &head);
        }
    }
    return status;
}

/* Insertion keeps the order of equals, and there are few. */
static void sort_by_priority(struct mw_record *items, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct mw_record moved = items[i];
        size_t place = i;
        for (; place > 0 && items[place - 1].priority > moved.priority; place--) {
            items[place] = items[place - 1];
        }
        items[place] = moved;
    }
}

int mw_records_parse(struct mw_record_list *list, const unsigned char *packet, size_t size,
                     enum mw_record_type type) {
    *list = (struct mw_record_list){NULL, 0, 0, 0};
    if (size < HEADER || size > UINT16_MAX) {
        return ARES_EBADRESP;
    }
    struct collector needed = {.type = type, .ttl = INT32_MAX};
    int status = walk(&needed, packet, size);
    if (status != ARES_SUCCESS || needed.count == 0) {
        return status == ARES_SUCCESS ? ARES_ENODATA : status;
    }
    size_t bytes = needed.count * sizeof *list->items + needed.used;
    struct collector filled = {.type = type, .ttl = INT32_MAX, .items = malloc(bytes)};
    if (!filled.items) {
        return ARES_ENOMEM;
    }
    filled.text = (char *)(filled.items + needed.count);
    status = walk(&filled, packet, size);
    if (status != ARES_SUCCESS) {
        free(filled.items);
        return status;
    }
    sort_by_priority(filled.items, filled.count);
    *list = (struct mw_record_list){filled.items, filled.count, bytes, filled.ttl};
    return ARES_SUCCESS;
}
