/* SPDX-License-Identifier: MIT
 *
 * Encoder of coding PLAIN: pieces to streams, streams packed with LZMA2.
 */
#include "encode.h"

#include <lzma.h>
#include <stdlib.h>

#define COPY_MIN   256u /* equal bytes that are worth an operation of their own inside a piece */
#define COPY_ALIGN 8u   /* keeps the phase of words in the difference stream */

#define WELL    (9 | LZMA_PRESET_EXTREME)
#define QUICKLY 0u

struct stream {
	uint8_t *bytes; /* NULL while it is only counted */
	size_t count, room;
};

/* What is to be coded: new bytes [start, end) from pieces. */
struct extent {
	uint64_t start, end;
	const struct diff_piece *pieces;
	size_t count;
};

/* One attempt at a segment. `full` is set when a stream had no room: control is limited by the format. */
struct streams {
	struct stream all[PLAIN_STREAMS];
	bool full;
	uint64_t at;
	int64_t diagonal;
	unsigned flags;
};

static void put(struct streams *streams, enum plain_stream which, const uint8_t *bytes, size_t count)
{
	struct stream *stream = &streams->all[which];

	if (count > stream->room - stream->count) {
		streams->full = true;
		return;
	}
	if (stream->bytes)
		memcpy(stream->bytes + stream->count, bytes, count);
	stream->count += count;
}

static void put_operation(struct streams *streams, enum plain_operation operation, uint64_t argument)
{
	uint8_t bytes[DFOTA_VARINT_MAX];

	put(streams, PLAIN_CONTROL, bytes,
	    dfota_varint_put(bytes, argument << 2 | (uint64_t)operation));
}

static void put_literal(struct streams *streams, const struct diff_images *images, uint64_t bytes)
{
	if (bytes == 0)
		return;
	put_operation(streams, PLAIN_LITERAL, bytes);
	put(streams, PLAIN_LITERALS, images->new_image + streams->at, (size_t)bytes);
	streams->at += bytes;
}

/* Inverse of plain_add. */
static void subtract(uint8_t *difference, const uint8_t *new_bytes, const uint8_t *old_bytes,
		     size_t bytes, uint64_t position, unsigned flags)
{
	size_t i = 0;

	if (flags & PLAIN_WORDS) {
		for (; i < bytes && (position + i) % 4 != 0; i++)
			difference[i] = (uint8_t)(new_bytes[i] - old_bytes[i]);
		for (; bytes - i >= 4; i += 4)
			dfota_put32(difference + i,
				    dfota_get32(new_bytes + i) - dfota_get32(old_bytes + i));
	}
	for (; i < bytes; i++)
		difference[i] = (uint8_t)(new_bytes[i] - old_bytes[i]);
}

static void put_add(struct streams *streams, const struct diff_images *images, uint64_t bytes)
{
	struct stream *stream = &streams->all[PLAIN_DIFFERENCE];

	if (bytes == 0)
		return;
	put_operation(streams, PLAIN_ADD, bytes);
	if (bytes > stream->room - stream->count) {
		streams->full = true;
		return;
	}
	if (stream->bytes)
		subtract(stream->bytes + stream->count, images->new_image + streams->at,
			 images->old_image + (streams->at + (uint64_t)streams->diagonal), (size_t)bytes,
			 streams->at, streams->flags);
	stream->count += bytes;
	streams->at += bytes;
}

static void put_copy(struct streams *streams, uint64_t bytes)
{
	put_operation(streams, PLAIN_COPY, bytes);
	streams->at += bytes;
}

static uint64_t equal_bytes(const uint8_t *a, const uint8_t *b, uint64_t max)
{
	uint64_t i = 0;

	while (max - i >= 8 && dfota_get64(a + i) == dfota_get64(b + i))
		i += 8;
	while (i < max && a[i] == b[i])
		i++;
	return i;
}

