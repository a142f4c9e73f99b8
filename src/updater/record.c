/* SPDX-License-Identifier: MIT
 *
 * Three log blocks of CRC'd records.
 *
 * A record: tag, CRC-32C of all that follows, generation (64), payload bytes, zero (32), payload.
 * Without erasing a block holds one record: sectors are never shared, so a torn write harms only
 * the block it was meant for. With erasing it holds one record a page.
 */
#include "dfota/record.h"

#include "mutant.h"

#define HEADER_BYTES  24u
#define RECORD_BYTES  (HEADER_BYTES + DFOTA_RECORD_PAYLOAD_MAX)
#define BLOCK_MIN     4096u /* no physical sector is larger */
#define READ_ATTEMPTS 3

_Static_assert(RECORD_BYTES <= DFOTA_RECORD_PAGE_MAX, "a record fits a page");

static uint32_t round_up(uint32_t value, uint32_t to)
{
	return (value + to - 1) / to * to;
}

static uint32_t block_bytes_of(const struct dfota_flash *flash)
{
	uint32_t page = flash->geometry.write_bytes, block = flash->geometry.erase_bytes;

	return round_up(BLOCK_MIN, block > page ? block : page);
}

static uint32_t page_bytes_of(const struct dfota_flash *flash)
{
	return round_up(RECORD_BYTES, flash->geometry.write_bytes);
}

uint64_t dfota_record_store_bytes(const struct dfota_flash *flash)
{
	return (uint64_t)block_bytes_of(flash) * DFOTA_RECORD_BLOCKS;
}

static uint64_t slot_offset(const struct dfota_record_store *store, uint32_t block, uint32_t slot)
{
	return store->offset + (uint64_t)block * store->block_bytes +
	       (uint64_t)slot * page_bytes_of(store->flash);
}

/* True when `page` holds a record of this store. */
static bool record_ok(const struct dfota_record_store *store, const uint8_t *page)
{
	uint32_t bytes = dfota_get32(page + 16);

	return dfota_get32(page) == store->tag && bytes > 0 && bytes <= DFOTA_RECORD_PAYLOAD_MAX &&
	       dfota_get64(page + 8) > 0 && dfota_get64(page + 8) < UINT64_MAX &&
	       (MUTANT(NO_CRC) ||
		dfota_get32(page + 4) == dfota_crc32c(0, page + 8, HEADER_BYTES - 8 + bytes));
}

/* Reads a slot into `page`; true when it holds a record. A read that fails or flips a bit this
 * once must not make an older record the newest one: it is tried again.
 */
static bool record_read(struct dfota_record_store *store, uint64_t at, bool *ret_readable)
{
	*ret_readable = false;
	for (int i = 0; i < READ_ATTEMPTS; i++) {
		if (dfota_flash_read(store->flash, at, store->page, RECORD_BYTES))
			continue;
		*ret_readable = true;
		if (record_ok(store, store->page))
			return true;
	}
	return false;
}

static void record_take(struct dfota_record_store *store, uint32_t block, uint32_t slot)
{
	uint64_t generation = dfota_get64(store->page + 8);

	if (store->block_generation[block] < generation)
		store->block_generation[block] = generation;
	if (store->generation >= generation)
		return;
	store->generation = generation;
	store->newest_block = block;
	store->next_slot = slot + 1;
	store->payload_bytes = dfota_get32(store->page + 16);
	memcpy(store->payload, store->page + HEADER_BYTES, store->payload_bytes);
}

int dfota_record_store_open(struct dfota_record_store *store, struct dfota_flash *flash,
			    uint64_t offset, uint32_t tag)
{
	uint32_t there = 0, readable = 0;

	if (page_bytes_of(flash) > DFOTA_RECORD_PAGE_MAX)
		return DFOTA_E_ARGUMENT;
	*store = (struct dfota_record_store){
		.flash = flash,
		.offset = offset,
		.block_bytes = block_bytes_of(flash),
		.tag = tag,
		.slots = 1,
		.fresh = true,
	};
	if (flash->geometry.flags & DFOTA_FLASH_NEEDS_ERASE)
		store->slots = store->block_bytes / page_bytes_of(flash);
	for (uint32_t i = 0; i < DFOTA_RECORD_BLOCKS * store->slots; i++) {
		uint32_t block = i / store->slots, slot = i % store->slots;
		uint64_t at = slot_offset(store, block, slot);
		bool can_read;

		if (!dfota_inside(at, RECORD_BYTES, flash->geometry.size_bytes))
			continue;
		there++;
		if (record_read(store, at, &can_read))
			record_take(store, block, slot);
		readable += can_read;
	}
	/* One was perhaps being written when power went, and may read well some day. */
	store->last_generation = store->generation + 1;
	return there > 0 && readable == 0 ? DFOTA_E_READ : 0;
}

