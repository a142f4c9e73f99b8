/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../fuzz/choices.h"
#include "../../src/codec/btf.h"
#include "../../src/codec/predict.h"

/* ---- coder -------------------------------------------------------------------------------------
 */

#define BITS_MAX 400000u

struct stream {
	uint8_t bytes[BITS_MAX];
	size_t count;
};

static struct stream stream;

struct decision {
	uint32_t p; /* of a 1 */
	uint8_t bit;
};

static void encode(const struct decision *decisions, size_t count)
{
	struct coder coder;

	coder_start_encoding(&coder, stream.bytes, sizeof(stream.bytes));
	for (size_t i = 0; i < count; i++)
		coder_bit(&coder, decisions[i].p, decisions[i].bit);
	assert_int_equal(coder_finish(&coder), 0);
	stream.count = coder.output_bytes;
}

/* Whether the first `bytes` bytes of the stream are exactly these decisions. */
static bool decodes_to(const struct decision *decisions, size_t count, size_t bytes)
{
	struct dfota_memory memory = { stream.bytes, bytes };
	struct dfota_source source = dfota_memory_source(&memory);
	struct coder coder;
	bool same = true;

	coder_start_decoding(&coder, &source, bytes);
	for (size_t i = 0; i < count; i++)
		same &= coder_bit(&coder, decisions[i].p, 0) == decisions[i].bit;
	return coder_finish(&coder) == 0 && same;
}

static void test_every_pattern_of_bits_comes_back(void **state)
{
	static const uint32_t p[] = { 1, 2, 300, 32768, 65000, 65534, 65535 };

	(void)state;
	for (size_t k = 0; k < sizeof(p) / sizeof(p[0]); k++) {
		for (uint32_t pattern = 0; pattern < 1u << 10; pattern++) {
			struct decision decisions[10];

			for (unsigned i = 0; i < 10; i++)
				decisions[i] = (struct decision){ p[(k + i * (pattern & 1)) % 7],
								  pattern >> i & 1 };
			encode(decisions, 10);
			assert_true(decodes_to(decisions, 10, stream.count));
		}
	}
}

static void test_a_stream_ends_as_early_as_it_can(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct decision decisions[200];
		size_t count = random_below(&random, 200);

		for (size_t i = 0; i < count; i++) {
			uint32_t p = 1 + random_next(&random) % 65535;

			decisions[i] = (struct decision){ p, random_below(&random, 65536) < p };
		}
		encode(decisions, count);
		assert_true(decodes_to(decisions, count, stream.count));
		if (stream.count > 0) /* with its last byte missing it is not the same or refused */
			assert_false(decodes_to(decisions, count, stream.count - 1));
	}
}

static void test_too_long_a_stream_is_refused(void **state)
{
	struct decision decisions[64];

	(void)state;
	for (size_t i = 0; i < 64; i++)
		decisions[i] = (struct decision){ 32768, (uint8_t)(i % 3 == 0) };
	encode(decisions, 64);
	memset(stream.bytes + stream.count, 0x55, 16);
	assert_false(decodes_to(decisions, 64, stream.count + 5));
}

/* Powers of two cost whole bits, so the length is known. */
static void test_a_stream_is_as_long_as_its_information(void **state)
{
	static struct decision decisions[100000];
	uint32_t random = 2;
	uint64_t bits = 0;

	(void)state;
	for (size_t i = 0; i < 100000; i++) {
		uint32_t shift = 1 + random_below(&random, 12);

		decisions[i] = (struct decision){ 65536u >> shift, 1 };
		bits += shift;
	}
	encode(decisions, 100000);
	assert_in_range(stream.count, bits / 8, bits / 8 + bits / 8000 + 4);
}

/* What coding `bit` at `p` adds to what was written, in 1/65536 bit. */
static uint64_t cost(struct coder *coder, uint32_t p, unsigned bit)
{
	uint64_t before = coder_written(coder);

	coder_bit(coder, p, bit);
	return coder_written(coder) - before;
}

