/* SPDX-License-Identifier: MIT
 *
 * The daemon's log: one line per event on stderr. Never give it a URL that was not redacted, nor file contents.
 */
#ifndef DFOTA_MODULE_LOG_H
#define DFOTA_MODULE_LOG_H

/* One write(2) per line, so that lines of the two threads do not mix. Control bytes become '?'; cut at 400 bytes. */
void module_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
