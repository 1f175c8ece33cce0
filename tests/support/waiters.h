/* SPDX-License-Identifier: MIT */
/*
 * waiters.h - who waits on a descriptor: for unit tests and stress programs.
 */
#ifndef T_WAITERS_H
#define T_WAITERS_H

#include "io/source.h"
#include "sync/batch.h"
#include "sync/queue.h"
#include "weft/chan.h"
#include "weft/fiber.h"

/* How many do, at this moment. */
static inline size_t t_waiters(int fd)
{
	struct wf_source *s;
	size_t n = 0;

	if (wf_source_find(fd, &s) < 0 || !s)
		return 0;
	spin_lock(&s->lock);
	list_for_each (node, &s->waiters)
		n++;
	spin_unlock(&s->lock);
	wf_source_leave(s);
	return n;
}

/* The same of an object of weft/sync.h. */
static inline size_t t_queued(struct weft_queue_ *place)
{
	struct wf_queue *q = queue_in(place);
	size_t n = 0;

	spin_lock(&q->lock);
	list_for_each (node, &q->list)
		n++;
	spin_unlock(&q->lock);
	return n;
}

/* Of a channel: one of its two lists. */
static inline size_t t_queued_chan(struct weft_chan *c, void *list)
{
	struct wf_spin *lock = (struct wf_spin *)(void *)&c->lock_;
	size_t n = 0;

	spin_lock(lock);
	list_for_each (node, (struct wf_list *)list)
		n++;
	spin_unlock(lock);
	return n;
}

static inline size_t t_receivers(struct weft_chan *c)
{
	return t_queued_chan(c, &c->receiver_first_);
}

static inline size_t t_senders(struct weft_chan *c)
{
	return t_queued_chan(c, &c->sender_first_);
}

/* The same of a semaphore or an rwlock: of whatever is a batch. */
static inline size_t t_queued_batch(void *object)
{
	struct wf_batch *b = object;
	uint64_t w = atom_load_rlx(&b->word);
	size_t n = 0;

	while (w & WF_BATCH_LOCK ||
	       !atom_cas_acq(&b->word, &w, w | WF_BATCH_LOCK)) {
		wf_cpu_relax();
		w = atom_load_rlx(&b->word);
	}
	list_for_each (node, &b->queue)
		n++;
	atom_store_rel(&b->word, w);
	return n;
}

/* Until so many wait, or no more. */
static inline void t_await_queued(struct weft_queue_ *place, size_t n)
{
	while (t_queued(place) < n)
		weft_yield();
}

static inline void t_await_left(struct weft_queue_ *place, size_t n)
{
	while (t_queued(place) > n)
		weft_yield();
}

static inline void t_await_receivers(struct weft_chan *c, size_t n)
{
	while (t_receivers(c) < n)
		weft_yield();
}

static inline void t_await_senders(struct weft_chan *c, size_t n)
{
	while (t_senders(c) < n)
		weft_yield();
}

static inline void t_await_queued_batch(void *object, size_t n)
{
	while (t_queued_batch(object) < n)
		weft_yield();
}

#endif
