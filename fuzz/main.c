/* SPDX-License-Identifier: MIT
 *
 * Runs a fuzz target over files and folders, so that each corpus is an ordinary test where there is
 * no libFuzzer, and over inputs made by chance.
 *
 * usage: fuzz_<name> [--cases N [--seed S] [--first I] [--keep FILE]] FILE_OR_FOLDER...
 *   --cases  after the files, so many inputs by chance; the same seed makes the same ones
 *   --first  number of the first of them
 *   --keep   the input at hand is written there before it is run, to be found after a crash
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "choices.h"

#define FILE_MAX     (1L << 24)
#define CASE_MAX     768u /* bytes of an input made by chance */
#define CASE_SECONDS 60   /* of CPU time; an input that takes longer is a defect */

static unsigned files;

/* Ends the program if the target does not come back. */
static void run_target(const uint8_t *data, size_t size)
{
	const struct itimerval limit = { .it_value.tv_sec = CASE_SECONDS };

	if (setitimer(ITIMER_PROF, &limit, NULL) != 0)
		abort();
	LLVMFuzzerTestOneInput(data, size);
}

struct chance {
	unsigned long cases, seed, first;
	const char *keep;
};

/* 0 when the file was read and the target came back. */
static int run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	long size = -1;
	int result = -1;

	if (!file)
		goto out;
	if (fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size < 0 || size > FILE_MAX || fseek(file, 0, SEEK_SET) != 0)
		goto out;
	data = malloc(size ? (size_t)size : 1); /* exact, so that a sanitizer sees its end */
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size)
		goto out;
	run_target(data, (size_t)size);
	files++;
	result = 0;
out:
	if (result)
		perror(path);
	free(data);
	if (file)
		fclose(file);
	return result;
}

static int run(const char *path)
{
	struct stat status;
	struct dirent *entry;
	int result = 0;
	DIR *folder;

	if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
		return run_file(path);
	folder = opendir(path);
	if (!folder)
		return run_file(path); /* which tells why */
	while ((entry = readdir(folder))) {
		char name[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >=
			(int)sizeof(name) ||
		    run_file(name))
			result = -1;
	}
	closedir(folder);
	return result;
}

static int keep(const char *path, const uint8_t *data, size_t size)
{
	FILE *file = fopen(path, "wb");
	size_t written = file ? fwrite(data, 1, size, file) : 0;

	if (!file || fclose(file) != 0 || written != size) {
		perror(path);
		return -1;
	}
	return 0;
}

/* Inputs depend on the seed and their number alone. Low bytes are as frequent as all others
 * together, because small numbers choose small things.
 */
static int run_case(const struct chance *chance, unsigned long number)
{
	uint32_t state = (uint32_t)(chance->seed * 0x9e3779b1u + number * 0x85ebca6bu);
	uint32_t size = random_below(&state, random_below(&state, 2) ? CASE_MAX : 64);
	uint32_t low = random_below(&state, 3);
	uint8_t *data = malloc(size ? size : 1);

	if (!data)
		return -1;
	for (uint32_t i = 0; i < size; i++) {
		uint32_t noise = random_next(&state);

		data[i] = (uint8_t)(noise >> 8 & (noise & low ? 0x07 : 0xff));
	}
	if (chance->keep && keep(chance->keep, data, size)) {
		free(data);
		return -1;
	}
	run_target(data, size);
	free(data);
	return 0;
}

static int run_cases(const struct chance *chance)
{
	for (unsigned long i = 0; i < chance->cases; i++)
		if (run_case(chance, chance->first + i))
			return -1;
	if (chance->cases > 0)
		printf("%lu cases from %lu, seed %lu\n", chance->cases, chance->first,
		       chance->seed);
	return 0;
}

/* Takes an option and its value; false when it is none. */
static bool take_option(struct chance *chance, const char *name, const char *value)
{
	if (strcmp(name, "--keep") == 0)
		chance->keep = value;
	else if (strcmp(name, "--cases") == 0)
		chance->cases = strtoul(value, NULL, 0);
	else if (strcmp(name, "--seed") == 0)
		chance->seed = strtoul(value, NULL, 0);
	else if (strcmp(name, "--first") == 0)
		chance->first = strtoul(value, NULL, 0);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct chance chance = { .seed = 1 };
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		if (i + 1 < argc && take_option(&chance, argv[i], argv[i + 1]))
			i++;
		else
			failed |= run(argv[i]);
	}
	printf("%u files\n", files);
	failed |= run_cases(&chance);
	return failed || files + chance.cases == 0;
}
