/* SPDX-License-Identifier: MIT
 *
 * Regions, map and types as adaptive numbers.
 *
 * A number is coded as its length in bits, unary, and then its bits; both are predicted from the field's history
 * and from a context that the caller knows.
 */
#include "prelude.h"

#define RECENT 8u
#define WEIGHT 4000 /* all start with */

enum field {
	FIELD_REGIONS, FIELD_GAP, FIELD_BYTES, FIELD_KIND, FIELD_GROUP, FIELD_VA, FIELD_MEMORY,
	FIELD_PIECES, FIELD_PIECE_GAP, FIELD_PIECE_BYTES, FIELD_PIECE_REST, FIELD_RECENT,
	FIELD_QUARTER, FIELD_JUMP,
	FIELD_RUNS, FIELD_RUN_GAP, FIELD_RUN_COUNT, FIELD_RUN_RECENT, FIELD_RUN_JUMP,
	FIELD_SYMBOLS, FIELD_SYMBOL_GAP, FIELD_SYMBOL_COUNT, FIELD_SYMBOL_SHIFT,
	FIELD_PAIR, FIELD_PAIR_FIRST, FIELD_PAIR_SECOND,
	FIELD_COUNT
};

_Static_assert(FIELD_COUNT <= PRELUDE_FIELDS, "every field has its row of weights");

struct writer {
	struct model *model;
	struct model_mixer *mixer;
	uint32_t last[FIELD_COUNT];   /* lengths of the last two numbers of each field */
	uint32_t before[FIELD_COUNT];
	bool wrong;
};

static unsigned code_bit(struct writer *w, unsigned field, uint32_t where, uint32_t hint,
			 unsigned bit)
{
	uint32_t at = field << 16 | where, select[MODEL_SETS] = { 0 };
	struct model *model = w->model;

	select[0] = field * 64 + (where < 63 ? where : 63);
	model_begin(model);
	model_context(model, model_hash2(at, 1));
	model_context(model, model_hash3(at, w->last[field], 2));
	model_context(model, model_hash3(at, hint, 3));
	model_context(model, model_hash4(at, w->last[field], w->before[field], 4));
	model_context(model, model_hash4(at, w->last[field], hint, 5));
	return model_code(model, w->mixer, select, bit);
}

/* A number of 64 bits; `hint` is any context. The highest one is told by its length alone. */
static uint64_t code_number(struct writer *w, unsigned field, uint32_t hint, uint64_t number)
{
	uint64_t more = number + 1, value = 1;
	unsigned bits = 0, length = more ? 63u - (unsigned)__builtin_clzll(more) : 64;

	while (bits < 64 && code_bit(w, field, bits, hint, bits < length))
		bits++;
	for (unsigned i = bits < 64 ? bits : 0; i-- > 0;) {
		unsigned shown = bits - i; /* bits known, the leading one included */
		uint32_t where = shown <= 3 ? 64 + (bits << 4) + (uint32_t)value
					    : 2048 + (bits << 6) + i;

		value = value << 1 |
			code_bit(w, field, where, hint, (unsigned)(more >> i & 1));
	}
	w->before[field] = w->last[field];
	w->last[field] = bits;
	return bits < 64 ? value - 1 : UINT64_MAX;
}

static int64_t code_signed(struct writer *w, unsigned field, uint32_t hint, int64_t number)
{
	return dfota_unzigzag(code_number(w, field, hint, dfota_zigzag(number)));
}

/* A number that must not exceed `max`; 0 and a note when it does. */
static uint32_t code_bounded(struct writer *w, unsigned field, uint32_t hint, uint32_t number,
			     uint64_t max)
{
	uint64_t value = code_number(w, field, hint, number);

	if (value > max) {
		w->wrong = true;
		return 0;
	}
	return (uint32_t)value;
}

/* `number` as its difference to what is expected, in 0..max. */
static uint64_t code_near(struct writer *w, unsigned field, uint32_t hint, uint64_t expected,
			  uint64_t number, uint64_t max)
{
	uint64_t value = expected +
			 (uint64_t)code_signed(w, field, hint, (int64_t)(number - expected));

	if (value > max) {
		w->wrong = true;
		return 0;
	}
	return value;
}

