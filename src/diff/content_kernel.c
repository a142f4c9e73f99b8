/* SPDX-License-Identifier: MIT
 *
 * A raw arm64 kernel (Image), and the type information (BTF) of any kernel.
 */
#include "content_open.h"

#include <stdlib.h>

#define IMAGE_HEAD_BYTES 64u
#define KERNEL_ALIGN                                                                               \
	(UINT64_C(1)                                                                               \
	 << 21)		 /* of the address at which kernels are linked, but for the text offset */
#define POINTERS_MIN 64u /* fewer pointers than that do not prove an address */

#define BTF_HEAD_BYTES 24u
#define BTF_BYTES_MIN  4096u
#define BTF_TYPES_VA   (UINT64_C(1) << 32) /* strings start at 0 */

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Aligned words that may be kernel pointers, sorted; NULL when there is no memory. */
static uint64_t *pointers_collect(const uint8_t *file, uint64_t bytes, size_t *ret_count)
{
	size_t count = 0, kept = 0;
	uint64_t *pointers;

	for (uint64_t at = 0; at + 8 <= bytes; at += 8)
		count += dfota_get16(file + at + 6) == 0xffff;
	pointers = malloc((count + 1) * sizeof(*pointers));
	if (!pointers)
		return NULL;
	for (uint64_t at = 0; at + 8 <= bytes; at += 8) {
		uint64_t value = dfota_get64(file + at);

		if (value >> 48 == 0xffff && value < UINT64_MAX - UINT32_MAX)
			pointers[kept++] = value;
	}
	qsort(pointers, kept, sizeof(*pointers), compare_numbers);
	*ret_count = kept;
	return pointers;
}

/* Number of sorted values below `limit`. */
static size_t count_below(const uint64_t *values, size_t count, uint64_t limit)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (values[middle] < limit)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The base from which most pointers point into the kernel. It is a pointer itself (the symbol table
 * holds it), which decides among bases that are as good. 0 when there is none.
 */
static uint64_t base_find(const uint64_t *pointers, size_t count, uint64_t text_offset,
			  uint64_t mem_bytes)
{
	uint64_t best_base = 0, last = 0;
	size_t best = POINTERS_MIN, best_named = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t base =
		    (pointers[i] - text_offset) / KERNEL_ALIGN * KERNEL_ALIGN + text_offset;
		size_t inside, named;

		if (base == last)
			continue;
		last = base;
		inside = count_below(pointers, count, base + mem_bytes) -
			 count_below(pointers, count, base);
		named = count_below(pointers, count, base + 1) - count_below(pointers, count, base);
		if (inside > best || (inside == best && named > best_named)) {
			best = inside;
			best_named = named;
			best_base = base;
		}
	}
	return best_base;
}

int content_parse_kernel(const uint8_t *file, uint64_t bytes, struct content_parts *parts)
{
	struct content_part part = { .bytes = bytes, .mem_bytes = bytes, .kind = REGION_A64 };
	uint64_t text_offset, mem_bytes, *pointers;
	size_t count;

	if (bytes < IMAGE_HEAD_BYTES || memcmp(file + 56, "ARMd", 4) != 0)
		return 0;
	text_offset = dfota_get64(file + 8) % KERNEL_ALIGN;
	mem_bytes = dfota_get64(file + 16);
	if (mem_bytes > bytes && mem_bytes <= UINT32_MAX)
		part.mem_bytes = mem_bytes;
	pointers = pointers_collect(file, bytes, &count);
	if (!pointers)
		return DFOTA_E_MEMORY;
	parts->guess_limit = UINT64_MAX;
	part.va = base_find(pointers, count, text_offset, part.mem_bytes);
	free(pointers);
	return content_parts_add(parts, &part);
}

/* ---- type information ------------------------------------------------------------------------ */

/* Where it lies in a file: types, then strings. */
struct btf {
	uint64_t types_at, types_bytes, strings_at, strings_bytes;
};

static bool btf_read(const uint8_t *file, uint64_t bytes, uint64_t at, struct btf *ret)
{
	static const uint8_t head[8] = { 0x9f, 0xeb, 1, 0, BTF_HEAD_BYTES, 0, 0, 0 };
	uint64_t left = bytes - at, types_from, strings_from;

	if (left < BTF_BYTES_MIN || memcmp(file + at, head, sizeof(head)) != 0)
		return false;
	left -= BTF_HEAD_BYTES;
	types_from = dfota_get32(file + at + 8);
	ret->types_bytes = dfota_get32(file + at + 12);
	strings_from = dfota_get32(file + at + 16);
	ret->strings_bytes = dfota_get32(file + at + 20);
	ret->types_at = at + BTF_HEAD_BYTES + types_from;
	ret->strings_at = at + BTF_HEAD_BYTES + strings_from;
	return dfota_inside(types_from, ret->types_bytes, strings_from) &&
	       dfota_inside(strings_from, ret->strings_bytes, left) && ret->types_bytes >= 12 &&
	       ret->types_bytes % 4 == 0 && ret->strings_bytes >= 2 && file[ret->strings_at] == 0 &&
	       file[ret->strings_at + ret->strings_bytes - 1] == 0;
}

static bool btf_find(const uint8_t *file, uint64_t bytes, struct btf *ret)
{
	const uint8_t *at = file, *end = file + bytes;
	struct btf btf;

	*ret = (struct btf){ 0 };
	while ((at = memchr(at, 0x9f, (size_t)(end - at)))) {
		if (btf_read(file, bytes, (uint64_t)(at - file), &btf) &&
		    btf.types_bytes > ret->types_bytes)
			*ret = btf;
		at++;
	}
	return ret->types_bytes > 0;
}

int content_cut_btf(const uint8_t *file, uint64_t bytes, struct content_parts *parts)
{
	struct content_part types = { .kind = REGION_BTF_TYPES, .va = BTF_TYPES_VA };
	struct content_part strings = { .kind = REGION_BTF_STRINGS };
	struct btf btf;
	int r;

	if (!btf_find(file, bytes, &btf))
		return 0;
	types.at = btf.types_at;
	types.bytes = types.mem_bytes = btf.types_bytes;
	strings.at = btf.strings_at;
	strings.bytes = strings.mem_bytes = btf.strings_bytes;
	r = content_parts_cut(parts, types.at, strings.at + strings.bytes);
	if (r == 0)
		r = content_parts_add(parts, &types);
	if (r == 0)
		r = content_parts_add(parts, &strings);
	content_parts_sort(parts);
	return r;
}
