/* SPDX-License-Identifier: MIT
 *
 * Which kinds of region are code.
 */
#include "isa.h"

static const struct isa *const isas[REGION_KINDS] = {
	[REGION_A64] = &isa_a64,
	[REGION_A32] = &isa_a32,
	[REGION_T32] = &isa_t32,
	[REGION_X86] = &isa_x86,
	[REGION_RISCV] = &isa_riscv,
};

const struct isa *isa_of(unsigned kind)
{
	return kind < REGION_KINDS ? isas[kind] : NULL;
}
