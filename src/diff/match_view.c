/* SPDX-License-Identifier: MIT
 *
 * Shapes and keys of both images, from their instructions and data.
 *
 * Regions are worked on in stretches of fixed size, by several threads. No token is written that
 * crosses the end of a stretch, so the result does not depend on who comes first.
 */
#include "match_view.h"

#include <stdlib.h>

#include "../codec/fixed.h"
#include "btf_types.h"
#include "parallel.h"

#define STRETCH	    (1u << 20)
#define POINTER_MIN (1u << 24)	 /* smaller numbers are pointers only if something says so */
#define ANYWHERE    (1ull << 24) /* an address to compare instructions at */

struct stretch {
	uint32_t from, to;
	uint32_t region;
	bool is_old;
};

struct sweep {
	struct view *view;
	const struct map *map; /* NULL: shapes and new keys */
	struct stretch *stretches;
	size_t count;
};

/* ---- tokens ------------------------------------------------------------------------------------
 */

static struct isa_text text_at(const struct view_side *side, uint32_t position)
{
	struct isa_text text = { side->raw + position, position, side->bytes - position };

	if (text.before > ISA_REACH)
		text.before = ISA_REACH;
	if (text.after > ISA_REACH)
		text.after = ISA_REACH;
	return text;
}

static void store(uint8_t *at, unsigned bytes, uint32_t word)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(word >> (8 * i));
}

static uint32_t mix(uint32_t a, uint32_t b)
{
	a = (a ^ (a >> 15)) * 0x2c1b3c6du;
	a = ((a ^ b) ^ (a >> 12)) * 0x297a2d39u;
	return a ^ (a >> 15);
}

/* What the token does, without its address, and where it leads. */
static uint32_t token_key(const struct isa *isa, const struct region *region,
			  const struct isa_token *token, uint32_t word, uint64_t target)
{
	uint32_t plain;

	if (!isa->build(token, word, ANYWHERE, ANYWHERE + 64, &plain))
		plain = word & isa->keep(token, word);
	return mix(mix(mix(plain, (uint32_t)target), (uint32_t)(target >> 32)),
		   view_salt(region) ^ token->class);
}

static bool token_target(const struct sweep *sweep, const struct view_side *side,
			 const struct region *region, const struct isa *isa,
			 const struct isa_token *token, uint32_t at, uint32_t word,
			 uint64_t *ret_target)
{
	struct isa_text text = text_at(side, at);
	uint64_t target;

	if (!isa->target(&text, token, word, region->va + (at - region->start), &target))
		return false;
	if (sweep->map)
		return map_address(sweep->map, region->group, target, ret_target) != MAP_NONE;
	*ret_target = target;
	return true;
}

static void sweep_token(const struct sweep *sweep, const struct view_side *side,
			const struct region *region, const struct isa *isa,
			const struct isa_token *token, uint32_t at)
{
	uint32_t word = isa_load(side->raw + at, token->bytes), key = word;
	uint64_t target;

	store(side->shape + at, token->bytes, word & isa->keep(token, word));
	if (side == &sweep->view->old && !sweep->map)
		return;
	if (token_target(sweep, side, region, isa, token, at, word, &target))
		key = token_key(isa, region, token, word, target);
	store(side->keyed + at, token->bytes, key);
}

/* ---- data --------------------------------------------------------------------------------------
 */

static bool is_relocation(uint64_t info)
{
	return info == 0x403 || info == 8; /* RELATIVE of AArch64 and x86-64 */
}

/* Is the word at `at` surely an address and no number that looks like one? */
static bool is_pointer(const struct view_side *side, const struct region *region, uint32_t at)
{
	uint32_t inside = at - region->start, left = region->bytes - inside;
	uint32_t word = dfota_get32(side->raw + at);
	uint64_t high = region->va >> 32;

	if (word >= POINTER_MIN && high == 0)
		return true;
	if (region->kind == REGION_FRAME_TABLE || region->kind == REGION_REL32 || region->kind == REGION_RELA64 ||
	    region->kind == REGION_HASH)
		return true; /* the map knows what they are */
	if (left >= 8 && high != 0 && dfota_get32(side->raw + at + 4) == high)
		return true;
	if (region->kind != REGION_DATA64)
		return false;
	return (left >= 16 && is_relocation(dfota_get64(side->raw + at + 8))) ||
	       (inside >= 8 && is_relocation(dfota_get64(side->raw + at - 8)));
}

/* A new region of the same program and kind, to predict distances in; NULL when there is none. */
static const struct region *counterpart(const struct view *view, const struct region *region)
{
	const struct regions *regions = view->new.regions;

	for (uint32_t i = 0; i < regions->count; i++)
		if (regions->items[i].group == region->group &&
		    regions->items[i].kind == region->kind)
			return &regions->items[i];
	return NULL;
}

