/* SPDX-License-Identifier: MIT
 *
 * org.freedesktop.ModemManager1.InhibitDevice, over the system bus.
 */
#include "inhibit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef CLI_SYSTEMD

#include <dlfcn.h>
#include <systemd/sd-bus.h>

#define SERVICE	   "org.freedesktop.ModemManager1"
#define OBJECT	   "/org/freedesktop/ModemManager1"
#define MODEM	   SERVICE ".Modem"
#define TIMEOUT_US 20000000 /* a modem is disabled before it is let go */

/* libsystemd is loaded when it is needed: a host may be without it, and other commands start faster. */
#define LIBRARY "libsystemd.so.0"

#define FUNCTIONS(x)                                                                                \
	x(sd_bus_open_system) x(sd_bus_unref) x(sd_bus_flush_close_unref) x(sd_bus_call)            \
	x(sd_bus_call_method) x(sd_bus_message_new_method_call) x(sd_bus_message_append)            \
	x(sd_bus_message_unref) x(sd_bus_message_read) x(sd_bus_message_skip)                       \
	x(sd_bus_message_enter_container) x(sd_bus_message_exit_container)

#define DECLARE(name) __typeof__(&name) name;
static struct {
	FUNCTIONS(DECLARE)
} bus_of;

/* `place` is a pointer to a function, whatever its type. */
static bool find(void *library, const char *name, void *place)
{
	void *function = dlsym(library, name);

	memcpy(place, &function, sizeof(function));
	return function != NULL;
}

static bool library_load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	bool good = library != NULL;

#define FIND(name) good = good && find(library, #name, &bus_of.name);
	FUNCTIONS(FIND)
	return good;
}

static bool is_running(sd_bus *bus)
{
	sd_bus_message *reply = NULL;
	int has = 0;
	int error =
	    bus_of.sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			       "org.freedesktop.DBus", "NameHasOwner", NULL, &reply, "s", SERVICE);

	if (error >= 0)
		error = bus_of.sd_bus_message_read(reply, "b", &has);
	bus_of.sd_bus_message_unref(reply);
	return error >= 0 && has;
}

/* a(su): names without /dev/, and kinds. */
static int ports_hold(sd_bus_message *m, const char *name, bool *ret_held)
{
	const char *port;
	int more = bus_of.sd_bus_message_enter_container(m, 'v', "a(su)");

	if (more >= 0)
		more = bus_of.sd_bus_message_enter_container(m, 'a', "(su)");
	if (more < 0)
		return more;
	while ((more = bus_of.sd_bus_message_read(m, "(su)", &port, NULL)) > 0)
		*ret_held |= strcmp(port, name) == 0;
	if (more >= 0)
		more = bus_of.sd_bus_message_exit_container(m);
	return more < 0 ? more : bus_of.sd_bus_message_exit_container(m);
}

