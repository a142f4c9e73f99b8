/* SPDX-License-Identifier: MIT
 *
 * dfota at: sends commands and prints what comes back.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli.h"
#include "replay.h"
#include "wirelog.h"

#include "dfota/host.h"

#define OPEN_MS	       5000
#define REPLAY_WAIT_MS 120000

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int number)
{
	(void)number;
	asked_to_stop = 1;
}

static bool stop_asked(void *context)
{
	(void)context;
	return asked_to_stop != 0;
}

static void print_line(void *context, const char *text)
{
	(void)context;
	puts(text);
	(void)fflush(stdout);
}

/* Prints what comes by itself for `ms`. */
static int listen_for(struct dfota_port *port, uint32_t ms)
{
	struct dfota_at_event event;
	int error;

	while (!(error = dfota_port_event(port, ms, &event)))
		print_line(NULL, event.text);
	return error == DFOTA_E_TIMEOUT ? 0 : error;
}

static int fail(const char *name, const char *port, int error)
{
	switch (error) {
	case DFOTA_E_REFUSED: /* its text stands on stdout already */
		return CLI_FAILED;
	case DFOTA_E_NOT_FOUND:
		cli_error(name,
			  "%s did not appear. Is the module powered, and is this its AT port?",
			  port);
		return CLI_TIMEOUT;
	case DFOTA_E_TIMEOUT:
		cli_error(name, "no answer in time. Is %s an AT port, and is the module up?", port);
		return CLI_TIMEOUT;
	case DFOTA_E_BUSY:
		cli_error(name, "another program holds %s", port);
		return CLI_FAILED;
	case DFOTA_E_ARGUMENT:
		cli_error(name, "%s is not a serial port or pseudo terminal", port);
		return CLI_USAGE;
	case DFOTA_E_IO:
		if (access(port, R_OK | W_OK) && errno == EACCES) {
			cli_error(name, "you may not open %s: join the group that owns it (ls -l %s), or be root", port,
				  port);
			return CLI_FAILED;
		}
		cli_error(name, "%s could not be used, or went away: the module may be rebooting",
			  port);
		return CLI_FAILED;
	}
	cli_error(name, "%s", dfota_error_text(error));
	return dfota_error_exit(error);
}

/* The commands in turn until one fails; then URCs until the line is silent for listen_ms. */
static int talk(struct dfota_port *port, char **commands, uint32_t timeout_ms, uint32_t listen_ms)
{
	int error = 0;

	dfota_port_drop_input(port);
	for (; !error && *commands; commands++) {
		error = dfota_port_command(port, *commands, timeout_ms, print_line, NULL, NULL);
		if (!error || error == DFOTA_E_REFUSED)
			print_line(NULL, dfota_port_final(port));
		if (!error)
			error = listen_for(port, 0);
	}
	if (!error && listen_ms)
		error = listen_for(port, listen_ms);
	return error;
}

static bool commands_ok(const char *name, char **commands)
{
	for (; *commands; commands++) {
		size_t bytes = strlen(*commands);

		for (size_t i = 0; i < bytes; i++)
			if ((unsigned char)(*commands)[i] < ' ' || (*commands)[i] == 0x7f)
				bytes = 0;
		if (bytes < 2 || bytes > DFOTA_AT_LINE_MAX ||
		    strncasecmp(*commands, "AT", 2) != 0) {
			(void)cli_usage(name,
					"a command starts with AT, holds no control characters "
					"and at most %d bytes",
					DFOTA_AT_LINE_MAX);
			return false;
		}
	}
	return true;
}

static bool log_open(struct wirelog *log, const char *name, const char *path, char **commands)
{
	if (!wirelog_open(log, path)) {
		cli_error(name, "%s: %s; nothing was sent", path, strerror(errno));
		return false;
	}
	for (; *commands; commands++) {
		if (!wirelog_hide(log, *commands)) {
			cli_error(name, "too many passwords to keep out of a log; nothing was sent");
			return false;
		}
	}
	return true;
}

static bool stopped(void)
{
	return asked_to_stop != 0;
}

int cmd_at(int argc, char **argv)
{
	enum { LOG = 256, REPLAY, LINK, SPEED, BAUD, FLOW };
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "timeout", required_argument, NULL, 't' },
		{ "listen", required_argument, NULL, 'l' },
		{ "log", required_argument, NULL, LOG },
		{ "replay", required_argument, NULL, REPLAY },
		{ "link", required_argument, NULL, LINK },
		{ "speed", required_argument, NULL, SPEED },
		{ "baud", required_argument, NULL, BAUD },
		{ "flow", no_argument, NULL, FLOW },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct replay_options replay = {
		.name = argv[0], .wait_ms = REPLAY_WAIT_MS, .speed = 1, .stopped = stopped
	};
	const char *log_path = NULL;
	struct wirelog log = { 0 };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
	struct dfota_host_stop stop = { .asked = stop_asked };
	uint32_t timeout_ms = 5000, listen_ms = 0, baud = 0;
	struct dfota_port *port = NULL;
	const char *path = NULL;
	bool good = true, flow = false;
	int error, option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "p:t:l:h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			path = optarg;
			break;
		case 't':
			good = cli_seconds(optarg, &timeout_ms);
			break;
		case 'l':
			good = cli_seconds(optarg, &listen_ms);
			break;
		case LOG:
			log_path = optarg;
			break;
		case REPLAY:
			replay.log = optarg;
			break;
		case LINK:
			replay.link = optarg;
			break;
		case SPEED:
			good = cli_bytes(optarg, &replay.speed) && replay.speed > 0 &&
			       replay.speed <= 1000;
			break;
		case BAUD:
			good = cli_baud(optarg, &baud);
			break;
		case FLOW:
			flow = true;
			break;
		case 'h':
			return cli_help(argv[0]);
		default:
			return cli_usage(argv[0], "see the usage");
		}
		if (!good)
			return cli_usage(argv[0], "\"%s\" is not what this option takes (seconds, a speed)",
					 optarg);
	}
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	if (replay.log) {
		if (!replay.link || path || optind != argc)
			return cli_usage(argv[0], "--replay goes with --link and no command");
		return replay_run(&replay);
	}
	if (!path || (optind == argc && !listen_ms))
		return cli_usage(argv[0], "give --port and at least one command");
	if (!commands_ok(argv[0], argv + optind))
		return CLI_USAGE;
	if (log_path && !log_open(&log, argv[0], log_path, argv + optind)) {
		(void)wirelog_close(&log);
		return CLI_FAILED;
	}
	error = dfota_port_open_serial(&port, path, baud, flow, OPEN_MS, &stop);
	if (!error && log_path)
		dfota_port_tap(port, &log.tap);
	if (!error)
		error = talk(port, argv + optind, timeout_ms, listen_ms);
	dfota_port_close(port);
	if (!wirelog_close(&log))
		cli_error(argv[0], "%s could not be written to its end", log_path);
	return error ? fail(argv[0], path, error) : CLI_DONE;
}
