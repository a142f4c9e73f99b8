/* SPDX-License-Identifier: MIT
 *
 * Predictors, their ranking, and what they learn.
 */
#include "guess.h"

#include "dfota/codec.h"

#define SCORE_START 32768u
#define SCORE_RATE  5u  /* of 256 */
#define FIELD_MASK  0x3ffu /* bits that an immediate does not have */
#define VALUE_MAX   (1u << 26)
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
	for (unsigned k = 0; k < GUESS_KINDS; k++)
		for (unsigned c = 0; c < GUESS_CLASSES; c++)
			memory->scores[k][c][0] = memory->scores[k][c][1] = SCORE_START;
}

static uint32_t hash(uint32_t value, unsigned bits)
{
	return (value * 0x9e3779b1u) >> (32 - bits);
}

static struct guess_target *target_of(struct guess_memory *memory, const struct guess *guess,
				      uint64_t address)
{
	uint32_t key = (uint32_t)address ^ (uint32_t)(address >> 32) * 31u ^
		       (uint32_t)guess->place.old_region->group << 20;

	return &memory->targets[hash(key, 13)];
}

/* Neighbours share an entry: what was last learned in the same 4 KiB. */
static struct guess_target *near_of(struct guess_memory *memory, const struct guess *guess,
				    uint64_t address)
{
	uint32_t key = (uint32_t)(address >> 12) ^
		       (uint32_t)guess->place.old_region->group << 20;

	return &memory->nears[hash(key, 12)];
}

static struct guess_pair *value_of(struct guess_memory *memory, uint32_t value)
{
	return &memory->values[hash(value >> 6, 13)];
}

static struct guess_pair *word_of(struct guess_memory *memory, uint32_t word)
{
	return &memory->words[hash(word, 15)];
}

static struct guess_pair *field_of(struct guess_memory *memory, uint32_t word)
{
	return &memory->fields[hash(word >> 10, 13)];
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

	if (isa_of(new->kind)->build(&place->token, place->word,
				     new->va + (place->at - new->start), target, &word))
		give(guess, kind, word);
}

static void predict_learned(struct guess_memory *memory, struct guess *guess)
{
	const struct guess_target *known, *near;
	uint64_t target = guess->fixed.target;

	known = target_of(memory, guess, target);
	if (known->old == target && known->new != 0) {
		give_address(guess, GUESS_LEARNED, known->new);
		return;
	}
	near = near_of(memory, guess, target);
	if (near->new != 0 && near->old - target + NEAR_REACH < 2 * NEAR_REACH)
		give_address(guess, GUESS_NEAR, near->new + (target - near->old));
}

/* BTF: what became of this very type or string. */
static struct guess_target *role_target(struct guess_memory *memory, const struct guess *guess,
					uint64_t *ret_key)
{
	*ret_key = (uint64_t)guess->place.role << 32 | guess->place.word;
	return target_of(memory, guess, *ret_key);
}

static void predict_role(struct guess_memory *memory, struct guess *guess)
{
	uint64_t key;
	const struct guess_target *known = role_target(memory, guess, &key);

	if (known->old == key)
		give(guess, GUESS_LEARNED, (uint32_t)known->new);
}

static void learn_role(struct guess_memory *memory, const struct guess *guess, uint32_t word)
{
	uint64_t key;
	struct guess_target *known = role_target(memory, guess, &key);

	if (known->old == key || guess->fixed.value[FIXED_PC] != word)
		*known = (struct guess_target){ key, word };
}

