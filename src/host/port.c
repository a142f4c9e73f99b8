/* SPDX-License-Identifier: MIT
 *
 * The wire: opening a port that comes and goes, waiting on it, bytes to events.
 *
 * A module that reboots takes its port with it. Three signs of that are all DFOTA_E_IO here: the
 * device hangs up, its path vanishes, its path leads to another device (a USB module that came back
 * under another number behind the same /dev/serial/by-id link, a pty behind a new symlink).
 */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SLICE_MS 100  /* between two looks whether to stop */
#define LOOK_MS	 1000 /* between two looks whether the path leads elsewhere */

uint64_t host_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool host_stopped(const struct dfota_host_stop *stop)
{
	return stop->asked && stop->asked(stop->context);
}

uint32_t host_left_ms(uint64_t deadline_ms, uint32_t max_ms)
{
	uint64_t now_ms = host_clock_ms();

	if (now_ms >= deadline_ms)
		return 0;
	return (uint32_t)dfota_min64(deadline_ms - now_ms, max_ms);
}

void host_copy_text(char *to, size_t room, const char *from, size_t bytes)
{
	size_t n = bytes < room - 1 ? bytes : room - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[n] = '\0';
}

/* ---- opening ------------------------------------------------------------------------------ */

static int open_error(int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
	case ENODEV:
	case ENXIO:
	case EIO: /* a pty whose other end is closed */
		return DFOTA_E_NOT_FOUND;
	case EBUSY:
	case EWOULDBLOCK:
		return DFOTA_E_BUSY;
	case ENOTTY:
	case EISDIR:
	case EINVAL:
		return DFOTA_E_ARGUMENT;
	}
	return DFOTA_E_IO;
}

/* Exclusive use is dropped with the last close of a serial port, but a pty would keep it as long as
 * its other end lives, also when this process dies: there the lock alone must do.
 */
static int claim(int fd, dev_t device)
{
	bool pty = major(device) >= 136 && major(device) <= 143;

	if (flock(fd, LOCK_EX | LOCK_NB) || (!pty && ioctl(fd, TIOCEXCL)))
		return open_error(errno);
	return 0;
}

static speed_t speed_of(uint32_t baud)
{
	static const struct {
		uint32_t baud;
		speed_t speed;
	} speeds[] = { { 0, B115200 },	      { 9600, B9600 },	     { 19200, B19200 },
		       { 38400, B38400 },     { 57600, B57600 },     { 115200, B115200 },
		       { 230400, B230400 },   { 460800, B460800 },   { 921600, B921600 },
		       { 1000000, B1000000 }, { 2000000, B2000000 }, { 3000000, B3000000 },
		       { 4000000, B4000000 } };

	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
		if (speeds[i].baud == baud)
			return speeds[i].speed;
	return B0;
}

bool dfota_port_baud_ok(uint32_t baud)
{
	return speed_of(baud) != B0;
}

static int make_raw(int fd, const struct port_target *target)
{
	speed_t speed = speed_of(target->baud);
	struct termios line;

	if (speed == B0)
		return DFOTA_E_ARGUMENT;
	if (tcgetattr(fd, &line))
		return open_error(errno);
	cfmakeraw(&line);
	line.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
	line.c_cflag |= CLOCAL | CREAD;
	if (target->flow)
		line.c_cflag |= CRTSCTS;
	line.c_cc[VMIN] = 1;
	line.c_cc[VTIME] = 0;
	if (cfsetispeed(&line, speed) || cfsetospeed(&line, speed) || tcsetattr(fd, TCSANOW, &line))
		return open_error(errno);
	return 0;
}

/* ---- tap ---------------------------------------------------------------------------------- */

static void tell(const struct dfota_port *port, enum dfota_host_tap_kind kind, const void *data,
		 size_t bytes)
{
	if (port->tap.seen)
		port->tap.seen(port->tap.context, kind, data, bytes);
}

void dfota_port_tap(struct dfota_port *port, const struct dfota_host_tap *tap)
{
	port->tap = *tap;
	tell(port, DFOTA_TAP_OPENED, NULL, 0);
}

/* Where the target is now. */
static bool locate(const struct port_target *target, char ret_path[DFOTA_DEVICE_MAX + 1])
{
	return !target->place || dfota_usb_find(target->tree, target->place, ret_path);
}

