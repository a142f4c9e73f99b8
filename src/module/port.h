/* SPDX-License-Identifier: MIT
 *
 * The AT port as a descriptor that is read and written without blocking, and the ways to make one.
 *
 * One struct port_ops per kind: a pseudo-terminal that the module makes, or a serial terminal that
 * the device has.
 */
#ifndef DFOTA_MODULE_PORT_H
#define DFOTA_MODULE_PORT_H

#include <limits.h>

#include "config.h"

struct port;

struct port_ops {
	const char *name;
	/* The port may be away, at the start and later: the wire opens it again when it is back. */
	bool comes_and_goes;
	/* Makes the port usable and then known to hosts; sets port->fd. */
	int (*open)(struct port *port, const struct module_config *config);
	/* Makes it unknown and closes it. */
	void (*close)(struct port *port);
	/* Throws away what was written and nobody reads. */
	void (*discard)(struct port *port);
};

struct port {
	const struct port_ops *ops;
	int fd;              /* for poll, read and write; -1 = not open */
	int peer;            /* pty: the hosts' side, kept open so that none of them hangs it up */
	char link[PATH_MAX]; /* pty: symlink that hosts open; tty: the terminal */
};

/* A pseudo-terminal, raw, with the symlink <folder>/at to the hosts' side. */
extern const struct port_ops port_pty;

/* The terminal that `port` of module.ini names, raw, with its speed. */
extern const struct port_ops port_tty;

/* The kind that module.ini asks for. */
static inline const struct port_ops *port_kind(const struct module_config *config)
{
	return *config->port == '/' ? &port_tty : &port_pty;
}

/* Whether terminals know this speed. */
bool port_tty_speed_ok(uint64_t baud);

/* Removes a symlink that a power cut left: it may lead to a terminal of somebody else by now. */
void port_pty_clean(const struct module_config *config);

#endif
