/* SPDX-License-Identifier: MIT
 *
 * What an upgrade costs flash: bytes written for each byte that changed, on simulated media.
 *
 *   wear PACKAGE OLD-FOLDER
 *
 * Changed are whole units, as they are written in place; ring and stash come on top, and a record
 * of the journal now and then. On flash that is erased the last column tells blocks instead of
 * bytes, those of the journal too. "area" is how large that must be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dfota/pkgbuild.h"
#include "dfota/updater.h"
#include "sim_flash.h"

#define BLOCK (128u << 10) /* erase block, as of most NAND */

static const struct medium {
	const char *name;
	struct dfota_flash_geometry geometry;
} media[] = {
	{ "file", { .write_bytes = 1, .erase_bytes = 1, .flags = DFOTA_FLASH_RESIZABLE } },
	{ "block", { .write_bytes = 4096, .erase_bytes = 4096 } },
	{ "nand",
	  { .write_bytes = 2048,
	    .erase_bytes = BLOCK,
	    .erased_value = 0xff,
	    .flags = DFOTA_FLASH_NEEDS_ERASE } },
	{ "ubi",
	  { .write_bytes = 1,
	    .erase_bytes = BLOCK,
	    .erased_value = 0xff,
	    .flags = DFOTA_FLASH_ATOMIC_BLOCK } },
};

struct tally {
	uint64_t records, place_blocks, area_blocks;
};

struct device {
	struct sim_power power;
	struct sim_flash area, flashes[DFOTA_PARTITIONS_MAX];
	struct dfota_updater_partition partitions[DFOTA_PARTITIONS_MAX];
	struct dfota_updater_report report;
	uint64_t journal_bytes;
	struct tally now, tallies[DFOTA_PARTITIONS_MAX];
	struct {
		uint64_t ring, stash, place;
	} seen, parts[DFOTA_PARTITIONS_MAX];
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "wear: %s\n", what);
	exit(1);
}

static void on_operation(void *context, const struct sim_flash *flash, enum sim_op op,
			 uint64_t offset, const void *data, uint64_t bytes, uint32_t open)
{
	struct device *device = context;
	bool area = flash == &device->area;
	bool atomic = flash->flash.geometry.flags & DFOTA_FLASH_ATOMIC_BLOCK;
	uint64_t blocks = dfota_ceil_div64(bytes, flash->flash.geometry.erase_bytes);

	(void)data;
	(void)open;
	if (op == SIM_WRITE && area && offset < device->journal_bytes)
		device->now.records++;
	if (op == SIM_ERASE || (op == SIM_WRITE && atomic))
		*(area ? &device->now.area_blocks : &device->now.place_blocks) += blocks;
}

/* All since the last step belongs to this one. */
static void on_event(void *context, enum dfota_updater_event event, int64_t a, int64_t b)
{
	struct device *device = context;
	const struct dfota_updater_report *report = &device->report;
	struct tally *tally;

	(void)b;
	if (event != DFOTA_EVENT_STEP)
		return;
	tally = &device->tallies[a];
	tally->records += device->now.records;
	tally->place_blocks += device->now.place_blocks;
	tally->area_blocks += device->now.area_blocks;
	device->now = (struct tally){ 0 };
	device->parts[a].place += report->bytes_written - device->seen.place;
	device->parts[a].ring += report->ring_bytes - device->seen.ring;
	device->parts[a].stash += report->stash_bytes - device->seen.stash;
	device->seen.place = report->bytes_written;
	device->seen.ring = report->ring_bytes;
	device->seen.stash = report->stash_bytes;
}

static void *file_read(const char *folder, const char *name, uint64_t bytes)
{
	char path[4096];
	uint8_t *data = malloc((size_t)bytes + 1);
	FILE *file;

	must(data && snprintf(path, sizeof(path), "%s/%s.img", folder, name) < (int)sizeof(path),
	     "too large");
	file = fopen(path, "rb");
	must(file && fread(data, 1, (size_t)bytes, file) == bytes, path);
	(void)fclose(file);
	return data;
}

