/* SPDX-License-Identifier: MIT
 *
 * Reboot of a module that is a machine of its own.
 */
#include "reboot.h"

#include <sys/reboot.h>
#include <unistd.h>

/* What the module relies on is durable already; sync is for everything else on this machine. */
static int kernel_reboot(void *context)
{
	(void)context;
	sync();
	return reboot(RB_AUTOBOOT) ? DFOTA_E_IO : 0;
}

const struct reboot_ops reboot_kernel_ops = { "kernel", kernel_reboot };
