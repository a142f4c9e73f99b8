/* SPDX-License-Identifier: MIT
 *
 * dfota pack: from two firmware folders to a signed package, rehearsed before it is handed out.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "mixture.h"
#include "progress.h"
#include "site.h"

#include "dfota/diff.h"

#define LARGE (128 << 10) /* bytes of a buffer */

struct pack {
	const char *old_folder, *new_folder, *output, *key;
	const char *repair, *state; /* the package that was left unfinished, and where */
	struct dfota_diff_options options;
	bool json, check;
	struct dfota_firmware old_firmware, new_firmware;
	struct progress progress;
	/* sizes for the bar and for the table; weight of a partition: old and new bytes */
	uint64_t weight_done, weight_now, weight_total;
	uint64_t delta_bytes[DFOTA_PARTITIONS_MAX];
};

struct image {
	const uint8_t *data;
	uint64_t bytes;
};

static int image_map(const char *folder, const char *name, struct image *ret_image)
{
	struct stat status;
	void *data = NULL;
	char *path;
	int fd;

	if (asprintf(&path, "%s/%s.img", folder, name) < 0)
		return DFOTA_E_MEMORY;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return DFOTA_E_IO;
	if (fstat(fd, &status) == 0 && status.st_size > 0)
		data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (data == MAP_FAILED)
		return DFOTA_E_IO;
	ret_image->data = data;
	ret_image->bytes = data ? (uint64_t)status.st_size : 0;
	return 0;
}

static void image_unmap(struct image *image)
{
	if (image->data)
		(void)munmap((void *)(uintptr_t)image->data, (size_t)image->bytes);
	image->data = NULL;
}

static void on_progress(void *context, unsigned permille)
{
	struct pack *pack = context;

	progress_update(&pack->progress, pack->weight_done + pack->weight_now * permille / 1000);
}

static int partition_pack(struct pack *pack, struct dfota_pkgbuild *build, uint32_t index)
{
	const char *name = pack->new_firmware.partitions[index].name;
	struct dfota_delta_image delta = { 0 };
	struct image old_image = { 0 }, new_image = { 0 };
	uint64_t memory;
	int error = image_map(pack->old_folder, name, &old_image);

	if (!error)
		error = image_map(pack->new_folder, name, &new_image);
	if (!error) {
		pack->weight_now = old_image.bytes + new_image.bytes;
		error = dfota_diff_build(old_image.data, old_image.bytes, new_image.data,
					 new_image.bytes, &pack->options, &delta);
	}
	if (!error) {
		memory = dfota_updater_partition_memory(&delta.header);
		error =
		    dfota_pkgbuild_add(build, name, &delta, old_image.data, new_image.data, memory);
		pack->delta_bytes[index] =
		    dfota_delta_index_bytes(&delta.header) + delta.header.chunk_bytes;
	}
	pack->weight_done += pack->weight_now;
	dfota_delta_image_free(&delta);
	image_unmap(&old_image);
	image_unmap(&new_image);
	if (error)
		cli_error("pack", "partition %s: %s; no package was written", name,
			  dfota_error_text(error));
	return error;
}

/* The first partition of `a` that `b` does not have, or NULL. */
static const char *partition_missing(const struct dfota_firmware *a, const struct dfota_firmware *b)
{
	for (uint32_t i = 0; i < a->partition_count; i++) {
		uint32_t j = 0;

		while (j < b->partition_count &&
		       strcmp(a->partitions[i].name, b->partitions[j].name) != 0)
			j++;
		if (j == b->partition_count)
			return a->partitions[i].name;
	}
	return NULL;
}

/* Both folders must be of one project and have the same partitions: a package has no way to add or
 * drop one. */
static int folders_match(const struct pack *pack)
{
	const struct dfota_firmware *a = &pack->old_firmware, *b = &pack->new_firmware;
	const char *lone;

	if (strcmp(a->project, b->project) != 0) {
		cli_error("pack", "%s is of project %s, %s of %s", pack->old_folder, a->project,
			  pack->new_folder, b->project);
		return DFOTA_E_VERSION;
	}
	if (strcmp(a->version, b->version) == 0 && !pack->repair) {
		cli_error("pack",
			  "both folders say version %s: give the new one its own in firmware.ini",
			  a->version);
		return DFOTA_E_VERSION;
	}
	lone = partition_missing(a, b);
	lone = lone ? lone : partition_missing(b, a);
	if (lone) {
		cli_error("pack",
			  "the folders do not have the same partitions: %s.img is in one only",
			  lone);
		return DFOTA_E_MANIFEST;
	}
	return 0;
}

