/* SPDX-License-Identifier: MIT
 *
 * The ring: from what the changed units of a segment can be made again when writing them was
 * interrupted. A recipe if that is shorter, else the units themselves.
 */
#include "recipe.h"

static uint64_t slot_bytes(const struct engine *e)
{
	return updater_round_up(e->part.delta.header.unit_bytes,
				e->config->area->geometry.erase_bytes);
}

static uint64_t ring_at(const struct engine *e, uint32_t slot)
{
	return e->layout.ring_at + slot * slot_bytes(e);
}

uint32_t updater_ring_unit(const struct partition *p, uint32_t k)
{
	uint64_t left = p->step.changed_units;

	for (; k > 0; k--)
		left &= p->ring == UPDATER_RING_DOWN
			    ? ~(UINT64_C(1) << (63 - __builtin_clzll(left)))
			    : left - 1;
	return (uint32_t)(p->ring == UPDATER_RING_DOWN ? 63 - __builtin_clzll(left)
						       : __builtin_ctzll(left));
}

/* ---- staging ------------------------------------------------------------------------------ */

static int slot_write(struct engine *e, uint32_t slot, const uint8_t *bytes, size_t count)
{
	e->report->writes++;
	e->report->ring_bytes += count;
	return dfota_flash_replace(e->config->area, ring_at(e, slot), bytes, count);
}

static int ring_flush(struct engine *e)
{
	return MUTANT(NO_FLUSH_BEFORE) ? 0 : dfota_flash_flush(e->config->area);
}

static int units_stage(struct engine *e)
{
	struct partition *p = &e->part;
	struct dfota_flash *area = e->config->area;
	uint32_t unit_bytes = p->delta.header.unit_bytes, slot = 0;
	int error = 0;

	for (uint32_t u = 0; !error && u < updater_units(p); u++) {
		/* Up to a whole page: what follows in the buffer pads it, and is never read back.
		 */
		size_t n =
		    (size_t)updater_round_up(updater_unit_bytes(p, u), area->geometry.write_bytes);

		if (updater_changed(p, u))
			error = slot_write(e, slot++, p->segment + (size_t)u * unit_bytes, n);
	}
	if (!error)
		error = ring_flush(e);
	slot = 0;
	for (uint32_t u = 0; !error && u < updater_units(p); u++)
		if (updater_changed(p, u))
			error = updater_compare(e, area, ring_at(e, slot++),
						p->segment + (size_t)u * unit_bytes,
						updater_unit_bytes(p, u));
	return error;
}

/* `bytes` is a multiple of what is written at once. */
static int recipe_stage(struct engine *e, const struct recipe *r, size_t bytes)
{
	size_t slot = (size_t)slot_bytes(e);
	int error = 0;

	for (size_t at = 0; !error && at < bytes; at += slot)
		error = slot_write(e, (uint32_t)(at / slot), r->out + at,
				   (size_t)dfota_min64(slot, bytes - at));
	if (!error)
		error = ring_flush(e);
	return error ? error : updater_compare(e, e->config->area, ring_at(e, 0), r->out, bytes);
}

/* Bytes that the units themselves take. */
static uint64_t raw_bytes(const struct partition *p)
{
	uint64_t bytes = 0;

	for (uint32_t u = 0; u < updater_units(p); u++)
		if (updater_changed(p, u))
			bytes += updater_unit_bytes(p, u);
	return bytes;
}

int updater_ring_stage(struct engine *e)
{
	struct partition *p = &e->part;
	struct recipe r;
	size_t bytes = 0, whole = 0;
	int error = 0;

	if (recipe_place(e, &r))
		error = recipe_make(e, &r, &bytes);
	if (error)
		return error;
	if (bytes > 0)
		whole = (size_t)updater_round_up(bytes, e->config->area->geometry.write_bytes);
	if (bytes > 0 && whole < raw_bytes(p) && whole <= r.out_max) {
		memset(r.out + bytes, 0, whole - bytes);
		e->report->recipes++;
		error = recipe_stage(e, &r, whole);
	} else {
		p->ring = UPDATER_RING_RAW;
		error = units_stage(e);
	}
	return updater_fail(e, DFOTA_WHERE_RING, error);
}

