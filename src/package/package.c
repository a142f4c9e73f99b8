/* SPDX-License-Identifier: MIT
 *
 * The zip: bounded opening, signature, random access to the stored deltas.
 */
#include "dfota/package.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "trust.h"

#define END_RECORD_BYTES   22u /* of a zip without comment; ours have none */
#define END_RECORD	   0x06054b50u
#define ZIP64_LOCATOR	   0x07064b50u
#define ZIP64_LOCATOR_BYTES 20u
#define TAIL_MAX	   (END_RECORD_BYTES + 65535u + ZIP64_LOCATOR_BYTES) /* in which an end record may be found */
#define DIRECTORY_MAX      (16u << 10)
#define NAME_MAX_BYTES     (DFOTA_PARTITION_NAME_MAX + sizeof(".delta"))
#define HASH_BUFFER_BYTES  4096

/* One stored entry, read at any offset. */
struct entry {
	zip_file_t *file;
	uint64_t bytes, position;
};

struct dfota_package {
	zip_t *zip;
	uint64_t bytes;
	enum dfota_signature_state signature;
	struct dfota_manifest manifest;
	struct entry entries[DFOTA_PARTITIONS_MAX];
};

static int entry_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct entry *entry = context;
	zip_int64_t got;

	if (!dfota_inside(offset, bytes, entry->bytes))
		return DFOTA_E_CORRUPT;
	if (bytes == 0)
		return 0;
	if (offset != entry->position && zip_fseek(entry->file, (zip_int64_t)offset, SEEK_SET))
		return DFOTA_E_ZIP;
	got = zip_fread(entry->file, buffer, bytes);
	if (got < 0 || (uint64_t)got != bytes) {
		entry->position = UINT64_MAX; /* unknown: seek before the next read */
		return DFOTA_E_ZIP;
	}
	entry->position = offset + bytes;
	return 0;
}

/* The last bytes of the file hold one end record, which is the last thing, and nothing that could be taken for another. */
static bool tail_ok(const uint8_t *tail, size_t tail_bytes, uint64_t bytes)
{
	const uint8_t *end = tail + tail_bytes - END_RECORD_BYTES;

	if (dfota_get32(end) != END_RECORD || dfota_get16(end + 20) != 0 || dfota_get32(end + 4) != 0 ||
	    dfota_get16(end + 8) != dfota_get16(end + 10))
		return false;
	if (dfota_get16(end + 10) > DFOTA_PACKAGE_ENTRIES_MAX || dfota_get32(end + 12) > DIRECTORY_MAX ||
	    (uint64_t)dfota_get32(end + 12) + dfota_get32(end + 16) != bytes - END_RECORD_BYTES)
		return false;
	for (size_t i = 0; i + END_RECORD_BYTES <= tail_bytes; i++) {
		if (dfota_get32(tail + i) != END_RECORD)
			continue;
		if (i >= ZIP64_LOCATOR_BYTES && dfota_get32(tail + i - ZIP64_LOCATOR_BYTES) == ZIP64_LOCATOR)
			return false;
		if (tail + i != end && i + END_RECORD_BYTES + dfota_get16(tail + i + 20) == tail_bytes)
			return false;
	}
	return true;
}

/* The library allocates for as many entries as an end record claims, and takes any that it finds: bound them before it looks. */
static int directory_check(int fd, uint64_t bytes)
{
	size_t tail_bytes = (size_t)dfota_min64(bytes, TAIL_MAX);
	uint8_t *tail;
	int error = 0;

	if (bytes < END_RECORD_BYTES)
		return DFOTA_E_ZIP;
	tail = malloc(tail_bytes);
	if (!tail)
		return DFOTA_E_MEMORY;
	if (pread(fd, tail, tail_bytes, (off_t)(bytes - tail_bytes)) != (ssize_t)tail_bytes)
		error = DFOTA_E_IO;
	else if (!tail_ok(tail, tail_bytes, bytes))
		error = DFOTA_E_ZIP;
	free(tail);
	return error;
}

