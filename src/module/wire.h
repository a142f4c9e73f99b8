/* SPDX-License-Identifier: MIT
 *
 * The AT engine on a port, driven by the event loop: bytes, time-outs, bounded waiting for a host that does not read.
 */
#ifndef DFOTA_MODULE_WIRE_H
#define DFOTA_MODULE_WIRE_H

#include <uv.h>

#include "dfota/at.h"
#include "port.h"

#define WIRE_STALL_MS 10000 /* output that nobody takes for so long is thrown away, as by a serial line */

/* What becomes of a piece that is about to be sent; for ordered faults. */
struct wire_fate {
	size_t bytes;      /* of it, after changes in place; at most the old ones + MODULE_GARBAGE_MAX; 0 = lost */
	uint64_t delay_ms; /* before it goes */
	bool drop;         /* it is lost with the port, which comes back after reboot-ms */
};

#define WIRE_RETRY_MS 250 /* between two looks whether a port that went is back */

enum wire_line { WIRE_AWAY, WIRE_HERE, WIRE_LEAVING };

struct wire {
	struct dfota_at at;
	struct port port;
	const struct module_config *config;
	uv_loop_t *loop;
	uv_poll_t poll;
	uv_timer_t timer;
	/* Called after every turn: something may have become idle, or time has passed. */
	void (*turn)(void *context);
	/* Asked about each piece when set. */
	struct wire_fate (*fate)(void *context, uint8_t *piece, size_t bytes);
	void *context;
	bool open;
	enum wire_line line;     /* HERE, but for ports that come and go */
	uint64_t retry_ms;       /* AWAY: when to look again */
	uint64_t held_ms;        /* the piece in `out` goes not before; 0 = at once */
	uint64_t open_ms;        /* when the port came up */
	uint64_t first_input_ms; /* of the host since then; 0 = none */
	uint64_t output_ms;      /* when the last byte went out */
	uint64_t wake_ms;        /* asked for by wire_wake; UINT64_MAX = not */
	uint64_t stalled_ms;     /* since when the port takes nothing; 0 = it takes */
	size_t out_at, out_bytes, in_at, in_bytes;
	uint8_t in[4096], out[DFOTA_AT_OUTPUT_MAX + MODULE_GARBAGE_MAX];
};

/* Opens the port and starts; one that comes and goes may also be away. `wire` must not move. On
 * error nothing is left open.
 */
int wire_open(struct wire *wire, uv_loop_t *loop, const struct port_ops *ops,
	      const struct module_config *config, const struct dfota_at_config *at) DFOTA_MUST_CHECK;

/* Closes the port at once; the loop must run once more for the handles. */
void wire_close(struct wire *wire);

/* Does what is due now and calls `turn`: after URCs were queued, after a job's end. Not from inside `turn` or a handler. */
void wire_kick(struct wire *wire);

/* From inside `turn`: be called again at that time (uv_now) at the latest. */
void wire_wake(struct wire *wire, uint64_t at_ms);

/* Nothing is waiting to go out, no command or data mode is open. */
bool wire_idle(const struct wire *wire);

#endif
