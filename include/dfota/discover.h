/* SPDX-License-Identifier: MIT
 *
 * The host's side: which serial ports USB devices have, and where a port is after it came back.
 *
 * A module that restarts may come back under another name (ttyUSB2, then ttyUSB3), and its old name
 * may lead to another module by then. What stays is the place: the USB socket and the interface.
 * Everything here is read from sysfs, in bounded pieces; what a device says of itself is not
 * trusted: texts hold printable ASCII only. Nothing is opened, written or kept.
 */
#ifndef DFOTA_DISCOVER_H
#define DFOTA_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dfota/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_USB_PORTS_MAX 256 /* ports that one list holds */
#define DFOTA_USB_NAME_MAX  63	/* bytes of a port's or a place's name */
#define DFOTA_USB_TEXT_MAX  126 /* bytes of a text of the device: the most that USB allows */
#define DFOTA_DEVICE_MAX    319 /* bytes of a device's path */

/* Where to look; NULL means /sys and /dev. Others are for containers and tests. */
struct dfota_tree {
	const char *sysfs;
	const char *dev;
};

/* Where a port is, whatever its name is now. */
struct dfota_usb_place {
	char socket[DFOTA_USB_NAME_MAX +
		    1]; /* as the kernel counts: bus, and ports of hubs, "1-1.2" */
	uint16_t vendor, product;
	uint8_t interface;
	uint8_t line; /* of several behind one interface; nearly always 0 */
};

struct dfota_usb_port {
	char name[DFOTA_USB_NAME_MAX + 1]; /* "ttyUSB2" */
	char device[DFOTA_DEVICE_MAX + 1]; /* "/dev/ttyUSB2" */
	struct dfota_usb_place place;
	char serial[DFOTA_USB_TEXT_MAX + 1];  /* the device's number, "" when it has none; many
						 modules of one kind may tell the same */
	char product[DFOTA_USB_TEXT_MAX + 1]; /* what it calls itself, or "" */
	const char *model;		      /* of a known module, else NULL */
	bool at;			      /* the port of a known module that takes commands */
};

/* What is looked for; zero and NULL let everything through. */
struct dfota_usb_filter {
	bool by_id;
	uint16_t vendor, product;
	bool by_interface; /* else the AT interface of known modules, or an unknown one's only port
			    */
	uint8_t interface;
	const char *socket;
	const char *serial;
};

/* "2c7c:0800" or "2c7c:0800:2", hexadecimal, the interface decimal up to 255. False for anything
 * else; then *ret_filter is untouched. Other fields of the filter are kept.
 */
bool dfota_usb_parse(const char *text, struct dfota_usb_filter *ret_filter);

/* Model name and AT interface of a known module; NULL when it is none. */
const char *dfota_usb_model(uint16_t vendor, uint16_t product, uint8_t *ret_interface);

/* All serial ports of USB devices, in the order of their places. Sets *ret_count; ports beyond
 * `room` are left out. Errors: DFOTA_E_NOT_FOUND when there is no sysfs; DFOTA_E_MEMORY.
 */
int dfota_usb_list(const struct dfota_tree *tree, struct dfota_usb_port *ret_ports, size_t room,
		   size_t *ret_count) DFOTA_MUST_CHECK;

/* Keeps the AT ports of the modules that pass; one port a module. Returns how many are left. */
size_t dfota_usb_choose(struct dfota_usb_port *ports, size_t count,
			const struct dfota_usb_filter *filter);

/* The place of the port that `path` names: directly in the tree's dev folder, or through links to
 * there (/dev/serial/by-id). False when it is no USB device's, as a pty or a UART; then *ret_place
 * is untouched.
 */
bool dfota_usb_place(const struct dfota_tree *tree, const char *path,
		     struct dfota_usb_place *ret_place);

/* The device of the port that is at this place now, or false. A module that shows itself with other
 * ids than before is looked for at the AT interface that it has with those, if they are known.
 */
bool dfota_usb_find(const struct dfota_tree *tree, const struct dfota_usb_place *place,
		    char ret_device[DFOTA_DEVICE_MAX + 1]);

#ifdef __cplusplus
}
#endif
#endif
