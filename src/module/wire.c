/* SPDX-License-Identifier: MIT
 *
 * Pumps bytes between port and AT engine. Never blocks, never holds more than its buffers.
 */
#include "wire.h"

#include <errno.h>
#include <unistd.h>

#include "log.h"

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* ---- a port that comes and goes -------------------------------------------------------------- */

static int attach(struct wire *wire, const struct module_config *config)
{
	int error = wire->port.ops->open(&wire->port, config);

	if (error)
		return error;
	if (uv_poll_init(wire->loop, &wire->poll, wire->port.fd)) {
		wire->port.ops->close(&wire->port);
		return DFOTA_E_IO;
	}
	wire->poll.data = wire;
	wire->line = WIRE_HERE;
	return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct wire *wire = handle->data;

	wire->line = WIRE_AWAY;
}

/* What was on its way is gone with the port, and so is a file that was being sent; URCs wait for
 * its return, which is looked for after `for_ms`.
 */
static void lose(struct wire *wire, uint64_t for_ms)
{
	module_log("port %s: gone", wire->port.link);
	uv_close((uv_handle_t *)&wire->poll, on_poll_closed);
	wire->port.ops->close(&wire->port);
	wire->line = WIRE_LEAVING;
	wire->retry_ms = uv_now(wire->loop) + for_ms;
	wire->out_at = wire->out_bytes = wire->in_at = wire->in_bytes = 0;
	wire->held_ms = wire->stalled_ms = 0;
	dfota_at_hang_up(&wire->at);
}

static void find(struct wire *wire)
{
	if (wire->line != WIRE_AWAY || uv_now(wire->loop) < wire->retry_ms)
		return;
	wire->retry_ms = uv_now(wire->loop) + WIRE_RETRY_MS;
	if (attach(wire, wire->config) == 0)
		module_log("port %s: there", wire->port.link);
}

/* ---- the engine's two sides ------------------------------------------------------------------ */

/* Gives the engine what was read, as far as it takes it. */
static void feed(struct wire *wire)
{
	while (wire->in_at < wire->in_bytes) {
		/* With ordered faults each answer goes before the next line is read, so that they are told apart. */
		size_t most = wire->fate ? 1 : wire->in_bytes - wire->in_at, taken;

		if (wire->fate && (wire->at.output_bytes || wire->out_at < wire->out_bytes))
			return;
		taken = dfota_at_input(&wire->at, wire->in + wire->in_at, most, uv_now(wire->loop));
		if (taken == 0)
			return;
		wire->in_at += taken;
	}
	wire->in_at = wire->in_bytes = 0;
}

