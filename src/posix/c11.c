/* SPDX-License-Identifier: MIT */
/*
 * c11.c - mutexes and conditions of C11 that let fibers wait.
 *
 * libc's are its pthread mutexes and conditions, and so are these.
 */
#include <errno.h>

#include "posix/cond.h"
#include "posix/libc.h"
#include "posix/mutex.h"
#include "posix/once.h"

static pthread_mutex_t *mutex_of(mtx_t *m)
{
	return (pthread_mutex_t *)m;
}

static pthread_cond_t *cond_of(cnd_t *c)
{
	return (pthread_cond_t *)c;
}

static int result_of(int error)
{
	switch (error) {
	case 0:
		return thrd_success;
	case ENOMEM:
		return thrd_nomem;
	case ETIMEDOUT:
		return thrd_timedout;
	case EBUSY:
		return thrd_busy;
	default:
		return thrd_error;
	}
}

WF_HOOK int mtx_lock(mtx_t *m)
{
	return libc_alone() ? libc(mtx_lock)(m)
			    : result_of(wf_mutex_take(mutex_of(m)));
}

WF_HOOK int mtx_trylock(mtx_t *m)
{
	return libc_alone() ? libc(mtx_trylock)(m)
			    : result_of(wf_mutex_try(mutex_of(m)));
}

WF_HOOK int mtx_timedlock(mtx_t *m, const struct timespec *ts)
{
	return libc_alone() ? libc(mtx_timedlock)(m, ts)
			    : result_of(wf_mutex_take_until(
				      mutex_of(m), CLOCK_REALTIME, ts));
}

WF_HOOK int mtx_unlock(mtx_t *m)
{
	return libc_alone() ? libc(mtx_unlock)(m)
			    : result_of(wf_mutex_drop(mutex_of(m)));
}

WF_HOOK int cnd_wait(cnd_t *c, mtx_t *m)
{
	return libc_alone() ? libc(cnd_wait)(c, m)
			    : result_of(wf_cond_wait(cond_of(c), mutex_of(m),
						     CLOCK_MONOTONIC, NULL));
}

WF_HOOK int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *ts)
{
	return libc_alone() ? libc(cnd_timedwait)(c, m, ts)
			    : result_of(wf_cond_wait(cond_of(c), mutex_of(m),
						     CLOCK_REALTIME, ts));
}

WF_HOOK int cnd_signal(cnd_t *c)
{
	return libc_alone() ? libc(cnd_signal)(c)
			    : result_of(wf_cond_signal(cond_of(c)));
}

WF_HOOK int cnd_broadcast(cnd_t *c)
{
	return libc_alone() ? libc(cnd_broadcast)(c)
			    : result_of(wf_cond_broadcast(cond_of(c)));
}

WF_HOOK void call_once(once_flag *flag, void (*init)(void))
{
	if (libc_alone())
		libc(call_once)(flag, init);
	else
		wf_once((pthread_once_t *)flag, init);
}
