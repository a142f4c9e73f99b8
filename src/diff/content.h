/* SPDX-License-Identifier: MIT
 *
 * Private to diff: what two images hold, told from their contents alone.
 *
 * A container (a file system, an archive) is opened to its files; programs among them are cut into
 * regions. Whatever looks wrong is no error: what is not understood gets no region. Images
 * are not trusted; every offset in them is checked.
 */
#ifndef DFOTA_DIFF_CONTENT_H
#define DFOTA_DIFF_CONTENT_H

#include "../codec/region.h"
#include "encode.h"

/* Regions of the programs that are in both images and differ; each pair of programs is a group.
 * Outputs are filled on success only; by_address is NULL; free with diff_regions_free.
 * DFOTA_E_MEMORY.
 */
int diff_content_find(const struct diff_images *images, struct regions *ret_old,
		      struct regions *ret_new) DFOTA_MUST_CHECK;

void diff_regions_free(struct regions *regions); /* accepts a zeroed struct */

#endif
