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
#define KERNEL_NODEFER 0x40000000ul
#define REAL_TIME      32

void (*wf_signals_masked)(uint64_t mask);
void (*wf_signal_at_due)(struct wf_identity *to);

static pid_t process(void)
{
	return (pid_t)wf_call(getpid);
}

/* --- what is queued --- */

#define QUEUED_MAX 1024 /* in all */

struct queued {
	struct wf_link link; /* of an identity, or free */
	siginfo_t info;
};

static struct {
	struct wf_spin lock;
	struct wf_list free;
	uint32_t used; /* those that have ever been */
	struct queued all[QUEUED_MAX];
} store;

static struct queued *queued_of(struct wf_link *link)
{
	return container_of(link, struct queued, link);
}

static struct queued *queued_take(void)
{
	struct wf_link *n;
	struct queued *q = NULL;

	spin_lock(&store.lock);
	n = list_pop(&store.free);
	if (n)
		q = queued_of(n);
	else if (store.used < QUEUED_MAX)
		q = &store.all[store.used++];
	spin_unlock(&store.lock);
	return q;
}

static void queued_put(struct queued *q)
{
	spin_lock(&store.lock);
	list_push(&store.free, &q->link);
	spin_unlock(&store.lock);
}

static siginfo_t plain_info(int signal)
{
	siginfo_t info = {.si_signo = signal, .si_code = SI_TKILL};

	info.si_pid = process();
	info.si_uid = (uid_t)wf_call(getuid);
	return info;
}

/* The first of a signal, which is taken out; NULL: nothing is known of it. */
static struct queued *unqueue(struct wf_identity *id, int signal)
{
	list_for_each (n, &id->queue) {
		if (queued_of(n)->info.si_signo != signal)
			continue;
		list_remove(&id->queue, n);
		return queued_of(n);
	}
	return NULL;
}

static bool queues(const struct wf_identity *id, int signal)
{
	list_for_each (n, &id->queue)
		if (queued_of(n)->info.si_signo == signal)
			return true;
	return false;
}

/* Only real-time signals are more than pending or not. */
static int enqueue(struct wf_identity *to, int signal, const siginfo_t *info)
{
	bool again = to->pending & signal_bit(signal);
	struct queued *q;

	if (again && signal < REAL_TIME)
		return 0;
	q = queued_take();
	if (!q && (again || info))
		return -EAGAIN;
	if (q) {
		q->info = info ? *info : plain_info(signal);
		list_push(&to->queue, &q->link);
	}
	to->pending |= signal_bit(signal);
	return 0;
}

void wf_delivery_forget(struct wf_identity *me)
{
	if (me) {
		me->signals = (struct wf_spin){0};
		me->queue = (struct wf_list){0};
		me->pending = me->awaited_signals = 0;
	}
	store.lock = (struct wf_spin){0};
	store.free = (struct wf_list){0};
	store.used = 0;
}

/* It was sent to the process, and this thread was only chosen to take it. */
static bool is_of_process(const siginfo_t *info)
{
	return info->si_code != SI_TKILL && info->si_code != SI_QUEUE;
}

void wf_signals_forget(struct wf_identity *id)
{
	uint64_t back = 0;
	struct wf_link *n;

	spin_lock(&id->signals);
	while ((n = list_pop(&id->queue))) {
		if (is_of_process(&queued_of(n)->info))
			back |= signal_bit(queued_of(n)->info.si_signo);
		queued_put(queued_of(n));
	}
	id->pending = id->awaited_signals = 0;
	/* And takes none from now on. */
	id->mask = ~UINT64_C(0);
	spin_unlock(&id->signals);
	for (; back; back &= back - 1)
		wf_call(kill, process(), __builtin_ctzll(back) + 1);
}

/* --- sending --- */

int wf_signal_to_kernel(struct wf_identity *to, int signal,
			const siginfo_t *info)
{
	pid_t tid = atom_load_rlx(&to->promoted)
			    ? (pid_t)atom_load_rlx(libc_tid(to->thread))
			    : atom_load_rlx(&to->fiber->carrier->tid);

	if (!info)
		return (int)wf_call(tgkill, process(), tid, signal);
	return (int)wf_call(rt_tgsigqueueinfo, process(), tid, signal, info);
}

