/* SPDX-License-Identifier: MIT
 *
 * What the host sent is waited for and compared, what the module sent is sent, after the same
 * pause.
 */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "wirelog.h"

#define SLICE_MS  50   /* between two looks whether to stop */
#define UNREAD_MS 5000 /* that a host may take to read what it was sent before the port goes */
#define SHOWN	  24   /* bytes around a difference that are shown */
#define NAME_MAX_ 64

enum what { OPEN, CLOSE, SENT, RECEIVED };

/* One line of the log. */
struct record {
	enum what what;
	uint64_t us;
	char *bytes; /* unescaped, in the line's own memory */
	size_t count;
};

struct replay {
	const struct replay_options *options;
	FILE *log;
	char *line;
	size_t room;
	unsigned long number; /* of the line */
	uint64_t before_us;   /* time of the record before */
	int port, peer;	      /* -1: away */
	char input[4096];
	size_t input_at, input_bytes;
};

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the log -------------------------------------------------------------------------------- */

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* In place: what is written is never longer. */
static bool unescape(char *text, size_t *ret_count)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		from++;
		if (*from == 'r')
			*to++ = '\r';
		else if (*from == 'n')
			*to++ = '\n';
		else if (*from == '\\')
			*to++ = '\\';
		else if (*from == 'x' && hex(from[1]) >= 0 && hex(from[2]) >= 0) {
			*to++ = (char)(hex(from[1]) * 16 + hex(from[2]));
			from += 2;
		} else
			return false;
	}
	*ret_count = (size_t)(to - text);
	return true;
}

static bool record_parse(char *line, struct record *ret_record)
{
	unsigned long long seconds, us;
	char *rest = strchr(line, ' ');
	int at = 0;

	if (!rest || sscanf(line, "%llu.%6llu%n", &seconds, &us, &at) != 2 || line + at != rest ||
	    seconds > 1000000000)
		return false;
	rest++;
	*ret_record = (struct record){ .us = seconds * 1000000 + us };
	if (strcmp(rest, "open") == 0 || strcmp(rest, "close") == 0) {
		ret_record->what = *rest == 'o' ? OPEN : CLOSE;
		return true;
	}
	if ((rest[0] != '>' && rest[0] != '<') || rest[1] != ' ')
		return false;
	ret_record->what = rest[0] == '>' ? SENT : RECEIVED;
	ret_record->bytes = rest + 2;
	return unescape(rest + 2, &ret_record->count);
}

/* 1 and a record, 0 at the end, -1 when the line is none. */
static int record_next(struct replay *replay, struct record *ret_record)
{
	ssize_t bytes;

	do {
		bytes = getline(&replay->line, &replay->room, replay->log);
		if (bytes < 0)
			return 0;
		replay->number++;
		if (bytes > 0 && replay->line[bytes - 1] == '\n')
			replay->line[--bytes] = '\0';
	} while (bytes == 0 || replay->line[0] == '#');
	return record_parse(replay->line, ret_record) ? 1 : -1;
}

/* ---- the port ------------------------------------------------------------------------------- */

static void port_close(struct replay *replay)
{
	uint64_t until_ms = clock_ms() + UNREAD_MS;
	int unread = 0;

	if (replay->port < 0)
		return;
	while (!ioctl(replay->peer, FIONREAD, &unread) && unread > 0 && clock_ms() < until_ms)
		(void)poll(NULL, 0, 1);
	(void)unlink(replay->options->link);
	close(replay->peer);
	close(replay->port);
	replay->port = replay->peer = -1;
	replay->input_at = replay->input_bytes = 0;
}

/* The link appears in one step, and only where there was none or a link. */
static bool link_put(const char *link, const char *device)
{
	struct stat about;
	char *fresh;
	bool good;

	if (!lstat(link, &about) && !S_ISLNK(about.st_mode))
		return false;
	if (asprintf(&fresh, "%s.%d", link, (int)getpid()) < 0)
		return false;
	(void)unlink(fresh);
	good = !symlink(device, fresh) && !rename(fresh, link);
	if (!good)
		(void)unlink(fresh);
	free(fresh);
	return good;
}

static bool port_open(struct replay *replay)
{
	struct termios line;
	char name[NAME_MAX_];

	port_close(replay);
	replay->port = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (replay->port < 0)
		return false;
	if (!grantpt(replay->port) && !unlockpt(replay->port) &&
	    !ptsname_r(replay->port, name, sizeof(name)))
		replay->peer = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (replay->peer < 0 || tcgetattr(replay->peer, &line)) {
		close(replay->port);
		replay->port = -1;
		return false;
	}
	cfmakeraw(&line);
	return !tcsetattr(replay->peer, TCSANOW, &line) && link_put(replay->options->link, name);
}

/* CLI_DONE when the port is ready for `events`; CLI_FAILED when asked to stop. */
static int port_wait(struct replay *replay, short events, uint64_t until_ms)
{
	for (;;) {
		struct pollfd item = { .fd = replay->port, .events = events };
		int n = poll(&item, 1, SLICE_MS);

		if (replay->options->stopped())
			return CLI_FAILED;
		if (n > 0 && (item.revents & events))
			return CLI_DONE;
		if (clock_ms() >= until_ms)
			return CLI_TIMEOUT;
	}
}

/* ---- playing -------------------------------------------------------------------------------- */

