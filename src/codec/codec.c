/* SPDX-License-Identifier: MIT
 *
 * The table of codings, the workspace they share, and the coding RAW.
 */
#include "coding.h"
#include "dfota/delta.h"
#include "map.h"

static const struct codec_coding *const codings[DFOTA_CODING_COUNT] = {
	[DFOTA_CODING_RAW] = &codec_raw,
	[DFOTA_CODING_PLAIN] = &codec_plain,
	[DFOTA_CODING_PREDICT] = &codec_predict,
};

struct dfota_codec {
	struct dfota_codec_image image;
	void *states[DFOTA_CODING_COUNT]; /* of the codings that occur */
};

void *codec_arena_take(struct codec_arena *arena, size_t bytes)
{
	size_t whole = codec_arena_bytes(bytes);
	void *memory = arena->at;

	if (whole < bytes || whole > arena->left)
		return NULL;
	arena->at += whole;
	arena->left -= whole;
	return memory;
}

static bool occurs(const struct dfota_codec_image *image, unsigned coding)
{
	return coding < DFOTA_CODING_COUNT && (image->codings >> coding & 1) != 0;
}

static bool image_ok(const struct dfota_codec_image *image)
{
	bool has_prelude = false;

	if (image->old_bytes > DFOTA_DELTA_IMAGE_MAX || image->new_bytes > DFOTA_DELTA_IMAGE_MAX ||
	    image->segment_bytes < DFOTA_DELTA_UNIT_MIN ||
	    image->segment_bytes > DFOTA_DELTA_SEGMENT_MAX ||
	    image->segment_bytes % DFOTA_DELTA_UNIT_MIN != 0 ||
	    image->prelude_bytes > DFOTA_DELTA_PRELUDE_MAX ||
	    image->codings >> DFOTA_CODING_COUNT != 0)
		return false;
	for (unsigned i = 0; i < DFOTA_CODING_COUNT; i++)
		has_prelude |= occurs(image, i) && codings[i]->has_prelude;
	return (has_prelude || image->prelude_bytes == 0) && image->map.regions <= REGIONS_MAX &&
	       image->map.pieces <= MAP_PIECES_MAX && image->map.runs <= MAP_RUNS_MAX;
}

size_t dfota_codec_workspace_bytes(const struct dfota_codec_image *image)
{
	size_t bytes = CODEC_ALIGN - 1 + codec_arena_bytes(sizeof(struct dfota_codec));

	if (!image_ok(image))
		return 0;
	for (unsigned i = 0; i < DFOTA_CODING_COUNT; i++)
		if (occurs(image, i))
			bytes += codings[i]->workspace_bytes(image);
	return bytes;
}

int dfota_codec_init(struct dfota_codec **ret_codec, const struct dfota_codec_image *image,
		     const struct dfota_source *prelude, void *workspace, size_t bytes)
{
	size_t need = dfota_codec_workspace_bytes(image);
	size_t skew = (size_t)(-(uintptr_t)workspace % CODEC_ALIGN);
	struct codec_arena arena;
	struct dfota_codec *codec;
	int error;

	if (need == 0)
		return DFOTA_E_CORRUPT;
	if (bytes < need)
		return DFOTA_E_MEMORY;
	arena = (struct codec_arena){ (uint8_t *)workspace + skew, need - (CODEC_ALIGN - 1) };
	codec = codec_arena_take(&arena, sizeof(*codec));
	if (!codec)
		return DFOTA_E_MEMORY;
	*codec = (struct dfota_codec){ .image = *image };
	for (unsigned i = 0; i < DFOTA_CODING_COUNT; i++) {
		if (!occurs(image, i))
			continue;
		error = codings[i]->init(&codec->states[i], image, prelude, &arena);
		if (error)
			return error;
	}
	*ret_codec = codec;
	return 0;
}

int dfota_codec_decode(struct dfota_codec *codec, const struct dfota_codec_job *job, uint8_t *out,
		       size_t out_bytes)
{
	const struct dfota_codec_image *image = &codec->image;
	uint64_t at = (uint64_t)job->segment * image->segment_bytes;

	if (at >= image->new_bytes ||
	    out_bytes != dfota_min64(image->segment_bytes, image->new_bytes - at))
		return DFOTA_E_ARGUMENT;
	if (!occurs(image, job->coding) || job->chunk_bytes == 0 || job->chunk_bytes > out_bytes)
		return DFOTA_E_CORRUPT;
	return codings[job->coding]->decode(codec->states[job->coding], image, job, out, out_bytes);
}

void *dfota_codec_idle(struct dfota_codec *codec, size_t *ret_bytes)
{
	void *most = NULL;

	*ret_bytes = 0;
	for (unsigned i = 0; i < DFOTA_CODING_COUNT; i++) {
		size_t bytes;
		void *memory;

		if (!occurs(&codec->image, i) || !codings[i]->idle)
			continue;
		memory = codings[i]->idle(codec->states[i], &bytes);
		if (bytes > *ret_bytes) {
			most = memory;
			*ret_bytes = bytes;
		}
	}
	return most;
}

const char *dfota_coding_name(unsigned coding)
{
	return coding < DFOTA_CODING_COUNT ? codings[coding]->name : "?";
}

static size_t raw_workspace_bytes(const struct dfota_codec_image *image)
{
	(void)image;
	return 0;
}

static int raw_init(void **ret_state, const struct dfota_codec_image *image,
		    const struct dfota_source *prelude, struct codec_arena *arena)
{
	(void)image;
	(void)prelude;
	(void)arena;
	*ret_state = NULL;
	return 0;
}

static int raw_decode(void *state, const struct dfota_codec_image *image,
		      const struct dfota_codec_job *job, uint8_t *out, size_t out_bytes)
{
	(void)state;
	(void)image;
	if (job->chunk_bytes != out_bytes)
		return DFOTA_E_CORRUPT;
	return dfota_source_read(&job->chunk, 0, out, out_bytes);
}

const struct codec_coding codec_raw = {
	.name = "raw",
	.workspace_bytes = raw_workspace_bytes,
	.init = raw_init,
	.decode = raw_decode,
};