static void predict_word(const struct sweep *sweep, const struct region *region,
			 const struct region *new_region, uint32_t at)
{
	const struct view *view = sweep->view;
	struct fixed_place place = {
		.at = new_region->start,
		.old = at,
		.new_region = new_region,
		.old_region = region,
		.text = text_at(&view->old, at),
		.token = { 4, ISA_OTHER, 0 },
		.word = dfota_get32(view->old.raw + at),
	};
	struct fixed_values values;
	uint32_t salt = view_salt(region), moved = place.word;

	fixed_predict(sweep->map, &place, &values);
	view->distances[at / 4] = NO_DISTANCE;
	if (values.have & 1u << FIXED_PREL)
		view->distances[at / 4] =
		    (values.value[FIXED_PREL] + (uint32_t)new_region->va) ^ salt;
	if (values.have & 1u << FIXED_ABS && region->kind != REGION_FRAMES) /* those are distances */
		moved = values.value[FIXED_ABS];
	dfota_put32(view->old.keyed + at, moved ^ salt);
	dfota_put32(view->old.shape + at, is_pointer(&view->old, region, at) ? moved : place.word);
}

static void sweep_word(const struct sweep *sweep, const struct view_side *side,
		       const struct region *region, const struct region *new_region, uint32_t at)
{
	if (side == &sweep->view->new)
		dfota_put32(side->keyed + at, dfota_get32(side->raw + at) ^ view_salt(region));
	else if (sweep->map && new_region)
		predict_word(sweep, region, new_region, at);
}

/* Type records: what a type or string will be called. */
static int predict_btf(struct view *view, const struct map *map, const struct region *region)
{
	uint8_t *roles = NULL;
	const struct region *new_region = counterpart(view, region);
	int error;

	if (region->kind != REGION_BTF_TYPES || region->start % 4 != 0 || !new_region)
		return 0;
	error = diff_btf_roles(region, view->old.raw, &roles);
	for (uint32_t i = 0; !error && i < region->bytes / 4; i++) {
		uint32_t at = region->start + 4 * i;
		struct fixed_place place = {
			.at = new_region->start,
			.old = at,
			.new_region = new_region,
			.old_region = region,
			.text = text_at(&view->old, at),
			.token = { 4, ISA_OTHER, 0 },
			.word = dfota_get32(view->old.raw + at),
			.role = roles[i],
		};
		struct fixed_values values;

		fixed_predict(map, &place, &values);
		dfota_put32(view->old.keyed + at,
			    values.have & 1u << FIXED_PC ? values.value[FIXED_PC] : place.word);
	}
	free(roles);
	return error;
}

/* ---- sweeps ------------------------------------------------------------------------------------
 */

/* A word of a literal pool: with a base it leads somewhere, as code does. */
static void sweep_pool_word(const struct sweep *sweep, const struct view_side *side, const struct region *region,
			    const struct pool_word *word, uint32_t at)
{
	uint32_t value = dfota_get32(side->raw + at), key = value;
	uint64_t target = (uint32_t)(value + word->old_base), moved = target;
	bool is_old = side == &sweep->view->old;

	if (word->has_base)
		dfota_put32(side->shape + at, 0);
	if (is_old && !sweep->map)
		return;
	if (!word->has_base)
		target = value;
	if (is_old && map_address(sweep->map, region->group, target, &moved) == MAP_NONE)
		return;
	if (word->has_base)
		key = mix((uint32_t)moved, view_salt(region) ^ ISA_POOL);
	else if (is_old)
		key = (uint32_t)moved;
	dfota_put32(side->keyed + at, key);
}

static uint32_t sweep_instruction(const struct sweep *sweep, const struct view_side *side,
				  const struct stretch *stretch, const struct isa *isa,
				  const struct region *new_region, struct pool *pool, uint32_t at)
{
	const struct region *region = &side->regions->items[stretch->region];
	const struct pool_word *word = isa->use ? pool_find(pool, at) : NULL;
	struct isa_token tokens[ISA_TOKENS];
	struct isa_text text = text_at(side, at);
	unsigned count;

	if (word && stretch->to - at >= 4) {
		sweep_pool_word(sweep, side, region, word, at);
		return at + 4;
	}
	if (text.after > stretch->to - at)
		text.after = stretch->to - at;
	count = isa->split(&text, tokens);
	for (unsigned i = 0; i < count; i++) {
		if (tokens[i].class != ISA_OTHER)
			sweep_token(sweep, side, region, isa, &tokens[i], at);
		else if (tokens[i].bytes == 4 && (at + region_phase(region)) % 4 == 0 &&
			 view_has_data(region))
			sweep_word(sweep, side, region, new_region, at);
		if (isa->use)
			pool_pass(pool, isa, &tokens[i], isa_load(side->raw + at, tokens[i].bytes), at,
				  (uint32_t)region_address(region, at), 0);
		at += tokens[i].bytes;
	}
	return at;
}

