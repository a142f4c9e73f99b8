/* SPDX-License-Identifier: MIT
 *
 * ARM code of 32-bit words; every instruction is one token.
 *
 * The program counter reads as the instruction's address + 8. Addresses have 32 bits and wrap.
 */
#include "isa.h"
#include "isa_bits.h"

enum {
	A32_B = 1,
	A32_BL,
	A32_BLX,      /* BL that changes to Thumb */
	A32_LITERAL,  /* LDR, LDRB of what stands nearby */
	A32_LITERAL8, /* VLDR: 8 bits, in words */
	A32_ADR,      /* ADD or SUB of a rotated immediate to the program counter */
	A32_MOVW,     /* low half of an address */
	A32_MOVT      /* high half */
};

#define PAIR_REACH 8 /* instructions between the halves of an address at most */
#define UP	   (1u << 23)

static bool is_movw(uint32_t word)
{
	return (word & 0x0ff00000) == 0x03000000;
}

static bool is_movt(uint32_t word)
{
	return (word & 0x0ff00000) == 0x03400000;
}

static uint8_t a32_class(uint32_t word)
{
	if (word >> 28 == 15)
		return (word & 0xfe000000) == 0xfa000000 ? A32_BLX : ISA_OTHER;
	switch (isa_field(word, 24, 4)) {
	case 0xa:
		return A32_B;
	case 0xb:
		return A32_BL;
	case 0x5:
		return (word & 0x0f3f0000) == 0x051f0000 ? A32_LITERAL : ISA_OTHER;
	case 0xd:
		return (word & 0x0f3f0e00) == 0x0d1f0a00 ? A32_LITERAL8 : ISA_OTHER;
	case 0x2:
		return (word & 0x0fff0000) == 0x028f0000 || (word & 0x0fff0000) == 0x024f0000
			   ? A32_ADR
			   : ISA_OTHER;
	case 0x3:
		if (is_movw(word))
			return A32_MOVW;
		return is_movt(word) ? A32_MOVT : ISA_OTHER;
	default:
		return ISA_OTHER;
	}
}

static unsigned a32_split(const struct isa_text *text, struct isa_token *tokens)
{
	uint32_t bytes = text->after < 4 ? text->after : 4;

	tokens[0] = (struct isa_token){ .bytes = (uint8_t)bytes };
	if (bytes == 4)
		tokens[0].class = a32_class(isa_load(text->at, 4));
	return 1;
}

static uint32_t half_of(uint32_t word)
{
	return isa_field(word, 16, 4) << 12 | isa_field(word, 0, 12);
}

static bool same_register(uint32_t a, uint32_t b)
{
	return isa_field(a, 12, 4) == isa_field(b, 12, 4);
}

/* The high half behind a low one, for the same register. */
static bool movt_behind(const struct isa_text *text, uint32_t movw, uint32_t *ret_half)
{
	for (uint32_t at = 4; at <= PAIR_REACH * 4 && at + 4 <= text->after; at += 4) {
		uint32_t word = isa_load(text->at + at, 4);

		if (!same_register(word, movw) || (!is_movw(word) && !is_movt(word)))
			continue;
		*ret_half = half_of(word);
		return is_movt(word);
	}
	return false;
}

static bool movw_before(const struct isa_text *text, uint32_t movt, uint32_t *ret_half)
{
	for (uint32_t at = 4; at <= PAIR_REACH * 4 && at <= text->before; at += 4) {
		uint32_t word = isa_load(text->at - at, 4);

		if (!same_register(word, movt) || (!is_movw(word) && !is_movt(word)))
			continue;
		*ret_half = half_of(word);
		return is_movw(word);
	}
	return false;
}

static uint32_t rotate_right(uint32_t value, unsigned by)
{
	return by == 0 ? value : value >> by | value << (32 - by);
}

static uint32_t adr_distance(uint32_t word)
{
	uint32_t value = rotate_right(isa_field(word, 0, 8), 2 * isa_field(word, 8, 4));

	return word & UP ? value : 0 - value;
}

static bool a32_target(const struct isa_text *text, const struct isa_token *token, uint32_t word,
		       uint64_t va, uint64_t *ret_target)
{
	uint32_t pc = (uint32_t)va + 8, distance, half;

	switch (token->class) {
	case A32_B:
	case A32_BL:
		distance = (uint32_t)isa_sign_extend(isa_field(word, 0, 24) << 2, 26);
		break;
	case A32_BLX:
		distance = (uint32_t)isa_sign_extend(
		    isa_field(word, 0, 24) << 2 | isa_field(word, 24, 1) << 1, 26);
		break;
	case A32_LITERAL:
		distance = isa_field(word, 0, 12);
		distance = word & UP ? distance : 0 - distance;
		break;
	case A32_LITERAL8:
		distance = isa_field(word, 0, 8) << 2;
		distance = word & UP ? distance : 0 - distance;
		break;
	case A32_ADR:
		distance = adr_distance(word);
		break;
	case A32_MOVW:
		if (!movt_behind(text, word, &half))
			return false;
		*ret_target = half << 16 | half_of(word);
		return true;
	case A32_MOVT:
		if (!movw_before(text, word, &half))
			return false;
		*ret_target = half_of(word) << 16 | half;
		return true;
	default:
		return false;
	}
	*ret_target = pc + distance;
	return true;
}

