/* SPDX-License-Identifier: MIT
 *
 * Which modules a command is for: --port, --usb, --path, --serial, --all, and where to look.
 */
#ifndef DFOTA_CLI_CHOOSE_H
#define DFOTA_CLI_CHOOSE_H

#include "dfota/discover.h"

#define CHOOSE_MAX DFOTA_USB_PORTS_MAX /* modules at once */

/* Values of the long options, out of the way of a command's own. */
enum choose_option {
	CHOOSE_USB = 1024,
	CHOOSE_PATH,
	CHOOSE_SERIAL,
	CHOOSE_ALL,
	CHOOSE_SYSFS,
	CHOOSE_DEV
};

/* clang-format off */
#define CHOOSE_OPTIONS                                                                             \
	{ "usb", required_argument, NULL, CHOOSE_USB },                                            \
	{ "path", required_argument, NULL, CHOOSE_PATH },                                          \
	{ "serial", required_argument, NULL, CHOOSE_SERIAL },                                      \
	{ "sysfs", required_argument, NULL, CHOOSE_SYSFS },                                        \
	{ "dev", required_argument, NULL, CHOOSE_DEV }
/* clang-format on */

struct choose {
	struct dfota_tree tree;
	struct dfota_usb_filter filter;
	bool filtered; /* one of --usb, --path, --serial was given */
	bool all;
	const char *ports[CHOOSE_MAX]; /* of --port, the caller's strings */
	size_t port_count;
};

/* A module that was chosen. */
struct chosen {
	char port[DFOTA_DEVICE_MAX + 1];
	char name[DFOTA_DEVICE_MAX +
		  1]; /* for people and events: the socket, or the port as given */
};

/* Takes one option; false when it is malformed or one too many. `option` may be 'p'. */
bool choose_option(struct choose *choose, int option, const char *argument);

/* True when what was given makes sense together; else says what does not and prints the usage. */
bool choose_check(const struct choose *choose, const char *command);

/* Finds them; the caller frees *ret_chosen. A single one that is chosen by what it is is waited for
 * up to timeout_ms, because it may be starting. Errors, told on stderr already: DFOTA_E_TIMEOUT
 * (none), DFOTA_E_ARGUMENT (several without --all), DFOTA_E_STOPPED, DFOTA_E_MEMORY.
 */
int choose_find(const struct choose *choose, const char *command, uint32_t timeout_ms,
		bool (*stopped)(void), struct chosen **ret_chosen,
		size_t *ret_count) DFOTA_MUST_CHECK;

#endif
