/* A file into a stream of a script. */
#ifndef MW_SCRIPT_L_STREAM_SEND_FILE_H
#define MW_SCRIPT_L_STREAM_SEND_FILE_H

#include "script/l_stream.h"

#include <lua.h>

/* What a task waits for that has the writing of a stream. */
extern const struct mw_wait mw_l_stream_send_file_wait;

/* Registers the type of a file under way. */
void mw_l_stream_send_file_open(lua_State *L);

/* For those who announce how much they will send. Opens the source at index 2 (a path or an open file) and pushes what
 * stands for its way: `*size` bytes of it, what offset and length at 3 and 4 ask for and the file has now (`size` NULL:
 * whatever it has by then). NULL with nil, err, code pushed; raises for misuse. */
struct mw_l_sending *mw_l_sending_open(lua_State *L, struct mw_l_stream *stream, uint64_t *size);

/* For those who send few bytes with others: reads what is asked for of an open file of ours at index 2, without a
 * sending. How many bytes that is, fewer than `room`; below 0: there are more, or another way must be gone. */
ssize_t mw_l_sending_read(lua_State *L, char *bytes, size_t room);

/* Sends them, all or as many as the file still has: `return mw_l_sending_start(…)`. `k` gets the index of what was
 * pushed as its context, and begins with mw_l_sending_result. */
int mw_l_sending_start(lua_State *L, struct mw_l_sending *sending, lua_KFunction k);

/* How it ended: pushes the number of bytes, also given in `*sent`, and returns 1; or nil, err, code and returns 3. */
int mw_l_sending_result(lua_State *L, int index, uint64_t *sent);

/* Nothing is to be sent after all. */
void mw_l_sending_forget(struct mw_l_sending *sending);

/* stream:send_file(path_or_file, offset, length) → bytes | nil, err, code */
int mw_l_stream_send_file(lua_State *L);

#endif
