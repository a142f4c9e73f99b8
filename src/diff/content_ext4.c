/* SPDX-License-Identifier: MIT
 *
 * Files of an ext2, ext3 or ext4 image.
 *
 * Directories are walked from the root, each inode once. A damaged image could make the walk long,
 * so it has a budget of steps; what has been found when it is used up is kept.
 */
#include "content_open.h"

#include <stdlib.h>

#define SUPER_AT	 1024u
#define SUPER_BYTES	 1024u
#define ROOT_INODE	 2u
#define INODE_BYTES_MIN	 128u
#define EXTENT_DEPTH_MAX 5u
#define EXTENT_WRITTEN	 32768u /* longer ones are reserved, not written */
#define DIRECT_BLOCKS	 12u

#define INCOMPAT_META_BG 0x10u
#define INCOMPAT_64BIT	 0x80u
#define INODE_COMPRESSED 0x4u
#define INODE_ENCRYPTED	 0x800u
#define INODE_EXTENTS	 0x80000u
#define INODE_INLINE	 0x10000000u

enum { TYPE_DIRECTORY = 4, TYPE_REGULAR = 8 }; /* top four bits of an inode's mode */

struct ext4 {
	const uint8_t *image;
	uint64_t bytes, blocks;
	uint32_t block_bytes, inodes, group_inodes, inode_bytes, descriptor_bytes;
	uint64_t descriptors_at;
	uint64_t budget;
	uint8_t *seen; /* bit per inode */
	struct content_files *files;
	struct content_files waiting; /* directories: path and, as its size, inode */
};

static bool super_read(struct ext4 *fs)
{
	const uint8_t *super = fs->image + SUPER_AT;
	uint32_t incompat;

	if (fs->bytes < SUPER_AT + SUPER_BYTES || dfota_get16(super + 0x38) != 0xef53 ||
	    dfota_get32(super + 0x18) > 6)
		return false;
	incompat = dfota_get32(super + 0x60);
	fs->block_bytes = 1024u << dfota_get32(super + 0x18);
	fs->blocks = fs->bytes / fs->block_bytes;
	fs->inodes = dfota_get32(super);
	fs->group_inodes = dfota_get32(super + 0x28);
	fs->inode_bytes = dfota_get32(super + 0x4c) == 0 ? 128 : dfota_get16(super + 0x58);
	fs->descriptor_bytes = incompat & INCOMPAT_64BIT ? dfota_get16(super + 0xfe) : 32;
	fs->descriptors_at = ((uint64_t)dfota_get32(super + 0x14) + 1) * fs->block_bytes;
	fs->budget = 4 * fs->blocks + 65536;
	return !(incompat & INCOMPAT_META_BG) && fs->group_inodes > 0 && fs->inodes > 0 &&
	       fs->inode_bytes >= INODE_BYTES_MIN && fs->inode_bytes <= fs->block_bytes &&
	       fs->inodes <= fs->bytes / fs->inode_bytes && fs->descriptor_bytes >= 32;
}

/* NULL when it lies outside of the image. */
static const uint8_t *inode_find(const struct ext4 *fs, uint32_t inode)
{
	uint64_t group = (inode - 1) / fs->group_inodes, at;
	const uint8_t *descriptor;

	if (inode == 0 || inode > fs->inodes)
		return NULL;
	at = fs->descriptors_at + group * fs->descriptor_bytes;
	if (!dfota_inside(at, fs->descriptor_bytes, fs->bytes))
		return NULL;
	descriptor = fs->image + at;
	at = dfota_get32(descriptor + 8);
	if (fs->descriptor_bytes >= 64)
		at |= (uint64_t)dfota_get32(descriptor + 0x28) << 32;
	if (at >= fs->blocks)
		return NULL;
	at = at * fs->block_bytes + (uint64_t)((inode - 1) % fs->group_inodes) * fs->inode_bytes;
	return dfota_inside(at, fs->inode_bytes, fs->bytes) ? fs->image + at : NULL;
}

static uint64_t inode_size(const uint8_t *inode)
{
	return dfota_get32(inode + 4) | (uint64_t)dfota_get32(inode + 0x6c) << 32;
}

