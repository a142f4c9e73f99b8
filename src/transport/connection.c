/* SPDX-License-Identifier: MIT
 *
 * One connection: what libcurl is told, what is done with what it brings, and how it ended.
 *
 * The multi interface is used for one transfer, so that `stop` is heard in every phase, name lookup
 * included.
 */
#include "connection.h"

#include <openssl/x509_vfy.h>
#include <sys/statvfs.h>
#include <time.h>

#include "answer.h"
#include "request.h"

#define POLL_MS	     100
#define SYNC_MS	     5000 /* on a slow link what came is durable after so long */
#define HEADER_BYTES (64u << 10)

struct transfer {
	const struct dfota_download *download;
	struct part *part;
	struct connection *result;
	CURL *easy;
	struct curl_slist *headers;
	bool asked;  /* for the bytes behind the part only */
	bool judged; /* then `answer` counts */
	struct answer answer;
	uint64_t deadline; /* of the next byte; 0 = libcurl watches, while it connects */
	uint64_t synced;
	size_t header_bytes;
	bool headed; /* the last response's headers are complete */
};

uint64_t connection_clock(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void heard(struct transfer *transfer)
{
	uint32_t stall_s = request_timeout_s(transfer->download->stall_timeout_s);

	transfer->deadline = connection_clock() + (uint64_t)stall_s * 1000;
}

/* The first cause counts. */
static void end(struct transfer *transfer, enum connection_end how, int error, const char *why)
{
	struct connection *result = transfer->result;

	if (result->end != CONNECTION_OPEN)
		return;
	result->end = how;
	result->error = error;
	result->why = why;
}

static void fail(struct transfer *transfer, int error)
{
	end(transfer, CONNECTION_FAILED, error, dfota_error_text(error));
}

static bool stopped(struct transfer *transfer)
{
	const struct dfota_download *download = transfer->download;

	if (!download->stop || !download->stop(download->context))
		return false;
	fail(transfer, DFOTA_E_STOPPED);
	return true;
}

/* ---- what comes --------------------------------------------------------------------------------
 */

/* Room for `bytes` more, and for what has to stay free. */
static int space_check(const struct transfer *transfer, uint64_t bytes)
{
	uint64_t keep = transfer->download->keep_free_bytes, available;
	struct statvfs status;

	if (fstatvfs(transfer->part->fd, &status))
		return DFOTA_E_IO;
	if (dfota_mul64(status.f_bavail, status.f_frsize, &available))
		available = UINT64_MAX;
	return available < keep || available - keep < bytes ? DFOTA_E_SPACE : 0;
}

static void report(const struct transfer *transfer)
{
	const struct dfota_download *download = transfer->download;

	if (download->progress)
		download->progress(download->context, transfer->part->bytes, transfer->part->total);
}

/* The server's word for the size is held against both limits before a byte is written. */
static int accept_answer(struct transfer *transfer)
{
	const struct answer *answer = &transfer->answer;
	uint64_t max = transfer->download->max_bytes;
	struct part *part = transfer->part;
	int error = 0;

	if (answer->sized && max && answer->total > max)
		return DFOTA_E_TOO_LARGE;
	if (answer->verdict == VERDICT_RESTART) {
		transfer->result->lost |= part->bytes > 0;
		error = part_restart(part, answer->validator, answer->total);
	} else if (answer->sized) {
		part->total = answer->total;
	}
	if (!error && answer->sized)
		error = space_check(transfer, answer->total - part->bytes);
	return error;
}

/* False when what follows is of no use; the connection has ended then. */
static bool judge(struct transfer *transfer)
{
	struct answer *answer = &transfer->answer;
	int error;

	if (transfer->judged)
		return true;
	transfer->judged = true;
	answer_judge(transfer->easy, transfer->part, transfer->download->url->scheme,
		     transfer->asked, answer);
	switch (answer->verdict) {
	case VERDICT_APPEND:
	case VERDICT_RESTART:
		error = accept_answer(transfer);
		if (error)
			fail(transfer, error);
		else
			report(transfer);
		return !error;
	case VERDICT_COMPLETE:
		transfer->part->total = answer->total;
		end(transfer, CONNECTION_DONE, 0, NULL);
		return false;
	case VERDICT_STALE:
		end(transfer, CONNECTION_STALE, 0, answer->why);
		return false;
	case VERDICT_LATER:
		end(transfer, CONNECTION_DROPPED, 0, answer->why);
		return false;
	case VERDICT_REFUSED:
		break;
	}
	end(transfer, CONNECTION_FAILED, DFOTA_E_TRANSFER, answer->why);
	return false;
}

static int take(struct transfer *transfer, const char *data, size_t bytes)
{
	uint64_t max = transfer->download->max_bytes;
	struct part *part = transfer->part;
	int error;

	if (max && (part->bytes > max || bytes > max - part->bytes))
		return DFOTA_E_TOO_LARGE;
	error = space_check(transfer, bytes);
	return error ? error : part_add(part, data, bytes);
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	struct answer *answer = &transfer->answer;
	size_t bytes = size * count;
	int error;

	heard(transfer);
	if (bytes == 0)
		return 0;
	if (!judge(transfer))
		return 0;
	if (answer->sized && bytes > answer->end - transfer->part->bytes) {
		end(transfer, CONNECTION_STALE, 0, "the server sends more than it announced");
		return 0;
	}
	error = take(transfer, data, bytes);
	if (error) {
		fail(transfer, error);
		return 0;
	}
	transfer->result->brought = true;
	report(transfer);
	return bytes;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t bytes = size * count;
	long status = 0;

	heard(transfer);
	transfer->header_bytes += bytes;
	if (transfer->header_bytes > HEADER_BYTES) {
		end(transfer, CONNECTION_FAILED, DFOTA_E_TRANSFER,
		    "the server's headers do not end");
		return 0;
	}
	if (transfer->download->url->scheme == DFOTA_SCHEME_FTP || bytes > 2 || *data != '\r')
		return bytes;
	(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	transfer->headed = status / 100 != 1 && status / 100 != 3; /* others follow */
	return bytes;
}

/* Connected, the request goes out: from here on silence is counted. */
static int on_request(void *context, char *remote, char *local, int remote_port, int local_port)
{
	(void)remote;
	(void)local;
	(void)remote_port;
	(void)local_port;
	heard(context);
	return CURL_PREREQFUNC_OK;
}

/* Also called where libcurl waits by itself: for the last reply of an FTP server. */
static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
		       curl_off_t up_now)
{
	(void)total;
	(void)now;
	(void)up_total;
	(void)up_now;
	return stopped(context);
}

#define SET(option, value) (bad |= curl_easy_setopt(easy, option, value) != CURLE_OK)

static bool set_callbacks(struct transfer *transfer)
{
	CURL *easy = transfer->easy;
	bool bad = false;

	SET(CURLOPT_WRITEFUNCTION, on_data);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_PREREQFUNCTION, on_request);
	SET(CURLOPT_PREREQDATA, transfer);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, transfer);
	SET(CURLOPT_NOPROGRESS, 0L);
	return !bad;
}

