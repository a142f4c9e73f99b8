/* SPDX-License-Identifier: MIT
 *
 * What the subcommands share: their list, exit codes, messages. Only this room and `module` print.
 *
 * stdout is for results, stderr for talk. A message says what happened, what was left untouched and
 * what to do next. Exit codes: 0 done, 1 failed, 2 bad usage, 3 not trusted, 4 no answer in time.
 */
#ifndef DFOTA_CLI_H
#define DFOTA_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dfota/error.h"

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_UNTRUSTED = 3, CLI_TIMEOUT = 4 };

/* One per subcommand, in cmd_<name>.c: argv[0] is the subcommand's name; returns an exit code. */
int cmd_keygen(int argc, char **argv);
int cmd_pack(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_apply(int argc, char **argv);
int cmd_mkmodule(int argc, char **argv);
int cmd_ports(int argc, char **argv);
int cmd_upgrade(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_at(int argc, char **argv);

/* Prints "dfota <name>: …" and the usage line of the subcommand on stderr; returns CLI_USAGE. */
int cli_usage(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the subcommand's help on stdout; returns CLI_DONE. */
int cli_help(const char *name);

/* Prints "dfota <name>: …" on stderr. */
void cli_error(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes with optional suffix K, M or G (powers of 1024). False on anything else. */
bool cli_bytes(const char *text, uint64_t *ret_bytes);

/* Seconds, "90" or "0.5", as milliseconds: more than 0, at most a day. False on anything else. */
bool cli_seconds(const char *text, uint32_t *ret_ms);

/* A speed that serial ports may have. */
bool cli_baud(const char *text, uint32_t *ret_baud);

/* "12.3 MiB"; the buffer is the caller's, at least 16 bytes; returns it. */
const char *cli_size(uint64_t bytes, char *buffer);

#endif
