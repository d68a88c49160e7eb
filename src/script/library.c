#include "script/library.h"

#include "script/paths.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct module {
    char *path, *text;
    const char *name; /* within the path, with slashes and without ending: "moonwire/task" */
    size_t length, size; /* of the name, of the text */
};

static struct {
    char folder[PATH_MAX];
    struct module *modules;
    size_t count;
} kept;

static bool read_text(struct module *module, size_t size) {
    FILE *file = fopen(module->path, "re");
    module->text = file ? malloc(size + 1) : NULL;
    module->size = module->text ? fread(module->text, 1, size, file) : 0;
    if (file) {
        fclose(file);
    }
    return module->text && module->size == size;
}

/* "moonwire/sync.lua" and "moonwire/sync/init.lua" are both "moonwire/sync". */
static size_t name_length(const char *name) {
    size_t length = strlen(name) - strlen(".lua");
    const char *end = name + length - strlen("/init");
    return end > name && strncmp(end, "/init", strlen("/init")) == 0 ? length - strlen("/init") : length;
}

static int add(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)place;
    const char *ending = strrchr(path, '.');
    if (type != FTW_F || !ending || strcmp(ending, ".lua") != 0) {
        return 0;
    }
    struct module *more = realloc(kept.modules, (kept.count + 1) * sizeof *more);
    if (!more) {
        return -1;
    }
    kept.modules = more;
    struct module *module = &more[kept.count];
    *module = (struct module){.path = strdup(path)};
    if (!module->path || !read_text(module, (size_t)status->st_size)) {
        return -1;
    }
    module->name = module->path + strlen(kept.folder) + 1;
    module->length = name_length(module->name);
    kept.count++;
    return 0;
}

bool mw_library_keep(struct mw_fault *fault) {
    enum { DESCRIPTORS = 16 };
    if (!mw_find_library(kept.folder, sizeof kept.folder)) {
        mw_fault_format(fault, "not_found", "Moonwire's Lua library is in none of these: %s", kept.folder);
        return false;
    }
    char modules[PATH_MAX + sizeof "/moonwire"];
    snprintf(modules, sizeof modules, "%s/moonwire", kept.folder);
    if (nftw(modules, add, DESCRIPTORS, FTW_PHYS) != 0) {
        mw_fault_set(fault, errno, "read the Lua library", modules);
        return false;
    }
    return true;
}

const char *mw_library_folder(void) {
    return kept.count ? kept.folder : NULL;
}

/* Whether the name with dots is the one with slashes. */
static bool is_named(const struct module *module, const char *name) {
    for (size_t i = 0; i < module->length; i++) {
        if (name[i] != module->name[i] && !(name[i] == '.' && module->name[i] == '/')) {
            return false;
        }
    }
    return name[module->length] == '\0';
}

const char *mw_library_text(const char *module, size_t *size, const char **path) {
    for (size_t i = 0; i < kept.count; i++) {
        if (is_named(&kept.modules[i], module)) {
            *size = kept.modules[i].size;
            *path = kept.modules[i].path;
            return kept.modules[i].text;
        }
    }
    return NULL;
}
