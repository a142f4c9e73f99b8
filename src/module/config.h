/* SPDX-License-Identifier: MIT
 *
 * module.ini: every key, its default and its bounds. Trusted input, but checked: a typing error is told with its line.
 */
#ifndef DFOTA_MODULE_CONFIG_H
#define DFOTA_MODULE_CONFIG_H

#include <limits.h>

#include "dfota/package.h"
#include "dfota/storage.h"

#define MODULE_TEXT_MAX     160 /* bytes of a text value: a line of an ini file holds 200 */
#define MODULE_CONTEXTS_MAX 16
#define MODULE_INI          "module.ini"

enum module_reboot { MODULE_REBOOT_EXEC, MODULE_REBOOT_KERNEL };

enum module_call { MODULE_CALL_NONE, MODULE_CALL_PDP, MODULE_CALL_COMMAND };

/* One injected fault, for tests: of all operations of its kind on `partition`, those after the first `after` of a boot
 * fail, until `count` have failed over all boots. count 0 = none.
 */
struct module_fault {
	char partition[DFOTA_PARTITION_NAME_MAX + 1];
	uint32_t count, after;
};

#define MODULE_FAULT_TEXT_MAX 40
#define MODULE_GARBAGE_MAX    256 /* bytes */

/* One injected fault of the port, for developers of hosts: of all that is sent and holds `text`, the first `after` of a boot are
 * left alone, and then `count` over all boots are struck. `amount`: milliseconds, bytes.
 */
struct module_port_fault {
	char text[MODULE_FAULT_TEXT_MAX + 1];
	uint32_t count, after, amount;
};

/* An attempt or a download that fails `count` times in all with `code`, once it is done by `percent`. */
struct module_end_fault {
	uint32_t code, count, percent;
};

/* Where a partition lives, as "<kind>:<device>". */
struct module_place {
	char partition[DFOTA_PARTITION_NAME_MAX + 1];
	char where[MODULE_TEXT_MAX + 1];
};

struct module_config {
	char folder[PATH_MAX]; /* absolute */
	/* identity */
	char project[DFOTA_VERSION_MAX + 1]; /* those of the first start; later the version record tells */
	char version[DFOTA_VERSION_MAX + 1];
	char manufacturer[MODULE_TEXT_MAX + 1], model[MODULE_TEXT_MAX + 1];
	char imei[MODULE_TEXT_MAX + 1], imsi[MODULE_TEXT_MAX + 1], iccid[MODULE_TEXT_MAX + 1];
	/* upgrade */
	char trust[MODULE_TEXT_MAX + 1];
	char area[MODULE_TEXT_MAX + 1];
	uint64_t package_max, memory_limit;
	/* storage: partitions that are not files of flash/ */
	struct module_place places[DFOTA_PARTITIONS_MAX];
	uint32_t place_count;
	/* store */
	uint64_t ufs_bytes;
	/* port */
	char port[MODULE_TEXT_MAX + 1]; /* "pty", or the absolute path of a serial terminal */
	uint64_t port_baud;
	enum module_reboot reboot;
	char boot_urcs[MODULE_TEXT_MAX + 1];
	uint64_t urc_settle_ms, urc_gap_ms, reboot_ms;
	bool cme_always;
	/* download */
	char ca_file[MODULE_TEXT_MAX + 1], interface[MODULE_TEXT_MAX + 1];
	uint64_t keep_free_bytes, connect_timeout_s, stall_timeout_s, download_tries;
	/* data call */
	enum module_call call;
	uint64_t context;
	char call_up[MODULE_TEXT_MAX + 1], call_down[MODULE_TEXT_MAX + 1];
	/* faults */
	struct module_port_fault fault_lose, fault_late, fault_garbage, fault_drop;
	struct module_end_fault fault_end, fault_download;
	struct module_fault fault_read, fault_write, fault_flush, fault_resize;
};

/* Reads `ini_path` (NULL: <folder>/module.ini). `ret_what` gets static text and *ret_line the line concerned (0 = none)
 * on error: DFOTA_E_NOT_FOUND, DFOTA_E_ARGUMENT, DFOTA_E_IO.
 */
int module_config_load(struct module_config *config, const char *folder, const char *ini_path,
		       const char **ret_what, int *ret_line) DFOTA_MUST_CHECK;

/* `path` if it is absolute, else below the module's folder. `ret_path` has PATH_MAX bytes; false when it does not fit. */
bool module_path(const struct module_config *config, const char *path, char *ret_path);

/* Takes `where` apart and completes the path of a file; false when it does not fit. */
bool module_storage_path(const struct module_config *config, const char *where,
			 enum dfota_storage_kind *ret_kind, char *ret_path);

/* Text of a commented module.ini with these values; malloc'ed, NULL when out of memory. */
char *module_config_text(const char *project, const char *version, const char *trust);

/* True for a project or version name: 1..64 bytes, printable, no quotes, backslashes, ';' or spaces at the ends. */
bool module_name_ok(const char *text);

#endif
