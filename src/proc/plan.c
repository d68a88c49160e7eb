#include "proc/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_plan(struct mw_plan *plan, size_t size) {
    struct mw_value root;
    if (!mw_message_read(&root, plan->bytes, size) || root.type != MW_VALUE_TABLE) {
        snprintf(plan->fault, sizeof plan->fault, "the probe's answer cannot be read");
        return;
    }
    struct mw_value daemon = mw_value_field(&root, "daemon");
    mw_value_string(&root, "fault", plan->fault, sizeof plan->fault);
    mw_settings_read(&plan->settings, &daemon);
    plan->services = mw_value_field(&root, "services");
    plan->files = mw_value_field(&root, "files");
}

struct mw_plan *mw_plan_new(const void *bytes, size_t size) {
    struct mw_plan *plan = calloc(1, sizeof *plan);
    if (!plan) {
        return NULL;
    }
    plan->bytes = malloc(size ? size : 1);
    if (!plan->bytes) {
        free(plan);
        return NULL;
    }
    memcpy(plan->bytes, bytes, size);
    read_plan(plan, size);
    return plan;
}

void mw_plan_free(struct mw_plan *plan) {
    if (plan) {
        free(plan->bytes);
        free(plan);
    }
}

bool mw_plan_service(const struct mw_plan *plan, const char *name, struct mw_value *service) {
    struct mw_value key, found;
    for (size_t at = 0; mw_value_next(&plan->services, &at, &key, service);) {
        found = mw_value_field(service, "name");
        if (found.type == MW_VALUE_STRING && found.size == strlen(name) && memcmp(found.bytes, name, found.size) == 0) {
            return true;
        }
    }
    return false;
}
