/* SPDX-License-Identifier: MIT */
/*
 * rwlock.c - pthread read-write locks that let fibers wait.
 *
 * Of libc's object the kind is read, and whether it is shared with other
 * processes, which libc has to see to.  In one of ours libc's first word is:
 *
 *      READING  times n: so many read; or, with WRITING, wait to read, and will
 *               as soon as WRITING goes
 *      WRITING  somebody writes
 *      WRITERS  others may wait to write
 *      READERS  some wait to read who are not counted: see below
 *
 *      read         + READING; then, with WRITING,    acquire [rwlock-held]
 *                   sleep until that is gone
 *      write        0 -> WRITING; else set WRITERS,    acquire [rwlock-held]
 *                   and sleep until it is given
 *      end reading  - READING                          release [rwlock-held]
 *                   the last, with WRITERS: give it    release [lot-given],
 *                   to the first: -> WRITING; or -> 0  acquire [lot-given]
 *      end writing  if some wait to read, - WRITING,   release [rwlock-held]
 *                   and wake all of them; else, with
 *                   WRITERS, give it to the first, or  release [lot-given],
 *                   -> 0                               acquire [lot-given]
 *      give up      to read: - READING, if WRITING is
 *                   still there; else it reads
 *
 * Who waits is let in without the lock ever being free, so nobody goes past
 * for ever; but while some read, any may join them, as POSIX wants it of
 * threads that read already.
 *
 * In the kind that prefers writers, the end of writing looks for those first.
 * And while some read and WRITERS is set, others that want to read set READERS
 * and sleep uncounted, until writing ends, or the writers have given up: who
 * does takes WRITERS away and has all look again.
 *
 * After the step that lets others in, who has left knows the lock by its
 * address alone.
 */
#include <errno.h>
#include <limits.h>

#include "posix/deadline.h"
#include "posix/libc.h"
#include "posix/lot.h"
#include "posix/mutex.h"

#define READING 1u
#define COUNT   0x1fffffffu
#define READERS 0x20000000u
#define WRITERS 0x40000000u
#define WRITING 0x80000000u

/* Whom of the sleepers to wake. */
#define TO_READ  1u
#define TO_WRITE 2u

static inline _Atomic uint32_t *word_of(pthread_rwlock_t *l)
{
	return (_Atomic uint32_t *)&l->__data.__readers;
}

static inline bool is_shared(const pthread_rwlock_t *l)
{
	return l->__data.__shared;
}

static inline bool prefers_writers(const pthread_rwlock_t *l)
{
	return l->__data.__flags ==
	       PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
}

/* --- who writes --- */

static inline _Atomic uint32_t *writer_of(pthread_rwlock_t *l)
{
	return (_Atomic uint32_t *)&l->__data.__cur_writer;
}

static inline bool writes(pthread_rwlock_t *l)
{
	return atom_load_rlx(writer_of(l)) == lock_owner();
}

/* --- reading --- */

/* To be counted would let in one whom writers go before. */
static inline bool must_not_count(pthread_rwlock_t *l, uint32_t seen)
{
	return (seen & (WRITING | WRITERS)) == WRITERS && prefers_writers(l);
}

/* 0: counted, and reading if WRITING is not in *seen; else EAGAIN, EBUSY. */
static inline int count_in(pthread_rwlock_t *l, uint32_t *seen)
{
	*seen = atom_load_rlx(word_of(l));
	do {
		if (unlikely(must_not_count(l, *seen)))
			return EBUSY;
		if (unlikely((*seen & COUNT) == COUNT))
			return EAGAIN;
	}
	/* acquire [rwlock-held], [lot-given] */
	while (!atom_cas_acq(word_of(l), seen, *seen + READING));
	return 0;
}

/* True: not counted any more; false: it reads after all. */
static bool count_out(pthread_rwlock_t *l)
{
	/* acquire [rwlock-held] */
	uint32_t seen = atom_load_acq(word_of(l));

	while (seen & WRITING) {
		/* acquire [rwlock-held] */
		if (atom_cas_acq(word_of(l), &seen, seen - READING))
			return true;
	}
	return false;
}

