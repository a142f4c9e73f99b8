/* SPDX-License-Identifier: MIT
 *
 * Log lines: bounded, plain, one write each.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 400

void module_log(const char *format, ...)
{
	char line[LINE_MAX_BYTES + 1] = "dfotad: ";
	const int prefix = 8;
	va_list arguments;
	int bytes;

	va_start(arguments, format);
	bytes = vsnprintf(line + prefix, sizeof(line) - (size_t)prefix - 1, format, arguments);
	va_end(arguments);
	if (bytes < 0)
		return;
	bytes += prefix;
	if (bytes > (int)sizeof(line) - 2)
		bytes = (int)sizeof(line) - 2;
	for (int i = prefix; i < bytes; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[bytes++] = '\n';
	/* A log that cannot be written must not stop an upgrade. */
	(void)!write(STDERR_FILENO, line, (size_t)bytes);
}
