/* SPDX-License-Identifier: MIT
 *
 * The part of a download on disk.
 */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A power cut costs an eighth of what came, within these bounds: small packages lose little, and
 * large ones do not spend their time on flushing.
 */
#define SYNC_LEAST ((uint64_t)256 << 10)
#define SYNC_MOST  ((uint64_t)4 << 20)
#define NOTE_MAX   2048
#define NOTE_HEAD  "dfota-part 1\n"

static int failure(void)
{
	return errno == ENOSPC || errno == EDQUOT ? DFOTA_E_SPACE : DFOTA_E_IO;
}

/* ---- note --------------------------------------------------------------------------------------
 */

/* Takes "<name> <value>\n" at *position; the value is left in place, terminated. */
static char *note_line(char **position, const char *name)
{
	size_t bytes = strlen(name);
	char *value, *end;

	if (strncmp(*position, name, bytes) != 0 || (*position)[bytes] != ' ')
		return NULL;
	value = *position + bytes + 1;
	end = strchr(value, '\n');
	if (!end)
		return NULL;
	*end = '\0';
	*position = end + 1;
	return value;
}

static bool note_number(char **position, const char *name, uint64_t *ret_number)
{
	char *value = note_line(position, name), *end;

	if (!value || *value < '0' || *value > '9')
		return false;
	errno = 0;
	*ret_number = strtoull(value, &end, 10);
	return errno == 0 && *end == '\0';
}

/* Bytes of the note, terminated; false when there is none of a sensible size. */
static bool note_load(const char *path, char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, NOTE_MAX);
	close(fd);
	if (got <= 0 || got == NOTE_MAX)
		return false;
	text[got] = '\0';
	return true;
}

/* True when the note is whole and of this URL; only then validator, total, durable and crc are set.
 */
static bool note_read(struct part *part)
{
	char text[NOTE_MAX + 1], *position = text + strlen(NOTE_HEAD), *url, *validator;
	uint64_t total, durable, crc;

	if (!note_load(part->meta_path, text) || strncmp(text, NOTE_HEAD, strlen(NOTE_HEAD)) != 0)
		return false;
	url = note_line(&position, "url");
	validator = url ? note_line(&position, "validator") : NULL;
	if (!validator || strcmp(url, part->url) != 0 || strlen(validator) > PART_VALIDATOR_MAX)
		return false;
	if (!note_number(&position, "total", &total) ||
	    !note_number(&position, "durable", &durable) || !note_number(&position, "crc", &crc) ||
	    *position || crc > UINT32_MAX || (total && durable > total))
		return false;
	memcpy(part->validator, validator, strlen(validator) + 1);
	part->total = total;
	part->durable = durable;
	part->crc = (uint32_t)crc;
	return true;
}

static int folder_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";
	int error = 0, fd;

	if (slash) {
		size_t bytes = slash == path ? 1 : (size_t)(slash - path);

		if (bytes >= sizeof(folder))
			return DFOTA_E_ARGUMENT;
		memcpy(folder, path, bytes);
		folder[bytes] = '\0';
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return DFOTA_E_IO;
	if (fsync(fd))
		error = failure();
	close(fd);
	return error;
}

/* Replaced as a whole, durable before it returns. */
static int note_write(const struct part *part)
{
	char text[NOTE_MAX], name[PATH_MAX];
	int length = snprintf(text, sizeof(text),
			      NOTE_HEAD "url %s\nvalidator %s\ntotal %" PRIu64 "\ndurable %" PRIu64
					"\ncrc %" PRIu32 "\n",
			      part->url, part->validator, part->total, part->durable, part->crc);
	int error = 0, fd;

	if (snprintf(name, sizeof(name), "%s.new", part->meta_path) >= (int)sizeof(name))
		return DFOTA_E_ARGUMENT;
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return failure();
	errno = ENOSPC; /* what a short write means */
	if (write(fd, text, (size_t)length) != length || fsync(fd))
		error = failure();
	if (close(fd) && !error)
		error = failure();
	if (!error && rename(name, part->meta_path))
		error = failure();
	if (error)
		(void)unlink(name);
	return error ? error : folder_sync(part->meta_path);
}

