/* layers: base loop net */
/* wrap: pread pwrite write fsync fdatasync openat linkat renameat2 fchmod */
#include "net/file.h"
#include "support/alloc_failure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1024 * 1024, SIZE = 3 * MIB + 5 };

/* What a system call does: moves no more than `limit` bytes, and fails `times`
 * times after the first `after` calls. */
struct plan {
    int error, times, after, calls;
    size_t limit;
};

static struct plan on_pread, on_pwrite, on_write, on_fsync, on_fdatasync, on_tmpfile, on_linkat, on_rename, on_fchmod;
static char path[] = "/tmp/moonwire-file-test-XXXXXX";
static struct mw_file_place place;
static char *bytes;

static bool intervene(struct plan *plan, size_t *size) {
    plan->calls++;
    if (plan->times > 0 && plan->calls > plan->after) {
        plan->times--;
        errno = plan->error;
        return true;
    }
    if (size && plan->limit && *size > plan->limit) {
        *size = plan->limit;
    }
    return false;
}

ssize_t wrapped_pread(int fd, void *data, size_t size, off_t offset) __asm__("__wrap_pread");
ssize_t libc_pread(int fd, void *data, size_t size, off_t offset) __asm__("__real_pread");
ssize_t wrapped_pwrite(int fd, const void *data, size_t size, off_t offset) __asm__("__wrap_pwrite");
ssize_t libc_pwrite(int fd, const void *data, size_t size, off_t offset) __asm__("__real_pwrite");
ssize_t wrapped_write(int fd, const void *data, size_t size) __asm__("__wrap_write");
ssize_t libc_write(int fd, const void *data, size_t size) __asm__("__real_write");
int wrapped_fsync(int fd) __asm__("__wrap_fsync");
int libc_fsync(int fd) __asm__("__real_fsync");
int wrapped_fdatasync(int fd) __asm__("__wrap_fdatasync");
int libc_fdatasync(int fd) __asm__("__real_fdatasync");
int wrapped_openat(int folder, const char *name, int flags, mode_t mode) __asm__("__wrap_openat");
int libc_openat(int folder, const char *name, int flags, mode_t mode) __asm__("__real_openat");
int wrapped_linkat(int from, const char *old, int to, const char *name, int flags) __asm__("__wrap_linkat");
int libc_linkat(int from, const char *old, int to, const char *name, int flags) __asm__("__real_linkat");
int wrapped_rename(int from, const char *old, int to, const char *name, unsigned flags) __asm__("__wrap_renameat2");
int libc_rename(int from, const char *old, int to, const char *name, unsigned flags) __asm__("__real_renameat2");
int wrapped_fchmod(int fd, mode_t mode) __asm__("__wrap_fchmod");
int libc_fchmod(int fd, mode_t mode) __asm__("__real_fchmod");

ssize_t wrapped_pread(int fd, void *data, size_t size, off_t offset) {
    return intervene(&on_pread, &size) ? -1 : libc_pread(fd, data, size, offset);
}

ssize_t wrapped_pwrite(int fd, const void *data, size_t size, off_t offset) {
    return intervene(&on_pwrite, &size) ? -1 : libc_pwrite(fd, data, size, offset);
}

ssize_t wrapped_write(int fd, const void *data, size_t size) {
    if (fd <= STDERR_FILENO) {
        return libc_write(fd, data, size);
    }
    return intervene(&on_write, &size) ? -1 : libc_write(fd, data, size);
}

int wrapped_fsync(int fd) {
    return intervene(&on_fsync, NULL) ? -1 : libc_fsync(fd);
}

int wrapped_fdatasync(int fd) {
    return intervene(&on_fdatasync, NULL) ? -1 : libc_fdatasync(fd);
}

int wrapped_openat(int folder, const char *name, int flags, mode_t mode) {
    return (flags & O_TMPFILE) == O_TMPFILE && intervene(&on_tmpfile, NULL) ? -1
                                                                            : libc_openat(folder, name, flags, mode);
}

int wrapped_linkat(int from, const char *old, int to, const char *name, int flags) {
    return intervene(&on_linkat, NULL) ? -1 : libc_linkat(from, old, to, name, flags);
}

int wrapped_rename(int from, const char *old, int to, const char *name, unsigned flags) {
    return intervene(&on_rename, NULL) ? -1 : libc_rename(from, old, to, name, flags);
}

