/* SPDX-License-Identifier: MIT */
/*
 * mutex.h - what a condition needs of a mutex.
 */
#ifndef WF_MUTEX_H
#define WF_MUTEX_H

#include "core/waiter.h"
#include "weft/sync.h"

/*
 * Lock it as `me`, whatever the deadline and whether cancelled or not.  Cannot
 * fail: whoever waits has its handle already.
 */
void wf_mutex_lock(struct weft_mutex *m, struct weft_fiber *me);

#endif
