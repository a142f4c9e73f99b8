/* SPDX-License-Identifier: MIT
 *
 * Drawing of the progress bar: one line on stderr, rewritten in place.
 */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define REDRAW_MS   100
#define WIDTH_MIN   40
#define WIDTH_MAX   120
#define BAR_MAX	    40
#define LABEL_WIDTH 12

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < WIDTH_MIN)
		return WIDTH_MIN * 2;
	return size.ws_col > WIDTH_MAX ? WIDTH_MAX : size.ws_col;
}

static unsigned int permille(const struct progress *p)
{
	if (p->done >= p->total)
		return 1000;
	return (unsigned int)((double)p->done * 1000.0 / (double)p->total);
}

/* What stands behind the bar: amount and speed, and the time that is left once it can be told. */
static void format_tail(const struct progress *p, uint64_t now_ms, char *text, size_t room)
{
	double seconds = (double)(now_ms - p->started_ms) / 1000.0;
	char amount[16], speed[16];
	int used = 0;

	text[0] = '\0';
	if (p->unit == PROGRESS_BYTES) {
		cli_size(p->done, amount);
		cli_size(seconds > 0 ? (uint64_t)((double)p->done / seconds) : 0, speed);
		used = snprintf(text, room, "  %s  %s/s", amount, speed);
	}
	if (used < 0 || (size_t)used >= room)
		return;
	if (p->total && p->done && p->done < p->total && seconds >= 2)
		snprintf(text + used, room - (size_t)used, "  %.0f s left",
			 seconds * (double)(p->total - p->done) / (double)p->done);
	else
		snprintf(text + used, room - (size_t)used, "  %.0f s", seconds);
}

static void draw(struct progress *p, uint64_t now_ms)
{
	static const char turning[] = "|/-\\";
	char tail[96], bar[BAR_MAX + 1];
	int width, cells;

	format_tail(p, now_ms, tail, sizeof(tail));
	if (!p->total) {
		fprintf(stderr, "\r\033[K%-*s %c%s", LABEL_WIDTH, p->label, turning[p->turns++ % 4],
			tail);
	} else {
		/* label, space, [bar], " 100 %", tail, one free column against wrapping */
		width = terminal_width() - LABEL_WIDTH - 1 - 2 - 6 - (int)strlen(tail) - 1;
		cells = width < 5 ? 5 : width > BAR_MAX ? BAR_MAX : width;
		for (int i = 0; i < cells; i++)
			bar[i] =
			    (unsigned int)i * 1000 < permille(p) * (unsigned int)cells ? '#' : '.';
		bar[cells] = '\0';
		fprintf(stderr, "\r\033[K%-*s [%s] %3u %%%s", LABEL_WIDTH, p->label, bar,
			permille(p) / 10, tail);
	}
	fflush(stderr);
	p->drawn = true;
	p->drawn_ms = now_ms;
}

void progress_start(struct progress *progress, const char *label, uint64_t total,
		    enum progress_unit unit, bool silent)
{
	progress_finish(progress);
	*progress = (struct progress){ .silent = silent, .total = total, .unit = unit };
	progress->shown = !silent && isatty(STDERR_FILENO);
	snprintf(progress->label, sizeof(progress->label), "%s", label);
	progress->started_ms = clock_ms();
	if (progress->shown)
		draw(progress, progress->started_ms);
}

void progress_update(struct progress *progress, uint64_t done)
{
	uint64_t now_ms;

	progress->done = done;
	if (!progress->shown)
		return;
	now_ms = clock_ms();
	if (now_ms - progress->drawn_ms >= REDRAW_MS)
		draw(progress, now_ms);
}

void progress_resize(struct progress *progress, uint64_t total, enum progress_unit unit)
{
	progress->total = total;
	progress->unit = unit;
}

void progress_tick(struct progress *progress)
{
	progress_update(progress, progress->done);
}

void progress_note(struct progress *progress, const char *text)
{
	if (progress->silent)
		return;
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	fprintf(stderr, "%s\n", text);
	if (progress->drawn)
		draw(progress, clock_ms());
}

void progress_finish(struct progress *progress)
{
	if (progress->drawn) {
		draw(progress, clock_ms());
		fputc('\n', stderr);
	}
	progress->drawn = false;
	progress->shown = false;
}
