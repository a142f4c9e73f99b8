/* SPDX-License-Identifier: MIT
 *
 * dfota_download_run on the command line, for test_download.py.
 *
 * fetch URL PART META [name=number|text ...] prints how it ended as one JSON object. Exit 0
 * whatever the end, 2 on bad usage or a bad URL. With names=hang no lookup of a name ever ends.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "dfota/transport.h"

struct watch {
	uint64_t kill_at;	      /* power cut once so many bytes are there; 0 = never */
	uint64_t stop_at;	      /* asked to stop once so many are there; 0 = never */
	uint64_t stop_ms;	      /* or so long after the start; 0 = never */
	uint64_t start, last, gap_ms; /* longest time between two calls of stop() */
	uint64_t stop_said;	      /* when stop() first said yes */
	uint64_t first_done;	      /* of the first report */
	uint64_t done, total;
	bool reported, falls; /* `done` fell: the download began again */
};

static bool names_hang;

/* Stands before the C library's for libcurl too: this program exports its symbols. */
int getaddrinfo(const char *restrict node, const char *restrict service,
		const struct addrinfo *restrict hints, struct addrinfo **restrict ret_list)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	void *found = dlsym(RTLD_NEXT, "getaddrinfo");

	while (names_hang)
		pause();
	memcpy(&real, &found, sizeof(real));
	return real ? real(node, service, hints, ret_list) : EAI_FAIL;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool on_stop(void *context)
{
	struct watch *watch = context;
	uint64_t now = now_ms();

	if (now - watch->last > watch->gap_ms)
		watch->gap_ms = now - watch->last;
	watch->last = now;
	if (!((watch->stop_at && watch->done >= watch->stop_at) ||
	      (watch->stop_ms && now - watch->start >= watch->stop_ms)))
		return false;
	if (!watch->stop_said)
		watch->stop_said = now;
	return true;
}

static void on_progress(void *context, uint64_t done, uint64_t total)
{
	struct watch *watch = context;

	if (!watch->reported)
		watch->first_done = done;
	watch->falls |= watch->reported && done < watch->done;
	watch->reported = true;
	watch->done = done;
	watch->total = total;
	if (watch->kill_at && done >= watch->kill_at)
		raise(SIGKILL);
}

static bool option(const char *text, const char *name, const char **ret_value)
{
	size_t bytes = strlen(name);

	if (strncmp(text, name, bytes) != 0 || text[bytes] != '=')
		return false;
	*ret_value = text + bytes + 1;
	return true;
}

static bool options(char **arguments, struct dfota_download *download, struct watch *watch)
{
	const char *value;

	for (; *arguments; arguments++) {
		if (option(*arguments, "ca", &value))
			download->ca_file = value;
		else if (option(*arguments, "interface", &value))
			download->interface = value;
		else if (option(*arguments, "max", &value))
			download->max_bytes = strtoull(value, NULL, 10);
		else if (option(*arguments, "keep_free", &value))
			download->keep_free_bytes = strtoull(value, NULL, 10);
		else if (option(*arguments, "connect", &value))
			download->connect_timeout_s = (uint32_t)strtoul(value, NULL, 10);
		else if (option(*arguments, "stall", &value))
			download->stall_timeout_s = (uint32_t)strtoul(value, NULL, 10);
		else if (option(*arguments, "tries", &value))
			download->tries = (uint32_t)strtoul(value, NULL, 10);
		else if (option(*arguments, "kill_at", &value))
			watch->kill_at = strtoull(value, NULL, 10);
		else if (option(*arguments, "stop_at", &value))
			watch->stop_at = strtoull(value, NULL, 10);
		else if (option(*arguments, "stop_ms", &value))
			watch->stop_ms = strtoull(value, NULL, 10);
		else if (option(*arguments, "names", &value))
			names_hang = strcmp(value, "hang") == 0;
		else
			return false;
	}
	return true;
}

int main(int count, char **arguments)
{
	struct watch watch = { .start = now_ms(), .last = now_ms() };
	struct dfota_url url;
	struct dfota_download download = {
		.url = &url,
		.stop = on_stop,
		.progress = on_progress,
		.context = &watch,
	};
	const char *why = NULL;
	uint64_t bytes = UINT64_MAX;
	int error;

	if (count < 4 || dfota_url_parse(arguments[1], strlen(arguments[1]), &url) ||
	    !options(arguments + 4, &download, &watch) || dfota_transport_start())
		return 2;
	download.part_path = arguments[2];
	download.meta_path = arguments[3];
	watch.last = now_ms();
	error = dfota_download_run(&download, &bytes, &why);
	printf("{\"end\":\"%s\",\"why\":\"%s\",\"bytes\":%" PRId64 ",\"first\":%" PRIu64
	       ",\"done\":%" PRIu64 ",\"total\":%" PRIu64 ",\"falls\":%s,\"gap_ms\":%" PRIu64
	       ",\"late_ms\":%" PRIu64 "}\n",
	       error ? dfota_error_name(error) : "done", why ? why : "", (int64_t)bytes,
	       watch.first_done, watch.done, watch.total, watch.falls ? "true" : "false",
	       watch.gap_ms, watch.stop_said ? now_ms() - watch.stop_said : 0);
	dfota_transport_finish();
	return 0;
}