static int folders_load(struct pack *pack)
{
	const char *what = NULL;
	int error = dfota_firmware_load(&pack->old_firmware, pack->old_folder, &what);

	if (error) {
		cli_error("pack", "%s: %s", pack->old_folder, what);
		return error;
	}
	error = dfota_firmware_load(&pack->new_firmware, pack->new_folder, &what);
	if (error) {
		cli_error("pack", "%s: %s", pack->new_folder, what);
		return error;
	}
	for (uint32_t i = 0; i < pack->old_firmware.partition_count; i++)
		pack->weight_total += pack->old_firmware.partitions[i].bytes;
	for (uint32_t i = 0; i < pack->new_firmware.partition_count; i++)
		pack->weight_total += pack->new_firmware.partitions[i].bytes;
	return folders_match(pack);
}

static int package_write(struct pack *pack)
{
	struct dfota_pkgbuild *build = NULL;
	int error = dfota_pkgbuild_begin(&build, pack->output, pack->new_firmware.project,
					 pack->old_firmware.version, pack->new_firmware.version);

	if (error) {
		cli_error("pack", "%s: %s", pack->output, dfota_error_text(error));
		return error;
	}
	for (uint32_t i = 0; !error && i < pack->new_firmware.partition_count; i++)
		error = partition_pack(pack, build, i);
	if (!error) {
		error = dfota_pkgbuild_finish(build, pack->key);
		if (error == DFOTA_E_UNTRUSTED || error == DFOTA_E_NOT_FOUND)
			cli_error(
			    "pack",
			    "%s holds no readable Ed25519 private key; no package was written",
			    pack->key);
		else if (error)
			cli_error("pack", "%s: %s; no package was written", pack->output,
				  dfota_error_text(error));
	}
	dfota_pkgbuild_end(build);
	return error;
}

static void on_check(void *context, enum dfota_updater_event event, int64_t a, int64_t b)
{
	(void)b;
	if (event == DFOTA_EVENT_PERCENT && a >= 0)
		progress_update(context, (uint64_t)a);
}

/* The device's own checks and rehearsal against OLD: a package that fails them never leaves here.
 */
static int package_check(struct pack *pack, struct dfota_updater_report *ret_report)
{
	struct site site;
	int error;

	progress_start(&pack->progress, "check", 10, PROGRESS_SHARE, pack->json);
	error = site_open(&site, pack->output, pack->old_folder, NULL, NULL, false);
	if (!error) {
		site.dry_area.limit = UINT64_MAX; /* the device's space is not ours */
		site.config.hooks.event = on_check;
		site.config.hooks.context = &pack->progress;
		error =
		    dfota_updater_check(&site.config, site.memory, site.memory_bytes, &site.report);
	}
	*ret_report = site.report;
	progress_finish(&pack->progress);
	if (error) {
		(void)unlink(pack->output);
		cli_error("pack", "the package does not upgrade %s (%s%s%s) and was removed",
			  pack->old_folder, dfota_error_text(error),
			  *site.report.partition ? ", " : "", site.report.partition);
	}
	site_close(&site);
	return error;
}

static void row_print(const struct pack *pack, const char *name, uint64_t full, uint64_t delta)
{
	char a[16], b[16];
	double share = full ? 100.0 * (double)delta / (double)full : 0.0;

	if (pack->json)
		printf("{\"event\":\"partition\",\"name\":\"%s\",\"new\":%" PRIu64
		       ",\"delta\":%" PRIu64 "}\n",
		       name, full, delta);
	else
		printf("  %-10s %12s -> %12s  %7.3f %%\n", name, cli_size(full, a),
		       cli_size(delta, b), share);
}

static void package_print(const struct pack *pack, const struct dfota_updater_report *report)
{
	const struct dfota_firmware *f = &pack->new_firmware;
	struct stat status = { 0 };
	uint64_t total = 0;
	char memory[16], area[16];

	if (!pack->json)
		printf("%s: %s %s -> %s\n", pack->output, f->project, pack->old_firmware.version,
		       f->version);
	for (uint32_t i = 0; i < f->partition_count; i++) {
		row_print(pack, f->partitions[i].name, f->partitions[i].bytes,
			  pack->delta_bytes[i]);
		total += f->partitions[i].bytes;
	}
	(void)stat(pack->output, &status); /* just written; 0 would be seen */
	if (pack->json) {
		printf("{\"event\":\"result\",\"code\":0,\"project\":\"%s\",\"from\":\"%s\",\"to\":"
		       "\"%s\","
		       "\"full\":%" PRIu64 ",\"bytes\":%lld,\"memory\":%" PRIu64
		       ",\"area\":%" PRIu64 "}\n",
		       f->project, pack->old_firmware.version, f->version, total,
		       (long long)status.st_size, report->memory_bytes, report->area_bytes);
		return;
	}
	row_print(pack, "package", total, (uint64_t)status.st_size);
	if (pack->check)
		printf("  rehearsed against %s; the module needs %s of work memory and an area of "
		       "%s\n",
		       pack->old_folder, cli_size(report->memory_bytes, memory),
		       cli_size(report->area_bytes, area));
}

