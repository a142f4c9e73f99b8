/* SPDX-License-Identifier: MIT
 *
 * The upgrade flag, and what an attempt's result means for it (SPEC E1-E4).
 */
#include "dfota/updater.h"

#define HEADER_BYTES 4u /* set, failures, bytes of the source */

_Static_assert(HEADER_BYTES + DFOTA_FLAG_SOURCE_MAX <= DFOTA_RECORD_PAYLOAD_MAX,
	       "flag fits a record");

void dfota_flag_get(const struct dfota_record_store *store, struct dfota_flag *ret_flag)
{
	size_t bytes, source_bytes;
	const uint8_t *p = dfota_record_get(store, &bytes);

	*ret_flag = (struct dfota_flag){ 0 };
	if (!p || bytes < HEADER_BYTES || p[0] > 1)
		return;
	source_bytes = dfota_get16(p + 2);
	if (source_bytes > DFOTA_FLAG_SOURCE_MAX || bytes != HEADER_BYTES + source_bytes)
		return;
	ret_flag->set = p[0] == 1;
	ret_flag->failures = p[1];
	memcpy(ret_flag->source, p + HEADER_BYTES, source_bytes);
}

int dfota_flag_put(struct dfota_record_store *store, const struct dfota_flag *flag)
{
	uint8_t payload[HEADER_BYTES + DFOTA_FLAG_SOURCE_MAX];
	size_t bytes = strnlen(flag->source, DFOTA_FLAG_SOURCE_MAX);

	payload[0] = flag->set;
	payload[1] = flag->failures;
	dfota_put16(payload + 2, (uint16_t)bytes);
	memcpy(payload + HEADER_BYTES, flag->source, bytes);
	return dfota_record_put(store, payload, HEADER_BYTES + bytes);
}

enum dfota_verdict dfota_flag_judge(const struct dfota_updater_report *report, uint8_t failures)
{
	if (report->error == 0)
		return DFOTA_VERDICT_DONE;
	if (report->error == DFOTA_E_STOPPED)
		return DFOTA_VERDICT_STOP;
	if (!report->started && dfota_error_class(report->error) == DFOTA_CLASS_GIVE_UP)
		return DFOTA_VERDICT_REFUSE;
	return failures + 1 >= DFOTA_FLAG_TRIES ? DFOTA_VERDICT_FAILED : DFOTA_VERDICT_RETRY;
}