int wrapped_fchmod(int fd, mode_t mode) {
    return intervene(&on_fchmod, NULL) ? -1 : libc_fchmod(fd, mode);
}

static void forget_plans(void) {
    on_pread = on_pwrite = on_write = on_fsync = on_fdatasync = on_tmpfile = on_linkat = on_rename = on_fchmod =
        (struct plan){0};
}

/* A folder with the file "old", which holds "old content". */
static int open_place(void **state) {
    (void)state;
    forget_plans();
    strcpy(path + strlen(path) - 6, "XXXXXX");
    if (!mkdtemp(path)) {
        return -1;
    }
    place = (struct mw_file_place){.folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), .confined = true};
    int fd = openat(place.folder, "old", O_CREAT | O_WRONLY, 0644);
    if (libc_write(fd, "old content", 11) != 11) {
        return -1;
    }
    close(fd);
    bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    return 0;
}

static int close_place(void **state) {
    (void)state;
    char command[sizeof path + 8];
    alloc_failure_disarm();
    forget_plans();
    close(place.folder);
    free(bytes);
    snprintf(command, sizeof command, "rm -r %s", path);
    return system(command);
}

static void assert_holds(const char *name, const char *data, size_t size) {
    char *content;
    size_t length;
    int fd = mw_file_open(&place, name, O_RDONLY, 0);
    assert_true(fd >= 0);
    forget_plans();
    assert_int_equal(mw_file_read_all(fd, 0, SIZE, &content, &length), 0);
    assert_int_equal(length, size);
    assert_memory_equal(content, data, size);
    free(content);
    close(fd);
}

/* The names in the folder; those of drafts too. */
static int count_names(void) {
    int count = -2;
    DIR *folder = opendir(path);
    while (readdir(folder)) {
        count++;
    }
    closedir(folder);
    return count;
}

static int replace(const char *name, bool sync) {
    struct mw_file_content content = {.data = bytes, .size = SIZE, .mode = -1, .sync = sync};
    return mw_file_replace(&place, name, &content);
}

/* The old file is as it was, and nothing is beside it. */
static void assert_untouched(void) {
    assert_holds("old", "old content", 11);
    assert_int_equal(count_names(), 1);
}

/* --- reading --- */

static void short_and_interrupted_reads_go_on(void **state) {
    (void)state;
    char *content;
    size_t size;
    assert_int_equal(replace("new", false), 0);
    int fd = mw_file_open(&place, "new", O_RDONLY, 0);
    on_pread = (struct plan){.limit = 100001, .error = EINTR, .times = 3, .after = 2};
    assert_int_equal(mw_file_read_all(fd, 0, SIZE, &content, &size), 0);
    assert_true(on_pread.calls > 30);
    assert_int_equal(size, SIZE);
    assert_memory_equal(content, bytes, SIZE);
    free(content);
    assert_int_equal(mw_file_read_all(fd, 5, SIZE - 5, &content, &size), 0);
    assert_int_equal(size, SIZE - 5);
    free(content);
    assert_int_equal(mw_file_read_all(fd, 0, SIZE - 1, &content, &size), EMSGSIZE);
    assert_null(content);
    close(fd);
}

static void a_failing_read_gives_nothing(void **state) {
    (void)state;
    char *content;
    size_t size;
    char part[20];
    int fd = mw_file_open(&place, "old", O_RDONLY, 0);
    on_pread = (struct plan){.limit = 4, .error = EIO, .times = 1, .after = 1};
    assert_int_equal(mw_file_read_all(fd, 0, 100, &content, &size), EIO);
    assert_null(content);
    assert_int_equal(size, 0);
    on_pread = (struct plan){.limit = 4, .error = EIO, .times = 1, .after = 1};
    assert_int_equal(mw_file_read(fd, part, sizeof part, 0), -EIO);
    assert_int_equal(mw_file_read(fd, part, sizeof part, 4), 7);
    alloc_failure_arm(1);
    assert_int_equal(mw_file_read_all(fd, 0, 100, &content, &size), ENOMEM);
    assert_true(alloc_failure_disarm());
    close(fd);
}

