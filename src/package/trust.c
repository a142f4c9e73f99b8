/* SPDX-License-Identifier: MIT
 *
 * Trusted Ed25519 public keys out of a PEM file.
 */
#include "trust.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#define TRUST_FILE_MAX (64 << 10) /* bytes: a device or endless file is no key file */

struct dfota_trust {
	EVP_PKEY *keys[DFOTA_TRUST_KEYS_MAX];
	size_t count;
};

static int file_read(const char *path, BIO **ret_text)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t bytes;
	int error = 0;

	if (!file)
		return errno == ENOENT || errno == ENOTDIR ? DFOTA_E_NOT_FOUND : DFOTA_E_IO;
	text = malloc(TRUST_FILE_MAX);
	if (!text) {
		error = DFOTA_E_MEMORY;
		goto cleanup;
	}
	bytes = fread(text, 1, TRUST_FILE_MAX, file);
	if (ferror(file)) {
		error = DFOTA_E_IO;
		goto cleanup;
	}
	*ret_text = BIO_new(BIO_s_mem());
	if (!*ret_text || BIO_write(*ret_text, text, (int)bytes) != (int)bytes) {
		BIO_free(*ret_text);
		error = DFOTA_E_MEMORY;
	}
cleanup:
	free(text);
	(void)fclose(file); /* was only read */
	return error;
}

int dfota_trust_open(struct dfota_trust **ret_trust, const char *path)
{
	struct dfota_trust *trust;
	BIO *text = NULL;
	int error = file_read(path, &text);

	if (error)
		return error;
	trust = calloc(1, sizeof(*trust));
	if (!trust) {
		BIO_free(text);
		return DFOTA_E_MEMORY;
	}
	while (trust->count < DFOTA_TRUST_KEYS_MAX) {
		EVP_PKEY *key = PEM_read_bio_PUBKEY(text, NULL, NULL, NULL);

		if (!key)
			break;
		if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
			trust->keys[trust->count++] = key;
		else
			EVP_PKEY_free(key);
	}
	ERR_clear_error(); /* the end of the file is an error to the PEM reader */
	BIO_free(text);
	if (!trust->count) {
		dfota_trust_close(trust);
		return DFOTA_E_UNTRUSTED;
	}
	*ret_trust = trust;
	return 0;
}

void dfota_trust_close(struct dfota_trust *trust)
{
	if (!trust)
		return;
	for (size_t i = 0; i < trust->count; i++)
		EVP_PKEY_free(trust->keys[i]);
	free(trust);
}

bool trust_verify(const struct dfota_trust *trust, const uint8_t *data, size_t bytes,
		  const uint8_t signature[DFOTA_SIGNATURE_BYTES])
{
	bool good = false;

	for (size_t i = 0; i < trust->count && !good; i++) {
		EVP_MD_CTX *context = EVP_MD_CTX_new();

		good = context &&
		       EVP_DigestVerifyInit(context, NULL, NULL, NULL, trust->keys[i]) == 1 &&
		       EVP_DigestVerify(context, signature, DFOTA_SIGNATURE_BYTES, data, bytes) == 1;
		EVP_MD_CTX_free(context);
	}
	ERR_clear_error();
	return good;
}
