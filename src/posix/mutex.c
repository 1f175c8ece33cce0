/* SPDX-License-Identifier: MIT */
/*
 * mutex.c - pthread mutexes that let fibers wait.
 *
 * The object is as libc has it, so that libc's own initialisers, attributes,
 * pthread_mutex_init() and pthread_mutex_destroy() fit; only its lock means
 * what it means here:
 *
 *      FREE     nobody has it
 *      HELD     somebody has it
 *      WAITED   and has to wake the first who waits in the lot
 *      OWED     and has to give it to the first: that one was woken before,
 *               and another was faster
 *
 *      lock      FREE -> HELD, inline                    acquire [lock-held]
 *      wait      HELD -> WAITED; sleep while it is that
 *      rise      woken: FREE -> WAITED, as others may    acquire [lock-held]
 *                wait; else it comes too late: -> OWED,
 *                and sleep as the first
 *      unlock    HELD -> FREE, inline                    release [lock-held]
 *                WAITED -> FREE, then wake the first     release [lock-held]
 *      give      OWED -> WAITED, and the first has it,   release [lot-given],
 *                or -> FREE if nobody waits any more     acquire [lot-given]
 *
 * No waiter is forgotten: who sleeps has found WAITED or OWED; and while these
 * are gone the first is on its way, and sets one of them if others may wait or
 * it has to wait again.  None waits for ever: each unlocking sends off the
 * first, and who was too late stays first and is given it.
 *
 * After the step to FREE an unlock knows the mutex by its address alone: so the
 * next holder may free it.
 *
 * Owner, count and users are the holder's.  What is shared with other
 * processes, robust, or knows priorities is libc's.
 */
#include "posix/mutex.h"

#include <errno.h>

#include "posix/deadline.h"
#include "posix/libc.h"
#include "posix/lot.h"
#include "posix/region.h"

#define FREE   0u
#define HELD   1u
#define WAITED 2u
#define OWED   3u

/* Of the kind, what is not the type. */
#define SHARED  0x080
#define ELISION 0x300 /* asks for what not every processor has */

static _Atomic uint32_t *word_of(pthread_mutex_t *m)
{
	return (_Atomic uint32_t *)&m->__data.__lock;
}

static inline int kind_of(const pthread_mutex_t *m)
{
	return m->__data.__kind & ~ELISION;
}

/* No need to know who the owner is. */
static inline bool is_plain(int kind)
{
	return kind == PTHREAD_MUTEX_TIMED_NP ||
	       kind == PTHREAD_MUTEX_ADAPTIVE_NP;
}

static inline bool is_ours(int kind)
{
	return is_plain(kind) || kind == PTHREAD_MUTEX_RECURSIVE_NP ||
	       kind == PTHREAD_MUTEX_ERRORCHECK_NP;
}

bool wf_mutex_ours(const pthread_mutex_t *m)
{
	return is_ours(kind_of(m));
}

/* --- libc's --- */

int wf_lock_as_thread(void)
{
	struct wf_identity *me = identity_self();

	return likely(!me) ? 0 : -wf_identity_promote(me);
}

/* For one that is shared, and no more, a number is as good as another. */
static int prepare(int kind)
{
	return is_plain(kind & ~SHARED) ? 0 : wf_lock_as_thread();
}

static int lock_libcs(pthread_mutex_t *m, int kind)
{
	int r = prepare(kind);

	return r ? r : FIRM_REGION(pthread_mutex_lock, m);
}

static int lock_libcs_until(pthread_mutex_t *m, int kind, clockid_t clock,
			    const struct timespec *ts)
{
	int r = prepare(kind);

	return r ? r : FIRM_REGION(pthread_mutex_clocklock, m, clock, ts);
}

static int try_libcs(pthread_mutex_t *m, int kind)
{
	int r = prepare(kind);

	return r ? r : libc(pthread_mutex_trylock)(m);
}

/* --- the word --- */

/* One who is on the way to it. */
enum turn {
	NEW,   /* has not slept */
	WOKEN, /* just now */
	LATE,  /* was, but not in time */
};

