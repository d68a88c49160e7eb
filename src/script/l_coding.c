#include "script/l_coding.h"

#include "script/bounds.h"
#include "script/check.h"
#include "script/coder.h"
#include "script/fault.h"
#include "script/l_job.h"
#include "script/sched.h"

#include <string.h>

/* What is done at once, in bytes: about a millisecond. Threads do more, and look now and then whether they still have to. */
enum { AT_ONCE_ENCODED = 16 * 1024, AT_ONCE_DECODED = 256 * 1024, SLICE = 512 * 1024 };

enum { LEVEL_DEFAULT = 5, DECODED_DEFAULT = 10 * 1024 * 1024 };

static const size_t BYTES_MOST = (size_t)1 << 30;

static const char ENCODER[] = "moonwire.encoder", DECODER[] = "moonwire.decoder";

static const char *const kinds[] = {"gzip", "deflate", "raw", "brotli", NULL};

/* What a script holds. */
struct handle {
    struct mw_coder *coder; /* NULL: finished */
    size_t charged;         /* bytes, of the quota */
};

static void forget(lua_State *L, struct handle *handle) {
    if (handle->coder) {
        mw_memory_discharge(mw_sched_of(L)->quota.memory, handle->charged);
        mw_coder_release(handle->coder);
        handle->coder = NULL;
    }
}

/* Garbage may hold what is needed. */
static bool charge(lua_State *L, size_t size) {
    struct mw_memory *memory = mw_sched_of(L)->quota.memory;
    if (mw_memory_charge(memory, size)) {
        lua_gc(L, LUA_GCSTEP, (int)(size / 1024));
        return true;
    }
    lua_gc(L, LUA_GCCOLLECT);
    return mw_memory_charge(memory, size);
}

static struct handle *push_handle(lua_State *L, const char *type) {
    struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    *handle = (struct handle){.coder = NULL};
    luaL_setmetatable(L, type);
    return handle;
}

/* Gives the coder to the handle on top, and returns it. Raises when memory is out. */
static struct mw_coder *settle(lua_State *L, struct handle *handle, struct mw_coder *coder) {
    if (coder && charge(L, mw_coder_cost(coder))) {
        handle->coder = coder;
        handle->charged = mw_coder_cost(coder);
        return coder;
    }
    if (coder) {
        mw_coder_release(coder);
    }
    luaL_error(L, "not enough memory");
    return NULL;
}

static enum mw_coding check_kind(lua_State *L, int index) {
    return (enum mw_coding)luaL_checkoption(L, index, NULL, kinds);
}

static const char *check_bytes(lua_State *L, int index, size_t *size) {
    const char *bytes = luaL_checklstring(L, index, size);
    luaL_argcheck(L, *size <= BYTES_MOST, index, "longer than 1 GiB");
    return bytes;
}

/* --- What a call returns --- */

static const char *verb_of(const struct mw_coder *coder) {
    return coder->encoder ? "encode" : "decode";
}

static int push_fault(lua_State *L, const struct mw_coder *coder, const char *code, const char *why) {
    struct mw_fault fault;
    mw_fault_format(&fault, code, "%s %s: %s", verb_of(coder), kinds[coder->coding], why);
    return mw_push_fault(L, &fault);
}

static int push_coded(lua_State *L, struct mw_coder *coder) {
    lua_pushlstring(L, coder->out.bytes ? coder->out.bytes : "", coder->out.size);
    mw_text_free(&coder->out);
    coder->lost = false;
    return 1;
}

static int push_result(lua_State *L, struct mw_coder *coder, enum mw_coder_outcome outcome) {
    switch (outcome) {
    case MW_CODER_DONE:
        return coder->decoder && coder->last && !coder->ended
                   ? push_fault(L, coder, "invalid", "it ends too early")
                   : push_coded(L, coder);
    case MW_CODER_TOO_LARGE:
        return mw_push_word(L, "too_large");
    case MW_CODER_BAD:
        return push_fault(L, coder, "invalid", "not of this coding, or damaged");
    default:
        return push_fault(L, coder, "memory", "not enough memory");
    }
}

/* The outcome of a call on the handle at index 1; one that did not end well was the last. */
static int push_outcome(lua_State *L, struct mw_coder *coder, enum mw_coder_outcome outcome) {
    coder->lost = true;
    int count = push_result(L, coder, outcome);
    if (coder->last) {
        forget(L, lua_touserdata(L, 1));
    }
    return count;
}

/* --- On a thread --- */

struct coding {
    struct mw_l_job job;
    struct mw_coder *coder;
    struct mw_coder_task task;
    enum mw_coder_outcome outcome;
    char bytes[];
};

