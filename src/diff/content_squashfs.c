/* SPDX-License-Identifier: MIT
 *
 * Files of a squashfs image (version 4) whose metadata is not compressed. A file of which any block
 * is compressed is left out: its bytes do not stand in the image.
 *
 * Directories are walked from the root, each inode once.
 */
#include "content_open.h"

#include <stdlib.h>

#define SUPER_BYTES    96u
#define META_BYTES     8192u	  /* of a metadata block at most */
#define META_STORED    0x8000u	  /* flag in its head: not compressed */
#define BLOCK_STORED   0x1000000u /* the same of a data block */
#define NO_FRAGMENT    UINT32_MAX
#define NAME_MAX_BYTES 256u
#define INODES_MAX     (1u << 20)

enum { DIRECTORY = 1, FILE_BASIC = 2, DIRECTORY_LONG = 8, FILE_LONG = 9 };

struct squash {
	const uint8_t *image;
	uint64_t bytes;
	uint32_t block_bytes, inodes, fragments;
	uint64_t inode_table, directory_table, fragment_table;
	uint64_t budget; /* metadata bytes that may still be read: a damaged image could make the
			    walk long */
	uint8_t *seen;	 /* bit per inode number */
	struct content_files *files;
	struct content_files waiting; /* directories: path and, as its size, inode reference */
};

/* A place in metadata: a block and how far one is in it. */
struct cursor {
	uint64_t block;
	uint32_t at;
};

static bool super_read(struct squash *fs)
{
	const uint8_t *super = fs->image;

	if (fs->bytes < SUPER_BYTES || memcmp(super, "hsqs", 4) != 0 ||
	    dfota_get16(super + 28) != 4 || dfota_get16(super + 30) != 0)
		return false;
	fs->inodes = dfota_get32(super + 4);
	fs->block_bytes = dfota_get32(super + 12);
	fs->fragments = dfota_get32(super + 16);
	fs->inode_table = dfota_get64(super + 64);
	fs->directory_table = dfota_get64(super + 72);
	fs->fragment_table = dfota_get64(super + 80);
	fs->budget = 4 * fs->bytes;
	return fs->block_bytes >= 4096 && fs->block_bytes <= 1u << 20 && fs->inodes > 0 &&
	       fs->inodes <= INODES_MAX;
}

/* Reads on from the cursor, over blocks; false at a compressed block or outside of the image. */
static bool meta_read(struct squash *fs, struct cursor *cursor, void *buffer, uint32_t bytes)
{
	uint8_t *to = buffer;

	if (bytes > fs->budget)
		return false;
	fs->budget -= bytes;
	while (bytes > 0) {
		uint32_t head, size, count;

		if (!dfota_inside(cursor->block, 2, fs->bytes))
			return false;
		head = dfota_get16(fs->image + cursor->block);
		size = head & ~META_STORED;
		if (!(head & META_STORED) || size == 0 || size > META_BYTES || cursor->at > size ||
		    !dfota_inside(cursor->block + 2, size, fs->bytes))
			return false;
		count = size - cursor->at < bytes ? size - cursor->at : bytes;
		memcpy(to, fs->image + cursor->block + 2 + cursor->at, count);
		to += count;
		bytes -= count;
		cursor->at += count;
		if (cursor->at == size)
			*cursor = (struct cursor){ cursor->block + 2 + size, 0 };
	}
	return true;
}

