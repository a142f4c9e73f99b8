/* SPDX-License-Identifier: MIT
 *
 * Judges what a server says before the bytes come.
 */
#include "answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static void conclude(struct answer *answer, enum verdict verdict, const char *why)
{
	answer->verdict = verdict;
	answer->why = why;
}

/* ---- HTTP headers ------------------------------------------------------------------------------
 */

/* Value of a header of the last response; NULL when absent or, what no honest server does, doubled.
 */
static const char *header(CURL *easy, const char *name)
{
	struct curl_header *found;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &found) != CURLHE_OK)
		return NULL;
	return found->amount == 1 ? found->value : NULL;
}

static bool number(const char **text, uint64_t *ret_number)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*ret_number = strtoull(*text, &end, 10);
	*text = end;
	return errno == 0;
}

static bool skip(const char **text, const char *what)
{
	size_t bytes = strlen(what);

	if (strncasecmp(*text, what, bytes) != 0)
		return false;
	*text += bytes;
	return true;
}

bool answer_range_parse(const char *text, uint64_t *ret_first, uint64_t *ret_last,
			uint64_t *ret_total)
{
	uint64_t first, last, total;

	if (!skip(&text, "bytes ") || !number(&text, &first) || !skip(&text, "-") ||
	    !number(&text, &last) || !skip(&text, "/") || !number(&text, &total) || *text)
		return false;
	if (first > last || last >= total)
		return false;
	*ret_first = first;
	*ret_last = last;
	*ret_total = total;
	return true;
}

/* Printable and not long, so that it fits a line of the note and a header. */
static bool validator_fits(const char *text)
{
	size_t bytes = strlen(text);

	for (const char *p = text; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			return false;
	return bytes > 0 && bytes <= PART_VALIDATOR_MAX;
}

void answer_validator_pick(const char *etag, const char *modified, const char *date,
			   char *ret_validator)
{
	size_t bytes = etag ? strlen(etag) : 0;
	const char *chosen = "";
	time_t then, now;

	if (bytes > 2 && etag[0] == '"' && etag[bytes - 1] == '"' && validator_fits(etag)) {
		chosen = etag;
	} else if (modified && date && validator_fits(modified)) {
		then = curl_getdate(modified, NULL);
		now = curl_getdate(date, NULL);
		if (then != (time_t)-1 && now != (time_t)-1 && then < now)
			chosen = modified;
	}
	memcpy(ret_validator, chosen, strlen(chosen) + 1);
}

static void http_validator(CURL *easy, struct answer *answer)
{
	answer_validator_pick(header(easy, "ETag"), header(easy, "Last-Modified"),
			      header(easy, "Date"), answer->validator);
}

/* Bytes of the body; false when the server does not say. */
static bool length(CURL *easy, uint64_t *ret_bytes)
{
	curl_off_t bytes = -1;

	if (curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &bytes) || bytes < 0)
		return false;
	*ret_bytes = (uint64_t)bytes;
	return true;
}

/* ---- HTTP --------------------------------------------------------------------------------------
 */

static bool encoded(CURL *easy)
{
	struct curl_header *found;

	return curl_easy_header(easy, "Content-Encoding", 0, CURLH_HEADER, -1, &found) ==
		   CURLHE_OK &&
	       strcasecmp(found->value, "identity") != 0;
}

/* 200: the whole file. Without a length and without chunks its end could not be told from a drop.
 */
static void http_whole(CURL *easy, struct answer *answer)
{
	struct curl_header *found;

	answer->sized = length(easy, &answer->total);
	answer->end = answer->total;
	http_validator(easy, answer);
	if (!answer->sized &&
	    curl_easy_header(easy, "Transfer-Encoding", 0, CURLH_HEADER, -1, &found) != CURLHE_OK)
		conclude(answer, VERDICT_REFUSED, "the server does not tell where the file ends");
	else
		conclude(answer, VERDICT_RESTART, NULL);
}

/* 206: the same file, from where the part ends, and of the length it had. */
static void http_rest(CURL *easy, const struct part *part, struct answer *answer)
{
	const char *range = header(easy, "Content-Range");
	uint64_t first, last, bytes;

	conclude(answer, VERDICT_STALE, "the server sends another part of the file than asked for");
	if (!range || !answer_range_parse(range, &first, &last, &answer->total) ||
	    first != part->bytes || (length(easy, &bytes) && bytes != last - first + 1))
		return;
	http_validator(easy, answer);
	if (strcmp(answer->validator, part->validator) != 0 ||
	    (part->total && part->total != answer->total)) {
		answer->why = "the file changed on the server";
		return;
	}
	answer->sized = true;
	answer->end = last + 1;
	conclude(answer, VERDICT_APPEND, NULL);
}

