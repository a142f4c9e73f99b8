/* SPDX-License-Identifier: MIT
 *
 * SHA-256 over libcrypto; hexadecimal text.
 */
#include "dfota/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct digest_state {
	EVP_MD *method; /* fetched once: a fetch per message would allocate each time */
	EVP_MD_CTX *context;
	bool failed;
};

int dfota_digest_open(struct dfota_digest *digest)
{
	struct digest_state *state = calloc(1, sizeof(*state));

	digest->context = state;
	if (!state)
		return DFOTA_E_MEMORY;
	state->method = EVP_MD_fetch(NULL, "SHA256", NULL);
	state->context = EVP_MD_CTX_new();
	state->failed = true; /* until started */
	if (!state->method || !state->context) {
		dfota_digest_close(digest);
		return DFOTA_E_MEMORY;
	}
	return 0;
}

void dfota_digest_close(struct dfota_digest *digest)
{
	struct digest_state *state = digest->context;

	if (!state)
		return;
	EVP_MD_CTX_free(state->context);
	EVP_MD_free(state->method);
	free(state);
	digest->context = NULL;
}

void dfota_digest_start(struct dfota_digest *digest)
{
	struct digest_state *state = digest->context;

	state->failed = !EVP_DigestInit_ex(state->context, state->method, NULL);
}

void dfota_digest_add(struct dfota_digest *digest, const void *data, size_t bytes)
{
	struct digest_state *state = digest->context;

	if (bytes && !EVP_DigestUpdate(state->context, data, bytes))
		state->failed = true;
}

int dfota_digest_finish(struct dfota_digest *digest, uint8_t ret_sha256[DFOTA_SHA256_BYTES])
{
	struct digest_state *state = digest->context;
	unsigned length = 0;

	if (state->failed || !EVP_DigestFinal_ex(state->context, ret_sha256, &length) ||
	    length != DFOTA_SHA256_BYTES) {
		state->failed = true;
		return DFOTA_E_INTERNAL;
	}
	state->failed = true;
	return 0;
}

int dfota_digest_of(struct dfota_digest *digest, const void *data, size_t bytes,
		    uint8_t ret_sha256[DFOTA_SHA256_BYTES])
{
	dfota_digest_start(digest);
	dfota_digest_add(digest, data, bytes);
	return dfota_digest_finish(digest, ret_sha256);
}

void dfota_hex_put(const uint8_t *data, size_t bytes, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes; i++) {
		ret_text[2 * i] = digits[data[i] >> 4];
		ret_text[2 * i + 1] = digits[data[i] & 15];
	}
	ret_text[2 * bytes] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool dfota_hex_get(const char *text, size_t text_bytes, uint8_t *ret_data, size_t bytes)
{
	if (text_bytes / 2 != bytes || text_bytes % 2)
		return false;
	for (size_t i = 0; i < text_bytes; i++)
		if (hex_value(text[i]) < 0)
			return false;
	for (size_t i = 0; i < bytes; i++)
		ret_data[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	return true;
}
