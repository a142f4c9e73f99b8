/* SPDX-License-Identifier: MIT
 *
 * Private to the room: bytes of header, steps and copies. All integers little endian.
 *
 * Header   0 "DFD", 3 format, 4 unit_bytes, 8 old_bytes (64), 16 new_bytes (64), 24 segment_bytes,
 *          28 step_count, 32 copy_count, 36 copy_stream_bytes, 40 chunk_bytes (64), 48
 * prelude_bytes, 52 stash_bytes, 56 live_copies, 60 codings, 64 moved_bytes (64), 72 changed_bytes
 * (64), 80 regions, 84 pieces, 88 runs of the map; Step     0 segment, 4 segments, 8 changed_units (64), 16 kind (8), 17 coding (8), 18 copies
 * (16), 20 chunk_bytes, 24 source, 32 target, 48 chunk Copy     zigzag(old_offset - end of the copy
 * before), bytes, stash_offset - end of the copy before in this step, last_reader - step - 1; each
 * a varint
 */
#ifndef DFOTA_DELTA_LAYOUT_H
#define DFOTA_DELTA_LAYOUT_H

#include "dfota/delta.h"

#define DELTA_COPY_BYTES_MIN 4u /* four varints of one byte */
#define DELTA_COPY_BYTES_MAX (4u * DFOTA_VARINT_MAX)

void delta_put_header(uint8_t p[DFOTA_DELTA_HEADER_BYTES], const struct dfota_delta_header *header);
void delta_get_header(struct dfota_delta_header *header, const uint8_t p[DFOTA_DELTA_HEADER_BYTES]);
void delta_put_step(uint8_t p[DFOTA_DELTA_STEP_BYTES], const struct dfota_delta_step *step);
void delta_get_step(struct dfota_delta_step *step, const uint8_t p[DFOTA_DELTA_STEP_BYTES]);

/* Limits and mutual fit of all fields, copy_stream_bytes included. */
bool delta_header_ok(const struct dfota_delta_header *header);

/* Fields of one step against the header; not its chunk's place. */
bool delta_step_ok(const struct dfota_delta_header *header, const struct dfota_delta_step *step);

/* Segments of the new image, and of the longer one of both. */
uint32_t delta_new_segments(const struct dfota_delta_header *header);
uint32_t delta_all_segments(const struct dfota_delta_header *header);

#endif