static void test_a_decision_costs_what_its_chance_says(void **state)
{
	struct coder coder;
	uint32_t random = 11;
	uint64_t total = 0;

	(void)state;
	coder_start_encoding(&coder, stream.bytes, sizeof(stream.bytes));
	assert_int_equal(coder_written(&coder), 0);
	for (unsigned i = 0; i < 100000; i++) {
		/* bits in 1/65536 of a chance of p / 65536 and of the other one */
		static const struct {
			uint32_t p, yes, no;
		} known[] = { { 32768, 65536, 65536 },
			      { 16384, 131072, 27200 },
			      { 8192, 196608, 12625 },
			      { 1, 1048576, 1 },
			      { 65535, 1, 1048576 } };
		unsigned k = random_below(&random, 5), bit = random_next(&random) & 1;
		uint32_t range = coder.high - coder.low;
		uint64_t now = cost(&coder, known[k].p, bit),
			 exact = bit ? known[k].yes : known[k].no;

		total += now;
		if (range >> 28) /* the coder itself is inexact when its range is small */
			assert_in_range(now, exact > 64 ? exact - 64 : 0, exact + 64);
	}
	assert_int_equal(total, coder_written(&coder));
	assert_int_equal(coder_finish(&coder), 0);
	assert_in_range(total >> 19, coder.output_bytes - 5, coder.output_bytes);
}

static void test_exhaustion_is_told_and_an_error_kept(void **state)
{
	struct dfota_memory memory = { (const uint8_t *)"\x9a\x03\x77", 3 };
	struct dfota_source source = dfota_memory_source(&memory);
	struct coder coder;
	unsigned taken = 0;

	(void)state;
	coder_start_decoding(&coder, &source, 3);
	assert_false(coder_exhausted(&coder));
	for (; !coder_exhausted(&coder) && taken < 1000; taken++)
		coder_bit(&coder, 32768, 0);
	assert_in_range(taken, 8, 8 * (3 + 4 + CODER_SLACK + 1));
	assert_int_equal(coder_finish(&coder), DFOTA_E_CORRUPT);
	memory.bytes = 1; /* less than the coder is told: the source refuses */
	coder_start_decoding(&coder, &source, 3);
	assert_true(coder_exhausted(&coder));
	assert_true(coder.error != 0);
	assert_int_equal(coder_finish(&coder), coder.error);
}

static void test_a_stream_without_room_is_counted_and_refused(void **state)
{
	struct coder coder;
	uint8_t room[4] = { 1, 2, 3, 4 };

	(void)state;
	coder_start_encoding(&coder, room, 3);
	for (unsigned i = 0; i < 80; i++)
		coder_bit(&coder, 32768, i & 1);
	assert_int_equal(coder_finish(&coder), DFOTA_E_SPACE);
	assert_in_range(coder.output_bytes, 10, 11);
	assert_int_equal(room[3], 4);
}

/* ---- model -------------------------------------------------------------------------------------
 */

static struct predict *predict;

