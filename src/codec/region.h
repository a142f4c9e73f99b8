/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: what is known about the contents of an image.
 *
 * A region is a stretch of an image with one kind of content and, if it is part of a program, the address at
 * which it runs. Regions of one program form a group; a group of the old image and the group of the same
 * number of the new image are versions of the same program. The encoder finds regions and sends them; the
 * decoder never guesses.
 */
#ifndef DFOTA_CODEC_REGION_H
#define DFOTA_CODEC_REGION_H

#include "dfota/bytes.h"

#define REGIONS_MAX      4096u /* of one image */
#define REGION_IMAGE_MAX ((uint64_t)INT32_MAX - 1)

enum region_kind {
	REGION_A64,         /* AArch64 code, with the data that stands between and behind it */
	REGION_A32,         /* ARM code and data */
	REGION_T32,         /* Thumb-2 code */
	REGION_X86,         /* x86-64 code */
	REGION_DATA32,      /* data of a program with pointers of 4 bytes */
	REGION_DATA64,      /* the same, 8 bytes */
	REGION_BTF_TYPES,   /* BTF type records; addresses are offsets from the region's start */
	REGION_BTF_STRINGS, /* BTF strings; the same */
	REGION_NAMES,       /* kernel symbols: names, compressed; at most one of each of these three, see symbols.h */
	REGION_SEQUENCES,   /* their numbers in the order of names, three bytes each, highest first */
	REGION_OFFSETS,     /* words of four bytes: addresses less the lowest of the program */
	REGION_FRAME_TABLE, /* .eh_frame_hdr: words less the region's address */
	REGION_FRAMES,      /* .eh_frame */
	REGION_DYNSYM32,    /* .dynsym: entries of 16 bytes; at most one of these two in a group */
	REGION_DYNSYM64,    /* the same, 24 */
	REGION_REL32,       /* relocations of 8 bytes with the number of a symbol of the group */
	REGION_RELA64,      /* the same, 24 */
	REGION_HASH,        /* .gnu.hash: numbers of such symbols */
	REGION_RISCV,       /* RISC-V code, with the data between */
	REGION_KINDS
};

/* Sorted by start, not overlapping, inside the image; addresses do not wrap. What no region covers is bytes. */
struct region {
	uint32_t start, bytes; /* in the image */
	uint64_t va;           /* address of the first byte */
	uint32_t mem_bytes;    /* in memory; >= bytes: what follows is zero-filled and not in the image */
	uint16_t group;
	uint8_t kind;          /* enum region_kind */
};

struct regions {
	struct region *items;
	uint32_t count;
	uint32_t *by_address; /* indices sorted by group, then address; NULL until somebody needs them */
};

/* Fills by_address, which has room for count numbers. */
void regions_sort(struct regions *regions);

/* A region of the group of this kind, or NULL. */
const struct region *regions_of_kind(const struct regions *regions, uint16_t group, unsigned kind);

/* Lowest address of a group; false when it has none. */
bool regions_base(const struct regions *regions, uint16_t group, uint64_t *ret_base);

/* Words of a program stand at addresses that are multiples of their size, wherever its file starts in the image: what is
 * added to a position to count by addresses, modulo 4.
 */
static inline uint32_t region_phase(const struct region *region)
{
	return ((uint32_t)region->va - region->start) & 3;
}

/* The last region that starts at or before `position`, or NULL. What follows it without being in a region is likely of the
 * same file and has its phase.
 */
const struct region *region_before(const struct regions *regions, uint32_t position);

static inline uint32_t regions_phase(const struct regions *regions, uint32_t position)
{
	const struct region *region = region_before(regions, position);

	return region ? region_phase(region) : 0;
}

static inline uint64_t region_address(const struct region *region, uint32_t position)
{
	return region->va + (position - region->start);
}

/* The region that holds `position`, or NULL. */
static inline const struct region *region_at(const struct regions *regions, uint32_t position)
{
	const struct region *region = region_before(regions, position);

	return region && position - region->start < region->bytes ? region : NULL;
}

#endif
