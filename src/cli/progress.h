/* SPDX-License-Identifier: MIT
 *
 * A progress bar on the terminal that stderr is.
 *
 * Silent when stderr is no terminal or when the caller asks for it (--json): every call is then
 * free of effect, so callers need no conditions of their own. Not for use by two threads at once.
 */
#ifndef DFOTA_CLI_PROGRESS_H
#define DFOTA_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum progress_unit {
	PROGRESS_SHARE, /* percent only */
	PROGRESS_BYTES	/* percent, amount and speed */
};

struct progress {
	bool silent; /* private from here on */
	bool shown;  /* stderr is a terminal, and a bar was started */
	bool drawn;  /* a bar stands on the last line */
	enum progress_unit unit;
	char label[32];
	uint64_t done, total;
	uint64_t started_ms, drawn_ms;
	uint64_t mark_ms, mark_done; /* where the speed was last measured from */
	double rate;		     /* done a second, lately; 0 until it is known */
	unsigned int turns;
};

/* Begins a bar of `total` (0 = unknown: shows that time passes, and the amount). A bar that stands
 * is finished first. `progress` must be zeroed before its first use; `label` is copied, its first
 * 31 bytes are kept.
 */
void progress_start(struct progress *progress, const char *label, uint64_t total,
		    enum progress_unit unit, bool silent);

/* Changes total and unit of a bar that was begun before they were known. */
void progress_resize(struct progress *progress, uint64_t total, enum progress_unit unit);

/* Shows `done`, at most ten times a second. May be called from any loop. */
void progress_update(struct progress *progress, uint64_t done);

/* Lets time pass on the bar while nothing else happens. */
void progress_tick(struct progress *progress);

/* The bar as text, for callers that draw by themselves; `taken` columns stand before it. */
void progress_line(struct progress *progress, int taken, char *ret_text, size_t room);

/* The monotonic clock. */
uint64_t progress_clock_ms(void);

/* A line of text for people on stderr, above the bar if there is one. Only `silent` suppresses it.
 */
void progress_note(struct progress *progress, const char *text);

/* Draws the last state and goes to the next line. Allowed without progress_start and more than
 * once. */
void progress_finish(struct progress *progress);

#endif
