/* SPDX-License-Identifier: MIT
 *
 * Which instruction set code is in, told from the code.
 */
#include "content_open.h"

#define SAMPLE_BYTES (UINT64_C(1) << 18)

static bool inside_code(uint64_t at, uint32_t distance, uint32_t sign, uint64_t bytes)
{
	uint64_t target = at + ((uint64_t)(distance ^ sign) - sign);

	return target < bytes;
}

/* BL inside the code, PUSH and POP, and what linkage tables are made of. */
static bool a32_typical(const uint8_t *code, uint64_t at, uint64_t bytes)
{
	uint32_t word = dfota_get32(code + at);

	if (word >> 24 == 0xeb)
		return inside_code(at + 8, (word & 0xffffff) << 2, 1u << 25, bytes);
	return (word & 0xffffc000) == 0xe92d4000 || (word & 0xffff8000) == 0xe8bd8000 ||
	       (word & 0xffffff00) == 0xe28fc600 || (word & 0xfffff000) == 0xe5bcf000 ||
	       word == 0xe12fff1e;
}

static bool t32_typical(const uint8_t *code, uint64_t at, uint64_t bytes)
{
	uint32_t first = dfota_get16(code + at), second, sign, i1, i2;

	if ((first & 0xff00) == 0xb500 || (first & 0xff00) == 0xbd00 || first == 0x4770)
		return true;
	if (at + 4 > bytes)
		return false;
	second = dfota_get16(code + at + 2);
	if (first == 0xe92d || first == 0xe8bd)
		return second & 0xc000;
	if ((first & 0xf800) != 0xf000 || (second & 0xd000) != 0xd000)
		return false;
	sign = first >> 10 & 1;
	i1 = ~(second >> 13 ^ sign) & 1;
	i2 = ~(second >> 11 ^ sign) & 1;
	return inside_code(at + 4,
			   sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 |
			       (second & 0x7ff) << 1,
			   1u << 24, bytes);
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
