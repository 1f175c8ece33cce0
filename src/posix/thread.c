/* SPDX-License-Identifier: MIT */
/*
 * thread.c - pthread_create() and what is done with threads as a whole.
 *
 * A thread becomes a fiber unless it asks for what only a thread of the
 * kernel's has: a stack of the program's own, CPUs of its own, a real-time
 * priority.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/sched.h"
#include "os/call.h"
#include "os/stack.h"
#include "posix/begin.h"
#include "posix/deadline.h"
#include "posix/delivery.h"
#include "posix/interrupt.h"
#include "posix/lot.h"
#include "posix/proxy.h"
#include "posix/quiet.h"
#include "posix/region.h"

/* --- what is asked for --- */

static bool own_stack(const pthread_attr_t *attr)
{
	void *address;
	size_t size;

	return pthread_attr_getstack(attr, &address, &size) == 0 &&
	       (uintptr_t)address + size != 0;
}

static bool own_cpus(const pthread_attr_t *attr)
{
	cpu_set_t set, every;

	if (pthread_attr_getaffinity_np(attr, sizeof set, &set) != 0)
		return true;
	/* CPU_COUNT() would look at each of them. */
	memset(&every, 0xff, sizeof every);
	return !CPU_EQUAL(&set, &every);
}

static bool own_priority(const pthread_attr_t *attr)
{
	int inherit = PTHREAD_INHERIT_SCHED, policy = SCHED_OTHER;
	struct sched_param param = {0};

	pthread_attr_getinheritsched(attr, &inherit);
	pthread_attr_getschedpolicy(attr, &policy);
	pthread_attr_getschedparam(attr, &param);
	/* A priority that goes with no policy is for the kernel to refuse. */
	return inherit == PTHREAD_EXPLICIT_SCHED &&
	       (policy != SCHED_OTHER || param.sched_priority != 0);
}

/* From a thread of the kernel's: a fiber has none. */
static bool inherits_policy(const pthread_attr_t *attr)
{
	int inherit = PTHREAD_INHERIT_SCHED;
	long policy;

	if (likely(!atom_load_rlx(&wf_identity_policies)) || identity_self())
		return false;
	pthread_attr_getinheritsched(attr, &inherit);
	policy = wf_call(sched_getscheduler, 0);
	return inherit == PTHREAD_INHERIT_SCHED && policy != SCHED_OTHER &&
	       !(policy & SCHED_RESET_ON_FORK);
}

/* More than a fiber may have: the kernel's thread, or libc, says what is wrong.
 */
static bool vast(const pthread_attr_t *attr)
{
	size_t size = 0;

	pthread_attr_getstacksize(attr, &size);
	return size > WF_STACK_MAX / 2;
}

static bool may_be_fiber(const pthread_attr_t *attr)
{
	return !vast(attr) && !own_stack(attr) && !own_cpus(attr) &&
	       !own_priority(attr) && !inherits_policy(attr);
}

static size_t default_size(void)
{
	pthread_attr_t attr;
	size_t size = 0;

	if (pthread_getattr_default_np(&attr) == 0) {
		pthread_attr_getstacksize(&attr, &size);
		pthread_attr_destroy(&attr);
	}
	return size;
}

/* A size that was not asked for may be lowered. */
static size_t stack_size(const pthread_attr_t *attr)
{
	size_t size = 0, most = wf_begin_stack(), usual = default_size();

	pthread_attr_getstacksize(attr, &size);
	if (size == usual && most && most < size)
		size = most;
	return size;
}

static uint64_t caller_mask(const struct wf_quiet *quiet)
{
	struct wf_identity *me = identity_self();

	return me ? me->mask : quiet->old;
}

static uint64_t mask_of(const pthread_attr_t *attr, uint64_t inherited)
{
	sigset_t set;

	return pthread_attr_getsigmask_np(attr, &set) == 0 ? signal_bits(&set)
							   : inherited;
}

static void name_inherited(char *name)
{
	struct wf_identity *me = identity_self();

	if (me)
		strcpy(name, me->name);
	else
		wf_call(prctl, PR_GET_NAME, name);
}

static struct wf_thread described(const pthread_attr_t *attr,
				  uint64_t inherited)
{
	int detach = PTHREAD_CREATE_JOINABLE;
	size_t guard = 0;

	pthread_attr_getdetachstate(attr, &detach);
	pthread_attr_getguardsize(attr, &guard);
	return (struct wf_thread){
		.stack_size = stack_size(attr),
		.guard_size = guard,
		.detached = detach == PTHREAD_CREATE_DETACHED,
		.mask = mask_of(attr, inherited),
	};
}

