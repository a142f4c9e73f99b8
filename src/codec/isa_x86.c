/* SPDX-License-Identifier: MIT
 *
 * x86-64: instructions have 1 to 15 bytes, so they are measured before they are cut.
 *
 * An instruction is prefixes, opcode, ModRM, SIB, displacement, immediate. Fields of four bytes get
 * tokens of their own; all else is cut into tokens of up to four. What is no instruction is one
 * byte.
 */
#include "isa.h"

enum {
	X86_CALL = 1,
	X86_JUMP,
	X86_BRANCH, /* conditional */
	X86_RIP,    /* displacement from the instruction's end */
	X86_ADDRESS /* displacement or immediate that may be an address, sign-extended */
};

#define LENGTH_MAX   15u
#define ADDRESS_MIN  0x10000u /* numbers smaller than that are no addresses, of either sign */
#define LENGTH_WRONG 0u

/* What follows an opcode. */
enum {
	M = 1,	/* ModRM and what it asks for */
	B = 2,	/* immediate of 1 byte */
	H = 4,	/* of 2 */
	Z = 8,	/* of 4, or 2 with an operand prefix */
	V = 16, /* the same, or 8 with a wide operand */
	O = 32, /* address of 8 bytes, or 4 with an address prefix */
	T = 64, /* M, and the immediate only if it is a TEST */
	X = 128 /* not in 64-bit code, or not here */
};

/* clang-format off */
static const uint8_t one_byte[256] = {
	/* 00 */ M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,
	/* 10 */ M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,
	/* 20 */ M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,
	/* 30 */ M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,
	/* 40 */ X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	/* 50 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* 60 */ X, X, X, M, X, X, X, X, Z, M | Z, B, M | B, 0, 0, 0, 0,
	/* 70 */ B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
	/* 80 */ M | B, M | Z, X, M | B, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 90 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, X, 0, 0, 0, 0, 0,
	/* a0 */ O, O, O, O, 0, 0, 0, 0, B, Z, 0, 0, 0, 0, 0, 0,
	/* b0 */ B, B, B, B, B, B, B, B, V, V, V, V, V, V, V, V,
	/* c0 */ M | B, M | B, H, 0, X, X, M | B, M | Z, H | B, 0, H, 0, 0, B, X, 0,
	/* d0 */ M, M, M, M, X, X, X, 0, M, M, M, M, M, M, M, M,
	/* e0 */ B, B, B, B, B, B, B, B, Z, Z, X, B, 0, 0, 0, 0,
	/* f0 */ X, 0, X, X, 0, 0, T | B, T | Z, 0, 0, 0, 0, 0, 0, M, M,
};

