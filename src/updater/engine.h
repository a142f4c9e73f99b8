/* SPDX-License-Identifier: MIT
 *
 * Private to the room: what one call of the updater knows. All of it lives in the caller's work
 * memory.
 *
 * Files: journal.c says where we are; partition.c walks one delta and knows which old bytes are
 * left; layout.c places ring and stash, area.c keeps the stash, ring.c the ring, recipe.c and sources.c what may stand in it;
 * prove.c compares flash with digests; check.c does all that comes before the first write, and
 * after a restart; step.c does one step; updater.c puts them together.
 */
#ifndef DFOTA_UPDATER_ENGINE_H
#define DFOTA_UPDATER_ENGINE_H

#include "dfota/codec.h"
#include "dfota/updater.h"
#include "mutant.h"

#define UPDATER_IO_BYTES 16384u
#define UPDATER_ENGINE_MAX                                                                         \
	40960u /* bytes of struct engine, the same on every CPU: stands in manifests */
#define UPDATER_ALIGN	    16u   /* of the work memory's parts */
#define UPDATER_PAD_BYTES   4096u /* behind the segment, for the padding of its last page */
#define UPDATER_MAPS_MAX    880u  /* bytes of all partitions' maps in a record */
#define UPDATER_READS_MAX   1024u
#define UPDATER_DIGEST_PART 16 /* bytes of a step's target and chunk digests; of the source 8 */

/* What the ring holds; stands in records. */
enum updater_ring {
	UPDATER_RING_RAW,  /* units */
	UPDATER_RING_UP,   /* a recipe, units in ascending order */
	UPDATER_RING_DOWN, /* in descending order */
	UPDATER_RING_COUNT
};

/* Old bytes on flash that the segment at hand was decoded from; some may be missing. */
struct updater_reads {
	struct updater_range {
		uint64_t offset, end;
	} ranges[UPDATER_READS_MAX];
	uint32_t count;
};

/* A copy in the stash that this step or a later one reads. */
struct live_copy {
	uint64_t old_offset;
	uint32_t bytes, stash_offset; /* as the stash map has it */
	uint32_t owner, last_reader; /* steps */
};

struct journal {
	enum dfota_updater_phase phase;
	uint8_t sha256[DFOTA_SHA256_BYTES];
	char version[DFOTA_VERSION_MAX + 1];
	uint32_t partition, step, unit;
	enum updater_ring ring; /* PREPARED, UNIT */
};

struct layout {
	uint64_t ring_at, stash_at, bytes;
	uint32_t stash_stride; /* a block of the area, or a stash block if that is larger */
};

/* Where a partition's stash blocks lie: the package's own order, or packed step by step. */
struct stash_map {
	uint32_t shared;  /* stash blocks in a block of the area; 1: block i lies in the i-th */
	uint32_t *places; /* of each step: number of its first stash block; only when shared */
	uint32_t step, block, place; /* of the copy before: its step + 1, its last block and where that lies */
};

/* Bytes of the delta, seen from 0. */
struct window {
	const struct dfota_source *source;
	uint64_t at, bytes;
};

/* The partition at hand and its step at hand. */
struct partition {
	uint32_t index;
	const struct dfota_manifest_partition *row;
	struct dfota_flash *flash;
	struct dfota_delta delta;
	struct dfota_delta_cursor cursor;
	struct dfota_codec *codec;
	uint8_t *segment;	  /* one segment and UPDATER_PAD_BYTES */
	uint8_t *gone;		  /* bit per unit: old bytes are overwritten, or about to be */
	struct live_copy *copies; /* sorted by old_offset */
	uint32_t copy_count;
	struct stash_map stash;
	/* step */
	struct dfota_delta_step step;
	uint32_t step_index;
	uint64_t chunk_at, offset, new_bytes, old_bytes;
	struct updater_reads reads;
	enum updater_ring ring;
};

struct engine {
	const struct dfota_updater_config *config;
	const struct dfota_manifest *manifest;
	struct dfota_updater_report *report;
	struct dfota_digest digest;
	struct dfota_flash *flashes[DFOTA_PARTITIONS_MAX]; /* by the manifest's order */
	struct dfota_record_store store;
	struct journal journal;		/* newest record */
	uint8_t maps[UPDATER_MAPS_MAX]; /* of the partitions, as every record repeats them */
	size_t maps_bytes;
	bool mine; /* it is of the package at hand, and flash a mixture */
	struct layout layout;
	struct partition part;
	uint8_t *memory; /* for the partition at hand */
	bool rehearsing; /* all old bytes are still on flash */
	bool resuming;	 /* the next written step may have been in flight */
	int percent;
	uint64_t work_done, work_total; /* of the phase that percent tells of */
	int percent_from, percent_to;
	uint8_t io[UPDATER_IO_BYTES];
};

