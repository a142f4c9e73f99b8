/* SPDX-License-Identifier: MIT
 *
 * Who reads what whom overwrites, and orders made from that.
 */
#include <stdlib.h>

#include "plan.h"

static int add_conflict(struct diff_graph *graph, struct diff_conflict conflict)
{
	if (graph->conflict_count == graph->conflict_room) {
		size_t room = graph->conflict_room ? graph->conflict_room * 2 : 1024;
		struct diff_conflict *conflicts =
			realloc(graph->conflicts, room * sizeof(*conflicts));

		if (!conflicts)
			return DFOTA_E_MEMORY;
		graph->conflicts = conflicts;
		graph->conflict_room = room;
	}
	graph->conflicts[graph->conflict_count++] = conflict;
	return 0;
}

/* One read, unit by unit: ranges of changed units become conflicts, joined across neighbours. */
static int add_read(struct diff_graph *graph, uint32_t reader, struct diff_range read)
{
	uint64_t start = read.start;

	while (start < read.end) {
		uint64_t unit = start / graph->unit_bytes;
		uint64_t end = dfota_min64(read.end, (unit + 1) * graph->unit_bytes);
		uint64_t segment = start / graph->segment_bytes;
		unsigned bit = (unsigned)(unit - segment * graph->segment_bytes / graph->unit_bytes);
		struct diff_conflict *last =
			graph->conflict_count ? &graph->conflicts[graph->conflict_count - 1] : NULL;
		int error = 0;

		if (segment >= graph->segments)
			return 0;
		if (graph->changed_units[segment] >> bit & 1) {
			if (segment == reader)
				graph->reads_itself[reader] = true;
			else if (last && last->reader == reader && last->writer == segment &&
				 last->end == start)
				last->end = end;
			else
				error = add_conflict(graph,
						     (struct diff_conflict){ (uint32_t)segment,
									     reader, start, end });
		}
		if (error)
			return error;
		start = end;
	}
	return 0;
}

static int compare_conflicts(const void *a, const void *b)
{
	const struct diff_conflict *x = a, *y = b;

	if (x->writer != y->writer)
		return x->writer < y->writer ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->reader > y->reader) - (x->reader < y->reader);
}

int diff_graph_make(struct diff_graph *graph, const struct dfota_delta_header *header,
		    const uint64_t *changed_units, const struct diff_ranges *reads)
{
	uint32_t segments =
		(uint32_t)dfota_ceil_div64(header->new_bytes, header->segment_bytes);
	size_t next = 0;
	int error = 0;

	*graph = (struct diff_graph){
		.old_bytes = header->old_bytes,
		.unit_bytes = header->unit_bytes,
		.segment_bytes = header->segment_bytes,
		.segments = segments,
		.changed_units = changed_units,
		.first_conflict = calloc((size_t)segments + 1, sizeof(*graph->first_conflict)),
		.reads_itself = calloc((size_t)segments + 1, sizeof(*graph->reads_itself)),
	};
	if (!graph->first_conflict || !graph->reads_itself)
		error = DFOTA_E_MEMORY;
	for (uint32_t i = 0; i < segments && !error; i++)
		for (size_t j = 0; j < reads[i].count && !error; j++)
			error = add_read(graph, i, reads[i].items[j]);
	if (error) {
		diff_graph_free(graph);
		return error;
	}
	if (graph->conflict_count)
		qsort(graph->conflicts, graph->conflict_count, sizeof(*graph->conflicts),
		      compare_conflicts);
	for (uint32_t i = 0; i <= segments; i++) {
		while (next < graph->conflict_count && graph->conflicts[next].writer < i)
			next++;
		graph->first_conflict[i] = next;
	}
	return 0;
}

void diff_graph_free(struct diff_graph *graph)
{
	free(graph->conflicts);
	free(graph->first_conflict);
	free(graph->reads_itself);
	*graph = (struct diff_graph){ 0 };
}

/* ---- orders by arcs ---------------------------------------------------------------------------
 *
 * An arc from reader to writer weighs the bytes that would have to be stashed if the writer came first. One segment after
 * the other is taken away, the one with the largest key; a tournament over all finds it, ties go to the lower number.
 *
 * FEEDBACK_ARC stashes little in all: Eades, Lin and Smyth with weights. Sinks go to the back, sources to the front; when
 * there is neither, the segment with the largest (arcs out - arcs in).
 *
 * EAGER stashes little at a time: next is who reads most of what is stashed, less what writing it adds.
 */
struct arcs {
	const struct diff_graph *graph;
	size_t *by_reader;       /* conflicts in order of reader */
	size_t *first_by_reader; /* segments + 1 */
	enum diff_order order;
	int64_t *out, *in;       /* weights of arcs to segments that are left */
	int64_t *stashed;        /* and of those from them to segments that were taken away */
	int64_t *keys;           /* tournament: leaves from `width` on */
	size_t width;
};

#define KEY_GONE INT64_MIN
#define KEY_FREE INT64_MAX /* sink or source */

static int64_t better(int64_t a, int64_t b)
{
	return a >= b ? a : b;
}

static void set_key(struct arcs *arcs, uint32_t segment, int64_t key)
{
	size_t i = arcs->width + segment;

	arcs->keys[i] = key;
	for (i /= 2; i >= 1; i /= 2)
		arcs->keys[i] = better(arcs->keys[2 * i], arcs->keys[2 * i + 1]);
}

