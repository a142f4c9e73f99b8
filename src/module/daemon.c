/* SPDX-License-Identifier: MIT
 *
 * Boot, end, reboot: the daemon's life.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board.h"
#include "dfota/module.h"
#include "log.h"
#include "reboot.h"

#define FINISH_LIMIT_MS 5000 /* for output that nobody reads */
#define EXIT_FAILED     1
#define EXIT_USAGE      2

/* ---- end of a life --------------------------------------------------------------------------- */

static void close_signals(struct daemon *daemon)
{
	for (size_t i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&daemon->signals[i], NULL);
	uv_close((uv_handle_t *)&daemon->reboot_timer, NULL);
}

static void on_reboot_timer(uv_timer_t *timer)
{
	close_signals(timer->data);
}

/* The port goes now; with a reboot the loop lives on until it is time for the next boot. */
static void shut(struct daemon *daemon)
{
	daemon->closed = true;
	wire_close(&daemon->wire);
	worker_close(&daemon->worker);
	if (daemon->action == DAEMON_REBOOT)
		uv_timer_start(&daemon->reboot_timer, on_reboot_timer, daemon->config.reboot_ms, 0);
	else
		close_signals(daemon);
}

void daemon_finish(struct daemon *daemon, enum daemon_action action, uint64_t linger_ms)
{
	if (daemon->action == DAEMON_STAY || action == DAEMON_EXIT) {
		daemon->action = action;
		daemon->linger_ms = linger_ms;
		daemon->finish_ms = uv_now(&daemon->loop);
	}
	worker_stop(&daemon->worker);
}

static void finish_turn(struct daemon *daemon)
{
	struct wire *wire = &daemon->wire;
	uint64_t now = uv_now(&daemon->loop), limit, quiet;

	if (daemon->action == DAEMON_STAY || daemon->closed || daemon->worker.running)
		return;
	limit = daemon->finish_ms + FINISH_LIMIT_MS;
	quiet = dfota_min64(limit, wire->output_ms + daemon->linger_ms);
	if (now < limit && (!wire_idle(wire) || now < quiet) && daemon->action != DAEMON_EXIT) {
		wire_wake(wire, wire_idle(wire) ? quiet : limit);
		return;
	}
	shut(daemon);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	module_log("signal %d: ends", number);
	if (daemon->closed) {
		/* Between two boots: nothing is open any more. */
		if (daemon->action == DAEMON_REBOOT) {
			daemon->action = DAEMON_EXIT;
			close_signals(daemon);
		}
		return;
	}
	daemon_finish(daemon, DAEMON_EXIT, 0);
	wire_kick(&daemon->wire);
}

/* ---- one life ---------------------------------------------------------------------------------- */

static void on_turn(void *context)
{
	struct daemon *daemon = context;

	if (daemon->download >= 0 && !dfota_at_in_data(&daemon->wire.at)) {
		close(daemon->download);
		daemon->download = -1;
	}
	if (daemon->ufs.upload >= 0 && !dfota_at_in_data(&daemon->wire.at))
		ufs_upload_cancel(&daemon->ufs);
	recovery_turn(daemon);
	request_turn(daemon);
	finish_turn(daemon);
}

static struct wire_fate on_piece(void *context, uint8_t *piece, size_t bytes)
{
	struct daemon *daemon = context;

	return port_fault_judge(&daemon->port_fault, piece, bytes);
}

void daemon_version(const struct daemon *daemon, char *ret_text)
{
	snprintf(ret_text, MODULE_TEXT_MAX + 1, "%s%s", daemon->records.state.version,
		 daemon->mode == DAEMON_STRANDED ? "+incomplete" : "");
}

/* What the flag and the journal say about this boot. Without a journal that can be read the port is served all the same: it is the
 * only way left to a module in the field.
 */
