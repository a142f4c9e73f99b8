/* SPDX-License-Identifier: MIT
 *
 * One run of the upgrade procedure: what its two halves (upgrade.c up to the request, follow.c from
 * there on) share.
 */
#ifndef DFOTA_HOST_RUN_H
#define DFOTA_HOST_RUN_H

#include "port.h"

#define RUN_NAME_PATHS 3 /* spellings under which modules know a file of their store */

struct run {
	struct dfota_upgrade u; /* times filled in */
	struct dfota_upgrade_result *result;
	struct dfota_port *port; /* NULL while it is gone */
	bool placed;		 /* `place` is known and followed */
	struct dfota_usb_place place;
	char device[DFOTA_DEVICE_MAX + 1]; /* u.port once another name was found */
	enum dfota_upgrade_stage stage;
	bool staged;				  /* `stage` was reported */
	char store_name[DFOTA_HOST_NAME_MAX + 1]; /* what was uploaded; empty if nothing was */
};

/* Opens the port, wherever it is by now; errors as dfota_port_open. */
int run_open(struct run *run, uint32_t timeout_ms) DFOTA_MUST_CHECK;

/* Reports the stage unless it lasts already; UPDATE begins anew with each attempt. */
void run_stage(struct run *run, enum dfota_upgrade_stage stage);
void run_event(struct run *run, enum dfota_upgrade_event_kind kind, uint64_t done, uint64_t total,
	       const char *text);
void run_note(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets result->error and the message; returns `error`. */
int run_fail(struct run *run, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The message for `error` of the port, in words for people; STOPPED tells how things go on. */
int run_fail_port(struct run *run, int error, const char *doing);

/* Message and error for a code of the module. */
int run_fail_code(struct run *run, int code, bool came_back);

/* Reads the version into `version` (of the result) and reports it. Errors: as dfota_port_version.
 */
int run_version(struct run *run, char version[DFOTA_HOST_VERSION_MAX + 1]);

/* True when the module says by its version that an upgrade was given up halfway: that is no new
 * version. */
bool run_unfinished(const struct run *run);

/* True if result->to is what the upgrade was to lead to. */
bool run_reached(const struct run *run);

/* True for a code that says: this package will not do, however often it is tried. */
bool run_code_refuses(int code);

/* What to do about `error` from before the request was accepted: follows an upgrade that is under
 * way already, if there is one. Else returns `error`, and the message for it stays. */
int run_rejoin(struct run *run, int error);

/* Waits for news of an upgrade that is under way and follows it. Returns result->error. */
int run_watch(struct run *run);

/* From the accepted request to the end. Returns result->error. */
int run_follow(struct run *run);

#endif
