/* SPDX-License-Identifier: MIT
 *
 * Simulated flash: what is on the medium, what only a cache holds, and what a power cut makes of
 * it.
 *
 * All flashes of a device share one sim_power, which numbers every operation that changes something
 * (write, erase, resize) and every flush. At the chosen number power goes: the operation in flight
 * ends as `outcome` says, operations that no flush has made durable end in any way, and every call
 * fails until sim_boot. After it only the medium is left. The same seed, cut and outcome give the
 * same medium.
 *
 * How a cut ends is drawn from the seed, or told exactly: `tear` and `ends`, so that a campaign can
 * visit every end.
 *
 * Faults without cuts: reads, writes, flushes ... that fail, or flip a bit, a number of times.
 * Mutants: flushes that do nothing and writes that never become durable, to prove that a campaign
 * notices.
 */
#ifndef SIM_FLASH_H
#define SIM_FLASH_H

#include "dfota/flash.h"

#define SIM_FLASHES_MAX 8

/* End of the operation that the cut hits. */
enum sim_outcome {
	SIM_NONE,     /* as if it had not begun */
	SIM_DONE,     /* as if it had been completed */
	SIM_TORN,     /* a prefix, or any subset of its sectors */
	SIM_GARBAGE,  /* its range holds random bytes */
	SIM_UNSTABLE, /* reads as done, but turns into garbage at the next boot unless written again
		       */
	SIM_OUTCOME_COUNT
};

enum sim_op {
	SIM_READ,
	SIM_READ_BACK,
	SIM_WRITE,
	SIM_ERASE,
	SIM_FLUSH,
	SIM_RESERVE,
	SIM_RESIZE,
	SIM_OP_COUNT
};

struct sim_flash;

struct sim_power {
	/* set by the test, may be changed between boots */
	uint64_t cut_at; /* number of the operation, from 1; 0 = never */
	enum sim_outcome outcome;
	uint64_t tear; /* SIM_TORN: 1 + bytes of the prefix that is done; 0 = by chance */
	/* Operations that no flush has covered: 1 + number whose digits to the base
	 * SIM_OUTCOME_COUNT are their ends, flash by flash, oldest first, the one in flight not
	 * among them. 0 = by chance.
	 */
	uint64_t ends;
	uint64_t seed;
	bool no_read_back; /* read_back sees what read sees */
	/* Called for each operation that is counted, before it is done; `open` is the number of
	 * those that no flush has covered, it not among them. */
	void (*watch)(void *context, const struct sim_flash *flash, enum sim_op op, uint64_t offset,
		      const void *data, uint64_t bytes, uint32_t open);
	void *watch_context;
	bool (*ignore_flush)(void *context, const struct sim_flash *flash, uint64_t number);
	bool (*lose_write)(void *context, const struct sim_flash *flash, uint64_t offset,
			   const void *data,
			   size_t bytes); /* in the cache only, whatever is flushed */
	void *mutant_context;
	/* found out */
	uint64_t operations; /* since the last sim_boot */
	bool off;
	/* private */
	uint64_t random;
	struct sim_flash *flashes[SIM_FLASHES_MAX];
	uint32_t flash_count;
};

struct sim_pending; /* an operation that is not durable yet */

struct sim_range {
	uint64_t offset, bytes;
};

struct sim_fault {
	uint64_t skip;		       /* calls that still work */
	uint64_t times;		       /* calls that then fail */
	uint64_t first_byte, end_byte; /* calls that touch this range count; end 0 = all */
	uint64_t flip; /* READ, READ_BACK, WRITE: 1 + bit that is flipped (modulo the length)
			* instead of failing */
};

struct sim_flash {
	struct dfota_flash flash; /* for the code under test */
	const char *name;
	uint64_t limit_bytes; /* reserve and resize beyond it fail */
	struct sim_fault faults[SIM_OP_COUNT];
	/* found out, since sim_boot */
	uint64_t calls[SIM_OP_COUNT];
	uint64_t last_write_offset;
	/* private */
	struct sim_power *power;
	uint64_t capacity, durable_bytes;
	uint8_t *medium, *view; /* durable bytes; what reads see */
	struct sim_pending *pending, **pending_end;
	struct sim_range *unstable;
	uint32_t unstable_count, unstable_room;
};

/* Geometry: flags, write_bytes, erase_bytes and erased_value as given; size_bytes is where it
 * starts, all erased. `capacity` is the most that it can ever hold.
 */
void sim_power_init(struct sim_power *power, uint64_t seed);
void sim_flash_init(struct sim_flash *flash, struct sim_power *power, const char *name,
		    const struct dfota_flash_geometry *geometry, uint64_t capacity);
void sim_flash_free(struct sim_flash *flash);

/* Puts an image on the medium, durably and without being counted; a resizable flash takes its size.
 */
void sim_flash_load(struct sim_flash *flash, const void *data, uint64_t bytes);

/* The medium of `from` becomes that of `to` (same geometry and capacity): a branch in a campaign.
 */
void sim_flash_copy(struct sim_flash *to, const struct sim_flash *from);

/* What a reader sees now. */
const uint8_t *sim_flash_view(const struct sim_flash *flash);

/* Power comes back: caches are empty, counters and power->operations start at 0. Without a cut
 * before, whatever was not flushed is decided here as at a cut.
 */
void sim_boot(struct sim_power *power);

/* Repeatable random numbers, for tests too. */
uint64_t sim_random(uint64_t *state);

#endif
