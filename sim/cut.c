/* SPDX-License-Identifier: MIT
 *
 * What is durable, and what a power cut makes of the rest.
 */
#include <stdlib.h>

#include "sim_private.h"

#define SECTOR 512u

void sim_unsettle(struct sim_flash *flash, uint64_t offset, uint64_t bytes)
{
	if (flash->unstable_count == flash->unstable_room) {
		uint32_t room = flash->unstable_room * 2 + 8;
		struct sim_range *grown = realloc(flash->unstable, room * sizeof(*grown));

		if (!grown)
			abort();
		flash->unstable = grown;
		flash->unstable_room = room;
	}
	flash->unstable[flash->unstable_count++] = (struct sim_range){ offset, bytes };
}

/* Writing or erasing heals a range that it covers wholly; partly covered ones stay. */
static void heal(struct sim_flash *flash, uint64_t offset, uint64_t bytes)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < flash->unstable_count; i++) {
		struct sim_range range = flash->unstable[i];

		if (range.offset < offset || range.offset + range.bytes > offset + bytes)
			flash->unstable[kept++] = range;
	}
	flash->unstable_count = kept;
}

static void apply(struct sim_flash *flash, uint8_t *bytes, uint64_t *size,
		  const struct sim_pending *pending)
{
	switch (pending->op) {
	case SIM_WRITE:
		memcpy(bytes + pending->offset, pending->data, pending->bytes);
		break;
	case SIM_ERASE:
		memset(bytes + pending->offset, flash->flash.geometry.erased_value, pending->bytes);
		break;
	case SIM_RESIZE:
		if (pending->bytes < *size)
			memset(bytes + pending->bytes, 0, *size - pending->bytes);
		*size = pending->bytes;
		break;
	case SIM_READ:
	case SIM_READ_BACK:
	case SIM_FLUSH:
	case SIM_RESERVE:
	case SIM_OP_COUNT:
		break;
	}
}

void sim_pend(struct sim_flash *flash, enum sim_op op, uint64_t offset, const void *data,
	      uint64_t bytes)
{
	struct sim_power *power = flash->power;
	uint64_t held = op == SIM_WRITE ? bytes : 0;
	struct sim_pending *pending = sim_alloc(sizeof(*pending) + held);

	pending->op = op;
	pending->offset = offset;
	pending->bytes = bytes;
	if (held)
		memcpy(pending->data, data, held);
	if (op == SIM_WRITE && power->lose_write)
		pending->lost =
		    power->lose_write(power->mutant_context, flash, offset, data, bytes);
	*flash->pending_end = pending;
	flash->pending_end = &pending->next;
	apply(flash, flash->view, &flash->flash.geometry.size_bytes, pending);
}

uint32_t sim_open(const struct sim_power *power)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < power->flash_count; i++)
		for (const struct sim_pending *p = power->flashes[i]->pending; p; p = p->next)
			count++;
	return count;
}

void sim_forget(struct sim_flash *flash)
{
	while (flash->pending) {
		struct sim_pending *next = flash->pending->next;

		free(flash->pending);
		flash->pending = next;
	}
	flash->pending_end = &flash->pending;
}

static void done(struct sim_flash *flash, const struct sim_pending *pending)
{
	apply(flash, flash->medium, &flash->durable_bytes, pending);
	if (pending->op != SIM_RESIZE)
		heal(flash, pending->offset, pending->bytes);
}

void sim_settle(struct sim_flash *flash)
{
	struct sim_pending **link = &flash->pending;

	while (*link) {
		struct sim_pending *pending = *link;

		if (pending->lost) { /* stays in the cache until power goes */
			link = &pending->next;
			continue;
		}
		done(flash, pending);
		*link = pending->next;
		free(pending);
	}
	flash->pending_end = link;
}

static void garbage(struct sim_flash *flash, uint64_t offset, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		flash->medium[offset + i] = (uint8_t)sim_random(&flash->power->random);
}

/* As told, else half of the tears are a prefix cut at any byte, half any subset of the sectors. */
static void torn(struct sim_flash *flash, const struct sim_pending *pending)
{
	uint64_t *random = &flash->power->random;
	uint64_t tear = flash->power->tear;
	bool prefix = tear || sim_random(random) % 2 == 0;
	uint64_t chance = prefix && pending->bytes ? sim_random(random) % pending->bytes : 0;
	uint64_t end = tear ? dfota_min64(tear - 1, pending->bytes) : chance;
	uint8_t erased = flash->flash.geometry.erased_value;

	for (uint64_t at = 0; at < pending->bytes; at += SECTOR) {
		uint64_t n = dfota_min64(SECTOR, pending->bytes - at);

		if (prefix)
			n = at < end ? dfota_min64(n, end - at) : 0;
		else if (sim_random(random) % 2)
			continue;
		if (pending->op == SIM_WRITE)
			memcpy(flash->medium + pending->offset + at, pending->data + at, n);
		else
			memset(flash->medium + pending->offset + at, erased, n);
	}
}

