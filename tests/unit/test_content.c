/* SPDX-License-Identifier: MIT
 *
 * What is told of two images from their contents, on images made here. With two file names as
 * arguments: prints it; with "damage", a file and a number: damages the file so many times and
 * looks at it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/diff/content.h"

static const char *const kinds[REGION_KINDS] = {
	[REGION_A64] = "a64",	    [REGION_A32] = "a32",
	[REGION_T32] = "t32",	    [REGION_X86] = "x86",
	[REGION_DATA32] = "data32", [REGION_DATA64] = "data64",
	[REGION_BTF_TYPES] = "btf", [REGION_BTF_STRINGS] = "strings",
	[REGION_NAMES] = "names",   [REGION_SEQUENCES] = "sequences",
	[REGION_OFFSETS] = "offsets", [REGION_FRAME_TABLE] = "frame table",
	[REGION_FRAMES] = "frames", [REGION_DYNSYM32] = "symbols32",
	[REGION_DYNSYM64] = "symbols64", [REGION_REL32] = "rel32",
	[REGION_RELA64] = "rela64", [REGION_HASH] = "hash",
	[REGION_RISCV] = "riscv",
};

static void print_regions(const char *name, const struct regions *regions)
{
	printf("%s: %u regions\n", name, regions->count);
	for (uint32_t i = 0; i < regions->count; i++) {
		const struct region *region = &regions->items[i];

		printf("  %8x %8x va %16llx mem %8x group %3u %s\n", region->start, region->bytes,
		       (unsigned long long)region->va, region->mem_bytes, region->group,
		       kinds[region->kind]);
	}
}

static uint8_t *read_file(const char *name, uint64_t *ret_bytes)
{
	FILE *file = fopen(name, "rb");
	uint8_t *bytes;
	long size;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	assert_true(size >= 0);
	rewind(file);
	bytes = malloc((size_t)size + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
	fclose(file);
	*ret_bytes = (uint64_t)size;
	return bytes;
}

static int print_files(const char *old_name, const char *new_name)
{
	struct diff_images images;
	struct regions old, new;
	uint8_t *old_image = read_file(old_name, &images.old_bytes);
	uint8_t *new_image = read_file(new_name, &images.new_bytes);

	images.old_image = old_image;
	images.new_image = new_image;
	if (diff_content_find(&images, &old, &new) < 0)
		return 1;
	print_regions(old_name, &old);
	print_regions(new_name, &new);
	diff_regions_free(&old);
	diff_regions_free(&new);
	free(old_image);
	free(new_image);
	return 0;
}

/* ---- images made here ------------------------------------------------------------------------ */

#define IMAGE_MAX (8u << 20)

struct image {
	uint8_t *bytes; /* IMAGE_MAX, zeroed */
	uint64_t count;
};

static struct image image_new(void)
{
	struct image image = { calloc(IMAGE_MAX, 1), 0 };

	assert_non_null(image.bytes);
	return image;
}

static uint64_t random_state;

static uint32_t random_number(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(random_state >> 33);
}

static void put_numbers(uint8_t *at, size_t count, int wide, ...)
{
	va_list list;

	va_start(list, wide);
	for (size_t i = 0; i < count; i++) {
		uint64_t value = va_arg(list, uint64_t);

		if (wide)
			dfota_put64(at + i * 8, value);
		else
			dfota_put32(at + i * 4, (uint32_t)value);
	}
	va_end(list);
}

#define U(x) ((uint64_t)(x))

/* Head of an ELF file with its program heads at 64 (0x40) and its section heads at 0x200. */
static void elf_head(uint8_t *elf, bool wide, unsigned machine, unsigned segments,
		     unsigned sections)
{
	memcpy(elf, "\177ELF", 4);
	elf[4] = wide ? 2 : 1;
	elf[5] = elf[6] = 1;
	dfota_put16(elf + 16, 3);
	dfota_put16(elf + 18, (uint16_t)machine);
	put_numbers(elf + 24, 3, wide, U(0), U(64), U(sections ? 0x200 : 0));
	elf += wide ? 54 : 42;
	dfota_put16(elf, wide ? 56 : 32);
	dfota_put16(elf + 2, (uint16_t)segments);
	dfota_put16(elf + 4, wide ? 64 : 40);
	dfota_put16(elf + 6, (uint16_t)sections);
}

