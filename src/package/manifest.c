/* SPDX-License-Identifier: MIT
 *
 * manifest.json: from bytes to a checked struct dfota_manifest.
 */
#include "dfota/package.h"

#include <jansson.h>

bool dfota_partition_name_ok(const char *name)
{
	size_t n = 0;

	for (; name[n]; n++) {
		char c = name[n];

		if (n == DFOTA_PARTITION_NAME_MAX)
			return false;
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
			return false;
	}
	return n > 0;
}

/* What the getters below share: a fault is remembered, so that a record reads as a list of fields. */
struct reader {
	const json_t *object;
	bool bad;
};

static uint64_t number(struct reader *r, const char *key, uint64_t max)
{
	const json_t *value = json_object_get(r->object, key);
	json_int_t v;

	if (!json_is_integer(value)) {
		r->bad = true;
		return 0;
	}
	v = json_integer_value(value);
	if (v < 0 || (uint64_t)v > max) {
		r->bad = true;
		return 0;
	}
	return (uint64_t)v;
}

/* Printable ASCII without quotes and backslash: such text can be shown anywhere, AT port included. */
static void text(struct reader *r, const char *key, char *ret_text, size_t max)
{
	const json_t *value = json_object_get(r->object, key);
	const char *s = json_string_value(value);
	size_t bytes = s ? json_string_length(value) : 0;

	if (bytes == 0 || bytes > max) {
		r->bad = true;
		return;
	}
	for (size_t i = 0; i < bytes; i++)
		if (s[i] < 0x20 || s[i] > 0x7e || s[i] == '"' || s[i] == '\\')
			r->bad = true;
	memcpy(ret_text, s, bytes);
	ret_text[bytes] = '\0';
}

static void sha256(struct reader *r, const char *key, uint8_t ret_sha256[DFOTA_SHA256_BYTES])
{
	const json_t *value = json_object_get(r->object, key);
	const char *s = json_string_value(value);

	if (!s || !dfota_hex_get(s, json_string_length(value), ret_sha256, DFOTA_SHA256_BYTES))
		r->bad = true;
}

static struct reader child(struct reader *r, const char *key)
{
	struct reader c = { .object = json_object_get(r->object, key) };

	if (!json_is_object(c.object))
		r->bad = true;
	return c;
}

/* A list of numbers, shorter ones filled up with zeros; nothing is a list of zeros. */
static void numbers(struct reader *r, const char *key, uint64_t *ret_numbers, size_t room, uint64_t max)
{
	const json_t *list = json_object_get(r->object, key);
	size_t count = json_array_size(list); /* 0 for what is no array */

	memset(ret_numbers, 0, room * sizeof(*ret_numbers));
	if (list && (!json_is_array(list) || count > room)) {
		r->bad = true;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(list, i);
		json_int_t v = json_integer_value(value);

		if (!json_is_integer(value) || v < 0 || (uint64_t)v > max)
			r->bad = true;
		else
			ret_numbers[i] = (uint64_t)v;
	}
}

static void numbers32(struct reader *r, const char *key, uint32_t *ret_numbers, size_t room)
{
	uint64_t wide[DFOTA_COUNTS_PREDICTORS_MAX];

	numbers(r, key, wide, room, UINT32_MAX);
	for (size_t i = 0; i < room; i++)
		ret_numbers[i] = (uint32_t)wide[i];
}

/* Nothing that is installed depends on these: what is not understood is left out, and the package is as good as before. */
static void counts_parse(const json_t *object, struct dfota_delta_counts *ret_counts)
{
	struct reader r = { .object = object };
	struct dfota_delta_counts c;

	memset(ret_counts, 0, sizeof(*ret_counts));
	if (!json_is_object(object))
		return;
	numbers(&r, "prelude", c.prelude, 4, DFOTA_DELTA_IMAGE_MAX);
	numbers(&r, "plain", c.plain, 3, DFOTA_DELTA_IMAGE_MAX);
	numbers(&r, "predict", c.predict, 4, DFOTA_DELTA_IMAGE_MAX);
	numbers32(&r, "clean", c.clean, DFOTA_COUNTS_PREDICTORS_MAX);
	numbers32(&r, "flagged", c.flagged, DFOTA_COUNTS_PREDICTORS_MAX);
	c.missed = json_object_get(object, "missed") ? (uint32_t)number(&r, "missed", UINT32_MAX) : 0;
	c.literals =
		json_object_get(object, "literals") ? (uint32_t)number(&r, "literals", UINT32_MAX) : 0;
	if (!r.bad)
		*ret_counts = c;
}

