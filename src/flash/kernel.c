/* SPDX-License-Identifier: MIT
 *
 * The seam's real side: system calls, and attributes in /sys.
 */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int real_open(const char *path, int flags)
{
	return open(path, flags);
}

static int real_status(int fd, struct stat *ret_status)
{
	return fstat(fd, ret_status);
}

static int real_ioctl(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument);
}

static int real_attribute(int fd, const char *name, char *ret_text, size_t room)
{
	struct stat status;
	char path[128];
	ssize_t got;
	int file;

	if (room < 2 || fstat(fd, &status))
		return -1;
	(void)snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/%s", major(status.st_rdev),
		       minor(status.st_rdev), name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	got = read(file, ret_text, room - 1);
	close(file);
	if (got <= 0)
		return -1;
	ret_text[got] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
	return 0;
}

const struct flash_kernel flash_kernel_linux = {
	.open = real_open,
	.close = close,
	.status = real_status,
	.pread = pread,
	.pwrite = pwrite,
	.write = write,
	.fsync = fsync,
	.fdatasync = fdatasync,
	.ioctl = real_ioctl,
	.attribute = real_attribute,
};

bool flash_attribute_number(const struct flash_kernel *kernel, int fd, const char *name,
			    uint64_t *ret_value)
{
	char text[32];
	uint64_t value = 0;

	if (kernel->attribute(fd, name, text, sizeof(text)) || !*text)
		return false;
	for (const char *p = text; *p; p++)
		if (*p < '0' || *p > '9' || dfota_mul64(value, 10, &value) ||
		    dfota_add64(value, (uint64_t)(*p - '0'), &value))
			return false;
	*ret_value = value;
	return true;
}

int flash_open_error(int number, const char **ret_what)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
	case ENODEV:
	case ENXIO:
		*ret_what = "there is no such device";
		return DFOTA_E_NOT_FOUND;
	case EBUSY:
		*ret_what = "the device is mounted or in use";
		return DFOTA_E_BUSY;
	case EROFS:
		*ret_what = "the device is read-only";
		return DFOTA_E_IO;
	}
	*ret_what = "the device could not be opened";
	return DFOTA_E_IO;
}
