/* SPDX-License-Identifier: MIT
 *
 * Alignment of new to old: longest exact matches from a suffix array as seeds, grown over
 * differences.
 *
 * The new image is walked with one current diagonal (old position - new position). At each position
 * the longest match anywhere in old is looked up; it becomes the new diagonal if the current one
 * explains clearly fewer of the same bytes. Where diagonals change, both sides are grown towards
 * each other as long as at least half of the bytes agree.
 */
#include "align.h"

#include <divsufsort.h>
#include <stdlib.h>

#define MATCH_MAX 4096u /* bytes that a look-up compares; longer matches are followed directly */
#define ADVANTAGE   8u    /* bytes by which a match must beat the current diagonal; 12 is worse */
#define RUN_SKIP  32u	/* agreeing bytes that are passed without a look-up */
#define RIVALS	  32	/* equally long matches looked at on each side */
#define FEW_RIVALS 8	/* the same where short matches are many */

int diff_index_make(struct diff_index *index, const uint8_t *old, size_t old_bytes)
{
	int32_t sum = 0;

	*index = (struct diff_index){ .old = old, .old_bytes = old_bytes };
	if (old_bytes > DIFF_OLD_MAX)
		return DFOTA_E_ARGUMENT;
	if (old_bytes == 0)
		return 0;
	index->suffixes = malloc(old_bytes * sizeof(*index->suffixes));
	if (!index->suffixes)
		return DFOTA_E_MEMORY;
	if (divsufsort(old, index->suffixes, (saidx_t)old_bytes) != 0) {
		diff_index_free(index);
		return DFOTA_E_MEMORY;
	}
	for (size_t i = 0; i + 1 < old_bytes; i++)
		index->bucket[old[i] << 8 | old[i + 1]]++;
	index->lone = old[old_bytes - 1] << 8; /* the last byte alone sorts before all pairs that start with it */
	for (int32_t i = 0; i <= 1 << 16; i++) {
		int32_t count = index->bucket[i];

		sum += i == index->lone;
		index->bucket[i] = sum;
		sum += count;
	}
	return 0;
}

void diff_index_free(struct diff_index *index)
{
	free(index->suffixes);
	index->suffixes = NULL;
}

int diff_pieces_add(struct diff_pieces *pieces, uint64_t at, uint64_t bytes, int64_t diagonal)
{
	struct diff_piece *last = pieces->count ? &pieces->items[pieces->count - 1] : NULL;

	if (bytes == 0)
		return 0;
	if (last && last->diagonal == diagonal && last->at + last->bytes == at) {
		last->bytes += bytes;
		return 0;
	}
	if (pieces->count == pieces->room) {
		size_t room = pieces->room ? pieces->room * 2 : 256;
		struct diff_piece *items = realloc(pieces->items, room * sizeof(*items));

		if (!items)
			return DFOTA_E_MEMORY;
		pieces->items = items;
		pieces->room = room;
	}
	pieces->items[pieces->count++] = (struct diff_piece){ at, bytes, diagonal };
	return 0;
}

void diff_pieces_free(struct diff_pieces *pieces)
{
	free(pieces->items);
	*pieces = (struct diff_pieces){ 0 };
}

static size_t common(const uint8_t *a, const uint8_t *b, size_t from, size_t max)
{
	size_t i = from;

	while (max - i >= 8) {
		uint64_t x = dfota_get64(a + i) ^ dfota_get64(b + i);

		if (x)
			return i + (size_t)__builtin_ctzll(x) / 8;
		i += 8;
	}
	while (i < max && a[i] == b[i])
		i++;
	return i;
}

static size_t common_with(const struct diff_index *index, int32_t suffix, const uint8_t *text,
			  size_t from, size_t max)
{
	size_t rest = index->old_bytes - (size_t)suffix;

	return common(index->old + suffix, text, from, rest < max ? rest : max);
}

