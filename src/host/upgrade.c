/* SPDX-License-Identifier: MIT
 *
 * The upgrade procedure up to the request: connect, upload, AT+QFOTADL.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

#define UPLOAD_TRIES 2
#define DELETE_MS    20000 /* a large file takes its time */
#define TARGET_MAX   512   /* row A4 */

static uint32_t or_default(uint32_t ms, uint32_t default_ms)
{
	return ms ? ms : default_ms;
}

static void fill_in_times(struct dfota_upgrade *u)
{
	u->answer_timeout_ms = or_default(u->answer_timeout_ms, DFOTA_HOST_ANSWER_MS);
	u->command_timeout_ms = or_default(u->command_timeout_ms, 5000);
	u->upload_timeout_ms = or_default(u->upload_timeout_ms, 20000);
	u->first_urc_timeout_ms = or_default(u->first_urc_timeout_ms, 90000);
	u->settle_ms = or_default(u->settle_ms, u->first_urc_timeout_ms / 6);
	u->download_timeout_ms = or_default(u->download_timeout_ms, 3600000);
}

/* ---- connect ------------------------------------------------------------------------------ */

int run_open(struct run *run, uint32_t timeout_ms)
{
	const struct port_target target = { .path = run->u.port,
					    .place = run->placed ? &run->place : NULL,
					    .tree = &run->u.tree,
					    .baud = run->u.baud,
					    .flow = run->u.flow,
					    .tap = &run->u.tap };
	int error = port_open_target(&run->port, &target, timeout_ms, &run->u.stop);

	if (!error && run->placed && run->staged && strcmp(run->port->path, run->u.port) != 0) {
		if (run->device[0] || run->stage != DFOTA_STAGE_CONNECT)
			run_note(run, "The module's port is %s now.", run->port->path);
		snprintf(run->device, sizeof(run->device), "%s", run->port->path);
		run->u.port = run->device;
	}
	return error;
}

static int connect_port(struct run *run)
{
	int error;

	run_stage(run, DFOTA_STAGE_CONNECT);
	run->placed = dfota_usb_place(&run->u.tree, run->u.port, &run->place);
	error = run_open(run, run->u.answer_timeout_ms);
	if (error)
		return run_fail_port(run, error, "opening the port");
	dfota_port_drop_input(run->port);
	error = port_greet(run->port, run->u.answer_timeout_ms, true);
	if (error == DFOTA_E_TIMEOUT && port_keeps_start(run->port))
		return 0; /* it upgrades, and need not answer */
	if (error == DFOTA_E_TIMEOUT && port_keeps_fota(run->port))
		error = dfota_port_greet(run->port, run->u.answer_timeout_ms);
	if (!error)
		error = run_version(run, run->result->from);
	if (error == DFOTA_E_TIMEOUT) { /* one answer may be lost; asking again does no harm */
		error = dfota_port_greet(run->port, run->u.command_timeout_ms);
		if (!error)
			error = run_version(run, run->result->from);
	}
	if (error == DFOTA_E_NOT_FOUND) {
		run_note(run, "The module does not tell its version.");
		error = 0;
	}
	return error ? run_fail_port(run, error, "talking to the module") : 0;
}

/* ---- upload ------------------------------------------------------------------------------- */

/* The package's file name with nothing in it that a module could take amiss. */
static void choose_name(const char *path, char ret_name[DFOTA_HOST_NAME_MAX + 1])
{
	const char *slash = strrchr(path, '/');
	size_t n = 0;

	for (const char *p = slash ? slash + 1 : path; *p && n < DFOTA_HOST_NAME_MAX; p++)
		ret_name[n++] = isalnum((unsigned char)*p) || strchr("._-", *p) ? *p : '_';
	ret_name[n] = '\0';
}

static void free_bytes_line(void *context, const char *text)
{
	static const char name[] = "+QFLDS:";
	uint64_t *ret_free = context;
	char *end;

	if (strncmp(text, name, sizeof(name) - 1) != 0)
		return;
	text += sizeof(name) - 1;
	text += strspn(text, " ");
	errno = 0;
	if (isdigit((unsigned char)*text)) {
		uint64_t value = strtoull(text, &end, 10);

		if (!errno)
			*ret_free = value;
	}
}

/* Makes room: removes a file of this name, asks what is free. Refusals are no errors: not every
 * module has both. */
