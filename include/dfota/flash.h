/* SPDX-License-Identifier: MIT
 *
 * What a partition is: geometry and five to nine operations. Backend: file; block, mtd and ubi are in storage.h.
 *
 * Porting: fill in the geometry, write the operations, run tests/powerloss against it. An operation
 * returns 0 or a negative enum dfota_error (DFOTA_E_READ, _WRITE, _ERASE, _FLUSH, _RESIZE, _SPACE).
 * What a power cut leaves: a write or erase that has returned but is not yet flushed may be done, not
 * done, torn at any byte or hold garbage, and so may the one in flight; after flush returns 0 all is
 * durable. Bytes outside the blocks touched are never changed.
 */
#ifndef DFOTA_FLASH_H
#define DFOTA_FLASH_H

#include "dfota/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_FLASH_NEEDS_ERASE  1u /* a block is erased before it is written, pages in order, once */
#define DFOTA_FLASH_ATOMIC_BLOCK 2u /* a write starts at a block and replaces it atomically (UBI): a cut leaves the old block or
				     * the new one, for good; the rest of the last block reads as erased */
#define DFOTA_FLASH_MAP_MAX      256 /* bytes */
#define DFOTA_FLASH_RESIZABLE    4u /* reserve and resize exist; size_bytes is the image's exact size */

struct dfota_flash_geometry {
	uint64_t size_bytes;   /* capacity; with RESIZABLE the current size */
	uint32_t write_bytes;  /* writes start and end on multiples of it (the end of a file excepted): 1..64 KiB */
	uint32_t erase_bytes;  /* erase block; where nothing is erased, what a cut write may harm: write_bytes or more */
	uint8_t erased_value;  /* byte read from an erased block */
	uint32_t flags;
};

struct dfota_flash_ops {
	/* Any offset and length inside the size. */
	int (*read)(void *context, uint64_t offset, void *buffer, size_t bytes);
	/* The same from the medium, past every cache, for data that was flushed. NULL: read is it. */
	int (*read_back)(void *context, uint64_t offset, void *buffer, size_t bytes);
	int (*write)(void *context, uint64_t offset, const void *data, size_t bytes);
	/* Whole blocks; NULL without DFOTA_FLASH_NEEDS_ERASE. */
	int (*erase)(void *context, uint64_t offset, uint64_t bytes);
	int (*flush)(void *context);
	/* RESIZABLE only. reserve makes sure that the partition can grow to size_bytes and that every
	 * block already inside can be overwritten, changing no content and no size: DFOTA_E_SPACE if not.
	 * resize sets the size; growth reads as zero; updates geometry.size_bytes.
	 */
	int (*reserve)(void *context, uint64_t size_bytes);
	int (*resize)(void *context, uint64_t size_bytes);
	/* Both or none: for flash whose blocks may lie elsewhere after a restart (bad blocks of NAND). map_get describes where
	 * they lie now, in at most DFOTA_FLASH_MAP_MAX bytes (DFOTA_E_SPACE if they do not do). map_set makes a
	 * description the rule from now on, whatever the medium says, and updates geometry.size_bytes; DFOTA_E_CONTENT when
	 * it is not one of this flash.
	 */
	int (*map_get)(void *context, uint8_t ret_map[DFOTA_FLASH_MAP_MAX], size_t *ret_bytes);
	int (*map_set)(void *context, const uint8_t *map, size_t bytes);
};

struct dfota_flash {
	const struct dfota_flash_ops *ops;
	void *context;
	struct dfota_flash_geometry geometry;
};

/* Bounds-checked calls; the only ones that users make. DFOTA_E_ARGUMENT outside the size, and for writes that are
 * not on multiples of write_bytes. Zero bytes are no operation. Without RESIZABLE reserve answers from the size
 * (DFOTA_E_SPACE) and resize accepts the present size only (DFOTA_E_RESIZE).
 */
int dfota_flash_read(struct dfota_flash *flash, uint64_t offset, void *buffer, size_t bytes)
	DFOTA_MUST_CHECK;
int dfota_flash_read_back(struct dfota_flash *flash, uint64_t offset, void *buffer, size_t bytes)
	DFOTA_MUST_CHECK;
int dfota_flash_write(struct dfota_flash *flash, uint64_t offset, const void *data, size_t bytes)
	DFOTA_MUST_CHECK;
int dfota_flash_flush(struct dfota_flash *flash) DFOTA_MUST_CHECK;
int dfota_flash_reserve(struct dfota_flash *flash, uint64_t size_bytes) DFOTA_MUST_CHECK;
int dfota_flash_resize(struct dfota_flash *flash, uint64_t size_bytes) DFOTA_MUST_CHECK;

/* Flash without these operations has a map of 0 bytes, and takes no other. */
int dfota_flash_map_get(struct dfota_flash *flash, uint8_t ret_map[DFOTA_FLASH_MAP_MAX],
			size_t *ret_bytes) DFOTA_MUST_CHECK;
int dfota_flash_map_set(struct dfota_flash *flash, const uint8_t *map, size_t bytes) DFOTA_MUST_CHECK;

/* Replaces what is at [offset, offset + bytes): erases first where needed, then writes. `offset` is on a block boundary;
 * `bytes` is a multiple of write_bytes, or the range ends at the size. Whole blocks are erased: what lies
 * behind the range in its last block is lost.
 */
int dfota_flash_replace(struct dfota_flash *flash, uint64_t offset, const void *data, size_t bytes)
	DFOTA_MUST_CHECK;

/* ---- backend: plain file ------------------------------------------------------------------
 * Overwrites in place; flush is fdatasync; read_back drops the page cache of the range first. Geometry: write_bytes 1,
 * erase none, RESIZABLE. On file systems that copy on write or compress, reserve is only as good as
 * their fallocate.
 */
struct dfota_flash_file {
	struct dfota_flash flash; /* give &file.flash to users; context points back to this struct */
	int fd;
	bool writable;
	uint64_t reserved_bytes; /* private: room taken past the end, given back by close */
};

/* Opens an existing file read-only (writable false) or read-write. The struct must not move afterwards.
 * Errors: DFOTA_E_NOT_FOUND, DFOTA_E_IO.
 */
int dfota_flash_file_open(struct dfota_flash_file *file, const char *path, bool writable)
	DFOTA_MUST_CHECK;

/* The same, creating the file empty (mode 0600) and syncing its folder when it is not there. */
int dfota_flash_file_create(struct dfota_flash_file *file, const char *path) DFOTA_MUST_CHECK;
void dfota_flash_file_close(struct dfota_flash_file *file); /* accepts fd -1 */

#ifdef __cplusplus
}
#endif
#endif
