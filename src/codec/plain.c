/* SPDX-License-Identifier: MIT
 *
 * Coding PLAIN, decoder: copy, add and insert from three streams packed with LZMA2 each.
 *
 * Streams are unpacked one after the other with one LZMA2 decoder whose memory comes from the
 * workspace; then control is followed. Nothing in the chunk is believed before it is compared with
 * the sizes of image and segment.
 */
#include <lzma.h>

#include "coding.h"
#include "plain.h"

/* Decoder state of liblzma beside its dictionary: measured 36 KiB in 5.4, with reserve. */
#define LZMA_STATE_BYTES (64u << 10)
#define DICTIONARY_MIN	 4096u
#define INPUT_BYTES	 4096u
#define OLD_READ_BYTES	 (64u << 10) /* most that is read from the old image at once */

struct plain {
	uint8_t *lzma; /* arena of the LZMA2 decoder in use */
	size_t lzma_bytes;
	uint8_t *control; /* unpacked streams; difference is followed by literals */
	uint8_t *data;
	uint8_t *input;
};

struct packing {
	uint64_t bytes, packed_bytes;
	uint64_t at; /* in the chunk */
	unsigned kind;
};

static size_t lzma_bytes_of(uint32_t segment_bytes)
{
	return LZMA_STATE_BYTES + DICTIONARY_MIN + segment_bytes;
}

/* One byte more than a stream may have, so that a longer one is noticed. */
static size_t data_bytes_of(uint32_t segment_bytes)
{
	return (size_t)segment_bytes + 1;
}

static size_t control_bytes_of(uint32_t segment_bytes)
{
	return plain_control_max(segment_bytes) + 1;
}

static size_t plain_workspace_bytes(const struct dfota_codec_image *image)
{
	return codec_arena_bytes(sizeof(struct plain)) +
	       codec_arena_bytes(lzma_bytes_of(image->segment_bytes)) +
	       codec_arena_bytes(control_bytes_of(image->segment_bytes)) +
	       codec_arena_bytes(data_bytes_of(image->segment_bytes)) +
	       codec_arena_bytes(INPUT_BYTES);
}

static int plain_init(void **ret_state, const struct dfota_codec_image *image,
		      const struct dfota_source *prelude, struct codec_arena *arena)
{
	struct plain *plain = codec_arena_take(arena, sizeof(*plain));

	(void)prelude;
	if (!plain)
		return DFOTA_E_MEMORY;
	plain->lzma_bytes = codec_arena_bytes(lzma_bytes_of(image->segment_bytes));
	plain->lzma = codec_arena_take(arena, plain->lzma_bytes);
	plain->control = codec_arena_take(arena, control_bytes_of(image->segment_bytes));
	plain->data = codec_arena_take(arena, data_bytes_of(image->segment_bytes));
	plain->input = codec_arena_take(arena, INPUT_BYTES);
	if (!plain->lzma || !plain->control || !plain->data || !plain->input)
		return DFOTA_E_MEMORY;
	*ret_state = plain;
	return 0;
}

static void *lzma_take(void *opaque, size_t count, size_t bytes)
{
	uint64_t whole;

	if (dfota_mul64(count, bytes, &whole) || whole > SIZE_MAX)
		return NULL;
	return codec_arena_take(opaque, (size_t)whole);
}

static void lzma_give_back(void *opaque, void *memory)
{
	(void)opaque;
	(void)memory; /* the whole arena starts anew with the next stream */
}

static bool packing_options(unsigned kind, uint64_t bytes, lzma_options_lzma *ret_options)
{
	unsigned lc = kind % 9, lp = kind / 9 % 5, pb = kind / 45;

	if (lc + lp > LZMA_LCLP_MAX || pb > LZMA_PB_MAX)
		return false;
	*ret_options = (lzma_options_lzma){
		.dict_size = bytes < DICTIONARY_MIN ? DICTIONARY_MIN : (uint32_t)bytes,
		.lc = lc,
		.lp = lp,
		.pb = pb,
	};
	return true;
}

/* Runs the decoder until the stream's end; the output has one byte of room more than it should
 * fill. */
