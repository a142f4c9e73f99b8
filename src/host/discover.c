/* SPDX-License-Identifier: MIT
 *
 * Serial ports of USB devices, read from sysfs.
 *
 * class/tty/<name>/device leads into the tree of devices: to the interface's folder (cdc_acm) or to
 * one inside it (usb-serial). The interface's folder has bInterfaceNumber; the one above it is the
 * USB device, whose name is the socket.
 */
#include "dfota/discover.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "port.h"

#define ENTRIES_MAX 8192 /* of class/tty that are looked at */
#define CLIMB_MAX   3	 /* folders between a port and its interface */
#define LINKS_MAX   8	 /* from a name that was given to one in the dev folder */
#define VALUE_MAX   256	 /* bytes of an attribute */

static const char *sysfs_of(const struct dfota_tree *tree)
{
	return tree && tree->sysfs ? tree->sysfs : "/sys";
}

static const char *dev_of(const struct dfota_tree *tree)
{
	return tree && tree->dev ? tree->dev : "/dev";
}

/* ---- attributes --------------------------------------------------------------------------- */

/* The first line of folder/name; false when there is none. */
static bool read_text(const char *folder, const char *name, char *ret_text, size_t room)
{
	char path[PATH_MAX], value[VALUE_MAX];
	ssize_t bytes;
	int fd, length = snprintf(path, sizeof(path), "%s/%s", folder, name);

	if (length < 0 || (size_t)length >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	bytes = read(fd, value, sizeof(value) - 1);
	close(fd);
	if (bytes < 0)
		return false;
	value[bytes] = '\0';
	value[strcspn(value, "\n")] = '\0';
	host_copy_text(ret_text, room, value, strlen(value));
	return true;
}

static bool read_number(const char *folder, const char *name, int base, unsigned long max,
			unsigned long *ret_value)
{
	char text[16], *end;
	unsigned long value;

	if (!read_text(folder, name, text, sizeof(text)) || !isxdigit((unsigned char)text[0]))
		return false;
	value = strtoul(text, &end, base);
	if (*end || value > max)
		return false;
	*ret_value = value;
	return true;
}

/* ---- one port ----------------------------------------------------------------------------- */

/* Cuts the last folder off; false at the root. */
static bool climb(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return false;
	*slash = '\0';
	return true;
}

static bool name_ok(const char *name)
{
	return name[0] && name[0] != '.' && strlen(name) <= DFOTA_USB_NAME_MAX &&
	       !strchr(name, '/');
}

/* The folder of the port's interface in `path`, which is the port's own. */
static bool find_interface(char path[PATH_MAX], unsigned long *ret_interface)
{
	for (int i = 0; i <= CLIMB_MAX; i++) {
		if (read_number(path, "bInterfaceNumber", 16, 0xff, ret_interface))
			return true;
		if (!climb(path))
			return false;
	}
	return false;
}

/* What sysfs tells of the tty `name`; false when it is none of a USB device. */
static bool describe(const struct dfota_tree *tree, const char *name,
		     struct dfota_usb_port *ret_port)
{
	unsigned long interface, vendor, product, line = 0;
	char link[PATH_MAX], path[PATH_MAX];
	const char *socket;
	uint8_t known;
	int length;

	if (!name_ok(name))
		return false;
	length = snprintf(link, sizeof(link), "%s/class/tty/%s/device", sysfs_of(tree), name);
	if (length < 0 || (size_t)length >= sizeof(link) || !realpath(link, path))
		return false;
	(void)read_number(path, "port_number", 10, 0xff, &line);
	if (!find_interface(path, &interface) || !climb(path) ||
	    !read_number(path, "idVendor", 16, 0xffff, &vendor) ||
	    !read_number(path, "idProduct", 16, 0xffff, &product))
		return false;
	socket = strrchr(path, '/') + 1;
	*ret_port = (struct dfota_usb_port){ 0 };
	length = snprintf(ret_port->device, sizeof(ret_port->device), "%s/%s", dev_of(tree), name);
	if (length < 0 || (size_t)length >= sizeof(ret_port->device) || !name_ok(socket))
		return false;
	host_copy_text(ret_port->name, sizeof(ret_port->name), name, strlen(name));
	host_copy_text(ret_port->place.socket, sizeof(ret_port->place.socket), socket,
		       strlen(socket));
	ret_port->place.vendor = (uint16_t)vendor;
	ret_port->place.product = (uint16_t)product;
	ret_port->place.interface = (uint8_t)interface;
	ret_port->place.line = (uint8_t)line;
	(void)read_text(path, "serial", ret_port->serial, sizeof(ret_port->serial));
	(void)read_text(path, "product", ret_port->product, sizeof(ret_port->product));
	ret_port->model = dfota_usb_model((uint16_t)vendor, (uint16_t)product, &known);
	ret_port->at = ret_port->model && known == interface && !line;
	return true;
}

/* ---- lists -------------------------------------------------------------------------------- */

/* "1-2" stands before "1-10": numbers count as such. */
static int compare_names(const char *a, const char *b)
{
	while (*a && *b) {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			char *end_a, *end_b;
			unsigned long x = strtoul(a, &end_a, 10), y = strtoul(b, &end_b, 10);

			if (x != y)
				return x < y ? -1 : 1;
			a = end_a;
			b = end_b;
		} else if (*a != *b) {
			return *a < *b ? -1 : 1;
		} else {
			a++;
			b++;
		}
	}
	return (*a != 0) - (*b != 0);
}