/* Sign and magnitude: bit UP and `bits` bits scaled by 2^scale. */
static bool put_offset(uint32_t word, uint32_t distance, unsigned bits, unsigned scale,
		       uint32_t *ret_word)
{
	uint32_t mask = (1u << bits) - 1, up = word & UP;

	if (distance != 0)
		up = distance >> 31 ? 0 : UP;
	if (!up)
		distance = 0 - distance;
	if (distance >> scale > mask || (distance & ((1u << scale) - 1)) != 0)
		return false;
	*ret_word = (word & ~(mask | UP)) | up | distance >> scale;
	return true;
}

static bool rotate_to_byte(uint32_t value, uint32_t rotation, uint32_t *ret_byte)
{
	*ret_byte = rotate_right(value, (32 - 2 * rotation) % 32);
	return *ret_byte <= 0xff;
}

/* The smallest rotation, as an assembler takes it; 16 when there is none. */
static uint32_t smallest_rotation(uint32_t value)
{
	uint32_t rotation = 0, byte;

	while (rotation < 16 && !rotate_to_byte(value, rotation, &byte))
		rotation++;
	return rotation;
}

/* With the smallest rotation, unless `word` has another one that serves. */
static bool put_rotated(uint32_t word, uint32_t value, uint32_t *ret_word)
{
	uint32_t rotation = isa_field(word, 8, 4), byte;
	uint32_t was = rotate_right(isa_field(word, 0, 8), 2 * rotation);

	if (rotation == smallest_rotation(was) || !rotate_to_byte(value, rotation, &byte))
		rotation = smallest_rotation(value);
	if (!rotate_to_byte(value, rotation, &byte))
		return false;
	*ret_word = (word & 0xfffff000) | rotation << 8 | byte;
	return true;
}

/* ADD or SUB: a distance may be either, so the operation of `word` is tried first. */
static bool put_adr(uint32_t word, uint32_t distance, uint32_t *ret_word)
{
	const uint32_t add = 0x00800000, subtract = 0x00400000;
	bool up = word & UP;

	if (put_rotated(word, up ? distance : 0 - distance, ret_word))
		return true;
	return put_rotated((word & ~(add | subtract)) | (up ? subtract : add),
			   up ? 0 - distance : distance, ret_word);
}

static uint32_t put_half(uint32_t word, uint32_t half)
{
	return (word & 0xfff0f000) | isa_field(half, 12, 4) << 16 | isa_field(half, 0, 12);
}

static bool a32_build(const struct isa_token *token, uint32_t word, uint64_t va, uint64_t target,
		      uint32_t *ret_word)
{
	uint32_t distance = (uint32_t)target - ((uint32_t)va + 8);
	uint64_t far = isa_sign_extend(distance & 0x7fffffff, 31);

	if (target > UINT32_MAX)
		return false;
	switch (token->class) {
	case A32_B:
	case A32_BL:
		if ((uint32_t)far != distance || !isa_fits(far, 24, 2))
			return false;
		*ret_word = (word & 0xff000000) | isa_field(distance, 2, 24);
		return true;
	case A32_BLX:
		if ((uint32_t)far != distance || !isa_fits(far, 25, 1))
			return false;
		*ret_word = (word & 0xfe000000) | isa_field(distance, 1, 1) << 24 |
			    isa_field(distance, 2, 24);
		return true;
	case A32_LITERAL:
		return put_offset(word, distance, 12, 0, ret_word);
	case A32_LITERAL8:
		return put_offset(word, distance, 8, 2, ret_word);
	case A32_ADR:
		return put_adr(word, distance, ret_word);
	case A32_MOVW:
		*ret_word = put_half(word, (uint32_t)target & 0xffff);
		return true;
	case A32_MOVT:
		*ret_word = put_half(word, (uint32_t)target >> 16);
		return true;
	default:
		return false;
	}
}

static uint32_t a32_keep(const struct isa_token *token, uint32_t word)
{
	(void)word;
	switch (token->class) {
	case A32_B:
	case A32_BL:
		return 0xff000000;
	case A32_BLX:
		return 0xfe000000;
	case A32_LITERAL:
		return 0xff7ff000;
	case A32_LITERAL8:
		return 0xff7fff00;
	case A32_MOVW:
		return 0xfff0f000;
	default:
		return UINT32_MAX;
	}
}

static enum isa_use a32_use(const struct isa_token *token, uint32_t word, uint32_t va, unsigned *ret_register,
			    uint32_t *ret_distance)
{
	(void)va;
	if (token->bytes != 4)
		return ISA_USE_NONE;
	if ((word & 0x0fff0ff0) == 0x008f0000 || (word & 0x0fff0ff0) == 0x079f0000) { /* ADD or LDR with pc and register */
		*ret_register = isa_field(word, 0, 4);
		*ret_distance = 8;
		return ISA_USE_ADD;
	}
	if (token->class != A32_LITERAL || isa_field(word, 22, 1))
		return ISA_USE_NONE;
	*ret_register = isa_field(word, 12, 4);
	*ret_distance = 8 + (word & UP ? isa_field(word, 0, 12) : 0 - isa_field(word, 0, 12));
	return ISA_USE_LOAD;
}

const struct isa isa_a32 = {
	.name = "A32",
	.step = 4,
	.split = a32_split,
	.target = a32_target,
	.build = a32_build,
	.keep = a32_keep,
	.use = a32_use,
	/* all but MOVW, whose other half stands behind it */
	.backward_classes = 1u << A32_B | 1u << A32_BL | 1u << A32_BLX | 1u << A32_LITERAL |
			    1u << A32_LITERAL8 | 1u << A32_ADR | 1u << A32_MOVT,
};
