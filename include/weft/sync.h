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

WEFT_END

#endif
