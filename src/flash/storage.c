/* SPDX-License-Identifier: MIT
 *
 * One name for every backend.
 */
#include "dfota/storage.h"

static const char *const kinds[DFOTA_STORAGE_KIND_COUNT] = {
	[DFOTA_STORAGE_NONE] = "",   [DFOTA_STORAGE_FILE] = "file", [DFOTA_STORAGE_BLOCK] = "block",
	[DFOTA_STORAGE_MTD] = "mtd", [DFOTA_STORAGE_UBI] = "ubi",
};

bool dfota_storage_parse(const char *text, enum dfota_storage_kind *ret_kind, const char **ret_path)
{
	const char *colon = strchr(text, ':');
	size_t bytes = colon ? (size_t)(colon - text) : 0;

	/* A path may hold a colon; a kind holds no slash. */
	if (!colon || memchr(text, '/', bytes)) {
		*ret_kind = DFOTA_STORAGE_FILE;
		*ret_path = text;
		return *text != '\0';
	}
	for (int kind = DFOTA_STORAGE_FILE; kind < DFOTA_STORAGE_KIND_COUNT; kind++) {
		if (strlen(kinds[kind]) != bytes || memcmp(kinds[kind], text, bytes) != 0)
			continue;
		*ret_kind = (enum dfota_storage_kind)kind;
		*ret_path = colon + 1;
		return colon[1] != '\0';
	}
	return false;
}

static int file_open(struct dfota_flash_file *file, const char *path, enum dfota_storage_mode mode,
		     const char **ret_what)
{
	int error = mode == DFOTA_STORAGE_CREATE
			? dfota_flash_file_create(file, path)
			: dfota_flash_file_open(file, path, mode != DFOTA_STORAGE_READ);

	*ret_what =
	    error == DFOTA_E_NOT_FOUND ? "there is no such file" : "the file could not be opened";
	return error;
}

int dfota_storage_open(struct dfota_storage *storage, enum dfota_storage_kind kind,
		       const char *path, enum dfota_storage_mode mode, const char **ret_what)
{
	bool writable = mode != DFOTA_STORAGE_READ;
	int error = DFOTA_E_ARGUMENT;

	*storage = (struct dfota_storage){ .kind = DFOTA_STORAGE_NONE };
	*ret_what = "there is no such kind of storage";
	switch (kind) {
	case DFOTA_STORAGE_FILE:
		error = file_open(&storage->as.file, path, mode, ret_what);
		break;
	case DFOTA_STORAGE_BLOCK:
		error = dfota_flash_block_open(&storage->as.block, path, writable, ret_what);
		break;
	case DFOTA_STORAGE_MTD:
		error = dfota_flash_mtd_open(&storage->as.mtd, path, writable, ret_what);
		break;
	case DFOTA_STORAGE_UBI:
		error = dfota_flash_ubi_open(&storage->as.ubi, path, writable, ret_what);
		break;
	case DFOTA_STORAGE_NONE:
	case DFOTA_STORAGE_KIND_COUNT:
		break;
	}
	if (error)
		return error;
	storage->kind = kind;
	*ret_what = NULL;
	return 0;
}

struct dfota_flash *dfota_storage_flash(struct dfota_storage *storage)
{
	switch (storage->kind) {
	case DFOTA_STORAGE_FILE:
		return &storage->as.file.flash;
	case DFOTA_STORAGE_BLOCK:
		return &storage->as.block.flash;
	case DFOTA_STORAGE_MTD:
		return &storage->as.mtd.flash;
	case DFOTA_STORAGE_UBI:
		return &storage->as.ubi.flash;
	case DFOTA_STORAGE_NONE:
	case DFOTA_STORAGE_KIND_COUNT:
		break;
	}
	return NULL;
}

void dfota_storage_close(struct dfota_storage *storage)
{
	switch (storage->kind) {
	case DFOTA_STORAGE_FILE:
		dfota_flash_file_close(&storage->as.file);
		break;
	case DFOTA_STORAGE_BLOCK:
		dfota_flash_block_close(&storage->as.block);
		break;
	case DFOTA_STORAGE_MTD:
		dfota_flash_mtd_close(&storage->as.mtd);
		break;
	case DFOTA_STORAGE_UBI:
		dfota_flash_ubi_close(&storage->as.ubi);
		break;
	case DFOTA_STORAGE_NONE:
	case DFOTA_STORAGE_KIND_COUNT:
		break;
	}
	*storage = (struct dfota_storage){ .kind = DFOTA_STORAGE_NONE };
}