static int file_open(struct dfota_package *package, const char *path)
{
	struct stat status;
	zip_source_t *source;
	zip_error_t fault;
	FILE *file;
	int error;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? DFOTA_E_NOT_FOUND : DFOTA_E_IO;
	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		return DFOTA_E_IO;
	}
	package->bytes = (uint64_t)status.st_size;
	error = directory_check(fd, package->bytes);
	file = error ? NULL : fdopen(fd, "rb");
	if (!file) {
		close(fd);
		return error ? error : DFOTA_E_MEMORY;
	}
	/* Over the descriptor that was checked, not over the path: they stay the same file. */
	zip_error_init(&fault);
	source = zip_source_filep_create(file, 0, -1, &fault);
	if (!source) {
		(void)fclose(file);
		return DFOTA_E_MEMORY;
	}
	package->zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &fault);
	if (!package->zip) {
		zip_source_free(source);
		return DFOTA_E_ZIP;
	}
	return 0;
}

/* `deflated`: may be so; entries that are read at any offset are stored. */
static int entry_open(struct dfota_package *package, const char *name, bool deflated,
		      struct entry *ret_entry)
{
	const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
	zip_stat_t status;

	zip_stat_init(&status);
	if (zip_stat(package->zip, name, ZIP_FL_ENC_RAW, &status) || (status.valid & needed) != needed)
		return DFOTA_E_NOT_FOUND;
	if (status.encryption_method != ZIP_EM_NONE ||
	    (status.comp_method != ZIP_CM_STORE &&
	     !(deflated && status.comp_method == ZIP_CM_DEFLATE)) ||
	    (status.comp_method == ZIP_CM_STORE && status.size > package->bytes))
		return DFOTA_E_ZIP;
	ret_entry->file = zip_fopen_index(package->zip, status.index, 0);
	if (!ret_entry->file)
		return DFOTA_E_ZIP;
	ret_entry->bytes = status.size;
	ret_entry->position = 0;
	return 0;
}

static void entry_close(struct entry *entry)
{
	if (entry->file)
		(void)zip_fclose(entry->file);
	entry->file = NULL;
}

/* Reads a small entry as a whole; malloc'ed. */
static int entry_load(struct dfota_package *package, const char *name, bool deflated, uint64_t max,
		      uint8_t **ret_data, size_t *ret_bytes)
{
	struct entry entry = { 0 };
	uint8_t *data = NULL;
	int error = entry_open(package, name, deflated, &entry);

	if (error)
		return error;
	if (entry.bytes > max) {
		entry_close(&entry);
		return DFOTA_E_MANIFEST;
	}
	data = malloc(entry.bytes + 1);
	error = data ? entry_read(&entry, 0, data, (size_t)entry.bytes) : DFOTA_E_MEMORY;
	if (error) {
		free(data);
	} else {
		*ret_data = data;
		*ret_bytes = (size_t)entry.bytes;
	}
	entry_close(&entry);
	return error;
}

static int signature_check(struct dfota_package *package, const struct dfota_trust *trust,
			   const uint8_t *manifest, size_t manifest_bytes)
{
	uint8_t *signature = NULL;
	size_t bytes = 0;
	int error = entry_load(package, "manifest.sig", false, DFOTA_SIGNATURE_BYTES, &signature, &bytes);

	package->signature = DFOTA_SIGNATURE_BAD;
	if (error == DFOTA_E_NOT_FOUND)
		package->signature = DFOTA_SIGNATURE_NONE;
	else if (!error && bytes == DFOTA_SIGNATURE_BYTES && !trust)
		package->signature = DFOTA_SIGNATURE_UNCHECKED;
	else if (!error && bytes == DFOTA_SIGNATURE_BYTES &&
		 trust_verify(trust, manifest, manifest_bytes, signature))
		package->signature = DFOTA_SIGNATURE_GOOD;
	free(signature);
	if (error == DFOTA_E_MEMORY)
		return error;
	return !trust || package->signature == DFOTA_SIGNATURE_GOOD ? 0 : DFOTA_E_UNTRUSTED;
}

static int manifest_load(struct dfota_package *package, const struct dfota_trust *trust)
{
	uint8_t *json = NULL;
	size_t bytes = 0;
	int error = entry_load(package, "manifest.json", true, DFOTA_MANIFEST_MAX, &json, &bytes);

	if (error == DFOTA_E_NOT_FOUND)
		return DFOTA_E_MANIFEST;
	if (!error)
		error = signature_check(package, trust, json, bytes);
	if (!error)
		error = dfota_manifest_parse((const char *)json, bytes, &package->manifest);
	free(json);
	return error;
}

