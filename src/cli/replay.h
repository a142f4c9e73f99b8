/* SPDX-License-Identifier: MIT
 *
 * Plays the module of a wire log to a host, on a pseudo-terminal behind a link.
 */
#ifndef DFOTA_CLI_REPLAY_H
#define DFOTA_CLI_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

struct replay_options {
	const char *name;	/* of the command, for messages */
	const char *log, *link; /* the wire log; where the host finds the port */
	uint32_t wait_ms;	/* for what the host must send */
	uint64_t speed;		/* the module's pauses are divided by it */
	bool (*stopped)(void);
};

/* Exit code: 0 the host did what the log has, to its end; 1 it did not, told on stderr with the
 * log's line; 2 no such log or no log; 4 the host was silent for too long.
 */
int replay_run(const struct replay_options *options);

#endif