/* ---- regions ----------------------------------------------------------------------------------- */

/* `twin`: the region of the same number in the old image, or zeros. */
static void code_region(struct writer *w, const struct region *before, const struct region *twin,
			uint32_t image_bytes, struct region *r)
{
	uint32_t from = before->start + before->bytes;
	uint32_t hint = twin->bytes > 0;
	uint64_t va;

	r->start = from + code_bounded(w, FIELD_GAP, hint, r->start - from, image_bytes - from);
	r->bytes = (uint32_t)code_near(w, FIELD_BYTES, hint, twin->bytes, r->bytes,
				       image_bytes - r->start);
	r->kind = (uint8_t)code_near(w, FIELD_KIND, hint << 8 | before->kind, twin->kind, r->kind,
				     REGION_KINDS - 1);
	r->group = (uint16_t)code_near(w, FIELD_GROUP, hint, twin->bytes ? twin->group : before->group,
				       r->group, UINT16_MAX);
	va = twin->bytes ? twin->va : before->va + (r->start - before->start);
	r->va = va + (uint64_t)code_signed(w, FIELD_VA, hint, (int64_t)(r->va - va));
	r->mem_bytes = r->bytes + code_bounded(w, FIELD_MEMORY, hint, r->mem_bytes - r->bytes,
					       UINT32_MAX - r->bytes);
	if (r->bytes == 0 || r->va > UINT64_MAX - r->mem_bytes)
		w->wrong = true;
}

static void code_regions(struct writer *w, struct regions *regions, const struct regions *twins,
			 uint32_t image_bytes, uint32_t room)
{
	static const struct region none;
	const struct region *before = &none;

	regions->count = code_bounded(w, FIELD_REGIONS, twins != NULL, regions->count, room);
	for (uint32_t i = 0; i < regions->count && !w->wrong; i++) {
		const struct region *twin = twins && i < twins->count ? &twins->items[i] : &none;

		code_region(w, before, twin, image_bytes, &regions->items[i]);
		before = &regions->items[i];
		if (coder_exhausted(w->model->coder))
			w->wrong = true;
	}
}

/* ---- pieces ------------------------------------------------------------------------------------ */

struct recent {
	int32_t values[RECENT];
	uint32_t count;
};

static void recent_use(struct recent *recent, uint32_t index, int32_t value)
{
	if (index == recent->count && recent->count < RECENT)
		recent->count++;
	if (index >= RECENT)
		index = RECENT - 1;
	for (; index > 0; index--)
		recent->values[index] = recent->values[index - 1];
	recent->values[0] = value;
}

/* 1 + index among the recent values, or 0. */
static uint32_t recent_find(const struct recent *recent, int32_t value)
{
	for (uint32_t i = 0; i < recent->count; i++)
		if (recent->values[i] == value)
			return i + 1;
	return 0;
}

/* A value that often is one of the last ones; else told as its distance from the last one. */
static int32_t code_recent(struct writer *w, unsigned which, unsigned jump, uint32_t hint,
			   struct recent *recent, int32_t value)
{
	uint32_t index = code_bounded(w, which, hint, recent_find(recent, value), recent->count);
	int64_t last = recent->count ? recent->values[0] : 0, distance = value - last;
	unsigned quarter = jump == FIELD_JUMP;

	if (index > 0) {
		value = recent->values[index - 1];
		recent_use(recent, index - 1, value);
		return value;
	}
	if (quarter)
		quarter = code_bit(w, FIELD_QUARTER, 0, hint, distance % 4 == 0);
	distance = code_signed(w, jump, hint << 1 | quarter, quarter ? distance / 4 : distance);
	if (distance > UINT32_MAX || distance < -(int64_t)UINT32_MAX) {
		w->wrong = true;
		return 0;
	}
	distance = last + (quarter ? distance * 4 : distance);
	if (distance > INT32_MAX || distance < INT32_MIN) {
		w->wrong = true;
		return 0;
	}
	recent_use(recent, recent->count, (int32_t)distance);
	return (int32_t)distance;
}