/* One piece: long equal stretches are copied, the rest is old bytes and difference. */
static void put_piece(struct streams *streams, const struct diff_images *images, uint64_t end)
{
	uint64_t pending = 0; /* bytes behind streams->at that go into the next ADD */

	while (streams->at + pending < end) {
		uint64_t at = streams->at + pending, old_at = at + (uint64_t)streams->diagonal;
		uint64_t equal = equal_bytes(images->new_image + at, images->old_image + old_at,
					     end - at);
		uint64_t head = (COPY_ALIGN - at % COPY_ALIGN) % COPY_ALIGN, copy;

		if (at == streams->at && equal == end - at) {
			put_copy(streams, equal);
			return;
		}
		if (equal >= COPY_MIN + COPY_ALIGN || (equal > head && equal == end - at)) {
			copy = equal - head;
			if (equal != end - at)
				copy -= copy % COPY_ALIGN;
			put_add(streams, images, pending + head);
			put_copy(streams, copy);
			pending = 0;
			continue;
		}
		pending += equal + (equal < end - at);
	}
	put_add(streams, images, pending);
}

static void put_segment(struct streams *streams, const struct diff_images *images, uint64_t end,
			const struct diff_piece *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		put_literal(streams, images, pieces[i].at - streams->at);
		if (pieces[i].diagonal != streams->diagonal)
			put_operation(streams, PLAIN_JUMP,
				      dfota_zigzag(pieces[i].diagonal - streams->diagonal));
		streams->diagonal = pieces[i].diagonal;
		put_piece(streams, images, pieces[i].at + pieces[i].bytes);
	}
	put_literal(streams, images, end - streams->at);
}

/* A stream after LZMA2. */
struct packed {
	uint8_t *bytes;
	size_t count;
	uint8_t kind;
};

/* lc, lp, pb that are tried: for text and for words, by what a stream mostly is. */
struct candidate {
	uint8_t lc, lp, pb;
};

static const struct candidate candidates[PLAIN_STREAMS][DIFF_PACKINGS] = {
	[PLAIN_CONTROL] = { { 0, 0, 0 }, { 3, 0, 0 } },
	[PLAIN_DIFFERENCE] = { { 0, 2, 2 }, { 3, 0, 0 } },
	[PLAIN_LITERALS] = { { 3, 0, 0 }, { 0, 2, 2 } },
};

static int pack_with(const struct stream *stream, const struct candidate *candidate, uint32_t preset,
		     uint8_t *scratch, size_t room, size_t *ret_count)
{
	lzma_options_lzma options;
	lzma_filter filters[2] = {
		{ .id = LZMA_FILTER_LZMA2, .options = &options },
		{ .id = LZMA_VLI_UNKNOWN },
	};
	size_t position = 0;
	lzma_ret result;

	if (lzma_lzma_preset(&options, preset))
		return DFOTA_E_INTERNAL;
	options.dict_size = stream->count < LZMA_DICT_SIZE_MIN ? LZMA_DICT_SIZE_MIN
							       : (uint32_t)stream->count;
	options.lc = candidate->lc;
	options.lp = candidate->lp;
	options.pb = candidate->pb;
	result = lzma_raw_buffer_encode(filters, NULL, stream->bytes, stream->count, scratch,
					&position, room);
	if (result == LZMA_BUF_ERROR)
		return DFOTA_E_SPACE;
	if (result != LZMA_OK)
		return result == LZMA_MEM_ERROR ? DFOTA_E_MEMORY : DFOTA_E_INTERNAL;
	*ret_count = position;
	return 0;
}

/* Takes the candidate if it is smaller than what is there: its output has no more room than that. */
static int try_packing(const struct stream *stream, const struct candidate *candidate, uint32_t preset,
		       struct packed *packed, uint8_t *scratch, bool *ret_taken)
{
	size_t count;
	int error = pack_with(stream, candidate, preset, scratch, packed->count, &count);

	*ret_taken = !error && count < packed->count;
	if (*ret_taken) {
		memcpy(packed->bytes, scratch, count);
		packed->count = count;
		packed->kind = (uint8_t)((candidate->pb * 5 + candidate->lp) * 9 + candidate->lc);
	}
	return error == DFOTA_E_SPACE ? 0 : error;
}