int port_open_once(struct dfota_port **ret_port, const struct port_target *target,
		   const struct dfota_host_stop *stop)
{
	char found[DFOTA_DEVICE_MAX + 1], again[DFOTA_DEVICE_MAX + 1];
	const char *path = target->place ? found : target->path;
	struct dfota_port *port;
	struct stat about;
	int error, fd;

	if (!locate(target, found))
		return DFOTA_E_NOT_FOUND;
	fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return open_error(errno);
	error = fstat(fd, &about) || !S_ISCHR(about.st_mode) ? DFOTA_E_ARGUMENT : 0;
	if (!error)
		error = claim(fd, about.st_rdev);
	if (!error)
		error = make_raw(fd, target);
	/* The name may have gone to another module between the two steps. */
	if (!error && target->place && (!locate(target, again) || strcmp(found, again) != 0))
		error = DFOTA_E_NOT_FOUND;
	port = error ? NULL : calloc(1, sizeof(*port));
	if (port)
		port->path = strdup(path);
	if (!port || !port->path) {
		free(port);
		close(fd);
		return error ? error : DFOTA_E_MEMORY;
	}
	port->fd = fd;
	port->device = about.st_rdev;
	port->looked_ms = host_clock_ms();
	if (stop)
		port->stop = *stop;
	if (target->tap)
		dfota_port_tap(port, target->tap);
	*ret_port = port;
	return 0;
}

int port_open_target(struct dfota_port **ret_port, const struct port_target *target,
		     uint32_t timeout_ms, const struct dfota_host_stop *stop)
{
	static const struct dfota_host_stop never = { 0 };
	uint64_t deadline_ms = host_clock_ms() + timeout_ms;
	int error;

	for (;;) {
		error = port_open_once(ret_port, target, stop);
		if (!error || error == DFOTA_E_ARGUMENT || error == DFOTA_E_MEMORY)
			return error;
		if (host_stopped(stop ? stop : &never))
			return DFOTA_E_STOPPED;
		if (!host_left_ms(deadline_ms, SLICE_MS))
			return error;
		poll(NULL, 0, (int)host_left_ms(deadline_ms, SLICE_MS));
	}
}

int dfota_port_open(struct dfota_port **ret_port, const char *path, uint32_t timeout_ms,
		    const struct dfota_host_stop *stop)
{
	const struct port_target target = { .path = path };

	return port_open_target(ret_port, &target, timeout_ms, stop);
}

int dfota_port_open_serial(struct dfota_port **ret_port, const char *path, uint32_t baud, bool flow,
			   uint32_t timeout_ms, const struct dfota_host_stop *stop)
{
	const struct port_target target = { .path = path, .baud = baud, .flow = flow };

	return port_open_target(ret_port, &target, timeout_ms, stop);
}

void dfota_port_close(struct dfota_port *port)
{
	if (!port)
		return;
	tell(port, DFOTA_TAP_CLOSED, NULL, 0);
	close(port->fd);
	free(port->path);
	free(port);
}

/* ---- waiting ------------------------------------------------------------------------------ */

static bool path_moved(struct dfota_port *port)
{
	uint64_t now_ms = host_clock_ms();
	struct stat about;

	if (now_ms - port->looked_ms < LOOK_MS)
		return false;
	port->looked_ms = now_ms;
	return stat(port->path, &about) || about.st_rdev != port->device;
}

/* Waits for `events` of poll(). Input that is there is reported before a hang-up. */
static int wait_for(struct dfota_port *port, short events, uint64_t deadline_ms)
{
	for (;;) {
		struct pollfd item = { .fd = port->fd, .events = events };
		int n;

		if (host_stopped(&port->stop))
			return DFOTA_E_STOPPED;
		n = poll(&item, 1, (int)host_left_ms(deadline_ms, SLICE_MS));
		if (n < 0 && errno != EINTR)
			return DFOTA_E_IO;
		if (n > 0)
			return item.revents & events ? 0 : DFOTA_E_IO;
		if (path_moved(port))
			return DFOTA_E_IO;
		if (!host_left_ms(deadline_ms, 1))
			return DFOTA_E_TIMEOUT;
	}
}

