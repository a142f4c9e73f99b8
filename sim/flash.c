/* SPDX-License-Identifier: MIT
 *
 * Simulated flash: the operations and their faults. What a cut leaves is in cut.c.
 */
#include "sim_private.h"

#include <stdlib.h>

void *sim_alloc(size_t bytes)
{
	void *memory = calloc(1, bytes ? bytes : 1);

	if (!memory)
		abort();
	return memory;
}

uint64_t sim_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static bool fault_hits(struct sim_flash *flash, enum sim_op op, uint64_t offset, uint64_t bytes)
{
	struct sim_fault *fault = &flash->faults[op];

	flash->calls[op]++;
	if (fault->end_byte && (offset >= fault->end_byte || offset + bytes <= fault->first_byte))
		return false;
	if (fault->skip) {
		fault->skip--;
		return false;
	}
	if (!fault->times)
		return false;
	fault->times--;
	return true;
}

/* A fault that is to flip a bit instead. */
static bool flips(const struct sim_flash *flash, enum sim_op op, uint8_t *bytes, size_t count)
{
	uint64_t bit = flash->faults[op].flip;

	if (!bit || !count)
		return false;
	bit = (bit - 1) % (count * 8);
	bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	return true;
}

static int sim_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct sim_flash *flash = context;

	if (flash->power->off)
		return DFOTA_E_READ;
	memcpy(buffer, flash->view + offset, bytes);
	return fault_hits(flash, SIM_READ, offset, bytes) && !flips(flash, SIM_READ, buffer, bytes)
		   ? DFOTA_E_READ
		   : 0;
}

/* From the medium, so that a missing flush shows at once; a lying one must not. */
static int sim_read_back(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct sim_flash *flash = context;
	const struct sim_power *power = flash->power;
	bool lying = power->ignore_flush || power->lose_write || power->no_read_back;

	if (power->off)
		return DFOTA_E_READ;
	memcpy(buffer, (lying ? flash->view : flash->medium) + offset, bytes);
	return fault_hits(flash, SIM_READ_BACK, offset, bytes) &&
		       !flips(flash, SIM_READ_BACK, buffer, bytes)
		   ? DFOTA_E_READ
		   : 0;
}

/* Queues an operation and says whether power goes with it. */
static bool operation(struct sim_flash *flash, enum sim_op op, uint64_t offset, const void *data,
		      uint64_t bytes)
{
	struct sim_power *power = flash->power;

	if (power->watch)
		power->watch(power->watch_context, flash, op, offset, data, bytes, sim_open(power));
	if (op != SIM_FLUSH)
		sim_pend(flash, op, offset, data, bytes);
	if (++power->operations != power->cut_at)
		return false;
	sim_cut(power, op == SIM_FLUSH ? NULL : flash);
	return true;
}

static bool erased_here(const struct sim_flash *flash, uint64_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (flash->view[offset + i] != flash->flash.geometry.erased_value)
			return false;
	return true;
}

/* Whole blocks: what is not given reads as erased. */
static bool write_blocks(struct sim_flash *flash, uint64_t offset, const void *data, size_t bytes)
{
	const struct dfota_flash_geometry *geometry = &flash->flash.geometry;
	size_t whole =
	    (size_t)(dfota_ceil_div64(bytes, geometry->erase_bytes) * geometry->erase_bytes);
	uint8_t *blocks = sim_alloc(whole);
	bool cut;

	memset(blocks, geometry->erased_value, whole);
	memcpy(blocks, data, bytes);
	cut = operation(flash, SIM_WRITE, offset, blocks, whole);
	free(blocks);
	return cut;
}

/* The caller is told nothing of the bit. */
static int write_flipped(struct sim_flash *flash, uint64_t offset, const void *data, size_t bytes)
{
	uint8_t *flipped = sim_alloc(bytes);
	bool cut;

	memcpy(flipped, data, bytes);
	(void)flips(flash, SIM_WRITE, flipped, bytes);
	if (flash->flash.geometry.flags & DFOTA_FLASH_ATOMIC_BLOCK)
		cut = write_blocks(flash, offset, flipped, bytes);
	else
		cut = operation(flash, SIM_WRITE, offset, flipped, bytes);
	free(flipped);
	return cut ? DFOTA_E_WRITE : 0;
}

static int sim_write(void *context, uint64_t offset, const void *data, size_t bytes)
{
	struct sim_flash *flash = context;
	const struct dfota_flash_geometry *geometry = &flash->flash.geometry;

	if (flash->power->off)
		return DFOTA_E_WRITE;
	if ((geometry->flags & DFOTA_FLASH_ATOMIC_BLOCK) &&
	    (offset % geometry->erase_bytes != 0 ||
	     offset + dfota_ceil_div64(bytes, geometry->erase_bytes) * geometry->erase_bytes >
		 flash->capacity))
		return DFOTA_E_WRITE;
	if ((geometry->flags & DFOTA_FLASH_NEEDS_ERASE) && !erased_here(flash, offset, bytes))
		return DFOTA_E_WRITE;
	flash->last_write_offset = offset;
	if (fault_hits(flash, SIM_WRITE, offset, bytes)) {
		if (flash->faults[SIM_WRITE].flip)
			return write_flipped(flash, offset, data, bytes);
		/* Half of it may be there. */
		if (!(geometry->flags & DFOTA_FLASH_ATOMIC_BLOCK))
			sim_pend(flash, SIM_WRITE, offset, data, bytes / 2);
		return DFOTA_E_WRITE;
	}
	if (geometry->flags & DFOTA_FLASH_ATOMIC_BLOCK)
		return write_blocks(flash, offset, data, bytes) ? DFOTA_E_WRITE : 0;
	return operation(flash, SIM_WRITE, offset, data, bytes) ? DFOTA_E_WRITE : 0;
}

