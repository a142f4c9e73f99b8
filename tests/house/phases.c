/* SPDX-License-Identifier: MIT
 *
 * Prints the updater's table of phases as docs/power-fail.md shows it; test_docs.py compares.
 */
#include <stdio.h>

#include "dfota/updater.h"

static void after_print(const struct dfota_updater_phase_row *row)
{
	const char *comma = "";

	for (int p = 0; p < DFOTA_PHASE_COUNT; p++) {
		if (!(row->after & (1u << p)))
			continue;
		printf("%s%s", comma, dfota_updater_phase((enum dfota_updater_phase)p)->name);
		comma = ", ";
	}
}

int main(void)
{
	puts("| newest record | may follow | flash | what a restart does |\n| --- | --- | --- | "
	     "--- |");
	for (int p = 0; p < DFOTA_PHASE_COUNT; p++) {
		const struct dfota_updater_phase_row *row =
		    dfota_updater_phase((enum dfota_updater_phase)p);

		printf("| %s | ", row->name);
		after_print(row);
		printf(" | %s%s | %s |\n", row->flash, row->mixed ? " (mixed)" : "", row->restart);
	}
	return 0;
}