/* --- create --- */

static int create(pthread_t *made, const pthread_attr_t *attr, wf_start start,
		  void *arg)
{
	struct wf_thread thread;
	struct wf_quiet quiet;
	int r, error = errno;

	quiet_begin(&quiet);
	r = wf_begin();
	if (r == 0) {
		thread = described(attr, caller_mask(&quiet));
		name_inherited(thread.name);
		thread.start = start;
		thread.arg = arg;
		if (quiet.on)
			wf_proxy_thread(quiet.old);
		r = wf_identity_start(&thread, made);
		wf_proxy_watch(thread.mask);
	}
	quiet_end(&quiet);
	errno = error;
	if (r != -ENOMEM && r != -EMFILE && r != -EAGAIN)
		return r;
	/* Who tries until it works waits for those who have this worker. */
	if (identity_self())
		wf_sched_yield(wf_self());
	return -EAGAIN;
}

static int create_as(pthread_t *thread, const pthread_attr_t *attr,
		     wf_start start, void *arg)
{
	if (!may_be_fiber(attr))
		return libc(pthread_create)(thread, attr, start, arg);
	return -create(thread, attr, start, arg);
}

WF_HOOK int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			   void *(*start)(void *), void *arg)
{
	pthread_attr_t usual;
	int r;

	if (libc_alone())
		return libc(pthread_create)(thread, attr, start, arg);
	if (attr)
		return create_as(thread, attr, start, arg);
	r = pthread_getattr_default_np(&usual);
	if (r)
		return r;
	r = create_as(thread, &usual, start, arg);
	pthread_attr_destroy(&usual);
	return r;
}

/* --- join and detach --- */

/* Whether to wait for it would be to wait for the caller. */
static bool waits_for(struct wf_identity *id, const struct wf_identity *me)
{
	for (int i = 0; id && i < 64; i++) {
		if (id == me)
			return true;
		id = atom_load_rlx(&id->awaited);
	}
	return false;
}

/* As libc says it of one that nobody may join any more. */
static int why_not(struct wf_identity *id, uint32_t state)
{
	return state == WF_THREAD_GONE && atom_load_rlx(&id->joined) ? ESRCH
								     : EINVAL;
}

/* By one thread at a time.  Returns 0 once it has ended. */
static int sleep_for_end(struct wf_identity *id, struct wf_identity *me,
			 weft_time deadline)
{
	uint32_t state = WF_THREAD_LIVE;
	int r;

	/* acquire [thread-end] where it fails */
	if (!atom_cas_ar(&id->state, &state, WF_THREAD_AWAITED))
		return state == WF_THREAD_ENDED ? 0 : -why_not(id, state);
	if (me)
		atom_store_rlx(&me->awaited, id);
	r = wf_lot_wait(&id->state, WF_THREAD_AWAITED, "join", deadline, true);
	if (me)
		atom_store_rlx(&me->awaited, NULL);
	state = WF_THREAD_AWAITED;
	/* acquire [thread-end] where it fails */
	if (!atom_cas_ar(&id->state, &state, WF_THREAD_LIVE))
		return 0;
	return r ? r : -EAGAIN;
}

static int await_end(struct wf_identity *id, weft_time deadline)
{
	struct wf_identity *me = identity_own();
	int r;

	do {
		r = sleep_for_end(id, me, deadline);
		if (r == -EINTR)
			wf_interrupted();
	} while (r == -EINTR || r == -EAGAIN);
	return r;
}

/* Whoever takes what has ended puts it into the pool. */
static bool claim(struct wf_identity *id, void **result, bool joined)
{
	uint32_t ended = WF_THREAD_ENDED;
	struct wf_quiet quiet;

	if (result)
		*result = id->result;
	/* acquire [thread-end] */
	if (!atom_cas_ar(&id->state, &ended, WF_THREAD_GONE))
		return false;
	/* By somebody who did not know yet that it had ended. */
	atom_and_rlx(libc_cancel(id->thread), ~WF_CANCEL_ASKED);
	atom_store_rlx(&id->joined, joined);
	quiet_begin(&quiet);
	wf_identity_put(id);
	quiet_end(&quiet);
	return true;
}

static int join(struct wf_identity *id, void **result, weft_time deadline)
{
	int r;

	wf_cancellation_point();
	if (waits_for(id, identity_own()))
		return EDEADLK;
	r = await_end(id, deadline);
	if (r < 0)
		return -r;
	return claim(id, result, true) ? 0 : EINVAL;
}

