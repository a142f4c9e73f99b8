/* SPDX-License-Identifier: MIT
 *
 * Comparing what is on flash with digests and with what was meant to be there.
 */
#include "engine.h"

int updater_range_digest(struct engine *e, struct dfota_flash *flash, uint64_t offset,
			 uint64_t bytes, bool back, uint8_t ret_sha256[DFOTA_SHA256_BYTES])
{
	int error;

	/* A step behind the old end has no old bytes, wherever it lies. */
	if (bytes > 0 && !dfota_inside(offset, bytes, flash->geometry.size_bytes))
		return updater_fail(e, DFOTA_WHERE_PARTITION, DFOTA_E_CONTENT);
	dfota_digest_start(&e->digest);
	while (bytes > 0) {
		size_t n = (size_t)dfota_min64(sizeof(e->io), bytes);

		error = updater_stopped(e);
		if (error)
			return error;
		error = back ? dfota_flash_read_back(flash, offset, e->io, n)
			     : dfota_flash_read(flash, offset, e->io, n);
		if (error)
			return updater_fail(e, DFOTA_WHERE_PARTITION, error);
		dfota_digest_add(&e->digest, e->io, n);
		offset += n;
		bytes -= n;
	}
	return updater_fail(e, DFOTA_WHERE_NONE, dfota_digest_finish(&e->digest, ret_sha256));
}

static int range_prove(struct engine *e, uint64_t bytes, const uint8_t *digest, size_t digest_bytes)
{
	uint8_t sha256[DFOTA_SHA256_BYTES];
	int error = updater_range_digest(e, e->part.flash, e->part.offset, bytes, false, sha256);

	if (!error && memcmp(sha256, digest, digest_bytes) != 0)
		error = DFOTA_E_CONTENT;
	return updater_fail(e, DFOTA_WHERE_PARTITION, error);
}

int updater_source_prove(struct engine *e)
{
	const struct dfota_delta_step *step = &e->part.step;

	return range_prove(e, e->part.old_bytes, step->source, sizeof(step->source));
}

int updater_target_prove(struct engine *e)
{
	const struct dfota_delta_step *step = &e->part.step;

	return range_prove(e, e->part.new_bytes, step->target, sizeof(step->target));
}

static int compare(struct engine *e, struct dfota_flash *flash, uint64_t offset,
		   const uint8_t *data, size_t bytes, bool back, int differs)
{
	while (bytes > 0) {
		size_t n = (size_t)dfota_min64(sizeof(e->io), bytes);
		int error = back ? dfota_flash_read_back(flash, offset, e->io, n)
				 : dfota_flash_read(flash, offset, e->io, n);

		if (error)
			return error;
		if (memcmp(e->io, data, n) != 0)
			return differs;
		offset += n;
		data += n;
		bytes -= n;
	}
	return 0;
}

int updater_compare(struct engine *e, struct dfota_flash *flash, uint64_t offset,
		    const uint8_t *data, size_t bytes)
{
	return MUTANT(NO_READ_BACK)
		   ? 0
		   : compare(e, flash, offset, data, bytes, true, DFOTA_E_READBACK);
}

int updater_rest_prove(struct engine *e)
{
	struct partition *p = &e->part;
	uint32_t unit_bytes = p->delta.header.unit_bytes;

	for (uint32_t u = 0; u < updater_units(p); u++) {
		uint64_t within = (uint64_t)u * unit_bytes;
		size_t n = updater_unit_bytes(p, u);
		int error;

		if (updater_changed(p, u))
			continue;
		/* A unit that was not there before cannot be left alone. */
		error = within + n > p->old_bytes
			    ? DFOTA_E_CONTENT
			    : compare(e, p->flash, p->offset + within, p->segment + within, n,
				      false, DFOTA_E_CONTENT);
		if (error)
			return updater_fail(e, DFOTA_WHERE_PARTITION, error);
	}
	return 0;
}
