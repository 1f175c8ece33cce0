/* SPDX-License-Identifier: MIT */
/*
 * join.h - how a fiber's end meets the one who waits for it.
 *
 * One word in the handle, `joiner`:
 *
 *      0            it lives, nobody waits
 *      handle       it lives, and this one waits for it
 *      DETACHED     it lives, and nobody ever will
 *      DONE         it has ended; its result is in the handle
 *
 *      end, on arrival      swap in DONE               release [join-result]
 *                           if it was DETACHED, free the handle; if a handle,
 *                           unpark that
 *      join                 0 to handle; await DONE    acquire [join-result]
 *                           then free the handle
 *      give up waiting      own handle to 0; if it is DONE by now, the join
 *                           has succeeded
 *      detach               0 to DETACHED; if DONE, free the handle
 *
 * DONE is set by whoever arrives after the fiber has left its stack for good,
 * so that the joiner may free the handle at once.
 */
#ifndef WF_JOIN_H
#define WF_JOIN_H

#define WF_DETACHED ((uintptr_t)1)
#define WF_DONE     ((uintptr_t)2)

#endif
