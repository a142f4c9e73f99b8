/* SPDX-License-Identifier: MIT
 *
 * Predictors and their ranking.
 */
#include "dfota/codec.h"
#include "guess_tables.h"

#define SCORE_START 32768u
#define NEAR_REACH  65536u

static const char *const names[] = {
	[GUESS_SAME] = "same",
	[GUESS_PC] = "pc",
	[GUESS_LEARNED] = "learned",
	[GUESS_NEAR] = "near",
	[GUESS_PREL] = "prel",
	[GUESS_ABS] = "abs",
	[GUESS_WORD] = "word",
	[GUESS_IMMEDIATE] = "immediate",
	[GUESS_DELTA] = "delta",
	[GUESS_COLUMN8] = "column8",
	[GUESS_COLUMN12] = "column12",
	[GUESS_COLUMN24] = "column24",
	[GUESS_VALUE] = "value",
	[GUESS_RANGE] = "range",
	[GUESS_ID] = "id",
};

_Static_assert(sizeof(names) / sizeof(names[0]) == GUESS_KINDS && GUESS_KINDS == DFOTA_PREDICTORS,
	       "every predictor has a name");

const char *dfota_predictor_name(unsigned predictor)
{
	return predictor < DFOTA_PREDICTORS ? names[predictor] : "?";
}

void guess_reset(struct guess_memory *memory)
{
	memset(memory, 0, sizeof(*memory));
	for (unsigned c = 0; c < GUESS_CLASSES; c++)
		for (unsigned k = 0; k < GUESS_KINDS; k++)
			memory->scores[c][k][0] = memory->scores[c][k][1] = SCORE_START;
}

static void give(struct guess *guess, enum guess_kind kind, uint32_t value)
{
	guess->made[kind] = value;
	guess->have |= 1u << kind;
}

static void give_address(struct guess *guess, enum guess_kind kind, uint64_t target)
{
	const struct fixed_place *place = &guess->place;
	const struct region *new = place->new_region;
	uint32_t word;

	if (place->token.class == ISA_POOL)
		give(guess, kind, fixed_pool_word(place, target));
	else if (isa_of(new->kind)->build(&place->token, place->word,
				     new->va + (place->at - new->start), target, &word))
		give(guess, kind, word);
}

static void predict_learned(const struct guess_memory *memory, struct guess *guess)
{
	uint64_t target = guess->fixed.target;
	const struct guess_target *known = target_known(memory, target_entry(guess, target), target);
	uint32_t entry;

	if (known && known->new != 0) {
		give_address(guess, GUESS_LEARNED, known->new);
		return;
	}
	entry = near_entry(guess, target);
	if (!is_filled(memory->nears_filled, entry))
		return;
	known = &memory->nears[entry];
	if (known->new != 0 && known->old - target + NEAR_REACH < 2 * NEAR_REACH)
		give_address(guess, GUESS_NEAR, known->new + (target - known->old));
}

static void predict_role(const struct guess_memory *memory, struct guess *guess)
{
	uint64_t key = role_key(guess);
	const struct guess_target *known = target_known(memory, target_entry(guess, key), key);

	if (known)
		give(guess, GUESS_LEARNED, (uint32_t)known->new);
}

static void predict_column(struct guess *guess, const struct guess_history *history,
			   enum guess_kind kind, uint32_t back)
{
	const struct fixed_place *place = &guess->place;
	uint32_t delta;

	if (place->at - history->start < back || place->text.before < back)
		return;
	delta = new_word(history, place->at, back) - isa_load(place->text.at - back, 4);
	if (delta != 0)
		give(guess, kind, place->word + delta);
}

/* Predictors that look at data only; for tokens of four bytes. */
static void predict_data(const struct guess_memory *memory, const struct guess_history *history,
			 struct guess *guess)
{
	uint32_t word = guess->place.word, entry = word_entry(word);
	const struct guess_pair *pair;

	if (!(guess->fixed.have & 1u << FIXED_PC) && is_filled(memory->words_filled, entry)) {
		pair = &memory->words[entry];
		if (pair->old == word && pair->new != 0)
			give(guess, GUESS_WORD, pair->new);
	}
	entry = field_entry(word);
	if (is_filled(memory->fields_filled, entry)) {
		pair = &memory->fields[entry];
		if (pair->old == word >> 10 && pair->new != 0)
			give(guess, GUESS_IMMEDIATE, pair->new << 10 | (word & GUESS_FIELD_MASK));
	}
	if (memory->delta != 0)
		give(guess, GUESS_DELTA, word + memory->delta);
	if (guess->unchanged < 24) { /* else there is nothing to see in them */
		predict_column(guess, history, GUESS_COLUMN8, 8);
		predict_column(guess, history, GUESS_COLUMN12, 12);
		predict_column(guess, history, GUESS_COLUMN24, 24);
	}
	entry = value_entry(word);
	if (word > 0 && word < GUESS_VALUE_MAX && is_filled(memory->values_filled, entry)) {
		pair = &memory->values[entry];
		if (pair->new != 0 && pair->old >> 6 == word >> 6)
			give(guess, GUESS_VALUE, word + pair->new);
	}
}