static void mode_choose(struct daemon *daemon)
{
	struct dfota_flag flag;
	struct board board;
	int error;

	dfota_flag_get(&daemon->records.flag.store, &flag);
	board_init(&board);
	error = board_open_area(&board, &daemon->config);
	if (!error)
		error = board_status(&board, &daemon->journal);
	board_close(&board);
	if (flag.set) {
		daemon->mode = DAEMON_RECOVERY; /* which reports what is wrong with the area */
		return;
	}
	daemon->area_lost = error != 0;
	if (error)
		module_log("area: %s; whether the firmware is whole is not known", dfota_error_text(error));
	daemon->mode = error || dfota_updater_phase_mixed(daemon->journal.phase) ? DAEMON_STRANDED : DAEMON_NORMAL;
	fetch_clean(&daemon->config);
}

static int open_stores(struct daemon *daemon)
{
	const struct module_config *config = &daemon->config;
	char path[PATH_MAX];
	int error;

	if (!module_path(config, "state", path) || (mkdir(path, 0755) && errno != EEXIST))
		return DFOTA_E_IO;
	error = module_records_open(&daemon->records, path, config->project, config->version);
	if (error || !module_path(config, "state/contexts", path))
		return error ? error : DFOTA_E_ARGUMENT;
	error = contexts_open(&daemon->contexts, path);
	if (error || !module_path(config, "ufs", path))
		return error ? error : DFOTA_E_ARGUMENT;
	return module_ufs_open(&daemon->ufs, path, config->ufs_bytes);
}

static void close_stores(struct daemon *daemon)
{
	handles_drop(&daemon->handles);
	module_ufs_close(&daemon->ufs);
	contexts_close(&daemon->contexts);
	module_records_close(&daemon->records);
	if (daemon->download >= 0)
		close(daemon->download);
}

static int open_loop(struct daemon *daemon)
{
	static const int numbers[2] = { SIGTERM, SIGINT };
	const struct dfota_at_config at = {
		.commands = module_commands,
		.command_count = module_command_count,
		.context = daemon,
		.cme_always = daemon->config.cme_always,
		.urc_gap_ms = (uint32_t)daemon->config.urc_gap_ms,
	};

	if (uv_loop_init(&daemon->loop) || worker_init(&daemon->worker, &daemon->loop))
		return DFOTA_E_MEMORY;
	for (size_t i = 0; i < 2; i++) {
		uv_signal_init(&daemon->loop, &daemon->signals[i]);
		daemon->signals[i].data = daemon;
		if (uv_signal_start(&daemon->signals[i], on_signal, numbers[i]))
			return DFOTA_E_IO;
	}
	uv_timer_init(&daemon->loop, &daemon->reboot_timer);
	daemon->reboot_timer.data = daemon;
	daemon->wire.turn = on_turn;
	daemon->wire.context = daemon;
	if (port_fault_init(&daemon->port_fault, &daemon->config, &daemon->wire.at))
		daemon->wire.fate = on_piece;
	return wire_open(&daemon->wire, &daemon->loop, port_kind(&daemon->config), &daemon->config, &at);
}

static void log_boot(const struct daemon *daemon)
{
	static const char *const names[] = { "normal", "recovery", "stranded: the upgrade is incomplete" };

	module_log("boot: %s %s, %s, port %s", daemon->records.state.project,
		   daemon->records.state.version, names[daemon->mode], daemon->wire.port.link);
}

/* The first words of a boot, as module.ini has them: between bars. */
static void greet(struct daemon *daemon)
{
	const char *text = daemon->config.boot_urcs;

	while (*text) {
		size_t bytes = strcspn(text, "|"), end = bytes, begin = 0;
		char urc[MODULE_TEXT_MAX + 1];

		while (begin < end && text[begin] == ' ')
			begin++;
		while (end > begin && text[end - 1] == ' ')
			end--;
		snprintf(urc, sizeof(urc), "%.*s", (int)(end - begin), text + begin);
		if (*urc)
			(void)dfota_at_urc(&daemon->wire.at, urc, false);
		text += bytes + (text[bytes] == '|');
	}
}

