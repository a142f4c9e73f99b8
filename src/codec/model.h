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
#define MODEL_CONTEXTS_MAX 24u /* of one decision */
#define MODEL_INPUTS_MAX   (2 * MODEL_CONTEXTS_MAX + 3)
#define MODEL_SETS         3u    /* weight sets that vote on one decision */
#define MODEL_STRETCH_MAX  2840  /* ln(p / (1 - p)) * 256 of the surest probability */
#define MODEL_COUNT_MAX    1023u

/* Weights of one kind of decision: `sets[s]` rows of `inputs` numbers for selector s; 65536 is 1.0. */
struct model_mixer {
	int32_t *weights[MODEL_SETS];
	uint32_t rows[MODEL_SETS];
	uint16_t inputs;
	uint16_t rate;   /* learning: error * input * rate >> 16 */
	uint16_t limit;  /* slots of its contexts adapt at least as fast as after so many uses */
};

struct model {
	struct coder *coder;
	uint32_t *slots;               /* MODEL_SLOTS: probability << 10 | count */
	int16_t stretch[4096];         /* by the upper 12 bits of a probability */
	int16_t stretch_edge[4096];    /* probabilities below 1/64, 16 bits finer */
	uint16_t reciprocal[MODEL_COUNT_MAX + 1];
	/* the decision at hand */
	uint32_t *chosen[MODEL_CONTEXTS_MAX];
	int32_t inputs[MODEL_INPUTS_MAX];
	uint32_t context_count, input_count;
};

/* Fills the tables. */
void model_init(struct model *model, uint32_t *slots);

/* Forgets everything that was learned in slots. */
void model_reset(struct model *model);

/* Sets all weights to the start values: for contexts' first inputs `first`, for their second `second`. */
void mixer_reset(struct model_mixer *mixer, int32_t first, int32_t second);
static inline size_t mixer_bytes(const struct model_mixer *mixer)
{
	return ((size_t)mixer->rows[0] + mixer->rows[1] + mixer->rows[2]) * mixer->inputs *
	       sizeof(int32_t);
}

/* Lays the weights into memory of mixer_bytes. */
void mixer_place(struct model_mixer *mixer, int32_t *memory);

/* Start a decision, give it contexts and further inputs in a fixed order, then code it. */
static inline void model_begin(struct model *model)
{
	model->context_count = 0;
	model->input_count = 0;
}

/* The slot is fetched ahead: it is looked at when all contexts are known. */
static inline void model_context(struct model *model, uint32_t hash)
{
	uint32_t *slot = &model->slots[hash >> (32 - MODEL_SLOT_BITS)];

	__builtin_prefetch(slot, 1);
	model->chosen[model->context_count++] = slot;
	model->input_count += 2;
}

static inline void model_input(struct model *model, int32_t value)
{
	model->inputs[model->input_count++] = value;
}

unsigned model_code(struct model *model, struct model_mixer *mixer,
		    const uint32_t select[MODEL_SETS], unsigned bit);

/* Probability out of 65536 for ln(p / (1 - p)) * 256. */
uint32_t model_squash(int32_t stretched);

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
