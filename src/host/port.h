/* SPDX-License-Identifier: MIT
 *
 * What the files of this room know about a port, beyond dfota/host.h.
 */
#ifndef DFOTA_HOST_PORT_H
#define DFOTA_HOST_PORT_H

#include <sys/types.h>

#include "dfota/discover.h"
#include "dfota/host.h"

#define PORT_KEPT_MAX  64  /* events kept while a command runs; beyond, percents go first */
#define PORT_TEXT_MAX  256 /* bytes of a kept event's text */
#define PORT_INPUT_MAX 4096

struct kept_event {
	enum dfota_at_event_kind kind;
	enum dfota_at_fota fota;
	int64_t value;
	char text[PORT_TEXT_MAX + 1];
};

struct dfota_port {
	int fd;
	dev_t device; /* what the path led to when it was opened */
	char *path;
	struct dfota_host_stop stop;
	struct dfota_host_tap tap;
	uint64_t looked_ms; /* when the path was last compared with the device */
	struct dfota_at_reader reader;
	uint8_t input[PORT_INPUT_MAX];
	size_t input_at, input_bytes;	  /* bytes read but not yet taken by the reader */
	char text[DFOTA_AT_LINE_MAX + 1]; /* of the event that was handed out last */
	struct kept_event kept[PORT_KEPT_MAX];
	size_t kept_count;
	char final[PORT_TEXT_MAX + 1];
};

uint64_t host_clock_ms(void);
bool host_stopped(const struct dfota_host_stop *stop);

/* Milliseconds from now to `deadline_ms`, at most `max_ms`; 0 when it has passed. */
uint32_t host_left_ms(uint64_t deadline_ms, uint32_t max_ms);

/* Copies text for people and machines: bytes that are not printable ASCII become '?'. */
void host_copy_text(char *to, size_t room, const char *from, size_t bytes);

/* How to get to a port, again and again. */
struct port_target {
	const char *path;
	const struct dfota_usb_place
	    *place; /* where it is whatever its name, or NULL: as `path` says */
	const struct dfota_tree *tree;
	uint32_t baud;			  /* 0: 115200 */
	bool flow;			  /* RTS/CTS */
	const struct dfota_host_tap *tap; /* or NULL */
};

/* Opens one time, without waiting. */
int port_open_once(struct dfota_port **ret_port, const struct port_target *target,
		   const struct dfota_host_stop *stop) DFOTA_MUST_CHECK;

/* dfota_port_open for a target. */
int port_open_target(struct dfota_port **ret_port, const struct port_target *target,
		     uint32_t timeout_ms, const struct dfota_host_stop *stop) DFOTA_MUST_CHECK;

/* Writes all bytes; the module may take them slowly. */
int port_write(struct dfota_port *port, const void *data, size_t bytes,
	       uint64_t deadline_ms) DFOTA_MUST_CHECK;

/* Reads what is there into an empty `input`, waiting for it until the deadline. */
int port_fill(struct dfota_port *port, uint64_t deadline_ms) DFOTA_MUST_CHECK;

/* Next line's event among the bytes that are in `input` already; false when they are used up. */
bool port_parse(struct dfota_port *port, struct dfota_at_event *ret_event);

/* Next line's event from the wire, never a kept one. */
int port_next(struct dfota_port *port, uint64_t deadline_ms,
	      struct dfota_at_event *ret_event) DFOTA_MUST_CHECK;

/* Puts an event aside for dfota_port_event. */
void port_keep(struct dfota_port *port, const struct dfota_at_event *event);

/* True when a FOTA URC is kept. */
bool port_keeps_fota(const struct dfota_port *port);

/* True when the last one that is kept tells that something is under way. */
bool port_keeps_start(const struct dfota_port *port);

/* dfota_port_command; with `connect` CONNECT is an end too. */
int port_transact(struct dfota_port *port, const char *command, uint32_t timeout_ms, bool connect,
		  void (*line)(void *context, const char *text), void *context,
		  int *ret_cme) DFOTA_MUST_CHECK;

/* dfota_port_greet; with `yield` a FOTA URC that came ends it early, with DFOTA_E_TIMEOUT. */
int port_greet(struct dfota_port *port, uint32_t timeout_ms, bool yield) DFOTA_MUST_CHECK;

#endif
