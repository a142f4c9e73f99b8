/* SPDX-License-Identifier: MIT
 *
 * dfota: finds the subcommand.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "dfota/host.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
	const char *summary;
	const char *options;
};

static const struct command commands[] = {
	{ "keygen", cmd_keygen, "NAME", "make a signing key: NAME.key (secret) and NAME.pub",
	  "Neither file is ever overwritten. Keep NAME.key where packages are built, put NAME.pub "
	  "into modules.\n" },
	{ "pack", cmd_pack, "OLD NEW -o PKG --key NAME.key [options]",
	  "build the package that leads from firmware folder OLD to NEW",
	  "  -o, --output PKG       the package to write\n"
	  "  -k, --key FILE         Ed25519 private key to sign with\n"
	  "      --segment BYTES    unit written at once, an erase block where there is one "
	  "(128K)\n"
	  "      --atomic           code each unit by itself: flash that changes units atomically "
	  "needs no ring\n"
	  "      --repair PKG       OLD was left by PKG unfinished: build from the mixture that is "
	  "there\n"
	  "      --state STATE      where, as the module says in ATI after \"FOTA: state\"\n"
	  "      --stash-limit BYTES  most that the module must set aside for old data (1M)\n"
	  "      --threads N        0 = all processors (0); the package does not depend on it\n"
	  "      --no-check         do not rehearse the finished package against OLD\n"
	  "      --json             one JSON object per line instead of the table\n" },
	{ "inspect", cmd_inspect, "PKG [--trust NAME.pub] [--json]",
	  "show what is inside a package",
	  "  -t, --trust FILE       check the signature too\n"
	  "      --json             one JSON object\n" },
	{ "verify", cmd_verify, "PKG --firmware DIR --trust NAME.pub [--json]",
	  "rehearse an upgrade without writing anything",
	  "  -f, --firmware DIR     firmware folder that would be upgraded\n"
	  "  -t, --trust FILE       public key that must have signed\n"
	  "      --memory-limit BYTES  work memory that the device allows\n"
	  "      --area-limit BYTES    space that the device has for journal, ring and stash\n"
	  "      --max-package BYTES   largest package that the device accepts\n"
	  "      --json             result as JSON\n" },
	{ "apply", cmd_apply, "PKG --firmware DIR --trust NAME.pub [--json]",
	  "upgrade a firmware folder in place; run again after a power cut",
	  "  -f, --firmware DIR     firmware folder to upgrade\n"
	  "  -t, --trust FILE       public key that must have signed\n"
	  "      --json             events as JSON\n" },
	{ "mkmodule", cmd_mkmodule, "DIR --firmware FW --trust NAME.pub",
	  "make a file-backed module for dfotad that runs FW",
	  "  -f, --firmware FW      firmware folder to start from\n"
	  "  -t, --trust FILE       public key whose packages the module accepts\n" },
	{ "ports", cmd_ports, "[--usb V:P[:I]] [--path SOCKET] [--serial NUMBER] [--json]",
	  "list the serial ports of USB devices, and which are a module's AT port",
	  "      --usb V:P[:I]      only these ids, and this interface\n"
	  "      --path SOCKET      only the device at this socket, as 1-1.2\n"
	  "      --serial NUMBER    only the device with this serial number\n"
	  "      --sysfs DIR        instead of /sys\n"
	  "      --dev DIR          instead of /dev\n"
	  "      --json             one JSON object per port\n" },
	{ "upgrade", cmd_upgrade,
	  "(--port PORT | --usb V:P[:I] | --path SOCKET | --serial NUMBER | --all) "
	  "(--file PKG | --url URL | --ufs NAME) [--expect-version V] [--json]",
	  "upgrade a module over its AT port, from upload to the checked new version",
	  "  -p, --port PORT        AT port: a tty, or a module folder's `at`; several times for "
	  "several modules\n"
	  "      --usb V:P[:I]      the module with these USB ids, as 2c7c:0800, and this "
	  "interface\n"
	  "      --path SOCKET      the module at this USB socket, as 1-1.2\n"
	  "      --serial NUMBER    the module with this USB serial number\n"
	  "      --all              all known modules, or all that match the three above\n"
	  "      --jobs N           so many modules at a time (16)\n"
	  "      --baud N           speed of a serial line (115200)\n"
	  "      --flow             with RTS/CTS\n"
	  "      --sysfs DIR        instead of /sys\n"
	  "      --dev DIR          instead of /dev\n"
	  "      --file PKG         upload this package first\n"
	  "      --url URL          let the module download it: ftp://, http:// or https://\n"
	  "      --ufs NAME         use a package that is in the module's store already\n"
	  "      --expect-version V version that the module must tell in the end (the package's)\n"
	  "      --answer-timeout S for the module's first answer (20)\n"
	  "      --command-timeout S  for every other answer (5)\n"
	  "      --news-timeout S   for the port to come back, and for a report of the upgrade "
	  "(90)\n"
	  "      --settle S         for a report that contradicts what seems final (a sixth of "
	  "that)\n"
	  "      --upload-timeout S   without progress of the upload (20)\n"
	  "      --download-timeout S from the request to the end of the download (3600)\n"
	  "      --log FILE         write every byte of the port with its time, without passwords\n"
	  "      --mm-device UID    ModemManager's name of the device (found by the port)\n"
	  "      --no-inhibit       do not ask ModemManager to let go of the module\n"
	  "      --json             events as JSON\n" },
	{ "watch", cmd_watch,
	  "(--port PORT | --usb V:P[:I] | --path SOCKET | --serial NUMBER | --all) "
	  "[--expect-version V] [--json]",
	  "follow an upgrade that is under way, and ask for nothing",
	  "  -p, --port PORT        AT port; this and all others as with upgrade, but no package\n"
	  "      --news-timeout S   for the first report (90)\n"
	  "      --json             events as JSON\n" },
	{ "at", cmd_at, "--port PORT 'AT...' ... | --replay LOG --link LINK",
	  "send AT commands and print the responses, or play a module",
	  "  -p, --port PORT        AT port\n"
	  "  -t, --timeout S        for each answer (5)\n"
	  "  -l, --listen S         then print what comes by itself until S seconds are silent\n"
	  "      --baud N           speed of a serial port (115200)\n"
	  "      --flow             RTS/CTS on it\n"
	  "      --log FILE         write every byte of the port with its time, without passwords\n"
	  "      --replay LOG       play the module of such a log to a host\n"
	  "      --link LINK        where the host finds its port\n"
	  "      --speed N          pauses of the module are N times as short (1)\n" },
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

int cli_help(const char *name)
{
	const struct command *command = command_find(name);

	if (command)
		printf("Usage: dfota %s %s\n\n%s.\n\n%s", name, command->usage, command->summary,
		       command->options);
	return CLI_DONE;
}

__attribute__((format(printf, 2, 0))) static void say(const char *name, const char *format,
						      va_list arguments)
{
	(void)fflush(stdout); /* keeps the order where both go to one place */
	fprintf(stderr, "dfota %s: ", name);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

