/* Runs a fuzz target without libFuzzer: on every file of its corpus and of its
 * regressions, and on mutations of them, the same ones every time. Reports in TAP:
 * a case for the corpus, one for the regressions, one for the mutations.
 *   NAME_fuzz [MUTATIONS]     NAME is that of the target and of its folders */
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <time.h>

enum { MUTATIONS = 4000, SEEDS_MAX = 4096, INPUT_MAX = 64 * 1024 };

/* However slow the machine and the sanitizer. */
#define SECONDS_MAX 5.0

struct seed {
    uint8_t *bytes;
    size_t size;
};

static struct seed seeds[SEEDS_MAX];
static size_t seed_count;
static uint64_t random_state = 88172645463325252U;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static size_t below(size_t limit) {
    return limit ? (size_t)(next_random() % limit) : 0;
}

static double read_clock(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void read_seed(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    must(file != NULL && seed_count < SEEDS_MAX);
    struct seed *seed = &seeds[seed_count++];
    seed->bytes = malloc(INPUT_MAX);
    must(seed->bytes != NULL);
    seed->size = fread(seed->bytes, 1, INPUT_MAX, file);
    fclose(file);
}

static int by_bytes(const void *one, const void *other) {
    const struct seed *a = one, *b = other;
    size_t common = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->bytes, b->bytes, common);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* There may be no such folder: a target without finds has no regressions. */
static void read_folder(const char *path) {
    DIR *folder = opendir(path);
    size_t first = seed_count;
    if (!folder) {
        must(errno == ENOENT);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] != '.') {
            read_seed(path, entry->d_name);
        }
    }
    closedir(folder);
    qsort(seeds + first, seed_count - first, sizeof *seeds, by_bytes);
}

/* The target gets a block of exactly that size, so that a sanitizer sees its ends. */
static void run(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    must(copy != NULL);
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t insert(uint8_t *bytes, size_t size, const uint8_t *more, size_t count) {
    size_t at = below(size + 1);
    if (size + count > INPUT_MAX) {
        return size;
    }
    memmove(bytes + at + count, bytes + at, size - at);
    memcpy(bytes + at, more, count);
    return size + count;
}

static size_t erase(uint8_t *bytes, size_t size) {
    size_t at = below(size), count = below(size - at + 1);
    memmove(bytes + at, bytes + at + count, size - at - count);
    return size - count;
}

static size_t mutate(uint8_t *bytes, size_t size) {
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '\n', '\r', ':', '[', ']', '/', '%', '"', '\\', 0xc0, 0xc2};
    const struct seed *other = &seeds[below(seed_count)];
    uint8_t fresh[8];
    switch (below(size ? 6 : 1)) {
    case 0:
        for (size_t i = 0; i < sizeof fresh; i++) {
            fresh[i] = below(2) ? odd[below(sizeof odd)] : (uint8_t)next_random();
        }
        return insert(bytes, size, fresh, 1 + below(sizeof fresh));
    case 1:
        return erase(bytes, size);
    case 2:
        bytes[below(size)] = odd[below(sizeof odd)];
        return size;
    case 3:
        bytes[below(size)] ^= (uint8_t)(1U << below(8));
        return size;
    case 4:
        bytes[below(size)] += (uint8_t)(below(9) - 4);
        return size;
    default: {
        size_t from = below(other->size), count = below(other->size - from + 1);
        return insert(bytes, size, other->bytes + from, count);
    }
    }
}

static unsigned long run_mutations(unsigned long count) {
    static uint8_t bytes[INPUT_MAX];
    double end = read_clock() + SECONDS_MAX;
    unsigned long done = 0;
    while (done < count && seed_count > 0 && read_clock() < end) {
        const struct seed *seed = &seeds[below(seed_count)];
        size_t size = seed->size;
        memcpy(bytes, seed->bytes, size);
        for (size_t left = 1 + below(6); left > 0; left--) {
            size = mutate(bytes, size);
        }
        run(bytes, size);
        done++;
    }
    return done;
}

/* Runs the target on what is in the folder; returns how many inputs there were. */
static size_t run_folder(const char *kind, const char *target, size_t length) {
    char path[256];
    size_t first = seed_count;
    snprintf(path, sizeof path, "spec/fuzz/%s/%.*s", kind, (int)length, target);
    read_folder(path);
    for (size_t seed = first; seed < seed_count; seed++) {
        run(seeds[seed].bytes, seeds[seed].size);
    }
    return seed_count - first;
}

int main(int count, char **arguments) {
    const char *slash = strrchr(arguments[0], '/'), *target = slash ? slash + 1 : arguments[0];
    const char *suffix = strrchr(target, '_');
    size_t length = suffix ? (size_t)(suffix - target) : strlen(target);
    unsigned long mutations = count > 1 ? strtoul(arguments[1], NULL, 10) : MUTATIONS;
    printf("1..3\n");
    run((const uint8_t *)"", 0);
    size_t inputs = run_folder("corpus", target, length);
    must(inputs > 0);
    printf("ok 1 - %zu inputs of the corpus\n", inputs);
    inputs = run_folder("regression", target, length);
    printf("ok 2 - %zu inputs that were found by fuzzing\n", inputs);
    printf("ok 3 - %lu mutations\n", run_mutations(mutations));
    for (size_t i = 0; i < seed_count; i++) {
        free(seeds[i].bytes);
    }
    return 0;
}
