/* SPDX-License-Identifier: MIT
 *
 * A port that fails on order, for developers of hosts: what is sent is lost, late, behind garbage,
 * or takes the port away.
 */
#ifndef DFOTA_MODULE_PORT_FAULT_H
#define DFOTA_MODULE_PORT_FAULT_H

#include "wire.h"

enum port_fault_kind { PORT_LOSE, PORT_DROP, PORT_LATE, PORT_GARBAGE, PORT_FAULT_COUNT };

struct port_fault {
	const struct module_config *config;
	const struct dfota_at *at;
	uint32_t seen[PORT_FAULT_COUNT]; /* matches of this boot */
	uint64_t random;
};

/* False when module.ini orders none: then nobody need be asked. */
bool port_fault_init(struct port_fault *fault, const struct module_config *config,
		     const struct dfota_at *at);

/* Of one piece, in a buffer with MODULE_GARBAGE_MAX bytes behind it. */
struct wire_fate port_fault_judge(struct port_fault *fault, uint8_t *piece, size_t bytes);

#endif
