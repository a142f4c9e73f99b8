/* SPDX-License-Identifier: MIT
 *
 * Injected faults.
 */
#include "fault.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

static const struct {
	const char *name;
	int error;
} kinds[FAULT_KIND_COUNT] = {
	[FAULT_READ] = { "read", DFOTA_E_READ },
	[FAULT_WRITE] = { "write", DFOTA_E_WRITE },
	[FAULT_FLUSH] = { "flush", DFOTA_E_FLUSH },
	[FAULT_RESIZE] = { "resize", DFOTA_E_RESIZE },
};

bool fault_strike(const struct module_config *config, const char *name, uint32_t count)
{
	char file[64], path[PATH_MAX];
	struct stat status;
	bool struck = false;
	int fd;

	if (count == 0)
		return false;
	snprintf(file, sizeof(file), "state/fault-%s", name);
	if (!module_path(config, file, path))
		return false;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	if (fstat(fd, &status) == 0 && (uint64_t)status.st_size < count)
		struck = write(fd, "x", 1) == 1;
	close(fd);
	return struck;
}

static int check(struct fault_flash *fault, enum fault_kind kind)
{
	if (!fault->faults[kind] || fault->done[kind]++ < fault->faults[kind]->after)
		return 0;
	if (!fault_strike(fault->config, kinds[kind].name, fault->faults[kind]->count))
		return 0;
	module_log("fault: %s of %s fails", kinds[kind].name, fault->faults[kind]->partition);
	return kinds[kind].error;
}

static int fault_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct fault_flash *fault = context;
	int error = check(fault, FAULT_READ);

	return error ? error : dfota_flash_read(fault->under, offset, buffer, bytes);
}

static int fault_read_back(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct fault_flash *fault = context;

	return dfota_flash_read_back(fault->under, offset, buffer, bytes);
}

static int fault_write(void *context, uint64_t offset, const void *data, size_t bytes)
{
	struct fault_flash *fault = context;
	int error = check(fault, FAULT_WRITE);

	return error ? error : dfota_flash_write(fault->under, offset, data, bytes);
}

static int fault_erase(void *context, uint64_t offset, uint64_t bytes)
{
	struct fault_flash *fault = context;
	int error = check(fault, FAULT_WRITE);

	return error ? error : fault->under->ops->erase(fault->under->context, offset, bytes);
}

static int fault_flush(void *context)
{
	struct fault_flash *fault = context;
	int error = check(fault, FAULT_FLUSH);

	return error ? error : dfota_flash_flush(fault->under);
}

static int fault_reserve(void *context, uint64_t size_bytes)
{
	struct fault_flash *fault = context;

	return dfota_flash_reserve(fault->under, size_bytes);
}

static int fault_resize(void *context, uint64_t size_bytes)
{
	struct fault_flash *fault = context;
	int error = check(fault, FAULT_RESIZE);

	if (!error)
		error = dfota_flash_resize(fault->under, size_bytes);
	fault->flash.geometry = fault->under->geometry;
	return error;
}

static int fault_map_get(void *context, uint8_t ret_map[DFOTA_FLASH_MAP_MAX], size_t *ret_bytes)
{
	struct fault_flash *fault = context;

	return dfota_flash_map_get(fault->under, ret_map, ret_bytes);
}

static int fault_map_set(void *context, const uint8_t *map, size_t bytes)
{
	struct fault_flash *fault = context;
	int error = dfota_flash_map_set(fault->under, map, bytes);

	fault->flash.geometry = fault->under->geometry;
	return error;
}

static const struct dfota_flash_ops fault_ops = {
	.read = fault_read,
	.read_back = fault_read_back,
	.write = fault_write,
	.erase = fault_erase,
	.flush = fault_flush,
	.reserve = fault_reserve,
	.resize = fault_resize,
	.map_get = fault_map_get,
	.map_set = fault_map_set,
};

struct dfota_flash *fault_wrap(struct fault_flash *fault, struct dfota_flash *under,
			       const struct module_config *config, const char *partition)
{
	const struct module_fault *const all[FAULT_KIND_COUNT] = {
		[FAULT_READ] = &config->fault_read,
		[FAULT_WRITE] = &config->fault_write,
		[FAULT_FLUSH] = &config->fault_flush,
		[FAULT_RESIZE] = &config->fault_resize,
	};
	bool any = false;

	memset(fault, 0, sizeof(*fault));
	for (int i = 0; i < FAULT_KIND_COUNT; i++) {
		if (all[i]->count == 0 || strcmp(all[i]->partition, partition) != 0)
			continue;
		fault->faults[i] = all[i];
		any = true;
	}
	if (!any)
		return under;
	fault->under = under;
	fault->config = config;
	fault->flash = *under;
	fault->flash.ops = &fault_ops;
	fault->flash.context = fault;
	return &fault->flash;
}