static void work(struct mw_l_job *job) {
    struct coding *coding = mw_list_owner(job, struct coding, job);
    do {
        coding->outcome = mw_coder_work(coding->coder, &coding->task, SLICE);
    } while (coding->outcome == MW_CODER_GOES_ON && !mw_l_job_is_unwanted(job));
}

static int push(lua_State *L, struct mw_l_job *job) {
    const struct coding *coding = mw_list_owner(job, struct coding, job);
    return push_outcome(L, coding->coder, coding->outcome);
}

static void release(struct mw_l_job *job) {
    struct coding *coding = mw_list_owner(job, struct coding, job);
    if (coding->coder) {
        coding->coder->busy = false;
        mw_coder_release(coding->coder);
    }
}

static const struct mw_l_job_kind encode_kind = {
    .wait = MW_L_JOB_WAIT("encode"), .work = work, .push = push, .release = release};
static const struct mw_l_job_kind decode_kind = {
    .wait = MW_L_JOB_WAIT("decode"), .work = work, .push = push, .release = release};

/* What is left of the task, on a copy of its bytes. When nobody is there any more to take what comes of it, the coder is
 * lost. */
static int run_job(lua_State *L, struct mw_coder *coder, const struct mw_coder_task *task) {
    size_t size = task->size - task->at;
    struct coding *coding = mw_l_job_push(L, coder->encoder ? &encode_kind : &decode_kind, sizeof *coding + size);
    if (size) {
        memcpy(coding->bytes, task->bytes + task->at, size);
    }
    coding->task = (struct mw_coder_task){.bytes = coding->bytes, .size = size, .flush = task->flush};
    coding->coder = coder;
    coder->references++;
    coder->busy = true;
    coder->lost = true;
    return mw_l_job_run(L, &coding->job);
}

/* Works on the bytes, at once or on a thread. `return run(…)`. */
static int run(lua_State *L, struct mw_coder *coder, struct mw_coder_task task) {
    if (coder->encoder && task.size > AT_ONCE_ENCODED) {
        return run_job(L, coder, &task);
    }
    enum mw_coder_outcome outcome = mw_coder_work(coder, &task, AT_ONCE_DECODED);
    return outcome == MW_CODER_GOES_ON ? run_job(L, coder, &task) : push_outcome(L, coder, outcome);
}

/* The same for a coder whose handle is on top, and which is not used again. */
static int run_once(lua_State *L, struct mw_coder *coder, struct mw_coder_task task) {
    if (!coder) {
        return 0;
    }
    lua_replace(L, 1);
    coder->last = true;
    return run(L, coder, task);
}

/* --- Encoding --- */

static int level_option(lua_State *L, int index) {
    static const char *const known[] = {"level", NULL};
    mw_check_options(L, index, known);
    return (int)mw_option_integer(L, index, "level", 1, 9, LEVEL_DEFAULT);
}

/* encode(kind, data, { level }) → bytes | nil, err, code */
static int encode(lua_State *L) {
    struct mw_coder_task task = {.flush = MW_CODING_END};
    enum mw_coding coding = check_kind(L, 1);
    task.bytes = check_bytes(L, 2, &task.size);
    int level = level_option(L, 3);
    struct handle *handle = push_handle(L, ENCODER);
    return run_once(L, settle(L, handle, mw_coder_encoder(coding, level)), task);
}

/* new_encoder(kind, { level }) → encoder */
static int new_encoder(lua_State *L) {
    enum mw_coding coding = check_kind(L, 1);
    int level = level_option(L, 2);
    struct handle *handle = push_handle(L, ENCODER);
    settle(L, handle, mw_coder_encoder(coding, level));
    return 1;
}

/* The coder of the object at index 1, ready to be used, or a word for what keeps it from that. */
static struct mw_coder *check_coder(lua_State *L, const char *type, const char **word) {
    struct handle *handle = luaL_checkudata(L, 1, type);
    luaL_argcheck(L, handle->coder, 1, "it is finished");
    *word = handle->coder->busy ? "busy" : handle->coder->lost ? "closed" : NULL;
    return handle->coder;
}

/* encoder:add(data, flush?) → bytes | nil, err, code */
static int encoder_add(lua_State *L) {
    const char *word;
    struct mw_coder *coder = check_coder(L, ENCODER, &word);
    struct mw_coder_task task = {.flush = lua_toboolean(L, 3) ? MW_CODING_SYNC : MW_CODING_MORE};
    task.bytes = check_bytes(L, 2, &task.size);
    return word ? mw_push_word(L, word) : run(L, coder, task);
}

