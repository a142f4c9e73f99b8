/* SPDX-License-Identifier: MIT
 *
 * Finds kallsyms. Markers (where every 256th name starts) are what stands out in a kernel; names end before them, the
 * number of names stands before the first. The other tables lie around them, in one of two orders:
 *
 *   offsets, base, number, names, markers, [sequences,] token texts, token index                 until 6.4
 *   number, names, markers, token texts, token index, offsets, base, [sequences]                 from then on
 */
#include "content_symbols.h"

#include <stdlib.h>

#include "content_open.h"

#define GROUP          256u /* names for each marker */
#define MARKERS_MIN    16u
#define COUNT_MAX      (1u << 22) /* what a segment can name */
#define NAME_BYTES_MAX 140u /* as far as a whole group is concerned, on average */
#define ALIGN          8u
#define INDEX_BYTES    (2 * SYMBOL_TOKENS)
#define TOKEN_TEXT_MAX 64u
#define TOKENS_REACH   (16u << 10) /* texts and index behind the tables before them */

/* Number of markers at `at`, or 0. */
static uint32_t markers_at(const uint8_t *file, uint64_t bytes, uint64_t at)
{
	uint32_t count = 1, last = 0;

	if (dfota_get32(file + at) != 0)
		return 0;
	for (uint64_t next = at + 4; next + 4 <= bytes; next += 4) {
		uint32_t marker = dfota_get32(file + next);

		if (marker - last < 2 * GROUP || marker - last > NAME_BYTES_MAX * GROUP)
			break;
		last = marker;
		count++;
	}
	return count >= MARKERS_MIN ? count : 0;
}

/* End of `count` names that start at `at`; 0 when the markers say something else or they run into them. */
static uint64_t names_end(const uint8_t *file, uint64_t at, uint32_t count, uint64_t markers)
{
	uint64_t from = at;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t bytes;

		if (markers - at < SYMBOL_HEAD_MAX)
			return 0;
		if (i % GROUP == 0 && at - from != dfota_get32(file + markers + 4 * (i / GROUP)))
			return 0;
		bytes = symbols_entry_bytes(file + at);
		if (bytes > SYMBOL_ENTRY_MAX || bytes > markers - at)
			return 0;
		at += bytes;
	}
	return at;
}

/* The number of names stands one word of the machine before them. */
static bool names_find(const uint8_t *file, uint64_t markers, uint32_t marker_count,
		       struct content_symbols *s)
{
	uint32_t last = dfota_get32(file + markers + 4 * (uint64_t)(marker_count - 1));
	uint64_t high, low;

	if (last > markers)
		return false;
	high = markers - last;
	low = high > NAME_BYTES_MAX * GROUP ? high - NAME_BYTES_MAX * GROUP : 0;
	for (uint64_t at = high / 4 * 4; at >= low + 8; at -= 4) {
		for (uint64_t word = 4; word <= 8; word += 4) {
			uint32_t count = dfota_get32(file + at - word);
			uint64_t end;

			if (count == 0 || count > COUNT_MAX || (count - 1) / GROUP + 1 != marker_count)
				continue;
			end = names_end(file, at, count, markers);
			if (end == 0 || markers - end >= ALIGN)
				continue;
			s->names_at = at;
			s->names_bytes = end - at;
			s->word = (uint32_t)word;
			s->count = count;
			return true;
		}
	}
	return false;
}

/* ---- tokens ------------------------------------------------------------------------------------ */

/* The index behind the texts of all tokens tells where each starts. */
static bool index_fits(const uint8_t *file, uint64_t texts, uint64_t index)
{
	uint64_t at = texts;

	for (unsigned token = 0; token < SYMBOL_TOKENS; token++) {
		const uint8_t *end;

		if (dfota_get16(file + index + 2 * token) != at - texts || at >= index)
			return false;
		end = memchr(file + at, 0, (size_t)(index - at));
		if (!end || (uint64_t)(end - file) - at > TOKEN_TEXT_MAX)
			return false;
		at = (uint64_t)(end - file) + 1;
	}
	return index - at < ALIGN;
}

bool content_symbols_tokens(const uint8_t *file, uint64_t bytes, uint64_t from, uint64_t reach,
			    struct content_symbols *s)
{
	uint64_t limit = dfota_min64(bytes, from + reach);

	for (uint64_t index = (from + 3) / 4 * 4; index + INDEX_BYTES <= limit; index += 4) {
		uint32_t last = dfota_get16(file + index + INDEX_BYTES - 2);

		if (dfota_get16(file + index) != 0 || dfota_get16(file + index + 2) == 0 ||
		    last < SYMBOL_TOKENS - 1)
			continue;
		for (uint64_t slack = 1; slack <= TOKEN_TEXT_MAX + ALIGN; slack++) {
			if (index < from + last + slack)
				break;
			if (!index_fits(file, index - last - slack, index))
				continue;
			s->tokens_at = index - last - slack;
			s->tokens_end = index + INDEX_BYTES;
			return true;
		}
	}
	return false;
}

