/* SPDX-License-Identifier: MIT
 *
 * Instruction sets: tokens, targets and their inverse. With arguments (kind, file, start, bytes,
 * va) it prints each token of that code, for comparison with a disassembler.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/codec/isa.h"

static void dump(const struct isa *isa, const uint8_t *code, uint64_t bytes, uint64_t va)
{
	struct isa_token tokens[ISA_TOKENS];

	for (uint64_t at = 0; at < bytes;) {
		struct isa_text text = { code + at, (uint32_t)(at < ISA_REACH ? at : ISA_REACH),
					 (uint32_t)(bytes - at < ISA_REACH ? bytes - at
									   : ISA_REACH) };
		unsigned count = isa->split(&text, tokens);

		printf("i %llx\n", (unsigned long long)(va + at));
		for (unsigned i = 0; i < count; i++) {
			struct isa_text own = {
				code + at, (uint32_t)(at < ISA_REACH ? at : ISA_REACH),
				(uint32_t)(bytes - at < ISA_REACH ? bytes - at : ISA_REACH)
			};
			uint32_t word = isa_load(code + at, tokens[i].bytes);
			uint64_t target;

			if (tokens[i].class != ISA_OTHER &&
			    isa->target(&own, &tokens[i], word, va + at, &target))
				printf("t %llx %u %08x %llx\n", (unsigned long long)(va + at),
				       tokens[i].class, word, (unsigned long long)target);
			at += tokens[i].bytes;
		}
	}
}

static int dump_file(char **argv)
{
	uint64_t start = strtoull(argv[3], NULL, 0), bytes = strtoull(argv[4], NULL, 0);
	FILE *file = fopen(argv[2], "rb");
	uint8_t *code = malloc(bytes + 1);

	assert_non_null(file);
	assert_non_null(code);
	assert_int_equal(fseek(file, (long)start, SEEK_SET), 0);
	assert_int_equal(fread(code, 1, bytes, file), bytes);
	dump(isa_of((unsigned)atoi(argv[1])), code, bytes, strtoull(argv[5], NULL, 0));
	fclose(file);
	free(code);
	return 0;
}

/* ---- properties ------------------------------------------------------------------------------ */

#define AROUND ISA_REACH /* bytes before and behind the instruction under test */

struct sample {
	uint8_t bytes[AROUND + ISA_REACH];
	struct isa_text text;
};

static uint64_t random_state;

static uint64_t random_number(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return random_state >> 16 ^ random_state << 24;
}

/* Words that carry addresses: fixed bits, and which these are. Random words rarely have them. */
struct shape {
	uint32_t value, mask;
};

static const struct shape a64_shapes[] = {
	{ 0x14000000, 0xfc000000 },
	{ 0x94000000, 0xfc000000 },
	{ 0x54000000, 0xff000010 },
	{ 0x34000000, 0x7e000000 },
	{ 0x36000000, 0x7e000000 },
	{ 0x18000000, 0x3b000000 },
	{ 0x10000000, 0x9f000000 },
	{ 0x90000000, 0x9f00001e },
	{ 0x91000000, 0xffc003de },
	{ 0x39000000, 0x3b0003de },
	{ 0, 0 },
};
static const struct shape a32_shapes[] = {
	{ 0xea000000, 0xff000000 }, { 0xeb000000, 0xff000000 },
	{ 0xfa000000, 0xfe000000 }, { 0xe51f0000, 0xff3f0000 },
	{ 0xed1f0a00, 0xff3f0e00 }, { 0xe28f0000, 0xffff0000 },
	{ 0xe24f0000, 0xffff0000 }, { 0xe3000000, 0xfff0e000 },
	{ 0xe3400000, 0xfff0e000 }, { 0, 0 },
};
static const struct shape t32_shapes[] = {
	{ 0xd000f000, 0xd000f800 },
	{ 0xc000f000, 0xd001f800 },
	{ 0x9000f000, 0xd000f800 },
	{ 0x8000f000, 0xd000fa00 },
	{ 0xe000, 0xf800 },
	{ 0xd000, 0xf800 },
	{ 0xb100, 0xf500 },
	{ 0x4800, 0xf800 },
	{ 0xf81f, 0xfe5f },
	{ 0xe95f, 0xff7f },
	{ 0x0a00ed1f, 0x0e00ff3f },
	{ 0xa000, 0xf800 },
	{ 0xf20f, 0x8000fbff },
	{ 0xf2af, 0x8000fbff },
	{ 0xf240, 0x8e00fbf0 },
	{ 0xf2c0, 0x8e00fbf0 },
	{ 0, 0 },
};
/* Little endian too: opcodes that a field follows, in front of random bytes. */
static const struct shape x86_shapes[] = {
	{ 0xe8, 0xff },	    { 0xe9, 0xff },	{ 0x800f, 0xf0ff },	{ 0x058d48, 0xffffff },
	{ 0xc748, 0xffff }, { 0x05c7, 0xffff }, { 0x8524ff, 0xffffff }, { 0, 0 },
};

