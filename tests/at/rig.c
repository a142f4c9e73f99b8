/* SPDX-License-Identifier: MIT */
#include "rig.h"

/* ---- commands
 * ------------------------------------------------------------------------------------ */

#define HANDLER(name)                                                                              \
	static int name(void *context, struct dfota_at *at, const struct dfota_at_request *request)

static struct rig *rig_of(struct dfota_at *at)
{
	return (struct rig *)at; /* its first member */
}

/* Tells what it was given, so that tests see how the line was taken apart. */
HANDLER(show)
{
	char text[DFOTA_AT_LINE_MAX + 1];
	size_t length = (size_t)snprintf(text, sizeof(text), "%c", "TRWX"[request->form]);

	(void)context;
	rig_of(at)->runs++;
	for (uint32_t i = 0; i < request->param_count; i++) {
		const struct dfota_at_param *param = &request->params[i];

		assert_int_equal(strlen(param->text), param->text_bytes);
		if (param->kind == DFOTA_AT_NUMBER)
			length += (size_t)snprintf(text + length, sizeof(text) - length, ",%llu",
						   (unsigned long long)param->number);
		else if (param->kind == DFOTA_AT_STRING)
			length += (size_t)snprintf(text + length, sizeof(text) - length, ",<%s>",
						   param->text);
		else
			length += (size_t)snprintf(text + length, sizeof(text) - length, ",-");
		assert_true(length < sizeof(text));
	}
	dfota_at_line(at, "%s: %s", request->name, text);
	return DFOTA_AT_OK;
}

HANDLER(basic)
{
	(void)context;
	rig_of(at)->runs++;
	dfota_at_line(at, "%s %llu %s", request->name, (unsigned long long)request->basic,
		      request->basic_given ? "given" : "none");
	return DFOTA_AT_OK;
}

HANDLER(identify)
{
	(void)context;
	(void)request;
	rig_of(at)->runs++;
	dfota_at_line(at, "Quectel");
	dfota_at_line(at, "BG770A-GL");
	dfota_at_line(at, "Revision: BG770AGLAAR01A05");
	return DFOTA_AT_OK;
}

HANDLER(revision)
{
	(void)context;
	(void)request;
	rig_of(at)->runs++;
	dfota_at_line(at, "BG770AGLAAR01A05");
	return DFOTA_AT_OK;
}

/* Test form says nothing, write form takes a string within the bound. */
HANDLER(start)
{
	(void)context;
	rig_of(at)->runs++;
	if (request->form == DFOTA_AT_TEST)
		return DFOTA_AT_OK;
	if (request->params[0].kind != DFOTA_AT_STRING ||
	    request->params[0].text_bytes > DFOTA_AT_STRING_MAX)
		return DFOTA_AT_ERROR;
	dfota_at_line(at, "%zu", request->params[0].text_bytes);
	return DFOTA_AT_OK;
}

HANDLER(refuse)
{
	(void)context;
	rig_of(at)->runs++;
	return request->param_count ? (int)request->params[0].number : DFOTA_AT_ERROR;
}

HANDLER(silent)
{
	(void)context;
	(void)request;
	rig_of(at)->runs++;
	return DFOTA_AT_SILENT;
}

/* So many lines of 98 bytes and their end. */
HANDLER(talk)
{
	(void)context;
	rig_of(at)->runs++;
	for (uint64_t i = 0; i < request->params[0].number; i++)
		dfota_at_line(at, "%098llu", (unsigned long long)i);
	return DFOTA_AT_OK;
}

/* A URC that comes up while the command runs. */
HANDLER(urc)
{
	(void)context;
	(void)request;
	rig_of(at)->runs++;
	dfota_at_line(at, "before");
	assert_true(dfota_at_urc(at, "+URC: 1", false));
	dfota_at_line(at, "after");
	return DFOTA_AT_OK;
}

static int sink_data(void *context, const uint8_t *bytes, size_t count)
{
	struct rig *rig = context;

	assert_true(count <= RIG_FILE_MAX - rig->file_bytes);
	memcpy(rig->file + rig->file_bytes, bytes, count);
	rig->file_bytes += count;
	return rig->file_bytes > rig->fail_after ? 409 : 0;
}

