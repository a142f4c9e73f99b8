/* SPDX-License-Identifier: MIT
 *
 * Firmware folders: what is read, in which order, what is refused.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "dfota/pkgbuild.h"

static char folder[] = "/tmp/dfota-firmware-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void drop(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(unlink(path), 0);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(folder);
}

static void partitions_come_in_the_order_of_upgrade(void **state)
{
	static const char *const files[] = { "sbl", "tz", "system", "boot", "modem", "abl" };
	static const char *const order[] = { "abl", "system", "modem", "boot", "tz", "sbl" };
	struct dfota_firmware firmware;
	char name[64];

	(void)state;
	put("firmware.ini", "[firmware]\nproject = P1\nversion = v12\nvendor = x\n");
	put("notes.txt", "x");
	for (size_t i = 0; i < 6; i++) {
		(void)snprintf(name, sizeof(name), "%s.img", files[i]);
		put(name, "12345");
	}
	assert_int_equal(dfota_firmware_load(&firmware, folder, NULL), 0);
	assert_int_equal(firmware.partition_count, 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(firmware.partitions[i].name, order[i]);
	assert_int_equal(firmware.partitions[0].bytes, 5);
	assert_int_equal(dfota_firmware_save(folder, "P1", "v13"), 0);
	assert_int_equal(dfota_firmware_load(&firmware, folder, NULL), 0);
	assert_string_equal(firmware.version, "v13");
	assert_int_equal(dfota_firmware_save(folder, "P1", "v\"13"), DFOTA_E_ARGUMENT);
	for (size_t i = 0; i < 6; i++) {
		(void)snprintf(name, sizeof(name), "%s.img", files[i]);
		drop(name);
	}
	assert_int_equal(dfota_firmware_load(&firmware, folder, NULL), DFOTA_E_MANIFEST);
	drop("notes.txt");
	drop("firmware.ini");
	assert_int_equal(dfota_firmware_load(&firmware, folder, NULL), DFOTA_E_NOT_FOUND);
}

static void bad_folders_are_named(void **state)
{
	static const char *const inis[] = {
		"project = P\n", "version = v\n", "project = P\nversion = v\nversion = w\n",
		"project = P\nversion =\n", "garbage\n", "project = P\nversion = a\\b\n",
	};
	struct dfota_firmware firmware;
	const char *what;

	(void)state;
	put("boot.img", "x");
	for (size_t i = 0; i < sizeof(inis) / sizeof(inis[0]); i++) {
		put("firmware.ini", inis[i]);
		what = NULL;
		assert_int_equal(dfota_firmware_load(&firmware, folder, &what), DFOTA_E_MANIFEST);
		assert_non_null(what);
	}
	put("firmware.ini", "project = P\nversion = v\n");
	put("Boot.img", "x");
	assert_int_equal(dfota_firmware_load(&firmware, folder, NULL), DFOTA_E_MANIFEST);
	drop("Boot.img");
	assert_int_equal(dfota_firmware_load(&firmware, folder, NULL), 0);
	drop("boot.img");
	drop("firmware.ini");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(partitions_come_in_the_order_of_upgrade),
		cmocka_unit_test(bad_folders_are_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
