/* SPDX-License-Identifier: MIT
 *
 * Where the new image is text.
 */
#include "match_view.h"

#include <stdlib.h>

#define AROUND 32u /* bytes before and behind a cell that are looked at */
#define NOISE  20u /* of which one in so many may be no text */

static unsigned is_other(uint8_t byte)
{
	return byte < 0x20 ? byte != '\t' && byte != '\n' && byte != '\r' : byte >= 0x7f;
}

int view_find_text(struct view *view)
{
	const uint8_t *raw = view->new.raw;
	uint32_t bytes = view->new.bytes, from = 0, to = 0, others = 0;

	view->text = calloc(bytes / (8 * CELL) + 1, 1);
	if (!view->text)
		return DFOTA_E_MEMORY;
	for (uint32_t at = 0; bytes - at >= CELL; at += CELL) {
		uint32_t end = bytes - at > CELL + AROUND ? at + CELL + AROUND : bytes;

		while (to < end)
			others += is_other(raw[to++]);
		while (from + AROUND < at)
			others -= is_other(raw[from++]);
		if (others * NOISE <= to - from)
			view->text[at / (8 * CELL)] |= (uint8_t)(1u << (at / CELL % 8));
	}
	return 0;
}
