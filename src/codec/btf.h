/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: what the words of BTF type records are.
 *
 * BTF is the kernel's type information: records of a head (name, info, size or type) and a body whose
 * shape the info word tells. A walker follows the records of the new image as they are decoded.
 */
#ifndef DFOTA_CODEC_BTF_H
#define DFOTA_CODEC_BTF_H

#include "fixed.h"

/* Zeroed, it stands at the start of a record. */
struct btf_walk {
	uint32_t at;    /* word of the record; behind the head 3 + place in the body's period */
	uint32_t kind;
	uint32_t left;  /* words of the body still to come, the one it stands at included */
};

/* Role of the word that the walker stands at. */
enum fixed_role btf_role(const struct btf_walk *walk);

/* Goes past it. Returns true when a record starts there. */
bool btf_step(struct btf_walk *walk, uint32_t word);

#endif
