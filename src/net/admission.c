/* One mapping: what is shared by all, then a block for each worker, which only that
 * worker writes. Whoever wants a sum reads all blocks.
 *
 * Connections of addresses are counted in three rows of counters (a count-min
 * sketch): an address has one counter in each row, and its count is the least of the
 * three sums. */
#include "net/admission.h"

#include "base/hash.h"
#include "base/shared.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, WIDTH = 65536, PREFIX_BYTES = 8, PAGE = 4096 };

#define NANOSECONDS 1e9
#define CENTURY 3.2e9 /* seconds */
#define LAG 1000000000 /* nanoseconds that the clock of one loop may be behind another's */

/* Services are found by the hash of their name; 0: the place is free. `due` is when the next connection would come if
 * all had come evenly (the theoretical arrival time of the generic cell rate algorithm), in nanoseconds. */
struct place {
    _Atomic uint64_t name, due;
};

struct block {
    _Alignas(PAGE) _Atomic uint32_t connections[MW_ADMISSION_SERVICES];
    _Atomic uint32_t users[MW_ADMISSION_SERVICES]; /* struct mw_admission that it has */
    _Atomic uint32_t rows[ROWS][WIDTH];
};

/* `taking` is held while a name takes a place, by no one else and never for a connection; the kernel takes it from a
 * process that dies with it. */
struct mw_admissions {
    pthread_mutex_t taking;
    struct mw_hash_key key;
    size_t size;
    int workers;
    struct place places[MW_ADMISSION_SERVICES];
    struct block blocks[];
};

struct rules {
    uint64_t connections, per_address;
    uint64_t interval, tolerance; /* nanoseconds between two connections; that one may come too early. 0: any rate */
    struct mw_networks *networks;
};

struct mw_admission {
    struct mw_admissions *all;
    struct block *own;
    unsigned place;
    struct rules rules;
};

static bool init_mutex(pthread_mutex_t *mutex) {
    pthread_mutexattr_t attributes;
    if ((errno = pthread_mutexattr_init(&attributes))) {
        return false;
    }
    int error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    error = error ? error : pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    error = error ? error : pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    errno = error;
    return error == 0;
}

struct mw_admissions *mw_admissions_new(int workers) {
    size_t size = sizeof(struct mw_admissions) + (size_t)workers * sizeof(struct block);
    struct mw_admissions *all = mw_shared_map(size);
    if (!all) {
        return NULL;
    }
    all->size = size;
    all->workers = workers;
    if (!mw_hash_key_draw(&all->key) || !init_mutex(&all->taking)) {
        mw_shared_unmap(all, size);
        return NULL;
    }
    return all;
}

void mw_admissions_free(struct mw_admissions *admissions) {
    if (admissions) {
        mw_shared_unmap(admissions, admissions->size);
    }
}

static void clear(_Atomic uint32_t *counters, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (atomic_load_explicit(&counters[i], memory_order_relaxed)) {
            atomic_store_explicit(&counters[i], 0, memory_order_relaxed);
        }
    }
}

void mw_admissions_reset(struct mw_admissions *admissions, int worker) {
    struct block *block = &admissions->blocks[worker - 1];
    clear(block->connections, MW_ADMISSION_SERVICES);
    clear(block->users, MW_ADMISSION_SERVICES);
    clear(block->rows[0], ROWS * WIDTH);
}

/* Only the owner of a block writes it: no read-modify-write is needed. A count that was just raised must be seen by all
 * who raise theirs later, hence sequential consistency. */
static void change(_Atomic uint32_t *counter, int by) {
    uint32_t count = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store(counter, count + (uint32_t)by);
}

static uint64_t sum(const struct mw_admissions *all, const _Atomic uint32_t *counter) {
    size_t offset = (size_t)((const char *)counter - (const char *)&all->blocks[0]) % sizeof(struct block);
    uint64_t total = 0;
    for (int i = 0; i < all->workers; i++) {
        total += atomic_load((const _Atomic uint32_t *)((const char *)&all->blocks[i] + offset));
    }
    return total;
}

static bool is_idle(const struct mw_admissions *all, unsigned place) {
    return sum(all, &all->blocks[0].users[place]) == 0 && sum(all, &all->blocks[0].connections[place]) == 0;
}

