/* SPDX-License-Identifier: MIT
 *
 * Reboot of a module that is a process.
 */
#include "reboot.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int reboot_exec_init(struct reboot_exec *reboot, char **argv, const char *file, const char *folder)
{
	snprintf(reboot->option, sizeof(reboot->option), "--%s", file ? "config" : "module");
	if (!realpath(file ? file : folder, reboot->value))
		return DFOTA_E_NOT_FOUND;
	reboot->argv[0] = argv[0];
	reboot->argv[1] = reboot->option;
	reboot->argv[2] = reboot->value;
	reboot->argv[3] = NULL;
	return 0;
}

/* All descriptors were opened close-on-exec. */
static int exec_reboot(void *context)
{
	struct reboot_exec *reboot = context;

	/* The program that runs, even when its file was replaced meanwhile. */
	execv("/proc/self/exe", reboot->argv);
	return DFOTA_E_IO;
}

const struct reboot_ops reboot_exec_ops = { "exec", exec_reboot };
