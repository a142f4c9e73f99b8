/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: what a coding is to the room, and the arena it lives in.
 *
 * A coding is one row of the table in codec.c. Its state is taken from the arena once, by `init`;
 * all that `decode` needs is in it. Adding a coding is adding a file and a row: RAW and PLAIN have
 * no prelude; one that has gets all of it, because a delta holds at most one such coding.
 */
#ifndef DFOTA_CODEC_CODING_H
#define DFOTA_CODEC_CODING_H

#include "dfota/codec.h"

#define CODEC_ALIGN 16u /* of everything taken from an arena */

/* Memory that is only ever taken, from front to back. */
struct codec_arena {
	uint8_t *at;
	size_t left;
};

/* Size of one taking of `bytes`, rounding included. */
static inline size_t codec_arena_bytes(size_t bytes)
{
	return (bytes + CODEC_ALIGN - 1) / CODEC_ALIGN * CODEC_ALIGN;
}

/* NULL when the arena is used up. */
void *codec_arena_take(struct codec_arena *arena, size_t bytes);

struct codec_coding {
	const char *name;
	bool has_prelude;
	/* Bytes that init takes. The image's limits are checked already. */
	size_t (*workspace_bytes)(const struct dfota_codec_image *image);
	int (*init)(void **ret_state, const struct dfota_codec_image *image,
		    const struct dfota_source *prelude, struct codec_arena *arena);
	int (*decode)(void *state, const struct dfota_codec_image *image,
		      const struct dfota_codec_job *job, uint8_t *out, size_t out_bytes);
	/* Memory of the state that holds nothing between two segments; NULL = there is none. */
	void *(*idle)(void *state, size_t *ret_bytes);
};

extern const struct codec_coding codec_raw, codec_plain, codec_predict;

#endif
