/* SPDX-License-Identifier: MIT
 *
 * The map of good blocks, and its description.
 */
#include "mtd_map.h"

#define SPARE_MIN     2u /* blocks of NAND that stay spare, and one in so many: */
#define SPARE_DIVISOR 100u
#define VARINT_MAX    5u /* bytes of 32 bits */

uint32_t mtd_map_block(const struct dfota_flash_mtd *mtd, uint32_t index)
{
	for (uint32_t i = 0; i < mtd->bad_count && mtd->bad[i] <= index; i++)
		index++;
	return index;
}

void mtd_map_measure(struct dfota_flash_mtd *mtd)
{
	uint32_t good = mtd->block_count - mtd->bad_count;
	uint32_t part = (mtd->block_count + SPARE_DIVISOR - 1) / SPARE_DIVISOR;
	uint32_t spare = part > SPARE_MIN ? part : SPARE_MIN;

	if (!mtd->nand)
		spare = 0;
	mtd->flash.geometry.size_bytes =
	    good > spare ? (uint64_t)(good - spare) * mtd->flash.geometry.erase_bytes : 0;
}

static bool varint_put(uint8_t *map, size_t *at, uint32_t value)
{
	if (*at + VARINT_MAX > DFOTA_FLASH_MAP_MAX)
		return false;
	for (; value >= 0x80; value >>= 7)
		map[(*at)++] = (uint8_t)(value | 0x80);
	map[(*at)++] = (uint8_t)value;
	return true;
}

static bool varint_get(const uint8_t *map, size_t bytes, size_t *at, uint32_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < VARINT_MAX && *at < bytes; i++) {
		uint8_t byte = map[(*at)++];

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		*ret_value = (uint32_t)value;
		return value <= UINT32_MAX;
	}
	return false;
}

int mtd_map_put(const struct dfota_flash_mtd *mtd, uint8_t ret_map[DFOTA_FLASH_MAP_MAX],
		size_t *ret_bytes)
{
	size_t at = 0;
	uint32_t before = 0;
	bool room =
	    varint_put(ret_map, &at, mtd->block_count) && varint_put(ret_map, &at, mtd->bad_count);

	for (uint32_t i = 0; room && i < mtd->bad_count; i++) {
		room = varint_put(ret_map, &at, mtd->bad[i] - before);
		before = mtd->bad[i];
	}
	*ret_bytes = at;
	return room ? 0 : DFOTA_E_SPACE;
}

int mtd_map_take(struct dfota_flash_mtd *mtd, const uint8_t *map, size_t bytes)
{
	uint32_t bad[DFOTA_MTD_BAD_MAX], blocks, count, block = 0, step;
	size_t at = 0;

	if (!varint_get(map, bytes, &at, &blocks) || !varint_get(map, bytes, &at, &count) ||
	    blocks != mtd->block_count || count > DFOTA_MTD_BAD_MAX)
		return DFOTA_E_CONTENT;
	for (uint32_t i = 0; i < count; i++) {
		if (!varint_get(map, bytes, &at, &step) || (i > 0 && step == 0) ||
		    step >= blocks - block)
			return DFOTA_E_CONTENT;
		block += step;
		bad[i] = block;
	}
	if (at != bytes)
		return DFOTA_E_CONTENT;
	memcpy(mtd->bad, bad, sizeof(bad[0]) * count);
	mtd->bad_count = count;
	mtd_map_measure(mtd);
	return 0;
}
