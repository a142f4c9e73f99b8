/* SPDX-License-Identifier: MIT
 *
 * What the matcher makes of two images: pieces, words explained and not, time, memory; and what
 * coding them takes.
 *
 *   align OLD NEW [--threads N] [--a64 ADDRESS] [--code]
 *
 * --a64: each image is one stretch of AArch64 code that runs at ADDRESS. --code: encode every
 * segment too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../src/diff/content.h"
#include "../src/diff/match.h"
#include "../src/diff/parallel.h"
#include "../src/diff/predict_encode.h"

#define SEGMENT (1u << 20)

static uint8_t *read_file(const char *name, uint64_t *ret_bytes)
{
	FILE *file = fopen(name, "rb");
	uint8_t *data = NULL;
	long bytes;

	if (file && fseek(file, 0, SEEK_END) == 0 && (bytes = ftell(file)) >= 0 &&
	    fseek(file, 0, SEEK_SET) == 0 && (data = malloc((size_t)bytes + 1)) != NULL &&
	    fread(data, 1, (size_t)bytes, file) == (size_t)bytes) {
		*ret_bytes = (uint64_t)bytes;
		fclose(file);
		return data;
	}
	perror(name);
	exit(1);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double peak_mib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

static void count_words(const struct diff_images *images, const struct diff_pieces *pieces)
{
	uint64_t covered = 0, equal = 0, unaligned = 0, gaps = 0, end = 0;

	for (size_t i = 0; i < pieces->count; i++) {
		const struct diff_piece *piece = &pieces->items[i];

		covered += piece->bytes;
		unaligned += piece->diagonal % 4 != 0;
		gaps += piece->at > end;
		end = piece->at + piece->bytes;
		for (uint64_t at = piece->at; at < end; at++)
			equal += images->new_image[at] ==
				 images->old_image[at + (uint64_t)piece->diagonal];
	}
	printf("pieces %zu (%llu unaligned), gaps %llu, literal bytes %llu, equal %.3f %%\n",
	       pieces->count, (unsigned long long)unaligned, (unsigned long long)gaps,
	       (unsigned long long)(images->new_bytes - covered),
	       100.0 * (double)equal / (double)(images->new_bytes ? images->new_bytes : 1));
}

/* Pieces by the kind of region that they start in. */
static void count_kinds(const struct diff_pieces *pieces, const struct regions *regions)
{
	static const char *const names[REGION_KINDS + 1] = {
		"bytes",  "A64",    "A32",	 "T32",		"x86",
		"data32", "data64", "BTF types", "BTF strings",
	};
	size_t counts[REGION_KINDS + 1] = { 0 };

	for (size_t i = 0; i < pieces->count; i++) {
		const struct region *region = region_at(regions, (uint32_t)pieces->items[i].at);

		counts[region ? region->kind + 1u : 0]++;
	}
	printf("pieces by kind:");
	for (unsigned kind = 0; kind <= REGION_KINDS; kind++)
		if (counts[kind] > 0)
			printf(" %s %zu", names[kind], counts[kind]);
	printf("\n");
}

struct coding {
	struct diff_predictor predictor;
	const struct diff_symbols *symbols;
	uint64_t *sizes;
};

static int code_segment(void *context, size_t item)
{
	struct coding *coding = context;
	uint64_t start = (uint64_t)item * SEGMENT;
	uint64_t end = dfota_min64(start + SEGMENT, coding->predictor.images->new_bytes);
	struct diff_chunk chunk;
	int error = 0;

	if (memcmp(coding->predictor.images->new_image + start,
		   coding->predictor.images->old_image + start, end - start) == 0)
		return 0;
	error = diff_predictor_encode(&coding->predictor, start, end, coding->symbols,
				      &chunk);
	if (!error) {
		coding->sizes[item] = chunk.count;
		free(chunk.bytes);
	}
	return error;
}

static int code_all(const struct diff_match_input *input, const struct diff_pieces *pieces,
		    const struct diff_symbols *symbols)
{
	struct coding coding = { .symbols = symbols };
	size_t count = (size_t)dfota_ceil_div64(input->images->new_bytes, SEGMENT);
	uint64_t total = 0;
	double start = seconds();
	int error = diff_predictor_make(&coding.predictor, input->images, input->old_regions,
					input->new_regions, pieces, symbols);

	if (error)
		return error;
	coding.sizes = calloc(count + 1, sizeof(uint64_t));
	error = diff_parallel(input->threads, count, code_segment, &coding, NULL);
	for (size_t i = 0; i < count; i++)
		total += coding.sizes[i];
	printf("map: %u pieces, %u runs of BTF types, %u of symbols\n", coding.predictor.map.piece_count,
	       coding.predictor.map.type_run_count, symbols->run_count);
	printf("coded: prelude %zu + chunks %llu = %llu, %.1f s\n", coding.predictor.prelude_bytes,
	       (unsigned long long)total,
	       (unsigned long long)(coding.predictor.prelude_bytes + total), seconds() - start);
	free(coding.sizes);
	diff_predictor_free(&coding.predictor);
	return error;
}

int main(int argc, char **argv)
{
	struct diff_images images = { 0 };
	struct regions old_regions = { 0 }, new_regions = { 0 };
	struct diff_match_input input = { &images, &old_regions, &new_regions, 0, NULL, NULL };
	struct diff_symbols symbols = { 0 };
	struct diff_pieces pieces = { 0 };
	bool code = false, bytes = false;
	double start;
	int error = 0;

	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "--code") == 0)
			code = true;
		else if (strcmp(argv[i], "--bytes") == 0)
			bytes = true;
		else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
			input.threads = (unsigned)strtoul(argv[++i], NULL, 0);
		else
			argc = 0;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: align OLD NEW [--threads N] [--bytes] [--code]\n");
		return 2;
	}
	images.old_image = read_file(argv[1], &images.old_bytes);
	images.new_image = read_file(argv[2], &images.new_bytes);
	start = seconds();
	if (!bytes)
		error = diff_content_find(&images, &old_regions, &new_regions);
	printf("regions: %u old, %u new, %.1f s\n", old_regions.count, new_regions.count,
	       seconds() - start);
	start = seconds();
	if (!error)
		error = diff_symbols_make(&symbols, &images, &old_regions, &new_regions);
	if (!error)
		error = diff_match(&input, &pieces);
	if (!error)
		error = diff_symbols_pieces(&symbols, &pieces);
	if (!error) {
		printf("matched: %.1f s, peak %.0f MiB\n", seconds() - start, peak_mib());
		count_words(&images, &pieces);
		count_kinds(&pieces, &new_regions);
	}
	if (!error && code)
		error = code_all(&input, &pieces, &symbols);
	if (error)
		fprintf(stderr, "error %d\n", error);
	diff_pieces_free(&pieces);
	diff_symbols_free(&symbols);
	diff_regions_free(&old_regions);
	diff_regions_free(&new_regions);
	return error != 0;
}
