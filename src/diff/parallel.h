/* SPDX-License-Identifier: MIT
 *
 * Private to diff: the same work on many items by several threads.
 */
#ifndef DFOTA_DIFF_PARALLEL_H
#define DFOTA_DIFF_PARALLEL_H

#include <stddef.h>

#include "dfota/error.h"

/* Threads that there will be when so many are asked for (0: one for each CPU), and no more than `most`, at least 1, make sense. */
unsigned diff_threads(unsigned threads, size_t most);

/* Calls work(context, i) once for every i below `count`, in any order and at once, on `threads` threads
 * (0: one for each CPU). `done` (may be NULL) is called on the calling thread with the number of items
 * finished. Returns 0 or the error of the lowest failed item; after an error items may be left out.
 */
int diff_parallel(unsigned threads, size_t count, int (*work)(void *context, size_t item),
		  void *context, void (*done)(void *context, size_t finished)) DFOTA_MUST_CHECK;

#endif
