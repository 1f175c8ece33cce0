/* SPDX-License-Identifier: MIT */
/*
 * self.h - which fiber is running here.
 *
 * The only thread-local words of weft.  NULL on a thread that is no worker; on
 * a worker that runs no fiber, the handle of its own context, which may not
 * block.
 *
 * Compilers keep the address of a thread-local across a call, and a fiber that
 * comes back from a switch may be on another thread.  So the word is reached
 * only by calls that no compiler can look into, and link-time optimisation is
 * off for self.c.  The word is stored on each arrival of a native fiber, and
 * once for a fiber that has a thread base, and so thread-locals, of its own.
 */
#ifndef WF_SELF_H
#define WF_SELF_H

struct weft_fiber;

struct weft_fiber *wf_self(void);
void wf_self_set(struct weft_fiber *f);

/*
 * Where the calling thread has it, and two words beside, as far from the
 * thread's base as in every other.
 */
struct wf_self {
	struct weft_fiber *fiber;
	/* Whose thread-locals these are, whatever runs with them; NULL: its. */
	struct weft_fiber *born;
	/* By which a thread waits: others may unpark it, see posix/lot.h. */
	_Atomic(struct weft_fiber *) waiter;
};

struct wf_self *wf_self_place(void);

#endif