static int set_up(void **state)
{
	struct dfota_codec_image image = { .old_bytes = 1 << 20, .new_bytes = 1 << 20 };
	size_t bytes = predict_workspace_bytes(&image.map);
	struct codec_arena arena = { malloc(bytes), bytes };

	*state = arena.at;
	return arena.at ? predict_open(&predict, &image, &arena) : -1;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static uint32_t squash(int32_t x)
{
	return predict->model.squash[x + MODEL_STRETCH_MAX];
}

static void test_squash_rises_and_stays_a_probability(void **state)
{
	uint32_t before = 0;

	(void)state;
	for (int32_t x = -MODEL_STRETCH_MAX; x <= MODEL_STRETCH_MAX; x++) {
		uint32_t p = squash(x);

		assert_in_range(p, 1, 65535);
		assert_true(p >= before);
		assert_int_equal(p + squash(-x), 65536);
		before = p;
	}
	assert_int_equal(squash(0), 32768);
}

static void test_stretch_undoes_squash(void **state)
{
	const int16_t *stretch = predict->model.stretch;

	(void)state;
	for (uint32_t i = 0; i < MODEL_STRETCHES; i++) {
		uint32_t p = ((2 * (64 + i % 64) + 1) << (i / 64)) / 2 - 64; /* of 2^22 */

		assert_in_range(stretch[i], 0, MODEL_STRETCH_MAX);
		if (i > 0)
			assert_true(stretch[i - 1] >= stretch[i]);
		if (stretch[i] < MODEL_STRETCH_MAX && p < 1u << 21)
			assert_in_range(64 * squash(-stretch[i]) + p / 64 + 64 - p, 0, p / 32 + 128);
	}
}

/* Bits that follow from their context nine times of ten; returns the bytes that they take. */
static size_t code_bits(bool encoding, const struct dfota_source *source, size_t bytes,
			uint8_t *bits, size_t count)
{
	struct model *model = &predict->model;
	struct model_mixer *mixer = &predict->prelude_mixer;
	uint32_t last = 0;

	prelude_start(model, mixer, &predict->map);
	if (encoding)
		coder_start_encoding(model->coder, stream.bytes, sizeof(stream.bytes));
	else
		coder_start_decoding(model->coder, source, bytes);
	for (size_t i = 0; i < count; i++) {
		uint32_t select[MODEL_SETS] = { (uint32_t)i % PRELUDE_ROWS };

		model_begin(model);
		for (uint32_t c = 0; c < PRELUDE_CONTEXTS; c++)
			model_context(model, model_hash3(last & ((1u << c) - 1), c, 7));
		bits[i] = (uint8_t)model_code(model, mixer, select, bits[i]);
		last = last << 1 | bits[i];
	}
	assert_int_equal(coder_finish(model->coder), 0);
	return encoding ? model->coder->output_bytes : 0;
}

static void test_what_is_learned_is_the_same_both_ways(void **state)
{
	static uint8_t bits[20000], decoded[20000];
	struct dfota_memory memory = { stream.bytes, 0 };
	struct dfota_source source = dfota_memory_source(&memory);
	uint32_t random = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(bits); i++) /* what came three before, with noise */
		bits[i] = (i < 3 ? 1 : bits[i - 3]) ^ (random_below(&random, 20) == 0);
	memory.bytes = code_bits(true, NULL, 0, bits, sizeof(bits));
	assert_in_range(memory.bytes, 700, 1000); /* 20000 bits of 0.29 bit each are 716 bytes */
	code_bits(false, &source, (size_t)memory.bytes, decoded, sizeof(decoded));
	assert_memory_equal(bits, decoded, sizeof(bits));
}

/* ---- BTF ---------------------------------------------------------------------------------------
 */

#define INFO(kind, count) ((uint32_t)(kind) << 24 | (count))

