#include "script/paths.h"

#include "script/library.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Relative to the folder of the binary: build/moonwire and build/asan/moonwire
 * of a checkout, then the installed one. */
static const char *const places[] = {"../lua", "../../lua", "../share/moonwire/lua"};

static bool find_folder(char *folder, size_t size) {
    ssize_t length = readlink("/proc/self/exe", folder, size - 1);
    if (length <= 0) {
        return false;
    }
    folder[length] = '\0';
    *strrchr(folder, '/') = '\0';
    return true;
}

bool mw_find_library(char *path, size_t size) {
    if (mw_library_folder()) {
        return (size_t)snprintf(path, size, "%s", mw_library_folder()) < size;
    }
    char folder[PATH_MAX], probe[2 * PATH_MAX], whole[PATH_MAX];
    if (!find_folder(folder, sizeof folder)) {
        snprintf(path, size, "/proc/self/exe (not readable)");
        return false;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(probe, sizeof probe, "%s/%s/moonwire/task.lua", folder, places[i]);
        if (access(probe, R_OK) == 0) {
            snprintf(probe, sizeof probe, "%s/%s", folder, places[i]);
            return realpath(probe, whole) && (size_t)snprintf(path, size, "%s", whole) < size;
        }
    }
    snprintf(path, size, "%s/{../lua,../../lua,../share/moonwire/lua}", folder);
    return false;
}
