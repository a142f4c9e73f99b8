/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: the kernel's table of symbol names (kallsyms).
 *
 * Names are compressed with up to 256 tokens, each of which stands for a pair of others. A new kernel chooses other tokens,
 * so hardly a byte of the table stays although hardly a name changes. Told both sets of pairs, the decoder expands
 * the old name and compresses it anew.
 */
#ifndef DFOTA_CODEC_SYMBOLS_H
#define DFOTA_CODEC_SYMBOLS_H

#include "dfota/bytes.h"

#define SYMBOL_TOKENS     256u
#define SYMBOL_TEXT_MAX   1024u /* of a name */
#define SYMBOL_TOKENS_MAX 8192u /* texts of all tokens */
#define SYMBOL_ENTRY_MAX  (SYMBOL_TEXT_MAX + 2)
#define SYMBOL_HEAD_MAX   2u    /* bytes that tell an entry's length */
#define SYMBOL_NUMBER_BYTES 3u  /* of a sequence's number */

/* Two tokens in the order in which they stand, first << 8 | second; 0: the token is a character. Those of `token` have
 * higher numbers or are characters.
 */
struct symbol_pairs {
	uint16_t of[SYMBOL_TOKENS];
};

/* What names are expanded with, and compressed. */
struct symbols {
	struct symbol_pairs old, new;
	uint16_t text_at[SYMBOL_TOKENS], text_bytes[SYMBOL_TOKENS];
	uint8_t text[SYMBOL_TOKENS_MAX];
	uint16_t token_of[1u << 16]; /* 1 + token, by pair; 0 = none */
};

/* Texts of the old tokens and the look-up of the new ones. DFOTA_E_CORRUPT when a pair does not refer upwards or texts are too
 * long. No pairs: everything is characters.
 */
int symbols_ready(struct symbols *symbols) DFOTA_MUST_CHECK;

/* Text of `count` old tokens; its length, or 0 when it is longer than SYMBOL_TEXT_MAX. */
uint32_t symbols_expand(const struct symbols *symbols, const uint8_t *tokens, uint32_t count,
			uint8_t text[SYMBOL_TEXT_MAX]);

/* Compresses a text in place with the new tokens: always the highest that is possible, from the left. Returns what is left. */
uint32_t symbols_compress(const struct symbols *symbols, uint8_t *text, uint32_t count);

/* An entry starts with its length, in one byte, or two if it is above 127. */
static inline uint32_t symbols_head_bytes(uint8_t first)
{
	return first & 0x80 ? 2 : 1;
}

static inline uint32_t symbols_entry_bytes(const uint8_t *head)
{
	return head[0] & 0x80 ? 2 + ((head[0] & 0x7fu) | (uint32_t)head[1] << 7) : 1u + head[0];
}

/* A number of a sequence, highest byte first. */
static inline uint32_t symbols_number(const uint8_t *at)
{
	return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

/* The new entry for `count` old tokens: its length, head included, or 0 when there is none. */
uint32_t symbols_translate(const struct symbols *symbols, const uint8_t *tokens, uint32_t count,
			   uint8_t entry[SYMBOL_ENTRY_MAX]);

#endif