/* ---- after a restart ---------------------------------------------------------------------- */

static int unit_read(struct engine *e, uint32_t unit)
{
	struct partition *p = &e->part;
	uint64_t within = (uint64_t)unit * p->delta.header.unit_bytes;

	return updater_fail(e, DFOTA_WHERE_PARTITION,
			    dfota_flash_read(p->flash, p->offset + within, p->segment + within,
					     updater_unit_bytes(p, unit)));
}

static int rest_read(struct engine *e)
{
	int error = 0;

	for (uint32_t u = 0; !error && u < updater_units(&e->part); u++)
		if (!updater_changed(&e->part, u))
			error = unit_read(e, u);
	return error;
}

static int units_load(struct engine *e)
{
	struct partition *p = &e->part;
	uint32_t slot = 0;
	int error = 0;

	for (uint32_t u = 0; !error && u < updater_units(p); u++)
		if (updater_changed(p, u))
			error =
			    dfota_flash_read(e->config->area, ring_at(e, slot++),
					     p->segment + (size_t)u * p->delta.header.unit_bytes,
					     updater_unit_bytes(p, u));
	return updater_fail(e, DFOTA_WHERE_RING, error);
}

static int segment_prove(struct engine *e)
{
	struct partition *p = &e->part;
	uint8_t sha256[DFOTA_SHA256_BYTES];
	int error = dfota_digest_of(&e->digest, p->segment, (size_t)p->new_bytes, sha256);

	if (!error && memcmp(sha256, p->step.target, UPDATER_DIGEST_PART) != 0)
		error = DFOTA_E_READBACK;
	return error;
}

static int recipe_read(struct engine *e, struct recipe *r, size_t *ret_bytes)
{
	struct dfota_flash *area = e->config->area;
	int error = dfota_flash_read(area, ring_at(e, 0), r->out, RECIPE_HEAD_BYTES);

	if (error)
		return error;
	*ret_bytes = dfota_get32(r->out);
	if (*ret_bytes <= RECIPE_HEAD_BYTES || *ret_bytes > r->out_max ||
	    *ret_bytes > raw_bytes(&e->part))
		return DFOTA_E_READBACK;
	return dfota_flash_read(area, ring_at(e, 0), r->out, *ret_bytes);
}

/* With so many units in place: they are read, the others made. */
static int recipe_try(struct engine *e, struct recipe *r, size_t bytes, uint32_t in_place)
{
	int error = 0;

	for (uint32_t k = 0; !error && k < in_place; k++)
		error = unit_read(e, updater_ring_unit(&e->part, k));
	if (!error)
		error = recipe_rebuild(e, r, bytes, in_place, false);
	return error ? error : segment_prove(e);
}

/* No record tells how many units of flash that changes them atomically are in place: each is whole,
 * old or new, and only the right number leads to the segment. */
static int recipe_load(struct engine *e, uint32_t *in_place)
{
	uint32_t last = updater_ring_counted(e) || MUTANT(RECIPE_NEVER_NEW)
			    ? *in_place
			    : updater_changed_count(&e->part.step);
	struct recipe r;
	size_t bytes;
	int error;

	if (!recipe_place(e, &r))
		return DFOTA_E_READBACK;
	error = recipe_read(e, &r, &bytes);
	if (error)
		return error;
	error = recipe_try(e, &r, bytes, *in_place);
	while (error == DFOTA_E_READBACK && *in_place < last)
		error = recipe_try(e, &r, bytes, ++*in_place);
	return error;
}

bool updater_ring_counted(const struct engine *e)
{
	return e->part.ring == UPDATER_RING_RAW || !updater_atomic(e);
}

int updater_ring_load(struct engine *e, uint32_t *in_place)
{
	int error = rest_read(e);

	if (error)
		return error;
	if (e->part.ring == UPDATER_RING_RAW) {
		error = units_load(e);
		if (!error)
			error = segment_prove(e);
	} else {
		error = recipe_load(e, in_place);
	}
	return updater_fail(e, DFOTA_WHERE_RING, error);
}
