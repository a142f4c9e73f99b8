/* SPDX-License-Identifier: MIT
 *
 * Thumb-2: instructions of 2 or 4 bytes, one token each.
 *
 * The first halfword of a long instruction is the low half of its word, so bits of the second one
 * are 16 higher here than in the manual. The program counter reads as the instruction's address +
 * 4; where data is meant, rounded down to a word. Addresses have 32 bits and wrap.
 */
#include "isa.h"
#include "isa_bits.h"

enum {
	T32_BL = 1,
	T32_BLX,	  /* BL that changes to ARM */
	T32_B_FAR,	  /* B of 4 bytes without condition */
	T32_B_CONDITION,  /* with one */
	T32_B_SHORT,	  /* of 2 bytes: 11 bits */
	T32_B_SHORTER,	  /* of 2 bytes with a condition: 8 bits */
	T32_ZERO,	  /* CBZ, CBNZ */
	T32_LITERAL,	  /* LDR of 2 bytes of what stands nearby */
	T32_LITERAL_WIDE, /* loads of 4 bytes: sign and 12 bits */
	T32_LITERAL8,	  /* LDRD, VLDR: sign and 8 bits, in words */
	T32_ADR,	  /* of 2 bytes */
	T32_ADR_WIDE,	  /* ADD or SUB of 12 bits to the program counter */
	T32_MOVW,	  /* low half of an address */
	T32_MOVT	  /* high half */
};

#define PAIR_REACH 32u	     /* bytes between the halves of an address at most */
#define UP	   (1u << 7) /* of loads */
#define SUBTRACT   0xa0u     /* of ADR_WIDE */

static bool is_long(uint32_t first)
{
	return (first & 0xf800) >= 0xe800;
}

static bool is_movw(uint32_t word)
{
	return (word & 0x8000fbf0) == 0x0000f240;
}

static bool is_movt(uint32_t word)
{
	return (word & 0x8000fbf0) == 0x0000f2c0;
}

static uint8_t short_class(uint32_t word)
{
	if ((word & 0xf800) == 0x4800)
		return T32_LITERAL;
	if ((word & 0xf800) == 0xa000)
		return T32_ADR;
	if ((word & 0xf800) == 0xe000)
		return T32_B_SHORT;
	if ((word & 0xf000) == 0xd000 && (word & 0x0e00) != 0x0e00)
		return T32_B_SHORTER;
	if ((word & 0xf500) == 0xb100)
		return T32_ZERO;
	return ISA_OTHER;
}

/* Of those with first halfword F000..F7FF and bit 15 of the second set. */
static uint8_t branch_class(uint32_t word)
{
	switch (word & 0xd0000000) {
	case 0xd0000000:
		return T32_BL;
	case 0xc0000000:
		return word & 0x00010000 ? ISA_OTHER : T32_BLX;
	case 0x90000000:
		return T32_B_FAR;
	default:
		return (word & 0x0380) == 0x0380 ? ISA_OTHER : T32_B_CONDITION;
	}
}

static uint8_t long_class(uint32_t word)
{
	if ((word & 0xf800) == 0xf000 && word >> 31)
		return branch_class(word);
	if ((word & 0xfe1f) == 0xf81f && (word & 0x60) != 0x60)
		return T32_LITERAL_WIDE;
	if ((word & 0xff7f) == 0xe95f || (word & 0x0e00ff3f) == 0x0a00ed1f)
		return T32_LITERAL8;
	if ((word & 0x8000fbff) == 0xf20f || (word & 0x8000fbff) == 0xf2af)
		return T32_ADR_WIDE;
	if (is_movw(word))
		return T32_MOVW;
	return is_movt(word) ? T32_MOVT : ISA_OTHER;
}