static bool ran_out(struct wf_limit *limit, int r)
{
	return r == -ETIMEDOUT && wf_limit_over(limit);
}

static int sleep_to_read(pthread_rwlock_t *l, uint32_t seen,
			 struct wf_limit *limit)
{
	return wf_lot_wait_bits(word_of(l), seen, TO_READ, "rwlock, to read",
				limit->deadline, false);
}

/* Counted. */
static int wait_to_read(pthread_rwlock_t *l, struct wf_limit *limit)
{
	for (;;) {
		/* acquire [rwlock-held] */
		uint32_t seen = atom_load_acq(word_of(l));

		if (!(seen & WRITING))
			return 0;
		if (ran_out(limit, sleep_to_read(l, seen, limit)) &&
		    count_out(l))
			return ETIMEDOUT;
	}
}

/* Not counted: until there is a reason to try again. */
static int wait_to_count(pthread_rwlock_t *l, uint32_t seen,
			 struct wf_limit *limit)
{
	if (!(seen & READERS) &&
	    !atom_cas_rlx(word_of(l), &seen, seen | READERS))
		return 0;
	return ran_out(limit, sleep_to_read(l, seen | READERS, limit))
		       ? ETIMEDOUT
		       : 0;
}

static int wait_in_turn(pthread_rwlock_t *l, uint32_t seen,
			struct wf_limit *limit)
{
	int r = EBUSY;

	while (r == EBUSY) {
		r = wait_to_count(l, seen, limit);
		if (r == 0)
			r = count_in(l, &seen);
	}
	return r ? r : wait_to_read(l, limit);
}

static WF_NOINLINE int read_late(pthread_rwlock_t *l, bool counted,
				 uint32_t seen, clockid_t clock,
				 const struct timespec *ts)
{
	struct wf_limit limit;

	wf_limit_begin(&limit, clock, ts);
	return counted ? wait_to_read(l, &limit)
		       : wait_in_turn(l, seen, &limit);
}

static inline int begin_reading(pthread_rwlock_t *l, clockid_t clock,
				const struct timespec *ts)
{
	uint32_t seen;
	int r;

	if (unlikely(writes(l)))
		return EDEADLK;
	r = count_in(l, &seen);
	if (likely(r == 0 && !(seen & WRITING)))
		return 0;
	return r == EAGAIN ? r : read_late(l, r == 0, seen, clock, ts);
}

static int try_to_read(pthread_rwlock_t *l)
{
	uint32_t seen = atom_load_rlx(word_of(l));

	do {
		if (seen & WRITING || must_not_count(l, seen))
			return EBUSY;
		if ((seen & COUNT) == COUNT)
			return EAGAIN;
	}
	/* acquire [rwlock-held], [lot-given] */
	while (!atom_cas_acq(word_of(l), &seen, seen + READING));
	return 0;
}

/* --- writing --- */

static inline bool take(pthread_rwlock_t *l)
{
	uint32_t free = 0;

	/* acquire [rwlock-held], [lot-given] */
	return atom_cas_acq(word_of(l), &free, WRITING);
}

/* True: it is ours; else what to sleep on. */
static bool take_or_mark(pthread_rwlock_t *l, uint32_t *seen)
{
	while (!take(l)) {
		*seen = atom_load_rlx(word_of(l));
		if (*seen & WRITERS)
			return false;
		if (*seen && atom_cas_rlx(word_of(l), seen, *seen | WRITERS)) {
			*seen |= WRITERS;
			return false;
		}
	}
	return true;
}

/* Those who were to wait for us may have nobody to wait for. */
static void give_up(pthread_rwlock_t *l)
{
	uint32_t seen = atom_load_rlx(word_of(l));

	while (must_not_count(l, seen)) {
		if (!atom_cas_rlx(word_of(l), &seen,
				  seen & ~(WRITERS | READERS)))
			continue;
		wf_lot_wake(word_of(l), UINT_MAX);
		break;
	}
}