static void elf_segment(uint8_t *elf, unsigned index, unsigned flags, uint64_t at, uint64_t va,
			uint64_t bytes, uint64_t mem_bytes)
{
	bool wide = elf[4] == 2;
	uint8_t *head = elf + 64 + index * (wide ? 56u : 32u);

	dfota_put32(head, 1);
	dfota_put32(head + (wide ? 4 : 24), flags);
	put_numbers(head + (wide ? 8 : 4), 5, wide, at, va, va, bytes, mem_bytes);
}

static void elf_code(uint8_t *elf, unsigned index, uint64_t at, uint64_t va, uint64_t bytes)
{
	bool wide = elf[4] == 2;
	uint8_t *head = elf + 0x200 + index * (wide ? 64u : 40u);

	dfota_put32(head + 4, 1);
	put_numbers(head + 8, 4, wide, U(6), va, at, bytes);
}

/* A64: 0x400 bytes of code at 0x1000, 0x100 of data and 0x80 of zeros. */
static uint64_t make_small_elf(uint8_t *elf, uint8_t salt)
{
	elf_head(elf, true, 183, 2, 0);
	elf_segment(elf, 0, 5, 0, 0x1000, 0x400, 0x400);
	elf_segment(elf, 1, 6, 0x400, 0x11400, 0x100, 0x180);
	memset(elf + 0x300, salt, 0x200);
	return 0x500;
}

static void find(const struct image *old_image, const struct image *new_image, struct regions *old,
		 struct regions *new)
{
	struct diff_images images = { old_image->bytes, new_image->bytes, old_image->count,
				      new_image->count };

	assert_int_equal(diff_content_find(&images, old, new), 0);
}

static void check_region(const struct regions *regions, uint32_t index, uint32_t start,
			 uint32_t bytes, uint64_t va, uint32_t mem_bytes, unsigned kind,
			 unsigned group)
{
	const struct region *region = &regions->items[index];

	assert_true(index < regions->count);
	assert_int_equal(region->start, start);
	assert_int_equal(region->bytes, bytes);
	assert_int_equal(region->va, va);
	assert_int_equal(region->mem_bytes, mem_bytes);
	assert_int_equal(region->kind, kind);
	assert_int_equal(region->group, group);
}

static void regions_free(struct regions *old, struct regions *new)
{
	diff_regions_free(old);
	diff_regions_free(new);
}

/* ---- programs -------------------------------------------------------------------------------- */

