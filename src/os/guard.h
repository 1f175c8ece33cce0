/* SPDX-License-Identifier: MIT */
/*
 * guard.h - what lies below a stack, so that an overflow is noticed.
 *
 *      install    pages that fault, which cost no mapping (Linux 6.13)
 *      mprotect   pages that fault, two mappings each: as long as mappings last
 *      canary     a word that is looked at when the fiber waits or ends
 *
 * What does not work here gives way to the next; that it has come to canaries
 * is said once.
 */
#ifndef WF_GUARD_H
#define WF_GUARD_H

#include <stddef.h>
#include <stdint.h>

#include "weft/runtime.h"

#define WF_GUARDS 64 /* made in one call, at most */
#define WF_CANARY 0x7e57ca9a127b0b1d

/*
 * Begin with this kind.
 * Errors: -ENOTSUP it does not work here.
 */
int wf_guard_open(enum weft_guard wanted);

/* Every guard has been unmapped, or, in a forked child, is of no interest. */
void wf_guard_close(void);

/*
 * Guard `count` stacks of which the first begins at `low` and each next one
 * `stride` bytes higher: the lowest `size` bytes of each.
 * Errors: -ENOMEM.
 */
int wf_guard_make(char *low, size_t stride, size_t size, size_t count);

/*
 * The lowest word of the stack, WF_CANARY put into it, if that is its guard;
 * else NULL.
 */
uint64_t *wf_guard_canary(void *stack);

#endif