static void piece_print(const char *label, const char *bytes, size_t count)
{
	fprintf(stderr, "  %s ", label);
	for (size_t i = 0; i < count && i < SHOWN; i++) {
		if (bytes[i] >= ' ' && bytes[i] <= '~')
			fputc(bytes[i], stderr);
		else
			fprintf(stderr, "\\x%02x", (unsigned char)bytes[i]);
	}
	fputs(count > SHOWN ? "...\n" : "\n", stderr);
}

static int byte_next(struct replay *replay, const struct record *record, size_t at, char *ret_byte)
{
	while (replay->input_at == replay->input_bytes) {
		ssize_t n;
		int code = port_wait(replay, POLLIN, clock_ms() + replay->options->wait_ms);

		if (code == CLI_TIMEOUT) {
			cli_error(replay->options->name,
				  "%s:%lu: the host did not send in time:", replay->options->log,
				  replay->number);
			piece_print("due:", record->bytes + at, record->count - at);
		}
		if (code)
			return code;
		n = read(replay->port, replay->input, sizeof(replay->input));
		if (n > 0) {
			replay->input_at = 0;
			replay->input_bytes = (size_t)n;
		}
	}
	*ret_byte = replay->input[replay->input_at++];
	return CLI_DONE;
}

/* Where the log hides a password any will do, up to what follows it in an URL. */
static int host_awaited(struct replay *replay, const struct record *record)
{
	const size_t hidden = strlen(WIRELOG_HIDDEN);

	for (size_t at = 0; at < record->count; at++) {
		bool wild = record->count - at > hidden &&
			    memcmp(record->bytes + at, WIRELOG_HIDDEN "@", hidden + 1) == 0;
		char byte;
		int code;

		at += wild ? hidden : 0;
		do {
			code = byte_next(replay, record, at, &byte);
			if (code)
				return code;
		} while (wild && byte != '@');
		if (byte == record->bytes[at])
			continue;
		cli_error(replay->options->name,
			  "%s:%lu: the host does not do what the log has:", replay->options->log,
			  replay->number);
		piece_print("due: ", record->bytes + at, record->count - at);
		piece_print("came:", replay->input + replay->input_at - 1,
			    replay->input_bytes - replay->input_at + 1);
		return CLI_FAILED;
	}
	return CLI_DONE;
}

static int module_speaks(struct replay *replay, const struct record *record)
{
	size_t done = 0;

	while (done < record->count) {
		ssize_t n = write(replay->port, record->bytes + done, record->count - done);
		int code;

		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		code = port_wait(replay, POLLOUT, clock_ms() + replay->options->wait_ms);
		if (code == CLI_TIMEOUT)
			cli_error(replay->options->name, "%s:%lu: the host does not read",
				  replay->options->log, replay->number);
		if (code)
			return code;
	}
	return CLI_DONE;
}

/* The module's pauses only: the host takes its own time. */
static int pause_keep(struct replay *replay, const struct record *record)
{
	uint64_t us = record->us > replay->before_us ? record->us - replay->before_us : 0;
	uint64_t until_ms = clock_ms() + us / 1000 / replay->options->speed;

	replay->before_us = record->us;
	while (record->what != SENT && clock_ms() < until_ms) {
		uint64_t left = until_ms - clock_ms();

		if (replay->options->stopped())
			return CLI_FAILED;
		(void)poll(NULL, 0, (int)(left < SLICE_MS ? left : SLICE_MS));
	}
	return CLI_DONE;
}

static int record_play(struct replay *replay, const struct record *record)
{
	int code = pause_keep(replay, record);

	if (code)
		return code;
	if (record->what == CLOSE) {
		port_close(replay);
		return CLI_DONE;
	}
	if (record->what == OPEN) {
		if (port_open(replay))
			return CLI_DONE;
		cli_error(replay->options->name, "no port can be made at %s",
			  replay->options->link);
		return CLI_FAILED;
	}
	if (replay->port < 0) {
		cli_error(replay->options->name, "%s:%lu: bytes while the port is away",
			  replay->options->log, replay->number);
		return CLI_USAGE;
	}
	return record->what == SENT ? host_awaited(replay, record) : module_speaks(replay, record);
}

static bool head_read(struct replay *replay)
{
	ssize_t bytes = getline(&replay->line, &replay->room, replay->log);

	replay->number = 1;
	return bytes > 0 && strcmp(replay->line, WIRELOG_HEAD "\n") == 0;
}

static int play(struct replay *replay)
{
	struct record record;
	int code = CLI_DONE, more = 0;

	if (!head_read(replay)) {
		cli_error(replay->options->name, "%s does not begin with \"%s\"",
			  replay->options->log, WIRELOG_HEAD);
		return CLI_USAGE;
	}
	while (!code && (more = record_next(replay, &record)) > 0)
		code = record_play(replay, &record);
	if (!code && more < 0) {
		cli_error(replay->options->name, "%s:%lu: this is no line of a wire log",
			  replay->options->log, replay->number);
		code = CLI_USAGE;
	}
	return code;
}

int replay_run(const struct replay_options *options)
{
	struct replay *replay = calloc(1, sizeof(*replay));
	int code;

	if (!replay) {
		cli_error(options->name, "not enough memory");
		return CLI_FAILED;
	}
	*replay = (struct replay){ .options = options, .port = -1, .peer = -1 };
	replay->log = fopen(options->log, "re");
	if (replay->log) {
		code = play(replay);
		port_close(replay);
		(void)fclose(replay->log);
	} else {
		cli_error(options->name, "%s: %s", options->log, strerror(errno));
		code = CLI_USAGE;
	}
	free(replay->line);
	free(replay);
	return code;
}