static int sink_end(void *context, uint64_t received, uint16_t checksum)
{
	struct rig *rig = context;

	rig->ends++;
	rig->end_received = received;
	rig->end_checksum = checksum;
	return rig->end_code;
}

/* +UP=<size>,<timeout s>,<ack> */
HANDLER(upload)
{
	struct rig *rig = rig_of(at);
	const struct dfota_at_sink sink = { sink_data, sink_end, rig };

	(void)context;
	if (request->param_count != 3)
		return 400;
	if (request->params[0].number > RIG_FILE_MAX)
		return 423;
	rig->runs++;
	rig->file_bytes = 0;
	dfota_at_upload(at, "+UP", request->params[0].number, request->params[1].number * 1000,
			request->params[2].number != 0, &sink);
	return DFOTA_AT_DATA;
}

static int source_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct rig *rig = context;

	assert_true(dfota_inside(offset, bytes, RIG_FILE_MAX));
	if (offset + bytes > rig->fail_after)
		return DFOTA_E_READ;
	memcpy(buffer, rig->file + offset, bytes);
	return 0;
}

/* +DOWN=<size> */
HANDLER(download)
{
	struct rig *rig = rig_of(at);
	const struct dfota_source source = { source_read, rig };

	(void)context;
	if (request->params[0].number > RIG_FILE_MAX)
		return 423;
	rig->runs++;
	dfota_at_download(at, "+DOWN", request->params[0].number, &source);
	return DFOTA_AT_DATA;
}

/* +GET=<size> */
HANDLER(get)
{
	struct rig *rig = rig_of(at);
	const struct dfota_source source = { source_read, rig };

	(void)context;
	rig->runs++;
	dfota_at_read(at, request->params[0].number, &source);
	return DFOTA_AT_DATA;
}

static int put_end(void *context, uint64_t received, uint16_t checksum)
{
	struct rig *rig = context;

	(void)checksum;
	dfota_at_line(&rig->at, "+PUT: %llu,%zu", (unsigned long long)received, rig->file_bytes);
	return rig->end_code;
}

/* +PUT=<size>: the sink says the last line. */
HANDLER(put)
{
	struct rig *rig = rig_of(at);
	const struct dfota_at_sink sink = { sink_data, put_end, rig };

	(void)context;
	rig->runs++;
	dfota_at_upload(at, NULL, request->params[0].number, 5000, false, &sink);
	return DFOTA_AT_DATA;
}

#define T (1u << DFOTA_AT_TEST)
#define R (1u << DFOTA_AT_READ)
#define W (1u << DFOTA_AT_WRITE)
#define X (1u << DFOTA_AT_EXEC)

static const struct dfota_at_command commands[] = {
	{ "I", X, identify },	    { "X", X, basic },
	{ "&C", X, basic },	    { "+CGMR", X, revision },
	{ "+START", T | W, start }, { "+SHOW", T | R | W | X, show },
	{ "+READ", R, show },	    { "+FAIL", W | X, refuse },
	{ "+SILENT", X, silent },   { "+TALK", W, talk },
	{ "+URC", X, urc },	    { "+UP", W, upload },
	{ "+DOWN", W, download },   { "+GET", W, get },
	{ "+PUT", W, put },	    { "*P-Q_R.S/T:U!V%W1", X, show },
};

const struct dfota_at_config rig_config = {
	.commands = commands,
	.command_count = COUNT(commands),
	.cmee = 1,
};

/* ---- bench -------------------------------------------------------------------------------------
 */

struct rig *rig_new_with(enum rig_feed feed, const struct dfota_at_config *config)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->feed = feed;
	rig->now = 1000000;
	rig->max = 4096;
	rig->fail_after = SIZE_MAX;
	dfota_at_init(&rig->at, config, rig->now);
	return rig;
}

struct rig *rig_new(enum rig_feed feed)
{
	struct rig *rig = rig_new_with(feed, &rig_config);

	rig_say(rig, "ATE0\r");
	rig_pass(rig, 1000);
	rig_forget(rig);
	return rig;
}

