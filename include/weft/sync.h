/* SPDX-License-Identifier: MIT */
/*
 * sync.h - what fibers and threads share: mutex, semaphore, rwlock, condition,
 * once, barrier, latch, group, notify.
 *
 * All of them are used by fibers and by ordinary threads alike, with a runtime
 * or without.  An object is a plain struct of fixed size that the caller owns:
 * zero bytes are a valid one (`static struct weft_mutex lock;`), none needs
 * memory, a descriptor or an end, and any number may wait for it: who waits
 * lies on the waiter's own stack.  An object may be forgotten once nobody is in
 * a call on it.  In a build with WEFT_CHECKS its _destroy() aborts if somebody
 * waits.
 *
 * Order: what was written before a release (unlock, post, signal, done) is seen
 * after the acquire that it lets through.
 *
 * Errors of every call here that waits, beside its own: -ETIMEDOUT in the
 * _until forms; -ECANCELED, except where the Context says "shielded"; -ENOMEM
 * off a fiber only: no memory for the handle by which a thread waits.
 */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <stdbool.h>

#include "base.h"
#include "select.h"
#include "time.h"

/* Who waits, and the lock over it.  Private. */
struct weft_queue_ {
	uint32_t lock_;
	uint32_t spare_;
	void *first_, *last_;
};

WEFT_BEGIN

/*
 * A mutex: one at a time.
 *
 * Free, it is taken and given back in two atomic steps, inline.  Those who have
 * to wait do so in order.  An unlock wakes the first of them, and others may
 * find the mutex free until that one has risen, because to keep it for a
 * sleeper would cost everybody a switch each time; but if it comes too late it
 * is handed the mutex by the next unlock.  So whoever waits first in the queue
 * is passed only by those who come while it rises, and sleeps only once more.
 * (As in Go's sync.Mutex, and Pizlo, "Locking in WebKit", 2016; but there time
 * decides when to hand over.)
 *
 * Whoever has locked it unlocks it, on whatever worker or thread that is by
 * then; the next holder may free it at once.  It is not recursive: to lock it
 * twice is to wait for ever.
 */
struct weft_mutex {
	uint32_t word_;
	bool nudged_, impatient_;
	struct weft_queue_ queue_;
};

/* The slow halves of lock and unlock.  Context: as those. */
WEFT_API int weft_mutex_lock_slow_(struct weft_mutex *m);
WEFT_API void weft_mutex_unlock_slow_(struct weft_mutex *m);

/*
 * Lock it.  On a fiber this cannot fail.
 *
 * Context: any thread; waits, shielded.
 */
