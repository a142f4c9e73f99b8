/* SPDX-License-Identifier: MIT
 *
 * Decoder: one coding segment of a new image from its chunk and the old image.
 *
 * Segments are independent: any one can be decoded first, alone and again, with the same result on
 * every CPU. Old bytes are read only through the job's `old` source, so that the updater decides
 * whether they come from flash or stash and refuses those that are gone. No allocation, no global
 * state, no recursion; chunk, prelude and old bytes may be hostile.
 */
#ifndef DFOTA_CODEC_H
#define DFOTA_CODEC_H

#include "dfota/delta.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Coding of a chunk: format, append-only. */
enum dfota_coding {
	DFOTA_CODING_RAW = 0,   /* chunk is the segment */
	DFOTA_CODING_PLAIN = 1, /* copy/add/insert streams, LZMA2 each */
	DFOTA_CODING_PREDICT = 2, /* candidates from the map and what was learned, context mixing */
	DFOTA_CODING_COUNT
};

/* What is the same for all segments of one image; limits as in delta.h are checked again here. */
struct dfota_codec_image {
	uint64_t old_bytes, new_bytes;
	uint32_t segment_bytes;
	uint32_t prelude_bytes;
	uint32_t codings; /* bit set of the codings that occur */
	struct dfota_delta_map map;
};

struct dfota_codec; /* lives inside the caller's workspace */

/* Memory that decoding `image` needs; 0 when a field is out of bounds or a coding unknown. */
size_t dfota_codec_workspace_bytes(const struct dfota_codec_image *image);

/* Prepares a decoder in `workspace` (any alignment; kept until no longer used, nothing to free).
 * Reads `prelude` (offsets from 0). Errors: those of the source, DFOTA_E_CORRUPT, DFOTA_E_MEMORY
 * when the workspace is too small.
 */
int dfota_codec_init(struct dfota_codec **ret_codec, const struct dfota_codec_image *image,
		     const struct dfota_source *prelude, void *workspace, size_t bytes)
	DFOTA_MUST_CHECK;

struct dfota_codec_job {
	uint32_t segment;          /* index in the new image */
	uint8_t coding;            /* enum dfota_coding */
	uint32_t chunk_bytes;
	struct dfota_source chunk; /* offsets from 0 */
	struct dfota_source old;   /* offsets in the old image */
};

/* Decodes the whole segment into `out`; `out_bytes` must be exactly its size. Errors: DFOTA_E_CORRUPT for
 * chunks that are wrong in any way (not used up, too short, ranges outside the old image), those
 * of the sources unchanged. `out` is undefined after an error; the codec can be used again.
 */
int dfota_codec_decode(struct dfota_codec *codec, const struct dfota_codec_job *job, uint8_t *out,
		       size_t out_bytes) DFOTA_MUST_CHECK;

/* The largest piece of the workspace, *ret_bytes of it at a multiple of 16, that holds nothing between two segments: the
 * caller's until the next decode, which leaves anything in it. NULL and 0 when there is none.
 */
void *dfota_codec_idle(struct dfota_codec *codec, size_t *ret_bytes);

/* Short name of a coding ("plain"); "?" when unknown. */
const char *dfota_coding_name(unsigned coding);

/* Predictors of coding PREDICT, in the order of docs/coding-predict.md; "?" for others. */
#define DFOTA_PREDICTORS 15u
const char *dfota_predictor_name(unsigned predictor);

#ifdef __cplusplus
}
#endif
#endif