/* Stored unless a candidate is smaller: quickly all of them, to choose one, or well the one that was chosen. */
static int pack(enum plain_stream which, const struct stream *stream, enum diff_effort effort, uint8_t *choice,
		struct packed *packed, uint8_t *scratch)
{
	int error = 0;
	bool taken;

	packed->count = stream->count;
	packed->kind = PLAIN_STORED;
	if (stream->count == 0)
		return 0;
	memcpy(packed->bytes, stream->bytes, stream->count);
	if (effort == DIFF_WELL && *choice < DIFF_PACKINGS)
		return try_packing(stream, &candidates[which][*choice], WELL, packed, scratch, &taken);
	if (effort == DIFF_WELL)
		return 0;
	*choice = DIFF_PACKINGS;
	for (uint8_t i = 0; i < DIFF_PACKINGS && !error; i++) {
		error = try_packing(stream, &candidates[which][i], QUICKLY, packed, scratch, &taken);
		if (taken)
			*choice = i;
	}
	return error;
}

/* All buffers of one segment, in one allocation. */
struct workbench {
	uint8_t *memory;
	struct streams streams;
	struct packed packed[PLAIN_STREAMS];
	struct packed words; /* difference stream of the other flavour */
	uint8_t *scratch;
};

/* Lays out the segment's streams anew. */
static void fill_streams(struct workbench *bench, const struct diff_images *images, const struct extent *extent,
			 unsigned flags)
{
	struct streams *streams = &bench->streams;

	for (int i = 0; i < PLAIN_STREAMS; i++)
		streams->all[i].count = 0;
	streams->at = extent->start;
	streams->diagonal = 0;
	streams->flags = flags;
	put_segment(streams, images, extent->end, extent->pieces, extent->count);
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Streams are counted first, and get as much as they need: packed, they have no more. */
static int workbench_open(struct workbench *bench, uint32_t segment_bytes, const struct diff_images *images,
			  const struct extent *extent)
{
	struct stream *all = bench->streams.all;
	size_t bytes = 0, largest = 0;
	uint8_t *p;

	*bench = (struct workbench){ 0 };
	for (int i = 0; i < PLAIN_STREAMS; i++)
		all[i].room = i == PLAIN_CONTROL ? plain_control_max(segment_bytes) : segment_bytes;
	fill_streams(bench, images, extent, 0);
	for (int i = 0; i < PLAIN_STREAMS; i++) {
		bytes += 2 * all[i].count;
		largest = larger(largest, all[i].count);
	}
	p = bench->memory = malloc(bytes + all[PLAIN_DIFFERENCE].count + largest + 1);
	if (!p)
		return DFOTA_E_MEMORY;
	for (int i = 0; i < PLAIN_STREAMS; i++) {
		all[i].bytes = p;
		bench->packed[i].bytes = p + all[i].count;
		p += 2 * all[i].count;
	}
	bench->words.bytes = p;
	bench->scratch = p + all[PLAIN_DIFFERENCE].count;
	return 0;
}

/* The difference as words, if that is smaller. */
static int try_words(struct workbench *bench, const struct diff_images *images, const struct extent *extent,
		     struct diff_choice *choice)
{
	const struct stream *stream = &bench->streams.all[PLAIN_DIFFERENCE];
	struct packed *best = &bench->packed[PLAIN_DIFFERENCE];
	uint8_t packing = DIFF_PACKINGS;
	int error;

	choice->words = false;
	if (bench->streams.full || stream->count < 4)
		return 0;
	fill_streams(bench, images, extent, PLAIN_WORDS);
	error = pack(PLAIN_DIFFERENCE, stream, DIFF_QUICKLY, &packing, &bench->words, bench->scratch);
	if (!error && bench->words.count < best->count) {
		*best = bench->words;
		choice->words = true;
		choice->packing[PLAIN_DIFFERENCE] = packing;
	}
	return error;
}

static int pack_all(struct workbench *bench, const struct diff_images *images, const struct extent *extent,
		    enum diff_effort effort, struct diff_choice *choice)
{
	struct streams *streams = &bench->streams;
	int error = 0;

	fill_streams(bench, images, extent, effort == DIFF_WELL && choice->words ? PLAIN_WORDS : 0);
	for (int i = 0; i < PLAIN_STREAMS && !streams->full && !error; i++)
		error = pack((enum plain_stream)i, &streams->all[i], effort, &choice->packing[i], &bench->packed[i],
			     bench->scratch);
	if (error || effort == DIFF_WELL)
		return error;
	return try_words(bench, images, extent, choice);
}

/* Head and streams into one chunk; leaves *ret_chunk RAW when they are not smaller than the segment. */
static int join(const struct workbench *bench, unsigned flags, size_t segment,
		struct diff_chunk *ret_chunk)
{
	uint8_t head[PLAIN_HEAD_MAX];
	size_t at = 0, bytes;

	head[at++] = (uint8_t)flags;
	for (int i = 0; i < PLAIN_STREAMS; i++)
		at += dfota_varint_put(head + at, bench->streams.all[i].count);
	bytes = 0;
	for (int i = 0; i < PLAIN_STREAMS; i++) {
		if (bench->streams.all[i].count == 0)
			continue;
		head[at++] = bench->packed[i].kind;
		at += dfota_varint_put(head + at, bench->packed[i].count);
		bytes += bench->packed[i].count;
	}
	if (at + bytes >= segment)
		return 0;
	ret_chunk->bytes = malloc(at + bytes);
	if (!ret_chunk->bytes)
		return DFOTA_E_MEMORY;
	memcpy(ret_chunk->bytes, head, at);
	for (int i = 0; i < PLAIN_STREAMS; i++) {
		if (bench->streams.all[i].count == 0)
			continue;
		memcpy(ret_chunk->bytes + at, bench->packed[i].bytes, bench->packed[i].count);
		ret_chunk->streams[i] = (uint32_t)bench->packed[i].count;
		at += bench->packed[i].count;
	}
	ret_chunk->count = (uint32_t)at;
	ret_chunk->coding = DFOTA_CODING_PLAIN;
	return 0;
}

static void count_bytes(const struct diff_images *images, uint64_t start, uint64_t end,
			const struct diff_piece *pieces, size_t count, struct diff_chunk *chunk)
{
	uint64_t moved = 0, covered = 0;

	for (size_t i = 0; i < count; i++) {
		const uint8_t *new_bytes = images->new_image + pieces[i].at;
		const uint8_t *old_bytes = images->old_image + (pieces[i].at + (uint64_t)pieces[i].diagonal);

		covered += pieces[i].bytes;
		for (uint64_t j = 0; j < pieces[i].bytes; j++)
			moved += new_bytes[j] == old_bytes[j];
	}
	chunk->moved = (uint32_t)moved;
	chunk->changed = (uint32_t)(covered - moved);
	chunk->literal = (uint32_t)(end - start - covered);
}

int diff_encode(const struct diff_images *images, uint64_t start, uint64_t end,
		uint32_t segment_bytes, const struct diff_piece *pieces, size_t count,
		enum diff_effort effort, struct diff_choice *choice, struct diff_chunk *ret_chunk)
{
	struct diff_chunk chunk = { .coding = DFOTA_CODING_RAW, .count = (uint32_t)(end - start) };
	struct extent extent = { start, end, pieces, count };
	struct workbench bench;
	int error;

	error = workbench_open(&bench, segment_bytes, images, &extent);
	if (error)
		return error;
	if (!bench.streams.full)
		error = pack_all(&bench, images, &extent, effort, choice);
	if (error == 0 && !bench.streams.full)
		error = join(&bench, choice->words ? PLAIN_WORDS : 0, (size_t)(end - start), &chunk);
	free(bench.memory);
	if (error)
		return error;
	if (chunk.coding == DFOTA_CODING_RAW)
		count = 0;
	count_bytes(images, start, end, pieces, count, &chunk);
	*ret_chunk = chunk;
	return 0;
}