static int sim_erase(void *context, uint64_t offset, uint64_t bytes)
{
	struct sim_flash *flash = context;
	uint32_t block = flash->flash.geometry.erase_bytes;

	if (flash->power->off || offset % block != 0 || bytes % block != 0 ||
	    fault_hits(flash, SIM_ERASE, offset, bytes))
		return DFOTA_E_ERASE;
	return operation(flash, SIM_ERASE, offset, NULL, bytes) ? DFOTA_E_ERASE : 0;
}

static int sim_flush(void *context)
{
	struct sim_flash *flash = context;
	struct sim_power *power = flash->power;

	if (power->off || fault_hits(flash, SIM_FLUSH, 0, 0))
		return DFOTA_E_FLUSH;
	if (operation(flash, SIM_FLUSH, 0, NULL, 0))
		return DFOTA_E_FLUSH;
	if (!power->ignore_flush ||
	    !power->ignore_flush(power->mutant_context, flash, flash->calls[SIM_FLUSH]))
		sim_settle(flash);
	return 0;
}

static int sim_reserve(void *context, uint64_t size_bytes)
{
	struct sim_flash *flash = context;

	if (flash->power->off)
		return DFOTA_E_WRITE;
	if (fault_hits(flash, SIM_RESERVE, 0, size_bytes))
		return DFOTA_E_SPACE;
	return size_bytes > flash->limit_bytes ? DFOTA_E_SPACE : 0;
}

static int sim_resize(void *context, uint64_t size_bytes)
{
	struct sim_flash *flash = context;

	if (flash->power->off || fault_hits(flash, SIM_RESIZE, 0, size_bytes))
		return DFOTA_E_RESIZE;
	if (size_bytes > flash->limit_bytes)
		return DFOTA_E_SPACE;
	return operation(flash, SIM_RESIZE, 0, NULL, size_bytes) ? DFOTA_E_RESIZE : 0;
}

static const struct dfota_flash_ops sim_ops = {
	.read = sim_read,
	.read_back = sim_read_back,
	.write = sim_write,
	.erase = sim_erase,
	.flush = sim_flush,
	.reserve = sim_reserve,
	.resize = sim_resize,
};

void sim_power_init(struct sim_power *power, uint64_t seed)
{
	*power = (struct sim_power){ .seed = seed };
}

void sim_flash_init(struct sim_flash *flash, struct sim_power *power, const char *name,
		    const struct dfota_flash_geometry *geometry, uint64_t capacity)
{
	*flash = (struct sim_flash){
		.flash = { .ops = &sim_ops, .context = flash, .geometry = *geometry },
		.name = name,
		.limit_bytes = capacity,
		.power = power,
		.capacity = capacity,
		.durable_bytes = geometry->size_bytes,
		.medium = sim_alloc(capacity),
		.view = sim_alloc(capacity),
	};
	flash->pending_end = &flash->pending;
	if (power->flash_count == SIM_FLASHES_MAX || geometry->size_bytes > capacity)
		abort();
	power->flashes[power->flash_count++] = flash;
	memset(flash->medium, geometry->erased_value, geometry->size_bytes);
	memcpy(flash->view, flash->medium, capacity);
}

void sim_flash_free(struct sim_flash *flash)
{
	sim_forget(flash);
	free(flash->unstable);
	free(flash->medium);
	free(flash->view);
	*flash = (struct sim_flash){ 0 };
}

void sim_flash_load(struct sim_flash *flash, const void *data, uint64_t bytes)
{
	struct dfota_flash_geometry *geometry = &flash->flash.geometry;
	uint64_t rest = flash->capacity - bytes;

	if (bytes > flash->capacity)
		abort();
	sim_forget(flash);
	flash->unstable_count = 0;
	if (bytes)
		memcpy(flash->medium, data, bytes);
	memset(flash->medium + bytes, geometry->erased_value, rest);
	if (geometry->flags & DFOTA_FLASH_RESIZABLE) {
		memset(flash->medium + bytes, 0, rest);
		geometry->size_bytes = flash->durable_bytes = bytes;
	}
	memcpy(flash->view, flash->medium, flash->capacity);
}

void sim_flash_copy(struct sim_flash *to, const struct sim_flash *from)
{
	sim_forget(to);
	memcpy(to->medium, from->medium, from->capacity);
	memcpy(to->view, from->medium, from->capacity);
	to->durable_bytes = to->flash.geometry.size_bytes = from->durable_bytes;
	to->unstable_count = 0;
	for (uint32_t i = 0; i < from->unstable_count; i++)
		sim_unsettle(to, from->unstable[i].offset, from->unstable[i].bytes);
}

const uint8_t *sim_flash_view(const struct sim_flash *flash)
{
	return flash->view;
}
