/* SPDX-License-Identifier: MIT
 *
 * Literal pools: what is known of their words once instructions have passed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/codec/pool.h"

#define OLD_AT 5003u /* position of the code: its file starts anywhere */
#define OLD_VA 0x8000u
#define NEW_VA 0x9100u

/* Passes the instruction at `offset` and returns its bytes. */
static unsigned pass(struct pool *pool, const struct isa *isa, uint32_t offset, uint32_t word)
{
	uint8_t code[4] = { (uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), (uint8_t)(word >> 24) };
	struct isa_text text = { code, 0, 4 };
	struct isa_token tokens[ISA_TOKENS];

	assert_int_equal(isa->split(&text, tokens), 1);
	pool_pass(pool, isa, &tokens[0], isa_load(code, tokens[0].bytes), OLD_AT + offset, OLD_VA + offset,
		  NEW_VA + offset);
	return tokens[0].bytes;
}

struct load {
	const struct isa *isa;
	uint32_t offset, load, reaches, add, pc;
};

static const struct load loads[] = {
	{ &isa_t32, 0, 0x4b05, 24, 0x447b, 4 },          /* ldr r3, [pc, #20]; add r3, pc */
	{ &isa_t32, 2, 0x4b05, 24, 0x447b, 4 },          /* from the halfword behind: the same word */
	{ &isa_t32, 0, 0xa100f8df, 0x104, 0x44fa, 4 },   /* ldr.w r10, [pc, #256]; add r10, pc */
	{ &isa_a32, 0, 0xe59f3100, 0x108, 0xe08f3003, 8 }, /* ldr r3, [pc, #256]; add r3, pc, r3 */
	{ &isa_a32, 0, 0xe59f3100, 0x108, 0xe79f2003, 8 }, /* the same; ldr r2, [pc, r3] */
};

static void a_load_and_an_add_tell_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		const struct load *l = &loads[i];
		uint32_t add_at;
		struct pool pool = { 0 };
		const struct pool_word *word;

		assert_null(pool_find(&pool, OLD_AT + l->reaches));
		add_at = l->offset + pass(&pool, l->isa, l->offset, l->load);
		word = pool_find(&pool, OLD_AT + l->reaches);
		assert_non_null(word);
		assert_false(word->has_base);
		pass(&pool, l->isa, add_at, l->add);
		word = pool_find(&pool, OLD_AT + l->reaches);
		assert_non_null(word);
		assert_true(word->has_base);
		assert_int_equal(word->old_base, OLD_VA + add_at + l->pc);
		assert_int_equal(word->new_base, NEW_VA + add_at + l->pc);
	}
}

static void a_base_belongs_to_the_register_that_was_loaded(void **state)
{
	struct pool pool = { 0 };

	(void)state;
	pass(&pool, &isa_t32, 0, 0x4b05); /* r3 */
	pass(&pool, &isa_t32, 2, 0x447a); /* add r2, pc */
	assert_false(pool_find(&pool, OLD_AT + 24)->has_base);
	pass(&pool, &isa_t32, 4, 0x447b);
	assert_int_equal(pool_find(&pool, OLD_AT + 24)->old_base, OLD_VA + 8);
	pass(&pool, &isa_t32, 6, 0x447b); /* not loaded again: another word's business */
	assert_int_equal(pool_find(&pool, OLD_AT + 24)->old_base, OLD_VA + 8);
}

static void a_later_word_takes_the_place(void **state)
{
	const uint32_t far = 4 * POOL_WORDS;
	struct pool pool = { 0 };

	(void)state;
	pass(&pool, &isa_t32, 0, 0x4b05);
	pass(&pool, &isa_t32, far, 0x4a05);
	assert_null(pool_find(&pool, OLD_AT + 24));
	assert_non_null(pool_find(&pool, OLD_AT + far + 24));
	pass(&pool, &isa_t32, far + 2, 0x447b); /* r3's word is forgotten */
	assert_false(pool_find(&pool, OLD_AT + far + 24)->has_base);
}

static void other_instructions_load_nothing(void **state)
{
	static const uint32_t t32[] = { 0x6803, 0xa305, 0x4447, 0x2003f8d0 }; /* ldr r3, [r0]; adr; add r7, r8; ldr.w */
	static const uint32_t a32[] = { 0xe5dfe004, 0xe5903004, 0xe28f3004, 0xe0803003 }; /* ldrb from pc; ldr; adr; add */
	struct pool pool = { 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		pass(&pool, &isa_t32, 0, t32[i]);
		pass(&pool, &isa_a32, 0, a32[i]);
	}
	for (size_t i = 0; i < POOL_WORDS; i++)
		assert_int_equal(pool.words[i].place, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_load_and_an_add_tell_all),
		cmocka_unit_test(a_base_belongs_to_the_register_that_was_loaded),
		cmocka_unit_test(a_later_word_takes_the_place),
		cmocka_unit_test(other_instructions_load_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