/* False when the port takes no more now. */
static bool put(struct wire *wire)
{
	while (wire->out_at < wire->out_bytes) {
		ssize_t done;

		if (wire->line != WIRE_HERE)
			return false;
		done =
		    write(wire->port.fd, wire->out + wire->out_at, wire->out_bytes - wire->out_at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		wire->out_at += (size_t)done;
		wire->output_ms = uv_now(wire->loop);
		wire->stalled_ms = 0;
	}
	return true;
}

/* What ordered faults make of the new piece. */
static void judge(struct wire *wire)
{
	struct wire_fate fate;

	if (!wire->fate)
		return;
	fate = wire->fate(wire->context, wire->out, wire->out_bytes);
	wire->out_bytes = fate.bytes;
	if (fate.drop)
		lose(wire, wire->config->reboot_ms);
	else if (fate.delay_ms)
		wire->held_ms = uv_now(wire->loop) + fate.delay_ms;
}

/* Nothing is taken from the engine for a port that is away: there, what it has to say waits. */
static void drain(struct wire *wire)
{
	while (wire->line == WIRE_HERE) {
		if (uv_now(wire->loop) < wire->held_ms)
			return;
		wire->held_ms = 0;
		if (!put(wire)) {
			if (!wire->stalled_ms)
				wire->stalled_ms = uv_now(wire->loop);
			return;
		}
		wire->out_at = 0;
		wire->out_bytes = dfota_at_output(&wire->at, wire->out, DFOTA_AT_OUTPUT_MAX,
						  uv_now(wire->loop));
		if (wire->out_bytes == 0)
			return;
		judge(wire);
	}
}

static void stall_end(struct wire *wire)
{
	if (!wire->stalled_ms || uv_now(wire->loop) < wire->stalled_ms + WIRE_STALL_MS)
		return;
	wire->stalled_ms = 0;
	wire->port.ops->discard(&wire->port);
	wire->out_at = wire->out_bytes = 0;
	/* A file that nobody takes would keep the port for hours. */
	if (dfota_at_in_data(&wire->at))
		dfota_at_hang_up(&wire->at);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void watch(struct wire *wire)
{
	int events = 0;

	if (wire->line != WIRE_HERE)
		return;
	if (wire->in_bytes == 0)
		events |= UV_READABLE;
	if (wire->out_at < wire->out_bytes && !wire->held_ms)
		events |= UV_WRITABLE;
	uv_poll_start(&wire->poll, events, on_poll);
}

static void timer_set(struct wire *wire, uint64_t engine_ms)
{
	uint64_t now = uv_now(wire->loop), wait = engine_ms;
	bool full = wire->out_at < wire->out_bytes && !dfota_at_in_data(&wire->at);

	/* What the engine could say at once would not go: it is asked again when the port is there, or takes more. */
	if (wire->line != WIRE_HERE || full)
		wait = UINT64_MAX;
	if (wire->wake_ms != UINT64_MAX)
		wait = dfota_min64(wait, wire->wake_ms > now ? wire->wake_ms - now : 0);
	if (wire->held_ms)
		wait = dfota_min64(wait, wire->held_ms > now ? wire->held_ms - now : 0);
	if (wire->stalled_ms) {
		uint64_t end = wire->stalled_ms + WIRE_STALL_MS;

		wait = dfota_min64(wait, end > now ? end - now : 0);
	}
	if (wire->line != WIRE_HERE)
		wait = dfota_min64(wait, wire->retry_ms > now ? wire->retry_ms - now : 1);
	if (wait == UINT64_MAX)
		uv_timer_stop(&wire->timer);
	else
		uv_timer_start(&wire->timer, on_timer, wait, 0);
}

void wire_kick(struct wire *wire)
{
	uint64_t engine_ms;
	unsigned idle_rounds = 0;
	size_t left;
	bool busy;

	if (!wire->open)
		return;
	uv_update_time(wire->loop);
	find(wire);
	stall_end(wire);
	engine_ms = dfota_at_tick(&wire->at, uv_now(wire->loop));
	/* What did not fit may fit once output has gone, and nothing else would wake us for it. */
	do {
		left = wire->in_bytes - wire->in_at;
		feed(wire);
		drain(wire);
		idle_rounds = wire->in_bytes - wire->in_at < left ? 0 : idle_rounds + 1;
	} while (wire->in_bytes > 0 && idle_rounds < 2);
	wire->wake_ms = UINT64_MAX;
	wire->turn(wire->context);
	if (!wire->open)
		return;
	busy = !wire_idle(wire);
	drain(wire);
	if (busy && wire_idle(wire))
		wire_wake(wire, uv_now(wire->loop)); /* whoever waits for that wants a turn */
	engine_ms = dfota_min64(engine_ms, dfota_at_tick(&wire->at, uv_now(wire->loop)));
	watch(wire);
	timer_set(wire, engine_ms);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct wire *wire = poll->data;
	bool gone = status < 0;

	if (status == 0 && (events & UV_READABLE) && wire->in_bytes == 0) {
		ssize_t got = read(wire->port.fd, wire->in, sizeof(wire->in));

		gone = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
		if (got > 0) {
			wire->in_bytes = (size_t)got;
			if (!wire->first_input_ms)
				wire->first_input_ms = uv_now(wire->loop);
		}
	}
	if (gone && wire->port.ops->comes_and_goes)
		lose(wire, WIRE_RETRY_MS);
	wire_kick(wire);
}

static void on_timer(uv_timer_t *timer)
{
	wire_kick(timer->data);
}

int wire_open(struct wire *wire, uv_loop_t *loop, const struct port_ops *ops,
	      const struct module_config *config, const struct dfota_at_config *at)
{
	int error;

	wire->loop = loop;
	wire->config = config;
	wire->port.ops = ops;
	wire->line = WIRE_AWAY;
	uv_update_time(loop);
	dfota_at_init(&wire->at, at, uv_now(loop));
	error = attach(wire, config);
	if (error && !ops->comes_and_goes)
		return error;
	if (error)
		module_log("port %s: not there, or cannot be opened; it is looked for again", wire->port.link);
	uv_timer_init(loop, &wire->timer);
	wire->timer.data = wire;
	wire->open = true;
	wire->wake_ms = UINT64_MAX;
	wire->open_ms = wire->output_ms = uv_now(loop);
	watch(wire);
	timer_set(wire, UINT64_MAX);
	return 0;
}

void wire_close(struct wire *wire)
{
	if (!wire->open)
		return;
	wire->open = false;
	uv_close((uv_handle_t *)&wire->timer, NULL);
	if (wire->line != WIRE_HERE)
		return;
	uv_close((uv_handle_t *)&wire->poll, NULL);
	wire->port.ops->close(&wire->port);
}

void wire_wake(struct wire *wire, uint64_t at_ms)
{
	wire->wake_ms = dfota_min64(wire->wake_ms, at_ms);
}

bool wire_idle(const struct wire *wire)
{
	return wire->out_at == wire->out_bytes && wire->in_bytes == 0 && dfota_at_idle(&wire->at);
}
