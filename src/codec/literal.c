/* SPDX-License-Identifier: MIT
 *
 * Bytes by context mixing: what stood before, what stood there in the old image, what was guessed, and a match
 * with earlier new bytes.
 */
#include "literal.h"

#define MATCH_MIN   6u
#define MATCH_MOST  32u

void literal_reset(struct literal_memory *memory)
{
	memset(memory, 0, sizeof(*memory));
}

static uint32_t match_hash(const uint8_t *end)
{
	return model_hash2(isa_load(end - 4, 4), isa_load(end - 6, 2)) >> (32 - MATCH_BITS);
}

void literal_passed(struct literal_memory *memory, const struct guess_history *history,
		    uint32_t end)
{
	uint32_t done = end - history->start, *place;

	memory->passed = end;
	memory->found = 0;
	if (done < MATCH_MIN)
		return;
	place = &memory->index[match_hash(history->segment + done)];
	memory->found = *place; /* before it is overwritten: looked up later, it would be this very position */
	*place = done + 1;
}

/* Is what stands before the place that was found what stands before `done`? Then it is expected to go on so. */
static void find_match(struct literal_memory *memory, const struct guess_history *history,
		       uint32_t done)
{
	const uint8_t *segment = history->segment;
	uint32_t found, bytes = 0;

	if (memory->passed != history->start + done)
		literal_passed(memory, history, history->start + done);
	found = memory->found;
	memory->match_bytes = 0;
	if (found == 0)
		return;
	found--;
	while (bytes < MATCH_MOST && bytes < found &&
	       segment[found - 1 - bytes] == segment[done - 1 - bytes])
		bytes++;
	if (bytes < MATCH_MIN)
		return;
	memory->match = found;
	memory->match_bytes = bytes;
}

struct state {
	struct model *model;
	struct model_mixer *mixer;
	uint32_t hashes[LITERAL_CONTEXTS];
	uint32_t *pairs[LITERAL_CONTEXTS]; /* of slots: for the bit at hand, after a 0 and after a 1 */
	int old, guess, match; /* expected byte, or -1 */
	uint32_t match_class, number;
	bool inside; /* of a token: bytes come from the highest down */
};

static unsigned expected(int byte, unsigned partial, unsigned bits)
{
	if (byte < 0 || ((unsigned)byte | 256) >> (8 - bits) != partial)
		return 2;
	return (unsigned)byte >> (7 - bits) & 1;
}

/* Both slots that the next bit may have stand together, so they are fetched before this one is known. */
static void find_pairs(struct state *s, unsigned known)
{
	for (unsigned i = 0; i + 2 < LITERAL_CONTEXTS; i++) {
		uint32_t hash = (s->hashes[i] + known * 0x9e3779b1u) * 0x85ebca6bu;
		uint32_t *slot = model_slot(s->model, hash);

		s->pairs[i] = s->model->slots + ((size_t)(slot - s->model->slots) & ~(size_t)1);
		__builtin_prefetch(s->pairs[i], 1);
	}
}

static unsigned code_bit(struct state *s, unsigned partial, unsigned bits, unsigned bit)
{
	struct model *model = s->model;
	unsigned old = expected(s->old, partial, bits), guess = expected(s->guess, partial, bits);
	unsigned match = expected(s->match, partial, bits);
	uint32_t select[MODEL_SETS];

	model_begin(model);
	for (unsigned i = 0; i + 2 < LITERAL_CONTEXTS; i++)
		model_choose(model, s->pairs[i] + (partial & 1));
	find_pairs(s, partial);
	model_context(model, model_hash4(old, guess, s->number << 4 | bits, 0));
	model_context(model, model_hash4(match, s->match_class, s->number, 99));
	select[0] = ((s->number * 2 + (old < 2)) * 3 + match) * 3 + guess;
	select[1] = (s->number * 8 + bits) * 64 + (old * 3 + guess) * 6 +
		    (match < 2 ? 1 + s->match_class / 8 : 0);
	select[2] = s->inside ? 256 + partial : partial;
	select[2] = select[2] * 4 + (match == 2 ? 3 : match);
	return model_code(model, s->mixer, select, bit);
}

static void make_hashes(struct state *s, const uint32_t *contexts)
{
	for (unsigned i = 0; i + 2 < LITERAL_CONTEXTS; i++)
		s->hashes[i] = model_hash2(contexts[i], i << 16 | s->number);
}

static unsigned code_byte(struct state *s, const uint32_t *contexts, unsigned byte)
{
	unsigned partial = 1;

	make_hashes(s, contexts);
	find_pairs(s, 0);
	for (unsigned bits = 0; bits < 8; bits++) {
		partial = partial << 1 | code_bit(s, partial, bits, byte >> (7 - bits) & 1);
	}
	return partial & 255;
}

static uint32_t history_word(const struct guess_history *history, uint32_t at, uint32_t back)
{
	uint32_t done = at - history->start;

	return done >= back ? isa_load(history->segment + (done - back), back < 4 ? back : 4) : 0;
}

/* Contexts of byte `shift / 8` of the token; `known` are its higher bytes. */
static void make_contexts(const struct literal_memory *memory, const struct guess_history *history,
			  const struct literal *l, const struct state *s, uint32_t known,
			  uint32_t contexts[LITERAL_CONTEXTS])
{
	uint32_t w4 = history_word(history, l->at, 4), w8 = history_word(history, l->at, 8);
	uint32_t c = memory->coded, old = (uint32_t)(s->old + 1), guess = (uint32_t)(s->guess + 1);

	contexts[0] = 0;
	contexts[1] = c & 0xff;
	contexts[2] = c & 0xffff;
	contexts[3] = model_hash3(w4 >> 21, w8 >> 21, known);
	contexts[4] = old << 8 | 1;
	contexts[5] = guess << 16 | old;
	contexts[6] = model_hash2(history_word(history, l->at, 24), known);
	contexts[7] = model_hash3(guess, known, c & 0xff);
	contexts[8] = model_hash3(history_word(history, l->at, 12), l->kind, known);
	contexts[9] = model_hash3(w4, l->kind, known);
}

uint32_t literal_code(struct literal_memory *memory, struct model *model, struct model_mixer *mixer,
		      const struct guess_history *history, const struct literal *l)
{
	struct state s = { .model = model, .mixer = mixer, .inside = l->bytes > 1 };
	uint32_t contexts[LITERAL_CONTEXTS], done = l->at - history->start, word = 0;

	find_match(memory, history, done);
	if (memory->match_bytes > 0 && memory->match + l->bytes > done)
		memory->match_bytes = 0;
	for (unsigned i = l->bytes; i-- > 0;) {
		unsigned byte, shift = 8 * i;

		s.number = l->bytes > 1 ? 1 + i + (l->bytes == 4 ? 0 : 4) : 0;
		s.old = l->has_old ? (int)(l->old >> shift & 255) : -1;
		s.guess = l->has_guess ? (int)(l->guess >> shift & 255) : -1;
		s.match_class = memory->match_bytes < 15 ? memory->match_bytes : 15;
		s.match = memory->match_bytes ? history->segment[memory->match + i] : -1;
		make_contexts(memory, history, l, &s, word, contexts);
		byte = code_byte(&s, contexts, l->value >> shift & 255);
		if (s.match >= 0 && (unsigned)s.match != byte)
			memory->match_bytes = 0;
		memory->coded = memory->coded << 8 | byte;
		word = word << 8 | byte;
	}
	return word;
}
