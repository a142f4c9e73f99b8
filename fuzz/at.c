/* SPDX-License-Identifier: MIT
 *
 * The AT engine and the host's reader under hostile bytes. The input is a program: an operation,
 * its argument, its bytes. What the engine says is fed to the reader, and so is the input itself.
 */
#include <stdlib.h>

#include "dfota/at.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define DOWNLOAD_MAX 100000u
#define REST_MS	     (70000u * 1000u) /* longer than any time-out */

static int sink_data(void *context, const uint8_t *bytes, size_t count)
{
	uint64_t *received = context;

	REQUIRE(count == 0 || bytes);
	*received += count;
	return *received > 5000 ? 409 : 0;
}

static int sink_end(void *context, uint64_t received, uint16_t checksum)
{
	const uint64_t *all = context;

	REQUIRE(received == 0 || *all > 0);
	return checksum == 0x1234 ? 420 : 0;
}

static int source_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	(void)context;
	REQUIRE(dfota_inside(offset, bytes, DOWNLOAD_MAX));
	memset(buffer, (int)(offset & 0xff), bytes);
	return offset > 50000 ? DFOTA_E_READ : 0;
}

static int show(void *context, struct dfota_at *at, const struct dfota_at_request *request)
{
	(void)context;
	REQUIRE(request->param_count <= DFOTA_AT_PARAMS_MAX && request->form <= DFOTA_AT_EXEC);
	for (uint32_t i = 0; i < request->param_count; i++) {
		const struct dfota_at_param *param = &request->params[i];

		REQUIRE(strlen(param->text) == param->text_bytes &&
			param->text_bytes < DFOTA_AT_LINE_MAX);
		dfota_at_line(at, "%s: %u,%llu,\"%s\"", request->name, (unsigned)param->kind,
			      (unsigned long long)param->number, param->text);
	}
	return request->basic > 9 ? (int)(request->basic & 0x3ff) : DFOTA_AT_OK;
}

static int upload(void *context, struct dfota_at *at, const struct dfota_at_request *request)
{
	const struct dfota_at_sink sink = { sink_data, sink_end, context };
	uint64_t timeout = request->params[1].number;

	*(uint64_t *)context = 0;
	dfota_at_upload(at, "+U", request->params[0].number, dfota_min64(timeout, 65535) * 1000,
			request->params[2].number != 0, &sink);
	return DFOTA_AT_DATA;
}

static int download(void *context, struct dfota_at *at, const struct dfota_at_request *request)
{
	const struct dfota_source source = { source_read, context };

	if (request->params[0].number > DOWNLOAD_MAX)
		return 423;
	dfota_at_download(at, "+D", request->params[0].number, &source);
	return DFOTA_AT_DATA;
}

static int get(void *context, struct dfota_at *at, const struct dfota_at_request *request)
{
	const struct dfota_source source = { source_read, context };

	if (request->params[0].number > DOWNLOAD_MAX)
		return 423;
	dfota_at_read(at, request->params[0].number, &source);
	return DFOTA_AT_DATA;
}

/* An upload without a name: a last line is the sink's affair, and this one has none. */
static int put(void *context, struct dfota_at *at, const struct dfota_at_request *request)
{
	const struct dfota_at_sink sink = { sink_data, sink_end, context };

	*(uint64_t *)context = 0;
	dfota_at_upload(at, NULL, request->params[0].number, 5000, false, &sink);
	return DFOTA_AT_DATA;
}

static const struct dfota_at_command commands[] = {
	{ "I", 1u << DFOTA_AT_EXEC, show },	{ "+S", 0xf, show },
	{ "+U", 1u << DFOTA_AT_WRITE, upload }, { "+D", 1u << DFOTA_AT_WRITE, download },
	{ "+G", 1u << DFOTA_AT_WRITE, get },	{ "+P", 1u << DFOTA_AT_WRITE, put },
};

