/* SPDX-License-Identifier: MIT */
/*
 * loader.h - the locks of the dynamic loader, which a thread holds while the
 * constructors and destructors of a library run.
 *
 * They are recursive, so they know their owner, by its number in libc.  Whoever
 * is given another number meanwhile would never let go of them.
 */
#ifndef WF_POSIX_LOADER_H
#define WF_POSIX_LOADER_H

#include <stdint.h>

/* What the calling thread, number `from`, holds of them is number `to`'s. */
void wf_loader_pass(uint32_t from, uint32_t to);

#endif
