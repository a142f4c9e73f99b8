/* SPDX-License-Identifier: MIT
 *
 * What the codec makes of code, for comparison with isa.py. Standard input: records of 128 bytes of code, an address and
 * a target of 8 bytes. Of each, and each instruction set, the instruction in the middle is cut; a line for each token.
 */
#include <inttypes.h>
#include <stdio.h>

#include "../../src/codec/isa.h"

static void show(const struct isa *isa, const uint8_t *middle, uint64_t va, uint64_t target)
{
	struct isa_token tokens[ISA_TOKENS];
	struct isa_text text = { middle, ISA_REACH, ISA_REACH };
	unsigned count = isa->split(&text, tokens);
	uint32_t done = 0;

	for (unsigned i = 0; i < count; i++) {
		struct isa_text around = { middle + done, ISA_REACH, ISA_REACH - done };
		uint32_t word = isa_load(middle + done, tokens[i].bytes), built = 0;
		uint64_t found = 0;
		bool has = false, can = false;

		if (tokens[i].class != ISA_OTHER) {
			has = isa->target(&around, &tokens[i], word, va + done, &found);
			can = isa->build(&tokens[i], word, va + done, target, &built);
		}
		printf("%u %u %u %d %" PRIx64 " %d %" PRIx32 "\n", tokens[i].bytes, tokens[i].class,
		       tokens[i].behind, has, has ? found : 0, can, can ? built : 0);
		done += tokens[i].bytes;
	}
}

int main(void)
{
	static const struct isa *const sets[] = { &isa_a64, &isa_a32, &isa_t32, &isa_x86, &isa_riscv };
	uint8_t record[2 * ISA_REACH + 16];

	while (fread(record, sizeof(record), 1, stdin) == 1)
		for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
			show(sets[i], record + ISA_REACH, dfota_get64(record + 2 * ISA_REACH),
			     dfota_get64(record + 2 * ISA_REACH + 8));
	return ferror(stdin) ? 1 : 0;
}
