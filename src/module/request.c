/* SPDX-License-Identifier: MIT
 *
 * AT+QFOTADL from its OK to the reboot: waits for the data call, runs the download, tells its end. Rows A4-A9, D1-D3.
 */
#include "request.h"

#include <stdio.h>
#include <unistd.h>

#include "fault.h"
#include "log.h"

#define LINGER_MS 500

static void fota(struct daemon *daemon, const char *name, const int *code)
{
	char text[DFOTA_AT_URC_MAX];

	if (code)
		snprintf(text, sizeof(text), "+QIND: \"FOTA\",\"%s\",%d", name, *code);
	else
		snprintf(text, sizeof(text), "+QIND: \"FOTA\",\"%s\"", name);
	(void)dfota_at_urc(&daemon->wire.at, text, false);
}

static bool is_ftp(const struct fetch *fetch)
{
	return fetch->url.scheme == DFOTA_SCHEME_FTP;
}

static void tell_start(struct daemon *daemon)
{
	const struct fetch *fetch = &daemon->request.fetch;

	module_log("download: %s", fetch->source);
	if (!fetch->local)
		fota(daemon, is_ftp(fetch) ? "FTPSTART" : "HTTPSTART", NULL);
}

/* The end of the transfer, and for what is not the transfer's fault the end of the upgrade as well. */
static void tell_end(struct daemon *daemon)
{
	const struct fetch *fetch = &daemon->request.fetch;
	int error = fetch->error, code = 0;

	if (error)
		module_log("download: failed after %llu bytes: %s", (unsigned long long)fetch->bytes,
			   fetch->why ? fetch->why : dfota_error_text(error));
	else
		module_log("download: complete, %llu bytes; the upgrade flag is set",
			   (unsigned long long)fetch->bytes);
	if (!fetch->local) {
		if (error)
			code = fetch->code ? fetch->code : is_ftp(fetch) ? 601 : 701;
		fota(daemon, is_ftp(fetch) ? "FTPEND" : "HTTPEND", &code);
	}
	if (error == DFOTA_E_TOO_LARGE || error == DFOTA_E_SPACE || (error && fetch->local)) {
		code = dfota_error_code(error, DFOTA_WHERE_PACKAGE, NULL, false);
		fota(daemon, "END", &code);
	}
}

static bool on_stop(void *context)
{
	struct daemon *daemon = context;

	return worker_stopped(&daemon->worker);
}

/* In the worker: a download that fails on order. */
static void on_progress(void *context, uint64_t done, uint64_t total)
{
	struct daemon *daemon = context;
	struct fetch *fetch = &daemon->request.fetch;
	const struct module_end_fault *fault = &daemon->config.fault_download;

	if (!fetch->code && total && done / (total / 100 + 1) >= fault->percent &&
	    fault_strike(&daemon->config, "download", fault->count))
		fetch->code = (int)fault->code;
}

static bool on_fetch_stop(void *context)
{
	struct daemon *daemon = context;

	return daemon->request.fetch.code || worker_stopped(&daemon->worker);
}

static void on_job(void *context)
{
	struct daemon *daemon = context;

	fetch_run(&daemon->request.fetch);
}

static void on_ended(void *context)
{
	struct daemon *daemon = context;
	struct request *request = &daemon->request;

	if (request->fetch.bearer_ops->release)
		request->fetch.bearer_ops->release(&request->fetch.bearer);
	if (request->fetch.code && request->fetch.error == DFOTA_E_STOPPED &&
	    !worker_stopped(&daemon->worker)) {
		request->fetch.error = DFOTA_E_TRANSFER;
		request->fetch.why = "fault-download of module.ini";
	}
	request->state = request->fetch.error ? REQUEST_NONE : REQUEST_READY;
	if (request->fetch.error != DFOTA_E_STOPPED)
		tell_end(daemon);
	if (request->state == REQUEST_READY && request->reset)
		daemon_finish(daemon, DAEMON_REBOOT, LINGER_MS);
	wire_kick(&daemon->wire);
}

