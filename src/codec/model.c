/* SPDX-License-Identifier: MIT
 *
 * Slots, mixers and the tables behind them.
 */
#include "model.h"

#define SQUASH_STEP 32
#define CONFIDENT   4u /* uses after which a slot's second input counts in full */
#define SLOT_HALF   (1u << 21)
#define SLOT_TOP    ((1u << 22) - 1)
#define SLOTS_PER_BYTE_BITS 2u
#define SLOT_BITS_LEAST     12u
#define STRETCH_SHIFT 64u /* so that the smallest probability has all its steps */
#define WEIGHT_MAX  28000 /* far enough from the end of 16 bits for one more step */
#define WEIGHT_BITS 14
#define BIAS        39

/* 2^26 / (1 + e^(i / 4)): chance of the less likely bit, at every 32nd of the stretched scale. */
static const uint32_t squash_table[] = {
	33554432, 29381838, 25336325, 21529953, 18048353, 14945153,
	12242370, 9935279, 7999573, 6398794, 5090756, 4032347,
	3182696, 2504965, 1967111, 1541985, 1207034, 943794,
	737321, 575625, 449150, 350317, 273142, 212915,
	165935, 129301, 100743, 78485, 61140, 47625,
	37096, 28894, 22505, 17528, 13652, 10632,
	8281, 6449, 5023, 3912, 3047, 2373,
	1848, 1439, 1121, 873,
};

/* Probability out of 65536 for ln(p / (1 - p)) * 128. */
static uint32_t squash_of(int32_t stretched)
{
	uint32_t x = (uint32_t)(stretched < 0 ? -stretched : stretched), low, high, p;

	low = squash_table[x / SQUASH_STEP];
	high = squash_table[x / SQUASH_STEP + 1];
	p = (low - (low - high) / SQUASH_STEP * (x % SQUASH_STEP) + 512) >> 10;
	if (p < 1)
		p = 1;
	return stretched < 0 ? p : 65536 - p;
}

/* Magnitudes for the less likely bit's probability, in steps that are fine where it is small: inverse of squash_of, found by
 * walking along it.
 */
static void fill_stretch(int16_t stretch[MODEL_STRETCHES])
{
	int32_t x = MODEL_STRETCH_MAX;

	for (uint32_t i = 0; i < MODEL_STRETCHES; i++) {
		uint32_t p = ((2 * (64 + i % 64) + 1) << (i / 64)) / 2 - STRETCH_SHIFT;

		while (x > 0 && squash_of(-x) << 6 < p)
			x--;
		stretch[i] = (int16_t)x;
	}
}

void model_init(struct model *model, uint32_t *slots)
{
	model->slots = slots;
	for (int32_t x = -MODEL_STRETCH_MAX; x <= MODEL_STRETCH_MAX; x++)
		model->squash[x + MODEL_STRETCH_MAX] = (uint16_t)squash_of(x);
	fill_stretch(model->stretch);
	for (uint32_t n = 0; n <= MODEL_COUNT_MAX; n++)
		model->reciprocal[n] = (uint16_t)(655360u / (10 * n + 16));
}

void model_reset(struct model *model, uint32_t bytes)
{
	unsigned bits = model_log2(bytes) + SLOTS_PER_BYTE_BITS;

	bits = bits < SLOT_BITS_LEAST ? SLOT_BITS_LEAST : bits;
	model->slot_bits = bits > MODEL_SLOT_BITS ? MODEL_SLOT_BITS : bits;
	for (uint32_t i = 0; i < 1u << model->slot_bits; i++)
		model->slots[i] = SLOT_HALF << 10;
}

void mixer_place(struct model_mixer *mixer, int16_t *memory)
{
	for (unsigned s = 0; s < MODEL_SETS; s++) {
		mixer->weights[s] = memory;
		memory += (size_t)mixer->rows[s] * mixer->inputs;
	}
}

void mixer_reset(struct model_mixer *mixer, int16_t first, int16_t second)
{
	for (unsigned s = 0; s < MODEL_SETS; s++) {
		int16_t *weight = mixer->weights[s];

		for (size_t i = 0; i < (size_t)mixer->rows[s] * mixer->inputs; i += 2) {
			weight[i] = first;
			weight[i + 1] = second;
		}
	}
}

