/* SPDX-License-Identifier: MIT
 *
 * Firmware folders: firmware.ini and one image per partition.
 */
#include "dfota/pkgbuild.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a module needs to start at all goes last: if something is wrong, it is found before. */
static unsigned rank(const char *name)
{
	static const char *const late[] = { "modem", "boot", "tz", "sbl" };

	for (unsigned i = 0; i < sizeof(late) / sizeof(late[0]); i++)
		if (strcmp(name, late[i]) == 0)
			return i + 1;
	return 0;
}

static bool value_ok(const char *value)
{
	size_t bytes = strlen(value);

	if (bytes == 0 || bytes > DFOTA_VERSION_MAX)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (value[i] < 0x20 || value[i] > 0x7e || value[i] == '"' || value[i] == '\\')
			return false;
	return true;
}

static int ini_value(void *context, const char *section, const char *name, const char *value)
{
	struct dfota_firmware *firmware = context;
	char *to = NULL;

	(void)section; /* with or without one */
	if (strcmp(name, "project") == 0)
		to = firmware->project;
	else if (strcmp(name, "version") == 0)
		to = firmware->version;
	if (!to)
		return 1;
	if (!value_ok(value) || *to)
		return 0;
	if (to == firmware->version && strchr(value, ' '))
		return 0; /* hosts read versions as words */
	memcpy(to, value, strlen(value) + 1);
	return 1;
}

static int ini_load(struct dfota_firmware *firmware, const char *folder, const char **what)
{
	char *path;
	int result;

	if (asprintf(&path, "%s/firmware.ini", folder) < 0)
		return DFOTA_E_MEMORY;
	result = ini_parse(path, ini_value, firmware);
	free(path);
	if (result < 0) {
		*what = "no readable firmware.ini in the folder";
		return DFOTA_E_NOT_FOUND;
	}
	if (result > 0 || !*firmware->project || !*firmware->version) {
		*what = "firmware.ini must have project and version, once each, 1 to 64 printable "
			"characters without quotes and backslashes, the version without spaces";
		return DFOTA_E_MANIFEST;
	}
	return 0;
}

/* Name of the partition if `entry` is an image file; empty string if it is something else. */
static int image_name(const char *entry, char ret_name[DFOTA_PARTITION_NAME_MAX + 1])
{
	size_t bytes = strlen(entry);

	*ret_name = '\0';
	if (entry[0] == '.' || bytes <= 4 || strcmp(entry + bytes - 4, ".img") != 0)
		return 0;
	bytes -= 4;
	if (bytes > DFOTA_PARTITION_NAME_MAX)
		return DFOTA_E_MANIFEST;
	memcpy(ret_name, entry, bytes);
	ret_name[bytes] = '\0';
	return dfota_partition_name_ok(ret_name) ? 0 : DFOTA_E_MANIFEST;
}

static int image_add(struct dfota_firmware *firmware, int folder, const char *entry,
		     const char **what)
{
	char name[DFOTA_PARTITION_NAME_MAX + 1];
	struct stat status;
	uint32_t at = firmware->partition_count;

	if (image_name(entry, name)) {
		*what = "an image's name is not 1 to 32 of a-z 0-9 _ - before .img";
		return DFOTA_E_MANIFEST;
	}
	if (!*name)
		return 0;
	if (at == DFOTA_PARTITIONS_MAX) {
		*what = "more than 32 images";
		return DFOTA_E_MANIFEST;
	}
	if (fstatat(folder, entry, &status, 0) || !S_ISREG(status.st_mode) ||
	    (uint64_t)status.st_size > DFOTA_DELTA_IMAGE_MAX) {
		*what = "an image is not a readable file of at most 64 GiB";
		return DFOTA_E_IO;
	}
	memcpy(firmware->partitions[at].name, name, sizeof(name));
	firmware->partitions[at].bytes = (uint64_t)status.st_size;
	firmware->partition_count++;
	return 0;
}

static int by_order(const void *a, const void *b)
{
	const char *x = a, *y = b; /* name is the first member */
	unsigned p = rank(x), q = rank(y);

	return p != q ? (p < q ? -1 : 1) : strcmp(x, y);
}

static int images_list(struct dfota_firmware *firmware, const char *folder, const char **what)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int error = 0;

	if (!dir) {
		*what = "the folder cannot be read";
		return DFOTA_E_IO;
	}
	while (!error && (errno = 0, entry = readdir(dir)))
		error = image_add(firmware, dirfd(dir), entry->d_name, what);
	if (!error && errno) {
		*what = "the folder cannot be read";
		error = DFOTA_E_IO;
	}
	(void)closedir(dir);
	if (!error && firmware->partition_count == 0) {
		*what = "the folder has no <partition>.img";
		error = DFOTA_E_MANIFEST;
	}
	qsort(firmware->partitions, firmware->partition_count, sizeof(firmware->partitions[0]),
	      by_order);
	return error;
}

int dfota_firmware_load(struct dfota_firmware *ret_firmware, const char *folder,
			const char **ret_what)
{
	const char *what = NULL;
	int error;

	memset(ret_firmware, 0, sizeof(*ret_firmware));
	error = ini_load(ret_firmware, folder, &what);
	if (!error)
		error = images_list(ret_firmware, folder, &what);
	if (ret_what)
		*ret_what = what ? what : dfota_error_text(error);
	return error;
}

static int ini_write(int folder, const char *project, const char *version)
{
	int fd = openat(folder, ".firmware.ini.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int error = 0;

	if (fd < 0)
		return DFOTA_E_IO;
	if (dprintf(fd, "project = %s\nversion = %s\n", project, version) < 0 || fsync(fd))
		error = DFOTA_E_IO;
	if (close(fd))
		error = DFOTA_E_IO;
	if (!error && renameat(folder, ".firmware.ini.new", folder, "firmware.ini"))
		error = DFOTA_E_IO;
	if (!error && fsync(folder))
		error = DFOTA_E_IO;
	if (error)
		(void)unlinkat(folder, ".firmware.ini.new", 0);
	return error;
}

int dfota_firmware_save(const char *folder, const char *project, const char *version)
{
	int fd, error;

	if (!value_ok(project) || !value_ok(version))
		return DFOTA_E_ARGUMENT;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? DFOTA_E_NOT_FOUND : DFOTA_E_IO;
	error = ini_write(fd, project, version);
	close(fd);
	return error;
}
