/* SPDX-License-Identifier: MIT
 *
 * From letters to images, steps, stash copies and a signed package.
 */
#include "shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dfota/codec.h"
#include "dfota/updater.h"
#include "sim_flash.h"

#define LITERAL	     (-1)
#define SEGMENTS_MAX 64u
#define STASH_BLOCKS 64u

const struct shape shapes[] = {
	{ "direct", "D", 512, 1, { { "system", "bcdef*", 6, 0, 0, ORDER_UP } } },
	{ "redo", "DRU", 512, 1, { { "system", "~^=~*", 5, 0, 7, ORDER_DOWN } } },
	{ "swap", "DS", 512, 1, { { "modem", "badc", 4, 0, 0, ORDER_UP } } },
	{ "rotate", "DS", 1024, 1, { { "modem", "gabcdef", 7, 0, 0, ORDER_UP } } },
	{ "shift", "RS", 512, 1, { { "system", "*<<<<<", 5, 0, 0, ORDER_UP } } },
	{ "grow", "DRS", 1024, 1, { { "boot", "^cb*aa*", 3, 100, 1, ORDER_UP } } },
	{ "shrink", "DT", 512, 2, { { "boot", "hgf", 8, 3, 200, ORDER_UP } } },
	{ "runs", "DRU", 512, 2, { { "system", "====*===^=======", 16, 0, 0, ORDER_UP } } },
	{ "units", "DRSU", 512, 4, { { "system", "^=~^bcda====dcba*~<>", 20, 9, 9, ORDER_UP } } },
	{ "ahead", "RC", 512, 4, { { "system", ">>>^>>=>>>>", 12, 30, 11, ORDER_UP } } },
	{ "behind", "RC", 512, 8, { { "system", "<<^<<~<<<<<<<*", 13, 0, 70, ORDER_DOWN } } },
	{ "wide", "DRS", 2048, 8, { { "system", "ijklmnopabcdefg~", 16, 0, 0, ORDER_UP } }, SPOIL_NOTHING, 16384 },
	{ "single", "R", 512, 1, { { "tz", "^", 1, 0, 0, ORDER_UP } } },
	{ "born",
	  "D",
	  512,
	  1,
	  { { "modem", "**", 0, 0, 5, ORDER_UP }, { "tz", "^", 1, 0, 0, ORDER_UP } } },
	{ "emptied",
	  "T",
	  512,
	  1,
	  { { "modem", "", 2, 17, 0, ORDER_UP }, { "system", "", 0, 0, 0, ORDER_UP } } },
	{ "several",
	  "DRSUT",
	  512,
	  2,
	  { { "system", "^~fedc", 6, 0, 0, ORDER_DOWN },
	    { "modem", "====ba", 9, 50, 0, ORDER_UP },
	    { "sbl", "~", 1, 10, 20, ORDER_UP } } },
};
const uint32_t shape_count = sizeof(shapes) / sizeof(shapes[0]);

void must_fail(const char *file, int line, const char *text)
{
	(void)fprintf(stderr, "%s:%d: %s does not hold\n", file, line, text);
	abort();
}

/* ---- images --------------------------------------------------------------------------------- */

struct draft {
	struct dfota_delta_image image;
	const uint8_t *old_image, *new_image;
	int64_t *map; /* for each new byte its old byte, or LITERAL */
	uint32_t order[SEGMENTS_MAX], written;
	uint64_t changed[SEGMENTS_MAX];	   /* by segment */
	uint32_t stash_busy[STASH_BLOCKS]; /* by block: last reader + 1 */
	uint64_t random;
};

static void *alloc(size_t bytes)
{
	void *memory = calloc(1, bytes ? bytes : 1);

	MUST(memory);
	return memory;
}

static void noise(uint64_t *random, uint8_t *bytes, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)sim_random(random);
}

static int64_t source_of(char letter, uint64_t at, uint64_t within, uint32_t unit_bytes)
{
	switch (letter) {
	case '=':
		return (int64_t)at;
	case '*':
		return LITERAL;
	case '~':
		return within + 100 < unit_bytes ? (int64_t)at + 100 : LITERAL;
	case '^':
		return within / 16 == unit_bytes / 32 ? LITERAL : (int64_t)at;
	case '<':
		return (int64_t)at - unit_bytes / 2;
	case '>':
		return (int64_t)at + unit_bytes / 2;
	}
	MUST(letter >= 'a' && letter <= 'z');
	return (int64_t)((uint64_t)(letter - 'a') * unit_bytes + within);
}

