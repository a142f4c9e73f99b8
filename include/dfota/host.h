/* SPDX-License-Identifier: MIT
 *
 * The host's side: a port, commands on it, and the whole upgrade procedure with any such module.
 *
 * Rows A1, A3, A8-A11 and E2-E4 of the requirements, seen from the other end of the wire. What the
 * module sends is not trusted: lines are bounded, and every text that leaves this room holds
 * printable ASCII only. This room blocks (poll), reads the monotonic clock, and neither logs nor
 * prints. One port belongs to one thread.
 */
#ifndef DFOTA_HOST_H
#define DFOTA_HOST_H

#include "dfota/at.h"
#include "dfota/discover.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_HOST_VERSION_MAX 64    /* bytes of a version name */
#define DFOTA_HOST_NAME_MAX    80    /* bytes of a file name in the module's store */
#define DFOTA_HOST_ANSWER_MS   20000 /* default time for a module's first answer */

/* ---- port --------------------------------------------------------------------------------- */

/* An open AT port: tty, pty or a symlink to one. Exclusive (TIOCEXCL, flock), raw, 115200 8N1 on
 * real serial lines. */
struct dfota_port;

/* Polled about every 100 ms wherever this room waits; true ends the call with DFOTA_E_STOPPED. */
struct dfota_host_stop {
	bool (*asked)(void *context); /* NULL: never */
	void *context;
};

/* Sees every byte of a port, as it is read and written: for logs. `data` is NULL for OPENED and
 * CLOSED. */
enum dfota_host_tap_kind { DFOTA_TAP_OPENED, DFOTA_TAP_CLOSED, DFOTA_TAP_SENT, DFOTA_TAP_RECEIVED };

struct dfota_host_tap {
	void (*seen)(void *context, enum dfota_host_tap_kind kind, const void *data,
		     size_t bytes); /* or NULL */
	void *context;
};

/* Waits up to timeout_ms for `path` to exist and open; symlinks are followed anew at each try.
 * `stop` may be NULL; it is copied and serves all calls on the port. Errors: DFOTA_E_NOT_FOUND,
 * DFOTA_E_BUSY (another program holds the port), DFOTA_E_IO, DFOTA_E_ARGUMENT (not a terminal
 * device), DFOTA_E_MEMORY, DFOTA_E_STOPPED.
 */
int dfota_port_open(struct dfota_port **ret_port, const char *path, uint32_t timeout_ms,
		    const struct dfota_host_stop *stop) DFOTA_MUST_CHECK;
/* The same at another speed (dfota_port_baud_ok; 0: 115200), with RTS/CTS or without. */
int dfota_port_open_serial(struct dfota_port **ret_port, const char *path, uint32_t baud, bool flow,
			   uint32_t timeout_ms, const struct dfota_host_stop *stop) DFOTA_MUST_CHECK;
void dfota_port_close(struct dfota_port *port); /* NULL allowed */

/* From now on; what is told first is OPENED. `tap` is copied. */
void dfota_port_tap(struct dfota_port *port, const struct dfota_host_tap *tap);

/* Whether a serial line can be opened at this speed; 0 stands for 115200. */
bool dfota_port_baud_ok(uint32_t baud);

/* Throws away what arrived before, until the line is quiet (at most half a second), kept events
 * included. */
void dfota_port_drop_input(struct dfota_port *port);

/* Makes sure that a module listens: AT until it answers, out of a data mode that was left open too,
 * then echo off and CME codes as far as it can. Events that come meanwhile are kept. Errors:
 * DFOTA_E_TIMEOUT, DFOTA_E_IO, DFOTA_E_STOPPED.
 */
int dfota_port_greet(struct dfota_port *port, uint32_t timeout_ms) DFOTA_MUST_CHECK;

/* Next event within timeout_ms, kept ones first. Errors: DFOTA_E_TIMEOUT; DFOTA_E_IO when the port
 * has gone or its path leads to another device by now; DFOTA_E_STOPPED. The event's text is valid
 * until the next call.
 */
int dfota_port_event(struct dfota_port *port, uint32_t timeout_ms,
		     struct dfota_at_event *ret_event) DFOTA_MUST_CHECK;

/* Sends `command` and CR; calls `line` (may be NULL) for each line of the response before the final
 * result code; the echo is left out. URCs that come in between are kept for dfota_port_event.
 * Errors: DFOTA_E_REFUSED
 * (*ret_cme, if not NULL, = code or -1), DFOTA_E_TIMEOUT, DFOTA_E_IO, DFOTA_E_STOPPED,
 * DFOTA_E_ARGUMENT (control bytes or more than DFOTA_AT_LINE_MAX bytes: nothing was sent). Is not
 * repeated: the caller knows whether that is safe.
 */
int dfota_port_command(struct dfota_port *port, const char *command, uint32_t timeout_ms,
		       void (*line)(void *context, const char *text), void *context,
		       int *ret_cme) DFOTA_MUST_CHECK;

/* The final result code of the last command as the module wrote it; "" when none came. */
const char *dfota_port_final(const struct dfota_port *port);

/* Sends the `bytes` of `file` (a readable descriptor, read from offset 0) with AT+QFUPL in
 * acknowledgement mode and compares count and checksum. Nothing of that name may exist there.
 * timeout_ms: without any sign of progress. Errors: DFOTA_E_REFUSED (*ret_cme), DFOTA_E_CORRUPT
 * (the module tells another count or checksum), DFOTA_E_READ (the local file), DFOTA_E_TIMEOUT,
 * DFOTA_E_IO, DFOTA_E_STOPPED. After an error a part may be left in the module's store, and the
 * module may be in data mode until its own time-out (10 s); dfota_port_greet gets it out.
 */
