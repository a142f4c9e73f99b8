/* SPDX-License-Identifier: MIT
 *
 * dfota inspect
 */
#include <inttypes.h>
#include <jansson.h>

#include "cli.h"

#include "dfota/codec.h"
#include "dfota/package.h"

/* What the index of one delta says. */
struct summary {
	struct dfota_delta_header header;
	uint64_t unchanged, direct, redo; /* segments */
	uint64_t copied;		  /* bytes of stash copies */
	uint64_t chunks[DFOTA_CODING_COUNT], chunk_bytes[DFOTA_CODING_COUNT];
};

static int summary_read(struct dfota_package *package, uint32_t index, struct summary *s)
{
	struct dfota_delta delta;
	struct dfota_delta_cursor cursor;
	struct dfota_delta_step step;
	struct dfota_delta_copy copy;
	uint64_t chunk_at;
	int error = dfota_package_delta(package, index, &delta);

	memset(s, 0, sizeof(*s));
	if (error)
		return error;
	s->header = delta.header;
	dfota_delta_rewind(&cursor, &delta);
	while ((error = dfota_delta_next(&cursor, &step, &chunk_at)) == 0) {
		if (step.kind == DFOTA_STEP_UNCHANGED)
			s->unchanged += step.segments;
		else if (step.kind == DFOTA_STEP_DIRECT)
			s->direct++;
		else if (step.kind == DFOTA_STEP_REDO)
			s->redo++;
		if (step.chunk_bytes > 0 && step.coding < DFOTA_CODING_COUNT) {
			s->chunks[step.coding]++;
			s->chunk_bytes[step.coding] += step.chunk_bytes;
		}
		while ((error = dfota_delta_next_copy(&cursor, &copy)) == 0)
			s->copied += copy.bytes;
		if (error != DFOTA_E_NOT_FOUND)
			return error;
	}
	return error == DFOTA_E_NOT_FOUND ? 0 : error;
}

/* ---- what bytes are spent on, and who catches words
 * ------------------------------------------------ */

struct spent {
	const char *key, *text;
	uint64_t bytes;
};

#define SPENT_ROWS 17u

static uint64_t sum(const uint64_t *numbers, size_t count)
{
	uint64_t all = 0;

	for (size_t i = 0; i < count; i++)
		all += numbers[i];
	return all;
}

/* What is left of `all`: ends, heads, padding, and what was rounded down. */
static uint64_t rest(uint64_t all, uint64_t known)
{
	return all > known ? all - known : 0;
}

/* All bytes of a delta by purpose; the builder's counts only where the package has them. */
static void spent_list(const struct dfota_delta_counts *c, const struct summary *s,
		       struct spent ret_rows[SPENT_ROWS])
{
	const struct dfota_delta_header *h = &s->header;
	uint64_t prelude = sum(c->prelude, 4), chunks = sum(c->predict, 4) + sum(c->plain, 3);
	uint64_t coded = s->chunk_bytes[DFOTA_CODING_PLAIN] + s->chunk_bytes[DFOTA_CODING_PREDICT];
	const struct spent rows[SPENT_ROWS] = {
		{ "steps", "steps",
		  DFOTA_DELTA_HEADER_BYTES + (uint64_t)h->step_count * DFOTA_DELTA_STEP_BYTES },
		{ "copies", "stash copies", h->copy_stream_bytes },
		{ "regions", "regions", c->prelude[0] },
		{ "map", "map", c->prelude[1] },
		{ "types", "BTF types", c->prelude[2] },
		{ "symbols", "symbols", c->prelude[3] },
		{ "padding", "end of prelude", prelude ? rest(h->prelude_bytes, prelude) : 0 },
		{ "prelude", "prelude", prelude ? 0 : h->prelude_bytes },
		{ "blocks", "block flags", c->predict[0] },
		{ "flags", "word flags", c->predict[1] },
		{ "misses", "missed words", c->predict[2] },
		{ "literals", "literals", c->predict[3] },
		{ "operations", "operations", c->plain[0] },
		{ "differences", "differences", c->plain[1] },
		{ "new", "new data", c->plain[2] },
		{ "ends", chunks ? "ends of chunks" : "chunks", rest(coded, chunks) },
		{ "raw", "raw chunks", s->chunk_bytes[DFOTA_CODING_RAW] },
	};

