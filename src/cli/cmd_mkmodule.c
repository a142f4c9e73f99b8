/* SPDX-License-Identifier: MIT
 *
 * dfota mkmodule
 */
#include "cli.h"

#include "dfota/module.h"

int cmd_mkmodule(int argc, char **argv)
{
	static const struct option options[] = { { "firmware", required_argument, NULL, 'f' },
						 { "trust", required_argument, NULL, 't' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *firmware = NULL, *trust = NULL, *what = NULL;
	int option, error;

	while ((option = getopt_long(argc, argv, "f:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			firmware = optarg;
			break;
		case 't':
			trust = optarg;
			break;
		case 'h':
			return cli_help(argv[0]);
		default:
			return cli_usage(argv[0], "see the usage");
		}
	}
	if (argc - optind != 1 || !firmware || !trust)
		return cli_usage(argv[0], "give one folder, --firmware and --trust");
	error = dfota_module_create(argv[optind], firmware, trust, &what);
	if (error) {
		cli_error(argv[0], "%s: %s; nothing was left behind", argv[optind],
			  what ? what : dfota_error_text(error));
		return dfota_error_exit(error) == CLI_USAGE ? CLI_FAILED : dfota_error_exit(error);
	}
	printf("%s is ready: dfotad --module %s\n", argv[optind], argv[optind]);
	return CLI_DONE;
}
