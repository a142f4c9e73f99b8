/* SPDX-License-Identifier: MIT
 *
 * Small upgrades, made by hand so that every kind of step occurs: for each unit of the new image a
 * letter says where its bytes come from.
 *
 *   =      the old bytes of the same place
 *   a..z   the old unit of that number
 *   *      new bytes
 *   ~      the old bytes of the same unit, moved by 100 bytes: the step reads what it overwrites
 *   ^      the same place but for 16 bytes
 *   < >    the old bytes half a unit before or behind
 *   ?      pieces of any length from anywhere, by chance
 */
#ifndef SHAPE_H
#define SHAPE_H

#include "dfota/pkgbuild.h"

#define SHAPE_PARTITIONS_MAX 3

enum shape_medium { MEDIUM_FILE, MEDIUM_BLOCK, MEDIUM_NAND, MEDIUM_UBI, MEDIUM_COUNT };

enum shape_order { ORDER_UP, ORDER_DOWN, ORDER_CHANCE };

struct shape_plan {
	const char *name; /* of the partition; NULL ends the list */
	const char *moves;
	uint32_t old_units;
	uint32_t old_short, new_short; /* bytes by which the last unit is shorter */
	enum shape_order order;
};

/* Packages that contradict themselves: refused before the first write. */
enum shape_spoil {
	SPOIL_NOTHING,
	SPOIL_KIND,  /* REDO steps are called DIRECT */
	SPOIL_STASH, /* copies are left out */
	SPOIL_UNITS, /* of the units of a segment that changed the last one is left out */
	SPOIL_CHUNK, /* chunks decode to something else */
	SPOIL_COUNT
};

struct shape {
	const char *name;
	const char *kinds; /* that it must lead to: Direct Redo Unchanged Tail Stash reCipe */
	uint32_t unit_bytes, segment_units;
	struct shape_plan plans[SHAPE_PARTITIONS_MAX];
	enum shape_spoil spoil;
	uint32_t area_block; /* erase block of an area on NAND or UBI; 0: 4 KiB, a stash block */
};

/* A shape with its images and package. */
struct upgrade {
	const struct shape *shape;
	enum shape_medium medium;
	char name[64];
	uint32_t count;
	struct {
		const char *name;
		uint8_t *old_image, *new_image;
		uint64_t old_bytes, new_bytes;
	} partitions[SHAPE_PARTITIONS_MAX];
	uint32_t kinds[DFOTA_STEP_KIND_COUNT], copies;
	uint64_t segment_bytes, ring_most, stash_most; /* bytes of one step */
	char path[128];
};

extern const struct shape shapes[];
extern const uint32_t shape_count;

/* `folder` has k.key and k.pub. Aborts on failure: nothing of this is under test. */
void upgrade_make(struct upgrade *upgrade, const struct shape *shape, enum shape_medium medium,
		  uint64_t seed, const char *folder);
void upgrade_free(struct upgrade *upgrade);

/* A shape by chance, kept in `shape` and `text`. */
void shape_by_chance(struct shape *shape, char text[SHAPE_PARTITIONS_MAX][64], uint64_t seed);

#define SCRATCH_MAX 32
/* A new folder with k.key and k.pub; removes it with them. */
void scratch_make(char folder[SCRATCH_MAX]);
void scratch_remove(const char *folder);

/* What a test takes for granted. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			must_fail(__FILE__, __LINE__, #condition);                                 \
	} while (0)
_Noreturn void must_fail(const char *file, int line, const char *text);

#endif