/* 416: nothing behind the part. That is the end only if it is of the same file. */
static void http_beyond(CURL *easy, const struct part *part, struct answer *answer)
{
	const char *text = header(easy, "Content-Range");
	uint64_t total;

	conclude(answer, VERDICT_STALE, "the server has less of the file than was there before");
	if (!text || !skip(&text, "bytes */") || !number(&text, &total) || *text)
		return;
	http_validator(easy, answer);
	if (total != part->bytes || (part->total && part->total != total) ||
	    strcmp(answer->validator, part->validator) != 0)
		return;
	answer->sized = true;
	answer->total = answer->end = total;
	conclude(answer, VERDICT_COMPLETE, NULL);
}

static const struct {
	long first, last;
	enum verdict verdict;
	const char *why;
} statuses[] = {
	/* clang-format off */
	{ 300, 399, VERDICT_REFUSED, "the server redirects without saying where (HTTP 3xx)" },
	{ 401, 401, VERDICT_REFUSED, "the server asks for a password (HTTP 401)" },
	{ 403, 403, VERDICT_REFUSED, "the server forbids it (HTTP 403)" },
	{ 404, 404, VERDICT_REFUSED, "the server does not have the file (HTTP 404)" },
	{ 407, 407, VERDICT_REFUSED, "a proxy asks for a password (HTTP 407)" },
	{ 408, 408, VERDICT_LATER,   "the server did not wait (HTTP 408)" },
	{ 410, 410, VERDICT_REFUSED, "the server has the file no more (HTTP 410)" },
	{ 416, 416, VERDICT_REFUSED, "the server refuses a range that was not asked for (HTTP 416)" },
	{ 425, 425, VERDICT_LATER,   "the server is not ready (HTTP 425)" },
	{ 429, 429, VERDICT_LATER,   "the server has too much to do (HTTP 429)" },
	{ 400, 499, VERDICT_REFUSED, "the server refuses the request (HTTP 4xx)" },
	{ 501, 501, VERDICT_REFUSED, "the server cannot do this (HTTP 501)" },
	{ 505, 505, VERDICT_REFUSED, "the server does not speak this HTTP (HTTP 505)" },
	{ 503, 503, VERDICT_LATER,   "the server is not available now (HTTP 503)" },
	{ 500, 599, VERDICT_LATER,   "the server failed (HTTP 5xx)" },
	/* clang-format on */
};

static void http_status(long status, struct answer *answer)
{
	conclude(answer, VERDICT_REFUSED, "the server gives an answer that does not fit");
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (status < statuses[i].first || status > statuses[i].last)
			continue;
		conclude(answer, statuses[i].verdict, statuses[i].why);
		return;
	}
}

static void http_judge(CURL *easy, const struct part *part, bool asked, struct answer *answer)
{
	long status = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if ((status == 200 || status == 206) && encoded(easy))
		conclude(answer, VERDICT_REFUSED, "the server sends the file in another coding");
	else if (status == 200)
		http_whole(easy, answer);
	else if (status == 206 && asked)
		http_rest(easy, part, answer);
	else if (status == 206)
		conclude(answer, VERDICT_REFUSED,
			 "the server sends a part where all was asked for");
	else if (status == 416 && asked)
		http_beyond(easy, part, answer);
	else
		http_status(status, answer);
}

/* ---- FTP ---------------------------------------------------------------------------------------
 */

/* A file is the same when its SIZE and MDTM are; libcurl asks for both before RETR. */
static void ftp_judge(CURL *easy, const struct part *part, bool asked, struct answer *answer)
{
	uint64_t start = asked ? part->bytes : 0, bytes;
	curl_off_t time = -1;

	answer->sized = length(easy, &bytes) && !dfota_add64(start, bytes, &answer->total);
	answer->end = answer->total;
	(void)curl_easy_getinfo(easy, CURLINFO_FILETIME_T, &time);
	if (answer->sized && time >= 0)
		snprintf(answer->validator, sizeof(answer->validator), "%" PRIu64 " at %" PRId64,
			 answer->total, (int64_t)time);
	if (!asked)
		conclude(answer, VERDICT_RESTART, NULL);
	else if (*answer->validator && strcmp(answer->validator, part->validator) == 0)
		conclude(answer, VERDICT_APPEND, NULL);
	else
		conclude(answer, VERDICT_STALE, "the file changed on the server");
}

void answer_judge(CURL *easy, const struct part *part, enum dfota_scheme scheme, bool asked,
		  struct answer *ret_answer)
{
	memset(ret_answer, 0, sizeof(*ret_answer));
	if (scheme == DFOTA_SCHEME_FTP)
		ftp_judge(easy, part, asked, ret_answer);
	else
		http_judge(easy, part, asked, ret_answer);
}
