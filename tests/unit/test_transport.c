/* SPDX-License-Identifier: MIT
 *
 * URLs good and bad (rows A4-A6), what they look like in a log, Content-Range, validators, and the
 * note of a part.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/transport/answer.h"

/* ---- URLs --------------------------------------------------------------------------------------
 */

static const struct {
	const char *text;
	enum dfota_scheme scheme;
	const char *user, *password, *host;
	uint16_t port;
	const char *path, *redacted;
} good[] = {
	/* clang-format off */
	/* A5: user and password optional, port 21 */
	{ "ftp://u:p@h/f", DFOTA_SCHEME_FTP, "u", "p", "h", 21, "/f", "ftp://u:***@h/f" },
	{ "ftp://h/f", DFOTA_SCHEME_FTP, "", "", "h", 21, "/f", "ftp://h/f" },
	{ "ftp://u@h/f", DFOTA_SCHEME_FTP, "u", "", "h", 21, "/f", "ftp://u@h/f" },
	{ "ftp://u:@h/f", DFOTA_SCHEME_FTP, "u", "", "h", 21, "/f", "ftp://u@h/f" },
	{ "ftp://u:p:q@h:2121/a/b.zip", DFOTA_SCHEME_FTP, "u", "p:q", "h", 2121, "/a/b.zip", "ftp://u:***@h:2121/a/b.zip" },
	{ "ftp://a%40b:c%2fd%3A@h/f", DFOTA_SCHEME_FTP, "a@b", "c/d:", "h", 21, "/f", "ftp://a@b:***@h/f" },
	{ "ftp://u:%e9@h/f", DFOTA_SCHEME_FTP, "u", "\xe9", "h", 21, "/f", "ftp://u:***@h/f" },
	{ "ftp://h//etc/f", DFOTA_SCHEME_FTP, "", "", "h", 21, "//etc/f", "ftp://h//etc/f" },
	{ "ftp://h/f?x;type=a", DFOTA_SCHEME_FTP, "", "", "h", 21, "/f?x;type=a", "ftp://h/f?x;type=a" },
	{ "ftp://h:21/f", DFOTA_SCHEME_FTP, "", "", "h", 21, "/f", "ftp://h/f" },
	/* A6: ports 80 and 443 */
	{ "http://h/f", DFOTA_SCHEME_HTTP, "", "", "h", 80, "/f", "http://h/f" },
	{ "https://h/f", DFOTA_SCHEME_HTTPS, "", "", "h", 443, "/f", "https://h/f" },
	{ "HTTP://H/F", DFOTA_SCHEME_HTTP, "", "", "H", 80, "/F", "http://H/F" },
	{ "hTTpS://h:1/f", DFOTA_SCHEME_HTTPS, "", "", "h", 1, "/f", "https://h:1/f" },
	{ "http://192.168.1.2:65535/f", DFOTA_SCHEME_HTTP, "", "", "192.168.1.2", 65535, "/f", "http://192.168.1.2:65535/f" },
	{ "http://[::1]:8080/f", DFOTA_SCHEME_HTTP, "", "", "::1", 8080, "/f", "http://[::1]:8080/f" },
	{ "http://[2001:db8::1.2.3.4]/f", DFOTA_SCHEME_HTTP, "", "", "2001:db8::1.2.3.4", 80, "/f", "http://[2001:db8::1.2.3.4]/f" },
	{ "https://a-b_c.example/d/e.zip?v=1&w=%20/../x", DFOTA_SCHEME_HTTPS, "", "", "a-b_c.example", 443,
	  "/d/e.zip?v=1&w=%20/../x", "https://a-b_c.example/d/e.zip?v=1&w=%20/../x" },
	{ "http://h/a@b:c", DFOTA_SCHEME_HTTP, "", "", "h", 80, "/a@b:c", "http://h/a@b:c" },
	{ "http://h/..a/b../...", DFOTA_SCHEME_HTTP, "", "", "h", 80, "/..a/b../...", "http://h/..a/b../..." },
	{ "http://h/d/", DFOTA_SCHEME_HTTP, "", "", "h", 80, "/d/", "http://h/d/" },
	{ "http://h/%e4", DFOTA_SCHEME_HTTP, "", "", "h", 80, "/%e4", "http://h/%e4" },
	/* clang-format on */
};