int dfota_port_upload(struct dfota_port *port, int file, uint64_t bytes, const char *name,
		      uint32_t timeout_ms,
		      void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
		      int *ret_cme) DFOTA_MUST_CHECK;

/* Version in one line of a response to ATI ("Revision: X") or AT+CGMR ("X", "+CGMR: X"): printable,
 * no spaces or quotes, 1..64 bytes. False when there is none; then ret_version is untouched.
 */
bool dfota_version_from_line(const char *line, char ret_version[DFOTA_HOST_VERSION_MAX + 1]);

/* Asks ATI, and AT+CGMR where that names no revision. If `expected` is not NULL and the answer
 * differs, AT+CGMR and AT+QGMR are asked too, because some modules tell a longer form there; the
 * one that equals it wins. Errors: DFOTA_E_NOT_FOUND when no answer holds a version; those of
 * dfota_port_command.
 */
int dfota_port_version(struct dfota_port *port, const char *expected, uint32_t timeout_ms,
		       char ret_version[DFOTA_HOST_VERSION_MAX + 1]) DFOTA_MUST_CHECK;

/* ---- upgrade ------------------------------------------------------------------------------ */

enum dfota_upgrade_source {
	DFOTA_UPGRADE_FILE,
	DFOTA_UPGRADE_URL,
	DFOTA_UPGRADE_UFS,
	DFOTA_UPGRADE_WATCH /* none: an upgrade that is under way is followed, and nothing is
			       requested */
};

enum dfota_upgrade_stage {
	DFOTA_STAGE_CONNECT,  /* open the port, greet, read the version */
	DFOTA_STAGE_UPLOAD,   /* FILE only */
	DFOTA_STAGE_REQUEST,  /* AT+QFOTADL */
	DFOTA_STAGE_DOWNLOAD, /* URL only */
	DFOTA_STAGE_REBOOT,   /* into the upgrade */
	DFOTA_STAGE_UPDATE,   /* START was seen */
	DFOTA_STAGE_RESTART,  /* into the new firmware */
	DFOTA_STAGE_CHECK,    /* read the version again */
	DFOTA_STAGE_COUNT
};

/* Stable lower-case name ("connect"); "unknown" for other values. */
const char *dfota_stage_name(enum dfota_upgrade_stage stage);

enum dfota_upgrade_event_kind {
	DFOTA_UPGRADE_STAGE,	/* a stage begins (again, after a failed attempt) */
	DFOTA_UPGRADE_PROGRESS, /* done of total: bytes in UPLOAD, percent in UPDATE */
	DFOTA_UPGRADE_VERSION,	/* text: the version that was read */
	DFOTA_UPGRADE_URC,	/* text: as the module wrote it */
	DFOTA_UPGRADE_NOTE	/* text: for people */
};

struct dfota_upgrade_event {
	enum dfota_upgrade_event_kind kind;
	enum dfota_upgrade_stage stage;
	uint64_t done, total;
	const char *text; /* NULL where not named above; valid during the call */
};

/* All strings belong to the caller and are kept until the run ends. Zero in a time means its
 * default. */
struct dfota_upgrade {
	/* Where the module is at the beginning. Of a USB device the place is followed from then on,
	 * whatever its name is after a restart; of all others the path. */
	const char *port;
	struct dfota_tree tree;
	uint32_t baud; /* 0: 115200 */
	bool flow;     /* RTS/CTS */
	enum dfota_upgrade_source source;
	const char *target;	     /* package file, URL, or name or path in the module's store */
	const char *expect_version;  /* or NULL: then any other version than before will do */
	uint32_t answer_timeout_ms;  /* for the port and the module's first answer; 20 s */
	uint32_t command_timeout_ms; /* for one answer; 5 s */
	uint32_t upload_timeout_ms;  /* without progress of the upload; 20 s */
	uint32_t first_urc_timeout_ms; /* row A9: for the port to come back, then for a URC; 90 s */
	uint32_t
	    settle_ms; /* for a URC that would contradict what seems final; a sixth of the above */
	uint32_t download_timeout_ms; /* from the request to the download's end; 1 h */
	void (*event)(void *context, const struct dfota_upgrade_event *event); /* or NULL */
	void *context;
	struct dfota_host_stop stop;
	struct dfota_host_tap tap;
};

struct dfota_upgrade_result {
	int error; /* 0 or enum dfota_error */
	int code;  /* last DFOTA code: 0, 5xx, 601, 701; -1 when none came */
	char from[DFOTA_HOST_VERSION_MAX + 1]; /* versions before and after; empty when unknown */
	char to[DFOTA_HOST_VERSION_MAX + 1];
	uint32_t attempts;  /* START URCs seen */
	bool requested;	    /* AT+QFOTADL was sent: the module may go on by itself */
	bool nothing_to_do; /* the expected version ran already */
	char message[512];  /* what happened, what was left untouched, what to do next */
};

/* The whole procedure: read the version, upload (a file of the same name in the store is replaced),
 * request, follow the URCs over all reboots, read the version again. That last reading decides;
 * URCs may be lost. Returns result->error: of the codes 504 ZIP, 505 VERSION, 510 CONTENT, 511
 * SPACE, 550 TOO_LARGE, 601 and 701 TRANSFER, all others DFOTA_E_REFUSED; DFOTA_E_VERSION for the
 * wrong version in the end, DFOTA_E_TIMEOUT for a module that does not answer, DFOTA_E_STOPPED, and
 * those of the port.
 */
int dfota_upgrade_run(const struct dfota_upgrade *upgrade,
		      struct dfota_upgrade_result *ret_result) DFOTA_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
