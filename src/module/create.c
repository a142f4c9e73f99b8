/* SPDX-License-Identifier: MIT
 *
 * Makes a file-backed module: the folder of `dfota mkmodule`.
 *
 * Everything is made in <dir>.new, synced, and renamed at the end, so that <dir> is complete or not there.
 */
#include "dfota/module.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <ini.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "records.h"

#define TRUST_NAME "trust.pub"
#define SUFFIX     ".img"
#define PIECE      ((size_t)64 << 20)

struct creation {
	int dir, firmware; /* descriptors, -1 = not open */
	char project[DFOTA_VERSION_MAX + 1], version[DFOTA_VERSION_MAX + 1];
	const char *what;
};

static int fail(struct creation *creation, int error, const char *what)
{
	creation->what = what;
	return error;
}

static int failure(struct creation *creation, const char *what)
{
	return fail(creation, errno == ENOSPC || errno == EDQUOT ? DFOTA_E_SPACE : DFOTA_E_IO, what);
}

/* ---- copying --------------------------------------------------------------------------------- */

static int copy_plain(int from, int to)
{
	char buffer[32768];
	ssize_t got;

	while ((got = read(from, buffer, sizeof(buffer))) > 0)
		for (ssize_t put = 0; put < got;) {
			ssize_t done = write(to, buffer + put, (size_t)(got - put));

			if (done <= 0)
				return -1;
			put += done;
		}
	return got < 0 ? -1 : 0;
}

/* Shares blocks where the file system can; falls back to plain copying where copy_file_range cannot. */
static int copy_bytes(int from, int to)
{
	bool first = true;
	ssize_t got;

	while ((got = copy_file_range(from, NULL, to, NULL, PIECE, 0)) > 0)
		first = false;
	if (got < 0)
		return first ? copy_plain(from, to) : -1;
	return fsync(to);
}

