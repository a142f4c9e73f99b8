/* SPDX-License-Identifier: MIT
 *
 * Commands: one at a time, from the line sent to its final result code; and the greeting.
 */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "port.h"

#define PROBE_MS    1000
#define SETTINGS_MS 2000
#define QUIET_MS    200
#define GUARD_MS    1100 /* silence on both sides of +++ */

static bool command_ok(const char *command)
{
	size_t bytes = strlen(command);

	for (size_t i = 0; i < bytes; i++)
		if (iscntrl((unsigned char)command[i]))
			return false;
	return bytes && bytes <= DFOTA_AT_LINE_MAX;
}

/* A line that looks like a URC but answers this very command, such as +CPIN: READY to AT+CPIN? */
static bool answers(const char *command, const char *text)
{
	size_t bytes;

	if (strncasecmp(command, "AT+", 3) != 0)
		return false;
	bytes = 1 + strcspn(command + 3, "=?;");
	return strncasecmp(text, command + 2, bytes) == 0 && text[bytes] == ':';
}

int port_transact(struct dfota_port *port, const char *command, uint32_t timeout_ms, bool connect,
		  void (*line)(void *context, const char *text), void *context, int *ret_cme)
{
	uint64_t deadline_ms = host_clock_ms() + timeout_ms;
	char wire[DFOTA_AT_LINE_MAX + 2];
	struct dfota_at_event event;
	bool echoed = false;
	int error, length;

	port->final[0] = '\0';
	if (!command_ok(command))
		return DFOTA_E_ARGUMENT;
	length = snprintf(wire, sizeof(wire), "%s\r", command);
	error = port_write(port, wire, (size_t)length, deadline_ms);
	while (!error) {
		error = port_next(port, deadline_ms, &event);
		if (error)
			break;
		if (!echoed && strcmp(event.text, command) == 0) {
			echoed = true;
			continue;
		}
		if (event.kind == DFOTA_AT_EVENT_OK ||
		    (connect && event.kind == DFOTA_AT_EVENT_CONNECT)) {
			host_copy_text(port->final, sizeof(port->final), event.text,
				       event.text_bytes);
			return 0;
		}
		if (event.kind == DFOTA_AT_EVENT_ERROR) {
			host_copy_text(port->final, sizeof(port->final), event.text,
				       event.text_bytes);
			if (ret_cme)
				*ret_cme = event.value >= 0 && event.value <= 65535
					       ? (int)event.value
					       : -1;
			return DFOTA_E_REFUSED;
		}
		if (event.kind == DFOTA_AT_EVENT_FOTA ||
		    (event.kind == DFOTA_AT_EVENT_URC && !answers(command, event.text)))
			port_keep(port, &event);
		else if (line)
			line(context, event.text);
	}
	return error;
}

int dfota_port_command(struct dfota_port *port, const char *command, uint32_t timeout_ms,
		       void (*line)(void *context, const char *text), void *context, int *ret_cme)
{
	return port_transact(port, command, timeout_ms, false, line, context, ret_cme);
}

const char *dfota_port_final(const struct dfota_port *port)
{
	return port->final;
}

/* Listens for `ms`, keeps what is worth keeping. */
static int listen_for(struct dfota_port *port, uint32_t ms)
{
	uint64_t deadline_ms = host_clock_ms() + ms;
	struct dfota_at_event event;
	int error;

	while (!(error = port_next(port, deadline_ms, &event)))
		if (event.kind == DFOTA_AT_EVENT_FOTA || event.kind == DFOTA_AT_EVENT_URC)
			port_keep(port, &event);
	return error == DFOTA_E_TIMEOUT ? 0 : error;
}

/* An upload that was broken off leaves the module in data mode, where every probe would count as
 * data and prolong it. */
static int leave_data_mode(struct dfota_port *port)
{
	int error = listen_for(port, GUARD_MS);

	if (!error)
		error = port_write(port, "+++", 3, host_clock_ms() + PROBE_MS);
	if (error == DFOTA_E_TIMEOUT)
		error = 0;
	return error ? error : listen_for(port, GUARD_MS);
}

int port_greet(struct dfota_port *port, uint32_t timeout_ms, bool yield)
{
	/* The second form gets answers out of a module that was left silent or numeric. */
	static const char *const probes[] = { "AT", "ATQ0V1", "AT" };
	static const char *const settings[] = { "ATE0", "AT+CMEE=1" };
	uint64_t deadline_ms = host_clock_ms() + timeout_ms;
	uint32_t probe_ms = timeout_ms / 3 < PROBE_MS ? timeout_ms / 3 + 1 : PROBE_MS;
	uint32_t settings_ms = timeout_ms < SETTINGS_MS ? timeout_ms : SETTINGS_MS;
	uint32_t tries = 0;
	int error;

	for (;;) {
		error = port_transact(port, probes[tries % 3], host_left_ms(deadline_ms, probe_ms),
				      false, NULL, NULL, NULL);
		tries++;
		if (!error || error == DFOTA_E_IO || error == DFOTA_E_STOPPED)
			break;
		if (!host_left_ms(deadline_ms, 1) || (yield && port_keeps_fota(port)))
			return DFOTA_E_TIMEOUT;
		if (error == DFOTA_E_REFUSED) /* there were bytes before the AT on its line */
			error = listen_for(port, host_left_ms(deadline_ms, QUIET_MS));
		else if (tries % 3 == 0)
			error = leave_data_mode(port);
		else
			error = 0;
		if (error)
			break;
	}
	if (!error &&
	    tries > 1) /* late answers to earlier probes must not answer what comes next */
		error = listen_for(port, QUIET_MS);
	for (size_t i = 0; !error && i < sizeof(settings) / sizeof(settings[0]); i++) {
		error = port_transact(port, settings[i], settings_ms, false, NULL, NULL, NULL);
		if (error == DFOTA_E_REFUSED || error == DFOTA_E_TIMEOUT)
			error = 0;
	}
	return error;
}

int dfota_port_greet(struct dfota_port *port, uint32_t timeout_ms)
{
	return port_greet(port, timeout_ms, false);
}
