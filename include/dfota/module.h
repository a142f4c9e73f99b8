/* SPDX-License-Identifier: MIT
 *
 * A file-backed module: its folder, its configuration, its durable state.
 *
 * Folder: module.ini, flash/<partition>.img, ufs/ (the /cache/ufs store), state/ (flag, version, area,
 * package, download), at (symlink to the pty that is the AT port; gone while the module is down).
 */
#ifndef DFOTA_MODULE_H
#define DFOTA_MODULE_H

#include "dfota/package.h"
#include "dfota/updater.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes folder `dir` (must not exist, or be empty) running the firmware in `firmware_dir`: copies the images, the
 * trusted key and a commented module.ini, writes the version record. On error what was made is removed.
 * `ret_what` (may be NULL) gets static text about the fault.
 */
int dfota_module_create(const char *dir, const char *firmware_dir, const char *trust_path,
			const char **ret_what) DFOTA_MUST_CHECK;

/* Body of the daemon; returns an exit code. */
int dfota_module_main(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
