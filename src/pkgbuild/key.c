/* SPDX-License-Identifier: MIT
 *
 * Ed25519 keys as PEM files.
 */
#include "dfota/pkgbuild.h"
#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static FILE *file_create(const char *name, const char *suffix, mode_t mode, char **ret_path,
			 int *ret_error)
{
	FILE *file;
	int fd;

	if (asprintf(ret_path, "%s%s", name, suffix) < 0) {
		*ret_path = NULL;
		*ret_error = DFOTA_E_MEMORY;
		return NULL;
	}
	fd = open(*ret_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		*ret_error = errno == EEXIST ? DFOTA_E_EXISTS : DFOTA_E_IO;
		if (fd >= 0) {
			close(fd);
			(void)unlink(*ret_path);
		}
		free(*ret_path); /* not ours to remove */
		*ret_path = NULL;
	}
	return file;
}

static int file_finish(FILE *file)
{
	int error = fflush(file) || fsync(fileno(file)) ? DFOTA_E_IO : 0;

	return fclose(file) ? DFOTA_E_IO : error;
}

int dfota_key_generate(const char *name)
{
	char *secret_path = NULL, *public_path = NULL;
	FILE *secret_file = NULL, *public_file = NULL;
	EVP_PKEY *key = NULL;
	int error = 0;

	secret_file = file_create(name, ".key", 0600, &secret_path, &error);
	if (secret_file)
		public_file = file_create(name, ".pub", 0644, &public_path, &error);
	if (!public_file)
		goto cleanup;
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!key)
		error = DFOTA_E_INTERNAL;
	else if (!PEM_write_PrivateKey(secret_file, key, NULL, NULL, 0, NULL, NULL) ||
		 !PEM_write_PUBKEY(public_file, key))
		error = DFOTA_E_IO;
cleanup:
	if (secret_file && file_finish(secret_file) && !error)
		error = DFOTA_E_IO;
	if (public_file && file_finish(public_file) && !error)
		error = DFOTA_E_IO;
	if (error) {
		if (secret_path)
			(void)unlink(secret_path);
		if (public_path)
			(void)unlink(public_path);
	}
	EVP_PKEY_free(key);
	free(secret_path);
	free(public_path);
	return error;
}

/* A key with a pass phrase is refused: asking on the terminal is no part of a build. */
static int no_phrase(char *buffer, int bytes, int writing, void *context)
{
	(void)buffer;
	(void)bytes;
	(void)writing;
	(void)context;
	return -1;
}

int key_sign(const char *key_path, const uint8_t *data, size_t bytes,
	     uint8_t ret_signature[DFOTA_SIGNATURE_BYTES])
{
	size_t length = DFOTA_SIGNATURE_BYTES;
	EVP_MD_CTX *context = NULL;
	EVP_PKEY *key;
	FILE *file = fopen(key_path, "re");
	int error = DFOTA_E_UNTRUSTED;

	if (!file)
		return errno == ENOENT ? DFOTA_E_NOT_FOUND : DFOTA_E_IO;
	key = PEM_read_PrivateKey(file, NULL, no_phrase, NULL);
	(void)fclose(file); /* was only read */
	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		context = EVP_MD_CTX_new();
		if (context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestSign(context, ret_signature, &length, data, bytes) == 1 &&
		    length == DFOTA_SIGNATURE_BYTES)
			error = 0;
	}
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return error;
}
