/* SPDX-License-Identifier: MIT
 *
 * Parts of an ELF program, 32 or 64 bits, little endian.
 *
 * Segments say what lies at which address; sections, if there are any, which of it is code. AArch64
 * code does not need them: its data is told from code word by word.
 */
#include "content_open.h"

#define SEGMENTS_MAX 256u
#define SECTIONS_MAX 4096u
#define CODE_GAP                                                                                   \
	64u /* bytes of or between code sections that are not worth a part of their own            \
	     */

enum { MACHINE_ARM = 40, MACHINE_X86_64 = 62, MACHINE_A64 = 183, MACHINE_RISCV = 243 };
enum { LOAD = 1, FRAME_TABLE = 0x6474e550, EXECUTABLE = 1 }; /* of segments: types, flag */
enum { RELA = 4, REL = 9, DYNSYM = 11, GNU_HASH = 0x6ffffff6 };
enum { PROGBITS = 1, ALLOCATED = 2, EXECINSTR = 4 }; /* of sections: type, flags */

struct elf {
	const uint8_t *file;
	uint64_t bytes;
	bool wide; /* 64 bits */
	unsigned machine;
	uint64_t segments_at, sections_at;
	uint32_t segment_count, segment_bytes, section_count, section_bytes;
};

struct segment {
	uint64_t at, va, bytes, mem_bytes;
	bool executable;
};

struct section {
	uint64_t at, bytes, va;
	uint32_t type;
	bool code, allocated;
};

/* A number of 4 bytes, or 8 in the wide form; each form has its own offset. */
static uint64_t number(const struct elf *elf, const uint8_t *record, unsigned narrow_at,
		       unsigned wide_at)
{
	return elf->wide ? dfota_get64(record + wide_at) : dfota_get32(record + narrow_at);
}

static bool elf_open(struct elf *elf, const uint8_t *file, uint64_t bytes)
{
	const uint8_t *counts;

	if (bytes < 64 || memcmp(file, "\177ELF", 4) != 0 || file[4] < 1 || file[4] > 2 ||
	    file[5] != 1)
		return false;
	*elf = (struct elf){ .file = file, .bytes = bytes, .wide = file[4] == 2 };
	counts = file + (elf->wide ? 54 : 42);
	elf->machine = dfota_get16(file + 18);
	elf->segments_at = number(elf, file, 28, 32);
	elf->sections_at = number(elf, file, 32, 40);
	elf->segment_bytes = dfota_get16(counts);
	elf->segment_count = dfota_get16(counts + 2);
	elf->section_bytes = dfota_get16(counts + 4);
	elf->section_count = dfota_get16(counts + 6);
	if (elf->segment_count > SEGMENTS_MAX || elf->segment_bytes < (elf->wide ? 56 : 32) ||
	    !dfota_inside(elf->segments_at, (uint64_t)elf->segment_count * elf->segment_bytes,
			  bytes))
		return false;
	if (elf->section_count > SECTIONS_MAX || elf->section_bytes < (elf->wide ? 64 : 40) ||
	    !dfota_inside(elf->sections_at, (uint64_t)elf->section_count * elf->section_bytes,
			  bytes))
		elf->section_count = 0;
	return true;
}

/* False when it is of another type, empty, or lies outside of the file. */
static bool segment_read(const struct elf *elf, uint32_t index, uint32_t type, struct segment *ret)
{
	const uint8_t *record = elf->file + elf->segments_at + (uint64_t)index * elf->segment_bytes;

	*ret = (struct segment){
		.at = number(elf, record, 4, 8),
		.va = number(elf, record, 8, 16),
		.bytes = number(elf, record, 16, 32),
		.mem_bytes = number(elf, record, 20, 40),
		.executable = dfota_get32(record + (elf->wide ? 4 : 24)) & EXECUTABLE,
	};
	if (ret->mem_bytes < ret->bytes || ret->mem_bytes > UINT32_MAX)
		ret->mem_bytes = ret->bytes;
	return dfota_get32(record) == type && ret->bytes > 0 &&
	       dfota_inside(ret->at, ret->bytes, elf->bytes) &&
	       ret->va <= UINT64_MAX - ret->mem_bytes;
}

/* False when nothing of it is in the file. */
static bool section_read(const struct elf *elf, uint32_t index, struct section *ret)
{
	const uint8_t *record = elf->file + elf->sections_at + (uint64_t)index * elf->section_bytes;
	uint64_t flags = number(elf, record, 8, 8);

	ret->type = dfota_get32(record + 4);
	ret->allocated = flags & ALLOCATED;
	ret->va = number(elf, record, 12, 16);
	ret->at = number(elf, record, 16, 24);
	ret->bytes = number(elf, record, 20, 32);
	ret->code =
	    ret->type == PROGBITS && ret->allocated && (flags & EXECINSTR);
	return ret->bytes > 0 && dfota_inside(ret->at, ret->bytes, elf->bytes);
}

