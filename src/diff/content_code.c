/* SPDX-License-Identifier: MIT
 *
 * Which instruction set code is in, told from the code.
 *
 * A call whose target is inside the file and looks like the start of a function hardly ever occurs
 * by chance, in any instruction set.
 */
#include "content_open.h"

#define SAMPLE_BYTES (UINT64_C(1) << 18)

/* The place `distance` bytes from `at`, if an instruction of `width` bytes fits there. */
static bool place_find(uint64_t at, uint32_t distance, unsigned bits, unsigned width,
		       uint64_t bytes, uint64_t *ret_place)
{
	uint64_t sign = UINT64_C(1) << (bits - 1);
	uint64_t place = at + ((distance ^ sign) - sign);

	if (!dfota_inside(place, width, bytes))
		return false;
	*ret_place = place;
	return true;
}

/* ---- calls, one function for each instruction set -------------------------------------------- */

static bool a64_starts(const uint8_t *code)
{
	uint32_t word = dfota_get32(code);

	return (word & 0xffc003e0) == 0xa98003e0 ||	 /* STP to the stack */
	       (word & 0xff8003ff) == 0xd10003ff ||	 /* SUB SP */
	       (word & 0xffe00fe0) == 0xf8000fe0 ||	 /* STR to the stack */
	       word == 0xd503233f || word == 0xd503245f; /* PACIASP, BTI */
}

static bool a64_call(const uint8_t *code, uint64_t at, uint64_t bytes, uint64_t *ret_start)
{
	uint32_t word = dfota_get32(code + at);

	return word >> 26 == 0x25 &&
	       place_find(at, (word & 0x3ffffff) << 2, 28, 4, bytes, ret_start) &&
	       a64_starts(code + *ret_start);
}

static bool a32_starts(const uint8_t *code)
{
	uint32_t word = dfota_get32(code);

	return (word & 0xffff0000) == 0xe92d0000 || /* PUSH */
	       (word & 0xffff0fff) == 0xe52d0004 || /* of one register */
	       word == 0xe1a0c00d ||		    /* MOV IP, SP */
	       (word & 0xfffff000) == 0xe24dd000;   /* SUB SP */
}

static bool a32_call(const uint8_t *code, uint64_t at, uint64_t bytes, uint64_t *ret_start)
{
	uint32_t word = dfota_get32(code + at);

	return word >> 24 == 0xeb &&
	       place_find(at + 8, (word & 0xffffff) << 2, 26, 4, bytes, ret_start) &&
	       a32_starts(code + *ret_start);
}

static bool t32_starts(const uint8_t *code)
{
	uint32_t first = dfota_get16(code);

	return (first & 0xff00) == 0xb500 || first == 0xe92d || (first & 0xff80) == 0xb080;
}

/* Target of a BL within the file. */
static bool t32_target(const uint8_t *code, uint64_t at, uint64_t bytes, uint64_t *ret_place)
{
	uint32_t first = dfota_get16(code + at), second, sign, i1, i2;

	if (at + 4 > bytes)
		return false;
	second = dfota_get16(code + at + 2);
	if ((first & 0xf800) != 0xf000 || (second & 0xd000) != 0xd000)
		return false;
	sign = first >> 10 & 1;
	i1 = ~(second >> 13 ^ sign) & 1;
	i2 = ~(second >> 11 ^ sign) & 1;
	return place_find(at + 4,
			  sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 |
			      (second & 0x7ff) << 1,
			  25, 2, bytes, ret_place);
}

static bool t32_call(const uint8_t *code, uint64_t at, uint64_t bytes, uint64_t *ret_start)
{
	return t32_target(code, at, bytes, ret_start) && t32_starts(code + *ret_start);
}

static bool x86_starts(const uint8_t *code)
{
	uint32_t word = dfota_get32(code);

	return (word & 0xff) == 0x55 || (word & 0xff) == 0x53 || /* PUSH */
	       (word & 0xfcff) == 0x5441 ||			 /* of the upper registers */
	       (word & 0xffffff) == 0xec8348 || (word & 0xffffff) == 0xec8148 || /* SUB RSP */
	       word == 0xfa1e0ff3;						 /* ENDBR64 */
}

