/* SPDX-License-Identifier: MIT
 *
 * Private to codec: fields of instruction words.
 */
#ifndef DFOTA_CODEC_ISA_BITS_H
#define DFOTA_CODEC_ISA_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* `bits` bits from bit `from` on; fewer than 32. */
static inline uint32_t isa_field(uint32_t word, unsigned from, unsigned bits)
{
	return word >> from & ((1u << bits) - 1);
}

/* `value` has `bits` bits, the highest of which is its sign. */
static inline uint64_t isa_sign_extend(uint32_t value, unsigned bits)
{
	uint64_t sign = UINT64_C(1) << (bits - 1);

	return (value ^ sign) - sign;
}

/* Does a signed distance fit `bits` bits when scaled down by 2^scale, without losing any? */
static inline bool isa_fits(uint64_t distance, unsigned bits, unsigned scale)
{
	uint64_t half = UINT64_C(1) << (bits - 1 + scale);

	return distance + half < 2 * half && (distance & ((UINT64_C(1) << scale) - 1)) == 0;
}

#endif
