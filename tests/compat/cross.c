/* SPDX-License-Identifier: MIT
 *
 * Makes a delta from two images, or decodes one beside its old image; for comparing compilers and
 * machines.
 *
 * usage: cross make OLD NEW DELTA      (only with -DWITH_DIFF)
 *        cross decode OLD DELTA NEW    prints the codings that occurred
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/codec/coding.h"
#include "dfota/delta.h"

#ifdef WITH_DIFF
#include "dfota/diff.h"
#endif

#ifdef WITHOUT_LZMA /* a machine for which there is no liblzma: PLAIN is refused */
static size_t no_bytes(const struct dfota_codec_image *image)
{
	(void)image;
	return 0;
}

static int refuse(void **ret_state, const struct dfota_codec_image *image,
		  const struct dfota_source *prelude, struct codec_arena *arena)
{
	(void)ret_state, (void)image, (void)prelude, (void)arena;
	return DFOTA_E_FORMAT;
}

const struct codec_coding codec_plain = { .name = "plain",
					  .workspace_bytes = no_bytes,
					  .init = refuse };
#endif

static uint8_t *load(const char *path, size_t *ret_bytes)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	long size = -1;

	if (file && fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size >= 0 && fseek(file, 0, SEEK_SET) == 0)
		bytes = malloc((size_t)size + 1);
	if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(file);
	*ret_bytes = (size_t)size;
	return bytes;
}

static int save(const char *path, const uint8_t *a, size_t a_bytes, const uint8_t *b,
		size_t b_bytes)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(a, 1, a_bytes, file) != a_bytes ||
	    fwrite(b, 1, b_bytes, file) != b_bytes || fclose(file) != 0) {
		perror(path);
		return -1;
	}
	return 0;
}

#ifdef WITH_DIFF
static int make(char **paths)
{
	size_t old_bytes, new_bytes, index_bytes;
	uint8_t *old = load(paths[0], &old_bytes), *new = load(paths[1], &new_bytes), *index;
	struct dfota_diff_options options = { .stash_limit = DFOTA_DIFF_STASH_DEFAULT };
	struct dfota_delta_image delta;
	int error = dfota_diff_build(old, old_bytes, new, new_bytes, &options, &delta);

	if (!error)
		error = dfota_delta_write_index(&delta, &index, &index_bytes);
	return error ? error
		     : save(paths[2], index, index_bytes, delta.chunks,
			    (size_t)delta.header.chunk_bytes);
}
#endif

static int decode_steps(const struct dfota_delta *delta, struct dfota_codec *codec,
			const struct dfota_memory *file, const struct dfota_memory *old,
			uint8_t *new)
{
	struct dfota_delta_cursor cursor;
	struct dfota_delta_step step;
	uint64_t chunk_at;
	int error;

	dfota_delta_rewind(&cursor, delta);
	while (!(error = dfota_delta_next(&cursor, &step, &chunk_at))) {
		struct dfota_memory chunk = { file->data + chunk_at, step.chunk_bytes };
		struct dfota_codec_job job = { step.segment, step.coding, step.chunk_bytes,
					       dfota_memory_source(&chunk),
					       dfota_memory_source(old) };
		uint64_t at, bytes, old_bytes;

		dfota_delta_step_range(&delta->header, &step, &at, &bytes, &old_bytes);
		if (step.kind == DFOTA_STEP_TAIL)
			continue;
		if (step.kind == DFOTA_STEP_UNCHANGED)
			memcpy(new + at, old->data + at, (size_t)bytes);
		else if ((error = dfota_codec_decode(codec, &job, new + at, (size_t)bytes)))
			return error;
	}
	return error == DFOTA_E_NOT_FOUND ? 0 : error;
}

static int decode(char **paths)
{
	size_t old_bytes, file_bytes, bytes;
	uint8_t *old = load(paths[0], &old_bytes), *file = load(paths[1], &file_bytes), *new;
	struct dfota_memory old_memory = { old, old_bytes }, memory = { file, file_bytes }, index;
	struct dfota_source source = dfota_memory_source(&memory), prelude;
	struct dfota_delta delta;
	struct dfota_codec_image image;
	struct dfota_codec *codec;
	void *workspace;
	int error = dfota_delta_open(&delta, &source, file_bytes);

	if (error)
		return error;
	image = (struct dfota_codec_image){ delta.header.old_bytes, delta.header.new_bytes,
					    delta.header.segment_bytes, delta.header.prelude_bytes,
					    delta.header.codings, delta.header.map };
	index = (struct dfota_memory){ file + delta.prelude_at, delta.header.prelude_bytes };
	prelude = dfota_memory_source(&index);
	bytes = dfota_codec_workspace_bytes(&image);
	workspace = malloc(bytes);
	new = malloc((size_t)image.new_bytes + 1);
	if (!workspace || !new)
		return DFOTA_E_MEMORY;
	error = dfota_codec_init(&codec, &image, &prelude, workspace, bytes);
	if (!error)
		error = decode_steps(&delta, codec, &memory, &old_memory, new);
	if (!error)
		error = save(paths[2], new, (size_t)image.new_bytes, new, 0);
	for (unsigned i = 0; i < DFOTA_CODING_COUNT && !error; i++)
		if (image.codings >> i & 1)
			printf("%s ", dfota_coding_name(i));
	return error;
}

int main(int argc, char **argv)
{
	int error = DFOTA_E_ARGUMENT;

	if (argc == 5 && strcmp(argv[1], "decode") == 0)
		error = decode(argv + 2);
#ifdef WITH_DIFF
	if (argc == 5 && strcmp(argv[1], "make") == 0)
		error = make(argv + 2);
#endif
	if (error)
		fprintf(stderr, "cross: error %d\n", error);
	return error != 0;
}
