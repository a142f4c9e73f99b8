/* SPDX-License-Identifier: MIT
 *
 * Kernel symbols of two images, paired by name.
 */
#include "symbols.h"

#include <stdlib.h>

#include "content_symbols.h"

#define TOKENS_REACH (16u << 20) /* behind the names */

/* ---- tokens ------------------------------------------------------------------------------------ */

/* A token's text, compressed with the tokens made before it, is the pair that it was made of. */
static void pairs_find(const uint8_t *texts, struct symbols *scratch, struct symbol_pairs *ret_pairs)
{
	const uint8_t *text_at[SYMBOL_TOKENS];

	memset(scratch, 0, sizeof(*scratch));
	for (unsigned token = 0; token < SYMBOL_TOKENS; token++) {
		text_at[token] = texts;
		texts += strlen((const char *)texts) + 1;
	}
	for (unsigned token = SYMBOL_TOKENS; token-- > 0;) {
		uint8_t text[SYMBOL_TEXT_MAX];
		size_t bytes = strlen((const char *)text_at[token]);
		uint16_t pair;

		if (bytes < 2 || bytes > sizeof(text))
			continue;
		memcpy(text, text_at[token], bytes);
		if (symbols_compress(scratch, text, (uint32_t)bytes) != 2)
			continue;
		pair = (uint16_t)(text[0] << 8 | text[1]);
		scratch->new.of[token] = pair;
		scratch->token_of[pair] = (uint16_t)(token + 1);
	}
	*ret_pairs = scratch->new;
}

/* ---- lists of names ---------------------------------------------------------------------------- */

struct name {
	uint64_t hash;    /* of its text */
	uint32_t at;      /* of its entry, in the image */
	uint32_t partner; /* in the other list, or NONE */
};

#define NONE UINT32_MAX

struct names {
	struct name *items;
	uint32_t count;
};

static uint64_t hash_text(const uint8_t *text, uint32_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (uint32_t i = 0; i < bytes; i++)
		hash = (hash ^ text[i]) * 0x100000001b3u;
	return hash;
}

static uint32_t entry_bytes(const uint8_t *image, uint32_t at, uint32_t end)
{
	uint32_t bytes;

	if (at >= end || end - at < symbols_head_bytes(image[at]))
		return 0;
	bytes = symbols_entry_bytes(image + at);
	return bytes <= end - at ? bytes : 0;
}

/* The texts are told by `symbols->old`. */
static int names_read(struct names *names, const uint8_t *image, const struct region *region,
		      const struct symbols *symbols)
{
	uint32_t end = region->start + region->bytes, at = region->start, bytes;

	names->items = malloc(((size_t)region->bytes / 2 + 1) * sizeof(*names->items));
	if (!names->items)
		return DFOTA_E_MEMORY;
	for (; (bytes = entry_bytes(image, at, end)) > 0; at += bytes) {
		uint32_t head = symbols_head_bytes(image[at]);
		uint8_t text[SYMBOL_TEXT_MAX];
		uint32_t length = symbols_expand(symbols, image + at + head, bytes - head, text);

		if (names->count == region->bytes / 2)
			break;
		names->items[names->count++] =
			(struct name){ hash_text(text, length), at, NONE };
	}
	return 0;
}

/* ---- pairing ----------------------------------------------------------------------------------- */

