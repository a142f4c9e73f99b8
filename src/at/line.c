/* SPDX-License-Identifier: MIT
 *
 * A command line: its commands one after the other, their form and parameters (V.250 5.3 and 5.4).
 *
 * The line is taken apart in at->scratch; parameters point into it. The first command that fails
 * ends the line with its code.
 */
#include <stdio.h>

#include "engine.h"

#define NAME_MAX_BYTES 24

/* ---- characters
 * ---------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_letter(char c)
{
	return upper(c) >= 'A' && upper(c) <= 'Z';
}

static bool ends_command(char c)
{
	return c == '\0' || c == ';';
}

/* Spaces count inside quotes only. */
static void copy_without_spaces(char *to, const char *from)
{
	bool quoted = false;

	for (; *from; from++) {
		quoted ^= *from == '"';
		if (quoted || *from != ' ')
			*to++ = *from;
	}
	*to = '\0';
}

/* False when there is no digit or the number does not fit. */
static bool number_get(char **position, uint64_t *ret_number)
{
	uint64_t number = 0;
	char *p = *position;

	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++)
		if (dfota_mul64(number, 10, &number) ||
		    dfota_add64(number, (uint64_t)(*p - '0'), &number))
			return false;
	*position = p;
	*ret_number = number;
	return true;
}

/* ---- parameters
 * ---------------------------------------------------------------------------------- */

/* One parameter; *position is moved behind it. Its end is made a NUL by the caller. */
static bool param_get(char **position, struct dfota_at_param *param, char **ret_end)
{
	char *p = *position;

	*param = (struct dfota_at_param){ .kind = DFOTA_AT_OMITTED, .text = p };
	if (*p == '"') {
		char *end = strchr(p + 1, '"');

		if (!end)
			return false;
		param->kind = DFOTA_AT_STRING;
		param->text = p + 1;
		param->text_bytes = (size_t)(end - p - 1);
		*ret_end = end;
		*position = end + 1;
		return true;
	}
	if (*p != ',' && !ends_command(*p)) {
		if (!number_get(&p, &param->number))
			return false;
		param->kind = DFOTA_AT_NUMBER;
		param->text_bytes = (size_t)(p - param->text);
	}
	*ret_end = p;
	*position = p;
	return true;
}

/* Everything after the `=` of a write form; *position ends on the `;` or NUL behind it, which
 * *ret_last tells because it may have been made the end of the last parameter.
 */
static bool params_get(char **position, struct dfota_at_request *request, char *ret_last)
{
	for (;;) {
		char *end, delimiter;

		if (request->param_count == DFOTA_AT_PARAMS_MAX ||
		    !param_get(position, &request->params[request->param_count++], &end))
			return false;
		delimiter = **position;
		*end = '\0';
		if (ends_command(delimiter)) {
			*ret_last = delimiter;
			return true;
		}
		if (delimiter != ',')
			return false;
		++*position;
	}
}

/* ---- the engine's own commands
 * ------------------------------------------------------------------- */

static int set_flag(const struct dfota_at_request *request, bool *flag)
{
	if (request->basic > 1)
		return DFOTA_AT_ERROR;
	*flag = request->basic != 0;
	return DFOTA_AT_OK;
}

static int own_basic(struct dfota_at *at, const struct dfota_at_request *request)
{
	if (strcmp(request->name, "E") == 0)
		return set_flag(request, &at->echo);
	if (strcmp(request->name, "V") == 0)
		return set_flag(request, &at->verbose);
	if (strcmp(request->name, "Q") == 0)
		return set_flag(request, &at->quiet);
	if (request->basic > 1)
		return DFOTA_AT_ERROR;
	at_defaults(at); /* &F, Z */
	return DFOTA_AT_OK;
}

static int own_error_mode(struct dfota_at *at, const struct dfota_at_request *request)
{
	switch (request->form) {
	case DFOTA_AT_TEST:
		dfota_at_line(at, "+CMEE: (0,1,2)");
		return DFOTA_AT_OK;
	case DFOTA_AT_READ:
		dfota_at_line(at, "+CMEE: %u", at->cmee);
		return DFOTA_AT_OK;
	case DFOTA_AT_WRITE:
		if (request->param_count != 1 || request->params[0].kind != DFOTA_AT_NUMBER ||
		    request->params[0].number > 2)
			return DFOTA_AT_ERROR;
		at->cmee = (uint8_t)request->params[0].number;
		return DFOTA_AT_OK;
	case DFOTA_AT_EXEC:
		break;
	}
	return DFOTA_AT_ERROR;
}

