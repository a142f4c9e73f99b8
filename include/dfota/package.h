/* SPDX-License-Identifier: MIT
 *
 * A package: a zip with manifest.json (stored or deflated), manifest.sig and one stored <partition>.delta per partition.
 *
 * Opening checks, in this order: size of the zip's directory and number of entries, entry names,
 * signature over the manifest's bytes, manifest bounds, size and SHA-256 of every delta's index.
 * Chunks are checked by their user against the digests in the index. Memory does not depend on
 * the package's size. No name, path or command of a package is ever used as such.
 */
#ifndef DFOTA_PACKAGE_H
#define DFOTA_PACKAGE_H

#include "dfota/bytes.h"
#include "dfota/delta.h"
#include "dfota/digest.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_PACKAGE_FORMAT      1
#define DFOTA_MANIFEST_MAX        (64u << 10) /* bytes of manifest.json */
#define DFOTA_SIGNATURE_BYTES     64          /* Ed25519 */
#define DFOTA_PARTITIONS_MAX      32
#define DFOTA_PARTITION_NAME_MAX  32          /* [a-z0-9_-]{1,32} */
#define DFOTA_VERSION_MAX         64          /* bytes of project and version: printable ASCII, no quotes */
#define DFOTA_PACKAGE_ENTRIES_MAX 64
#define DFOTA_TRUST_KEYS_MAX      8

/* Public keys that may sign: one or more PEM blocks in one file. */
struct dfota_trust;

/* Errors: DFOTA_E_NOT_FOUND, DFOTA_E_IO, DFOTA_E_UNTRUSTED when the file holds no Ed25519 public key, DFOTA_E_MEMORY. */
int dfota_trust_open(struct dfota_trust **ret_trust, const char *path) DFOTA_MUST_CHECK;
void dfota_trust_close(struct dfota_trust *trust); /* NULL allowed */

struct dfota_manifest_partition {
	char name[DFOTA_PARTITION_NAME_MAX + 1];
	uint64_t old_bytes, new_bytes;
	uint8_t old_sha256[DFOTA_SHA256_BYTES], new_sha256[DFOTA_SHA256_BYTES];
	uint32_t unit_bytes, segment_bytes;
	uint32_t stash_bytes, live_copies; /* as in the delta's header */
	uint64_t memory_bytes;             /* work memory of the updater for this partition */
	uint64_t delta_bytes, index_bytes;
	uint8_t index_sha256[DFOTA_SHA256_BYTES];
	struct dfota_delta_counts counts; /* all zero when the package does not tell, or not so that it is understood */
};

struct dfota_manifest {
	uint32_t format;
	char project[DFOTA_VERSION_MAX + 1];
	char from[DFOTA_VERSION_MAX + 1], to[DFOTA_VERSION_MAX + 1];
	uint32_t partition_count;
	struct dfota_manifest_partition partitions[DFOTA_PARTITIONS_MAX]; /* in the order of upgrade */
	uint8_t sha256[DFOTA_SHA256_BYTES]; /* of the manifest's bytes: identity of the package */
};

/* True for a name that may be a partition's. */
bool dfota_partition_name_ok(const char *name);

/* Parses JSON bytes; unknown keys are ignored, duplicate or missing ones are errors. DFOTA_E_FORMAT for
 * a newer format, DFOTA_E_MANIFEST for all else.
 */
int dfota_manifest_parse(const char *json, size_t bytes, struct dfota_manifest *ret_manifest)
	DFOTA_MUST_CHECK;

struct dfota_package;

enum dfota_signature_state {
	DFOTA_SIGNATURE_NONE,   /* no manifest.sig */
	DFOTA_SIGNATURE_BAD,    /* of no key in the trust file, or malformed */
	DFOTA_SIGNATURE_GOOD,
	DFOTA_SIGNATURE_UNCHECKED /* opened without trust (inspect) */
};

/* Opens and checks as told above. trust == NULL skips the signature check only: for looking, never for
 * installing. Errors: DFOTA_E_NOT_FOUND, DFOTA_E_IO (file unreadable), DFOTA_E_ZIP, DFOTA_E_MANIFEST,
 * DFOTA_E_UNTRUSTED, DFOTA_E_FORMAT, DFOTA_E_MEMORY. The file must not change while it is open.
 */
int dfota_package_open(struct dfota_package **ret_package, const char *path,
		       const struct dfota_trust *trust) DFOTA_MUST_CHECK;
void dfota_package_close(struct dfota_package *package); /* NULL allowed */

const struct dfota_manifest *dfota_package_manifest(const struct dfota_package *package);
enum dfota_signature_state dfota_package_signature(const struct dfota_package *package);
uint64_t dfota_package_bytes(const struct dfota_package *package); /* size of the file */

/* Opens the delta of partition `index`; valid until the package is closed. One at a time is not
 * required. Errors: DFOTA_E_ZIP, DFOTA_E_CORRUPT (delta contradicts manifest), DFOTA_E_FORMAT.
 */
int dfota_package_delta(struct dfota_package *package, uint32_t index,
			struct dfota_delta *ret_delta) DFOTA_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