static void map_unit(struct draft *draft, char letter, uint64_t offset, uint64_t bytes,
		     uint64_t old_bytes)
{
	uint32_t unit_bytes = draft->image.header.unit_bytes;
	uint64_t left = 0;
	int64_t from = LITERAL;

	for (uint64_t i = 0; i < bytes; i++) {
		if (letter != '?') {
			from = source_of(letter, offset + i, i, unit_bytes);
		} else if (left == 0) {
			left = 24 + sim_random(&draft->random) % unit_bytes;
			from = LITERAL;
			if (old_bytes && sim_random(&draft->random) % 4)
				from = (int64_t)(sim_random(&draft->random) % old_bytes);
		} else if (from != LITERAL) {
			from++;
		}
		left -= left > 0;
		draft->map[offset + i] = from >= 0 && (uint64_t)from < old_bytes ? from : LITERAL;
	}
}

static void map_make(struct draft *draft, const char *moves, uint64_t old_bytes, uint64_t new_bytes)
{
	uint32_t unit_bytes = draft->image.header.unit_bytes;

	draft->map = alloc(new_bytes * sizeof(*draft->map));
	for (uint64_t at = 0; at < new_bytes; at += unit_bytes)
		map_unit(draft, moves[at / unit_bytes], at, dfota_min64(unit_bytes, new_bytes - at),
			 old_bytes);
}

/* ---- chunks --------------------------------------------------------------------------------- */

static size_t operation_put(uint8_t *out, unsigned operation, uint64_t argument)
{
	return dfota_varint_put(out, argument << 2 | operation);
}

/* Coding PLAIN with stored streams, src/codec/plain.h; 0 when it does not pay. */
static uint32_t plain_put(const struct draft *draft, uint64_t at, uint64_t bytes, uint8_t *out)
{
	uint8_t control[4096], head[64], *p = control;
	uint8_t *literals = alloc(bytes);
	uint64_t literal_bytes = 0, n, total;
	int64_t diagonal = 0;
	size_t h = 0;

	for (uint64_t i = 0; i < bytes; i += n) {
		int64_t from = draft->map[at + i];

		MUST(p < control + sizeof(control) - 64);
		for (n = 1; i + n < bytes; n++)
			if (draft->map[at + i + n] !=
			    (from == LITERAL ? LITERAL : from + (int64_t)n))
				break;
		if (from == LITERAL) {
			p += operation_put(p, 0, n);
			memcpy(literals + literal_bytes, draft->new_image + at + i, n);
			literal_bytes += n;
			continue;
		}
		if (from - (int64_t)(at + i) != diagonal)
			p += operation_put(p, 3, dfota_zigzag(from - (int64_t)(at + i) - diagonal));
		diagonal = from - (int64_t)(at + i);
		p += operation_put(p, 1, n);
	}
	head[h++] = 0;
	h += dfota_varint_put(head + h, (uint64_t)(p - control));
	head[h++] = 0; /* no differences */
	h += dfota_varint_put(head + h, literal_bytes);
	head[h++] = 0xff;
	h += dfota_varint_put(head + h, (uint64_t)(p - control));
	if (literal_bytes) {
		head[h++] = 0xff;
		h += dfota_varint_put(head + h, literal_bytes);
	}
	total = h + (uint64_t)(p - control) + literal_bytes;
	if (total <= bytes && (uint64_t)(p - control) <= bytes / 4 + 64) {
		memcpy(out, head, h);
		memcpy(out + h, control, (size_t)(p - control));
		memcpy(out + h + (p - control), literals, literal_bytes);
	} else {
		total = 0;
	}
	free(literals);
	return (uint32_t)total;
}

