/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dfota/delta.h"

#define UNIT	512u
#define SEGMENT 1024u

/* Five new segments, seven old ones: one run kept, three written, one tail; three stash copies. */
struct fixture {
	struct dfota_delta_image image;
	uint8_t *bytes;
	size_t index_bytes, all_bytes;
	struct dfota_memory memory;
	struct dfota_source source;
};

static void fill_image(struct dfota_delta_image *image)
{
	image->header = (struct dfota_delta_header){
		.old_bytes = 6 * SEGMENT + 1,
		.new_bytes = 4 * SEGMENT + 513,
		.unit_bytes = UNIT,
		.segment_bytes = SEGMENT,
		.step_count = 5,
		.copy_count = 3,
		.prelude_bytes = 7,
		.chunk_bytes = 100 + 200 + 513,
		.stash_bytes = 3 * DFOTA_DELTA_STASH_BLOCK,
		.live_copies = 3,
		.codings = 3,
		.moved_bytes = 3000,
		.changed_bytes = 1000,
		.literal_bytes = 4 * SEGMENT + 513 - 4000,
	};
	image->steps = calloc(5, sizeof(*image->steps));
	image->copies = calloc(3, sizeof(*image->copies));
	image->prelude = malloc(7);
	image->chunks = malloc(image->header.chunk_bytes);
	assert_non_null(image->steps);
	assert_non_null(image->copies);
	assert_non_null(image->prelude);
	assert_non_null(image->chunks);
	memset(image->prelude, 'p', 7);
	memset(image->chunks, 'c', image->header.chunk_bytes);
	image->steps[0] = (struct dfota_delta_step){
		.segment = 4,
		.segments = 1,
		.changed_units = 3,
		.kind = DFOTA_STEP_DIRECT,
		.coding = 0,
		.copies = 2,
		.chunk_bytes = 513,
		.source = "source",
		.target = "target",
		.chunk = "chunk",
	};
	image->steps[1] = (struct dfota_delta_step){
		.segment = 1,
		.segments = 2,
		.kind = DFOTA_STEP_UNCHANGED,
		.target = "same",
	};
	image->steps[2] = (struct dfota_delta_step){
		.segment = 0,
		.segments = 1,
		.changed_units = 2,
		.kind = DFOTA_STEP_REDO,
		.coding = 1,
		.copies = 1,
		.chunk_bytes = 100,
	};
	image->steps[3] = (struct dfota_delta_step){
		.segment = 3,
		.segments = 1,
		.changed_units = 1,
		.kind = DFOTA_STEP_DIRECT,
		.coding = 1,
		.chunk_bytes = 200,
	};
	image->steps[4] = (struct dfota_delta_step){
		.segment = 5,
		.segments = 2,
		.kind = DFOTA_STEP_TAIL,
		.source = "tail",
	};
	image->copies[0] = (struct dfota_delta_copy){ 4100, 300, 0, 3 };
	image->copies[1] = (struct dfota_delta_copy){ 4098, 1000, 4000, 4 };
	image->copies[2] = (struct dfota_delta_copy){ 0, 1, 2 * DFOTA_DELTA_STASH_BLOCK, 3 };
}

