/* SPDX-License-Identifier: MIT
 *
 * SHA-256 over libcrypto, and truncated comparison. Part of the room `package`.
 */
#ifndef DFOTA_DIGEST_H
#define DFOTA_DIGEST_H

#include "dfota/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_SHA256_BYTES 32

struct dfota_digest {
	void *context; /* libcrypto's; allocated once by dfota_digest_open, reused by every start */
};

/* One allocation, at start-up. Errors: DFOTA_E_MEMORY. */
int dfota_digest_open(struct dfota_digest *digest) DFOTA_MUST_CHECK;
void dfota_digest_close(struct dfota_digest *digest); /* accepts a zeroed struct */

/* start, add*, finish; a failure inside libcrypto is reported by finish as DFOTA_E_INTERNAL. */
void dfota_digest_start(struct dfota_digest *digest);
void dfota_digest_add(struct dfota_digest *digest, const void *data, size_t bytes);
int dfota_digest_finish(struct dfota_digest *digest, uint8_t ret_sha256[DFOTA_SHA256_BYTES])
	DFOTA_MUST_CHECK;

/* Whole buffer at once. */
int dfota_digest_of(struct dfota_digest *digest, const void *data, size_t bytes,
		    uint8_t ret_sha256[DFOTA_SHA256_BYTES]) DFOTA_MUST_CHECK;

/* Lower-case hex with terminating NUL; `ret_text` has 2 * bytes + 1. */
void dfota_hex_put(const uint8_t *data, size_t bytes, char *ret_text);

/* Exactly 2 * bytes hex digits, lower case only; false otherwise. */
bool dfota_hex_get(const char *text, size_t text_bytes, uint8_t *ret_data, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
