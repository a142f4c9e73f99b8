/* SPDX-License-Identifier: MIT
 *
 * Whatever comes, in whatever pieces: output stays framed, nothing depends on the split, the engine
 * comes to rest, and a good command still works.
 *
 * usage: test_at_noise [SEED [ROUNDS]]
 */
#include "rig.h"

static uint64_t seed = 20230307, rounds = 3000;

static uint32_t below(uint64_t *random, uint32_t limit)
{
	return rig_random(random) % limit;
}

/* ---- noise
 * --------------------------------------------------------------------------------------- */

static void test_a_good_command_works_after_every_byte_value(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		for (enum rig_feed feed = 0; feed < FEED_KINDS; feed++) {
			struct rig *rig = rig_new(feed);
			uint8_t all[256];

			for (unsigned i = 0; i < 256; i++)
				all[i] = (uint8_t)(first + i);
			rig_send(rig, all + 255, 1);
			rig_send(rig, all, sizeof(all));
			rig_say(rig, "AT\r");
			rig_expect(rig, OK);
			rig_free(rig);
		}
	}
}

static void test_a_byte_within_a_command_spoils_that_command_at_most(void **state)
{
	(void)state;
	for (unsigned value = 0; value < 256; value++) {
		struct rig *rig = rig_new(value % 2 ? FEED_ALL : FEED_BYTES);
		char line[] = "AT+SH?OW=\"x\"\r";

		line[5] = (char)value;
		rig_send(rig, line, strlen("AT+SHxOW=\"x\"\r"));
		rig_drain(rig);
		/* spaces and line feeds do not count; deleting leaves SOW; a semicolon or a CR ends
		 * early */
		rig_expect(rig, value == ' ' || value == '\n' ? LINES("+SHOW: W,<x>") OK : ERROR);
		rig_say(rig, "AT\r");
		rig_expect(rig, OK);
		rig_free(rig);
	}
}

static void test_a_good_command_works_after_random_noise(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (uint64_t round = 0; round < rounds; round++) {
		struct rig *rig = rig_new((enum rig_feed)(round % FEED_KINDS));
		uint8_t noise[3000];
		size_t count = below(&random, sizeof(noise));

		rig_fill(noise, count, seed + round);
		rig_send(rig, noise, count);
		rig_drain(rig);
		rig_say(rig, "\rATZE0\r"); /* noise may well say ATZ or ATE1 */
		rig_forget(rig);
		rig_say(rig, "AT+CGMR\r");
		rig_expect(rig, LINES("BG770AGLAAR01A05") OK);
		rig_free(rig);
	}
}

/* ---- any split gives the same
 * -------------------------------------------------------------------- */

static const char *const tokens[] = {
	"AT",
	"at",
	"A/",
	"A",
	"\r",
	"\r",
	"\r\n",
	"\n",
	"\b",
	"\x7f",
	";",
	"=",
	"?",
	"=?",
	",",
	"\"",
	" ",
	"+SHOW",
	"+CGMR",
	"I",
	"X4",
	"&C1",
	"&F",
	"Z",
	"E0",
	"E1",
	"V0",
	"V1",
	"Q0",
	"Q1",
	"S3=",
	"S4=",
	"S5=",
	"S3?",
	"13",
	"10",
	"8",
	"0",
	"1",
	"255",
	"18446744073709551616",
	"+CMEE=",
	"2",
	"+FAIL=405",
	"+FAIL",
	"+SILENT",
	"+TALK=",
	"+URC",
	"AT+UP=",
	"AT+UP=1,5,1\r",
	"AT+UP=100,5,0\r\n",
	"AT+UP=2000,5,1\r",
	"abc",
	"AT+DOWN=",
	"AT+DOWN=3000\r",
	"AT+GET=3000\r",
	"AT+PUT=100\r",
	"+++",
	"+",
	"AT+SHOW=1,\"a;b\",,4\r",
	"ATI\r",
	"ATZ\r",
	"AT&F\r",
	"ATE0\r",
};

