/* SPDX-License-Identifier: MIT
 *
 * PDP contexts: what AT+CGDCONT defines (durable) and who holds which data call (until the next boot). Rows D1-D3.
 */
#ifndef DFOTA_MODULE_CONTEXTS_H
#define DFOTA_MODULE_CONTEXTS_H

#include "config.h"
#include "records.h"

#define CONTEXT_TYPE_MAX 6  /* bytes: "IPV4V6" */
#define CONTEXT_APN_MAX  40 /* bytes; all contexts fit one record */

struct context {
	bool defined, active; /* active: the host holds a data call on it */
	char type[CONTEXT_TYPE_MAX + 1], apn[CONTEXT_APN_MAX + 1];
};

struct contexts {
	struct module_record record;
	struct context contexts[MODULE_CONTEXTS_MAX]; /* context identifier - 1 */
	uint32_t claimed;                             /* identifier the module itself uses; 0 = none */
};

/* Context 1 is defined, type IP and the network's own APN, while nothing else was ever said. */
int contexts_open(struct contexts *contexts, const char *path) DFOTA_MUST_CHECK;
void contexts_close(struct contexts *contexts);

/* Defines (or, with type NULL, removes) context `id`, durably. DFOTA_E_BUSY while a data call uses it;
 * DFOTA_E_ARGUMENT for an identifier, type or APN out of bounds.
 */
int contexts_define(struct contexts *contexts, uint64_t id, const char *type, const char *apn)
	DFOTA_MUST_CHECK;

/* The host's data call. DFOTA_E_BUSY when the module itself uses that APN, DFOTA_E_NOT_FOUND when it is not defined. */
int contexts_activate(struct contexts *contexts, uint64_t id, bool active) DFOTA_MUST_CHECK;

/* The module's own. DFOTA_E_BUSY while the host holds a data call on that APN, DFOTA_E_NOT_FOUND as above. */
int contexts_claim(struct contexts *contexts, uint64_t id) DFOTA_MUST_CHECK;
void contexts_release(struct contexts *contexts);

#endif
