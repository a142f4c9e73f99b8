/* SPDX-License-Identifier: MIT
 *
 * Backends of real storage (block device, raw MTD, UBI volume), and one way to open any of them by name.
 *
 * Every open takes the device for itself as far as the kernel lets it, allocates what it needs once, and reads
 * only. The structs must not move while they are open. `ret_what` gets static text that says what is wrong
 * with the device, for a log; it is set on every error. Errors: DFOTA_E_NOT_FOUND, DFOTA_E_BUSY (mounted, or open
 * elsewhere), DFOTA_E_IO (not a device of this kind, read-only, or not usable), DFOTA_E_MEMORY.
 */
#ifndef DFOTA_STORAGE_H
#define DFOTA_STORAGE_H

#include "dfota/flash.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flash_kernel; /* private */

/* ---- block device: eMMC or disk, whole or a partition of it ------------------------------------
 * Writes and read_back go past the page cache (O_DIRECT); read goes through it. flush is fdatasync, which
 * empties the drive's cache too. Geometry: write_bytes is the physical block, at least the sector, at
 * most 4096; erase_bytes the physical block if that is larger: what a torn write may harm. Size is the device's:
 * an image shorter than it leaves what follows as it is.
 */
struct dfota_flash_block {
	struct dfota_flash flash; /* give &block.flash to users; context points back to this struct */
	/* private */
	const struct flash_kernel *kernel;
	int fd, cached_fd;
	uint32_t sector_bytes;
	uint8_t *bounce;
};

/* Opens a block device; for writing exclusively, so that one that is mounted is refused. */
int dfota_flash_block_open(struct dfota_flash_block *block, const char *path, bool writable,
			   const char **ret_what) DFOTA_MUST_CHECK;
void dfota_flash_block_close(struct dfota_flash_block *block); /* accepts one that did not open */

/* ---- raw NAND or NOR behind an MTD character device ---------------------------------------------
 * Block k is the k-th good one, as boot loaders count that skip bad blocks. Which blocks are bad is looked up when
 * the device is opened, and frozen: map_get and map_set carry it over restarts. Of NAND at least 2 blocks and 1 % stay spare
 * and do not count as size. A block that was written is read back at once; one in which the error correction had more to
 * do than the kernel's bitflip_threshold is erased and written again, a few times, then taken as it is. What cannot be
 * corrected is DFOTA_E_READ or _READBACK, and a block that cannot be erased or programmed DFOTA_E_ERASE or _WRITE;
 * it is not marked bad. MTD writes nothing late, so flush has nothing to do (not so block2mtd, which is for
 * experiments only). Cells of more than one bit (MLC) are refused: there a cut page harms one that was written before.
 */
#define DFOTA_MTD_BAD_MAX 120 /* bad blocks of one device */

struct dfota_flash_mtd {
	struct dfota_flash flash; /* give &mtd.flash to users; context points back to this struct */
	/* private */
	const struct flash_kernel *kernel;
	int fd;
	bool nand;
	uint32_t block_count; /* good and bad */
	uint64_t flips_max;   /* corrected bits of a page from which it is weak; 0 = not known */
	uint8_t *page;
	uint32_t bad_count, bad[DFOTA_MTD_BAD_MAX]; /* ascending */
};

/* There is no exclusive open: nothing else may use the device meanwhile. */
int dfota_flash_mtd_open(struct dfota_flash_mtd *mtd, const char *path, bool writable,
			 const char **ret_what) DFOTA_MUST_CHECK;
void dfota_flash_mtd_close(struct dfota_flash_mtd *mtd); /* accepts one that did not open */

/* ---- dynamic UBI volume ------------------------------------------------------------------------
 * Each logical erase block is changed atomically (UBI_IOCEBCH), so geometry has DFOTA_FLASH_ATOMIC_BLOCK; erase_bytes is
 * the logical block (often 126976 bytes: no power of two), write_bytes 1. UBI takes care of bad blocks and wear.
 * A static volume, and one whose update was interrupted, are refused. Nobody else may have the volume
 * open, a ubiblock device included: changes would fail with DFOTA_E_WRITE.
 */
#define DFOTA_UBI_PATH_MAX 255 /* bytes */

struct dfota_flash_ubi {
	struct dfota_flash flash; /* give &ubi.flash to users; context points back to this struct */
	/* private */
	const struct flash_kernel *kernel;
	int fd; /* -1 after a change that failed if it could not be opened again */
	char path[DFOTA_UBI_PATH_MAX + 1];
};

int dfota_flash_ubi_open(struct dfota_flash_ubi *ubi, const char *path, bool writable,
			 const char **ret_what) DFOTA_MUST_CHECK;
void dfota_flash_ubi_close(struct dfota_flash_ubi *ubi); /* accepts one that did not open */

/* ---- any of them ------------------------------------------------------------------------------- */

enum dfota_storage_kind {
	DFOTA_STORAGE_NONE, /* a zeroed struct: nothing is open */
	DFOTA_STORAGE_FILE,
	DFOTA_STORAGE_BLOCK,
	DFOTA_STORAGE_MTD,
	DFOTA_STORAGE_UBI,
	DFOTA_STORAGE_KIND_COUNT
};

enum dfota_storage_mode {
	DFOTA_STORAGE_READ,
	DFOTA_STORAGE_WRITE,
	DFOTA_STORAGE_CREATE /* as WRITE; a file that is not there is made, empty */
};

struct dfota_storage {
	enum dfota_storage_kind kind; /* private */
	union {
		struct dfota_flash_file file;
		struct dfota_flash_block block;
		struct dfota_flash_mtd mtd;
		struct dfota_flash_ubi ubi;
	} as;
};

/* Takes "<kind>:<path>" apart: file, block, mtd, ubi. Text without a kind is a file. *ret_path points into `text`. False when it
 * names no kind that there is, or no path.
 */
bool dfota_storage_parse(const char *text, enum dfota_storage_kind *ret_kind,
			 const char **ret_path) DFOTA_MUST_CHECK;

/* Opens `path` as `kind`; close whatever is returned. A power cut leaves nothing but, with CREATE, an empty file. */
int dfota_storage_open(struct dfota_storage *storage, enum dfota_storage_kind kind,
		       const char *path, enum dfota_storage_mode mode,
		       const char **ret_what) DFOTA_MUST_CHECK;
struct dfota_flash *dfota_storage_flash(struct dfota_storage *storage); /* NULL when nothing is open */
void dfota_storage_close(struct dfota_storage *storage);

#ifdef __cplusplus
}
#endif
#endif
