/* SPDX-License-Identifier: MIT
 *
 * module.ini by a table of keys.
 */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "port.h"

enum kind { NAME, TEXT, STORAGE, NUMBER, BYTES, YESNO, CALL, REBOOT, FAULT, PORT_FAULT, END_FAULT };

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t max; /* NUMBER, BYTES; PORT_FAULT: of its amount, 0 = has none */
};

#define KEY(name_, kind_, member_, max_)                                                           \
	{ name_, kind_, offsetof(struct module_config, member_), max_ }

static const struct key keys[] = {
	KEY("project", NAME, project, 0),
	KEY("version", NAME, version, 0),
	KEY("manufacturer", TEXT, manufacturer, 0),
	KEY("model", TEXT, model, 0),
	KEY("imei", TEXT, imei, 0),
	KEY("imsi", TEXT, imsi, 0),
	KEY("iccid", TEXT, iccid, 0),
	KEY("trust", TEXT, trust, 0),
	KEY("area", STORAGE, area, 0),
	KEY("package-max", BYTES, package_max, UINT64_MAX),
	KEY("memory-limit", BYTES, memory_limit, UINT64_MAX),
	KEY("ufs-bytes", BYTES, ufs_bytes, UINT64_MAX),
	KEY("port", TEXT, port, 0),
	KEY("port-baud", NUMBER, port_baud, UINT32_MAX),
	KEY("reboot", REBOOT, reboot, 0),
	KEY("boot-urcs", TEXT, boot_urcs, 0),
	KEY("urc-settle-ms", NUMBER, urc_settle_ms, 60000),
	KEY("urc-gap-ms", NUMBER, urc_gap_ms, 1000),
	KEY("reboot-ms", NUMBER, reboot_ms, 60000),
	KEY("cme-always", YESNO, cme_always, 0),
	KEY("ca-file", TEXT, ca_file, 0),
	KEY("interface", TEXT, interface, 0),
	KEY("keep-free-bytes", BYTES, keep_free_bytes, UINT64_MAX),
	KEY("connect-timeout-s", NUMBER, connect_timeout_s, 3600),
	KEY("stall-timeout-s", NUMBER, stall_timeout_s, 3600),
	KEY("download-tries", NUMBER, download_tries, 1000),
	KEY("data-call", CALL, call, 0),
	KEY("context", NUMBER, context, MODULE_CONTEXTS_MAX),
	KEY("data-call-up", TEXT, call_up, 0),
	KEY("data-call-down", TEXT, call_down, 0),
	KEY("fault-lose", PORT_FAULT, fault_lose, 0),
	KEY("fault-late", PORT_FAULT, fault_late, 60000),
	KEY("fault-garbage", PORT_FAULT, fault_garbage, MODULE_GARBAGE_MAX),
	KEY("fault-drop", PORT_FAULT, fault_drop, 0),
	KEY("fault-end", END_FAULT, fault_end, 0),
	KEY("fault-download", END_FAULT, fault_download, 0),
	KEY("fault-read", FAULT, fault_read, 0),
	KEY("fault-write", FAULT, fault_write, 0),
	KEY("fault-flush", FAULT, fault_flush, 0),
	KEY("fault-resize", FAULT, fault_resize, 0),
};

static const struct module_config defaults = {
	.manufacturer = "Quectel",
	.imei = "866425031234567",
	.imsi = "001010123456789",
	.iccid = "89860000000000000001",
	.trust = "trust.pub",
	.area = "state/area",
	.package_max = 1ull << 30,
	.ufs_bytes = 512ull << 20,
	.port = "pty",
	.port_baud = 115200,
	.boot_urcs = "RDY",
	.urc_settle_ms = 8000,
	.urc_gap_ms = 100,
	.reboot_ms = 1000,
	.cme_always = true,
	.keep_free_bytes = 1 << 20,
	.connect_timeout_s = 30,
	.stall_timeout_s = 30,
	.download_tries = 3,
	.call = MODULE_CALL_PDP,
	.context = 1,
};

#define PLACE_PREFIX "partition-"

struct load {
	struct module_config *config;
	const char *what;
};

bool module_name_ok(const char *text)
{
	size_t bytes = strlen(text);

	if (bytes == 0 || bytes > DFOTA_VERSION_MAX || text[0] == ' ' || text[bytes - 1] == ' ')
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (text[i] < 0x20 || text[i] > 0x7e || strchr("\"\\;", text[i]))
			return false;
	return true;
}