static bool geometry_ok(const struct dfota_manifest_partition *p)
{
	return p->unit_bytes >= DFOTA_DELTA_UNIT_MIN && p->unit_bytes % 512 == 0 &&
	       p->segment_bytes >= p->unit_bytes && p->segment_bytes % p->unit_bytes == 0 &&
	       p->segment_bytes / p->unit_bytes <= DFOTA_DELTA_UNITS_MAX &&
	       p->index_bytes >= DFOTA_DELTA_HEADER_BYTES && p->index_bytes <= p->delta_bytes;
}

static bool partition_parse(const json_t *object, struct dfota_manifest_partition *p)
{
	struct reader r = { .object = object };
	struct reader old_image, new_image, delta;

	if (!json_is_object(object))
		return false;
	old_image = child(&r, "old");
	new_image = child(&r, "new");
	delta = child(&r, "delta");
	text(&r, "name", p->name, DFOTA_PARTITION_NAME_MAX);
	p->unit_bytes = (uint32_t)number(&r, "unit", DFOTA_DELTA_UNIT_MAX);
	p->segment_bytes = (uint32_t)number(&r, "segment", DFOTA_DELTA_SEGMENT_MAX);
	p->stash_bytes = (uint32_t)number(&r, "stash", DFOTA_DELTA_STASH_MAX);
	p->live_copies = (uint32_t)number(&r, "copies", DFOTA_DELTA_COPIES_MAX);
	p->memory_bytes = number(&r, "memory", UINT64_C(1) << 40);
	p->old_bytes = number(&old_image, "bytes", DFOTA_DELTA_IMAGE_MAX);
	sha256(&old_image, "sha256", p->old_sha256);
	p->new_bytes = number(&new_image, "bytes", DFOTA_DELTA_IMAGE_MAX);
	sha256(&new_image, "sha256", p->new_sha256);
	p->delta_bytes = number(&delta, "bytes", UINT64_C(1) << 40);
	p->index_bytes = number(&delta, "index", UINT64_C(1) << 40);
	sha256(&delta, "sha256", p->index_sha256);
	counts_parse(json_object_get(object, "stats"), &p->counts);
	return !r.bad && !old_image.bad && !new_image.bad && !delta.bad &&
	       dfota_partition_name_ok(p->name) && geometry_ok(p);
}

static bool partitions_parse(const json_t *array, struct dfota_manifest *m)
{
	size_t count = json_array_size(array); /* 0 for what is no array */

	if (count == 0 || count > DFOTA_PARTITIONS_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!partition_parse(json_array_get(array, i), &m->partitions[i]))
			return false;
		for (size_t j = 0; j < i; j++)
			if (strcmp(m->partitions[i].name, m->partitions[j].name) == 0)
				return false;
	}
	m->partition_count = (uint32_t)count;
	return true;
}

static int manifest_read(const json_t *root, struct dfota_manifest *m)
{
	struct reader r = { .object = root };

	if (!json_is_object(root))
		return DFOTA_E_MANIFEST;
	m->format = (uint32_t)number(&r, "format", UINT32_MAX);
	if (r.bad || m->format == 0)
		return DFOTA_E_MANIFEST;
	/* A newer format may have other keys: say so instead of calling it malformed. */
	if (m->format > DFOTA_PACKAGE_FORMAT)
		return DFOTA_E_FORMAT;
	text(&r, "project", m->project, DFOTA_VERSION_MAX);
	text(&r, "from", m->from, DFOTA_VERSION_MAX);
	text(&r, "to", m->to, DFOTA_VERSION_MAX);
	if (r.bad || !partitions_parse(json_object_get(root, "partitions"), m))
		return DFOTA_E_MANIFEST;
	return 0;
}

static int manifest_identity(const char *json, size_t bytes, struct dfota_manifest *m)
{
	struct dfota_digest digest;
	int error = dfota_digest_open(&digest);

	if (error)
		return error;
	error = dfota_digest_of(&digest, json, bytes, m->sha256);
	dfota_digest_close(&digest);
	return error;
}

int dfota_manifest_parse(const char *json, size_t bytes, struct dfota_manifest *ret_manifest)
{
	json_t *root;
	int error;

	memset(ret_manifest, 0, sizeof(*ret_manifest));
	if (bytes > DFOTA_MANIFEST_MAX)
		return DFOTA_E_MANIFEST;
	root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		return DFOTA_E_MANIFEST;
	error = manifest_read(root, ret_manifest);
	json_decref(root);
	return error ? error : manifest_identity(json, bytes, ret_manifest);
}