static void code_piece(struct writer *w, const struct map *map, uint32_t from,
		       struct recent *recent, struct map_piece *piece)
{
	const struct region *region;
	uint32_t hint, bytes, rest;
	int64_t old;

	piece->at = from + code_bounded(w, FIELD_PIECE_GAP, recent->count > 0, piece->at - from,
					map->new_bytes - from);
	region = region_at(&map->new_regions, piece->at);
	hint = region ? region->kind + 1u : 0;
	bytes = code_bounded(w, FIELD_PIECE_BYTES, hint, (piece->bytes - 1) >> 2, UINT32_MAX >> 2);
	rest = (unsigned)code_bit(w, FIELD_PIECE_REST, 1, hint << 2 | (piece->at & 3),
				  (piece->bytes - 1) >> 1 & 1);
	rest = rest << 1 | code_bit(w, FIELD_PIECE_REST, 2 + rest, hint << 2 | (piece->at & 3),
				    (piece->bytes - 1) & 1);
	piece->bytes = (bytes << 2 | rest) + 1;
	piece->diagonal = code_recent(w, FIELD_RECENT, FIELD_JUMP,
				      hint << 8 | model_log2(bytes), recent, piece->diagonal);
	old = (int64_t)piece->at + piece->diagonal;
	if (piece->bytes == 0 || !dfota_inside(piece->at, piece->bytes, map->new_bytes) ||
	    old < 0 || !dfota_inside((uint64_t)old, piece->bytes, map->old_bytes))
		w->wrong = true;
}

static void code_pieces(struct writer *w, struct prelude *prelude)
{
	struct map *map = prelude->map;
	struct recent recent = { .count = 1 };
	uint32_t from = 0;

	map->piece_count = code_bounded(w, FIELD_PIECES, 0, map->piece_count, prelude->room.pieces);
	for (uint32_t i = 0; i < map->piece_count && !w->wrong; i++) {
		code_piece(w, map, from, &recent, &prelude->pieces[i]);
		from = prelude->pieces[i].at + prelude->pieces[i].bytes;
		if (coder_exhausted(w->model->coder))
			w->wrong = true;
	}
	map->pieces = prelude->pieces;
}

/* ---- types ------------------------------------------------------------------------------------- */

static void code_types(struct writer *w, struct prelude *prelude)
{
	struct map *map = prelude->map;
	struct recent recent = { .count = 1 };
	uint32_t from = 0;

	map->type_run_count = code_bounded(w, FIELD_RUNS, 0, map->type_run_count, prelude->room.runs);
	for (uint32_t i = 0; i < map->type_run_count && !w->wrong; i++) {
		struct map_types *run = &prelude->types[i];

		run->old = from + code_bounded(w, FIELD_RUN_GAP, 0, run->old - from,
					       INT32_MAX - from);
		run->count = 1 + code_bounded(w, FIELD_RUN_COUNT, 0, run->count - 1,
					      INT32_MAX - run->old);
		run->shift = code_recent(w, FIELD_RUN_RECENT, FIELD_RUN_JUMP,
					 model_log2(run->count), &recent, run->shift);
		from = run->old + run->count;
		if (from > INT32_MAX)
			w->wrong = true;
		if (coder_exhausted(w->model->coder))
			w->wrong = true;
	}
	map->types = prelude->types;
}

/* ---- symbols ----------------------------------------------------------------------------------- */