static int unpack_all(struct plain *plain, lzma_stream *stream, const struct dfota_source *chunk,
		      const struct packing *packing)
{
	uint64_t taken = 0;
	lzma_ret result;
	int error;

	do {
		if (stream->avail_in == 0 && taken < packing->packed_bytes) {
			size_t piece =
			    (size_t)dfota_min64(INPUT_BYTES, packing->packed_bytes - taken);

			error = dfota_source_read(chunk, packing->at + taken, plain->input, piece);
			if (error)
				return error;
			taken += piece;
			stream->next_in = plain->input;
			stream->avail_in = piece;
		}
		result = lzma_code(stream, LZMA_RUN);
	} while (result == LZMA_OK && stream->avail_out > 0);
	if (result == LZMA_MEM_ERROR)
		return DFOTA_E_MEMORY;
	if (result != LZMA_STREAM_END || stream->avail_in != 0 || taken != packing->packed_bytes ||
	    stream->avail_out != 1)
		return DFOTA_E_CORRUPT;
	return 0;
}

static int unpack(struct plain *plain, const struct dfota_source *chunk,
		  const struct packing *packing, uint8_t *out)
{
	struct codec_arena arena = { plain->lzma, plain->lzma_bytes };
	lzma_allocator allocator = { lzma_take, lzma_give_back, &arena };
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	lzma_filter filters[2] = {
		{ .id = LZMA_FILTER_LZMA2, .options = &options },
		{ .id = LZMA_VLI_UNKNOWN },
	};
	lzma_ret result;
	int error;

	if (packing->bytes == 0)
		return 0;
	if (packing->kind == PLAIN_STORED)
		return dfota_source_read(chunk, packing->at, out, (size_t)packing->bytes);
	if (!packing_options(packing->kind, packing->bytes, &options))
		return DFOTA_E_CORRUPT;
	stream.allocator = &allocator;
	result = lzma_raw_decoder(&stream, filters);
	if (result != LZMA_OK)
		return result == LZMA_MEM_ERROR ? DFOTA_E_MEMORY : DFOTA_E_CORRUPT;
	stream.next_out = out;
	stream.avail_out = (size_t)packing->bytes + 1;
	error = unpack_all(plain, &stream, chunk, packing);
	lzma_end(&stream);
	return error;
}

static int read_packing(const uint8_t **position, const uint8_t *end, struct packing *packing)
{
	if (packing->bytes == 0)
		return 0;
	if (*position == end)
		return DFOTA_E_CORRUPT;
	packing->kind = *(*position)++;
	if (dfota_varint_get(position, end, &packing->packed_bytes))
		return DFOTA_E_CORRUPT;
	if (packing->kind == PLAIN_STORED ? packing->packed_bytes != packing->bytes
					  : packing->packed_bytes == 0)
		return DFOTA_E_CORRUPT;
	return 0;
}

static int read_head(struct packing packings[PLAIN_STREAMS], unsigned *ret_flags,
		     const struct dfota_codec_image *image, const struct dfota_codec_job *job,
		     size_t out_bytes)
{
	uint8_t head[PLAIN_HEAD_MAX];
	size_t bytes = (size_t)dfota_min64(sizeof(head), job->chunk_bytes);
	const uint8_t *p = head, *end = head + bytes;
	uint64_t at;
	int error;

	error = dfota_source_read(&job->chunk, 0, head, bytes);
	if (error)
		return error;
	*ret_flags = *p++;
	if (*ret_flags & ~PLAIN_WORDS)
		return DFOTA_E_CORRUPT;
	for (int i = 0; i < PLAIN_STREAMS; i++)
		if (dfota_varint_get(&p, end, &packings[i].bytes))
			return DFOTA_E_CORRUPT;
	if (packings[PLAIN_CONTROL].bytes > plain_control_max(image->segment_bytes) ||
	    packings[PLAIN_DIFFERENCE].bytes > out_bytes ||
	    packings[PLAIN_LITERALS].bytes > out_bytes - packings[PLAIN_DIFFERENCE].bytes)
		return DFOTA_E_CORRUPT;
	for (int i = 0; i < PLAIN_STREAMS; i++) {
		error = read_packing(&p, end, &packings[i]);
		if (error)
			return error;
	}
	at = (uint64_t)(p - head);
	for (int i = 0; i < PLAIN_STREAMS; i++) {
		packings[i].at = at;
		if (packings[i].packed_bytes > job->chunk_bytes - at)
			return DFOTA_E_CORRUPT;
		at += packings[i].packed_bytes;
	}
	return at == job->chunk_bytes ? 0 : DFOTA_E_CORRUPT;
}

