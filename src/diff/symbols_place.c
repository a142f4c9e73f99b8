/* SPDX-License-Identifier: MIT
 *
 * Where the tables of paired symbols lie: what each segment reads of them, and the map's pieces around them.
 */
#include "symbols.h"

#define OFFSET_BYTES 4u

static bool holds(const struct region *region, uint32_t at)
{
	return at - region->start < region->bytes && at >= region->start;
}

/* ---- names ------------------------------------------------------------------------------------- */

/* Goes on to entry number `index`. False at the end. */
static bool walk_to(const uint8_t *image, const struct region *region, uint32_t *number,
		    uint32_t *at, uint32_t index)
{
	uint32_t end = region->start + region->bytes;

	for (; *number < index; (*number)++) {
		if (end - *at < SYMBOL_HEAD_MAX || symbols_entry_bytes(image + *at) > end - *at)
			return false;
		*at += symbols_entry_bytes(image + *at);
	}
	return true;
}

static struct predict_window names_window(const struct diff_symbols *s, uint32_t at, uint32_t end)
{
	const uint8_t *old_image = s->images->old_image, *new_image = s->images->new_image;
	uint32_t place = s->new_names.start, number = 0, old_number = 0, first = UINT32_MAX, last = 0;
	uint32_t limit = s->new_names.start + s->new_names.bytes, old_at = s->old_names.start, old;
	struct predict_window w = { 0 };

	while (place < at && walk_to(new_image, &s->new_names, &number, &place, number + 1))
		;
	w.phase = place - at;
	w.index = number;
	while (place < end && place < limit) {
		if (map_symbol_back(&s->map, number, &old)) {
			first = first == UINT32_MAX ? old : first;
			last = old;
		}
		if (!walk_to(new_image, &s->new_names, &number, &place, number + 1))
			break;
	}
	if (first == UINT32_MAX || !walk_to(old_image, &s->old_names, &old_number, &old_at, first))
		return w;
	w.old_index = first;
	w.old_at = w.old_end = old_at;
	if (walk_to(old_image, &s->old_names, &old_number, &old_at, last + 1))
		w.old_end = old_at;
	return w;
}

/* ---- sequences --------------------------------------------------------------------------------- */

/* Place of a symbol's number in the old sequence; its end if it is not there. */
static uint32_t old_place(const struct diff_symbols *s, uint32_t number)
{
	const struct region *region = &s->old_sequences;
	uint32_t at = region->start, end = region->start + region->bytes;

	while (end - at >= SYMBOL_NUMBER_BYTES && symbols_number(s->images->old_image + at) != number)
		at += SYMBOL_NUMBER_BYTES;
	return at;
}

static struct predict_window sequences_window(const struct diff_symbols *s, uint32_t at, uint32_t end)
{
	uint32_t behind = (at - s->new_sequences.start) % SYMBOL_NUMBER_BYTES, old;
	uint32_t first = UINT32_MAX, last = 0;
	struct predict_window w = { .phase = behind ? SYMBOL_NUMBER_BYTES - behind : 0 };

	if (s->old_sequences.bytes == 0)
		return w;
	for (uint64_t next = (uint64_t)at + w.phase; next + SYMBOL_NUMBER_BYTES <= end; next += SYMBOL_NUMBER_BYTES) {
		if (!map_symbol_back(&s->map, symbols_number(s->images->new_image + next), &old))
			continue;
		first = first == UINT32_MAX ? old : first;
		last = old;
	}
	if (first == UINT32_MAX)
		return w;
	w.old_at = old_place(s, first);
	w.old_end = old_place(s, last) + SYMBOL_NUMBER_BYTES;
	if (w.old_end < w.old_at || w.old_end > s->old_sequences.start + s->old_sequences.bytes)
		w.old_at = w.old_end = 0;
	return w;
}

struct predict_window diff_symbols_window(const struct diff_symbols *s, uint32_t at, uint32_t end)
{
	if (s->run_count > 0 && holds(&s->new_names, at))
		return names_window(s, at, end);
	if (s->run_count > 0 && holds(&s->new_sequences, at))
		return sequences_window(s, at, end);
	return (struct predict_window){ 0 };
}