/* a{sv} of one modem. */
static int modem_read(sd_bus_message *m, const char *name, bool *ret_held, const char **ret_device)
{
	const char *key;
	int more = bus_of.sd_bus_message_enter_container(m, 'a', "{sv}");

	while (more >= 0 && (more = bus_of.sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		more = bus_of.sd_bus_message_read(m, "s", &key);
		if (more >= 0 && strcmp(key, "Ports") == 0)
			more = ports_hold(m, name, ret_held);
		else if (more >= 0 && strcmp(key, "Device") == 0)
			more = bus_of.sd_bus_message_read(m, "v", "s", ret_device);
		else if (more >= 0)
			more = bus_of.sd_bus_message_skip(m, "v");
		if (more >= 0)
			more = bus_of.sd_bus_message_exit_container(m);
	}
	return more < 0 ? more : bus_of.sd_bus_message_exit_container(m);
}

/* a{sa{sv}} of one object. */
static int object_read(sd_bus_message *m, const char *name, bool *ret_held, const char **ret_device)
{
	const char *interface;
	int more = bus_of.sd_bus_message_enter_container(m, 'a', "{sa{sv}}");

	while (more >= 0 && (more = bus_of.sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
		more = bus_of.sd_bus_message_read(m, "s", &interface);
		if (more >= 0 && strcmp(interface, MODEM) == 0)
			more = modem_read(m, name, ret_held, ret_device);
		else if (more >= 0)
			more = bus_of.sd_bus_message_skip(m, "a{sv}");
		if (more >= 0)
			more = bus_of.sd_bus_message_exit_container(m);
	}
	return more < 0 ? more : bus_of.sd_bus_message_exit_container(m);
}

/* The device whose modem has this port; false when there is none. */
static bool device_find(sd_bus *bus, const char *name, char ret_uid[INHIBIT_UID_MAX + 1])
{
	sd_bus_message *m = NULL;
	const char *path, *device = NULL;
	bool held = false;
	int more = bus_of.sd_bus_call_method(bus, SERVICE, OBJECT, "org.freedesktop.DBus.ObjectManager",
				      "GetManagedObjects", NULL, &m, "");

	if (more >= 0)
		more = bus_of.sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
	while (more >= 0 && !(held && device) &&
	       (more = bus_of.sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
		held = false;
		device = NULL;
		more = bus_of.sd_bus_message_read(m, "o", &path);
		if (more >= 0)
			more = object_read(m, name, &held, &device);
		if (more >= 0)
			more = bus_of.sd_bus_message_exit_container(m);
	}
	held = more >= 0 && held && device && strlen(device) <= INHIBIT_UID_MAX;
	if (held)
		snprintf(ret_uid, INHIBIT_UID_MAX + 1, "%s", device);
	bus_of.sd_bus_message_unref(m);
	return held;
}

static int set(sd_bus *bus, const char *uid, bool on)
{
	sd_bus_message *m = NULL;
	int error =
	    bus_of.sd_bus_message_new_method_call(bus, &m, SERVICE, OBJECT, SERVICE, "InhibitDevice");

	if (error >= 0)
		error = bus_of.sd_bus_message_append(m, "sb", uid, on);
	if (error >= 0)
		error = bus_of.sd_bus_call(bus, m, TIMEOUT_US, NULL, NULL);
	bus_of.sd_bus_message_unref(m);
	return error;
}

bool inhibit_begin(struct inhibit *inhibit, const char *port, const char *uid, const char **ret_why)
{
	char *real = realpath(port, NULL);
	sd_bus *bus = NULL;
	bool found, good = true;

	memset(inhibit, 0, sizeof(*inhibit));
	if (!library_load()) {
		free(real);
		if (uid)
			*ret_why = "there is no " LIBRARY " that is complete, so ModemManager cannot be asked";
		return !uid;
	}
	if (bus_of.sd_bus_open_system(&bus) < 0 || !is_running(bus)) {
		free(real);
		bus_of.sd_bus_unref(bus);
		return true;
	}
	if (uid) {
		snprintf(inhibit->uid, sizeof(inhibit->uid), "%s", uid);
		found = strlen(uid) <= INHIBIT_UID_MAX;
	} else {
		found = real && strncmp(real, "/dev/", 5) == 0 &&
			device_find(bus, real + 5, inhibit->uid);
	}
	free(real);
	if (found && set(bus, inhibit->uid, true) >= 0) {
		inhibit->bus = bus;
		return true;
	}
	if (found || uid) {
		*ret_why =
		    "ModemManager does not let go of the device (is this user allowed to ask it?)";
		good = false;
	}
	bus_of.sd_bus_flush_close_unref(bus);
	return good;
}

void inhibit_end(struct inhibit *inhibit)
{
	sd_bus *bus = inhibit->bus;

	inhibit->bus = NULL;
	if (!bus)
		return;
	(void)set(bus, inhibit->uid, false);
	bus_of.sd_bus_flush_close_unref(bus);
}

#else

bool inhibit_begin(struct inhibit *inhibit, const char *port, const char *uid, const char **ret_why)
{
	(void)port;
	memset(inhibit, 0, sizeof(*inhibit));
	if (uid)
		*ret_why =
		    "this build cannot speak with ModemManager (it was made without libsystemd)";
	return !uid;
}

void inhibit_end(struct inhibit *inhibit)
{
	(void)inhibit;
}

#endif
