/* SPDX-License-Identifier: MIT
 *
 * dfota upgrade: the host's procedure, shown as a bar with phases or as JSON events.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "cli.h"
#include "events.h"
#include "fleet.h"
#include "inhibit.h"
#include "progress.h"
#include "wirelog.h"

#include "dfota/host.h"
#include "dfota/package.h"

struct show {
	bool json;
	const char *module; /* its name in events */
	struct progress progress;
};

static atomic_int asked_to_stop; /* set by one thread's signal, read by all */

static void on_signal(int number)
{
	(void)number;
	asked_to_stop = 1;
}

static bool stopped(void)
{
	return asked_to_stop != 0;
}

/* Asked for ten times a second while the host waits, so the bar lives. */
static bool stop_asked(void *context)
{
	struct show *show = context;

	progress_tick(&show->progress);
	return asked_to_stop != 0;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGINT, &action, NULL); /* the second one ends the tool at once */
	(void)sigaction(SIGTERM, &action, NULL);
	(void)signal(SIGPIPE,
		     SIG_IGN); /* nobody reads the events any more: the upgrade matters more */
}

/* ---- what is shown ------------------------------------------------------------------------ */

static void stage_bar(struct show *show, enum dfota_upgrade_stage stage)
{
	progress_start(&show->progress, events_label(stage), stage == DFOTA_STAGE_UPDATE ? 100 : 0,
		       PROGRESS_SHARE, false);
}

static void event_text(struct show *show, const struct dfota_upgrade_event *event)
{
	char line[DFOTA_HOST_VERSION_MAX + 32];

	switch (event->kind) {
	case DFOTA_UPGRADE_STAGE:
		stage_bar(show, event->stage);
		return;
	case DFOTA_UPGRADE_PROGRESS:
		if (event->stage == DFOTA_STAGE_UPLOAD)
			progress_resize(&show->progress, event->total, PROGRESS_BYTES);
		progress_update(&show->progress, event->done);
		return;
	case DFOTA_UPGRADE_VERSION:
		snprintf(line, sizeof(line), "version: %s", event->text);
		progress_note(&show->progress, line);
		return;
	case DFOTA_UPGRADE_NOTE:
		progress_note(&show->progress, event->text);
		return;
	case DFOTA_UPGRADE_URC: /* the bar says it */
		return;
	}
}

static void on_event(void *context, const struct dfota_upgrade_event *event)
{
	struct show *show = context;

	if (show->json)
		events_put_event(show->module, event);
	else
		event_text(show, event);
}

/* ---- options ------------------------------------------------------------------------------ */

/* One of --file, --url, --ufs. */
static bool set_source(struct dfota_upgrade *upgrade, enum dfota_upgrade_source source,
		       const char *target)
{
	if (upgrade->target)
		return false;
	upgrade->source = source;
	upgrade->target = target;
	return true;
}

/* The version that a package of ours leads to, for the final check; one of another make goes as it
 * is. */
static void expect_from_package(struct show *show, const char *path,
				char ret_version[DFOTA_VERSION_MAX + 1])
{
	struct dfota_package *package;

	ret_version[0] = '\0';
	if (dfota_package_open(&package, path, NULL)) {
		if (!show->json)
			progress_note(&show->progress,
				      "The package tells no version; any change of "
				      "version will count as success.");
		return;
	}
	snprintf(ret_version, DFOTA_VERSION_MAX + 1, "%s", dfota_package_manifest(package)->to);
	dfota_package_close(package);
}

static int finish(struct show *show, const char *name, const struct dfota_upgrade_result *result)
{
	progress_finish(&show->progress);
	if (show->json)
		events_put_result(show->module, result);
	else if (result->error)
		cli_error(name, "%s", result->message);
	else
		puts(result->message);
	return dfota_error_exit(result->error);
}

/* ---- command ------------------------------------------------------------------------------ */

struct options {
	struct choose choose;
	struct dfota_upgrade upgrade;
	uint64_t jobs;
	const char *log;
	const char *device; /* ModemManager's name of it, or NULL: found by its port */
	bool no_inhibit;
	bool json;
	char
	    version[DFOTA_VERSION_MAX + 1]; /* of the package, when --expect-version is not given */
};