static inline bool take(pthread_mutex_t *m)
{
	uint32_t found = FREE;

	/* acquire [lock-held] */
	return atom_cas_acq(word_of(m), &found, HELD);
}

/* What is to be there instead of `seen`. */
static uint32_t instead_of(uint32_t seen, enum turn turn)
{
	if (seen == FREE)
		return turn == NEW ? HELD : WAITED;
	if (turn != NEW)
		return OWED;
	return seen == HELD ? WAITED : seen;
}

/* FREE: it is ours now; else what to sleep on. */
static uint32_t take_or_mark(pthread_mutex_t *m, enum turn turn)
{
	uint32_t seen = atom_load_rlx(word_of(m)), next;

	do
		next = instead_of(seen, turn);
	/* acquire [lock-held] */
	while (next != seen && !atom_cas_acq(word_of(m), &seen, next));
	return seen == FREE ? FREE : next;
}

static int sleep_on(pthread_mutex_t *m, uint32_t seen, enum turn turn,
		    struct wf_limit *limit)
{
	/* acquire [lot-given], by [wait-fired] */
	return turn == LATE ? wf_lot_wait_first(word_of(m), seen, "mutex",
						limit->deadline)
			    : wf_lot_wait(word_of(m), seen, "mutex",
					  limit->deadline, false);
}

static WF_NOINLINE int wait_for(pthread_mutex_t *m, clockid_t clock,
				const struct timespec *ts)
{
	struct wf_limit limit;
	enum turn turn = NEW;
	uint32_t seen;
	int r = wf_limit_begin(&limit, clock, ts);

	if (r < 0)
		return -r;
	while ((seen = take_or_mark(m, turn)) != FREE) {
		if (turn == WOKEN)
			turn = LATE;
		r = sleep_on(m, seen, turn, &limit);
		if (r == WF_LOT_GIVEN)
			return 0;
		if (r == -ETIMEDOUT && wf_limit_over(&limit))
			return ETIMEDOUT;
		if (r == 0)
			turn = WOKEN;
	}
	return 0;
}

/* Nobody but a holder changes OWED. */
static WF_NOINLINE void wake_or_give(pthread_mutex_t *m)
{
	_Atomic uint32_t *word = word_of(m);
	uint32_t found = WAITED;

	/* release [lock-held] */
	if (atom_cas_rel(word, &found, FREE))
		wf_lot_wake(word, 1);
	else
		wf_lot_give(word, OWED, WF_LOT_ANY, WAITED, FREE);
}

static inline void release(pthread_mutex_t *m)
{
	uint32_t found = HELD;

	/* release [lock-held] */
	if (unlikely(!atom_cas_rel(word_of(m), &found, FREE)))
		wake_or_give(m);
}

/* --- the owner --- */

/* Context of both: the caller has the lock. */
static inline void own(pthread_mutex_t *m, uint32_t me)
{
	m->__data.__owner = (int)me;
	m->__data.__nusers++;
}

static inline void disown(pthread_mutex_t *m)
{
	m->__data.__owner = 0;
	m->__data.__nusers--;
}

/* It is ours already: -EAGAIN is for too often. */
static int take_again(pthread_mutex_t *m)
{
	if (m->__data.__count + 1 == 0)
		return EAGAIN;
	m->__data.__count++;
	return 0;
}

/* Others may write it meanwhile, but not our number. */
static inline bool owned(pthread_mutex_t *m, uint32_t me)
{
	return atom_load_rlx((_Atomic uint32_t *)&m->__data.__owner) == me;
}

/* --- lock --- */

/* Of ours, one that knows its owner. */
static int lock_known(pthread_mutex_t *m, clockid_t clock,
		      const struct timespec *ts)
{
	uint32_t me = lock_owner();
	int r = 0;

	if (owned(m, me))
		return kind_of(m) == PTHREAD_MUTEX_RECURSIVE_NP ? take_again(m)
								: EDEADLK;
	if (!take(m))
		r = wait_for(m, clock, ts);
	if (r)
		return r;
	m->__data.__count = 1;
	own(m, me);
	return 0;
}

