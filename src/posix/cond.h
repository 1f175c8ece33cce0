/* SPDX-License-Identifier: MIT */
/*
 * cond.h - waiting for conditions and signalling them, as other objects need
 * it.
 */
#ifndef WF_POSIX_COND_H
#define WF_POSIX_COND_H

#include <pthread.h>

/*
 * pthread_cond_clockwait() and the others, where hooks are on.  Without `ts`
 * for as long as it takes.
 */
int wf_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
		 const struct timespec *ts);
int wf_cond_signal(pthread_cond_t *c);
int wf_cond_broadcast(pthread_cond_t *c);

#endif
