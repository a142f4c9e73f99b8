/* SPDX-License-Identifier: MIT
 *
 * One line for each piece that was read or written, so that what arrived together stays together.
 */
#include "wirelog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The password in front of a host that `from` begins with, as the module divides it: a slash is the first thing behind the host. */
static bool secret_take(struct wirelog *log, const char *from)
{
	const char *end = from + strcspn(from, "/"), *at, *colon;
	size_t bytes;

	at = memrchr(from, '@', (size_t)(end - from));
	colon = at ? memchr(from, ':', (size_t)(at - from)) : NULL;
	if (!colon || colon + 1 == at)
		return true;
	bytes = (size_t)(at - colon - 1);
	if (log->secret_count == WIRELOG_SECRETS || bytes > WIRELOG_SECRET_MAX) {
		errno = E2BIG;
		return false;
	}
	memcpy(log->secrets[log->secret_count], colon + 1, bytes);
	log->secrets[log->secret_count++][bytes] = '\0';
	return true;
}

bool wirelog_hide(struct wirelog *log, const char *text)
{
	const char *from = text ? strstr(text, "://") : NULL;
	bool good = true;

	for (; from && good; from = strstr(from, "://")) {
		from += 3;
		good = secret_take(log, from);
	}
	return good;
}

static void line_begin(struct wirelog *log, const char *what)
{
	uint64_t us = clock_us() - log->start_us;

	fprintf(log->file, "%" PRIu64 ".%06" PRIu64 " %s", us / 1000000, us % 1000000, what);
}

static void line_end(struct wirelog *log)
{
	fputc('\n', log->file);
	log->full = fflush(log->file) || ferror(log->file) || log->full;
}

static void byte_put(FILE *file, char byte)
{
	unsigned char c = (unsigned char)byte;

	if (c == '\r')
		fputs("\\r", file);
	else if (c == '\n')
		fputs("\\n", file);
	else if (c == '\\')
		fputs("\\\\", file);
	else if (c >= ' ' && c <= '~')
		fputc(c, file);
	else
		fprintf(file, "\\x%02x", c);
}

/* Writes all of the held bytes but the last `keep`. */
static void held_put(struct wirelog *log, struct wirelog_held *held, size_t keep)
{
	for (size_t i = 0; i < held->count - keep; i++)
		byte_put(log->file, held->bytes[i]);
	memmove(held->bytes, held->bytes + held->count - keep, keep);
	held->count = keep;
}

/* So many bytes at the end of the held ones begin this secret; all of it when it ends there. */
static size_t held_begins(const struct wirelog_held *held, const char *secret)
{
	size_t keep = strlen(secret);

	if (keep > held->count)
		keep = held->count;
	while (keep > 0 && memcmp(held->bytes + held->count - keep, secret, keep) != 0)
		keep--;
	return keep;
}

/* Longest end of the held bytes that begins a secret stays held; what is before it is written. */
static void held_settle(struct wirelog *log, struct wirelog_held *held)
{
	size_t most = 0;

	for (size_t i = 0; i < log->secret_count; i++) {
		size_t keep = held_begins(held, log->secrets[i]);

		if (keep == strlen(log->secrets[i])) {
			held_put(log, held, keep);
			fputs(WIRELOG_HIDDEN, log->file);
			held->count = 0;
			return;
		}
		most = keep > most ? keep : most;
	}
	held_put(log, held, most);
}

static void held_release(struct wirelog *log, unsigned int side)
{
	struct wirelog_held *held = &log->held[side];

	if (!held->count)
		return;
	line_begin(log, side ? "< " : "> ");
	for (size_t i = 0; i < held->count; i++)
		byte_put(log->file, held->bytes[i]);
	held->count = 0;
	line_end(log);
}

static void bytes_log(struct wirelog *log, unsigned int side, const char *data, size_t bytes)
{
	struct wirelog_held *held = &log->held[side];

	line_begin(log, side ? "< " : "> ");
	for (size_t i = 0; i < bytes; i++) {
		if (!log->secret_count) {
			byte_put(log->file, data[i]);
			continue;
		}
		held->bytes[held->count++] = data[i];
		held_settle(log, held);
	}
	line_end(log);
}

static void on_tap(void *context, enum dfota_host_tap_kind kind, const void *data, size_t bytes)
{
	struct wirelog *log = context;

	if (log->full)
		return; /* the upgrade matters more */
	if (kind == DFOTA_TAP_SENT || kind == DFOTA_TAP_RECEIVED) {
		bytes_log(log, kind == DFOTA_TAP_RECEIVED, data, bytes);
		return;
	}
	held_release(log, 0);
	held_release(log, 1);
	line_begin(log, kind == DFOTA_TAP_OPENED ? "open" : "close");
	line_end(log);
}

bool wirelog_open(struct wirelog *log, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memset(log, 0, sizeof(*log));
	if (fd < 0)
		return false;
	log->file = fdopen(fd, "w");
	if (!log->file) {
		close(fd);
		return false;
	}
	log->start_us = clock_us();
	log->tap = (struct dfota_host_tap){ on_tap, log };
	fputs(WIRELOG_HEAD, log->file);
	line_end(log);
	return !log->full;
}

bool wirelog_close(struct wirelog *log)
{
	bool good = !log->full;

	if (!log->file)
		return true;
	good = !fclose(log->file) && good;
	log->file = NULL;
	return good;
}