int cli_usage(const char *name, const char *format, ...)
{
	const struct command *command = command_find(name);
	va_list arguments;

	va_start(arguments, format);
	say(name, format, arguments);
	va_end(arguments);
	if (command)
		fprintf(stderr, "Usage: dfota %s %s\n", name, command->usage);
	return CLI_USAGE;
}

void cli_error(const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(name, format, arguments);
	va_end(arguments);
}

bool cli_bytes(const char *text, uint64_t *ret_bytes)
{
	unsigned shift = 0;
	uint64_t value;
	char *end;

	if (*text < '0' || *text > '9') /* no sign, no leading space */
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end == 'K')
		shift = 10;
	else if (*end == 'M')
		shift = 20;
	else if (*end == 'G')
		shift = 30;
	if (shift)
		end++;
	if (*end || value > UINT64_MAX >> shift)
		return false;
	*ret_bytes = value << shift;
	return true;
}

bool cli_baud(const char *text, uint32_t *ret_baud)
{
	uint64_t baud;

	if (!cli_bytes(text, &baud) || baud > UINT32_MAX || !baud ||
	    !dfota_port_baud_ok((uint32_t)baud))
		return false;
	*ret_baud = (uint32_t)baud;
	return true;
}

bool cli_seconds(const char *text, uint32_t *ret_ms)
{
	double seconds;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	seconds = strtod(text, &end);
	if (*end || !(seconds >= 0.001 && seconds <= 86400))
		return false;
	*ret_ms = (uint32_t)(seconds * 1000);
	return true;
}

const char *cli_size(uint64_t bytes, char *buffer)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	(void)snprintf(buffer, 16, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return buffer;
}

static void overview(FILE *to)
{
	fputs("Usage: dfota COMMAND ...\n\nDelta firmware upgrades: build packages, try them, "
	      "drive modules.\n\n",
	      to);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fputs("\n`dfota COMMAND --help` tells the options. Exit codes: 0 done, 1 failed, 2 bad "
	      "usage,\n"
	      "3 package or key not trusted, 4 no answer in time.\n",
	      to);
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		overview(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		overview(stdout);
		return CLI_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("dfota " DFOTA_VERSION);
		return CLI_DONE;
	}
	command = command_find(argv[1]);
	if (!command) {
		fprintf(stderr, "dfota: no command \"%s\"; `dfota --help` lists them\n", argv[1]);
		return CLI_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}
