/* SPDX-License-Identifier: MIT
 *
 * A simulated device and the updater on it.
 *
 * A boot is dfota_updater_run in this process with its work memory filled with garbage: the engine
 * keeps nothing between calls but what is on flash. That it cannot is shown by test_layers.py (no
 * mutable global in a device room) and by the garbage: what is read without having been written in
 * the same boot differs from boot to boot. The package stays open; it is read only, and chains of
 * cuts open it anew at each boot.
 */
#ifndef RIG_H
#define RIG_H

#include "dfota/updater.h"
#include "shape.h"
#include "sim_flash.h"

/* Where an operation comes from: each must be cut at least once. */
enum site {
	SITE_AREA_RESIZE,
	SITE_AREA_FLUSH,
	SITE_INTENT,
	SITE_STASHED,
	SITE_PREPARED,
	SITE_UNIT,
	SITE_DONE,
	SITE_VERIFIED,
	SITE_COMMIT,
	SITE_ABANDONED,
	SITE_REFRESH, /* the record that stands already, once more */
	SITE_AREA_ERASE,
	SITE_RING,
	SITE_STASH,
	SITE_UNIT_WRITE,
	SITE_UNIT_ERASE,
	SITE_UNIT_FLUSH,
	SITE_GROW,
	SITE_SHRINK,
	SITE_COUNT
};
extern const char *const site_names[SITE_COUNT];

/* One operation of a run. */
struct operation {
	enum sim_op op;
	enum site site;
	uint64_t bytes;
	uint32_t open; /* operations before it that are not flushed */
};

struct cut {
	uint64_t at;
	enum sim_outcome outcome;
	uint64_t tear, ends, seed;
};

struct rig {
	const struct upgrade *upgrade;
	struct sim_power power;
	struct sim_flash area, flashes[SHAPE_PARTITIONS_MAX];
	struct dfota_updater_partition rows[SHAPE_PARTITIONS_MAX];
	struct dfota_trust *trust;
	struct dfota_package *package;
	struct dfota_updater_config config;
	struct dfota_updater_report report;
	uint8_t *memory;
	uint64_t memory_bytes, garbage;
	int percent;
	bool percent_fell;
	uint64_t ring_at, stash_at; /* in the area, behind the journal */
	/* the operations of the last boot */
	uint32_t records;
	struct operation *trace;
	uint32_t trace_count, trace_room;
};

void rig_init(struct rig *rig, const struct upgrade *upgrade, const char *folder);
void rig_free(struct rig *rig);

/* Old firmware, empty area, power on, nothing counted. */
void rig_reset(struct rig *rig);
/* The media of `from` become those of `to`, as after a power cut. */
void rig_copy(struct rig *to, const struct rig *from);
/* Tells the next boot where power goes. */
void rig_cut(struct rig *rig, const struct cut *cut);
/* One boot; power is on again after a cut. Returns what the updater returns. */
int rig_boot(struct rig *rig);
/* The same without writing. */
int rig_check(struct rig *rig);
/* Power comes back; no further cut. */
void rig_power(struct rig *rig);
/* Closes the package and opens it, or another one, again. */
void rig_reopen(struct rig *rig, const char *path);

/* NULL when every partition holds the new (old) image bit for bit, else what is wrong. */
const char *rig_new_wrong(const struct rig *rig);
const char *rig_old_wrong(const struct rig *rig);
/* After a run that returned 0: images, journal, and that another run writes nothing. NULL or what
 * is wrong. */
const char *rig_end_wrong(struct rig *rig);
/* Identity of what the media hold. */
uint64_t rig_state(const struct rig *rig);
enum dfota_updater_phase rig_phase(struct rig *rig);

#endif
