/* SPDX-License-Identifier: MIT
 *
 * Known modules: their USB ids and the interface that takes commands.
 *
 * From the makers' port maps for Linux. A module that is not here is named with --usb and its
 * interface; it needs a row when it is to be found by itself.
 */
#include "dfota/discover.h"

struct known {
	uint16_t vendor, product;
	uint8_t interface;
	const char *model;
};

static const struct known known[] = {
	{ 0x2c7c, 0x0121, 2, "EC21" },		 { 0x2c7c, 0x0125, 2, "EC25, EG25" },
	{ 0x2c7c, 0x0128, 5, "EM060K" },	 { 0x2c7c, 0x0191, 2, "EG91" },
	{ 0x2c7c, 0x0195, 2, "EG95" },		 { 0x2c7c, 0x0296, 2, "BG96" },
	{ 0x2c7c, 0x0306, 2, "EG06, EP06" },	 { 0x2c7c, 0x0512, 2, "EG12, EG18" },
	{ 0x2c7c, 0x0800, 2, "RG500Q, RM500Q" }, { 0x2c7c, 0x0801, 2, "RG520N, RM520N" },
	{ 0x2c7c, 0x6002, 3, "EG915N" },
};

const char *dfota_usb_model(uint16_t vendor, uint16_t product, uint8_t *ret_interface)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].vendor != vendor || known[i].product != product)
			continue;
		*ret_interface = known[i].interface;
		return known[i].model;
	}
	return NULL;
}
