/* SPDX-License-Identifier: MIT
 *
 * The kernel's tables of symbols: names are translated, numbers renumbered. Bytes that stand in the tables are
 * not looked at by anything else, so nothing is learned from them.
 */
#include "predict_segment.h"

#define CHANCE_RATE  6u /* of adaptive chances */
#define SEARCH       16u

/* Old bytes [from, to) come to hand; more are read ahead, up to `end`. */
static const uint8_t *old_bytes(struct segment *s, uint32_t from, uint32_t to, uint32_t end)
{
	if (!s->error)
		s->error = segment_view(s, from, to, end);
	return s->error ? NULL : s->p->view.bytes + (from - s->p->view.start);
}

/* Where the tables go on in both images. */
static struct predict_window code_window(struct segment *s, uint32_t at, uint32_t end)
{
	struct predict_window w = { 0 };

	if (s->job->mode == PREDICT_ENCODE && s->job->window)
		w = s->job->window(s->job, at, end);
	w.phase = segment_plain(s, 11, w.phase);
	w.index = segment_plain(s, 22, w.index);
	w.old_index = segment_plain(s, 22, w.old_index);
	w.old_at = segment_plain(s, 31, w.old_at);
	w.old_end = segment_plain(s, 31, w.old_end);
	if (w.old_end > s->p->map.old_bytes || w.old_at > w.old_end)
		s->error = DFOTA_E_CORRUPT;
	segment_charge(s, PREDICT_BLOCKS);
	return w;
}

static bool check(struct segment *s)
{
	if (!s->error && coder_exhausted(&s->p->coder))
		s->error = DFOTA_E_CORRUPT;
	return !s->error;
}

/* ---- names ------------------------------------------------------------------------------------- */

/* The old entry at the window's place, which moves behind it; NULL when it is not all there. */
static const uint8_t *old_entry(struct segment *s, struct predict_window *w, uint32_t *ret_bytes)
{
	uint32_t at = w->old_at, left = w->old_end - at, bytes;
	const uint8_t *entry;

	w->old_at = w->old_end; /* unless it is: then nothing more follows */
	if (left < SYMBOL_HEAD_MAX)
		return NULL;
	entry = old_bytes(s, at, at + SYMBOL_HEAD_MAX, w->old_end);
	bytes = entry ? symbols_entry_bytes(entry) : 0;
	if (!entry || bytes > left || bytes > SYMBOL_ENTRY_MAX)
		return NULL;
	w->old_at = at + bytes;
	w->old_index++;
	*ret_bytes = bytes;
	return old_bytes(s, at, at + bytes, w->old_end);
}

/* What the new symbol's entry should be; 0 when it is new or cannot be had. */
static uint32_t expected_entry(struct segment *s, struct predict_window *w,
			       uint8_t expected[SYMBOL_ENTRY_MAX])
{
	const uint8_t *entry;
	uint32_t old, bytes, head;

	if (!map_symbol_back(&s->p->map, w->index, &old) || old < w->old_index)
		return 0;
	do {
		entry = old_entry(s, w, &bytes);
		if (!entry)
			return 0;
	} while (w->old_index <= old);
	head = symbols_head_bytes(*entry);
	return symbols_translate(s->p->symbols, entry + head, bytes - head, expected);
}

static uint32_t put_entry(struct segment *s, uint32_t at, uint32_t end, const uint8_t *entry,
			  uint32_t bytes)
{
	if (bytes > end - at)
		bytes = end - at;
	if (s->job->mode == PREDICT_DECODE)
		memcpy(segment_new(s, at), entry, bytes);
	else if (memcmp(segment_new(s, at), entry, bytes) != 0)
		s->error = DFOTA_E_INTERNAL; /* runs hold what is translated exactly */
	return at + bytes;
}

static uint32_t literal_bytes(struct segment *s, const struct region *region, uint32_t at,
			      uint32_t end, uint32_t bytes)
{
	if (bytes > end - at)
		bytes = end - at;
	for (; bytes > 0 && check(s); bytes--)
		segment_byte(s, at++, NULL, region->kind + 1u);
	return at;
}

static uint32_t literal_entry(struct segment *s, const struct region *region, uint32_t at,
			      uint32_t end)
{
	uint32_t from = at, head;

	at = literal_bytes(s, region, at, end, 1);
	head = symbols_head_bytes(*segment_new(s, from));
	at = literal_bytes(s, region, at, end, head - 1);
	if (s->error || at - from < head)
		return at;
	return literal_bytes(s, region, at, end,
			     symbols_entry_bytes(segment_new(s, from)) - head);
}

