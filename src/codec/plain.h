/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: format of a chunk of coding PLAIN.
 *
 *   flags           one byte, 0 or PLAIN_WORDS
 *   sizes           three varints: bytes of the streams control, difference, literal when unpacked
 *   packings        for each stream that is not empty: one byte, then a varint, its packed bytes
 *   streams         packed, one after the other, up to the last byte of the chunk
 *
 * Packing byte: PLAIN_STORED, or (pb * 5 + lp) * 9 + lc of a raw LZMA2 stream whose dictionary
 * holds the whole stream.
 *
 * Control is a row of varints, each argument << 2 | operation, until the segment is full:
 *   LITERAL  argument bytes come from the literal stream
 *   COPY     argument bytes are the old ones at p + diagonal, p being the position in the new image
 *   ADD      the same, and the difference stream is added to them
 *   JUMP     argument is the zigzagged change of the diagonal, which starts at 0
 *
 * With PLAIN_WORDS, inside one ADD every four bytes at a new position that is a multiple of four
 * are one little-endian number and the sum is modulo 2^32; other bytes, and all without the flag,
 * are added modulo 256.
 */
#ifndef DFOTA_CODEC_PLAIN_H
#define DFOTA_CODEC_PLAIN_H

#include <stddef.h>
#include <stdint.h>

enum plain_operation { PLAIN_LITERAL, PLAIN_COPY, PLAIN_ADD, PLAIN_JUMP };

enum plain_stream { PLAIN_CONTROL, PLAIN_DIFFERENCE, PLAIN_LITERALS, PLAIN_STREAMS };

#define PLAIN_WORDS  1u	   /* flags */
#define PLAIN_STORED 0xffu /* packing */

/* Largest head: flags, three sizes, three packings. */
#define PLAIN_HEAD_MAX (1u + 3u * 10u + 3u * 11u)

/* Bytes that control may take. A segment that needs more is not worth coding so. */
static inline size_t plain_control_max(uint32_t segment_bytes)
{
	return segment_bytes / 4 + 64;
}

/* Adds `difference` to the `bytes` old bytes in `out`, which lie at `position` of the new image. */
void plain_add(uint8_t *out, const uint8_t *difference, size_t bytes, uint64_t position,
	       unsigned flags);

#endif
