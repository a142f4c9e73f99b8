/* SPDX-License-Identifier: MIT
 *
 * Runs a fuzz target over files and folders, so that each corpus is an ordinary test where there is
 * no libFuzzer.
 *
 * usage: fuzz_<name> FILE_OR_FOLDER...
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (1L << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned files;

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
	LLVMFuzzerTestOneInput(data, (size_t)size);
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

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= run(argv[i]);
	printf("%u files\n", files);
	return failed || files == 0;
}
