/* SPDX-License-Identifier: MIT
 *
 * The dialogue of fwupd with a module, byte for byte, as its rules demand: an answer is one read of
 * at most 64 bytes, acknowledgements are counted by chunk, the last chunk is padded, the first URC
 * of a read is the only one seen.
 */
#include "rig.h"

#define CHUNK	 2048u
#define FILE_MAX (6u << 20)

/* The module: one file, one upgrade. */
struct module {
	struct rig *rig;
	uint8_t file[FILE_MAX];
	uint64_t bytes;
	bool present, started;
};

static int file_data(void *context, const uint8_t *bytes, size_t count)
{
	struct module *module = context;

	if (count > sizeof(module->file) - module->bytes)
		return 423;
	memcpy(module->file + module->bytes, bytes, count);
	module->bytes += count;
	return 0;
}

static int file_end(void *context, uint64_t received, uint16_t checksum)
{
	struct module *module = context;

	(void)checksum;
	module->present = true;
	return received == module->bytes ? 0 : 409;
}

static bool named(const struct dfota_at_request *request, const char *a, const char *b)
{
	const struct dfota_at_param *name = &request->params[0];

	return name->kind == DFOTA_AT_STRING && (!strcmp(name->text, a) || !strcmp(name->text, b));
}

static int list(void *context, struct dfota_at *at, const struct dfota_at_request *request)
{
	const struct module *module = context;

	if (request->form == DFOTA_AT_TEST)
		return DFOTA_AT_OK;
	if (!module->present || !named(request, "UFS:dfota_update.bin", "dfota_update.bin"))
		return 405;
	dfota_at_line(at, "+QFLST: \"%s\",%llu", request->params[0].text,
		      (unsigned long long)module->bytes);
	return DFOTA_AT_OK;
}

static int delete (void *context, struct dfota_at *at, const struct dfota_at_request *request)
{
	struct module *module = context;

	(void)at;
	if (!module->present || !named(request, "UFS:dfota_update.bin", "dfota_update.bin"))
		return 405;
	module->present = false;
	return DFOTA_AT_OK;
}

static int upload(void *context, struct dfota_at *at, const struct dfota_at_request *request)
{
	struct module *module = context;
	const struct dfota_at_sink sink = { file_data, file_end, module };

	if (request->param_count != 4 || module->present)
		return 407;
	module->bytes = 0;
	dfota_at_upload(at, "+QFUPL", request->params[1].number, request->params[2].number * 1000,
			request->params[3].number, &sink);
	return DFOTA_AT_DATA;
}

static int start(void *context, struct dfota_at *at, const struct dfota_at_request *request)
{
	struct module *module = context;

	(void)at;
	if (request->form == DFOTA_AT_TEST)
		return DFOTA_AT_OK;
	if (!module->present || !named(request, "/data/ufs/dfota_update.bin", ""))
		return DFOTA_AT_ERROR;
	module->started = true;
	return DFOTA_AT_OK;
}

static const struct dfota_at_command commands[] = {
	{ "+QFLST", 1u << DFOTA_AT_TEST | 1u << DFOTA_AT_WRITE, list },
	{ "+QFDEL", 1u << DFOTA_AT_WRITE, delete },
	{ "+QFUPL", 1u << DFOTA_AT_WRITE, upload },
	{ "+QFOTADL", 1u << DFOTA_AT_TEST | 1u << DFOTA_AT_WRITE, start },
};

static void module_boot(struct module *module)
{
	const struct dfota_at_config config = {
		.commands = commands,
		.command_count = COUNT(commands),
		.context = module,
		.cme_always = true,
	};

	rig_free(module->rig);
	module->rig = rig_new_with(FEED_ALL, &config);
}

/* fwupd's command: the echo may come first, the answer is one read and must hold OK within 64
 * bytes. */
static void command(struct module *module, bool echo, const char *line, const char *answer)
{
	struct rig *rig = module->rig;
	char sent[128], echoed[128];

	snprintf(sent, sizeof(sent), "%s\r\n", line);
	snprintf(echoed, sizeof(echoed), "%s\r", line);
	rig_forget(rig);
	rig_say(rig, sent);
	assert_int_equal(rig->piece_count, echo ? 2 : 1);
	if (echo)
		rig_expect_piece(rig, 0, echoed);
	rig_expect_piece(rig, echo ? 1 : 0, answer);
	assert_true(strlen(answer) <= 64);
}

/* Setup, as after each arrival of the port. */
static void set_up(struct module *module, bool echo)
{
	command(module, echo, "AT+QFLST=?", OK);
	if (module->present) {
		char answer[80];

		snprintf(answer, sizeof(answer), LINES("+QFLST: \"UFS:dfota_update.bin\",%u") OK,
			 (unsigned)module->bytes);
		command(module, echo, "AT+QFLST=\"UFS:dfota_update.bin\"", answer);
		command(module, echo, "AT+QFDEL=\"dfota_update.bin\"", OK);
		return;
	}
	for (int i = 0; i < 3; i++) {
		command(module, echo, "AT+QFLST=\"UFS:dfota_update.bin\"",
			LINES("+CME ERROR: 405"));
		rig_pass(module->rig, 3000);
	}
}

/* Stop and wait: each chunk is whole, the last one padded, and counts of A are those of its real
 * bytes. */
