/* SPDX-License-Identifier: MIT
 *
 * In-place upgrade of all partitions of a package, safe against power cuts at any instant.
 *
 * Everything that can be refused is refused before the first write: versions, space, memory, contents
 * of every partition, a rehearsal of every segment's decode. Then steps are done in the package's
 * order; a three-block journal says which; replay after a cut is at most one segment.
 * docs/power-fail.md has the protocol and the state table.
 *
 * The caller opens flash, area and package, gives the work memory, and calls again after a restart with
 * the same package. Nothing is kept in memory between calls; no clock, no global, no log.
 */
#ifndef DFOTA_UPDATER_H
#define DFOTA_UPDATER_H

#include "dfota/flash.h"
#include "dfota/package.h"
#include "dfota/record.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dfota_updater_partition {
	const char *name;
	struct dfota_flash *flash;
};

enum dfota_updater_event {
	DFOTA_EVENT_PERCENT, /* a = 0..100, never falling within one call */
	DFOTA_EVENT_STARTED, /* INTENT is durable: the first write follows */
	DFOTA_EVENT_RESUMED, /* an interrupted upgrade goes on; a = partition, b = step */
	DFOTA_EVENT_STEP,    /* step done; a = partition, b = step */
	DFOTA_EVENT_COMMIT   /* COMMIT is durable: the new version is what is on flash */
};

struct dfota_updater_hooks {
	void (*event)(void *context, enum dfota_updater_event event, int64_t a, int64_t b); /* or NULL */
	bool (*stop)(void *context); /* polled between steps; true ends the call with DFOTA_E_STOPPED; or NULL */
	void *context;
};

struct dfota_updater_config {
	const struct dfota_updater_partition *partitions; /* those of the module, any order */
	uint32_t partition_count;
	struct dfota_flash *area;      /* journal, ring and stash */
	struct dfota_package *package; /* opened with trust */
	const char *project;           /* of the running firmware */
	const char *version;
	uint64_t memory_limit_bytes;   /* work memory the device allows; 0 = no limit */
	struct dfota_updater_hooks hooks;
};

/* What a call found out and did; valid after every return. */
struct dfota_updater_report {
	int error;                 /* the return value */
	enum dfota_where where;
	char partition[DFOTA_PARTITION_NAME_MAX + 1]; /* empty when none is concerned */
	uint32_t step;             /* step of that partition */
	bool started;              /* INTENT is durable, of this package or of another one that was left
				    * unfinished: flash may be a mixture until COMMIT */
	uint64_t writes;           /* write, erase and resize operations on partitions and area in this call */
	uint64_t bytes_written;    /* to partitions */
	uint64_t ring_bytes, stash_bytes; /* written to the area */
	uint64_t recipes;          /* steps that put a recipe there instead of units */
	uint64_t area_bytes;       /* that the package needs */
	uint64_t memory_bytes;     /* work memory that the package needs */
};

/* Work memory for one partition with this delta; 0 when the header is out of bounds. Stands in the manifest. */
uint64_t dfota_updater_partition_memory(const struct dfota_delta_header *header);

/* Work memory for `package`: segment buffer, codec, tables; 0 when the package contradicts itself. */
uint64_t dfota_updater_memory(struct dfota_package *package);

/* Area needed by `package` on an area of this geometry: journal, ring and stash. `memory` as below; 0 when the package contradicts
 * itself or memory is short.
 */
uint64_t dfota_updater_area(struct dfota_package *package,
			    const struct dfota_flash_geometry *area, void *memory,
			    uint64_t memory_bytes);

/* Everything up to the point of no return, without one write: what `dfota verify` does. `memory` holds
 * dfota_updater_memory() bytes. 0 means dfota_updater_run would go on to write, or that all is new
 * already. An interrupted upgrade of this package counts as whole. Errors: DFOTA_E_VERSION,
 * DFOTA_E_SPACE, DFOTA_E_MEMORY, DFOTA_E_CONTENT, DFOTA_E_CORRUPT, storage errors, DFOTA_E_STOPPED.
 */
int dfota_updater_check(const struct dfota_updater_config *config, void *memory,
			uint64_t memory_bytes, struct dfota_updater_report *ret_report)
	DFOTA_MUST_CHECK;

/* One attempt: checks (or finds its place in the journal), writes, verifies, commits. When it returns 0 a
 * power cut leaves the new firmware and a COMMIT record; calling again returns 0 without a write, unless power went
 * while COMMIT was written: then it is written again. A power cut at any time before leaves a state from which the
 * next call with the same package goes on.
 */
