/* SPDX-License-Identifier: MIT
 *
 * dfota upgrade: the host's procedure, shown as a bar with phases or as JSON events.
 */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "progress.h"

#include "dfota/host.h"
#include "dfota/package.h"

struct show {
	bool json;
	struct progress progress;
};

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int number)
{
	(void)number;
	asked_to_stop = 1;
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

static void put_json(json_t *line)
{
	if (!line || json_dumpf(line, stdout, JSON_COMPACT) || putchar('\n') == EOF ||
	    fflush(stdout))
		clearerr(stdout);
	json_decref(line);
}

static void event_json(const struct dfota_upgrade_event *event)
{
	const char *stage = dfota_stage_name(event->stage);

	switch (event->kind) {
	case DFOTA_UPGRADE_STAGE:
		put_json(json_pack("{s:s,s:s}", "event", "stage", "stage", stage));
		return;
	case DFOTA_UPGRADE_PROGRESS:
		put_json(json_pack("{s:s,s:s,s:I,s:I}", "event", "progress", "stage", stage, "done",
				   (json_int_t)event->done, "total", (json_int_t)event->total));
		return;
	case DFOTA_UPGRADE_VERSION:
		put_json(json_pack("{s:s,s:s,s:s}", "event", "version", "stage", stage, "version",
				   event->text));
		return;
	case DFOTA_UPGRADE_URC:
		put_json(json_pack("{s:s,s:s}", "event", "urc", "text", event->text));
		return;
	case DFOTA_UPGRADE_NOTE:
		put_json(json_pack("{s:s,s:s}", "event", "note", "text", event->text));
		return;
	}
}

static void stage_bar(struct show *show, enum dfota_upgrade_stage stage)
{
	static const char *const labels[DFOTA_STAGE_COUNT] = {
		[DFOTA_STAGE_CONNECT] = "connecting", [DFOTA_STAGE_UPLOAD] = "uploading",
		[DFOTA_STAGE_REQUEST] = "requesting", [DFOTA_STAGE_DOWNLOAD] = "downloading",
		[DFOTA_STAGE_REBOOT] = "rebooting",   [DFOTA_STAGE_UPDATE] = "upgrading",
		[DFOTA_STAGE_RESTART] = "restarting", [DFOTA_STAGE_CHECK] = "checking",
	};

	progress_start(&show->progress, labels[stage], stage == DFOTA_STAGE_UPDATE ? 100 : 0,
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
		event_json(event);
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
	const char *version = result->to[0] ? result->to : result->from;

	progress_finish(&show->progress);
	if (show->json)
		put_json(json_pack("{s:s,s:i,s:s,s:s,s:s,s:s,s:i,s:i}", "event", "result", "code",
				   result->nothing_to_do ? 0 : result->code, "error",
				   dfota_error_name(result->error), "text", result->message, "from",
				   result->from, "version", version, "attempts",
				   (int)result->attempts, "exit", dfota_error_exit(result->error)));
	else if (result->error)
		cli_error(name, "%s", result->message);
	else
		puts(result->message);
	return dfota_error_exit(result->error);
}

int cmd_upgrade(int argc, char **argv)
{
	enum { FILE_ = 256, URL, UFS, EXPECT, ANSWER, COMMAND, WAIT, SETTLE, DOWNLOAD, UPLOAD };
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
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
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct show show = { 0 };
	struct dfota_upgrade upgrade = { .event = on_event,
					 .context = &show,
					 .stop = { stop_asked, &show } };
	struct dfota_upgrade_result result;
	char version[DFOTA_VERSION_MAX + 1];
	bool good = true;
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "p:h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			upgrade.port = optarg;
			break;
		case FILE_:
			good = set_source(&upgrade, DFOTA_UPGRADE_FILE, optarg);
			break;
		case URL:
			good = set_source(&upgrade, DFOTA_UPGRADE_URL, optarg);
			break;
		case UFS:
			good = set_source(&upgrade, DFOTA_UPGRADE_UFS, optarg);
			break;
		case EXPECT:
			upgrade.expect_version = optarg;
			break;
		case ANSWER:
			good = cli_seconds(optarg, &upgrade.answer_timeout_ms);
			break;
		case COMMAND:
			good = cli_seconds(optarg, &upgrade.command_timeout_ms);
			break;
		case WAIT:
			good = cli_seconds(optarg, &upgrade.first_urc_timeout_ms);
			break;
		case SETTLE:
			good = cli_seconds(optarg, &upgrade.settle_ms);
			break;
		case DOWNLOAD:
			good = cli_seconds(optarg, &upgrade.download_timeout_ms);
			break;
		case UPLOAD:
			good = cli_seconds(optarg, &upgrade.upload_timeout_ms);
			break;
		case 'j':
			show.json = true;
			break;
		case 'h':
			return cli_help(argv[0]);
		default:
			return cli_usage(argv[0], "see the usage");
		}
		if (!good)
			return cli_usage(
			    argv[0], "\"%s\" is no time in seconds, or a second source", optarg);
	}
	if (optind != argc || !upgrade.port || !upgrade.target)
		return cli_usage(argv[0], "give --port and one of --file, --url and --ufs");
	if (upgrade.source == DFOTA_UPGRADE_FILE && !upgrade.expect_version) {
		expect_from_package(&show, upgrade.target, version);
		upgrade.expect_version = version[0] ? version : NULL;
	}
	catch_signals();
	(void)!dfota_upgrade_run(&upgrade, &result);
	return finish(&show, argv[0], &result);
}
