/* SPDX-License-Identifier: MIT
 *
 * The simulated kernel: descriptors, power, attributes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_kernel_private.h"
#include "sim_private.h"

struct sim_kernel sim_kernel;

static struct sim_device *device_of(int fd)
{
	uint32_t index = (uint32_t)(fd - SIM_FIRST_FD);

	if (fd < SIM_FIRST_FD || index >= sim_kernel.device_count ||
	    !sim_kernel.devices[index]->open || sim_kernel.off) {
		errno = EBADF;
		return NULL;
	}
	return sim_kernel.devices[index];
}

bool sim_kernel_operation(bool *ret_torn)
{
	*ret_torn = false;
	if (++sim_kernel.operations != sim_kernel.cut_at)
		return true;
	sim_kernel.off = true;
	*ret_torn = sim_kernel.cut == SIM_CUT_TORN;
	return sim_kernel.cut == SIM_CUT_AFTER;
}

static int kernel_open(const char *path, int flags)
{
	for (uint32_t i = 0; i < sim_kernel.device_count && !sim_kernel.off; i++) {
		struct sim_device *device = sim_kernel.devices[i];

		if (strcmp(device->path, path) != 0)
			continue;
		/* One writer at a time, as UBI has it. */
		if (device->busy || device->open) {
			errno = EBUSY;
			return -1;
		}
		(void)flags;
		device->open = true;
		return SIM_FIRST_FD + (int)i;
	}
	errno = ENOENT;
	return -1;
}

static int kernel_close(int fd)
{
	struct sim_device *device = device_of(fd);

	if (!device)
		return -1;
	device->open = false;
	sim_ubi_close(device);
	return 0;
}

static int kernel_status(int fd, struct stat *ret_status)
{
	if (!device_of(fd))
		return -1;
	*ret_status = (struct stat){ .st_mode = S_IFCHR | 0600 };
	return 0;
}

static ssize_t kernel_pread(int fd, void *buffer, size_t bytes, off_t offset)
{
	struct sim_device *device = device_of(fd);
	uint64_t size, at = (uint64_t)offset;

	if (!device)
		return -1;
	size = (uint64_t)device->block_bytes * device->block_count;
	if (at >= size)
		return 0;
	bytes = (size_t)dfota_min64(bytes, size - at);
	if (device->kind == SIM_DEVICE_MTD)
		return sim_mtd_pread(device, buffer, bytes, at);
	memcpy(buffer, device->cells + at, bytes);
	return (ssize_t)bytes;
}

static ssize_t kernel_pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	struct sim_device *device = device_of(fd);

	if (!device)
		return -1;
	errno = EPERM;
	return device->kind == SIM_DEVICE_MTD
		   ? sim_mtd_pwrite(device, data, bytes, (uint64_t)offset)
		   : -1;
}

static ssize_t kernel_write(int fd, const void *data, size_t bytes)
{
	struct sim_device *device = device_of(fd);

	if (!device)
		return -1;
	errno = EPERM;
	return device->kind == SIM_DEVICE_UBI ? sim_ubi_write(device, data, bytes) : -1;
}

static int kernel_sync(int fd)
{
	return device_of(fd) ? 0 : -1;
}

static int kernel_ioctl(int fd, unsigned long request, void *argument)
{
	struct sim_device *device = device_of(fd);

	if (!device)
		return -1;
	return device->kind == SIM_DEVICE_MTD ? sim_mtd_ioctl(device, request, argument)
					      : sim_ubi_ioctl(device, request, argument);
}

static int kernel_attribute(int fd, const char *name, char *ret_text, size_t room)
{
	struct sim_device *device = device_of(fd);
	bool ubi;

	if (!device || device->no_attributes)
		return -1;
	ubi = device->kind == SIM_DEVICE_UBI;
	if (!ubi && strcmp(name, "size") == 0)
		(void)snprintf(ret_text, room, "%llu",
			       (unsigned long long)device->block_bytes * device->block_count);
	else if (!ubi && strcmp(name, "bitflip_threshold") == 0)
		(void)snprintf(ret_text, room, "3");
	else if (ubi && strcmp(name, "type") == 0)
		(void)snprintf(ret_text, room, "%s", device->volume_type);
	else if (ubi && strcmp(name, "usable_eb_size") == 0)
		(void)snprintf(ret_text, room, "%u", device->block_bytes);
	else if (ubi && strcmp(name, "reserved_ebs") == 0)
		(void)snprintf(ret_text, room, "%u", device->block_count);
	else if (ubi && strcmp(name, "upd_marker") == 0)
		(void)snprintf(ret_text, room, "%d", device->update_marker);
	else
		return -1;
	return 0;
}

const struct flash_kernel sim_kernel_calls = {
	.open = kernel_open,
	.close = kernel_close,
	.status = kernel_status,
	.pread = kernel_pread,
	.pwrite = kernel_pwrite,
	.write = kernel_write,
	.fsync = kernel_sync,
	.fdatasync = kernel_sync,
	.ioctl = kernel_ioctl,
	.attribute = kernel_attribute,
};

void sim_device_add(struct sim_device *device)
{
	size_t bytes = (size_t)device->block_bytes * device->block_count;

	if (sim_kernel.device_count == SIM_DEVICES_MAX)
		abort();
	if (device->page_bytes == 0)
		device->page_bytes = device->block_bytes;
	device->cells = sim_alloc(bytes);
	memset(device->cells, 0xff, bytes);
	device->pages = sim_alloc(bytes / device->page_bytes * sizeof(*device->pages));
	device->page_flips = sim_alloc(bytes / device->page_bytes * sizeof(*device->page_flips));
	device->bad = sim_alloc(device->block_count);
	device->change = sim_alloc(device->block_bytes);
	sim_kernel.devices[sim_kernel.device_count++] = device;
}

void sim_kernel_clear(void)
{
	for (uint32_t i = 0; i < sim_kernel.device_count; i++) {
		struct sim_device *device = sim_kernel.devices[i];

		free(device->cells);
		free(device->pages);
		free(device->page_flips);
		free(device->bad);
		free(device->change);
	}
	sim_kernel = (struct sim_kernel){ 0 };
}

void sim_kernel_boot(void)
{
	sim_kernel.off = false;
	sim_kernel.operations = 0;
	sim_kernel.cut_at = 0;
	for (uint32_t i = 0; i < sim_kernel.device_count; i++) {
		sim_kernel.devices[i]->open = false;
		sim_kernel.devices[i]->changing = false;
	}
}

void sim_device_mark_bad(struct sim_device *device, uint32_t block)
{
	device->bad[block] = true;
}

const uint8_t *sim_device_block(const struct sim_device *device, uint32_t block)
{
	return device->cells + (size_t)block * device->block_bytes;
}