static const struct shape riscv_shapes[] = {
	{ 0x6f, 0x7f },	      { 0x63, 0x7f },	    { 0x297, 0xf9f },	  { 0x28003, 0xf8067 }, { 0x28013, 0xfb07f },
	{ 0x28067, 0xfb07f }, { 0x28023, 0xf807b }, { 0xa001, 0xe003 }, { 0xc001, 0xc003 },   { 0, 0 },
};

static const struct {
	unsigned kind;
	const struct shape *shapes;
	size_t count;
	unsigned classes; /* how many there are */
} sets[] = {
	{ REGION_A64, a64_shapes, sizeof(a64_shapes) / sizeof(a64_shapes[0]), 9 },
	{ REGION_A32, a32_shapes, sizeof(a32_shapes) / sizeof(a32_shapes[0]), 8 },
	{ REGION_T32, t32_shapes, sizeof(t32_shapes) / sizeof(t32_shapes[0]), 14 },
	{ REGION_X86, x86_shapes, sizeof(x86_shapes) / sizeof(x86_shapes[0]), 5 },
	{ REGION_RISCV, riscv_shapes, sizeof(riscv_shapes) / sizeof(riscv_shapes[0]), 7 },
};

#define SETS (sizeof(sets) / sizeof(sets[0]))

static void put_word(uint8_t *p, uint32_t word, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(word >> (8 * i));
}

/* Random shapes all over, so that partners are met too; the last bytes may be cut off. */
static void sample_fill(struct sample *sample, const struct shape *shapes, size_t count)
{
	for (size_t i = 0; i < sizeof(sample->bytes); i += 4) {
		const struct shape *shape = &shapes[random_number() % count];

		put_word(sample->bytes + i,
			 ((uint32_t)random_number() & ~shape->mask) | shape->value, 4);
	}
	sample->text.at = sample->bytes + AROUND;
	sample->text.before =
	    random_number() % 4 ? AROUND : (uint32_t)(random_number() % AROUND) & ~3u;
	sample->text.after = random_number() % 4 ? ISA_REACH : 1 + (uint32_t)(random_number() % 20);
}

/* Addresses of 32 bits serve every set. */
static uint64_t random_va(const struct isa *isa)
{
	return 0x10000000 + random_number() % 0x10000000 / isa->step * isa->step;
}

static void check_tokens(const struct isa *isa, const struct sample *sample,
			 const struct isa_token *tokens, unsigned count)
{
	uint32_t bytes = 0;

	assert_in_range(count, 1, ISA_TOKENS);
	for (unsigned i = 0; i < count; i++) {
		assert_in_range(tokens[i].bytes, 1, 4);
		assert_true(tokens[i].class < ISA_CLASSES);
		bytes += tokens[i].bytes;
		if (isa == &isa_riscv)
			assert_true(tokens[i].behind <= sample->text.before);
		else
			assert_true(bytes + tokens[i].behind <= sample->text.after);
	}
	assert_true(bytes <= sample->text.after);
	assert_true(bytes % isa->step == 0 || bytes == sample->text.after);
}

