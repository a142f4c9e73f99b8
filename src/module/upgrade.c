/* SPDX-License-Identifier: MIT
 *
 * One attempt in recovery mode.
 */
#include "upgrade.h"

#include <stdio.h>

#include "board.h"
#include "fault.h"
#include "fetch.h"
#include "log.h"

struct attempt {
	struct upgrade *upgrade;
	struct board board;
	struct dfota_updater_config config;
	struct dfota_updater_status status;
	bool unknown; /* the journal cannot be read, so the upgrade may have begun */
	bool struck;  /* by fault-end */
};

static void on_event(void *context, enum dfota_updater_event event, int64_t a, int64_t b)
{
	struct attempt *attempt = context;
	const char *name = "?";

	if (event == DFOTA_EVENT_PERCENT) {
		const struct module_end_fault *fault = &attempt->upgrade->config->fault_end;

		if (!attempt->struck && a >= (int64_t)fault->percent)
			attempt->struck =
			    fault_strike(attempt->upgrade->config, "end", fault->count);
		attempt->upgrade->percent(attempt->upgrade->context, (int)a);
		return;
	}
	if (a >= 0 && attempt->board.package &&
	    a < dfota_package_manifest(attempt->board.package)->partition_count)
		name = dfota_package_manifest(attempt->board.package)->partitions[a].name;
	if (event == DFOTA_EVENT_STARTED)
		module_log("upgrade: everything is checked, writing begins");
	else if (event == DFOTA_EVENT_RESUMED)
		module_log("upgrade: goes on at partition %s, step %lld", name, (long long)b);
	else if (event == DFOTA_EVENT_COMMIT)
		module_log("upgrade: committed");
}

static bool on_stop(void *context)
{
	struct attempt *attempt = context;

	return attempt->struck || attempt->upgrade->stop(attempt->upgrade->context);
}

/* What stopped for an ordered fault is an error like any other: refused for what is wrong with a
 * package, as long as nothing is written, otherwise tried again.
 */