static size_t stream_make(uint8_t *bytes, size_t max, uint64_t *random)
{
	size_t count = 0, pieces = below(random, 200);

	while (pieces-- > 0) {
		const char *token = tokens[below(random, COUNT(tokens))];
		size_t more = strlen(token);

		if (below(random, 20) == 0) {
			more = below(random, 300);
			if (count + more > max)
				break;
			rig_fill(bytes + count, more, *random);
		} else if (count + more > max) {
			break;
		} else {
			memcpy(bytes + count, token, more);
		}
		count += more;
	}
	return count;
}

/* Offers the bytes in pieces of the given size, 0 = of random ones. */
static void stream_send(struct rig *rig, const uint8_t *bytes, size_t count, size_t split,
			uint64_t random)
{
	rig->feed = split == 1 ? FEED_BYTES : FEED_ALL;
	while (count > 0) {
		size_t piece = split ? split : 1 + below(&random, 50);

		piece = piece < count ? piece : count;
		rig_send(rig, bytes, piece);
		bytes += piece;
		count -= piece;
	}
	rig_drain(rig);
}

/* The end of everything: data mode times out, held-back URCs go. */
static void come_to_rest(struct rig *rig)
{
	dfota_at_hold_urcs(&rig->at, false);
	for (int i = 0; i < 3 && !dfota_at_idle(&rig->at); i++)
		rig_pass(rig, 1u << 31);
	assert_true(dfota_at_idle(&rig->at));
	assert_true(dfota_at_tick(&rig->at, rig->now) == UINT64_MAX);
}

static void test_the_output_does_not_depend_on_the_split(void **state)
{
	static uint8_t bytes[4000];
	uint64_t random = seed;

	(void)state;
	for (uint64_t round = 0; round < rounds; round++) {
		size_t count = stream_make(bytes, sizeof(bytes), &random);
		struct rig *whole = rig_new(FEED_ALL), *parts = rig_new(FEED_ALL);
		size_t split = round % 3 == 0 ? 1 : round % 3 == 1 ? 0 : 64;

		stream_send(whole, bytes, count, count ? count : 1, random);
		stream_send(parts, bytes, count, split, random);
		if (whole->out_bytes != parts->out_bytes)
			print_message("seed %llu, round %llu\n", (unsigned long long)seed,
				      (unsigned long long)round);
		assert_int_equal(whole->runs, parts->runs);
		assert_int_equal(whole->file_bytes, parts->file_bytes);
		rig_expect_at(parts, whole->out, whole->out_bytes, __FILE__, __LINE__);
		come_to_rest(whole);
		come_to_rest(parts);
		rig_free(whole);
		rig_free(parts);
	}
}

/* ---- framing and URCs while everything happens at once
 * --------------------------------------------- */

static const char *const calm[] = {
	/* commands that leave the settings alone, and noise without an A */
	"AT\r",
	"AT\r\n",
	"ATI\r",
	"AT+SHOW=1,\"+QIND\"\r",
	"AT+CGMR;+NOTHERE\r",
	"AT+FAIL=405\r",
	"AT+TALK=3\r",
	"AT+TALK=100\r",
	"AT+UP=10,5,1\r",
	"AT+UP=1500,5,1\r\n",
	"AT+DOWN=5000\r",
	"AT+GET=3000\r\n",
	"AT+PUT=10\r",
	"xyz",
	"\r\n",
	"+++",
	"AT",
	"+CGMR\r",
	"A/",
	"\xff\xff\xff\xff\xff\xff",
	"1234567890",
};

struct storm {
	struct rig *rig;
	uint64_t random;
	unsigned urc_next, urc_seen; /* numbers of those queued and of the last one that came */
	uint64_t urc_ms;
	unsigned lost;
};

static void storm_urc(struct storm *storm)
{
	char text[32];

	snprintf(text, sizeof(text), "+QIND: %u", ++storm->urc_next);
	if (!dfota_at_urc(&storm->rig->at, text, false))
		storm->urc_next--;
}

static void urc_check(struct storm *storm, const char *piece, size_t bytes)
{
	char want[40];

	snprintf(want, sizeof(want), LINES("+QIND: %u"), ++storm->urc_seen);
	assert_int_equal(bytes, strlen(want));
	assert_memory_equal(piece, want, bytes);
	assert_false(dfota_at_in_data(&storm->rig->at));
	assert_true(storm->urc_seen == 1 || storm->rig->now - storm->urc_ms >= 100);
	storm->urc_ms = storm->rig->now;
}

