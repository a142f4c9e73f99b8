/* SPDX-License-Identifier: MIT
 *
 * The version name out of the answers that modules give.
 */
#include <stdio.h>
#include <strings.h>

#include "port.h"

/* `line` behind `prefix` and the spaces that follow, or NULL when it starts otherwise. */
static const char *behind(const char *line, const char *prefix)
{
	size_t bytes = strlen(prefix);

	if (strncasecmp(line, prefix, bytes) != 0)
		return NULL;
	return line + bytes + strspn(line + bytes, " ");
}

bool dfota_version_from_line(const char *line, char ret_version[DFOTA_HOST_VERSION_MAX + 1])
{
	static const char *const prefixes[] = { "Revision:", "+CGMR:", "+GMR:", "+QGMR:" };
	const char *from = line + strspn(line, " ");
	size_t bytes;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		const char *rest = behind(from, prefixes[i]);

		if (rest) {
			from = rest;
			break;
		}
	}
	bytes = strlen(from);
	while (bytes && from[bytes - 1] == ' ')
		bytes--;
	if (!bytes || bytes > DFOTA_HOST_VERSION_MAX)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (from[i] <= ' ' || from[i] > '~' || from[i] == '"')
			return false;
	memcpy(ret_version, from, bytes);
	ret_version[bytes] = '\0';
	return true;
}

struct answer {
	bool revision_only; /* ATI also tells maker and model */
	bool found;
	char version[DFOTA_HOST_VERSION_MAX + 1];
};

static void answer_line(void *context, const char *text)
{
	struct answer *answer = context;

	if (answer->found ||
	    (answer->revision_only && !behind(text + strspn(text, " "), "Revision:")))
		return;
	answer->found = dfota_version_from_line(text, answer->version);
}

/* 0 with found false when the module answers without a version, or refuses. */
static int ask(struct dfota_port *port, const char *command, uint32_t timeout_ms,
	       struct answer *ret_answer)
{
	int error;

	*ret_answer = (struct answer){ .revision_only = strcmp(command, "ATI") == 0 };
	error = port_transact(port, command, timeout_ms, false, answer_line, ret_answer, NULL);
	if (error)
		ret_answer->found = false;
	return error == DFOTA_E_REFUSED ? 0 : error;
}

int dfota_port_version(struct dfota_port *port, const char *expected, uint32_t timeout_ms,
		       char ret_version[DFOTA_HOST_VERSION_MAX + 1])
{
	static const char *const commands[] = { "ATI", "AT+CGMR", "AT+QGMR" };
	bool found = false;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct answer answer;
		int error = ask(port, commands[i], timeout_ms, &answer);

		if (error && !found)
			return error;
		if (error)
			break;
		if (!answer.found)
			continue;
		if (!found || (expected && strcmp(answer.version, expected) == 0))
			memcpy(ret_version, answer.version, sizeof(answer.version));
		found = true;
		if (!expected || strcmp(ret_version, expected) == 0)
			break;
	}
	return found ? 0 : DFOTA_E_NOT_FOUND;
}
