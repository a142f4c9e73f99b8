/* SPDX-License-Identifier: MIT
 *
 * AT port on a serial terminal: a UART, or the module's end of a USB function.
 *
 * It may be away: a cable is pulled, a function is not set up yet. The wire asks again until it is
 * there.
 */
#include "port.h"

#include <fcntl.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

struct speed {
	uint32_t baud;
	speed_t code;
};

static const struct speed speeds[] = {
	{ 9600, B9600 },       { 19200, B19200 },     { 38400, B38400 },     { 57600, B57600 },
	{ 115200, B115200 },   { 230400, B230400 },   { 460800, B460800 },   { 921600, B921600 },
	{ 1000000, B1000000 }, { 2000000, B2000000 }, { 3000000, B3000000 }, { 4000000, B4000000 },
};

bool port_tty_speed_ok(uint64_t baud)
{
	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
		if (speeds[i].baud == baud)
			return true;
	return false;
}

static speed_t speed_code(uint64_t baud)
{
	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
		if (speeds[i].baud == baud)
			return speeds[i].code;
	return B115200;
}

/* Eight bits, no flow control, and no interest in modem lines: hosts do not set them reliably. */
static int line_set(int fd, uint64_t baud)
{
	struct termios line;

	if (tcgetattr(fd, &line))
		return DFOTA_E_IO;
	cfmakeraw(&line);
	line.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS | HUPCL);
	line.c_cflag |= CLOCAL | CREAD;
	line.c_cc[VMIN] = 1;
	line.c_cc[VTIME] = 0;
	if (cfsetispeed(&line, speed_code(baud)) || cfsetospeed(&line, speed_code(baud)))
		return DFOTA_E_IO;
	return tcsetattr(fd, TCSANOW, &line) ? DFOTA_E_IO : 0;
}

static int tty_open(struct port *port, const struct module_config *config)
{
	port->peer = -1;
	snprintf(port->link, sizeof(port->link), "%s", config->port);
	port->fd = open(config->port, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (port->fd < 0)
		return DFOTA_E_IO;
	if (line_set(port->fd, config->port_baud) == 0)
		return 0;
	close(port->fd);
	port->fd = -1;
	return DFOTA_E_IO;
}

static void tty_close(struct port *port)
{
	if (port->fd >= 0)
		close(port->fd);
	port->fd = -1;
}

static void tty_discard(struct port *port)
{
	if (port->fd >= 0)
		(void)tcflush(port->fd, TCOFLUSH);
}

const struct port_ops port_tty = { "tty", true, tty_open, tty_close, tty_discard };
