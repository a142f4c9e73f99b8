/* SPDX-License-Identifier: MIT
 *
 * Keys, firmware folders and the writing of packages. Host side.
 *
 * Same inputs, same bytes: entries in fixed order, stored, with one fixed time; JSON in fixed
 * order without floating point; Ed25519 is deterministic.
 */
#ifndef DFOTA_PKGBUILD_H
#define DFOTA_PKGBUILD_H

#include "dfota/delta.h"
#include "dfota/package.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes NAME.key (PKCS#8 PEM, mode 0600) and NAME.pub (SubjectPublicKeyInfo PEM). Never overwrites:
 * DFOTA_E_EXISTS, and then neither file is left changed.
 */
int dfota_key_generate(const char *name) DFOTA_MUST_CHECK;

/* A firmware folder: firmware.ini with `project` and `version`, one <partition>.img per partition. */
struct dfota_firmware {
	char project[DFOTA_VERSION_MAX + 1];
	char version[DFOTA_VERSION_MAX + 1];
	uint32_t partition_count;
	struct {
		char name[DFOTA_PARTITION_NAME_MAX + 1];
		uint64_t bytes;
	} partitions[DFOTA_PARTITIONS_MAX]; /* in the order of upgrade: others by name, modem, boot, tz, sbl last */
};

/* Errors: DFOTA_E_NOT_FOUND (no folder or no firmware.ini), DFOTA_E_MANIFEST (keys missing or malformed, bad
 * partition name, too many), DFOTA_E_IO. `ret_what` (may be NULL) gets static text about the fault.
 */
int dfota_firmware_load(struct dfota_firmware *ret_firmware, const char *folder,
			const char **ret_what) DFOTA_MUST_CHECK;

/* Replaces firmware.ini atomically (temporary file, fsync, rename, fsync of the folder). */
int dfota_firmware_save(const char *folder, const char *project, const char *version)
	DFOTA_MUST_CHECK;

struct dfota_pkgbuild; /* a package being written */

/* Writes to `path`.tmp; nothing exists under `path` until dfota_pkgbuild_finish. */
int dfota_pkgbuild_begin(struct dfota_pkgbuild **ret_build, const char *path, const char *project,
			 const char *from, const char *to) DFOTA_MUST_CHECK;

/* Adds one partition: fills in the digests of `image`'s steps, writes index and chunks. The images are the two
 * that `image` was made from. The caller keeps ownership of everything and may free it on return.
 * memory_bytes as in the manifest.
 */
int dfota_pkgbuild_add(struct dfota_pkgbuild *build, const char *partition,
		       struct dfota_delta_image *image, const uint8_t *old_image,
		       const uint8_t *new_image, uint64_t memory_bytes) DFOTA_MUST_CHECK;

/* Signs with the PEM private key at `key_path` and renames into place. On any error nothing is left at
 * `path`; call dfota_pkgbuild_end in either case. DFOTA_E_UNTRUSTED when the key is not a usable Ed25519 key.
 */
int dfota_pkgbuild_finish(struct dfota_pkgbuild *build, const char *key_path) DFOTA_MUST_CHECK;
void dfota_pkgbuild_end(struct dfota_pkgbuild *build); /* NULL allowed; removes what is unfinished */

#ifdef __cplusplus
}
#endif
#endif
