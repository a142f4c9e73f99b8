/* SPDX-License-Identifier: MIT
 *
 * Between the simulated kernel and its two kinds of devices. Calls return as system calls do.
 */
#ifndef SIM_KERNEL_PRIVATE_H
#define SIM_KERNEL_PRIVATE_H

#include "sim_kernel.h"

/* Counts an operation. True when it is to be done as a whole; else *ret_torn says whether a part of
 * it is. */
bool sim_kernel_operation(bool *ret_torn);

ssize_t sim_mtd_pread(struct sim_device *device, uint8_t *out, size_t bytes, uint64_t at);
ssize_t sim_mtd_pwrite(struct sim_device *device, const uint8_t *data, size_t bytes, uint64_t at);
int sim_mtd_ioctl(struct sim_device *device, unsigned long request, void *argument);

ssize_t sim_ubi_write(struct sim_device *device, const uint8_t *data, size_t bytes);
int sim_ubi_ioctl(struct sim_device *device, unsigned long request, void *argument);
void sim_ubi_close(struct sim_device *device);

#endif
