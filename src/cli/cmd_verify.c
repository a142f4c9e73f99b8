/* SPDX-License-Identifier: MIT
 *
 * dfota verify: the updater's checks and rehearsal, with nothing that can write.
 */
#include "cli.h"
#include "progress.h"
#include "site.h"

struct verify {
	const char *package, *firmware, *trust;
	struct site_limits limits;
	bool json;
};

static void on_event(void *context, enum dfota_updater_event event, int64_t a, int64_t b)
{
	(void)b;
	if (event == DFOTA_EVENT_PERCENT && a >= 0)
		progress_update(context, (uint64_t)a);
}

static int verify_run(const struct verify *v)
{
	struct site site;
	struct progress progress = { 0 };
	int error, status;

	progress_start(&progress, "verify", 10, PROGRESS_SHARE,
		       v->json); /* rehearsal ends at 10 % */
	error = site_open(&site, v->package, v->firmware, v->trust, &v->limits, false);
	if (!error) {
		site.config.hooks.event = on_event;
		site.config.hooks.context = &progress;
		error =
		    dfota_updater_check(&site.config, site.memory, site.memory_bytes, &site.report);
	}
	progress_finish(&progress);
	status = site_report("verify", &site, error, v->json, "Nothing was written.");
	if (!error && !v->json) {
		const struct dfota_manifest *m = dfota_package_manifest(site.package);
		char memory[16], area[16];

		printf(
		    "good: %s %s -> %s would succeed; work memory %s, area %s, writes made: %llu\n",
		    m->project, m->from, m->to, cli_size(site.report.memory_bytes, memory),
		    cli_size(site.report.area_bytes, area), (unsigned long long)site.report.writes);
	}
	site_close(&site);
	return status;
}

int cmd_verify(int argc, char **argv)
{
	enum { MEMORY = 256, AREA, PACKAGE };
	static const struct option options[] = {
		{ "firmware", required_argument, NULL, 'f' },
		{ "trust", required_argument, NULL, 't' },
		{ "memory-limit", required_argument, NULL, MEMORY },
		{ "area-limit", required_argument, NULL, AREA },
		{ "max-package", required_argument, NULL, PACKAGE },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct verify v = { 0 };
	bool good = true;
	int option;

	while ((option = getopt_long(argc, argv, "f:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			v.firmware = optarg;
			break;
		case 't':
			v.trust = optarg;
			break;
		case 'j':
			v.json = true;
			break;
		case MEMORY:
			good = cli_bytes(optarg, &v.limits.memory);
			break;
		case AREA:
			good = cli_bytes(optarg, &v.limits.area);
			break;
		case PACKAGE:
			good = cli_bytes(optarg, &v.limits.package);
			break;
		case 'h':
			return cli_help(argv[0]);
		default:
			return cli_usage(argv[0], "see the usage");
		}
		if (!good)
			return cli_usage(argv[0], "\"%s\" is not a number of bytes", optarg);
	}
	if (argc - optind != 1 || !v.firmware || !v.trust)
		return cli_usage(argv[0], "give one package, --firmware and --trust");
	v.package = argv[optind];
	return verify_run(&v);
}
