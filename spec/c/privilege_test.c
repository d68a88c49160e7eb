/* layers: base */
/* wrap: initgroups setresuid syscall */
#include "base/privilege_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Everything happens in a child: what is given up does not come back. */

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_error("%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, fault.message);                  \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

static struct mw_fault fault;
static bool fails_initgroups, lies_setresuid, fails_capset;

int wrapped_initgroups(const char *user, gid_t group) __asm__("__wrap_initgroups");
int libc_initgroups(const char *user, gid_t group) __asm__("__real_initgroups");
int wrapped_setresuid(uid_t real, uid_t effective, uid_t saved) __asm__("__wrap_setresuid");
int libc_setresuid(uid_t real, uid_t effective, uid_t saved) __asm__("__real_setresuid");
long wrapped_syscall(long number, void *one, void *two) __asm__("__wrap_syscall");
long libc_syscall(long number, void *one, void *two) __asm__("__real_syscall");

int wrapped_initgroups(const char *user, gid_t group) {
    errno = EPERM;
    return fails_initgroups ? -1 : libc_initgroups(user, group);
}

int wrapped_setresuid(uid_t real, uid_t effective, uid_t saved) {
    return libc_setresuid(real, effective, lies_setresuid ? 0 : saved);
}

long wrapped_syscall(long number, void *one, void *two) {
    if (number == SYS_capset && fails_capset) {
        errno = EPERM;
        return -1;
    }
    return libc_syscall(number, one, two);
}

static void in_child(void (*check)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        check();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void in_child_of_root(void (*check)(void)) {
    if (geteuid() != 0) {
        skip();
    }
    in_child(check);
}

/* The field of /proc/self/status, as a hexadecimal number. */
static unsigned long long status_of(const char *field) {
    char line[200];
    unsigned long long value = ~0ULL;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, field, strlen(field)) == 0) {
            value = strtoull(line + strlen(field) + 1, NULL, 16);
        }
    }
    fclose(file);
    return value;
}

/* --- another user --- */

static void check_user(void) {
    const struct passwd *entry = getpwnam("nobody");
    CHECK(entry && mw_privilege_drop("nobody", NULL, &fault));
    uid_t uid = entry->pw_uid;
    CHECK(getuid() == uid && geteuid() == uid && getgid() == entry->pw_gid);
    CHECK(setuid(0) == -1 && setgid(0) == -1 && seteuid(0) == -1);
    CHECK(getgroups(0, NULL) <= 1);
    CHECK(status_of("CapEff:") == 0 && status_of("CapPrm:") == 0 && status_of("CapBnd:") == 0);
    CHECK(open("/etc/shadow", O_RDONLY) == -1);
    CHECK(mw_privilege_drop("nobody", NULL, &fault)); /* it is that already */
    CHECK(!mw_privilege_drop("root", NULL, &fault) && strcmp(fault.code, "denied") == 0);
    CHECK(strstr(fault.message, "only root may"));
}

static void root_becomes_another_user_for_good(void **state) {
    (void)state;
    in_child_of_root(check_user);
}

static void check_root(void) {
    CHECK(!mw_privilege_is_without_root(NULL, &fault) && strstr(fault.message, "user \"root\" is root"));
    CHECK(!mw_privilege_is_without_root("root", &fault) && strstr(fault.message, "user \"root\" is root"));
    CHECK(strcmp(fault.code, "denied") == 0);
    CHECK(mw_privilege_drop("nobody", NULL, &fault) && mw_privilege_is_without_root("nobody", &fault));
}

static void root_is_told_how_not_to_be(void **state) {
    (void)state;
    in_child_of_root(check_root);
}

static void check_group(void) {
    const struct group *group = getgrnam("daemon");
    CHECK(group && mw_privilege_drop("nobody", "daemon", &fault));
    CHECK(getgid() == group->gr_gid && getegid() == group->gr_gid && getgroups(0, NULL) == 0);
}

static void a_group_is_taken_alone(void **state) {
    (void)state;
    in_child_of_root(check_group);
}

static void check_numbers(void) {
    CHECK(!mw_privilege_drop("54321", NULL, &fault));
    CHECK(strstr(fault.message, "name a group as well") && geteuid() == 0);
    CHECK(mw_privilege_drop("54321", "54322", &fault));
    CHECK(getuid() == 54321 && getgid() == 54322);
}

static void numbers_will_do(void **state) {
    (void)state;
    in_child_of_root(check_numbers);
}