WF_HOOK int pthread_join(pthread_t thread, void **result)
{
	struct wf_identity *id = wf_identity_find(thread);

	return id ? join(id, result, WEFT_FOREVER)
		  : REGION(pthread_join, thread, result);
}

WF_HOOK int pthread_tryjoin_np(pthread_t thread, void **result)
{
	struct wf_identity *id = wf_identity_find(thread);
	uint32_t state;

	if (!id)
		return libc(pthread_tryjoin_np)(thread, result);
	/* acquire [thread-end] */
	state = atom_load_acq(&id->state);
	switch (state) {
	case WF_THREAD_LIVE:
	case WF_THREAD_AWAITED:
	case WF_THREAD_DETACHED:
		return EBUSY;
	case WF_THREAD_ENDED:
		return claim(id, result, true) ? 0 : EINVAL;
	default:
		return why_not(id, state);
	}
}

WF_HOOK int pthread_clockjoin_np(pthread_t thread, void **result,
				 clockid_t clock, const struct timespec *until)
{
	struct wf_identity *id = wf_identity_find(thread);
	weft_time deadline;
	int r;

	if (!id)
		return REGION(pthread_clockjoin_np, thread, result, clock,
			      until);
	if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) ||
	    wf_deadline_at(clock, until, &deadline) < 0)
		return EINVAL;
	do
		r = join(id, result, deadline);
	while (r == ETIMEDOUT && !wf_deadline_reached(clock, until));
	return r;
}

WF_HOOK int pthread_timedjoin_np(pthread_t thread, void **result,
				 const struct timespec *until)
{
	return pthread_clockjoin_np(thread, result, CLOCK_REALTIME, until);
}

WF_HOOK int pthread_detach(pthread_t thread)
{
	struct wf_identity *id = wf_identity_find(thread);
	uint32_t live = WF_THREAD_LIVE;

	if (!id)
		return libc(pthread_detach)(thread);
	/* acquire [thread-end] where it fails */
	if (atom_cas_ar(&id->state, &live, WF_THREAD_DETACHED) ||
	    live == WF_THREAD_AWAITED)
		return 0;
	if (live == WF_THREAD_ENDED && claim(id, NULL, false))
		return 0;
	return why_not(id, live);
}

/* --- exit --- */

/*
 * When main() leaves by pthread_exit(), the process goes on until its last
 * thread ends.  libc would wait for threads that are ours as well.
 */
static _Atomic uint32_t last_gone;

static void note_last(void)
{
	atom_store_rlx(&last_gone, 1);
	wf_lot_wake(&last_gone, UINT32_MAX);
}

static bool any_left(void)
{
	struct wf_identity_counts counts;

	wf_identity_count(&counts);
	return counts.live;
}

/* Its number is the process's until the kernel clears it for whoever joins. */
static void await_end_of(pthread_t thread)
{
	_Atomic uint32_t *tid = libc_tid(thread);
	uint32_t number = (uint32_t)wf_call(getpid);
	struct timespec soon = {0, 10000000};

	/* It wakes one only: that may be another who joins, or should be. */
	while (atom_load_rlx(tid) == number)
		wf_call(futex, tid, FUTEX_WAIT, number, &soon);
	wf_call(futex, tid, FUTEX_WAKE, 1);
}

static void *end_process(void *thread)
{
	await_end_of(*(pthread_t *)thread);
	while (any_left()) {
		atom_store_rlx(&last_gone, 0);
		if (any_left())
			wf_lot_wait(&last_gone, 0, "exit", WEFT_FOREVER, false);
	}
	exit(0);
}

static void leave_main(void)
{
	static pthread_t main_thread;
	pthread_t reaper;

	main_thread = pthread_self();
	wf_identity_at_last = note_last;
	if (libc(pthread_create)(&reaper, NULL, end_process, &main_thread) == 0)
		libc(pthread_detach)(reaper);
}

static _Noreturn void leave(void *result)
{
	struct wf_identity *me = identity_own();

	wf_interrupted_at_last();
	if (me) {
		wf_identity_let_go(me, 0);
		me->result = result;
	} else if (wf_begun() && wf_call(gettid) == wf_call(getpid))
		leave_main();
	libc(pthread_exit)(result);
	__builtin_unreachable();
}

WF_HOOK void pthread_exit(void *result)
{
	leave(result);
}

/* --- cancel --- */