static const char *const bad[] = {
	/* clang-format off */
	/* A4: one of the schemes, whole */
	"", "h", "/f", "http", "http:", "http:/", "http:/h/f", "http//h/f", "://h/f", "h/f", "file:///etc/passwd", "ftps://h/f",
	"sftp://h/f", "httpx://h/f", "gopher://h/f", " http://h/f", "UFS:f", "/cache/ufs/f", "javascript:x",
	/* host and path */
	"http://", "http:///f", "http://h", "http://h/", "http://h?x", "http://h/?x", "http://:80/f", "ftp://u:p@/f", "ftp://u:p@:21/f",
	"http://h h/f", "http://h%41/f", "http://h,i/f", "http://h\\@i/f", "http://[::1/f", "http://::1/f", "http://[]/f", "http://[h]/f",
	"http://[1.2.3.4]/f", "http://[::1]x/f", "http://[:::1]/f", "http://[fe80::1%25eth0]/f", "ftp://h/", "ftp://h/d/", "ftp://h/d%2f",
	/* A5, A6: port 1-65535 */
	"http://h:/f", "http://h:0/f", "http://h:65536/f", "http://h:99999999999999999999/f", "http://h:-1/f", "http://h:+1/f",
	"http://h:8o/f", "http://h:80:80/f", "http://h: 80/f", "http://h:0x50/f", "http://[::1]:/f",
	/* who */
	"http://u@h/f", "http://u:p@h/f", "https://u:p@h/f", "http://@h/f", "ftp://@h/f", "ftp://:p@h/f", "ftp://u:p@q@h/f",
	"ftp://u%0ad:p@h/f", "ftp://u:p%0d%0aDELE%20x@h/f", "ftp://u:%00@h/f",
	/* bytes */
	"http://h/a b", "http://h/a\tb", "http://h/a\nb", "http://h/a\rb", "http://h/\x7f", "http://h/\xc3\xa4", "http://h/\"", "http://h/'",
	"http://h/<", "http://h/a\\b", "http://h/`", "http://h/{a}", "http://h/a|b", "http://h/a^b",
	/* escapes */
	"http://h/%", "http://h/%4", "http://h/%4g", "http://h/%g4", "http://h/a%00b", "http://h/a%0d%0ab", "http://h/%1f", "http://h/%7f",
	"http://h/%%41", "ftp://h/a%0aDELE%20b", "http://h/f?%",
	/* fragment, climbing */
	"http://h/f#", "http://h/f#x", "http://h/f?x#y", "http://h/..", "http://h/../f", "http://h/a/../f", "http://h/a/..", "http://h/%2e%2e/f",
	"http://h/.%2E/f", "http://h/a%2f../f", "http://h/..%2ff", "ftp://h/a/..%2f..%2fb", "http://h/..?x",
	/* clang-format on */
};

static void test_url_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct dfota_url url;
		char text[DFOTA_URL_MAX + 8];

		if (dfota_url_parse(good[i].text, strlen(good[i].text), &url))
			fail_msg("%s: refused", good[i].text);
		assert_int_equal(url.scheme, good[i].scheme);
		assert_string_equal(url.user, good[i].user);
		assert_string_equal(url.password, good[i].password);
		assert_string_equal(url.host, good[i].host);
		assert_int_equal(url.port, good[i].port);
		assert_string_equal(url.path, good[i].path);
		dfota_url_redact(&url, text);
		assert_string_equal(text, good[i].redacted);
	}
}

/* Also from memory that ends with the text, and with the output untouched. */
static void test_url_bad(void **state)
{
	struct dfota_url url, before;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t bytes = strlen(bad[i]);
		char *text = malloc(bytes ? bytes : 1);

		assert_non_null(text);
		memcpy(text, bad[i], bytes);
		url = before;
		if (dfota_url_parse(text, bytes, &url) != DFOTA_E_URL)
			fail_msg("taken: %s", bad[i]);
		assert_memory_equal(&url, &before, sizeof(url));
		free(text);
	}
}

static void test_url_zero_byte_inside_refused(void **state)
{
	struct dfota_url url;

	(void)state;
	assert_int_equal(dfota_url_parse("http://h/a\0b", 12, &url), DFOTA_E_URL);
	assert_int_equal(dfota_url_parse("http://h\0/a", 11, &url), DFOTA_E_URL);
}