void plain_add(uint8_t *out, const uint8_t *difference, size_t bytes, uint64_t position,
	       unsigned flags)
{
	size_t i = 0;

	if (flags & PLAIN_WORDS) {
		for (; i < bytes && (position + i) % 4 != 0; i++)
			out[i] = (uint8_t)(out[i] + difference[i]);
		for (; bytes - i >= 4; i += 4)
			dfota_put32(out + i, dfota_get32(out + i) + dfota_get32(difference + i));
	}
	for (; i < bytes; i++)
		out[i] = (uint8_t)(out[i] + difference[i]);
}

static int read_old(const struct dfota_codec_job *job, uint64_t offset, uint8_t *out, size_t bytes)
{
	int error;

	while (bytes > 0) {
		size_t piece = bytes < OLD_READ_BYTES ? bytes : OLD_READ_BYTES;

		error = dfota_source_read(&job->old, offset, out, piece);
		if (error)
			return error;
		offset += piece;
		out += piece;
		bytes -= piece;
	}
	return 0;
}

static int follow(const struct plain *plain, const struct packing packings[PLAIN_STREAMS],
		  unsigned flags, const struct dfota_codec_image *image,
		  const struct dfota_codec_job *job, uint8_t *out, size_t out_bytes)
{
	const uint8_t *p = plain->control, *end = p + packings[PLAIN_CONTROL].bytes;
	const uint8_t *difference = plain->data;
	const uint8_t *difference_end = difference + packings[PLAIN_DIFFERENCE].bytes;
	const uint8_t *literal = difference_end;
	const uint8_t *literal_end = literal + packings[PLAIN_LITERALS].bytes;
	uint64_t at = (uint64_t)job->segment * image->segment_bytes, diagonal = 0, argument;
	size_t done = 0;
	int error;

	while (p != end) {
		enum plain_operation operation;

		if (dfota_varint_get(&p, end, &argument))
			return DFOTA_E_CORRUPT;
		operation = (enum plain_operation)(argument & 3);
		argument >>= 2;
		if (operation == PLAIN_JUMP) {
			diagonal += (uint64_t)dfota_unzigzag(argument);
			continue;
		}
		if (argument == 0 || argument > out_bytes - done)
			return DFOTA_E_CORRUPT;
		if (operation == PLAIN_LITERAL) {
			if (argument > (uint64_t)(literal_end - literal))
				return DFOTA_E_CORRUPT;
			memcpy(out + done, literal, (size_t)argument);
			literal += argument;
			done += (size_t)argument;
			continue;
		}
		if (!dfota_inside(at + done + diagonal, argument, image->old_bytes))
			return DFOTA_E_CORRUPT;
		error = read_old(job, at + done + diagonal, out + done, (size_t)argument);
		if (error)
			return error;
		if (operation == PLAIN_ADD) {
			if (argument > (uint64_t)(difference_end - difference))
				return DFOTA_E_CORRUPT;
			plain_add(out + done, difference, (size_t)argument, at + done, flags);
			difference += argument;
		}
		done += (size_t)argument;
	}
	return done == out_bytes && difference == difference_end && literal == literal_end
		   ? 0
		   : DFOTA_E_CORRUPT;
}

static int plain_decode(void *state, const struct dfota_codec_image *image,
			const struct dfota_codec_job *job, uint8_t *out, size_t out_bytes)
{
	struct packing packings[PLAIN_STREAMS] = { 0 };
	struct plain *plain = state;
	unsigned flags;
	int error;

	error = read_head(packings, &flags, image, job, out_bytes);
	if (error)
		return error;
	error = unpack(plain, &job->chunk, &packings[PLAIN_CONTROL], plain->control);
	if (error)
		return error;
	error = unpack(plain, &job->chunk, &packings[PLAIN_DIFFERENCE], plain->data);
	if (error)
		return error;
	error = unpack(plain, &job->chunk, &packings[PLAIN_LITERALS],
		       plain->data + packings[PLAIN_DIFFERENCE].bytes);
	if (error)
		return error;
	return follow(plain, packings, flags, image, job, out, out_bytes);
}

/* All that was taken from the arena behind the state. */
static void *plain_idle(void *state, size_t *ret_bytes)
{
	struct plain *plain = state;

	*ret_bytes = (size_t)(plain->input + INPUT_BYTES - plain->lzma);
	return plain->lzma;
}

const struct codec_coding codec_plain = {
	.name = "plain",
	.workspace_bytes = plain_workspace_bytes,
	.init = plain_init,
	.decode = plain_decode,
	.idle = plain_idle,
};