void segment_names(struct segment *s, const struct region *region, uint32_t at, uint32_t end)
{
	struct predict_window w = code_window(s, at, end);

	at = literal_bytes(s, region, at, end, w.phase);
	for (; at < end && check(s); w.index++) {
		uint8_t entry[SYMBOL_ENTRY_MAX];
		uint32_t bytes = expected_entry(s, &w, entry);

		if (s->error)
			break;
		at = bytes ? put_entry(s, at, end, entry, bytes)
			   : literal_entry(s, region, at, end);
	}
}

/* ---- sequences --------------------------------------------------------------------------------- */

/* A yes-or-no whose chance is learned from the last few. */
static unsigned code_chance(struct segment *s, uint16_t *chance, unsigned yes)
{
	yes = coder_bit(&s->p->coder, *chance, yes);
	if (yes)
		*chance = (uint16_t)(*chance + ((65535u - *chance) >> CHANCE_RATE));
	else
		*chance = (uint16_t)(*chance - (*chance >> CHANCE_RATE));
	return yes;
}

struct sequence {
	struct predict_window w;
	uint32_t total, fresh;          /* symbols, and those that are in no run */
	uint16_t is_next, is_fresh, is_skip; /* chances */
};

/* New number of the next old one that has not gone; the window stands at it. */
static bool next_number(struct segment *s, struct predict_window *w, uint32_t *ret_number)
{
	while (w->old_end - w->old_at >= SYMBOL_NUMBER_BYTES) {
		const uint8_t *number =
			old_bytes(s, w->old_at, w->old_at + SYMBOL_NUMBER_BYTES, w->old_end);

		if (!number)
			return false;
		if (map_symbol(&s->p->map, symbols_number(number), ret_number))
			return true;
		w->old_at += SYMBOL_NUMBER_BYTES;
	}
	return false;
}

/* Encoder: is the number a little further on in the old sequence? */
static bool is_ahead(struct segment *s, struct predict_window w, uint32_t number)
{
	uint32_t next;

	for (unsigned i = 0; i < SEARCH && next_number(s, &w, &next); i++) {
		if (next == number)
			return true;
		w.old_at += SYMBOL_NUMBER_BYTES;
	}
	return false;
}

/* A number that no old symbol becomes: one of few. Else told in full. */
static uint32_t code_other(struct segment *s, struct sequence *q, uint32_t number)
{
	uint32_t rank = 0;
	unsigned is_fresh = 0;

	if (q->fresh > 0) {
		if (s->job->mode == PREDICT_ENCODE)
			is_fresh = map_symbol_rank(&s->p->map, number, &rank) && rank < q->fresh;
		is_fresh = code_chance(s, &q->is_fresh, is_fresh);
	}
	if (!is_fresh)
		return segment_plain(s, 24, number);
	rank = segment_plain(s, model_log2(q->fresh - 1), rank);
	if (rank < q->fresh)
		return map_symbol_fresh(&s->p->map, rank);
	s->error = DFOTA_E_CORRUPT;
	return 0;
}

/* The number at `at`; the encoder knows it. */
static uint32_t code_number(struct segment *s, struct sequence *q, uint32_t at)
{
	uint32_t number = 0, next;

	if (s->job->mode == PREDICT_ENCODE)
		number = symbols_number(segment_new(s, at));
	while (check(s) && next_number(s, &q->w, &next)) {
		next &= 0xffffff;
		if (code_chance(s, &q->is_next, next == number)) {
			q->w.old_at += SYMBOL_NUMBER_BYTES;
			return next;
		}
		if (!code_chance(s, &q->is_skip,
				 s->job->mode == PREDICT_ENCODE && is_ahead(s, q->w, number)))
			break;
		q->w.old_at += SYMBOL_NUMBER_BYTES;
	}
	return s->error ? 0 : code_other(s, q, number);
}

void segment_sequences(struct segment *s, const struct region *region, uint32_t at, uint32_t end)
{
	struct sequence q = { .is_next = 64512, .is_fresh = 49152, .is_skip = 16384 };

	q.w = code_window(s, at, end);
	q.total = region->bytes / SYMBOL_NUMBER_BYTES;
	q.fresh = map_symbols_fresh(&s->p->map, q.total);
	at = literal_bytes(s, region, at, end, q.w.phase);
	while (end - at >= SYMBOL_NUMBER_BYTES && check(s)) {
		uint32_t number = code_number(s, &q, at);

		for (unsigned i = 0; i < SYMBOL_NUMBER_BYTES; i++)
			segment_store(s, at + i, 1, number >> (16 - 8 * i) & 255);
		at += SYMBOL_NUMBER_BYTES;
	}
	segment_charge(s, PREDICT_FLAGS);
	(void)literal_bytes(s, region, at, end, end - at); /* what is left of the last number */
}
