/* SPDX-License-Identifier: MIT
 *
 * Writing of a package: digests, manifest, signature, zip.
 */
#include "dfota/pkgbuild.h"

#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zip.h>

#include "key.h"

#define DEFLATE_LEVEL 9
#define DOS_DATE_1980 ((0 << 9) | (1 << 5) | 1) /* 1980-01-01, the zip epoch: one time for all */

struct dfota_pkgbuild {
	char *path, *temporary;
	zip_t *zip;
	json_t *manifest, *partitions;
	struct dfota_digest digest;
};

/* Adds an entry that takes `data` over (malloc'ed), also on error; `method` is ZIP_CM_STORE or ZIP_CM_DEFLATE. */
static int entry_add(struct dfota_pkgbuild *build, const char *name, zip_int32_t method,
		     uint8_t *data, size_t bytes)
{
	zip_source_t *source = zip_source_buffer(build->zip, data, bytes, 1);
	zip_int64_t at;

	if (!source) {
		free(data);
		return DFOTA_E_MEMORY;
	}
	at = zip_file_add(build->zip, name, source, ZIP_FL_ENC_UTF_8);
	if (at < 0) {
		zip_source_free(source);
		return DFOTA_E_INTERNAL;
	}
	if (zip_set_file_compression(build->zip, (zip_uint64_t)at, method,
				     method == ZIP_CM_DEFLATE ? DEFLATE_LEVEL : 0) ||
	    zip_file_set_dostime(build->zip, (zip_uint64_t)at, 0, DOS_DATE_1980, 0) ||
	    zip_file_set_external_attributes(build->zip, (zip_uint64_t)at, 0, ZIP_OPSYS_UNIX,
					     0100644u << 16))
		return DFOTA_E_INTERNAL;
	return 0;
}

int dfota_pkgbuild_begin(struct dfota_pkgbuild **ret_build, const char *path, const char *project,
			 const char *from, const char *to)
{
	struct dfota_pkgbuild *build = calloc(1, sizeof(*build));
	int error = 0, fault = 0;

	if (!build)
		return DFOTA_E_MEMORY;
	build->path = strdup(path);
	if (asprintf(&build->temporary, "%s.tmp", path) < 0)
		build->temporary = NULL;
	build->partitions = json_array();
	/* "o" takes the list over even when packing fails; the reference kept is for adding to it. */
	build->manifest = json_pack("{s:i,s:s,s:s,s:s,s:O}", "format", DFOTA_PACKAGE_FORMAT, "project",
				    project, "from", from, "to", to, "partitions", build->partitions);
	if (!build->path || !build->temporary || !build->manifest)
		error = DFOTA_E_MEMORY;
	if (!error) {
		build->zip = zip_open(build->temporary, ZIP_CREATE | ZIP_TRUNCATE, &fault);
		if (!build->zip)
			error = DFOTA_E_IO;
	}
	if (error) {
		dfota_pkgbuild_end(build);
		return error;
	}
	*ret_build = build;
	return 0;
}

static int truncated(struct dfota_digest *digest, const uint8_t *data, uint64_t bytes, uint8_t *ret,
		     size_t ret_bytes)
{
	uint8_t sha256[DFOTA_SHA256_BYTES];
	int error = dfota_digest_of(digest, data, (size_t)bytes, sha256);

	memcpy(ret, sha256, ret_bytes);
	return error;
}

/* An image may be empty and its pointer NULL then. */
static const uint8_t *at(const uint8_t *image, uint64_t offset)
{
	return image ? image + offset : NULL;
}

static int steps_digest(struct dfota_pkgbuild *build, struct dfota_delta_image *image,
			const uint8_t *old_image, const uint8_t *new_image)
{
	const uint8_t *chunk = image->chunks;
	int error = 0;

	for (uint32_t i = 0; !error && i < image->header.step_count; i++) {
		struct dfota_delta_step *s = &image->steps[i];
		uint64_t offset, new_bytes, old_bytes;

		dfota_delta_step_range(&image->header, s, &offset, &new_bytes, &old_bytes);
		error = truncated(&build->digest, at(old_image, offset), old_bytes, s->source,
				  sizeof(s->source));
		if (!error && s->kind != DFOTA_STEP_TAIL)
			error = truncated(&build->digest, at(new_image, offset), new_bytes, s->target,
					  sizeof(s->target));
		if (!error && s->chunk_bytes)
			error = truncated(&build->digest, chunk, s->chunk_bytes, s->chunk,
					  sizeof(s->chunk));
		chunk = at(chunk, s->chunk_bytes);
	}
	return error;
}

