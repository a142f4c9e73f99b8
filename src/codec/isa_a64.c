/* SPDX-License-Identifier: MIT
 *
 * AArch64: every instruction is one token.
 *
 * Addresses farther than a branch are made in two halves: ADRP puts a page into a register, and an
 * ADD or a load or store with that register as its base adds the low 12 bits. Each half finds the
 * other by looking at the neighbouring instructions; a wrong partner costs a wrong guess, nothing
 * more.
 */
#include "isa.h"
#include "isa_bits.h"

enum {
	A64_B = 1,
	A64_BL,
	A64_SHORT,   /* B.cond, CBZ, CBNZ */
	A64_TEST,    /* TBZ, TBNZ */
	A64_LITERAL, /* LDR and PRFM of what stands nearby */
	A64_ADR,
	A64_ADRP,
	A64_ADD,   /* 64-bit ADD of an immediate: the low 12 bits */
	A64_MEMORY /* load or store at an unsigned offset: the same, scaled */
};

#define LOW_BITS_BEHIND 12 /* instructions between an ADRP and its low bits at most */
#define ADRP_BEFORE	16 /* the other way round */

/* By the top byte, which nearly decides. */
static const uint8_t classes[256] = {
	[0x14] = A64_B,	      [0x15] = A64_B,	    [0x16] = A64_B,	  [0x17] = A64_B,
	[0x94] = A64_BL,      [0x95] = A64_BL,	    [0x96] = A64_BL,	  [0x97] = A64_BL,
	[0x54] = A64_SHORT,   [0x34] = A64_SHORT,   [0x35] = A64_SHORT,	  [0xb4] = A64_SHORT,
	[0xb5] = A64_SHORT,   [0x36] = A64_TEST,    [0x37] = A64_TEST,	  [0xb6] = A64_TEST,
	[0xb7] = A64_TEST,    [0x18] = A64_LITERAL, [0x1c] = A64_LITERAL, [0x58] = A64_LITERAL,
	[0x5c] = A64_LITERAL, [0x98] = A64_LITERAL, [0x9c] = A64_LITERAL, [0xd8] = A64_LITERAL,
	[0x10] = A64_ADR,     [0x30] = A64_ADR,	    [0x50] = A64_ADR,	  [0x70] = A64_ADR,
	[0x90] = A64_ADRP,    [0xb0] = A64_ADRP,    [0xd0] = A64_ADRP,	  [0xf0] = A64_ADRP,
	[0x91] = A64_ADD,     [0x39] = A64_MEMORY,  [0x3d] = A64_MEMORY,  [0x79] = A64_MEMORY,
	[0x7d] = A64_MEMORY,  [0xb9] = A64_MEMORY,  [0xbd] = A64_MEMORY,  [0xf9] = A64_MEMORY,
	[0xfd] = A64_MEMORY,
};

static uint8_t a64_class(uint32_t word)
{
	uint8_t class = classes[word >> 24];

	if (class == A64_ADD && (word & 0x00c00000) != 0)
		return ISA_OTHER;
	if (class == A64_SHORT && (word & 0xff000010) == 0x54000010)
		return ISA_OTHER;
	return class;
}

static unsigned a64_split(const struct isa_text *text, struct isa_token *tokens)
{
	uint32_t bytes = text->after < 4 ? text->after : 4;

	tokens[0] = (struct isa_token){ .bytes = (uint8_t)bytes };
	if (bytes == 4)
		tokens[0].class = a64_class(isa_load(text->at, 4));
	return 1;
}

static uint64_t page_of(uint64_t address)
{
	return address & ~UINT64_C(0xfff);
}

static uint32_t base_register(uint32_t word)
{
	return isa_field(word, 5, 5);
}

static uint64_t adr_distance(uint32_t word)
{
	return isa_sign_extend(isa_field(word, 5, 19) << 2 | isa_field(word, 29, 2), 21);
}

static unsigned memory_scale(uint32_t word)
{
	return (word & 0x04800000) == 0x04800000 ? 4 : word >> 30;
}

/* Low 12 bits that an ADD or a load adds; false for an offset that only a structure has. */
static bool low_bits(uint8_t class, uint32_t word, uint32_t *ret_low)
{
	uint32_t low = isa_field(word, 10, 12);

	if (class == A64_MEMORY)
		low <<= memory_scale(word);
	if (low > 0xfff)
		return false;
	*ret_low = low;
	return true;
}

/* What the first user of an ADRP's register adds to it; 0 if none is near. */
static uint32_t low_bits_behind(const struct isa_text *text, uint32_t adrp)
{
	uint32_t target = isa_field(adrp, 0, 5), low;

	for (uint32_t at = 4; at <= LOW_BITS_BEHIND * 4 && at + 4 <= text->after; at += 4) {
		uint32_t word = isa_load(text->at + at, 4);
		uint8_t class = classes[word >> 24];

		if (class == A64_ADRP && isa_field(word, 0, 5) == target)
			return 0;
		if ((class == A64_MEMORY || a64_class(word) == A64_ADD) &&
		    base_register(word) == target)
			return low_bits(class, word, &low) ? low : 0;
	}
	return 0;
}

/* Does an instruction that is no ADRP put something else into the register? Only what is common is
 * known. */