/* The place of that name, or one for it: where no name is yet or, once there is none such, where nobody is. */
static unsigned find_place(struct mw_admissions *all, uint64_t name) {
    unsigned free_one = MW_ADMISSION_SERVICES;
    for (unsigned i = 0; i < MW_ADMISSION_SERVICES; i++) {
        uint64_t taken = atomic_load(&all->places[i].name);
        if (taken == name) {
            return i;
        }
        if (!taken && free_one == MW_ADMISSION_SERVICES) {
            free_one = i;
        }
    }
    for (unsigned i = 0; i < MW_ADMISSION_SERVICES && free_one == MW_ADMISSION_SERVICES; i++) {
        free_one = is_idle(all, i) ? i : free_one;
    }
    if (free_one < MW_ADMISSION_SERVICES) {
        atomic_store(&all->places[free_one].due, 0);
        atomic_store(&all->places[free_one].name, name);
    }
    return free_one;
}

/* A process that died with the mutex left every place whole: the name is stored last. */
static bool take_place(struct mw_admission *admission, const char *name) {
    struct mw_admissions *all = admission->all;
    uint64_t hash = mw_hash(&all->key, name, strlen(name));
    int error = pthread_mutex_lock(&all->taking);
    if (error == EOWNERDEAD) {
        error = pthread_mutex_consistent(&all->taking);
    }
    if (error) {
        errno = error;
        return false;
    }
    admission->place = find_place(all, hash ? hash : 1);
    bool found = admission->place < MW_ADMISSION_SERVICES;
    if (found) {
        change(&admission->own->users[admission->place], 1);
    }
    pthread_mutex_unlock(&all->taking);
    errno = ENOSPC;
    return found;
}

/* A century is long enough. */
static uint64_t to_nanoseconds(double seconds) {
    return (uint64_t)((seconds < CENTURY ? seconds : CENTURY) * NANOSECONDS + 0.5);
}

static bool copy_rules(struct rules *copy, const struct mw_admission_rules *rules) {
    *copy = (struct rules){.connections = rules->connections, .per_address = rules->per_address};
    if (rules->rate > 0) {
        copy->interval = to_nanoseconds(1 / rules->rate);
        copy->tolerance = to_nanoseconds(rules->burst > 1 ? (rules->burst - 1) / rules->rate : 0);
        copy->interval += copy->interval == 0;
    }
    copy->networks = mw_networks_new(rules->allow, rules->allows, rules->deny, rules->denies);
    return copy->networks != NULL;
}

struct mw_admission *mw_admission_new(struct mw_admissions *admissions, int worker, const char *name,
                                      const struct mw_admission_rules *rules) {
    struct mw_admission *admission = calloc(1, sizeof *admission);
    if (!admission || !copy_rules(&admission->rules, rules)) {
        free(admission);
        return NULL;
    }
    admission->all = admissions;
    admission->own = &admissions->blocks[worker - 1];
    if (!take_place(admission, name)) {
        int error = errno;
        mw_networks_free(admission->rules.networks);
        free(admission);
        errno = error;
        return NULL;
    }
    return admission;
}

void mw_admission_free(struct mw_admission *admission) {
    if (admission) {
        change(&admission->own->users[admission->place], -1);
        mw_networks_free(admission->rules.networks);
        free(admission);
    }
}

bool mw_admission_set(struct mw_admission *admission, const struct mw_admission_rules *rules) {
    struct rules copy;
    if (!copy_rules(&copy, rules)) {
        return false;
    }
    mw_networks_free(admission->rules.networks);
    admission->rules = copy;
    return true;
}

/* The counters of an address, one in each row. Whoever has a /64, as everybody with IPv6 has, has all its addresses;
 * on a link each machine has one. */
static void find_counters(struct mw_admission *admission, const uint8_t address[16], _Atomic uint32_t *counters[ROWS]) {
    struct {
        uint8_t address[16];
        uint64_t place;
    } subject = {.place = admission->place};
    static const uint8_t mapped[PREFIX_BYTES + 4] = {[10] = 0xff, [11] = 0xff};
    bool alone = memcmp(address, mapped, sizeof mapped) == 0 || (address[0] == 0xfe && (address[1] & 0xc0) == 0x80);
    memcpy(subject.address, address, alone ? sizeof subject.address : PREFIX_BYTES);
    uint64_t hash = mw_hash(&admission->all->key, &subject, sizeof subject);
    for (int row = 0; row < ROWS; row++) {
        counters[row] = &admission->own->rows[row][hash >> (16 * row) & (WIDTH - 1)];
    }
}