static void encode(struct fixture *fixture)
{
	uint8_t *index;

	assert_int_equal(dfota_delta_write_index(&fixture->image, &index, &fixture->index_bytes),
			 0);
	fixture->all_bytes = fixture->index_bytes + fixture->image.header.chunk_bytes;
	fixture->bytes = realloc(index, fixture->all_bytes);
	assert_non_null(fixture->bytes);
	if (fixture->image.header.chunk_bytes)
		memcpy(fixture->bytes + fixture->index_bytes, fixture->image.chunks,
		       fixture->image.header.chunk_bytes);
	fixture->memory = (struct dfota_memory){ fixture->bytes, fixture->all_bytes };
	fixture->source = dfota_memory_source(&fixture->memory);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fill_image(&fixture->image);
	encode(fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	dfota_delta_image_free(&fixture->image);
	free(fixture->bytes);
	free(fixture);
	return 0;
}

static bool same_copy(const struct dfota_delta_copy *a, const struct dfota_delta_copy *b)
{
	return a->old_offset == b->old_offset && a->bytes == b->bytes &&
	       a->stash_offset == b->stash_offset && a->last_reader == b->last_reader;
}

static void assert_same_header(const struct dfota_delta_header *a,
			       const struct dfota_delta_header *b)
{
	assert_int_equal(a->old_bytes, b->old_bytes);
	assert_int_equal(a->new_bytes, b->new_bytes);
	assert_int_equal(a->unit_bytes, b->unit_bytes);
	assert_int_equal(a->segment_bytes, b->segment_bytes);
	assert_int_equal(a->step_count, b->step_count);
	assert_int_equal(a->copy_count, b->copy_count);
	assert_int_equal(a->copy_stream_bytes, b->copy_stream_bytes);
	assert_int_equal(a->prelude_bytes, b->prelude_bytes);
	assert_int_equal(a->chunk_bytes, b->chunk_bytes);
	assert_int_equal(a->stash_bytes, b->stash_bytes);
	assert_int_equal(a->live_copies, b->live_copies);
	assert_int_equal(a->codings, b->codings);
	assert_int_equal(a->moved_bytes, b->moved_bytes);
	assert_int_equal(a->changed_bytes, b->changed_bytes);
	assert_int_equal(a->literal_bytes, b->literal_bytes);
}

/* Opens and checks; frees its workspace, which is of exactly the announced size and badly aligned.
 */
static int open_and_check(const struct fixture *fixture)
{
	struct dfota_delta delta;
	uint8_t *workspace;
	size_t bytes;
	int error = dfota_delta_open(&delta, &fixture->source, fixture->all_bytes);

	if (error)
		return error;
	bytes = dfota_delta_check_bytes(&delta.header);
	workspace = malloc(bytes + 1);
	assert_non_null(workspace);
	assert_int_equal(dfota_delta_check(&delta, workspace, bytes - 1), DFOTA_E_MEMORY);
	error = dfota_delta_check(&delta, workspace + 1, bytes);
	free(workspace);
	return error;
}

static void test_round_trip(void **state)
{
	struct fixture *fixture = *state;
	struct dfota_delta delta;
	struct dfota_delta_cursor cursor;
	struct dfota_delta_step step;
	struct dfota_delta_copy copy;
	uint64_t at, expected;
	size_t copies = 0;

	assert_int_equal(open_and_check(fixture), 0);
	assert_int_equal(dfota_delta_open(&delta, &fixture->source, fixture->all_bytes), 0);
	assert_same_header(&delta.header, &fixture->image.header);
	assert_int_equal(dfota_delta_index_bytes(&delta.header), fixture->index_bytes);
	assert_memory_equal(fixture->bytes + delta.prelude_at, "ppppppp", 7);
	dfota_delta_rewind(&cursor, &delta);
	expected = fixture->index_bytes;
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(dfota_delta_next(&cursor, &step, &at), 0);
		assert_memory_equal(&step, &fixture->image.steps[i], sizeof(step));
		assert_int_equal(at, expected);
		expected += step.chunk_bytes;
		for (uint32_t j = 0; j < step.copies; j++) {
			assert_int_equal(dfota_delta_next_copy(&cursor, &copy), 0);
			assert_true(same_copy(&copy, &fixture->image.copies[copies]));
			copies++;
		}
		assert_int_equal(dfota_delta_next_copy(&cursor, &copy), DFOTA_E_NOT_FOUND);
	}
	assert_int_equal(dfota_delta_next(&cursor, &step, &at), DFOTA_E_NOT_FOUND);
	assert_int_equal(copies, 3);
}

static void test_unread_copies_are_skipped(void **state)
{
	struct fixture *fixture = *state;
	struct dfota_delta delta;
	struct dfota_delta_cursor cursor;
	struct dfota_delta_step step;
	struct dfota_delta_copy copy;
	uint64_t at;

	assert_int_equal(dfota_delta_open(&delta, &fixture->source, fixture->all_bytes), 0);
	dfota_delta_rewind(&cursor, &delta);
	for (int i = 0; i < 3; i++)
		assert_int_equal(dfota_delta_next(&cursor, &step, &at), 0);
	assert_int_equal(dfota_delta_next_copy(&cursor, &copy), 0);
	assert_true(same_copy(&copy, &fixture->image.copies[2]));
}

static void test_step_range_at_the_ends(void **state)
{
	struct fixture *fixture = *state;
	struct dfota_delta_step step = { .segment = 4, .segments = 1 };
	uint64_t offset, new_bytes, old_bytes;

	dfota_delta_step_range(&fixture->image.header, &step, &offset, &new_bytes, &old_bytes);
	assert_int_equal(offset, 4 * SEGMENT);
	assert_int_equal(new_bytes, 513);
	assert_int_equal(old_bytes, SEGMENT);
	step = (struct dfota_delta_step){ .segment = 5, .segments = 2 };
	dfota_delta_step_range(&fixture->image.header, &step, &offset, &new_bytes, &old_bytes);
	assert_int_equal(new_bytes, 0);
	assert_int_equal(old_bytes, SEGMENT + 1);
}