/* Every random piece of text is cut into tokens that lie in it, to its very last byte. */
static void split_is_total(void **state)
{
	struct isa_token tokens[ISA_TOKENS];
	struct sample sample;

	(void)state;
	for (size_t set = 0; set < SETS; set++) {
		const struct isa *isa = isa_of(sets[set].kind);

		for (unsigned round = 0; round < 100000; round++) {
			sample_fill(&sample, sets[set].shapes, sets[set].count);
			check_tokens(isa, &sample, tokens, isa->split(&sample.text, tokens));
		}
	}
}

/* No byte outside of the text is looked at: the heap block ends where the text does, for the
 * sanitizer. */
static void text_is_not_left(void **state)
{
	struct isa_token tokens[ISA_TOKENS];
	struct sample sample;

	(void)state;
	for (size_t set = 0; set < SETS; set++) {
		const struct isa *isa = isa_of(sets[set].kind);

		for (unsigned round = 0; round < 20000; round++) {
			uint32_t before, at = 0;
			uint8_t *copy;
			unsigned count;

			sample_fill(&sample, sets[set].shapes, sets[set].count);
			before = sample.text.before;
			copy = malloc(before + sample.text.after);
			assert_non_null(copy);
			memcpy(copy, sample.text.at - before, before + sample.text.after);
			sample.text.at = copy + before;
			count = isa->split(&sample.text, tokens);
			for (unsigned i = 0; i < count; i++) {
				struct isa_text text = { sample.text.at + at, before + at,
							 sample.text.after - at };
				uint64_t target;

				if (tokens[i].class != ISA_OTHER)
					(void)isa->target(&text, &tokens[i],
							  isa_load(text.at, tokens[i].bytes),
							  random_va(isa), &target);
				at += tokens[i].bytes;
			}
			free(copy);
		}
	}
}

/* What was seen of one class. */
struct seen {
	unsigned targets, moves, rebuilt;
	uint32_t changed; /* bits that build has set otherwise than they were */
	uint32_t dropped; /* bits that keep leaves out */
};

static uint64_t near(uint64_t target)
{
	unsigned bits = (unsigned)(random_number() % 32);
	uint64_t distance = random_number() & ((UINT64_C(1) << bits) - 1);

	return (uint32_t)(random_number() & 1 ? target + distance : target - distance);
}

static void check_token(const struct isa *isa, const struct isa_text *text,
			const struct isa_token *token, struct seen *seen)
{
	uint32_t word = isa_load(text->at, token->bytes), mask, again, other;
	uint64_t va = random_va(isa), moved = random_va(isa), target, target_again;
	struct isa_text alone = { text->at, 0, token->bytes };

	mask = token->bytes == 4 ? UINT32_MAX : (1u << (8 * token->bytes)) - 1;
	seen->dropped |= ~isa->keep(token, word) & mask;
	if (!isa->target(text, token, word, va, &target))
		return;
	seen->targets++;
	assert_true(isa->build(token, word, va, target, &again));
	assert_int_equal(again, word);
	if (isa->build(token, word, va, near(target), &other)) {
		seen->rebuilt++;
		assert_int_equal(other & ~mask, 0);
		seen->changed |= other ^ word;
	}
	/* elsewhere, with a target near there */
	target = near(moved);
	if (!isa->target(&alone, token, word, va, &target_again) ||
	    !isa->build(token, word, moved, target, &other))
		return;
	seen->moves++;
	assert_true(isa->build(token, other, moved, target, &again));
	assert_int_equal(again, other);
	assert_true(isa->target(&alone, token, other, moved, &target_again));
	if (target_again == target)
		return;
	if (isa == &isa_riscv) /* what AUIPC alone says is rounded to the nearest, */
		assert_true(target_again - target + 0x800 <= 0x1000);
	else /* an ADRP alone says its page */
		assert_int_equal(target_again, target & ~UINT64_C(0xfff));
}