struct place {
	uint64_t hash;
	uint32_t index;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static struct place *places_make(const struct names *names)
{
	struct place *places = malloc(((size_t)names->count + 1) * sizeof(*places));

	for (uint32_t i = 0; places && i < names->count; i++)
		places[i] = (struct place){ names->items[i].hash, i };
	if (places)
		qsort(places, names->count, sizeof(*places), compare_places);
	return places;
}

static bool is_unique(const struct place *places, uint32_t count, uint32_t i)
{
	return (i == 0 || places[i - 1].hash != places[i].hash) &&
	       (i + 1 == count || places[i + 1].hash != places[i].hash);
}

/* Names that each list has once become partners. */
static int pair_unique(struct names *old, struct names *new)
{
	struct place *a = places_make(old), *b = places_make(new);
	uint32_t i = 0, j = 0;

	while (a && b && i < old->count && j < new->count) {
		if (a[i].hash == b[j].hash && is_unique(a, old->count, i) &&
		    is_unique(b, new->count, j))
			new->items[b[j].index].partner = a[i].index;
		if (a[i].hash <= b[j].hash)
			i++;
		else
			j++;
	}
	free(a);
	free(b);
	return a && b ? 0 : DFOTA_E_MEMORY;
}

/* Keeps a longest list of partners that ascend. `tails[n]`: index of the new name that ends the best list of n + 1. */
static int keep_ascending(struct names *new)
{
	uint32_t *tails = malloc(((size_t)new->count + 1) * sizeof(*tails));
	uint32_t *before = malloc(((size_t)new->count + 1) * sizeof(*before));
	uint32_t length = 0, keep = NONE;

	for (uint32_t j = 0; tails && before && j < new->count; j++) {
		uint32_t low = 0, high = length;

		if (new->items[j].partner == NONE)
			continue;
		while (low < high) {
			uint32_t middle = low + (high - low) / 2;

			if (new->items[tails[middle]].partner < new->items[j].partner)
				low = middle + 1;
			else
				high = middle;
		}
		before[j] = low > 0 ? tails[low - 1] : NONE;
		tails[low] = j;
		if (low == length)
			length++;
	}
	if (tails && before && length > 0)
		keep = tails[length - 1];
	for (uint32_t j = new->count; before && j-- > 0;) {
		if (new->items[j].partner == NONE)
			continue;
		if (j == keep)
			keep = before[j];
		else
			new->items[j].partner = NONE;
	}
	free(tails);
	free(before);
	return tails && before ? 0 : DFOTA_E_MEMORY;
}

/* Between two partners, equal names in order behind the first and before the second are partners too. */
static void fill_gap(const struct names *old, struct names *new, uint32_t i, uint32_t j,
		     uint32_t old_end, uint32_t new_end)
{
	while (i < old_end && j < new_end && old->items[i].hash == new->items[j].hash)
		new->items[j++].partner = i++;
	while (i < old_end && j < new_end &&
	       old->items[old_end - 1].hash == new->items[new_end - 1].hash)
		new->items[--new_end].partner = --old_end;
}

static void fill_gaps(const struct names *old, struct names *new)
{
	uint32_t i = 0, j = 0;

	for (uint32_t next = 0; next <= new->count; next++) {
		uint32_t old_end = next < new->count ? new->items[next].partner : old->count;

		if (old_end == NONE)
			continue;
		fill_gap(old, new, i, j, old_end, next);
		i = old_end + 1;
		j = next + 1;
	}
}

/* ---- runs -------------------------------------------------------------------------------------- */

static bool translates(const struct symbols *symbols, const struct diff_images *images,
		       const struct name *old, const struct name *new)
{
	const uint8_t *from = images->old_image + old->at, *to = images->new_image + new->at;
	uint32_t head = symbols_head_bytes(*from), bytes;
	uint8_t entry[SYMBOL_ENTRY_MAX];

	bytes = symbols_translate(symbols, from + head, symbols_entry_bytes(from) - head, entry);
	return bytes == symbols_entry_bytes(to) && memcmp(entry, to, bytes) == 0;
}

static int runs_make(struct diff_symbols *s, const struct names *old, const struct names *new)
{
	struct map_types *last = NULL;

	s->runs = malloc(((size_t)new->count + 1) * sizeof(*s->runs));
	if (!s->runs)
		return DFOTA_E_MEMORY;
	for (uint32_t j = 0; j < new->count; j++) {
		uint32_t i = new->items[j].partner;

		if (i == NONE || !translates(s->tokens, s->images, &old->items[i], &new->items[j]))
			continue;
		if (last && last->shift == (int32_t)(j - i) && last->old + last->count == i) {
			last->count++;
		} else {
			last = &s->runs[s->run_count++];
			*last = (struct map_types){ i, 1, (int32_t)(j - i) };
		}
	}
	return 0;
}

/* ---- both tables ------------------------------------------------------------------------------- */

static void find(const struct regions *regions, unsigned kind, struct region *ret_region)
{
	for (uint32_t i = 0; i < regions->count; i++)
		if (regions->items[i].kind == kind) {
			*ret_region = regions->items[i];
			return;
		}
}

static bool tokens_read(const uint8_t *image, uint64_t bytes, const struct region *names,
			struct symbols *scratch, struct symbol_pairs *ret_pairs)
{
	struct content_symbols found = { 0 };

