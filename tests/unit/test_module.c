/* SPDX-License-Identifier: MIT
 *
 * The module's parts that need no port: names and files of the store, module.ini, PDP contexts, folder of a new module.
 */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/module/contexts.h"
#include "../../src/module/ufs.h"
#include "dfota/module.h"

static char folder[] = "/tmp/dfota-module-XXXXXX";

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status;
	(void)kind;
	(void)at;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *at(const char *name)
{
	static char paths[4][300];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(at(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* ---- store ------------------------------------------------------------------------------------- */

static void test_ufs_names_are_bounded(void **state)
{
	static const char *const bad[] = { "",	  ".",	 "..",	 ".upload", "a/b",  "/a",   "a\\b", "a\"b",
					   "a*",  "a?",	 "UFS:", "RAM:a",   "a\nb", "\x7f", "a\x80" };
	char name[UFS_NAME_MAX + 1], longest[UFS_NAME_MAX + 2];

	(void)state;
	assert_int_equal(ufs_name("UFS:dfota_update.bin", name), 0);
	assert_string_equal(name, "dfota_update.bin");
	assert_int_equal(ufs_name("a b", name), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ufs_name(bad[i], name), UFS_BAD_NAME);
	memset(longest, 'x', sizeof(longest));
	longest[UFS_NAME_MAX] = '\0';
	assert_int_equal(ufs_name(longest, name), 0);
	longest[UFS_NAME_MAX] = 'x';
	longest[UFS_NAME_MAX + 1] = '\0';
	assert_int_equal(ufs_name(longest, name), UFS_BAD_NAME);
}

static void test_ufs_paths_of_all_spellings_lead_to_one_name(void **state)
{
	static const char *const good[] = { "/cache/ufs/u.zip", "cache/ufs/u.zip", "/data/ufs/u.zip",
					    "data/ufs/u.zip", "UFS:u.zip" };
	static const char *const bad[] = { "/cache/ufs/", "/cache/ufs/../u", "/cache/ufs/a/b",
					   "UFS:UFS:u", "/cache/ufs/UFS:u" };
	char name[UFS_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(ufs_path_name(good[i], name));
		assert_string_equal(name, "u.zip");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(ufs_path_name(bad[i], name));
		assert_string_equal(name, "");
	}
	assert_false(ufs_path_name("http://host/cache/ufs/u", name));
	assert_false(ufs_path_name("/UFS:u", name));
	assert_false(ufs_path_name("u.zip", name));
}

static void test_ufs_patterns(void **state)
{
	(void)state;
	assert_true(ufs_match("*", "a"));
	assert_true(ufs_match("*.zip", "a.zip"));
	assert_true(ufs_match("a*b*c", "aXbXbXc"));
	assert_true(ufs_match("?.zip", "a.zip"));
	assert_false(ufs_match("*.zip", "a.bin"));
	assert_false(ufs_match("?", "ab"));
	assert_false(ufs_match("", "a"));
	assert_false(ufs_match("a", ""));
}

static void test_ufs_upload_appears_only_when_complete(void **state)
{
	struct ufs_entry entries[UFS_FILES_MAX];
	uint64_t room, bytes;
	struct module_ufs ufs;
	uint32_t count;
	int fd;

	(void)state;
	assert_int_equal(module_ufs_open(&ufs, at("ufs"), 1000), 0);
	assert_int_equal(ufs_upload_begin(&ufs, "a", 1001), UFS_NO_SPACE);
	assert_int_equal(ufs_upload_begin(&ufs, "a", 1000), 0);
	assert_int_equal(ufs_upload_begin(&ufs, "b", 1), UFS_IN_USE);
	assert_int_equal(ufs_upload_add(&ufs, (const uint8_t *)"hello", 5), 0);
	assert_int_equal(ufs_list(&ufs, entries, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(ufs_upload_end(&ufs), 0);
	assert_int_equal(ufs_upload_begin(&ufs, "a", 1), UFS_EXISTS);
	assert_int_equal(ufs_upload_begin(&ufs, "empty", 1), 0);
	assert_int_equal(ufs_upload_end(&ufs), 0);
	assert_int_equal(ufs_list(&ufs, entries, &count), 0);
	assert_int_equal(count, 1);
	assert_string_equal(entries[0].name, "a");
	assert_int_equal(entries[0].bytes, 5);
	assert_int_equal(ufs_space(&ufs, &room, &bytes, &count), 0);
	assert_int_equal(room, 995);
	assert_int_equal(bytes, 5);
	assert_int_equal(ufs_open_file(&ufs, "a", &fd, &bytes), 0);
	assert_int_equal(bytes, 5);
	close(fd);
	assert_int_equal(ufs_open_file(&ufs, "b", &fd, &bytes), UFS_NOT_FOUND);
	assert_int_equal(ufs_delete(&ufs, "a"), 0);
	assert_int_equal(ufs_delete(&ufs, "a"), UFS_NOT_FOUND);
	module_ufs_close(&ufs);
}

static void test_ufs_remains_of_a_cut_upload_go_at_boot(void **state)
{
	struct module_ufs ufs;
	struct stat status;

	(void)state;
	assert_int_equal(mkdir(at("ufs"), 0755), 0);
	put("ufs/.upload", "half a file");
	assert_int_equal(module_ufs_open(&ufs, at("ufs"), 1000), 0);
	assert_int_equal(stat(at("ufs/.upload"), &status), -1);
	module_ufs_close(&ufs);
}

static void test_ufs_symlinks_are_not_followed(void **state)
{
	struct module_ufs ufs;
	uint64_t bytes;
	int fd;

	(void)state;
	assert_int_equal(module_ufs_open(&ufs, at("ufs"), 1000), 0);
	put("secret", "x");
	assert_int_equal(symlink("../secret", at("ufs/link")), 0);
	assert_int_equal(ufs_open_file(&ufs, "link", &fd, &bytes), UFS_OPEN_FAILED);
	assert_int_equal(mkdir(at("ufs/folder"), 0755), 0);
	assert_int_equal(ufs_open_file(&ufs, "folder", &fd, &bytes), UFS_OPEN_FAILED);
	module_ufs_close(&ufs);
}

/* ---- module.ini -------------------------------------------------------------------------------- */

static int load(struct module_config *config, const char *text, int *ret_line)
{
	const char *what;

	put("module.ini", text);
	return module_config_load(config, folder, NULL, &what, ret_line);
}

static void test_config_defaults_and_values(void **state)
{
	struct module_config config;
	char path[PATH_MAX];
	int line;

	(void)state;
	assert_int_equal(load(&config, "project = P1\nversion = v12\n", &line), 0);
	assert_string_equal(config.model, "P1");
	assert_int_equal(config.urc_settle_ms, 8000);
	assert_int_equal(config.call, MODULE_CALL_PDP);
	assert_int_equal(load(&config,
			      "project = P1\nversion = v12\n[x]\npackage-max = 3M\ncme-always = no\n"
			      "data-call = none\nfault-write = boot,5,2\n",
			      &line),
			 0);
	assert_int_equal(config.package_max, 3 << 20);
	assert_false(config.cme_always);
	assert_string_equal(config.fault_write.partition, "boot");
	assert_int_equal(config.fault_write.count, 5);
	assert_int_equal(config.fault_write.after, 2);
	assert_true(module_path(&config, "state", path));
	assert_true(module_path(&config, "/etc/x", path));
	assert_string_equal(path, "/etc/x");
}

static void test_config_places_partitions(void **state)
{
	struct module_config config;
	enum dfota_storage_kind kind;
	char path[PATH_MAX];
	int line;

	(void)state;
	assert_int_equal(load(&config, "project = P\nversion = v\narea = block:/dev/a\npartition-boot = x/boot\n"
				       "partition-tz = block:/dev/b\npartition-boot = file:boot.bin\n", &line), 0);
	assert_int_equal(config.place_count, 2);
	assert_string_equal(config.places[0].partition, "boot");
	assert_true(module_storage_path(&config, config.places[0].where, &kind, path));
	assert_int_equal(kind, DFOTA_STORAGE_FILE);
	assert_string_equal(path + strlen(config.folder), "/boot.bin");
	assert_true(module_storage_path(&config, config.places[1].where, &kind, path));
	assert_int_equal(kind, DFOTA_STORAGE_BLOCK);
	assert_string_equal(path, "/dev/b");
	assert_true(module_storage_path(&config, config.area, &kind, path));
	assert_int_equal(kind, DFOTA_STORAGE_BLOCK);
}

static void test_config_mistakes_are_told_with_their_line(void **state)
{
	static const char *const bad[] = { "packagemax = 3\n",	     "package-max = -1\n",
					   "package-max = 3X\n",     "package-max = 99999999999999999999\n",
					   "package-max = 20000000000G\n", "urc-settle-ms = 60001\n",
					   "cme-always = maybe\n",   "data-call = modem\n",
					   "fault-write = boot\n",   "fault-write = BOOT,1\n",
					   "fault-write = boot,1,\n", "version = a\"b\n",
					   "area = disk:/dev/a\n", "partition-Boot = file:x\n",
					   "partition-boot = block:\n" };
	struct module_config config;
	char text[200];
	int line;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "project = P\n%sversion = v\n", bad[i]);
		assert_int_equal(load(&config, text, &line), DFOTA_E_ARGUMENT);
		assert_int_equal(line, 2);
	}
	assert_int_equal(load(&config, "project = P\n", &line), DFOTA_E_ARGUMENT);
	assert_int_equal(load(&config, "project = P\nversion = v\ncontext = 0\n", &line),
			 DFOTA_E_ARGUMENT);
	assert_int_equal(load(&config, "project = P\nversion = v\ndata-call = command\n", &line),
			 DFOTA_E_ARGUMENT);
}

static void test_config_text_is_what_load_reads(void **state)
{
	char *text = module_config_text("P", "v12", "trust.pub");
	struct module_config config, plain;
	int line;

	(void)state;
	assert_non_null(text);
	assert_int_equal(load(&config, text, &line), 0);
	free(text);
	assert_int_equal(load(&plain, "project = P\nversion = v12\ntrust = trust.pub\n", &line), 0);
	assert_memory_equal(&config, &plain, sizeof(config));
}

/* ---- contexts ---------------------------------------------------------------------------------- */

static void test_contexts_one_user_of_an_apn_at_a_time(void **state)
{
	struct contexts c;

	(void)state;
	assert_int_equal(contexts_open(&c, at("contexts")), 0);
	assert_int_equal(contexts_activate(&c, 1, true), 0);
	assert_int_equal(contexts_claim(&c, 1), DFOTA_E_BUSY);
	assert_int_equal(contexts_claim(&c, 2), DFOTA_E_NOT_FOUND);
	assert_int_equal(contexts_define(&c, 2, "IP", ""), 0);
	assert_int_equal(contexts_claim(&c, 2), DFOTA_E_BUSY); /* the same APN */
	assert_int_equal(contexts_define(&c, 2, "IPV4V6", "fota"), 0);
	assert_int_equal(contexts_claim(&c, 2), 0);
	assert_int_equal(contexts_define(&c, 2, NULL, NULL), DFOTA_E_BUSY);
	assert_int_equal(contexts_activate(&c, 2, true), DFOTA_E_BUSY);
	contexts_release(&c);
	assert_int_equal(contexts_activate(&c, 1, false), 0);
	assert_int_equal(contexts_claim(&c, 1), 0);
	contexts_release(&c);
	assert_int_equal(contexts_define(&c, 17, "IP", ""), DFOTA_E_ARGUMENT);
	assert_int_equal(contexts_define(&c, 0, "IP", ""), DFOTA_E_ARGUMENT);
	assert_int_equal(contexts_define(&c, 3, "PPP", ""), DFOTA_E_ARGUMENT);
	assert_int_equal(contexts_define(&c, 3, "IP", "a b"), DFOTA_E_ARGUMENT);
	contexts_close(&c);
	assert_int_equal(contexts_open(&c, at("contexts")), 0);
	assert_true(c.contexts[1].defined);
	assert_string_equal(c.contexts[1].apn, "fota");
	assert_false(c.contexts[1].active);
	contexts_close(&c);
}

/* ---- new module -------------------------------------------------------------------------------- */

static const char key[] = "-----BEGIN PUBLIC KEY-----\n"
			  "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
			  "-----END PUBLIC KEY-----\n";

static void test_create_makes_all_or_nothing(void **state)
{
	struct module_records records;
	const char *what = NULL;
	struct stat status;

	(void)state;
	put("key.pub", key);
	assert_int_equal(mkdir(at("fw"), 0755), 0);
	assert_int_equal(dfota_module_create(at("m"), at("fw"), at("key.pub"), &what),
			 DFOTA_E_NOT_FOUND);
	assert_non_null(what);
	put("fw/firmware.ini", "project = P\nversion = v12\n");
	assert_int_equal(dfota_module_create(at("m"), at("fw"), at("key.pub"), &what),
			 DFOTA_E_MANIFEST);
	put("fw/boot.img", "boot image");
	assert_int_not_equal(dfota_module_create(at("m"), at("fw"), at("none.pub"), &what), 0);
	assert_int_equal(stat(at("m"), &status), -1);
	assert_int_equal(stat(at("m.new"), &status), -1);
	assert_int_equal(dfota_module_create(at("m"), at("fw"), at("key.pub"), &what), 0);
	assert_int_equal(stat(at("m/flash/boot.img"), &status), 0);
	assert_int_equal(status.st_size, 10);
	assert_int_equal(stat(at("m/ufs"), &status), 0);
	assert_int_equal(stat(at("m/trust.pub"), &status), 0);
	assert_int_equal(module_records_open(&records, at("m/state"), "other", "other"), 0);
	assert_string_equal(records.state.project, "P");
	assert_string_equal(records.state.version, "v12");
	module_records_close(&records);
	/* No holes: on a full disk the flag can still be deleted, and a failure counted. */
	assert_int_equal(stat(at("m/state/flag"), &status), 0);
	assert_true(status.st_blocks * 512 >= status.st_size);
	assert_int_equal(stat(at("m/state/version"), &status), 0);
	assert_true(status.st_blocks * 512 >= status.st_size);
	assert_int_equal(dfota_module_create(at("m"), at("fw"), at("key.pub"), &what), DFOTA_E_EXISTS);
	assert_int_equal(stat(at("m.new"), &status), -1);
	assert_int_equal(stat(at("m/flash/boot.img"), &status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ufs_names_are_bounded),
		cmocka_unit_test(test_ufs_paths_of_all_spellings_lead_to_one_name),
		cmocka_unit_test(test_ufs_patterns),
		cmocka_unit_test_setup_teardown(test_ufs_upload_appears_only_when_complete, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ufs_remains_of_a_cut_upload_go_at_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ufs_symlinks_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config_defaults_and_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config_places_partitions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config_mistakes_are_told_with_their_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config_text_is_what_load_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contexts_one_user_of_an_apn_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_makes_all_or_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
