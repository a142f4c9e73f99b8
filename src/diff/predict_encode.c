/* SPDX-License-Identifier: MIT
 *
 * Encoder of coding PREDICT: the decoder's own code, run the other way.
 */
#include "predict_encode.h"

#include <stdlib.h>

#include "btf_types.h"

static int regions_take(struct regions *regions, const struct regions *from)
{
	*regions = *from;
	regions->by_address = malloc((from->count + 1) * sizeof(uint32_t));
	if (!regions->by_address)
		return DFOTA_E_MEMORY;
	regions_sort(regions);
	return 0;
}

static int pieces_take(struct diff_predictor *predictor, const struct diff_pieces *pieces)
{
	struct map *map = &predictor->map;
	uint32_t *scratch;

	if (pieces->count > MAP_PIECES_MAX)
		return DFOTA_E_ARGUMENT;
	predictor->pieces = malloc((pieces->count + 1) * sizeof(*predictor->pieces));
	predictor->entries = malloc((pieces->count + 1) * sizeof(*predictor->entries));
	scratch = malloc((pieces->count + 1) * 2 * sizeof(*scratch));
	if (predictor->pieces && predictor->entries && scratch) {
		for (size_t i = 0; i < pieces->count; i++)
			predictor->pieces[i] = (struct map_piece){ (uint32_t)pieces->items[i].at,
								   (uint32_t)pieces->items[i].bytes,
								   (int32_t)pieces->items[i].diagonal };
		map->pieces = predictor->pieces;
		map->piece_count = (uint32_t)pieces->count;
		map_make_entries(map, predictor->entries, scratch);
		free(scratch);
		return 0;
	}
	free(scratch);
	return DFOTA_E_MEMORY;
}

/* A workspace as the device has it. */
static int predict_take(struct predict **ret_predict, void **ret_memory,
			const struct diff_images *images)
{
	struct dfota_codec_image image = { images->old_bytes, images->new_bytes, 0, 0, 0 };
	size_t bytes = predict_workspace_bytes(&image.map);
	void *memory = malloc(bytes);
	struct codec_arena arena = { memory, bytes };
	int error;

	if (!memory)
		return DFOTA_E_MEMORY;
	error = predict_open(ret_predict, &image, &arena);
	if (error)
		free(memory);
	else
		*ret_memory = memory;
	return error;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static int prelude_make(struct diff_predictor *predictor, const struct diff_symbols *symbols)
{
	struct map map = predictor->map;
	struct dfota_delta_map room_for = {
		larger(map.old_regions.count, map.new_regions.count),
		map.piece_count,
		map.type_run_count + map.symbol_run_count,
	};
	struct prelude prelude = {
		.map = &map,
		.pieces = predictor->pieces,
		.types = predictor->types,
		.room = room_for,
		.symbol_runs = symbols ? symbols->runs : NULL,
	};
	size_t room = 4096 + 32 * ((size_t)map.piece_count + map.type_run_count + map.symbol_run_count +
				   map.old_regions.count + map.new_regions.count);
	struct predict *p;
	void *memory;
	int error;

	predictor->prelude = calloc(1, room);
	if (!predictor->prelude)
		return DFOTA_E_MEMORY;
	error = predict_take(&p, &memory, predictor->images);
	if (error)
		return error;
	prelude.old_pairs = &p->symbols->old;
	prelude.new_pairs = &p->symbols->new;
	if (predictor->tokens) {
		p->symbols->old = predictor->tokens->old;
		p->symbols->new = predictor->tokens->new;
	}
	coder_start_encoding(&p->coder, predictor->prelude, room);
	prelude_start(&p->model, &p->prelude_mixer, &p->map);
	error = prelude_code(&p->model, &p->prelude_mixer, &prelude);
	if (!error)
		error = coder_finish(&p->coder);
	predictor->prelude_bytes = p->coder.output_bytes;
	predictor->room = room_for;
	for (unsigned i = 0; i < PRELUDE_PARTS; i++)
		predictor->prelude_cost[i] = prelude.cost[i];
	free(memory);
	return error ? DFOTA_E_INTERNAL : 0;
}

int diff_predictor_make(struct diff_predictor *predictor, const struct diff_images *images,
			const struct regions *old_regions, const struct regions *new_regions,
			const struct diff_pieces *pieces, const struct diff_symbols *symbols)
{
	int error;

	*predictor = (struct diff_predictor){ .images = images };
	if (images->old_bytes > REGION_IMAGE_MAX || images->new_bytes > REGION_IMAGE_MAX)
		return DFOTA_E_ARGUMENT;
	predictor->map.old_bytes = (uint32_t)images->old_bytes;
	predictor->map.new_bytes = (uint32_t)images->new_bytes;
	error = regions_take(&predictor->map.old_regions, old_regions);
	if (!error)
		error = regions_take(&predictor->map.new_regions, new_regions);
	if (!error)
		error = pieces_take(predictor, pieces);
	if (!error)
		error = diff_btf_types(&predictor->map, images, &predictor->types,
				       &predictor->map.type_run_count);
	if (!error) {
		predictor->map.types = predictor->types;
		if (symbols) {
			predictor->map.symbols = symbols->runs;
			predictor->map.symbol_run_count = symbols->run_count;
			predictor->tokens = symbols->tokens;
		}
		if (predictor->map.type_run_count > MAP_RUNS_MAX - predictor->map.symbol_run_count)
			predictor->map.type_run_count =
				MAP_RUNS_MAX - predictor->map.symbol_run_count;
		error = prelude_make(predictor, symbols);
	}
	if (error)
		diff_predictor_free(predictor);
	return error;
}

void diff_predictor_free(struct diff_predictor *predictor)
{
	free(predictor->map.old_regions.by_address);
	free(predictor->map.new_regions.by_address);
	free(predictor->pieces);
	free(predictor->entries);
	free(predictor->types);
	free(predictor->prelude);
	*predictor = (struct diff_predictor){ 0 };
}

static int old_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	const struct diff_images *images = context;

	if (!dfota_inside(offset, bytes, images->old_bytes))
		return DFOTA_E_INTERNAL;
	memcpy(buffer, images->old_image + offset, bytes);
	return 0;
}

