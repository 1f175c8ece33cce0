/* SPDX-License-Identifier: MIT */
/*
 * inbox.h - the fibers that only one worker may run.  Nobody steals from it.
 *
 *      incoming    anyone pushes by CAS     release [inbox-filled]
 *                  the owner takes all      acquire [inbox-filled]
 *      mine        owner: in order of arrival
 *
 * `incoming` is linked by link.next, the newest first.
 */
#ifndef WF_INBOX_H
#define WF_INBOX_H

#include "core/fiber.h"

struct wf_inbox {
	_Atomic(struct weft_fiber *) incoming; /* atomic */
	struct wf_list mine;                   /* owner */
};

void wf_inbox_push(struct wf_inbox *b, struct weft_fiber *f);

/* Owner; NULL if it is empty. */
struct weft_fiber *wf_inbox_pop(struct wf_inbox *b);

static inline bool inbox_empty(struct wf_inbox *b)
{
	return list_empty(&b->mine) && !atom_load_rlx(&b->incoming);
}

#endif