static bool suffix_below(const struct diff_index *index, int32_t suffix, const uint8_t *text,
			 size_t same)
{
	size_t at = (size_t)suffix + same;

	return at >= index->old_bytes || index->old[at] < text[same];
}

/* Length of the longest match of text[0, max) and its place in the suffix array. */
static size_t look_up(const struct diff_index *index, const uint8_t *text, size_t max,
		      int32_t *ret_rank)
{
	size_t low_same = 2, high_same = 2, best = 0;
	int32_t low, high;
	unsigned pair;

	if (max > MATCH_MAX)
		max = MATCH_MAX;
	if (max < 2 || index->old_bytes < 2)
		return 0;
	pair = (unsigned)(text[0] << 8 | text[1]);
	low = index->bucket[pair];
	high = index->bucket[pair + 1] - (pair + 1 == (unsigned)index->lone);
	while (low < high) {
		int32_t middle = low + (high - low) / 2, suffix = index->suffixes[middle];
		size_t same = common_with(index, suffix, text,
					  low_same < high_same ? low_same : high_same, max);

		if (same > best) {
			best = same;
			*ret_rank = middle;
			if (same == max)
				break;
		}
		if (suffix_below(index, suffix, text, same)) {
			low = middle + 1;
			low_same = same;
		} else {
			high = middle;
			high_same = same;
		}
	}
	return best;
}

size_t diff_index_find(const struct diff_index *index, const uint8_t *text, size_t max,
		       int64_t wanted, uint32_t *ret_position)
{
	int32_t rank = 0;
	size_t bytes = look_up(index, text, max, &rank);
	int64_t best;

	if (bytes == 0)
		return 0;
	best = index->suffixes[rank];
	for (int side = -1; side <= 1; side += 2) {
		int64_t i = (int64_t)rank + side;

		for (int tries = 0; tries < FEW_RIVALS; tries++, i += side) {
			if (i < 0 || i >= (int64_t)index->old_bytes ||
			    common_with(index, index->suffixes[i], text, 0, bytes) < bytes)
				break;
			if (llabs(index->suffixes[i] - wanted) < llabs(best - wanted))
				best = index->suffixes[i];
		}
	}
	*ret_position = (uint32_t)best;
	return bytes;
}

struct walk {
	const struct diff_index *index;
	const uint8_t *new_image;
	uint64_t end;
	uint64_t piece_at; /* the piece that is open starts here, on `diagonal` */
	int64_t diagonal;
	struct diff_pieces *pieces;
};

/* Old byte beside new position `at` on a diagonal; false when there is none. */
static bool agrees(const struct walk *walk, uint64_t at, int64_t diagonal)
{
	uint64_t old_at = at + (uint64_t)diagonal;

	return old_at < walk->index->old_bytes && walk->index->old[old_at] == walk->new_image[at];
}

/* Bytes from `at` on that agree on the current diagonal, up to the stretch's end. */
static size_t agreeing_run(const struct walk *walk, uint64_t at)
{
	uint64_t old_at = at + (uint64_t)walk->diagonal, max = walk->end - at;

	if (old_at >= walk->index->old_bytes)
		return 0;
	max = dfota_min64(max, walk->index->old_bytes - old_at);
	return common(walk->index->old + old_at, walk->new_image + at, 0, (size_t)max);
}

/* Of equally long matches the one nearest to the current diagonal: nearer bytes need less stash. */
static int64_t nearest_rival(const struct walk *walk, uint64_t at, size_t bytes, int32_t rank)
{
	const struct diff_index *index = walk->index;
	int64_t best = index->suffixes[rank] - (int64_t)at;

	for (int side = -1; side <= 1; side += 2) {
		int64_t i = (int64_t)rank + side;

		for (int tries = 0; tries < RIVALS; tries++, i += side) {
			int64_t diagonal;

			if (i < 0 || i >= (int64_t)index->old_bytes ||
			    common_with(index, index->suffixes[i], walk->new_image + at, 0, bytes) <
				bytes)
				break;
			diagonal = index->suffixes[i] - (int64_t)at;
			if (llabs(diagonal - walk->diagonal) < llabs(best - walk->diagonal))
				best = diagonal;
		}
	}
	return best;
}