static bool overwrites(uint32_t word, uint32_t target)
{
	if (isa_field(word, 0, 5) != target)
		return false;
	return (word & 0x7f000000) == 0x11000000 || /* ADD immediate */
	       (word & 0x3fc00000) == 0x39400000 || /* LDR unsigned offset */
	       (word & 0x7fe0ffe0) == 0x2a0003e0 || /* MOV register */
	       (word & 0x7f800000) == 0x52800000;   /* MOVZ */
}

/* The page in a register, from the ADRP before. */
static bool page_before(const struct isa_text *text, uint32_t target, uint64_t va,
			uint64_t *ret_page)
{
	if (target == 31)
		return false;
	for (uint32_t at = 4; at <= ADRP_BEFORE * 4 && at <= text->before; at += 4) {
		uint32_t word = isa_load(text->at - at, 4);

		if (classes[word >> 24] == A64_ADRP && isa_field(word, 0, 5) == target) {
			*ret_page = page_of(va - at) + (adr_distance(word) << 12);
			return true;
		}
		if (overwrites(word, target))
			return false;
	}
	return false;
}

static bool a64_target(const struct isa_text *text, const struct isa_token *token, uint32_t word,
		       uint64_t va, uint64_t *ret_target)
{
	uint64_t page;
	uint32_t low;

	switch (token->class) {
	case A64_B:
	case A64_BL:
		*ret_target = va + (isa_sign_extend(isa_field(word, 0, 26), 26) << 2);
		return true;
	case A64_SHORT:
	case A64_LITERAL:
		*ret_target = va + (isa_sign_extend(isa_field(word, 5, 19), 19) << 2);
		return true;
	case A64_TEST:
		*ret_target = va + (isa_sign_extend(isa_field(word, 5, 14), 14) << 2);
		return true;
	case A64_ADR:
		*ret_target = va + adr_distance(word);
		return true;
	case A64_ADRP:
		*ret_target =
		    page_of(va) + (adr_distance(word) << 12) + low_bits_behind(text, word);
		return true;
	case A64_ADD:
	case A64_MEMORY:
		if (!low_bits(token->class, word, &low) ||
		    !page_before(text, base_register(word), va, &page))
			return false;
		*ret_target = page + low;
		return true;
	default:
		return false;
	}
}

/* Puts distance / 2^scale into `bits` bits of the word; false when it does not fit. */
static bool put_distance(uint32_t word, uint64_t distance, unsigned scale, unsigned from,
			 unsigned bits, uint32_t *ret_word)
{
	uint32_t mask = ((1u << bits) - 1) << from;

	if (!isa_fits(distance, bits, scale))
		return false;
	*ret_word = (word & ~mask) | ((uint32_t)(distance >> scale) << from & mask);
	return true;
}

static bool put_adr(uint32_t word, uint64_t distance, uint32_t *ret_word)
{
	uint32_t value = (uint32_t)distance & 0x1fffff;

	if (!isa_fits(distance, 21, 0))
		return false;
	*ret_word = (word & 0x9f00001f) | (value & 3) << 29 | value >> 2 << 5;
	return true;
}

/* Pages between two addresses, as a signed number. */
static uint64_t pages_between(uint64_t from, uint64_t to)
{
	uint64_t distance = page_of(to) - page_of(from);

	return distance >> 12 | (distance >> 63 ? UINT64_C(0xfff) << 52 : 0);
}

static bool put_low_bits(uint32_t word, uint64_t target, unsigned scale, uint32_t *ret_word)
{
	uint32_t low = (uint32_t)target & 0xfff;

	if ((low & ((1u << scale) - 1)) != 0)
		return false;
	*ret_word = (word & 0xffc003ff) | low >> scale << 10;
	return true;
}

static bool a64_build(const struct isa_token *token, uint32_t word, uint64_t va, uint64_t target,
		      uint32_t *ret_word)
{
	switch (token->class) {
	case A64_B:
	case A64_BL:
		return put_distance(word, target - va, 2, 0, 26, ret_word);
	case A64_SHORT:
	case A64_LITERAL:
		return put_distance(word, target - va, 2, 5, 19, ret_word);
	case A64_TEST:
		return put_distance(word, target - va, 2, 5, 14, ret_word);
	case A64_ADR:
		return put_adr(word, target - va, ret_word);
	case A64_ADRP:
		return put_adr(word, pages_between(va, target), ret_word);
	case A64_ADD:
		return put_low_bits(word, target, 0, ret_word);
	case A64_MEMORY:
		return put_low_bits(word, target, memory_scale(word), ret_word);
	default:
		return false;
	}
}

static uint32_t a64_keep(const struct isa_token *token, uint32_t word)
{
	(void)word;
	switch (token->class) {
	case A64_B:
	case A64_BL:
		return 0xfc000000;
	case A64_ADR:
	case A64_ADRP:
		return 0x9f00001f;
	case A64_LITERAL:
		return 0xff00001f;
	case A64_ADD:
		return 0xffc003ff;
	default:
		return UINT32_MAX;
	}
}

const struct isa isa_a64 = {
	.name = "A64",
	.step = 4,
	.split = a64_split,
	.target = a64_target,
	.build = a64_build,
	.keep = a64_keep,
	/* all but ADRP, whose low bits stand behind it */
	.backward_classes = 1u << A64_B | 1u << A64_BL | 1u << A64_SHORT | 1u << A64_TEST |
			    1u << A64_LITERAL | 1u << A64_ADR | 1u << A64_ADD | 1u << A64_MEMORY,
};
