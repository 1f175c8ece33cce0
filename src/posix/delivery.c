/* SPDX-License-Identifier: MIT */
/*
 * delivery.c - see delivery.h.
 */
#include "posix/delivery.h"

#include <errno.h>
#include <string.h>

#include "core/carrier.h"
#include "os/call.h"
#include "os/thread.h"
#include "posix/quiet.h"
#include "weft/fiber.h"

#define KERNEL_RESTART 0x10000000ul
#define KERNEL_ONSTACK 0x08000000ul
#define KERNEL_NODEFER 0x40000000ul

/* As the kernel has it. */
struct disposition {
	void *handler;
	unsigned long flags;
#ifdef SA_RESTORER
	void *restorer;
#endif
	uint64_t mask;
};

static pid_t process(void)
{
	return (pid_t)wf_call(getpid);
}

/* --- sending --- */

/* Under the lock, so that it is still there. */
static int send_to_kernel(struct wf_identity *to, int signal)
{
	pid_t tid = atom_load_rlx(&to->promoted)
			    ? (pid_t)atom_load_rlx(libc_tid(to->thread))
			    : atom_load_rlx(&to->fiber->carrier->tid);

	return (int)wf_call(tgkill, process(), tid, signal);
}

static bool takes(const struct wf_identity *to, uint64_t bit)
{
	return !(to->mask & bit) || to->awaited_signals & bit;
}

int wf_signal_send(struct wf_identity *to, int signal)
{
	bool wake = false;
	uint64_t bit;
	int r = 0;

	if (signal < 0 || signal > WF_SIGNALS_MAX)
		return -EINVAL;
	if (signal == 0)
		return 0;
	bit = signal_bit(signal);
	if (bit & WF_UNBLOCKABLE)
		return (int)wf_call(kill, process(), signal);
	spin_lock(&to->signals);
	if (atom_load_rlx(&to->promoted) ||
	    (to->regions && !(to->mask & bit))) {
		r = send_to_kernel(to, signal);
	} else {
		to->pending |= bit;
		wake = takes(to, bit);
	}
	spin_unlock(&to->signals);
	if (wake)
		weft_cancel(to->fiber);
	return r;
}

/* --- taking --- */

static bool ignored_by_default(int signal)
{
	return signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH ||
	       signal == SIGCONT;
}

static bool stops_by_default(int signal)
{
	return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/* To this kernel thread, where it is blocked, and then let it in. */
static void let_in(int signal)
{
	siginfo_t info = {.si_signo = signal, .si_code = SI_TKILL};
	uint64_t mask = wf_signals_all() & ~signal_bit(signal);

	info.si_pid = process();
	info.si_uid = (uid_t)wf_call(getuid);
	wf_call(rt_tgsigqueueinfo, process(), wf_thread_id(), signal, &info);
	wf_call(rt_sigsuspend, &mask, sizeof mask);
}

static void let_in_on(const stack_t *altstack, int signal)
{
	stack_t old;

	wf_call(sigaltstack, altstack, &old);
	let_in(signal);
	wf_call(sigaltstack, &old, NULL);
}

/* The mask is what it is meant to be while a handler runs. */
static void handle(struct wf_identity *me, int signal,
		   const struct disposition *d)
{
	uint64_t more = d->mask, old;

	if (!(d->flags & KERNEL_NODEFER))
		more |= signal_bit(signal);
	old = wf_signals_exchange(me, me->mask | more);
	if (d->flags & KERNEL_ONSTACK && me->altstack.ss_sp)
		let_in_on(&me->altstack, signal);
	else
		let_in(signal);
	wf_signals_exchange(me, old);
}

/* Whether calls go on afterwards. */
static bool deliver(struct wf_identity *me, int signal)
{
	struct disposition d = {0};

	wf_call(rt_sigaction, signal, NULL, &d, sizeof d.mask);
	if (d.handler == (void *)SIG_IGN)
		return true;
	if (d.handler == (void *)SIG_DFL && ignored_by_default(signal))
		return true;
	if (d.handler == (void *)SIG_DFL && stops_by_default(signal)) {
		wf_call(kill, process(), signal);
		return true;
	}
	handle(me, signal, &d);
	return d.flags & KERNEL_RESTART;
}

static int take_one(struct wf_identity *me)
{
	uint64_t ready;
	int signal = 0;

	spin_lock(&me->signals);
	ready = me->pending & ~me->mask;
	if (ready) {
		signal = __builtin_ctzll(ready) + 1;
		me->pending &= ~signal_bit(signal);
	}
	spin_unlock(&me->signals);
	return signal;
}

void wf_signals_take(struct wf_identity *me, bool *restart)
{
	int signal, error = errno;

	while ((signal = take_one(me)))
		if (!deliver(me, signal) && restart)
			*restart = false;
	errno = error;
}

/* --- masks --- */

uint64_t wf_signals_exchange(struct wf_identity *me, uint64_t mask)
{
	uint64_t old;

	spin_lock(&me->signals);
	old = me->mask;
	me->mask = mask & ~WF_UNBLOCKABLE;
	spin_unlock(&me->signals);
	return old;
}

static bool changed(int how, uint64_t set, uint64_t *mask)
{
	switch (how) {
	case SIG_BLOCK:
		*mask |= set;
		return true;
	case SIG_UNBLOCK:
		*mask &= ~set;
		return true;
	case SIG_SETMASK:
		*mask = set;
		return true;
	default:
		return false;
	}
}

int wf_signals_mask(struct wf_identity *me, int how, const uint64_t *set,
		    uint64_t *old)
{
	uint64_t mask = me->mask;

	if (old)
		*old = mask;
	if (!set)
		return 0;
	if (!changed(how, *set & ~wf_signals_libc(), &mask))
		return -EINVAL;
	wf_signals_exchange(me, mask);
	wf_signals_take(me, NULL);
	return 0;
}