static int wait_to_write(pthread_rwlock_t *l, struct wf_limit *limit)
{
	uint32_t seen;

	while (!take_or_mark(l, &seen)) {
		int r = wf_lot_wait_bits(word_of(l), seen, TO_WRITE,
					 "rwlock, to write", limit->deadline,
					 false);

		if (r == WF_LOT_GIVEN)
			return 0;
		if (ran_out(limit, r)) {
			give_up(l);
			return ETIMEDOUT;
		}
	}
	return 0;
}

static WF_NOINLINE int write_late(pthread_rwlock_t *l, clockid_t clock,
				  const struct timespec *ts)
{
	struct wf_limit limit;

	wf_limit_begin(&limit, clock, ts);
	return wait_to_write(l, &limit);
}

static inline int begin_writing(pthread_rwlock_t *l, clockid_t clock,
				const struct timespec *ts)
{
	int r = 0;

	if (unlikely(writes(l)))
		return EDEADLK;
	if (unlikely(!take(l)))
		r = write_late(l, clock, ts);
	if (likely(r == 0))
		atom_store_rlx(writer_of(l), lock_owner());
	return r;
}

static int try_to_write(pthread_rwlock_t *l)
{
	if (!take(l))
		return EBUSY;
	atom_store_rlx(writer_of(l), lock_owner());
	return 0;
}

/* --- the end of either --- */

/* Without WRITING again, those who have READ, or wait to, read. */
static bool let_read(pthread_rwlock_t *l, uint32_t seen)
{
	/* release [rwlock-held] */
	if (!atom_cas_rel(word_of(l), &seen, seen & ~(WRITING | READERS)))
		return false;
	if (seen & (COUNT | READERS))
		wf_lot_wake_bits(word_of(l), UINT_MAX, TO_READ);
	return true;
}

/* To the first who waits to write; if nobody does, to those who read. */
static bool give(pthread_rwlock_t *l, uint32_t seen, uint32_t given)
{
	uint32_t nobody = given & COUNT;
	int r = wf_lot_give(word_of(l), seen, TO_WRITE, given, nobody);

	if (r == 0 && (nobody || seen & READERS))
		wf_lot_wake_bits(word_of(l), UINT_MAX, TO_READ);
	return r != -EAGAIN;
}

static inline void end_reading(pthread_rwlock_t *l, uint32_t seen)
{
	for (;; seen = atom_load_rlx(word_of(l))) {
		if (unlikely((seen & COUNT) == READING && seen & WRITERS)) {
			if (give(l, seen, (seen - READING) | WRITING))
				return;
		} else {
			/* release [rwlock-held] */
			if (atom_cas_rel(word_of(l), &seen, seen - READING))
				return;
		}
	}
}

static void end_writing(pthread_rwlock_t *l, uint32_t seen)
{
	bool prefer = prefers_writers(l);

	atom_store_rlx(writer_of(l), 0);
	for (;; seen = atom_load_rlx(word_of(l))) {
		bool writer = seen & WRITERS && (prefer || !(seen & COUNT));

		if (writer ? give(l, seen, seen) : let_read(l, seen))
			return;
	}
}

static int end(pthread_rwlock_t *l)
{
	uint32_t seen = atom_load_rlx(word_of(l));

	if (seen & WRITING)
		end_writing(l, seen);
	else
		end_reading(l, seen);
	return 0;
}

/* --- of either sort --- */

/* libc's own knows its writer by a number, in all processes. */
static int read_shared(pthread_rwlock_t *l)
{
	int r = wf_lock_as_thread();

	return r ? r : libc(pthread_rwlock_rdlock)(l);
}

static int write_shared(pthread_rwlock_t *l)
{
	int r = wf_lock_as_thread();

	return r ? r : libc(pthread_rwlock_wrlock)(l);
}

