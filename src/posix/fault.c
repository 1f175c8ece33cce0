/* SPDX-License-Identifier: MIT */
/*
 * fault.c - see fault.h.
 */
#include "posix/fault.h"

#include <errno.h>
#include <ucontext.h>

#include "base/atom.h"
#include "core/carrier.h"
#include "os/call.h"
#include "os/thread.h"
#include "posix/delivery.h"
#include "posix/libc.h"
#include "posix/quiet.h"
#include "weft/fiber.h"

#define SIGNALS  32 /* faults are below it */
#define ASKED_BY (SA_SIGINFO | SA_ONSTACK)

typedef void (*action_fn)(int signal, siginfo_t *info, void *context);

/*
 * What the program has asked for, where the kernel has ours: written under the
 * lock, the handler last, and read by whoever faults, the handler first
 * [fault-asked].
 */
struct asked {
	_Atomic(action_fn) handler;
	_Atomic int flags;
	_Atomic uint64_t mask;
};

static struct asked all_asked[SIGNALS];
static struct wf_spin lock; /* of changes */
static bool altstacks;      /* lock: a thread has one */

static uint64_t faults(void)
{
	return ~(wf_signals_all() | wf_signals_libc());
}

static bool is_fault(int signal)
{
	return signal > 0 && signal < SIGNALS && faults() & signal_bit(signal);
}

static action_fn handler_of(int signal)
{
	/* acquire [fault-asked] */
	return atom_load_acq(&all_asked[signal].handler);
}

/* --- in front of the program's handler --- */

/* Others run here while the handler waits, as they did before. */
static void open_kernels_mask(const ucontext_t *u)
{
	uint64_t bits;

	memcpy(&bits, &u->uc_sigmask, sizeof bits);
	wf_signals_back(bits);
}

/* The instruction faults again; but a trap is behind it already. */
static void die(int signal)
{
	const struct sigaction plain = {.sa_handler = SIG_DFL};

	libc(sigaction)(signal, &plain, NULL);
	if (signal == SIGTRAP)
		wf_call(tgkill, wf_call(getpid), wf_thread_id(), signal);
}

/* On a stack for handlers no other handler may run, which might wait. */
static void restore_mask(struct wf_identity *me, uint64_t mask)
{
	if (identity_stack_has(me, __builtin_frame_address(0))) {
		wf_signals_set(me, mask);
		return;
	}
	wf_signals_exchange(me, mask);
	if (signals_due(me))
		weft_cancel(me->fiber);
}

static void handle(struct wf_identity *me, int signal, siginfo_t *info,
		   void *context)
{
	action_fn handler = handler_of(signal);
	struct asked *a = &all_asked[signal];
	uint64_t more = atom_load_rlx(&a->mask), old;
	const void *program = me->program;

	if (!(atom_load_rlx(&a->flags) & SA_NODEFER))
		more |= signal_bit(signal);
	old = wf_signals_exchange(me, me->mask | more);
	IDENTITY_CALLS_PROGRAM(me);
	handler(signal, info, context);
	me->program = program;
	if (identity_self())
		restore_mask(me, old);
	if (!identity_self())
		me->mask = old; /* a thread of the kernel's, maybe only now */
	wf_signals_return(me, context);
}

/*
 * One that was sent has its mask from who delivers it, or, as one by abort(),
 * none but the kernel's.
 */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	struct wf_identity *me = identity_hooked();
	bool sent = info->si_code <= 0;

	if (me)
		open_kernels_mask(context);
	if (!me || sent)
		handler_of(signal)(signal, info, context);
	else if (me->mask & signal_bit(signal))
		die(signal);
	else
		handle(me, signal, info, context);
}

/* --- what is asked for --- */

static bool is_function(const struct sigaction *a)
{
	return a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN;
}

/* As the program has it, where the kernel says what is in front of that. */
static void show(int signal, struct sigaction *a)
{
	struct asked *asked = &all_asked[signal];

	if (a->sa_sigaction != on_fault)
		return;
	a->sa_sigaction = handler_of(signal);
	a->sa_flags = (a->sa_flags & ~ASKED_BY) |
		      (atom_load_rlx(&asked->flags) & ASKED_BY);
}

