/* SPDX-License-Identifier: MIT
 *
 * Private to diff: which file of the new image is which of the old one.
 */
#ifndef DFOTA_DIFF_CONTENT_PAIR_H
#define DFOTA_DIFF_CONTENT_PAIR_H

#include "content_list.h"

struct content_pair {
	const struct content_file *old_file, *new_file;
};

struct content_pairs {
	struct content_pair *items;
	size_t count;
};

/* The files of an image; of one that is no container, the image itself as a file without a name.
 * DFOTA_E_MEMORY. */
int content_open(const uint8_t *image, uint64_t bytes,
		 struct content_files *files) DFOTA_MUST_CHECK;

/* Pairs by path, then what is left by path without digits (versions move in them), then by name
 * without digits. Empty files are left out. Borrows from both lists. DFOTA_E_MEMORY.
 */
int content_pairs_make(struct content_pairs *pairs, const struct content_files *old_files,
		       const struct content_files *new_files) DFOTA_MUST_CHECK;
void content_pairs_free(struct content_pairs *pairs);

#endif