/* ---- file --------------------------------------------------------------------------------------
 */

/* Adds [from, to) of the file to *crc; false when they cannot be read. */
static bool sum(const struct part *part, uint64_t from, uint64_t to, uint32_t *crc)
{
	char buffer[16 << 10];

	while (from < to) {
		size_t want = (size_t)dfota_min64(to - from, sizeof(buffer));
		ssize_t got = pread(part->fd, buffer, want, (off_t)from);

		if (got <= 0)
			return false;
		*crc = dfota_crc32c(*crc, buffer, (size_t)got);
		from += (uint64_t)got;
	}
	return true;
}

/* True when the file begins with the bytes that the note tells of; sets bytes, durable and crc. */
static bool contents_prove(struct part *part)
{
	bool complete = part->total > 0 && part->durable == part->total;
	uint64_t keep = part->durable - complete;
	uint32_t crc = 0, kept;

	if (part->durable > INT64_MAX || !sum(part, 0, keep, &crc))
		return false;
	kept = crc;
	if (!sum(part, keep, part->durable, &crc) || crc != part->crc)
		return false;
	if (ftruncate(part->fd, (off_t)part->durable))
		return false;
	part->bytes = part->durable = keep;
	part->crc = kept;
	return true;
}

static int empty(struct part *part)
{
	part->bytes = part->durable = part->total = 0;
	part->crc = 0;
	*part->validator = '\0';
	return ftruncate(part->fd, 0) ? DFOTA_E_IO : 0;
}

int part_open(struct part *part, const struct dfota_download *download)
{
	struct stat status;
	int error = 0;

	*part = (struct part){ .path = download->part_path, .meta_path = download->meta_path };
	dfota_url_redact(download->url, part->url);
	part->fd = open(part->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (part->fd < 0)
		return failure();
	if (fstat(part->fd, &status) || !S_ISREG(status.st_mode))
		error = DFOTA_E_IO;
	else if (!note_read(part) || !*part->validator || !contents_prove(part))
		error = empty(part);
	if (error)
		part_close(part);
	return error;
}

void part_close(struct part *part)
{
	if (part->fd >= 0)
		close(part->fd);
	part->fd = -1;
}

int part_restart(struct part *part, const char *validator, uint64_t total)
{
	int error = empty(part);

	if (error)
		return error;
	snprintf(part->validator, sizeof(part->validator), "%s", validator);
	part->total = total;
	return note_write(part);
}

int part_sync(struct part *part)
{
	if (part->durable == part->bytes)
		return 0;
	if (fdatasync(part->fd))
		return failure();
	part->durable = part->bytes;
	return note_write(part);
}

int part_add(struct part *part, const void *bytes, size_t count)
{
	const char *from = bytes;
	uint64_t most;

	while (count > 0) {
		ssize_t done = pwrite(part->fd, from, count, (off_t)part->bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return failure();
		part->crc = dfota_crc32c(part->crc, from, (size_t)done);
		part->bytes += (uint64_t)done;
		from += done;
		count -= (size_t)done;
	}
	most = dfota_min64(part->bytes / 8, SYNC_MOST);
	if (most < SYNC_LEAST)
		most = SYNC_LEAST;
	return part->bytes - part->durable >= most ? part_sync(part) : 0;
}

int part_finish(struct part *part)
{
	int error;

	if (ftruncate(part->fd, (off_t)part->bytes))
		return failure();
	error = part_sync(part);
	if (!error && fsync(part->fd))
		error = failure();
	return error ? error : folder_sync(part->path);
}

void part_remove(struct part *part)
{
	(void)unlink(part->meta_path);
	(void)unlink(part->path);
}