void rig_free(struct rig *rig)
{
	free(rig);
}

void rig_drain(struct rig *rig)
{
	size_t bytes;

	do {
		uint8_t *exact = malloc(rig->max); /* so that a sanitizer sees its end */

		assert_non_null(exact);
		bytes = dfota_at_output(&rig->at, exact, rig->max, rig->now);
		assert_true(bytes <= rig->max && bytes <= RIG_OUT_MAX - rig->out_bytes);
		memcpy(rig->out + rig->out_bytes, exact, bytes);
		free(exact);
		rig->out_bytes += bytes;
		if (bytes > 0) {
			assert_true(rig->piece_count < RIG_PIECES_MAX);
			rig->piece_ms[rig->piece_count] = rig->now;
			rig->piece_end[rig->piece_count++] = rig->out_bytes;
		}
	} while (bytes > 0);
}

void rig_send(struct rig *rig, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;

	while (count > 0) {
		size_t offered = rig->feed == FEED_ALL ? count : 1;
		size_t taken = dfota_at_input(&rig->at, at, offered, rig->now);

		assert_true(taken <= offered);
		at += taken;
		count -= taken;
		if (taken < offered || rig->feed == FEED_BYTES_DRAINED) {
			size_t before = rig->out_bytes;

			rig_drain(rig);
			assert_true(taken > 0 || rig->out_bytes > before);
		}
	}
}

void rig_say(struct rig *rig, const char *text)
{
	rig_send(rig, text, strlen(text));
	rig_drain(rig);
}

void rig_pass(struct rig *rig, uint64_t ms)
{
	uint64_t end = rig->now + ms;

	for (;;) {
		uint64_t wait = dfota_at_tick(&rig->at, rig->now);

		rig_drain(rig);
		wait = wait < 1 ? 1 : wait;
		if (wait > end - rig->now) {
			rig->now = end;
			dfota_at_tick(&rig->at, rig->now);
			rig_drain(rig);
			return;
		}
		rig->now += wait;
	}
}

void rig_forget(struct rig *rig)
{
	rig->out_bytes = rig->piece_count = 0;
}

static void print_bytes(const char *what, const char *bytes, size_t count)
{
	fprintf(stderr, "%s \"", what);
	for (size_t i = 0; i < count && i < 2000; i++) {
		if (bytes[i] == '\r' || bytes[i] == '\n')
			fprintf(stderr, "\\%c", bytes[i] == '\r' ? 'r' : 'n');
		else if (bytes[i] < ' ' || bytes[i] > '~')
			fprintf(stderr, "\\x%02x", (unsigned)(uint8_t)bytes[i]);
		else
			fputc(bytes[i], stderr);
	}
	fprintf(stderr, "\"\n");
}

static void expect(const char *got, size_t got_bytes, const char *want, size_t want_bytes,
		   const char *file, int line)
{
	if (got_bytes == want_bytes && memcmp(got, want, want_bytes) == 0)
		return;
	print_bytes("got   ", got, got_bytes);
	print_bytes("wanted", want, want_bytes);
	_fail(file, line);
}

void rig_expect_at(struct rig *rig, const void *bytes, size_t count, const char *file, int line)
{
	expect(rig->out, rig->out_bytes, bytes, count, file, line);
	rig_forget(rig);
}

void rig_expect_piece_at(struct rig *rig, size_t index, const char *text, const char *file,
			 int line)
{
	size_t start = index > 0 && index <= rig->piece_count ? rig->piece_end[index - 1] : 0;
	size_t end = index < rig->piece_count ? rig->piece_end[index] : start;

	expect(rig->out + start, end - start, text, strlen(text), file, line);
}

uint32_t rig_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

void rig_fill(uint8_t *bytes, size_t count, uint64_t seed)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)rig_random(&seed);
}

uint16_t rig_checksum(const uint8_t *bytes, size_t count)
{
	unsigned sum = 0;

	for (size_t i = 0; i < count; i += 2)
		sum ^= (unsigned)bytes[i] * 256 + (i + 1 < count ? bytes[i + 1] : 0u);
	return (uint16_t)sum;
}
