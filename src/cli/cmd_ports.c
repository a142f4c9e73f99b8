/* SPDX-License-Identifier: MIT
 *
 * dfota ports: the serial ports of USB devices, and which of them take commands of a known module.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "cli.h"

static int put_json(const struct dfota_usb_port *ports, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct dfota_usb_port *port = &ports[i];
		char vendor[5], product[5];
		json_t *line;

		snprintf(vendor, sizeof(vendor), "%04x", port->place.vendor);
		snprintf(product, sizeof(product), "%04x", port->place.product);
		line = json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:s?,s:b}", "event", "port",
				 "device", port->device, "path", port->place.socket, "vendor",
				 vendor, "product", product, "interface", port->place.interface,
				 "serial", port->serial, "name", port->product, "model",
				 port->model, "at", port->at);
		if (!line || json_dumpf(line, stdout, JSON_COMPACT) || putchar('\n') == EOF) {
			json_decref(line);
			return CLI_FAILED;
		}
		json_decref(line);
	}
	printf("{\"event\":\"result\",\"code\":0,\"ports\":%zu}\n", count);
	return CLI_DONE;
}

static void put_table(const struct dfota_usb_port *ports, size_t count)
{
	printf("%-18s %-12s %-12s %-3s %-18s %s\n", "DEVICE", "PATH", "USB", "AT", "SERIAL",
	       "MODULE");
	for (size_t i = 0; i < count; i++) {
		const struct dfota_usb_port *port = &ports[i];

		printf("%-18s %-12s %04x:%04x:%-2u %-3s %-18s %s\n", port->device,
		       port->place.socket, port->place.vendor, port->place.product,
		       port->place.interface, port->at ? "yes" : "-",
		       port->serial[0] ? port->serial : "-",
		       port->model	  ? port->model
		       : port->product[0] ? port->product
					  : "-");
	}
}

static int list(const struct choose *choose, const char *command, bool json)
{
	struct dfota_usb_port *ports = calloc(DFOTA_USB_PORTS_MAX, sizeof(*ports));
	size_t count = 0;
	int error = ports ? dfota_usb_list(&choose->tree, ports, DFOTA_USB_PORTS_MAX, &count)
			  : DFOTA_E_MEMORY;
	int code;

	if (!error && choose->filtered)
		count = dfota_usb_choose(ports, count, &choose->filter);
	if (error) {
		cli_error(command, "%s",
			  error == DFOTA_E_NOT_FOUND ? "There is no class/tty in "
						       "sysfs; give --sysfs"
						     : dfota_error_text(error));
		code = dfota_error_exit(error);
	} else if (json) {
		code = put_json(ports, count);
	} else {
		if (count)
			put_table(ports, count);
		else
			cli_error(command, "No serial port of a USB device was found.");
		code = CLI_DONE;
	}
	free(ports);
	return code;
}

int cmd_ports(int argc, char **argv)
{
	static const struct option options[] = {
		CHOOSE_OPTIONS,
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct choose *choose = calloc(1, sizeof(*choose));
	int option, code = -1;
	bool json = false;

	if (!choose)
		return CLI_FAILED;
	optind = 1;
	while (code < 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'j')
			json = true;
		else if (option == 'h')
			code = cli_help(argv[0]);
		else if (option == '?')
			code = cli_usage(argv[0], "see the usage");
		else if (!choose_option(choose, option, optarg))
			code = cli_usage(argv[0],
					 "\"%s\" is not VENDOR:PRODUCT[:INTERFACE] in "
					 "hexadecimal, or empty",
					 optarg);
	}
	if (code < 0)
		code = optind != argc ? cli_usage(argv[0], "there is one argument too many")
				      : list(choose, argv[0], json);
	free(choose);
	return code;
}
