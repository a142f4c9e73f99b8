/* SPDX-License-Identifier: MIT
 *
 * The delta of one partition: `<partition>.delta` of a package. Layout, limits, reader and writer.
 *
 * A delta is, in this order:
 *   header    92 bytes, struct dfota_delta_header little endian (docs/package-format.md)
 *   steps     step_count records of 64 bytes, in the order in which they are to be done
 *   copies    varint stream: stash copies in step order
 *   prelude   codec's own data for the whole image
 *   chunks    coded segments, in step order, one after the other
 * All before the chunks is the *index*; its SHA-256 stands in the signed manifest, and every step
 * carries the digest of its chunk, so nothing in a delta is used unchecked. This room knows layout
 * and bounds only: it neither hashes nor decodes.
 *
 * Terms. Segment: what one chunk decodes to (coding segment), segment_bytes of the new image, the
 * last one may be shorter. Unit: what is written at once, unit_bytes; a segment is 1..64 units.
 * Stash: area that keeps old bytes which a later step still reads.
 */
#ifndef DFOTA_DELTA_H
#define DFOTA_DELTA_H

#include "dfota/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_DELTA_FORMAT       1
#define DFOTA_DELTA_HEADER_BYTES 92
#define DFOTA_DELTA_STEP_BYTES   64
#define DFOTA_DELTA_UNITS_MAX    64            /* units of a segment: width of changed_units */
#define DFOTA_DELTA_UNIT_MIN     512u          /* bytes; a multiple of 512 */
#define DFOTA_DELTA_UNIT_MAX     (4u << 20)    /* bytes */
#define DFOTA_DELTA_SEGMENT_MAX  (4u << 20)    /* bytes; a multiple of the unit */
#define DFOTA_DELTA_IMAGE_MAX    (1ull << 36)  /* bytes of one partition image */
#define DFOTA_DELTA_STEPS_MAX    (1u << 20)
#define DFOTA_DELTA_COPIES_MAX   (1u << 20)    /* stash copies of one partition */
#define DFOTA_DELTA_STASH_MAX    (256u << 20)  /* bytes */
#define DFOTA_DELTA_STASH_BLOCK  4096u         /* bytes; copies of two steps alive at once never share one */
#define DFOTA_DELTA_PRELUDE_MAX  (64u << 20)   /* bytes */

enum dfota_step_kind {
	DFOTA_STEP_UNCHANGED = 0, /* run of segments equal in old and new; read for proof, not written */
	DFOTA_STEP_DIRECT = 1,    /* reads none of the units it changes: a restart decodes again */
	DFOTA_STEP_REDO = 2,      /* reads units it changes: staged in the ring before it is written */
	DFOTA_STEP_TAIL = 3,      /* run of old segments past the new end; proven, never written */
	DFOTA_STEP_KIND_COUNT
};

/* How much a prelude holds, at most: what memory is made room for. */
struct dfota_delta_map {
	uint32_t regions; /* of either image */
	uint32_t pieces;
	uint32_t runs;    /* of types and symbols together */
};

struct dfota_delta_header {
	uint64_t old_bytes, new_bytes; /* image sizes */
	uint32_t unit_bytes, segment_bytes;
	uint32_t step_count;
	uint32_t copy_count;    /* stash copies of all steps together */
	uint32_t copy_stream_bytes;
	uint32_t prelude_bytes;
	uint64_t chunk_bytes;   /* all chunks together */
	uint32_t stash_bytes;   /* peak extent of the stash area */
	uint32_t live_copies;   /* peak number of copies alive at once */
	uint32_t codings;       /* bit c set: coding c (codec.h) occurs */
	/* For people, not used to apply: bytes of the new image that are equal to old bytes elsewhere
	 * or at the same place (moved), aligned but different (changed), without counterpart (literal).
	 * The three add up to new_bytes.
	 */
	uint64_t moved_bytes, changed_bytes, literal_bytes;
	struct dfota_delta_map map; /* bounds are the codec's business */
};

struct dfota_delta_step {
	uint32_t segment;        /* first segment */
	uint32_t segments;       /* 1; for UNCHANGED and TAIL the length of the run, >= 1 */
	uint64_t changed_units;  /* bit u: unit u of the segment is written; 0 for the run kinds */
	uint8_t kind;            /* enum dfota_step_kind */
	uint8_t coding;          /* enum dfota_coding; 0 for the run kinds */
	uint16_t copies;         /* stash copies made before this step writes; 0 for the run kinds */
	uint32_t chunk_bytes;    /* 1..bytes of the new segment; 0 for the run kinds */
	uint8_t source[8];       /* first bytes of SHA-256 of the old bytes in the segments' range */
	uint8_t target[16];      /* the same of the new bytes; for TAIL zero */
	uint8_t chunk[16];       /* the same of the chunk; for run kinds zero */
};

/* A copy is alive from the step it belongs to up to and including last_reader. Copies of one step come in
 * ascending order of stash_offset without overlap. While a copy lives, no other step's copy lies in any of
 * the stash blocks it touches: a torn write of one step cannot harm what another one has stashed.
 */
struct dfota_delta_copy {
	uint64_t old_offset;
	uint32_t bytes;        /* > 0 */
	uint32_t stash_offset;
	uint32_t last_reader;  /* index of the last step that reads it; > index of the step it belongs to */
};