static inline uint64_t updater_round_up(uint64_t value, uint64_t to)
{
	return dfota_ceil_div64(value, to) * to;
}

static inline uint32_t updater_units(const struct partition *p)
{
	return (uint32_t)dfota_ceil_div64(p->new_bytes, p->delta.header.unit_bytes);
}

static inline bool updater_changed(const struct partition *p, uint32_t unit)
{
	return (p->step.changed_units >> unit & 1) != 0;
}

/* Bytes of unit `unit` of the segment at hand. */
static inline size_t updater_unit_bytes(const struct partition *p, uint32_t unit)
{
	uint32_t bytes = p->delta.header.unit_bytes;

	return (size_t)dfota_min64(bytes, p->new_bytes - (uint64_t)unit * bytes);
}

static inline uint32_t updater_changed_count(const struct dfota_delta_step *step)
{
	return (uint32_t)__builtin_popcountll(step->changed_units);
}

/* A cut leaves the old unit or the new one, for good. */
static inline bool updater_atomic(const struct engine *e)
{
	const struct dfota_flash_geometry *geometry = &e->part.flash->geometry;

	return (geometry->flags & DFOTA_FLASH_ATOMIC_BLOCK) &&
	       geometry->erase_bytes == e->part.delta.header.unit_bytes;
}

static inline bool updater_written(const struct dfota_delta_step *step)
{
	return step->kind == DFOTA_STEP_DIRECT || step->kind == DFOTA_STEP_REDO;
}

/* ---- telling (updater.c) ------------------------------------------------------------------ */

/* Notes where `error` happened, unless a place nearer to it has done so; returns it. */
int updater_fail(struct engine *e, enum dfota_where where, int error);
void updater_event(struct engine *e, enum dfota_updater_event event, int64_t a, int64_t b);
/* The work that follows is told as from..to percent. */
void updater_work(struct engine *e, int from, int to, uint64_t total);
void updater_worked(struct engine *e, uint64_t bytes);
/* DFOTA_E_STOPPED when asked to. */
int updater_stopped(struct engine *e) DFOTA_MUST_CHECK;

/* ---- journal.c --------------------------------------------------------------------------- */

int updater_journal_open(struct engine *e) DFOTA_MUST_CHECK;
/* True when the journal is of the package at hand. */
bool updater_journal_mine(const struct engine *e);
/* Records `phase` at the step at hand; durable when it returns 0. */
int updater_journal_put(struct engine *e, enum dfota_updater_phase phase,
			uint32_t unit) DFOTA_MUST_CHECK;

/* Where the partitions' blocks lie: asked of the flashes for a fresh upgrade, or told to them as
 * the newest record has it. Blocks must not move while an upgrade is under way, though one more of
 * them may have become bad.
 */
int updater_maps_take(struct engine *e) DFOTA_MUST_CHECK;
int updater_maps_give(struct engine *e) DFOTA_MUST_CHECK;

/* Records an end, COMMIT or ABANDONED, twice: power may have gone while the first was written, and
 * then it may read well once and be gone later, after success was told. The second, marked by unit
 * 1, is written only when the first is durable. Nothing if both are there.
 */
int updater_journal_end(struct engine *e, enum dfota_updater_phase phase) DFOTA_MUST_CHECK;

/* ---- partition.c -------------------------------------------------------------------------- */

/* Opens delta and codec and checks the index; the step at hand is before the first. */
int updater_partition_open(struct engine *e, uint32_t index) DFOTA_MUST_CHECK;
/* Moves to the next step; DFOTA_E_NOT_FOUND after the last. */
int updater_partition_next(struct engine *e) DFOTA_MUST_CHECK;
/* Next stash copy of the step, remembered for later steps; DFOTA_E_NOT_FOUND after the last. */
int updater_partition_copy(struct engine *e, struct dfota_delta_copy *ret_copy) DFOTA_MUST_CHECK;
/* From now on the old bytes of the step's changed units are not to be read. */
void updater_partition_gone(struct engine *e);
/* For a step that is done already: its copies and its changed units. */
int updater_partition_pass(struct engine *e) DFOTA_MUST_CHECK;
/* Old bytes from flash; DFOTA_E_CORRUPT (of the package) when any is gone. */
int updater_old_read(struct engine *e, uint64_t offset, uint8_t *out,
		     size_t bytes) DFOTA_MUST_CHECK;