/* A4: 512 bytes and no more; the longest redaction fits too. */
static void test_url_length(void **state)
{
	char text[DFOTA_URL_MAX + 2], redacted[DFOTA_URL_MAX + 8];
	struct dfota_url url;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "ftp://u:p@h:22/", 15);
	assert_int_equal(dfota_url_parse(text, DFOTA_URL_MAX, &url), 0);
	assert_int_equal(strlen(url.path), DFOTA_URL_MAX - 14);
	dfota_url_redact(&url, redacted);
	assert_int_equal(strlen(redacted), DFOTA_URL_MAX + 2);
	assert_memory_equal(redacted, "ftp://u:***@h:22/", 17);
	assert_int_equal(dfota_url_parse(text, DFOTA_URL_MAX + 1, &url), DFOTA_E_URL);
}

/* Every piece of a good URL is refused or taken, never read past its end (for the sanitizer). */
static void test_url_every_prefix(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		for (size_t bytes = 1; bytes < strlen(good[i].text); bytes++) {
			char *text = malloc(bytes);
			struct dfota_url url = { 0 };

			assert_non_null(text);
			memcpy(text, good[i].text, bytes);
			if (!dfota_url_parse(text, bytes, &url)) {
				assert_int_equal(url.path[0], '/');
				assert_true(strlen(url.path) > 1 && strlen(url.host) > 0);
			}
			free(text);
		}
	}
}

/* ---- what servers say --------------------------------------------------------------------------
 */

static void test_range_parse(void **state)
{
	static const char *const wrong[] = {
		"",
		"bytes",
		"bytes ",
		"bytes */10",
		"bytes 0-9/*",
		"bytes 0-9",
		"bytes 0-10/10",
		"bytes 5-4/10",
		"bytes -5/10",
		"bytes 0-9/10 ",
		"bytes 0-9/10,",
		"bytes  0-9/10",
		"bytes 0 -9/10",
		"bytes +0-9/10",
		"items 0-9/10",
		"bytes=0-9/10",
		"bytes 0-9/99999999999999999999",
		"bytes 18446744073709551616-9/10",
		"bytes 0x0-9/10",
	};
	uint64_t first, last, total;

	(void)state;
	assert_true(answer_range_parse("bytes 2-9/10", &first, &last, &total));
	assert_true(first == 2 && last == 9 && total == 10);
	assert_true(answer_range_parse("Bytes 0-0/18446744073709551615", &first, &last, &total));
	assert_true(first == 0 && last == 0 && total == UINT64_MAX);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (answer_range_parse(wrong[i], &first, &last, &total))
			fail_msg("taken: %s", wrong[i]);
}

static void test_validator_pick(void **state)
{
	static const char old[] = "Tue, 01 Jul 2025 10:00:00 GMT";
	static const char now[] = "Tue, 01 Jul 2025 10:00:01 GMT";
	static const struct {
		const char *etag, *modified, *date, *expected;
	} rows[] = {
		{ "\"a\"", NULL, NULL, "\"a\"" }, { "\"a\"", old, now, "\"a\"" },
		{ "W/\"a\"", NULL, NULL, "" },	  { "W/\"a\"", old, now, old },
		{ "\"\"", NULL, NULL, "" },	  { "\"", NULL, NULL, "" },
		{ "a", NULL, NULL, "" },	  { "", NULL, NULL, "" },
		{ "\"a\nb\"", NULL, NULL, "" },	  { NULL, old, now, old },
		{ NULL, old, old, "" }, /* may have changed within this second */
		{ NULL, now, old, "" },		  { NULL, old, NULL, "" },
		{ NULL, "then", now, "" },	  { NULL, old, "now", "" },
		{ NULL, NULL, now, "" },
	};
	char etag[PART_VALIDATOR_MAX + 2], picked[PART_VALIDATOR_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		answer_validator_pick(rows[i].etag, rows[i].modified, rows[i].date, picked);
		assert_string_equal(picked, rows[i].expected);
	}
	memset(etag, 'x', sizeof(etag));
	etag[0] = etag[PART_VALIDATOR_MAX - 1] = '"';
	etag[PART_VALIDATOR_MAX] = '\0';
	answer_validator_pick(etag, NULL, NULL, picked);
	assert_string_equal(picked, etag);
	memcpy(etag + PART_VALIDATOR_MAX - 1, "x\"", 3);
	answer_validator_pick(etag, NULL, NULL, picked);
	assert_string_equal(picked, "");
}

/* ---- the part and its note ---------------------------------------------------------------------
 */

#define BYTES 300000u /* more than what is flushed at once */

