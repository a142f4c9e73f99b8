/* SPDX-License-Identifier: MIT
 *
 * Which blocks of an MTD device count: all but the bad ones.
 */
#ifndef DFOTA_FLASH_MTD_MAP_H
#define DFOTA_FLASH_MTD_MAP_H

#include "dfota/storage.h"

/* Number on the device of the good block `index`. */
uint32_t mtd_map_block(const struct dfota_flash_mtd *mtd, uint32_t index);

/* Sets the size by the bad blocks and the spare ones. */
void mtd_map_measure(struct dfota_flash_mtd *mtd);

/* The description of dfota_flash_map_get: numbers of blocks on the device and of bad ones, then
 * each bad one's distance from the one before, as varints.
 */
int mtd_map_put(const struct dfota_flash_mtd *mtd, uint8_t ret_map[DFOTA_FLASH_MAP_MAX],
		size_t *ret_bytes) DFOTA_MUST_CHECK;
int mtd_map_take(struct dfota_flash_mtd *mtd, const uint8_t *map, size_t bytes) DFOTA_MUST_CHECK;

#endif
