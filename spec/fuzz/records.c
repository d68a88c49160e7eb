/* layers: net loop base */
/* Answers of name servers, any bytes: what is read lies within the block that
 * holds it, is sorted, and is the same at the second reading. */
#include "net/records.h"
#include "target.h"

#include <ares.h>
#include <string.h>

static void check_record(const struct mw_record_list *list, size_t i, enum mw_record_type type) {
    const struct mw_record *record = &list->items[i];
    const char *begin = (const char *)(list->items + list->count), *end = (const char *)list->items + list->size;
    must(record->type == type && record->ttl >= list->ttl && record->ttl <= INT32_MAX);
    must(record->text >= begin && record->text + record->length < end);
    must(record->text[record->length] == '\0');
    must(type == MW_RECORD_TXT || (record->length > 0 && strlen(record->text) == record->length));
    must(type == MW_RECORD_MX || type == MW_RECORD_SRV || record->priority == 0);
    must(i == 0 || record[-1].priority <= record->priority);
}

static void check_list(const struct mw_record_list *list, enum mw_record_type type) {
    must(list->count > 0 && list->count <= MW_RECORDS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        check_record(list, i, type);
    }
}

static void check_equal(const struct mw_record_list *one, const struct mw_record_list *other) {
    must(one->count == other->count && one->size == other->size && one->ttl == other->ttl);
    for (size_t i = 0; i < one->count; i++) {
        must(one->items[i].length == other->items[i].length);
        must(memcmp(one->items[i].text, other->items[i].text, one->items[i].length) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size == 0) {
        return 0;
    }
    enum mw_record_type type = bytes[0] % MW_RECORD_TYPES;
    struct mw_record_list list, again;
    int status = mw_records_parse(&list, bytes + 1, size - 1, type);
    if (status != ARES_SUCCESS) {
        must(!list.items && list.count == 0);
        must(status == ARES_ENODATA || status == ARES_EBADRESP);
        return 0;
    }
    check_list(&list, type);
    must(mw_records_parse(&again, bytes + 1, size - 1, type) == ARES_SUCCESS);
    check_equal(&list, &again);
    free(list.items);
    free(again.items);
    return 0;
}
