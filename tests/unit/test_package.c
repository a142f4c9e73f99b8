/* SPDX-License-Identifier: MIT
 *
 * Packages: built reproducibly, opened with trust only, every damage noticed. Rows S5, code 504.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <cmocka.h>

#include "dfota/pkgbuild.h"

#define UNIT 512u

static char folder[] = "/tmp/dfota-package-XXXXXX";

static const char *path(const char *name)
{
	static char text[4][256];
	static unsigned turn;
	char *to = text[turn++ % 4];

	(void)snprintf(to, sizeof(text[0]), "%s/%s", folder, name);
	return to;
}

static size_t file_load(const char *name, uint8_t **ret_data)
{
	struct stat status;
	int fd = open(name, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	*ret_data = malloc((size_t)status.st_size + 1);
	assert_non_null(*ret_data);
	assert_int_equal(read(fd, *ret_data, (size_t)status.st_size), status.st_size);
	close(fd);
	return (size_t)status.st_size;
}

static void file_save(const char *name, const void *data, size_t bytes)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
	close(fd);
}

static const struct dfota_delta_counts no_counts;
static const struct dfota_delta_counts some_counts = {
	.prelude = { 1, 20, 0, 0 },
	.plain = { 0, 0, 7 },
	.predict = { 4, 3, UINT64_C(1) << 36, 1 },
	.clean = { [0] = 5, [DFOTA_COUNTS_PREDICTORS_MAX - 1] = UINT32_MAX },
	.flagged = { 0, 9 },
	.missed = 6,
	.literals = UINT32_MAX,
};

/* One partition of two units: the first is unchanged, the second replaced by a raw chunk. */
static void partition_add(struct dfota_pkgbuild *build, const char *name, uint8_t value)
{
	uint8_t old_image[2 * UNIT], new_image[2 * UNIT];
	struct dfota_delta_image image = { 0 };
	struct dfota_delta_header *h = &image.header;

	memset(old_image, 0x11, sizeof(old_image));
	memcpy(new_image, old_image, sizeof(new_image));
	memset(new_image + UNIT, value, UNIT);
	image.steps = calloc(2, sizeof(*image.steps));
	image.chunks = malloc(UNIT);
	assert_non_null(image.steps);
	assert_non_null(image.chunks);
	memset(image.chunks, value, UNIT);
	h->old_bytes = h->new_bytes = 2 * UNIT;
	h->unit_bytes = h->segment_bytes = UNIT;
	h->step_count = 2;
	h->chunk_bytes = UNIT;
	h->moved_bytes = h->literal_bytes = UNIT;
	h->codings = 1;
	if (value == 0x33)
		image.counts = some_counts;
	image.steps[0].kind = DFOTA_STEP_UNCHANGED;
	image.steps[0].segments = 1;
	image.steps[1] = (struct dfota_delta_step){ .segment = 1, .segments = 1, .changed_units = 1,
						    .kind = DFOTA_STEP_DIRECT, .chunk_bytes = UNIT };
	assert_int_equal(dfota_pkgbuild_add(build, name, &image, old_image, new_image, 12345), 0);
	dfota_delta_image_free(&image);
}

static int package_build(const char *name, const char *key)
{
	struct dfota_pkgbuild *build = NULL;
	int error;

	assert_int_equal(dfota_pkgbuild_begin(&build, name, "P1", "v12", "v13"), 0);
	partition_add(build, "system", 0x22);
	partition_add(build, "boot", 0x33);
	error = dfota_pkgbuild_finish(build, key);
	dfota_pkgbuild_end(build);
	return error;
}

static int package_open(struct dfota_package **ret_package, const char *name, const char *key)
{
	struct dfota_trust *trust = NULL;
	int error;

	assert_int_equal(dfota_trust_open(&trust, key), 0);
	error = dfota_package_open(ret_package, name, trust);
	dfota_trust_close(trust);
	return error;
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || dfota_key_generate(path("k")) || dfota_key_generate(path("other")))
		return -1;
	return package_build(path("p.zip"), path("k.key"));
}

