/* SPDX-License-Identifier: MIT
 *
 * Private to transport: what a server says about the file before its bytes come, and what follows
 * from it.
 *
 * Here stands the rule of resuming: bytes are appended only when the server proves that they are of
 * the same file and begin where the part ends. Whatever is doubtful is fetched from the beginning.
 */
#ifndef DFOTA_TRANSPORT_ANSWER_H
#define DFOTA_TRANSPORT_ANSWER_H

#include <curl/curl.h>

#include "part.h"

enum verdict {
	VERDICT_APPEND,	  /* what comes belongs behind the part */
	VERDICT_RESTART,  /* what comes is the file from its beginning */
	VERDICT_COMPLETE, /* the part is the whole file */
	VERDICT_STALE,	  /* the part cannot be continued: ask again, for all of it */
	VERDICT_LATER,	  /* the server cannot just now */
	VERDICT_REFUSED,  /* it will not change by asking again */
};

struct answer {
	enum verdict verdict;
	const char *why;			/* static text unless it goes on */
	char validator[PART_VALIDATOR_MAX + 1]; /* empty = cannot be continued later */
	bool sized;				/* `end` and `total` are known */
	uint64_t end;				/* position behind the last byte that follows */
	uint64_t total;
};

/* To be asked once the headers are there. `asked` is true when the request was for the bytes behind
 * the part, false when for all.
 */
void answer_judge(CURL *easy, const struct part *part, enum dfota_scheme scheme, bool asked,
		  struct answer *ret_answer);

/* "bytes <first>-<last>/<total>" with first <= last < total. */
bool answer_range_parse(const char *text, uint64_t *ret_first, uint64_t *ret_last,
			uint64_t *ret_total);

/* The validator for If-Range: a strong ETag, else a Last-Modified that is older than Date (RFC
 * 9110, 8.8.2.2: within the same second there may have been two versions), else "". NULL = not
 * sent.
 */
void answer_validator_pick(const char *etag, const char *modified, const char *date,
			   char *ret_validator);

#endif