/* build is the inverse of target for every class; keep drops only what build can set. */
static void build_is_inverse_of_target(void **state)
{
	struct isa_token tokens[ISA_TOKENS];
	struct sample sample;

	(void)state;
	for (size_t set = 0; set < SETS; set++) {
		const struct isa *isa = isa_of(sets[set].kind);
		struct seen seen[ISA_CLASSES] = { 0 };

		for (unsigned round = 0; round < 400000; round++) {
			unsigned count;
			uint32_t at = 0;

			sample_fill(&sample, sets[set].shapes, sets[set].count);
			count = isa->split(&sample.text, tokens);
			for (unsigned i = 0; i < count; i++) {
				struct isa_text text = { sample.text.at + at, sample.text.before,
							 sample.text.after - at };

				if (tokens[i].class != ISA_OTHER)
					check_token(isa, &text, &tokens[i], &seen[tokens[i].class]);
				at += tokens[i].bytes;
			}
		}
		for (unsigned class = 1; class <= sets[set].classes; class ++) {
			assert_true(seen[class].targets > 100);
			assert_true(seen[class].rebuilt > 100);
			assert_int_equal(seen[class].dropped & ~seen[class].changed, 0);
		}
		for (unsigned class = sets[set].classes + 1; class < ISA_CLASSES; class ++)
			assert_int_equal(seen[class].targets, 0);
	}
}

/* ---- by hand --------------------------------------------------------------------------------- */

#define VA 0x1000u

/* One instruction, or two that make one address; bytes in the order of memory. */
static const struct {
	unsigned kind;
	const char *bytes;
	uint64_t target;
} encodings[] = {
	{ REGION_A64, "01000014", 0x1004 }, /* b +4 */
	{ REGION_A64, "ffffff97", 0xffc },  /* bl -4 */
	{ REGION_A64, "40000054", 0x1008 }, /* b.eq +8 */
	{ REGION_A64, "e1ffffb4", 0xffc },  /* cbz x1, -4 */
	{ REGION_A64, "40000836", 0x1008 }, /* tbz w0, #1, +8 */
	{ REGION_A64, "40000058", 0x1008 }, /* ldr x0, +8 */
	{ REGION_A64, "40000030", 0x1009 }, /* adr x0, +9 */
	{ REGION_A64,
	  "000000b0"
	  "00400091",
	  0x2010 }, /* adrp x0, +1 page; add x0, x0, #16 */
	{ REGION_A64,
	  "000000b0"
	  "000840f9",
	  0x2010 }, /* adrp; ldr x0, [x0, #16] */
	{ REGION_A64,
	  "000000b0"
	  "200840f9",
	  0x2000 },			    /* adrp; ldr x0, [x1, #16]: no partner */
	{ REGION_A32, "feffffea", 0x1000 }, /* b . */
	{ REGION_A32, "000000eb", 0x1008 }, /* bl */
	{ REGION_A32, "000000fb", 0x100a }, /* blx */
	{ REGION_A32, "04009fe5", 0x100c }, /* ldr r0, [pc, #4] */
	{ REGION_A32, "04001fe5", 0x1004 }, /* ldr r0, [pc, #-4] */
	{ REGION_A32, "010a9fed", 0x100c }, /* vldr s0, [pc, #4] */
	{ REGION_A32, "410f8fe2", 0x110c }, /* add r0, pc, #0x104 */
	{ REGION_A32,
	  "340201e3"
	  "560040e3",
	  0x561234 },			    /* movw r0, #0x1234; movt r0, #0x56 */
	{ REGION_T32, "fff7feff", 0x1000 }, /* bl . */
	{ REGION_T32, "00f000e8", 0x1004 }, /* blx */
	{ REGION_T32, "fff7febf", 0x1000 }, /* b.w . */
	{ REGION_T32, "3ff4feaf", 0x1000 }, /* beq.w . */
	{ REGION_T32, "fee7", 0x1000 },	    /* b.n . */
	{ REGION_T32, "fed0", 0x1000 },	    /* beq.n . */
	{ REGION_T32, "08b1", 0x1006 },	    /* cbz r0, +2 */
	{ REGION_T32, "0148", 0x1008 },	    /* ldr r0, [pc, #4] */
	{ REGION_T32, "dff80800", 0x100c }, /* ldr.w r0, [pc, #8] */
	{ REGION_T32, "9fed020a", 0x100c }, /* vldr s0, [pc, #8] */
	{ REGION_T32, "01a0", 0x1008 },	    /* adr r0, +4 */
	{ REGION_T32, "0ff20800", 0x100c }, /* adr.w r0, +8 */
	{ REGION_T32, "aff20400", 0x1000 }, /* subw r0, pc, #4 */
	{ REGION_T32,
	  "41f23420"
	  "c0f25600",
	  0x561234 },					      /* movw r0, #0x1234; movt r0, #0x56 */
	{ REGION_X86, "e800000000", 0x1005 },		      /* call */
	{ REGION_X86, "e9fbffffff", 0x1000 },		      /* jmp . */
	{ REGION_X86, "0f84faffffff", 0x1000 },		      /* je . */
	{ REGION_X86, "488d0510000000", 0x1017 },	      /* lea 16(%rip), %rax */
	{ REGION_X86, "c7051000000001000000", 0x101a },	      /* movl $1, 16(%rip) */
	{ REGION_X86, "48c7c700000081", 0xffffffff81000000 }, /* mov $-0x7f000000, %rdi */
	{ REGION_X86, "ff248500404000", 0x404000 },	      /* jmp *0x404000(, %rax, 4) */
	{ REGION_RISCV, "efa0b52a", 0x5baaa },                /* jal ra, 371370 */
	{ REGION_RISCV, "6f5045d5", 0xfffffffffff56554 },     /* jal x0, -699052 */
	{ REGION_RISCV, "e305b52a", 0x1aaa },                 /* beq a0, a1, 2730 */
	{ REGION_RISCV, "e315b5aa", 0xaaa },                  /* bne a0, a1, -1366 */
	{ REGION_RISCV, "99ab", 0x1556 },                     /* c.j 1366 */
	{ REGION_RISCV, "91bb", 0xd54 },                      /* c.j -684 */
	{ REGION_RISCV, "4dc5", 0x10aa },                     /* c.beqz a0, 170 */
	{ REGION_RISCV, "cdf5", 0xfaa },                      /* c.bnez a1, -86 */
	{ REGION_RISCV,
	  "97523412"
	  "9382a2aa",
	  0x12345aaa }, /* auipc t0, 0x12345; addi t0, t0, -1366 */
	{ REGION_RISCV,
	  "17e3ffff"
	  "a33aa354",
	  0xfffffffffffff555 }, /* auipc t1, -2; sd a0, 1365(t1) */
	{ REGION_RISCV,
	  "97100000"
	  "e780e0ff",
	  0x1ffe }, /* auipc ra, 1; jalr ra, -2(ra) */
	{ REGION_RISCV,
	  "97330000"
	  "03a5c302",
	  0x402c }, /* auipc t2, 3; lw a0, 44(t2) */
};

