/* SPDX-License-Identifier: MIT
 *
 * Download or copy, publish, set the flag: in this order, each durable before the next.
 */
#include "fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FETCH_COPY "state/package.new"
#define FETCH_PART "state/download.part"
#define FETCH_META "state/download.meta"
#define PIECE      ((size_t)1 << 20)

static int folder_sync(const struct module_config *config)
{
	char path[PATH_MAX];
	int error = 0, fd;

	if (!module_path(config, "state", path))
		return DFOTA_E_ARGUMENT;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		error = DFOTA_E_IO;
	if (fd >= 0)
		close(fd);
	return error;
}

/* ---- local file ------------------------------------------------------------------------------ */

static int failure(void)
{
	return errno == ENOSPC || errno == EDQUOT ? DFOTA_E_SPACE : DFOTA_E_IO;
}

static int copy_bytes(const struct fetch *fetch, int to)
{
	static char buffer[64 << 10]; /* one job at a time */
	bool plain = false;

	for (;;) {
		ssize_t got = plain ? -1 : copy_file_range(fetch->file, NULL, to, NULL, PIECE, 0);

		if (got < 0 && !plain && (errno == ENOSPC || errno == EDQUOT))
			return DFOTA_E_SPACE;
		if (got < 0) {
			plain = true; /* not between these file systems */
			got = read(fetch->file, buffer, sizeof(buffer));
			if (got < 0)
				return DFOTA_E_IO;
			for (ssize_t put = 0; put < got;) {
				ssize_t done = write(to, buffer + put, (size_t)(got - put));

				if (done <= 0)
					return failure();
				put += done;
			}
		}
		if (got == 0)
			return fsync(to) ? failure() : 0;
		if (fetch->stop(fetch->context))
			return DFOTA_E_STOPPED;
	}
}

/* A second name for the same bytes, which the store never changes; a copy where that is not possible. */
static int take_local(struct fetch *fetch, const char *path)
{
	char source[32];
	struct stat status;
	int error, to;

	if (unlink(path) && errno != ENOENT)
		return DFOTA_E_IO;
	if (fstat(fetch->file, &status))
		return DFOTA_E_IO;
	fetch->bytes = (uint64_t)status.st_size;
	snprintf(source, sizeof(source), "/proc/self/fd/%d", fetch->file);
	if (linkat(AT_FDCWD, source, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return failure();
	error = copy_bytes(fetch, to);
	if (close(to) && !error)
		error = failure();
	if (error)
		(void)unlink(path);
	return error;
}

/* ---- download -------------------------------------------------------------------------------- */

static int take_remote(struct fetch *fetch, const char *path)
{
	const struct module_config *config = fetch->config;
	char meta[PATH_MAX], ca[PATH_MAX] = "";
	struct dfota_download download = {
		.url = &fetch->url,
		.part_path = path,
		.meta_path = meta,
		.ca_file = ca,
		.interface = *config->interface ? config->interface : NULL,
		.max_bytes = config->package_max,
		.keep_free_bytes = config->keep_free_bytes,
		.connect_timeout_s = (uint32_t)config->connect_timeout_s,
		.stall_timeout_s = (uint32_t)fetch->stall_timeout_s,
		.tries = (uint32_t)config->download_tries,
		.stop = fetch->stop,
		.progress = fetch->progress,
		.context = fetch->context,
	};
	int error = 0;

	if (!module_path(config, FETCH_META, meta) ||
	    (*config->ca_file && !module_path(config, config->ca_file, ca)))
		return DFOTA_E_ARGUMENT;
	if (fetch->bearer_ops->up)
		error = fetch->bearer_ops->up(&fetch->bearer);
	if (error) {
		fetch->why = "the data call did not come up";
		return error;
	}
	error = dfota_download_run(&download, &fetch->bytes, &fetch->why);
	if (fetch->bearer_ops->down)
		fetch->bearer_ops->down(&fetch->bearer);
	return error;
}

/* ---- both -------------------------------------------------------------------------------------- */

static int publish(struct fetch *fetch, const char *from)
{
	struct dfota_flag flag = { .set = true };
	char to[PATH_MAX], meta[PATH_MAX];
	int error;

	if (!module_path(fetch->config, FETCH_PACKAGE, to) ||
	    !module_path(fetch->config, FETCH_META, meta))
		return DFOTA_E_ARGUMENT;
	if (rename(from, to))
		return DFOTA_E_IO;
	if (!fetch->local)
		(void)unlink(meta); /* belongs to a part that is no more */
	error = folder_sync(fetch->config);
	if (error)
		return error;
	/* From here on a COMMIT of this very package in the journal is an old one. */
	memset(fetch->records->state.done_sha256, 0, DFOTA_SHA256_BYTES);
	error = module_records_save(fetch->records);
	if (error)
		return error;
	memcpy(flag.source, fetch->source, sizeof(flag.source));
	return dfota_flag_put(&fetch->records->flag.store, &flag);
}

void fetch_run(struct fetch *fetch)
{
	char path[PATH_MAX];

	fetch->why = NULL;
	fetch->bytes = 0;
	if (!module_path(fetch->config, fetch->local ? FETCH_COPY : FETCH_PART, path))
		fetch->error = DFOTA_E_ARGUMENT;
	else
		fetch->error = fetch->local ? take_local(fetch, path) : take_remote(fetch, path);
	if (fetch->local)
		close(fetch->file);
	if (!fetch->error)
		fetch->error = publish(fetch, path);
}

void fetch_clean(const struct module_config *config)
{
	static const char *const names[] = { FETCH_PACKAGE, FETCH_COPY };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (module_path(config, names[i], path))
			(void)unlink(path); /* usually absent */
}