static bool spend(struct ext4 *fs)
{
	if (fs->budget == 0)
		return false;
	fs->budget--;
	return true;
}

static int extend_blocks(const struct ext4 *fs, struct content_file *file, uint64_t from,
			 uint64_t block, uint64_t count)
{
	if (block == 0 || !dfota_inside(block, count, fs->blocks))
		return 0;
	return content_file_extend(file, from * fs->block_bytes, block * fs->block_bytes,
				   count * fs->block_bytes);
}

/* ---- extent tree ----------------------------------------------------------------------------- */

struct node {
	const uint8_t *entries;
	uint32_t next, count, depth;
};

static bool node_open(const uint8_t *bytes, uint64_t size, struct node *ret)
{
	uint32_t count = dfota_get16(bytes + 2);

	if (dfota_get16(bytes) != 0xf30a || 12 + (uint64_t)count * 12 > size)
		return false;
	*ret = (struct node){ bytes + 12, 0, count, dfota_get16(bytes + 6) };
	return true;
}

static bool node_descend(const struct ext4 *fs, const struct node *parent, const uint8_t *entry,
			 struct node *ret)
{
	uint64_t block = dfota_get32(entry + 4) | (uint64_t)dfota_get16(entry + 8) << 32;

	return block < fs->blocks &&
	       node_open(fs->image + block * fs->block_bytes, fs->block_bytes, ret) &&
	       ret->depth == parent->depth - 1;
}

static int extents_read(struct ext4 *fs, const uint8_t *root, struct content_file *file)
{
	struct node path[EXTENT_DEPTH_MAX + 1];
	size_t level = 0;

	if (!node_open(root, 60, &path[0]) || path[0].depth > EXTENT_DEPTH_MAX)
		return 0;
	for (;;) {
		struct node *node = &path[level];
		const uint8_t *entry;
		uint32_t count;
		int r;

		if (node->next == node->count) {
			if (level-- == 0)
				return 0;
			continue;
		}
		if (!spend(fs))
			return 0;
		entry = node->entries + (size_t)node->next++ * 12;
		if (node->depth > 0) {
			if (!node_descend(fs, node, entry, &path[level + 1]))
				return 0;
			level++;
			continue;
		}
		count = dfota_get16(entry + 4);
		if (count > EXTENT_WRITTEN)
			continue;
		r = extend_blocks(fs, file, dfota_get32(entry),
				  dfota_get32(entry + 8) | (uint64_t)dfota_get16(entry + 6) << 32,
				  count);
		if (r < 0)
			return r;
	}
}

/* ---- block map ------------------------------------------------------------------------------- */

/* Block number of a file's block; 0 is a hole. */
static uint64_t block_of(const struct ext4 *fs, const uint8_t *map, uint64_t index)
{
	uint64_t per_block = fs->block_bytes / 4, reach = per_block, block;
	unsigned levels = 1;

	if (index < DIRECT_BLOCKS)
		return dfota_get32(map + index * 4);
	index -= DIRECT_BLOCKS;
	while (levels < 3 && index >= reach) {
		index -= reach;
		reach *= per_block;
		levels++;
	}
	if (index >= reach)
		return 0;
	block = dfota_get32(map + (DIRECT_BLOCKS + levels - 1) * 4);
	while (levels-- > 0) {
		if (block == 0 || block >= fs->blocks)
			return 0;
		reach /= per_block;
		block = dfota_get32(fs->image + block * fs->block_bytes + index / reach * 4);
		index %= reach;
	}
	return block;
}

static int blocks_read(struct ext4 *fs, const uint8_t *map, struct content_file *file)
{
	uint64_t count = dfota_ceil_div64(file->bytes, fs->block_bytes);

	for (uint64_t i = 0; i < count && spend(fs); i++) {
		int r = extend_blocks(fs, file, i, block_of(fs, map, i), 1);

		if (r < 0)
			return r;
	}
	return 0;
}