/* Decimal, no sign; *text is moved behind the digits. */
static bool digits(const char **text, uint64_t *ret)
{
	uint64_t value = 0;
	const char *p = *text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (dfota_mul64(value, 10, &value) || dfota_add64(value, (uint64_t)(*p - '0'), &value))
			return false;
	if (p == *text)
		return false;
	*text = p;
	*ret = value;
	return true;
}

static bool number(const char *text, bool suffix, uint64_t max, uint64_t *ret)
{
	static const char units[] = "KMG";
	const char *unit;
	uint64_t value;

	if (!digits(&text, &value))
		return false;
	if (suffix && *text) {
		unit = strchr(units, *text);
		if (!unit || dfota_mul64(value, 1ull << (10 * (unit - units + 1)), &value))
			return false;
		text++;
	}
	if (*text || value > max)
		return false;
	*ret = value;
	return true;
}

/* "partition,count[,after]" */
static bool fault(const char *text, struct module_fault *ret)
{
	struct module_fault f = { .after = 0 };
	const char *comma = strchr(text, ',');
	uint64_t count = 0, after = 0;

	if (!comma || (size_t)(comma - text) > DFOTA_PARTITION_NAME_MAX)
		return false;
	memcpy(f.partition, text, (size_t)(comma - text));
	text = comma + 1;
	if (!dfota_partition_name_ok(f.partition) || !digits(&text, &count))
		return false;
	if (*text == ',') {
		text++;
		if (!digits(&text, &after))
			return false;
	}
	if (*text || count > UINT32_MAX || after > UINT32_MAX)
		return false;
	f.count = (uint32_t)count;
	f.after = (uint32_t)after;
	*ret = f;
	return true;
}

/* ",n" for each of `most` numbers, of which `least` must be there; nothing behind them. */
static bool numbers(const char *text, unsigned least, unsigned most, uint32_t *ret)
{
	uint64_t value;
	unsigned i;

	for (i = 0; i < most && *text == ','; i++) {
		text++;
		if (!digits(&text, &value) || value > UINT32_MAX)
			return false;
		ret[i] = (uint32_t)value;
	}
	return i >= least && *text == '\0';
}

/* "text,count[,after]", or "text,count,after,amount" */
static bool port_fault(const char *text, uint64_t amount_max, struct module_port_fault *ret)
{
	struct module_port_fault f = { .count = 0 };
	const char *comma = strchr(text, ',');
	uint32_t values[3] = { 0 };

	if (!comma || comma == text || (size_t)(comma - text) > MODULE_FAULT_TEXT_MAX ||
	    !numbers(comma, amount_max ? 3 : 1, amount_max ? 3 : 2, values) || values[2] > amount_max)
		return false;
	memcpy(f.text, text, (size_t)(comma - text));
	f.count = values[0];
	f.after = values[1];
	f.amount = values[2];
	*ret = f;
	return true;
}

/* "code,count[,percent]" */
static bool end_fault(const char *text, struct module_end_fault *ret)
{
	uint32_t values[3] = { 0 };
	uint64_t code;

	if (!digits(&text, &code) || code < 1 || code > 999 || !numbers(text, 1, 2, values) ||
	    values[1] > 99)
		return false;
	*ret = (struct module_end_fault){ (uint32_t)code, values[0], values[1] };
	return true;
}

static bool text_set(char *to, const char *value)
{
	size_t bytes = strlen(value);

	if (bytes > MODULE_TEXT_MAX)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return false;
	memcpy(to, value, bytes + 1);
	return true;
}

static bool storage_set(char *to, const char *value)
{
	enum dfota_storage_kind kind;
	const char *path;

	return dfota_storage_parse(value, &kind, &path) && text_set(to, value);
}

/* The last word on a partition counts, as with every key. */
static bool place_set(struct module_config *config, const char *partition, const char *value)
{
	struct module_place *place = config->places;

	if (!dfota_partition_name_ok(partition))
		return false;
	for (uint32_t i = 0; i < config->place_count; i++, place++)
		if (strcmp(place->partition, partition) == 0)
			return storage_set(place->where, value);
	if (config->place_count == DFOTA_PARTITIONS_MAX || !storage_set(place->where, value))
		return false;
	memcpy(place->partition, partition, strlen(partition) + 1);
	config->place_count++;
	return true;
}