static int add_reads(const struct diff_symbols *s, const struct region *region, uint64_t start,
		     uint64_t end, struct diff_ranges *ranges)
{
	uint64_t from = region->start > start ? region->start : start;
	uint64_t to = dfota_min64((uint64_t)region->start + region->bytes, end);
	struct predict_window w;

	if (from >= to)
		return 0;
	w = diff_symbols_window(s, (uint32_t)from, (uint32_t)to);
	return diff_ranges_add(ranges, w.old_at, w.old_end);
}

int diff_symbols_reads(const struct diff_symbols *s, uint64_t start, uint64_t end,
		       struct diff_ranges *ranges)
{
	int error = add_reads(s, &s->new_names, start, end, ranges);

	return error ? error : add_reads(s, &s->new_sequences, start, end, ranges);
}

/* ---- pieces ------------------------------------------------------------------------------------ */

/* What of the piece is in [from, to) and not in the tables. */
static int add_outside(struct diff_pieces *kept, const struct region *tables, size_t count,
		       const struct diff_piece *piece, uint64_t from, uint64_t to)
{
	uint64_t at = piece->at > from ? piece->at : from;
	uint64_t end = dfota_min64(piece->at + piece->bytes, to);
	int error = 0;

	while (at < end && !error) {
		uint64_t limit = end;
		bool inside = false;

		for (size_t i = 0; i < count; i++) {
			uint64_t start = tables[i].start, stop = start + tables[i].bytes;

			if (at >= start && at < stop) {
				inside = true;
				limit = dfota_min64(limit, stop);
			} else if (start > at) {
				limit = dfota_min64(limit, start);
			}
		}
		if (!inside)
			error = diff_pieces_add(kept, at, limit - at, piece->diagonal);
		at = limit;
	}
	return error;
}

/* One for each run, as far as both tables reach. */
static int add_offsets(const struct diff_symbols *s, struct diff_pieces *kept)
{
	uint32_t old_total = s->old_offsets.bytes / OFFSET_BYTES;
	uint32_t new_total = s->new_offsets.bytes / OFFSET_BYTES;
	int error = 0;

	for (uint32_t i = 0; i < s->run_count && !error; i++) {
		const struct map_types *run = &s->runs[i];
		uint32_t new = run->old + (uint32_t)run->shift;
		uint64_t at = s->new_offsets.start + (uint64_t)OFFSET_BYTES * new;
		uint64_t old = s->old_offsets.start + (uint64_t)OFFSET_BYTES * run->old;

		if (!dfota_inside(new, run->count, new_total) ||
		    !dfota_inside(run->old, run->count, old_total))
			continue;
		error = diff_pieces_add(kept, at, (uint64_t)OFFSET_BYTES * run->count,
					(int64_t)(old - at));
	}
	return error;
}

int diff_symbols_pieces(const struct diff_symbols *s, struct diff_pieces *pieces)
{
	struct region tables[3] = { s->new_names, s->new_sequences };
	uint64_t middle = 0;
	struct diff_pieces kept = { 0 };
	int error = 0;

	if (s->run_count == 0)
		return 0;
	if (s->old_offsets.bytes > 0 && s->new_offsets.bytes > 0) {
		tables[2] = s->new_offsets;
		middle = s->new_offsets.start;
	}
	for (size_t i = 0; i < pieces->count && !error; i++)
		error = add_outside(&kept, tables, 3, &pieces->items[i], 0, middle);
	if (!error && tables[2].bytes > 0)
		error = add_offsets(s, &kept);
	for (size_t i = 0; i < pieces->count && !error; i++)
		error = add_outside(&kept, tables, 3, &pieces->items[i], middle, UINT64_MAX);
	if (error) {
		diff_pieces_free(&kept);
		return error;
	}
	diff_pieces_free(pieces);
	*pieces = kept;
	return 0;
}
