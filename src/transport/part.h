/* SPDX-License-Identifier: MIT
 *
 * Private to transport: a file that is being downloaded, and the note beside it of what it belongs
 * to.
 *
 * The note is written before the bytes that it vouches for and says how many of them are known to
 * be durable, with their checksum: after a power cut the rest may be anything and is fetched again,
 * and a file that is not the note's own is noticed.
 */
#ifndef DFOTA_TRANSPORT_PART_H
#define DFOTA_TRANSPORT_PART_H

#include "dfota/transport.h"

#define PART_VALIDATOR_MAX 256

struct part {
	const char *path, *meta_path;
	char url[DFOTA_URL_MAX + 8]; /* redacted: the password does not change what is there */
	char validator[PART_VALIDATOR_MAX + 1]; /* ETag, Last-Modified, or size and time (ftp);
						 * empty = cannot be continued */
	uint64_t total;				/* 0 = unknown */
	uint64_t bytes;				/* that are good; the next goes behind them */
	uint64_t durable;			/* of them */
	uint32_t crc;				/* CRC-32C of them */
	int fd;
};

/* Opens or creates the file and reads the note; what does not belong together is emptied. Of a file
 * that is complete the last byte is left out: the server, asked for it, proves that the file is
 * still its own. DFOTA_E_IO, DFOTA_E_SPACE; nothing is open then.
 */
int part_open(struct part *part, const struct dfota_download *download) DFOTA_MUST_CHECK;
void part_close(struct part *part);

/* Empties the file for bytes with this validator, and says so in the note. */
int part_restart(struct part *part, const char *validator, uint64_t total) DFOTA_MUST_CHECK;

/* Appends; makes durable every so often. DFOTA_E_SPACE, DFOTA_E_IO. */
int part_add(struct part *part, const void *bytes, size_t count) DFOTA_MUST_CHECK;

/* Makes durable what is there. */
int part_sync(struct part *part) DFOTA_MUST_CHECK;

/* Ends the file behind its last byte; durable with its name when it returns. */
int part_finish(struct part *part) DFOTA_MUST_CHECK;

/* Removes file and note. */
void part_remove(struct part *part);

#endif
