/* SPDX-License-Identifier: MIT
 *
 * Pumps bytes between port and AT engine. Never blocks, never holds more than its buffers.
 */
#include "wire.h"

#include <errno.h>
#include <unistd.h>

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* Gives the engine what was read, as far as it takes it. */
static void feed(struct wire *wire)
{
	while (wire->in_at < wire->in_bytes) {
		size_t taken = dfota_at_input(&wire->at, wire->in + wire->in_at,
					      wire->in_bytes - wire->in_at, uv_now(wire->loop));

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
		ssize_t done = write(wire->port.fd, wire->out + wire->out_at,
				     wire->out_bytes - wire->out_at);

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

static void drain(struct wire *wire)
{
	for (;;) {
		if (!put(wire)) {
			if (!wire->stalled_ms)
				wire->stalled_ms = uv_now(wire->loop);
			return;
		}
		wire->out_at = 0;
		wire->out_bytes = dfota_at_output(&wire->at, wire->out, sizeof(wire->out),
						  uv_now(wire->loop));
		if (wire->out_bytes == 0)
			return;
	}
}

static void stall_end(struct wire *wire)
{
	const struct dfota_at_config config = wire->at.config;
	bool held = wire->at.urcs_held;

	if (!wire->stalled_ms || uv_now(wire->loop) < wire->stalled_ms + WIRE_STALL_MS)
		return;
	wire->stalled_ms = 0;
	wire->port.ops->discard(&wire->port);
	wire->out_at = wire->out_bytes = 0;
	if (!dfota_at_in_data(&wire->at))
		return;
	/* A file that nobody takes would keep the port for hours. */
	dfota_at_init(&wire->at, &config, uv_now(wire->loop));
	dfota_at_hold_urcs(&wire->at, held);
}

static void watch(struct wire *wire)
{
	int events = 0;

	if (wire->in_bytes == 0)
		events |= UV_READABLE;
	if (wire->out_at < wire->out_bytes)
		events |= UV_WRITABLE;
	uv_poll_start(&wire->poll, events, on_poll);
}

static void timer_set(struct wire *wire, uint64_t engine_ms)
{
	uint64_t now = uv_now(wire->loop), wait = engine_ms;

	if (wire->wake_ms != UINT64_MAX)
		wait = dfota_min64(wait, wire->wake_ms > now ? wire->wake_ms - now : 0);
	if (wire->stalled_ms) {
		uint64_t end = wire->stalled_ms + WIRE_STALL_MS;

		wait = dfota_min64(wait, end > now ? end - now : 0);
	}
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

	if (status == 0 && (events & UV_READABLE) && wire->in_bytes == 0) {
		ssize_t got = read(wire->port.fd, wire->in, sizeof(wire->in));

		if (got > 0) {
			wire->in_bytes = (size_t)got;
			if (!wire->first_input_ms)
				wire->first_input_ms = uv_now(wire->loop);
		}
	}
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
	wire->port.ops = ops;
	uv_update_time(loop);
	dfota_at_init(&wire->at, at, uv_now(loop));
	error = ops->open(&wire->port, config);
	if (error)
		return error;
	if (uv_poll_init(loop, &wire->poll, wire->port.fd)) {
		ops->close(&wire->port);
		return DFOTA_E_IO;
	}
	uv_timer_init(loop, &wire->timer);
	wire->poll.data = wire->timer.data = wire;
	wire->open = true;
	wire->wake_ms = UINT64_MAX;
	wire->open_ms = wire->output_ms = uv_now(loop);
	watch(wire);
	return 0;
}

void wire_close(struct wire *wire)
{
	if (!wire->open)
		return;
	wire->open = false;
	uv_poll_stop(&wire->poll);
	uv_close((uv_handle_t *)&wire->poll, NULL);
	uv_close((uv_handle_t *)&wire->timer, NULL);
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
