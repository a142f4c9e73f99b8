/* SPDX-License-Identifier: MIT
 *
 * RISC-V of 32 and 64 bits: instructions of 4 or 2 bytes, one token each.
 *
 * A far address is made of two instructions: AUIPC adds 20 high bits to its own address, and one that uses its
 * register adds 12 signed ones. The second one's token says in `behind` how far before it the first one stands.
 */
#include "isa.h"
#include "isa_bits.h"

enum {
	RISCV_JAL = 1,
	RISCV_BRANCH,
	RISCV_AUIPC,
	RISCV_LOW,       /* its low bits: ADDI, loads, JALR */
	RISCV_LOW_STORE, /* the same of stores, whose bits stand elsewhere */
	RISCV_JUMP_SHORT,
	RISCV_BRANCH_SHORT
};

#define PAIR_REACH 32u /* bytes between the halves of an address at most */

static bool is_long(uint32_t word)
{
	return (word & 3) == 3;
}

static bool is_auipc(uint32_t word)
{
	return (word & 0x7f) == 0x17 && (word & 0xf80) != 0;
}

/* LOW or LOW_STORE if it may be the second half of an address, else ISA_OTHER. */
static uint8_t low_class(uint32_t word)
{
	switch (word & 0x7f) {
	case 0x03: /* loads, */
	case 0x07: /* of floating point */
		return RISCV_LOW;
	case 0x13: /* ADDI */
	case 0x67: /* JALR */
		return (word & 0x7000) == 0 ? RISCV_LOW : ISA_OTHER;
	case 0x23:
	case 0x27:
		return RISCV_LOW_STORE;
	default:
		return ISA_OTHER;
	}
}

/* Register of an AUIPC against the one that a second half adds to. */
static bool is_pair(uint32_t auipc, uint32_t low)
{
	return isa_field(auipc, 7, 5) == isa_field(low, 15, 5);
}

/* Register that the instruction writes; 0: none. What a called function does to others is not looked at. */
static uint32_t written(uint32_t word)
{
	uint32_t function = isa_field(word, 13, 3);

	switch (word & 3) {
	case 0: /* loads, into one of eight registers; function 1 is of floating point */
		return function == 2 || function == 3 ? 8 + isa_field(word, 2, 3) : 0;
	case 1:
		if (function < 4)
			return isa_field(word, 7, 5);
		return function == 4 ? 8 + isa_field(word, 7, 3) : 0;
	case 2:
		if (function == 4 && isa_field(word, 2, 5) == 0)
			return 0; /* a jump */
		return function < 5 && function != 1 ? isa_field(word, 7, 5) : 0;
	default:
		break;
	}
	switch (word & 0x7f) {
	case 0x63: /* branches, */
	case 0x23: /* stores, */
	case 0x27:
	case 0x07: /* loads of floating point */
		return 0;
	default:
		return isa_field(word, 7, 5);
	}
}

/* Does what an AUIPC puts into its register last, from `from` until right before `to`? If not, a field of what
 * was loaded since would look like the second half of an address.
 */
static bool lasts(const uint8_t *from, const uint8_t *to, uint32_t auipc)
{
	while (from < to) {
		bool wide = is_long(*from);
		uint32_t word = isa_load(from, wide && to - from >= 4 ? 4 : 2);

		if (written(word) == isa_field(auipc, 7, 5))
			return false;
		from += wide ? 4 : 2;
	}
	return from == to;
}

/* How far before `text` the AUIPC of its register stands; 0: nowhere. Instructions cannot be told apart backwards,
 * so each two halfwords that look right are tried.
 */
static uint8_t auipc_before(const struct isa_text *text, uint32_t low)
{
	for (uint8_t at = 4; at <= PAIR_REACH && at <= text->before; at += 2) {
		uint32_t word = isa_load(text->at - at, 4);

		if (is_auipc(word) && is_pair(word, low) && lasts(text->at - at + 4, text->at, word))
			return at;
	}
	return 0;
}