static json_t *sized_sha256(struct dfota_pkgbuild *build, const uint8_t *data, uint64_t bytes)
{
	uint8_t sha256[DFOTA_SHA256_BYTES];
	char hex[2 * DFOTA_SHA256_BYTES + 1];

	if (dfota_digest_of(&build->digest, data, (size_t)bytes, sha256))
		return NULL;
	dfota_hex_put(sha256, sizeof(sha256), hex);
	return json_pack("{s:I,s:s}", "bytes", (json_int_t)bytes, "sha256", hex);
}

/* Numbers without the zeros at the end; a list of nothing but zeros is left out. */
static bool set_list64(json_t *object, const char *key, const uint64_t *numbers, size_t count)
{
	json_t *list;
	bool good = true;

	while (count > 0 && numbers[count - 1] == 0)
		count--;
	if (count == 0)
		return true;
	list = json_array();
	for (size_t i = 0; i < count; i++)
		good &= json_array_append_new(list, json_integer((json_int_t)numbers[i])) == 0;
	return json_object_set_new(object, key, list) == 0 && good;
}

static bool set_number(json_t *object, const char *key, uint32_t number)
{
	return number == 0 || json_object_set_new(object, key, json_integer(number)) == 0;
}

static bool set_list32(json_t *object, const char *key, const uint32_t *numbers, size_t count)
{
	uint64_t wide[DFOTA_COUNTS_PREDICTORS_MAX];

	for (size_t i = 0; i < count; i++)
		wide[i] = numbers[i];
	return set_list64(object, key, wide, count);
}

static int stats_add(json_t *row, const struct dfota_delta_counts *counts)
{
	json_t *stats = json_object();
	bool good = set_list64(stats, "prelude", counts->prelude, 4) &&
		    set_list64(stats, "plain", counts->plain, 3) &&
		    set_list64(stats, "predict", counts->predict, 4) &&
		    set_list32(stats, "clean", counts->clean, DFOTA_COUNTS_PREDICTORS_MAX) &&
		    set_list32(stats, "flagged", counts->flagged, DFOTA_COUNTS_PREDICTORS_MAX) &&
		    set_number(stats, "missed", counts->missed) &&
		    set_number(stats, "literals", counts->literals);

	if (good && json_object_size(stats) > 0)
		return json_object_set_new(row, "stats", stats) ? DFOTA_E_MEMORY : 0;
	json_decref(stats);
	return good ? 0 : DFOTA_E_MEMORY;
}

static int manifest_add(struct dfota_pkgbuild *build, const char *partition,
			const struct dfota_delta_image *image, const uint8_t *old_image,
			const uint8_t *new_image, const uint8_t *index, size_t index_bytes,
			uint64_t memory_bytes)
{
	const struct dfota_delta_header *h = &image->header;
	json_t *old_json = sized_sha256(build, old_image, h->old_bytes);
	json_t *new_json = sized_sha256(build, new_image, h->new_bytes);
	json_t *delta = sized_sha256(build, index, index_bytes);
	json_t *row;

	if (delta &&
	    (json_object_set_new(delta, "bytes", json_integer((json_int_t)(index_bytes + h->chunk_bytes))) ||
	     json_object_set_new(delta, "index", json_integer((json_int_t)index_bytes)))) {
		json_decref(delta);
		delta = NULL;
	}
	/* "o" steals each reference, NULL fails, and what was given is released in either case. */
	row = json_pack("{s:s,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:o}", "name", partition, "old", old_json,
			"new", new_json, "unit", (json_int_t)h->unit_bytes, "segment",
			(json_int_t)h->segment_bytes, "stash", (json_int_t)h->stash_bytes, "copies",
			(json_int_t)h->live_copies, "memory", (json_int_t)memory_bytes, "delta", delta);
	if (!row || json_array_append_new(build->partitions, row))
		return DFOTA_E_MEMORY;
	return stats_add(row, &image->counts);
}