static int compare_ports(const void *left, const void *right)
{
	const struct dfota_usb_port *a = left, *b = right;
	int order = compare_names(a->place.socket, b->place.socket);

	if (!order)
		order = a->place.interface - b->place.interface;
	if (!order)
		order = a->place.line - b->place.line;
	return order ? order : compare_names(a->name, b->name);
}

int dfota_usb_list(const struct dfota_tree *tree, struct dfota_usb_port *ret_ports, size_t room,
		   size_t *ret_count)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *folder;
	int length = snprintf(path, sizeof(path), "%s/class/tty", sysfs_of(tree));

	*ret_count = 0;
	if (length < 0 || (size_t)length >= sizeof(path))
		return DFOTA_E_NOT_FOUND;
	folder = opendir(path);
	if (!folder)
		return errno == ENOMEM ? DFOTA_E_MEMORY : DFOTA_E_NOT_FOUND;
	for (int i = 0; i < ENTRIES_MAX && *ret_count < room && (entry = readdir(folder)); i++)
		*ret_count += describe(tree, entry->d_name, &ret_ports[*ret_count]);
	closedir(folder);
	if (*ret_count)
		qsort(ret_ports, *ret_count, sizeof(ret_ports[0]), compare_ports);
	return 0;
}

static bool passes(const struct dfota_usb_port *port, const struct dfota_usb_filter *filter)
{
	const struct dfota_usb_place *place = &port->place;

	if (filter->by_id && (place->vendor != filter->vendor || place->product != filter->product))
		return false;
	if (filter->socket && strcmp(place->socket, filter->socket) != 0)
		return false;
	if (filter->serial && strcmp(port->serial, filter->serial) != 0)
		return false;
	return !filter->by_interface || place->interface == filter->interface;
}

/* Whether ports[i] is the one to talk to on its device. An unknown device must have been asked for
 * in some way, and then have no other port to mistake it for.
 */
static bool talks(const struct dfota_usb_port *ports, size_t count, size_t i,
		  const struct dfota_usb_filter *filter)
{
	size_t siblings = 0;

	if (filter->by_interface)
		return ports[i].place.line == 0;
	if (ports[i].model)
		return ports[i].at;
	if (!filter->by_id && !filter->socket && !filter->serial)
		return false;
	for (size_t j = 0; j < count; j++)
		siblings += strcmp(ports[j].place.socket, ports[i].place.socket) == 0;
	return siblings == 1;
}

size_t dfota_usb_choose(struct dfota_usb_port *ports, size_t count,
			const struct dfota_usb_filter *filter)
{
	bool chosen[DFOTA_USB_PORTS_MAX];
	size_t left = 0;

	if (count > DFOTA_USB_PORTS_MAX)
		count = DFOTA_USB_PORTS_MAX;
	for (size_t i = 0; i < count; i++)
		chosen[i] = passes(&ports[i], filter) && talks(ports, count, i, filter);
	for (size_t i = 0; i < count; i++)
		if (chosen[i])
			ports[left++] = ports[i];
	return left;
}