/* The first code at or behind `at`, from sections; sections are not always sorted. */
static bool code_next(const struct elf *elf, uint64_t at, struct section *ret)
{
	bool found = false;

	for (uint32_t i = 0; i < elf->section_count; i++) {
		struct section section;

		if (section_read(elf, i, &section) && section.code && section.at >= at &&
		    (!found || section.at < ret->at)) {
			*ret = section;
			found = true;
		}
	}
	return found;
}

static uint8_t data_kind(const struct elf *elf)
{
	return elf->wide ? REGION_DATA64 : REGION_DATA32;
}

static bool has_code_kind(const struct elf *elf)
{
	return elf->machine == MACHINE_A64 || elf->machine == MACHINE_X86_64 || elf->machine == MACHINE_RISCV ||
	       elf->machine == MACHINE_ARM;
}

static uint8_t code_kind(const struct elf *elf, uint64_t at, uint64_t bytes)
{
	if (elf->machine == MACHINE_ARM)
		return content_arm_kind(elf->file + at, bytes);
	if (elf->machine == MACHINE_RISCV)
		return REGION_RISCV;
	return elf->machine == MACHINE_A64 ? REGION_A64 : REGION_X86;
}

/* Bytes [at, at + bytes) of the file, which lie in the segment. */
static int add_part(struct content_parts *parts, const struct segment *segment, uint64_t at,
		    uint64_t bytes, uint8_t kind)
{
	struct content_part part = { at, bytes, segment->va + (at - segment->at), bytes, kind };

	if (bytes == 0)
		return 0;
	if (at + bytes == segment->at + segment->bytes)
		part.mem_bytes += segment->mem_bytes - segment->bytes;
	return content_parts_add(parts, &part);
}

/* An executable segment: code sections and data between them. */
static int segment_split(const struct elf *elf, const struct segment *segment,
			 struct content_parts *parts)
{
	uint64_t at = segment->at, end = segment->at + segment->bytes;
	struct section code = { 0 };

	while (at < end && code_next(elf, at, &code) && code.at < end) {
		uint64_t code_end = dfota_min64(code.at + code.bytes, end);
		uint8_t kind = code_kind(elf, code.at, code_end - code.at);
		struct section next;
		int r = add_part(parts, segment, at, code.at - at, data_kind(elf));

		if (r < 0)
			return r;
		while (code_next(elf, code_end, &next) && next.at < end &&
		       next.at - code_end < CODE_GAP) {
			uint64_t next_end = dfota_min64(next.at + next.bytes, end);

			if (next_end - next.at >= CODE_GAP &&
			    code_kind(elf, next.at, next_end - next.at) != kind) {
				code_end = next.at;
				break;
			}
			code_end = next_end;
		}
		r = add_part(parts, segment, code.at, code_end - code.at, kind);
		if (r < 0)
			return r;
		at = code_end;
	}
	return add_part(parts, segment, at, end - at, data_kind(elf));
}

static int segment_add(const struct elf *elf, const struct segment *segment,
		       struct content_parts *parts)
{
	struct section code = { 0 };