static int64_t key_of(const struct arcs *arcs, uint32_t segment)
{
	bool eager = arcs->order == DIFF_EAGER;

	if (arcs->in[segment] == 0 || (arcs->out[segment] == 0 && !eager))
		return KEY_FREE;
	return (eager ? arcs->stashed : arcs->out)[segment] - arcs->in[segment];
}

static void refresh_key(struct arcs *arcs, uint32_t segment)
{
	if (arcs->keys[arcs->width + segment] != KEY_GONE)
		set_key(arcs, segment, key_of(arcs, segment));
}

static uint32_t best_segment(const struct arcs *arcs)
{
	size_t i = 1;

	while (i < arcs->width)
		i = arcs->keys[2 * i] == arcs->keys[i] ? 2 * i : 2 * i + 1;
	return (uint32_t)(i - arcs->width);
}

static void take_away(struct arcs *arcs, uint32_t segment)
{
	const struct diff_graph *graph = arcs->graph;

	set_key(arcs, segment, KEY_GONE);
	for (size_t i = graph->first_conflict[segment]; i < graph->first_conflict[segment + 1];
	     i++) {
		const struct diff_conflict *c = &graph->conflicts[i];

		arcs->out[c->reader] -= (int64_t)(c->end - c->start);
		arcs->stashed[c->reader] += (int64_t)(c->end - c->start);
		refresh_key(arcs, c->reader);
	}
	for (size_t i = arcs->first_by_reader[segment]; i < arcs->first_by_reader[segment + 1];
	     i++) {
		const struct diff_conflict *c = &graph->conflicts[arcs->by_reader[i]];

		arcs->in[c->writer] -= (int64_t)(c->end - c->start);
		refresh_key(arcs, c->writer);
	}
}

static void fill_arcs(struct arcs *arcs)
{
	const struct diff_graph *graph = arcs->graph;

	for (size_t i = 0; i < graph->conflict_count; i++) {
		const struct diff_conflict *c = &graph->conflicts[i];

		arcs->out[c->reader] += (int64_t)(c->end - c->start);
		arcs->in[c->writer] += (int64_t)(c->end - c->start);
		arcs->first_by_reader[c->reader + 1]++;
	}
	for (uint32_t i = 0; i < graph->segments; i++)
		arcs->first_by_reader[i + 1] += arcs->first_by_reader[i];
	/* Counting sort; the counters end up one segment ahead and are moved back. */
	for (size_t i = 0; i < graph->conflict_count; i++)
		arcs->by_reader[arcs->first_by_reader[graph->conflicts[i].reader]++] = i;
	for (uint32_t i = graph->segments; i > 0; i--)
		arcs->first_by_reader[i] = arcs->first_by_reader[i - 1];
	arcs->first_by_reader[0] = 0;
	for (size_t i = 0; i < 2 * arcs->width; i++)
		arcs->keys[i] = KEY_GONE;
	for (uint32_t i = 0; i < graph->segments; i++) {
		if (graph->changed_units[i] == 0)
			continue;
		set_key(arcs, i, 0);
		refresh_key(arcs, i);
	}
}

static int order_by_arcs(const struct diff_graph *graph, enum diff_order order, uint32_t *sequence, uint32_t count)
{
	size_t nodes = (size_t)graph->segments + 1;
	struct arcs arcs = { .graph = graph, .width = 1, .order = order };
	uint32_t front = 0, back = count;
	int error = DFOTA_E_MEMORY;

	while (arcs.width < graph->segments)
		arcs.width *= 2;
	arcs.by_reader = calloc(graph->conflict_count + 1, sizeof(*arcs.by_reader));
	arcs.first_by_reader = calloc(nodes, sizeof(*arcs.first_by_reader));
	arcs.out = calloc(nodes, sizeof(*arcs.out));
	arcs.in = calloc(nodes, sizeof(*arcs.in));
	arcs.stashed = calloc(nodes, sizeof(*arcs.stashed));
	arcs.keys = calloc(2 * arcs.width, sizeof(*arcs.keys));
	if (arcs.by_reader && arcs.first_by_reader && arcs.out && arcs.in && arcs.stashed &&
	    arcs.keys) {
		fill_arcs(&arcs);
		while (front < back) {
			uint32_t segment = best_segment(&arcs);

			if (arcs.out[segment] == 0 && order == DIFF_FEEDBACK_ARC)
				sequence[--back] = segment;
			else
				sequence[front++] = segment;
			take_away(&arcs, segment);
		}
		error = 0;
	}
	free(arcs.by_reader);
	free(arcs.first_by_reader);
	free(arcs.out);
	free(arcs.in);
	free(arcs.stashed);
	free(arcs.keys);
	return error;
}

int diff_order_make(const struct diff_graph *graph, enum diff_order order, uint32_t *sequence,
		    uint32_t *ret_count)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < graph->segments; i++)
		if (graph->changed_units[i])
			sequence[count++] = i;
	*ret_count = count;
	switch (order) {
	case DIFF_ASCENDING:
		return 0;
	case DIFF_DESCENDING:
		for (uint32_t i = 0; i < count / 2; i++) {
			uint32_t other = sequence[count - 1 - i];

			sequence[count - 1 - i] = sequence[i];
			sequence[i] = other;
		}
		return 0;
	case DIFF_FEEDBACK_ARC:
	case DIFF_EAGER:
	case DIFF_ORDERS:
		break;
	}
	return order_by_arcs(graph, order, sequence, count);
}
