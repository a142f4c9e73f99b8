/* SPDX-License-Identifier: MIT
 *
 * Opens and closes what an upgrade works on.
 */
#include "board.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "log.h"

#define SUFFIX ".img"

void board_init(struct board *board)
{
	memset(board, 0, sizeof(*board));
}

void board_close(struct board *board)
{
	for (uint32_t i = 0; i < DFOTA_PARTITIONS_MAX; i++)
		dfota_storage_close(&board->storages[i]);
	dfota_storage_close(&board->area);
	dfota_package_close(board->package);
	dfota_trust_close(board->trust);
	free(board->memory);
	board_init(board);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int name_add(struct board *board, const char *name)
{
	for (uint32_t i = 0; i < board->partition_count; i++)
		if (strcmp(board->names[i], name) == 0)
			return 0;
	if (board->partition_count == DFOTA_PARTITIONS_MAX)
		return DFOTA_E_ARGUMENT;
	memcpy(board->names[board->partition_count++], name, strlen(name) + 1);
	return 0;
}

/* Partitions that are files of the module's folder. */
static int names_list(struct board *board, const char *folder)
{
	DIR *open = opendir(folder);
	struct dirent *item;
	int error = 0;

	if (!open)
		return errno == ENOENT ? DFOTA_E_NOT_FOUND : DFOTA_E_IO;
	while (!error && (item = readdir(open))) {
		size_t bytes = strlen(item->d_name), suffix = strlen(SUFFIX);
		char name[DFOTA_PARTITION_NAME_MAX + 1];

		if (bytes <= suffix || bytes - suffix > DFOTA_PARTITION_NAME_MAX ||
		    strcmp(item->d_name + bytes - suffix, SUFFIX) != 0)
			continue;
		memcpy(name, item->d_name, bytes - suffix);
		name[bytes - suffix] = '\0';
		if (dfota_partition_name_ok(name))
			error = name_add(board, name);
	}
	closedir(open);
	return error;
}

static int names_collect(struct board *board, const struct module_config *config)
{
	char folder[PATH_MAX];
	int error;

	if (!module_path(config, "flash", folder))
		return DFOTA_E_ARGUMENT;
	error = names_list(board, folder);
	/* The folder need not be there when partitions are elsewhere. */
	if (error == DFOTA_E_NOT_FOUND && config->place_count > 0)
		error = 0;
	for (uint32_t i = 0; !error && i < config->place_count; i++)
		error = name_add(board, config->places[i].partition);
	qsort(board->names, board->partition_count, sizeof(board->names[0]), by_name);
	return error;
}

static int storage_open(struct dfota_storage *storage, const struct module_config *config,
			const char *name, const char *where, enum dfota_storage_mode mode)
{
	enum dfota_storage_kind kind;
	const char *what = "the path is too long";
	char path[PATH_MAX];
	int error = DFOTA_E_ARGUMENT;

	if (module_storage_path(config, where, &kind, path))
		error = dfota_storage_open(storage, kind, path, mode, &what);
	if (error)
		module_log("storage: %s, %s: %s", name, where, what);
	return error;
}

static int partition_open(struct board *board, const struct module_config *config, uint32_t i)
{
	char where[MODULE_TEXT_MAX + 1];
	int error;

	snprintf(where, sizeof(where), "flash/%s" SUFFIX, board->names[i]);
	for (uint32_t p = 0; p < config->place_count; p++)
		if (strcmp(config->places[p].partition, board->names[i]) == 0)
			memcpy(where, config->places[p].where, sizeof(where));
	error = storage_open(&board->storages[i], config, board->names[i], where,
			     DFOTA_STORAGE_WRITE);
	if (error)
		return error;
	board->partitions[i].name = board->names[i];
	board->partitions[i].flash =
		fault_wrap(&board->faults[i], dfota_storage_flash(&board->storages[i]), config,
			   board->names[i]);
	return 0;
}

int board_open_partitions(struct board *board, const struct module_config *config,
			  char ret_what[DFOTA_PARTITION_NAME_MAX + 1])
{
	int error = names_collect(board, config);

	*ret_what = '\0';
	for (uint32_t i = 0; !error && i < board->partition_count; i++) {
		error = partition_open(board, config, i);
		if (error)
			memcpy(ret_what, board->names[i], sizeof(board->names[i]));
	}
	return error;
}

int board_open_area(struct board *board, const struct module_config *config)
{
	return storage_open(&board->area, config, "area", config->area, DFOTA_STORAGE_CREATE);
}

int board_open_package(struct board *board, const struct module_config *config, const char *path)
{
	char trust[PATH_MAX];
	struct stat status;
	int error;

	if (!module_path(config, config->trust, trust))
		return DFOTA_E_ARGUMENT;
	if (stat(path, &status))
		return errno == ENOENT ? DFOTA_E_NOT_FOUND : DFOTA_E_IO;
	if (!S_ISREG(status.st_mode))
		return DFOTA_E_IO;
	if ((uint64_t)status.st_size > config->package_max)
		return DFOTA_E_TOO_LARGE;
	error = dfota_trust_open(&board->trust, trust);
	if (error == DFOTA_E_NOT_FOUND || error == DFOTA_E_IO)
		error = DFOTA_E_UNTRUSTED; /* nothing can be trusted without keys; trying again does not help */
	if (!error)
		error = dfota_package_open(&board->package, path, board->trust);
	if (error)
		return error;
	board->memory_bytes = dfota_updater_memory(board->package);
	if (board->memory_bytes == 0)
		return DFOTA_E_CORRUPT;
	if (config->memory_limit && board->memory_bytes > config->memory_limit)
		return DFOTA_E_MEMORY;
	board->memory = malloc(board->memory_bytes);
	return board->memory ? 0 : DFOTA_E_MEMORY;
}

int board_status(struct board *board, struct dfota_updater_status *ret_status)
{
	return dfota_updater_status(dfota_storage_flash(&board->area), ret_status);
}