int dfota_updater_run(const struct dfota_updater_config *config, void *memory,
		      uint64_t memory_bytes, struct dfota_updater_report *ret_report)
	DFOTA_MUST_CHECK;

/* What the journal says, without a package. */
enum dfota_updater_phase {
	DFOTA_PHASE_NONE,     /* no journal: nothing has been touched */
	DFOTA_PHASE_INTENT,   /* this and the next four: flash is a mixture; go on with the same package */
	DFOTA_PHASE_STASHED,  /* stash copies of the step are done */
	DFOTA_PHASE_PREPARED, /* changed units of the step are in the ring */
	DFOTA_PHASE_UNIT,     /* units of the step up to `unit` are in place */
	DFOTA_PHASE_DONE,     /* step is in place */
	DFOTA_PHASE_VERIFIED, /* all partitions have their new digests */
	DFOTA_PHASE_COMMIT,   /* the upgrade is complete */
	DFOTA_PHASE_ABANDONED,/* gave up with flash whole and old */
	DFOTA_PHASE_COUNT
};

struct dfota_updater_status {
	enum dfota_updater_phase phase;
	uint8_t package_sha256[DFOTA_SHA256_BYTES]; /* of the manifest */
	char version[DFOTA_VERSION_MAX + 1];        /* that the upgrade leads to */
	uint32_t partition, step, unit;
};

int dfota_updater_status(struct dfota_flash *area, struct dfota_updater_status *ret_status)
	DFOTA_MUST_CHECK;

/* What a record means. `after`: bit p is set when a record of phase p of the same package may be the one before it (none:
 * there is no record of this package). Anything else is a fault of the program and is not written.
 */
struct dfota_updater_phase_row {
	const char *name, *flash, *restart;
	uint32_t after;
	bool mixed;
};

/* Static; a number that is no phase gets the row of DFOTA_PHASE_NONE. */
const struct dfota_updater_phase_row *dfota_updater_phase(enum dfota_updater_phase phase);

/* True for the phases in which flash may be a mixture of old and new. */
bool dfota_updater_phase_mixed(enum dfota_updater_phase phase);

/* After giving up: hashes every partition. If all are old, records ABANDONED and returns 0: the module may start
 * normally. DFOTA_E_CONTENT when flash is a mixture: the journal is kept so that the same package can go on.
 */
int dfota_updater_abandon(const struct dfota_updater_config *config, void *memory,
			  uint64_t memory_bytes) DFOTA_MUST_CHECK;

/* ---- upgrade flag (SPEC E1-E4) ------------------------------------------------------------ */

#define DFOTA_FLAG_TRIES     5
#define DFOTA_FLAG_SOURCE_MAX 512

/* What survives between the request and its end. */
struct dfota_flag {
	bool set;
	uint8_t failures;                       /* reported errors so far; cuts never count */
	char source[DFOTA_FLAG_SOURCE_MAX + 1]; /* what the host asked for, for the log; without password */
};

/* The store's tag must be DFOTA_FLAG_TAG. A damaged or absent record reads as not set. */
#define DFOTA_FLAG_TAG 0x47414c46u /* "FLAG" */
void dfota_flag_get(const struct dfota_record_store *store, struct dfota_flag *ret_flag);
int dfota_flag_put(struct dfota_record_store *store, const struct dfota_flag *flag) DFOTA_MUST_CHECK;

enum dfota_verdict {
	DFOTA_VERDICT_DONE,   /* END,0: version record, flag off, restart into the new firmware */
	DFOTA_VERDICT_RETRY,  /* END,code: restart, flag stays, try again */
	DFOTA_VERDICT_REFUSE, /* END,code: nothing was touched, flag off, start normally */
	DFOTA_VERDICT_FAILED, /* END,code for the fifth time: flag off; start normally if flash is whole */
	DFOTA_VERDICT_STOP    /* asked to stop: nothing counted, nothing said */
};

/* What an attempt's result means given the failures before it (0..4): the one place that decides. Errors of class
 * GIVE_UP before the start are refused at once, all others retried up to DFOTA_FLAG_TRIES in all.
 */
enum dfota_verdict dfota_flag_judge(const struct dfota_updater_report *report, uint8_t failures);

#ifdef __cplusplus
}
#endif
#endif
