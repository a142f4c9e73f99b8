/* SPDX-License-Identifier: MIT
 *
 * dfota keygen
 */
#include "cli.h"

#include "dfota/pkgbuild.h"

int cmd_keygen(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	int option, error;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return cli_help(argv[0]);
		return cli_usage(argv[0], "see the usage");
	}
	if (argc - optind != 1 || !*argv[optind])
		return cli_usage(argv[0], "give one NAME");
	error = dfota_key_generate(argv[optind]);
	if (error == DFOTA_E_EXISTS)
		cli_error(
		    argv[0],
		    "%s.key or %s.pub exists already; nothing was changed. Choose another name.",
		    argv[optind], argv[optind]);
	else if (error)
		cli_error(argv[0], "cannot write %s.key and %s.pub: %s; neither was left behind",
			  argv[optind], argv[optind], dfota_error_text(error));
	if (error)
		return CLI_FAILED;
	printf("%s.key  keep secret: signs packages\n%s.pub  give to modules: checks them\n",
	       argv[optind], argv[optind]);
	return CLI_DONE;
}