/* Block in the table and offset in it, as inodes and entries refer to metadata. */
static struct cursor cursor_at(uint64_t table, uint64_t block, uint32_t offset)
{
	return (struct cursor){ table > UINT64_MAX - block ? UINT64_MAX : table + block, offset };
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Where the fragment starts; false when it is compressed or not there. */
static bool fragment_find(struct squash *fs, uint32_t index, uint64_t *ret_at)
{
	uint64_t pointer = fs->fragment_table + (uint64_t)(index / 512) * 8;
	struct cursor cursor;
	uint8_t entry[16];

	if (index >= fs->fragments || fs->fragment_table > fs->bytes ||
	    !dfota_inside(pointer, 8, fs->bytes))
		return false;
	cursor = (struct cursor){ dfota_get64(fs->image + pointer), index % 512 * 16 };
	if (!meta_read(fs, &cursor, entry, sizeof(entry)) ||
	    !(dfota_get32(entry + 8) & BLOCK_STORED))
		return false;
	*ret_at = dfota_get64(entry);
	return true;
}

struct file_inode {
	uint64_t bytes, start;
	uint32_t fragment, fragment_at;
};

static int extend(const struct squash *fs, struct content_file *file, uint64_t from, uint64_t at,
		  uint64_t bytes, bool *whole)
{
	if (!dfota_inside(at, bytes, fs->bytes)) {
		*whole = false;
		return 0;
	}
	return content_file_extend(file, from, at, bytes);
}

/* Blocks, then the fragment. Clears *whole when some of it is not there as it is. */
static int file_place(struct squash *fs, const struct file_inode *inode, struct cursor *cursor,
		      struct content_file *file, bool *whole)
{
	uint64_t from = 0, at = inode->start, fragment;
	uint8_t word[4];
	int r = 0;

	while (from < file->bytes && *whole && r == 0) {
		uint64_t bytes = dfota_min64(fs->block_bytes, file->bytes - from);
		uint32_t size;

		if (bytes < fs->block_bytes && inode->fragment != NO_FRAGMENT)
			break;
		if (!meta_read(fs, cursor, word, sizeof(word))) {
			*whole = false;
			break;
		}
		size = dfota_get32(word);
		if (size != 0) {
			if (size != (BLOCK_STORED | bytes))
				*whole = false;
			else
				r = extend(fs, file, from, at, bytes, whole);
			at += bytes;
		}
		from += bytes;
	}
	if (from == file->bytes || !*whole || r < 0)
		return r;
	if (!fragment_find(fs, inode->fragment, &fragment) || fragment > fs->bytes) {
		*whole = false;
		return 0;
	}
	return extend(fs, file, from, fragment + inode->fragment_at, file->bytes - from, whole);
}

static int file_take(struct squash *fs, const char *path, const struct file_inode *inode,
		     struct cursor *cursor)
{
	struct content_file *file;
	bool whole = true;
	int r;

