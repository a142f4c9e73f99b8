/* SPDX-License-Identifier: MIT
 *
 * Data calls: the machine's own network, the same behind a PDP context, a pair of programs.
 */
#include "bearer.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "log.h"

#define ARGUMENTS_MAX 16
#define PROGRAM_MS    60000u
#define POLL_MS       20u

/* ---- pdp --------------------------------------------------------------------------------------- */

static int pdp_claim(struct bearer *bearer)
{
	return contexts_claim(bearer->contexts, bearer->config->context);
}

static void pdp_release(struct bearer *bearer)
{
	contexts_release(bearer->contexts);
}

/* ---- command ----------------------------------------------------------------------------------- */

/* Cuts `text` at its spaces into `argv`. */
static bool split(char *text, char *argv[ARGUMENTS_MAX + 1])
{
	unsigned count = 0;
	char *rest = text;

	argv[0] = NULL;
	for (char *word; (word = strsep(&rest, " ")) != NULL;) {
		if (!*word)
			continue;
		if (count == ARGUMENTS_MAX)
			return false;
		argv[count++] = word;
	}
	argv[count] = NULL;
	return count > 0 && argv[0][0] == '/';
}

static int reap(struct bearer *bearer, pid_t child, bool stoppable)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int status;

	for (uint32_t waited = 0; waited < PROGRAM_MS; waited += POLL_MS) {
		pid_t done = waitpid(child, &status, WNOHANG);

		if (done == child)
			return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : DFOTA_E_TRANSFER;
		if (done < 0 && errno != EINTR)
			return DFOTA_E_IO;
		if (stoppable && bearer->stop(bearer->stop_context))
			break;
		(void)nanosleep(&pause, NULL);
	}
	kill(child, SIGKILL);
	(void)waitpid(child, &status, 0);
	return DFOTA_E_TRANSFER;
}

/* With SIGPIPE as it is by default, which this process ignores. */
static bool start(char **argv, pid_t *ret_child)
{
	char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *environment[] = { path, NULL };
	posix_spawnattr_t attributes;
	sigset_t piped;
	bool started;

	if (posix_spawnattr_init(&attributes))
		return false;
	sigemptyset(&piped);
	sigaddset(&piped, SIGPIPE);
	started = posix_spawnattr_setsigdefault(&attributes, &piped) == 0 &&
		  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF) == 0 &&
		  posix_spawn(ret_child, argv[0], NULL, &attributes, argv, environment) == 0;
	posix_spawnattr_destroy(&attributes);
	return started;
}

static int program(struct bearer *bearer, const char *line, bool stoppable)
{
	char text[MODULE_TEXT_MAX + 1], *argv[ARGUMENTS_MAX + 1];
	pid_t child;

	memcpy(text, line, strlen(line) + 1);
	if (!split(text, argv) || !start(argv, &child)) {
		module_log("data call: %s cannot be started", argv[0] ? argv[0] : "the program");
		return DFOTA_E_TRANSFER;
	}
	return reap(bearer, child, stoppable);
}

static int command_up(struct bearer *bearer)
{
	int error = program(bearer, bearer->config->call_up, true);

	module_log("data call: %s", error ? "did not come up" : "up");
	return error;
}

static void command_down(struct bearer *bearer)
{
	if (*bearer->config->call_down && program(bearer, bearer->config->call_down, false))
		module_log("data call: did not come down cleanly");
}

const struct bearer_ops *bearer_choose(enum module_call call)
{
	static const struct bearer_ops none = { .claim = NULL };
	static const struct bearer_ops pdp = { .claim = pdp_claim, .release = pdp_release };
	static const struct bearer_ops command = { .up = command_up, .down = command_down };

	switch (call) {
	case MODULE_CALL_PDP:
		return &pdp;
	case MODULE_CALL_COMMAND:
		return &command;
	case MODULE_CALL_NONE:
		break;
	}
	return &none;
}