static int sweep_stretch(void *context, size_t item)
{
	const struct sweep *sweep = context;
	const struct stretch *stretch = &sweep->stretches[item];
	const struct view_side *side = stretch->is_old ? &sweep->view->old : &sweep->view->new;
	const struct region *region = &side->regions->items[stretch->region];
	const struct region *new_region =
	    stretch->is_old ? counterpart(sweep->view, region) : region;
	const struct isa *isa = isa_of(region->kind);
	uint32_t step = isa ? isa->step : 4, at = stretch->from;
	struct pool pool = { 0 };

	at += (0u - at - region_phase(region)) % step; /* a power of two */
	if (!isa && !view_has_data(region))
		return 0;
	while (at < stretch->to && stretch->to - at >= step) {
		if (isa) {
			at = sweep_instruction(sweep, side, stretch, isa, new_region, &pool, at);
		} else {
			sweep_word(sweep, side, region, new_region, at);
			at += 4;
		}
	}
	return 0;
}

static size_t stretches_of(const struct regions *regions)
{
	size_t count = 0;

	for (uint32_t i = 0; i < regions->count; i++)
		count += (size_t)dfota_ceil_div64(regions->items[i].bytes, STRETCH);
	return count;
}

static void stretches_add(struct sweep *sweep, const struct view_side *side, bool is_old)
{
	for (uint32_t i = 0; i < side->regions->count; i++) {
		uint32_t from = side->regions->items[i].start;
		uint32_t end = from + side->regions->items[i].bytes;

		while (from < end) {
			uint32_t to = end - from > STRETCH ? from + STRETCH : end;

			sweep->stretches[sweep->count++] = (struct stretch){ from, to, i, is_old };
			from = to;
		}
	}
}

static int sweep_all(struct view *view, const struct map *map, unsigned threads)
{
	struct sweep sweep = { .view = view, .map = map };
	size_t room = stretches_of(view->old.regions) + stretches_of(view->new.regions);
	int error = 0;

	if (room == 0)
		return 0;
	sweep.stretches = malloc(room * sizeof(*sweep.stretches));
	if (!sweep.stretches)
		return DFOTA_E_MEMORY;
	stretches_add(&sweep, &view->old, true);
	if (!map)
		stretches_add(&sweep, &view->new, false);
	if (sweep.count > 0)
		error = diff_parallel(threads, sweep.count, sweep_stretch, &sweep, NULL);
	free(sweep.stretches);
	return error;
}

static int side_open(struct view_side *side, const uint8_t *raw, uint64_t bytes,
		     const struct regions *regions)
{
	*side = (struct view_side){ .raw = raw, .bytes = (uint32_t)bytes, .regions = regions };
	side->shape = malloc((size_t)bytes + 1);
	side->keyed = malloc((size_t)bytes + 1);
	if (!side->shape || !side->keyed)
		return DFOTA_E_MEMORY;
	if (bytes > 0) {
		memcpy(side->shape, raw, (size_t)bytes);
		memcpy(side->keyed, raw, (size_t)bytes);
	}
	return 0;
}

static bool any_phase(const struct regions *regions)
{
	uint32_t any = 0;

	for (uint32_t i = 0; i < regions->count; i++)
		any |= region_phase(&regions->items[i]);
	return any != 0;
}

int view_open(struct view *view, const struct diff_match_input *input)
{
	const struct diff_images *images = input->images;
	int error;

	*view = (struct view){ .literals_cheap = input->literals_cheap };
	error = side_open(&view->old, images->old_image, images->old_bytes, input->old_regions);
	if (!error)
		error =
		    side_open(&view->new, images->new_image, images->new_bytes, input->new_regions);
	if (error)
		return error;
	view->has_phases = any_phase(input->old_regions) || any_phase(input->new_regions);
	view->distances = calloc((size_t)view->old.bytes / 4 + 1, sizeof(*view->distances));
	if (!view->distances)
		return DFOTA_E_MEMORY;
	error = view_find_text(view);
	if (!error)
		error = diff_btf_normalise(view->old.regions, view->old.raw, view->old.shape);
	if (!error)
		error = diff_btf_normalise(view->new.regions, view->new.raw, view->new.shape);
	return error ? error : sweep_all(view, NULL, input->threads);
}

int view_predict(struct view *view, const struct map *map, unsigned threads)
{
	int error = sweep_all(view, map, threads);

	view->predicted = true;
	for (uint32_t i = 0; !error && i < view->old.regions->count; i++)
		error = predict_btf(view, map, &view->old.regions->items[i]);
	return error;
}

uint32_t view_region(const struct view *view, uint32_t at, uint32_t end,
		     const struct region **ret_region)
{
	const struct regions *regions = view->new.regions;
	const struct region *region = region_at(regions, at);
	uint32_t low = 0, high = regions->count;

	*ret_region = region;
	if (region)
		return region->start + region->bytes < end ? region->start + region->bytes : end;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (regions->items[middle].start <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < regions->count && regions->items[low].start < end ? regions->items[low].start
								       : end;
}

void view_close(struct view *view)
{
	free(view->old.shape);
	free(view->old.keyed);
	free(view->new.shape);
	free(view->new.keyed);
	free(view->distances);
	free(view->text);
	*view = (struct view){ 0 };
}
