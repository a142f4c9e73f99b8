/* SPDX-License-Identifier: MIT
 *
 * Code that stands in an image as it runs, without a head: boot loaders, monitors, kernels that
 * were unpacked.
 *
 * Blocks with calls of functions are code. The address at which it runs is the one for which most
 * pointers in it point at functions.
 */
#include "content_open.h"

#include <stdlib.h>

#define BLOCK_BYTES	4096u
#define BLOCK_CALLS_MIN 4u  /* in a block and its neighbours, to call it code */
#define REACH		2u  /* neighbours on either side */
#define CALLS_MIN	16u /* in the whole file */
#define FUNCTIONS_MAX	1024u
#define POINTERS_MAX	32768u
#define PAGE_BYTES	4096u /* bases are multiples of it */
#define HEAD_ALIGN	64u   /* unless a head of this alignment stands before the code */
#define CANDIDATES	512u
#define BASE_PROOFS_MIN 8u

struct bare {
	const uint8_t *file;
	uint64_t bytes;
	const struct content_set *set;
	uint8_t data_kind;
	size_t block_count;
	uint32_t *calls;     /* per block */
	uint64_t *functions; /* places that are called: a sample, sorted, each once */
	size_t function_count;
	uint64_t *pointers; /* values, sorted, each once */
	size_t pointer_count;
};

static uint64_t count_calls(const struct bare *bare, const struct content_set *set, uint32_t *calls)
{
	uint64_t count = 0, start;

	memset(calls, 0, bare->block_count * sizeof(*calls));
	for (uint64_t at = 0; at + set->bytes <= bare->bytes; at += set->step)
		if (set->call(bare->file, at, bare->bytes, &start)) {
			calls[at / BLOCK_BYTES]++;
			count++;
		}
	return count;
}

/* The set with the most calls; false when that is none. `other` is room for a second count. */
static bool set_choose(struct bare *bare, uint32_t *other)
{
	uint64_t best = CALLS_MIN - 1;

	for (size_t i = 0; i < CONTENT_SETS; i++) {
		const struct content_set *set = &content_sets[i];
		uint64_t count;

		if (bare->bytes < set->bytes)
			continue;
		count = count_calls(bare, set, other);
		if (count > best) {
			best = count;
			bare->set = set;
			memcpy(bare->calls, other, bare->block_count * sizeof(*other));
		}
	}
	return bare->set != NULL;
}

static bool block_is_code(const struct bare *bare, size_t block)
{
	size_t first = block < REACH ? 0 : block - REACH, calls = 0;

	for (size_t i = first; i < bare->block_count && i <= block + REACH; i++)
		calls += bare->calls[i];
	return calls >= BLOCK_CALLS_MIN;
}

/* ---- load address ---------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts, drops repetitions, returns how many are left. */
static size_t settle(uint64_t *values, size_t count)
{
	size_t kept = 0;

	qsort(values, count, sizeof(*values), compare_numbers);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || values[i] != values[kept - 1])
			values[kept++] = values[i];
	return kept;
}

/* Keeps at most `limit` values, evenly spread. */
static size_t thin_out(uint64_t *values, size_t count, size_t limit)
{
	if (count <= limit)
		return count;
	for (size_t i = 0; i < limit; i++)
		values[i] = values[i * count / limit];
	return limit;
}

static bool starts_at(const struct bare *bare, uint64_t at)
{
	return at % bare->set->step == 0 && dfota_inside(at, bare->set->bytes, bare->bytes) &&
	       block_is_code(bare, (size_t)(at / BLOCK_BYTES)) &&
	       bare->set->starts(bare->file + at);
}

static int functions_collect(struct bare *bare)
{
	size_t count = 0;

	bare->functions = calloc(bare->bytes / bare->set->step + 1, sizeof(*bare->functions));
	if (!bare->functions)
		return DFOTA_E_MEMORY;
	for (uint64_t at = 0; at < bare->bytes; at += bare->set->step)
		if (starts_at(bare, at))
			bare->functions[count++] = at;
	bare->function_count = thin_out(bare->functions, count, FUNCTIONS_MAX);
	return 0;
}

/* Words outside of code that may be addresses: not small, not text. Bit 0 of a Thumb address is not
 * part of it. */
static uint64_t pointer_read(const struct bare *bare, uint64_t at)
{
	uint64_t value;

	if (bare->data_kind == REGION_DATA64)
		return dfota_get64(bare->file + at);
	value = dfota_get32(bare->file + at);
	return bare->set->kind == REGION_T32 ? value & ~UINT64_C(1) : value;
}

static int pointers_collect(struct bare *bare)
{
	unsigned width = bare->data_kind == REGION_DATA64 ? 8 : 4;
	size_t count = 0;

	bare->pointers = calloc(bare->bytes / width + 1, sizeof(*bare->pointers));
	if (!bare->pointers)
		return DFOTA_E_MEMORY;
	for (uint64_t at = 0; at + width <= bare->bytes; at += width) {
		uint64_t value = pointer_read(bare, at);

		if (value >= PAGE_BYTES && value < UINT64_MAX - UINT32_MAX)
			bare->pointers[count++] = value;
	}
	count = settle(bare->pointers, count);
	bare->pointer_count = thin_out(bare->pointers, count, POINTERS_MAX);
	return 0;
}

/* Multiples of `align`, a power of two, under which a pointer is a function, one for each pair; NULL when there is
 * no memory. */
