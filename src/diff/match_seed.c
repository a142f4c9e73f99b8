/* SPDX-License-Identifier: MIT
 *
 * Seeds from exact matches and from an alignment that stands.
 */
#include "match_seed.h"

#include <stdlib.h>

#include "parallel.h"

#define MATCH_MIN   4u /* bytes of a match that is worth a try */
#define MATCH_SURE  64u /* so long that what it covers needs no other */
#define MATCH_LEADS 24u /* so long that the next ones are expected on its diagonal */
#define FOLLOW_BACK                                                                                \
	16u /* bytes before the end of what was followed at which the next look-up starts */
#define SURE_BACK 28u

/* Goes the last seed on with this one? */
static bool extend_last(struct seeds *seeds, uint32_t at, uint32_t bytes, int64_t diagonal)
{
	struct seed *last = seeds->count ? &seeds->items[seeds->count - 1] : NULL;

	if (!last || last->diagonal != diagonal || at < last->at || at - last->at > last->bytes)
		return false;
	if (at - last->at + bytes > last->bytes)
		last->bytes = at - last->at + bytes;
	return true;
}

int seeds_add(struct seeds *seeds, uint32_t at, uint32_t bytes, int64_t diagonal)
{
	if (extend_last(seeds, at, bytes, diagonal))
		return 0;
	if (seeds->count == seeds->room) {
		size_t room = seeds->room ? seeds->room * 2 : 1024;
		struct seed *items = realloc(seeds->items, room * sizeof(*items));

		if (!items)
			return DFOTA_E_MEMORY;
		seeds->items = items;
		seeds->room = room;
	}
	seeds->items[seeds->count++] = (struct seed){ at, bytes, (int32_t)diagonal };
	return 0;
}

void seeds_free(struct seeds *seeds)
{
	free(seeds->items);
	*seeds = (struct seeds){ 0 };
}

static int by_place(const void *a, const void *b)
{
	const struct seed *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->diagonal != y->diagonal)
		return x->diagonal < y->diagonal ? -1 : 1;
	return x->bytes == y->bytes ? 0 : x->bytes > y->bytes ? -1 : 1;
}

void seeds_sort(struct seeds *seeds)
{
	size_t kept = 0;

	if (seeds->count == 0)
		return;
	qsort(seeds->items, seeds->count, sizeof(*seeds->items), by_place);
	for (size_t i = 1; i < seeds->count; i++) {
		const struct seed *seed = &seeds->items[i], *last = &seeds->items[kept];

		if (seed->at != last->at || seed->diagonal != last->diagonal)
			seeds->items[++kept] = *seed;
	}
	seeds->count = kept + 1;
}

/* ---- shapes ------------------------------------------------------------------------------------
 */

struct shape_search {
	const struct view *view;
	struct diff_index index;
	struct seeds *stretches;
};

static uint32_t common_bytes(const struct view *view, uint32_t at, int64_t diagonal, uint32_t end)
{
	int64_t old = at + diagonal;
	const uint8_t *a = view->new.shape + at, *b = view->old.shape + old;
	uint32_t most = end - at, i = 0;

	if (old < 0 || old >= view->old.bytes)
		return 0;
	if (most > view->old.bytes - (uint32_t)old)
		most = view->old.bytes - (uint32_t)old;
	while (most - i >= 8 && dfota_get64(a + i) == dfota_get64(b + i))
		i += 8;
	while (i < most && a[i] == b[i])
		i++;
	return i;
}

static int search_stretch(void *context, size_t item)
{
	const struct shape_search *search = context;
	const struct view *view = search->view;
	uint32_t at = (uint32_t)item * MATCH_STRETCH;
	uint32_t end = view->new.bytes - at > MATCH_STRETCH ? at + MATCH_STRETCH : view->new.bytes;
	int64_t diagonal = 0;
	int error = 0;

	while (at < end && !error) {
		uint32_t bytes = common_bytes(view, at, diagonal, end), old, next = at + CELL;

		if (bytes >= MATCH_SURE) {
			error = seeds_add(&search->stretches[item], at, bytes, diagonal);
			next = at + bytes - FOLLOW_BACK;
		} else {
			bytes = (uint32_t)diff_index_find(&search->index, view->new.shape + at,
							  end - at, at + diagonal, &old);
			if (bytes >= MATCH_MIN)
				error = seeds_add(&search->stretches[item], at, bytes,
						  (int64_t)old - at);
			if (bytes >= MATCH_LEADS)
				diagonal = (int64_t)old - at;
			if (bytes >= MATCH_SURE)
				next = at + bytes - SURE_BACK;
		}
		at = next - next % CELL;
	}
	return error;
}

int seeds_from_shapes(const struct view *view, unsigned threads, struct seeds *stretches)
{
	struct shape_search *search = malloc(sizeof(*search));
	int error;

	if (!search)
		return DFOTA_E_MEMORY;
	search->view = view;
	search->stretches = stretches;
	error = diff_index_make(&search->index, view->old.shape, view->old.bytes);
	if (!error && match_stretches(view) > 0)
		error = diff_parallel(threads, match_stretches(view), search_stretch, search, NULL);
	diff_index_free(&search->index);
	free(search);
	return error;
}

/* ---- pieces ------------------------------------------------------------------------------------
 */

int seeds_from_pieces(const struct diff_pieces *pieces, struct seeds *stretches)
{
	for (size_t i = 0; i < pieces->count; i++) {
		const struct diff_piece *piece = &pieces->items[i];
		uint64_t at = piece->at, end = at + piece->bytes;

		while (at < end) {
			uint64_t stretch = at / MATCH_STRETCH;
			uint64_t to = dfota_min64((stretch + 1) * MATCH_STRETCH, end);
			int error = seeds_add(&stretches[stretch], (uint32_t)at,
					      (uint32_t)(to - at), piece->diagonal);

			if (error)
				return error;
			at = to;
		}
	}
	return 0;
}