const uint8_t *dfota_record_get(const struct dfota_record_store *store, size_t *ret_bytes)
{
	*ret_bytes = store->generation ? store->payload_bytes : 0;
	return store->generation ? store->payload : NULL;
}

/* The block with the lowest generation, never the one that holds the newest record. */
static uint32_t victim(const struct dfota_record_store *store)
{
	uint32_t best = DFOTA_RECORD_BLOCKS;

	for (uint32_t i = 0; i < DFOTA_RECORD_BLOCKS - MUTANT(TWO_BLOCKS); i++) {
		if (store->generation && i == store->newest_block)
			continue;
		if (best == DFOTA_RECORD_BLOCKS ||
		    store->block_generation[i] < store->block_generation[best])
			best = i;
	}
	return best;
}

static void page_fill(struct dfota_record_store *store, const void *payload, uint32_t bytes,
		      uint64_t generation)
{
	uint8_t *page = store->page;

	memset(page, store->flash->geometry.erased_value, sizeof(store->page));
	memmove(page + HEADER_BYTES, payload, bytes);
	dfota_put32(page, store->tag);
	dfota_put64(page + 8, generation);
	dfota_put32(page + 16, bytes);
	dfota_put32(page + 20, 0);
	dfota_put32(page + 4, dfota_crc32c(0, page + 8, HEADER_BYTES - 8 + bytes));
}

static int page_prove(struct dfota_record_store *store, uint64_t at, uint32_t bytes)
{
	uint8_t piece[256];

	for (uint32_t done = 0; done < bytes; done += (uint32_t)sizeof(piece)) {
		uint32_t n = (uint32_t)dfota_min64(sizeof(piece), bytes - done);
		int error = dfota_flash_read_back(store->flash, at + done, piece, n);

		if (error)
			return error;
		if (memcmp(piece, store->page + done, n) != 0)
			return DFOTA_E_READBACK;
	}
	return 0;
}

static int page_write(struct dfota_record_store *store, uint32_t block, uint32_t slot)
{
	uint64_t at = slot_offset(store, block, slot);
	uint32_t bytes = page_bytes_of(store->flash);
	int error;

	/* What the record speaks of must be durable before the record can be. */
	error = MUTANT(NO_FLUSH_BEFORE) ? 0 : dfota_flash_flush(store->flash);
	if (error)
		return error;
	if (slot == 0)
		error = dfota_flash_replace(store->flash, at, store->page, bytes);
	else
		error = dfota_flash_write(store->flash, at, store->page, bytes);
	if (error)
		return error;
	error = MUTANT(NO_FLUSH_AFTER) ? 0 : dfota_flash_flush(store->flash);
	if (error)
		return error;
	return page_prove(store, at, bytes);
}

int dfota_record_put(struct dfota_record_store *store, const void *payload, size_t bytes)
{
	uint32_t block = store->newest_block, slot = store->next_slot;
	int error;

	if (bytes == 0 || bytes > DFOTA_RECORD_PAYLOAD_MAX ||
	    !dfota_inside(store->offset, dfota_record_store_bytes(store->flash),
			  store->flash->geometry.size_bytes))
		return DFOTA_E_ARGUMENT;
	if (store->generation == 0 || store->fresh || slot >= store->slots) {
		block = victim(store);
		slot = 0;
		store->block_generation[block] = 0;
	}
	store->last_generation++;
	page_fill(store, payload, (uint32_t)bytes, store->last_generation);
	error = page_write(store, block, slot);
	if (error) {
		store->fresh = true;
		return error;
	}
	store->fresh = false;
	store->generation = store->last_generation;
	store->block_generation[block] = store->generation;
	store->newest_block = block;
	store->next_slot = slot + 1;
	store->payload_bytes = (uint32_t)bytes;
	memcpy(store->payload, store->page + HEADER_BYTES, bytes);
	return 0;
}

int dfota_record_refresh(struct dfota_record_store *store)
{
	if (store->generation == 0 || MUTANT(NO_REFRESH))
		return 0;
	store->fresh = true;
	return dfota_record_put(store, store->payload, store->payload_bytes);
}
