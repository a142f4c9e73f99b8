/* SPDX-License-Identifier: MIT
 *
 * Old bytes for a recipe: which are at hand, and where in them a unit's new bytes are found.
 */
#include "recipe.h"

#define STEP	     4u /* of the places in the window that are known by their hash */
#define SURPLUS_MAX  48 /* how far a copy looks on after its best end */
#define MISS_COST    2
#define SAMPLE_EVERY 64u
#define SEVERAL	     UINT32_MAX /* in the table: more than one place has this hash */
#define LONG_COPY    64u	/* good enough not to look for another */

static uint64_t hash_of(const uint8_t *bytes, unsigned bits)
{
	uint64_t mixed = dfota_get64(bytes) * UINT64_C(0x9e3779b97f4a7c15) + dfota_get64(bytes + 8);

	return mixed * UINT64_C(0xd6e8feb86659fd93) >> (64 - bits);
}

/* ---- the window --------------------------------------------------------------------------- */

static void ranges_sort(struct updater_reads *reads)
{
	for (uint32_t i = 1; i < reads->count; i++) {
		struct updater_range range = reads->ranges[i];
		uint32_t at = i;

		while (at > 0 && reads->ranges[at - 1].offset > range.offset) {
			reads->ranges[at] = reads->ranges[at - 1];
			at--;
		}
		reads->ranges[at] = range;
	}
}

/* One piece for [from, to), as far as there is room. */
static int piece_load(struct engine *e, struct recipe *r, uint64_t from, uint64_t to)
{
	uint32_t bytes = (uint32_t)dfota_min64(to - from, r->window_max - r->window_bytes);
	int error;

	if (bytes < RECIPE_MATCH_BYTES || r->piece_count == r->pieces_max)
		return 0;
	error = updater_old_read(e, from, r->window + r->window_bytes, bytes);
	if (error)
		return error;
	r->pieces[r->piece_count++] = (struct recipe_piece){ from, r->window_bytes, bytes };
	r->window_bytes += bytes;
	return 0;
}

/* Of equals the one stays known that will be there longest, since what is written first is lost
 * first; none, while there is no order. */
static void window_index(struct recipe *r, enum updater_ring order)
{
	memset(r->table, 0, sizeof(*r->table) << r->table_bits);
	for (uint32_t i = 0; i < r->piece_count; i++) {
		uint32_t at = r->pieces[i].window_at, end = at + r->pieces[i].bytes;

		for (; at + RECIPE_MATCH_BYTES <= end; at += STEP) {
			uint32_t *entry = &r->table[hash_of(r->window + at, r->table_bits)];

			if (*entry == 0 || order == UPDATER_RING_UP)
				*entry = at + 1;
			else if (order == UPDATER_RING_RAW)
				*entry = SEVERAL;
		}
	}
}

int sources_load(struct engine *e, struct recipe *r)
{
	struct updater_reads *reads = &e->part.reads;
	uint64_t done = 0;

	ranges_sort(reads);
	for (uint32_t i = 0; i < reads->count; i++) {
		uint64_t from = reads->ranges[i].offset, to = reads->ranges[i].end;
		int error;

		if (from < done)
			from = done;
		if (from >= to)
			continue;
		done = to;
		error = piece_load(e, r, from, to);
		if (error)
			return error;
	}
	return 0;
}

static const struct recipe_piece *piece_of(const struct recipe *r, uint64_t old_offset)
{
	uint32_t low = 0, high = r->piece_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (r->pieces[middle].old_offset <= old_offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || old_offset - r->pieces[low - 1].old_offset >= r->pieces[low - 1].bytes)
		return NULL;
	return &r->pieces[low - 1];
}

static const struct recipe_piece *piece_at(const struct recipe *r, uint32_t window_at)
{
	uint32_t low = 0, high = r->piece_count;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (r->pieces[middle].window_at <= window_at)
			low = middle;
		else
			high = middle;
	}
	return &r->pieces[low];
}

/* Bytes from `old_offset` on, at most `most`, that no dead unit holds. */
static uint64_t alive(const struct partition *p, const struct recipe *r, uint64_t old_offset,
		      uint64_t most)
{
	uint32_t unit_bytes = p->delta.header.unit_bytes;
	uint64_t at = old_offset, end = old_offset + most;
	/* A unit that is written is lost as a whole, even if its new bytes are fewer. */
	uint64_t limit = p->offset + (uint64_t)updater_units(p) * unit_bytes;

	if (at < p->offset)
		at = dfota_min64(p->offset, end);
	while (at < end && at < limit) {
		uint64_t unit = (at - p->offset) / unit_bytes;

		if (r->dead >> unit & 1)
			return at - old_offset;
		at = dfota_min64(end, p->offset + (unit + 1) * unit_bytes);
	}
	return most;
}

