/* SPDX-License-Identifier: MIT */
/*
 * inject.h - the queue for those who have no worker of their own: ordinary
 * threads, and carriers that have lost theirs.  In order, under a lock.
 */
#ifndef WF_INJECT_H
#define WF_INJECT_H

#include "base/spin.h"
#include "core/fiber.h"

struct wf_inject {
	struct wf_spin lock;
	_Atomic uint32_t count; /* written under the lock, read by anyone */
	struct wf_list list;
};

void wf_inject_push(struct wf_inject *q, struct weft_fiber *f);

/* NULL if it is empty, which costs no lock. */
struct weft_fiber *wf_inject_pop(struct wf_inject *q);

static inline bool inject_empty(struct wf_inject *q)
{
	return atom_load_rlx(&q->count) == 0;
}

#endif