static int try_to_write_shared(pthread_rwlock_t *l)
{
	int r = wf_lock_as_thread();

	return r ? r : libc(pthread_rwlock_trywrlock)(l);
}

/* The time has to be one in any case, as in libc. */
static int read_until(pthread_rwlock_t *l, clockid_t clock,
		      const struct timespec *ts)
{
	int r;

	if (!wf_limit_valid(clock, ts))
		return EINVAL;
	if (likely(!is_shared(l)))
		return begin_reading(l, clock, ts);
	r = wf_lock_as_thread();
	return r ? r : libc(pthread_rwlock_clockrdlock)(l, clock, ts);
}

static int write_until(pthread_rwlock_t *l, clockid_t clock,
		       const struct timespec *ts)
{
	int r;

	if (!wf_limit_valid(clock, ts))
		return EINVAL;
	if (likely(!is_shared(l)))
		return begin_writing(l, clock, ts);
	r = wf_lock_as_thread();
	return r ? r : libc(pthread_rwlock_clockwrlock)(l, clock, ts);
}

/* --- hooks --- */

WF_HOOK int pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
	if (libc_alone())
		return libc(pthread_rwlock_rdlock)(l);
	return unlikely(is_shared(l)) ? read_shared(l)
				      : begin_reading(l, CLOCK_MONOTONIC, NULL);
}

WF_HOOK int pthread_rwlock_clockrdlock(pthread_rwlock_t *l, clockid_t clock,
				       const struct timespec *ts)
{
	return libc_alone() ? libc(pthread_rwlock_clockrdlock)(l, clock, ts)
			    : read_until(l, clock, ts);
}

WF_HOOK int pthread_rwlock_timedrdlock(pthread_rwlock_t *l,
				       const struct timespec *ts)
{
	return libc_alone() ? libc(pthread_rwlock_timedrdlock)(l, ts)
			    : read_until(l, CLOCK_REALTIME, ts);
}

WF_HOOK int pthread_rwlock_tryrdlock(pthread_rwlock_t *l)
{
	return libc_alone() || is_shared(l) ? libc(pthread_rwlock_tryrdlock)(l)
					    : try_to_read(l);
}

WF_HOOK int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
	if (libc_alone())
		return libc(pthread_rwlock_wrlock)(l);
	return unlikely(is_shared(l)) ? write_shared(l)
				      : begin_writing(l, CLOCK_MONOTONIC, NULL);
}

WF_HOOK int pthread_rwlock_clockwrlock(pthread_rwlock_t *l, clockid_t clock,
				       const struct timespec *ts)
{
	return libc_alone() ? libc(pthread_rwlock_clockwrlock)(l, clock, ts)
			    : write_until(l, clock, ts);
}

WF_HOOK int pthread_rwlock_timedwrlock(pthread_rwlock_t *l,
				       const struct timespec *ts)
{
	return libc_alone() ? libc(pthread_rwlock_timedwrlock)(l, ts)
			    : write_until(l, CLOCK_REALTIME, ts);
}

WF_HOOK int pthread_rwlock_trywrlock(pthread_rwlock_t *l)
{
	if (libc_alone())
		return libc(pthread_rwlock_trywrlock)(l);
	return unlikely(is_shared(l)) ? try_to_write_shared(l)
				      : try_to_write(l);
}

WF_HOOK int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
	return libc_alone() || is_shared(l) ? libc(pthread_rwlock_unlock)(l)
					    : end(l);
}

WF_HOOK_AS(__pthread_rwlock_rdlock, pthread_rwlock_rdlock);
WF_HOOK_AS(__pthread_rwlock_tryrdlock, pthread_rwlock_tryrdlock);
WF_HOOK_AS(__pthread_rwlock_wrlock, pthread_rwlock_wrlock);
WF_HOOK_AS(__pthread_rwlock_trywrlock, pthread_rwlock_trywrlock);
WF_HOOK_AS(__pthread_rwlock_unlock, pthread_rwlock_unlock);
