/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: adaptive probabilities, mixed from several contexts, in integers only.
 *
 * A context is a hash that chooses a slot: a probability and how often it was used. The slots' opinions go
 * through mixers, which learn whom to trust. docs/package-format.md fixes every number here.
 */
#ifndef DFOTA_CODEC_MODEL_H
#define DFOTA_CODEC_MODEL_H

#include "coder.h"

#define MODEL_SLOT_BITS    20u
#define MODEL_SLOTS        (1u << MODEL_SLOT_BITS)
#define MODEL_CONTEXTS_MAX 15u /* of one decision */
#define MODEL_LANES        8u  /* inputs are worked on so many at a time; those that lack are zero */
#define MODEL_INPUTS_MAX   (4 * MODEL_LANES)
#define MODEL_SETS         3u   /* weight sets that vote on one decision */
#define MODEL_STRETCH_MAX  1420 /* ln(p / (1 - p)) * 128 of the surest probability */
#define MODEL_COUNT_MAX    1023u
#define MODEL_STRETCHES    1024u /* of the less likely bit: 16 powers of two, 64 steps in each */

/* Inputs of a decision with so many contexts: two each and one more, in full lanes. */
#define MODEL_INPUTS(contexts) ((2 * (contexts) + 1 + MODEL_LANES - 1) / MODEL_LANES * MODEL_LANES)

_Static_assert(MODEL_INPUTS(MODEL_CONTEXTS_MAX) == MODEL_INPUTS_MAX, "inputs of the largest decision");

/* Weights of one kind of decision: `sets[s]` rows of `inputs` numbers for selector s; 16384 is 1.0. */
struct model_mixer {
	int16_t *weights[MODEL_SETS];
	uint32_t rows[MODEL_SETS];
	uint16_t inputs; /* in full lanes */
	uint16_t rate;   /* how fast weights learn */
	uint16_t limit;  /* slots of its contexts adapt at least as fast as after so many uses */
};

struct model {
	struct coder *coder;
	uint32_t *slots;               /* MODEL_SLOTS, of which 2^slot_bits are used: probability << 10 | count */
	unsigned slot_bits;
	int16_t stretch[MODEL_STRETCHES];
	uint16_t squash[2 * MODEL_STRETCH_MAX + 1];
	uint16_t reciprocal[MODEL_COUNT_MAX + 1];
	/* the decision at hand */
	uint32_t *chosen[MODEL_CONTEXTS_MAX];
	int16_t inputs[MODEL_INPUTS_MAX];
	uint32_t context_count;
};

/* Fills the tables. */
void model_init(struct model *model, uint32_t *slots);

/* Forgets everything that was learned in slots, for coding something of so many bytes: little needs few slots. */
void model_reset(struct model *model, uint32_t bytes);

/* Sets all weights to the start values: for contexts' first inputs `first`, for all others `second`. */
void mixer_reset(struct model_mixer *mixer, int16_t first, int16_t second);
static inline size_t mixer_bytes(const struct model_mixer *mixer)
{
	return ((size_t)mixer->rows[0] + mixer->rows[1] + mixer->rows[2]) * mixer->inputs *
	       sizeof(int16_t);
}

/* Lays the weights into memory of mixer_bytes. */
void mixer_place(struct model_mixer *mixer, int16_t *memory);

/* Start a decision, give it contexts in a fixed order, then code it. */
static inline void model_begin(struct model *model)
{
	model->context_count = 0;
}

static inline uint32_t *model_slot(const struct model *model, uint32_t hash)
{
	return &model->slots[hash >> (32 - model->slot_bits)];
}

static inline void model_choose(struct model *model, uint32_t *slot)
{
	model->chosen[model->context_count++] = slot;
}

/* The slot is fetched ahead: it is looked at when all contexts are known. */
static inline void model_context(struct model *model, uint32_t hash)
{
	uint32_t *slot = model_slot(model, hash);

	__builtin_prefetch(slot, 1);
	model_choose(model, slot);
}

unsigned model_code(struct model *model, struct model_mixer *mixer,
		    const uint32_t select[MODEL_SETS], unsigned bit);

/* Hashes of contexts: part of the format. */
static inline uint32_t model_hash2(uint32_t a, uint32_t b)
{
	uint32_t h = a * 0x9e3779b1u ^ (b + 0x7f4a7c15u) * 0x85ebca6bu;

	h ^= h >> 15;
	h *= 0x2c1b3c6du;
	return h ^ h >> 13;
}

static inline uint32_t model_hash3(uint32_t a, uint32_t b, uint32_t c)
{
	return model_hash2(model_hash2(a, b), c);
}

static inline uint32_t model_hash4(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	return model_hash2(model_hash3(a, b, c), d);
}

static inline unsigned model_log2(uint32_t value)
{
	return value ? 32u - (unsigned)__builtin_clz(value) : 0;
}

#endif
