/* SPDX-License-Identifier: MIT
 *
 * Where code without a head runs: at the address for which most pointers in it point at functions.
 *
 * A pointer less a function is a base if both have the same residue. There are millions of such pairs, so they
 * are counted by hash first; only bases that are frequent by that count are listed.
 */
#include "content_bare.h"

#include <stdlib.h>

#define FUNCTIONS_MAX   1024u
#define POINTERS_MAX    32768u
#define PAGE_BYTES      4096u /* bases are multiples of it */
#define HEAD_ALIGN      64u   /* unless a head of this alignment stands before the code */
#define CANDIDATES      512u
#define BASE_PROOFS_MIN 8u
#define COUNTER_BITS    19u
#define COUNTERS        (1u << COUNTER_BITS)
#define COUNT_TOP       UINT16_MAX
#define LISTED_MAX      65536u

struct search {
	const struct bare *bare;
	uint8_t *starts;     /* bit per step of the file: a function may start there */
	uint64_t *functions; /* places of some, by residue */
	size_t function_count;
	uint64_t *pointers; /* values, sorted, each once */
	size_t pointer_count;
	uint64_t align;
	uint16_t *counters; /* pairs by hash of their base */
	uint64_t *bases;    /* of pairs, those that are frequent */
	size_t base_count;
	unsigned least; /* by its counter, to be listed */
};

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int compare_residues(const void *a, const void *b, void *context)
{
	uint64_t mask = *(const uint64_t *)context - 1;
	uint64_t x = *(const uint64_t *)a & mask, y = *(const uint64_t *)b & mask;

	return x != y ? (x < y ? -1 : 1) : compare_numbers(a, b);
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
		values[i] = values[(size_t)((uint64_t)i * count / limit)];
	return limit;
}

/* ---- functions and pointers ------------------------------------------------------------------- */

static bool starts_at(const struct search *s, uint64_t at)
{
	unsigned step = s->bare->set->step;

	return at % step == 0 && (s->starts[at / step / 8] >> (at / step % 8) & 1);
}

static int functions_collect(struct search *s)
{
	const struct content_set *set = s->bare->set;
	size_t count = 0, all = 0;

	s->starts = calloc((size_t)(s->bare->bytes / set->step / 8) + 1, 1);
	if (!s->starts)
		return DFOTA_E_MEMORY;
	for (uint64_t at = 0; dfota_inside(at, set->bytes, s->bare->bytes); at += set->step) {
		if (!bare_block_is_code(s->bare, (size_t)(at / BLOCK_BYTES))) {
			at += BLOCK_BYTES - set->step; /* blocks are multiples of steps */
			continue;
		}
		if (set->starts(s->bare->file + at)) {
			s->starts[at / set->step / 8] |= (uint8_t)(1u << (at / set->step % 8));
			all++;
		}
	}
	s->functions = calloc(all + 1, sizeof(*s->functions));
	if (!s->functions)
		return DFOTA_E_MEMORY;
	for (uint64_t at = 0; count < all; at += set->step)
		if (starts_at(s, at))
			s->functions[count++] = at;
	s->function_count = thin_out(s->functions, count, FUNCTIONS_MAX);
	return 0;
}

/* Words outside of code that may be addresses: not small, not text. Bit 0 of a Thumb address is not part of it. */
static uint64_t pointer_read(const struct bare *bare, uint64_t at)
{
	uint64_t value;

	if (bare->data_kind == REGION_DATA64)
		return dfota_get64(bare->file + at);
	value = dfota_get32(bare->file + at);
	return bare->set->kind == REGION_T32 ? value & ~UINT64_C(1) : value;
}

static int pointers_collect(struct search *s)
{
	const struct bare *bare = s->bare;
	unsigned width = bare->data_kind == REGION_DATA64 ? 8 : 4;
	size_t count = 0;

	s->pointers = calloc((size_t)(bare->bytes / width) + 1, sizeof(*s->pointers));
	if (!s->pointers)
		return DFOTA_E_MEMORY;
	for (uint64_t at = 0; at + width <= bare->bytes; at += width) {
		uint64_t value = pointer_read(bare, at);

		if (value >= PAGE_BYTES && value < UINT64_MAX - UINT32_MAX)
			s->pointers[count++] = value;
	}
	count = settle(s->pointers, count);
	s->pointer_count = thin_out(s->pointers, count, POINTERS_MAX);
	return 0;
}

/* ---- bases ------------------------------------------------------------------------------------ */

static uint16_t *counter_of(const struct search *s, uint64_t base)
{
	return &s->counters[base / s->align * UINT64_C(0x9e3779b97f4a7c15) >> (64 - COUNTER_BITS)];
}

static void count_base(struct search *s, uint64_t base)
{
	uint16_t *counter = counter_of(s, base);

	if (*counter < COUNT_TOP)
		++*counter;
}

