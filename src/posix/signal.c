/* SPDX-License-Identifier: MIT */
/*
 * signal.c - the hooks of signals: masks, threads as their target, and waiting
 * for them.
 */
#include <errno.h>
#include <string.h>

#include "os/call.h"
#include "os/clock.h"
#include "posix/begin.h"
#include "posix/deadline.h"
#include "posix/delivery.h"
#include "posix/fault.h"
#include "posix/interrupt.h"
#include "posix/proxy.h"
#include "posix/quiet.h"
#include "posix/region.h"
#include "posix/try.h"
#include "weft/io.h"
#include "weft/time.h"

static void set_of(sigset_t *set, uint64_t bits)
{
	sigemptyset(set);
	memcpy(set, &bits, sizeof bits);
}

/* --- masks --- */

static int mask(struct wf_identity *me, int how, const sigset_t *set,
		sigset_t *old)
{
	uint64_t before, bits = set ? signal_bits(set) : 0;
	int r = wf_signals_mask(me, how, set ? &bits : NULL, &before);

	if (r == 0 && old)
		set_of(old, before);
	return r;
}

static int mask_of_thread(int how, const sigset_t *set, sigset_t *old)
{
	int r = libc(pthread_sigmask)(how, set, old);
	uint64_t now = 0;

	if (r == 0 && set && wf_begun()) {
		wf_call(rt_sigprocmask, SIG_BLOCK, NULL, &now, sizeof now);
		wf_proxy_thread(now);
	}
	return r;
}

WF_HOOK int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	struct wf_identity *me = identity_hooked();

	return me ? -mask(me, how, set, old) : mask_of_thread(how, set, old);
}

WF_HOOK int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	struct wf_identity *me = identity_hooked();

	return (int)wf_returned(me ? mask(me, how, set, old)
				   : -mask_of_thread(how, set, old));
}

/* --- to a thread --- */

static int send_to(struct wf_identity *to, int signal, const siginfo_t *info)
{
	struct wf_quiet quiet;
	int r;

	quiet_begin(&quiet);
	r = wf_signal_send(to, signal, info);
	quiet_end(&quiet);
	if (to == identity_self())
		wf_interrupted_by_signal();
	return r;
}

WF_HOOK int pthread_kill(pthread_t thread, int signal)
{
	struct wf_identity *id = wf_identity_find(thread);

	if (!id || atom_load_rlx(&id->promoted))
		return libc(pthread_kill)(thread, signal);
	return identity_ended(id) ? 0 : -send_to(id, signal, NULL);
}

WF_HOOK int pthread_sigqueue(pthread_t thread, int signal,
			     const union sigval value)
{
	struct wf_identity *id = wf_identity_find(thread);
	siginfo_t info = {.si_signo = signal, .si_code = SI_QUEUE};

	if (!id || atom_load_rlx(&id->promoted))
		return libc(pthread_sigqueue)(thread, signal, value);
	info.si_pid = (pid_t)wf_call(getpid);
	info.si_uid = (uid_t)wf_call(getuid);
	info.si_value = value;
	return identity_ended(id) ? 0 : -send_to(id, signal, &info);
}

WF_HOOK int raise(int signal)
{
	struct wf_identity *me = identity_hooked();

	return me ? (int)wf_returned(send_to(me, signal, NULL))
		  : libc(raise)(signal);
}

WF_HOOK int tgkill(pid_t process, pid_t thread, int signal)
{
	struct wf_identity *to =
		process == getpid() ? wf_identity_numbered(thread) : NULL;

	return to ? (int)wf_returned(-pthread_kill(to->thread, signal))
		  : libc(tgkill)(process, thread, signal);
}

/* --- a stack for handlers --- */

/* The kernel needs less on this CPU than libc says, and knows how much. */
static int try_altstack(const stack_t *new)
{
	stack_t old;
	int r = (int)wf_call(sigaltstack, new, &old);

	if (r == 0)
		wf_call(sigaltstack, &old, NULL);
	return r;
}

static bool gives_stack(const stack_t *s)
{
	return s && !(s->ss_flags & SS_DISABLE);
}

WF_HOOK int sigaltstack(const stack_t *new, stack_t *old)
{
	struct wf_identity *me = identity_hooked();
	stack_t before;
	int r = 0;

	if (gives_stack(new) && !libc_alone())
		wf_fault_altstack();
	if (!me)
		return libc(sigaltstack)(new, old);
	before = me->altstack;
	if (new)
		r = try_altstack(new);
	if (r < 0)
		return (int)wf_returned(r);
	if (new)
		me->altstack = *new;
	if (me->altstack.ss_flags & SS_DISABLE)
		me->altstack.ss_sp = NULL;
	if (old)
		*old = before;
	return 0;
}

