/* What the functions of folders and files have in common: descriptors that
 * outlive their userdata while a thread uses them, and the jobs of those threads. */
#ifndef MW_SCRIPT_L_FILE_JOB_H
#define MW_SCRIPT_L_FILE_JOB_H

#include "net/file.h"
#include "script/l_job.h"

struct mw_l_file_job;

/* An open file or folder; shared by a userdata and the jobs under way. */
struct mw_l_descriptor {
    int fd; /* -1: none to be closed */
    unsigned references;
    const struct mw_l_file_job *user; /* the last job that had it for itself; NULL: released */
    char name[];                      /* for messages */
};

/* A descriptor with one reference, which takes `fd` over; NULL when memory is out:
 * then `fd` stays the caller's. */
struct mw_l_descriptor *mw_l_descriptor_new(int fd, const char *name);
void mw_l_descriptor_release(struct mw_l_descriptor *descriptor);

/* Whether a job that has it for itself is under way. */
bool mw_l_descriptor_is_busy(const struct mw_l_descriptor *descriptor);

/* The first member of the struct of each job. */
struct mw_l_file_job {
    struct mw_l_job job;
    struct mw_l_descriptor *descriptor; /* a reference, held until the end */
    struct mw_file_place place;
    const char *name; /* copied; that of the descriptor for jobs of files */
    int error;        /* errno, set by `work` */
};

/* Pushes a job of `size` bytes with a reference to the descriptor and a copy of
 * the name (NULL: that of the descriptor). Raises when memory is out. */
void *mw_l_file_job_push(lua_State *L, const struct mw_l_job_kind *kind, size_t size,
                         struct mw_l_descriptor *descriptor, const char *name);

/* Runs it alone on its descriptor: nil, "busy", "busy" when another does. */
int mw_l_file_job_run_alone(lua_State *L, struct mw_l_file_job *job);

/* For `release`, after what is the job's own. */
void mw_l_file_job_release(struct mw_l_job *job);

/* Pushes nil, err, code for the job's error. */
int mw_l_file_job_push_fault(lua_State *L, const struct mw_l_file_job *job);

/* The same, for a push function that has nothing to tell: true. */
int mw_l_file_job_push_success(lua_State *L, struct mw_l_job *job);

/* Pushes nil, err, code: "read notes.txt: not a regular file". */
int mw_l_file_push_errno(lua_State *L, int error, const char *operation, const char *name);

/* Pushes the table that the stat functions return. */
void mw_l_file_push_status(lua_State *L, const struct stat *status);

/* The option `permissions`, such as "640"; -1: absent. Raises for anything else. */
int mw_l_file_permissions(lua_State *L, int index);

#endif