static void test_empty_images(void **state)
{
	struct fixture fixture = { .image.header = { .unit_bytes = UNIT,
						     .segment_bytes = SEGMENT } };

	(void)state;
	encode(&fixture);
	assert_int_equal(fixture.all_bytes, DFOTA_DELTA_HEADER_BYTES);
	assert_int_equal(open_and_check(&fixture), 0);
	free(fixture.bytes);
}

/* A field of the stored header is replaced; the delta must be refused. */
static void refuse_header(struct fixture *fixture, size_t at, size_t bytes, uint64_t value)
{
	uint8_t saved[8];
	int error;

	memcpy(saved, fixture->bytes + at, bytes);
	for (size_t i = 0; i < bytes; i++)
		fixture->bytes[at + i] = (uint8_t)(value >> (8 * i));
	error = open_and_check(fixture);
	if (error != DFOTA_E_CORRUPT)
		print_error("header byte %zu, value %llu: %d\n", at, (unsigned long long)value,
			    error);
	assert_int_equal(error, DFOTA_E_CORRUPT);
	memcpy(fixture->bytes + at, saved, bytes);
}

static void test_hostile_headers(void **state)
{
	struct fixture *fixture = *state;

	refuse_header(fixture, 0, 1, 'd');
	refuse_header(fixture, 3, 1, 0);
	refuse_header(fixture, 4, 4, 0);
	refuse_header(fixture, 4, 4, 511);
	refuse_header(fixture, 4, 4, 513);
	refuse_header(fixture, 4, 4, 2048);
	refuse_header(fixture, 4, 4, DFOTA_DELTA_UNIT_MAX * 2u);
	refuse_header(fixture, 8, 8, DFOTA_DELTA_IMAGE_MAX + 1);
	refuse_header(fixture, 8, 8, UINT64_MAX);
	refuse_header(fixture, 16, 8, UINT64_MAX);
	refuse_header(fixture, 16, 8, 0);
	refuse_header(fixture, 16, 8, 5 * SEGMENT + 1);
	refuse_header(fixture, 24, 4, 0);
	refuse_header(fixture, 24, 4, UNIT * 65);
	refuse_header(fixture, 24, 4, 0x80000000u);
	refuse_header(fixture, 28, 4, 4);
	refuse_header(fixture, 28, 4, UINT32_MAX);
	refuse_header(fixture, 32, 4, 0);
	refuse_header(fixture, 32, 4, 2);
	refuse_header(fixture, 32, 4, UINT32_MAX);
	refuse_header(fixture, 36, 4, 0);
	refuse_header(fixture, 36, 4, UINT32_MAX);
	refuse_header(fixture, 40, 8, 0);
	refuse_header(fixture, 40, 8, UINT64_MAX);
	refuse_header(fixture, 48, 4, UINT32_MAX);
	refuse_header(fixture, 52, 4, 0);
	refuse_header(fixture, 52, 4, 2 * DFOTA_DELTA_STASH_BLOCK);
	refuse_header(fixture, 52, 4, UINT32_MAX);
	refuse_header(fixture, 56, 4, 0);
	refuse_header(fixture, 56, 4, 2);
	refuse_header(fixture, 56, 4, 4);
	refuse_header(fixture, 60, 4, 1);
	refuse_header(fixture, 60, 4, 7);
	refuse_header(fixture, 64, 8, UINT64_MAX);
	refuse_header(fixture, 72, 8, 2000);
	assert_int_equal(open_and_check(fixture), 0);
}

static void test_newer_format_is_told_apart(void **state)
{
	struct fixture *fixture = *state;

	fixture->bytes[3] = DFOTA_DELTA_FORMAT + 1;
	assert_int_equal(open_and_check(fixture), DFOTA_E_FORMAT);
}

static void test_every_length_is_refused_but_the_right_one(void **state)
{
	struct fixture *fixture = *state;
	struct dfota_delta delta;

	for (size_t bytes = 0; bytes < fixture->all_bytes; bytes++)
		assert_int_equal(dfota_delta_open(&delta, &fixture->source, bytes),
				 DFOTA_E_CORRUPT);
	assert_int_equal(dfota_delta_open(&delta, &fixture->source, fixture->all_bytes + 1),
			 DFOTA_E_CORRUPT);
	assert_int_equal(dfota_delta_open(&delta, &fixture->source, UINT64_MAX), DFOTA_E_CORRUPT);
}

