/* SPDX-License-Identifier: MIT
 *
 * How fast the decoder is by itself: every chunk of a package decoded once from the old images, on one core, without proofs,
 * journal or writes.
 *
 *   decode PACKAGE OLD-FOLDER
 *
 * Prints bytes of new image in written segments, seconds of CPU for maps and for segments, and MB/s of both together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dfota/codec.h"
#include "dfota/package.h"

struct part {
	struct dfota_delta delta;
	struct dfota_memory old, chunks;
	struct dfota_codec *codec;
	uint8_t *out, *workspace;
};

struct figures {
	uint64_t bytes;
	double maps, segments;
};

static void must(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "decode: %s: %d\n", what, error);
	exit(1);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint8_t *take(size_t bytes)
{
	uint8_t *memory = malloc(bytes + 1);

	if (!memory)
		exit(1);
	return memory;
}

static uint8_t *read_file(const char *folder, const char *name, uint64_t bytes)
{
	char path[4096];
	uint8_t *data = take((size_t)bytes);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.img", folder, name);
	file = fopen(path, "rb");
	if (!file || fread(data, 1, (size_t)bytes, file) != bytes) {
		perror(path);
		exit(1);
	}
	fclose(file);
	return data;
}

static void part_open(struct part *part, struct figures *figures)
{
	const struct dfota_delta_header *h = &part->delta.header;
	const struct dfota_codec_image image = {
		.old_bytes = h->old_bytes,
		.new_bytes = h->new_bytes,
		.segment_bytes = h->segment_bytes,
		.prelude_bytes = h->prelude_bytes,
		.codings = h->codings,
		.map = h->map,
	};
	struct dfota_memory prelude = { part->chunks.data + part->delta.prelude_at, h->prelude_bytes };
	struct dfota_source source = dfota_memory_source(&prelude);
	size_t bytes = dfota_codec_workspace_bytes(&image);
	double start;

	part->out = take(h->segment_bytes);
	part->workspace = take(bytes);
	start = cpu_seconds();
	must(dfota_codec_init(&part->codec, &image, &source, part->workspace, bytes), "map");
	figures->maps += cpu_seconds() - start;
}

static void part_decode(struct part *part, struct figures *figures)
{
	struct dfota_delta_cursor cursor;
	struct dfota_delta_step step;
	uint64_t chunk_at, offset, new_bytes, old_bytes;
	int error;

	dfota_delta_rewind(&cursor, &part->delta);
	while ((error = dfota_delta_next(&cursor, &step, &chunk_at)) == 0) {
		struct dfota_memory chunk = { part->chunks.data + chunk_at, step.chunk_bytes };
		struct dfota_codec_job job = {
			.segment = step.segment,
			.coding = step.coding,
			.chunk_bytes = step.chunk_bytes,
			.chunk = dfota_memory_source(&chunk),
			.old = dfota_memory_source(&part->old),
		};
		double start = cpu_seconds();

		if (step.kind != DFOTA_STEP_DIRECT && step.kind != DFOTA_STEP_REDO)
			continue;
		dfota_delta_step_range(&part->delta.header, &step, &offset, &new_bytes, &old_bytes);
		must(dfota_codec_decode(part->codec, &job, part->out, (size_t)new_bytes), "segment");
		figures->segments += cpu_seconds() - start;
		figures->bytes += new_bytes;
	}
	must(error == DFOTA_E_NOT_FOUND ? 0 : error, "steps");
}

int main(int argc, char **argv)
{
	struct dfota_package *package;
	const struct dfota_manifest *manifest;
	struct figures figures = { 0 };

	if (argc != 3) {
		fprintf(stderr, "usage: decode PACKAGE OLD-FOLDER\n");
		return 2;
	}
	must(dfota_package_open(&package, argv[1], NULL), argv[1]);
	manifest = dfota_package_manifest(package);
	for (uint32_t i = 0; i < manifest->partition_count; i++) {
		const struct dfota_manifest_partition *row = &manifest->partitions[i];
		uint8_t *old = read_file(argv[2], row->name, row->old_bytes), *all;
		struct part part = { .old = { old, row->old_bytes } };

		must(dfota_package_delta(package, i, &part.delta), row->name);
		all = take((size_t)part.delta.bytes);
		must(dfota_source_read(&part.delta.source, 0, all, (size_t)part.delta.bytes), row->name);
		part.chunks = (struct dfota_memory){ all, part.delta.bytes };
		part_open(&part, &figures);
		part_decode(&part, &figures);
		free(part.workspace);
		free(part.out);
		free(all);
		free(old);
	}
	dfota_package_close(package);
	printf("%llu bytes, %.2f s for maps, %.2f s for segments: %.1f MB/s\n", (unsigned long long)figures.bytes,
	       figures.maps, figures.segments,
	       (double)figures.bytes / 1e6 / (figures.maps + figures.segments + 1e-9));
	return 0;
}