static uint64_t *bases_collect(const struct bare *bare, uint64_t align, size_t *ret_count)
{
	size_t count = 0, room = 4096;
	uint64_t *bases = malloc(room * sizeof(*bases));

	for (size_t i = 0; i < bare->pointer_count && bases; i++)
		for (size_t j = 0; j < bare->function_count; j++) {
			uint64_t base = bare->pointers[i] - bare->functions[j];
			uint64_t *grown;

			if ((base & (align - 1)) != 0 || bare->pointers[i] < bare->functions[j])
				continue;
			if (count == room) {
				room *= 2;
				grown = reallocarray(bases, room, sizeof(*bases));
				if (!grown) {
					free(bases);
					return NULL;
				}
				bases = grown;
			}
			bases[count++] = base;
		}
	*ret_count = count;
	return bases;
}

/* How well a base fits: pointers that are then functions, times their share of those that point
 * into the file. */
static uint64_t base_prove(const struct bare *bare, uint64_t base)
{
	uint64_t inside = 0, proofs = 0;

	for (size_t i = 0; i < bare->pointer_count; i++) {
		uint64_t place = bare->pointers[i] - base;

		if (bare->pointers[i] < base || place >= bare->bytes)
			continue;
		inside++;
		proofs += starts_at(bare, place);
	}
	return proofs < BASE_PROOFS_MIN ? 0 : proofs * proofs * 1024 / inside;
}

struct candidate {
	uint64_t base;
	size_t pairs;
};

static void candidate_offer(struct candidate *best, uint64_t base, size_t pairs)
{
	size_t at = CANDIDATES;

	while (at > 0 && best[at - 1].pairs < pairs)
		at--;
	if (at == CANDIDATES)
		return;
	memmove(best + at + 1, best + at, (CANDIDATES - 1 - at) * sizeof(*best));
	best[at] = (struct candidate){ base, pairs };
}

/* The base that pointers prove, if they prove it far better than any other; else 0. */
static uint64_t base_choose(const struct bare *bare, uint64_t *bases, size_t count)
{
	struct candidate candidates[CANDIDATES] = { 0 };
	uint64_t base = 0, best = 0, second = 0;

	qsort(bases, count, sizeof(*bases), compare_numbers);
	for (size_t i = 0, next; i < count; i = next) {
		for (next = i; next < count && bases[next] == bases[i];)
			next++;
		candidate_offer(candidates, bases[i], next - i);
	}
	for (size_t i = 0; i < CANDIDATES && candidates[i].pairs > 0; i++) {
		uint64_t proof = base_prove(bare, candidates[i].base);

		if (proof > best) {
			second = best;
			best = proof;
			base = candidates[i].base;
		} else if (proof > second) {
			second = proof;
		}
	}
	return best > 2 * second ? base : 0;
}

static uint64_t addresses_end(const struct bare *bare)
{
	return bare->data_kind == REGION_DATA64 ? UINT64_MAX : UINT32_MAX;
}

/* With pointers of the width that data_kind says. */
static int base_search(struct bare *bare, uint64_t *ret_base)
{
	static const uint64_t aligns[] = { PAGE_BYTES, HEAD_ALIGN };
	int r = pointers_collect(bare);

	for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]) && r == 0 && *ret_base == 0;
	     i++) {
		size_t count;
		uint64_t *bases = bases_collect(bare, aligns[i], &count);

		if (!bases)
			return DFOTA_E_MEMORY;
		*ret_base = base_choose(bare, bases, count);
		free(bases);
	}
	free(bare->pointers);
	bare->pointers = NULL;
	if (bare->bytes > addresses_end(bare) - *ret_base)
		*ret_base = 0;
	return r;
}

static int base_find(struct bare *bare, uint64_t *ret_base)
{
	int r = functions_collect(bare);

	bare->data_kind = bare->set->data_kind;
	if (r == 0)
		r = base_search(bare, ret_base);
	if (r != 0 || *ret_base != 0 || bare->set->narrow_kind == 0)
		return r;
	bare->data_kind = bare->set->narrow_kind;
	r = base_search(bare, ret_base);
	if (*ret_base == 0)
		bare->data_kind = bare->set->data_kind;
	return r;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int parts_make(const struct bare *bare, uint64_t base, struct content_parts *parts)
{
	for (size_t block = 0, end; block < bare->block_count; block = end) {
		bool code = block_is_code(bare, block);
		struct content_part part = {
			.at = (uint64_t)block * BLOCK_BYTES,
			.kind = code ? bare->set->kind : bare->data_kind,
		};
		int r;

		for (end = block; end < bare->block_count && block_is_code(bare, end) == code;)
			end++;
		part.bytes = dfota_min64((uint64_t)end * BLOCK_BYTES, bare->bytes) - part.at;
		part.mem_bytes = part.bytes;
		part.va = base + part.at;
		/* zero-filled memory follows, nobody says how much: as much again, if there are
		 * addresses for it */
		if (end == bare->block_count && bare->bytes <= (parts->guess_limit - base) / 2)
			part.mem_bytes += bare->bytes;
		r = content_parts_add(parts, &part);
		if (r < 0)
			return r;
	}
	return 0;
}

int content_parse_bare(const uint8_t *file, uint64_t bytes, struct content_parts *parts)
{
	struct bare bare = { .file = file,
			     .bytes = bytes,
			     .block_count = (size_t)dfota_ceil_div64(bytes, BLOCK_BYTES) };
	uint32_t *other = calloc(bare.block_count + 1, sizeof(*other));
	uint64_t base = 0;
	int r = 0;

	bare.calls = calloc(bare.block_count + 1, sizeof(*bare.calls));
	if (!other || !bare.calls)
		r = DFOTA_E_MEMORY;
	if (r == 0 && set_choose(&bare, other)) {
		r = base_find(&bare, &base);
		parts->guess_limit = addresses_end(&bare);
		if (r == 0)
			r = parts_make(&bare, base, parts);
	}
	free(bare.pointers);
	free(bare.functions);
	free(bare.calls);
	free(other);
	return r;
}
