/* SPDX-License-Identifier: MIT
 *
 * Variable-length integers, CRC-32C, memory source.
 */
#include "dfota/bytes.h"

size_t dfota_varint_put(uint8_t *p, uint64_t value)
{
	size_t n = 0;

	while (value >= 0x80) {
		p[n++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	p[n++] = (uint8_t)value;
	return n;
}

int dfota_varint_get(const uint8_t **position, const uint8_t *end, uint64_t *ret_value)
{
	const uint8_t *p = *position;
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 7 * DFOTA_VARINT_MAX; shift += 7) {
		if (p == end)
			return DFOTA_E_CORRUPT;
		if (shift == 63 && *p > 1)
			return DFOTA_E_CORRUPT;
		value |= (uint64_t)(*p & 0x7f) << shift;
		if (!(*p++ & 0x80)) {
			*position = p;
			*ret_value = value;
			return 0;
		}
	}
	return DFOTA_E_CORRUPT;
}

/* One nibble at a time: sixteen words of table, no start-up, fast enough for records. */
static const uint32_t crc_nibble[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
	0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t dfota_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	crc = ~crc;
	for (size_t i = 0; i < bytes; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ crc_nibble[crc & 15];
		crc = crc >> 4 ^ crc_nibble[crc & 15];
	}
	return ~crc;
}

static int memory_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	const struct dfota_memory *memory = context;

	if (!dfota_inside(offset, bytes, memory->bytes))
		return DFOTA_E_CORRUPT;
	if (bytes)
		memcpy(buffer, memory->data + offset, bytes);
	return 0;
}

struct dfota_source dfota_memory_source(const struct dfota_memory *memory)
{
	struct dfota_source source = { .read = memory_read };

	/* The context is read only; the struct has one pointer type for all kinds of source. */
	memcpy(&source.context, &memory, sizeof(memory));
	return source;
}