static void run(struct daemon *daemon)
{
	struct request *request = &daemon->request;

	tell_start(daemon);
	daemon->worker.job = on_job;
	daemon->worker.ended = on_ended;
	daemon->worker.progress = NULL;
	daemon->worker.context = daemon;
	request->state = REQUEST_RUNNING;
	if (worker_start(&daemon->worker) == 0)
		return;
	if (request->fetch.bearer_ops->release)
		request->fetch.bearer_ops->release(&request->fetch.bearer);
	request->fetch.error = DFOTA_E_MEMORY;
	request->fetch.why = NULL;
	if (request->fetch.local)
		close(request->fetch.file);
	request->state = REQUEST_NONE;
	tell_end(daemon);
}

void request_turn(struct daemon *daemon)
{
	struct request *request = &daemon->request;
	struct fetch *fetch = &request->fetch;
	int error = 0;

	if (request->state != REQUEST_WAITING || daemon->worker.running ||
	    daemon->action != DAEMON_STAY)
		return;
	if (!fetch->local && fetch->bearer_ops->claim)
		error = fetch->bearer_ops->claim(&fetch->bearer);
	if (error == DFOTA_E_BUSY) {
		if (!request->told)
			module_log("download: waits, the host holds a data call on the APN");
		request->told = true;
		return; /* whatever the host does next is a turn */
	}
	if (error) {
		tell_start(daemon);
		fetch->error = error;
		fetch->why = "the data call's context is not defined";
		request->state = REQUEST_NONE;
		tell_end(daemon);
		return;
	}
	run(daemon);
}

bool request_busy(const struct daemon *daemon)
{
	return daemon->request.state != REQUEST_NONE || daemon->mode == DAEMON_RECOVERY ||
	       daemon->action != DAEMON_STAY;
}

bool request_takes(const struct daemon *daemon, const char *name)
{
	const struct fetch *fetch = &daemon->request.fetch;

	return daemon->request.state != REQUEST_NONE && fetch->local &&
	       strcmp(fetch->source + strlen("UFS:"), name) == 0;
}

static void begin(struct daemon *daemon, bool reset, uint64_t timeout_s)
{
	struct request *request = &daemon->request;
	struct fetch *fetch = &request->fetch;

	fetch->config = &daemon->config;
	fetch->records = &daemon->records;
	fetch->bearer_ops = bearer_choose(fetch->local ? MODULE_CALL_NONE : daemon->config.call);
	fetch->bearer = (struct bearer){ &daemon->config, &daemon->contexts, on_stop, daemon };
	fetch->stall_timeout_s = timeout_s ? timeout_s : daemon->config.stall_timeout_s;
	fetch->stop = on_fetch_stop;
	fetch->progress = daemon->config.fault_download.count ? on_progress : NULL;
	fetch->context = daemon;
	request->reset = reset;
	request->told = false;
	request->state = REQUEST_WAITING; /* begins in the turn, after the OK */
}

int request_local(struct daemon *daemon, const char *name, bool reset)
{
	struct fetch *fetch = &daemon->request.fetch;
	int fd;

	/* Its bytes get a second name, which an open handle would write to as well. */
	if (handles_writes(&daemon->handles, name))
		return DFOTA_E_BUSY;
	if (ufs_open_file(&daemon->ufs, name, &fd, &fetch->bytes))
		return DFOTA_E_NOT_FOUND;
	memset(fetch, 0, sizeof(*fetch));
	fetch->local = true;
	fetch->file = fd;
	snprintf(fetch->source, sizeof(fetch->source), "UFS:%s", name);
	begin(daemon, reset, 0);
	return 0;
}

int request_url(struct daemon *daemon, const char *text, size_t bytes, bool reset,
		uint64_t timeout_s)
{
	struct fetch *fetch = &daemon->request.fetch;
	char redacted[DFOTA_URL_MAX + 8];
	int error;

	memset(fetch, 0, sizeof(*fetch));
	error = dfota_url_parse(text, bytes, &fetch->url);
	if (error)
		return error;
	dfota_url_redact(&fetch->url, redacted);
	snprintf(fetch->source, sizeof(fetch->source), "%.*s", DFOTA_FLAG_SOURCE_MAX, redacted);
	begin(daemon, reset, timeout_s);
	return 0;
}