/* Lines of a stream, and each as the classifier alone sees it. */
static void read_lines(struct dfota_at_reader *reader, const uint8_t *bytes, size_t count)
{
	while (count > 0) {
		struct dfota_at_event event, alone;
		bool ready;
		size_t taken = dfota_at_read_line(reader, bytes, count, &event, &ready);

		REQUIRE(taken > 0 && taken <= count && (ready || taken == count));
		bytes += taken;
		count -= taken;
		if (!ready)
			continue;
		REQUIRE(event.text[event.text_bytes] == '\0' &&
			event.text_bytes <= DFOTA_AT_LINE_MAX);
		REQUIRE(event.value >= -1 && event.fota <= DFOTA_FOTA_OTHER);
		dfota_at_classify(event.text, event.text_bytes, &alone);
		REQUIRE(alone.kind == event.kind && alone.value == event.value);
	}
}

static size_t take(struct dfota_at *at, struct dfota_at_reader *reader, size_t max, uint64_t now)
{
	uint8_t buffer[1024];
	size_t bytes = dfota_at_output(at, buffer, max, now);

	REQUIRE(bytes <= max);
	read_lines(reader, buffer, bytes);
	return bytes;
}

static void feed(struct dfota_at *at, struct dfota_at_reader *reader, const uint8_t *bytes,
		 size_t count, uint64_t now)
{
	while (count > 0) {
		size_t taken = dfota_at_input(at, bytes, count, now);

		REQUIRE(taken <= count);
		bytes += taken;
		count -= taken;
		if (taken == 0) /* it waits for its output to be taken */
			REQUIRE(take(at, reader, 1024, now) > 0 || !dfota_at_in_data(at));
	}
}

static void come_to_rest(struct dfota_at *at, struct dfota_at_reader *reader, uint64_t now)
{
	dfota_at_hold_urcs(at, false);
	for (unsigned i = 0; i < DFOTA_AT_URCS_MAX + 4; i++) {
		now += REST_MS;
		dfota_at_tick(at, now);
		while (take(at, reader, 1024, now) > 0)
			;
	}
	REQUIRE(dfota_at_idle(at) && !dfota_at_in_data(at));
	REQUIRE(dfota_at_tick(at, now) == UINT64_MAX);
}

static void run(struct dfota_at *at, struct dfota_at_reader *reader, const uint8_t *data,
		size_t size)
{
	uint64_t now = 1;

	while (size >= 2) {
		unsigned operation = data[0] & 7, argument = data[1];
		size_t bytes = operation < 4 && argument < size - 2 ? argument : size - 2;
		char text[8] = { 0 };

		data += 2;
		size -= 2;
		switch (operation) {
		case 4:
			take(at, reader, argument + 1, now);
			continue;
		case 5:
			now += (uint64_t)argument * 20;
			dfota_at_tick(at, now);
			continue;
		case 6:
			dfota_at_hold_urcs(at, argument & 1);
			if (argument & 0x80)
				dfota_at_hang_up(at);
			continue;
		case 7:
			memcpy(text, data, size < 7 ? size : 7);
			dfota_at_urc(at, text, argument & 1);
			continue;
		default:
			feed(at, reader, data, bytes, now);
			data += bytes;
			size -= bytes;
		}
	}
	come_to_rest(at, reader, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dfota_at_event event;
	struct dfota_at_reader reader = { 0 };
	static struct dfota_at at; /* large; begun afresh each time */
	uint64_t received = 0;
	struct dfota_at_config config = {
		.commands = commands,
		.command_count = sizeof(commands) / sizeof(commands[0]),
		.context = &received,
	};

	dfota_at_classify((const char *)data, size, &event);
	REQUIRE(event.text_bytes == size && event.value >= -1);
	read_lines(&reader, data, size);
	if (size == 0)
		return 0;
	config.cmee = data[0] % 3;
	config.cme_always = data[0] & 4;
	config.urc_gap_ms = data[0] & 8 ? 1 : 0;
	dfota_at_init(&at, &config, 1);
	reader = (struct dfota_at_reader){ 0 };
	run(&at, &reader, data + 1, size - 1);
	return 0;
}