	memcpy(ret_rows, rows, sizeof(rows));
}

/* Newer builders may know more predictors than this program. */
static const char *predictor_name(unsigned predictor, char buffer[16])
{
	if (predictor < DFOTA_PREDICTORS)
		return dfota_predictor_name(predictor);
	(void)snprintf(buffer, 16, "predictor%u", predictor);
	return buffer;
}

static json_t *spent_json(const struct dfota_delta_counts *c, const struct summary *s)
{
	struct spent rows[SPENT_ROWS];
	json_t *object = json_object();

	spent_list(c, s, rows);
	for (size_t i = 0; i < SPENT_ROWS; i++)
		if (rows[i].bytes)
			(void)json_object_set_new(object, rows[i].key,
						  json_integer((json_int_t)rows[i].bytes));
	return object;
}

static json_t *words_json(const struct dfota_delta_counts *c)
{
	json_t *caught = json_object();
	char buffer[16];

	for (unsigned k = 0; k < DFOTA_COUNTS_PREDICTORS_MAX; k++)
		if (c->clean[k] || c->flagged[k])
			(void)json_object_set_new(caught, predictor_name(k, buffer),
						  json_pack("{s:I,s:I}", "clean",
							    (json_int_t)c->clean[k], "flagged",
							    (json_int_t)c->flagged[k]));
	return json_pack("{s:o,s:I,s:I}", "caught", caught, "missed", (json_int_t)c->missed,
			 "literal_bytes", (json_int_t)c->literals);
}

static json_t *chunks_json(const struct summary *s)
{
	json_t *object = json_object();

	for (unsigned k = 0; k < DFOTA_CODING_COUNT; k++)
		if (s->chunks[k])
			(void)json_object_set_new(object, dfota_coding_name(k),
						  json_pack("{s:I,s:I}", "count",
							    (json_int_t)s->chunks[k], "bytes",
							    (json_int_t)s->chunk_bytes[k]));
	return object;
}

struct table {
	char left[SPENT_ROWS][48], right[DFOTA_COUNTS_PREDICTORS_MAX + 2][64];
	size_t left_count, right_count;
};

static void table_words(struct table *t, const struct dfota_delta_counts *c)
{
	char buffer[16];

	for (unsigned k = 0; k < DFOTA_COUNTS_PREDICTORS_MAX; k++)
		if (c->clean[k] || c->flagged[k])
			(void)snprintf(t->right[t->right_count++], 64,
				       "%-16s %10" PRIu32 " %10" PRIu32, predictor_name(k, buffer),
				       c->clean[k], c->flagged[k]);
	if (c->missed)
		(void)snprintf(t->right[t->right_count++], 64, "%-16s %21" PRIu32, "missed",
			       c->missed);
	if (c->literals)
		(void)snprintf(t->right[t->right_count++], 64, "%-16s %21" PRIu32,
			       "bytes of no word", c->literals);
}

static void table_spent(struct table *t, const struct dfota_delta_counts *c,
			const struct summary *s)
{
	struct spent rows[SPENT_ROWS];

	spent_list(c, s, rows);
	for (size_t i = 0; i < SPENT_ROWS; i++)
		if (rows[i].bytes)
			(void)snprintf(t->left[t->left_count++], 48, "%-16s %10" PRIu64,
				       rows[i].text, rows[i].bytes);
}