/* ---- matching ----------------------------------------------------------------------------- */

/* What stands in the way of a longer copy counts MISS_COST times what speaks for it: that keeps
 * changed addresses inside one copy. */
static uint32_t run_of(const uint8_t *new_bytes, const uint8_t *old_bytes, uint32_t most)
{
	uint32_t best = 0;
	int score = 0, best_score = 0;

	for (uint32_t n = 0; n < most; n++) {
		score += new_bytes[n] == old_bytes[n] ? 1 : -MISS_COST;
		if (score > best_score) {
			best_score = score;
			best = n + 1;
		}
		if (score < best_score - SURPLUS_MAX)
			break;
	}
	return best_score >= (int)RECIPE_MATCH_BYTES ? best : 0;
}

struct place {
	const struct partition *p;
	const uint8_t *bytes;
	uint64_t offset;
	uint32_t at, left; /* in the unit */
};

/* The copy from `old_offset`, of 0 bytes if it is none. */
static struct recipe_copy copy_from(const struct recipe *r, const struct place *place,
				    uint64_t old_offset)
{
	const struct recipe_piece *piece = piece_of(r, old_offset);
	struct recipe_copy copy = { .at = place->at, .old_offset = old_offset };
	uint32_t within, most;

	if (!piece)
		return copy;
	within = (uint32_t)(old_offset - piece->old_offset);
	most = (uint32_t)alive(place->p, r, old_offset,
			       dfota_min64(place->left, piece->bytes - within));
	copy.window_at = piece->window_at + within;
	copy.bytes = run_of(place->bytes, r->window + copy.window_at, most);
	return copy;
}

/* Old offset of what has the same hash as the bytes here; UINT64_MAX if there is none. */
static uint64_t same_hash(const struct recipe *r, const uint8_t *bytes, uint32_t left)
{
	const struct recipe_piece *piece;
	uint32_t entry;

	if (left < RECIPE_MATCH_BYTES || r->piece_count == 0)
		return UINT64_MAX;
	entry = r->table[hash_of(bytes, r->table_bits)];
	if (entry == 0 || entry == SEVERAL)
		return UINT64_MAX;
	piece = piece_at(r, entry - 1);
	return piece->old_offset + (entry - 1 - piece->window_at);
}

void sources_match(const struct engine *e, struct recipe *r, uint32_t unit)
{
	const struct partition *p = &e->part;
	uint32_t bytes = (uint32_t)updater_unit_bytes(p, unit);
	uint64_t first = (uint64_t)unit * p->delta.header.unit_bytes;
	uint64_t shift = 0; /* of the last copy, modulo 2^64 */

	r->copy_count = 0;
	for (uint32_t at = 0; at < bytes && r->copy_count < r->copies_max;) {
		struct place place = { p, p->segment + first + at, p->offset + first + at, at,
				       bytes - at };
		struct recipe_copy best = copy_from(r, &place, place.offset + shift);
		uint64_t found =
		    best.bytes < LONG_COPY ? same_hash(r, place.bytes, place.left) : UINT64_MAX;

		if (found != UINT64_MAX) {
			struct recipe_copy other = copy_from(r, &place, found);

			if (other.bytes > best.bytes)
				best = other;
		}
		if (best.bytes == 0) {
			at++;
			continue;
		}
		shift = best.old_offset - place.offset;
		at += best.bytes;
		r->copies[r->copy_count++] = best;
	}
}

/* Whether what is read in the segment lies mostly ahead, or behind. */
static bool mostly_behind(const struct partition *p, const struct recipe *r)
{
	uint64_t ahead = 0, behind = 0;

	for (uint64_t at = 0; at + RECIPE_MATCH_BYTES <= p->new_bytes; at++) {
		uint64_t old_offset;

		/* Enough to tell; so many in a row that one of them meets what the table knows. */
		if (at % SAMPLE_EVERY >= STEP)
			continue;
		old_offset = same_hash(r, p->segment + at, RECIPE_MATCH_BYTES);
		if (old_offset == UINT64_MAX || old_offset < p->offset ||
		    old_offset >= p->offset + p->new_bytes)
			continue;
		ahead += old_offset > p->offset + at;
		behind += old_offset < p->offset + at;
	}
	return behind > ahead;
}

void sources_order(struct engine *e, struct recipe *r)
{
	struct partition *p = &e->part;

	window_index(r, UPDATER_RING_RAW);
	p->ring = mostly_behind(p, r) ? UPDATER_RING_DOWN : UPDATER_RING_UP;
	window_index(r, p->ring);
}
