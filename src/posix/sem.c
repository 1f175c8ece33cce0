/* SPDX-License-Identifier: MIT */
/*
 * sem.c - POSIX semaphores that let fibers wait.
 *
 * Of libc's object the note is read that sem_init() has left: whether it is
 * shared with other processes, as those of sem_open() are, which libc has to
 * see to.  In one of ours libc's first word is:
 *
 *      n        there are so many permits
 *      WAITED   there is none, and somebody may wait for one
 *
 *      wait     n -> n - 1                               acquire [sem-permit]
 *               0 -> WAITED; sleep while it is that
 *      post     n -> n + 1                               release [sem-permit]
 *               WAITED: give to the first; or -> 1       release [lot-given]
 *
 * A permit that is given does not show in the word: so nobody who comes later
 * goes past one who waits, and who is woken has it.
 *
 * After its step a post knows the semaphore by its address alone.  It may be
 * called by the handler of a signal: see quiet.h.
 */
#include <errno.h>
#include <limits.h>

#include "posix/deadline.h"
#include "posix/interrupt.h"
#include "posix/libc.h"
#include "posix/lot.h"
#include "posix/region.h"

#define WAITED 0x80000000u

/* What is libc's own business of it, and what is not. */
struct sem {
	_Atomic uint32_t word;
	uint32_t waiters; /* libc's */
	int shared;       /* constant */
};

_Static_assert(sizeof(struct sem) <= sizeof(sem_t), "a semaphore is larger");

static inline struct sem *sem_of(sem_t *s)
{
	return (struct sem *)s;
}

/* errno is for libc's callers. */
static int fail(int error)
{
	errno = error;
	return -1;
}

/* --- waiting --- */

static inline bool take(struct sem *s)
{
	uint32_t seen = atom_load_rlx(&s->word);

	while (seen && seen != WAITED) {
		/* acquire [sem-permit], [lot-given] */
		if (atom_cas_acq(&s->word, &seen, seen - 1))
			return true;
	}
	return false;
}

/* True: it is ours; else it is WAITED. */
static bool take_or_mark(struct sem *s)
{
	uint32_t none = 0;

	for (; !take(s); none = 0) {
		if (atom_cas_rlx(&s->word, &none, WAITED) || none == WAITED)
			return false;
	}
	return true;
}

/* Not all that ends a sleep is meant for this call. */
static int outcome(int r, struct wf_limit *limit)
{
	if (r == WF_LOT_GIVEN)
		return 0;
	if (r == -ETIMEDOUT && wf_limit_over(limit))
		return ETIMEDOUT;
	/* The kernel begins no sleep anew that has a time limit. */
	if (r == -EINTR &&
	    (!wf_interrupted() || limit->deadline != WEFT_FOREVER))
		return EINTR;
	return EAGAIN;
}

static WF_NOINLINE int wait_for(struct sem *s, clockid_t clock,
				const struct timespec *ts)
{
	struct wf_limit limit;
	int r = EAGAIN;

	wf_limit_begin(&limit, clock, ts);
	while (r == EAGAIN) {
		if (take_or_mark(s))
			return 0;
		r = outcome(wf_lot_wait(&s->word, WAITED, "semaphore",
					limit.deadline, true),
			    &limit);
	}
	return r ? fail(r) : 0;
}

static int take_until(struct sem *s, clockid_t clock, const struct timespec *ts)
{
	wf_cancellation_point();
	return likely(take(s)) ? 0 : wait_for(s, clock, ts);
}

/* The time has to be one in any case, as in libc. */
static int wait_until(sem_t *s, clockid_t clock, const struct timespec *ts)
{
	if (!wf_limit_valid(clock, ts))
		return fail(EINVAL);
	return sem_of(s)->shared ? REGION(sem_clockwait, s, clock, ts)
				 : take_until(sem_of(s), clock, ts);
}

/* --- posting --- */

static int post(struct sem *s)
{
	uint32_t seen = atom_load_rlx(&s->word);

	for (;;) {
		if (seen == WAITED) {
			if (wf_lot_give(&s->word, WAITED, WF_LOT_ANY, WAITED,
					1) != -EAGAIN)
				return 0;
			seen = atom_load_rlx(&s->word);
		} else if (seen == SEM_VALUE_MAX) {
			return fail(EOVERFLOW);
		} else {
			/* release [sem-permit] */
			if (atom_cas_rel(&s->word, &seen, seen + 1))
				return 0;
		}
	}
}

/* --- hooks --- */

WF_HOOK int sem_wait(sem_t *s)
{
	if (libc_alone())
		return libc(sem_wait)(s);
	return sem_of(s)->shared ? REGION(sem_wait, s)
				 : take_until(sem_of(s), CLOCK_MONOTONIC, NULL);
}

WF_HOOK int sem_clockwait(sem_t *s, clockid_t clock, const struct timespec *ts)
{
	return libc_alone() ? libc(sem_clockwait)(s, clock, ts)
			    : wait_until(s, clock, ts);
}

WF_HOOK int sem_timedwait(sem_t *s, const struct timespec *ts)
{
	return libc_alone() ? libc(sem_timedwait)(s, ts)
			    : wait_until(s, CLOCK_REALTIME, ts);
}

WF_HOOK int sem_trywait(sem_t *s)
{
	if (libc_alone() || sem_of(s)->shared)
		return libc(sem_trywait)(s);
	return take(sem_of(s)) ? 0 : fail(EAGAIN);
}

WF_HOOK int sem_post(sem_t *s)
{
	return libc_alone() || sem_of(s)->shared ? libc(sem_post)(s)
						 : post(sem_of(s));
}

WF_HOOK int sem_getvalue(sem_t *s, int *value)
{
	if (libc_alone() || sem_of(s)->shared)
		return libc(sem_getvalue)(s, value);
	*value = (int)(atom_load_rlx(&sem_of(s)->word) & ~WAITED);
	return 0;
}
