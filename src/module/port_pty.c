/* SPDX-License-Identifier: MIT
 *
 * AT port on a pseudo-terminal.
 */
#include "port.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define LINK_NAME      "at"
#define LINK_TEMPORARY ".at"
#define DRAIN_MS       300 /* for a host to read what was sent before the port goes */

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

/* A pty takes what nobody has read with it, which a USB line would have delivered: END is the last
 * word before a reboot.
 */
static void drain(const struct port *port)
{
	int unread = 0;

	for (int ms = 0; ms < DRAIN_MS && !ioctl(port->peer, FIONREAD, &unread) && unread > 0; ms++)
		(void)poll(NULL, 0, 1);
}

static void pty_close(struct port *port)
{
	if (port->fd < 0)
		return;
	(void)unlink(port->link); /* first, so that nobody opens what goes away */
	drain(port);
	close(port->peer);
	close(port->fd);
	port->fd = port->peer = -1;
}

static void pty_discard(struct port *port)
{
	(void)tcflush(port->peer, TCIFLUSH);
}

const struct port_ops port_pty = { "pty", false, pty_open, pty_close, pty_discard };
