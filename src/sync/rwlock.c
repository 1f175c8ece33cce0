/* SPDX-License-Identifier: MIT */
/*
 * rwlock.c - the lock of readers and writers: a batch semaphore, of which a
 * reader holds one permit and a writer all.
 *
 * The word is zero until the lock is used first; by then it is born: it has
 * its permits, and BORN.  The fast paths are inline and take the word as it is
 * when nobody waits and nobody is at the queue, see batch.h.
 */
#include <errno.h>

#include "base/check.h"
#include "sync/batch.h"
#include "weft/sync.h"

#define BORN WF_BATCH_BORN
#define ALL  WEFT_RWLOCK_READERS

_Static_assert(sizeof(struct wf_batch) == sizeof(struct weft_rwlock) &&
		       _Alignof(struct wf_batch) ==
			       _Alignof(struct weft_rwlock),
	       "a batch fits into its place in the public struct");
_Static_assert(BORN == WEFT_RWLOCK_BORN_ && WF_BATCH_ONE == WEFT_RWLOCK_ONE_,
	       "the inline paths know the word");
_Static_assert(ALL <= WF_BATCH_MAX, "a writer can have all");

static struct wf_batch *batch_of(struct weft_rwlock *l)
{
	return (struct wf_batch *)(void *)l;
}

/* Who finds it born needs nothing else that was written before. */
static struct wf_batch *bear(struct weft_rwlock *l)
{
	struct wf_batch *b = batch_of(l);
	uint64_t unborn = 0;

	if (unlikely(!(atom_load_rlx(&b->word) & BORN)))
		atom_cas_rlx(&b->word, &unborn, ALL * WF_BATCH_ONE | BORN);
	return b;
}

/* --- lock --- */

int weft_rwlock_read_lock_slow_(struct weft_rwlock *l)
{
	return wf_batch_acquire(bear(l), 1, WEFT_FOREVER, true, "read lock");
}

int weft_rwlock_write_lock_slow_(struct weft_rwlock *l)
{
	return wf_batch_acquire(bear(l), ALL, WEFT_FOREVER, true, "write lock");
}

int weft_rwlock_read_lock_until(struct weft_rwlock *l, weft_time deadline)
{
	return wf_batch_acquire(bear(l), 1, deadline, false, "read lock");
}

int weft_rwlock_write_lock_until(struct weft_rwlock *l, weft_time deadline)
{
	return wf_batch_acquire(bear(l), ALL, deadline, false, "write lock");
}

int weft_rwlock_try_read_lock(struct weft_rwlock *l)
{
	return wf_batch_take(bear(l), 1) ? -EBUSY : 0;
}

int weft_rwlock_try_write_lock(struct weft_rwlock *l)
{
	return wf_batch_take(bear(l), ALL) ? -EBUSY : 0;
}

/* --- unlock --- */

/* While there are waiters nothing is free, whoever holds it. */
void weft_rwlock_read_unlock_slow_(struct weft_rwlock *l)
{
	uint64_t w = atom_load_rlx(&batch_of(l)->word);

	if (!(w & BORN) || batch_free(w) >= ALL)
		wf_panic("an rwlock is unlocked that is not locked");
	wf_batch_give(batch_of(l), 1);
}

static void check_written(struct weft_rwlock *l)
{
	uint64_t w = atom_load_rlx(&batch_of(l)->word);

	if (!(w & BORN) || batch_free(w) > 0)
		wf_panic(
			"an rwlock is not locked to write, but let go as such");
}

void weft_rwlock_write_unlock_slow_(struct weft_rwlock *l)
{
	check_written(l);
	wf_batch_give(batch_of(l), ALL);
}

void weft_rwlock_downgrade(struct weft_rwlock *l)
{
	check_written(l);
	wf_batch_give(batch_of(l), ALL - 1);
}

void weft_rwlock_destroy(struct weft_rwlock *l)
{
	uint64_t w = atom_load_rlx(&batch_of(l)->word);

	(void)w;
	DCHECK(w == 0 || w == (ALL * WF_BATCH_ONE | BORN));
}
