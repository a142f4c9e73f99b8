/* SPDX-License-Identifier: MIT
 *
 * Private to diff: containers that are opened and programs that are recognised, a file each.
 */
#ifndef DFOTA_DIFF_CONTENT_OPEN_H
#define DFOTA_DIFF_CONTENT_OPEN_H

#include "content_list.h"

/* Containers. Each adds the regular files that it finds in `image`, all if it is whole, none if it
 * is something else. Work is bounded by the image's size. DFOTA_E_MEMORY.
 */
int content_open_ext4(const uint8_t *image, uint64_t bytes,
		      struct content_files *files) DFOTA_MUST_CHECK;
int content_open_squashfs(const uint8_t *image, uint64_t bytes,
			  struct content_files *files) DFOTA_MUST_CHECK;
int content_open_tar(const uint8_t *image, uint64_t bytes,
		     struct content_files *files) DFOTA_MUST_CHECK;
int content_open_cpio(const uint8_t *image, uint64_t bytes,
		      struct content_files *files) DFOTA_MUST_CHECK;

/* Programs. Each adds the parts of `file`, none if it is something else; places and addresses are
 * checked. DFOTA_E_MEMORY.
 */
int content_parse_elf(const uint8_t *file, uint64_t bytes,
		      struct content_parts *parts) DFOTA_MUST_CHECK;
int content_parse_kernel(const uint8_t *file, uint64_t bytes,
			 struct content_parts *parts) DFOTA_MUST_CHECK;

/* Code without any head. Goes last: it takes what no other parser knows. */
int content_parse_bare(const uint8_t *file, uint64_t bytes,
		       struct content_parts *parts) DFOTA_MUST_CHECK;

/* An instruction set, as code is told from data. */
struct content_set {
	uint8_t kind, data_kind; /* enum region_kind: of the code, of the data beside it */
	uint8_t step;		 /* where instructions may start */
	uint8_t bytes;		 /* that must be there for a look */
	/* Is there a call at `at` of what looks like a function of this file? */
	bool (*call)(const uint8_t *code, uint64_t at, uint64_t bytes, uint64_t *ret_start);
	bool (*starts)(const uint8_t *code); /* does it look like the start of a function? */
	uint8_t narrow_kind; /* of the data, if code does not tell 64 bits from 32; else 0 */
};

#define CONTENT_SETS 5u

extern const struct content_set content_sets[CONTENT_SETS];

/* REGION_A32 or REGION_T32, whichever ARM code looks like. Looks at a bounded part of it. */
uint8_t content_arm_kind(const uint8_t *code, uint64_t bytes);

/* Cuts the largest BTF of `file` out of sorted parts and puts its types and strings in their place.
 */
int content_cut_btf(const uint8_t *file, uint64_t bytes,
		    struct content_parts *parts) DFOTA_MUST_CHECK;

#endif