static bool takes(const struct wf_identity *to, uint64_t bit)
{
	return !(to->mask & bit) || to->awaited_signals & bit;
}

static bool kernels(const struct wf_identity *to, uint64_t bit)
{
	return atom_load_rlx(&to->promoted) ||
	       (to->regions && !(to->mask & bit));
}

static void tell(struct wf_identity *to)
{
	weft_cancel(to->fiber);
	if (wf_signal_at_due)
		wf_signal_at_due(to);
}

int wf_signal_send(struct wf_identity *to, int signal, const siginfo_t *info)
{
	bool wake = false;
	uint64_t bit;
	int r;

	if (signal < 0 || signal > WF_SIGNALS_MAX)
		return -EINVAL;
	if (signal == 0)
		return 0;
	bit = signal_bit(signal);
	if (bit & WF_UNBLOCKABLE)
		return (int)wf_call(kill, process(), signal);
	spin_lock(&to->signals);
	if (kernels(to, bit)) {
		r = wf_signal_to_kernel(to, signal, info);
	} else {
		r = enqueue(to, signal, info);
		wake = takes(to, bit);
	}
	spin_unlock(&to->signals);
	if (wake)
		tell(to);
	return r;
}

/* --- what has been sent to the process --- */

int wf_signal_fetch_kernels(uint64_t set, siginfo_t *info)
{
	struct timespec none = {0};
	long r = wf_call(rt_sigtimedwait, &set, info, &none, sizeof set);

	return r > 0 ? (int)r : 0;
}

static uint64_t drawn(const struct wf_identity *to, uint64_t set, bool awaited)
{
	if (atom_load_rlx(&to->promoted) || to->regions)
		return 0;
	return set & (awaited ? to->awaited_signals : ~to->mask);
}

/* If no more can be queued, what is known of it is lost: as in the kernel. */
static bool draw(struct wf_identity *to, uint64_t set)
{
	siginfo_t info;
	int signal = wf_signal_fetch_kernels(set, &info);

	if (signal && enqueue(to, signal, &info) < 0)
		to->pending |= signal_bit(signal);
	return signal;
}