static unsigned parse_hex(const char *text, uint8_t *bytes)
{
	unsigned count = 0;

	for (; text[0] && text[1]; text += 2) {
		const char digits[] = { text[0], text[1], 0 };

		bytes[count++] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return count;
}

static void encodings_have_their_targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
		const struct isa *isa = isa_of(encodings[i].kind);
		uint8_t bytes[16];
		struct isa_text text = { bytes, 0, parse_hex(encodings[i].bytes, bytes) };
		struct isa_token tokens[ISA_TOKENS];
		unsigned count = isa->split(&text, tokens), found = 0;
		uint64_t target, va = VA;

		for (unsigned j = 0; j < count; j++) {
			if (isa->target(&text, &tokens[j], isa_load(text.at, tokens[j].bytes), va,
					&target)) {
				assert_int_equal(target, encodings[i].target);
				found++;
			}
			text.at += tokens[j].bytes;
			text.before += tokens[j].bytes;
			text.after -= tokens[j].bytes;
			va += tokens[j].bytes;
		}
		assert_int_equal(found, 1);
	}
}

/* The second of two halves finds the first. */
static void second_half_finds_first(void **state)
{
	static const struct {
		unsigned kind;
		const char *bytes;
		unsigned skip;
		uint64_t target;
	} pairs[] = {
		{ REGION_A64,
		  "000000b0"
		  "1f2003d5"
		  "00400091",
		  8, 0x2010 },
		{ REGION_A64,
		  "000000b0"
		  "000840f9",
		  4, 0x2010 },
		{ REGION_A32,
		  "340201e3"
		  "00f020e3"
		  "560040e3",
		  8, 0x561234 },
		{ REGION_T32,
		  "41f23420"
		  "00bf"
		  "c0f25600",
		  6, 0x561234 },
		{ REGION_RISCV,
		  "97170000"
		  "0100"
		  "23a8a7fe",
		  6, 0x1ff0 }, /* auipc a5, 1; nop; sw a0, -16(a5) */
		{ REGION_RISCV,
		  "97170000"
		  "3ee4"
		  "03b70741",
		  6, 0x2410 }, /* auipc a5, 1; sd a5, 8(sp); ld a4, 1040(a5) */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct isa *isa = isa_of(pairs[i].kind);
		uint8_t bytes[16];
		unsigned count = parse_hex(pairs[i].bytes, bytes);
		struct isa_text text = { bytes + pairs[i].skip, pairs[i].skip,
					 count - pairs[i].skip };
		struct isa_token tokens[ISA_TOKENS];
		uint64_t target;

		assert_int_equal(isa->split(&text, tokens), 1);
		assert_true(isa->target(&text, &tokens[0], isa_load(text.at, 4), VA + pairs[i].skip,
					&target));
		assert_int_equal(target, pairs[i].target);
		assert_true(isa->backward_classes >> tokens[0].class & 1);
		text.before = 0;
		assert_false(isa->target(&text, &tokens[0], isa_load(text.at, 4),
					 VA + pairs[i].skip, &target));
	}
}

