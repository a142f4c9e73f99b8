/* SPDX-License-Identifier: MIT
 *
 * A pool that lives as long as one call.
 */
#include "parallel.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#define THREADS_MAX 64u

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t next, count, finished, failed_item;
	unsigned running;
	int error;
	int (*work)(void *context, size_t item);
	void *context;
};

/* Items are given out in ascending order, so the lowest failing one is always reached. */
static bool take_item(struct pool *pool, size_t *ret_item)
{
	if (pool->error || pool->next == pool->count)
		return false;
	*ret_item = pool->next++;
	return true;
}

static void finish_item(struct pool *pool, size_t item, int error)
{
	pool->finished++;
	if (error && (!pool->error || item < pool->failed_item)) {
		pool->error = error;
		pool->failed_item = item;
	}
}

static void *run_worker(void *argument)
{
	struct pool *pool = argument;
	size_t item;

	pthread_mutex_lock(&pool->lock);
	while (take_item(pool, &item)) {
		int error;

		pthread_mutex_unlock(&pool->lock);
		error = pool->work(pool->context, item);
		pthread_mutex_lock(&pool->lock);
		finish_item(pool, item, error);
		pthread_cond_signal(&pool->changed);
	}
	pool->running--;
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

unsigned diff_threads(unsigned threads, size_t most)
{
	if (threads == 0) {
		long cpus = sysconf(_SC_NPROCESSORS_ONLN);

		threads = cpus > 0 ? (unsigned)cpus : 1;
	}
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	return threads < most ? threads : (unsigned)most;
}

static void watch(struct pool *pool, void (*done)(void *context, size_t finished))
{
	size_t told = 0;

	pthread_mutex_lock(&pool->lock);
	while (pool->running > 0) {
		pthread_cond_wait(&pool->changed, &pool->lock);
		if (!done || pool->finished == told)
			continue;
		told = pool->finished;
		pthread_mutex_unlock(&pool->lock);
		done(pool->context, told);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
}

static int run_alone(struct pool *pool, void (*done)(void *context, size_t finished))
{
	size_t item;

	while (take_item(pool, &item)) {
		finish_item(pool, item, pool->work(pool->context, item));
		if (done)
			done(pool->context, pool->finished);
	}
	return pool->error;
}

int diff_parallel(unsigned threads, size_t count, int (*work)(void *context, size_t item),
		  void *context, void (*done)(void *context, size_t finished))
{
	struct pool pool = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.count = count,
		.work = work,
		.context = context,
	};
	pthread_t ids[THREADS_MAX];
	unsigned started = 0;

	threads = diff_threads(threads, count);
	if (threads < 2)
		return run_alone(&pool, done);
	pthread_mutex_lock(&pool.lock);
	while (started < threads &&
	       pthread_create(&ids[started], NULL, run_worker, &pool) == 0)
		started++;
	pool.running = started;
	pthread_mutex_unlock(&pool.lock);
	if (started == 0)
		return run_alone(&pool, done);
	watch(&pool, done);
	for (unsigned i = 0; i < started; i++)
		pthread_join(ids[i], NULL);
	pthread_cond_destroy(&pool.changed);
	pthread_mutex_destroy(&pool.lock);
	return pool.error;
}
