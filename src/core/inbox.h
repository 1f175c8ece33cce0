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
	_Atomic uint32_t count;                /* owner writes: of mine */
};

/* Context: the owner. */
static inline void inbox_put(struct wf_inbox *b, struct weft_fiber *f)
{
	list_push(&b->mine, &f->link);
	atom_bump_rlx(&b->count);
}

/* Context: anyone. */
void wf_inbox_push(struct wf_inbox *b, struct weft_fiber *f);

/* Owner; NULL if it is empty. */
struct weft_fiber *wf_inbox_pop(struct wf_inbox *b);

/* Whether anything waits here, at this moment.  Context: anyone. */
static inline bool inbox_waiting(struct wf_inbox *b)
{
	return atom_load_rlx(&b->count) || atom_load_rlx(&b->incoming);
}

static inline bool inbox_empty(struct wf_inbox *b)
{
	return list_empty(&b->mine) && !atom_load_rlx(&b->incoming);
}

#endif
