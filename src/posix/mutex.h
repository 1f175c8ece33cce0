/* SPDX-License-Identifier: MIT */
/*
 * mutex.h - locking and unlocking, as other objects need it of a mutex; and
 * who owns a lock.
 */
#ifndef WF_POSIX_MUTEX_H
#define WF_POSIX_MUTEX_H

#include <pthread.h>
#include <stdbool.h>

#include "posix/identity.h"

/*
 * Who the caller is, as owners of our locks are named.  A fiber stays the same
 * when it gets a thread of its own.
 */
static inline uint32_t lock_owner(void)
{
	struct wf_identity *me = identity_own();

	return me ? me->id : libc_owner();
}

/*
 * Before the use of a lock of libc's in which the owner's number is read by the
 * kernel, or by other processes: it has to be a thread's of the kernel.
 *
 * Errors: EAGAIN, ENOMEM.
 */
int wf_lock_as_thread(void);

/* Whether it is one of ours, and not one of libc's. */
bool wf_mutex_ours(const pthread_mutex_t *m);

/* pthread_mutex_lock() and the others, of either sort, where hooks are on. */
int wf_mutex_take(pthread_mutex_t *m);
int wf_mutex_try(pthread_mutex_t *m);
int wf_mutex_take_until(pthread_mutex_t *m, clockid_t clock,
			const struct timespec *ts);
int wf_mutex_drop(pthread_mutex_t *m);

#endif