/* Behind 0F; vector instructions with the same opcode have the same operands. */
static const uint8_t two_bytes[256] = {
	/* 00 */ M, M, M, M, X, 0, 0, 0, 0, 0, X, 0, X, M, 0, M | B,
	/* 10 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 20 */ M, M, M, M, X, X, X, X, M, M, M, M, M, M, M, M,
	/* 30 */ 0, 0, 0, 0, 0, 0, X, 0, X, X, X, X, X, X, X, X,
	/* 40 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 50 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 60 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 70 */ M | B, M | B, M | B, M | B, M, M, M, 0, M, M, M, M, M, M, M, M,
	/* 80 */ Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z,
	/* 90 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* a0 */ 0, 0, 0, M, M | B, M, M, M, 0, 0, 0, M, M | B, M, M, M,
	/* b0 */ M, M, M, M, M, M, M, M, M, M, M | B, M, M, M, M, M,
	/* c0 */ M, M, M | B, M, M | B, M | B, M | B, M, 0, 0, 0, 0, 0, 0, 0, 0,
	/* d0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* e0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* f0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
};

/* clang-format on */

struct x86_text {
	const uint8_t *at;
	uint32_t bytes;
};

/* An instruction being measured. Lengths are of its fields; the displacement starts at
 * displacement_at. */
struct x86 {
	uint32_t length; /* so far */
	bool operand_prefix, address_prefix, wide;
	uint8_t opcode, operands;
	bool jumps; /* the immediate is a distance */
	bool rip;
	uint32_t displacement_at, displacement_bytes;
	uint32_t immediate_at, immediate_bytes;
};

static bool take(const struct x86_text *text, struct x86 *x, uint8_t *ret_byte)
{
	if (x->length >= text->bytes || x->length >= LENGTH_MAX)
		return false;
	*ret_byte = text->at[x->length++];
	return true;
}

/* Prefixes and the first byte of the opcode. */
static bool read_prefixes(const struct x86_text *text, struct x86 *x)
{
	while (take(text, x, &x->opcode)) {
		switch (x->opcode) {
		case 0x66:
			x->operand_prefix = true;
			break;
		case 0x67:
			x->address_prefix = true;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
		case 0xf0:
		case 0xf2:
		case 0xf3:
			break;
		default:
			if ((x->opcode & 0xf0) != 0x40)
				return true;
			x->wide = x->opcode >> 3 & 1;
			continue;
		}
		x->wide = false; /* REX counts only just before the opcode */
	}
	return false;
}

/* Operands of an opcode in a numbered map: 1, 2, 3 are 0F, 0F 38, 0F 3A; 8 to 10 those of XOP. */
static uint8_t map_operands(unsigned map, uint8_t opcode)
{
	switch (map) {
	case 1:
		return two_bytes[opcode];
	case 2:
	case 5:
	case 6:
	case 9:
		return M;
	case 3:
	case 8:
		return M | B;
	case 10:
		return M | Z;
	default:
		return X;
	}
}

/* VEX, EVEX and XOP: `bytes` behind the first one, the map in the low bits of the first of these.
 */
static bool read_vector(const struct x86_text *text, struct x86 *x, unsigned bytes,
			unsigned map_mask)
{
	unsigned map = 1;
	uint8_t byte;

	for (unsigned i = 0; i < bytes; i++) {
		if (!take(text, x, &byte))
			return false;
		if (i == 0 && map_mask)
			map = byte & map_mask;
	}
	if (!take(text, x, &x->opcode))
		return false;
	x->operand_prefix = false;
	x->operands = map_operands(map, x->opcode);
	return !(x->operands & Z) || map == 10;
}

static bool read_escape(const struct x86_text *text, struct x86 *x)
{
	unsigned map = 1;

	if (!take(text, x, &x->opcode))
		return false;
	if (x->opcode == 0x38 || x->opcode == 0x3a) {
		map = x->opcode == 0x38 ? 2 : 3;
		if (!take(text, x, &x->opcode))
			return false;
	}
	x->operands = map_operands(map, x->opcode);
	x->jumps = x->operands == Z;
	return true;
}

static bool read_opcode(const struct x86_text *text, struct x86 *x)
{
	switch (x->opcode) {
	case 0x0f:
		return read_escape(text, x);
	case 0xc5:
		return read_vector(text, x, 1, 0);
	case 0xc4:
		return read_vector(text, x, 2, 31);
	case 0x62:
		return read_vector(text, x, 3, 7);
	case 0x8f:
		if (x->length < text->bytes && (text->at[x->length] & 31) >= 8)
			return read_vector(text, x, 2, 31);
		break;
	default:
		break;
	}
	x->operands = one_byte[x->opcode];
	x->jumps = x->opcode == 0xe8 || x->opcode == 0xe9;
	return true;
}

static bool read_modrm(const struct x86_text *text, struct x86 *x)
{
	uint8_t modrm, sib = 0;
	unsigned mod, rm;

	if (!take(text, x, &modrm))
		return false;
	mod = modrm >> 6;
	rm = modrm & 7;
	if ((x->operands & T) && (modrm >> 3 & 7) > 1)
		x->operands = T;
	if (mod == 3)
		return true;
	if (rm == 4 && !take(text, x, &sib))
		return false;
	x->displacement_at = x->length;
	x->rip = mod == 0 && rm == 5;
	if (mod == 2 || x->rip || (mod == 0 && rm == 4 && (sib & 7) == 5))
		x->displacement_bytes = 4;
	else if (mod == 1)
		x->displacement_bytes = 1;
	x->length += x->displacement_bytes;
	return true;
}

static uint32_t immediate_bytes(const struct x86 *x)
{
	uint32_t bytes = 0;

	if (x->operands & O)
		return x->address_prefix ? 4 : 8;
	if (x->operands & B)
		bytes += 1;
	if (x->operands & H)
		bytes += 2;
	if ((x->operands & V) && x->wide)
		bytes += 8;
	else if (x->operands & (Z | V))
		bytes += x->operand_prefix && !x->wide && !x->jumps ? 2 : 4;
	return bytes;
}

/* False when it is not understood or does not end within the text. */
static bool x86_read(const struct x86_text *text, struct x86 *x)
{
	if (!read_prefixes(text, x) || !read_opcode(text, x) || (x->operands & X))
		return false;
	if ((x->operands & (M | T)) && !read_modrm(text, x))
		return false;
	x->immediate_at = x->length;
	x->immediate_bytes = immediate_bytes(x);
	x->length += x->immediate_bytes;
	return x->length <= text->bytes && x->length <= LENGTH_MAX;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

struct cutter {
	struct isa_token *tokens;
	unsigned count;
	uint32_t at;
};

/* Everything up to `end`, in tokens of up to four bytes. */
static void cut_to(struct cutter *cutter, uint32_t end)
{
	while (cutter->at < end) {
		uint32_t bytes = end - cutter->at < 4 ? end - cutter->at : 4;

		cutter->tokens[cutter->count++] = (struct isa_token){ .bytes = (uint8_t)bytes };
		cutter->at += bytes;
	}
}

static void cut_field(struct cutter *cutter, uint8_t class, uint32_t length)
{
	cutter->at += 4;
	cutter->tokens[cutter->count++] =
	    (struct isa_token){ 4, class, (uint8_t)(length - cutter->at) };
}

static uint8_t immediate_class(const struct x86 *x)
{
	if (!x->jumps)
		return X86_ADDRESS;
	if (x->opcode == 0xe8)
		return X86_CALL;
	return x->opcode == 0xe9 ? X86_JUMP : X86_BRANCH;
}

static unsigned x86_split(const struct isa_text *text, struct isa_token *tokens)
{
	struct x86_text bytes = { text->at, text->after < LENGTH_MAX ? text->after : LENGTH_MAX };
	struct cutter cutter = { tokens, 0, 0 };
	struct x86 x = { 0 };

	if (!x86_read(&bytes, &x)) {
		tokens[0] = (struct isa_token){ .bytes = 1 };
		return 1;
	}
	if (x.displacement_bytes == 4) {
		cut_to(&cutter, x.displacement_at);
		cut_field(&cutter, x.rip ? X86_RIP : X86_ADDRESS, x.length);
	}
	if (x.immediate_bytes >= 4) {
		cut_to(&cutter, x.immediate_at);
		cut_field(&cutter, immediate_class(&x), x.length);
	}
	cut_to(&cutter, x.length);
	return cutter.count;
}

/* ---- addresses ------------------------------------------------------------------------------- */

static uint64_t sign_extend(uint32_t word)
{
	return (uint64_t)(int64_t)(int32_t)word;
}

static bool may_be_address(uint32_t word)
{
	return word + ADDRESS_MIN >= 2 * ADDRESS_MIN;
}

static bool x86_target(const struct isa_text *text, const struct isa_token *token, uint32_t word,
		       uint64_t va, uint64_t *ret_target)
{
	(void)text;
	if (token->class == ISA_OTHER)
		return false;
	if (token->class == X86_ADDRESS) {
		*ret_target = sign_extend(word);
		return may_be_address(word);
	}
	*ret_target = va + 4 + token->behind + sign_extend(word);
	return true;
}

static bool x86_build(const struct isa_token *token, uint32_t word, uint64_t va, uint64_t target,
		      uint32_t *ret_word)
{
	uint64_t value = target;

	(void)word;
	if (token->class == ISA_OTHER)
		return false;
	if (token->class != X86_ADDRESS)
		value -= va + 4 + token->behind;
	else if (!may_be_address((uint32_t)value))
		return false;
	if (sign_extend((uint32_t)value) != value)
		return false;
	*ret_word = (uint32_t)value;
	return true;
}

static uint32_t x86_keep(const struct isa_token *token, uint32_t word)
{
	switch (token->class) {
	case X86_CALL:
	case X86_JUMP:
	case X86_RIP:
		return 0;
	case X86_ADDRESS:
		/* only a kernel has addresses in its code, and they look like this */
		return word >> 28 == 8 ? 0xf0000000 : UINT32_MAX;
	default:
		return UINT32_MAX;
	}
}

const struct isa isa_x86 = {
	.name = "x86-64",
	.step = 1,
	.split = x86_split,
	.target = x86_target,
	.build = x86_build,
	.keep = x86_keep,
	.backward_classes =
	    1u << X86_CALL | 1u << X86_JUMP | 1u << X86_BRANCH | 1u << X86_RIP | 1u << X86_ADDRESS,
};