static void *cancel_itself(void *arg)
{
	libc(pthread_cancel)(pthread_self());
	return arg;
}

/*
 * The signal that libc uses for this ends the process, until somebody has been
 * cancelled by libc itself.
 */
static int make_signal_known(void)
{
	static _Atomic bool known;
	pthread_t thread;
	int r = 0;

	if (atom_load_rlx(&known))
		return 0;
	r = libc(pthread_create)(&thread, NULL, cancel_itself, NULL);
	if (r)
		return r;
	libc(pthread_join)(thread, NULL);
	atom_store_rlx(&known, true);
	return 0;
}

/*
 * In a region libc waits for that signal, and in a kernel thread of its own,
 * which it may have been given meanwhile: under the lock, see delivery.h.
 */
static void cancel(struct wf_identity *id)
{
	bool own;

	atom_or_rlx(libc_cancel(id->thread), WF_CANCEL_ASKED);
	spin_lock(&id->signals);
	own = atom_load_rlx(&id->promoted);
	if (id->regions || own)
		wf_signal_to_kernel(id, LIBC_CANCEL, NULL);
	spin_unlock(&id->signals);
	if (own)
		wf_lot_look(id->thread);
	else
		weft_cancel(id->fiber);
}

static int cancel_thread(pthread_t thread)
{
	int r = libc(pthread_cancel)(thread);

	wf_lot_look(thread);
	return r;
}

WF_HOOK int pthread_cancel(pthread_t thread)
{
	struct wf_identity *id = wf_identity_find(thread);
	struct wf_quiet quiet;
	int r;

	if (!id || atom_load_rlx(&id->promoted))
		return cancel_thread(thread);
	if (identity_ended(id))
		return 0;
	quiet_begin(&quiet);
	r = make_signal_known();
	if (r == 0)
		cancel(id);
	quiet_end(&quiet);
	return r;
}

/*
 * To be ended between any two instructions is for the kernel's threads: libc
 * sends them a signal.
 */
WF_HOOK int pthread_setcanceltype(int type, int *old)
{
	struct wf_identity *me = identity_self();

	if (me && type == PTHREAD_CANCEL_ASYNCHRONOUS &&
	    wf_identity_promote(me) < 0)
		wf_say("no thread for one that is to be cancelled at any time");
	return libc(pthread_setcanceltype)(type, old);
}

/* --- C11 --- */

static int as_thrd(int error)
{
	switch (error) {
	case 0:
		return thrd_success;
	case ENOMEM:
		return thrd_nomem;
	case EBUSY:
		return thrd_busy;
	case ETIMEDOUT:
		return thrd_timedout;
	default:
		return thrd_error;
	}
}

struct c11_start {
	thrd_start_t start;
	void *arg;
};

static void *start_c11(void *arg)
{
	struct c11_start s = *(struct c11_start *)arg;
	struct wf_identity *me = identity_self();

	if (me)
		IDENTITY_CALLS_PROGRAM(me);
	free(arg);
	return (void *)(intptr_t)s.start(s.arg);
}

WF_HOOK int thrd_create(thrd_t *thread, thrd_start_t start, void *arg)
{
	struct c11_start *s;
	int r;

	if (libc_alone())
		return libc(thrd_create)(thread, start, arg);
	s = malloc(sizeof *s);
	if (!s)
		return thrd_nomem;
	*s = (struct c11_start){start, arg};
	r = pthread_create(thread, NULL, start_c11, s);
	if (r)
		free(s);
	return as_thrd(r);
}

WF_HOOK int thrd_join(thrd_t thread, int *result)
{
	void *value;
	int r = pthread_join(thread, &value);

	if (r == 0 && result)
		*result = (int)(intptr_t)value;
	return as_thrd(r);
}

WF_HOOK int thrd_detach(thrd_t thread)
{
	return as_thrd(pthread_detach(thread));
}

WF_HOOK void thrd_exit(int result)
{
	leave((void *)(intptr_t)result);
}

/* --- letting others run --- */

/*
 * Who waits for another fiber this way may wait for one whose worker has no CPU
 * at this moment; so the kernel is asked as well, each time, as by a thread.
 */
WF_HOOK int sched_yield(void)
{
	struct wf_identity *me = identity_hooked();

	if (me) {
		wf_sched_yield(me->fiber);
		/* It may wait in this way for what a handler does. */
		if (unlikely(signals_due(me)))
			wf_interrupted_by_signal();
	}
	wf_call(sched_yield);
	return 0;
}

WF_HOOK void thrd_yield(void)
{
	sched_yield();
}