static int prepare_store(struct run *run, uint64_t bytes)
{
	char command[DFOTA_HOST_NAME_MAX + 32];
	uint64_t free_bytes = UINT64_MAX;
	int error;

	snprintf(command, sizeof(command), "AT+QFDEL=\"%s\"", run->store_name);
	error = dfota_port_command(run->port, command, DELETE_MS, NULL, NULL, NULL);
	if (error && error != DFOTA_E_REFUSED)
		return error;
	error = dfota_port_command(run->port, "AT+QFLDS=\"UFS\"", run->u.command_timeout_ms,
				   free_bytes_line, &free_bytes, NULL);
	if (error && error != DFOTA_E_REFUSED)
		return error;
	if (free_bytes >= bytes)
		return 0;
	return run_fail(run, DFOTA_E_SPACE,
			"The module's store has %" PRIu64 " bytes free, the package needs %" PRIu64
			". Nothing was sent. List files with AT+QFLST, delete some with AT+QFDEL, "
			"and try again.",
			free_bytes, bytes);
}

static void upload_progress(void *context, uint64_t done, uint64_t total)
{
	run_event(context, DFOTA_UPGRADE_PROGRESS, done, total, NULL);
}

static int upload_refused(struct run *run, int cme)
{
	return run_fail(run,
			cme == 403 || cme == 420 || cme == 423 ? DFOTA_E_SPACE : DFOTA_E_REFUSED,
			"The module refused the upload (%s%s%s). The firmware was not touched.",
			dfota_port_final(run->port), cme >= 0 ? ": " : "",
			cme >= 0 ? dfota_at_cme_text(cme) : "");
}

/* After an upload that broke: a port and a module that listens again. */
static int recover(struct run *run, int error)
{
	char version[DFOTA_HOST_VERSION_MAX + 1] = "";
	bool lost = error == DFOTA_E_IO;

	if (lost) {
		dfota_port_close(run->port);
		run->port = NULL;
		error = run_open(run, run->u.first_urc_timeout_ms);
		if (error)
			return error;
	}
	dfota_port_drop_input(run->port);
	error = dfota_port_greet(run->port, run->u.answer_timeout_ms);
	if (error || !lost)
		return error;
	error = run_version(run, version);
	/* The port went because the module restarts, in an upgrade that was begun before. */
	if (port_keeps_start(run->port) ||
	    (run->u.expect_version && strcmp(version, run->u.expect_version) == 0))
		return DFOTA_E_STATE;
	return error == DFOTA_E_NOT_FOUND ? 0 : error;
}

static int upload_open_file(struct run *run, int file, uint64_t bytes)
{
	int error = 0, cme = -1;

	for (uint32_t tries = 1;; tries++) {
		error = prepare_store(run, bytes);
		if (run->result->error)
			return run->result->error;
		if (!error)
			error =
			    dfota_port_upload(run->port, file, bytes, run->store_name,
					      run->u.upload_timeout_ms, upload_progress, run, &cme);
		if (!error)
			return 0;
		if (error == DFOTA_E_REFUSED)
			return upload_refused(run, cme);
		if (tries == UPLOAD_TRIES ||
		    (error != DFOTA_E_CORRUPT && error != DFOTA_E_TIMEOUT && error != DFOTA_E_IO))
			return run_fail_port(run, error, "uploading the package");
		run_note(run, error == DFOTA_E_CORRUPT
				  ? "The module counted or summed other bytes; uploading once more."
				  : "The upload broke off; uploading once more.");
		error = recover(run, error);
		if (error == DFOTA_E_STATE)
			return run_fail(run, DFOTA_E_BUSY, "An upgrade was under way already.");
		if (error)
			return run_fail_port(run, error, "uploading the package");
	}
}

static int upload(struct run *run)
{
	const char *path = run->u.target;
	struct stat about;
	int error, file;

	run_stage(run, DFOTA_STAGE_UPLOAD);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &about)) {
		error = run_fail(run, errno == ENOENT ? DFOTA_E_NOT_FOUND : DFOTA_E_READ,
				 "Cannot read the package: %s. Nothing was sent.", strerror(errno));
	} else if (!S_ISREG(about.st_mode) || about.st_size <= 0) {
		error = run_fail(run, DFOTA_E_READ,
				 "The package is empty or not a regular file. Nothing was sent.");
	} else {
		error = upload_open_file(run, file, (uint64_t)about.st_size);
	}
	if (file >= 0)
		close(file);
	return error;
}

/* ---- request ------------------------------------------------------------------------------ */

static bool target_ok(const char *target)
{
	size_t bytes = strlen(target);

	for (size_t i = 0; i < bytes; i++)
		if (target[i] <= ' ' || target[i] > '~' || target[i] == '"')
			return false;
	return bytes && bytes <= TARGET_MAX;
}