/* An opened delta; holds no buffer of the file's size. Fields other than header are private. */
struct dfota_delta {
	struct dfota_delta_header header;
	struct dfota_source source;
	uint64_t bytes;         /* of the whole delta */
	uint64_t copies_at, prelude_at, chunks_at;
};

/* Reads the header and checks that every count is within its limit, that sizes add up to `bytes` and that
 * step_count fits the image. `source` is copied, its context must outlive `delta`. Errors: those of
 * the source, DFOTA_E_CORRUPT, DFOTA_E_FORMAT.
 */
int dfota_delta_open(struct dfota_delta *delta, const struct dfota_source *source, uint64_t bytes)
	DFOTA_MUST_CHECK;

/* Bytes of the index: everything before the chunks. */
uint64_t dfota_delta_index_bytes(const struct dfota_delta_header *header);

/* Walks the steps in order. Visible so that it can live on the caller's stack (about 1.2 KiB). */
struct dfota_delta_cursor {
	const struct dfota_delta *delta;
	uint32_t next_step;      /* index of the step that dfota_delta_next returns */
	uint64_t chunk_at;       /* offset in the delta of that step's chunk */
	uint64_t copy_at;        /* offset in the delta of the next unread copy */
	uint32_t copies_left;    /* of the step returned last */
	uint64_t copy_old_offset, copy_base; /* where the copy before ended, in old image and stash */
	uint32_t copies_seen;
	uint32_t buffered, buffer_used;
	uint64_t buffer_at;
	uint8_t buffer[1024];
};

void dfota_delta_rewind(struct dfota_delta_cursor *cursor, const struct dfota_delta *delta);

/* Returns the next step and the offset of its chunk in the delta. DFOTA_E_NOT_FOUND after the last.
 * Each record is checked: kind, ranges, changed_units within the segment and at least one bit for
 * a written step, chunk inside the delta, copies within what the header announces, reserved
 * bytes zero. Unread copies of the step before are skipped.
 */
int dfota_delta_next(struct dfota_delta_cursor *cursor, struct dfota_delta_step *ret_step,
		     uint64_t *ret_chunk_at) DFOTA_MUST_CHECK;

/* Returns the next stash copy of the step returned last; DFOTA_E_NOT_FOUND when it has no more. Checked: inside
 * the old image, inside the stash, behind the copy before it, last_reader later than this step and
 * < step_count.
 */
int dfota_delta_next_copy(struct dfota_delta_cursor *cursor, struct dfota_delta_copy *ret_copy)
	DFOTA_MUST_CHECK;

/* Walks the whole index once: every new segment in exactly one step, TAIL runs cover exactly the old
 * segments past the new end, totals equal the header's, live copies never share a stash block with another
 * step's and never exceed live_copies, and lie within their own step's old bytes. `workspace` (any alignment) must hold
 * dfota_delta_check_bytes(&delta->header), else DFOTA_E_MEMORY.
 */
size_t dfota_delta_check_bytes(const struct dfota_delta_header *header);
int dfota_delta_check(const struct dfota_delta *delta, void *workspace, size_t bytes)
	DFOTA_MUST_CHECK;

/* Range of the new (or old, for TAIL) image that a step covers, in bytes. */
void dfota_delta_step_range(const struct dfota_delta_header *header,
			    const struct dfota_delta_step *step, uint64_t *ret_offset,
			    uint64_t *ret_new_bytes, uint64_t *ret_old_bytes);

/* ---- builder's side -------------------------------------------------------------------- */

#define DFOTA_COUNTS_PREDICTORS_MAX 24

/* What the bytes of a delta are spent on, and how its words were told. For people; all zero when nobody has counted.
 * Bytes are rounded down, so that their sums are at most what the index says.
 */
struct dfota_delta_counts {
	uint64_t prelude[4]; /* bytes: regions, pieces of the map, runs of types, symbols */
	uint64_t plain[3];   /* bytes of chunks: operations, differences, new bytes; packed */
	uint64_t predict[4]; /* bytes of chunks: flags of blocks, flags of words, words missed, bytes of no word */
	/* Words that each predictor caught, by number: in blocks without exception, and by a flag. */
	uint32_t clean[DFOTA_COUNTS_PREDICTORS_MAX], flagged[DFOTA_COUNTS_PREDICTORS_MAX];
	uint32_t missed;     /* words */
	uint32_t literals;   /* bytes of no word */
};

/* A delta in memory as `diff` makes it: digests in the steps are still zero. Chunk data of step i
 * follows that of step i-1. All pointers are owned by this struct; free with dfota_delta_image_free.
 */
struct dfota_delta_image {
	struct dfota_delta_header header; /* counts and sizes complete, consistent */
	struct dfota_delta_step *steps;
	struct dfota_delta_copy *copies;  /* in step order; steps[i].copies of them belong to step i */
	uint8_t *prelude;
	uint8_t *chunks;
	struct dfota_delta_counts counts;
};

/* Accepts NULL members and a zeroed struct. */
void dfota_delta_image_free(struct dfota_delta_image *image);

/* Sets header.copy_stream_bytes and returns the index as malloc'ed bytes (header, steps, copies, prelude).
 * Errors: DFOTA_E_MEMORY; DFOTA_E_ARGUMENT when a limit is exceeded.
 */
int dfota_delta_write_index(struct dfota_delta_image *image, uint8_t **ret_index,
			    size_t *ret_bytes) DFOTA_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