/* Returns what is to be done next, or a negative error when the module cannot start. */
static int live(struct daemon *daemon)
{
	int error = open_stores(daemon);

	if (error) {
		module_log("state cannot be opened: %s", dfota_error_text(error));
		return error;
	}
	mode_choose(daemon);
	error = open_loop(daemon);
	if (error) {
		module_log("the port cannot be opened: %s", dfota_error_text(error));
		return error;
	}
	log_boot(daemon);
	greet(daemon);
	wire_kick(&daemon->wire);
	if (daemon->mode == DAEMON_RECOVERY)
		error = recovery_start(daemon);
	if (error)
		daemon_finish(daemon, DAEMON_EXIT, 0);
	wire_kick(&daemon->wire);
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	uv_loop_close(&daemon->loop);
	return error ? error : (int)daemon->action;
}

/* ---- start ------------------------------------------------------------------------------------- */

static int usage(const char *program)
{
	fprintf(stderr, "Usage: %s --module DIR | --config FILE\n", program);
	return EXIT_USAGE;
}

/* A module is run by one process at a time. The descriptor is closed by the end of the process or by its exec. */
static int lock(const struct module_config *config)
{
	char path[PATH_MAX];
	int fd;

	if (!module_path(config, ".lock", path))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB)) {
		module_log("%s: %s", path, fd < 0 ? "cannot be opened" : "another dfotad runs this module");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int run(struct daemon *daemon, struct reboot_exec *reboot)
{
	int next;

	port_pty_clean(&daemon->config);
	if (dfota_transport_start()) {
		module_log("the transport library cannot be started");
		return EXIT_FAILED;
	}
	next = live(daemon);
	close_stores(daemon);
	dfota_transport_finish();
	if (next == DAEMON_REBOOT) {
		if (daemon->config.reboot == MODULE_REBOOT_KERNEL)
			(void)reboot_kernel_ops.reboot(NULL);
		else
			(void)reboot_exec_ops.reboot(reboot);
		module_log("the reboot failed");
		return EXIT_FAILED;
	}
	return next < 0 ? EXIT_FAILED : 0;
}

/* Folder of a configuration file. */
static void folder_of(const char *file, char ret_folder[PATH_MAX])
{
	const char *slash = strrchr(file, '/');

	snprintf(ret_folder, PATH_MAX, "%.*s", slash ? (int)(slash - file + 1) : 1, slash ? file : ".");
}

int dfota_module_main(int argc, char **argv)
{
	static const struct option options[] = { { "module", required_argument, NULL, 'm' },
						 { "config", required_argument, NULL, 'c' },
						 { "version", no_argument, NULL, 'V' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *folder = NULL, *file = NULL, *what;
	char config_folder[PATH_MAX];
	struct reboot_exec reboot;
	struct daemon *daemon;
	int option, line, result = EXIT_FAILED, held;

	(void)signal(SIGPIPE, SIG_IGN); /* whoever reads the log may end */
	while ((option = getopt_long(argc, argv, "m:c:Vh", options, NULL)) != -1) {
		switch (option) {
		case 'm': folder = optarg; break;
		case 'c': file = optarg; break;
		case 'V': puts("dfotad " DFOTA_VERSION); return 0;
		case 'h': printf("Usage: %s --module DIR | --config FILE\n", argv[0]); return 0;
		default: return usage(argv[0]);
		}
	}
	if (argc != optind || !folder == !file)
		return usage(argv[0]);
	if (file) {
		folder_of(file, config_folder);
		folder = config_folder;
	}
	daemon = calloc(1, sizeof(*daemon));
	if (!daemon)
		return EXIT_FAILED;
	daemon->download = -1;
	daemon->ufs.folder = daemon->ufs.upload = -1;
	handles_init(&daemon->handles, &daemon->ufs);
	daemon->functionality = 1;
	if (module_config_load(&daemon->config, folder, file, &what, &line)) {
		module_log("%s: line %d: %s", file ? file : folder, line, what);
		result = EXIT_USAGE;
	} else if (reboot_exec_init(&reboot, argv, file, daemon->config.folder)) {
		module_log("%s cannot be found", argv[0]);
	} else {
		held = lock(&daemon->config);
		if (held >= 0)
			result = run(daemon, &reboot);
	}
	free(daemon);
	return result;
}
