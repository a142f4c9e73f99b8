/* SPDX-License-Identifier: MIT
 *
 * Shapes of BTF records.
 */
#include "btf.h"

#define HEAD 3u /* words */

#define T ROLE_TYPE
#define S ROLE_STRING
#define N ROLE_NONE

struct shape {
	uint8_t third;   /* role of the head's last word */
	uint8_t period;  /* words of one element of the body; 0 = no body */
	uint8_t single;  /* the body is one element whatever the count says */
	uint8_t roles[3];
};

static const struct shape shapes[32] = {
	[1] = { N, 1, 1, { N } },        /* int */
	[2] = { T, 0, 0, { N } },        /* pointer */
	[3] = { N, 3, 1, { T, T, N } },  /* array */
	[4] = { N, 3, 0, { S, T, N } },  /* struct */
	[5] = { N, 3, 0, { S, T, N } },  /* union */
	[6] = { N, 2, 0, { S, N } },     /* enum */
	[8] = { T, 0, 0, { N } },        /* typedef */
	[9] = { T, 0, 0, { N } },        /* volatile */
	[10] = { T, 0, 0, { N } },       /* const */
	[11] = { T, 0, 0, { N } },       /* restrict */
	[12] = { T, 0, 0, { N } },       /* function */
	[13] = { T, 2, 0, { S, T } },    /* function prototype */
	[14] = { T, 1, 1, { N } },       /* variable */
	[15] = { N, 3, 0, { T, N, N } }, /* section */
	[17] = { T, 1, 1, { N } },       /* tag of a declaration */
	[18] = { T, 0, 0, { N } },       /* tag of a type */
	[19] = { N, 3, 0, { S, N, N } }, /* enum of 64 bits */
};

enum fixed_role btf_role(const struct btf_walk *walk)
{
	const struct shape *shape = &shapes[walk->kind & 31];

	switch (walk->at) {
	case 0: return ROLE_STRING;
	case 1: return ROLE_NONE;
	case 2: return (enum fixed_role)shape->third;
	}
	return walk->at - HEAD < 3 ? (enum fixed_role)shape->roles[walk->at - HEAD] : ROLE_NONE;
}

bool btf_step(struct btf_walk *walk, uint32_t word)
{
	const struct shape *shape;

	if (walk->at == 1) {
		walk->kind = word >> 24 & 31;
		shape = &shapes[walk->kind];
		walk->left = shape->period * (shape->single ? 1u : word & 0xffffu);
	}
	shape = &shapes[walk->kind & 31];
	if (walk->at < 2) {
		walk->at++;
		return false;
	}
	if (walk->at > 2) {
		walk->left--;
		walk->at++;
		if (walk->at - HEAD >= shape->period)
			walk->at = HEAD;
	} else {
		walk->at = HEAD;
	}
	if (walk->left > 0 && walk->left <= UINT32_MAX / 2)
		return false;
	*walk = (struct btf_walk){ 0 };
	return true;
}
