/* SPDX-License-Identifier: MIT */
/*
 * bell.h - waiting for an object to change.
 *
 *      listen    under the lock, after looking whether there is something: the
 *                node is linked, or the look is repeated
 *      ring      under the lock, by whoever has changed the object: takes out
 *                all who listen; fire after unlocking
 *      look      again, by each who has been woken: it takes what is there,
 *                or listens once more
 *
 * So nothing is handed to a sleeper, and nothing can be lost with one who gives
 * up.  That suits objects whose changes concern all who listen; where one is
 * meant, queue.h is for it.  The lock and the list are a struct wf_queue.
 *
 * All waits are selections, see core/select.h; a call that waits for one thing
 * is a selection with one case.
 */
#ifndef WF_BELL_H
#define WF_BELL_H

#include "core/select.h"
#include "sync/queue.h"

struct wf_bell_kind {
	struct weft_case_kind_ as; /* WF_BELL_CASE */
	struct wf_queue *(*bell)(struct weft_case *c);
	/* Context of both: the lock is held. */
	bool (*ready)(struct weft_case *c);
	/* It is ready: do it; what the case's result is. */
	int (*take)(struct weft_case *c);
};

#define WF_BELL_CASE                                                           \
	{                                                                      \
		.attempt = wf_bell_attempt, .link = wf_bell_link,              \
		.unlink = wf_bell_unlink, .settle = wf_bell_attempt            \
	}

bool wf_bell_attempt(struct weft_case *c);
enum wf_linked wf_bell_link(struct weft_case *c);
void wf_bell_unlink(struct weft_case *c);

/*
 * Wake all who listen now, in passes of WF_WAKES to each hold of the lock.  If
 * there are no more than that, the release of the lock is the last touch of the
 * object.
 *
 * Context: the lock is held, and is released.
 */
void wf_bell_ring(struct wf_queue *bell);

#endif