/* Puts a changed step into the stored bytes, past the writer's own checks. */
static void refuse_step(struct fixture *fixture, uint32_t index, size_t at, size_t bytes,
			uint64_t value)
{
	refuse_header(fixture, DFOTA_DELTA_HEADER_BYTES + index * DFOTA_DELTA_STEP_BYTES + at,
		      bytes, value);
}

static void test_hostile_steps(void **state)
{
	struct fixture *fixture = *state;

	refuse_step(fixture, 0, 0, 4, 0); /* twice the same segment */
	refuse_step(fixture, 0, 0, 4, 5); /* past the new end */
	refuse_step(fixture, 0, 0, 4, UINT32_MAX);
	refuse_step(fixture, 0, 4, 4, 0);
	refuse_step(fixture, 0, 4, 4, 2); /* a run where none may be */
	refuse_step(fixture, 1, 4, 4, 1); /* leaves a hole */
	refuse_step(fixture, 1, 4, 4, 5);
	refuse_step(fixture, 1, 4, 4, UINT32_MAX);
	refuse_step(fixture, 1, 0, 4, 0);
	refuse_step(fixture, 4, 0, 4, 4); /* tail inside the new image */
	refuse_step(fixture, 4, 4, 4, 1);
	refuse_step(fixture, 4, 4, 4, 3);
	refuse_step(fixture, 0, 8, 8, 0); /* writes nothing */
	refuse_step(fixture, 0, 8, 8, 4); /* unit past the segment */
	refuse_step(fixture, 2, 8, 8, 1ull << 63);
	refuse_step(fixture, 1, 8, 8, 1); /* run that writes */
	refuse_step(fixture, 0, 16, 1, DFOTA_STEP_UNCHANGED);
	refuse_step(fixture, 0, 16, 1, DFOTA_STEP_KIND_COUNT);
	refuse_step(fixture, 4, 16, 1, DFOTA_STEP_UNCHANGED);
	refuse_step(fixture, 0, 17, 1, 2); /* coding that the header does not have */
	refuse_step(fixture, 0, 17, 1, 32);
	refuse_step(fixture, 1, 17, 1, 1);
	refuse_step(fixture, 0, 18, 2, 3); /* shifts the copies of later steps */
	refuse_step(fixture, 0, 18, 2, 1);
	refuse_step(fixture, 1, 18, 2, 1);
	refuse_step(fixture, 2, 18, 2, UINT16_MAX);
	refuse_step(fixture, 0, 20, 4, 0);
	refuse_step(fixture, 0, 20, 4, 512);
	refuse_step(fixture, 0, 20, 4, 514); /* larger than its segment */
	refuse_step(fixture, 2, 20, 4, 1024);
	refuse_step(fixture, 1, 20, 4, 1);
	refuse_step(fixture, 1, 48, 1, 1); /* chunk digest of a run */
	refuse_step(fixture, 4, 32, 1, 1); /* target of a tail */
}

static void expect_copies(struct fixture *fixture, int writer, int reader)
{
	uint8_t *index;
	size_t bytes;
	int error = dfota_delta_write_index(&fixture->image, &index, &bytes);

	assert_int_equal(error, writer);
	if (error)
		return;
	free(fixture->bytes);
	free(index);
	encode(fixture);
	assert_int_equal(open_and_check(fixture), reader);
}

static void test_stash_plan(void **state)
{
	struct fixture *fixture = *state;
	struct dfota_delta_copy *copies = fixture->image.copies;

	expect_copies(fixture, 0, 0);
	copies[1].old_offset = 4 * SEGMENT - 1; /* before the step's range, and behind it */
	expect_copies(fixture, 0, DFOTA_E_CORRUPT);
	copies[1].old_offset = 4 * SEGMENT + 25;
	expect_copies(fixture, 0, DFOTA_E_CORRUPT);
	copies[1].old_offset = 4 * SEGMENT + 24;
	expect_copies(fixture, 0, 0);
	copies[2].stash_offset = DFOTA_DELTA_STASH_BLOCK + 2900; /* shares a block, still alive */
	expect_copies(fixture, 0, DFOTA_E_CORRUPT);
	copies[1].last_reader = 2; /* dies with the very step that stashes: still alive then */
	copies[0].last_reader = 2;
	expect_copies(fixture, 0, DFOTA_E_CORRUPT);
	copies[1].last_reader = 1; /* dead: reuse is fine */
	copies[0].last_reader = 1;
	fixture->image.header.live_copies = 2;
	expect_copies(fixture, 0, 0);
	fixture->image.header.live_copies = 1;
	expect_copies(fixture, 0, DFOTA_E_CORRUPT);
	fixture->image.header.live_copies = 3;
	copies[1].stash_offset = 299;
	expect_copies(fixture, DFOTA_E_ARGUMENT, 0);
	copies[1].stash_offset = 4000;
	copies[1].last_reader = 0;
	expect_copies(fixture, DFOTA_E_ARGUMENT, 0);
	copies[1].last_reader = 5;
	expect_copies(fixture, DFOTA_E_ARGUMENT, 0);
	copies[1].last_reader = 4;
	copies[1].bytes = 0;
	expect_copies(fixture, DFOTA_E_ARGUMENT, 0);
	copies[1].bytes = 6 * SEGMENT;
	expect_copies(fixture, DFOTA_E_ARGUMENT, 0);
	copies[1].bytes = 1;
	copies[2].stash_offset = 3 * DFOTA_DELTA_STASH_BLOCK;
	expect_copies(fixture, DFOTA_E_ARGUMENT, 0);
}

