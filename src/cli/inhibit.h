/* SPDX-License-Identifier: MIT
 *
 * ModemManager lets go of a module for as long as it is upgraded, and takes it back afterwards.
 */
#ifndef DFOTA_CLI_INHIBIT_H
#define DFOTA_CLI_INHIBIT_H

#include <stdbool.h>

#define INHIBIT_UID_MAX 512

struct inhibit {
	void *bus; /* NULL: nothing is held */
	char uid[INHIBIT_UID_MAX + 1];
};

/* Asks a ModemManager that runs (it is never started for this) to let go of the device with the AT port `port`, or of
 * device `uid` if that is not NULL. False when it is there, has the device, and refuses: `ret_why` is a static text then.
 * Without a bus, without ModemManager, or when it does not know the port, nothing is held and true is returned. The hold
 * ends with inhibit_end, and with this process in any case.
 */
bool inhibit_begin(struct inhibit *inhibit, const char *port, const char *uid, const char **ret_why);
void inhibit_end(struct inhibit *inhibit);

#endif