static uint32_t new_word(const struct guess_history *history, uint32_t at, uint32_t back)
{
	return at - history->start >= back ? isa_load(history->segment + (at - history->start - back), 4)
					   : 0;
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
static void predict_data(struct guess_memory *memory, const struct guess_history *history,
			 struct guess *guess)
{
	uint32_t word = guess->place.word;
	const struct guess_pair *pair;

	if (!(guess->fixed.have & 1u << FIXED_PC)) {
		pair = word_of(memory, word);
		if (pair->old == word && pair->new != 0)
			give(guess, GUESS_WORD, pair->new);
	}
	pair = field_of(memory, word);
	if (pair->old == word >> 10 && pair->new != 0)
		give(guess, GUESS_IMMEDIATE, pair->new << 10 | (word & FIELD_MASK));
	if (memory->delta != 0)
		give(guess, GUESS_DELTA, word + memory->delta);
	predict_column(guess, history, GUESS_COLUMN8, 8);
	predict_column(guess, history, GUESS_COLUMN12, 12);
	predict_column(guess, history, GUESS_COLUMN24, 24);
	if (word > 0 && word < VALUE_MAX) {
		pair = value_of(memory, word);
		if (pair->new != 0 && pair->old >> 6 == word >> 6)
			give(guess, GUESS_VALUE, word + pair->new);
	}
}

/* Equal values become one candidate; the order is by score, earlier predictors first among equals. */
static void rank(const struct guess_memory *memory, struct guess *guess)
{
	uint16_t best[GUESS_KINDS];

	guess->count = 0;
	for (unsigned k = 0; k < GUESS_KINDS; k++) {
		uint16_t score;
		uint32_t i = 0;

		if (!(guess->have >> k & 1))
			continue;
		score = memory->scores[k][guess->class][memory->hit[k][guess->class]];
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
	rank(memory, guess);
}

/* ---- learning ---------------------------------------------------------------------------------- */

static void learn_scores(struct guess_memory *memory, const struct guess *guess, uint32_t word)
{
	for (unsigned k = 0; k < GUESS_KINDS; k++) {
		uint8_t *hit = &memory->hit[k][guess->class];
		uint16_t *score;

		if (!(guess->have >> k & 1))
			continue;
		score = &memory->scores[k][guess->class][*hit];
		*hit = guess->made[k] == word;
		if (*hit)
			*score = (uint16_t)(*score + ((65535u - *score) * SCORE_RATE >> 8));
		else
			*score = (uint16_t)(*score - (*score * SCORE_RATE >> 8));
	}
}

/* Address that the new token speaks of, as far as the bytes before it tell. */
static bool new_target(const struct guess_history *history, const struct guess *guess,
		       uint32_t word, uint64_t *ret_target)
{
	const struct fixed_place *place = &guess->place;
	const struct region *region = place->new_region;
	const struct isa *isa = isa_of(region->kind);
	uint32_t behind = place->at - history->start, inside = place->at - region->start;
	struct isa_text text = { history->segment + behind, behind, place->token.bytes };
	struct isa_token token[ISA_TOKENS];

	if (text.before > inside)
		text.before = inside;
	if (text.before > ISA_REACH)
		text.before = ISA_REACH;
	if (!(isa->backward_classes >> place->token.class & 1))
		return false;
	if (isa->step == 4) {
		isa->split(&text, token);
		if (token[0].class != place->token.class)
			return false;
	}
	return isa->target(&text, &place->token, word, region->va + inside, ret_target);
}

static void learn_target(struct guess_memory *memory, const struct guess_history *history,
			 const struct guess *guess, uint32_t word)
{
	uint64_t old = guess->fixed.target, new;
	struct guess_target *known, *near;
	bool pc_right = (guess->fixed.have & 1u << FIXED_PC) &&
			guess->fixed.value[FIXED_PC] == word;

	known = target_of(memory, guess, old);
	if (pc_right && known->old != old)
		return;
	if (!new_target(history, guess, word, &new) || new == 0)
		return;
	*known = (struct guess_target){ old, new };
	near = near_of(memory, guess, old);
	*near = *known;
}

static void learn_data(struct guess_memory *memory, const struct guess *guess, uint32_t word)
{
	uint32_t old = guess->place.word;
	struct guess_pair *pair = word_of(memory, old);

	if (old != word) {
		*pair = (struct guess_pair){ old, word };
		memory->delta = word - old;
	} else if (pair->old == old && pair->new != 0) {
		pair->new = word;
	}
	pair = field_of(memory, old);
	if (old >> 10 != word >> 10 && (old & FIELD_MASK) == (word & FIELD_MASK))
		*pair = (struct guess_pair){ old >> 10, word >> 10 };
	else if (pair->old == old >> 10 && old == word)
		pair->new = word >> 10;
	if (old > 0 && old < VALUE_MAX) {
		pair = value_of(memory, old);
		if (old != word)
			*pair = (struct guess_pair){ old, word - old };
		else if (pair->old == old)
			pair->new = 0;
	}
}

void guess_learn(struct guess_memory *memory, const struct guess_history *history,
		 const struct guess *guess, uint32_t word)
{
	bool has_target = guess->fixed.has_target && guess->place.token.class != ISA_OTHER;

	if (guess->count > 1)
		learn_scores(memory, guess, word);
	if (has_target)
		learn_target(memory, history, guess, word);
	else if (guess->fixed.have & 1u << FIXED_PC)
		learn_role(memory, guess, word);
	if (guess->place.token.bytes == 4 && !(guess->fixed.have & 1u << FIXED_PC))
		learn_data(memory, guess, word);
}
