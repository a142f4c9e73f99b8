/* SPDX-License-Identifier: MIT
 *
 * Decisions and random bytes out of a fuzz input.
 */
#ifndef FUZZ_CHOICES_H
#define FUZZ_CHOICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct choices {
	const uint8_t *at;
	size_t left;
};

/* Next byte of the input; 0 when it is used up. */
static inline uint8_t choose_byte(struct choices *choices)
{
	if (choices->left == 0)
		return 0;
	choices->left--;
	return *choices->at++;
}

/* A number below `count`; takes as few bytes as it may need. */
static inline uint32_t choose(struct choices *choices, uint32_t count)
{
	uint32_t value = 0;

	for (uint32_t more = count - 1; count > 0 && more > 0; more >>= 8)
		value = value << 8 | choose_byte(choices);
	return count > 0 ? value % count : 0;
}

/* A stream of its own, for contents that need not be steered. */
static inline uint32_t random_next(uint32_t *state)
{
	uint32_t x = *state += 0x9e3779b9u;

	x = (x ^ x >> 16) * 0x21f0aaadu;
	x = (x ^ x >> 15) * 0x735a2d97u;
	return x ^ x >> 15;
}

static inline uint32_t random_below(uint32_t *state, uint32_t count)
{
	return count > 0 ? random_next(state) % count : 0;
}

#endif
