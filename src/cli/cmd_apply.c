/* SPDX-License-Identifier: MIT
 *
 * dfota apply: upgrades a firmware folder with the updater that runs on modules.
 */
#include <inttypes.h>
#include <signal.h>

#include "cli.h"
#include "progress.h"
#include "site.h"

struct apply {
	const char *package, *firmware, *trust;
	bool json;
	struct progress progress;
};

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int number)
{
	(void)number;
	asked_to_stop = 1;
}

static bool stop(void *context)
{
	(void)context;
	return asked_to_stop != 0;
}

static const char *event_name(enum dfota_updater_event event)
{
	switch (event) {
	case DFOTA_EVENT_PERCENT:
		return "percent";
	case DFOTA_EVENT_STARTED:
		return "started";
	case DFOTA_EVENT_RESUMED:
		return "resumed";
	case DFOTA_EVENT_STEP:
		return "step";
	case DFOTA_EVENT_COMMIT:
		return "commit";
	}
	return "?";
}

static void on_event(void *context, enum dfota_updater_event event, int64_t a, int64_t b)
{
	struct apply *apply = context;

	if (apply->json) {
		printf("{\"event\":\"%s\",\"a\":%" PRId64 ",\"b\":%" PRId64 "}\n",
		       event_name(event), a, b);
		(void)fflush(stdout); /* whoever reads decides by what has happened so far */
		return;
	}
	if (event == DFOTA_EVENT_PERCENT && a >= 0)
		progress_update(&apply->progress, (uint64_t)a);
	else if (event == DFOTA_EVENT_RESUMED)
		progress_note(&apply->progress, "going on with the interrupted upgrade");
}

static void signals_catch(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGINT, &action, NULL); /* the second one ends at once, like a power cut */
	(void)sigaction(SIGTERM, &action, NULL);
}

/* What flash has gone through; what is written in place is what has changed, in whole units. */
static void written_tell(const struct dfota_updater_report *report)
{
	uint64_t place = report->bytes_written,
		 all = place + report->ring_bytes + report->stash_bytes;
	char text[3][16];

	if (place == 0)
		puts("there was nothing to write");
	else
		printf("%s written in place, %s to the ring, %s to the stash: %.2f bytes for each "
		       "that changed\n",
		       cli_size(place, text[0]), cli_size(report->ring_bytes, text[1]),
		       cli_size(report->stash_bytes, text[2]), (double)all / (double)place);
}

static int apply_run(struct apply *apply)
{
	struct site site;
	int error, status;

	progress_start(&apply->progress, "apply", 100, PROGRESS_SHARE, apply->json);
	error = site_open(&site, apply->package, apply->firmware, apply->trust, NULL, true);
	if (!error) {
		site.config.hooks.event = on_event;
		site.config.hooks.stop = stop;
		site.config.hooks.context = apply;
		signals_catch();
		error =
		    dfota_updater_run(&site.config, site.memory, site.memory_bytes, &site.report);
	}
	if (!error) {
		error = site_commit(&site, apply->firmware);
		if (error)
			site.what = "the images are new, but firmware.ini could not be written";
	}
	progress_finish(&apply->progress);
	status = site_report("apply", &site, error, apply->json, "Nothing was changed.");
	if (!error && !apply->json) {
		const struct dfota_manifest *m = dfota_package_manifest(site.package);

		printf("%s is %s %s now; ", apply->firmware, m->project, m->to);
		written_tell(&site.report);
	}
	site_close(&site);
	return status;
}

int cmd_apply(int argc, char **argv)
{
	static const struct option options[] = {
		{ "firmware", required_argument, NULL, 'f' },
		{ "trust", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct apply apply = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "f:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			apply.firmware = optarg;
			break;
		case 't':
			apply.trust = optarg;
			break;
		case 'j':
			apply.json = true;
			break;
		case 'h':
			return cli_help(argv[0]);
		default:
			return cli_usage(argv[0], "see the usage");
		}
	}
	if (argc - optind != 1 || !apply.firmware || !apply.trust)
		return cli_usage(argv[0], "give one package, --firmware and --trust");
	apply.package = argv[optind];
	return apply_run(&apply);
}