static inline int weft_mutex_lock(struct weft_mutex *m)
{
	uint32_t unlocked = 0;

	/* acquire [mutex-held] */
	if (__builtin_expect(__atomic_compare_exchange_n(
				     &m->word_, &unlocked, 1u, false,
				     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
			     1))
		return 0;
	return weft_mutex_lock_slow_(m);
}

/*
 * Lock it, but wait no longer than until `deadline`, and not when cancelled.
 *
 * Context: any thread; waits.
 */
WEFT_API int weft_mutex_lock_until(struct weft_mutex *m, weft_time deadline);

/*
 * Lock it if nobody has it.
 *
 * Context: any thread; does not block.
 * Errors: -EBUSY somebody has.
 */
WEFT_API int weft_mutex_try_lock(struct weft_mutex *m);

/*
 * Unlock it.  To unlock one that is not locked aborts.
 *
 * Context: any thread; does not block.
 */
static inline void weft_mutex_unlock(struct weft_mutex *m)
{
	uint32_t alone = 1;

	/* release [mutex-held] */
	if (__builtin_expect(!__atomic_compare_exchange_n(
				     &m->word_, &alone, 0u, false,
				     __ATOMIC_RELEASE, __ATOMIC_RELAXED),
			     0))
		weft_mutex_unlock_slow_(m);
}

/*
 * Say that it is used no more: a build with checks aborts if it is locked or
 * somebody waits.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_mutex_destroy(struct weft_mutex *m);

/* The most permits that a semaphore has, and that one call asks for. */
#define WEFT_SEM_MAX ((uint64_t)1 << 58)

/*
 * A counting semaphore whose permits are taken and given in batches.
 *
 * First come, first served: while anybody waits nobody goes past, however few
 * permits it asks for, so a large request is not starved.  The first in the
 * queue collects what is released until it has enough; if it gives up, that
 * goes to those behind it.
 */
struct weft_sem {
	uint64_t word_;
	void *first_, *last_;
};

/*
 * Give it `permits` to begin with; zero bytes have none.
 *
 * Context: any thread, before others use it; does not block.
 * Errors: -EINVAL more than WEFT_SEM_MAX.
 */
WEFT_API int weft_sem_init(struct weft_sem *s, uint64_t permits);

/*
 * Take n permits, all or none.  _try_ takes them only if that is possible at
 * once.
 *
 * Context: any thread; waits; _try_ does not block.
 * Errors: -EPIPE it is closed; -EINVAL n is beyond WEFT_SEM_MAX; try: -EAGAIN.
 */
WEFT_API int weft_sem_acquire(struct weft_sem *s, uint64_t n);
WEFT_API int weft_sem_acquire_until(struct weft_sem *s, uint64_t n,
				    weft_time deadline);
WEFT_API int weft_sem_try_acquire(struct weft_sem *s, uint64_t n);

/*
 * Give n permits, and wake who has enough by that; whether they were taken
 * before does not matter.
 *
 * Context: any thread; does not block.
 * Errors: -EOVERFLOW there would be more than WEFT_SEM_MAX, and nothing was
 * given.
 */
WEFT_API int weft_sem_release(struct weft_sem *s, uint64_t n);

/*
 * The permits that can be taken at this moment, 0 while anybody waits.
 *
 * Context: any thread; does not block, takes no lock.
 */
WEFT_API uint64_t weft_sem_available(const struct weft_sem *s);

/*
 * Close it for good: who waits and who comes gets -EPIPE.  Releasing goes on to
 * work.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_sem_close(struct weft_sem *s);

/* As weft_mutex_destroy().  Context: any thread; does not block. */
WEFT_API void weft_sem_destroy(struct weft_sem *s);

/*
 * A condition: wait, with a mutex unlocked, until something that the mutex
 * guards has changed.
 *
 *      weft_mutex_lock(&m);
 *      while (!ready)
 *              weft_cond_wait(&c, &m);
 *      weft_mutex_unlock(&m);
 *
 * Nobody wakes for no reason: each return of 0 is a signal or a broadcast that
 * came while the caller waited.  The loop is needed all the same, as others may
 * have had the mutex before it.
 */
struct weft_cond {
	struct weft_queue_ queue_;
};

/*
 * Unlock the mutex, wait to be woken, lock it again.  To others the first two
 * are one step: who has the mutex after it finds the caller waiting.
 *
 * The mutex is held on return, after an error too: that lock is shielded and
 * takes its time.  One that is cancelled, or comes to its deadline, just as it
 * is signalled has been signalled: 0.  A call that may not wait any more to
 * begin with returns without having unlocked.
 *
 * Context: any thread, with the mutex locked; waits.
 */
WEFT_API int weft_cond_wait(struct weft_cond *c, struct weft_mutex *m);
WEFT_API int weft_cond_wait_until(struct weft_cond *c, struct weft_mutex *m,
				  weft_time deadline);

/*
 * Wake the one who has waited longest, or all.  The mutex may be held, or not:
 * who is woken finds it free sooner if it is not.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_cond_signal(struct weft_cond *c);
WEFT_API void weft_cond_broadcast(struct weft_cond *c);

/* As weft_mutex_destroy().  Context: any thread; does not block. */
WEFT_API void weft_cond_destroy(struct weft_cond *c);

/* The most readers at a time; one more waits. */
#define WEFT_RWLOCK_READERS ((uint64_t)1 << 30)

/* Private: the word in units of one reader, used at all, and free. */
#define WEFT_RWLOCK_ONE_  ((uint64_t)16)
#define WEFT_RWLOCK_BORN_ ((uint64_t)8)
#define WEFT_RWLOCK_FREE_                                                      \
	(WEFT_RWLOCK_READERS * WEFT_RWLOCK_ONE_ | WEFT_RWLOCK_BORN_)

/*
 * A lock for many readers or one writer at a time.
 *
 * First come, first served: while anybody waits nobody goes past, so neither
 * writers nor readers are starved.  Readers who wait next to each other get it
 * together.  So who holds it to read must not lock it to read again: a writer
 * may wait in between.
 *
 * As long as nobody waits, lock and unlock are one atomic step each, inline.
 */
struct weft_rwlock {
	uint64_t word_;
	void *first_, *last_;
};

/* The slow halves of lock and unlock.  Context: as those. */
WEFT_API int weft_rwlock_read_lock_slow_(struct weft_rwlock *l);
WEFT_API int weft_rwlock_write_lock_slow_(struct weft_rwlock *l);
WEFT_API void weft_rwlock_read_unlock_slow_(struct weft_rwlock *l);
WEFT_API void weft_rwlock_write_unlock_slow_(struct weft_rwlock *l);

/*
 * Lock it.  On a fiber this cannot fail.
 *
 * Context: any thread; waits, shielded.
 */
static inline int weft_rwlock_read_lock(struct weft_rwlock *l)
{
	uint64_t w = __atomic_load_n(&l->word_, __ATOMIC_RELAXED);

	while (w % WEFT_RWLOCK_ONE_ == WEFT_RWLOCK_BORN_ &&
	       w > WEFT_RWLOCK_ONE_)
		/* acquire [batch-given] */
		if (__atomic_compare_exchange_n(
			    &l->word_, &w, w - WEFT_RWLOCK_ONE_, false,
			    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return 0;
	return weft_rwlock_read_lock_slow_(l);
}

static inline int weft_rwlock_write_lock(struct weft_rwlock *l)
{
	uint64_t unlocked = WEFT_RWLOCK_FREE_;

	/* acquire [batch-given] */
	if (__atomic_compare_exchange_n(&l->word_, &unlocked, WEFT_RWLOCK_BORN_,
					false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return 0;
	return weft_rwlock_write_lock_slow_(l);
}

/*
 * Lock it, but wait no longer than until `deadline`, and not when cancelled.
 *
 * Context: any thread; waits.
 */
WEFT_API int weft_rwlock_read_lock_until(struct weft_rwlock *l,
					 weft_time deadline);
WEFT_API int weft_rwlock_write_lock_until(struct weft_rwlock *l,
					  weft_time deadline);

/*
 * Lock it if that is possible at once.
 *
 * Context: any thread; does not block.
 * Errors: -EBUSY a writer has it, or a reader (write), or somebody waits.
 */
WEFT_API int weft_rwlock_try_read_lock(struct weft_rwlock *l);
WEFT_API int weft_rwlock_try_write_lock(struct weft_rwlock *l);

/*
 * Unlock it, as it was locked.  To unlock one that is not locked aborts.
 *
 * Context: any thread; does not block.
 */
static inline void weft_rwlock_read_unlock(struct weft_rwlock *l)
{
	uint64_t w = __atomic_load_n(&l->word_, __ATOMIC_RELAXED);

	while (w % WEFT_RWLOCK_ONE_ == WEFT_RWLOCK_BORN_ &&
	       w < WEFT_RWLOCK_FREE_)
		/* release [batch-given] */
		if (__atomic_compare_exchange_n(
			    &l->word_, &w, w + WEFT_RWLOCK_ONE_, false,
			    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			return;
	weft_rwlock_read_unlock_slow_(l);
}

static inline void weft_rwlock_write_unlock(struct weft_rwlock *l)
{
	uint64_t alone = WEFT_RWLOCK_BORN_;

	/* release [batch-given] */
	if (!__atomic_compare_exchange_n(&l->word_, &alone, WEFT_RWLOCK_FREE_,
					 false, __ATOMIC_RELEASE,
					 __ATOMIC_RELAXED))
		weft_rwlock_write_unlock_slow_(l);
}

/*
 * Make a reader of the writer: nobody writes in between, and the readers who
 * wait in front come in too.
 *
 * Context: any thread, which has it to write; does not block.
 */
WEFT_API void weft_rwlock_downgrade(struct weft_rwlock *l);

/* As weft_mutex_destroy().  Context: any thread; does not block. */
WEFT_API void weft_rwlock_destroy(struct weft_rwlock *l);

/*
 * Something that happens once.
 */
struct weft_once {
	uint32_t word_;
	void *runner_;
	struct weft_queue_ queue_;
};

/* The slow half of it.  Context: as that. */
WEFT_API int weft_once_run_slow_(struct weft_once *o, int (*fn)(void *arg),
				 void *arg);

/*
 * Run fn(arg), unless that has happened already; who comes while somebody else
 * runs its function waits for that.  0: it has happened, and what it did is
 * seen.  Afterwards a call is one load, inline.
 *
 * A function that returns less than 0 has failed, and its caller gets that; it
 * has not happened then, and the next who waits or comes runs its own.  The
 * function may wait.  It has to return: if it ends its fiber or thread instead,
 * the others wait for ever.  On a fiber, to call it for the same object from
 * inside aborts.
 *
 * Context: any thread; waits, shielded.
 * Errors: what the function returns.
 */
static inline int weft_once_run(struct weft_once *o, int (*fn)(void *arg),
				void *arg)
{
	/* acquire [once-done] */
	if (__builtin_expect(__atomic_load_n(&o->word_, __ATOMIC_ACQUIRE) == 2u,
			     1))
		return 0;
	return weft_once_run_slow_(o, fn, arg);
}

/* As weft_mutex_destroy().  Context: any thread; does not block. */
WEFT_API void weft_once_destroy(struct weft_once *o);

/* Those who wait until something is complete.  Private. */
struct weft_round_ {
	struct weft_queue_ queue_;
	uint64_t count_, number_;
};

/* What one of those who pass a barrier together gets. */
#define WEFT_BARRIER_LAST 1

/*
 * A barrier: whoever comes waits until n have come, and then all go on, and it
 * is as in the beginning for the next n.
 */
struct weft_barrier {
	struct weft_round_ round_;
};

/*
 * Make it one for n at a time; zero bytes hold up nobody.
 *
 * Context: any thread, before others use it; does not block.
 * Errors: -EINVAL n is 0.
 */
WEFT_API int weft_barrier_init(struct weft_barrier *b, uint32_t n);

/*
 * Wait until n have come.  The last of them gets WEFT_BARRIER_LAST, the others
 * 0.  After an error the caller has not come: the others wait for one more.
 * All n are let go together, or none: who is cancelled when the last one has
 * come already gets 0.
 *
 * Context: any thread; waits.
 */
WEFT_API int weft_barrier_wait(struct weft_barrier *b);
WEFT_API int weft_barrier_wait_until(struct weft_barrier *b,
				     weft_time deadline);

/* As weft_mutex_destroy().  Context: any thread; does not block. */
WEFT_API void weft_barrier_destroy(struct weft_barrier *b);

/*
 * A latch: a count that goes down to zero, once.  Who is let go by that may
 * free it at once, if nobody else is to wait.
 */
struct weft_latch {
	struct weft_round_ round_;
};

/*
 * Let it count down from n; zero bytes are a latch that is open.
 *
 * Context: any thread, before others use it; does not block.
 */
WEFT_API void weft_latch_init(struct weft_latch *l, uint64_t n);

/*
 * Count down by n.  Below zero aborts.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_latch_arrive(struct weft_latch *l, uint64_t n);

/*
 * Wait until it is at zero.  _arrive_and_ counts down by one first: that stands
 * if the wait ends by an error then, but not if the caller might not wait to
 * begin with (-ECANCELED, -ENOMEM, or -ETIMEDOUT of its scope).
 *
 * Context: any thread; waits; _try_ does not block.
 * Errors: try: -EAGAIN it is not.
 */
WEFT_API int weft_latch_wait(struct weft_latch *l);
WEFT_API int weft_latch_wait_until(struct weft_latch *l, weft_time deadline);
WEFT_API int weft_latch_arrive_and_wait(struct weft_latch *l);
WEFT_API int weft_latch_arrive_and_wait_until(struct weft_latch *l,
					      weft_time deadline);
WEFT_API int weft_latch_try_wait(struct weft_latch *l);

/* As weft_mutex_destroy().  Context: any thread; does not block. */
WEFT_API void weft_latch_destroy(struct weft_latch *l);

/* The most that a group can have to wait for. */
#define WEFT_GROUP_MAX ((uint64_t)INT64_MAX)

/*
 * A group: wait for any number of things to be done, however they are.
 *
 *      for (i = 0; i < count; i++) {
 *              weft_group_add(&g, 1);
 *              weft_spawn(NULL, NULL, work, &item[i]);   calls done at its end
 *      }
 *      weft_group_wait(&g);
 *
 * Who is let go may free it at once, if nobody else is to wait, or go on with
 * it.
 */
struct weft_group {
	struct weft_round_ round_;
};

/*
 * n more are to be done.  To be waited for they have to be added before the
 * wait, or while others are to be done yet.  More than WEFT_GROUP_MAX aborts.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_group_add(struct weft_group *g, uint64_t n);

/*
 * One is done.  More than were added aborts.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_group_done(struct weft_group *g);

/*
 * Wait until all are done that were added: until it has been so for a moment.
 *
 * Context: any thread; waits.
 */
WEFT_API int weft_group_wait(struct weft_group *g);
WEFT_API int weft_group_wait_until(struct weft_group *g, weft_time deadline);

/* As weft_mutex_destroy().  Context: any thread; does not block. */
WEFT_API void weft_group_destroy(struct weft_group *g);

/*
 * A notification: that something has happened, without saying what.
 *
 * It keeps one permit: a weft_notify_one() that finds nobody waiting lets the
 * next wait return at once, but several of them let only one.  So whoever looks
 * for work, waits, and looks again, misses none:
 *
 *      while (weft_notify_wait(&n) == 0)
 *              while ((job = take_job()))
 *                      run(job);
 */
struct weft_notify {
	bool permit_;
	uint32_t calls_;
	struct weft_queue_ queue_;
};

/*
 * Wait to be notified, or take the permit.  One that a notification reaches
 * just as it is cancelled, or comes to its deadline, has been notified: 0.
 * _try_ takes the permit if it is there.
 *
 * Context: any thread; waits; _try_ does not block.
 * Errors: try: -EAGAIN.
 */
WEFT_API int weft_notify_wait(struct weft_notify *n);
WEFT_API int weft_notify_wait_until(struct weft_notify *n, weft_time deadline);
WEFT_API int weft_notify_try_wait(struct weft_notify *n);

/*
 * Notify the one who has waited longest; if nobody waits, leave the permit.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_notify_one(struct weft_notify *n);

/*
 * Notify all who wait at this moment; it leaves no permit.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_notify_all(struct weft_notify *n);

/*
 * For weft_select(): to be notified, or take the permit.  The result is 0.
 *
 * Context: any thread; does not block.
 */
WEFT_API struct weft_case weft_case_notified(struct weft_notify *n);

/* As weft_mutex_destroy().  Context: any thread; does not block. */
WEFT_API void weft_notify_destroy(struct weft_notify *n);

WEFT_END

#endif