static int inode_extents(struct ext4 *fs, const uint8_t *inode, struct content_file *file)
{
	uint32_t flags = dfota_get32(inode + 0x20);

	if (flags & (INODE_COMPRESSED | INODE_ENCRYPTED | INODE_INLINE))
		return 0;
	if (flags & INODE_EXTENTS)
		return extents_read(fs, inode + 0x28, file);
	return blocks_read(fs, inode + 0x28, file);
}

/* ---- directories ----------------------------------------------------------------------------- */

static int entry_take(struct ext4 *fs, const char *parent, const uint8_t *name, size_t name_bytes,
		      uint32_t number)
{
	const uint8_t *inode = inode_find(fs, number);
	size_t parent_bytes = strlen(parent);
	char path[CONTENT_PATH_MAX];
	struct content_file *file;
	unsigned type;

	if (!inode || (name_bytes == 1 && name[0] == '.') ||
	    (name_bytes == 2 && memcmp(name, "..", 2) == 0) ||
	    parent_bytes + 1 + name_bytes >= sizeof(path) ||
	    (fs->seen[number / 8] >> (number % 8) & 1))
		return 0;
	type = dfota_get16(inode) >> 12;
	if ((type != TYPE_DIRECTORY && type != TYPE_REGULAR) || inode_size(inode) > fs->bytes)
		return 0;
	fs->seen[number / 8] |= (uint8_t)(1u << (number % 8));
	memcpy(path, parent, parent_bytes);
	path[parent_bytes] = '/';
	memcpy(path + parent_bytes + 1, name, name_bytes);
	path[parent_bytes + 1 + name_bytes] = 0;
	if (type == TYPE_DIRECTORY)
		return content_files_add(&fs->waiting, path, number) ? 0 : DFOTA_E_MEMORY;
	file = content_files_add(fs->files, path, inode_size(inode));
	return file ? inode_extents(fs, inode, file) : DFOTA_E_MEMORY;
}

static int directory_block(struct ext4 *fs, const char *path, const uint8_t *block)
{
	for (uint32_t at = 0; at + 8 <= fs->block_bytes && spend(fs);) {
		uint32_t number = dfota_get32(block + at), bytes = dfota_get16(block + at + 4);
		uint32_t name_bytes = block[at + 6];
		int r;

		if (bytes == 0 || bytes == 65535)
			bytes = 65536;
		if (bytes < 8 || bytes > fs->block_bytes - at || name_bytes > bytes - 8)
			return 0;
		if (number != 0 && name_bytes > 0) {
			r = entry_take(fs, path, block + at + 8, name_bytes, number);
			if (r < 0)
				return r;
		}
		at += bytes;
	}
	return 0;
}

static int directory_read(struct ext4 *fs, const char *path, uint32_t number)
{
	const uint8_t *inode = inode_find(fs, number);
	struct content_file directory = { .bytes = inode ? inode_size(inode) : 0 };
	int r = 0;

	if (!inode || dfota_get16(inode) >> 12 != TYPE_DIRECTORY)
		return 0;
	r = inode_extents(fs, inode, &directory);
	for (size_t i = 0; i < directory.extent_count && r == 0; i++) {
		const struct content_extent *extent = &directory.extents[i];

		for (uint64_t at = 0; at + fs->block_bytes <= extent->bytes && r == 0;
		     at += fs->block_bytes)
			r = directory_block(fs, path, fs->image + extent->at + at);
	}
	free(directory.extents);
	return r;
}

int content_open_ext4(const uint8_t *image, uint64_t bytes, struct content_files *files)
{
	struct ext4 fs = { .image = image, .bytes = bytes, .files = files };
	int r;

	if (!super_read(&fs))
		return 0;
	fs.seen = calloc(fs.inodes / 8 + 1, 1);
	if (!fs.seen)
		return DFOTA_E_MEMORY;
	fs.seen[ROOT_INODE / 8] |= 1u << (ROOT_INODE % 8);
	r = content_files_add(&fs.waiting, "", ROOT_INODE) ? 0 : DFOTA_E_MEMORY;
	for (size_t i = 0; i < fs.waiting.count && r == 0; i++)
		r = directory_read(&fs, fs.waiting.items[i].path,
				   (uint32_t)fs.waiting.items[i].bytes);
	content_files_free(&fs.waiting);
	free(fs.seen);
	return r;
}
