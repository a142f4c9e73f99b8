/* SPDX-License-Identifier: MIT
 *
 * Open files: AT+QFOPEN, QFREAD, QFWRITE, QFSEEK, QFPOSITION, QFTUCAT, QFFLUSH, QFCLOSE.
 */
#include "at_commands.h"
#include "request.h"

#define WRITE_BYTES	10240 /* defaults of AT+QFWRITE */
#define WRITE_TIMEOUT_S 5

/* The handle that the first of at most `params` parameters names: 0 or a CME code. */
static int handle_get(struct daemon *daemon, const struct dfota_at_request *request,
		      uint32_t params, struct handle **ret_handle)
{
	uint64_t number = 0;

	if (request->param_count > params || request->params[0].kind != DFOTA_AT_NUMBER ||
	    !at_number(request, 0, 0, UINT64_MAX, &number))
		return UFS_INVALID_VALUE;
	*ret_handle = handles_find(&daemon->handles, number);
	return *ret_handle ? 0 : UFS_BAD_HANDLE;
}

AT_HANDLER(at_handle_open)
{
	struct daemon *daemon = context;
	const char *text = at_string(request, 0);
	uint64_t mode = HANDLE_KEEP, number;
	char name[UFS_NAME_MAX + 1];
	int code;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+QFOPEN: <filename>[,(0-3)]");
		return DFOTA_AT_OK;
	}
	if (request->form == DFOTA_AT_READ) {
		for (uint64_t i = 1; i <= HANDLES_MAX; i++) {
			const struct handle *handle = handles_find(&daemon->handles, i);

			if (handle)
				dfota_at_line(at, "+QFOPEN: \"%s\",%u,%u", handle->name,
					      (unsigned)i, (unsigned)handle->mode);
		}
		return DFOTA_AT_OK;
	}
	if (!text || request->param_count > 2 ||
	    !at_number(request, 1, 0, HANDLE_MODE_COUNT - 1, &mode))
		return UFS_INVALID_VALUE;
	code = ufs_name(text, name);
	if (!code && mode != HANDLE_READ && request_takes(daemon, name))
		code = UFS_IN_USE;
	if (!code)
		code = handles_open(&daemon->handles, name, (enum handle_mode)mode, &number);
	if (!code)
		dfota_at_line(at, "+QFOPEN: %u", (unsigned)number);
	return code;
}

/* ---- data mode ------------------------------------------------------------------------------- */

static int read_data(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct daemon *daemon = context;

	return handles_read(&daemon->handles, offset, buffer, bytes);
}

AT_HANDLER(at_handle_read)
{
	struct daemon *daemon = context;
	const struct dfota_source source = { read_data, daemon };
	uint64_t bytes = UINT64_MAX;
	struct handle *handle;
	int code;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+QFREAD: <filehandle>[,<length>]");
		return DFOTA_AT_OK;
	}
	code = handle_get(daemon, request, 2, &handle);
	if (!code && !at_number(request, 1, 1, UINT64_MAX, &bytes))
		code = UFS_INVALID_VALUE;
	if (!code)
		code = handles_read_begin(&daemon->handles, handle, &bytes);
	if (code)
		return code;
	dfota_at_read(at, bytes, &source);
	return DFOTA_AT_DATA;
}

static int write_data(void *context, const uint8_t *bytes, size_t count)
{
	struct daemon *daemon = context;

	return handles_write(&daemon->handles, bytes, count);
}

static int write_end(void *context, uint64_t received, uint16_t checksum)
{
	struct daemon *daemon = context;
	const struct handles *handles = &daemon->handles;
	uint64_t total, written = handles->transfer->position - handles->start;
	int code = handle_size(handles->transfer, &total);

	(void)checksum;
	if (!code && written == received) /* otherwise the code of the failure is told */
		dfota_at_line(&daemon->wire.at, "+QFWRITE: %llu,%llu", (unsigned long long)written,
			      (unsigned long long)total);
	return code;
}

AT_HANDLER(at_handle_write)
{
	struct daemon *daemon = context;
	const struct dfota_at_sink sink = { write_data, write_end, daemon };
	uint64_t bytes = WRITE_BYTES, timeout = WRITE_TIMEOUT_S;
	struct handle *handle;
	int code;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+QFWRITE: <filehandle>[,<length>[,<timeout>]]");
		return DFOTA_AT_OK;
	}
	code = handle_get(daemon, request, 3, &handle);
	if (!code && (!at_number(request, 1, 1, UINT64_MAX, &bytes) ||
		      !at_number(request, 2, 1, 65535, &timeout)))
		code = UFS_INVALID_VALUE;
	if (!code)
		code = handles_write_begin(&daemon->handles, handle, bytes);
	if (code)
		return code;
	dfota_at_upload(at, NULL, bytes, timeout * 1000, false, &sink);
	return DFOTA_AT_DATA;
}

/* ---- position and end --------------------------------------------------------------------------
 */

AT_HANDLER(at_handle_seek)
{
	struct daemon *daemon = context;
	uint64_t offset = 0, from = HANDLE_START;
	struct handle *handle;
	int code;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+QFSEEK: <filehandle>,<offset>[,<position>]");
		return DFOTA_AT_OK;
	}
	code = handle_get(daemon, request, 3, &handle);
	if (!code && (request->param_count < 2 || request->params[1].kind != DFOTA_AT_NUMBER ||
		      !at_number(request, 1, 0, UINT64_MAX, &offset) ||
		      !at_number(request, 2, 0, HANDLE_FROM_COUNT - 1, &from)))
		code = UFS_INVALID_VALUE;
	return code ? code : handle_seek(handle, offset, (enum handle_from)from);
}

/* Those that take a handle and nothing else. */
static int simple(struct daemon *daemon, struct dfota_at *at,
		  const struct dfota_at_request *request, int (*operation)(struct handle *handle))
{
	struct handle *handle;
	int code;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "%s: <filehandle>", request->name);
		return DFOTA_AT_OK;
	}
	code = handle_get(daemon, request, 1, &handle);
	if (code)
		return code;
	if (operation)
		return operation(handle);
	dfota_at_line(at, "%s: %llu", request->name, (unsigned long long)handle->position);
	return DFOTA_AT_OK;
}

AT_HANDLER(at_handle_position)
{
	return simple(context, at, request, NULL);
}

AT_HANDLER(at_handle_truncate)
{
	return simple(context, at, request, handle_truncate);
}

AT_HANDLER(at_handle_flush)
{
	return simple(context, at, request, handle_flush);
}

AT_HANDLER(at_handle_close)
{
	return simple(context, at, request, handle_close);
}