enum {
	FILE_ = 256,
	URL,
	UFS,
	EXPECT,
	ANSWER,
	COMMAND,
	WAIT,
	SETTLE,
	DOWNLOAD,
	UPLOAD,
	JOBS,
	BAUD,
	FLOW,
	LOG,
	DEVICE,
	NO_INHIBIT
};

static bool take_option(struct options *o, int option, const char *argument)
{
	struct dfota_upgrade *upgrade = &o->upgrade;

	switch (option) {
	case FILE_:
		return set_source(upgrade, DFOTA_UPGRADE_FILE, argument);
	case URL:
		return set_source(upgrade, DFOTA_UPGRADE_URL, argument);
	case UFS:
		return set_source(upgrade, DFOTA_UPGRADE_UFS, argument);
	case EXPECT:
		upgrade->expect_version = argument;
		return true;
	case ANSWER:
		return cli_seconds(argument, &upgrade->answer_timeout_ms);
	case COMMAND:
		return cli_seconds(argument, &upgrade->command_timeout_ms);
	case WAIT:
		return cli_seconds(argument, &upgrade->first_urc_timeout_ms);
	case SETTLE:
		return cli_seconds(argument, &upgrade->settle_ms);
	case DOWNLOAD:
		return cli_seconds(argument, &upgrade->download_timeout_ms);
	case UPLOAD:
		return cli_seconds(argument, &upgrade->upload_timeout_ms);
	case JOBS:
		return cli_bytes(argument, &o->jobs) && o->jobs && o->jobs <= FLEET_JOBS_MAX;
	case DEVICE:
		o->device = argument;
		return true;
	case NO_INHIBIT:
		o->no_inhibit = true;
		return true;
	case LOG:
		o->log = argument;
		return true;
	case BAUD:
		return cli_baud(argument, &upgrade->baud);
	case FLOW:
		upgrade->flow = true;
		return true;
	case 'j':
		o->json = true;
		return true;
	}
	return choose_option(&o->choose, option, argument);
}

/* -1 when the command goes on, else its exit code. */
static int take_options(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		CHOOSE_OPTIONS,
		{ "all", no_argument, NULL, CHOOSE_ALL },
		{ "jobs", required_argument, NULL, JOBS },
		{ "baud", required_argument, NULL, BAUD },
		{ "flow", no_argument, NULL, FLOW },
		{ "file", required_argument, NULL, FILE_ },
		{ "url", required_argument, NULL, URL },
		{ "ufs", required_argument, NULL, UFS },
		{ "expect-version", required_argument, NULL, EXPECT },
		{ "answer-timeout", required_argument, NULL, ANSWER },
		{ "command-timeout", required_argument, NULL, COMMAND },
		{ "news-timeout", required_argument, NULL, WAIT },
		{ "settle", required_argument, NULL, SETTLE },
		{ "download-timeout", required_argument, NULL, DOWNLOAD },
		{ "upload-timeout", required_argument, NULL, UPLOAD },
		{ "log", required_argument, NULL, LOG },
		{ "mm-device", required_argument, NULL, DEVICE },
		{ "no-inhibit", no_argument, NULL, NO_INHIBIT },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "p:h", options, NULL)) != -1) {
		if (option == 'h')
			return cli_help(argv[0]);
		if (option == '?')
			return cli_usage(argv[0], "see the usage");
		if (take_option(o, option, optarg))
			continue;
		/* An URL may hold a password: it is not said again. */
		if (option == FILE_ || option == URL || option == UFS)
			return cli_usage(argv[0], "give one of --file, --url and --ufs, once");
		return cli_usage(argv[0],
				 "\"%s\" is not what this option takes (seconds, USB ids, a "
				 "speed, a number)",
				 optarg);
	}
	if (optind != argc || !o->upgrade.target)
		return cli_usage(argv[0], "give one of --file, --url and --ufs, and a module");
	return choose_check(&o->choose, argv[0]) ? -1 : CLI_USAGE;
}

