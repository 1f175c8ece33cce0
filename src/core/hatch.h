/* SPDX-License-Identifier: MIT */
/*
 * hatch.h - a thread that becomes a fiber and leaves its kernel thread behind,
 * and a fiber that is given one of its own.
 *
 * Like an adopted fiber (adopt.h) it keeps its stack and its thread base, and
 * so all that libc knows of the thread.  The kernel thread that made it goes
 * over to a small shell, queues the fiber from there, and ends:
 *
 *      shell.kept    not 0 from before the thread leaves for the shell until
 *                    the kernel has ended it, which clears the word: then
 *                    another thread may use the shell
 *
 * The shell shares the thread base with the fiber that may be running elsewhere
 * by then, so it touches nothing thread-local.
 */
#ifndef WF_HATCH_H
#define WF_HATCH_H

#include "core/carrier.h"

#define WF_SHELL_SIZE ((size_t)16 << 10)

/* At the end of WF_SHELL_SIZE bytes, the rest of which is its stack. */
struct wf_shell {
	struct wf_carrier carrier; /* which has no worker, see adopt.h */
	_Atomic uint32_t kept;     /* the kernel's: see above */
};

_Static_assert(sizeof(struct wf_shell) <= WF_SHELL_SIZE / 4,
	       "the rest of a shell is a stack");

/* Whether no thread is in it any more. */
static inline bool shell_free(struct wf_shell *s)
{
	return atom_load_rlx(&s->kept) == 0;
}

/*
 * Become `f`, queued like any other; returns on a worker, and this kernel
 * thread is no more.
 *
 * Context: a thread, with every signal blocked, that the kernel does not tell
 * anybody the end of.
 */
void wf_hatch(struct wf_shell *shell, struct weft_fiber *f);

/*
 * Run on a kernel thread that runs nothing else, from `lead` until `f` leaves
 * it by `follow`.
 *
 *      the fiber     leads off: wakes the thread        release [own-thread]
 *      the thread    waits for that, and switches to it acquire [own-thread]
 */
struct wf_own_thread {
	struct wf_carrier carrier; /* which has no worker */
	struct weft_fiber *fiber;
	_Atomic uint32_t led; /* the thread's futex */
};

/* Context: the fiber; comes back on the other thread. */
void wf_own_thread_lead(struct wf_own_thread *t, struct weft_fiber *f);

/* The thread's part: returns when the fiber has left it for good. */
void wf_own_thread_carry(struct wf_own_thread *t);

#endif