static unsigned riscv_split(const struct isa_text *text, struct isa_token *tokens)
{
	uint32_t bytes = text->after < 2 ? text->after : 2, word = isa_load(text->at, bytes);

	tokens[0] = (struct isa_token){ .bytes = (uint8_t)bytes };
	if (bytes < 2)
		return 1;
	if (!is_long(word)) {
		if ((word & 0xe003) == 0xa001)
			tokens[0].class = RISCV_JUMP_SHORT;
		else if ((word & 0xc003) == 0xc001)
			tokens[0].class = RISCV_BRANCH_SHORT;
		return 1;
	}
	if (text->after < 4)
		return 1;
	word = isa_load(text->at, 4);
	tokens[0].bytes = 4;
	if ((word & 0x7f) == 0x6f)
		tokens[0].class = RISCV_JAL;
	else if ((word & 0x7f) == 0x63)
		tokens[0].class = RISCV_BRANCH;
	else if (is_auipc(word))
		tokens[0].class = RISCV_AUIPC;
	else if (low_class(word) != ISA_OTHER && (tokens[0].behind = auipc_before(text, word)) != 0)
		tokens[0].class = low_class(word);
	return 1;
}

/* ---- fields ---------------------------------------------------------------------------------- */

static uint64_t jal_distance(uint32_t word)
{
	return isa_sign_extend(isa_field(word, 31, 1) << 20 | isa_field(word, 12, 8) << 12 | isa_field(word, 20, 1) << 11 |
				       isa_field(word, 21, 10) << 1,
			       21);
}

static uint32_t put_jal(uint32_t word, uint32_t d)
{
	return (word & 0xfff) | isa_field(d, 20, 1) << 31 | isa_field(d, 12, 8) << 12 | isa_field(d, 11, 1) << 20 |
	       isa_field(d, 1, 10) << 21;
}

static uint64_t branch_distance(uint32_t word)
{
	return isa_sign_extend(isa_field(word, 31, 1) << 12 | isa_field(word, 7, 1) << 11 | isa_field(word, 25, 6) << 5 |
				       isa_field(word, 8, 4) << 1,
			       13);
}

static uint32_t put_branch(uint32_t word, uint32_t d)
{
	return (word & 0x01fff07f) | isa_field(d, 12, 1) << 31 | isa_field(d, 11, 1) << 7 | isa_field(d, 5, 6) << 25 |
	       isa_field(d, 1, 4) << 8;
}

static uint64_t short_jump_distance(uint32_t word)
{
	return isa_sign_extend(isa_field(word, 12, 1) << 11 | isa_field(word, 8, 1) << 10 | isa_field(word, 9, 2) << 8 |
				       isa_field(word, 6, 1) << 7 | isa_field(word, 7, 1) << 6 | isa_field(word, 2, 1) << 5 |
				       isa_field(word, 11, 1) << 4 | isa_field(word, 3, 3) << 1,
			       12);
}

static uint32_t put_short_jump(uint32_t word, uint32_t d)
{
	return (word & 0xe003) | isa_field(d, 11, 1) << 12 | isa_field(d, 10, 1) << 8 | isa_field(d, 8, 2) << 9 |
	       isa_field(d, 7, 1) << 6 | isa_field(d, 6, 1) << 7 | isa_field(d, 5, 1) << 2 | isa_field(d, 4, 1) << 11 |
	       isa_field(d, 1, 3) << 3;
}

static uint64_t short_branch_distance(uint32_t word)
{
	return isa_sign_extend(isa_field(word, 12, 1) << 8 | isa_field(word, 5, 2) << 6 | isa_field(word, 2, 1) << 5 |
				       isa_field(word, 10, 2) << 3 | isa_field(word, 3, 2) << 1,
			       9);
}

static uint32_t put_short_branch(uint32_t word, uint32_t d)
{
	return (word & 0xe383) | isa_field(d, 8, 1) << 12 | isa_field(d, 6, 2) << 5 | isa_field(d, 5, 1) << 2 |
	       isa_field(d, 3, 2) << 10 | isa_field(d, 1, 2) << 3;
}

static uint64_t high_distance(uint32_t auipc)
{
	return isa_sign_extend(auipc >> 12, 20) << 12;
}

static uint64_t low_distance(uint8_t class, uint32_t word)
{
	return isa_sign_extend(class == RISCV_LOW ? word >> 20 : isa_field(word, 25, 7) << 5 | isa_field(word, 7, 5), 12);
}

