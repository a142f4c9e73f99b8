/* SPDX-License-Identifier: MIT
 *
 * The mixture of old and new that an upgrade leaves when it gives up, made again on the host.
 *
 * Package and journal determine it: the first steps of the package are in place, the others are not
 * begun. The module tells the journal's state in its answer to ATI: "FOTA: state
 * PHASE,PARTITION,STEP".
 */
#ifndef DFOTA_CLI_MIXTURE_H
#define DFOTA_CLI_MIXTURE_H

#include "dfota/updater.h"

struct mixture {
	char *folder; /* a firmware folder of the old version with the mixed images */
};

/* Copies the firmware folder `old` to a new folder beside `output` and upgrades the copy up to
 * `state`. mixture_remove is due after success and after failure. Errors are told on stderr:
 * DFOTA_E_ARGUMENT for a text that is no state, or one that does not determine the mixture (power
 * or an error may have struck in the middle of a step).
 */
int mixture_make(struct mixture *mixture, const char *package, const char *state, const char *old,
		 const char *output) DFOTA_MUST_CHECK;
void mixture_remove(struct mixture *mixture);

#endif