/* Decodes the step's chunk into `segment` and compares both digests. */
int updater_partition_decode(struct engine *e) DFOTA_MUST_CHECK;

/* ---- layout.c ----------------------------------------------------------------------------- */

/* Where ring and stash lie on an area of this geometry. `scratch`: updater_stash_scratch bytes of each delta. */
int updater_layout(struct dfota_package *package, const struct dfota_flash_geometry *area,
		   void *scratch, uint64_t scratch_bytes,
		   struct layout *ret_layout) DFOTA_MUST_CHECK;
/* Where the steps' stash blocks lie on an area with such blocks: how many share one, and how many blocks it takes in all. `places`
 * has room for each step, or is NULL; `busy_until` for updater_stash_scratch bytes.
 */
int updater_stash_plan(const struct dfota_delta *delta, uint32_t erase_bytes, uint32_t *busy_until,
		       uint32_t *places, uint32_t *ret_shared,
		       uint32_t *ret_blocks) DFOTA_MUST_CHECK;
size_t updater_stash_scratch(const struct dfota_delta_header *header);
/* From the package's place of a copy to where it lies. All copies of a step, in their order. */
void updater_stash_translate(struct stash_map *map, uint32_t step, struct dfota_delta_copy *copy);

/* ---- area.c ------------------------------------------------------------------------------- */

/* Makes the step's stash copies, durably. */
int updater_stash_make(struct engine *e) DFOTA_MUST_CHECK;
int updater_stash_read(struct engine *e, uint32_t stash_offset, uint8_t *out,
		       size_t bytes) DFOTA_MUST_CHECK;

/* ---- ring.c ------------------------------------------------------------------------------- */

/* Puts the changed units of `segment` into the ring, or a recipe for them, durably; says so in the
 * partition's `ring`. */
int updater_ring_stage(struct engine *e) DFOTA_MUST_CHECK;
/* Fills `segment` from ring and flash, as `ring` says and with so many changed units in place, at
 * least, and compares it with the step's digest. */
int updater_ring_load(struct engine *e, uint32_t *in_place) DFOTA_MUST_CHECK;
/* Units are counted by records as they come into place. Else a unit's recipe may read the unit
 * itself. */
bool updater_ring_counted(const struct engine *e);
/* The unit that is written as the k-th of the changed ones. */
uint32_t updater_ring_unit(const struct partition *p, uint32_t k);

/* ---- prove.c ------------------------------------------------------------------------------ */

/* SHA-256 of a range of flash; `back` reads past caches. DFOTA_E_CONTENT when flash is shorter. */
int updater_range_digest(struct engine *e, struct dfota_flash *flash, uint64_t offset,
			 uint64_t bytes, bool back,
			 uint8_t ret_sha256[DFOTA_SHA256_BYTES]) DFOTA_MUST_CHECK;
/* The step's range holds its old (new) bytes: else DFOTA_E_CONTENT. */
int updater_source_prove(struct engine *e) DFOTA_MUST_CHECK;
int updater_target_prove(struct engine *e) DFOTA_MUST_CHECK;
/* The units that the step leaves alone are on flash as in `segment`: else DFOTA_E_CONTENT. */
int updater_rest_prove(struct engine *e) DFOTA_MUST_CHECK;
/* Reads back and compares: else DFOTA_E_READBACK. */
int updater_compare(struct engine *e, struct dfota_flash *flash, uint64_t offset,
		    const uint8_t *data, size_t bytes) DFOTA_MUST_CHECK;

/* ---- check.c ------------------------------------------------------------------------------ */

/* Project, versions, partitions, sizes, memory; and for one that `writes` area and room to grow. */
int updater_fit_check(struct engine *e, uint64_t memory_bytes, bool writes) DFOTA_MUST_CHECK;
/* Every partition holds the old image; *ret_new true (and 0) when all hold the new one. */
int updater_contents_check(struct engine *e, bool *ret_new) DFOTA_MUST_CHECK;
/* Decodes every segment without writing. */
int updater_rehearse(struct engine *e) DFOTA_MUST_CHECK;
/* After a restart: every step's range is as the journal says. */
int updater_resume_check(struct engine *e) DFOTA_MUST_CHECK;

/* ---- step.c ------------------------------------------------------------------------------- */

/* After a restart: the step at hand, which may have been in flight, has not written anything to the
 * partition, says the journal.
 */
bool updater_step_untouched(const struct engine *e);
/* Does the step at hand, from where the journal left it. */
int updater_step_do(struct engine *e) DFOTA_MUST_CHECK;

#endif