/* How far the open piece reaches before `limit`: the length with most (agreeing - differing) bytes.
 */
static uint64_t grow_forward(const struct walk *walk, uint64_t limit)
{
	int64_t score = 0, best_score = 0;
	uint64_t best = 0;

	for (uint64_t at = walk->piece_at; at < limit; at++) {
		if (at + (uint64_t)walk->diagonal >= walk->index->old_bytes)
			break;
		score += agrees(walk, at, walk->diagonal) ? 1 : -1;
		if (score > best_score) {
			best_score = score;
			best = at + 1 - walk->piece_at;
		}
	}
	return best;
}

static uint64_t grow_backward(const struct walk *walk, uint64_t from, int64_t diagonal)
{
	int64_t score = 0, best_score = 0;
	uint64_t best = 0;

	for (uint64_t at = from; at-- > walk->piece_at;) {
		if (at + (uint64_t)diagonal >= walk->index->old_bytes)
			break;
		score += agrees(walk, at, diagonal) ? 1 : -1;
		if (score > best_score) {
			best_score = score;
			best = from - at;
		}
	}
	return best;
}

/* Both sides claim [start, end): where to cut so that most bytes agree. */
static uint64_t best_cut(const struct walk *walk, uint64_t start, uint64_t end, int64_t diagonal)
{
	int64_t score = 0, best_score = 0;
	uint64_t best = start;

	for (uint64_t at = start; at < end; at++) {
		score += agrees(walk, at, walk->diagonal);
		score -= agrees(walk, at, diagonal);
		if (score > best_score) {
			best_score = score;
			best = at + 1;
		}
	}
	return best;
}

/* Closes the open piece and opens one on `diagonal` whose seed is at `seed`. */
static int change_diagonal(struct walk *walk, uint64_t seed, int64_t diagonal)
{
	uint64_t old_end = walk->piece_at + grow_forward(walk, seed);
	uint64_t new_start = seed - grow_backward(walk, seed, diagonal);
	int error;

	if (old_end > new_start)
		old_end = new_start = best_cut(walk, new_start, old_end, diagonal);
	error =
	    diff_pieces_add(walk->pieces, walk->piece_at, old_end - walk->piece_at, walk->diagonal);
	walk->piece_at = new_start;
	walk->diagonal = diagonal;
	return error;
}

int diff_align(const struct diff_index *index, const uint8_t *new_image, uint64_t start,
	       uint64_t end, struct diff_pieces *pieces)
{
	struct walk walk = {
		.index = index,
		.new_image = new_image,
		.end = end,
		.piece_at = start,
		.pieces = pieces,
	};
	uint64_t at = start, counted = start;
	size_t score = 0; /* bytes of [at, counted) that agree on the current diagonal */
	int32_t rank = 0;
	int error;

	while (at < end) {
		size_t run = agreeing_run(&walk, at), match;
		int64_t diagonal;

		if (run >= RUN_SKIP) {
			at += run;
			score = counted > at ? score - run : 0;
			counted = counted > at ? counted : at;
			continue;
		}
		match = look_up(index, new_image + at, (size_t)(end - at), &rank);
		for (; counted < at + match; counted++)
			score += agrees(&walk, counted, walk.diagonal);
		if (match <= score + ADVANTAGE) {
			score -= agrees(&walk, at, walk.diagonal) && counted > at;
			at++;
			counted = counted > at ? counted : at;
			continue;
		}
		diagonal = nearest_rival(&walk, at, match, rank);
		error = change_diagonal(&walk, at, diagonal);
		if (error)
			return error;
		at += agreeing_run(&walk, at);
		counted = at;
		score = 0;
	}
	return diff_pieces_add(pieces, walk.piece_at, grow_forward(&walk, end), walk.diagonal);
}
