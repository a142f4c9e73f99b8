/* SPDX-License-Identifier: MIT
 *
 * The one table of errors: name, text, class, exit code; and the rule from errors to DFOTA codes.
 */
#include "dfota/error.h"

#include <stddef.h>
#include <string.h>

struct error_row {
	const char *name;
	const char *text;
	enum dfota_error_class class;
	int exit_code;
};

#define ROW(name_, class_, exit_, text_)                                                           \
	[-DFOTA_E_##name_] = { "E_" #name_, text_, DFOTA_CLASS_##class_, exit_ }

static const struct error_row rows[] = {
	[DFOTA_OK] = { "OK", "done", DFOTA_CLASS_NONE, 0 },
	ROW(ARGUMENT, BUG, 2, "invalid argument"),
	ROW(STATE, BUG, 1, "call not allowed in this state"),
	ROW(MEMORY, GIVE_UP, 1, "not enough memory"),
	ROW(IO, RETRY, 1, "file could not be read or written"),
	ROW(NOT_FOUND, RETRY, 1, "not found"),
	ROW(ZIP, GIVE_UP, 1, "the package is not a correct zip"),
	ROW(MANIFEST, GIVE_UP, 1, "the manifest is missing or malformed"),
	ROW(UNTRUSTED, GIVE_UP, 3, "the package is not signed with a trusted key"),
	ROW(FORMAT, GIVE_UP, 1, "the package has a newer format than this program knows"),
	ROW(VERSION, GIVE_UP, 1, "project or version of the package does not match"),
	ROW(CONTENT, GIVE_UP, 1, "the firmware is not the one that the package was made from"),
	ROW(SPACE, GIVE_UP, 1, "not enough space"),
	ROW(TOO_LARGE, GIVE_UP, 1, "the package is too large"),
	ROW(CORRUPT, GIVE_UP, 1, "the package's data is damaged"),
	ROW(READ, RETRY, 1, "flash read failed"),
	ROW(WRITE, RETRY, 1, "flash write failed"),
	ROW(ERASE, RETRY, 1, "flash erase failed"),
	ROW(FLUSH, RETRY, 1, "flash flush failed"),
	ROW(READBACK, RETRY, 1, "flash does not hold what was written"),
	ROW(RESIZE, RETRY, 1, "partition could not be resized"),
	ROW(VERIFY, RETRY, 1, "a finished partition has the wrong digest"),
	ROW(TIMEOUT, RETRY, 4, "no answer in time"),
	ROW(BUSY, RETRY, 1, "in use"),
	ROW(URL, GIVE_UP, 2, "malformed URL or file path"),
	ROW(TRANSFER, RETRY, 1, "transfer failed"),
	ROW(STOPPED, RETRY, 1, "stopped on request"),
	ROW(REFUSED, GIVE_UP, 1, "the module answered ERROR"),
	ROW(EXISTS, GIVE_UP, 1, "exists already"),
	ROW(INTERNAL, RETRY, 1, "internal error"),
};

_Static_assert(sizeof(rows) / sizeof(rows[0]) == -DFOTA_E_COUNT_, "every error has its row");

static const struct error_row *row_of(int error)
{
	if (error > 0 || error <= DFOTA_E_COUNT_)
		return &rows[-DFOTA_E_INTERNAL];
	return &rows[-error];
}

enum dfota_error_class dfota_error_class(int error)
{
	return row_of(error)->class;
}

const char *dfota_error_name(int error)
{
	return row_of(error)->name;
}

const char *dfota_error_text(int error)
{
	return row_of(error)->text;
}

int dfota_error_exit(int error)
{
	return row_of(error)->exit_code;
}

struct code_row {
	int code;
	const char *text;
};

static const struct code_row codes[] = {
	{ 0, "success" },
	{ 502, "unknown error or exception" },
	{ 504, "the package is not a correct zip, is damaged, or is not signed with a trusted key" },
	{ 505, "project or version of the package does not match the module" },
	{ 510, "the package does not match the firmware contents" },
	{ 511, "not enough space or memory for the upgrade" },
	{ 520, "writing partition modem failed" },
	{ 521, "writing partition system failed" },
	{ 522, "writing partition boot failed" },
	{ 523, "writing partition sbl failed" },
	{ 524, "writing partition tz failed" },
	{ 525, "writing another partition failed" },
	{ 530, "a partition could not be resized" },
	{ 540, "the journal could not be read or written" },
	{ 541, "the redo ring could not be read or written" },
	{ 542, "the stash could not be read or written" },
	{ 543, "a segment did not decode to its digest after the upgrade had started" },
	{ 544, "a partition could not be read" },
	{ 545, "a finished partition has the wrong digest" },
	{ 546, "a partition's contents changed during the upgrade" },
	{ 550, "the package is too large" },
	{ 601, "FTP download failed" },
	{ 701, "HTTP(S) download failed" },
};

const char *dfota_code_text(int code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].text;
	return NULL;
}

static int write_code(enum dfota_where where, const char *partition)
{
	static const char *const names[] = { "modem", "system", "boot", "sbl", "tz" };

	if (where == DFOTA_WHERE_JOURNAL)
		return 540;
	if (where == DFOTA_WHERE_RING)
		return 541;
	if (where == DFOTA_WHERE_STASH)
		return 542;
	for (int i = 0; partition && i < 5; i++)
		if (!strcmp(partition, names[i]))
			return 520 + i;
	return 525;
}

int dfota_error_code(int error, enum dfota_where where, const char *partition, bool started)
{
	switch ((enum dfota_error)error) {
	case DFOTA_OK:
		return 0;
	case DFOTA_E_ZIP:
	case DFOTA_E_MANIFEST:
	case DFOTA_E_UNTRUSTED:
	case DFOTA_E_FORMAT:
		return 504;
	case DFOTA_E_CORRUPT:
		return started ? 543 : 504;
	case DFOTA_E_VERSION:
		return 505;
	case DFOTA_E_CONTENT:
		return started ? 546 : 510;
	case DFOTA_E_SPACE:
	case DFOTA_E_MEMORY:
		return 511;
	case DFOTA_E_TOO_LARGE:
		return 550;
	case DFOTA_E_READ:
		return where == DFOTA_WHERE_PARTITION ? 544 : write_code(where, partition);
	case DFOTA_E_WRITE:
	case DFOTA_E_ERASE:
	case DFOTA_E_FLUSH:
	case DFOTA_E_READBACK:
		return write_code(where, partition);
	case DFOTA_E_RESIZE:
		return where == DFOTA_WHERE_JOURNAL ? 540 : 530;
	case DFOTA_E_VERIFY:
		return 545;
	case DFOTA_E_ARGUMENT:
	case DFOTA_E_STATE:
	case DFOTA_E_IO:
	case DFOTA_E_NOT_FOUND:
	case DFOTA_E_TIMEOUT:
	case DFOTA_E_BUSY:
	case DFOTA_E_URL:
	case DFOTA_E_TRANSFER:
	case DFOTA_E_STOPPED:
	case DFOTA_E_REFUSED:
	case DFOTA_E_EXISTS:
	case DFOTA_E_INTERNAL:
	case DFOTA_E_COUNT_:
		break;
	}
	return 502;
}
