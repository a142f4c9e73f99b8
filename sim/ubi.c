/* SPDX-License-Identifier: MIT
 *
 * A UBI volume of the simulated kernel.
 */
#include <errno.h>
#include <mtd/ubi-user.h>
#include <sys/ioctl.h>

#include "sim_kernel_private.h"
#include "sim_private.h"

int sim_ubi_ioctl(struct sim_device *device, unsigned long request, void *argument)
{
	const struct ubi_leb_change_req *change = argument;

	errno = ENOTTY;
	if (request != UBI_IOCEBCH)
		return -1;
	errno = strcmp(device->volume_type, "dynamic") != 0 ? EROFS : EINVAL;
	if (errno == EROFS || change->lnum < 0 || (uint32_t)change->lnum >= device->block_count ||
	    change->bytes <= 0 || (uint32_t)change->bytes > device->block_bytes)
		return -1;
	errno = EBUSY;
	if (device->changing)
		return -1;
	device->changing = true;
	device->change_block = (uint32_t)change->lnum;
	device->change_bytes = (uint32_t)change->bytes;
	device->change_got = 0;
	return 0;
}

static bool change_done(struct sim_device *device)
{
	uint8_t *cells = device->cells + (size_t)device->change_block * device->block_bytes;
	bool torn, whole;

	/* A failure leaves the change open until the device is closed. */
	if (device->fail_changes > 0) {
		device->fail_changes--;
		return false;
	}
	whole = sim_kernel_operation(&torn);
	/* Torn means here: by chance. */
	if (torn)
		whole = sim_random(&sim_kernel.seed) % 2;
	if (whole) {
		memset(cells, 0xff, device->block_bytes);
		memcpy(cells, device->change, device->change_bytes);
		device->changes++;
	}
	device->changing = false;
	return !sim_kernel.off;
}

ssize_t sim_ubi_write(struct sim_device *device, const uint8_t *data, size_t bytes)
{
	errno = EPERM;
	if (!device->changing)
		return -1;
	bytes = (size_t)dfota_min64(bytes, device->change_bytes - device->change_got);
	memcpy(device->change + device->change_got, data, bytes);
	device->change_got += (uint32_t)bytes;
	errno = EIO;
	if (device->change_got == device->change_bytes && !change_done(device))
		return -1;
	return (ssize_t)bytes;
}

void sim_ubi_close(struct sim_device *device)
{
	device->changing = false;
}
