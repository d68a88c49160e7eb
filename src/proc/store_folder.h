/* The folder of a store that is on this machine: made by the supervisor, which may, and given to the user of the
 * workers. */
#ifndef MW_PROC_STORE_FOLDER_H
#define MW_PROC_STORE_FOLDER_H

#include "base/fault.h"
#include "proc/settings.h"

struct mw_store_folder;

/* Makes the folder of a store "lmdb:", if that is what the settings name: one without a path is beside the control
 * socket, empty. After the control socket is known to be nobody else's. NULL and a fault. */
struct mw_store_folder *mw_store_folder_open(const struct mw_settings *settings, struct mw_fault *fault);

/* Removes a folder that is not to be kept. NULL is ignored. */
void mw_store_folder_close(struct mw_store_folder *folder);

/* NULL: the settings name none. */
const char *mw_store_folder_url(const struct mw_store_folder *folder);

/* Where it is, for operators: a path, or a server without its login. At least PATH_MAX bytes. */
void mw_store_folder_where(const struct mw_store_folder *folder, char *text, size_t size);

/* Whether it is on this machine; and whether it outlives the daemon. */
bool mw_store_folder_is_here(const struct mw_store_folder *folder);
bool mw_store_folder_is_kept(const struct mw_store_folder *folder);

/* Of a store without a path; else NULL. */
const char *mw_store_folder_path(const struct mw_store_folder *folder);

#endif