static void segments_are_regions(void **state)
{
	struct image a = image_new(), b = image_new();
	struct regions old, new;

	(void)state;
	a.count = make_small_elf(a.bytes, 1);
	b.count = make_small_elf(b.bytes, 2);
	dfota_put64(b.bytes + 64 + 16, 0x2000); /* the first segment has moved */
	find(&a, &b, &old, &new);
	assert_int_equal(old.count, 2);
	check_region(&old, 0, 0, 0x400, 0x1000, 0x400, REGION_A64, 0);
	check_region(&old, 1, 0x400, 0x100, 0x11400, 0x180, REGION_DATA64, 0);
	assert_int_equal(new.count, 2);
	check_region(&new, 0, 0, 0x400, 0x2000, 0x400, REGION_A64, 0);
	check_region(&new, 1, 0x400, 0x100, 0x11400, 0x180, REGION_DATA64, 0);
	regions_free(&old, &new);
	/* what has not changed needs none */
	find(&a, &a, &old, &new);
	assert_int_equal(old.count, 0);
	assert_int_equal(new.count, 0);
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

enum { RELA = 4, REL = 9, DYNSYM = 11, GNU_HASH = 0x6ffffff6 };

static void elf_table(uint8_t *elf, unsigned index, uint32_t type, uint64_t at, uint64_t bytes)
{
	bool wide = elf[4] == 2;
	uint8_t *head = elf + 0x200 + index * (wide ? 64u : 40u);

	dfota_put32(head + 4, type);
	put_numbers(head + 8, 4, wide, U(2), at + 0x10000, at, bytes);
}

/* Symbols, relocations, hashes; in the wide form a table of frames at 0x5000 and the frames at 0x5800 as well. */
static uint64_t make_tables(uint8_t *elf, bool wide)
{
	elf_head(elf, wide, wide ? 183 : 40, wide ? 2 : 1, 4);
	elf_segment(elf, 0, 5, 0, 0x10000, 0x8000, 0x8000);
	elf_table(elf, 0, GNU_HASH, 0x800, 0x800);
	elf_table(elf, 1, DYNSYM, 0x1000, 0x600);
	elf_table(elf, 2, wide ? RELA : REL, 0x1600, 0x480);
	elf_table(elf, 3, wide ? RELA : REL, 0x2000, 0x300); /* not worth a region */
	if (!wide)
		return 0x8000;
	elf_segment(elf, 1, 4, 0x5000, 0x15000, 0x400, 0x400);
	dfota_put32(elf + 64 + 56, 0x6474e550);
	dfota_put32(elf + 0x5000, 0x3b031b01);
	dfota_put32(elf + 0x5004, 0x5800 - 0x5004);
	for (uint32_t at = 0x5800; at < 0x6c00; at += 0x40)
		dfota_put32(elf + at, 0x3c);
	return 0x8000;
}

static void tables_are_regions(void **state)
{
	struct image a = image_new(), b = image_new();
	struct regions old, new;

	(void)state;
	a.count = make_tables(a.bytes, true);
	b.count = make_tables(b.bytes, true);
	b.bytes[0x7000] = 1;
	find(&a, &b, &old, &new);
	assert_int_equal(new.count, 9);
	check_region(&new, 0, 0, 0x800, 0x10000, 0x800, REGION_A64, 0);
	check_region(&new, 1, 0x800, 0x800, 0x10800, 0x800, REGION_HASH, 0);
	check_region(&new, 2, 0x1000, 0x600, 0x11000, 0x600, REGION_DYNSYM64, 0);
	check_region(&new, 3, 0x1600, 0x480, 0x11600, 0x480, REGION_RELA64, 0);
	check_region(&new, 4, 0x1a80, 0x3580, 0x11a80, 0x3580, REGION_A64, 0);
	check_region(&new, 5, 0x5000, 0x400, 0x15000, 0x400, REGION_FRAME_TABLE, 0);
	check_region(&new, 6, 0x5400, 0x400, 0x15400, 0x400, REGION_A64, 0);
	check_region(&new, 7, 0x5800, 0x1404, 0x15800, 0x1404, REGION_FRAMES, 0); /* with the empty record */
	check_region(&new, 8, 0x6c04, 0x13fc, 0x16c04, 0x13fc, REGION_A64, 0);
	regions_free(&old, &new);

	dfota_put32(b.bytes + 0x5004, 0xfffffff0); /* frames that would be in the table */
	dfota_put64(b.bytes + 0x200 + 16, 0x10808);  /* not where the segment has it */
	find(&a, &b, &old, &new);
	for (uint32_t i = 0; i < new.count; i++)
		assert_true(new.items[i].kind != REGION_FRAMES && new.items[i].kind != REGION_HASH);
	regions_free(&old, &new);

	memset(a.bytes, 0, a.count);
	memset(b.bytes, 0, b.count);
	a.count = make_tables(a.bytes, false);
	b.count = make_tables(b.bytes, false);
	b.bytes[0x7000] = 1;
	find(&a, &b, &old, &new);
	check_region(&new, 1, 0x800, 0x800, 0x10800, 0x800, REGION_HASH, 0);
	check_region(&new, 2, 0x1000, 0x600, 0x11000, 0x600, REGION_DYNSYM32, 0);
	check_region(&new, 3, 0x1600, 0x480, 0x11600, 0x480, REGION_REL32, 0);
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

/* Linkage table in ARM code, the rest in Thumb. */
static void fill_arm(uint8_t *elf)
{
	elf_head(elf, false, 40, 1, 3);
	elf_segment(elf, 0, 5, 0, 0x8000, 0x2000, 0x2000);
	elf_code(elf, 1, 0x1000, 0x9000, 0x400);
	elf_code(elf, 0, 0x600, 0x8600, 0x200);
	elf_code(elf, 2, 0x1410, 0x9410, 0x10);
	for (unsigned at = 0x600; at < 0x800; at += 12)
		put_numbers(elf + at, 3, false, U(0xe28fc600), U(0xe28cca01), U(0xe5bcf010));
	for (unsigned at = 0x1000; at < 0x1400; at += 8)
		put_numbers(elf + at, 2, false, U(0xb510 | 0xf000u << 16),
			    U(0xf810 | 0xbd10u << 16));
}

static void arm_code_is_split_by_instruction_set(void **state)
{
	struct image a = image_new(), b = image_new();
	struct regions old, new;

	(void)state;
	fill_arm(a.bytes);
	fill_arm(b.bytes);
	a.count = b.count = 0x2000;
	b.bytes[0x1fff] = 1;
	find(&a, &b, &old, &new);
	assert_int_equal(new.count, 5);
	check_region(&new, 0, 0, 0x600, 0x8000, 0x600, REGION_DATA32, 0);
	check_region(&new, 1, 0x600, 0x200, 0x8600, 0x200, REGION_A32, 0);
	check_region(&new, 2, 0x800, 0x800, 0x8800, 0x800, REGION_DATA32, 0);
	check_region(&new, 3, 0x1000, 0x420, 0x9000, 0x420, REGION_T32, 0);
	check_region(&new, 4, 0x1420, 0xbe0, 0x9420, 0xbe0, REGION_DATA32, 0);
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

static void x86_code_is_told_from_its_data(void **state)
{
	struct image a = image_new(), b = image_new();
	struct regions old, new;

	(void)state;
	elf_head(a.bytes, true, 62, 2, 1);
	elf_segment(a.bytes, 0, 5, 0, 0xffffffff81000000, 0x1800, 0x1800);
	elf_segment(a.bytes, 1, 6, 0x1800, 0xffffffff82000000, 0x100, 0x100);
	elf_code(a.bytes, 0, 0x1000, 0xffffffff81001000, 0x333);
	a.count = b.count = 0x1900;
	memcpy(b.bytes, a.bytes, a.count);
	b.bytes[0x1850] = 1;
	find(&a, &b, &old, &new);
	assert_int_equal(old.count, 4);
	check_region(&old, 1, 0x1000, 0x333, 0xffffffff81001000, 0x333, REGION_X86, 0);
	check_region(&old, 2, 0x1333, 0x4cd, 0xffffffff81001333, 0x4cd, REGION_DATA64, 0);
	check_region(&old, 3, 0x1800, 0x100, 0xffffffff82000000, 0x100, REGION_DATA64, 0);
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

#define KERNEL_BASE  0xffff800008000000
#define KERNEL_BYTES 0x10000u
#define BTF_AT	     0x8002u /* type information need not be aligned */
#define BTF_TYPES    0x2000u
#define BTF_STRINGS  0x1001u

static void make_kernel(struct image *image)
{
	uint8_t *btf = image->bytes + BTF_AT;

	image->count = KERNEL_BYTES;
	memcpy(image->bytes + 56, "ARMd", 4);
	dfota_put64(image->bytes + 16, 0x18000);
	for (unsigned i = 0; i < 500; i++)
		dfota_put64(image->bytes + 0x4000 + i * 8, KERNEL_BASE + random_number() % 0x18000);
	dfota_put32(btf, 0x1eb9f);
	put_numbers(btf + 4, 5, false, U(24), U(0), U(BTF_TYPES), U(BTF_TYPES), U(BTF_STRINGS));
	memset(btf + 24 + BTF_TYPES + 1, 'x', BTF_STRINGS - 2);
}

static void kernel_has_its_address_and_its_types(void **state)
{
	struct image a = image_new(), b = image_new();
	uint32_t strings = BTF_AT + 24 + BTF_TYPES, behind = strings + BTF_STRINGS;
	struct regions old, new;

	(void)state;
	make_kernel(&a);
	make_kernel(&b);
	find(&a, &b, &old, &new);
	assert_int_equal(old.count, 4);
	check_region(&old, 0, 0, BTF_AT + 24, KERNEL_BASE, BTF_AT + 24, REGION_A64, 0);
	check_region(&old, 1, BTF_AT + 24, BTF_TYPES, UINT64_C(1) << 32, BTF_TYPES,
		     REGION_BTF_TYPES, 1);
	check_region(&old, 2, strings, BTF_STRINGS, 0, BTF_STRINGS, REGION_BTF_STRINGS, 1);
	check_region(&old, 3, behind, KERNEL_BYTES - behind, KERNEL_BASE + behind, 0x18000 - behind,
		     REGION_A64, 0);
	assert_int_equal(new.count, 4);
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

#define BARE_BASE  0x4a000000u
#define BARE_CODE  0x9000u
#define BARE_BYTES 0xd000u

#define BARE_FUNCTIONS 600u

/* A call at `at`, behind the first instruction of a function. */
static void put_call(uint8_t *code, unsigned kind, uint32_t at, uint32_t target)
{
	uint32_t distance = target - at;

	if (kind == REGION_RISCV) {
		dfota_put32(code + at, 0x0ef | (distance >> 31) << 31 | (distance >> 1 & 0x3ff) << 21 |
				       (distance >> 11 & 1) << 20 | (distance >> 12 & 0xff) << 12);
	} else if (kind == REGION_T32) {
		distance -= 4;
		dfota_put16(code + at,
			    (uint16_t)(0xf000 | (distance >> 31) << 10 | (distance >> 12 & 0x3ff)));
		dfota_put16(code + at + 2, (uint16_t)(0xf800 | (distance >> 1 & 0x7ff)));
	} else {
		dfota_put32(code + at, 0x94000000 | (distance >> 2 & 0x3ffffff));
	}
}

/* Functions that call each other, and a table of pointers to some of them. */
static void make_bare(struct image *image, unsigned kind, bool wide, uint32_t skip)
{
	uint32_t start = kind == REGION_T32 ? 0xbf00b510 : kind == REGION_RISCV ? 0x00011141 : 0xa9be7bfd;
	uint32_t starts[BARE_FUNCTIONS], at = 0;
	uint8_t *code = image->bytes + skip;

	image->count = skip + BARE_BYTES;
	for (uint32_t i = 0; i < BARE_CODE; i += 4)
		dfota_put32(code + i, random_number() & 0x3fff3fff);
	for (uint32_t i = 0; i < BARE_FUNCTIONS; i++) {
		starts[i] = at;
		at += 16 + random_number() % 19 * 4;
		assert_true(at < BARE_CODE);
		dfota_put32(code + starts[i], start);
	}
	for (uint32_t i = 0; i < BARE_FUNCTIONS; i++)
		put_call(code, kind, starts[i] + 4, starts[random_number() % BARE_FUNCTIONS]);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t pointer = BARE_BASE + starts[random_number() % BARE_FUNCTIONS];

		if (!wide)
			dfota_put32(code + BARE_CODE + 0x2000 + i * 4, pointer | (kind == REGION_T32));
		else
			dfota_put64(code + BARE_CODE + 0x2000 + i * 8, pointer);
	}
}

static void check_bare(unsigned kind, bool wide, uint32_t skip)
{
	struct image a = image_new(), b = image_new();
	struct regions old, new;

	make_bare(&a, kind, wide, skip);
	make_bare(&b, kind, wide, skip);
	find(&a, &b, &old, &new);
	assert_int_equal(old.count, 2);
	assert_int_equal(old.items[0].start, 0);
	assert_int_equal(old.items[0].kind, kind);
	assert_int_equal(old.items[0].va, BARE_BASE - skip);
	assert_true(old.items[0].bytes >= 0x6000 && old.items[0].bytes < BARE_BYTES);
	assert_int_equal(old.items[1].kind, wide ? REGION_DATA64 : REGION_DATA32);
	assert_int_equal(old.items[1].va, BARE_BASE - skip + old.items[1].start);
	assert_int_equal(old.items[1].start + old.items[1].bytes, a.count);
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

static void bare_code_is_found_with_its_address(void **state)
{
	(void)state;
	check_bare(REGION_A64, true, 0);
	check_bare(REGION_T32, false, 0);
	check_bare(REGION_T32, false, 64); /* behind a head of 64 bytes */
	check_bare(REGION_RISCV, true, 0);
	check_bare(REGION_RISCV, false, 0); /* pointers alone tell how wide it is */
}

/* Addresses that only one version shows serve for both. */
static void an_address_is_shared(void **state)
{
	struct image a = image_new(), b = image_new();
	struct regions old, new;

	(void)state;
	make_bare(&a, REGION_A64, true, 0);
	make_bare(&b, REGION_A64, true, 0);
	memset(b.bytes + BARE_CODE, 0, BARE_BYTES - BARE_CODE);
	find(&a, &b, &old, &new);
	assert_int_equal(old.items[0].va, BARE_BASE);
	assert_int_equal(new.items[0].va, BARE_BASE);
	regions_free(&old, &new);
	find(&b, &a, &old, &new);
	assert_int_equal(old.items[0].va, BARE_BASE);
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

static void noise_and_text_are_no_code(void **state)
{
	struct image a = image_new(), b = image_new();
	struct regions old, new;

	(void)state;
	a.count = b.count = 1u << 20;
	for (uint64_t i = 0; i < a.count; i++) {
		a.bytes[i] = (uint8_t)random_number();
		b.bytes[i] = (uint8_t)(' ' + random_number() % 96);
	}
	find(&a, &b, &old, &new);
	assert_int_equal(old.count + new.count, 0);
	regions_free(&old, &new);
	find(&b, &a, &old, &new);
	assert_int_equal(old.count + new.count, 0);
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

/* ---- containers ------------------------------------------------------------------------------ */

/* Adds a file to a tar archive; the archive needs no end. Returns where the file's bytes are. */
static uint32_t tar_add(struct image *image, const char *name, const uint8_t *bytes, uint64_t count)
{
	uint8_t *head = image->bytes + image->count;
	unsigned sum = 0;

	assert_true(image->count + count + 1024 < IMAGE_MAX);
	memset(head + 148, ' ', 8);
	snprintf((char *)head, 100, "%s", name);
	snprintf((char *)head + 124, 12, "%011o", (unsigned)count);
	head[156] = '0';
	memcpy(head + 257, "ustar\00000", 8);
	for (unsigned i = 0; i < 512; i++)
		sum += head[i];
	snprintf((char *)head + 148, 8, "%06o", sum);
	memcpy(head + 512, bytes, count);
	image->count += 512 + (count + 511) / 512 * 512;
	return (uint32_t)(head + 512 - image->bytes);
}

static uint32_t cpio_add(struct image *image, const char *name, const uint8_t *bytes,
			 uint64_t count)
{
	uint8_t *head = image->bytes + image->count;
	size_t name_bytes = strlen(name) + 1;
	uint32_t at = (uint32_t)(image->count + 110 + name_bytes + 3) & ~3u;

	assert_true(image->count + count + 1024 < IMAGE_MAX);
	snprintf((char *)head, 111, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		 1u, 0100644u, 0u, 0u, 1u, 0u, (unsigned)count, 0u, 0u, 0u, 0u,
		 (unsigned)name_bytes, 0u);
	memcpy(head + 110, name, name_bytes);
	memcpy(image->bytes + at, bytes, count);
	image->count = (at + count + 3) & ~UINT64_C(3);
	return at;
}

typedef uint32_t add_file(struct image *image, const char *name, const uint8_t *bytes,
			  uint64_t count);

/* One program is unchanged, one changed, one has a new version in its name, one is gone, one is
 * new. */
static void check_archive(add_file *add)
{
	struct image a = image_new(), b = image_new();
	uint8_t one[0x500] = { 0 }, two[0x500] = { 0 }, three[0x500] = { 0 };
	uint32_t old_at[2], new_at[2];
	struct regions old, new;

	make_small_elf(one, 1);
	make_small_elf(two, 2);
	make_small_elf(three, 3);
	add(&a, "bin/same", one, sizeof(one));
	old_at[0] = add(&a, "bin/changed", one, sizeof(one));
	old_at[1] = add(&a, "lib/libx.so.1.2.3", one, sizeof(one));
	add(&a, "bin/gone", one, sizeof(one));
	add(&b, "a/readme", (const uint8_t *)"text", 4);
	add(&b, "bin/same", one, sizeof(one));
	new_at[0] = add(&b, "bin/changed", two, sizeof(two));
	new_at[1] = add(&b, "usr/lib/libx.so.1.2.10", three, sizeof(three));
	add(&b, "bin/fresh", three, sizeof(three));
	find(&a, &b, &old, &new);
	assert_int_equal(old.count, 4);
	assert_int_equal(new.count, 4);
	for (unsigned i = 0; i < 2; i++) {
		check_region(&old, 2 * i, old_at[i], 0x400, 0x1000, 0x400, REGION_A64, i);
		check_region(&old, 2 * i + 1, old_at[i] + 0x400, 0x100, 0x11400, 0x180,
			     REGION_DATA64, i);
		check_region(&new, 2 * i, new_at[i], 0x400, 0x1000, 0x400, REGION_A64, i);
	}
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

static void archives_are_opened(void **state)
{
	(void)state;
	check_archive(tar_add);
	check_archive(cpio_add);
}

/* When there are too many, the smallest programs go without. */
static void regions_are_bounded(void **state)
{
	struct image a = image_new(), b = image_new();
	const unsigned count = REGIONS_MAX / 2 + 10;
	uint8_t program[0x600] = { 0 };
	struct regions old, new;
	uint32_t large = 0, at;
	char name[32];

	(void)state;
	make_small_elf(program, 1);
	for (unsigned i = 0; i < count; i++) {
		bool last = i == count - 1;

		snprintf(name, sizeof(name), "%x/program", i);
		program[0x4ff] = 1;
		tar_add(&a, name, program, 0x500);
		program[0x4ff] = 2;
		at = tar_add(&b, name, program, last ? 0x600 : 0x500);
		if (last)
			large = at;
	}
	find(&a, &b, &old, &new);
	assert_int_equal(old.count, REGIONS_MAX);
	assert_int_equal(new.count, REGIONS_MAX);
	assert_non_null(region_at(&new, large));
	assert_int_equal(new.items[REGIONS_MAX - 1].group, REGIONS_MAX / 2 - 1);
	regions_free(&old, &new);
	free(a.bytes);
	free(b.bytes);
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* What region.h promises. */
static void check_regions(const struct regions *regions, uint64_t image_bytes)
{
	uint64_t end = 0;

	assert_true(regions->count <= REGIONS_MAX);
	for (uint32_t i = 0; i < regions->count; i++) {
		const struct region *region = &regions->items[i];

		assert_true(region->bytes > 0);
		assert_true(region->start >= end);
		end = (uint64_t)region->start + region->bytes;
		assert_true(end <= image_bytes);
		assert_true(region->mem_bytes >= region->bytes);
		assert_true(region->va <= UINT64_MAX - region->mem_bytes);
		assert_true(region->kind < REGION_KINDS);
	}
}

/* Some bytes get other values, often extreme ones, in heads rather than elsewhere; sometimes the
 * end is missing. */
static void damage(struct image *image)
{
	static const uint8_t extremes[] = { 0, 1, 0x7f, 0x80, 0xff };
	unsigned changes = 1 + random_number() % 8;

	for (unsigned i = 0; i < changes && image->count > 0; i++) {
		uint64_t reach = random_number() % 2 ? 1024 : image->count;
		uint64_t at = random_number() % dfota_min64(reach, image->count);

		image->bytes[at] =
		    random_number() % 2 ? (uint8_t)random_number() : extremes[random_number() % 5];
	}
	if (random_number() % 8 == 0)
		image->count = random_number() % (image->count + 1);
}

/* Damages an image again and again and looks at it beside the whole one; the bytes of damaged
 * copies end where they do. */
static void check_damaged(const struct image *whole, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		struct image copy = { malloc(whole->count + 1), whole->count }, tight;
		struct regions old, new;

		assert_non_null(copy.bytes);
		memcpy(copy.bytes, whole->bytes, whole->count);
		damage(&copy);
		tight = (struct image){ malloc(copy.count ? copy.count : 1), copy.count };
		assert_non_null(tight.bytes);
		memcpy(tight.bytes, copy.bytes, copy.count);
		find(whole, &tight, &old, &new);
		check_regions(&old, whole->count);
		check_regions(&new, tight.count);
		regions_free(&old, &new);
		free(tight.bytes);
		free(copy.bytes);
	}
}

static void damaged_images_do_no_harm(void **state)
{
	struct image elf = image_new(), arm = image_new(), kernel = image_new();
	struct image bare = image_new(), tar = image_new(), cpio = image_new();
	struct image tables = image_new();

	(void)state;
	tables.count = make_tables(tables.bytes, true);
	check_damaged(&tables, 1000);
	free(tables.bytes);
	elf.count = make_small_elf(elf.bytes, 1);
	fill_arm(arm.bytes);
	arm.count = 0x2000;
	make_kernel(&kernel);
	make_bare(&bare, REGION_A64, true, 0);
	tar_add(&tar, "one", elf.bytes, elf.count);
	tar_add(&tar, "two", arm.bytes, arm.count);
	cpio_add(&cpio, "one", elf.bytes, elf.count);
	cpio_add(&cpio, "two", kernel.bytes, kernel.count);
	check_damaged(&elf, 3000);
	check_damaged(&arm, 1000);
	check_damaged(&kernel, 100);
	check_damaged(&bare, 30);
	check_damaged(&tar, 1000);
	check_damaged(&cpio, 100);
	free(elf.bytes);
	free(arm.bytes);
	free(kernel.bytes);
	free(bare.bytes);
	free(tar.bytes);
	free(cpio.bytes);
}

static int damage_file(const char *name, unsigned rounds)
{
	struct image image = { 0 };

	image.bytes = read_file(name, &image.count);
	check_damaged(&image, rounds);
	free(image.bytes);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_are_regions),
		cmocka_unit_test(tables_are_regions),
		cmocka_unit_test(arm_code_is_split_by_instruction_set),
		cmocka_unit_test(x86_code_is_told_from_its_data),
		cmocka_unit_test(kernel_has_its_address_and_its_types),
		cmocka_unit_test(bare_code_is_found_with_its_address),
		cmocka_unit_test(an_address_is_shared),
		cmocka_unit_test(noise_and_text_are_no_code),
		cmocka_unit_test(archives_are_opened),
		cmocka_unit_test(regions_are_bounded),
		cmocka_unit_test(damaged_images_do_no_harm),
	};

	if (argc == 4 && strcmp(argv[1], "damage") == 0)
		return damage_file(argv[2], (unsigned)atoi(argv[3]));
	if (argc == 3)
		return print_files(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