/* Number of the word among `count` ones, -1 when it is none of them. */
static int word(const char *value, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(value, words[i]) == 0)
			return i;
	return -1;
}

static bool value_set(const struct key *key, void *member, const char *value)
{
	static const char *const calls[] = { "none", "pdp", "command" };
	static const char *const reboots[] = { "exec", "kernel" };
	int at;

	switch (key->kind) {
	case NAME:
		if (!module_name_ok(value))
			return false;
		memcpy(member, value, strlen(value) + 1);
		return true;
	case TEXT:
		return text_set(member, value);
	case STORAGE:
		return storage_set(member, value);
	case NUMBER:
		return number(value, false, key->max, member);
	case BYTES:
		return number(value, true, key->max, member);
	case YESNO:
		*(bool *)member = strcmp(value, "yes") == 0;
		return *(bool *)member || strcmp(value, "no") == 0;
	case CALL:
		at = word(value, calls, 3);
		if (at >= 0)
			*(enum module_call *)member = (enum module_call)at;
		return at >= 0;
	case REBOOT:
		at = word(value, reboots, 2);
		if (at >= 0)
			*(enum module_reboot *)member = (enum module_reboot)at;
		return at >= 0;
	case FAULT:
		return fault(value, member);
	case PORT_FAULT:
		return port_fault(value, key->max, member);
	case END_FAULT:
		return end_fault(value, member);
	}
	return false;
}

static int line(void *context, const char *section, const char *name, const char *value)
{
	struct load *load = context;

	(void)section; /* headings are for people */
	if (strncmp(name, PLACE_PREFIX, strlen(PLACE_PREFIX)) == 0) {
		if (place_set(load->config, name + strlen(PLACE_PREFIX), value))
			return 1;
		if (!load->what)
			load->what = "partition-<name> needs a partition's name and file:, block:, mtd: or ubi: and a path";
		return 0;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].name, name) != 0)
			continue;
		if (value_set(&keys[i], (char *)load->config + keys[i].offset, value))
			return 1;
		if (!load->what)
			load->what = "the key's value is malformed or out of its bounds";
		return 0;
	}
	if (!load->what)
		load->what = "there is no such key";
	return 0;
}

static int whole(struct module_config *config, const char **what)
{
	*what = NULL;
	if (!*config->project || !*config->version)
		*what = "project and version must be given";
	else if (config->context == 0)
		*what = "context starts at 1";
	else if (config->call == MODULE_CALL_COMMAND && !*config->call_up)
		*what = "data-call = command needs data-call-up";
	else if (strcmp(config->port, "pty") != 0 && *config->port != '/')
		*what = "port is pty or the absolute path of a terminal";
	else if (!port_tty_speed_ok(config->port_baud))
		*what = "port-baud is no speed of terminals";
	if (!*config->model)
		memcpy(config->model, config->project, strlen(config->project) + 1);
	return *what ? DFOTA_E_ARGUMENT : 0;
}

int module_config_load(struct module_config *config, const char *folder, const char *ini_path,
		       const char **ret_what, int *ret_line)
{
	struct load load = { .config = config };
	char path[PATH_MAX];

	*config = defaults;
	*ret_line = 0;
	*ret_what = "there is no such module folder";
	if (!realpath(folder, config->folder))
		return DFOTA_E_NOT_FOUND;
	*ret_what = "module.ini cannot be read";
	if (!ini_path) {
		if (!module_path(config, MODULE_INI, path))
			return DFOTA_E_ARGUMENT;
		ini_path = path;
	}
	*ret_line = ini_parse(ini_path, line, &load);
	if (*ret_line < 0) {
		*ret_line = 0;
		return DFOTA_E_NOT_FOUND;
	}
	if (*ret_line > 0) {
		*ret_what = load.what ? load.what : "the line is malformed";
		return DFOTA_E_ARGUMENT;
	}
	return whole(config, ret_what);
}

bool module_path(const struct module_config *config, const char *path, char *ret_path)
{
	int bytes = *path == '/' ? snprintf(ret_path, PATH_MAX, "%s", path)
				 : snprintf(ret_path, PATH_MAX, "%s/%s", config->folder, path);

	return bytes > 0 && bytes < PATH_MAX;
}

