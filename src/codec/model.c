/* SPDX-License-Identifier: MIT
 *
 * Slots, mixers and the tables behind them.
 */
#include "model.h"

#define SQUASH_STEP 64
#define CONFIDENT   4u /* uses after which a slot's second input counts in full */
#define SLOT_HALF   (1u << 21)
#define SLOT_TOP    ((1u << 22) - 1)
#define WEIGHT_MAX  (8 << 16)

/* 2^26 / (1 + e^(i / 4)): chance of the less likely bit, at every 64th of the stretched scale. */
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

uint32_t model_squash(int32_t stretched)
{
	uint32_t x = (uint32_t)(stretched < 0 ? -stretched : stretched), low, high, p;

	if (x > MODEL_STRETCH_MAX)
		x = MODEL_STRETCH_MAX;
	low = squash_table[x / SQUASH_STEP];
	high = squash_table[x / SQUASH_STEP + 1];
	p = (low - (low - high) / SQUASH_STEP * (x % SQUASH_STEP) + 512) >> 10;
	if (p < 1)
		p = 1;
	return stretched < 0 ? p : 65536 - p;
}

/* Inverse of model_squash for a probability out of 2^22, found by walking along it. */
static void fill_stretch(int16_t *table, size_t count, uint32_t first, uint32_t step)
{
	int32_t x = -MODEL_STRETCH_MAX;

	for (size_t i = 0; i < count; i++) {
		uint32_t p = first + (uint32_t)i * step;

		while (x < MODEL_STRETCH_MAX && model_squash(x) << 6 < p)
			x++;
		table[i] = (int16_t)x;
	}
}

void model_init(struct model *model, uint32_t *slots)
{
	model->slots = slots;
	fill_stretch(model->stretch, 4096, 512, 1024);
	fill_stretch(model->stretch_edge, 4096, 8, 16);
	for (uint32_t n = 0; n <= MODEL_COUNT_MAX; n++)
		model->reciprocal[n] = (uint16_t)(655360u / (10 * n + 16));
}

void model_reset(struct model *model)
{
	for (uint32_t i = 0; i < MODEL_SLOTS; i++)
		model->slots[i] = SLOT_HALF << 10;
}

void mixer_place(struct model_mixer *mixer, int32_t *memory)
{
	for (unsigned s = 0; s < MODEL_SETS; s++) {
		mixer->weights[s] = memory;
		memory += (size_t)mixer->rows[s] * mixer->inputs;
	}
}

void mixer_reset(struct model_mixer *mixer, int32_t first, int32_t second)
{
	for (unsigned s = 0; s < MODEL_SETS; s++) {
		int32_t *weight = mixer->weights[s];

		for (uint32_t row = 0; row < mixer->rows[s]; row++)
			for (unsigned i = 0; i < mixer->inputs; i++)
				*weight++ = i & 1 ? second : first;
	}
}

static int32_t stretch(const struct model *model, uint32_t p)
{
	if (p < 1u << 16)
		return model->stretch_edge[p >> 4];
	if (p > SLOT_TOP - (1u << 16))
		return -model->stretch_edge[(SLOT_TOP - p) >> 4];
	return model->stretch[p >> 10];
}

/* Two inputs for each context: what its slot thinks, and that weighed by how much it has seen. */
static void ask_slots(struct model *model)
{
	static const uint16_t confidence[CONFIDENT + 1] = { 0, 102, 154, 205, 256 };
	int32_t *inputs = model->inputs;

	for (uint32_t i = 0; i < model->context_count; i++, inputs += 2) {
		uint32_t slot = *model->chosen[i], p = slot >> 10, n = slot & MODEL_COUNT_MAX;

		inputs[0] = inputs[1] = 0;
		if (n == 0)
			continue;
		inputs[0] = stretch(model, p);
		inputs[1] = ((int32_t)p - (int32_t)SLOT_HALF) / 4096 *
			    confidence[n < CONFIDENT ? n : CONFIDENT] / 256;
	}
}

static void learn_slots(struct model *model, uint32_t limit, unsigned bit)
{
	for (uint32_t i = 0; i < model->context_count; i++) {
		uint32_t slot = *model->chosen[i], n = slot & MODEL_COUNT_MAX, p = slot >> 10;
		uint32_t rate = model->reciprocal[n];

		if (bit)
			p += (uint32_t)(((uint64_t)(SLOT_TOP - p) * rate) >> 16);
		else
			p -= (uint32_t)(((uint64_t)p * rate) >> 16);
		*model->chosen[i] = p << 10 | (n < limit ? n + 1 : n);
	}
}

static int32_t clamp(int64_t value, int32_t limit)
{
	if (value > limit)
		return limit;
	return value < -limit ? -limit : (int32_t)value;
}

static void learn_weights(const struct model *model, const struct model_mixer *mixer,
			  int32_t *weights, int32_t error)
{
	int32_t step = error * mixer->rate;

	for (uint32_t i = 0; i < model->input_count; i++)
		weights[i] = clamp(weights[i] + (((int64_t)step * model->inputs[i] + 32768) >> 16),
				   WEIGHT_MAX);
}

unsigned model_code(struct model *model, struct model_mixer *mixer,
		    const uint32_t select[MODEL_SETS], unsigned bit)
{
	int32_t *rows[MODEL_SETS], votes[MODEL_SETS], mean = 0;
	unsigned sets = 0;

	ask_slots(model);
	for (; sets < MODEL_SETS && mixer->rows[sets] > 0; sets++) {
		int64_t sum = 0;

		rows[sets] = mixer->weights[sets] + (size_t)select[sets] * mixer->inputs;
		for (uint32_t i = 0; i < model->input_count; i++)
			sum += (int64_t)rows[sets][i] * model->inputs[i];
		votes[sets] = clamp(sum >> 16, MODEL_STRETCH_MAX);
		mean += votes[sets];
	}
	bit = coder_bit(model->coder, model_squash(mean / (int32_t)sets), bit);
	for (unsigned s = 0; s < sets; s++)
		learn_weights(model, mixer, rows[s],
			      (int32_t)(bit << 16) - (int32_t)model_squash(votes[s]));
	learn_slots(model, mixer->limit, bit);
	return bit;
}