int port_write(struct dfota_port *port, const void *data, size_t bytes, uint64_t deadline_ms)
{
	const uint8_t *from = data;

	while (bytes) {
		ssize_t n = write(port->fd, from, bytes);
		int error;

		if (n > 0) {
			tell(port, DFOTA_TAP_SENT, from, (size_t)n);
			from += n;
			bytes -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return DFOTA_E_IO;
		error = wait_for(port, POLLOUT, deadline_ms);
		if (error)
			return error;
	}
	return 0;
}

int port_fill(struct dfota_port *port, uint64_t deadline_ms)
{
	for (;;) {
		int error = wait_for(port, POLLIN, deadline_ms);
		ssize_t n;

		if (error)
			return error;
		n = read(port->fd, port->input, sizeof(port->input));
		if (n > 0) {
			port->input_at = 0;
			port->input_bytes = (size_t)n;
			tell(port, DFOTA_TAP_RECEIVED, port->input, (size_t)n);
			return 0;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return DFOTA_E_IO;
	}
}

/* ---- events ------------------------------------------------------------------------------- */

static void hand_out(struct dfota_port *port, struct dfota_at_event *event)
{
	event->text = port->text;
	event->text_bytes = strlen(port->text);
}

bool port_parse(struct dfota_port *port, struct dfota_at_event *ret_event)
{
	while (port->input_at < port->input_bytes) {
		struct dfota_at_event event;
		bool ready = false;
		size_t taken =
		    dfota_at_read_line(&port->reader, port->input + port->input_at,
				       port->input_bytes - port->input_at, &event, &ready);

		port->input_at += taken || ready ? taken : 1;
		if (!ready || !event.text_bytes)
			continue;
		host_copy_text(port->text, sizeof(port->text), event.text, event.text_bytes);
		hand_out(port, &event);
		*ret_event = event;
		return true;
	}
	return false;
}

int port_next(struct dfota_port *port, uint64_t deadline_ms, struct dfota_at_event *ret_event)
{
	while (!port_parse(port, ret_event)) {
		int error = port_fill(port, deadline_ms);

		if (error)
			return error;
	}
	return 0;
}

static void kept_remove(struct dfota_port *port, size_t at)
{
	port->kept_count--;
	memmove(&port->kept[at], &port->kept[at + 1],
		(port->kept_count - at) * sizeof(port->kept[0]));
}

void port_keep(struct dfota_port *port, const struct dfota_at_event *event)
{
	struct kept_event *kept;
	size_t at = 0;

	if (port->kept_count == PORT_KEPT_MAX) {
		while (at < PORT_KEPT_MAX && port->kept[at].fota != DFOTA_FOTA_UPDATING)
			at++;
		kept_remove(port, at < PORT_KEPT_MAX ? at : 0);
	}
	kept = &port->kept[port->kept_count++];
	kept->kind = event->kind;
	kept->fota = event->kind == DFOTA_AT_EVENT_FOTA ? event->fota : DFOTA_FOTA_OTHER;
	kept->value = event->value;
	host_copy_text(kept->text, sizeof(kept->text), event->text, event->text_bytes);
}

bool port_keeps_fota(const struct dfota_port *port)
{
	for (size_t i = 0; i < port->kept_count; i++)
		if (port->kept[i].kind == DFOTA_AT_EVENT_FOTA)
			return true;
	return false;
}

bool port_keeps_start(const struct dfota_port *port)
{
	bool start = false;

	for (size_t i = 0; i < port->kept_count; i++) {
		enum dfota_at_fota fota = port->kept[i].fota;

		if (port->kept[i].kind == DFOTA_AT_EVENT_FOTA)
			start = fota == DFOTA_FOTA_START || fota == DFOTA_FOTA_UPDATING ||
				fota == DFOTA_FOTA_FTPSTART || fota == DFOTA_FOTA_HTTPSTART;
	}
	return start;
}

int dfota_port_event(struct dfota_port *port, uint32_t timeout_ms, struct dfota_at_event *ret_event)
{
	if (!port->kept_count)
		return port_next(port, host_clock_ms() + timeout_ms, ret_event);
	ret_event->kind = port->kept[0].kind;
	ret_event->fota = port->kept[0].fota;
	ret_event->value = port->kept[0].value;
	host_copy_text(port->text, sizeof(port->text), port->kept[0].text,
		       strlen(port->kept[0].text));
	hand_out(port, ret_event);
	kept_remove(port, 0);
	return 0;
}

void dfota_port_drop_input(struct dfota_port *port)
{
	uint64_t deadline_ms = host_clock_ms() + 500;

	tcflush(port->fd, TCIFLUSH);
	while (host_left_ms(deadline_ms, 1) && !port_fill(port, host_clock_ms() + 50))
		;
	port->input_at = port->input_bytes = 0;
	port->kept_count = 0;
	memset(&port->reader, 0, sizeof(port->reader));
}