static void change_address(_Atomic uint32_t *counters[ROWS], int by) {
    for (int row = 0; row < ROWS; row++) {
        change(counters[row], by);
    }
}

static uint64_t count_of_address(const struct mw_admissions *all, _Atomic uint32_t *counters[ROWS]) {
    uint64_t least = UINT64_MAX;
    for (int row = 0; row < ROWS; row++) {
        uint64_t count = sum(all, counters[row]);
        least = count < least ? count : least;
    }
    return least;
}

/* Takes a connection off the rate, if it leaves one. What rules of before have promised further ahead than these allow
 * is forgotten, or nobody would come in for as long. */
static bool take_turn(struct mw_admission *admission, double now) {
    const struct rules *rules = &admission->rules;
    _Atomic uint64_t *shared = &admission->all->places[admission->place].due;
    uint64_t time = to_nanoseconds(now), due = atomic_load(shared), next;
    bool taken;
    do {
        uint64_t latest = time + rules->tolerance + rules->interval;
        uint64_t base = due < time ? time : due < latest + LAG ? due : latest;
        taken = base - time <= rules->tolerance;
        next = taken ? base + rules->interval : base;
    } while (next != due && !atomic_compare_exchange_weak(shared, &due, next));
    return taken;
}

static enum mw_admission_verdict judge(struct mw_admission *admission, const _Atomic uint32_t *connections,
                                       _Atomic uint32_t *counters[ROWS], double now) {
    const struct rules *rules = &admission->rules;
    if (rules->connections && sum(admission->all, connections) > rules->connections) {
        return MW_REFUSED_CONNECTIONS;
    }
    if (rules->per_address && counters && count_of_address(admission->all, counters) > rules->per_address) {
        return MW_REFUSED_ADDRESS;
    }
    return rules->interval && !take_turn(admission, now) ? MW_REFUSED_RATE : MW_ADMITTED;
}

/* Counted first and looked at then, so that no two workers give the last place away twice. Addresses are counted
 * without a limit, too: the next rules may have one. */
enum mw_admission_verdict mw_admission_enter(struct mw_admission *admission, const struct mw_addr *peer, double now) {
    uint8_t address[16];
    struct mw_endpoint endpoint;
    _Atomic uint32_t *connections = &admission->own->connections[admission->place], *counters[ROWS];
    mw_endpoint_pack(&endpoint, peer);
    bool known = mw_network_address(address, &endpoint);
    if (known && !mw_networks_allow(admission->rules.networks, address)) {
        return MW_REFUSED_NETWORK;
    }
    if (known) {
        find_counters(admission, address, counters);
        change_address(counters, 1);
    }
    change(connections, 1);
    enum mw_admission_verdict verdict = judge(admission, connections, known ? counters : NULL, now);
    if (verdict != MW_ADMITTED) {
        mw_admission_leave(admission, &endpoint);
    }
    return verdict;
}

enum mw_admission_verdict mw_admission_name(struct mw_admission *admission, const struct mw_addr *peer) {
    const struct rules *rules = &admission->rules;
    uint8_t address[16];
    struct mw_endpoint endpoint;
    _Atomic uint32_t *counters[ROWS];
    mw_endpoint_pack(&endpoint, peer);
    if (!mw_network_address(address, &endpoint)) {
        return MW_ADMITTED;
    }
    if (!mw_networks_allow(rules->networks, address)) {
        return MW_REFUSED_NETWORK;
    }
    find_counters(admission, address, counters);
    change_address(counters, 1);
    if (rules->per_address && count_of_address(admission->all, counters) > rules->per_address) {
        change_address(counters, -1);
        return MW_REFUSED_ADDRESS;
    }
    return MW_ADMITTED;
}

void mw_admission_leave(struct mw_admission *admission, const struct mw_endpoint *peer) {
    uint8_t address[16];
    _Atomic uint32_t *counters[ROWS];
    if (mw_network_address(address, peer)) {
        find_counters(admission, address, counters);
        change_address(counters, -1);
    }
    change(&admission->own->connections[admission->place], -1);
}

uint64_t mw_admission_connections(const struct mw_admission *admission) {
    return sum(admission->all, &admission->own->connections[admission->place]);
}
