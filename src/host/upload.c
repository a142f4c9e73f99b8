/* SPDX-License-Identifier: MIT
 *
 * AT+QFUPL in acknowledgement mode: at most two blocks on the way, then count and checksum
 * compared.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "port.h"

#define WINDOW_BYTES   (2 * DFOTA_AT_ACK_BYTES)
#define DATA_TIMEOUT_S 10 /* after which the module gives up waiting for data */

struct upload {
	struct dfota_port *port;
	int file;
	uint64_t bytes, sent, acks;
	uint32_t timeout_ms;
	struct dfota_at_checksum checksum;
	bool told; /* the result line has come */
	uint64_t told_bytes;
	uint64_t told_checksum;
};

/* "+QFUPL: <count>,<checksum in hex>" */
static bool parse_result(const char *text, uint64_t *ret_bytes, uint64_t *ret_checksum)
{
	static const char name[] = "+QFUPL:";
	uint64_t bytes, checksum;
	char *end;

	if (strncmp(text, name, sizeof(name) - 1) != 0)
		return false;
	text += sizeof(name) - 1;
	text += strspn(text, " ");
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	bytes = strtoull(text, &end, 10);
	end += strspn(end, " ");
	if (errno || *end++ != ',')
		return false;
	end += strspn(end, " ");
	if (!strspn(end, "0123456789abcdefABCDEF"))
		return false;
	checksum = strtoull(end, NULL, 16);
	if (errno)
		return false;
	*ret_bytes = bytes;
	*ret_checksum = checksum;
	return true;
}

static int send_block(struct upload *u)
{
	uint8_t block[DFOTA_AT_ACK_BYTES];
	size_t want = (size_t)dfota_min64(u->bytes - u->sent, sizeof(block)), have = 0;

	while (have < want) {
		ssize_t n = pread(u->file, block + have, want - have, (off_t)(u->sent + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return DFOTA_E_READ;
		have += (size_t)n;
	}
	dfota_at_checksum_add(&u->checksum, block, want);
	u->sent += want;
	return port_write(u->port, block, want, host_clock_ms() + u->timeout_ms);
}

/* An event while the module should only acknowledge. */
static int take_event(struct upload *u, const struct dfota_at_event *event, int *ret_cme)
{
	switch (event->kind) {
	case DFOTA_AT_EVENT_ERROR:
		if (ret_cme)
			*ret_cme =
			    event->value >= 0 && event->value <= 65535 ? (int)event->value : -1;
		return DFOTA_E_REFUSED;
	case DFOTA_AT_EVENT_FOTA:
	case DFOTA_AT_EVENT_URC:
		port_keep(u->port, event);
		return 0;
	case DFOTA_AT_EVENT_LINE:
		if (parse_result(event->text, &u->told_bytes, &u->told_checksum))
			u->told = true;
		return 0;
	case DFOTA_AT_EVENT_OK: /* handled by the caller where it means something */
	case DFOTA_AT_EVENT_CONNECT:
		return 0;
	}
	return 0;
}

static bool all_acknowledged(const struct upload *u)
{
	return u->sent == u->bytes && u->acks == u->bytes / DFOTA_AT_ACK_BYTES;
}

/* Counts the acknowledgements among the bytes that came. They stand between lines, never inside
 * one. What comes after the last one is left for finish().
 */
static int take_input(struct upload *u, int *ret_cme)
{
	struct dfota_port *port = u->port;
	uint64_t due = u->sent / DFOTA_AT_ACK_BYTES;

	while (port->input_at < port->input_bytes && !u->told && !all_acknowledged(u)) {
		struct dfota_at_event event;
		size_t bytes = port->input_bytes;
		bool ready;
		int error;

		if (!port->reader.bytes && port->input[port->input_at] == 'A' && u->acks < due) {
			port->input_at++;
			u->acks++;
			continue;
		}
		port->input_bytes =
		    port->input_at + 1; /* one byte: the next may be an acknowledgement */
		ready = port_parse(port, &event);
		port->input_bytes = bytes;
		error = ready ? take_event(u, &event, ret_cme) : 0;
		if (error)
			return error;
	}
	return 0;
}

static int send_all(struct upload *u,
		    void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
		    int *ret_cme)
{
	struct dfota_port *port = u->port;
	int error = 0;

	while (!u->told && !all_acknowledged(u)) {
		if (u->sent < u->bytes && u->sent - u->acks * DFOTA_AT_ACK_BYTES < WINDOW_BYTES) {
			error = send_block(u);
			if (error)
				return error;
			continue;
		}
		if (port->input_at == port->input_bytes)
			error = port_fill(port, host_clock_ms() + u->timeout_ms);
		if (!error)
			error = take_input(u, ret_cme);
		if (error)
			return error;
		if (progress)
			progress(context, dfota_min64(u->acks * DFOTA_AT_ACK_BYTES, u->bytes),
				 u->bytes);
	}
	return 0;
}

/* Reads the result line and its OK. */
static int finish(struct upload *u, int *ret_cme)
{
	uint64_t deadline_ms = host_clock_ms() + u->timeout_ms;
	struct dfota_at_event event;
	int error;

	for (;;) {
		error = port_next(u->port, deadline_ms, &event);
		if (!error)
			error = take_event(u, &event, ret_cme);
		if (error)
			return error;
		if (event.kind == DFOTA_AT_EVENT_OK)
			break;
	}
	if (!u->told || u->told_bytes != u->bytes || u->told_checksum != u->checksum.sum)
		return DFOTA_E_CORRUPT;
	return 0;
}

int dfota_port_upload(struct dfota_port *port, int file, uint64_t bytes, const char *name,
		      uint32_t timeout_ms,
		      void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
		      int *ret_cme)
{
	struct upload u = { .port = port, .file = file, .bytes = bytes, .timeout_ms = timeout_ms };
	char command[DFOTA_HOST_NAME_MAX + 64];
	int error;

	if (!bytes || strlen(name) > DFOTA_HOST_NAME_MAX || strchr(name, '"'))
		return DFOTA_E_ARGUMENT;
	snprintf(command, sizeof(command), "AT+QFUPL=\"%s\",%" PRIu64 ",%d,1", name, bytes,
		 DATA_TIMEOUT_S);
	error = port_transact(port, command, timeout_ms, true, NULL, NULL, ret_cme);
	if (!error && strncasecmp(dfota_port_final(port), "CONNECT", 7) != 0)
		error = DFOTA_E_CORRUPT; /* OK without data mode: nothing was taken */
	if (!error)
		error = send_all(&u, progress, context, ret_cme);
	if (!error)
		error = finish(&u, ret_cme);
	if (!error && progress)
		progress(context, bytes, bytes);
	return error;
}