static void partition_make(struct device *device, uint32_t i, const struct medium *medium,
			   const struct dfota_manifest_partition *row, const char *folder)
{
	struct sim_flash *flash = &device->flashes[i];
	struct dfota_flash_geometry geometry = medium->geometry;
	uint64_t most = row->old_bytes > row->new_bytes ? row->old_bytes : row->new_bytes;
	void *image = file_read(folder, row->name, row->old_bytes);

	most = dfota_ceil_div64(most, BLOCK) * BLOCK;
	geometry.size_bytes = geometry.flags & DFOTA_FLASH_RESIZABLE ? 0 : most;
	sim_flash_init(flash, &device->power, row->name, &geometry, most);
	sim_flash_load(flash, image, row->old_bytes);
	free(image);
	device->partitions[i] = (struct dfota_updater_partition){ row->name, &flash->flash };
}

static void print_row(const char *medium, const char *name, uint64_t place, uint64_t ring,
		      uint64_t stash, const struct tally *tally)
{
	uint64_t blocks = tally->place_blocks + tally->area_blocks;

	printf("%-6s %-8s %12llu %12llu %12llu %8llu %8.3f", medium, name,
	       (unsigned long long)place, (unsigned long long)ring, (unsigned long long)stash,
	       (unsigned long long)tally->records, (double)(place + ring + stash) / (double)place);
	if (tally->place_blocks)
		printf(" %8.3f", (double)blocks / (double)tally->place_blocks);
	putchar('\n');
}

static void measure(const struct medium *medium, struct dfota_package *package, const char *folder)
{
	static struct device device;
	const struct dfota_manifest *manifest = dfota_package_manifest(package);
	struct dfota_flash_geometry area = medium->geometry;
	uint64_t memory_bytes = dfota_updater_memory(package);
	void *memory = malloc((size_t)memory_bytes);
	struct dfota_updater_config config = {
		.partitions = device.partitions,
		.partition_count = manifest->partition_count,
		.area = &device.area.flash,
		.package = package,
		.project = manifest->project,
		.version = manifest->from,
		.hooks = { .event = on_event, .context = &device },
	};

	memset(&device, 0, sizeof(device));
	must(memory && manifest->partition_count < SIM_FLASHES_MAX, "too many partitions");
	sim_power_init(&device.power, 1);
	device.power.watch = on_operation;
	device.power.watch_context = &device;
	area.size_bytes = dfota_updater_area(package, &area, memory, memory_bytes);
	sim_flash_init(&device.area, &device.power, "area", &area, area.size_bytes);
	device.journal_bytes = dfota_record_store_bytes(&device.area.flash);
	if (area.flags & DFOTA_FLASH_RESIZABLE)
		sim_flash_load(&device.area, NULL, 0);
	for (uint32_t i = 0; i < manifest->partition_count; i++)
		partition_make(&device, i, medium, &manifest->partitions[i], folder);
	sim_boot(&device.power);
	must(dfota_updater_run(&config, memory, memory_bytes, &device.report) == 0, medium->name);
	for (uint32_t i = 0; i < manifest->partition_count; i++)
		print_row(medium->name, manifest->partitions[i].name, device.parts[i].place,
			  device.parts[i].ring, device.parts[i].stash, &device.tallies[i]);
	printf("%-6s area     %12llu\n", medium->name, (unsigned long long)area.size_bytes);
	for (uint32_t i = 0; i < manifest->partition_count; i++)
		sim_flash_free(&device.flashes[i]);
	sim_flash_free(&device.area);
	free(memory);
}

int main(int argc, char **argv)
{
	struct dfota_package *package;

	must(argc == 3, "usage: wear PACKAGE OLD-FOLDER");
	must(dfota_package_open(&package, argv[1], NULL) == 0, argv[1]);
	printf("%-6s %-8s %12s %12s %12s %8s %8s %8s\n", "", "", "changed", "ring", "stash",
	       "records", "ratio", "blocks");
	for (size_t i = 0; i < sizeof(media) / sizeof(media[0]); i++)
		measure(&media[i], package, argv[2]);
	dfota_package_close(package);
	return 0;
}
