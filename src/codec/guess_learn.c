/* SPDX-License-Identifier: MIT
 *
 * What predictors learn from a token that is known.
 */
#include "guess_tables.h"

#define SCORE_RATE 5u /* of 256 */

static void learn_role(struct guess_memory *memory, const struct guess *guess, uint32_t word)
{
	uint64_t key = role_key(guess);
	uint32_t entry = target_entry(guess, key);

	if (guess->fixed.value[FIXED_PC] != word || target_known(memory, entry, key))
		target_set(memory, entry, key, word);
}

static void learn_scores(struct guess_memory *memory, const struct guess *guess, uint32_t word)
{
	uint16_t (*scores)[2] = memory->scores[guess->class];
	uint32_t right = memory->right[guess->class];

	for (uint32_t left = guess->have; left; left &= left - 1) {
		unsigned k = (unsigned)__builtin_ctz(left);
		uint16_t *score = &scores[k][right >> k & 1];

		if (guess->made[k] == word) {
			right |= 1u << k;
			*score = (uint16_t)(*score + ((65535u - *score) * SCORE_RATE >> 8));
		} else {
			right &= ~(1u << k);
			*score = (uint16_t)(*score - (*score * SCORE_RATE >> 8));
		}
	}
	memory->right[guess->class] = (uint16_t)right;
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

	if (place->token.class == ISA_POOL) {
		*ret_target = (uint32_t)(word + place->pool.new_base);
		return true;
	}
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
	uint32_t entry = target_entry(guess, old);
	bool pc_right = (guess->fixed.have & 1u << FIXED_PC) &&
			guess->fixed.value[FIXED_PC] == word;

	if (pc_right && !target_known(memory, entry, old))
		return;
	if (!new_target(history, guess, word, &new) || new == 0)
		return;
	target_set(memory, entry, old, new);
	entry = near_entry(guess, old);
	memory->nears[entry] = (struct guess_target){ old, new };
	fill(memory->nears_filled, entry);
}

static void pair_set(struct guess_pair *pairs, uint32_t *filled, uint32_t entry, uint32_t old,
		     uint32_t new)
{
	pairs[entry] = (struct guess_pair){ old, new };
	fill(filled, entry);
}

static void learn_changed(struct guess_memory *memory, uint32_t old, uint32_t word)
{
	pair_set(memory->words, memory->words_filled, word_entry(old), old, word);
	memory->delta = word - old;
	if (old >> 10 != word >> 10 && (old & GUESS_FIELD_MASK) == (word & GUESS_FIELD_MASK))
		pair_set(memory->fields, memory->fields_filled, field_entry(old), old >> 10,
			 word >> 10);
	if (old > 0 && old < GUESS_VALUE_MAX)
		pair_set(memory->values, memory->values_filled, value_entry(old), old, word - old);
}

/* What was learned of this word does not hold any more. */
static void learn_unchanged(struct guess_memory *memory, uint32_t word)
{
	uint32_t entry = word_entry(word);

	if (is_filled(memory->words_filled, entry) && memory->words[entry].old == word &&
	    memory->words[entry].new != 0)
		memory->words[entry].new = word;
	entry = field_entry(word);
	if (is_filled(memory->fields_filled, entry) && memory->fields[entry].old == word >> 10)
		memory->fields[entry].new = word >> 10;
	entry = value_entry(word);
	if (word > 0 && word < GUESS_VALUE_MAX && is_filled(memory->values_filled, entry) &&
	    memory->values[entry].old == word)
		memory->values[entry].new = 0;
}

static void learn_data(struct guess_memory *memory, const struct guess *guess, uint32_t word)
{
	if (guess->place.word != word)
		learn_changed(memory, guess->place.word, word);
	else
		learn_unchanged(memory, word);
}

void guess_learn(struct guess_memory *memory, const struct guess_history *history,
		 struct guess *guess, uint32_t word)
{
	bool has_target = guess->fixed.has_target && guess->place.token.class != ISA_OTHER;

	if (word == GUESS_ID_MARK && guess->place.token.bytes == 4)
		memory->id_at = guess->place.at + 4;

	guess->unchanged = word == guess->place.word ? guess->unchanged + guess->place.token.bytes : 0;
	if (guess->count > 1)
		learn_scores(memory, guess, word);
	if (has_target)
		learn_target(memory, history, guess, word);
	else if (guess->fixed.have & 1u << FIXED_PC)
		learn_role(memory, guess, word);
	if (guess->place.token.bytes == 4 && !(guess->fixed.have & 1u << FIXED_PC))
		learn_data(memory, guess, word);
}
