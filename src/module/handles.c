/* SPDX-License-Identifier: MIT
 *
 * Open files of the user file system.
 */
#include "handles.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void handles_init(struct handles *handles, struct module_ufs *ufs)
{
	memset(handles, 0, sizeof(*handles));
	handles->ufs = ufs;
	for (int i = 0; i < HANDLES_MAX; i++)
		handles->files[i].fd = -1;
}

void handles_drop(struct handles *handles)
{
	handles->transfer = NULL;
	for (int i = 0; i < HANDLES_MAX; i++) {
		if (handles->files[i].fd >= 0)
			close(handles->files[i].fd);
		handles->files[i].fd = -1;
	}
}

struct handle *handles_find(struct handles *handles, uint64_t number)
{
	if (number < 1 || number > HANDLES_MAX || handles->files[number - 1].fd < 0)
		return NULL;
	return &handles->files[number - 1];
}

static const struct handle *find_name(const struct handles *handles, const char *name)
{
	for (int i = 0; i < HANDLES_MAX; i++)
		if (handles->files[i].fd >= 0 && strcmp(handles->files[i].name, name) == 0)
			return &handles->files[i];
	return NULL;
}

bool handles_has(const struct handles *handles, const char *name)
{
	return find_name(handles, name) != NULL;
}

bool handles_writes(const struct handles *handles, const char *name)
{
	const struct handle *handle = find_name(handles, name);

	return handle && handle->mode != HANDLE_READ;
}

int handles_open(struct handles *handles, const char *name, enum handle_mode mode,
		 uint64_t *ret_number)
{
	struct handle *handle;
	int code, i = 0;

	if (handles_has(handles, name))
		return UFS_IN_USE;
	while (i < HANDLES_MAX && handles->files[i].fd >= 0)
		i++;
	if (i == HANDLES_MAX)
		return UFS_TOO_MANY;
	handle = &handles->files[i];
	code = mode == HANDLE_READ
		   ? ufs_open_file(handles->ufs, name, &handle->fd, &handle->position)
		   : ufs_open_write(handles->ufs, name, mode == HANDLE_EMPTY, &handle->fd);
	if (code)
		return code;
	handle->mode = mode;
	handle->position = 0;
	memcpy(handle->name, name, strlen(name) + 1);
	*ret_number = (uint64_t)i + 1;
	return 0;
}

int handle_size(const struct handle *handle, uint64_t *ret_bytes)
{
	struct stat status;

	if (fstat(handle->fd, &status))
		return UFS_READ_FAILED;
	*ret_bytes = (uint64_t)status.st_size;
	return 0;
}

int handle_seek(struct handle *handle, uint64_t offset, enum handle_from from)
{
	uint64_t size, target = offset;
	int code = handle_size(handle, &size);

	if (code)
		return code;
	if (from == HANDLE_END) {
		if (offset > size)
			return UFS_BEYOND_END;
		target = size - offset;
	} else if (from == HANDLE_CURRENT && dfota_add64(handle->position, offset, &target)) {
		return UFS_BEYOND_END;
	}
	if (target > size)
		return UFS_BEYOND_END;
	handle->position = target;
	return 0;
}

int handle_truncate(struct handle *handle)
{
	if (handle->mode == HANDLE_READ)
		return UFS_READ_ONLY;
	return ftruncate(handle->fd, (off_t)handle->position) ? UFS_WRITE_FAILED : 0;
}

int handle_flush(struct handle *handle)
{
	return handle->mode != HANDLE_READ && fsync(handle->fd) ? UFS_WRITE_FAILED : 0;
}

int handle_close(struct handle *handle)
{
	int code = handle_flush(handle);

	if (close(handle->fd) && !code)
		code = UFS_WRITE_FAILED;
	handle->fd = -1;
	return code;
}

/* ---- transfers ---------------------------------------------------------------------------------
 */

int handles_write_begin(struct handles *handles, struct handle *handle, uint64_t bytes)
{
	uint64_t size, room, used, end;
	uint32_t count;
	int code;

	if (handle->mode == HANDLE_READ)
		return UFS_READ_ONLY;
	code = handle_size(handle, &size);
	if (!code)
		code = ufs_space(handles->ufs, &room, &used, &count);
	if (code)
		return code;
	if (handle->mode == HANDLE_APPEND)
		handle->position = size;
	if (dfota_add64(handle->position, bytes, &end) || (end > size && end - size > room))
		return UFS_NO_SPACE;
	handles->transfer = handle;
	handles->start = handle->position;
	return 0;
}

int handles_read_begin(struct handles *handles, struct handle *handle, uint64_t *bytes)
{
	uint64_t size;
	int code = handle_size(handle, &size);

	if (code)
		return code;
	if (handle->position >= size)
		return UFS_NOTHING_READ;
	*bytes = dfota_min64(*bytes, size - handle->position);
	handles->transfer = handle;
	handles->start = handle->position;
	return 0;
}

int handles_write(struct handles *handles, const uint8_t *data, size_t bytes)
{
	struct handle *handle = handles->transfer;

	while (bytes > 0) {
		ssize_t done = pwrite(handle->fd, data, bytes, (off_t)handle->position);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return errno == ENOSPC || errno == EDQUOT ? UFS_NO_SPACE : UFS_WRITE_FAILED;
		data += done;
		bytes -= (size_t)done;
		handle->position += (uint64_t)done;
	}
	return 0;
}

int handles_read(struct handles *handles, uint64_t offset, void *buffer, size_t bytes)
{
	struct handle *handle = handles->transfer;
	int error = ufs_read_file(handle->fd, handles->start + offset, buffer, bytes);

	if (!error)
		handle->position = handles->start + offset + bytes;
	return error;
}
