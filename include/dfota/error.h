/* SPDX-License-Identifier: MIT
 *
 * Errors of every room, and their one table to the codes of the AT port and of the tool.
 *
 * Functions return 0 or a negative `enum dfota_error`; positive values appear only where a count
 * is documented. The enum is append-only: values are stored in journals and logs.
 */
#ifndef DFOTA_ERROR_H
#define DFOTA_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_MUST_CHECK __attribute__((warn_unused_result))

enum dfota_error {
	DFOTA_OK = 0,
	DFOTA_E_ARGUMENT = -1,   /* caller's bug */
	DFOTA_E_STATE = -2,      /* call not allowed in this state: caller's bug */
	DFOTA_E_MEMORY = -3,     /* work memory too small or allocation failed */
	DFOTA_E_IO = -4,         /* operating system refused a read or write outside the flash */
	DFOTA_E_NOT_FOUND = -5,  /* file, partition or record is not there */
	DFOTA_E_ZIP = -6,        /* not a correct zip, or an entry is damaged or cut short */
	DFOTA_E_MANIFEST = -7,   /* manifest missing, malformed or out of bounds */
	DFOTA_E_UNTRUSTED = -8,  /* signature missing or of no trusted key */
	DFOTA_E_FORMAT = -9,     /* format version newer than this program */
	DFOTA_E_VERSION = -10,   /* project or running version is not the package's */
	DFOTA_E_CONTENT = -11,   /* flash contents are not those the package was made from */
	DFOTA_E_SPACE = -12,     /* not enough space for ring, stash, growth or file */
	DFOTA_E_TOO_LARGE = -13, /* package larger than the module accepts */
	DFOTA_E_CORRUPT = -14,   /* coded data does not decode, or not to its digest */
	DFOTA_E_READ = -15,      /* flash read failed */
	DFOTA_E_WRITE = -16,     /* flash write failed */
	DFOTA_E_ERASE = -17,     /* flash erase failed */
	DFOTA_E_FLUSH = -18,     /* flash flush failed */
	DFOTA_E_READBACK = -19,  /* bytes read back are not the bytes written */
	DFOTA_E_RESIZE = -20,    /* partition could not be grown or shrunk */
	DFOTA_E_VERIFY = -21,    /* finished partition has the wrong digest */
	DFOTA_E_TIMEOUT = -22,   /* peer did not answer in time */
	DFOTA_E_BUSY = -23,      /* resource in use */
	DFOTA_E_URL = -24,       /* URL or file path malformed */
	DFOTA_E_TRANSFER = -25,  /* download failed */
	DFOTA_E_STOPPED = -26,   /* asked to stop; never counted as a failure */
	DFOTA_E_REFUSED = -27,   /* peer answered ERROR */
	DFOTA_E_EXISTS = -28,    /* file is there already */
	DFOTA_E_INTERNAL = -29,  /* broken invariant */
	DFOTA_E_COUNT_ = -30     /* one past the last value, for tables and tests */
};

/* What to do about an error: the state machines switch on this, not on the value. */
enum dfota_error_class {
	DFOTA_CLASS_NONE,    /* no error */
	DFOTA_CLASS_RETRY,   /* the same attempt may succeed later */
	DFOTA_CLASS_GIVE_UP, /* will not change by trying again */
	DFOTA_CLASS_BUG      /* caller's mistake */
};

/* Where it happened: chooses among the codes 520-530 and 540-546 (SPEC "Codes"). */
enum dfota_where {
	DFOTA_WHERE_NONE,
	DFOTA_WHERE_PACKAGE,   /* reading or decoding the package */
	DFOTA_WHERE_PARTITION, /* a firmware partition, named beside */
	DFOTA_WHERE_JOURNAL,
	DFOTA_WHERE_RING,
	DFOTA_WHERE_STASH,
	DFOTA_WHERE_COUNT
};

enum dfota_error_class dfota_error_class(int error);

/* Stable identifier ("E_CONTENT") and one-line English text; never NULL, static storage. */
const char *dfota_error_name(int error);
const char *dfota_error_text(int error);

/* Exit code of the tool for `error`: 0 done, 1 failed, 2 usage, 3 not trusted, 4 no answer. */
int dfota_error_exit(int error);

/* Code for `+QIND: "FOTA","END",<err>`. `started` is true once the first write of the upgrade may
 * have happened: the same damage is 504/510 before and 54x after. `partition` may be NULL.
 * docs/at-commands.md shows the same table; a test compares the two.
 */
int dfota_error_code(int error, enum dfota_where where, const char *partition, bool started);

/* One-line cause of a DFOTA code (0, 502 ... 701); NULL for a code this project does not send. */
const char *dfota_code_text(int code);

#ifdef __cplusplus
}
#endif
#endif
