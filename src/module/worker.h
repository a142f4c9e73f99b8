/* SPDX-License-Identifier: MIT
 *
 * One job at a time in a thread of its own, so that the AT port answers while an upgrade or a download runs.
 *
 * The job must not touch anything of the loop's but what it was given, and reports through worker_percent.
 */
#ifndef DFOTA_MODULE_WORKER_H
#define DFOTA_MODULE_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct worker {
	uv_async_t async;
	uv_thread_t thread;
	void (*job)(void *context);      /* in the thread */
	void (*ended)(void *context);    /* in the loop, after the thread has gone */
	void (*progress)(void *context); /* in the loop, after worker_percent; or NULL */
	void *context;
	bool running;                    /* loop's view: job begun, `ended` not yet called */
	atomic_bool finished, stop;
	atomic_int percent;
};

int worker_init(struct worker *worker, uv_loop_t *loop);

/* Starts job(context); the callbacks and the context stand in `worker`. Not while one runs. */
int worker_start(struct worker *worker);

/* From the thread: percent done; values may be skipped. */
void worker_percent(struct worker *worker, int percent);

/* Asks the job to end soon; from either side, any time, and it stays asked for until the next start. */
void worker_stop(struct worker *worker);
bool worker_stopped(void *worker); /* fits the rooms' stop hooks */

/* No job may run. The loop must run once more. */
void worker_close(struct worker *worker);

#endif
