/* SPDX-License-Identifier: MIT */
/*
 * once.c - something that happens once.
 *
 * One word, beside the queue of those who wait until it has happened:
 *
 *      NEW        it has not happened, and nobody is at it
 *      RUNNING    somebody is
 *      DONE       it has
 *
 *      begin    NEW -> RUNNING, under the queue's lock
 *      end      RUNNING -> DONE, and wake all; or, if it    release [once-done]
 *               has failed, RUNNING -> NEW, and wake the
 *               first to try; both under the queue's lock
 *      pass     DONE is seen, inline                        acquire [once-done]
 *
 * Who wakes looks again: another may have begun meanwhile.
 */
#include <errno.h>

#include "base/check.h"
#include "core/self.h"
#include "sync/queue.h"

#define NEW     0u
#define RUNNING 1u
#define DONE    2u

static _Atomic uint32_t *word_of(struct weft_once *o)
{
	return (_Atomic uint32_t *)&o->word_;
}

static struct wf_queue *queue_of(struct weft_once *o)
{
	return queue_in(&o->queue_);
}

/* Context: the queue's lock is held. */
static uint32_t begin_or_join(struct weft_once *o, struct wf_seat *s)
{
	uint32_t found = atom_load_rlx(word_of(o));

	if (found == RUNNING) {
		if (unlikely(o->runner_ && o->runner_ == wf_self()))
			wf_panic("a once is called by what it runs");
		queue_join(queue_of(o), &s->node);
	} else if (found == NEW) {
		atom_store_rlx(word_of(o), RUNNING);
		o->runner_ = wf_self();
	}
	return found;
}

/* Returns what it was: if NEW, then it is ours to do; else it may be now. */
static uint32_t begin_or_wait(struct weft_once *o, struct weft_fiber *me)
{
	struct wf_queue *q = queue_of(o);
	struct wf_seat seat;
	uint32_t found;

	seat_begin(&seat, me, "once", o);
	spin_lock(&q->lock);
	found = begin_or_join(o, &seat);
	spin_unlock(&q->lock);
	if (found == RUNNING)
		wf_queue_wait(q, &seat, WEFT_FOREVER, true);
	return found;
}

static void end(struct weft_once *o, int result)
{
	struct wf_queue *q = queue_of(o);
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	spin_lock(&q->lock);
	/* release [once-done] */
	atom_store_rel(word_of(o), result < 0 ? NEW : DONE);
	if (result < 0)
		wf_queue_claim(q, 0, &wakes);
	spin_unlock(&q->lock);
	wf_wakes_fire(&wakes, NULL);
	if (result >= 0)
		wf_queue_wake_all(q, 0);
}

int weft_once_run_slow_(struct weft_once *o, int (*fn)(void *arg), void *arg)
{
	struct weft_fiber *me = wf_waiter_begin();
	uint32_t found;
	int r;

	if (!me)
		return -ENOMEM;
	do
		found = begin_or_wait(o, me);
	while (found == RUNNING);
	wf_waiter_end(me);
	if (found == DONE)
		return 0;
	r = fn(arg);
	end(o, r);
	return r < 0 ? r : 0;
}

void weft_once_destroy(struct weft_once *o)
{
	DCHECK(atom_load_rlx(word_of(o)) != RUNNING);
	wf_queue_check_empty(queue_of(o), "once");
}
