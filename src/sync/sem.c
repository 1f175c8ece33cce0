/* SPDX-License-Identifier: MIT */
/*
 * sem.c - the semaphore: batch.h in public.
 */
#include <errno.h>

#include "base/check.h"
#include "sync/batch.h"
#include "weft/sync.h"

_Static_assert(sizeof(struct wf_batch) == sizeof(struct weft_sem) &&
		       _Alignof(struct wf_batch) == _Alignof(struct weft_sem),
	       "a batch fits into its place in the public struct");
_Static_assert(WEFT_SEM_MAX == WF_BATCH_MAX, "they count alike");

static struct wf_batch *batch_of(const struct weft_sem *s)
{
	return (struct wf_batch *)(void *)(uintptr_t)s;
}

int weft_sem_init(struct weft_sem *s, uint64_t permits)
{
	if (permits > WEFT_SEM_MAX)
		return -EINVAL;
	*s = (struct weft_sem){.word_ = permits * WF_BATCH_ONE};
	return 0;
}

int weft_sem_acquire_until(struct weft_sem *s, uint64_t n, weft_time deadline)
{
	if (n > WEFT_SEM_MAX)
		return -EINVAL;
	return wf_batch_acquire(batch_of(s), n, deadline, false, "semaphore");
}

int weft_sem_acquire(struct weft_sem *s, uint64_t n)
{
	return weft_sem_acquire_until(s, n, WEFT_FOREVER);
}

int weft_sem_try_acquire(struct weft_sem *s, uint64_t n)
{
	return n > WEFT_SEM_MAX ? -EINVAL : wf_batch_take(batch_of(s), n);
}

int weft_sem_release(struct weft_sem *s, uint64_t n)
{
	return n ? wf_batch_give(batch_of(s), n) : 0;
}

uint64_t weft_sem_available(const struct weft_sem *s)
{
	return batch_free(atom_load_rlx(&batch_of(s)->word));
}

void weft_sem_close(struct weft_sem *s)
{
	wf_batch_close(batch_of(s));
}

void weft_sem_destroy(struct weft_sem *s)
{
	(void)s;
	DCHECK(!(atom_load_rlx(&batch_of(s)->word) & WF_BATCH_WAITERS));
}
