/* SPDX-License-Identifier: MIT
 *
 * The host's side: a port, commands on it, and the whole upgrade procedure with any such module.
 */
#ifndef DFOTA_HOST_H
#define DFOTA_HOST_H

#include "dfota/at.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An open AT port: tty, pty or a symlink to one. Exclusive (TIOCEXCL, flock), raw, 115200 8N1 on real serial lines. */
struct dfota_port;

/* Waits up to timeout_ms for `path` to exist and open. Errors: DFOTA_E_NOT_FOUND, DFOTA_E_BUSY, DFOTA_E_IO. */
int dfota_port_open(struct dfota_port **ret_port, const char *path, uint32_t timeout_ms)
	DFOTA_MUST_CHECK;
void dfota_port_close(struct dfota_port *port); /* NULL allowed */

/* Next event within timeout_ms. DFOTA_E_TIMEOUT; DFOTA_E_IO when the port has gone. */
int dfota_port_event(struct dfota_port *port, uint32_t timeout_ms, struct dfota_at_event *ret_event)
	DFOTA_MUST_CHECK;

/* Sends `command` and CR; calls `line` for each line of the response until the final result code. URCs that come in
 * between are kept for dfota_port_event. Errors: DFOTA_E_REFUSED (*ret_cme = code or -1), DFOTA_E_TIMEOUT, DFOTA_E_IO.
 */
int dfota_port_command(struct dfota_port *port, const char *command, uint32_t timeout_ms,
		       void (*line)(void *context, const char *text), void *context, int *ret_cme)
	DFOTA_MUST_CHECK;

/* Uploads a file with AT+QFUPL in acknowledgement mode and compares count and checksum. */
int dfota_port_upload(struct dfota_port *port, const char *path, const char *name,
		      void (*progress)(void *context, uint64_t done, uint64_t total), void *context)
	DFOTA_MUST_CHECK;

enum dfota_upgrade_source { DFOTA_UPGRADE_FILE, DFOTA_UPGRADE_URL, DFOTA_UPGRADE_UFS };

enum dfota_upgrade_stage {
	DFOTA_STAGE_CONNECT, DFOTA_STAGE_UPLOAD, DFOTA_STAGE_REQUEST, DFOTA_STAGE_DOWNLOAD,
	DFOTA_STAGE_REBOOT, DFOTA_STAGE_UPDATE, DFOTA_STAGE_RESTART, DFOTA_STAGE_CHECK, DFOTA_STAGE_DONE
};

struct dfota_upgrade {
	const char *port;
	enum dfota_upgrade_source source;
	const char *target;         /* package file, URL or name in the UFS */
	const char *expect_version; /* or NULL: for FILE the package's; otherwise only "it changed" */
	uint32_t first_urc_timeout_ms; /* SPEC A9; 0 = 90 s */
	uint32_t download_timeout_ms;  /* between HTTPSTART and HTTPEND without an end; 0 = 1 h */
	/* done, total: bytes in UPLOAD, percent of 100 in UPDATE, 0 otherwise. text: URC, version or cause. */
	void (*progress)(void *context, enum dfota_upgrade_stage stage, uint64_t done,
			 uint64_t total, const char *text);
	void *context;
};

struct dfota_upgrade_result {
	int error;             /* 0 or enum dfota_error */
	int code;              /* last DFOTA code: 0, 5xx, 601, 701; -1 when none came */
	char from[65], to[65]; /* versions that ATI told before and after; empty when unknown */
	uint32_t attempts;     /* START URCs seen */
	char message[256];     /* what happened, what was left untouched, what to do next */
};

/* The whole procedure; returns result->error. */
int dfota_upgrade_run(const struct dfota_upgrade *upgrade, struct dfota_upgrade_result *ret_result)
	DFOTA_MUST_CHECK;

/* Version from an ATI response's lines ("Revision: X"), also bare AT+CGMR style; false when there is none. */
bool dfota_version_from_line(const char *line, char ret_version[65]);

#ifdef __cplusplus
}
#endif
#endif