static int request_one(struct run *run, const char *prefix, const char *target)
{
	char command[TARGET_MAX + 32], whole[TARGET_MAX + 2];

	snprintf(whole, sizeof(whole), "%s%s", prefix, target);
	if (!target_ok(whole))
		return DFOTA_E_URL;
	snprintf(command, sizeof(command), "AT+QFOTADL=\"%s\"", whole);
	run->result->requested = true;
	return dfota_port_command(run->port, command, run->u.command_timeout_ms, NULL, NULL, NULL);
}

/* Tries the spellings of a file in the store until one is accepted: they differ between model
 * series. */
static int request(struct run *run)
{
	static const char *const prefixes[RUN_NAME_PATHS] = { "/cache/ufs/", "/data/ufs/", "UFS:" };
	const char *target = run->u.source == DFOTA_UPGRADE_FILE ? run->store_name : run->u.target;
	bool whole = run->u.source == DFOTA_UPGRADE_URL || strpbrk(target, "/:");
	int error = DFOTA_E_REFUSED;

	run_stage(run, DFOTA_STAGE_REQUEST);
	for (size_t i = 0; error == DFOTA_E_REFUSED && i < (whole ? 1 : RUN_NAME_PATHS); i++)
		error = request_one(run, whole ? "" : prefixes[i], target);
	switch (error) {
	case DFOTA_E_URL:
		run->result->requested = false;
		return run_fail(
		    run, error,
		    "The URL or name is empty, longer than 512 bytes, or holds spaces, "
		    "quotes or other bytes that AT+QFOTADL cannot carry. Nothing was sent.");
	case DFOTA_E_REFUSED:
		run->result->requested = false;
		return run_fail(run, error,
				"The module refused AT+QFOTADL (%s): %s. Nothing was changed.",
				dfota_port_final(run->port),
				run->u.source == DFOTA_UPGRADE_URL
				    ? "check scheme, port and path of the URL, and whether "
				      "an upgrade is under way already"
				    : "check the file with AT+QFLST, and whether an upgrade "
				      "is under way already");
	case DFOTA_E_TIMEOUT: /* the answer may have been lost: what follows decides */
	case DFOTA_E_IO:
		run_note(run, "No answer to the request; looking whether the upgrade begins.");
		return 0;
	}
	return error ? run_fail_port(run, error, "requesting the upgrade") : 0;
}

/* The package in the store has done its work; that it cannot be deleted is no failure of the
 * upgrade. */
static void tidy_up(struct run *run)
{
	char command[DFOTA_HOST_NAME_MAX + 32];

	if (!run->port || !run->store_name[0] || host_stopped(&run->u.stop))
		return;
	snprintf(command, sizeof(command), "AT+QFDEL=\"%s\"", run->store_name);
	(void)!dfota_port_command(run->port, command, run->u.command_timeout_ms, NULL, NULL, NULL);
}

static int upgrade(struct run *run)
{
	int error = connect_port(run);

	if (error)
		return error;
	if (run->u.source == DFOTA_UPGRADE_WATCH)
		return run_watch(run);
	if (run->u.source == DFOTA_UPGRADE_FILE)
		choose_name(run->u.target, run->store_name);
	if (run->u.expect_version && strcmp(run->result->from, run->u.expect_version) == 0) {
		memcpy(run->result->to, run->result->from, sizeof(run->result->to));
		run->result->nothing_to_do = true;
		snprintf(run->result->message, sizeof(run->result->message),
			 "The module runs %s already; nothing was sent.", run->result->to);
		tidy_up(run); /* a host that was killed left it */
		return 0;
	}
	if (port_keeps_start(run->port))
		error = run_fail(run, DFOTA_E_BUSY, "An upgrade was under way already.");
	else if (run->u.source == DFOTA_UPGRADE_FILE)
		error = upload(run);
	if (!error)
		error = request(run);
	error = error ? run_rejoin(run, error) : run_follow(run);
	if (!error)
		tidy_up(run);
	return error;
}

int dfota_upgrade_run(const struct dfota_upgrade *options, struct dfota_upgrade_result *ret_result)
{
	struct run run = { .u = *options, .result = ret_result };

	*ret_result = (struct dfota_upgrade_result){ .code = -1 };
	fill_in_times(&run.u);
	ret_result->error = upgrade(&run);
	dfota_port_close(run.port);
	return ret_result->error;
}
