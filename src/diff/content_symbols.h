/* SPDX-License-Identifier: MIT
 *
 * Private to diff: the kernel's own table of symbols (kallsyms).
 */
#ifndef DFOTA_DIFF_CONTENT_SYMBOLS_H
#define DFOTA_DIFF_CONTENT_SYMBOLS_H

#include "../codec/symbols.h"
#include "content_list.h"

/* Where the tables lie in a file. */
struct content_symbols {
	uint64_t names_at, names_bytes;
	uint32_t count;         /* of symbols */
	uint32_t word;          /* of the machine: 4 or 8 bytes */
	uint64_t sequences_at;  /* 3 * count bytes; 0 = none */
	uint64_t offsets_at;    /* 4 * count bytes; 0 = none */
	uint64_t tokens_at, tokens_end; /* 256 texts, each with a zero behind, then their index */
};

/* Everything is proven from the contents. False when there are none. */
bool content_symbols_find(const uint8_t *file, uint64_t bytes, struct content_symbols *ret_symbols);

/* Finds the tokens alone, in the `reach` bytes from `from` on. */
bool content_symbols_tokens(const uint8_t *file, uint64_t bytes, uint64_t from, uint64_t reach,
			    struct content_symbols *symbols);

/* Puts names, sequences and offsets in the place of the parts that hold them; addresses stay. */
int content_cut_symbols(const uint8_t *file, uint64_t bytes, struct content_parts *parts) DFOTA_MUST_CHECK;

#endif