/* --- what is pending --- */

WF_HOOK int sigpending(sigset_t *set)
{
	struct wf_identity *me = identity_hooked();
	uint64_t process = 0;

	if (!me)
		return libc(sigpending)(set);
	wf_call(rt_sigpending, &process, sizeof process);
	set_of(set, (me->pending | process) & me->mask);
	return 0;
}

/* --- waiting for a handler --- */

/* One that has become a thread of the kernel's meanwhile. */
static int suspend_thread(uint64_t mask, uint64_t old)
{
	wf_signals_back(old);
	return (int)wf_call(rt_sigsuspend, &mask, sizeof mask);
}

/* What comes while a handler runs is met by the mask from before. */
static int suspend(struct wf_identity *me, uint64_t mask)
{
	uint64_t old;

	wf_cancellation_point();
	old = wf_signals_exchange(me, mask);
	for (;;) {
		wf_interrupted_but_for_signals();
		if (!identity_self())
			return suspend_thread(mask, old);
		if (wf_signals_take_once(me) != WF_NOTHING)
			break;
		weft_sleep_until(WEFT_FOREVER);
	}
	wf_signals_set(me, old);
	return -EINTR;
}

WF_HOOK int sigsuspend(const sigset_t *set)
{
	struct wf_identity *me = identity_hooked();

	return me ? (int)wf_returned(suspend(me, signal_bits(set)))
		  : libc(sigsuspend)(set);
}

WF_HOOK int pause(void)
{
	struct wf_identity *me = identity_hooked();

	return me ? (int)wf_returned(suspend(me, me->mask)) : libc(pause)();
}

/* --- waiting for the signal itself --- */

static int take_any(struct wf_identity *me, uint64_t set, siginfo_t *info)
{
	int signal = wf_signal_fetch(me, set, info);

	/* One that was sent to the process: every worker blocks it. */
	if (!signal)
		signal = wf_signal_fetch_kernels(set, info);
	/* As libc says. */
	if (signal && info && info->si_code == SI_TKILL)
		info->si_code = SI_USER;
	return signal;
}

/* The kernel says by a descriptor that the process has been sent one. */
static int await(struct wf_identity *me, int fd, uint64_t set, siginfo_t *info,
		 weft_time deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int signal, n = 1;

	while (!(signal = take_any(me, set, info))) {
		if (n == 0)
			return -EAGAIN;
		n = weft_poll_until(&p, 1, deadline);
		if (n != -ECANCELED || me->pending & set)
			continue;
		if (wf_handled())
			return -EINTR;
	}
	return signal;
}

static void set_awaited(struct wf_identity *me, uint64_t set)
{
	spin_lock(&me->signals);
	me->awaited_signals = set;
	spin_unlock(&me->signals);
}

struct attention {
	struct wf_identity *me;
	int fd;
};

static void stop_attending(void *arg)
{
	struct attention *a = arg;

	set_awaited(a->me, 0);
	weft_close(a->fd);
}

static int wait_for(struct wf_identity *me, uint64_t set, siginfo_t *info,
		    weft_time deadline)
{
	struct attention a = {.me = me};
	long fd;
	int r;

	wf_cancellation_point();
	set &= ~(WF_UNBLOCKABLE | wf_signals_libc());
	fd = wf_call(signalfd4, -1, &set, sizeof set,
		     SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return (int)fd;
	wf_descriptor_new((int)fd, 0);
	a.fd = (int)fd;
	set_awaited(me, set);
	pthread_cleanup_push(stop_attending, &a);
	r = await(me, a.fd, set, info, deadline);
	pthread_cleanup_pop(1);
	return r;
}

WF_HOOK int sigtimedwait(const sigset_t *set, siginfo_t *info,
			 const struct timespec *limit)
{
	struct wf_identity *me = identity_hooked();
	weft_time deadline;

	if (!me)
		return libc(sigtimedwait)(set, info, limit);
	if (wf_deadline_in(limit, &deadline) < 0)
		return (int)wf_returned(-EINVAL);
	return (int)wf_returned(wait_for(me, signal_bits(set), info, deadline));
}

WF_HOOK int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	return sigtimedwait(set, info, NULL);
}

WF_HOOK int sigwait(const sigset_t *set, int *signal)
{
	struct wf_identity *me = identity_hooked();
	int r;

	if (!me)
		return libc(sigwait)(set, signal);
	do
		r = wait_for(me, signal_bits(set), NULL, WEFT_FOREVER);
	while (r == -EINTR);
	if (r < 0)
		return -r;
	*signal = r;
	return 0;
}
