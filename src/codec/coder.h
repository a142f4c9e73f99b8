/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: binary arithmetic coder, both ways.
 *
 * Encoder and decoder run the same code: every function that codes something takes the value and returns
 * it; when decoding the value given is ignored. So what is written is what is read, by construction.
 */
#ifndef DFOTA_CODEC_CODER_H
#define DFOTA_CODEC_CODER_H

#include "dfota/bytes.h"

#define CODER_INPUT_BYTES 1024u
#define CODER_SLACK       3u /* zero bytes that a decoder may read past the end */

struct coder {
	uint32_t low, high, code;
	bool encoding;
	/* decoding */
	const struct dfota_source *source;
	uint64_t source_bytes, taken; /* taken counts the zeros past the end too */
	int error;                    /* first error of the source; zeros are read then */
	uint8_t input[CODER_INPUT_BYTES];
	/* encoding */
	uint8_t *output;
	size_t output_bytes, output_room; /* bytes counts on when there is no room */
};

/* Neither source nor output are owned. */
void coder_start_decoding(struct coder *coder, const struct dfota_source *source, uint64_t bytes);
void coder_start_encoding(struct coder *coder, uint8_t *output, size_t room);

/* Codes one bit that is 1 with probability p / 65536; p in 1..65535. */
unsigned coder_bit(struct coder *coder, uint32_t p, unsigned bit);

/* Encoding: all that was coded so far, in 1/65536 bit; what a decision costs lies between before and after it. */
uint64_t coder_written(const struct coder *coder);

/* Ends the stream. Decoding: DFOTA_E_CORRUPT when it is longer or shorter than what was coded, or the source's error.
 * Encoding: DFOTA_E_SPACE when it did not fit.
 */
int coder_finish(struct coder *coder) DFOTA_MUST_CHECK;

/* True once decoding can only yield garbage: more was asked for than there is. Lets long loops stop early. */
static inline bool coder_exhausted(const struct coder *coder)
{
	return !coder->encoding &&
	       (coder->error || coder->taken > coder->source_bytes + 4 + CODER_SLACK);
}

#endif