static char folder[64], part_path[80], meta_path[80];
static struct dfota_url url;
static const struct dfota_download download = {
	.url = &url,
	.part_path = part_path,
	.meta_path = meta_path,
};
static unsigned char data[BYTES];

static int setup(void **state)
{
	static const char text[] = "ftp://u:secret@h/f";

	(void)state;
	strcpy(folder, "/tmp/dfota-transport-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(part_path, sizeof(part_path), "%s/part", folder);
	snprintf(meta_path, sizeof(meta_path), "%s/meta", folder);
	for (size_t i = 0; i < BYTES; i++)
		data[i] = (unsigned char)(i * i >> 7);
	return dfota_url_parse(text, sizeof(text) - 1, &url);
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(part_path);
	(void)unlink(meta_path);
	return rmdir(folder); /* fails if anything else was left */
}

/* As after a download of `bytes` that was cut off cleanly. */
static void leave(size_t bytes, const char *validator, uint64_t total)
{
	struct part part;

	assert_int_equal(part_open(&part, &download), 0);
	assert_int_equal(part_restart(&part, validator, total), 0);
	assert_int_equal(part_add(&part, data, bytes), 0);
	assert_int_equal(part_sync(&part), 0);
	part_close(&part);
}

static uint64_t found(void)
{
	struct part part;

	assert_int_equal(part_open(&part, &download), 0);
	assert_true((part.bytes > 0) <= (*part.validator != '\0'));
	assert_true(part.durable == part.bytes);
	assert_true(part.crc == dfota_crc32c(0, data, (size_t)part.bytes));
	part_close(&part);
	return part.bytes;
}

static size_t load(const char *path, char *text, size_t room)
{
	FILE *file = fopen(path, "rb");
	size_t bytes;

	assert_non_null(file);
	bytes = fread(text, 1, room, file);
	fclose(file);
	return bytes;
}

static void store(const char *path, const void *text, size_t bytes)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

static void test_part_continues(void **state)
{
	(void)state;
	assert_int_equal(found(), 0);
	leave(1000, "\"a\"", 5000);
	assert_int_equal(found(), 1000);
	leave(1000, "\"a\"", 0);
	assert_int_equal(found(), 1000);
	leave(1000, "", 5000); /* nothing proves it */
	assert_int_equal(found(), 0);
	leave(0, "\"a\"", 5000);
	assert_int_equal(found(), 0);
}

static void test_part_complete_asks_for_the_last_byte(void **state)
{
	struct stat status;

	(void)state;
	leave(1000, "\"a\"", 1000);
	assert_int_equal(found(), 999);
	assert_int_equal(stat(part_path, &status), 0);
	assert_int_equal(status.st_size, 1000);
	assert_int_equal(found(), 999);
	leave(1, "\"a\"", 1);
	assert_int_equal(found(), 0);
}

/* What was not flushed is not counted, whatever the file's length. */
static void test_part_cut_off(void **state)
{
	struct part part;
	struct stat status;

	(void)state;
	assert_int_equal(part_open(&part, &download), 0);
	assert_int_equal(part_restart(&part, "\"a\"", 1000000), 0);
	assert_int_equal(part_add(&part, data, BYTES - 10), 0);
	assert_int_equal(part_add(&part, data + BYTES - 10, 10), 0);
	part_close(&part);
	assert_int_equal(found(), BYTES - 10);
	assert_int_equal(stat(part_path, &status), 0);
	assert_int_equal(status.st_size, BYTES - 10);
}

static void test_part_note_torn_at_every_byte(void **state)
{
	char note[2048];
	size_t bytes;

	(void)state;
	leave(1000, "\"a\"", 5000);
	bytes = load(meta_path, note, sizeof(note));
	for (size_t cut = 0; cut < bytes; cut++) {
		leave(1000, "\"a\"", 5000);
		store(meta_path, note, cut);
		assert_int_equal(found(), 0);
	}
	leave(1000, "\"a\"", 5000);
	store(meta_path, note, bytes);
	assert_int_equal(found(), 1000);
}

/* A note with any bit wrong is refused, or says nothing that the file or the server does not prove.
 */
static void test_part_note_every_bit_flipped(void **state)
{
	char note[2048];
	size_t bytes;
	uint64_t kept;

	(void)state;
	leave(1000, "\"a\"", 5000);
	bytes = load(meta_path, note, sizeof(note));
	for (size_t bit = 0; bit < bytes * 8; bit++) {
		leave(1000, "\"a\"", 5000);
		note[bit / 8] = (char)(note[bit / 8] ^ 1 << bit % 8);
		store(meta_path, note, bytes);
		note[bit / 8] = (char)(note[bit / 8] ^ 1 << bit % 8);
		kept = found();
		assert_true(kept == 0 || kept == 1000 || kept == 999);
	}
}

static void test_part_foreign_notes(void **state)
{
	static const char *const notes[] = {
		"",
		"\n",
		"dfota-part 1\n",
		"dfota-part 2\nurl ftp://u:***@h/f\nvalidator \"a\"\ntotal 0\ndurable 0\ncrc 0\n",
		"dfota-part 1\nurl ftp://u:***@h/g\nvalidator \"a\"\ntotal 0\ndurable 0\ncrc 0\n",
		"dfota-part 1\nurl ftp://u:***@h/f\nvalidator \"a\"\ntotal 5\ndurable 6\ncrc 0\n",
		"dfota-part 1\nurl ftp://u:***@h/f\nvalidator \"a\"\ntotal 0\ndurable "
		"18446744073709551615\ncrc 0\n",
		"dfota-part 1\nurl ftp://u:***@h/f\nvalidator \"a\"\ntotal 0\ndurable "
		"99999999999999999999\ncrc 0\n",
		"dfota-part 1\nurl ftp://u:***@h/f\nvalidator \"a\"\ntotal -1\ndurable 10\ncrc 0\n",
		"dfota-part 1\nurl ftp://u:***@h/f\nvalidator \"a\"\ntotal 0\ndurable 10\ncrc "
		"4294967296\n",
		"dfota-part 1\nurl ftp://u:***@h/f\nvalidator \"a\"\ntotal 0\ndurable 9999999\ncrc "
		"0\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		leave(1000, "\"a\"", 5000);
		store(meta_path, notes[i], strlen(notes[i]));
		assert_int_equal(found(), 0);
	}
	leave(1000, "\"a\"", 5000);
	store(meta_path, data, BYTES);
	assert_int_equal(found(), 0);
}