static int teardown(void **state)
{
	static const char *const names[] = { "k.key", "k.pub", "other.key", "other.pub", "p.zip",
					     "q.zip", "x.zip", "firmware.ini", "rsa.pub" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(path(names[i]));
	return rmdir(folder);
}

static void keys_are_private_and_never_overwritten(void **state)
{
	struct stat status;

	(void)state;
	assert_int_equal(stat(path("k.key"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(dfota_key_generate(path("k")), DFOTA_E_EXISTS);
	assert_int_equal(unlink(path("other.key")), 0);
	assert_int_equal(dfota_key_generate(path("other")), DFOTA_E_EXISTS);
	assert_int_equal(access(path("other.key"), F_OK), -1);
	assert_int_equal(unlink(path("other.pub")), 0);
	assert_int_equal(dfota_key_generate(path("other")), 0);
}

static void same_inputs_give_same_bytes(void **state)
{
	uint8_t *a, *b;
	size_t bytes;

	(void)state;
	assert_int_equal(setenv("TZ", "Pacific/Kiritimati", 1), 0);
	assert_int_equal(package_build(path("q.zip"), path("k.key")), 0);
	assert_int_equal(unsetenv("TZ"), 0);
	bytes = file_load(path("p.zip"), &a);
	assert_int_equal(file_load(path("q.zip"), &b), bytes);
	assert_memory_equal(a, b, bytes);
	free(a);
	free(b);
}

static void package_tells_what_was_put_in(void **state)
{
	struct dfota_package *package = NULL;
	const struct dfota_manifest *m;
	struct dfota_delta delta;
	struct dfota_delta_cursor cursor;
	struct dfota_delta_step step;
	uint64_t chunk_at;
	uint8_t chunk[UNIT], sha256[DFOTA_SHA256_BYTES];
	struct dfota_digest digest;

	(void)state;
	assert_int_equal(package_open(&package, path("p.zip"), path("k.pub")), 0);
	m = dfota_package_manifest(package);
	assert_int_equal(dfota_package_signature(package), DFOTA_SIGNATURE_GOOD);
	assert_string_equal(m->project, "P1");
	assert_string_equal(m->from, "v12");
	assert_string_equal(m->to, "v13");
	assert_int_equal(m->partition_count, 2);
	assert_string_equal(m->partitions[1].name, "boot");
	assert_int_equal(m->partitions[1].memory_bytes, 12345);
	assert_memory_equal(&m->partitions[0].counts, &no_counts, sizeof(no_counts));
	assert_memory_equal(&m->partitions[1].counts, &some_counts, sizeof(some_counts));
	assert_int_equal(dfota_package_delta(package, 1, &delta), 0);
	dfota_delta_rewind(&cursor, &delta);
	assert_int_equal(dfota_delta_next(&cursor, &step, &chunk_at), 0);
	assert_int_equal(dfota_delta_next(&cursor, &step, &chunk_at), 0);
	assert_int_equal(dfota_source_read(&delta.source, chunk_at, chunk, sizeof(chunk)), 0);
	assert_int_equal(chunk[0], 0x33);
	assert_int_equal(dfota_digest_open(&digest), 0);
	assert_int_equal(dfota_digest_of(&digest, chunk, sizeof(chunk), sha256), 0);
	assert_memory_equal(sha256, step.chunk, sizeof(step.chunk));
	assert_memory_equal(sha256, step.target, sizeof(step.target));
	dfota_digest_close(&digest);
	dfota_package_close(package);
}

static void other_keys_are_not_trusted(void **state)
{
	struct dfota_package *package = NULL;
	struct dfota_trust *trust = NULL;

	(void)state;
	assert_int_equal(package_open(&package, path("p.zip"), path("other.pub")),
			 DFOTA_E_UNTRUSTED);
	assert_int_equal(dfota_trust_open(&trust, path("k.key")), DFOTA_E_UNTRUSTED);
	assert_int_equal(dfota_trust_open(&trust, path("none.pub")), DFOTA_E_NOT_FOUND);
	assert_int_equal(package_build(path("x.zip"), path("k.pub")), DFOTA_E_UNTRUSTED);
	assert_int_equal(access(path("x.zip"), F_OK), -1);
	assert_int_equal(access(path("x.zip.tmp"), F_OK), -1);
	assert_int_equal(dfota_package_open(&package, path("p.zip"), NULL), 0);
	assert_int_equal(dfota_package_signature(package), DFOTA_SIGNATURE_UNCHECKED);
	dfota_package_close(package);
}

/* Reads both deltas to their ends; true when all chunks have their digests. */
static bool chunks_good(struct dfota_package *package)
{
	struct dfota_digest digest;
	bool good = true;

	assert_int_equal(dfota_digest_open(&digest), 0);
	for (uint32_t i = 0; good && i < 2; i++) {
		struct dfota_delta delta;
		struct dfota_delta_cursor cursor;
		struct dfota_delta_step step = { 0 };
		uint64_t chunk_at = 0;
		uint8_t chunk[UNIT], sha256[DFOTA_SHA256_BYTES];

		good = dfota_package_delta(package, i, &delta) == 0;
		if (!good)
			break;
		dfota_delta_rewind(&cursor, &delta);
		while (dfota_delta_next(&cursor, &step, &chunk_at) == 0)
			;
		assert_int_equal(step.chunk_bytes, UNIT); /* of the last step */
		good = dfota_source_read(&delta.source, chunk_at, chunk, UNIT) == 0 &&
		       dfota_digest_of(&digest, chunk, UNIT, sha256) == 0 &&
		       memcmp(sha256, step.chunk, sizeof(step.chunk)) == 0;
	}
	dfota_digest_close(&digest);
	return good;
}

/* A flip either is noticed or sits where nothing depends on it: zip's times, attributes, padding. */
static void every_flipped_byte_is_noticed_or_harmless(void **state)
{
	struct dfota_trust *trust = NULL;
	uint8_t *data;
	size_t bytes = file_load(path("p.zip"), &data), refused = 0, chunk = 0;

	(void)state;
	assert_int_equal(dfota_trust_open(&trust, path("k.pub")), 0);
	for (size_t i = 0; i < bytes; i++) {
		struct dfota_package *package = NULL;
		int error;

		data[i] ^= 0x41;
		file_save(path("x.zip"), data, bytes);
		data[i] ^= 0x41;
		error = dfota_package_open(&package, path("x.zip"), trust);
		if (error) {
			assert_true(error == DFOTA_E_ZIP || error == DFOTA_E_MANIFEST ||
				    error == DFOTA_E_UNTRUSTED || error == DFOTA_E_CORRUPT);
			assert_int_equal(dfota_error_code(error, DFOTA_WHERE_PACKAGE, NULL, false), 504);
			refused++;
			continue;
		}
		assert_string_equal(dfota_package_manifest(package)->to, "v13");
		if (!chunks_good(package))
			chunk++;
		dfota_package_close(package);
	}
	/* Both chunks in full by their digests; manifest, signature, indexes and zip structure at opening. */
	assert_true(chunk >= 2 * UNIT);
	assert_true(refused > bytes - 2 * UNIT - 400);
	dfota_trust_close(trust);
	free(data);
}

static void every_truncation_is_refused(void **state)
{
	struct dfota_trust *trust = NULL;
	uint8_t *data;
	size_t bytes = file_load(path("p.zip"), &data);

	(void)state;
	assert_int_equal(dfota_trust_open(&trust, path("k.pub")), 0);
	for (size_t n = 0; n < bytes; n++) {
		struct dfota_package *package = NULL;

		file_save(path("x.zip"), data, n);
		assert_int_equal(dfota_package_open(&package, path("x.zip"), trust), DFOTA_E_ZIP);
	}
	dfota_trust_close(trust);
	free(data);
}

static void zip_edit(const char *remove_name, unsigned extra)
{
	uint8_t *data;
	size_t bytes = file_load(path("p.zip"), &data);
	zip_t *zip;

	file_save(path("x.zip"), data, bytes);
	free(data);
	zip = zip_open(path("x.zip"), 0, NULL);
	assert_non_null(zip);
	if (remove_name)
		assert_int_equal(
			zip_delete(zip, (zip_uint64_t)zip_name_locate(zip, remove_name, 0)), 0);
	for (unsigned i = 0; i < extra; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "extra%u", i);
		assert_true(zip_file_add(zip, name, zip_source_buffer(zip, "x", 1, 0), 0) >= 0);
	}
	assert_int_equal(zip_close(zip), 0);
}

static void odd_zips_are_refused(void **state)
{
	static const struct {
		const char *remove;
		unsigned extra;
		int error;
	} rows[] = {
		{ "manifest.sig", 0, DFOTA_E_UNTRUSTED }, { "manifest.json", 0, DFOTA_E_MANIFEST },
		{ "boot.delta", 0, DFOTA_E_ZIP },	  { NULL, 60, 0 },
		{ NULL, 61, DFOTA_E_ZIP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dfota_package *package = NULL;

		zip_edit(rows[i].remove, rows[i].extra);
		assert_int_equal(package_open(&package, path("x.zip"), path("k.pub")), rows[i].error);
		dfota_package_close(package);
	}
	{
		struct dfota_package *package = NULL;

		assert_int_equal(package_open(&package, folder, path("k.pub")), DFOTA_E_IO);
		assert_int_equal(package_open(&package, path("none.zip"), path("k.pub")),
				 DFOTA_E_NOT_FOUND);
	}
}

/* Packs the entry by `method`, with `data` in its place unless that is NULL. */
static void zip_repack(const char *name, zip_int32_t method, const void *data, size_t bytes)
{
	zip_int64_t at;
	zip_t *zip;

	zip_edit(NULL, 0);
	zip = zip_open(path("x.zip"), 0, NULL);
	assert_non_null(zip);
	at = zip_name_locate(zip, name, 0);
	assert_true(at >= 0);
	if (data)
		assert_int_equal(zip_file_replace(zip, (zip_uint64_t)at,
						  zip_source_buffer(zip, data, bytes, 0), 0), 0);
	assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)at, method, 0), 0);
	assert_int_equal(zip_close(zip), 0);
}

static void only_the_manifest_may_be_deflated(void **state)
{
	static const uint8_t bomb[DFOTA_MANIFEST_MAX + 1];
	static const struct {
		const char *name;
		zip_int32_t method;
		const void *data;
		int error;
	} rows[] = {
		{ "manifest.json", ZIP_CM_DEFLATE, NULL, 0 },
		{ "manifest.json", ZIP_CM_STORE, NULL, 0 },
		{ "manifest.json", ZIP_CM_BZIP2, NULL, DFOTA_E_ZIP },
		{ "manifest.json", ZIP_CM_DEFLATE, bomb, DFOTA_E_MANIFEST },
		{ "manifest.sig", ZIP_CM_DEFLATE, bomb, DFOTA_E_UNTRUSTED },
		{ "boot.delta", ZIP_CM_DEFLATE, NULL, DFOTA_E_ZIP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dfota_package *package = NULL;

		zip_repack(rows[i].name, rows[i].method, rows[i].data, sizeof(bomb));
		assert_int_equal(package_open(&package, path("x.zip"), path("k.pub")), rows[i].error);
		dfota_package_close(package);
	}
}

#define HASH "\"0123456789012345678901234567890123456789012345678901234567890123\""
#define IMAGE "{\"bytes\":10,\"sha256\":" HASH "}"
#define PART(name, unit, rest)                                                                     \
	"{\"name\":\"" name "\",\"old\":" IMAGE ",\"new\":" IMAGE ",\"unit\":" unit                \
	",\"segment\":1024,\"stash\":0,\"copies\":0,\"memory\":1,\"delta\":"                       \
	"{\"bytes\":92,\"index\":92,\"sha256\":" HASH "}" rest "}"
#define ROOT(format, project, parts)                                                               \
	"{\"format\":" format ",\"project\":" project                                              \
	",\"from\":\"a\",\"to\":\"b\",\"partitions\":[" parts "]}"

static void manifest_bounds(void **state)
{
	static const struct {
		const char *json;
		int error;
	} rows[] = {
		{ ROOT("1", "\"P\"", PART("boot", "512", "")), 0 },
		{ ROOT("1", "\"P\"", PART("boot", "512", ",\"later\":[]")), 0 },
		{ ROOT("2", "\"P\"", PART("boot", "512", "")), DFOTA_E_FORMAT },
		{ ROOT("0", "\"P\"", PART("boot", "512", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"\"", PART("boot", "512", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"a\\nb\"", PART("boot", "512", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"a\\\"b\"", PART("boot", "512", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "7", PART("boot", "512", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", ""), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", PART("../x", "512", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", PART("", "512", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", PART("boot", "511", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", PART("boot", "2048", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", PART("boot", "512.0", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", PART("boot", "-512", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", PART("boot", "99999999999", "")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", PART("boot", "512", ",\"unit\":512")), DFOTA_E_MANIFEST },
		{ ROOT("1", "\"P\"", PART("boot", "512", "") "," PART("boot", "512", "")),
		  DFOTA_E_MANIFEST },
		{ "[]", DFOTA_E_MANIFEST },
		{ "", DFOTA_E_MANIFEST },
		{ "{}", DFOTA_E_MANIFEST },
	};
	struct dfota_manifest *m = malloc(sizeof(*m));
	char *large = malloc(DFOTA_MANIFEST_MAX + 1);

	(void)state;
	assert_non_null(m);
	assert_non_null(large);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (dfota_manifest_parse(rows[i].json, strlen(rows[i].json), m) != rows[i].error)
			fail_msg("row %zu", i);
	/* At the limit, padded with spaces, and one byte beyond. */
	memset(large, ' ', DFOTA_MANIFEST_MAX + 1);
	memcpy(large, rows[0].json, strlen(rows[0].json));
	assert_int_equal(dfota_manifest_parse(large, DFOTA_MANIFEST_MAX, m), 0);
	assert_int_equal(dfota_manifest_parse(large, DFOTA_MANIFEST_MAX + 1, m), DFOTA_E_MANIFEST);
	free(large);
	free(m);
}

#define STATS(text) ROOT("1", "\"P\"", PART("boot", "512", ",\"stats\":" text))

/* A package is good whatever stands there; but only numbers that are sure are shown. */
static void manifest_counts(void **state)
{
	static const char *const strange[] = {
		STATS("{}"),
		STATS("null"),
		STATS("[1]"),
		STATS("7"),
		STATS("{\"missed\":-1,\"literals\":3}"),
		STATS("{\"missed\":4294967296,\"literals\":3}"),
		STATS("{\"missed\":\"1\",\"literals\":3}"),
		STATS("{\"prelude\":7,\"literals\":3}"),
		STATS("{\"prelude\":[1,2,3,4,5],\"literals\":3}"),
		STATS("{\"plain\":[0,0,0,0],\"literals\":3}"),
		STATS("{\"predict\":[68719476737],\"literals\":3}"),
		STATS("{\"predict\":[1.0],\"literals\":3}"),
		STATS("{\"clean\":[1,[2]],\"literals\":3}"),
		STATS("{\"clean\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"literals\":"
		      "3}"),
		STATS("{\"flagged\":[4294967296],\"literals\":3}"),
		STATS("{\"flagged\":{},\"literals\":3}"),
	};
	static const char good[] =
	    STATS("{\"clean\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,4],"
		  "\"predict\":[68719476736],\"literals\":3,\"later\":{}}");
	static const char doubled[] = STATS("{\"missed\":1,\"missed\":1}");
	struct dfota_manifest *m = malloc(sizeof(*m));

	(void)state;
	assert_non_null(m);
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		assert_int_equal(dfota_manifest_parse(strange[i], strlen(strange[i]), m), 0);
		if (memcmp(&m->partitions[0].counts, &no_counts, sizeof(no_counts)) != 0)
			fail_msg("row %zu is shown", i);
	}
	assert_int_equal(dfota_manifest_parse(good, strlen(good), m), 0);
	assert_int_equal(m->partitions[0].counts.clean[DFOTA_COUNTS_PREDICTORS_MAX - 1], 4);
	assert_int_equal(m->partitions[0].counts.predict[0], UINT64_C(1) << 36);
	assert_int_equal(m->partitions[0].counts.literals, 3);
	assert_int_equal(m->partitions[0].counts.missed, 0);
	assert_int_equal(dfota_manifest_parse(doubled, strlen(doubled), m), DFOTA_E_MANIFEST);
	free(m);
}

static void partition_names(void **state)
{
	(void)state;
	assert_true(dfota_partition_name_ok("sbl"));
	assert_true(dfota_partition_name_ok("a-2_b"));
	assert_true(dfota_partition_name_ok("01234567890123456789012345678901"));
	assert_false(dfota_partition_name_ok("012345678901234567890123456789012"));
	assert_false(dfota_partition_name_ok(""));
	assert_false(dfota_partition_name_ok("."));
	assert_false(dfota_partition_name_ok("Boot"));
	assert_false(dfota_partition_name_ok("a/b"));
}

static void hex_is_strict(void **state)
{
	uint8_t data[2];
	char text[5];

	(void)state;
	assert_true(dfota_hex_get("0aff", 4, data, 2));
	dfota_hex_put(data, 2, text);
	assert_string_equal(text, "0aff");
	assert_false(dfota_hex_get("0AFF", 4, data, 2));
	assert_false(dfota_hex_get("0af", 3, data, 2));
	assert_false(dfota_hex_get("0aff0", 5, data, 2));
	assert_false(dfota_hex_get("0afg", 4, data, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_private_and_never_overwritten),
		cmocka_unit_test(same_inputs_give_same_bytes),
		cmocka_unit_test(package_tells_what_was_put_in),
		cmocka_unit_test(other_keys_are_not_trusted),
		cmocka_unit_test(every_flipped_byte_is_noticed_or_harmless),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(odd_zips_are_refused),
		cmocka_unit_test(only_the_manifest_may_be_deflated),
		cmocka_unit_test(manifest_bounds),
		cmocka_unit_test(manifest_counts),
		cmocka_unit_test(partition_names),
		cmocka_unit_test(hex_is_strict),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
