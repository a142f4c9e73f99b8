/* SPDX-License-Identifier: MIT
 *
 * Coding PREDICT as a row of the codec: memory, prelude, segments.
 */
#include "predict.h"

static const struct model_mixer block_shape = {
	.rows = { 32, 64 }, .inputs = MODEL_INPUTS(6), .rate = 5, .limit = 255
};
static const struct model_mixer flag_shape = {
	.rows = { GUESS_CLASSES * 4, 256 }, .inputs = MODEL_INPUTS(7), .rate = 5, .limit = 400
};
static const struct model_mixer literal_shape = {
	.rows = { LITERAL_ROWS0, LITERAL_ROWS1, LITERAL_ROWS2 },
	.inputs = LITERAL_INPUTS,
	.rate = 6,
	.limit = 60,
};
static const struct model_mixer prelude_shape = {
	.rows = { PRELUDE_ROWS }, .inputs = PRELUDE_INPUTS, .rate = 5, .limit = 400
};

/* The prelude's mixer is gone when the others come. */
static size_t weights_bytes(void)
{
	size_t all = mixer_bytes(&block_shape) + mixer_bytes(&flag_shape) +
		     mixer_bytes(&literal_shape);

	return all > mixer_bytes(&prelude_shape) ? all : mixer_bytes(&prelude_shape);
}

_Static_assert(MAP_PIECES_MAX * 2 <= MODEL_SLOTS, "slots lend their memory to the sorting of pieces");

size_t predict_workspace_bytes(const struct dfota_delta_map *room)
{
	return codec_arena_bytes(sizeof(struct predict)) +
	       codec_arena_bytes(MODEL_SLOTS * sizeof(uint32_t)) +
	       codec_arena_bytes(weights_bytes()) +
	       codec_arena_bytes(sizeof(struct guess_memory)) +
	       codec_arena_bytes(sizeof(struct literal_memory)) +
	       codec_arena_bytes(sizeof(struct symbols)) +
	       2 * (codec_arena_bytes(room->regions * sizeof(struct region)) +
		    codec_arena_bytes(room->regions * sizeof(uint32_t))) +
	       codec_arena_bytes(room->pieces * sizeof(struct map_piece)) +
	       codec_arena_bytes(room->pieces * sizeof(struct map_entry)) +
	       codec_arena_bytes(room->runs * sizeof(struct map_types));
}

static int take_regions(struct regions *regions, uint32_t room, struct codec_arena *arena)
{
	regions->items = codec_arena_take(arena, room * sizeof(struct region));
	regions->by_address = codec_arena_take(arena, room * sizeof(uint32_t));
	return regions->items && regions->by_address ? 0 : DFOTA_E_MEMORY;
}

static void place_mixers(struct predict *p)
{
	int16_t *memory = p->weights;

	p->prelude_mixer = prelude_shape;
	mixer_place(&p->prelude_mixer, memory);
	p->block_mixer = block_shape;
	mixer_place(&p->block_mixer, memory);
	memory += mixer_bytes(&block_shape) / sizeof(*memory);
	p->flag_mixer = flag_shape;
	mixer_place(&p->flag_mixer, memory);
	memory += mixer_bytes(&flag_shape) / sizeof(*memory);
	p->literal_mixer = literal_shape;
	mixer_place(&p->literal_mixer, memory);
}

int predict_open(struct predict **ret_predict, const struct dfota_codec_image *image,
		 struct codec_arena *arena)
{
	const struct dfota_delta_map *room = &image->map;
	struct predict *p = codec_arena_take(arena, sizeof(*p));
	uint32_t *slots = codec_arena_take(arena, MODEL_SLOTS * sizeof(uint32_t));