/* ---- how it ended ------------------------------------------------------------------------------
 */

static const struct {
	CURLcode code;
	enum connection_end end;
	const char *why;
} causes[] = {
	/* clang-format off */
	{ CURLE_COULDNT_RESOLVE_HOST, CONNECTION_DROPPED, "the server's name cannot be resolved" },
	{ CURLE_COULDNT_CONNECT,      CONNECTION_DROPPED, "the server cannot be reached" },
	{ CURLE_INTERFACE_FAILED,     CONNECTION_DROPPED, "the network interface is not there" },
	{ CURLE_OPERATION_TIMEDOUT,   CONNECTION_DROPPED, "the server does not answer in time" },
	{ CURLE_SSL_CONNECT_ERROR,    CONNECTION_DROPPED, "TLS with the server failed" },
	{ CURLE_GOT_NOTHING,          CONNECTION_DROPPED, "the server closed without an answer" },
	{ CURLE_PARTIAL_FILE,         CONNECTION_DROPPED, "the connection broke before the end" },
	{ CURLE_RECV_ERROR,           CONNECTION_DROPPED, "the connection broke" },
	{ CURLE_SEND_ERROR,           CONNECTION_DROPPED, "the connection broke" },
	{ CURLE_BAD_DOWNLOAD_RESUME,  CONNECTION_STALE,   "the server has less of the file than was there before" },
	{ CURLE_FTP_COULDNT_USE_REST, CONNECTION_STALE,   "the server cannot continue a download" },
	{ CURLE_SSL_CACERT_BADFILE,   CONNECTION_FAILED,  "the file of trusted certificates cannot be read" },
	{ CURLE_LOGIN_DENIED,         CONNECTION_FAILED,  "the server refuses user or password" },
	{ CURLE_REMOTE_ACCESS_DENIED, CONNECTION_FAILED,  "the server refuses the folder" },
	{ CURLE_REMOTE_FILE_NOT_FOUND,CONNECTION_FAILED,  "the server does not have the file" },
	{ CURLE_TOO_MANY_REDIRECTS,   CONNECTION_FAILED,  "the server redirects too often" },
	{ CURLE_UNSUPPORTED_PROTOCOL, CONNECTION_FAILED,  "the server's answer is not HTTP or leads elsewhere" },
	{ CURLE_LOGIN_DENIED,         CONNECTION_FAILED,  "the server refuses user or password" },
	{ CURLE_URL_MALFORMAT,        CONNECTION_FAILED,  "the server redirects to what is no URL" },
	/* clang-format on */
};