/* ---- places ------------------------------------------------------------------------------- */

/* True when `folder` is the tree's dev folder, whatever it is called. */
static bool is_dev(const struct dfota_tree *tree, const char *folder)
{
	char a[PATH_MAX], b[PATH_MAX];

	return realpath(folder, a) && realpath(dev_of(tree), b) && strcmp(a, b) == 0;
}

/* Replaces `path`, a link, by what it leads to. */
static bool follow_link(char path[PATH_MAX])
{
	char target[PATH_MAX];
	ssize_t bytes = readlink(path, target, sizeof(target) - 1);
	size_t keep = 0;

	if (bytes <= 0)
		return false;
	target[bytes] = '\0';
	if (target[0] != '/') {
		char *slash = strrchr(path, '/');

		keep = slash ? (size_t)(slash - path) + 1 : 0;
	}
	if (keep + (size_t)bytes >= PATH_MAX)
		return false;
	memcpy(path + keep, target, (size_t)bytes + 1);
	return true;
}

bool dfota_usb_place(const struct dfota_tree *tree, const char *path,
		     struct dfota_usb_place *ret_place)
{
	struct dfota_usb_port port;
	char at[PATH_MAX];

	if (strlen(path) >= sizeof(at))
		return false;
	memcpy(at, path, strlen(path) + 1);
	for (int i = 0; i <= LINKS_MAX; i++) {
		char folder[PATH_MAX];
		const char *slash = strrchr(at, '/');

		snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - at) + 1 : 1,
			 slash ? at : ".");
		if (is_dev(tree, folder) && describe(tree, slash ? slash + 1 : at, &port)) {
			*ret_place = port.place;
			return true;
		}
		if (!follow_link(at))
			return false;
	}
	return false;
}

bool dfota_usb_find(const struct dfota_tree *tree, const struct dfota_usb_place *place,
		    char ret_device[DFOTA_DEVICE_MAX + 1])
{
	struct dfota_usb_port *ports = calloc(DFOTA_USB_PORTS_MAX, sizeof(*ports));
	size_t count = 0;
	bool found = false;

	if (!ports || dfota_usb_list(tree, ports, DFOTA_USB_PORTS_MAX, &count))
		count = 0;
	for (size_t i = 0; i < count && !found; i++) {
		const struct dfota_usb_place *now = &ports[i].place;
		bool same = now->vendor == place->vendor && now->product == place->product;

		if (strcmp(now->socket, place->socket) != 0)
			continue;
		found = !same && ports[i].model
			    ? ports[i].at
			    : now->interface == place->interface && now->line == place->line;
		if (found)
			memcpy(ret_device, ports[i].device, sizeof(ports[i].device));
	}
	free(ports);
	return found;
}

/* ---- text --------------------------------------------------------------------------------- */

static bool take_hex(const char **text, uint16_t *ret_value)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)*(*text)++;

		if (!isxdigit(c))
			return false;
		value = value << 4 | (unsigned)(isdigit(c) ? c - '0' : (toupper(c) - 'A') + 10);
	}
	*ret_value = (uint16_t)value;
	return true;
}

bool dfota_usb_parse(const char *text, struct dfota_usb_filter *ret_filter)
{
	struct dfota_usb_filter filter = *ret_filter;
	unsigned interface = 0;
	size_t digits;

	if (!take_hex(&text, &filter.vendor) || *text++ != ':' || !take_hex(&text, &filter.product))
		return false;
	filter.by_id = true;
	if (*text == ':') {
		digits = strspn(++text, "0123456789");
		if (!digits || digits > 3 || text[digits])
			return false;
		while (*text)
			interface = interface * 10 + (unsigned)(*text++ - '0');
		if (interface > 255)
			return false;
		filter.by_interface = true;
		filter.interface = (uint8_t)interface;
	} else if (*text) {
		return false;
	}
	*ret_filter = filter;
	return true;
}
