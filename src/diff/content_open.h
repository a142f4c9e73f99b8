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

/* Programs. Each adds the parts of `file`, none if it is something else; places and addresses are
 * checked. DFOTA_E_MEMORY.
 */
int content_parse_elf(const uint8_t *file, uint64_t bytes,
		      struct content_parts *parts) DFOTA_MUST_CHECK;
int content_parse_kernel(const uint8_t *file, uint64_t bytes,
			 struct content_parts *parts) DFOTA_MUST_CHECK;

/* REGION_A32 or REGION_T32, whichever ARM code looks like. Looks at a bounded part of it. */
uint8_t content_arm_kind(const uint8_t *code, uint64_t bytes);

/* Cuts the largest BTF of `file` out of sorted parts and puts its types and strings in their place.
 */
int content_cut_btf(const uint8_t *file, uint64_t bytes,
		    struct content_parts *parts) DFOTA_MUST_CHECK;

#endif
