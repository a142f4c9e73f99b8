/* SPDX-License-Identifier: MIT
 *
 * Ways to reboot: running this program again, as a module that is a process does, or the machine's own.
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

/* No context. Writes out what file systems hold and restarts the machine; needs the right to. */
extern const struct reboot_ops reboot_kernel_ops;

#endif