static const char *certificate_why(CURL *easy)
{
	long why = X509_V_OK;

	(void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &why);
	switch (why) {
	case X509_V_OK:
	case X509_V_ERR_UNSPECIFIED: /* libcurl's own check, after that of the chain */
		return "the server's certificate is not for this name";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "the server's certificate is not yet valid by this clock";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "the server's certificate has expired by this clock";
	default:
		return "the server's certificate is not trusted";
	}
}

static void end_badly(struct transfer *transfer, CURLcode code)
{
	long reply = 0;

	if (code == CURLE_PEER_FAILED_VERIFICATION) {
		end(transfer, CONNECTION_FAILED, DFOTA_E_TRANSFER, certificate_why(transfer->easy));
		return;
	}
	if (code == CURLE_FTP_COULDNT_RETR_FILE) {
		(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &reply);
		end(transfer, reply / 100 == 5 ? CONNECTION_FAILED : CONNECTION_DROPPED,
		    DFOTA_E_TRANSFER, "the server does not give the file");
		return;
	}
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (causes[i].code == code)
			end(transfer, causes[i].end, DFOTA_E_TRANSFER, causes[i].why);
	end(transfer, CONNECTION_DROPPED, DFOTA_E_TRANSFER, "the server cannot be understood");
}

/* libcurl is content. The file is whole only if it ends where the server said it would. */
static void end_well(struct transfer *transfer)
{
	const struct part *part = transfer->part;

	if (!judge(transfer))
		return;
	if (part->total && part->bytes < part->total)
		end(transfer, CONNECTION_DROPPED, DFOTA_E_TRANSFER, "the file came short");
	else
		end(transfer, CONNECTION_DONE, 0, NULL);
}

/* ---- run ---------------------------------------------------------------------------------------
 */

/* Between libcurl's steps. False ends the connection. */
static bool look_after(struct transfer *transfer)
{
	uint64_t now = connection_clock();
	int error;

	if (stopped(transfer))
		return false;
	if (transfer->deadline && now >= transfer->deadline) {
		end(transfer, CONNECTION_DROPPED, DFOTA_E_TRANSFER, "the server fell silent");
		return false;
	}
	if (now - transfer->synced < SYNC_MS)
		return true;
	transfer->synced = now;
	error = part_sync(transfer->part);
	if (error)
		fail(transfer, error);
	return !error;
}

static void drive(struct transfer *transfer, CURLM *multi)
{
	int running = 1, left;
	CURLMsg *message;

	while (look_after(transfer)) {
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			break;
		if (transfer->headed && !judge(transfer))
			break; /* not to wait for a body of no use */
		message = curl_multi_info_read(multi, &left);
		if (message && message->data.result == CURLE_OK)
			end_well(transfer);
		else if (message)
			end_badly(transfer, message->data.result);
		if (message || curl_multi_poll(multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
			break;
	}
	end(transfer, CONNECTION_FAILED, DFOTA_E_TRANSFER, "the transfer library failed");
}

/* After a server that cannot be trusted with the rest, and on disk before the next try. */
static void settle(struct transfer *transfer)
{
	struct connection *result = transfer->result;
	int error = 0;

	if (result->end == CONNECTION_STALE) {
		result->lost = true;
		error = part_restart(transfer->part, "", 0);
	} else if (result->error != DFOTA_E_IO && result->error != DFOTA_E_SPACE) {
		error = part_sync(transfer->part);
	}
	if (!error || result->end == CONNECTION_FAILED)
		return;
	result->end = CONNECTION_FAILED;
	result->error = error;
}

void connection_run(const struct dfota_download *download, struct part *part,
		    struct connection *ret_connection)
{
	struct transfer transfer = {
		.download = download,
		.part = part,
		.result = ret_connection,
		.easy = curl_easy_init(),
		.asked = part->bytes > 0 && *part->validator,
		.synced = connection_clock(),
	};
	CURLM *multi = curl_multi_init();

	*ret_connection = (struct connection){ 0 };
	if (multi && transfer.easy && set_callbacks(&transfer) &&
	    request_set(transfer.easy, download, part, transfer.asked, &transfer.headers) &&
	    curl_multi_add_handle(multi, transfer.easy) == CURLM_OK) {
		drive(&transfer, multi);
		(void)curl_multi_remove_handle(multi, transfer.easy);
	} else {
		end(&transfer, CONNECTION_FAILED, DFOTA_E_TRANSFER,
		    "the transfer library cannot be set up");
	}
	curl_easy_cleanup(transfer.easy);
	curl_multi_cleanup(multi);
	curl_slist_free_all(transfer.headers);
	settle(&transfer);
}
