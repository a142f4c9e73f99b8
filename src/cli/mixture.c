/* SPDX-License-Identifier: MIT
 *
 * The device's own updater makes the mixture, stopped where the module's came to its end.
 */
#include "mixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "site.h"

#define COPY_BYTES (1u << 20)

/* Where the module's upgrade ended: `steps` of `partition` are done, and all of those before it. */
struct end {
	uint32_t partition, steps;
	bool reached;
};

/* The step that failed is taken for not begun: a first write that failed has usually written
 * nothing, and if it has, the module finds it by the partition's digest before it writes.
 */
static int end_read(const char *text, struct end *ret_end)
{
	char phase[16];
	uint32_t partition, step;
	int at = 0;

	*ret_end = (struct end){ 0 };
	if (sscanf(text, "%15[A-Z],%" SCNu32 ",%" SCNu32 "%n", phase, &partition, &step, &at) !=
		3 ||
	    text[at]) {
		cli_error(
		    "pack",
		    "--state is what the module says in ATI after \"FOTA: state\", as DONE,0,12");
		return DFOTA_E_ARGUMENT;
	}
	ret_end->partition = partition;
	if (strcmp(phase, "DONE") == 0 && step < UINT32_MAX)
		ret_end->steps = step + 1;
	else if (strcmp(phase, "STASHED") == 0 || strcmp(phase, "PREPARED") == 0)
		ret_end->steps = step;
	else if (strcmp(phase, "INTENT") != 0) {
		cli_error(
		    "pack",
		    "state %s: %s. Only the same package can go on from there; send it once more",
		    phase,
		    strcmp(phase, "VERIFIED") == 0
			? "all is in place but for the last record"
			: "units of one step may be old, new, or neither");
		return DFOTA_E_ARGUMENT;
	}
	return 0;
}

/* ---- the copy -------------------------------------------------------------------------------- */

static int bytes_copy(int to, int from)
{
	uint8_t *buffer = malloc(COPY_BYTES);
	int error = buffer ? 0 : DFOTA_E_MEMORY;

	while (!error) {
		ssize_t n = read(from, buffer, COPY_BYTES), done = 0;

		if (n == 0)
			break;
		while (n > 0 && done < n) {
			ssize_t put = write(to, buffer + done, (size_t)(n - done));

			if (put <= 0)
				break;
			done += put;
		}
		if (n < 0 || done < n)
			error = DFOTA_E_IO;
	}
	free(buffer);
	return error;
}

static int file_copy(int to_folder, int from_folder, const char *name)
{
	int from = openat(from_folder, name, O_RDONLY | O_CLOEXEC), to = -1, error = DFOTA_E_IO;

	if (from >= 0)
		to = openat(to_folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to >= 0)
		error = bytes_copy(to, from);
	if (to >= 0 && close(to))
		error = DFOTA_E_IO;
	if (from >= 0)
		close(from);
	return error;
}

/* The images and firmware.ini; upgrade state of the folder is not the module's. */
static int folder_copy(const char *to, const char *from)
{
	int to_folder = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
	DIR *folder = opendir(from);
	struct dirent *entry;

	if (!folder || to_folder < 0)
		error = DFOTA_E_IO;
	while (!error && (entry = readdir(folder))) {
		struct stat status;

		if (fstatat(dirfd(folder), entry->d_name, &status, 0))
			error = DFOTA_E_IO;
		else if (S_ISREG(status.st_mode))
			error = file_copy(to_folder, dirfd(folder), entry->d_name);
	}
	if (folder)
		(void)closedir(folder);
	if (to_folder >= 0)
		close(to_folder);
	return error;
}

static void files_remove(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		(void)unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		(void)closedir(folder);
	(void)rmdir(path);
}

void mixture_remove(struct mixture *mixture)
{
	char *state;

	if (!mixture->folder)
		return;
	if (asprintf(&state, "%s/.dfota", mixture->folder) >= 0) {
		files_remove(state);
		free(state);
	}
	files_remove(mixture->folder);
	free(mixture->folder);
	mixture->folder = NULL;
}

/* ---- the upgrade that stops -------------------------------------------------------------------
 */

static void on_event(void *context, enum dfota_updater_event event, int64_t a, int64_t b)
{
	struct end *end = context;

	if (event == DFOTA_EVENT_STARTED && end->partition == 0 && end->steps == 0)
		end->reached = true;
	if (event == DFOTA_EVENT_STEP && a == (int64_t)end->partition &&
	    b + 1 == (int64_t)end->steps)
		end->reached = true;
}

static bool is_reached(void *context)
{
	return ((const struct end *)context)->reached;
}

/* No step of a partition is all steps of the one before it. */
static int end_settle(struct dfota_package *package, struct end *end)
{
	if (end->partition >= dfota_package_manifest(package)->partition_count) {
		cli_error("pack", "the package has no partition %" PRIu32, end->partition);
		return DFOTA_E_ARGUMENT;
	}
	while (end->steps == 0 && end->partition > 0) {
		struct dfota_delta delta;
		int error = dfota_package_delta(package, --end->partition, &delta);

		if (error)
			return error;
		end->steps = delta.header.step_count;
	}
	return 0;
}

static int upgrade_partly(const char *package, const char *folder, struct end *end)
{
	struct site site;
	int error = site_open(&site, package, folder, NULL, NULL, true);

	if (!error)
		error = end_settle(site.package, end);
	if (!error) {
		site.config.hooks.event = on_event;
		site.config.hooks.stop = is_reached;
		site.config.hooks.context = end;
		error =
		    dfota_updater_run(&site.config, site.memory, site.memory_bytes, &site.report);
		if (error == DFOTA_E_STOPPED || (!error && end->reached)) {
			error = 0;
		} else {
			cli_error("pack", "%s: %s", package,
				  error ? dfota_error_text(error)
					: "the upgrade has no such state");
			error = error ? error : DFOTA_E_ARGUMENT;
		}
	} else if (error != DFOTA_E_ARGUMENT) {
		cli_error("pack", "%s: %s", package,
			  site.what ? site.what : dfota_error_text(error));
	}
	site_close(&site);
	return error;
}

int mixture_make(struct mixture *mixture, const char *package, const char *state, const char *old,
		 const char *output)
{
	struct end end;
	int error = end_read(state, &end);

	mixture->folder = NULL;
	if (error)
		return error;
	if (asprintf(&mixture->folder, "%s.mixture.XXXXXX", output) < 0) {
		mixture->folder = NULL;
		return DFOTA_E_MEMORY;
	}
	if (!mkdtemp(mixture->folder)) {
		cli_error("pack", "no folder can be made beside %s", output);
		free(mixture->folder);
		mixture->folder = NULL;
		return DFOTA_E_IO;
	}
	error = folder_copy(mixture->folder, old);
	if (error) {
		cli_error("pack", "%s cannot be copied to %s", old, mixture->folder);
		return error;
	}
	return upgrade_partly(package, mixture->folder, &end);
}
