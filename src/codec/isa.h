/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: instruction sets, one row and one file each.
 *
 * Code is cut into tokens of 1..4 bytes. A token of a class other than ISA_OTHER holds an address, whole or in
 * part, relative to where it stands or not. Everything is a function of a few bytes around the token, because
 * more old bytes may not be left on flash.
 */
#ifndef DFOTA_CODEC_ISA_H
#define DFOTA_CODEC_ISA_H

#include "region.h"

#define ISA_OTHER     0u  /* class of a token without an address */
#define ISA_POOL      15u /* class of a word of a literal pool, which no instruction set gives: see pool.h */
#define ISA_CLASSES   16u /* of one instruction set, ISA_OTHER included */
#define ISA_REACH     64u /* bytes before a token's start and behind it that may be looked at */
#define ISA_TOKENS    8u  /* tokens of one instruction at most */

/* Bytes around a token: at[-before] .. at[after - 1] may be read, at most ISA_REACH each way. */
struct isa_text {
	const uint8_t *at;
	uint32_t before, after;
};

struct isa_token {
	uint8_t bytes;  /* 1..4 */
	uint8_t class;
	uint8_t behind; /* x86: bytes of the instruction behind the token; RISC-V: from where its address starts to the token */
};

/* What an instruction does with a word of a literal pool. */
enum isa_use {
	ISA_USE_NONE,
	ISA_USE_LOAD, /* loads it into a register: distance from the instruction to it */
	ISA_USE_ADD   /* adds the program counter to the register: distance from the instruction to what that reads as */
};

struct isa {
	const char *name;
	uint8_t step; /* instructions start at addresses that are multiples of it: 4, 2, 1 */
	/* Cuts the instruction at text->at into tokens; returns their number, 1..ISA_TOKENS. The tokens lie within
	 * text->after, which is at least 1; what is cut off by the end or not understood is ISA_OTHER. Together they
	 * take a multiple of `step` bytes unless the text ends.
	 */
	unsigned (*split)(const struct isa_text *text, struct isa_token tokens[ISA_TOKENS]);
	/* Address that the token speaks of; `va` is that of its first byte, `word` its bytes little endian. False when there is
	 * none after all (a partner is missing).
	 */
	bool (*target)(const struct isa_text *text, const struct isa_token *token, uint32_t word,
		       uint64_t va, uint64_t *ret_target);
	/* The token's bytes if it stood at `va` and spoke of `target`; all else as in `word`. False when it cannot. */
	bool (*build)(const struct isa_token *token, uint32_t word, uint64_t va, uint64_t target,
		      uint32_t *ret_word);
	/* Bits of the token that do not depend on addresses that usually change when code moves: mask for matching. Branches
	 * that stay inside a function keep theirs.
	 */
	uint32_t (*keep)(const struct isa_token *token, uint32_t word);
	/* NULL: this code has no pools. Registers are 0..15. */
	enum isa_use (*use)(const struct isa_token *token, uint32_t word, uint32_t va, unsigned *ret_register,
			    uint32_t *ret_distance);
	/* Bit per class: a new token's target can be told from the token and the bytes before it alone. */
	uint16_t backward_classes;
};

/* The row of a region's kind; NULL for kinds that are not code. */
const struct isa *isa_of(unsigned kind);

extern const struct isa isa_a64, isa_a32, isa_t32, isa_x86, isa_riscv;

static inline uint32_t isa_load(const uint8_t *p, unsigned bytes)
{
	uint32_t word = 0;

	for (unsigned i = 0; i < bytes; i++)
		word |= (uint32_t)p[i] << (8 * i);
	return word;
}

#endif