/* Each block is the old or the new one. */
static void atomic(struct sim_flash *flash, const struct sim_pending *pending,
		   enum sim_outcome outcome)
{
	uint32_t block = flash->flash.geometry.erase_bytes;

	for (uint64_t at = 0; at < pending->bytes; at += block)
		if (outcome == SIM_DONE || sim_random(&flash->power->random) % 2)
			memcpy(flash->medium + pending->offset + at, pending->data + at,
			       (size_t)dfota_min64(block, pending->bytes - at));
}

static void settle_as(struct sim_flash *flash, const struct sim_pending *pending,
		      enum sim_outcome outcome)
{
	if (outcome == SIM_NONE || pending->lost)
		return;
	if (pending->op == SIM_RESIZE) {
		/* A journaling file system has the old size or the new one. */
		if (outcome == SIM_DONE || outcome == SIM_UNSTABLE ||
		    sim_random(&flash->power->random) % 2)
			done(flash, pending);
		return;
	}
	if (flash->flash.geometry.flags & DFOTA_FLASH_ATOMIC_BLOCK) {
		atomic(flash, pending, outcome);
		return;
	}
	switch (outcome) {
	case SIM_TORN:
		torn(flash, pending);
		break;
	case SIM_GARBAGE:
		garbage(flash, pending->offset, pending->bytes);
		break;
	case SIM_DONE:
	case SIM_UNSTABLE:
		done(flash, pending);
		break;
	case SIM_NONE:
	case SIM_OUTCOME_COUNT:
		break;
	}
	if (outcome != SIM_DONE)
		sim_unsettle(flash, pending->offset, pending->bytes);
}

/* What only read well since the last cut does so no more. */
static void decay(struct sim_flash *flash)
{
	for (uint32_t i = 0; i < flash->unstable_count; i++)
		garbage(flash, flash->unstable[i].offset, flash->unstable[i].bytes);
	flash->unstable_count = 0;
}

/* How the operations that no flush has covered end: all gone, all there, or each on its own. */
static enum sim_outcome loose_end(struct sim_power *power, uint64_t mood, uint64_t *told)
{
	static const enum sim_outcome ends[] = { SIM_NONE, SIM_DONE, SIM_TORN, SIM_GARBAGE,
						 SIM_UNSTABLE };
	uint64_t digit = *told % SIM_OUTCOME_COUNT;

	if (power->ends) {
		*told /= SIM_OUTCOME_COUNT;
		return (enum sim_outcome)digit;
	}
	if (mood == 0)
		return SIM_NONE;
	if (mood == 1)
		return SIM_DONE;
	return ends[sim_random(&power->random) % (sizeof(ends) / sizeof(ends[0]))];
}

void sim_cut(struct sim_power *power, struct sim_flash *in_flight)
{
	uint64_t mood, told = power->ends - 1;

	power->random =
	    power->seed ^ (power->cut_at * 0x2545f4914f6cdd1du) ^ ((uint64_t)power->outcome << 56);
	mood = sim_random(&power->random) % 4;
	power->off = true;
	for (uint32_t i = 0; i < power->flash_count; i++) {
		struct sim_flash *flash = power->flashes[i];

		decay(flash);
		for (struct sim_pending *pending = flash->pending; pending;
		     pending = pending->next) {
			bool hit = flash == in_flight && !pending->next;

			/* A cut in a flush: the outcome is that of all it was to make durable. */
			if (hit || (!in_flight && !power->ends && mood == 3))
				settle_as(flash, pending, power->outcome);
			else
				settle_as(flash, pending, loose_end(power, mood, &told));
		}
		sim_forget(flash);
	}
}

void sim_boot(struct sim_power *power)
{
	if (!power->off)
		sim_cut(power, NULL);
	power->off = false;
	power->operations = 0;
	for (uint32_t i = 0; i < power->flash_count; i++) {
		struct sim_flash *flash = power->flashes[i];

		flash->flash.geometry.size_bytes = flash->durable_bytes;
		memcpy(flash->view, flash->medium, flash->capacity);
		memset(flash->calls, 0, sizeof(flash->calls));
		memset(flash->faults, 0, sizeof(flash->faults));
	}
}
