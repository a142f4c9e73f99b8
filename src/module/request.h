/* SPDX-License-Identifier: MIT
 *
 * What AT+QFOTADL asks of the request.
 */
#ifndef DFOTA_MODULE_REQUEST_H
#define DFOTA_MODULE_REQUEST_H

#include "daemon.h"

/* Both: only when request_busy() is false; on error nothing has begun. The rest goes on by request_turn. */
int request_local(struct daemon *daemon, const char *name, bool reset) DFOTA_MUST_CHECK;
int request_url(struct daemon *daemon, const char *text, size_t bytes, bool reset,
		uint64_t timeout_s) DFOTA_MUST_CHECK;

/* True while a request is about to take that file of the store. */
bool request_takes(const struct daemon *daemon, const char *name);

#endif
