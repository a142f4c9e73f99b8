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

static uint32_t hash(uint32_t value, unsigned bits)
{
	return (value * 0x9e3779b1u) >> (32 - bits);
}

static bool is_filled(const uint32_t *filled, uint32_t entry)
{
	return filled[entry / 32] >> (entry % 32) & 1;
}

static void fill(uint32_t *filled, uint32_t entry)
{
	filled[entry / 32] |= 1u << (entry % 32);
}

/* Entries of the tables. */

static uint32_t target_entry(const struct guess *guess, uint64_t address)
{
	return hash((uint32_t)address ^ (uint32_t)(address >> 32) * 31u ^
			    (uint32_t)guess->place.old_region->group << 20,
		    13);
}

/* Neighbours share an entry: what was last learned in the same 4 KiB. */
static uint32_t near_entry(const struct guess *guess, uint64_t address)
{
	return hash((uint32_t)(address >> 12) ^ (uint32_t)guess->place.old_region->group << 20, 12);
}

static uint32_t word_entry(uint32_t word)
{
	return hash(word, 15);
}

static uint32_t field_entry(uint32_t word)
{
	return hash(word >> 10, 13);
}

static uint32_t value_entry(uint32_t value)
{
	return hash(value >> 6, 13);
}

/* What is known of an address or key; NULL: nothing. */
static const struct guess_target *target_known(const struct guess_memory *memory, uint32_t entry,
					       uint64_t key)
{
	if (!is_filled(memory->targets_filled, entry) || memory->targets[entry].old != key)
		return NULL;
	return &memory->targets[entry];
}

static void target_set(struct guess_memory *memory, uint32_t entry, uint64_t old, uint64_t new)
{
	memory->targets[entry] = (struct guess_target){ old, new };
	fill(memory->targets_filled, entry);
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

/* BTF: what became of this very type or string. */
static uint64_t role_key(const struct guess *guess)
{
	return (uint64_t)guess->place.role << 32 | guess->place.word;
}

static void predict_role(const struct guess_memory *memory, struct guess *guess)
{
	uint64_t key = role_key(guess);
	const struct guess_target *known = target_known(memory, target_entry(guess, key), key);

	if (known)
		give(guess, GUESS_LEARNED, (uint32_t)known->new);
}

static void learn_role(struct guess_memory *memory, const struct guess *guess, uint32_t word)
{
	uint64_t key = role_key(guess);
	uint32_t entry = target_entry(guess, key);

	if (guess->fixed.value[FIXED_PC] != word || target_known(memory, entry, key))
		target_set(memory, entry, key, word);
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
			give(guess, GUESS_IMMEDIATE, pair->new << 10 | (word & FIELD_MASK));
	}
	if (memory->delta != 0)
		give(guess, GUESS_DELTA, word + memory->delta);
	if (guess->unchanged < 24) { /* else there is nothing to see in them */
		predict_column(guess, history, GUESS_COLUMN8, 8);
		predict_column(guess, history, GUESS_COLUMN12, 12);
		predict_column(guess, history, GUESS_COLUMN24, 24);
	}
	entry = value_entry(word);
	if (word > 0 && word < VALUE_MAX && is_filled(memory->values_filled, entry)) {
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

#define ID_MARK  0x00554e47u /* the note's owner, right before it */
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

/* ---- learning ---------------------------------------------------------------------------------- */

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
	if (old >> 10 != word >> 10 && (old & FIELD_MASK) == (word & FIELD_MASK))
		pair_set(memory->fields, memory->fields_filled, field_entry(old), old >> 10,
			 word >> 10);
	if (old > 0 && old < VALUE_MAX)
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
	if (word > 0 && word < VALUE_MAX && is_filled(memory->values_filled, entry) &&
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

	if (word == ID_MARK && guess->place.token.bytes == 4)
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