static void send_chunks(struct module *module, const uint8_t *package, size_t size,
			size_t read_size)
{
	struct rig *rig = module->rig;
	char result[64];

	rig_forget(rig);
	for (size_t at = 0; at < size; at += CHUNK) {
		size_t real = size - at < CHUNK ? size - at : CHUNK;
		uint8_t chunk[CHUNK];
		size_t acks = real / DFOTA_AT_ACK_BYTES;
		static const char all[] = "AA";

		memset(chunk, 0xff, sizeof(chunk));
		memcpy(chunk, package + at, real);
		for (size_t done = 0; done < CHUNK; done += read_size)
			rig_send(rig, chunk + done,
				 CHUNK - done < read_size ? CHUNK - done : read_size);
		rig_drain(rig);
		assert_memory_equal(rig->out, all, acks);
		if (real < CHUNK || at + real == size)
			break;
		assert_int_equal(rig->out_bytes, acks);
		rig_forget(rig);
		rig_pass(rig, 20);
	}
	snprintf(result, sizeof(result), LINES("+QFUPL: %zu,%x") OK, size,
		 rig_checksum(package, size));
	rig_expect_piece(rig, rig->piece_count - 1, result);
	assert_int_equal(rig->out_bytes, size % CHUNK / DFOTA_AT_ACK_BYTES +
					     (size % CHUNK == 0 ? CHUNK / DFOTA_AT_ACK_BYTES : 0) +
					     strlen(result));
}

static void reported(struct module *module)
{
	static const char *const urcs[] = {
		"+QIND: \"FOTA\",\"START\"",	   "+QIND: \"FOTA\",\"UPDATING\",0",
		"+QIND: \"FOTA\",\"UPDATING\",50", "+QIND: \"FOTA\",\"UPDATING\",100",
		"+QIND: \"FOTA\",\"END\",0",
	};
	struct rig *rig = module->rig;

	rig_forget(rig);
	for (size_t i = 0; i < COUNT(urcs); i++)
		assert_true(dfota_at_urc(&rig->at, urcs[i], i > 0 && i < 4));
	command(module, false, "AT+QFLST=?", OK); /* is still answered */
	rig_forget(rig);
	rig_pass(rig, 1000);
	assert_int_equal(rig->piece_count, COUNT(urcs));
	for (size_t i = 0; i < COUNT(urcs); i++) {
		char want[64];

		snprintf(want, sizeof(want), LINES("%s"), urcs[i]);
		rig_expect_piece(rig, i, want);
		assert_true(i == 0 || rig->piece_ms[i] - rig->piece_ms[i - 1] >= 100);
	}
}

static void upgrade(size_t size, bool echo, size_t read_size)
{
	struct module *module = calloc(1, sizeof(*module));
	uint8_t *package = malloc(size);
	char line[64];

	assert_non_null(module);
	assert_non_null(package);
	module_boot(module);
	rig_fill(package, size, size);
	if (!echo)
		rig_say(module->rig, "ATE0\r");
	set_up(module, echo);
	snprintf(line, sizeof(line), "AT+QFUPL=\"dfota_update.bin\",%zu,5,1", size);
	command(module, echo, line, LINES("CONNECT"));
	send_chunks(module, package, size, read_size);
	assert_int_equal(module->bytes, size);
	assert_memory_equal(module->file, package, size);
	command(module, echo, "AT+QFOTADL=\"/data/ufs/dfota_update.bin\"", OK);
	assert_true(module->started);
	module_boot(module); /* the port goes and comes back */
	rig_say(module->rig, "ATE0\r");
	set_up(module, false);
	assert_false(module->present);
	reported(module);
	module_boot(module);
	rig_say(module->rig, "ATE0\r");
	set_up(module, false);
	rig_free(module->rig);
	free(package);
	free(module);
}

static void test_packages_of_every_size_pass(void **state)
{
	static const size_t sizes[] = { 1,    1000, 1023, 1024, 1025, 2047, 2048,
					2049, 8192, 8193, 9216, 9217, 10117 };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		upgrade(sizes[i], false, CHUNK);
		upgrade(sizes[i], true, CHUNK);
		upgrade(sizes[i], false, 1);
		upgrade(sizes[i], false, 700);
	}
}

static void test_a_package_of_five_megabytes_passes(void **state)
{
	(void)state;
	upgrade(5000000, true, CHUNK);
	upgrade(5u << 20, false, 1000);
}

/* Repeated commands, as after an answer that was lost. */
static void test_a_repeated_start_is_answered_again(void **state)
{
	struct module *module = calloc(1, sizeof(*module));

	(void)state;
	assert_non_null(module);
	module_boot(module);
	rig_say(module->rig, "ATE0\r");
	command(module, false, "AT+QFUPL=\"dfota_update.bin\",4,5,1", LINES("CONNECT"));
	rig_say(module->rig, "abcd");
	command(module, false, "AT+QFUPL=\"dfota_update.bin\",4,5,1", LINES("+CME ERROR: 407"));
	for (int i = 0; i < 3; i++)
		command(module, false, "AT+QFOTADL=\"/data/ufs/dfota_update.bin\"", OK);
	rig_free(module->rig);
	free(module);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packages_of_every_size_pass),
		cmocka_unit_test(test_a_package_of_five_megabytes_passes),
		cmocka_unit_test(test_a_repeated_start_is_answered_again),
	};

	return cmocka_run_group_tests_name("at/fwupd", tests, NULL, NULL);
}
