/* SPDX-License-Identifier: MIT
 *
 * One small value that survives power cuts: three log blocks of CRC'd, generation-numbered records.
 *
 * The newest valid record is the value. A write never touches the block that holds it: the block with
 * the lowest generation is reused, flush before and after. On flash that is erased, records are appended
 * one page each inside a block, except after a restart, when the next write goes to another block.
 * Used for the journal (updater), the upgrade flag and the module's state. Part of `updater`.
 */
#ifndef DFOTA_RECORD_H
#define DFOTA_RECORD_H

#include "dfota/flash.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_RECORD_PAYLOAD_MAX 1000  /* bytes */
#define DFOTA_RECORD_PAGE_MAX    4096u /* bytes; largest write_bytes of a flash that keeps records */
#define DFOTA_RECORD_BLOCKS      3

struct dfota_record_store {
	struct dfota_flash *flash;
	uint64_t offset;         /* of the first block */
	uint32_t block_bytes;
	uint32_t tag;            /* kind of record: others in the same place are not valid */
	/* private */
	uint32_t slots;          /* records per block */
	uint64_t generation;     /* of the newest record, 0 = none */
	uint64_t last_generation;/* ever tried: a failed write may have reached the medium */
	uint32_t newest_block, next_slot;
	bool fresh;              /* a restart or a failed write lies between the newest record and now */
	uint64_t block_generation[DFOTA_RECORD_BLOCKS];
	uint32_t payload_bytes;
	uint8_t payload[DFOTA_RECORD_PAYLOAD_MAX];
	uint8_t page[DFOTA_RECORD_PAGE_MAX];
};

/* Bytes that the store takes on `flash` (three blocks). Resizable flash must be at least that large. */
uint64_t dfota_record_store_bytes(const struct dfota_flash *flash);

/* Scans the blocks. Damaged records are passed over; no valid one is not an error (generation 0), nor is a resizable
 * flash that is still too small. Reads only. Errors: DFOTA_E_READ only if no block could be read;
 * DFOTA_E_ARGUMENT when write_bytes is above DFOTA_RECORD_PAGE_MAX.
 */
int dfota_record_store_open(struct dfota_record_store *store, struct dfota_flash *flash,
			    uint64_t offset, uint32_t tag) DFOTA_MUST_CHECK;

/* Newest payload, or NULL and 0 bytes. Valid until the next write. */
const uint8_t *dfota_record_get(const struct dfota_record_store *store, size_t *ret_bytes);

/* Replaces the value. When it returns 0 a power cut leaves the new value; a cut before that, or an error, leaves the
 * old or the new one. Flushes `flash` before and after, and reads the record back. DFOTA_E_ARGUMENT for a
 * payload that is empty or over DFOTA_RECORD_PAYLOAD_MAX, or a flash that is too small; else the flash's errors.
 */
int dfota_record_put(struct dfota_record_store *store, const void *payload, size_t bytes)
	DFOTA_MUST_CHECK;

/* Writes the newest record once more, to another block: first act after a restart. Nothing if there is none. */
int dfota_record_refresh(struct dfota_record_store *store) DFOTA_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
