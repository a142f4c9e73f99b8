/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: what coding PREDICT sends once for the whole image: regions, map, BTF types.
 */
#ifndef DFOTA_CODEC_PRELUDE_H
#define DFOTA_CODEC_PRELUDE_H

#include "dfota/delta.h"
#include "map.h"
#include "model.h"
#include "symbols.h"

#define PRELUDE_CONTEXTS 5u
#define PRELUDE_INPUTS   MODEL_INPUTS(PRELUDE_CONTEXTS)
#define PRELUDE_FIELDS   28u
#define PRELUDE_ROWS     (PRELUDE_FIELDS * 64u)

enum prelude_part { PRELUDE_REGIONS, PRELUDE_PIECES, PRELUDE_TYPES, PRELUDE_SYMBOLS, PRELUDE_PARTS };

/* Arrays have room for the capacities; when encoding they are full already. Sizes of the images are set. */
struct prelude {
	struct map *map;
	struct map_piece *pieces;
	struct map_types *types, *symbol_runs;
	struct symbol_pairs *old_pairs, *new_pairs;
	struct dfota_delta_map room;
	uint64_t cost[PRELUDE_PARTS]; /* encoding, filled: in 1/65536 bit */
};

/* Codes all of it with a mixer of PRELUDE_ROWS rows and PRELUDE_INPUTS inputs. Decoding: DFOTA_E_CORRUPT when anything is out of
 * bounds; everything that region.h and map.h say holds afterwards, but by_address is not filled.
 */
/* Before it: forgets what was learned; the map has its sizes. */
void prelude_start(struct model *model, struct model_mixer *mixer, const struct map *map);
int prelude_code(struct model *model, struct model_mixer *mixer, struct prelude *prelude)
	DFOTA_MUST_CHECK;

#endif
