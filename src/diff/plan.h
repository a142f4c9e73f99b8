/* SPDX-License-Identifier: MIT
 *
 * Private to diff: the order in which segments are written, and what is stashed on the way.
 *
 * A conflict is a range of old bytes that segment `reader` reads and segment `writer` overwrites. If the
 * writer comes first in the order, the range is stashed before it writes.
 */
#ifndef DFOTA_DIFF_PLAN_H
#define DFOTA_DIFF_PLAN_H

#include "dfota/delta.h"
#include "ranges.h"

#define DIFF_NO_POSITION UINT32_MAX

struct diff_conflict {
	uint32_t writer, reader; /* segments; never the same */
	uint64_t start, end;     /* old bytes, all of them in units that the writer changes */
};

/* What plan makers need to know about the segments. */
struct diff_graph {
	uint64_t old_bytes;
	uint32_t unit_bytes, segment_bytes;
	uint32_t segments;            /* of the new image */
	const uint64_t *changed_units; /* one for each segment; 0 = not written */
	struct diff_conflict *conflicts; /* sorted by writer, then start, then reader */
	size_t conflict_count, conflict_room;
	size_t *first_conflict;       /* segments + 1: conflicts of each writer */
	bool *reads_itself;           /* one for each segment: reads units that it changes */
};

/* Makes the graph from what each segment reads (normalised). changed_units is borrowed. DFOTA_E_MEMORY. */
int diff_graph_make(struct diff_graph *graph, const struct dfota_delta_header *header,
		    const uint64_t *changed_units, const struct diff_ranges *reads)
	DFOTA_MUST_CHECK;
void diff_graph_free(struct diff_graph *graph); /* accepts a zeroed struct */

enum diff_order { DIFF_ASCENDING, DIFF_DESCENDING, DIFF_FEEDBACK_ARC, DIFF_EAGER, DIFF_ORDERS };

/* Fills `sequence` with the written segments in the order wanted; returns their number in *ret_count. */
int diff_order_make(const struct diff_graph *graph, enum diff_order order, uint32_t *sequence,
		    uint32_t *ret_count) DFOTA_MUST_CHECK;

struct diff_denial {
	uint32_t position;  /* in the sequence, of the writer: readers after it go without */
	uint32_t writer;
	uint64_t start, end;
};

/* Stash plan for one sequence. Pointers are owned by it. */
struct diff_plan {
	struct dfota_delta_copy *copies; /* last_reader is a position in the sequence */
	size_t copy_count, copy_room;
	uint32_t *copies_of;             /* per position */
	struct diff_denial *denials;     /* ranges for which the stash had no room */
	size_t denial_count, denial_room;
	uint64_t denied_bytes, stashed_bytes;
	uint64_t price;                  /* what copies and denials come to in bytes of the package, about */
	uint32_t stash_bytes, live_copies; /* peaks */
};

struct diff_room {
	uint64_t limit; /* bytes of stash at most */
	bool strict;    /* a plan that denies nothing is better than one that does, whatever they cost */
};

/* DFOTA_E_MEMORY. */
int diff_plan_make(struct diff_plan *plan, const struct diff_graph *graph,
		   const uint32_t *sequence, uint32_t count, const struct diff_room *room) DFOTA_MUST_CHECK;
/* By price, then by the size of the stash. */
bool diff_plan_better(const struct diff_plan *a, const struct diff_plan *b, bool strict);
void diff_plan_free(struct diff_plan *plan); /* accepts a zeroed struct */

#endif