int dfota_pkgbuild_add(struct dfota_pkgbuild *build, const char *partition,
		       struct dfota_delta_image *image, const uint8_t *old_image,
		       const uint8_t *new_image, uint64_t memory_bytes)
{
	char name[DFOTA_PARTITION_NAME_MAX + sizeof(".delta")];
	uint8_t *index = NULL, *delta;
	size_t index_bytes = 0, chunk_bytes = (size_t)image->header.chunk_bytes;
	int error = 0;

	if (!dfota_partition_name_ok(partition) ||
	    json_array_size(build->partitions) >= DFOTA_PARTITIONS_MAX)
		return DFOTA_E_ARGUMENT;
	(void)snprintf(name, sizeof(name), "%s.delta", partition); /* bounded by the check above */
	if (!build->digest.context) /* not before: libcrypto is large, and so is what images are compared with */
		error = dfota_digest_open(&build->digest);
	if (!error)
		error = steps_digest(build, image, old_image, new_image);
	if (!error)
		error = dfota_delta_write_index(image, &index, &index_bytes);
	if (!error)
		error = manifest_add(build, partition, image, old_image, new_image, index,
				     index_bytes, memory_bytes);
	if (error) {
		free(index);
		return error;
	}
	delta = realloc(index, index_bytes + chunk_bytes);
	if (!delta) {
		free(index);
		return DFOTA_E_MEMORY;
	}
	if (chunk_bytes)
		memcpy(delta + index_bytes, image->chunks, chunk_bytes);
	return entry_add(build, name, ZIP_CM_STORE, delta, index_bytes + chunk_bytes);
}

static int manifest_sign(struct dfota_pkgbuild *build, const char *key_path)
{
	uint8_t *signature = malloc(DFOTA_SIGNATURE_BYTES);
	char *json = json_dumps(build->manifest, JSON_COMPACT); /* it is sent as it is */
	struct dfota_manifest *proof = malloc(sizeof(*proof));
	size_t bytes = json ? strlen(json) : 0;
	int error = signature && json && proof ? 0 : DFOTA_E_MEMORY;

	/* What the reader would refuse is not worth a signature. */
	if (!error)
		error = dfota_manifest_parse(json, bytes, proof);
	if (!error)
		error = key_sign(key_path, (const uint8_t *)json, bytes, signature);
	free(proof);
	if (error) {
		free(signature);
		free(json);
		return error;
	}
	error = entry_add(build, "manifest.json", ZIP_CM_DEFLATE, (uint8_t *)json, bytes);
	if (error) {
		free(signature);
		return error;
	}
	return entry_add(build, "manifest.sig", ZIP_CM_STORE, signature, DFOTA_SIGNATURE_BYTES);
}

/* Flushes a file or folder to the medium. */
static int path_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return DFOTA_E_IO;
	error = fsync(fd) ? DFOTA_E_IO : 0;
	close(fd);
	return error;
}

static int publish(struct dfota_pkgbuild *build)
{
	char *copy;
	int error = path_sync(build->temporary);

	if (error)
		return error;
	if (rename(build->temporary, build->path))
		return DFOTA_E_IO;
	copy = strdup(build->path);
	if (!copy)
		return DFOTA_E_MEMORY;
	error = path_sync(dirname(copy));
	free(copy);
	return error;
}

int dfota_pkgbuild_finish(struct dfota_pkgbuild *build, const char *key_path)
{
	int error = manifest_sign(build, key_path);

	if (error)
		return error;
	if (zip_close(build->zip)) /* stays open on failure: _end discards it */
		return DFOTA_E_IO;
	build->zip = NULL;
	return publish(build);
}

void dfota_pkgbuild_end(struct dfota_pkgbuild *build)
{
	if (!build)
		return;
	if (build->zip)
		zip_discard(build->zip);
	if (build->temporary)
		(void)unlink(build->temporary); /* there only when unfinished */
	json_decref(build->partitions);
	json_decref(build->manifest);
	dfota_digest_close(&build->digest);
	free(build->temporary);
	free(build->path);
	free(build);
}