/* A field of what the first half's register has become is no half of an address. */
static void overwritten_register_has_no_second_half(void **state)
{
	static const char *const between[] = {
		"9c63",	    /* ld a5, 0(a5) */
		"1c65",	    /* ld a5, 8(a0) */
		"a267",	    /* ld a5, 8(sp) */
		"aa87",	    /* mv a5, a0 */
		"998f",	    /* sub a5, a5, a4 */
		"93871700", /* addi a5, a5, 1 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
		uint8_t bytes[16];
		unsigned first = parse_hex("97170000", bytes), skip = first + parse_hex(between[i], bytes + first);
		unsigned count = skip + parse_hex("03b70741", bytes + skip); /* ld a4, 1040(a5) */
		struct isa_text low = { bytes + skip, skip, count - skip }, high = { bytes, 0, count };
		struct isa_token tokens[ISA_TOKENS];
		uint64_t target;

		assert_int_equal(isa_riscv.split(&low, tokens), 1);
		assert_int_equal(tokens[0].class, ISA_OTHER);
		assert_int_equal(isa_riscv.split(&high, tokens), 1);
		assert_true(isa_riscv.target(&high, &tokens[0], isa_load(bytes, 4), VA, &target));
		assert_int_equal(target, strlen(between[i]) == 8 ? VA + 0x1001 : VA + 0x1000);
	}
}

/* An immediate that ARM rotates is rotated anew, and its sign is the operation. */
static void a32_adr_reaches_what_it_can(void **state)
{
	const struct isa_token token = { .bytes = 4, .class = 6 };
	struct isa_token tokens[ISA_TOKENS];
	uint8_t bytes[4];
	struct isa_text text = { bytes, 0, 4 };
	uint32_t word;

	(void)state;
	put_word(bytes, 0xe28f0004, 4);
	assert_int_equal(isa_a32.split(&text, tokens), 1);
	assert_int_equal(tokens[0].class, token.class);
	assert_true(isa_a32.build(&token, 0xe28f0004, VA, VA + 8 + 0x104, &word));
	assert_int_equal(word, 0xe28f0f41);
	assert_true(isa_a32.build(&token, 0xe28f0004, VA, VA + 8 - 0x104, &word));
	assert_int_equal(word, 0xe24f0f41);
	assert_true(isa_a32.build(&token, 0xe24f0f41, VA, VA + 8 + 4, &word));
	assert_int_equal(word, 0xe28f0004);
	assert_false(isa_a32.build(&token, 0xe28f0004, VA, VA + 8 + 0x10001, &word));
}