/* The index stands in the signed manifest by size and digest: checked once, here. */
static int index_check(const struct dfota_manifest_partition *p, struct entry *entry,
		       struct dfota_digest *digest)
{
	uint8_t buffer[HASH_BUFFER_BYTES];
	uint8_t sha256[DFOTA_SHA256_BYTES];
	int error;

	if (entry->bytes != p->delta_bytes)
		return DFOTA_E_ZIP;
	dfota_digest_start(digest);
	for (uint64_t at = 0; at < p->index_bytes; at += sizeof(buffer)) {
		size_t n = (size_t)dfota_min64(sizeof(buffer), p->index_bytes - at);

		error = entry_read(entry, at, buffer, n);
		if (error)
			return error;
		dfota_digest_add(digest, buffer, n);
	}
	error = dfota_digest_finish(digest, sha256);
	if (error)
		return error;
	return memcmp(sha256, p->index_sha256, sizeof(sha256)) ? DFOTA_E_CORRUPT : 0;
}

static int deltas_open(struct dfota_package *package)
{
	struct dfota_digest digest;
	int error = dfota_digest_open(&digest);

	for (uint32_t i = 0; !error && i < package->manifest.partition_count; i++) {
		const struct dfota_manifest_partition *p = &package->manifest.partitions[i];
		char name[NAME_MAX_BYTES];

		(void)snprintf(name, sizeof(name), "%s.delta", p->name); /* name is bounded */
		error = entry_open(package, name, false, &package->entries[i]);
		if (error == DFOTA_E_NOT_FOUND)
			error = DFOTA_E_ZIP;
		if (!error)
			error = index_check(p, &package->entries[i], &digest);
	}
	dfota_digest_close(&digest);
	return error;
}

int dfota_package_open(struct dfota_package **ret_package, const char *path,
		       const struct dfota_trust *trust)
{
	struct dfota_package *package = calloc(1, sizeof(*package));
	int error;

	if (!package)
		return DFOTA_E_MEMORY;
	error = file_open(package, path);
	if (!error && zip_get_num_entries(package->zip, 0) > DFOTA_PACKAGE_ENTRIES_MAX)
		error = DFOTA_E_ZIP;
	if (!error)
		error = manifest_load(package, trust);
	if (!error)
		error = deltas_open(package);
	if (error) {
		dfota_package_close(package);
		return error;
	}
	*ret_package = package;
	return 0;
}

void dfota_package_close(struct dfota_package *package)
{
	if (!package)
		return;
	for (uint32_t i = 0; i < DFOTA_PARTITIONS_MAX; i++)
		entry_close(&package->entries[i]);
	if (package->zip)
		zip_discard(package->zip);
	free(package);
}

const struct dfota_manifest *dfota_package_manifest(const struct dfota_package *package)
{
	return &package->manifest;
}

enum dfota_signature_state dfota_package_signature(const struct dfota_package *package)
{
	return package->signature;
}

uint64_t dfota_package_bytes(const struct dfota_package *package)
{
	return package->bytes;
}

int dfota_package_delta(struct dfota_package *package, uint32_t index, struct dfota_delta *ret_delta)
{
	const struct dfota_manifest_partition *p;
	struct dfota_source source = { .read = entry_read };
	const struct dfota_delta_header *h;
	int error;

	if (index >= package->manifest.partition_count)
		return DFOTA_E_ARGUMENT;
	p = &package->manifest.partitions[index];
	source.context = &package->entries[index];
	error = dfota_delta_open(ret_delta, &source, p->delta_bytes);
	if (error)
		return error;
	h = &ret_delta->header;
	if (h->old_bytes != p->old_bytes || h->new_bytes != p->new_bytes ||
	    h->unit_bytes != p->unit_bytes || h->segment_bytes != p->segment_bytes ||
	    h->stash_bytes != p->stash_bytes || h->live_copies != p->live_copies ||
	    dfota_delta_index_bytes(h) != p->index_bytes)
		return DFOTA_E_CORRUPT;
	return 0;
}
