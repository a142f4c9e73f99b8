/* SPDX-License-Identifier: MIT
 *
 * URLs as AT+QFOTADL takes them, and a download into a file that survives drops and power cuts.
 *
 * Rows A4-A8. The rules for a URL are checked before anything is sent; the download itself runs on
 * libcurl: FTP (passive), HTTP, HTTPS (always verified). Blocking: call it from a thread.
 */
#ifndef DFOTA_TRANSPORT_H
#define DFOTA_TRANSPORT_H

#include "dfota/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_URL_MAX 512 /* bytes of the parameter */

enum dfota_scheme { DFOTA_SCHEME_FTP, DFOTA_SCHEME_HTTP, DFOTA_SCHEME_HTTPS };

struct dfota_url {
	enum dfota_scheme scheme;
	uint16_t port;                    /* 21, 80, 443 unless given; 1..65535 */
	char user[DFOTA_URL_MAX + 1];     /* ftp only; empty = anonymous; percent-decoded */
	char password[DFOTA_URL_MAX + 1];
	char host[DFOTA_URL_MAX + 1];     /* name, IPv4, or IPv6 without its brackets */
	char path[DFOTA_URL_MAX + 1];     /* starts with '/', at least one byte after it */
};

/* Parses exactly `bytes` bytes. DFOTA_E_URL for: over 512 bytes, other scheme (scheme is case-insensitive), empty host or path, port
 * absent after ':' or 0 or > 65535 or not digits, control bytes, spaces, quotes or bytes >= 0x7f, malformed percent
 * escapes or escaped control bytes, user info in http(s), fragment, `..` path segments. *ret_url is untouched then.
 */
int dfota_url_parse(const char *text, size_t bytes, struct dfota_url *ret_url) DFOTA_MUST_CHECK;

/* The URL for people and logs: password replaced by "***". `ret_text` has DFOTA_URL_MAX + 8 bytes. */
void dfota_url_redact(const struct dfota_url *url, char *ret_text);

struct dfota_download {
	const struct dfota_url *url;
	const char *part_path;   /* where bytes go: "<state>/download.part" */
	const char *meta_path;   /* what they belong to (URL without password, validator, size): "<state>/download.meta" */
	const char *ca_file;     /* PEM bundle for https; NULL or empty = the system's */
	const char *interface;   /* network interface or source address of the data call; NULL = any */
	uint64_t max_bytes;      /* DFOTA_E_TOO_LARGE beyond, told by header or count; 0 = no limit */
	uint64_t keep_free_bytes;/* DFOTA_E_SPACE when fewer would remain on the file system of part_path */
	uint32_t connect_timeout_s; /* 0 = 30 */
	uint32_t stall_timeout_s;   /* no byte for so long is a drop; 0 = 30 */
	uint32_t tries;             /* connections in all before giving up, a try that brought bytes does not count; 0 = 3 */
	bool (*stop)(void *context);                                       /* or NULL */
	void (*progress)(void *context, uint64_t done, uint64_t total);    /* total 0 = unknown; or NULL */
	void *context;
};

/* Downloads to part_path; continues what an earlier call left there when it is of the same URL and the server
 * proves that the file is the same (HTTP: If-Range with a strong ETag or Last-Modified; FTP: same size and MDTM); otherwise
 * starts again. On success part_path is complete and synced. On failure what came is kept for the next call,
 * except after TOO_LARGE and SPACE, when it is removed. A power cut leaves a part that the next call can use.
 * Errors: DFOTA_E_TRANSFER (with *ret_why, static text), DFOTA_E_TOO_LARGE, DFOTA_E_SPACE, DFOTA_E_IO, DFOTA_E_STOPPED.
 */
int dfota_download_run(const struct dfota_download *download, uint64_t *ret_bytes,
		       const char **ret_why) DFOTA_MUST_CHECK;

/* Once per process, before any thread: libcurl's global state. */
int dfota_transport_start(void) DFOTA_MUST_CHECK;
void dfota_transport_finish(void);

#ifdef __cplusplus
}
#endif
#endif