static void test_part_foreign_file(void **state)
{
	char text[1000];

	(void)state;
	leave(1000, "\"a\"", 5000);
	assert_int_equal(load(part_path, text, sizeof(text)), 1000);
	text[500] ^= 1;
	store(part_path, text, 1000);
	assert_int_equal(found(), 0);
	leave(1000, "\"a\"", 1000);
	text[500] ^= 1;
	text[999] ^= 1; /* the one that is asked for again */
	store(part_path, text, 1000);
	assert_int_equal(found(), 0);
}

static void test_part_note_tells_no_password(void **state)
{
	char note[2048];
	struct stat status;
	size_t bytes;

	(void)state;
	leave(1000, "\"a\"", 5000);
	bytes = load(meta_path, note, sizeof(note) - 1);
	note[bytes] = '\0';
	assert_non_null(strstr(note, "ftp://u:***@h/f\n"));
	assert_null(strstr(note, "secret"));
	assert_int_equal(stat(meta_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_part_is_no_link_and_no_folder(void **state)
{
	struct part part;

	(void)state;
	assert_int_equal(symlink("/tmp/dfota-elsewhere", part_path), 0);
	assert_int_equal(part_open(&part, &download), DFOTA_E_IO);
	assert_int_equal(unlink(part_path), 0);
	assert_int_equal(mkfifo(part_path, 0600), 0);
	assert_int_equal(part_open(&part, &download), DFOTA_E_IO);
}

#define PART_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_good),
		cmocka_unit_test(test_url_bad),
		cmocka_unit_test(test_url_zero_byte_inside_refused),
		cmocka_unit_test(test_url_length),
		cmocka_unit_test(test_url_every_prefix),
		cmocka_unit_test(test_range_parse),
		cmocka_unit_test(test_validator_pick),
		PART_TEST(test_part_continues),
		PART_TEST(test_part_complete_asks_for_the_last_byte),
		PART_TEST(test_part_cut_off),
		PART_TEST(test_part_note_torn_at_every_byte),
		PART_TEST(test_part_note_every_bit_flipped),
		PART_TEST(test_part_foreign_notes),
		PART_TEST(test_part_foreign_file),
		PART_TEST(test_part_note_tells_no_password),
		PART_TEST(test_part_is_no_link_and_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