/* S<n>? and S<n>=<value>, at the number. */
static int s_register(struct dfota_at *at, char **position)
{
	uint64_t number, value;

	if (!number_get(position, &number) || number >= DFOTA_AT_REGISTERS)
		return DFOTA_AT_ERROR;
	if (**position == '?') {
		++*position;
		dfota_at_line(at, "%03u", at->s[number]);
		return DFOTA_AT_OK;
	}
	if (**position != '=')
		return DFOTA_AT_ERROR;
	++*position;
	if (!number_get(position, &value) || value > 255)
		return DFOTA_AT_ERROR;
	if (number >= 3 && number <= 5 && value > 127) /* V.250 6.2.1 */
		return DFOTA_AT_ERROR;
	at->s[number] = (uint8_t)value;
	return DFOTA_AT_OK;
}

/* ---- commands ----------------------------------------------------------------------------------
 */

static int call(struct dfota_at *at, struct dfota_at_request *request)
{
	static const char *const own[] = { "E", "V", "Q", "Z", "&F" };

	if (strcmp(request->name, "+CMEE") == 0)
		return own_error_mode(at, request);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(request->name, own[i]) == 0)
			return own_basic(at, request);
	for (size_t i = 0; i < at->config.command_count; i++) {
		const struct dfota_at_command *command = &at->config.commands[i];

		if (strcmp(request->name, command->name) != 0)
			continue;
		if (!(command->forms >> request->form & 1))
			return DFOTA_AT_ERROR;
		request->name = command->name;
		return command->handler(at->config.context, at, request);
	}
	return DFOTA_AT_ERROR;
}

static bool in_name(char c)
{
	return is_letter(c) || is_digit(c) || (c != '\0' && strchr("!%-./:_", c));
}

/* `+NAME` and its form; ends behind the `;`, or on the NUL. */
static int extended(struct dfota_at *at, char **position, struct dfota_at_request *request)
{
	char name[NAME_MAX_BYTES + 1], *p = *position, last;
	size_t bytes = 0;

	do {
		if (bytes == NAME_MAX_BYTES)
			return DFOTA_AT_ERROR;
		name[bytes++] = upper(*p++);
	} while (in_name(*p));
	name[bytes] = '\0';
	request->name = name;
	request->form = DFOTA_AT_EXEC;
	if (p[0] == '?' || (p[0] == '=' && p[1] == '?')) {
		request->form = p[0] == '?' ? DFOTA_AT_READ : DFOTA_AT_TEST;
		p += p[0] == '?' ? 1 : 2;
	} else if (p[0] == '=') {
		request->form = DFOTA_AT_WRITE;
		p++;
	}
	last = *p;
	if (request->form == DFOTA_AT_WRITE && !params_get(&p, request, &last))
		return DFOTA_AT_ERROR;
	if (!ends_command(last))
		return DFOTA_AT_ERROR;
	*position = last == ';' ? p + 1 : p;
	return call(at, request);
}

static int basic(struct dfota_at *at, char **position, struct dfota_at_request *request)
{
	char name[3] = { 0 }, *p = *position;
	size_t bytes = 0;

	if (*p == '&')
		name[bytes++] = *p++;
	if (!is_letter(*p))
		return DFOTA_AT_ERROR;
	name[bytes] = upper(*p++);
	*position = p;
	if (strcmp(name, "S") == 0)
		return s_register(at, position);
	if (is_digit(*p)) {
		if (!number_get(position, &request->basic))
			return DFOTA_AT_ERROR;
		request->basic_given = true;
	}
	request->name = name;
	request->form = DFOTA_AT_EXEC;
	return call(at, request);
}

void at_execute(struct dfota_at *at)
{
	char *position = at->scratch;
	int result = DFOTA_AT_OK;

	copy_without_spaces(at->scratch, at->line);
	while (*position && result == DFOTA_AT_OK) {
		struct dfota_at_request request = { 0 };

		at->lines_open = false; /* each has its own information response */
		if (*position == ';')
			position++;
		else if (strchr("+*#^$%", *position))
			result = extended(at, &position, &request);
		else
			result = basic(at, &position, &request);
	}
	if (result == DFOTA_AT_SILENT)
		at_piece_end(at);
	else if (result != DFOTA_AT_DATA)
		at_final(at, result);
}