static const struct {
	uint32_t word;
	enum fixed_role role;
	bool ends; /* a record starts behind it */
} btf_words[] = {
	/* int */
	{ 1, ROLE_STRING, false },
	{ INFO(1, 0), ROLE_NONE, false },
	{ 4, ROLE_NONE, false },
	{ 0x20, ROLE_NONE, true },
	/* pointer, its flag set */
	{ 0, ROLE_STRING, false },
	{ 0x80000000 | INFO(2, 0), ROLE_NONE, false },
	{ 1, ROLE_TYPE, true },
	/* array: element, index, number */
	{ 0, ROLE_STRING, false },
	{ INFO(3, 0), ROLE_NONE, false },
	{ 0, ROLE_NONE, false },
	{ 1, ROLE_TYPE, false },
	{ 2, ROLE_TYPE, false },
	{ 8, ROLE_NONE, true },
	/* struct of two */
	{ 9, ROLE_STRING, false },
	{ INFO(4, 2), ROLE_NONE, false },
	{ 16, ROLE_NONE, false },
	{ 11, ROLE_STRING, false },
	{ 1, ROLE_TYPE, false },
	{ 0, ROLE_NONE, false },
	{ 13, ROLE_STRING, false },
	{ 2, ROLE_TYPE, false },
	{ 64, ROLE_NONE, true },
	/* union of none */
	{ 9, ROLE_STRING, false },
	{ INFO(5, 0), ROLE_NONE, false },
	{ 0, ROLE_NONE, true },
	/* enum of one */
	{ 15, ROLE_STRING, false },
	{ INFO(6, 1), ROLE_NONE, false },
	{ 4, ROLE_NONE, false },
	{ 17, ROLE_STRING, false },
	{ 3, ROLE_NONE, true },
	/* function prototype of two */
	{ 0, ROLE_STRING, false },
	{ INFO(13, 2), ROLE_NONE, false },
	{ 1, ROLE_TYPE, false },
	{ 19, ROLE_STRING, false },
	{ 1, ROLE_TYPE, false },
	{ 0, ROLE_STRING, false },
	{ 0, ROLE_TYPE, true },
	/* variable, tag of a declaration */
	{ 21, ROLE_STRING, false },
	{ INFO(14, 0), ROLE_NONE, false },
	{ 1, ROLE_TYPE, false },
	{ 1, ROLE_NONE, true },
	{ 21, ROLE_STRING, false },
	{ INFO(17, 0), ROLE_NONE, false },
	{ 1, ROLE_TYPE, false },
	{ 1, ROLE_NONE, true },
	/* section of one, enum of 64 bits of one, a kind that nobody knows */
	{ 23, ROLE_STRING, false },
	{ INFO(15, 1), ROLE_NONE, false },
	{ 4, ROLE_NONE, false },
	{ 1, ROLE_TYPE, false },
	{ 0, ROLE_NONE, false },
	{ 8, ROLE_NONE, true },
	{ 25, ROLE_STRING, false },
	{ INFO(19, 1), ROLE_NONE, false },
	{ 8, ROLE_NONE, false },
	{ 27, ROLE_STRING, false },
	{ 0, ROLE_NONE, false },
	{ 1, ROLE_NONE, true },
	{ 0, ROLE_STRING, false },
	{ INFO(30, 7), ROLE_NONE, false },
	{ 0, ROLE_NONE, true },
};

static void test_records_of_btf_are_followed(void **state)
{
	struct btf_walk walk = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(btf_words) / sizeof(btf_words[0]); i++) {
		assert_int_equal(btf_role(&walk), btf_words[i].role);
		assert_int_equal(btf_step(&walk, btf_words[i].word), btf_words[i].ends);
	}
}

/* A walker may be handed any state by a chunk. */
static void test_a_walker_in_any_state_comes_to_a_record(void **state)
{
	uint32_t random = 3;

	(void)state;
	for (unsigned i = 0; i < 8 * 32 * 64; i++) {
		struct btf_walk walk = { i & 7, i >> 3 & 31, random_below(&random, 1u << 18) };
		unsigned steps = 0;

		if (i % 5 == 0)
			walk.left = i % 2 ? UINT32_MAX : 0;
		do
			assert_in_range(btf_role(&walk), ROLE_NONE, ROLE_STRING);
		while (!btf_step(&walk, random_next(&random)) && ++steps < 1u << 19);
		assert_true(steps < 1u << 19);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pattern_of_bits_comes_back),
		cmocka_unit_test(test_a_stream_ends_as_early_as_it_can),
		cmocka_unit_test(test_too_long_a_stream_is_refused),
		cmocka_unit_test(test_a_stream_is_as_long_as_its_information),
		cmocka_unit_test(test_a_decision_costs_what_its_chance_says),
		cmocka_unit_test(test_exhaustion_is_told_and_an_error_kept),
		cmocka_unit_test(test_a_stream_without_room_is_counted_and_refused),
		cmocka_unit_test_setup_teardown(test_squash_rises_and_stays_a_probability, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stretch_undoes_squash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_learned_is_the_same_both_ways, set_up,
						tear_down),
		cmocka_unit_test(test_records_of_btf_are_followed),
		cmocka_unit_test(test_a_walker_in_any_state_comes_to_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