/* .eh_frame: bytes of the function whose start is the word before; its last one is where the map says. */
static void predict_range(const struct map *map, const struct guess_history *history, struct guess *guess)
{
	const struct fixed_place *place = &guess->place;
	const struct region *old = place->old_region, *new = place->new_region;
	uint64_t start, moved;

	if (place->at - history->start < 4 || place->text.before < 4 || place->word == 0)
		return;
	start = region_address(old, place->old) - 4 + (uint64_t)(int64_t)(int32_t)isa_load(place->text.at - 4, 4);
	if (map_address(map, old->group, start + place->word - 1, &moved) != MAP_EXACT)
		return;
	start = region_address(new, place->at) - 4 + (uint64_t)(int64_t)(int32_t)new_word(history, place->at, 4);
	give(guess, GUESS_RANGE, (uint32_t)(moved + 1 - start));
}

/* ---- the identity of a program, spelled out in the name of its debug file ---------------------------- */

#define ID_DIGITS 40u

static int digit_of(uint32_t character)
{
	if (character - '0' < 10)
		return (int)(character - '0');
	return character - 'a' < 6 ? (int)(character - 'a') + 10 : -1;
}

static unsigned id_digit(const uint8_t *id, uint32_t number)
{
	return number % 2 ? id[number / 2] & 15 : id[number / 2] >> 4;
}

/* The four digits before are some of its digits: the next four. */
static void predict_id(const struct guess_memory *memory, const struct guess_history *history, struct guess *guess)
{
	uint32_t at = guess->place.at, before, known = 0, window = 0;
	const uint8_t *id;

	if (memory->id_at == 0 || at - memory->id_at < ID_DIGITS / 2 + 4)
		return;
	before = new_word(history, at, 4);
	for (unsigned i = 0; i < 4; i++) {
		int digit = digit_of(before >> 8 * i & 255);

		if (digit < 0)
			return;
		known = known << 4 | (uint32_t)digit;
	}
	id = history->segment + (memory->id_at - history->start);
	for (uint32_t i = 0; i + 4 < ID_DIGITS; i++) {
		uint32_t word = 0;

		window = (window << 4 | id_digit(id, i)) & 0xffff;
		if (i < 3 || window != known)
			continue;
		for (uint32_t k = 4; k > 0; k--)
			word = word << 8 | (uint8_t)"0123456789abcdef"[id_digit(id, i + k)];
		give(guess, GUESS_ID, word);
		return;
	}
}

/* One candidate, whoever made it: what most tokens have. */
static bool all_equal(struct guess *guess)
{
	uint32_t word = guess->place.word;

	for (uint32_t left = guess->have & ~(1u << GUESS_SAME); left; left &= left - 1)
		if (guess->made[__builtin_ctz(left)] != word)
			return false;
	guess->value[0] = word;
	guess->mask[0] = guess->have;
	guess->count = 1;
	return true;
}

static void sort_best_first(struct guess *guess, uint16_t best[GUESS_KINDS])
{
	for (uint32_t i = 1; i < guess->count; i++) {
		uint32_t value = guess->value[i], mask = guess->mask[i], j = i;
		uint16_t score = best[i];

		for (; j > 0 && best[j - 1] < score; j--) {
			guess->value[j] = guess->value[j - 1];
			guess->mask[j] = guess->mask[j - 1];
			best[j] = best[j - 1];
		}
		guess->value[j] = value;
		guess->mask[j] = mask;
		best[j] = score;
	}
}

/* Equal values become one candidate; the order is by score, earlier predictors first among equals. */
static void rank(const struct guess_memory *memory, struct guess *guess)
{
	const uint16_t (*scores)[2] = memory->scores[guess->class];
	uint32_t right = memory->right[guess->class];
	uint16_t best[GUESS_KINDS];

	guess->count = 0;
	for (uint32_t left = guess->have; left; left &= left - 1) {
		unsigned k = (unsigned)__builtin_ctz(left);
		uint16_t score = scores[k][right >> k & 1];
		uint32_t i = 0;

		while (i < guess->count && guess->value[i] != guess->made[k])
			i++;
		if (i == guess->count) {
			guess->value[i] = guess->made[k];
			guess->mask[i] = 0;
			best[i] = score;
			guess->count++;
		}
		guess->mask[i] |= 1u << k;
		if (score > best[i])
			best[i] = score;
	}
	sort_best_first(guess, best);
}

void guess_make(struct guess_memory *memory, const struct map *map,
		const struct guess_history *history, struct guess *guess)
{
	const struct fixed_place *place = &guess->place;
	unsigned kind = place->old_region && place->new_region ? place->new_region->kind + 1u : 0;

	guess->class = kind << 4 | (place->token.class ? place->token.class : place->role);
	guess->have = 0;
	give(guess, GUESS_SAME, place->word);
	fixed_predict(map, place, &guess->fixed);
	if (guess->fixed.have & 1u << FIXED_PC)
		give(guess, GUESS_PC, guess->fixed.value[FIXED_PC]);
	if (guess->fixed.have & 1u << FIXED_PREL)
		give(guess, GUESS_PREL, guess->fixed.value[FIXED_PREL]);
	if (guess->fixed.have & 1u << FIXED_ABS)
		give(guess, GUESS_ABS, guess->fixed.value[FIXED_ABS]);
	if (guess->fixed.has_target && place->token.class != ISA_OTHER)
		predict_learned(memory, guess);
	else if (guess->fixed.have & 1u << FIXED_PC)
		predict_role(memory, guess);
	if (place->token.bytes == 4)
		predict_data(memory, history, guess);
	if (kind == REGION_FRAMES + 1u && place->token.bytes == 4 && place->old_region->kind == REGION_FRAMES &&
	    place->old_region->group == place->new_region->group)
		predict_range(map, history, guess);
	if (kind == 0 && place->token.bytes == 4)
		predict_id(memory, history, guess);
	if (!all_equal(guess))
		rank(memory, guess);
}