static int16_t stretch(const struct model *model, uint32_t p)
{
	uint32_t less = (p < SLOT_HALF ? p : SLOT_TOP - p) + STRETCH_SHIFT;
	unsigned power = model_log2(less) - 7;
	int16_t magnitude = model->stretch[power << 6 | (less >> power & 63)];

	return p < SLOT_HALF ? (int16_t)-magnitude : magnitude;
}

/* Two inputs for each context: what its slot thinks, and that weighed by how much it has seen. */
static void ask_slots(struct model *model, uint32_t inputs_count)
{
	static const int16_t confidence[CONFIDENT + 1] = { 0, 102, 154, 205, 256 };
	int16_t *inputs = model->inputs, *end = inputs + inputs_count;

	for (uint32_t i = 0; i < model->context_count; i++, inputs += 2) {
		uint32_t slot = *model->chosen[i], p = slot >> 10, n = slot & MODEL_COUNT_MAX;
		int32_t lean = ((int32_t)p - (int32_t)SLOT_HALF) >> 13;

		inputs[0] = stretch(model, p);
		inputs[1] = (int16_t)(lean * confidence[n < CONFIDENT ? n : CONFIDENT] >> 8);
	}
	*inputs++ = BIAS;
	while (inputs < end)
		*inputs++ = 0;
}

static void learn_slots(struct model *model, uint32_t limit, unsigned bit)
{
	int64_t goal = bit ? SLOT_TOP : 0;

	for (uint32_t i = 0; i < model->context_count; i++) {
		uint32_t slot = *model->chosen[i], n = slot & MODEL_COUNT_MAX;
		int64_t p = slot >> 10;

		p += (goal - p) * model->reciprocal[n] >> 16;
		*model->chosen[i] = (uint32_t)p << 10 | (n < limit ? n + 1 : n);
	}
}

/* Full lanes, and numbers of 16 bits throughout: compilers make wide instructions of these two loops. Sums cannot overflow:
 * 32 * 28000 * 1420 < 2^31.
 */
static int32_t vote(const int16_t *restrict weights, const int16_t *restrict inputs, uint32_t count)
{
	int32_t sum = 0;

	count = count / MODEL_LANES * MODEL_LANES;
	for (uint32_t i = 0; i < count; i++)
		sum += weights[i] * inputs[i];
	sum >>= WEIGHT_BITS;
	if (sum > MODEL_STRETCH_MAX)
		return MODEL_STRETCH_MAX;
	return sum < -MODEL_STRETCH_MAX ? -MODEL_STRETCH_MAX : sum;
}

static void learn_weights(int16_t *restrict weights, const int16_t *restrict inputs, uint32_t count,
			  int16_t step)
{
	count = count / MODEL_LANES * MODEL_LANES;
	for (uint32_t i = 0; i < count; i++) {
		int16_t fine = (int16_t)(inputs[i] * 16);
		int16_t high = (int16_t)((step * fine) >> 16);
		int16_t half = (int16_t)((int16_t)(high + 1) >> 1);
		int16_t sum = (int16_t)(weights[i] + half);
		int16_t limited = sum < WEIGHT_MAX ? sum : WEIGHT_MAX;

		weights[i] = limited > -WEIGHT_MAX ? limited : -WEIGHT_MAX;
	}
}

unsigned model_code(struct model *model, struct model_mixer *mixer,
		    const uint32_t select[MODEL_SETS], unsigned bit)
{
	const uint16_t *squash = model->squash + MODEL_STRETCH_MAX;
	int32_t votes[MODEL_SETS], mean = 0;
	int16_t *rows[MODEL_SETS];
	int32_t sets = 0;

	ask_slots(model, mixer->inputs);
	for (; sets < (int32_t)MODEL_SETS && mixer->rows[sets] > 0; sets++) {
		rows[sets] = mixer->weights[sets] + (size_t)select[sets] * mixer->inputs;
		votes[sets] = vote(rows[sets], model->inputs, mixer->inputs);
		mean += votes[sets];
	}
	bit = coder_bit(model->coder, squash[mean / sets], bit);
	for (int32_t s = 0; s < sets; s++) {
		int32_t error = (int32_t)(bit << 16) - squash[votes[s]];

		learn_weights(rows[s], model->inputs, mixer->inputs,
			      (int16_t)((error * mixer->rate + 8) >> 4));
	}
	learn_slots(model, mixer->limit, bit);
	return bit;
}
