/* SPDX-License-Identifier: MIT
 *
 * From the options to the ports of modules.
 */
#include "choose.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define LOOK_MS 100

bool choose_option(struct choose *choose, int option, const char *argument)
{
	switch (option) {
	case 'p':
		if (choose->port_count == CHOOSE_MAX || !*argument ||
		    strlen(argument) > DFOTA_DEVICE_MAX)
			return false;
		choose->ports[choose->port_count++] = argument;
		return true;
	case CHOOSE_USB:
		choose->filtered = true;
		return dfota_usb_parse(argument, &choose->filter);
	case CHOOSE_PATH:
		choose->filtered = true;
		choose->filter.socket = argument;
		return *argument;
	case CHOOSE_SERIAL:
		choose->filtered = true;
		choose->filter.serial = argument;
		return *argument;
	case CHOOSE_ALL:
		choose->all = true;
		return true;
	case CHOOSE_SYSFS:
		choose->tree.sysfs = argument;
		return *argument;
	case CHOOSE_DEV:
		choose->tree.dev = argument;
		return *argument;
	}
	return false;
}

bool choose_check(const struct choose *choose, const char *command)
{
	bool searched = choose->filtered || choose->all;

	if (choose->port_count && searched) {
		cli_usage(command, "--port names modules, --usb, --path, --serial and --all look "
				   "for them: give one or the other");
		return false;
	}
	if (!choose->port_count && !searched) {
		cli_usage(command, "give --port, or one of --usb, --path, --serial and --all");
		return false;
	}
	return true;
}

static int take_ports(const struct choose *choose, struct chosen **ret_chosen, size_t *ret_count)
{
	struct chosen *chosen = calloc(choose->port_count, sizeof(*chosen));

	if (!chosen)
		return DFOTA_E_MEMORY;
	for (size_t i = 0; i < choose->port_count; i++) {
		snprintf(chosen[i].port, sizeof(chosen[i].port), "%s", choose->ports[i]);
		snprintf(chosen[i].name, sizeof(chosen[i].name), "%s", choose->ports[i]);
	}
	*ret_chosen = chosen;
	*ret_count = choose->port_count;
	return 0;
}

/* Looks once. */
static int look(const struct choose *choose, struct dfota_usb_port *ports, size_t *ret_count)
{
	int error = dfota_usb_list(&choose->tree, ports, DFOTA_USB_PORTS_MAX, ret_count);

	if (!error)
		*ret_count = dfota_usb_choose(ports, *ret_count, &choose->filter);
	return error == DFOTA_E_NOT_FOUND ? 0 : error;
}

static int say_several(const struct dfota_usb_port *ports, size_t count, const char *command)
{
	cli_error(command, "%zu modules match; --all takes them all, or choose one:", count);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "  --path %s%s%s%s\n", ports[i].place.socket,
			ports[i].serial[0] ? "   --serial '" : "", ports[i].serial,
			ports[i].serial[0] ? "'" : "");
	return DFOTA_E_ARGUMENT;
}

static int take_found(const struct dfota_usb_port *ports, size_t count, struct chosen **ret_chosen)
{
	struct chosen *chosen = calloc(count, sizeof(*chosen));

	if (!chosen)
		return DFOTA_E_MEMORY;
	for (size_t i = 0; i < count; i++) {
		snprintf(chosen[i].port, sizeof(chosen[i].port), "%s", ports[i].device);
		snprintf(chosen[i].name, sizeof(chosen[i].name), "%s", ports[i].place.socket);
	}
	*ret_chosen = chosen;
	return 0;
}

int choose_find(const struct choose *choose, const char *command, uint32_t timeout_ms,
		bool (*stopped)(void), struct chosen **ret_chosen, size_t *ret_count)
{
	struct dfota_usb_port *ports;
	uint32_t waited_ms = 0;
	int error;

	if (choose->port_count)
		return take_ports(choose, ret_chosen, ret_count);
	ports = calloc(DFOTA_USB_PORTS_MAX, sizeof(*ports));
	if (!ports)
		return DFOTA_E_MEMORY;
	for (;;) {
		error = look(choose, ports, ret_count);
		if (!error && stopped())
			error = DFOTA_E_STOPPED;
		if (error || *ret_count || choose->all || waited_ms >= timeout_ms)
			break;
		poll(NULL, 0, LOOK_MS);
		waited_ms += LOOK_MS;
	}
	if (!error && !*ret_count) {
		cli_error(command, "No module was found. Is it powered and plugged in, and are its "
				   "serial ports there? `dfota ports` lists what is; a module that "
				   "it does not know is named with --usb VENDOR:PRODUCT:INTERFACE "
				   "or --port.");
		error = DFOTA_E_TIMEOUT;
	}
	if (!error && *ret_count > 1 && !choose->all)
		error = say_several(ports, *ret_count, command);
	if (!error)
		error = take_found(ports, *ret_count, ret_chosen);
	free(ports);
	return error;
}