static void counts_print(const struct dfota_manifest_partition *p, const struct summary *s)
{
	struct table t = { 0 };
	const char *between = ":";

	table_spent(&t, &p->counts, s);
	table_words(&t, &p->counts);
	printf("\n  %s", p->name);
	for (unsigned k = 0; k < DFOTA_CODING_COUNT; k++) {
		if (s->chunks[k] == 0)
			continue;
		printf("%s %" PRIu64 " chunks of coding %s, %" PRIu64 " bytes", between,
		       s->chunks[k], dfota_coding_name(k), s->chunk_bytes[k]);
		between = ";";
	}
	printf("\n    %-16s %10s", "spent on", "bytes");
	if (t.right_count)
		printf("     %-16s %10s %10s", "words caught by", "clean", "by flag");
	for (size_t i = 0; i < t.left_count || i < t.right_count; i++) {
		printf("\n    %-27s", i < t.left_count ? t.left[i] : "");
		if (i < t.right_count)
			printf("     %s", t.right[i]);
	}
	putchar('\n');
}

/* ---- the package -------------------------------------------------------------------------------
 */

static const char *signature_text(enum dfota_signature_state state)
{
	switch (state) {
	case DFOTA_SIGNATURE_NONE:
		return "none";
	case DFOTA_SIGNATURE_BAD:
		return "bad";
	case DFOTA_SIGNATURE_GOOD:
		return "good";
	case DFOTA_SIGNATURE_UNCHECKED:
		return "present, not checked";
	}
	return "?";
}

static json_t *codings_json(uint32_t codings)
{
	json_t *list = json_array();

	for (unsigned c = 0; c < DFOTA_CODING_COUNT; c++)
		if (codings & 1u << c)
			(void)json_array_append_new(list, json_string(dfota_coding_name(c)));
	return list;
}

static bool counted(const struct dfota_delta_counts *c)
{
	return sum(c->prelude, 4) > 0 || sum(c->predict, 4) > 0;
}

static json_t *partition_json(const struct dfota_manifest_partition *p, const struct summary *s)
{
	json_t *row;
	char old_hex[2 * DFOTA_SHA256_BYTES + 1], new_hex[2 * DFOTA_SHA256_BYTES + 1];

	dfota_hex_put(p->old_sha256, DFOTA_SHA256_BYTES, old_hex);
	dfota_hex_put(p->new_sha256, DFOTA_SHA256_BYTES, new_hex);
	row = json_pack(
	    "{s:s,s:{s:I,s:s},s:{s:I,s:s},s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I},s:{s:I,s:I,s:I},"
	    "s:{s:I,s:I,s:I},s:I,s:o,s:o,s:o}",
	    "name", p->name, "old", "bytes", (json_int_t)p->old_bytes, "sha256", old_hex, "new",
	    "bytes", (json_int_t)p->new_bytes, "sha256", new_hex, "delta",
	    (json_int_t)p->delta_bytes, "index", (json_int_t)p->index_bytes, "prelude",
	    (json_int_t)s->header.prelude_bytes, "segments", "bytes", (json_int_t)p->segment_bytes,
	    "unchanged", (json_int_t)s->unchanged, "direct", (json_int_t)s->direct, "redo",
	    (json_int_t)s->redo, "bytes", "moved", (json_int_t)s->header.moved_bytes, "changed",
	    (json_int_t)s->header.changed_bytes, "new", (json_int_t)s->header.literal_bytes,
	    "stash", "peak", (json_int_t)p->stash_bytes, "copied", (json_int_t)s->copied, "copies",
	    (json_int_t)p->live_copies, "memory", (json_int_t)p->memory_bytes, "codings",
	    codings_json(s->header.codings), "chunks", chunks_json(s), "spent",
	    spent_json(&p->counts, s));
	if (counted(&p->counts))
		(void)json_object_set_new(row, "words", words_json(&p->counts));
	return row;
}

static void partition_print(const struct dfota_manifest_partition *p, const struct summary *s)
{
	char b[8][16];

	printf("  %-10s %10s %10s %10s  %5" PRIu64 " %6" PRIu64 " %5" PRIu64
	       "  %10s %10s %10s  %10s %10s\n",
	       p->name, cli_size(p->old_bytes, b[0]), cli_size(p->new_bytes, b[1]),
	       cli_size(p->delta_bytes, b[2]), s->unchanged, s->direct, s->redo,
	       cli_size(s->header.moved_bytes, b[3]), cli_size(s->header.changed_bytes, b[4]),
	       cli_size(s->header.literal_bytes, b[5]), cli_size(p->stash_bytes, b[6]),
	       cli_size(p->memory_bytes, b[7]));
}

