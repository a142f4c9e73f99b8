/* SPDX-License-Identifier: MIT
 *
 * Private to the matcher: what a cell costs on a diagonal, in 1/16 bit, from measured code lengths.
 */
#ifndef DFOTA_DIFF_MATCH_COST_H
#define DFOTA_DIFF_MATCH_COST_H

#include "match_view.h"

#define COST_SHAPE     6u   /* first pass: same but for an address */
#define COST_PC	       1u   /* the map predicts it: code, */
#define COST_DISTANCE  3u   /* data that is a distance, */
#define COST_ADDRESS   12u  /* data that is an address */
#define COST_TARGET    160u /* same but for an address that is not predicted */
#define COST_BYTE      120u /* one byte differs */
#define COST_BYTE_MORE 70u  /* each further one */
#define COST_LITERAL   320u /* four bytes without an old one, */
#define COST_DENSE     270u /* of code with instructions of two or three bytes, */
#define COST_CHEAP     250u /* of what is like itself more than like anything old, */
#define COST_TEXT      110u /* of text, */
#define COST_TEXT_BYTE 180u /* in which one byte that differs costs more: what is around it foretells it no longer */
#define COST_EXPLAINED 16u /* below this, a cell is equal or predicted */

/* A cell of the new image. */
struct cell {
	uint32_t at, raw, shape, keyed, distance;
	uint32_t phase;
	uint32_t mask; /* of diagonals */
	uint32_t literal, byte; /* cost without an old one, and where one byte differs */
	bool has_data;
};

/* Instructions that are shorter than a cell are cheaper to say anew than to look for among old ones. */
static inline bool is_dense(const struct region *region)
{
	return region && (region->kind == REGION_X86 || region->kind == REGION_T32 || region->kind == REGION_RISCV);
}

static inline uint32_t literal_cost(const struct view *view, const struct region *region, uint32_t at)
{
	if (view_is_text(view, at))
		return COST_TEXT;
	if (view->literals_cheap)
		return COST_CHEAP;
	return is_dense(region) ? COST_DENSE : COST_LITERAL;
}

static inline void cell_load(struct cell *cell, const struct view *view,
			     const struct region *region, uint32_t at)
{
	cell->at = at;
	cell->phase = region ? region_phase(region) : 0;
	cell->raw = dfota_get32(view->new.raw + at);
	cell->shape = dfota_get32(view->new.shape + at);
	cell->keyed = dfota_get32(view->new.keyed + at);
	cell->mask = view_mask(region);
	cell->literal = literal_cost(view, region, at);
	cell->byte = view_is_text(view, at) ? COST_TEXT_BYTE : COST_BYTE;
	cell->has_data = view->predicted && region && view_has_data(region);
	cell->distance = cell->has_data ? view_distance(region, at, cell->raw) : NO_DISTANCE;
}

/* `old` is cell->at + diagonal, and four bytes are there. */
static inline uint32_t cell_cost(const struct cell *cell, const struct view *view, uint32_t old)
{
	uint32_t differs = dfota_get32(view->old.raw + old) ^ cell->raw;

	if (differs == 0)
		return 0;
	if (((old + view_old_phase(view, old) - cell->at - cell->phase) & cell->mask) == 0) {
		bool same_shape = dfota_get32(view->old.shape + old) == cell->shape;

		if (!view->predicted) {
			if (same_shape)
				return COST_SHAPE;
		} else {
			if (dfota_get32(view->old.keyed + old) == cell->keyed)
				return cell->raw == cell->shape ? COST_ADDRESS : COST_PC;
			if (cell->has_data && view->distances[old / 4] == cell->distance)
				return COST_DISTANCE;
			if (same_shape)
				return COST_TARGET;
		}
	}
	/* A bit for each byte that differs. */
	differs |= differs >> 4;
	differs |= differs >> 2;
	differs |= differs >> 1;
	differs &= 0x01010101u;
	return cell->byte + COST_BYTE_MORE * ((differs * 0x01010101u >> 24) - 1);
}

#endif