static void a_file_that_grows_while_it_is_read_is_read_as_far_as_allowed(void **state) {
    (void)state;
    char *content;
    size_t size;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC); /* its size is told as 0 */
    assert_int_equal(mw_file_read_all(fd, 0, SIZE, &content, &size), 0);
    assert_true(size > 100);
    free(content);
    assert_int_equal(mw_file_read_all(fd, 0, 10, &content, &size), EMSGSIZE);
    close(fd);
    fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC); /* larger than what is tried first */
    if (fd >= 0) {
        assert_int_equal(mw_file_read_all(fd, 0, (size_t)64 * MIB, &content, &size), 0);
        assert_true(size > 4096);
        free(content);
        close(fd);
    }
}

/* --- replacing --- */

static void short_and_interrupted_writes_go_on(void **state) {
    (void)state;
    on_pwrite = (struct plan){.limit = 100001, .error = EINTR, .times = 3, .after = 2};
    assert_int_equal(replace("old", true), 0);
    assert_true(on_pwrite.calls > 30);
    assert_holds("old", bytes, SIZE);
    assert_int_equal(count_names(), 1);
}

static void content_is_on_the_disk_before_it_is_seen(void **state) {
    (void)state;
    assert_int_equal(replace("old", false), 0);
    assert_int_equal(on_fsync.calls, 0);
    assert_int_equal(replace("old", true), 0);
    assert_int_equal(on_fsync.calls, 2); /* the file, then the folder */
}

/* Each step may fail, with and without files that have no name. */
static void whatever_fails_leaves_the_old_file_alone(void **state) {
    (void)state;
    static const struct {
        struct plan *plan;
        int error, after;
    } steps[] = {
        {&on_pwrite, ENOSPC, 0}, {&on_pwrite, ENOSPC, 2}, {&on_pwrite, EIO, 1},   {&on_pwrite, EDQUOT, 1},
        {&on_fsync, EIO, 0},     {&on_fchmod, EPERM, 0},  {&on_rename, EACCES, 0},
    };
    for (int nameless = 0; nameless <= 1; nameless++) {
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            forget_plans();
            *steps[i].plan = (struct plan){.error = steps[i].error, .times = 1, .after = steps[i].after};
            on_tmpfile = (struct plan){.error = EOPNOTSUPP, .times = nameless ? 0 : 1};
            assert_int_equal(replace("old", true), steps[i].error);
            assert_int_equal(steps[i].plan->times, 0);
            assert_untouched();
        }
    }
    on_linkat = (struct plan){.error = ENOSPC, .times = 1};
    assert_int_equal(replace("old", true), ENOSPC);
    assert_untouched();
}

static void a_file_system_without_nameless_files_will_do(void **state) {
    (void)state;
    on_tmpfile = (struct plan){.error = EOPNOTSUPP, .times = 2};
    assert_int_equal(replace("old", true), 0);
    assert_int_equal(replace("new", true), 0);
    assert_int_equal(on_linkat.calls, 0);
    assert_holds("old", bytes, SIZE);
    assert_holds("new", bytes, SIZE);
    assert_int_equal(count_names(), 2);
}

static void a_folder_that_cannot_be_synced_is_told(void **state) {
    (void)state;
    on_fsync = (struct plan){.error = EIO, .times = 1, .after = 1};
    assert_int_equal(replace("old", true), EIO);
    assert_holds("old", bytes, SIZE); /* whole, but perhaps not for ever */
    assert_int_equal(count_names(), 1);
}

static void what_nobody_wants_is_given_up(void **state) {
    (void)state;
    atomic_bool unwanted = true;
    struct mw_file_content content = {.data = bytes, .size = SIZE, .mode = -1, .unwanted = &unwanted};
    assert_int_equal(mw_file_replace(&place, "old", &content), ECANCELED);
    assert_untouched();
}

static void new_files_only(void **state) {
    (void)state;
    struct mw_file_content content = {.data = bytes, .size = SIZE, .mode = 0600, .only_new = true};
    for (int nameless = 0; nameless <= 1; nameless++) {
        on_tmpfile = (struct plan){.error = EOPNOTSUPP, .times = nameless ? 0 : 1};
        assert_int_equal(mw_file_replace(&place, "old", &content), EEXIST);
        assert_untouched();
    }
    assert_int_equal(mw_file_replace(&place, "new", &content), 0);
    assert_holds("new", bytes, SIZE);
}

