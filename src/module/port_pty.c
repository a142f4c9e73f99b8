/* SPDX-License-Identifier: MIT
 *
 * AT port on a pseudo-terminal.
 */
#include "port.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define LINK_NAME      "at"
#define LINK_TEMPORARY ".at"

void port_pty_clean(const struct module_config *config)
{
	char path[PATH_MAX];

	if (module_path(config, LINK_NAME, path))
		(void)unlink(path); /* usually absent */
}

/* Appears complete or not at all. */
static int link_put(struct port *port, const struct module_config *config, const char *target)
{
	char temporary[PATH_MAX];

	if (!module_path(config, LINK_NAME, port->link) ||
	    !module_path(config, LINK_TEMPORARY, temporary))
		return DFOTA_E_ARGUMENT;
	(void)unlink(temporary); /* of an earlier power cut */
	if (symlink(target, temporary) || rename(temporary, port->link))
		return DFOTA_E_IO;
	return 0;
}

static int pty_raw(int fd)
{
	struct termios settings;

	if (tcgetattr(fd, &settings))
		return DFOTA_E_IO;
	cfmakeraw(&settings);
	return tcsetattr(fd, TCSANOW, &settings) ? DFOTA_E_IO : 0;
}

static int pty_open(struct port *port, const struct module_config *config)
{
	char name[64];
	int error = DFOTA_E_IO;

	port->peer = -1;
	port->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (port->fd < 0)
		return DFOTA_E_IO;
	if (grantpt(port->fd) || unlockpt(port->fd) || ptsname_r(port->fd, name, sizeof(name)))
		goto fail;
	port->peer = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (port->peer < 0)
		goto fail;
	error = pty_raw(port->peer);
	if (!error)
		error = link_put(port, config, name);
	if (!error)
		return 0;
fail:
	if (port->peer >= 0)
		close(port->peer);
	close(port->fd);
	port->fd = port->peer = -1;
	return error;
}

static void pty_close(struct port *port)
{
	if (port->fd < 0)
		return;
	(void)unlink(port->link); /* first, so that nobody opens what goes away */
	close(port->peer);
	close(port->fd);
	port->fd = port->peer = -1;
}

static void pty_discard(struct port *port)
{
	(void)tcflush(port->peer, TCIFLUSH);
}

const struct port_ops port_pty = { "pty", false, pty_open, pty_close, pty_discard };