static int segment_code(struct predict *p, struct predict_job *job, uint8_t *output, size_t room,
			struct predict_counts *counts)
{
	int error;

	coder_start_encoding(&p->coder, output, room);
	job->mode = PREDICT_SCAN;
	error = predict_segment(p, job);
	job->mode = PREDICT_ENCODE;
	job->counts = counts;
	if (!error)
		error = predict_segment(p, job);
	return error ? error : coder_finish(&p->coder);
}

static void count_bytes(const struct diff_predictor *predictor, uint64_t start, uint64_t end,
			struct diff_chunk *chunk)
{
	const struct map *map = &predictor->map;
	uint32_t covered = 0;

	for (uint32_t i = 0; i < map->piece_count; i++) {
		const struct map_piece *piece = &map->pieces[i];
		uint64_t from = piece->at > start ? piece->at : start;
		uint64_t to = dfota_min64((uint64_t)piece->at + piece->bytes, end);

		for (uint64_t at = from; at < to; at++)
			chunk->moved += predictor->images->new_image[at] ==
					predictor->images->old_image[at + (uint64_t)(int64_t)piece->diagonal];
		covered += to > from ? (uint32_t)(to - from) : 0;
	}
	chunk->changed = covered - chunk->moved;
	chunk->literal = (uint32_t)(end - start) - covered;
}

static struct predict_window window_of(const struct predict_job *job, uint32_t at, uint32_t end)
{
	return diff_symbols_window(job->window_context, at, end);
}

int diff_predictor_encode(const struct diff_predictor *predictor, uint64_t start, uint64_t end,
			  const struct diff_symbols *symbols, struct diff_chunk *ret_chunk)
{
	size_t bytes = (size_t)(end - start), room = bytes - 1;
	struct dfota_source old = { old_read, (void *)(uintptr_t)predictor->images };
	struct diff_chunk chunk = { .coding = DFOTA_CODING_RAW, .count = (uint32_t)bytes };
	struct predict_job job = {
		.start = (uint32_t)start,
		.end = (uint32_t)end,
		.out = (uint8_t *)(uintptr_t)predictor->images->new_image + start,
		.old = &old,
		.wrong = calloc(1, bytes / 8 + 1),
		.walk = diff_btf_walk(&predictor->map, predictor->images, (uint32_t)start),
		.window = symbols ? window_of : NULL,
		.window_context = symbols,
	};
	uint8_t *output = malloc(room + 1);
	struct predict *p;
	void *memory;
	int error = job.wrong && output ? 0 : DFOTA_E_MEMORY;

	if (!error)
		error = predict_take(&p, &memory, predictor->images);
	if (!error) {
		p->map = predictor->map;
		if (predictor->tokens)
			p->symbols = predictor->tokens;
		error = segment_code(p, &job, output, room, &chunk.counts);
		if (!error) {
			chunk.coding = DFOTA_CODING_PREDICT;
			chunk.count = (uint32_t)p->coder.output_bytes;
			if (chunk.count == 0) /* never empty, and zeros follow the end anyway */
				output[chunk.count++] = 0;
			chunk.bytes = output;
			output = NULL;
		} else if (error == DFOTA_E_SPACE) {
			chunk.counts = (struct predict_counts){ 0 };
			error = 0;
		}
		free(memory);
	}
	free(job.wrong);
	free(output);
	if (error) {
		free(chunk.bytes);
		return error;
	}
	count_bytes(predictor, start, end, &chunk);
	*ret_chunk = chunk;
	return 0;
}
