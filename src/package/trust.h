/* SPDX-License-Identifier: MIT
 *
 * Signature check, private to the room.
 */
#ifndef DFOTA_PACKAGE_TRUST_H
#define DFOTA_PACKAGE_TRUST_H

#include "dfota/package.h"

/* True when `signature` over `data` is of one of the trusted keys. */
bool trust_verify(const struct dfota_trust *trust, const uint8_t *data, size_t bytes,
		  const uint8_t signature[DFOTA_SIGNATURE_BYTES]);

#endif