/* Both old and new numbers ascend: the shift is told as the fresh symbols before the run. */
static void code_symbol_runs(struct writer *w, struct prelude *prelude)
{
	struct map *map = prelude->map;
	uint32_t old = 0, new = 0;

	if (!w->model->coder->encoding) /* they share their room */
		prelude->symbol_runs = prelude->types + map->type_run_count;
	map->symbol_run_count = code_bounded(w, FIELD_SYMBOLS, 0, map->symbol_run_count,
					     prelude->room.runs - map->type_run_count);
	for (uint32_t i = 0; i < map->symbol_run_count && !w->wrong; i++) {
		struct map_types *run = &prelude->symbol_runs[i];
		uint32_t gone, fresh = run->old + (uint32_t)run->shift - new;

		gone = code_bounded(w, FIELD_SYMBOL_GAP, 0, run->old - old, SYMBOLS_MAX - old);
		fresh = code_bounded(w, FIELD_SYMBOL_SHIFT, model_log2(gone), fresh,
				     SYMBOLS_MAX - new);
		run->old = old + gone;
		run->shift = (int32_t)(new + fresh - run->old);
		run->count = 1 + code_bounded(w, FIELD_SYMBOL_COUNT, 0, run->count - 1,
					      SYMBOLS_MAX);
		old = run->old + run->count;
		new += fresh + run->count;
		if (old > SYMBOLS_MAX || new > SYMBOLS_MAX || coder_exhausted(w->model->coder))
			w->wrong = true;
	}
	map->symbols = prelude->symbol_runs;
}

static unsigned code_byte(struct writer *w, unsigned field, uint32_t hint, unsigned byte)
{
	uint32_t partial = 1;

	while (partial < 256) {
		unsigned shift = 7 - (model_log2(partial) - 1);

		partial = partial << 1 |
			  code_bit(w, field, partial, hint << 8 | partial, byte >> shift & 1);
	}
	return partial & 255;
}

/* `twin`: what the token was in the old image, or NULL. */
static void code_pairs(struct writer *w, struct symbol_pairs *pairs, const struct symbol_pairs *twin)
{
	for (unsigned token = SYMBOL_TOKENS; token-- > 0 && !w->wrong;) {
		unsigned is_pair, first, second, expected = twin ? twin->of[token] : 0;

		is_pair = code_bit(w, FIELD_PAIR, 0, twin ? 1 + (expected != 0) : 0,
				   pairs->of[token] != 0);
		if (!is_pair) {
			pairs->of[token] = 0;
			continue;
		}
		first = code_byte(w, FIELD_PAIR_FIRST, expected >> 8, pairs->of[token] >> 8);
		second = code_byte(w, FIELD_PAIR_SECOND, first, pairs->of[token] & 255);
		pairs->of[token] = (uint16_t)(first << 8 | second);
		if (coder_exhausted(w->model->coder))
			w->wrong = true;
	}
}

static void code_symbols(struct writer *w, struct prelude *prelude)
{
	code_symbol_runs(w, prelude);
	if (w->wrong || prelude->map->symbol_run_count == 0)
		return;
	code_pairs(w, prelude->old_pairs, NULL);
	code_pairs(w, prelude->new_pairs, prelude->old_pairs);
}

void prelude_start(struct model *model, struct model_mixer *mixer, const struct map *map)
{
	model_reset(model, map->new_bytes);
	mixer_reset(mixer, WEIGHT, WEIGHT / 2);
}

/* Encoding: what was written behind the parts before is the price of this one. */
static void charge(const struct writer *w, struct prelude *prelude, enum prelude_part part)
{
	uint64_t before = 0;

	if (!w->model->coder->encoding)
		return;
	for (unsigned i = 0; i < part; i++)
		before += prelude->cost[i];
	prelude->cost[part] = coder_written(w->model->coder) - before;
}

int prelude_code(struct model *model, struct model_mixer *mixer, struct prelude *prelude)
{
	struct writer writer = { .model = model, .mixer = mixer };
	struct map *map = prelude->map;

	code_regions(&writer, &map->old_regions, NULL, map->old_bytes, prelude->room.regions);
	if (!writer.wrong)
		code_regions(&writer, &map->new_regions, &map->old_regions, map->new_bytes,
			     prelude->room.regions);
	charge(&writer, prelude, PRELUDE_REGIONS);
	if (!writer.wrong)
		code_pieces(&writer, prelude);
	charge(&writer, prelude, PRELUDE_PIECES);
	if (!writer.wrong)
		code_types(&writer, prelude);
	charge(&writer, prelude, PRELUDE_TYPES);
	if (!writer.wrong)
		code_symbols(&writer, prelude);
	charge(&writer, prelude, PRELUDE_SYMBOLS);
	return writer.wrong ? DFOTA_E_CORRUPT : 0;
}
