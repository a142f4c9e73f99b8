/* SPDX-License-Identifier: MIT
 *
 * Private to diff: the files of a container, and the parts of a program.
 */
#ifndef DFOTA_DIFF_CONTENT_LIST_H
#define DFOTA_DIFF_CONTENT_LIST_H

#include "../codec/region.h"

#define CONTENT_PATH_MAX  4096u
#define CONTENT_FILES_MAX (1u << 20)

/* Bytes of a file that stand together in the image. Between extents are zeros that stand nowhere.
 */
struct content_extent {
	uint64_t from;	    /* in the file */
	uint64_t at, bytes; /* in the image */
};

struct content_file {
	char *path;
	uint64_t bytes;
	struct content_extent *extents; /* ascending `from`, inside file and image */
	size_t extent_count, extent_room;
};

struct content_files {
	struct content_file *items;
	size_t count, room;
};

/* The new file has no extents yet; the pointer is good until the next one. NULL: no memory or too
 * many files. */
struct content_file *content_files_add(struct content_files *files, const char *path,
				       uint64_t bytes) DFOTA_MUST_CHECK;
/* Cuts what lies beyond the file's size; leaves out what does not ascend. DFOTA_E_MEMORY. */
int content_file_extend(struct content_file *file, uint64_t from, uint64_t at,
			uint64_t bytes) DFOTA_MUST_CHECK;
/* Takes back the one that was added last. */
void content_files_drop_last(struct content_files *files);
void content_files_free(struct content_files *files);

/* A stretch of a program. */
struct content_part {
	uint64_t at, bytes;	/* in the file */
	uint64_t va, mem_bytes; /* mem_bytes >= bytes */
	uint8_t kind;		/* enum region_kind */
};

struct content_parts {
	struct content_part *items;
	size_t count, room;
	uint64_t
	    guess_limit; /* unless 0: addresses are guesses (0 is none) and may not be above it */
};

/* DFOTA_E_MEMORY. */
int content_parts_add(struct content_parts *parts,
		      const struct content_part *part) DFOTA_MUST_CHECK;
void content_parts_free(struct content_parts *parts);

/* Takes bytes [at, end) out of the parts; what stands before and behind keeps its address. They are not sorted afterwards.
 * DFOTA_E_MEMORY.
 */
int content_parts_cut(struct content_parts *parts, uint64_t at, uint64_t end) DFOTA_MUST_CHECK;

/* Sorts by place in the file and cuts what overlaps the part before. */
void content_parts_sort(struct content_parts *parts);

#endif
