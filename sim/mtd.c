/* SPDX-License-Identifier: MIT
 *
 * An MTD device of the simulated kernel.
 */
#include <errno.h>
#include <mtd/mtd-user.h>
#include <sys/ioctl.h>

#include "sim_kernel_private.h"
#include "sim_private.h"

static uint32_t pages_of(const struct sim_device *device)
{
	return device->block_bytes / device->page_bytes;
}

static void garble(struct sim_device *device, uint64_t at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		device->cells[at + i] ^= (uint8_t)(sim_random(&sim_kernel.seed) & 0x5a);
}

/* As the character device does it: whatever the error correction says, the bytes are handed out. */
ssize_t sim_mtd_pread(struct sim_device *device, uint8_t *out, size_t bytes, uint64_t at)
{
	uint64_t end = at + bytes;

	for (uint64_t page = at / device->page_bytes; page * device->page_bytes < end; page++) {
		device->corrected += device->page_flips[page];
		device->failed += device->pages[page] == SIM_PAGE_TORN;
	}
	memcpy(out, device->cells + at, bytes);
	return (ssize_t)bytes;
}

static bool page_may_be_programmed(const struct sim_device *device, uint64_t page)
{
	uint64_t first = page / pages_of(device) * pages_of(device);

	for (uint64_t other = page; other < first + pages_of(device); other++)
		if (device->pages[other] != SIM_PAGE_ERASED)
			return false;
	return !device->bad[page / pages_of(device)];
}

static bool page_program(struct sim_device *device, const uint8_t *data, uint64_t page)
{
	uint64_t at = page * device->page_bytes;
	bool torn, whole = sim_kernel_operation(&torn);

	device->broken_rules += !page_may_be_programmed(device, page);
	if (whole || torn) {
		memcpy(device->cells + at, data, device->page_bytes);
		device->pages[page] = torn ? SIM_PAGE_TORN : SIM_PAGE_PROGRAMMED;
		device->page_flips[page] = device->flips_times > 0 ? device->flips : 0;
		device->programs++;
	}
	if (torn)
		garble(device, at, device->page_bytes);
	if (device->flips_times > 0)
		device->flips_times--;
	return whole && !sim_kernel.off;
}

ssize_t sim_mtd_pwrite(struct sim_device *device, const uint8_t *data, size_t bytes, uint64_t at)
{
	if (at % device->page_bytes != 0 || bytes % device->page_bytes != 0) {
		device->broken_rules++;
		errno = EINVAL;
		return -1;
	}
	errno = EIO;
	for (size_t done = 0; done < bytes; done += device->page_bytes) {
		uint64_t page = (at + done) / device->page_bytes;

		if (device->fail_program == page / pages_of(device) + 1)
			return -1;
		if (!page_program(device, data + done, page))
			return -1;
	}
	return (ssize_t)bytes;
}

static int block_erase(struct sim_device *device, const struct erase_info_user64 *range)
{
	uint64_t block = range->start / device->block_bytes;
	uint64_t first = block * pages_of(device);
	bool torn, whole;

	errno = EIO;
	if (range->start % device->block_bytes != 0 || range->length != device->block_bytes ||
	    block >= device->block_count || device->bad[block] || device->fail_erase == block + 1)
		return -1;
	whole = sim_kernel_operation(&torn);
	if (!whole && !torn)
		return -1;
	memset(device->cells + range->start, 0xff, device->block_bytes);
	if (torn)
		garble(device, range->start, device->block_bytes);
	for (uint64_t page = first; page < first + pages_of(device); page++) {
		device->pages[page] = torn ? SIM_PAGE_TORN : SIM_PAGE_ERASED;
		device->page_flips[page] = 0;
	}
	device->erases++;
	return torn || sim_kernel.off ? -1 : 0;
}

int sim_mtd_ioctl(struct sim_device *device, unsigned long request, void *argument)
{
	struct mtd_ecc_stats *stats = argument;
	loff_t *at = argument;

	switch (request) {
	case MEMGETINFO:
		*(struct mtd_info_user *)argument = (struct mtd_info_user){
			.type = device->type,
			.flags = device->flags,
			.size = device->block_bytes * device->block_count,
			.erasesize = device->block_bytes,
			.writesize = device->page_bytes,
			.oobsize = 64,
		};
		return 0;
	case ECCGETSTATS:
		if (device->no_counters)
			break;
		*stats = (struct mtd_ecc_stats){ .corrected = device->corrected,
						 .failed = device->failed };
		return 0;
	case MEMGETBADBLOCK:
		return device->bad[*at / device->block_bytes];
	case MEMERASE64:
		return block_erase(device, argument);
	}
	errno = ENOTTY;
	return -1;
}
