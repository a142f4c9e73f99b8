/* SPDX-License-Identifier: MIT
 *
 * Signing, private to the room.
 */
#ifndef DFOTA_PKGBUILD_KEY_H
#define DFOTA_PKGBUILD_KEY_H

#include "dfota/package.h"

/* Errors: DFOTA_E_NOT_FOUND, DFOTA_E_IO, DFOTA_E_UNTRUSTED for anything but a plain Ed25519 key. */
int key_sign(const char *key_path, const uint8_t *data, size_t bytes,
	     uint8_t ret_signature[DFOTA_SIGNATURE_BYTES]) DFOTA_MUST_CHECK;

#endif