static void list_base(struct search *s, uint64_t base)
{
	if (*counter_of(s, base) >= s->least && s->base_count < LISTED_MAX)
		s->bases[s->base_count++] = base;
}

/* First function whose residue is not below `residue`. */
static size_t first_function(const struct search *s, uint64_t residue)
{
	size_t low = 0, high = s->function_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((s->functions[middle] & (s->align - 1)) < residue)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Multiples of s->align, a power of two, under which a pointer is a function: each pair is visited. */
static void visit_pairs(struct search *s, void (*visit)(struct search *s, uint64_t base))
{
	uint64_t mask = s->align - 1;

	for (size_t i = 0; i < s->pointer_count; i++) {
		uint64_t pointer = s->pointers[i], residue = pointer & mask;

		for (size_t j = first_function(s, residue); j < s->function_count; j++) {
			if ((s->functions[j] & mask) != residue || s->functions[j] > pointer)
				break;
			visit(s, pointer - s->functions[j]);
		}
	}
}

/* The least count at which no more pairs are listed than there is room for: above all counts, and none is listed, where
 * very many bases are the most frequent one. */
static unsigned least_count(const struct search *s)
{
	uint32_t *slots = calloc(COUNT_TOP + 1u, sizeof(*slots)); /* by their count */
	uint64_t pairs = 0;
	unsigned least = COUNT_TOP;

	if (!slots)
		return 0;
	for (size_t i = 0; i < COUNTERS; i++)
		slots[s->counters[i]]++;
	while (least > 1 && pairs + (uint64_t)(least - 1) * slots[least - 1] <= LISTED_MAX) {
		least--;
		pairs += (uint64_t)least * slots[least];
	}
	free(slots);
	return least;
}

static int bases_collect(struct search *s)
{
	qsort_r(s->functions, s->function_count, sizeof(*s->functions), compare_residues, &s->align);
	memset(s->counters, 0, COUNTERS * sizeof(*s->counters));
	visit_pairs(s, count_base);
	s->least = least_count(s);
	if (s->least == 0)
		return DFOTA_E_MEMORY;
	s->base_count = 0;
	visit_pairs(s, list_base);
	return 0;
}

/* How well a base fits: pointers that are then functions, times their share of those that point into the file. */
static uint64_t base_prove(const struct search *s, uint64_t base)
{
	uint64_t inside = 0, proofs = 0;

	for (size_t i = 0; i < s->pointer_count; i++) {
		uint64_t place = s->pointers[i] - base;

		if (s->pointers[i] < base || place >= s->bare->bytes)
			continue;
		inside++;
		proofs += starts_at(s, place);
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
static uint64_t base_choose(const struct search *s)
{
	struct candidate candidates[CANDIDATES] = { 0 };
	uint64_t base = 0, best = 0, second = 0;

	qsort(s->bases, s->base_count, sizeof(*s->bases), compare_numbers);
	for (size_t i = 0, next; i < s->base_count; i = next) {
		for (next = i; next < s->base_count && s->bases[next] == s->bases[i];)
			next++;
		candidate_offer(candidates, s->bases[i], next - i);
	}
	for (size_t i = 0; i < CANDIDATES && candidates[i].pairs > 0; i++) {
		uint64_t proof = base_prove(s, candidates[i].base);

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

/* With pointers of the width that data_kind says. */
static int base_search(struct search *s, uint64_t *ret_base)
{
	static const uint64_t aligns[] = { PAGE_BYTES, HEAD_ALIGN };
	int r;

	free(s->pointers);
	r = pointers_collect(s);
	for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]) && r == 0 && *ret_base == 0; i++) {
		s->align = aligns[i];
		r = bases_collect(s);
		if (r == 0)
			*ret_base = base_choose(s);
	}
	if (s->bare->bytes > bare_addresses_end(s->bare) - *ret_base)
		*ret_base = 0;
	return r;
}

int bare_find_base(struct bare *bare, uint64_t *ret_base)
{
	struct search s = {
		.bare = bare,
		.counters = malloc(COUNTERS * sizeof(*s.counters)),
		.bases = malloc(LISTED_MAX * sizeof(*s.bases)),
	};
	int r = s.counters && s.bases ? functions_collect(&s) : DFOTA_E_MEMORY;

	*ret_base = 0;
	bare->data_kind = bare->set->data_kind;
	if (r == 0)
		r = base_search(&s, ret_base);
	if (r == 0 && *ret_base == 0 && bare->set->narrow_kind != 0) {
		bare->data_kind = bare->set->narrow_kind;
		r = base_search(&s, ret_base);
		if (*ret_base == 0)
			bare->data_kind = bare->set->data_kind;
	}
	free(s.starts);
	free(s.functions);
	free(s.pointers);
	free(s.counters);
	free(s.bases);
	return r;
}
