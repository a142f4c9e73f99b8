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

#define SUFFIX ".img"

void board_init(struct board *board)
{
	memset(board, 0, sizeof(*board));
	board->area.fd = -1;
	for (uint32_t i = 0; i < DFOTA_PARTITIONS_MAX; i++)
		board->files[i].fd = -1;
}

void board_close(struct board *board)
{
	for (uint32_t i = 0; i < DFOTA_PARTITIONS_MAX; i++)
		dfota_flash_file_close(&board->files[i]);
	dfota_flash_file_close(&board->area);
	dfota_package_close(board->package);
	dfota_trust_close(board->trust);
	free(board->memory);
	board_init(board);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int list(struct board *board, const char *folder)
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
		if (!dfota_partition_name_ok(name))
			continue;
		if (board->partition_count < DFOTA_PARTITIONS_MAX)
			memcpy(board->names[board->partition_count++], name, sizeof(name));
		else
			error = DFOTA_E_ARGUMENT;
	}
	closedir(open);
	qsort(board->names, board->partition_count, sizeof(board->names[0]), by_name);
	return error;
}

int board_open_partitions(struct board *board, const struct module_config *config,
			  char ret_what[DFOTA_PARTITION_NAME_MAX + 1])
{
	char folder[PATH_MAX], path[PATH_MAX + DFOTA_PARTITION_NAME_MAX + 8];
	int error;

	*ret_what = '\0';
	if (!module_path(config, "flash", folder))
		return DFOTA_E_ARGUMENT;
	error = list(board, folder);
	for (uint32_t i = 0; !error && i < board->partition_count; i++) {
		snprintf(path, sizeof(path), "%s/%s" SUFFIX, folder, board->names[i]);
		error = dfota_flash_file_open(&board->files[i], path, true);
		if (error) {
			board->files[i].fd = -1;
			memcpy(ret_what, board->names[i], sizeof(board->names[i]));
			break;
		}
		board->partitions[i].name = board->names[i];
		board->partitions[i].flash = fault_wrap(&board->faults[i], &board->files[i].flash,
							config, board->names[i]);
	}
	return error;
}

int board_open_area(struct board *board, const struct module_config *config)
{
	char path[PATH_MAX];
	int error;

	if (!module_path(config, config->area, path))
		return DFOTA_E_ARGUMENT;
	error = dfota_flash_file_create(&board->area, path);
	if (error)
		board->area.fd = -1;
	return error;
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
	return dfota_updater_status(&board->area.flash, ret_status);
}
