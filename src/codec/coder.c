/* SPDX-License-Identifier: MIT
 *
 * Binary arithmetic coder: 32-bit bounds, bytes shifted out as soon as they agree.
 */
#include "coder.h"

static uint8_t next_byte(struct coder *coder)
{
	size_t at = (size_t)(coder->taken % CODER_INPUT_BYTES);

	if (coder->taken >= coder->source_bytes) {
		coder->taken++;
		return 0;
	}
	if (at == 0 && !coder->error) {
		uint64_t left = coder->source_bytes - coder->taken;

		coder->error = dfota_source_read(coder->source, coder->taken, coder->input,
						 (size_t)dfota_min64(left, CODER_INPUT_BYTES));
	}
	coder->taken++;
	return coder->error ? 0 : coder->input[at];
}

static void put_byte(struct coder *coder, uint8_t byte)
{
	if (coder->output_bytes < coder->output_room)
		coder->output[coder->output_bytes] = byte;
	coder->output_bytes++;
}

void coder_start_decoding(struct coder *coder, const struct dfota_source *source, uint64_t bytes)
{
	coder->low = 0;
	coder->high = UINT32_MAX;
	coder->code = 0;
	coder->encoding = false;
	coder->source = source;
	coder->source_bytes = bytes;
	coder->taken = 0;
	coder->error = 0;
	for (int i = 0; i < 4; i++)
		coder->code = coder->code << 8 | next_byte(coder);
}

void coder_start_encoding(struct coder *coder, uint8_t *output, size_t room)
{
	coder->low = 0;
	coder->high = UINT32_MAX;
	coder->encoding = true;
	coder->output = output;
	coder->output_bytes = 0;
	coder->output_room = room;
}

unsigned coder_bit(struct coder *coder, uint32_t p, unsigned bit)
{
	uint32_t middle =
		coder->low + (uint32_t)(((uint64_t)(coder->high - coder->low) * p) >> 16);

	if (!coder->encoding)
		bit = coder->code <= middle;
	if (bit)
		coder->high = middle;
	else
		coder->low = middle + 1;
	while ((coder->low ^ coder->high) >> 24 == 0) {
		if (coder->encoding)
			put_byte(coder, (uint8_t)(coder->high >> 24));
		else
			coder->code = coder->code << 8 | next_byte(coder);
		coder->low <<= 8;
		coder->high = coder->high << 8 | 0xff;
	}
	return bit;
}

/* log2 of 1 to 2^32 times 65536, between the values of a table. */
static uint64_t log2_fine(uint64_t value)
{
	static const uint32_t table[] = { /* log2(1 + i / 32) */
		0, 2909, 5732, 8473, 11136, 13727, 16248, 18704, 21098, 23433, 25711,
		27936, 30109, 32234, 34312, 36346, 38336, 40286, 42196, 44068, 45904, 47705,
		49472, 51207, 52911, 54584, 56229, 57845, 59434, 60997, 62534, 64047, 65536,
	};
	unsigned whole = 63u - (unsigned)__builtin_clzll(value);
	uint32_t rest = (uint32_t)(value << (63 - whole) << 1 >> 32); /* behind the leading bit */
	uint32_t i = rest >> 27;

	return ((uint64_t)whole << 16) + table[i] +
	       ((uint64_t)(table[i + 1] - table[i]) * (rest << 5) >> 32);
}

uint64_t coder_written(const struct coder *coder)
{
	uint64_t range = (uint64_t)(coder->high - coder->low) + 1;

	return ((coder->output_bytes * UINT64_C(8) + 32) << 16) - log2_fine(range);
}

/* As few bytes as name a number between low and high when zeros follow. */
static void put_end(struct coder *coder)
{
	for (unsigned bytes = 0; bytes <= 4; bytes++) {
		uint32_t mask = bytes == 4 ? 0 : UINT32_MAX >> (8 * bytes);
		uint64_t value = ((uint64_t)coder->low + mask) & ~(uint64_t)mask;

		if (value > coder->high)
			continue;
		for (unsigned i = 0; i < bytes; i++)
			put_byte(coder, (uint8_t)(value >> (24 - 8 * i)));
		return;
	}
}

int coder_finish(struct coder *coder)
{
	if (coder->encoding) {
		put_end(coder);
		return coder->output_bytes <= coder->output_room ? 0 : DFOTA_E_SPACE;
	}
	if (coder->error)
		return coder->error;
	return coder->taken >= coder->source_bytes && coder->taken <= coder->source_bytes + 4
		       ? 0
		       : DFOTA_E_CORRUPT;
}
