/* SPDX-License-Identifier: MIT
 *
 * The running module: all its parts, and its life between two reboots.
 *
 * Files: daemon.c start and end, recovery.c the upgrade's URCs, request.c AT+QFOTADL, at_*.c one family of
 * commands each. All of it runs in the loop's thread; jobs run in the worker's.
 */
#ifndef DFOTA_MODULE_DAEMON_H
#define DFOTA_MODULE_DAEMON_H

#include "config.h"
#include "contexts.h"
#include "fetch.h"
#include "handles.h"
#include "port_fault.h"
#include "records.h"
#include "ufs.h"
#include "upgrade.h"
#include "wire.h"
#include "worker.h"

#define CME_NOT_ALLOWED   3
#define CME_NOT_SUPPORTED 4
#define NETWORK_DOMAINS   4

enum daemon_mode {
	DAEMON_NORMAL,
	DAEMON_RECOVERY, /* the flag is set: an upgrade runs */
	DAEMON_STRANDED  /* an upgrade was given up and flash is a mixture: only AT, waiting for a package */
};

enum daemon_action { DAEMON_STAY, DAEMON_EXIT, DAEMON_POWER_OFF, DAEMON_REBOOT };

/* How the module restarts; chosen once. */
struct reboot_ops {
	const char *name;
	/* After everything is closed. Does not return when it succeeds. */
	int (*reboot)(void *context);
};

enum request_state {
	REQUEST_NONE,
	REQUEST_WAITING, /* for the data call */
	REQUEST_RUNNING,
	REQUEST_READY    /* flag is set; the host asked to reset by itself */
};

struct request {
	enum request_state state;
	bool reset; /* reboot by itself afterwards */
	bool told;  /* that it waits, in the log */
	struct fetch fetch;
};

enum recovery_state { RECOVERY_RUNNING, RECOVERY_ENDING, RECOVERY_ENDED };

struct recovery {
	enum recovery_state state;
	bool held;        /* URCs wait until hosts have had time to come back */
	int told;         /* percent sent last; -1 = none */
	uint64_t end_ms;  /* when the attempt ended */
	struct upgrade upgrade;
};

struct daemon {
	struct module_config config;
	struct module_records records;
	struct contexts contexts;
	struct module_ufs ufs;
	struct handles handles;
	struct wire wire;
	struct port_fault port_fault;
	struct worker worker;
	uv_loop_t loop;
	uv_signal_t signals[2];
	uv_timer_t reboot_timer;
	enum daemon_mode mode;
	struct dfota_updater_status journal; /* at boot */
	bool area_lost; /* it could not be read, so nobody knows whether flash is a mixture */
	struct request request;
	struct recovery recovery;
	/* end of this life */
	enum daemon_action action;
	uint64_t finish_ms, linger_ms;
	bool closed;
	/* AT */
	int download;     /* descriptor of AT+QFDWL, -1 = none */
	uint64_t functionality; /* AT+CFUN */
	uint8_t registration_told[NETWORK_DOMAINS]; /* AT+CREG=<n> and its kin */
	uint8_t operator_format; /* AT+COPS=3,<format> */
	uint8_t urc_port;       /* AT+QURCCFG, index of its name */
	bool urc_off;           /* AT+QINDCFG="all",0 */
	bool gsm_characters;    /* AT+CSCS */
};

/* Ends this life with `action`: jobs are stopped, what is to be sent is sent, the port lives linger_ms after the last byte.
 * A stronger action (exit over reboot) replaces a weaker one.
 */
void daemon_finish(struct daemon *daemon, enum daemon_action action, uint64_t linger_ms);

/* Version that ATI tells; not the plain one when flash is a mixture. `ret_text` has MODULE_TEXT_MAX + 1 bytes. */
void daemon_version(const struct daemon *daemon, char *ret_text);

/* recovery.c */
int recovery_start(struct daemon *daemon) DFOTA_MUST_CHECK;
void recovery_turn(struct daemon *daemon);
/* URCs wait no longer for hosts that may still be coming back. */
void recovery_release(struct daemon *daemon);

/* request.c */
void request_turn(struct daemon *daemon);
bool request_busy(const struct daemon *daemon);

/* commands.c: the AT engine's table. */
extern const struct dfota_at_command module_commands[];
extern const size_t module_command_count;

#endif
