/* SPDX-License-Identifier: MIT
 *
 * What libcurl is told for one connection.
 */
#include "request.h"

#include <inttypes.h>
#include <stdio.h>

#define REDIRECTS      5L
#define URL_BYTES      (3 * DFOTA_URL_MAX + 64)
#define TIMEOUT_S      30
#define TIMEOUT_S_MOST (24u * 60 * 60)

struct request {
	CURL *easy;
	const struct dfota_download *download;
	const struct part *part;
	bool asked;
	struct curl_slist **headers;
};

uint32_t request_timeout_s(uint32_t given)
{
	if (given == 0)
		return TIMEOUT_S;
	return given < TIMEOUT_S_MOST ? given : TIMEOUT_S_MOST;
}

/* For ftp, ';' would begin a transfer type and '?' a query: there they are part of the name. */
static void url_text(const struct dfota_url *url, char *text)
{
	static const char *const schemes[] = { "ftp", "http", "https" };
	bool brackets = strchr(url->host, ':') != NULL;
	int length = snprintf(text, URL_BYTES, "%s://%s%s%s:%u", schemes[url->scheme],
			      brackets ? "[" : "", url->host, brackets ? "]" : "", url->port);
	char *to = text + length;

	for (const char *from = url->path; *from; from++) {
		if (url->scheme == DFOTA_SCHEME_FTP && (*from == ';' || *from == '?'))
			to += snprintf(to, 4, "%%%02X", (unsigned char)*from);
		else
			*to++ = *from;
	}
	*to = '\0';
}

#define SET(option, value) (bad |= curl_easy_setopt(easy, option, value) != CURLE_OK)

/* Nothing of the environment or of the user's files, no protocol but those of the contract. */
static bool set_rules(const struct request *request)
{
	const struct dfota_download *download = request->download;
	enum dfota_scheme scheme = download->url->scheme;
	const char *protocols = scheme == DFOTA_SCHEME_FTP ? "ftp" : "http,https";
	long stall_s = (long)request_timeout_s(download->stall_timeout_s);
	CURL *easy = request->easy;
	bool bad = false;

	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* not to wait for a name lookup when stopped */
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_PROTOCOLS_STR, protocols);
	SET(CURLOPT_REDIR_PROTOCOLS_STR, scheme == DFOTA_SCHEME_HTTP ? "http,https" : "https");
	SET(CURLOPT_FOLLOWLOCATION, scheme == DFOTA_SCHEME_FTP ? 0L : 1L);
	SET(CURLOPT_MAXREDIRS, REDIRECTS);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT, (long)request_timeout_s(download->connect_timeout_s));
	SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, stall_s);
	if (download->interface && *download->interface)
		SET(CURLOPT_INTERFACE, download->interface);
	return !bad;
}

static bool set_https(const struct request *request)
{
	const char *ca_file = request->download->ca_file;
	CURL *easy = request->easy;
	bool bad = false;

	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (ca_file && *ca_file) {
		SET(CURLOPT_CAINFO, ca_file);
		SET(CURLOPT_CAPATH, NULL); /* this file alone, not the system's beside it */
	}
	return !bad;
}

static bool add_header(const struct request *request, const char *header)
{
	struct curl_slist *longer = curl_slist_append(*request->headers, header);

	if (longer)
		*request->headers = longer;
	return longer != NULL;
}

static bool set_http(const struct request *request)
{
	char text[PART_VALIDATOR_MAX + 32];
	CURL *easy = request->easy;
	bool bad = false;

	SET(CURLOPT_USERAGENT, "dfota/" DFOTA_VERSION);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= !add_header(request, "Accept-Encoding: identity");
	if (request->asked) {
		snprintf(text, sizeof(text), "%" PRIu64 "-", request->part->bytes);
		SET(CURLOPT_RANGE, text);
		snprintf(text, sizeof(text), "If-Range: %s", request->part->validator);
		bad |= !add_header(request, text);
	}
	SET(CURLOPT_HTTPHEADER, *request->headers);
	return !bad;
}

static bool set_ftp(const struct request *request)
{
	const struct dfota_url *url = request->download->url;
	CURL *easy = request->easy;
	bool bad = false;

	SET(CURLOPT_FILETIME, 1L); /* asks for MDTM */
	if (*url->user) {
		SET(CURLOPT_USERNAME, url->user);
		SET(CURLOPT_PASSWORD, url->password);
	}
	if (request->asked)
		SET(CURLOPT_RESUME_FROM_LARGE, (curl_off_t)request->part->bytes);
	return !bad;
}

bool request_set(CURL *easy, const struct dfota_download *download, const struct part *part,
		 bool asked, struct curl_slist **headers)
{
	const struct request request = { easy, download, part, asked, headers };
	bool bad = false;
	char text[URL_BYTES];

	url_text(download->url, text);
	SET(CURLOPT_URL, text);
	if (bad || !set_rules(&request) || !set_https(&request))
		return false;
	return download->url->scheme == DFOTA_SCHEME_FTP ? set_ftp(&request) : set_http(&request);
}