static bool x86_call(const uint8_t *code, uint64_t at, uint64_t bytes, uint64_t *ret_start)
{
	return code[at] == 0xe8 && at + 5 <= bytes &&
	       place_find(at + 5, dfota_get32(code + at + 1), 32, 4, bytes, ret_start) &&
	       x86_starts(code + *ret_start);
}

static bool riscv_starts(const uint8_t *code)
{
	uint32_t word = dfota_get32(code);

	return (word & 0xff83) == 0x1101 || (word & 0xff83) == 0x7101 || /* the stack pointer goes down, in two bytes */
	       (word & 0x800fffff) == 0x80010113;                         /* or four */
}

/* JAL that keeps its return address, or AUIPC and JALR. */
static bool riscv_call(const uint8_t *code, uint64_t at, uint64_t bytes, uint64_t *ret_start)
{
	uint32_t word = dfota_get32(code + at), jump, distance;

	if ((word & 0xfff) == 0x0ef) {
		distance = (word >> 31 & 1) << 20 | (word >> 12 & 255) << 12 | (word >> 20 & 1) << 11 |
			   (word >> 21 & 1023) << 1;
		return place_find(at, distance, 21, 4, bytes, ret_start) && riscv_starts(code + *ret_start);
	}
	if ((word & 0xfff) != 0x097 || at + 8 > bytes)
		return false;
	jump = dfota_get32(code + at + 4);
	distance = (word & 0xfffff000) + (jump >> 20) - (jump >> 31 << 12);
	return (jump & 0xfffff) == 0x080e7 && place_find(at, distance, 32, 4, bytes, ret_start) &&
	       riscv_starts(code + *ret_start);
}

const struct content_set content_sets[CONTENT_SETS] = {
	{ REGION_A64, REGION_DATA64, 4, 4, a64_call, a64_starts, 0 },
	{ REGION_A32, REGION_DATA32, 4, 4, a32_call, a32_starts, 0 },
	{ REGION_T32, REGION_DATA32, 2, 2, t32_call, t32_starts, 0 },
	{ REGION_X86, REGION_DATA64, 1, 4, x86_call, x86_starts, 0 },
	{ REGION_RISCV, REGION_DATA64, 2, 4, riscv_call, riscv_starts, REGION_DATA32 },
};

/* ---- ARM or Thumb ---------------------------------------------------------------------------- */

/* BL inside the code, PUSH and POP, and what linkage tables are made of. */
static bool a32_typical(const uint8_t *code, uint64_t at, uint64_t bytes)
{
	uint32_t word = dfota_get32(code + at);
	uint64_t place;

	if (word >> 24 == 0xeb)
		return place_find(at + 8, (word & 0xffffff) << 2, 26, 4, bytes, &place);
	return (word & 0xffffc000) == 0xe92d4000 || (word & 0xffff8000) == 0xe8bd8000 ||
	       (word & 0xffffff00) == 0xe28fc600 || (word & 0xfffff000) == 0xe5bcf000 ||
	       word == 0xe12fff1e;
}

static bool t32_typical(const uint8_t *code, uint64_t at, uint64_t bytes)
{
	uint32_t first = dfota_get16(code + at);
	uint64_t place;

	if ((first & 0xff00) == 0xb500 || (first & 0xff00) == 0xbd00 || first == 0x4770)
		return true;
	if ((first == 0xe92d || first == 0xe8bd) && at + 4 <= bytes)
		return dfota_get16(code + at + 2) & 0xc000;
	return t32_target(code, at, bytes, &place);
}

uint8_t content_arm_kind(const uint8_t *code, uint64_t bytes)
{
	uint64_t sample = dfota_min64(bytes, SAMPLE_BYTES), a32 = 0, t32 = 0;

	for (uint64_t at = 0; at + 4 <= sample; at += 4)
		a32 += a32_typical(code, at, bytes);
	for (uint64_t at = 0; at + 2 <= sample; at += 2)
		t32 += t32_typical(code, at, bytes);
	return t32 > a32 ? REGION_T32 : REGION_A32;
}