static inline int lock_plain(pthread_mutex_t *m, clockid_t clock,
			     const struct timespec *ts)
{
	int r;

	if (unlikely(!take(m))) {
		r = wait_for(m, clock, ts);
		if (r)
			return r;
	}
	own(m, lock_owner());
	return 0;
}

int wf_mutex_take(pthread_mutex_t *m)
{
	int kind = kind_of(m);

	if (likely(is_plain(kind)))
		return lock_plain(m, CLOCK_MONOTONIC, NULL);
	if (is_ours(kind))
		return lock_known(m, CLOCK_MONOTONIC, NULL);
	return lock_libcs(m, kind);
}

int wf_mutex_take_until(pthread_mutex_t *m, clockid_t clock,
			const struct timespec *ts)
{
	int kind = kind_of(m);

	if (!is_ours(kind))
		return lock_libcs_until(m, kind, clock, ts);
	if (!limit_clock(clock))
		return EINVAL;
	return is_plain(kind) ? lock_plain(m, clock, ts)
			      : lock_known(m, clock, ts);
}

static int try_known(pthread_mutex_t *m)
{
	uint32_t me = lock_owner();

	if (kind_of(m) == PTHREAD_MUTEX_RECURSIVE_NP && owned(m, me))
		return take_again(m);
	if (!take(m))
		return EBUSY;
	m->__data.__count = 1;
	own(m, me);
	return 0;
}

int wf_mutex_try(pthread_mutex_t *m)
{
	int kind = kind_of(m);

	if (!is_ours(kind))
		return try_libcs(m, kind);
	if (!is_plain(kind))
		return try_known(m);
	if (!take(m))
		return EBUSY;
	own(m, lock_owner());
	return 0;
}

/* --- unlock --- */

static int unlock_known(pthread_mutex_t *m)
{
	if (!owned(m, lock_owner()))
		return EPERM;
	if (--m->__data.__count != 0)
		return 0;
	disown(m);
	release(m);
	return 0;
}

int wf_mutex_drop(pthread_mutex_t *m)
{
	int kind = kind_of(m);

	if (unlikely(!is_plain(kind)))
		return is_ours(kind) ? unlock_known(m)
				     : libc(pthread_mutex_unlock)(m);
	disown(m);
	release(m);
	return 0;
}

/* --- hooks --- */

WF_HOOK int pthread_mutex_lock(pthread_mutex_t *m)
{
	return libc_alone() ? libc(pthread_mutex_lock)(m) : wf_mutex_take(m);
}

WF_HOOK int pthread_mutex_trylock(pthread_mutex_t *m)
{
	return libc_alone() ? libc(pthread_mutex_trylock)(m) : wf_mutex_try(m);
}

WF_HOOK int pthread_mutex_timedlock(pthread_mutex_t *m,
				    const struct timespec *ts)
{
	return libc_alone() ? libc(pthread_mutex_timedlock)(m, ts)
			    : wf_mutex_take_until(m, CLOCK_REALTIME, ts);
}

WF_HOOK int pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock,
				    const struct timespec *ts)
{
	return libc_alone() ? libc(pthread_mutex_clocklock)(m, clock, ts)
			    : wf_mutex_take_until(m, clock, ts);
}

WF_HOOK int pthread_mutex_unlock(pthread_mutex_t *m)
{
	return libc_alone() ? libc(pthread_mutex_unlock)(m) : wf_mutex_drop(m);
}

/* Locks it, if it knows priorities; else it is an error. */
WF_HOOK int pthread_mutex_setprioceiling(pthread_mutex_t *m, int ceiling,
					 int *old)
{
	return libc_alone()
		       ? libc(pthread_mutex_setprioceiling)(m, ceiling, old)
		       : FIRM_REGION(pthread_mutex_setprioceiling, m, ceiling,
				     old);
}

WF_HOOK_AS(__pthread_mutex_lock, pthread_mutex_lock);
WF_HOOK_AS(__pthread_mutex_trylock, pthread_mutex_trylock);
WF_HOOK_AS(__pthread_mutex_unlock, pthread_mutex_unlock);