bool module_storage_path(const struct module_config *config, const char *where,
			 enum dfota_storage_kind *ret_kind, char *ret_path)
{
	const char *path;

	return dfota_storage_parse(where, ret_kind, &path) && module_path(config, path, ret_path);
}

char *module_config_text(const char *project, const char *version, const char *trust)
{
	static const char format[] =
		"; Configuration of a file-backed module. Keys in comments show their defaults.\n"
		"; Sizes take the suffixes K, M and G. Paths that are not absolute lie in this folder.\n"
		"\n"
		"[identity]\n"
		"; Firmware at the first start; state/version tells what runs since.\n"
		"project = %s\n"
		"version = %s\n"
		"; What ATI and AT+CGMI, AT+CGMM, AT+CGSN, AT+CIMI and AT+QCCID tell. model: the project's name.\n"
		"; manufacturer = Quectel\n"
		"; model =\n"
		"; imei = 866425031234567\n"
		"; imsi = 001010123456789\n"
		"; iccid = 89860000000000000001\n"
		"\n"
		"[upgrade]\n"
		"; Public keys (PEM) whose packages are installed.\n"
		"trust = %s\n"
		"; Largest package, and most work memory (0 = no limit).\n"
		"; package-max = 1G\n"
		"; memory-limit = 0\n"
		"; Journal, redo ring and stash.\n"
		"; area = state/area\n"
		"; Partitions are flash/<name>.img, or where these say: file:, block:, mtd: or ubi: and a path.\n"
		"; So may the area be.\n"
		"; partition-<name> = mtd:/dev/mtd3\n"
		"\n"
		"[store]\n"
		"; Size of the user file system.\n"
		"; ufs-bytes = 512M\n"
		"\n"
		"[port]\n"
		"; pty: a pseudo-terminal behind the symlink `at`. Or a serial terminal, as /dev/ttyGS0, and its speed.\n"
		"; port = pty\n"
		"; port-baud = 115200\n"
		"; First words after a boot, between bars, e.g. RDY | +CFUN: 1 | +CPIN: READY | +QIND: SMS DONE\n"
		"; boot-urcs = RDY\n"
		"; After a reboot into the upgrade no URC is sent for so long after the host's first command,\n"
		"; or after the boot while there is none: hosts need time to open the port again.\n"
		"; urc-settle-ms = 8000\n"
		"; Least time between two URCs; how long the port is away in a reboot.\n"
		"; urc-gap-ms = 100\n"
		"; reboot-ms = 1000\n"
		"; exec: a reboot runs the program again. kernel: it restarts this machine.\n"
		"; reboot = exec\n"
		"; Send +CME ERROR: <code> from 400 on with AT+CMEE=0 too, as real modules do.\n"
		"; cme-always = yes\n"
		"\n"
		"[download]\n"
		"; Certificates (PEM) that https servers are checked against; empty: the system's.\n"
		"; ca-file =\n"
		"; Network interface or source address; empty: any.\n"
		"; interface =\n"
		"; keep-free-bytes = 1M\n"
		"; connect-timeout-s = 30\n"
		"; stall-timeout-s = 30\n"
		"; download-tries = 3\n"
		"\n"
		"[data call]\n"
		"; none: the network of this machine. pdp: the same, once no data call of the host holds the\n"
		"; APN of `context`. command: data-call-up is run before and data-call-down after a download,\n"
		"; absolute path and arguments between spaces, without a shell.\n"
		"; data-call = pdp\n"
		"; context = 1\n"
		"; data-call-up =\n"
		"; data-call-down =\n"
		"\n"
		"[faults]\n"
		"; Ordered failures, to try a host with: module.ini(5) tells what each does.\n"
		"; fault-lose =\n"
		"; fault-late =\n"
		"; fault-garbage =\n"
		"; fault-drop =\n"
		"; fault-end =\n"
		"; fault-download =\n"
		"; Of the flash, as <partition>,<how many in all>[,<operations that succeed before>].\n"
		"; fault-read =\n"
		"; fault-write =\n"
		"; fault-flush =\n"
		"; fault-resize =\n";
	char *text;

	return asprintf(&text, format, project, version, trust) < 0 ? NULL : text;
}