/* Once more, with what the builder has told; the tables are read again because they come behind one
 * for all. */
static int counts_show(struct dfota_package *package)
{
	const struct dfota_manifest *m = dfota_package_manifest(package);
	struct summary s;
	int error = 0;

	for (uint32_t i = 0; !error && i < m->partition_count; i++) {
		error = summary_read(package, i, &s);
		if (!error)
			counts_print(&m->partitions[i], &s);
	}
	return error;
}

static int package_show(struct dfota_package *package, bool json)
{
	const struct dfota_manifest *m = dfota_package_manifest(package);
	const char *signature = signature_text(dfota_package_signature(package));
	json_t *list = json_array(), *root;
	struct summary s;
	char size[16];
	int error = 0;

	if (!json) {
		printf("project    %s\nversions   %s -> %s\nsize       %" PRIu64
		       " bytes (%s)\nsignature  %s\n\n",
		       m->project, m->from, m->to, dfota_package_bytes(package),
		       cli_size(dfota_package_bytes(package), size), signature);
		printf("  %-10s %10s %10s %10s  %5s %6s %5s  %10s %10s %10s  %10s %10s\n",
		       "partition", "old", "new", "delta", "same", "direct", "redo", "moved",
		       "changed", "new data", "stash", "memory");
	}
	for (uint32_t i = 0; !error && i < m->partition_count; i++) {
		error = summary_read(package, i, &s);
		if (!error && json)
			(void)json_array_append_new(list, partition_json(&m->partitions[i], &s));
		else if (!error)
			partition_print(&m->partitions[i], &s);
	}
	root = json_pack("{s:i,s:s,s:s,s:s,s:I,s:s,s:o}", "format", (int)m->format, "project",
			 m->project, "from", m->from, "to", m->to, "bytes",
			 (json_int_t)dfota_package_bytes(package), "signature", signature,
			 "partitions", list);
	if (json && !error) {
		if (!root || json_dumpf(root, stdout, JSON_COMPACT))
			error = DFOTA_E_MEMORY;
		putchar('\n');
	} else if (!error) {
		puts("\n  same, direct, redo: segments; redo are staged before they are written. "
		     "moved: equal to old bytes\n"
		     "  elsewhere or in place; changed: aligned but different; new data: without "
		     "counterpart.");
		error = counts_show(package);
	}
	json_decref(root);
	return error;
}

static int inspect_run(const char *path, const char *trust_path, bool json)
{
	struct dfota_trust *trust = NULL;
	struct dfota_package *package = NULL;
	int error = 0;

	if (trust_path && dfota_trust_open(&trust, trust_path)) {
		cli_error("inspect", "%s holds no readable Ed25519 public key", trust_path);
		return CLI_UNTRUSTED;
	}
	error = dfota_package_open(&package, path, trust);
	if (!error)
		error = package_show(package, json);
	if (error)
		cli_error("inspect", "%d: %s: %s",
			  dfota_error_code(error, DFOTA_WHERE_PACKAGE, NULL, false), path,
			  dfota_error_text(error));
	dfota_package_close(package);
	dfota_trust_close(trust);
	return dfota_error_exit(error);
}

int cmd_inspect(int argc, char **argv)
{
	static const struct option options[] = { { "trust", required_argument, NULL, 't' },
						 { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *trust = NULL;
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "t:h", options, NULL)) != -1) {
		switch (option) {
		case 't':
			trust = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			return cli_help(argv[0]);
		default:
			return cli_usage(argv[0], "see the usage");
		}
	}
	if (argc - optind != 1)
		return cli_usage(argv[0], "give one package");
	return inspect_run(argv[optind], trust, json);
}
