/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/codec/predict.h"
#include "../../src/diff/plan.h"

#define SEGMENT	 (64u << 10)
#define SEGMENTS 8u

/* Bytes that are denied by the best order, when the halves of an image change places and each segment reads a margin more. */
static uint64_t denied_of_halves(uint64_t limit)
{
	const struct dfota_delta_header header = { .unit_bytes = SEGMENT / 8,
						   .segment_bytes = SEGMENT,
						   .old_bytes = SEGMENTS * SEGMENT,
						   .new_bytes = SEGMENTS * SEGMENT };
	uint64_t changed[SEGMENTS], least = UINT64_MAX;
	struct diff_ranges reads[SEGMENTS] = { 0 };
	struct diff_graph graph;

	for (uint32_t i = 0; i < SEGMENTS; i++) {
		uint64_t from = (uint64_t)((i + SEGMENTS / 2) % SEGMENTS) * SEGMENT;

		changed[i] = 0xff;
		assert_int_equal(diff_ranges_add(&reads[i], from ? from - PREDICT_MARGIN : 0,
						 dfota_min64(from + SEGMENT + PREDICT_MARGIN, header.old_bytes)),
				 0);
	}
	assert_int_equal(diff_graph_make(&graph, &header, changed, reads), 0);
	for (enum diff_order order = 0; order < DIFF_ORDERS; order++) {
		uint32_t sequence[SEGMENTS], count;
		uint64_t denied = 0;
		struct diff_plan plan;

		assert_int_equal(diff_order_make(&graph, order, sequence, &count), 0);
		assert_int_equal(diff_plan_make(&plan, &graph, sequence, count, &(struct diff_room){ limit, false }), 0);
		for (size_t i = 0; i < plan.denial_count; i++)
			denied += plan.denials[i].end - plan.denials[i].start;
		assert_true(plan.stash_bytes <= limit);
		least = dfota_min64(least, denied);
		diff_plan_free(&plan);
	}
	diff_graph_free(&graph);
	for (uint32_t i = 0; i < SEGMENTS; i++)
		diff_ranges_free(&reads[i]);
	return least;
}

static void test_room_for_two_segments_is_enough(void **state)
{
	(void)state;
	assert_int_equal(denied_of_halves(2 * SEGMENT), 0);
}

/* Margins that outlive their segment would hold blocks that the next segment needs: they are denied instead. */
static void test_margins_do_not_take_a_segments_room(void **state)
{
	(void)state;
	assert_in_range(denied_of_halves(SEGMENT), 1, 2 * SEGMENTS * PREDICT_MARGIN);
}

static void test_half_the_room_denies_half(void **state)
{
	(void)state;
	assert_in_range(denied_of_halves(SEGMENT / 2), 1, SEGMENTS / 2 * SEGMENT * 5 / 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_for_two_segments_is_enough),
		cmocka_unit_test(test_margins_do_not_take_a_segments_room),
		cmocka_unit_test(test_half_the_room_denies_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
