/* SPDX-License-Identifier: MIT
 *
 * File commands of the user file system: AT+QFLDS, QFLST, QFUPL, QFDWL, QFDEL. Row A7.
 */
#include <unistd.h>

#include "at_commands.h"
#include "log.h"

#define UPLOAD_BYTES     10240 /* defaults of AT+QFUPL */
#define UPLOAD_TIMEOUT_S 5

/* Name parameter without wildcards: 0 or a CME code. */
static int name_get(const struct dfota_at_request *request, char *ret_name)
{
	const char *text = at_string(request, 0);

	return text ? ufs_name(text, ret_name) : UFS_INVALID_VALUE;
}

AT_HANDLER(at_file_space)
{
	struct daemon *daemon = context;
	uint64_t room, bytes;
	uint32_t count;
	const char *store = at_string(request, 0);
	int code;

	if (request->form == DFOTA_AT_TEST)
		return DFOTA_AT_OK;
	if (request->form == DFOTA_AT_WRITE &&
	    (request->param_count != 1 || !store || strcmp(store, "UFS") != 0))
		return UFS_INVALID_VALUE;
	code = ufs_space(&daemon->ufs, &room, &bytes, &count);
	if (code)
		return code;
	if (request->form == DFOTA_AT_WRITE)
		dfota_at_line(at, "+QFLDS: %llu,%llu", (unsigned long long)room,
			      (unsigned long long)daemon->config.ufs_bytes);
	else
		dfota_at_line(at, "+QFLDS: %llu,%u", (unsigned long long)bytes, count);
	return DFOTA_AT_OK;
}

AT_HANDLER(at_file_list)
{
	struct daemon *daemon = context;
	struct ufs_entry entries[UFS_FILES_MAX];
	const char *pattern = "*";
	uint32_t count, shown = 0;
	int code;

	if (request->form == DFOTA_AT_TEST)
		return DFOTA_AT_OK;
	if (request->form == DFOTA_AT_WRITE) {
		pattern = at_string(request, 0);
		if (!pattern || request->param_count != 1)
			return UFS_INVALID_VALUE;
		if (strncmp(pattern, "UFS:", 4) == 0)
			pattern += 4;
		else if (strcmp(pattern, "UFS") == 0)
			pattern = "*";
	}
	code = ufs_list(&daemon->ufs, entries, &count);
	if (code)
		return code;
	for (uint32_t i = 0; i < count; i++) {
		if (!ufs_match(pattern, entries[i].name))
			continue;
		dfota_at_line(at, "+QFLST: \"UFS:%s\",%llu", entries[i].name,
			      (unsigned long long)entries[i].bytes);
		shown++;
	}
	/* Hosts ask in this way whether a file is there. */
	return shown == 0 && !strpbrk(pattern, "*?") ? UFS_NOT_FOUND : DFOTA_AT_OK;
}

/* ---- upload ------------------------------------------------------------------------------------ */

static int upload_data(void *context, const uint8_t *bytes, size_t count)
{
	struct daemon *daemon = context;

	return ufs_upload_add(&daemon->ufs, bytes, count);
}

static int upload_end(void *context, uint64_t received, uint16_t checksum)
{
	struct daemon *daemon = context;
	int code = ufs_upload_end(&daemon->ufs);

	module_log("store: %s, %llu bytes received, checksum %x, code %d", daemon->ufs.upload_name,
		   (unsigned long long)received, checksum, code);
	return code;
}

AT_HANDLER(at_file_upload)
{
	struct daemon *daemon = context;
	const struct dfota_at_sink sink = { upload_data, upload_end, daemon };
	uint64_t size = UPLOAD_BYTES, timeout = UPLOAD_TIMEOUT_S, ack = 0, room, bytes;
	char name[UFS_NAME_MAX + 1];
	uint32_t count;
	int code;

	if (request->form == DFOTA_AT_TEST) {
		code = ufs_space(&daemon->ufs, &room, &bytes, &count);
		if (!code)
			dfota_at_line(at, "+QFUPL: <filename>[,(1-%llu)[,(1-65535)[,(0,1)]]]",
				      (unsigned long long)room);
		return code;
	}
	code = name_get(request, name);
	if (code)
		return code;
	if (request->param_count > 4 || !at_number(request, 1, 1, UINT64_MAX, &size) ||
	    !at_number(request, 2, 1, 65535, &timeout) || !at_number(request, 3, 0, 1, &ack))
		return UFS_INVALID_VALUE;
	code = ufs_upload_begin(&daemon->ufs, name, size);
	if (code)
		return code;
	dfota_at_upload(at, "+QFUPL", size, timeout * 1000, ack != 0, &sink);
	return DFOTA_AT_DATA;
}

/* ---- download, delete ------------------------------------------------------------------------ */

static int download_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	const struct daemon *daemon = context;

	return ufs_read_file(daemon->download, offset, buffer, bytes);
}

AT_HANDLER(at_file_download)
{
	struct daemon *daemon = context;
	const struct dfota_source source = { download_read, daemon };
	char name[UFS_NAME_MAX + 1];
	uint64_t bytes;
	int code, fd;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+QFDWL: <filename>");
		return DFOTA_AT_OK;
	}
	if (request->param_count != 1)
		return UFS_INVALID_VALUE;
	code = name_get(request, name);
	if (!code)
		code = ufs_open_file(&daemon->ufs, name, &fd, &bytes);
	if (code)
		return code;
	if (daemon->download >= 0)
		close(daemon->download);
	daemon->download = fd;
	dfota_at_download(at, "+QFDWL", bytes, &source);
	return DFOTA_AT_DATA;
}

static int delete_one(struct daemon *daemon, const char *name)
{
	return handles_has(&daemon->handles, name) ? UFS_IN_USE : ufs_delete(&daemon->ufs, name);
}

AT_HANDLER(at_file_delete)
{
	struct daemon *daemon = context;
	struct ufs_entry entries[UFS_FILES_MAX];
	const char *text = at_string(request, 0);
	char name[UFS_NAME_MAX + 1];
	uint32_t count;
	int code;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+QFDEL: <filename>");
		return DFOTA_AT_OK;
	}
	if (!text || request->param_count != 1)
		return UFS_INVALID_VALUE;
	if (strcmp(text, "*") != 0 && strcmp(text, "UFS:*") != 0) {
		code = ufs_name(text, name);
		return code ? code : delete_one(daemon, name);
	}
	code = ufs_list(&daemon->ufs, entries, &count);
	for (uint32_t i = 0; !code && i < count; i++)
		code = delete_one(daemon, entries[i].name);
	return code;
}
