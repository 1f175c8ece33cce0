/* SPDX-License-Identifier: MIT */
/*
 * queue.h - who waits for an object of the floor sync.
 */
#ifndef T_QUEUE_H
#define T_QUEUE_H

#include "support/t.h"
#include "sync/batch.h"
#include "sync/queue.h"
#include "weft/fiber.h"

/* Whether _destroy() looks. */
#ifdef WEFT_CHECKS
#define T_CHECKED 1
#else
#define T_CHECKED 0
#endif

static inline size_t t_length(const struct wf_list *list)
{
	size_t n = 0;

	list_for_each (link, list)
		n++;
	return n;
}

/* How many wait, at this moment. */
static inline size_t t_queued(struct weft_queue_ *place)
{
	struct wf_queue *q = queue_in(place);
	size_t n;

	spin_lock(&q->lock);
	n = t_length(&q->list);
	spin_unlock(&q->lock);
	return n;
}

/* The same for a semaphore, or an rwlock: whatever is a batch. */
static inline size_t t_queued_batch(void *object)
{
	struct wf_batch *b = object;
	uint64_t w = atom_load_rlx(&b->word);
	size_t n;

	while (w & WF_BATCH_LOCK ||
	       !atom_cas_acq(&b->word, &w, w | WF_BATCH_LOCK)) {
		wf_cpu_relax();
		w = atom_load_rlx(&b->word);
	}
	n = t_length(&b->queue);
	atom_store_rel(&b->word, w);
	return n;
}

/* Until so many wait.  Context: whoever may yield. */
static inline void t_await_queued(struct weft_queue_ *place, size_t n)
{
	while (t_queued(place) != n)
		weft_yield();
}

static inline void t_await_queued_batch(void *object, size_t n)
{
	while (t_queued_batch(object) != n)
		weft_yield();
}

#endif