/* Codes one segment behind those before it. */
static void chunk_add(struct draft *draft, struct dfota_delta_step *step, uint64_t at,
		      uint64_t bytes)
{
	struct dfota_delta_header *h = &draft->image.header;
	uint8_t *out = draft->image.chunks + h->chunk_bytes;

	step->coding = DFOTA_CODING_PLAIN;
	step->chunk_bytes = plain_put(draft, at, bytes, out);
	if (step->chunk_bytes == 0) {
		step->coding = DFOTA_CODING_RAW;
		step->chunk_bytes = (uint32_t)bytes;
		memcpy(out, draft->new_image + at, bytes);
		for (uint64_t i = 0; i < bytes; i++)
			draft->map[at + i] = LITERAL; /* reads nothing */
	}
	h->codings |= 1u << step->coding;
	h->chunk_bytes += step->chunk_bytes;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static uint64_t changed_units(const struct draft *draft, uint64_t at, uint64_t bytes)
{
	const struct dfota_delta_header *h = &draft->image.header;
	uint64_t changed = 0;

	for (uint64_t u = 0; u * h->unit_bytes < bytes; u++) {
		uint64_t from = at + u * h->unit_bytes;
		uint64_t n = dfota_min64(h->unit_bytes, at + bytes - from);

		if (from + n > h->old_bytes ||
		    memcmp(draft->old_image + from, draft->new_image + from, n) != 0)
			changed |= UINT64_C(1) << u;
	}
	return changed;
}

static bool unit_of(const struct draft *draft, uint32_t segment, uint32_t unit, uint64_t *ret_at,
		    uint64_t *ret_end)
{
	const struct dfota_delta_header *h = &draft->image.header;

	*ret_at = (uint64_t)segment * h->segment_bytes + (uint64_t)unit * h->unit_bytes;
	*ret_end = dfota_min64(*ret_at + h->unit_bytes, h->old_bytes);
	return (draft->changed[segment] >> unit & 1) != 0 && *ret_at < *ret_end;
}

/* Whether the step reads old bytes of units that it changes. */
static bool is_redo(const struct draft *draft, uint32_t segment)
{
	const struct dfota_delta_header *h = &draft->image.header;
	uint64_t first = (uint64_t)segment * h->segment_bytes;
	uint64_t end = dfota_min64(first + h->segment_bytes, h->new_bytes);

	for (uint64_t at = first; at < end; at++) {
		int64_t from = draft->map[at];
		uint64_t unit;

		if (from < (int64_t)first || from >= (int64_t)(first + h->segment_bytes))
			continue;
		unit = ((uint64_t)from - first) / h->unit_bytes;
		if ((draft->changed[segment] >> unit & 1) != 0)
			return true;
	}
	return false;
}

static void order_make(struct draft *draft, enum shape_order order)
{
	uint32_t n = draft->written;

	for (uint32_t i = 0; i < n / 2 && order == ORDER_DOWN; i++) {
		uint32_t other = draft->order[n - 1 - i];

		draft->order[n - 1 - i] = draft->order[i];
		draft->order[i] = other;
	}
	for (uint32_t i = n; i > 1 && order == ORDER_CHANCE; i--) {
		uint32_t j = (uint32_t)(sim_random(&draft->random) % i);
		uint32_t other = draft->order[i - 1];

		draft->order[i - 1] = draft->order[j];
		draft->order[j] = other;
	}
}

static struct dfota_delta_step *run_add(struct draft *draft, uint8_t kind, uint32_t segment,
					uint32_t segments)
{
	struct dfota_delta_step *step = &draft->image.steps[draft->image.header.step_count++];

	*step = (struct dfota_delta_step){ .segment = segment, .segments = segments, .kind = kind };
	return step;
}

/* Runs of unchanged segments first, then the written ones in their order, then the tail. */
static void steps_make(struct draft *draft, enum shape_order order)
{
	struct dfota_delta_header *h = &draft->image.header;
	uint32_t new_segments = (uint32_t)dfota_ceil_div64(h->new_bytes, h->segment_bytes);
	uint32_t old_segments = (uint32_t)dfota_ceil_div64(h->old_bytes, h->segment_bytes);
	struct dfota_delta_step *run = NULL;

	MUST(new_segments + old_segments < SEGMENTS_MAX);
	for (uint32_t s = 0; s < new_segments; s++) {
		uint64_t at = (uint64_t)s * h->segment_bytes;

		draft->changed[s] =
		    changed_units(draft, at, dfota_min64(h->segment_bytes, h->new_bytes - at));
		if (draft->changed[s]) {
			draft->order[draft->written++] = s;
			run = NULL;
		} else if (run) {
			run->segments++;
		} else {
			run = run_add(draft, DFOTA_STEP_UNCHANGED, s, 1);
		}
	}
	order_make(draft, order);
	for (uint32_t i = 0; i < draft->written; i++) {
		uint32_t s = draft->order[i];
		uint64_t at = (uint64_t)s * h->segment_bytes;
		struct dfota_delta_step *step = run_add(draft, DFOTA_STEP_DIRECT, s, 1);

		chunk_add(draft, step, at, dfota_min64(h->segment_bytes, h->new_bytes - at));
		step->changed_units = draft->changed[s];
		if (is_redo(draft, s))
			step->kind = DFOTA_STEP_REDO;
	}
	if (old_segments > new_segments)
		run_add(draft, DFOTA_STEP_TAIL, new_segments, old_segments - new_segments);
}

/* ---- stash ---------------------------------------------------------------------------------- */

/* For each old byte the last step that reads it; 0 = none, or the first. */
static uint32_t *last_readers(const struct draft *draft)
{
	const struct dfota_delta_header *h = &draft->image.header;
	uint32_t *last = alloc(h->old_bytes * sizeof(*last));

	for (uint32_t i = 0; i < h->step_count; i++) {
		const struct dfota_delta_step *step = &draft->image.steps[i];
		uint64_t at, new_bytes, old_bytes;

		dfota_delta_step_range(h, step, &at, &new_bytes, &old_bytes);
		for (uint64_t n = 0; n < new_bytes && step->chunk_bytes; n++)
			if (draft->map[at + n] != LITERAL)
				last[draft->map[at + n]] = i;
	}
	return last;
}

static struct dfota_delta_copy *copy_add(struct draft *draft, uint64_t old_at)
{
	struct dfota_delta_image *image = &draft->image;
	uint32_t count = image->header.copy_count++;

	image->copies = realloc(image->copies, (count + 1) * sizeof(*image->copies));
	MUST(image->copies);
	image->copies[count] = (struct dfota_delta_copy){ .old_offset = old_at };
	return &image->copies[count];
}

/* Gives the copies of a step their places: one behind the other, in blocks that nobody needs. */
static void stash_place(struct draft *draft, uint32_t index, uint32_t first)
{
	struct dfota_delta_header *h = &draft->image.header;
	struct dfota_delta_copy *copies = draft->image.copies;
	uint64_t bytes = 0, blocks;
	uint32_t block = 0, run = 0, at;

	for (uint32_t i = first; i < h->copy_count; i++)
		bytes += copies[i].bytes;
	blocks = dfota_ceil_div64(bytes, DFOTA_DELTA_STASH_BLOCK);
	for (; run < blocks; block++) {
		MUST(block < STASH_BLOCKS);
		run = draft->stash_busy[block] > index ? 0 : run + 1;
	}
	at = (block - run) * DFOTA_DELTA_STASH_BLOCK;
	for (uint32_t i = first; i < h->copy_count; i++) {
		copies[i].stash_offset = at;
		at += copies[i].bytes;
		for (uint32_t b = block - run; b < block; b++)
			if (draft->stash_busy[b] < copies[i].last_reader + 1)
				draft->stash_busy[b] = copies[i].last_reader + 1;
	}
	if (h->stash_bytes < at)
		h->stash_bytes = at;
}

static void stash_make(struct draft *draft)
{
	struct dfota_delta_image *image = &draft->image;
	struct dfota_delta_header *h = &image->header;
	uint32_t *last = last_readers(draft);

	for (uint32_t i = 0; i < h->step_count; i++) {
		struct dfota_delta_step *step = &image->steps[i];
		uint32_t first = h->copy_count;
		uint64_t at, end;

		for (uint32_t u = 0; u < DFOTA_DELTA_UNITS_MAX && step->chunk_bytes; u++) {
			struct dfota_delta_copy *copy = NULL;

			if (!unit_of(draft, step->segment, u, &at, &end))
				continue;
			for (; at < end; at++) {
				if (last[at] <= i) {
					copy = NULL;
					continue;
				}
				if (!copy)
					copy = copy_add(draft, at);
				copy->bytes++;
				if (copy->last_reader < last[at])
					copy->last_reader = last[at];
			}
		}
		step->copies = (uint16_t)(h->copy_count - first);
		if (step->copies)
			stash_place(draft, i, first);
	}
	free(last);
}

static void live_count(struct dfota_delta_image *image)
{
	struct dfota_delta_header *h = &image->header;

	for (uint32_t i = 0; i < h->step_count; i++) {
		uint32_t live = 0, owner = 0, left = image->steps[0].copies;

		for (uint32_t c = 0; c < h->copy_count; c++) {
			while (left == 0)
				left = image->steps[++owner].copies;
			left--;
			live += owner <= i && image->copies[c].last_reader >= i;
		}
		if (h->live_copies < live)
			h->live_copies = live;
	}
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void upgrade_count(struct upgrade *upgrade, const struct dfota_delta_image *image,
			  uint32_t segment_bytes)
{
	const struct dfota_delta_copy *copy = image->copies;

	upgrade->segment_bytes = segment_bytes;
	for (uint32_t i = 0; i < image->header.step_count; i++) {
		const struct dfota_delta_step *step = &image->steps[i];
		uint64_t stash = 0;

		upgrade->kinds[step->kind]++;
		upgrade->copies += step->copies;
		if (step->kind == DFOTA_STEP_REDO && upgrade->ring_most < segment_bytes)
			upgrade->ring_most = segment_bytes;
		for (uint32_t c = 0; c < step->copies; c++, copy++)
			stash = (uint64_t)copy->stash_offset + copy->bytes -
				(copy - c)->stash_offset / DFOTA_DELTA_STASH_BLOCK *
				    DFOTA_DELTA_STASH_BLOCK;
		stash = dfota_ceil_div64(stash, DFOTA_DELTA_STASH_BLOCK) * DFOTA_DELTA_STASH_BLOCK;
		if (upgrade->stash_most < stash)
			upgrade->stash_most = stash;
	}
}

static void spoil(struct dfota_delta_image *image, enum shape_spoil how)
{
	struct dfota_delta_header *h = &image->header;

	for (uint32_t i = 0; i < h->step_count; i++) {
		struct dfota_delta_step *step = &image->steps[i];

		if (how == SPOIL_KIND && step->kind == DFOTA_STEP_REDO)
			step->kind = DFOTA_STEP_DIRECT;
		if (how == SPOIL_STASH)
			step->copies = 0;
		if (how == SPOIL_UNITS && step->changed_units & (step->changed_units - 1))
			step->changed_units &= step->changed_units - 1;
	}
	if (how == SPOIL_STASH)
		h->copy_count = h->live_copies = h->stash_bytes = 0;
	if (how == SPOIL_CHUNK && h->chunk_bytes)
		image->chunks[h->chunk_bytes - 1] ^= 1;
}

static void partition_make(struct upgrade *upgrade, const struct shape_plan *plan,
			   struct dfota_pkgbuild *build, uint64_t seed)
{
	const struct shape *shape = upgrade->shape;
	uint64_t unit = shape->unit_bytes, new_units = strlen(plan->moves);
	uint64_t old_bytes = plan->old_units * unit - plan->old_short;
	uint64_t new_bytes = new_units * unit - plan->new_short;
	uint8_t *old_image = alloc(old_bytes), *new_image = alloc(new_bytes);
	struct draft draft = { .random = seed, .old_image = old_image, .new_image = new_image };
	struct dfota_delta_header *h = &draft.image.header;

	h->unit_bytes = shape->unit_bytes;
	h->segment_bytes = shape->unit_bytes * shape->segment_units;
	h->old_bytes = old_bytes;
	h->new_bytes = new_bytes;
	draft.image.steps = alloc(SEGMENTS_MAX * sizeof(*draft.image.steps));
	draft.image.chunks = alloc(new_bytes + 1);
	noise(&draft.random, old_image, old_bytes);
	noise(&draft.random, new_image, new_bytes);
	map_make(&draft, plan->moves, old_bytes, new_bytes);
	for (uint64_t i = 0; i < new_bytes; i++)
		if (draft.map[i] != LITERAL)
			new_image[i] = old_image[draft.map[i]];
	steps_make(&draft, plan->order);
	stash_make(&draft);
	live_count(&draft.image);
	spoil(&draft.image, shape->spoil);
	h->literal_bytes = new_bytes;
	MUST(dfota_pkgbuild_add(build, plan->name, &draft.image, old_image, new_image,
				dfota_updater_partition_memory(h)) == 0);
	upgrade_count(upgrade, &draft.image, h->segment_bytes);
	upgrade->partitions[upgrade->count].name = plan->name;
	upgrade->partitions[upgrade->count].old_image = old_image;
	upgrade->partitions[upgrade->count].new_image = new_image;
	upgrade->partitions[upgrade->count].old_bytes = old_bytes;
	upgrade->partitions[upgrade->count++].new_bytes = new_bytes;
	free(draft.map);
	dfota_delta_image_free(&draft.image);
}

static void kinds_check(const struct upgrade *upgrade)
{
	for (const char *k = upgrade->shape->kinds; *k; k++) {
		MUST(*k != 'D' || upgrade->kinds[DFOTA_STEP_DIRECT]);
		MUST(*k != 'R' || upgrade->kinds[DFOTA_STEP_REDO]);
		MUST(*k != 'U' || upgrade->kinds[DFOTA_STEP_UNCHANGED]);
		MUST(*k != 'T' || upgrade->kinds[DFOTA_STEP_TAIL]);
		MUST(*k != 'S' || upgrade->copies);
	}
}

void upgrade_make(struct upgrade *upgrade, const struct shape *shape, enum shape_medium medium,
		  uint64_t seed, const char *folder)
{
	static const char *const media[MEDIUM_COUNT] = { "file", "block", "nand", "ubi" };
	struct dfota_pkgbuild *build;
	char key[128];

	*upgrade = (struct upgrade){ .shape = shape, .medium = medium };
	(void)snprintf(upgrade->name, sizeof(upgrade->name), "%s-%s", shape->name, media[medium]);
	(void)snprintf(upgrade->path, sizeof(upgrade->path), "%s/%s.zip", folder, upgrade->name);
	(void)snprintf(key, sizeof(key), "%s/k.key", folder);
	MUST(dfota_pkgbuild_begin(&build, upgrade->path, "P1", "v1", "v2") == 0);
	for (uint32_t i = 0; i < SHAPE_PARTITIONS_MAX && shape->plans[i].name; i++)
		partition_make(upgrade, &shape->plans[i], build, seed * 7 + i + 1);
	MUST(dfota_pkgbuild_finish(build, key) == 0);
	dfota_pkgbuild_end(build);
	kinds_check(upgrade);
}

void upgrade_free(struct upgrade *upgrade)
{
	(void)remove(upgrade->path);
	for (uint32_t i = 0; i < upgrade->count; i++) {
		free(upgrade->partitions[i].old_image);
		free(upgrade->partitions[i].new_image);
	}
	*upgrade = (struct upgrade){ 0 };
}

void scratch_make(char folder[SCRATCH_MAX])
{
	char path[64];

	(void)snprintf(folder, SCRATCH_MAX, "/tmp/dfota-cut-XXXXXX");
	MUST(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/k", folder);
	MUST(dfota_key_generate(path) == 0);
}

void scratch_remove(const char *folder)
{
	static const char *const names[] = { "k.key", "k.pub" };
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(folder);
}

void shape_by_chance(struct shape *shape, char text[SHAPE_PARTITIONS_MAX][64], uint64_t seed)
{
	static const char *const names[] = { "system", "modem", "sbl" };
	uint64_t random = seed;
	uint32_t count = 1 + (uint32_t)(sim_random(&random) % 2);

	*shape = (struct shape){
		.kinds = "",
		.unit_bytes = 512u << sim_random(&random) % 2,
		.segment_units = 1u << sim_random(&random) % 3,
	};
	for (uint32_t i = 0; i < count; i++) {
		static const char letters[] = "=*~^<>??????";
		uint32_t old_units = (uint32_t)(sim_random(&random) % 9);
		uint32_t new_units = (uint32_t)(sim_random(&random) % 9);

		for (uint32_t u = 0; u < new_units; u++) {
			text[i][u] = letters[sim_random(&random) % (sizeof(letters) - 1)];
			if (old_units && sim_random(&random) % 4 == 0)
				text[i][u] = (char)('a' + sim_random(&random) % old_units);
		}
		text[i][new_units] = '\0';
		shape->plans[i] = (struct shape_plan){
			.name = names[i],
			.moves = text[i],
			.old_units = old_units,
			.old_short = old_units ? (uint32_t)(sim_random(&random) % 300) : 0,
			.new_short = new_units ? (uint32_t)(sim_random(&random) % 300) : 0,
			.order = (enum shape_order)(sim_random(&random) % 3),
		};
	}
	shape->area_block = 4096u << sim_random(&random) % 3;
}
