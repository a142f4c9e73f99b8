/* SPDX-License-Identifier: MIT
 *
 * A download: connections until the file is whole, the limits are hit, or nothing comes any more.
 */
#include <curl/curl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "connection.h"

#define TRIES	      3
#define WAIT_SHORT_MS 250	     /* after a drop */
#define WAIT_FIRST_MS UINT64_C(1000) /* after a connection for nothing; doubles */
#define WAIT_DOUBLES  5		     /* up to 16 s */
#define POLL_MS	      100

/* False when stopped meanwhile. */
static bool wait_ms(const struct dfota_download *download, uint64_t ms)
{
	uint64_t now = connection_clock(), end = now + ms;

	for (; now < end; now = connection_clock()) {
		if (download->stop && download->stop(download->context))
			return false;
		(void)poll(NULL, 0, (int)dfota_min64(end - now, POLL_MS));
	}
	return true;
}

static uint64_t wait_after(uint32_t idle)
{
	if (idle == 0)
		return WAIT_SHORT_MS;
	return WAIT_FIRST_MS << (idle < WAIT_DOUBLES ? idle - 1 : WAIT_DOUBLES - 1);
}

/* A connection counts when it brought nothing, or only what had been there before. The first one
 * that finds the part stale does not: what an earlier call left must not cost this one a try.
 */
static int fetch(const struct dfota_download *download, struct part *part, const char **ret_why)
{
	uint32_t tries = download->tries ? download->tries : TRIES, counted = 0, idle = 0;
	struct connection connection;
	bool stale = false;

	for (;;) {
		connection_run(download, part, &connection);
		if (connection.end == CONNECTION_DONE)
			return 0;
		*ret_why = connection.why;
		if (connection.end == CONNECTION_FAILED)
			return connection.error;
		if (connection.end == CONNECTION_STALE && !stale) {
			stale = true;
			continue;
		}
		idle = connection.brought ? 0 : idle + 1;
		if (!connection.brought || connection.lost)
			counted++;
		if (counted >= tries)
			return DFOTA_E_TRANSFER;
		if (!wait_ms(download, wait_after(idle)))
			return DFOTA_E_STOPPED;
	}
}

static int run(const struct dfota_download *download, uint64_t *ret_bytes, const char **ret_why)
{
	const char *why = NULL;
	struct part part;
	int error = part_open(&part, download);

	if (error)
		return error;
	error = fetch(download, &part, &why);
	if (!error)
		error = part_finish(&part);
	if (!error)
		*ret_bytes = part.bytes;
	if (error == DFOTA_E_TRANSFER)
		*ret_why = why;
	if (error == DFOTA_E_TOO_LARGE || error == DFOTA_E_SPACE)
		part_remove(&part);
	part_close(&part);
	return error;
}

/* A peer that closes while TLS writes must not end the process, whatever it does with SIGPIPE. */
int dfota_download_run(const struct dfota_download *download, uint64_t *ret_bytes,
		       const char **ret_why)
{
	const struct timespec at_once = { 0 };
	sigset_t pipe, before, pending;
	bool was_pending;
	int error;

	if (!download->url || !download->part_path || !download->meta_path)
		return DFOTA_E_ARGUMENT;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
	if (pthread_sigmask(SIG_BLOCK, &pipe, &before))
		return DFOTA_E_INTERNAL;
	error = run(download, ret_bytes, ret_why);
	if (!was_pending)
		(void)sigtimedwait(&pipe, NULL, &at_once); /* usually none */
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* libcurl would write the keys of every TLS session to the file that this variable names. */
int dfota_transport_start(void)
{
	(void)unsetenv("SSLKEYLOGFILE");
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : DFOTA_E_INTERNAL;
}

void dfota_transport_finish(void)
{
	curl_global_cleanup();
}