static uint32_t put_low(uint8_t class, uint32_t word, uint32_t d)
{
	if (class == RISCV_LOW)
		return (word & 0xfffff) | isa_field(d, 0, 12) << 20;
	return (word & 0x01fff07f) | isa_field(d, 5, 7) << 25 | isa_field(d, 0, 5) << 7;
}

/* ---- targets --------------------------------------------------------------------------------- */

/* What the first instruction behind that uses the register adds; 0 if there is none, or it is written before. */
static uint64_t low_behind(const struct isa_text *text, uint32_t auipc)
{
	uint32_t at = 4;

	while (at <= PAIR_REACH && at + 4 <= text->after) {
		uint32_t word = isa_load(text->at + at, 4);

		if (low_class(word) != ISA_OTHER && is_pair(auipc, word))
			return low_distance(low_class(word), word);
		if (written(word) == isa_field(auipc, 7, 5))
			return 0;
		at += is_long(word) ? 4 : 2;
	}
	return 0;
}

static bool riscv_target(const struct isa_text *text, const struct isa_token *token, uint32_t word, uint64_t va,
			 uint64_t *ret_target)
{
	uint32_t first;

	switch (token->class) {
	case RISCV_JAL:
		*ret_target = va + jal_distance(word);
		return true;
	case RISCV_BRANCH:
		*ret_target = va + branch_distance(word);
		return true;
	case RISCV_JUMP_SHORT:
		*ret_target = va + short_jump_distance(word);
		return true;
	case RISCV_BRANCH_SHORT:
		*ret_target = va + short_branch_distance(word);
		return true;
	case RISCV_AUIPC:
		*ret_target = va + high_distance(word) + low_behind(text, word);
		return true;
	case RISCV_LOW:
	case RISCV_LOW_STORE:
		if (token->behind < 4 || token->behind > text->before)
			return false;
		first = isa_load(text->at - token->behind, 4);
		if (!is_auipc(first) || !is_pair(first, word))
			return false;
		*ret_target = va - token->behind + high_distance(first) + low_distance(token->class, word);
		return true;
	default:
		return false;
	}
}

static bool riscv_build(const struct isa_token *token, uint32_t word, uint64_t va, uint64_t target, uint32_t *ret_word)
{
	uint64_t distance = target - va;

	switch (token->class) {
	case RISCV_JAL:
		*ret_word = put_jal(word, (uint32_t)distance);
		return isa_fits(distance, 20, 1);
	case RISCV_BRANCH:
		*ret_word = put_branch(word, (uint32_t)distance);
		return isa_fits(distance, 12, 1);
	case RISCV_JUMP_SHORT:
		*ret_word = put_short_jump(word, (uint32_t)distance);
		return isa_fits(distance, 11, 1);
	case RISCV_BRANCH_SHORT:
		*ret_word = put_short_branch(word, (uint32_t)distance);
		return isa_fits(distance, 8, 1);
	case RISCV_AUIPC:
		distance += 0x800; /* because the low half is signed */
		*ret_word = (word & 0xfff) | (uint32_t)(distance >> 12) << 12;
		return isa_fits(distance, 32, 0);
	case RISCV_LOW:
	case RISCV_LOW_STORE:
		*ret_word = put_low(token->class, word, (uint32_t)distance + token->behind);
		return true;
	default:
		return false;
	}
}

static uint32_t riscv_keep(const struct isa_token *token, uint32_t word)
{
	(void)word;
	switch (token->class) {
	case RISCV_JAL:
	case RISCV_AUIPC:
		return 0xfff;
	case RISCV_LOW:
		return 0xfffff;
	case RISCV_LOW_STORE:
		return 0x01fff07f;
	default:
		return UINT32_MAX;
	}
}

const struct isa isa_riscv = {
	.name = "RISCV",
	.step = 2,
	.split = riscv_split,
	.target = riscv_target,
	.build = riscv_build,
	.keep = riscv_keep,
	/* all but AUIPC, whose other half stands behind it */
	.backward_classes = ((1u << (RISCV_BRANCH_SHORT + 1)) - 1) & ~(1u << ISA_OTHER | 1u << RISCV_AUIPC),
};
