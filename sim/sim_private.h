/* SPDX-License-Identifier: MIT
 *
 * Between the two halves of the simulated flash.
 */
#ifndef SIM_PRIVATE_H
#define SIM_PRIVATE_H

#include "sim_flash.h"

struct sim_pending {
	struct sim_pending *next;
	enum sim_op op;
	bool lost;		/* by a mutant: never reaches the medium */
	uint64_t offset, bytes; /* RESIZE: bytes is the new size */
	uint8_t data[];
};

void *sim_alloc(size_t bytes);

/* Shows an operation to readers and remembers it until it is durable. */
void sim_pend(struct sim_flash *flash, enum sim_op op, uint64_t offset, const void *data,
	      uint64_t bytes);

/* Operations of all flashes that are not durable yet. */
uint32_t sim_open(const struct sim_power *power);

/* All that is pending becomes durable, in order. */
void sim_settle(struct sim_flash *flash);

/* Drops what is pending without a trace. */
void sim_forget(struct sim_flash *flash);

/* Marks a range of the medium as unstable. */
void sim_unsettle(struct sim_flash *flash, uint64_t offset, uint64_t bytes);

/* Power goes. The last pending operation of `in_flight` ends as power->outcome says; NULL for a
 * flush. */
void sim_cut(struct sim_power *power, struct sim_flash *in_flight);

#endif
