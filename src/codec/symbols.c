/* SPDX-License-Identifier: MIT
 *
 * Names of symbols, from one set of tokens to another.
 */
#include "symbols.h"

#include "dfota/error.h"

static uint32_t text_put(struct symbols *s, uint32_t used, unsigned token)
{
	if (s->text_bytes[token] > SYMBOL_TOKENS_MAX - used)
		return 0;
	memcpy(s->text + used, s->text + s->text_at[token], s->text_bytes[token]);
	return s->text_bytes[token];
}

/* A token refers to tokens above it, or to characters: from the highest down all are known in time. */
static bool refers_upwards(const struct symbol_pairs *pairs, unsigned token, unsigned part)
{
	return pairs->of[part] == 0 || part > token;
}

static bool pairs_make_sense(const struct symbol_pairs *pairs)
{
	for (unsigned token = 0; token < SYMBOL_TOKENS; token++)
		if (pairs->of[token] != 0 &&
		    (!refers_upwards(pairs, token, pairs->of[token] >> 8) ||
		     !refers_upwards(pairs, token, pairs->of[token] & 255)))
			return false;
	return true;
}

static bool texts_make(struct symbols *s)
{
	uint32_t used = 0;

	for (unsigned token = 0; token < SYMBOL_TOKENS; token++) {
		if (s->old.of[token] != 0)
			continue;
		s->text_at[token] = (uint16_t)used;
		s->text_bytes[token] = 1;
		s->text[used++] = (uint8_t)token;
	}
	for (unsigned token = SYMBOL_TOKENS; token-- > 0;) {
		uint32_t first, second;

		if (s->old.of[token] == 0)
			continue;
		first = text_put(s, used, s->old.of[token] >> 8);
		second = first ? text_put(s, used + first, s->old.of[token] & 255) : 0;
		if (second == 0)
			return false;
		s->text_at[token] = (uint16_t)used;
		s->text_bytes[token] = (uint16_t)(first + second);
		used += first + second;
	}
	return true;
}

int symbols_ready(struct symbols *s)
{
	memset(s->token_of, 0, sizeof(s->token_of));
	for (unsigned token = 0; token < SYMBOL_TOKENS; token++)
		if (s->new.of[token] != 0)
			s->token_of[s->new.of[token]] = (uint16_t)(token + 1);
	return pairs_make_sense(&s->old) && pairs_make_sense(&s->new) && texts_make(s)
		       ? 0
		       : DFOTA_E_CORRUPT;
}

uint32_t symbols_expand(const struct symbols *s, const uint8_t *tokens, uint32_t count,
			uint8_t text[SYMBOL_TEXT_MAX])
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t more = s->text_bytes[tokens[i]];

		if (more > SYMBOL_TEXT_MAX - bytes)
			return 0;
		memcpy(text + bytes, s->text + s->text_at[tokens[i]], more);
		bytes += more;
	}
	return bytes;
}

/* 1 + the highest token for two neighbours, or 0. */
static unsigned best_token(const struct symbols *s, const uint8_t *text, uint32_t count)
{
	unsigned best = 0;

	for (uint32_t i = 0; i + 1 < count; i++) {
		unsigned token = s->token_of[text[i] << 8 | text[i + 1]];

		if (token > best)
			best = token;
	}
	return best;
}

uint32_t symbols_compress(const struct symbols *s, uint8_t *text, uint32_t count)
{
	unsigned best;

	/* each round leaves fewer */
	while ((best = best_token(s, text, count)) > 0) {
		uint16_t pair = s->new.of[best - 1];
		uint32_t kept = 0;

		for (uint32_t i = 0; i < count; i++) {
			if (i + 1 < count && text[i] == pair >> 8 && text[i + 1] == (pair & 255)) {
				text[kept++] = (uint8_t)(best - 1);
				i++;
			} else {
				text[kept++] = text[i];
			}
		}
		count = kept;
	}
	return count;
}

uint32_t symbols_translate(const struct symbols *s, const uint8_t *tokens, uint32_t count,
			   uint8_t entry[SYMBOL_ENTRY_MAX])
{
	uint8_t text[SYMBOL_TEXT_MAX];
	uint32_t bytes = symbols_expand(s, tokens, count, text), head = 0;

	if (bytes == 0)
		return 0;
	bytes = symbols_compress(s, text, bytes);
	if (bytes < 0x80) {
		entry[head++] = (uint8_t)bytes;
	} else {
		entry[head++] = (uint8_t)(bytes | 0x80);
		entry[head++] = (uint8_t)(bytes >> 7);
	}
	memcpy(entry + head, text, bytes);
	return head + bytes;
}
