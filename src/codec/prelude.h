/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: what coding PREDICT sends once for the whole image: regions, map, BTF types.
 */
#ifndef DFOTA_CODEC_PRELUDE_H
#define DFOTA_CODEC_PRELUDE_H

#include "map.h"
#include "model.h"
#include "symbols.h"

/* A prelude of so many bytes holds at most so many regions of each image, pieces, runs of types and runs of symbols, and all its bytes bound
 * the memory that they need. Encoders pad. */
#define PRELUDE_REGION_BYTES 2u

static inline uint32_t prelude_regions_room(uint32_t bytes)
{
	return bytes / PRELUDE_REGION_BYTES < REGIONS_MAX ? bytes / PRELUDE_REGION_BYTES
							  : REGIONS_MAX;
}

/* Two bytes each for the first 32768 of them, then four. */
static inline uint32_t prelude_pieces_room(uint32_t bytes)
{
	uint32_t room = bytes / 2 < (1u << 15) ? bytes / 2 : (1u << 14) + bytes / 4;

	return room < MAP_PIECES_MAX ? room : MAP_PIECES_MAX;
}

#define PRELUDE_CONTEXTS 5u
#define PRELUDE_INPUTS   (2 * PRELUDE_CONTEXTS + 1)
#define PRELUDE_FIELDS   28u
#define PRELUDE_ROWS     (PRELUDE_FIELDS * 64u)

enum prelude_part { PRELUDE_REGIONS, PRELUDE_PIECES, PRELUDE_TYPES, PRELUDE_SYMBOLS, PRELUDE_PARTS };

/* Arrays have room for the capacities; when encoding they are full already. Sizes of the images are set. */
struct prelude {
	struct map *map;
	struct map_piece *pieces;
	struct map_types *types, *symbol_runs;
	struct symbol_pairs *old_pairs, *new_pairs;
	uint32_t region_room, piece_room, types_room;
	uint64_t cost[PRELUDE_PARTS]; /* encoding, filled: in 1/65536 bit */
};

/* Codes all of it with a mixer of PRELUDE_ROWS rows and PRELUDE_INPUTS inputs. Decoding: DFOTA_E_CORRUPT when anything is out of
 * bounds; everything that region.h and map.h say holds afterwards, but by_address is not filled.
 */
void prelude_start(struct model *model, struct model_mixer *mixer); /* before it: forgets what was learned */
int prelude_code(struct model *model, struct model_mixer *mixer, struct prelude *prelude)
	DFOTA_MUST_CHECK;

#endif