static int copy_file(int from_dir, const char *from_name, int to_dir, const char *to_name)
{
	int from = openat(from_dir, from_name, O_RDONLY | O_CLOEXEC), to, result = -1, kept;

	if (from < 0)
		return -1;
	to = openat(to_dir, to_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (to >= 0) {
		result = copy_bytes(from, to) || fsync(to) ? -1 : 0;
		kept = errno;
		if (close(to))
			result = -1;
		else
			errno = kept;
	}
	kept = errno;
	close(from);
	errno = kept;
	return result;
}

/* ---- firmware ---------------------------------------------------------------------------------- */

static int ini_value(void *context, const char *section, const char *name, const char *value)
{
	struct creation *creation = context;
	char *to = strcmp(name, "project") == 0   ? creation->project
		   : strcmp(name, "version") == 0 ? creation->version
						  : NULL;

	(void)section;
	if (!to)
		return 1;
	if (*to || !module_name_ok(value))
		return 0;
	memcpy(to, value, strlen(value) + 1);
	return 1;
}

static int firmware_open(struct creation *creation, const char *folder)
{
	char path[PATH_MAX];
	int line;

	creation->firmware = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (creation->firmware < 0 ||
	    snprintf(path, sizeof(path), "%s/firmware.ini", folder) >= (int)sizeof(path))
		return fail(creation, DFOTA_E_NOT_FOUND, "there is no such firmware folder");
	line = ini_parse(path, ini_value, creation);
	if (line < 0)
		return fail(creation, DFOTA_E_NOT_FOUND, "the firmware folder has no firmware.ini");
	if (line > 0 || !*creation->project || !*creation->version)
		return fail(creation, DFOTA_E_MANIFEST, "firmware.ini lacks a valid project or version");
	return 0;
}

static bool image_name(const char *file)
{
	char name[DFOTA_PARTITION_NAME_MAX + 1];
	size_t bytes = strlen(file), suffix = strlen(SUFFIX);

	if (bytes <= suffix || bytes - suffix > DFOTA_PARTITION_NAME_MAX ||
	    strcmp(file + bytes - suffix, SUFFIX) != 0)
		return false;
	memcpy(name, file, bytes - suffix);
	name[bytes - suffix] = '\0';
	return dfota_partition_name_ok(name);
}

static int copy_images(struct creation *creation)
{
	int fd = openat(creation->firmware, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	int flash = -1, error = 0;
	unsigned count = 0;
	struct dirent *item;

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return fail(creation, DFOTA_E_IO, "the firmware folder cannot be read");
	}
	if (mkdirat(creation->dir, "flash", 0755) == 0)
		flash = openat(creation->dir, "flash", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (flash < 0)
		error = failure(creation, "the module's folder cannot be written");
	while (!error && (item = readdir(folder))) {
		if (!image_name(item->d_name))
			continue;
		if (++count > DFOTA_PARTITIONS_MAX)
			error = fail(creation, DFOTA_E_MANIFEST, "the firmware has too many partitions");
		else if (copy_file(creation->firmware, item->d_name, flash, item->d_name))
			error = failure(creation, "an image cannot be copied");
	}
	if (!error && count == 0)
		error = fail(creation, DFOTA_E_MANIFEST, "the firmware folder holds no image");
	if (!error && fsync(flash))
		error = failure(creation, "the module's folder cannot be written");
	if (flash >= 0)
		close(flash);
	closedir(folder);
	return error;
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static int write_ini(struct creation *creation)
{
	char *text = module_config_text(creation->project, creation->version, TRUST_NAME);
	int error = 0, fd;
	size_t bytes;

	if (!text)
		return fail(creation, DFOTA_E_MEMORY, NULL);
	bytes = strlen(text);
	fd = openat(creation->dir, MODULE_INI, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes || fsync(fd))
		error = failure(creation, "module.ini cannot be written");
	if (fd >= 0)
		close(fd);
	free(text);
	return error;
}

static int write_state(struct creation *creation, const char *dir)
{
	struct module_records records;
	char path[PATH_MAX];
	int error;

	if (mkdirat(creation->dir, "state", 0755) || mkdirat(creation->dir, "ufs", 0755))
		return failure(creation, "the module's folder cannot be written");
	if (snprintf(path, sizeof(path), "%s/state", dir) >= (int)sizeof(path))
		return fail(creation, DFOTA_E_ARGUMENT, "the folder's name is too long");
	error = module_records_open(&records, path, creation->project, creation->version);
	if (!error)
		error = module_records_save(&records);
	module_records_close(&records);
	return error ? fail(creation, error, "the version record cannot be written") : 0;
}

static int copy_trust(struct creation *creation, const char *trust_path)
{
	struct dfota_trust *trust;
	int error = dfota_trust_open(&trust, trust_path);

	if (error)
		return fail(creation, error, "the trusted key cannot be read");
	dfota_trust_close(trust);
	if (copy_file(AT_FDCWD, trust_path, creation->dir, TRUST_NAME))
		return failure(creation, "the trusted key cannot be copied");
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status;
	(void)kind;
	(void)at;
	return remove(path);
}

static int fill(struct creation *creation, const char *dir, const char *firmware_dir,
		const char *trust_path)
{
	int error = firmware_open(creation, firmware_dir);

	if (!error)
		error = copy_trust(creation, trust_path);
	if (!error)
		error = copy_images(creation);
	if (!error)
		error = write_ini(creation);
	if (!error)
		error = write_state(creation, dir);
	if (!error && fsync(creation->dir))
		error = failure(creation, "the module's folder cannot be written");
	return error;
}

int dfota_module_create(const char *dir, const char *firmware_dir, const char *trust_path,
			const char **ret_what)
{
	struct creation creation = { .dir = -1, .firmware = -1 };
	size_t bytes = strlen(dir);
	char temporary[PATH_MAX];
	int error;

	while (bytes > 1 && dir[bytes - 1] == '/')
		bytes--;
	if (snprintf(temporary, sizeof(temporary), "%.*s.new", (int)bytes, dir) >=
	    (int)sizeof(temporary)) {
		error = fail(&creation, DFOTA_E_ARGUMENT, "the folder's name is too long");
		goto out;
	}
	if (mkdir(temporary, 0755)) {
		error = errno == EEXIST ? fail(&creation, DFOTA_E_EXISTS,
					       "the folder's name with .new behind it is in use")
					: failure(&creation, "the folder cannot be made");
		goto out;
	}
	creation.dir = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error = creation.dir < 0 ? failure(&creation, "the folder cannot be made")
				 : fill(&creation, temporary, firmware_dir, trust_path);
	/* An empty folder is replaced. */
	if (!error && rename(temporary, dir))
		error = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR
				? fail(&creation, DFOTA_E_EXISTS, "there is something of that name already")
				: failure(&creation, "the folder cannot be made");
	if (error)
		(void)nftw(temporary, remove_one, 16, FTW_DEPTH | FTW_PHYS);
out:
	if (creation.dir >= 0)
		close(creation.dir);
	if (creation.firmware >= 0)
		close(creation.firmware);
	if (ret_what)
		*ret_what = creation.what;
	return error;
}