/* Takes one piece and judges it by itself. */
static bool storm_take(struct storm *storm)
{
	struct rig *rig = storm->rig;
	bool download = dfota_at_in_data(&rig->at) && rig->at.output_bytes == 0;
	static char piece[DFOTA_AT_OUTPUT_MAX];
	size_t bytes = dfota_at_output(&rig->at, (uint8_t *)piece, sizeof(piece), rig->now);

	if (bytes == 0)
		return false;
	if (download && piece[0] == 'd') {
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(piece[i], 'd');
	} else if (piece[0] == 'A') {
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(piece[i], 'A');
	} else {
		assert_true(bytes > 4);
		assert_memory_equal(piece, "\r\n", 2);
		assert_memory_equal(piece + bytes - 2, "\r\n", 2);
		if (bytes > 9 && memcmp(piece + 2, "+QIND: ", 7) == 0)
			urc_check(storm, piece, bytes);
		else
			assert_null(memmem(piece, bytes, "\r\n+QIND: ", 9));
	}
	return true;
}

static void storm_step(struct storm *storm)
{
	struct rig *rig = storm->rig;
	const char *token = calm[below(&storm->random, COUNT(calm))];
	size_t bytes = strlen(token), taken = 0;

	switch (below(&storm->random, 8)) {
	case 0:
		storm_urc(storm);
		break;
	case 1:
		dfota_at_hold_urcs(&rig->at, below(&storm->random, 4) == 0);
		break;
	case 2:
		rig->now += below(&storm->random, 3000);
		dfota_at_tick(&rig->at, rig->now);
		break;
	case 3:
	case 4:
		storm_take(storm);
		rig->now += below(&storm->random, 60);
		break;
	default:
		while (taken < bytes) {
			size_t piece = 1 + below(&storm->random, (uint32_t)(bytes - taken));
			size_t now = dfota_at_input(&rig->at, (const uint8_t *)token + taken, piece,
						    rig->now);

			assert_true(now <= piece);
			taken += now;
			if (now < piece)
				assert_true(storm_take(storm) || !dfota_at_in_data(&rig->at));
		}
	}
}

static void test_everything_at_once_stays_framed_and_in_order(void **state)
{
	(void)state;
	for (uint64_t round = 0; round < rounds / 10; round++) {
		struct storm storm = { .rig = rig_new(FEED_ALL), .random = seed + round };
		struct rig *rig = storm.rig;

		memset(rig->file, 'd', sizeof(rig->file));
		for (int step = 0; step < 400; step++) {
			storm_step(&storm);
			memset(rig->file, 'd',
			       sizeof(rig->file)); /* what the next download reads */
		}
		dfota_at_hold_urcs(&rig->at, false);
		for (int i = 0; i < 100000 && !dfota_at_idle(&rig->at); i++) {
			if (storm_take(&storm))
				continue;
			rig->now += 50;
			dfota_at_tick(&rig->at, rig->now);
		}
		assert_true(dfota_at_idle(&rig->at));
		assert_int_equal(storm.urc_seen, storm.urc_next); /* none lost */
		rig_say(rig, "\r");
		rig_forget(rig);
		rig_say(rig, "AT\r");
		rig_expect(rig, OK);
		rig_free(rig);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_command_works_after_every_byte_value),
		cmocka_unit_test(test_a_byte_within_a_command_spoils_that_command_at_most),
		cmocka_unit_test(test_a_good_command_works_after_random_noise),
		cmocka_unit_test(test_the_output_does_not_depend_on_the_split),
		cmocka_unit_test(test_everything_at_once_stays_framed_and_in_order),
	};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		rounds = strtoull(argv[2], NULL, 0);
	printf("replay: %s %llu %llu\n", argv[0], (unsigned long long)seed,
	       (unsigned long long)rounds);
	return cmocka_run_group_tests_name("at/noise", tests, NULL, NULL);
}