	if (!p || !slots)
		return DFOTA_E_MEMORY;
	memset(p, 0, sizeof(*p));
	p->weights = codec_arena_take(arena, weights_bytes());
	p->guesses = codec_arena_take(arena, sizeof(*p->guesses));
	p->literals = codec_arena_take(arena, sizeof(*p->literals));
	p->symbols = codec_arena_take(arena, sizeof(*p->symbols));
	if (take_regions(&p->map.old_regions, room->regions, arena) ||
	    take_regions(&p->map.new_regions, room->regions, arena))
		return DFOTA_E_MEMORY;
	p->prelude.pieces = codec_arena_take(arena, room->pieces * sizeof(struct map_piece));
	p->map.entries = codec_arena_take(arena, room->pieces * sizeof(struct map_entry));
	p->prelude.types = codec_arena_take(arena, room->runs * sizeof(struct map_types));
	if (!p->weights || !p->guesses || !p->literals || !p->symbols || !p->prelude.pieces ||
	    !p->map.entries || !p->prelude.types)
		return DFOTA_E_MEMORY;
	memset(&p->symbols->old, 0, sizeof(p->symbols->old));
	memset(&p->symbols->new, 0, sizeof(p->symbols->new));
	p->prelude.map = &p->map;
	p->prelude.old_pairs = &p->symbols->old;
	p->prelude.new_pairs = &p->symbols->new;
	p->prelude.room = *room;
	p->map.old_bytes = (uint32_t)image->old_bytes;
	p->map.new_bytes = (uint32_t)image->new_bytes;
	p->model.coder = &p->coder;
	model_init(&p->model, slots);
	place_mixers(p);
	*ret_predict = p;
	return 0;
}

int predict_ready(struct predict *p)
{
	regions_sort(&p->map.old_regions);
	regions_sort(&p->map.new_regions);
	map_make_entries(&p->map, p->map.entries, p->model.slots);
	return symbols_ready(p->symbols);
}

static size_t coding_workspace_bytes(const struct dfota_codec_image *image)
{
	return predict_workspace_bytes(&image->map);
}

static int coding_init(void **ret_state, const struct dfota_codec_image *image,
		       const struct dfota_source *prelude, struct codec_arena *arena)
{
	struct predict *p;
	int error;

	if (image->old_bytes > REGION_IMAGE_MAX || image->new_bytes > REGION_IMAGE_MAX)
		return DFOTA_E_CORRUPT;
	error = predict_open(&p, image, arena);
	if (error)
		return error;
	coder_start_decoding(&p->coder, prelude, image->prelude_bytes);
	prelude_start(&p->model, &p->prelude_mixer, &p->map);
	error = prelude_code(&p->model, &p->prelude_mixer, &p->prelude);
	if (!error)
		error = p->coder.error;
	if (!error && p->coder.taken > image->prelude_bytes + 4)
		error = DFOTA_E_CORRUPT;
	if (error)
		return error;
	*ret_state = p;
	return predict_ready(p);
}

static int coding_decode(void *state, const struct dfota_codec_image *image,
			 const struct dfota_codec_job *job, uint8_t *out, size_t out_bytes)
{
	struct predict *p = state;
	struct predict_job work = {
		.mode = PREDICT_DECODE,
		.start = job->segment * image->segment_bytes,
		.out = out,
		.old = &job->old,
	};
	int error;

	work.end = work.start + (uint32_t)out_bytes;
	coder_start_decoding(&p->coder, &job->chunk, job->chunk_bytes);
	error = predict_segment(p, &work);
	if (p->coder.error)
		return p->coder.error;
	return error ? error : coder_finish(&p->coder);
}

/* What is learned of a segment is forgotten with it. */
static void *coding_idle(void *state, size_t *ret_bytes)
{
	struct predict *p = state;

	*ret_bytes = MODEL_SLOTS * sizeof(*p->model.slots);
	return p->model.slots;
}

const struct codec_coding codec_predict = {
	.name = "predict",
	.has_prelude = true,
	.workspace_bytes = coding_workspace_bytes,
	.init = coding_init,
	.decode = coding_decode,
	.idle = coding_idle,
};