	if (inode->bytes > fs->bytes)
		return 0;
	file = content_files_add(fs->files, path, inode->bytes);
	if (!file)
		return DFOTA_E_MEMORY;
	r = file_place(fs, inode, cursor, file, &whole);
	if (r == 0 && !whole)
		content_files_drop_last(fs->files);
	return r;
}

/* ---- directories ----------------------------------------------------------------------------- */

/* A regular file at `reference`, or a directory to be walked later. */
static int inode_take(struct squash *fs, const char *path, uint64_t reference)
{
	struct cursor cursor = cursor_at(fs->inode_table, reference >> 16, reference & 0xffff);
	struct file_inode inode;
	uint8_t head[16], body[40];
	uint32_t type, number;

	if (!meta_read(fs, &cursor, head, sizeof(head)))
		return 0;
	type = dfota_get16(head);
	number = dfota_get32(head + 12);
	if (number > fs->inodes || (fs->seen[number / 8] >> (number % 8) & 1))
		return 0;
	fs->seen[number / 8] |= (uint8_t)(1u << (number % 8));
	if (type == DIRECTORY || type == DIRECTORY_LONG)
		return content_files_add(&fs->waiting, path, reference) ? 0 : DFOTA_E_MEMORY;
	if ((type != FILE_BASIC && type != FILE_LONG) ||
	    !meta_read(fs, &cursor, body, type == FILE_BASIC ? 16 : 40))
		return 0;
	if (type == FILE_BASIC)
		inode = (struct file_inode){ dfota_get32(body + 12), dfota_get32(body),
					     dfota_get32(body + 4), dfota_get32(body + 8) };
	else
		inode = (struct file_inode){ dfota_get64(body + 8), dfota_get64(body),
					     dfota_get32(body + 28), dfota_get32(body + 32) };
	return file_take(fs, path, &inode, &cursor);
}

static int entry_take(struct squash *fs, const char *parent, const char *name, uint64_t reference)
{
	size_t parent_bytes = strlen(parent), name_bytes = strlen(name);
	char path[CONTENT_PATH_MAX];

	if (name_bytes == 0 || parent_bytes + 1 + name_bytes >= sizeof(path))
		return 0;
	memcpy(path, parent, parent_bytes);
	path[parent_bytes] = '/';
	memcpy(path + parent_bytes + 1, name, name_bytes + 1);
	return inode_take(fs, path, reference);
}

/* Where the entries of a directory start and how many bytes they have. */
static bool directory_open(struct squash *fs, uint64_t reference, struct cursor *ret_cursor,
			   uint32_t *ret_bytes)
{
	struct cursor cursor = cursor_at(fs->inode_table, reference >> 16, reference & 0xffff);
	uint8_t head[16], body[24];
	bool basic;

	if (!meta_read(fs, &cursor, head, sizeof(head)))
		return false;
	basic = dfota_get16(head) == DIRECTORY;
	if (!meta_read(fs, &cursor, body, basic ? 16 : 24))
		return false;
	*ret_cursor =
	    basic ? cursor_at(fs->directory_table, dfota_get32(body), dfota_get16(body + 10))
		  : cursor_at(fs->directory_table, dfota_get32(body + 8), dfota_get16(body + 18));
	*ret_bytes = basic ? dfota_get16(body + 8) : dfota_get32(body + 4);
	/* "." and ".." are counted but not there */
	*ret_bytes -= *ret_bytes < 3 ? *ret_bytes : 3;
	return true;
}

static int directory_read(struct squash *fs, const char *path, uint64_t reference)
{
	char name[NAME_MAX_BYTES + 1];
	uint8_t head[12], entry[8];
	struct cursor cursor;
	uint32_t left;

	if (!directory_open(fs, reference, &cursor, &left))
		return 0;
	while (left >= sizeof(head)) {
		uint32_t count;

		if (!meta_read(fs, &cursor, head, sizeof(head)))
			return 0;
		left -= (uint32_t)sizeof(head);
		count = dfota_get32(head);
		for (uint32_t i = 0; i <= count && left >= sizeof(entry); i++) {
			uint32_t bytes;
			int r;

			if (!meta_read(fs, &cursor, entry, sizeof(entry)))
				return 0;
			bytes = dfota_get16(entry + 6) + 1u;
			if (bytes > NAME_MAX_BYTES || bytes > left - sizeof(entry) ||
			    !meta_read(fs, &cursor, name, bytes))
				return 0;
			left -= (uint32_t)sizeof(entry) + bytes;
			name[bytes] = 0;
			r = entry_take(fs, path, name,
				       (uint64_t)dfota_get32(head + 4) << 16 | dfota_get16(entry));
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int content_open_squashfs(const uint8_t *image, uint64_t bytes, struct content_files *files)
{
	struct squash fs = { .image = image, .bytes = bytes, .files = files };
	int r;

	if (!super_read(&fs))
		return 0;
	fs.seen = calloc(fs.inodes / 8 + 1, 1);
	if (!fs.seen)
		return DFOTA_E_MEMORY;
	r = content_files_add(&fs.waiting, "", dfota_get64(image + 32)) ? 0 : DFOTA_E_MEMORY;
	for (size_t i = 0; i < fs.waiting.count && r == 0; i++)
		r = directory_read(&fs, fs.waiting.items[i].path, fs.waiting.items[i].bytes);
	content_files_free(&fs.waiting);
	free(fs.seen);
	return r;
}