	if (names->bytes == 0 ||
	    !content_symbols_tokens(image, bytes, names->start + (uint64_t)names->bytes,
				    TOKENS_REACH, &found))
		return false;
	pairs_find(image + found.tokens_at, scratch, ret_pairs);
	return true;
}

/* A set of tokens expands only as `old`, so the new names are read before the old ones. */
static int lists_read(struct diff_symbols *s, const struct symbol_pairs *old_pairs,
		      const struct symbol_pairs *new_pairs, struct names *old, struct names *new)
{
	int error;

	s->tokens->old = s->tokens->new = *new_pairs;
	error = symbols_ready(s->tokens);
	if (!error)
		error = names_read(new, s->images->new_image, &s->new_names, s->tokens);
	s->tokens->old = *old_pairs;
	if (!error)
		error = symbols_ready(s->tokens);
	if (!error)
		error = names_read(old, s->images->old_image, &s->old_names, s->tokens);
	return error;
}

static int pair_all(struct diff_symbols *s, const struct symbol_pairs *old_pairs,
		    const struct symbol_pairs *new_pairs)
{
	struct names old = { 0 }, new = { 0 };
	int error = lists_read(s, old_pairs, new_pairs, &old, &new);

	if (!error)
		error = pair_unique(&old, &new);
	if (!error)
		error = keep_ascending(&new);
	if (!error) {
		fill_gaps(&old, &new);
		error = runs_make(s, &old, &new);
	}
	free(old.items);
	free(new.items);
	return error;
}

int diff_symbols_make(struct diff_symbols *s, const struct diff_images *images,
		      const struct regions *old_regions, const struct regions *new_regions)
{
	struct symbol_pairs old_pairs, new_pairs;
	int error = 0;

	*s = (struct diff_symbols){ .images = images, .tokens = calloc(1, sizeof(*s->tokens)) };
	if (!s->tokens)
		return DFOTA_E_MEMORY;
	find(old_regions, REGION_NAMES, &s->old_names);
	find(new_regions, REGION_NAMES, &s->new_names);
	find(old_regions, REGION_SEQUENCES, &s->old_sequences);
	find(new_regions, REGION_SEQUENCES, &s->new_sequences);
	find(old_regions, REGION_OFFSETS, &s->old_offsets);
	find(new_regions, REGION_OFFSETS, &s->new_offsets);
	if (tokens_read(images->old_image, images->old_bytes, &s->old_names, s->tokens,
			&old_pairs) &&
	    tokens_read(images->new_image, images->new_bytes, &s->new_names, s->tokens, &new_pairs))
		error = pair_all(s, &old_pairs, &new_pairs);
	if (error == DFOTA_E_CORRUPT) /* tables that no kernel makes: none */
		error = 0;
	if (s->run_count == 0)
		memset(s->tokens, 0, sizeof(*s->tokens));
	s->map.symbols = s->runs;
	s->map.symbol_run_count = s->run_count;
	if (error)
		diff_symbols_free(s);
	return error;
}

void diff_symbols_free(struct diff_symbols *s)
{
	free(s->tokens);
	free(s->runs);
	*s = (struct diff_symbols){ 0 };
}
