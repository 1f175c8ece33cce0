/* SPDX-License-Identifier: MIT */
/*
 * cond.c - pthread conditions that let fibers wait.
 *
 * Of libc's object the flags are read that pthread_cond_init() has left: which
 * clock, and whether it is shared with other processes, which libc has to see
 * to.  In one of ours libc's first word is ours:
 *
 *      WAITED   somebody may wait
 *      the rest a turn: which changes when who waits for it has to go on
 *
 *      wait       set WAITED, and note the word; unlock the mutex; sleep while
 *                 the word is the noted one
 *      signal     if WAITED: go to the next turn and wake the first who sleeps,
 *                 in one step of the lot; without WAITED, if none does
 *      broadcast  if WAITED: go to the next turn, without WAITED; wake all
 *
 * A signal reaches one of those that wait: if any is only about to sleep, it
 * finds another turn; else the first that sleeps is one of them, or one that
 * a broadcast is about to wake, and then that wakes all who sleep by now.
 *
 * Who has been woken does not touch the condition again, nor who has woken it:
 * it may be gone.
 *
 * What was done under the mutex is the mutex's to pass on; so the word has no
 * order of its own, but for [lot-given].
 */
#include <errno.h>
#include <limits.h>

#include "posix/cond.h"
#include "posix/deadline.h"
#include "posix/interrupt.h"
#include "posix/libc.h"
#include "posix/lot.h"
#include "posix/mutex.h"
#include "posix/region.h"

#define WAITED 1u
#define TURN   2u

/* What pthread_cond_init() notes. */
#define SHARED    1u
#define MONOTONIC 2u

static _Atomic uint32_t *word_of(pthread_cond_t *c)
{
	return (_Atomic uint32_t *)c;
}

static bool is_shared(const pthread_cond_t *c)
{
	return c->__data.__wrefs & SHARED;
}

static clockid_t clock_of(const pthread_cond_t *c)
{
	return c->__data.__wrefs & MONOTONIC ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

/* The turn after that of `seen`, as if nobody waited. */
static uint32_t next_turn(uint32_t seen)
{
	return (seen + TURN) & ~WAITED;
}

/* --- waiting --- */

/*
 * Handlers run while the mutex is free, as it is where a wait is interrupted.
 * Errors: ETIMEDOUT; ECANCELED, to be acted on when the mutex is locked.
 */
static int sleep_on(pthread_cond_t *c, uint32_t noted, struct wf_limit *limit)
{
	for (;;) {
		int r = wf_lot_wait(word_of(c), noted, "condition",
				    limit->deadline, true);

		if (r == -EINTR) {
			wf_interrupted_by_signal();
			if (libc_cancelled())
				return ECANCELED;
		} else if (r != -ETIMEDOUT) {
			return 0;
		} else if (wf_limit_over(limit)) {
			return ETIMEDOUT;
		}
	}
}

static int wait_ours(pthread_cond_t *c, pthread_mutex_t *m,
		     struct wf_limit *limit)
{
	uint32_t noted;
	int r, locked;

	wf_cancellation_point();
	noted = atom_or_rlx(word_of(c), WAITED) | WAITED;
	/* It stays in use, so that libc lets nobody destroy it meanwhile. */
	m->__data.__nusers++;
	r = wf_mutex_drop(m);
	if (r) {
		m->__data.__nusers--;
		return r;
	}
	r = sleep_on(c, noted, limit);
	locked = wf_mutex_take(m);
	m->__data.__nusers--;
	if (r == ECANCELED) {
		wf_cancellation_point();
		r = 0;
	}
	return locked ? locked : r;
}

/* --- libc's conditions --- */

/*
 * libc's wait unlocks only a mutex of libc's.  If the program's is ours, it is
 * this one that the wait unlocks; and who signals has it meanwhile, so that no
 * signal falls between the unlocking of the one and the other.  That is enough,
 * as a mutex of ours is not known to other processes.
 */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static void swap_guard(void *mutex)
{
	libc(pthread_mutex_unlock)(&guard);
	wf_mutex_take(mutex);
}

static int wait_libcs(pthread_cond_t *c, pthread_mutex_t *m,
		      const struct wf_limit *limit)
{
	return limit->ts ? REGION(pthread_cond_clockwait, c, m, limit->clock,
				  limit->ts)
			 : REGION(pthread_cond_wait, c, m);
}

static int wait_guarded(pthread_cond_t *c, pthread_mutex_t *m,
			const struct wf_limit *limit)
{
	int r;

	wf_cancellation_point();
	libc(pthread_mutex_lock)(&guard);
	r = wf_mutex_drop(m);
	if (r) {
		libc(pthread_mutex_unlock)(&guard);
		return r;
	}
	pthread_cleanup_push(swap_guard, m);
	r = wait_libcs(c, &guard, limit);
	pthread_cleanup_pop(1);
	return r;
}

static void guard_anew(void)
{
	guard = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, guard_anew);
}

static int signal_libcs(pthread_cond_t *c, int (*wake)(pthread_cond_t *))
{
	int r;

	libc(pthread_mutex_lock)(&guard);
	r = wake(c);
	libc(pthread_mutex_unlock)(&guard);
	return r;
}

/* --- of either sort --- */

int wf_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
		 const struct timespec *ts)
{
	struct wf_limit limit;
	int r = wf_limit_begin(&limit, clock, ts);

	if (r < 0)
		return -r;
	if (likely(!is_shared(c)))
		return wait_ours(c, m, &limit);
	return wf_mutex_ours(m) ? wait_guarded(c, m, &limit)
				: wait_libcs(c, m, &limit);
}

int wf_cond_signal(pthread_cond_t *c)
{
	_Atomic uint32_t *word = word_of(c);
	uint32_t seen = atom_load_rlx(word);
	int r = -EAGAIN;

	if (unlikely(is_shared(c)))
		return signal_libcs(c, libc(pthread_cond_signal));
	for (; seen & WAITED && r == -EAGAIN; seen = atom_load_rlx(word))
		r = wf_lot_give(word, seen, WF_LOT_ANY, seen + TURN,
				next_turn(seen));
	return 0;
}

int wf_cond_broadcast(pthread_cond_t *c)
{
	_Atomic uint32_t *word = word_of(c);
	uint32_t seen = atom_load_rlx(word);

	if (unlikely(is_shared(c)))
		return signal_libcs(c, libc(pthread_cond_broadcast));
	while (seen & WAITED) {
		if (!atom_cas_rlx(word, &seen, next_turn(seen)))
			continue;
		wf_lot_wake(word, UINT_MAX);
		break;
	}
	return 0;
}

/* --- hooks --- */

WF_HOOK int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	return libc_alone() ? libc(pthread_cond_wait)(c, m)
			    : wf_cond_wait(c, m, CLOCK_MONOTONIC, NULL);
}

WF_HOOK int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
				   const struct timespec *ts)
{
	return libc_alone() ? libc(pthread_cond_timedwait)(c, m, ts)
			    : wf_cond_wait(c, m, clock_of(c), ts);
}

WF_HOOK int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m,
				   clockid_t clock, const struct timespec *ts)
{
	return libc_alone() ? libc(pthread_cond_clockwait)(c, m, clock, ts)
			    : wf_cond_wait(c, m, clock, ts);
}

WF_HOOK int pthread_cond_signal(pthread_cond_t *c)
{
	return libc_alone() ? libc(pthread_cond_signal)(c) : wf_cond_signal(c);
}

WF_HOOK int pthread_cond_broadcast(pthread_cond_t *c)
{
	return libc_alone() ? libc(pthread_cond_broadcast)(c)
			    : wf_cond_broadcast(c);
}