static unsigned t32_split(const struct isa_text *text, struct isa_token *tokens)
{
	uint32_t bytes = text->after < 2 ? text->after : 2, word = isa_load(text->at, bytes);

	tokens[0] = (struct isa_token){ .bytes = (uint8_t)bytes };
	if (bytes < 2)
		return 1;
	if (!is_long(word)) {
		tokens[0].class = short_class(word);
	} else if (text->after >= 4) {
		tokens[0].bytes = 4;
		tokens[0].class = long_class(isa_load(text->at, 4));
	}
	return 1;
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* BL, BLX, B: 25 bits, two of them stored as whether they differ from the sign. */
static uint32_t far_distance(uint32_t word)
{
	uint32_t sign = isa_field(word, 10, 1);
	uint32_t i1 = isa_field(word, 29, 1) ^ sign ^ 1, i2 = isa_field(word, 27, 1) ^ sign ^ 1;
	uint32_t value = sign << 24 | i1 << 23 | i2 << 22 | isa_field(word, 0, 10) << 12 |
			 isa_field(word, 16, 11) << 1;

	return (uint32_t)isa_sign_extend(value, 25);
}

static uint32_t put_far(uint32_t word, uint32_t distance)
{
	uint32_t sign = isa_field(distance, 24, 1);
	uint32_t j1 = isa_field(distance, 23, 1) ^ sign ^ 1;
	uint32_t j2 = isa_field(distance, 22, 1) ^ sign ^ 1;

	return (word & 0xd000f800) | sign << 10 | isa_field(distance, 12, 10) | j1 << 29 |
	       j2 << 27 | isa_field(distance, 1, 11) << 16;
}

static uint32_t condition_distance(uint32_t word)
{
	uint32_t value = isa_field(word, 10, 1) << 20 | isa_field(word, 27, 1) << 19 |
			 isa_field(word, 29, 1) << 18 | isa_field(word, 0, 6) << 12 |
			 isa_field(word, 16, 11) << 1;

	return (uint32_t)isa_sign_extend(value, 21);
}

static uint32_t put_condition(uint32_t word, uint32_t distance)
{
	return (word & 0xd000fbc0) | isa_field(distance, 20, 1) << 10 |
	       isa_field(distance, 19, 1) << 27 | isa_field(distance, 18, 1) << 29 |
	       isa_field(distance, 12, 6) | isa_field(distance, 1, 11) << 16;
}

/* 12 bits of ADR_WIDE, the low ones of MOVW and MOVT. */
static uint32_t split_field(uint32_t word)
{
	return isa_field(word, 10, 1) << 11 | isa_field(word, 28, 3) << 8 | isa_field(word, 16, 8);
}

static uint32_t put_split(uint32_t word, uint32_t value)
{
	return (word & 0x8f00fbff) | isa_field(value, 11, 1) << 10 | isa_field(value, 8, 3) << 28 |
	       isa_field(value, 0, 8) << 16;
}

static uint32_t half_of(uint32_t word)
{
	return isa_field(word, 0, 4) << 12 | split_field(word);
}

static uint32_t put_half(uint32_t word, uint32_t half)
{
	return put_split((word & ~0xfu) | isa_field(half, 12, 4), half & 0xfff);
}

static bool same_register(uint32_t a, uint32_t b)
{
	return isa_field(a, 24, 4) == isa_field(b, 24, 4);
}

/* ---- targets --------------------------------------------------------------------------------- */

static bool movt_behind(const struct isa_text *text, uint32_t movw, uint32_t *ret_half)
{
	uint32_t at = 4;

	while (at <= PAIR_REACH && at + 4 <= text->after) {
		uint32_t word = isa_load(text->at + at, 4);

		if (same_register(word, movw) && (is_movw(word) || is_movt(word))) {
			*ret_half = half_of(word);
			return is_movt(word);
		}
		at += is_long(word & 0xffff) ? 4 : 2;
	}
	return false;
}

/* Instructions cannot be told apart backwards, so any two halfwords that look right do. */
static bool movw_before(const struct isa_text *text, uint32_t movt, uint32_t *ret_half)
{
	for (uint32_t at = 4; at <= PAIR_REACH && at <= text->before; at += 2) {
		uint32_t word = isa_load(text->at - at, 4);

		if (!same_register(word, movt) || (!is_movw(word) && !is_movt(word)))
			continue;
		*ret_half = half_of(word);
		return is_movw(word);
	}
	return false;
}

static uint32_t data_distance(uint8_t class, uint32_t word)
{
	uint32_t distance;

	switch (class) {
	case T32_LITERAL:
	case T32_ADR:
		return isa_field(word, 0, 8) << 2;
	case T32_LITERAL_WIDE:
		distance = isa_field(word, 16, 12);
		return word & UP ? distance : 0 - distance;
	case T32_LITERAL8:
		distance = isa_field(word, 16, 8) << 2;
		return word & UP ? distance : 0 - distance;
	default:
		distance = split_field(word);
		return (word & SUBTRACT) == 0 ? distance : 0 - distance;
	}
}

static bool t32_target(const struct isa_text *text, const struct isa_token *token, uint32_t word,
		       uint64_t va, uint64_t *ret_target)
{
	uint32_t pc = (uint32_t)va + 4, half, target;

	switch (token->class) {
	case T32_BL:
	case T32_B_FAR:
		target = pc + far_distance(word);
		break;
	case T32_BLX:
		target = (pc & ~3u) + far_distance(word);
		break;
	case T32_B_CONDITION:
		target = pc + condition_distance(word);
		break;
	case T32_B_SHORT:
		target = pc + (uint32_t)isa_sign_extend(isa_field(word, 0, 11) << 1, 12);
		break;
	case T32_B_SHORTER:
		target = pc + (uint32_t)isa_sign_extend(isa_field(word, 0, 8) << 1, 9);
		break;
	case T32_ZERO:
		target = pc + (isa_field(word, 9, 1) << 6 | isa_field(word, 3, 5) << 1);
		break;
	case T32_MOVW:
		if (!movt_behind(text, word, &half))
			return false;
		target = half << 16 | half_of(word);
		break;
	case T32_MOVT:
		if (!movw_before(text, word, &half))
			return false;
		target = half_of(word) << 16 | half;
		break;
	case T32_LITERAL:
	case T32_LITERAL_WIDE:
	case T32_LITERAL8:
	case T32_ADR:
	case T32_ADR_WIDE:
		target = (pc & ~3u) + data_distance(token->class, word);
		break;
	default:
		return false;
	}
	*ret_target = target;
	return true;
}

/* ---- the other way round --------------------------------------------------------------------- */

/* Distances wrap at 32 bits; those that fit a field are small either way. */
static bool fits(uint32_t distance, unsigned bits, unsigned scale)
{
	return isa_fits((uint64_t)(int64_t)(int32_t)distance, bits, scale);
}

/* A distance to data, without its sign; false when it does not fit. */
static bool magnitude(uint32_t distance, bool up, unsigned bits, unsigned scale,
		      uint32_t *ret_value)
{
	uint32_t value = up ? distance : 0 - distance;

	if (value >> scale >= 1u << bits || (value & ((1u << scale) - 1)) != 0)
		return false;
	*ret_value = value >> scale;
	return true;
}

static bool build_data(uint8_t class, uint32_t word, uint32_t distance, uint32_t *ret_word)
{
	bool up = distance >> 31 == 0;
	uint32_t value;

	if (distance == 0)
		up = class == T32_ADR_WIDE ? (word & SUBTRACT) == 0 : word & UP;
	switch (class) {
	case T32_LITERAL:
	case T32_ADR:
		if (!magnitude(distance, true, 8, 2, &value))
			return false;
		*ret_word = (word & 0xff00) | value;
		return true;
	case T32_LITERAL_WIDE:
		if (!magnitude(distance, up, 12, 0, &value))
			return false;
		*ret_word = (word & 0xf000ff7f) | (up ? UP : 0) | value << 16;
		return true;
	case T32_LITERAL8:
		if (!magnitude(distance, up, 8, 2, &value))
			return false;
		*ret_word = (word & 0xff00ff7f) | (up ? UP : 0) | value << 16;
		return true;
	default:
		if (!magnitude(distance, up, 12, 0, &value))
			return false;
		*ret_word = put_split((word & ~SUBTRACT) | (up ? 0 : SUBTRACT), value);
		return true;
	}
}

static bool build_branch(uint8_t class, uint32_t word, uint32_t distance, uint32_t *ret_word)
{
	switch (class) {
	case T32_BL:
	case T32_B_FAR:
		*ret_word = put_far(word, distance);
		return fits(distance, 24, 1);
	case T32_B_CONDITION:
		*ret_word = put_condition(word, distance);
		return fits(distance, 20, 1);
	case T32_B_SHORT:
		*ret_word = (word & 0xf800) | isa_field(distance, 1, 11);
		return fits(distance, 11, 1);
	case T32_B_SHORTER:
		*ret_word = (word & 0xff00) | isa_field(distance, 1, 8);
		return fits(distance, 8, 1);
	default:
		*ret_word = (word & 0xfd07) | isa_field(distance, 6, 1) << 9 |
			    isa_field(distance, 1, 5) << 3;
		return distance < 128 && distance % 2 == 0;
	}
}

static bool t32_build(const struct isa_token *token, uint32_t word, uint64_t va, uint64_t target,
		      uint32_t *ret_word)
{
	uint32_t pc = (uint32_t)va + 4, distance = (uint32_t)target - pc, value;

	if (target > UINT32_MAX)
		return false;
	switch (token->class) {
	case ISA_OTHER:
		return false;
	case T32_BLX:
		distance = (uint32_t)target - (pc & ~3u);
		if (!fits(distance, 23, 2))
			return false;
		*ret_word = put_far(word, distance);
		return true;
	case T32_LITERAL:
	case T32_LITERAL_WIDE:
	case T32_LITERAL8:
	case T32_ADR:
	case T32_ADR_WIDE:
		return build_data(token->class, word, (uint32_t)target - (pc & ~3u), ret_word);
	case T32_MOVW:
		*ret_word = put_half(word, (uint32_t)target & 0xffff);
		return true;
	case T32_MOVT:
		*ret_word = put_half(word, (uint32_t)target >> 16);
		return true;
	default:
		if (!build_branch(token->class, word, distance, &value))
			return false;
		*ret_word = value;
		return true;
	}
}

static uint32_t t32_keep(const struct isa_token *token, uint32_t word)
{
	(void)word;
	switch (token->class) {
	case T32_BL:
	case T32_B_FAR:
		return 0xd000f800;
	case T32_BLX:
		return 0xd001f800;
	case T32_LITERAL:
	case T32_ADR:
		return 0xff00;
	case T32_LITERAL_WIDE:
		return 0xf000ff7f;
	case T32_LITERAL8:
		return 0xff00ff7f;
	case T32_MOVW:
		return 0x8f00fbf0;
	default:
		return UINT32_MAX;
	}
}

static enum isa_use t32_use(const struct isa_token *token, uint32_t word, uint32_t va, unsigned *ret_register,
			    uint32_t *ret_distance)
{
	if (token->class == ISA_OTHER && token->bytes == 2 && (word & 0xff78) == 0x4478) { /* ADD register, pc */
		*ret_register = isa_field(word, 7, 1) << 3 | isa_field(word, 0, 3);
		*ret_distance = 4;
		return ISA_USE_ADD;
	}
	if (token->class == T32_LITERAL)
		*ret_register = isa_field(word, 8, 3);
	else if (token->class == T32_LITERAL_WIDE && (word & 0xff7f) == 0xf85f)
		*ret_register = isa_field(word, 28, 4);
	else
		return ISA_USE_NONE;
	*ret_distance = ((va + 4) & ~3u) + data_distance(token->class, word) - va;
	return ISA_USE_LOAD;
}

const struct isa isa_t32 = {
	.name = "T32",
	.step = 2,
	.split = t32_split,
	.target = t32_target,
	.build = t32_build,
	.keep = t32_keep,
	.use = t32_use,
	/* all but MOVW, whose other half stands behind it */
	.backward_classes = ((1u << (T32_MOVT + 1)) - 1) & ~(1u << ISA_OTHER | 1u << T32_MOVW),
};
