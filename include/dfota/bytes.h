/* SPDX-License-Identifier: MIT
 *
 * Byte order, checked arithmetic, variable-length integers and a bounded byte buffer.
 *
 * Everything that is stored or sent is little endian. Nothing here allocates.
 */
#ifndef DFOTA_BYTES_H
#define DFOTA_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dfota/error.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline void dfota_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void dfota_put32(uint8_t *p, uint32_t v)
{
	dfota_put16(p, (uint16_t)v);
	dfota_put16(p + 2, (uint16_t)(v >> 16));
}

static inline void dfota_put64(uint8_t *p, uint64_t v)
{
	dfota_put32(p, (uint32_t)v);
	dfota_put32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t dfota_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

static inline uint32_t dfota_get32(const uint8_t *p)
{
	return (uint32_t)dfota_get16(p) | (uint32_t)dfota_get16(p + 2) << 16;
}

static inline uint64_t dfota_get64(const uint8_t *p)
{
	return (uint64_t)dfota_get32(p) | (uint64_t)dfota_get32(p + 4) << 32;
}

/* Each returns true and leaves *ret untouched when the result does not fit. */
static inline bool dfota_add64(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return true;
	*ret = sum;
	return false;
}

static inline bool dfota_mul64(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return true;
	*ret = product;
	return false;
}

/* True when [offset, offset + bytes) lies inside [0, limit). Never overflows. */
static inline bool dfota_inside(uint64_t offset, uint64_t bytes, uint64_t limit)
{
	return offset <= limit && bytes <= limit - offset;
}

static inline uint64_t dfota_min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* a / b rounded up; b > 0. */
static inline uint64_t dfota_ceil_div64(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

#define DFOTA_VARINT_MAX 10 /* bytes of the longest LEB128 of 64 bits */

/* Unsigned LEB128. Returns the number of bytes written (1..10); `p` has room for 10. */
size_t dfota_varint_put(uint8_t *p, uint64_t value);

/* Reads one LEB128 at *position and moves it on. DFOTA_E_CORRUPT when it runs past `end`, is longer
 * than ten bytes or does not fit 64 bits; outputs are then untouched.
 */
int dfota_varint_get(const uint8_t **position, const uint8_t *end, uint64_t *ret_value)
	DFOTA_MUST_CHECK;

/* Signed values as unsigned ones with the sign in bit 0. */
static inline uint64_t dfota_zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t dfota_unzigzag(uint64_t v)
{
	return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}

/* CRC-32C (Castagnoli, reflected, initial and final inversion); start with crc = 0. */
uint32_t dfota_crc32c(uint32_t crc, const void *data, size_t bytes);

/* Random-access bytes: a package entry, an old image, a chunk. `read` fills the whole buffer or
 * returns an error; it may block; offsets are checked by the reader and by the source.
 */
struct dfota_source {
	int (*read)(void *context, uint64_t offset, void *buffer, size_t bytes);
	void *context;
};

static inline int dfota_source_read(const struct dfota_source *s, uint64_t offset, void *buffer,
				    size_t bytes)
{
	return s->read(s->context, offset, buffer, bytes);
}

/* A source over memory; `context` is a struct dfota_memory that the caller keeps alive. */
struct dfota_memory {
	const uint8_t *data;
	uint64_t bytes;
};

struct dfota_source dfota_memory_source(const struct dfota_memory *memory);

#ifdef __cplusplus
}
#endif
#endif
