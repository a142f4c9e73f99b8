/* SPDX-License-Identifier: MIT
 *
 * Private to transport: what libcurl is told for one connection.
 */
#ifndef DFOTA_TRANSPORT_REQUEST_H
#define DFOTA_TRANSPORT_REQUEST_H

#include <curl/curl.h>

#include "part.h"

/* Sets URL, rules and the request itself: for the bytes behind the part when `asked`, else for all.
 * The caller frees *headers (NULL before) after the transfer. False when libcurl takes an option
 * not.
 */
bool request_set(CURL *easy, const struct dfota_download *download, const struct part *part,
		 bool asked, struct curl_slist **headers);

/* Seconds that a timeout of the contract means. */
uint32_t request_timeout_s(uint32_t given);

#endif
