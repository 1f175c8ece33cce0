/* SPDX-License-Identifier: MIT */
/*
 * delivery.h - signals to one thread that has no kernel thread.
 *
 * Workers block every signal, and a fiber's mask is its own affair: the kernel
 * does not know it.  A signal to a fiber is noted in its identity, under the
 * lock `signals`, and ends its wait.  The fiber itself then has the kernel
 * deliver it, on its own stack: it sends the signal to the kernel thread that
 * it is on, where it is blocked, and unblocks it there for a moment.  So what
 * the kernel does for a handler, it does: its mask, its information, the
 * default action, the return.
 *
 *      send      pending, and the fiber is unparked if it takes the signal; or
 *                straight to the kernel, if the fiber is in a region, where
 *                the kernel's mask is its own, or is a thread again
 *      take      the fiber, after its wait, at its next call that may wait or
 *                give way, when it ends, or while it computes (knock.h)
 *
 * A signal to the process goes to main(), a thread of the kernel's, or, if that
 * blocks it, is drawn by one that does not (proxy.h).
 */
#ifndef WF_POSIX_DELIVERY_H
#define WF_POSIX_DELIVERY_H

#include <string.h>
#include <ucontext.h>

#include "posix/identity.h"

#define WF_SIGNALS_MAX 64

static inline uint64_t signal_bit(int signal)
{
	return UINT64_C(1) << (signal - 1);
}

/* What libc has in the beginning of its sets is all that the kernel knows. */
static inline uint64_t signal_bits(const sigset_t *set)
{
	uint64_t bits;

	memcpy(&bits, set, sizeof bits);
	return bits;
}

/* Those that nobody can block. */
#define WF_UNBLOCKABLE (signal_bit(SIGKILL) | signal_bit(SIGSTOP))

#define WF_KERNEL_ONSTACK 0x08000000ul

/* How the kernel has what is done about a signal. */
struct wf_kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

/*
 * `info` is what the handler is told; NULL: as pthread_kill() has it.
 *
 * Context: any thread, quiet.
 * Errors: as tgkill(2); -EAGAIN too many are queued.
 */
int wf_signal_send(struct wf_identity *to, int signal, const siginfo_t *info);

/*
 * Of what has been sent to the process and is in the set, send it `one`, if it
 * does not block that, or is in sigwait() for it if only `awaited` are drawn.
 * It is told all that the kernel knows.  What it would take of the set is
 * returned: nothing in a region, or if it is a thread again, where the kernel
 * itself gives it what is sent to the process.
 *
 * Context: any thread that blocks every signal, and has been sent none itself.
 */
uint64_t wf_signal_draw(struct wf_identity *to, uint64_t set, bool awaited,
			bool *one);

/*
 * Send it to the kernel thread by which it runs now; `info` as above.
 *
 * Context: `to->signals` is held, so that the thread is still there.
 * Errors: as tgkill(2).
 */
int wf_signal_to_kernel(struct wf_identity *to, int signal,
			const siginfo_t *info);

/*
 * Take one of the set that is pending, whether it is blocked or not; 0: there
 * is none.  `info` may be NULL.
 *
 * Context: the fiber.
 */
int wf_signal_fetch(struct wf_identity *me, uint64_t set, siginfo_t *info);

/*
 * The same of what the kernel has for this thread or for the process, of which
 * only what is blocked pends.
 *
 * Context: any thread.
 */
int wf_signal_fetch_kernels(uint64_t set, siginfo_t *info);

/* The present thread has ended: what was pending is nobody's. */
void wf_signals_forget(struct wf_identity *id);

/* Those of the set that are pending become the kernel's, for this thread. */
void wf_signals_hand_over(struct wf_identity *me, uint64_t set);

/* It is a thread of the kernel's: so is all that is pending. */
void wf_signals_promote(struct wf_identity *me);

/* In a forked child, which `me` has become, if not NULL: nothing is. */
void wf_delivery_forget(struct wf_identity *me);

enum wf_taken {
	WF_NOTHING,   /* no handler has run */
	WF_RESTARTED, /* only such with SA_RESTART */
	WF_HANDLED,
};

/*
 * Have what is pending and not blocked delivered.
 *
 * Context: the fiber; the handlers may do what they want.
 */
enum wf_taken wf_signals_take(struct wf_identity *me);

/* The same, but of what is there now, and of each signal one. */
enum wf_taken wf_signals_take_once(struct wf_identity *me);

/*
 * A write to nobody has raised it on this kernel thread, where it is blocked;
 * who has a right to it is sent one.
 */
void wf_sigpipe_drop(void);

/* Whether something is there to be taken. */
static inline bool signals_due(const struct wf_identity *me)
{
	return me->pending & ~me->mask;
}

/* Change the mask as sigprocmask(2) does, and take what it lets through. */
int wf_signals_mask(struct wf_identity *me, int how, const uint64_t *set,
		    uint64_t *old);

/* The same for the time of one call, which is not to miss a signal. */
uint64_t wf_signals_exchange(struct wf_identity *me, uint64_t mask);

/* Have this mask from now on, and take what it lets through. */
void wf_signals_set(struct wf_identity *me, uint64_t mask);

/*
 * A handler that the kernel has called in the midst of the fiber returns: to
 * what is true of its thread by now, which may be another, or its own.
 */
void wf_signals_return(const struct wf_identity *me, ucontext_t *context);

/* Called by a fiber that has this mask from now on. */
extern void (*wf_signals_masked)(uint64_t mask);

/*
 * Called, if not NULL, when something has become due for a thread, whatever it
 * does; the caller is quiet.
 */
extern void (*wf_signal_at_due)(struct wf_identity *to);

#endif