static void strike(struct attempt *attempt)
{
	static const int wrong[] = { DFOTA_E_ZIP, DFOTA_E_VERSION, DFOTA_E_CONTENT, DFOTA_E_SPACE,
				     DFOTA_E_TOO_LARGE };
	struct dfota_updater_report *report = &attempt->upgrade->report;
	int code = (int)attempt->upgrade->config->fault_end.code;

	if (!attempt->struck || report->error != DFOTA_E_STOPPED ||
	    attempt->upgrade->stop(attempt->upgrade->context))
		return;
	module_log("fault: end, %d", code);
	report->error = DFOTA_E_IO;
	for (size_t i = 0; !report->started && i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (dfota_error_code(wrong[i], DFOTA_WHERE_PACKAGE, NULL, false) == code)
			report->error = wrong[i];
	attempt->upgrade->code = code;
}

static int fail(struct attempt *attempt, int error, enum dfota_where where, const char *partition)
{
	struct dfota_updater_report *report = &attempt->upgrade->report;

	report->error = error;
	report->where = where;
	report->started = attempt->unknown || dfota_updater_phase_mixed(attempt->status.phase);
	snprintf(report->partition, sizeof(report->partition), "%s", partition);
	return error;
}

static int open_all(struct attempt *attempt)
{
	const struct module_config *config = attempt->upgrade->config;
	char path[PATH_MAX], partition[DFOTA_PARTITION_NAME_MAX + 1];
	int error = board_open_area(&attempt->board, config);

	if (!error)
		error = board_status(&attempt->board, &attempt->status);
	attempt->unknown = error != 0;
	if (error)
		return fail(attempt, error, DFOTA_WHERE_JOURNAL, "");
	if (!module_path(config, FETCH_PACKAGE, path))
		return fail(attempt, DFOTA_E_ARGUMENT, DFOTA_WHERE_NONE, "");
	error = board_open_package(&attempt->board, config, path);
	if (error)
		return fail(attempt, error, DFOTA_WHERE_PACKAGE, "");
	error = board_open_partitions(&attempt->board, config, partition);
	return error ? fail(attempt, error, DFOTA_WHERE_PARTITION, partition) : 0;
}

/* The journal of an earlier upgrade with this package, which is no longer what was asked for now.
 */
static bool stale_commit(const struct attempt *attempt)
{
	const struct dfota_manifest *manifest = dfota_package_manifest(attempt->board.package);
	const struct module_state *state = &attempt->upgrade->records->state;

	if (attempt->status.phase != DFOTA_PHASE_COMMIT ||
	    memcmp(attempt->status.package_sha256, manifest->sha256, DFOTA_SHA256_BYTES) != 0)
		return false;
	return memcmp(state->done_sha256, manifest->sha256, DFOTA_SHA256_BYTES) != 0 &&
	       strcmp(state->version, manifest->from) != 0;
}

/* A restart between the version record and the end of the upgrade. */
static bool is_done(const struct attempt *attempt)
{
	const struct dfota_manifest *manifest = dfota_package_manifest(attempt->board.package);

	return memcmp(attempt->upgrade->records->state.done_sha256, manifest->sha256,
		      DFOTA_SHA256_BYTES) == 0;
}

static int record_done(struct attempt *attempt)
{
	const struct dfota_manifest *manifest = dfota_package_manifest(attempt->board.package);
	struct module_state *state = &attempt->upgrade->records->state, before = *state;
	int error;

	if (is_done(attempt))
		return 0;
	memcpy(state->project, manifest->project, sizeof(state->project));
	memcpy(state->version, manifest->to, sizeof(state->version));
	memcpy(state->done_sha256, manifest->sha256, sizeof(state->done_sha256));
	state->upgrades++;
	error = module_records_save(attempt->upgrade->records);
	if (error)
		*state = before;
	return error;
}

static void run(struct attempt *attempt)
{
	struct upgrade *upgrade = attempt->upgrade;
	struct dfota_updater_report *report = &upgrade->report;
	const struct dfota_manifest *manifest;

	if (open_all(attempt))
		return;
	manifest = dfota_package_manifest(attempt->board.package);
	module_log("upgrade: package leads from %s %s to %s", manifest->project, manifest->from,
		   manifest->to);
	attempt->config = (struct dfota_updater_config){
		.partitions = attempt->board.partitions,
		.partition_count = attempt->board.partition_count,
		.area = dfota_storage_flash(&attempt->board.area),
		.package = attempt->board.package,
		.project = upgrade->records->state.project,
		.version = upgrade->records->state.version,
		.memory_limit_bytes = upgrade->config->memory_limit,
		.hooks = { on_event, on_stop, attempt },
	};
	if (is_done(attempt)) {
		report->error = 0;
		return;
	}
	if (stale_commit(attempt)) {
		(void)fail(attempt, DFOTA_E_VERSION, DFOTA_WHERE_PACKAGE, "");
		return;
	}
	if (dfota_updater_run(&attempt->config, attempt->board.memory, attempt->board.memory_bytes,
			      report))
		return;
	if (record_done(attempt))
		(void)fail(attempt, DFOTA_E_IO, DFOTA_WHERE_NONE, "");
}

static int count_failure(struct upgrade *upgrade, struct dfota_flag *flag)
{
	flag->failures++;
	return dfota_flag_put(&upgrade->records->flag.store, flag);
}

/* After the fifth error: is what is on flash whole? The answer is made durable by the journal. */
static bool give_up(struct attempt *attempt)
{
	int error;

	if (!attempt->config.package)
		return !attempt->unknown && !dfota_updater_phase_mixed(attempt->status.phase);
	error = dfota_updater_abandon(&attempt->config, attempt->board.memory,
				      attempt->board.memory_bytes);
	if (error)
		module_log("upgrade: cannot be taken back (%s)", dfota_error_name(error));
	return error == 0;
}

void upgrade_run(struct upgrade *upgrade)
{
	struct attempt attempt = { .upgrade = upgrade };
	struct dfota_updater_report *report = &upgrade->report;
	struct dfota_flag flag;

	memset(report, 0, sizeof(*report));
	upgrade->unrecorded = false;
	board_init(&attempt.board);
	dfota_flag_get(&upgrade->records->flag.store, &flag);
	module_log("upgrade: attempt %u, %s", flag.failures + 1u, flag.source);
	upgrade->code = 0;
	run(&attempt);
	strike(&attempt);
	upgrade->verdict = dfota_flag_judge(report, flag.failures);
	if (!upgrade->code)
		upgrade->code = dfota_error_code(report->error, report->where,
						 *report->partition ? report->partition : NULL,
						 report->started);
	upgrade->whole = !report->started || report->error == 0;
	if (upgrade->verdict == DFOTA_VERDICT_FAILED && report->started)
		upgrade->whole = give_up(&attempt);
	if (upgrade->verdict == DFOTA_VERDICT_RETRY && count_failure(upgrade, &flag))
		upgrade->unrecorded = true;
	module_log("upgrade: %s, code %d, %s%s%s; %llu writes, %llu bytes in place, "
		   "%llu in the ring, %llu in the stash",
		   upgrade_verdict_name(upgrade->verdict), upgrade->code,
		   dfota_error_name(report->error), *report->partition ? " in " : "",
		   report->partition, (unsigned long long)report->writes,
		   (unsigned long long)report->bytes_written,
		   (unsigned long long)report->ring_bytes, (unsigned long long)report->stash_bytes);
	board_close(&attempt.board);
}

int upgrade_flag_delete(struct module_records *records)
{
	const struct dfota_flag off = { .set = false };

	return dfota_flag_put(&records->flag.store, &off);
}

const char *upgrade_verdict_name(enum dfota_verdict verdict)
{
	switch (verdict) {
	case DFOTA_VERDICT_DONE:
		return "done";
	case DFOTA_VERDICT_RETRY:
		return "failed, will be tried again";
	case DFOTA_VERDICT_REFUSE:
		return "refused, nothing was touched";
	case DFOTA_VERDICT_FAILED:
		return "failed for good";
	case DFOTA_VERDICT_STOP:
		return "stopped";
	}
	return "?";
}
