/* SPDX-License-Identifier: MIT
 *
 * Ordered faults of the port.
 *
 * A fault's text is looked for in URCs and answers, and at the beginning of the command line that
 * an answer belongs to; "ack" means the acknowledgements of an upload. Echo and data are left
 * alone.
 */
#include "port_fault.h"

#include <strings.h>

#include "fault.h"
#include "log.h"

static const char *const names[PORT_FAULT_COUNT] = { "lose", "drop", "late", "garbage" };

static const struct module_port_fault *order(const struct module_config *config,
					     enum port_fault_kind kind)
{
	switch (kind) {
	case PORT_LOSE:
		return &config->fault_lose;
	case PORT_DROP:
		return &config->fault_drop;
	case PORT_LATE:
		return &config->fault_late;
	case PORT_GARBAGE:
	case PORT_FAULT_COUNT:
		break;
	}
	return &config->fault_garbage;
}

bool port_fault_init(struct port_fault *fault, const struct module_config *config,
		     const struct dfota_at *at)
{
	bool any = false;

	*fault = (struct port_fault){ .config = config, .at = at, .random = 1 };
	for (int kind = 0; kind < PORT_FAULT_COUNT; kind++)
		any |= order(config, (enum port_fault_kind)kind)->count > 0;
	return any;
}

static bool holds(const uint8_t *piece, size_t bytes, const char *text)
{
	return memmem(piece, bytes, text, strlen(text)) != NULL;
}

static bool is_acks(const uint8_t *piece, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (piece[i] != 'A')
			return false;
	return true;
}

/* The last line is a result. */
static bool is_answer(const uint8_t *piece, size_t bytes)
{
	static const char *const results[] = { "OK\r", "ERROR\r", "+CME ERROR: ", "CONNECT" };
	size_t at = bytes - 2; /* its own end */

	while (at > 0 && piece[at - 1] != '\n')
		at--;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (bytes - at >= strlen(results[i]) &&
		    memcmp(piece + at, results[i], strlen(results[i])) == 0)
			return true;
	return false;
}

static bool matches(const struct port_fault *fault, const uint8_t *piece, size_t bytes,
		    const char *text)
{
	const char *line = dfota_at_last_line(fault->at);

	if (bytes < 5 || memcmp(piece, "\r\n", 2) != 0)
		return strcmp(text, "ack") == 0 && dfota_at_in_data(fault->at) &&
		       is_acks(piece, bytes);
	if (holds(piece, bytes, text))
		return true;
	return is_answer(piece, bytes) && strncasecmp(line, text, strlen(text)) == 0;
}

static bool strikes(struct port_fault *fault, enum port_fault_kind kind, const uint8_t *piece,
		    size_t bytes)
{
	const struct module_port_fault *ordered = order(fault->config, kind);

	if (ordered->count == 0 || !matches(fault, piece, bytes, ordered->text) ||
	    fault->seen[kind]++ < ordered->after ||
	    !fault_strike(fault->config, names[kind], ordered->count))
		return false;
	module_log("fault: %s, for \"%s\"", names[kind], ordered->text);
	return true;
}

static void put_garbage(struct port_fault *fault, uint8_t *piece, size_t bytes, size_t garbage)
{
	memmove(piece + garbage, piece, bytes);
	for (size_t i = 0; i < garbage; i++) {
		fault->random = fault->random * 6364136223846793005u + 1442695040888963407u;
		piece[i] = (uint8_t)(fault->random >> 56);
	}
}

struct wire_fate port_fault_judge(struct port_fault *fault, uint8_t *piece, size_t bytes)
{
	struct wire_fate fate = { .bytes = bytes };
	bool struck[PORT_FAULT_COUNT];

	for (int kind = 0; kind < PORT_FAULT_COUNT; kind++)
		struck[kind] = strikes(fault, (enum port_fault_kind)kind, piece, bytes);
	fate.drop = struck[PORT_DROP];
	if (struck[PORT_LATE])
		fate.delay_ms = fault->config->fault_late.amount;
	if (struck[PORT_GARBAGE]) {
		put_garbage(fault, piece, bytes, fault->config->fault_garbage.amount);
		fate.bytes += fault->config->fault_garbage.amount;
	}
	if (struck[PORT_LOSE])
		fate.bytes = 0;
	return fate;
}