static struct sigaction in_front_of(const struct sigaction *a)
{
	struct sigaction ours = *a;

	ours.sa_sigaction = on_fault;
	ours.sa_flags |= SA_SIGINFO;
	if (!altstacks)
		ours.sa_flags &= ~SA_ONSTACK;
	return ours;
}

static void note(int signal, const struct sigaction *a)
{
	struct asked *asked = &all_asked[signal];

	atom_store_rlx(&asked->flags, a->sa_flags);
	atom_store_rlx(&asked->mask, signal_bits(&a->sa_mask));
	/* release [fault-asked] */
	atom_store_rel(&asked->handler, a->sa_sigaction);
}

static int change_locked(int signal, const struct sigaction *new,
			 struct sigaction *before)
{
	struct sigaction ours;
	int r = libc(sigaction)(signal, NULL, before);

	show(signal, before);
	if (r < 0 || !new)
		return r;
	if (!is_function(new))
		return libc(sigaction)(signal, new, NULL);
	note(signal, new);
	ours = in_front_of(new);
	return libc(sigaction)(signal, &ours, NULL);
}

/* Faults can be sent too, and their handlers come here. */
static uint64_t lock_out(void)
{
	uint64_t all = ~wf_signals_libc(), old = 0;

	wf_call(rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof all);
	spin_lock(&lock);
	return old;
}

static void let_in_again(uint64_t mask)
{
	spin_unlock(&lock);
	wf_signals_back(mask);
}

static int change(int signal, const struct sigaction *new,
		  struct sigaction *old)
{
	struct sigaction before, copy;
	uint64_t mask;
	int r;

	if (new)
		copy = *new;
	mask = lock_out();
	r = change_locked(signal, new ? &copy : NULL, &before);
	let_in_again(mask);
	if (r == 0 && old)
		*old = before;
	return r;
}

void wf_fault_altstack(void)
{
	uint64_t mask = lock_out();

	for (int i = 1; !altstacks && i < SIGNALS; i++) {
		struct sigaction now;

		if (!is_fault(i) || libc(sigaction)(i, NULL, &now) < 0 ||
		    now.sa_sigaction != on_fault)
			continue;
		now.sa_flags |= atom_load_rlx(&all_asked[i].flags) & SA_ONSTACK;
		libc(sigaction)(i, &now, NULL);
	}
	altstacks = true;
	let_in_again(mask);
}

void wf_fault_forget(void)
{
	lock = (struct wf_spin){0};
}

/* --- the calls --- */

WF_HOOK int sigaction(int signal, const struct sigaction *restrict new,
		      struct sigaction *restrict old)
{
	return libc_alone() || !is_fault(signal)
		       ? libc(sigaction)(signal, new, old)
		       : change(signal, new, old);
}

WF_HOOK int __sigaction(int signal, const struct sigaction *restrict new,
			struct sigaction *restrict old);

WF_HOOK int __sigaction(int signal, const struct sigaction *restrict new,
			struct sigaction *restrict old)
{
	return sigaction(signal, new, old);
}

static sighandler_t replace(int signal, sighandler_t handler, int flags)
{
	struct sigaction new = {.sa_handler = handler, .sa_flags = flags}, old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&new.sa_mask);
	if (!(flags & SA_NODEFER))
		sigaddset(&new.sa_mask, signal);
	return change(signal, &new, &old) < 0 ? SIG_ERR : old.sa_handler;
}

WF_HOOK sighandler_t signal(int number, sighandler_t handler)
{
	return libc_alone() || !is_fault(number)
		       ? libc(signal)(number, handler)
		       : replace(number, handler, SA_RESTART);
}

WF_HOOK sighandler_t ssignal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

WF_HOOK sighandler_t bsd_signal(int number, sighandler_t handler);

WF_HOOK sighandler_t bsd_signal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

WF_HOOK sighandler_t sysv_signal(int number, sighandler_t handler)
{
	return libc_alone() || !is_fault(number)
		       ? libc(sysv_signal)(number, handler)
		       : replace(number, handler, SA_RESETHAND | SA_NODEFER);
}

WF_HOOK sighandler_t __sysv_signal(int number, sighandler_t handler)
{
	return sysv_signal(number, handler);
}
