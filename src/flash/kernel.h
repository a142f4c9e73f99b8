/* SPDX-License-Identifier: MIT
 *
 * What the backends of real storage ask the operating system for: a seam, so that a test can be the
 * kernel.
 */
#ifndef DFOTA_FLASH_KERNEL_H
#define DFOTA_FLASH_KERNEL_H

#include <sys/stat.h>
#include <sys/types.h>

#include "dfota/storage.h"

/* All as the system calls of that name: -1 and errno on failure. */
struct flash_kernel {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*status)(int fd, struct stat *ret_status);
	ssize_t (*pread)(int fd, void *buffer, size_t bytes, off_t offset);
	ssize_t (*pwrite)(int fd, const void *data, size_t bytes, off_t offset);
	ssize_t (*write)(int fd, const void *data, size_t bytes);
	int (*fsync)(int fd);
	int (*fdatasync)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *argument);
	/* One line that the kernel tells of the character device behind `fd`, without its end;
	 * `name` may lead upwards. */
	int (*attribute)(int fd, const char *name, char *ret_text, size_t room);
};

extern const struct flash_kernel flash_kernel_linux;

/* A decimal attribute. */
bool flash_attribute_number(const struct flash_kernel *kernel, int fd, const char *name,
			    uint64_t *ret_value) DFOTA_MUST_CHECK;

/* DFOTA_E_NOT_FOUND, _BUSY or _IO for the errno of an open, and a text for it. */
int flash_open_error(int number, const char **ret_what) DFOTA_MUST_CHECK;

/* The open functions of storage.h on another kernel. */
int flash_block_open(struct dfota_flash_block *block, const struct flash_kernel *kernel,
		     const char *path, bool writable, const char **ret_what) DFOTA_MUST_CHECK;
int flash_mtd_open(struct dfota_flash_mtd *mtd, const struct flash_kernel *kernel, const char *path,
		   bool writable, const char **ret_what) DFOTA_MUST_CHECK;
int flash_ubi_open(struct dfota_flash_ubi *ubi, const struct flash_kernel *kernel, const char *path,
		   bool writable, const char **ret_what) DFOTA_MUST_CHECK;

#endif