static void test_many_copies_cross_the_buffer(void **state)
{
	enum { COUNT = 5000 };
	struct fixture fixture = { 0 };
	struct dfota_delta_image *image = &fixture.image;

	(void)state;
	fill_image(image);
	free(image->copies);
	image->copies = calloc(COUNT, sizeof(*image->copies));
	assert_non_null(image->copies);
	for (uint32_t i = 0; i < COUNT; i++)
		image->copies[i] =
		    (struct dfota_delta_copy){ 4 * SEGMENT + i * 4099 % 800, 1 + i % 140, i * 300, 2 + i % 3 };
	image->steps[0].copies = COUNT;
	image->steps[2].copies = 0;
	image->header.copy_count = image->header.live_copies = COUNT;
	image->header.stash_bytes = COUNT * 300;
	encode(&fixture);
	assert_int_equal(open_and_check(&fixture), 0);
	dfota_delta_image_free(image);
	free(fixture.bytes);
}

static void test_flipped_bytes_never_crash(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < fixture->index_bytes; i++) {
		for (unsigned value = 0; value < 256; value++) {
			uint8_t saved = fixture->bytes[i];
			int error;

			fixture->bytes[i] = (uint8_t)value;
			error = open_and_check(fixture);
			assert_true(error == 0 || error == DFOTA_E_CORRUPT ||
				    error == DFOTA_E_FORMAT);
			fixture->bytes[i] = saved;
		}
	}
}

static int failing_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	unsigned *left = context;

	(void)offset;
	(void)buffer;
	(void)bytes;
	return *left > 0 && (*left)-- ? DFOTA_E_IO : DFOTA_E_READ;
}

static void test_source_errors_pass_unchanged(void **state)
{
	unsigned left = 1;
	struct dfota_source source = { failing_read, &left };
	struct dfota_delta delta;

	(void)state;
	assert_int_equal(dfota_delta_open(&delta, &source, 1000), DFOTA_E_IO);
	assert_int_equal(dfota_delta_open(&delta, &source, 1000), DFOTA_E_READ);
}

static void test_writer_refuses_wrong_totals(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *index;
	size_t bytes;

	fixture->image.header.chunk_bytes++;
	assert_int_equal(dfota_delta_write_index(&fixture->image, &index, &bytes),
			 DFOTA_E_ARGUMENT);
	fixture->image.header.chunk_bytes--;
	fixture->image.header.literal_bytes++;
	assert_int_equal(dfota_delta_write_index(&fixture->image, &index, &bytes),
			 DFOTA_E_ARGUMENT);
	fixture->image.header.literal_bytes--;
	fixture->image.header.copy_count = 2;
	assert_int_equal(dfota_delta_write_index(&fixture->image, &index, &bytes),
			 DFOTA_E_ARGUMENT);
	fixture->image.header.copy_count = 3;
	fixture->image.header.segment_bytes = 0;
	assert_int_equal(dfota_delta_write_index(&fixture->image, &index, &bytes),
			 DFOTA_E_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unread_copies_are_skipped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_step_range_at_the_ends, setup, teardown),
		cmocka_unit_test(test_empty_images),
		cmocka_unit_test_setup_teardown(test_hostile_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newer_format_is_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_length_is_refused_but_the_right_one,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stash_plan, setup, teardown),
		cmocka_unit_test(test_many_copies_cross_the_buffer),
		cmocka_unit_test_setup_teardown(test_flipped_bytes_never_crash, setup, teardown),
		cmocka_unit_test(test_source_errors_pass_unchanged),
		cmocka_unit_test_setup_teardown(test_writer_refuses_wrong_totals, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