/* --- appending, and writing in place --- */

static int append(bool sync) {
    struct mw_file_content content = {.data = bytes, .size = SIZE, .mode = -1, .sync = sync};
    return mw_file_append(&place, "old", &content);
}

static void an_append_that_fails_leaves_no_part(void **state) {
    (void)state;
    static const int errors[] = {ENOSPC, EIO};
    for (size_t i = 0; i < 2; i++) {
        on_write = (struct plan){.error = errors[i], .times = 1, .after = 2, .limit = 1000};
        assert_int_equal(append(false), errors[i]);
        assert_int_equal(on_write.calls, 3);
        assert_untouched();
    }
    on_write = (struct plan){.error = EINTR, .times = 2, .after = 1, .limit = 1000001};
    assert_int_equal(append(true), 0);
    assert_int_equal(on_fdatasync.calls, 1);
    on_fdatasync = (struct plan){.error = EIO, .times = 1};
    assert_int_equal(append(true), EIO);
}

static void what_others_have_appended_since_is_not_cut_off(void **state) {
    (void)state;
    struct stat status;
    int fd = mw_file_open(&place, "old", O_WRONLY | O_APPEND, 0);
    int other = mw_file_open(&place, "old", O_WRONLY | O_APPEND, 0);
    /* The other's bytes come between our first and our second piece. */
    on_write = (struct plan){.limit = 10};
    assert_int_equal(mw_file_write(fd, bytes, 10, MW_FILE_END, NULL), 0);
    assert_int_equal(libc_write(other, "other", 5), 5);
    on_write = (struct plan){.error = ENOSPC, .times = 1};
    assert_int_equal(mw_file_write(fd, bytes, 10, MW_FILE_END, NULL), ENOSPC);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, 11 + 10 + 5);
    close(fd);
    close(other);
}

static void a_write_that_fails_makes_the_file_no_longer(void **state) {
    (void)state;
    struct stat status;
    int fd = mw_file_open(&place, "old", O_WRONLY, 0);
    on_pwrite = (struct plan){.error = ENOSPC, .times = 1, .after = 2, .limit = 1000};
    assert_int_equal(mw_file_write(fd, bytes, SIZE, 5, NULL), ENOSPC);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, 11);
    on_pwrite = (struct plan){.limit = 1000};
    assert_int_equal(mw_file_write(fd, bytes, SIZE, 5, NULL), 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, SIZE + 5);
    close(fd);
}

/* --- names --- */

static void names_that_are_none_are_refused(void **state) {
    (void)state;
    char endless[5000];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    endless[4999 - 3] = '/';
    const char *base;
    assert_int_equal(mw_file_open_parent(&place, "", &base), -ENOENT);
    assert_int_equal(mw_file_open_parent(&place, ".", &base), -EINVAL);
    assert_int_equal(mw_file_open_parent(&place, "a/..", &base), -EINVAL);
    assert_int_equal(mw_file_open_parent(&place, "a/", &base), -EINVAL);
    assert_int_equal(mw_file_open_parent(&place, "../a", &base), -MW_FILE_OUTSIDE);
    assert_int_equal(mw_file_open_parent(&place, "/a", &base), -MW_FILE_OUTSIDE);
    assert_int_equal(mw_file_open_parent(&place, endless, &base), -ENAMETOOLONG);
    assert_true(mw_file_is_draft(".moonwire-0123456789abcdef"));
    assert_false(mw_file_is_draft(".moonwire"));
}

#define placed(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        placed(short_and_interrupted_reads_go_on),
        placed(a_failing_read_gives_nothing),
        placed(a_file_that_grows_while_it_is_read_is_read_as_far_as_allowed),
        placed(short_and_interrupted_writes_go_on),
        placed(content_is_on_the_disk_before_it_is_seen),
        placed(whatever_fails_leaves_the_old_file_alone),
        placed(a_file_system_without_nameless_files_will_do),
        placed(a_folder_that_cannot_be_synced_is_told),
        placed(what_nobody_wants_is_given_up),
        placed(new_files_only),
        placed(an_append_that_fails_leaves_no_part),
        placed(what_others_have_appended_since_is_not_cut_off),
        placed(a_write_that_fails_makes_the_file_no_longer),
        placed(names_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
