/* SPDX-License-Identifier: MIT
 *
 * Private to the matcher: the cheapest path over diagonals.
 */
#ifndef DFOTA_DIFF_MATCH_PATH_H
#define DFOTA_DIFF_MATCH_PATH_H

#include "match_seed.h"

/* The cheapest way through one stretch of the new image and a little around it; appends the pieces
 * inside. `seeds` are sorted; those of the stretches beside it are looked at too.
 */
int path_find(const struct view *view, const struct seeds *seeds, size_t stretch,
	      struct diff_pieces *pieces) DFOTA_MUST_CHECK;

#endif
