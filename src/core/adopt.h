/* SPDX-License-Identifier: MIT */
/*
 * adopt.h - a thread that becomes a fiber where it stands, and a thread again.
 *
 * An adopted fiber keeps its stack and its thread base, and so its thread-local
 * variables, errno and all else that libc knows of the thread; workers run it
 * by switching to both.  What remains of the thread meanwhile is an orphan: a
 * kernel thread without libc's part, which sleeps on a small stack until the
 * fiber comes home.
 *
 *      begin   leave for the orphan's context, which queues the fiber
 *      end     leave for whoever is next there, who wakes the orphan, which
 *              switches back to the fiber          release [adopt-home]
 *
 * The orphan shares the thread base with the fiber that may be running
 * elsewhere, so it touches nothing thread-local.
 */
#ifndef WF_ADOPT_H
#define WF_ADOPT_H

#include "core/carrier.h"

struct wf_adoption {
	struct wf_carrier carrier; /* the orphan; it has no worker */
	struct wf_life life;
	struct weft_fiber *fiber;
	_Atomic uint32_t home; /* the orphan's futex: see above */
};

/*
 * A carrier that never has a worker, for one fiber that has its own base; and
 * the handle of such a fiber, whose base is the caller's to set.
 */
void wf_adopt_carrier(struct wf_carrier *c);
void wf_adopt_handle(struct weft_fiber *f, struct wf_life *life);

/*
 * Become a fiber of the runtime.  `scratch` is the orphan's stack, of 16 KiB at
 * least, to be kept until wf_adopt_end() has returned.
 *
 * Context: a thread that is no fiber; it comes back on a worker.
 * Errors: -ESRCH no runtime; -ENOMEM; -ENOTSUP this port cannot switch bases,
 * or a sanitizer is in the way.
 */
int wf_adopt_begin(struct wf_adoption *a, void *scratch, size_t size);

/*
 * Be a thread again, on the kernel thread where it was.
 *
 * Context: the adopted fiber.
 */
void wf_adopt_end(struct wf_adoption *a);

#endif
