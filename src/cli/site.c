/* SPDX-License-Identifier: MIT
 *
 * Opens a firmware folder for the updater, for looking or for writing.
 */
#include "site.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli.h"

#define STATE_FOLDER ".dfota"

/* ---- flash that only looks ------------------------------------------------------------------- */

static int dry_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct site_dry *dry = context;

	return dry->under ? dfota_flash_read(dry->under, offset, buffer, bytes) : DFOTA_E_READ;
}

static int dry_write(void *context, uint64_t offset, const void *data, size_t bytes)
{
	(void)context;
	(void)offset;
	(void)data;
	(void)bytes;
	return DFOTA_E_WRITE;
}

static int dry_flush(void *context)
{
	(void)context;
	return 0;
}

static int dry_reserve(void *context, uint64_t size_bytes)
{
	struct site_dry *dry = context;

	return size_bytes > dry->limit ? DFOTA_E_SPACE : 0;
}

static int dry_resize(void *context, uint64_t size_bytes)
{
	(void)context;
	(void)size_bytes;
	return DFOTA_E_RESIZE;
}

static const struct dfota_flash_ops dry_ops = { .read = dry_read,
						.write = dry_write,
						.flush = dry_flush,
						.reserve = dry_reserve,
						.resize = dry_resize };

static void dry_init(struct site_dry *dry, struct dfota_flash *under, uint64_t free_bytes)
{
	dry->under = under;
	dry->flash.ops = &dry_ops;
	dry->flash.context = dry;
	if (under) {
		dry->flash.geometry = under->geometry;
	} else {
		dry->flash.geometry = (struct dfota_flash_geometry){
			.write_bytes = 1, .erase_bytes = 1, .flags = DFOTA_FLASH_RESIZABLE
		};
	}
	dry->limit = dry->flash.geometry.size_bytes + free_bytes;
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static int lock_take(struct site *site)
{
	if (mkdirat(site->folder, STATE_FOLDER, 0755) && errno != EEXIST)
		return DFOTA_E_IO;
	site->lock = openat(site->folder, STATE_FOLDER "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (site->lock < 0)
		return DFOTA_E_IO;
	if (flock(site->lock, LOCK_EX | LOCK_NB)) {
		site->what = "another process upgrades this folder";
		return DFOTA_E_BUSY;
	}
	return 0;
}

static uint64_t folder_free(const struct site *site)
{
	struct statvfs status;

	if (fstatvfs(site->folder, &status))
		return 0;
	return (uint64_t)status.f_bavail * status.f_frsize;
}

static int partition_open(struct site *site, uint32_t i, const char *folder)
{
	char *path;
	int error;

	if (asprintf(&path, "%s/%s.img", folder, site->firmware.partitions[i].name) < 0)
		return DFOTA_E_MEMORY;
	error = dfota_flash_file_open(&site->files[i], path, site->writable);
	free(path);
	if (error)
		return error;
	dry_init(&site->dry[i], &site->files[i].flash, folder_free(site));
	site->partitions[i].name = site->firmware.partitions[i].name;
	site->partitions[i].flash = site->writable ? &site->files[i].flash : &site->dry[i].flash;
	return 0;
}

static int area_open(struct site *site, const char *folder, uint64_t limit)
{
	char *path;
	int error;

	if (asprintf(&path, "%s/" STATE_FOLDER "/area", folder) < 0)
		return DFOTA_E_MEMORY;
	error = site->writable ? dfota_flash_file_create(&site->area_file, path)
			       : dfota_flash_file_open(&site->area_file, path, false);
	free(path);
	if (!site->writable) {
		bool there = error == 0;

		if (error == DFOTA_E_NOT_FOUND)
			error = 0;
		dry_init(&site->dry_area, there ? &site->area_file.flash : NULL, folder_free(site));
		if (limit)
			site->dry_area.limit = limit;
		site->config.area = &site->dry_area.flash;
	} else {
		site->config.area = &site->area_file.flash;
	}
	return error;
}

static int package_open(struct site *site, const char *package, const char *trust_path,
			const struct site_limits *limits)
{
	int error;

	if (trust_path) {
		error = dfota_trust_open(&site->trust, trust_path);
		if (error) {
			site->what = "the --trust file holds no readable Ed25519 public key";
			return error == DFOTA_E_MEMORY ? error : DFOTA_E_UNTRUSTED;
		}
	}
	/* A package that is too large for the device is not read at all there. */
	if (limits && limits->package) {
		struct stat status;

		if (stat(package, &status) == 0 && (uint64_t)status.st_size > limits->package)
			return DFOTA_E_TOO_LARGE;
	}
	error = dfota_package_open(&site->package, package, site->trust);
	if (error == DFOTA_E_NOT_FOUND)
		site->what = "there is no such package file";
	return error;
}

static int folder_open(struct site *site, const char *folder, uint64_t area_limit)
{
	int error = dfota_firmware_load(&site->firmware, folder, &site->what);

	if (error)
		return error;
	site->what = NULL;
	site->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (site->folder < 0)
		return DFOTA_E_IO;
	if (site->writable) {
		error = lock_take(site);
		if (error)
			return error;
		/* Once more: an upgrade that held the lock until now has changed the folder. */
		error = dfota_firmware_load(&site->firmware, folder, &site->what);
	}
	for (uint32_t i = 0; !error && i < site->firmware.partition_count; i++)
		error = partition_open(site, i, folder);
	return error ? error : area_open(site, folder, area_limit);
}

int site_open(struct site *site, const char *package, const char *folder, const char *trust_path,
	      const struct site_limits *limits, bool writable)
{
	int error;

	memset(site, 0, sizeof(*site));
	site->writable = writable;
	site->folder = site->lock = -1;
	site->area_file.fd = -1;
	for (uint32_t i = 0; i < DFOTA_PARTITIONS_MAX; i++)
		site->files[i].fd = -1;
	error = package_open(site, package, trust_path, limits);
	if (!error)
		error = folder_open(site, folder, limits ? limits->area : 0);
	if (error)
		return error;
	site->config.partitions = site->partitions;
	site->config.partition_count = site->firmware.partition_count;
	site->config.package = site->package;
	site->config.project = site->firmware.project;
	site->config.version = site->firmware.version;
	site->config.memory_limit_bytes = limits ? limits->memory : 0;
	site->memory_bytes = dfota_updater_memory(site->package);
	if (!site->memory_bytes)
		return DFOTA_E_CORRUPT;
	site->memory = malloc(site->memory_bytes);
	return site->memory ? 0 : DFOTA_E_MEMORY;
}

int site_commit(struct site *site, const char *folder)
{
	const struct dfota_manifest *m = dfota_package_manifest(site->package);
	int error = dfota_firmware_save(folder, m->project, m->to);

	if (error)
		return error;
	/* Remains are harmless: the journal in them says that this package is done. */
	(void)unlinkat(site->folder, STATE_FOLDER "/area", 0);
	(void)unlinkat(site->folder, STATE_FOLDER "/lock", 0);
	(void)unlinkat(site->folder, STATE_FOLDER, AT_REMOVEDIR);
	return 0;
}

void site_close(struct site *site)
{
	for (uint32_t i = 0; i < DFOTA_PARTITIONS_MAX; i++)
		dfota_flash_file_close(&site->files[i]);
	dfota_flash_file_close(&site->area_file);
	dfota_package_close(site->package);
	dfota_trust_close(site->trust);
	free(site->memory);
	if (site->lock >= 0)
		close(site->lock);
	if (site->folder >= 0)
		close(site->folder);
}

/* ---- telling --------------------------------------------------------------------------------- */

/* One line each: what the person at the keyboard can do about it. */
static const char *advice(int error)
{
	switch (error) {
	case DFOTA_E_VERSION:
		return "Take the package that was made for this project and version.";
	case DFOTA_E_CONTENT:
		return "Put the original images of this version back, or build a package from what "
		       "is there.";
	case DFOTA_E_UNTRUSTED:
		return "Sign the package with the key that belongs to the trusted one, or trust "
		       "its key.";
	case DFOTA_E_ZIP:
	case DFOTA_E_MANIFEST:
	case DFOTA_E_CORRUPT:
		return "Fetch or build the package again.";
	case DFOTA_E_FORMAT:
		return "Use a newer dfota.";
	case DFOTA_E_SPACE:
		return "Free some space and run it again.";
	default:
		return "";
	}
}

int site_report(const char *command, const struct site *site, int error, bool json,
		const char *untouched)
{
	const struct dfota_updater_report *r = &site->report;
	bool started = r->error == error && r->started;
	enum dfota_where where = r->error == error ? r->where : DFOTA_WHERE_PACKAGE;
	const char *partition = r->error == error && *r->partition ? r->partition : NULL;
	/* A signature that cannot be established is the tool's exit code 3 and the module's 504. */
	int code = dfota_error_code(error, where, partition, started);
	const char *text = site->what ? site->what : dfota_error_text(error);

	if (json) {
		json_t *line =
		    json_pack("{s:s,s:i,s:s,s:s,s:s*,s:I,s:I,s:I,s:I,s:b}", "event", "result",
			      "code", code, "error", dfota_error_name(error), "text", text,
			      "partition", partition, "writes", (json_int_t)r->writes, "in_place",
			      (json_int_t)r->bytes_written, "ring", (json_int_t)r->ring_bytes,
			      "stash", (json_int_t)r->stash_bytes, "started", started);

		if (line)
			(void)json_dumpf(line, stdout, JSON_COMPACT);
		json_decref(line);
		putchar('\n');
	} else if (error) {
		cli_error(command, "%d: %s%s%s. %s %s", code, text,
			  partition ? " in partition " : "", partition ? partition : "",
			  started ? "The upgrade was under way: run it again to go on." : untouched,
			  advice(error));
	}
	return dfota_error_exit(error);
}