static void check_nobody_named(void) {
    uid_t before = geteuid();
    CHECK(mw_privilege_drop(NULL, NULL, &fault));
    CHECK(!mw_privilege_drop("no-such-user", NULL, &fault) && strcmp(fault.code, "not_found") == 0);
    CHECK(strstr(fault.message, "no user \"no-such-user\""));
    CHECK(!mw_privilege_drop("nobody", "no-such-group", &fault) && strstr(fault.message, "no group"));
    CHECK(!mw_privilege_drop("12x", "12", &fault) && !mw_privilege_drop("4294967295", "12", &fault));
    CHECK(geteuid() == before);
}

static void an_unknown_name_is_said(void **state) {
    (void)state;
    in_child(check_nobody_named);
}

static void check_refusal(void) {
    fails_initgroups = true;
    CHECK(!mw_privilege_drop("nobody", NULL, &fault) && strcmp(fault.code, "denied") == 0);
    CHECK(strstr(fault.message, "become user nobody"));
}

static void a_refusal_of_the_kernel_is_said(void **state) {
    (void)state;
    in_child_of_root(check_refusal);
}

static void check_way_back(void) {
    lies_setresuid = true;
    CHECK(!mw_privilege_drop("nobody", NULL, &fault) && strstr(fault.message, "could be had again"));
}

static void an_open_way_back_is_a_fault(void **state) {
    (void)state;
    in_child_of_root(check_way_back);
}

/* --- no rights --- */

static void check_confined(void) {
    CHECK(mw_privilege_confine(&fault));
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
#ifndef __SANITIZE_ADDRESS__
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
    CHECK(status_of("CapEff:") == 0 && status_of("CapPrm:") == 0 && status_of("CapInh:") == 0);
    CHECK(status_of("CapAmb:") == 0);
    CHECK(setuid(12345) == -1 || geteuid() == 12345);
    CHECK(mw_privilege_confine(&fault)); /* again: no harm */
}

static void all_rights_go(void **state) {
    (void)state;
    in_child(check_confined);
}

static void check_bounding(void) {
    CHECK(mw_privilege_confine(&fault) && status_of("CapBnd:") == 0);
    CHECK(setuid(12345) == -1 && errno == EPERM);
}

static void the_bounding_set_of_root_is_emptied(void **state) {
    (void)state;
    in_child_of_root(check_bounding);
}

/* A file without a name gets one through /proc/self/fd, which a process that is not dumpable may still use. */
static void check_files(void) {
    char folder[] = "/tmp/privilege_test.XXXXXX", target[64], link[64];
    CHECK(mkdtemp(folder) && chmod(folder, 0777) == 0);
    if (geteuid() == 0) {
        CHECK(mw_privilege_drop("nobody", NULL, &fault));
    }
    CHECK(mw_privilege_confine(&fault));
    int fd = open(folder, O_TMPFILE | O_WRONLY, 0600);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    snprintf(target, sizeof target, "%s/file", folder);
    CHECK(fd >= 0 && linkat(AT_FDCWD, link, AT_FDCWD, target, AT_SYMLINK_FOLLOW) == 0);
    CHECK(unlink(target) == 0);
    puts(folder);
}

static void the_way_through_proc_stays_open(void **state) {
    (void)state;
    int status, out[2];
    char folder[64] = "";
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 1);
        check_files();
        fflush(stdout);
        _exit(0);
    }
    close(out[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(read(out[0], folder, sizeof folder - 1) > 0);
    close(out[0]);
    folder[strcspn(folder, "\n")] = '\0';
    assert_int_equal(rmdir(folder), 0);
}

static void check_capset(void) {
    fails_capset = true;
    CHECK(!mw_privilege_confine(&fault) && strcmp(fault.code, "denied") == 0);
    CHECK(strstr(fault.message, "give up rights"));
}

static void rights_that_cannot_be_given_up_are_said(void **state) {
    (void)state;
    in_child_of_root(check_capset);
}

static void check_nothing_left(void) {
    if (geteuid() == 0) {
        CHECK(mw_privilege_drop("nobody", NULL, &fault));
    }
    fails_capset = true;
    CHECK(mw_privilege_confine(&fault));
}

static void who_has_no_rights_need_not_give_them_up(void **state) {
    (void)state;
    in_child(check_nothing_left);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_becomes_another_user_for_good),
        cmocka_unit_test(root_is_told_how_not_to_be),
        cmocka_unit_test(a_group_is_taken_alone),
        cmocka_unit_test(numbers_will_do),
        cmocka_unit_test(an_unknown_name_is_said),
        cmocka_unit_test(a_refusal_of_the_kernel_is_said),
        cmocka_unit_test(an_open_way_back_is_a_fault),
        cmocka_unit_test(all_rights_go),
        cmocka_unit_test(the_bounding_set_of_root_is_emptied),
        cmocka_unit_test(the_way_through_proc_stays_open),
        cmocka_unit_test(rights_that_cannot_be_given_up_are_said),
        cmocka_unit_test(who_has_no_rights_need_not_give_them_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
