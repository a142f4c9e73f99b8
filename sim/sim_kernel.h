/* SPDX-License-Identifier: MIT
 *
 * A kernel with MTD devices and UBI volumes, for the backends of src/flash: what they ask of the
 * system calls is answered here by the rules of the hardware.
 *
 * NAND: a page is programmed once after its block was erased, in ascending order, whole; each
 * broken rule is counted. A page that was torn, or of a block whose erase was torn, reads as
 * garbage, and only the counters tell. UBI: a block changes when the last byte of it has come, and
 * not before.
 *
 * All devices share one power, which counts programs, erases and changes; with the one of number
 * cut_at it goes. There is one such kernel in a process.
 */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

#include "../src/flash/kernel.h"

#define SIM_DEVICES_MAX 4
#define SIM_FIRST_FD	1000

enum sim_device_kind { SIM_DEVICE_MTD, SIM_DEVICE_UBI };
enum sim_cut_kind { SIM_CUT_BEFORE, SIM_CUT_TORN, SIM_CUT_AFTER, SIM_CUT_KIND_COUNT };
enum sim_page { SIM_PAGE_ERASED, SIM_PAGE_PROGRAMMED, SIM_PAGE_TORN };

struct sim_device {
	/* set by the test */
	const char *path;
	enum sim_device_kind kind;
	uint32_t block_bytes, block_count;
	bool busy; /* cannot be opened */
	/* MTD */
	uint32_t page_bytes;
	uint8_t type;	/* MTD_NANDFLASH ... */
	uint32_t flags; /* MTD_WRITEABLE ... */
	bool no_counters, no_attributes;
	uint32_t flips;	      /* bits that each page programmed from now on has to have corrected */
	uint32_t flips_times; /* so many programs, then none */
	uint32_t fail_program, fail_erase; /* 1 + block that can no longer be programmed, erased */
	/* UBI */
	const char *volume_type; /* "dynamic" */
	bool update_marker;
	uint32_t fail_changes; /* so many that fail when all bytes have come */
	/* found out */
	uint32_t broken_rules, programs, erases, changes;
	/* private */
	bool open;
	uint8_t *cells;
	enum sim_page *pages;
	uint32_t *page_flips;
	bool *bad;
	uint32_t corrected, failed;
	bool changing;
	uint32_t change_block, change_bytes, change_got;
	uint8_t *change;
};

struct sim_kernel {
	uint64_t cut_at; /* number of the operation, from 1; 0 = never */
	enum sim_cut_kind cut;
	uint64_t seed;
	uint64_t operations; /* since the last boot */
	bool off;
	struct sim_device *devices[SIM_DEVICES_MAX];
	uint32_t device_count;
};

extern struct sim_kernel sim_kernel;
extern const struct flash_kernel sim_kernel_calls;

/* An erased device; free all with sim_kernel_clear. */
void sim_device_add(struct sim_device *device);
void sim_kernel_clear(void);

/* Power comes back; counters of operations start at 0. Descriptors of before are gone. */
void sim_kernel_boot(void);

/* A block is marked bad, with what it holds. */
void sim_device_mark_bad(struct sim_device *device, uint32_t block);

/* Cells of a block of the device, bad ones counted. */
const uint8_t *sim_device_block(const struct sim_device *device, uint32_t block);

#endif