/* One instruction each. */
static const char *const x86_instructions[] = {
	"90",			      /* nop */
	"f30f1efa",		      /* endbr64 */
	"4883ec08",		      /* sub $8, %rsp */
	"488b442408",		      /* mov 8(%rsp), %rax */
	"48b80102030405060708",	      /* movabs $imm64, %rax */
	"48a10102030405060708",	      /* movabs moffs64, %rax */
	"66b80100",		      /* mov $1, %ax */
	"f6c101",		      /* test $1, %cl */
	"f7d8",			      /* neg %eax */
	"f7c001000000",		      /* test $1, %eax */
	"66f7c00100",		      /* test $1, %ax */
	"c8100000",		      /* enter $16, $0 */
	"c20800",		      /* ret $8 */
	"0f05",			      /* syscall */
	"660f3a0fc108",		      /* palignr $8, %xmm1, %xmm0 */
	"660f3800c1",		      /* pshufb %xmm1, %xmm0 */
	"c5f877",		      /* vzeroupper */
	"c5fd6f05e3030000",	      /* vmovdqa 0x3e3(%rip), %ymm0 */
	"c4e37d19c101",		      /* vextractf128 $1, %ymm0, %xmm1 */
	"c5f970c04e",		      /* vpshufd $0x4e, %xmm0, %xmm0 */
	"62f17c4810442440",	      /* vmovups with a compressed displacement */
	"62f3fd4825c0ff",	      /* vpternlogq $0xff */
	"8fe878c2c007",		      /* vprotd $7, %xmm0, %xmm0 */
	"8fc0",			      /* pop %rax */
	"666666662e0f1f840000000000", /* long nop */
	"42813c8501020304aabbccdd",   /* cmpl $imm32, disp32(, %r8, 4) */
	"6690",			      /* xchg %ax, %ax */
	"f2ff2510203040",	      /* bnd jmp *disp(%rip) */
};

static void x86_instructions_have_their_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(x86_instructions) / sizeof(x86_instructions[0]); i++) {
		uint8_t bytes[32] = { 0 };
		unsigned length = parse_hex(x86_instructions[i], bytes), found = 0;
		struct isa_text text = { bytes, 0, sizeof(bytes) };
		struct isa_token tokens[ISA_TOKENS];
		unsigned count = isa_x86.split(&text, tokens);

		for (unsigned j = 0; j < count; j++)
			found += tokens[j].bytes;
		assert_int_equal(found, length);
		/* without its last byte it is no instruction */
		text.after = length - 1;
		if (length > 1) {
			assert_int_equal(isa_x86.split(&text, tokens), 1);
			assert_int_equal(tokens[0].bytes, 1);
		}
	}
}

static void only_code_has_an_instruction_set(void **state)
{
	(void)state;
	assert_ptr_equal(isa_of(REGION_A64), &isa_a64);
	assert_ptr_equal(isa_of(REGION_A32), &isa_a32);
	assert_ptr_equal(isa_of(REGION_T32), &isa_t32);
	assert_ptr_equal(isa_of(REGION_X86), &isa_x86);
	assert_ptr_equal(isa_of(REGION_RISCV), &isa_riscv);
	for (unsigned kind = REGION_DATA32; kind < 300; kind++)
		if (kind != REGION_RISCV)
			assert_null(isa_of(kind));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_is_total),
		cmocka_unit_test(text_is_not_left),
		cmocka_unit_test(build_is_inverse_of_target),
		cmocka_unit_test(encodings_have_their_targets),
		cmocka_unit_test(second_half_finds_first),
		cmocka_unit_test(overwritten_register_has_no_second_half),
		cmocka_unit_test(a32_adr_reaches_what_it_can),
		cmocka_unit_test(x86_instructions_have_their_length),
		cmocka_unit_test(only_code_has_an_instruction_set),
	};

	if (argc == 6)
		return dump_file(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