	if (!segment->executable || !has_code_kind(elf))
		return add_part(parts, segment, segment->at, segment->bytes, data_kind(elf));
	if (elf->machine == MACHINE_A64 || !code_next(elf, 0, &code))
		return add_part(parts, segment, segment->at, segment->bytes,
				code_kind(elf, segment->at, segment->bytes));
	return segment_split(elf, segment, parts);
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* Bytes from which on a table is worth a part of its own: what it saves against what parts cost. */
#define TABLE_MIN   512u
#define RELOCS_MIN  1024u
#define HASH_MIN    2048u
#define FRAMES_MIN  4096u

/* A table stands at `va`, as the segment that holds it says. */
static int table_cut(struct content_parts *parts, uint64_t at, uint64_t bytes, uint64_t va, uint8_t kind)
{
	const struct content_part part = { at, bytes, va, bytes, kind };
	int r = 0;

	for (size_t i = 0; i < parts->count; i++) {
		const struct content_part *held = &parts->items[i];

		if (at < held->at || !dfota_inside(at - held->at, bytes, held->bytes))
			continue;
		if (held->va + (at - held->at) != va || va % 4 != 0)
			return 0;
		r = content_parts_cut(parts, at, at + bytes);
		return r < 0 ? r : content_parts_add(parts, &part);
	}
	return 0;
}

static uint8_t table_kind(const struct elf *elf, const struct section *section)
{
	switch (section->type) {
	case DYNSYM:
		return elf->wide ? REGION_DYNSYM64 : REGION_DYNSYM32;
	case RELA:
		return elf->wide && section->bytes >= RELOCS_MIN ? REGION_RELA64 : REGION_KINDS;
	case REL:
		return !elf->wide && section->bytes >= RELOCS_MIN ? REGION_REL32 : REGION_KINDS;
	case GNU_HASH:
		return section->bytes >= HASH_MIN ? REGION_HASH : REGION_KINDS;
	default:
		return REGION_KINDS;
	}
}

/* Those that name symbols, and if there are any, the symbols. */
static int symbol_tables_cut(const struct elf *elf, struct content_parts *parts)
{
	struct section section;
	bool any = false;
	int r = 0;

	for (uint32_t i = 0; i < elf->section_count; i++)
		any |= section_read(elf, i, &section) && section.allocated && section.type != DYNSYM &&
		       table_kind(elf, &section) != REGION_KINDS;
	for (uint32_t i = 0; any && i < elf->section_count && r == 0; i++) {
		if (!section_read(elf, i, &section) || !section.allocated)
			continue;
		if (table_kind(elf, &section) != REGION_KINDS)
			r = table_cut(parts, section.at, section.bytes, section.va, table_kind(elf, &section));
	}
	return r;
}

/* .eh_frame is a list of records with their length in front, which ends with an empty one or as its segment does. */
static uint64_t frames_bytes(const uint8_t *frames, uint64_t most)
{
	uint64_t at = 0;

	while (most - at >= 4) {
		uint32_t bytes = dfota_get32(frames + at);

		if (bytes == 0)
			return at + 4;
		if (bytes % 4 != 0 || bytes > most - at - 4)
			break;
		at += 4 + (uint64_t)bytes;
	}
	return at;
}

/* .eh_frame_hdr says where .eh_frame is: a distance from behind four bytes that say how numbers are written. */
static int frames_cut(struct content_parts *parts, const struct segment *segment, const struct segment *table,
		      const uint8_t *file)
{
	uint64_t at = table->at + 4 + (uint64_t)(int64_t)(int32_t)dfota_get32(file + table->at + 4);
	uint64_t bytes;

	if (at < segment->at || at - segment->at >= segment->bytes)
		return 0;
	bytes = frames_bytes(file + at, segment->bytes - (at - segment->at));
	if (bytes < FRAMES_MIN || (at < table->at + table->bytes && table->at < at + bytes))
		return 0;
	return table_cut(parts, at, bytes, segment->va + (at - segment->at), REGION_FRAMES);
}

static int frame_tables_cut(const struct elf *elf, struct content_parts *parts)
{
	static const uint8_t usual[4] = { 1, 0x1b, 0x03, 0x3b }; /* version, relative to here, count, relative to the table */
	struct segment table, segment;
	int r = 0;

	for (uint32_t i = 0; i < elf->segment_count && r == 0; i++) {
		if (!segment_read(elf, i, FRAME_TABLE, &table) || table.bytes < TABLE_MIN ||
		    memcmp(elf->file + table.at, usual, sizeof(usual)) != 0)
			continue;
		for (uint32_t k = 0; k < elf->segment_count && r == 0; k++) {
			if (!segment_read(elf, k, LOAD, &segment) || table.at < segment.at ||
			    !dfota_inside(table.at - segment.at, table.bytes, segment.bytes))
				continue;
			r = table_cut(parts, table.at, table.bytes, table.va, REGION_FRAME_TABLE);
			if (r == 0)
				r = frames_cut(parts, &segment, &table, elf->file);
		}
	}
	return r;
}

static int tables_cut(const struct elf *elf, struct content_parts *parts)
{
	int r = symbol_tables_cut(elf, parts);

	return r < 0 ? r : frame_tables_cut(elf, parts);
}

int content_parse_elf(const uint8_t *file, uint64_t bytes, struct content_parts *parts)
{
	struct elf elf;

	if (!elf_open(&elf, file, bytes))
		return 0;
	for (uint32_t i = 0; i < elf.segment_count; i++) {
		struct segment segment;
		int r;

		if (!segment_read(&elf, i, LOAD, &segment))
			continue;
		r = segment_add(&elf, &segment, parts);
		if (r < 0)
			return r;
	}
	return tables_cut(&elf, parts);
}
