/* SPDX-License-Identifier: MIT
 *
 * Reboot by running this program again: the file-backed module's way.
 */
#ifndef DFOTA_MODULE_REBOOT_H
#define DFOTA_MODULE_REBOOT_H

#include "daemon.h"

struct reboot_exec {
	char option[16], value[PATH_MAX];
	char *argv[4];
};

/* Remembers how to start again, with absolute paths: `file` (may be NULL) for --config, else `folder` for --module. */
int reboot_exec_init(struct reboot_exec *reboot, char **argv, const char *file, const char *folder)
	DFOTA_MUST_CHECK;

/* Context: struct reboot_exec. Same process number, fresh memory, no descriptor but the standard three. */
extern const struct reboot_ops reboot_exec_ops;

#endif
