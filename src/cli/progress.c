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
#define MEASURE_MS  500 /* between two measurements of the speed */

uint64_t progress_clock_ms(void)
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

/* Follows the speed of the last seconds: lines to modules are not even. An upload that begins anew
 * is measured anew. */
static void measure(struct progress *p, uint64_t now_ms)
{
	double speed;

	if (p->done < p->mark_done) {
		p->mark_done = p->done;
		p->mark_ms = p->started_ms = now_ms;
		p->rate = 0;
	}
	if (now_ms - p->mark_ms < MEASURE_MS)
		return;
	speed = (double)(p->done - p->mark_done) * 1000.0 / (double)(now_ms - p->mark_ms);
	p->rate = p->rate > 0 ? p->rate * 0.8 + speed * 0.2 : speed;
	p->mark_ms = now_ms;
	p->mark_done = p->done;
}

static void format_seconds(double seconds, char *text, size_t room)
{
	unsigned long whole = (unsigned long)(seconds + 0.5);

	if (whole >= 3600)
		snprintf(text, room, "%lu h %02lu min", whole / 3600, whole / 60 % 60);
	else if (whole >= 100)
		snprintf(text, room, "%lu min %02lu s", whole / 60, whole % 60);
	else
		snprintf(text, room, "%lu s", whole);
}

/* What stands behind the bar: amount and speed, and the time that is left once it can be told. */
static void format_tail(const struct progress *p, uint64_t now_ms, char *text, size_t room)
{
	double seconds = (double)(now_ms - p->started_ms) / 1000.0;
	char amount[16], speed[16], time[32];
	double rate =
	    p->unit == PROGRESS_SHARE && seconds > 0 ? (double)p->done / seconds : p->rate;
	int used = 0;

	text[0] = '\0';
	if (p->unit == PROGRESS_BYTES) {
		cli_size(p->done, amount);
		cli_size((uint64_t)p->rate, speed);
		used = snprintf(text, room, "  %s  %s/s", amount, speed);
	}
	if (used < 0 || (size_t)used >= room)
		return;
	if (p->total && p->done && p->done < p->total && rate > 0 && seconds >= 2) {
		format_seconds((double)(p->total - p->done) / rate, time, sizeof(time));
		snprintf(text + used, room - (size_t)used, "  %s left", time);
	} else {
		format_seconds(seconds, time, sizeof(time));
		snprintf(text + used, room - (size_t)used, "  %s", time);
	}
}

void progress_line(struct progress *p, int taken, char *ret_text, size_t room)
{
	static const char turning[] = "|/-\\";
	uint64_t now_ms = progress_clock_ms();
	char tail[96], bar[BAR_MAX + 1];
	int width, cells;

	measure(p, now_ms);
	format_tail(p, now_ms, tail, sizeof(tail));
	if (!p->total) {
		snprintf(ret_text, room, "%-*s %c%s", LABEL_WIDTH, p->label,
			 turning[p->turns++ % 4], tail);
		return;
	}
	/* label, space, [bar], " 100 %", tail, one free column against wrapping */
	width = terminal_width() - taken - LABEL_WIDTH - 1 - 2 - 6 - (int)strlen(tail) - 1;
	cells = width < 5 ? 5 : width > BAR_MAX ? BAR_MAX : width;
	for (int i = 0; i < cells; i++)
		bar[i] = (unsigned int)i * 1000 < permille(p) * (unsigned int)cells ? '#' : '.';
	bar[cells] = '\0';
	snprintf(ret_text, room, "%-*s [%s] %3u %%%s", LABEL_WIDTH, p->label, bar, permille(p) / 10,
		 tail);
}

static void draw(struct progress *p, uint64_t now_ms)
{
	char line[WIDTH_MAX + 64];

	progress_line(p, 0, line, sizeof(line));
	fprintf(stderr, "\r\033[K%s", line);
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
	progress->started_ms = progress->mark_ms = progress_clock_ms();
	if (progress->shown)
		draw(progress, progress->started_ms);
}

void progress_update(struct progress *progress, uint64_t done)
{
	uint64_t now_ms;

	progress->done = done;
	if (!progress->shown)
		return;
	now_ms = progress_clock_ms();
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
		draw(progress, progress_clock_ms());
}

void progress_finish(struct progress *progress)
{
	if (progress->drawn) {
		draw(progress, progress_clock_ms());
		fputc('\n', stderr);
	}
	progress->drawn = false;
	progress->shown = false;
}
