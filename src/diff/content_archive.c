/* SPDX-License-Identifier: MIT
 *
 * Files of a tar archive (ustar, with the long names of GNU and POSIX) or of a cpio archive (newc).
 */
#include "content_open.h"

#include <stdlib.h>

/* ---- tar ------------------------------------------------------------------------------------- */

#define TAR_BLOCK 512u

/* Octal digits, or big endian if the first bit is set. False for neither. */
static bool tar_number(const uint8_t *field, size_t bytes, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t i = 0;

	if (field[0] & 0x80) {
		for (i = 1; i < bytes; i++) {
			if (value >> 55)
				return false;
			value = value << 8 | field[i];
		}
		*ret_value = value;
		return true;
	}
	while (i < bytes && field[i] == ' ')
		i++;
	for (; i < bytes && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(field[i] - '0');
	*ret_value = value;
	return i == bytes || field[i] == ' ' || field[i] == 0;
}

static bool tar_head_is_right(const uint8_t *head)
{
	uint64_t sum = 8 * ' ', wanted;

	if (memcmp(head + 257, "ustar", 5) != 0 || !tar_number(head + 148, 8, &wanted))
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++)
		if (i < 148 || i >= 156)
			sum += head[i];
	return sum == wanted;
}

static size_t append(char *path, size_t at, const uint8_t *text, size_t bytes)
{
	size_t length = strnlen((const char *)text, bytes);

	if (length >= CONTENT_PATH_MAX - at)
		length = CONTENT_PATH_MAX - at - 1;
	memcpy(path + at, text, length);
	path[at + length] = 0;
	return at + length;
}

static void tar_path(const uint8_t *head, char *path)
{
	size_t at = 0;

	if (head[345] && memcmp(head + 257, "ustar\0", 6) == 0) {
		at = append(path, 0, head + 345, 155);
		at = append(path, at, (const uint8_t *)"/", 1);
	}
	append(path, at, head, 100);
}

/* The path among the records of a POSIX extended head ("length key=value\n"); false when there is
 * none. */
static bool tar_path_record(const uint8_t *records, uint64_t bytes, char *path)
{
	for (uint64_t at = 0; at < bytes;) {
		uint64_t length = 0, digits = 0;

		while (at + digits < bytes && digits < 8 && records[at + digits] >= '0' &&
		       records[at + digits] <= '9')
			length = length * 10 + (uint64_t)(records[at + digits++] - '0');
		if (length < digits + 2 || length > bytes - at)
			return false;
		if (length > digits + 7 && memcmp(records + at + digits, " path=", 6) == 0) {
			append(path, 0, records + at + digits + 6, (size_t)(length - digits - 7));
			return true;
		}
		at += length;
	}
	return false;
}

int content_open_tar(const uint8_t *image, uint64_t bytes, struct content_files *files)
{
	char path[CONTENT_PATH_MAX];
	bool named = false;
	uint64_t size;

	for (uint64_t at = 0;
	     dfota_inside(at, TAR_BLOCK, bytes) && tar_head_is_right(image + at);) {
		const uint8_t *head = image + at;

		at += TAR_BLOCK;
		if (!tar_number(head + 124, 12, &size) || !dfota_inside(at, size, bytes))
			return 0;
		switch (head[156]) {
		case 'L': /* GNU: the name of the next file */
			append(path, 0, image + at, size);
			named = true;
			break;
		case 'x':
			named = tar_path_record(image + at, size, path) || named;
			break;
		case '0':
		case '7':
		case 0: {
			struct content_file *file;

			if (!named)
				tar_path(head, path);
			file = content_files_add(files, path, size);
			if (!file || content_file_extend(file, 0, at, size) < 0)
				return DFOTA_E_MEMORY;
			named = false;
			break;
		}
		default:
			named = false;
			break;
		}
		at += dfota_min64(dfota_ceil_div64(size, TAR_BLOCK) * TAR_BLOCK, bytes - at);
	}
	return 0;
}

/* ---- cpio ------------------------------------------------------------------------------------ */

#define CPIO_HEAD 110u

enum {
	CPIO_MODE = 1,
	CPIO_SIZE = 6,
	CPIO_NAME_BYTES = 11
}; /* fields of eight digits behind the magic */

static bool cpio_number(const uint8_t *head, unsigned field, uint64_t *ret_value)
{
	const uint8_t *digits = head + 6 + field * 8;
	uint64_t value = 0;

	for (unsigned i = 0; i < 8; i++) {
		uint8_t digit = digits[i], low = digit | 0x20;

		if (digit >= '0' && digit <= '9')
			value = value << 4 | (uint64_t)(digit - '0');
		else if (low >= 'a' && low <= 'f')
			value = value << 4 | (uint64_t)(low - 'a' + 10);
		else
			return false;
	}
	*ret_value = value;
	return true;
}

static uint64_t round_up4(uint64_t value)
{
	return (value + 3) & ~UINT64_C(3);
}

static bool cpio_head_is_right(const uint8_t *image, uint64_t bytes, uint64_t at)
{
	return dfota_inside(at, CPIO_HEAD, bytes) &&
	       (memcmp(image + at, "070701", 6) == 0 || memcmp(image + at, "070702", 6) == 0);
}

/* Archives may follow each other with zeros between them. */
static uint64_t cpio_skip_zeros(const uint8_t *image, uint64_t bytes, uint64_t at)
{
	while (at < bytes && image[at] == 0)
		at++;
	return at;
}

int content_open_cpio(const uint8_t *image, uint64_t bytes, struct content_files *files)
{
	for (uint64_t at = 0; cpio_head_is_right(image, bytes, at);) {
		const uint8_t *head = image + at, *name = head + CPIO_HEAD;
		uint64_t mode, size, name_bytes, data;
		struct content_file *file;

		if (!cpio_number(head, CPIO_MODE, &mode) || !cpio_number(head, CPIO_SIZE, &size) ||
		    !cpio_number(head, CPIO_NAME_BYTES, &name_bytes))
			return 0;
		data = round_up4(at + CPIO_HEAD + name_bytes);
		if (name_bytes == 0 || name_bytes > CONTENT_PATH_MAX ||
		    !dfota_inside(data, size, bytes) || name[name_bytes - 1] != 0)
			return 0;
		if (mode >> 12 == 8) {
			file = content_files_add(files, (const char *)name, size);
			if (!file || content_file_extend(file, 0, data, size) < 0)
				return DFOTA_E_MEMORY;
		}
		at = round_up4(data + size);
		if (strcmp((const char *)name, "TRAILER!!!") == 0)
			at = cpio_skip_zeros(image, bytes, at);
	}
	return 0;
}
