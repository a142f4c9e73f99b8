/* SPDX-License-Identifier: MIT
 *
 * Bounds and alignment of every flash operation: backends see only what they can do.
 */
#include "dfota/flash.h"

static bool inside(const struct dfota_flash *flash, uint64_t offset, uint64_t bytes)
{
	return dfota_inside(offset, bytes, flash->geometry.size_bytes);
}

/* On write pages, or ending where the image ends. */
static bool aligned(const struct dfota_flash *flash, uint64_t offset, uint64_t bytes)
{
	uint64_t end = offset + bytes;

	return offset % flash->geometry.write_bytes == 0 &&
	       (end % flash->geometry.write_bytes == 0 || end == flash->geometry.size_bytes);
}

int dfota_flash_read(struct dfota_flash *flash, uint64_t offset, void *buffer, size_t bytes)
{
	if (!inside(flash, offset, bytes))
		return DFOTA_E_ARGUMENT;
	return bytes ? flash->ops->read(flash->context, offset, buffer, bytes) : 0;
}

int dfota_flash_read_back(struct dfota_flash *flash, uint64_t offset, void *buffer, size_t bytes)
{
	if (!flash->ops->read_back)
		return dfota_flash_read(flash, offset, buffer, bytes);
	if (!inside(flash, offset, bytes))
		return DFOTA_E_ARGUMENT;
	return bytes ? flash->ops->read_back(flash->context, offset, buffer, bytes) : 0;
}

int dfota_flash_write(struct dfota_flash *flash, uint64_t offset, const void *data, size_t bytes)
{
	if (!inside(flash, offset, bytes) || !aligned(flash, offset, bytes))
		return DFOTA_E_ARGUMENT;
	return bytes ? flash->ops->write(flash->context, offset, data, bytes) : 0;
}

int dfota_flash_flush(struct dfota_flash *flash)
{
	return flash->ops->flush(flash->context);
}

int dfota_flash_reserve(struct dfota_flash *flash, uint64_t size_bytes)
{
	if (flash->geometry.flags & DFOTA_FLASH_RESIZABLE)
		return flash->ops->reserve(flash->context, size_bytes);
	return size_bytes <= flash->geometry.size_bytes ? 0 : DFOTA_E_SPACE;
}

int dfota_flash_resize(struct dfota_flash *flash, uint64_t size_bytes)
{
	if (flash->geometry.flags & DFOTA_FLASH_RESIZABLE)
		return flash->ops->resize(flash->context, size_bytes);
	return size_bytes == flash->geometry.size_bytes ? 0 : DFOTA_E_RESIZE;
}

int dfota_flash_map_get(struct dfota_flash *flash, uint8_t ret_map[DFOTA_FLASH_MAP_MAX],
			size_t *ret_bytes)
{
	*ret_bytes = 0;
	return flash->ops->map_get ? flash->ops->map_get(flash->context, ret_map, ret_bytes) : 0;
}

int dfota_flash_map_set(struct dfota_flash *flash, const uint8_t *map, size_t bytes)
{
	if (flash->ops->map_set)
		return flash->ops->map_set(flash->context, map, bytes);
	return bytes == 0 ? 0 : DFOTA_E_CONTENT;
}

int dfota_flash_replace(struct dfota_flash *flash, uint64_t offset, const void *data, size_t bytes)
{
	uint64_t block = flash->geometry.erase_bytes;
	uint64_t erased;
	int error;

	if (!inside(flash, offset, bytes) || !aligned(flash, offset, bytes) || offset % block != 0)
		return DFOTA_E_ARGUMENT;
	if (bytes == 0)
		return 0;
	if (flash->geometry.flags & DFOTA_FLASH_NEEDS_ERASE) {
		erased = dfota_ceil_div64(bytes, block) * block;
		if (!inside(flash, offset, erased))
			return DFOTA_E_ARGUMENT;
		error = flash->ops->erase(flash->context, offset, erased);
		if (error)
			return error;
	}
	return flash->ops->write(flash->context, offset, data, bytes);
}
