/* SPDX-License-Identifier: MIT
 *
 * Thread plus wake-up of the loop.
 */
#include "worker.h"

#include "dfota/error.h"

static void thread_main(void *argument)
{
	struct worker *worker = argument;

	worker->job(worker->context);
	atomic_store(&worker->finished, true);
	uv_async_send(&worker->async);
}

static void on_async(uv_async_t *async)
{
	struct worker *worker = async->data;

	if (!worker->running)
		return;
	if (worker->progress)
		worker->progress(worker->context);
	if (!atomic_load(&worker->finished))
		return;
	uv_thread_join(&worker->thread);
	worker->running = false;
	worker->ended(worker->context);
}

int worker_init(struct worker *worker, uv_loop_t *loop)
{
	worker->running = false;
	worker->async.data = worker;
	return uv_async_init(loop, &worker->async, on_async) ? DFOTA_E_MEMORY : 0;
}

int worker_start(struct worker *worker)
{
	atomic_store(&worker->finished, false);
	atomic_store(&worker->stop, false);
	atomic_store(&worker->percent, -1);
	worker->running = true;
	if (uv_thread_create(&worker->thread, thread_main, worker) == 0)
		return 0;
	worker->running = false;
	return DFOTA_E_MEMORY;
}

void worker_percent(struct worker *worker, int percent)
{
	if (atomic_exchange(&worker->percent, percent) != percent)
		uv_async_send(&worker->async);
}

void worker_stop(struct worker *worker)
{
	atomic_store(&worker->stop, true);
}

bool worker_stopped(void *worker)
{
	return atomic_load(&((struct worker *)worker)->stop);
}

void worker_close(struct worker *worker)
{
	uv_close((uv_handle_t *)&worker->async, NULL);
}