static int log_fails(const struct options *o, const char *name)
{
	const char *why = strerror(errno);

	if (o->json)
		events_put(json_pack("{s:s,s:i,s:s,s:i,s:s+}", "event", "result", "code", -1, "error",
				     dfota_error_name(DFOTA_E_IO), "exit", CLI_FAILED, "message",
				     "the log cannot be written, nothing was sent: ", why));
	else
		cli_error(name, "%s: %s; nothing was sent", o->log, why);
	return CLI_FAILED;
}

static int run_single(struct options *o, const char *name, const struct chosen *module)
{
	struct show show = { .json = o->json, .module = module->name };
	struct dfota_upgrade_result result;
	struct wirelog log = { 0 };

	if (o->log && (!wirelog_open(&log, o->log) ||
		       !wirelog_hide(&log, o->upgrade.source == DFOTA_UPGRADE_URL ? o->upgrade.target : NULL))) {
		int code = log_fails(o, name);

		(void)wirelog_close(&log);
		return code;
	}
	o->upgrade.tap = log.tap;
	o->upgrade.port = module->port;
	o->upgrade.event = on_event;
	o->upgrade.context = &show;
	o->upgrade.stop = (struct dfota_host_stop){ stop_asked, &show };
	(void)!dfota_upgrade_run(&o->upgrade, &result);
	if (!wirelog_close(&log))
		cli_error(name, "%s could not be written to its end", o->log);
	return finish(&show, name, &result);
}

static int run_all(struct options *o, const char *name, const struct chosen *modules, size_t count)
{
	const struct fleet_options fleet = { .command = name,
					     .upgrade = o->upgrade,
					     .jobs = (unsigned int)o->jobs,
					     .json = o->json,
					     .stopped = stopped };

	if (!o->choose.all && count == 1)
		return run_single(o, name, &modules[0]);
	if (o->log || o->device)
		return cli_usage(name, "--log and --mm-device are for one module");
	return fleet_run(&fleet, modules, count);
}

/* ModemManager comes back to the modules when this ends, however it ends. */
static int run_inhibited(struct options *o, const char *name, const struct chosen *modules,
			 size_t count)
{
	struct inhibit *holds = calloc(count, sizeof(*holds));
	const char *why;
	int code;

	for (size_t i = 0; holds && !o->no_inhibit && i < count; i++)
		if (!inhibit_begin(&holds[i], modules[i].port, o->device, &why))
			cli_error(name, "%s: %s; going on", modules[i].name, why);
	code = run_all(o, name, modules, count);
	for (size_t i = 0; holds && i < count; i++)
		inhibit_end(&holds[i]);
	free(holds);
	return code;
}

static int run(struct options *o, const char *name)
{
	uint32_t wait_ms =
	    o->upgrade.answer_timeout_ms ? o->upgrade.answer_timeout_ms : DFOTA_HOST_ANSWER_MS;
	struct show show = { .json = o->json };
	struct chosen *modules;
	size_t count;
	int error, code;

	if (o->upgrade.source == DFOTA_UPGRADE_FILE && !o->upgrade.expect_version) {
		expect_from_package(&show, o->upgrade.target, o->version);
		o->upgrade.expect_version = o->version[0] ? o->version : NULL;
	}
	o->upgrade.tree = o->choose.tree;
	catch_signals();
	error = choose_find(&o->choose, name, wait_ms, stopped, &modules, &count);
	if (error) {
		if (o->json)
			events_put(json_pack("{s:s,s:i,s:s,s:i}", "event", "result", "code", -1,
					     "error", dfota_error_name(error), "exit",
					     dfota_error_exit(error)));
		return dfota_error_exit(error);
	}
	code = run_inhibited(o, name, modules, count);
	free(modules);
	return code;
}

static int command(int argc, char **argv, bool watch)
{
	struct options *o = calloc(1, sizeof(*o));
	int code;

	if (!o) {
		cli_error(argv[0], "not enough memory");
		return CLI_FAILED;
	}
	o->jobs = FLEET_JOBS;
	if (watch)
		(void)set_source(&o->upgrade, DFOTA_UPGRADE_WATCH, "");
	code = take_options(o, argc, argv);
	if (code < 0)
		code = run(o, argv[0]);
	free(o);
	return code;
}

int cmd_upgrade(int argc, char **argv)
{
	return command(argc, argv, false);
}

int cmd_watch(int argc, char **argv)
{
	return command(argc, argv, true);
}