/* Buffers of all sizes come and go: what is freed goes back at once, or the peak is a quarter higher. */
static void memory_prepare(void)
{
#ifdef M_MMAP_THRESHOLD
	(void)mallopt(M_MMAP_THRESHOLD, LARGE);
#endif
}

static int pack_do(struct pack *pack)
{
	struct dfota_updater_report report = { 0 };
	int error = folders_load(pack);

	if (error)
		return CLI_FAILED;
	memory_prepare();
	pack->options.progress = on_progress;
	pack->options.progress_context = pack;
	pack->options.unproven = pack->check; /* its rehearsal decodes everything too */
	progress_start(&pack->progress, "pack", pack->weight_total, PROGRESS_SHARE, pack->json);
	error = package_write(pack);
	progress_finish(&pack->progress);
	if (error)
		return error == DFOTA_E_UNTRUSTED ? CLI_UNTRUSTED : CLI_FAILED;
	if (pack->check && package_check(pack, &report))
		return CLI_FAILED;
	package_print(pack, &report);
	return CLI_DONE;
}

/* From what an unfinished upgrade left, if that is asked for, else from the old version. */
static int pack_run(struct pack *pack)
{
	struct mixture mixture = { 0 };
	int status = CLI_FAILED;

	if (!pack->repair)
		return pack_do(pack);
	if (mixture_make(&mixture, pack->repair, pack->state, pack->old_folder, pack->output) ==
	    0) {
		pack->old_folder = mixture.folder;
		status = pack_do(pack);
	}
	mixture_remove(&mixture);
	return status;
}

/* A number of bytes that fits 32 bits. */
static bool bytes32(const char *text, uint32_t *ret)
{
	uint64_t value;

	if (!cli_bytes(text, &value) || value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static bool threads_get(const char *text, unsigned *ret)
{
	uint32_t value;

	if (!bytes32(text, &value) || value > 256)
		return false;
	*ret = value;
	return true;
}

#define UNIT_ATOMIC (128u << 10) /* where --segment says nothing */

int cmd_pack(int argc, char **argv)
{
	enum { SEGMENT = 256, ATOMIC, REPAIR, STATE, STASH, THREADS, NO_CHECK };
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "key", required_argument, NULL, 'k' },
		{ "segment", required_argument, NULL, SEGMENT },
		{ "atomic", no_argument, NULL, ATOMIC },
		{ "repair", required_argument, NULL, REPAIR },
		{ "state", required_argument, NULL, STATE },
		{ "stash-limit", required_argument, NULL, STASH },
		{ "threads", required_argument, NULL, THREADS },
		{ "no-check", no_argument, NULL, NO_CHECK },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static struct pack pack; /* large */
	bool good = true, atomic = false;
	int option;

	pack.check = true;
	pack.options.stash_limit = DFOTA_DIFF_STASH_DEFAULT;
	while ((option = getopt_long(argc, argv, "o:k:h", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			pack.output = optarg;
			break;
		case 'k':
			pack.key = optarg;
			break;
		case 'j':
			pack.json = true;
			break;
		case SEGMENT:
			good = bytes32(optarg, &pack.options.unit_bytes);
			break;
		case ATOMIC:
			atomic = true;
			break;
		case REPAIR:
			pack.repair = optarg;
			break;
		case STATE:
			pack.state = optarg;
			break;
		case STASH:
			good = cli_bytes(optarg, &pack.options.stash_limit);
			break;
		case THREADS:
			good = threads_get(optarg, &pack.options.threads);
			break;
		case NO_CHECK:
			pack.check = false;
			break;
		case 'h':
			return cli_help(argv[0]);
		default:
			return cli_usage(argv[0], "see the usage");
		}
		if (!good)
			return cli_usage(argv[0], "\"%s\" is out of range", optarg);
	}
	if (pack.options.unit_bytes &&
	    (pack.options.unit_bytes < DFOTA_DELTA_UNIT_MIN || pack.options.unit_bytes % 512 ||
	     pack.options.unit_bytes > DFOTA_DELTA_UNIT_MAX))
		return cli_usage(argv[0], "--segment must be a multiple of 512 bytes, 512 to 4M");
	if (atomic && pack.options.unit_bytes == 0)
		pack.options.unit_bytes = UNIT_ATOMIC;
	if (atomic)
		pack.options.segment_bytes = pack.options.unit_bytes;
	if (!pack.repair != !pack.state)
		return cli_usage(argv[0], "--repair and --state go together");
	if (argc - optind != 2 || !pack.output || !pack.key)
		return cli_usage(argv[0], "give folders OLD and NEW, --output and --key");
	pack.old_folder = argv[optind];
	pack.new_folder = argv[optind + 1];
	return pack_run(&pack);
}