uint64_t wf_signal_draw(struct wf_identity *to, uint64_t set, bool awaited,
			bool *one)
{
	/* Locked: it does not enter a region in between. */
	spin_lock(&to->signals);
	set = drawn(to, set, awaited);
	*one = set && draw(to, set);
	spin_unlock(&to->signals);
	if (*one)
		tell(to);
	return set;
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

/*
 * To this kernel thread, where it is blocked, and then let it in.  Not by
 * sigsuspend(), which one of libc's may end before it has come; that another
 * one of this number pends, for the process, would look the same.  A fault's is
 * blocked nowhere: it has come in by then.
 */
static void let_in(struct wf_identity *me, const siginfo_t *info)
{
	uint64_t bit = signal_bit(info->si_signo) & wf_signals_all();
	const void *program = me->program;

	IDENTITY_CALLS_PROGRAM(me);
	wf_call(rt_tgsigqueueinfo, process(), wf_thread_id(), info->si_signo,
		info);
	wf_call(rt_sigprocmask, SIG_UNBLOCK, &bit, NULL, sizeof bit);
	wf_call(rt_sigprocmask, SIG_BLOCK, &bit, NULL, sizeof bit);
	me->program = program;
}

/* The thread's own, or none: on the worker's it could not wait. */
static void let_in_on_altstack(struct wf_identity *me, const siginfo_t *info)
{
	wf_call(sigaltstack, &me->altstack, NULL);
	me->altstack_lent = true;
	let_in(me, info);
}

/* The mask is what it is meant to be while a handler runs. */
static void handle(struct wf_identity *me, const siginfo_t *info,
		   const struct wf_kernel_action *d)
{
	const struct wf_carrier *here = me->fiber->carrier;
	bool on_altstack = d->flags & WF_KERNEL_ONSTACK;
	uint64_t more = d->mask, old;

	if (!(d->flags & KERNEL_NODEFER))
		more |= signal_bit(info->si_signo);
	old = wf_signals_exchange(me, me->mask | more);
	if (on_altstack)
		let_in_on_altstack(me, info);
	else
		let_in(me, info);
	/* The return from a handler brings those of where it began. */
	if (!identity_self()) {
		me->mask = old;
		me->altstack_lent = false;
		wf_call(sigaltstack, &me->altstack, NULL);
		wf_signals_back(old);
		return;
	}
	if (on_altstack || me->fiber->carrier != here)
		wf_identity_return_altstack(me);
	wf_signals_exchange(me, old);
}

static enum wf_taken deliver(struct wf_identity *me, const siginfo_t *info)
{
	struct wf_kernel_action d = {0};
	int signal = info->si_signo;

	wf_call(rt_sigaction, signal, NULL, &d, sizeof d.mask);
	if (d.handler == (void *)SIG_IGN)
		return WF_NOTHING;
	if (d.handler == (void *)SIG_DFL && ignored_by_default(signal))
		return WF_NOTHING;
	if (d.handler == (void *)SIG_DFL && stops_by_default(signal)) {
		wf_call(kill, process(), signal);
		return WF_NOTHING;
	}
	handle(me, info, &d);
	return d.flags & KERNEL_RESTART ? WF_RESTARTED : WF_HANDLED;
}

int wf_signal_fetch(struct wf_identity *me, uint64_t set, siginfo_t *info)
{
	struct queued *q = NULL;
	int signal = 0;

	spin_lock(&me->signals);
	set &= me->pending;
	if (set) {
		signal = __builtin_ctzll(set) + 1;
		q = unqueue(me, signal);
		if (!queues(me, signal))
			me->pending &= ~signal_bit(signal);
	}
	spin_unlock(&me->signals);
	if (signal && info)
		*info = q ? q->info : plain_info(signal);
	if (q)
		queued_put(q);
	return signal;
}

/* Whether there was one. */
static bool take_one(struct wf_identity *me, uint64_t set, enum wf_taken *all)
{
	int error = errno;
	enum wf_taken one;
	siginfo_t info;

	if (!wf_signal_fetch(me, set, &info))
		return false;
	one = deliver(me, &info);
	if (one > *all)
		*all = one;
	errno = error;
	return true;
}

enum wf_taken wf_signals_take(struct wf_identity *me)
{
	enum wf_taken all = WF_NOTHING;

	while (take_one(me, ~me->mask, &all))
		;
	return all;
}

enum wf_taken wf_signals_take_once(struct wf_identity *me)
{
	enum wf_taken all = WF_NOTHING;
	uint64_t due;

	spin_lock(&me->signals);
	due = me->pending & ~me->mask;
	spin_unlock(&me->signals);
	for (; due; due &= due - 1)
		take_one(me, due & -due, &all);
	return all;
}

void wf_signals_hand_over(struct wf_identity *me, uint64_t set)
{
	siginfo_t info;
	int signal;

	while ((signal = wf_signal_fetch(me, set, &info)))
		wf_call(rt_tgsigqueueinfo, process(), wf_thread_id(), signal,
			&info);
}

void wf_signals_promote(struct wf_identity *me)
{
	wf_signals_hand_over(me, ~UINT64_C(0));
}

void wf_sigpipe_drop(void)
{
	wf_signal_fetch_kernels(signal_bit(SIGPIPE), NULL);
}

/* --- masks --- */

uint64_t wf_signals_exchange(struct wf_identity *me, uint64_t mask)
{
	uint64_t old;

	spin_lock(&me->signals);
	old = me->mask;
	me->mask = mask & ~WF_UNBLOCKABLE;
	spin_unlock(&me->signals);
	wf_signals_masked(mask);
	return old;
}

void wf_signals_set(struct wf_identity *me, uint64_t mask)
{
	wf_signals_exchange(me, mask);
	wf_signals_take(me);
}

void wf_signals_return(const struct wf_identity *me, ucontext_t *context)
{
	if (identity_self()) {
		context->uc_stack = me->fiber->carrier->altstack;
		return;
	}
	context->uc_stack = me->altstack;
	memcpy(&context->uc_sigmask, &me->mask, sizeof me->mask);
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
	wf_signals_set(me, mask);
	return 0;
}