/* ---- sequences and offsets --------------------------------------------------------------------- */

/* All numbers below `count`, once each? */
static bool sequences_fit(const uint8_t *file, uint64_t bytes, uint64_t at, uint32_t count)
{
	uint8_t *seen;
	uint32_t i = 0;

	if (!dfota_inside(at, SYMBOL_NUMBER_BYTES * (uint64_t)count, bytes))
		return false;
	seen = calloc(count, 1);
	for (; seen && i < count; i++) {
		uint32_t value = symbols_number(file + at + SYMBOL_NUMBER_BYTES * (uint64_t)i);

		if (value >= count || seen[value])
			break;
		seen[value] = 1;
	}
	free(seen);
	return i == count;
}

/* Symbols are in the order of their addresses, most of them: per-processor ones are not. */
static bool offsets_fit(const uint8_t *file, uint64_t bytes, uint64_t at, uint32_t count)
{
	uint32_t up = 0, down = 0;

	if (!dfota_inside(at, 4 * (uint64_t)count, bytes))
		return false;
	for (uint32_t i = 1; i < count; i++) {
		uint32_t before = dfota_get32(file + at + 4 * (uint64_t)i - 4);
		uint32_t here = dfota_get32(file + at + 4 * (uint64_t)i);

		up += here > before;
		down += here < before;
	}
	return up > count / 2 ? down < count / 16 : down > count / 2 && up < count / 16;
}

/* Tables start at multiples of the machine's word. */
static uint64_t aligned(uint64_t at, const struct content_symbols *s)
{
	return (at + s->word - 1) / s->word * s->word;
}

static void others_find(const uint8_t *file, uint64_t bytes, uint64_t markers_end,
			struct content_symbols *s)
{
	uint64_t room = aligned(4 * (uint64_t)s->count, s), before = 2 * s->word + room;
	uint64_t behind = aligned(s->tokens_end, s), sequences = aligned(markers_end, s);

	if (s->names_at >= before && offsets_fit(file, bytes, s->names_at - before, s->count)) {
		s->offsets_at = s->names_at - before;
	} else if (offsets_fit(file, bytes, behind, s->count)) {
		s->offsets_at = behind;
		sequences = behind + room + s->word;
	}
	if (sequences_fit(file, bytes, sequences, s->count))
		s->sequences_at = sequences;
}

bool content_symbols_find(const uint8_t *file, uint64_t bytes, struct content_symbols *ret_symbols)
{
	for (uint64_t at = 0; at + 4 * MARKERS_MIN <= bytes; at += 4) {
		uint32_t count = markers_at(file, bytes, at);
		uint64_t end = at + 4 * (uint64_t)count;
		struct content_symbols s = { 0 };

		if (count == 0)
			continue;
		if (names_find(file, at, count, &s) &&
		    content_symbols_tokens(file, bytes, end, SYMBOL_NUMBER_BYTES * (uint64_t)s.count + TOKENS_REACH,
					   &s)) {
			others_find(file, bytes, end, &s);
			*ret_symbols = s;
			return true;
		}
	}
	return false;
}

/* ---- parts ------------------------------------------------------------------------------------- */

/* One part in the middle of another one, which must hold all of it. */
static int cut(struct content_parts *parts, uint64_t at, uint64_t bytes, uint8_t kind)
{
	struct content_part middle = { at, bytes, 0, bytes, kind };

	for (size_t i = 0; i < parts->count; i++) {
		const struct content_part *part = &parts->items[i];
		int r;

		if (at < part->at || !dfota_inside(at - part->at, bytes, part->bytes))
			continue;
		middle.va = part->va + (at - part->at);
		r = content_parts_cut(parts, at, at + bytes);
		return r ? r : content_parts_add(parts, &middle);
	}
	return 0;
}

int content_cut_symbols(const uint8_t *file, uint64_t bytes, struct content_parts *parts)
{
	struct content_symbols s;
	int r = 0;

	if (!content_symbols_find(file, bytes, &s))
		return 0;
	r = cut(parts, s.names_at, s.names_bytes, REGION_NAMES);
	if (r == 0 && s.sequences_at)
		r = cut(parts, s.sequences_at, SYMBOL_NUMBER_BYTES * (uint64_t)s.count, REGION_SEQUENCES);
	if (r == 0 && s.offsets_at)
		r = cut(parts, s.offsets_at, 4 * (uint64_t)s.count, REGION_OFFSETS);
	content_parts_sort(parts);
	return r;
}
