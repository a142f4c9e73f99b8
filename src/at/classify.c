/* SPDX-License-Identifier: MIT
 *
 * The host's end: lines out of what a module sends, and what kind each is. Tolerant, because
 * modules differ in case, spaces and quotes.
 */
#include <strings.h>

#include "dfota/at.h"

/* What is left of a line. */
struct text {
	const char *at, *end;
};

static void skip_spaces(struct text *text)
{
	while (text->at < text->end && (*text->at == ' ' || *text->at == '\t'))
		text->at++;
}

/* Takes `word` in any case, with the spaces before it and quotes around it, were they but one. */
static bool take_text(struct text *text, const char *word)
{
	size_t bytes = strlen(word);
	struct text rest = *text;

	skip_spaces(&rest);
	rest.at += rest.at < rest.end && *rest.at == '"';
	if ((size_t)(rest.end - rest.at) < bytes || strncasecmp(rest.at, word, bytes) != 0)
		return false;
	rest.at += bytes;
	rest.at += rest.at < rest.end && *rest.at == '"';
	*text = rest;
	return true;
}

static bool take_word(struct text *text, const char *word)
{
	if (!take_text(text, word))
		return false;
	skip_spaces(text);
	return true;
}

static bool take_mark(struct text *text, char mark)
{
	skip_spaces(text);
	if (text->at == text->end || *text->at != mark)
		return false;
	text->at++;
	return true;
}

/* A word ends where no letter or digit follows. */
static bool word_ends(const struct text *text)
{
	char c;

	if (text->at == text->end)
		return true;
	c = *text->at;
	return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		 c == '_');
}

static bool take_whole_word(struct text *text, const char *word)
{
	struct text rest = *text;

	if (!take_text(&rest, word) || !word_ends(&rest))
		return false;
	skip_spaces(&rest);
	*text = rest;
	return true;
}

/* -1 when there is none; numbers that do not fit are cut to INT64_MAX. */
static int64_t take_number(struct text *text)
{
	int64_t number = 0;
	bool any = false;

	skip_spaces(text);
	if (text->at < text->end && *text->at == '"')
		text->at++;
	for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++, any = true)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *text->at - '0', &number))
			number = INT64_MAX;
	return any ? number : -1;
}

static bool classify_fota(struct text *text, struct dfota_at_event *event)
{
	/* The longer word first where one begins with the other. */
	static const struct {
		const char *word;
		enum dfota_at_fota fota;
	} stages[] = {
		{ "FTPSTART", DFOTA_FOTA_FTPSTART },
		{ "FTPEND", DFOTA_FOTA_FTPEND },
		{ "HTTPSTART", DFOTA_FOTA_HTTPSTART },
		{ "HTTPEND", DFOTA_FOTA_HTTPEND },
		{ "START", DFOTA_FOTA_START },
		{ "UPDATING", DFOTA_FOTA_UPDATING },
		{ "END", DFOTA_FOTA_END },
	};
	struct text rest = *text;

	if (!take_word(&rest, "+QIND") || !take_mark(&rest, ':') || !take_whole_word(&rest, "FOTA"))
		return false;
	event->kind = DFOTA_AT_EVENT_FOTA;
	event->fota = DFOTA_FOTA_OTHER;
	if (!take_mark(&rest, ','))
		return true;
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		if (!take_whole_word(&rest, stages[i].word))
			continue;
		event->fota = stages[i].fota;
		if (take_mark(&rest, ','))
			event->value = take_number(&rest);
		break;
	}
	return true;
}

static bool classify_result(struct text *text, struct dfota_at_event *event)
{
	static const char *const errors[] = { "+CME ERROR", "+CMS ERROR", "ERROR",
					      "COMMAND NOT SUPPORT" };
	struct text rest = *text;

	if (take_whole_word(&rest, "OK") && rest.at == rest.end) {
		event->kind = DFOTA_AT_EVENT_OK;
		return true;
	}
	rest = *text;
	if (take_whole_word(&rest, "CONNECT")) {
		event->kind = DFOTA_AT_EVENT_CONNECT;
		event->value = take_number(&rest);
		return true;
	}
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		rest = *text;
		if (!take_whole_word(&rest, errors[i]))
			continue;
		event->kind = DFOTA_AT_EVENT_ERROR;
		if (errors[i][0] == '+' && take_mark(&rest, ':'))
			event->value = take_number(&rest);
		return true;
	}
	return false;
}

static bool is_urc(const struct text *text)
{
	static const char *const urcs[] = {
		"RDY",	   "APP RDY",	      "POWERED DOWN", "NORMAL POWER DOWN",
		"RING",	   "NO CARRIER",      "+QIND:",	      "+CPIN:",
		"+QUSIM:", "+CFUN:",	      "+CREG:",	      "+CGREG:",
		"+CEREG:", "+C5GREG:",	      "+CGEV:",	      "+CTZV:",
		"+CTZE:",  "+QNETDEVSTATUS:", "+CMTI:",	      "+CRING:",
	};

	for (size_t i = 0; i < sizeof(urcs) / sizeof(urcs[0]); i++) {
		struct text rest = *text;

		if (urcs[i][strlen(urcs[i]) - 1] == ':' ? take_word(&rest, urcs[i])
							: take_whole_word(&rest, urcs[i]))
			return true;
	}
	return false;
}

void dfota_at_classify(const char *line, size_t bytes, struct dfota_at_event *ret_event)
{
	struct text text = { line, line + bytes };

	*ret_event = (struct dfota_at_event){
		.kind = DFOTA_AT_EVENT_LINE,
		.fota = DFOTA_FOTA_OTHER,
		.value = -1,
		.text = line,
		.text_bytes = bytes,
	};
	while (text.end > text.at && (text.end[-1] == ' ' || text.end[-1] == '\t'))
		text.end--;
	if (!classify_fota(&text, ret_event) && !classify_result(&text, ret_event) && is_urc(&text))
		ret_event->kind = DFOTA_AT_EVENT_URC;
}

size_t dfota_at_read_line(struct dfota_at_reader *reader, const uint8_t *bytes, size_t count,
			  struct dfota_at_event *ret_event, bool *ret_ready)
{
	*ret_ready = false;
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\0')
			continue;
		if (bytes[i] != '\r' && bytes[i] != '\n') {
			if (reader->bytes < DFOTA_AT_LINE_MAX)
				reader->line[reader->bytes++] = (char)bytes[i];
			else
				reader->overflow = true;
			continue;
		}
		if (reader->bytes == 0)
			continue;
		reader->line[reader->bytes] = '\0';
		dfota_at_classify(reader->line, reader->bytes, ret_event);
		reader->bytes = 0;
		reader->overflow = false;
		*ret_ready = true;
		return i + 1;
	}
	return count;
}