/* encoder:finish(data?) → bytes | nil, err, code */
static int encoder_finish(lua_State *L) {
    const char *word;
    struct mw_coder *coder = check_coder(L, ENCODER, &word);
    struct mw_coder_task task = {.bytes = "", .flush = MW_CODING_END};
    if (!lua_isnoneornil(L, 2)) {
        task.bytes = check_bytes(L, 2, &task.size);
    }
    if (word) {
        return mw_push_word(L, word);
    }
    coder->last = true;
    return run(L, coder, task);
}

/* --- Decoding --- */

/* What may come out: the default, or what the script says, but no more than its state may have in one string. */
static size_t bounded(lua_State *L, size_t most) {
    size_t bound = mw_bound_bytes(L);
    return most < bound ? most : bound;
}

/* decode(kind, bytes, max?) → data | nil, err, code */
static int decode(lua_State *L) {
    struct mw_coder_task task = {.flush = MW_CODING_MORE};
    enum mw_coding coding = check_kind(L, 1);
    task.bytes = check_bytes(L, 2, &task.size);
    size_t most = lua_isnoneornil(L, 3) ? DECODED_DEFAULT : mw_check_count(L, 3, 0, (lua_Integer)BYTES_MOST);
    struct handle *handle = push_handle(L, DECODER);
    return run_once(L, settle(L, handle, mw_coder_decoder(coding, bounded(L, most))), task);
}

/* new_decoder(kind, { max }) → decoder */
static int new_decoder(lua_State *L) {
    static const char *const known[] = {"max", NULL};
    enum mw_coding coding = check_kind(L, 1);
    mw_check_options(L, 2, known);
    lua_Integer most = mw_option_integer(L, 2, "max", 1, (lua_Integer)BYTES_MOST, DECODED_DEFAULT);
    struct handle *handle = push_handle(L, DECODER);
    settle(L, handle, mw_coder_decoder(coding, bounded(L, (size_t)most)));
    return 1;
}

/* decoder:add(bytes) → data | nil, err, code */
static int decoder_add(lua_State *L) {
    const char *word;
    struct mw_coder *coder = check_coder(L, DECODER, &word);
    struct mw_coder_task task = {.flush = MW_CODING_MORE};
    task.bytes = check_bytes(L, 2, &task.size);
    return word ? mw_push_word(L, word) : run(L, coder, task);
}

/* decoder:finish() → true | nil, err, code */
static int decoder_finish(lua_State *L) {
    const char *word;
    const struct mw_coder *coder = check_coder(L, DECODER, &word);
    if (word) {
        return mw_push_word(L, word);
    }
    int count = 1;
    if (coder->ended) {
        lua_pushboolean(L, 1);
    } else {
        count = push_fault(L, coder, "invalid", "it ends too early");
    }
    forget(L, lua_touserdata(L, 1));
    return count;
}

/* --- The types --- */

static int encoder_gc(lua_State *L) {
    forget(L, luaL_checkudata(L, 1, ENCODER));
    return 0;
}

static int decoder_gc(lua_State *L) {
    forget(L, luaL_checkudata(L, 1, DECODER));
    return 0;
}

static int push_description(lua_State *L, const char *type) {
    const struct handle *handle = luaL_checkudata(L, 1, type);
    lua_pushfstring(L, "%s: %s", type, handle->coder ? kinds[handle->coder->coding] : "finished");
    return 1;
}

static int encoder_tostring(lua_State *L) {
    return push_description(L, ENCODER);
}

static int decoder_tostring(lua_State *L) {
    return push_description(L, DECODER);
}

static const luaL_Reg encoder_methods[] = {{"add", encoder_add}, {"finish", encoder_finish}, {NULL, NULL}};
static const luaL_Reg decoder_methods[] = {{"add", decoder_add}, {"finish", decoder_finish}, {NULL, NULL}};
static const luaL_Reg encoder_metamethods[] = {
    {"__gc", encoder_gc}, {"__tostring", encoder_tostring}, {NULL, NULL}};
static const luaL_Reg decoder_metamethods[] = {
    {"__gc", decoder_gc}, {"__tostring", decoder_tostring}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"encode", encode},
                                     {"decode", decode},
                                     {"new_encoder", new_encoder},
                                     {"new_decoder", new_decoder},
                                     {NULL, NULL}};

void mw_l_coding_open(lua_State *L) {
    mw_new_type(L, ENCODER, encoder_methods, encoder_metamethods);
    mw_new_type(L, DECODER, decoder_methods, decoder_metamethods);
    mw_set_functions(L, "coding", functions);
}
