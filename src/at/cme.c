/* SPDX-License-Identifier: MIT
 *
 * Words for the codes of +CME ERROR: file commands (400-426) and the general ones that occur.
 */
#include "dfota/at.h"

static const struct {
	int code;
	const char *text;
} texts[] = {
	{ 3, "operation not allowed" },
	{ 4, "operation not supported" },
	{ 50, "incorrect parameters" },
	{ 100, "unknown" },
	{ 400, "invalid input value" },
	{ 401, "larger than the size of the file" },
	{ 402, "read zero byte" },
	{ 403, "drive full" },
	{ 405, "file not found" },
	{ 406, "invalid file name" },
	{ 407, "file already existed" },
	{ 409, "fail to write the file" },
	{ 410, "fail to open the file" },
	{ 411, "fail to read the file" },
	{ 413, "reached the max number of opened files" },
	{ 414, "the file is read-only" },
	{ 416, "invalid file descriptor" },
	{ 417, "fail to list the file" },
	{ 418, "fail to delete the file" },
	{ 419, "fail to get disk info" },
	{ 420, "no space" },
	{ 421, "time-out" },
	{ 423, "file too large" },
	{ 425, "invalid parameter" },
	{ 426, "file already opened" },
};

const char *dfota_at_cme_text(int code)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return "unknown error";
}
