/* SPDX-License-Identifier: MIT */
/*
 * queue.h - who waits for an object of this floor, in order, and the lock over
 * object and queue.
 *
 * A waiter has a seat on its stack and is linked by its node while it waits:
 *
 *      join     under the lock, after looking whether it has to wait
 *      claim    under the lock, by whoever has something for the first: takes
 *               it out, and says what its call returns; fire after unlocking
 *      wait     without the lock: until fired, or given up; then it leaves
 *               the queue by itself
 *
 * See core/wait.h, whose protocol this is, for objects with one queue and waits
 * with one node.  Zero is an empty queue, and what public structs hold in its
 * place is as large.
 */
#ifndef WF_QUEUE_H
#define WF_QUEUE_H

#include "base/spin.h"
#include "core/wait.h"
#include "weft/sync.h"

struct wf_queue {
	struct wf_spin lock;
	uint32_t count; /* lock: who waits */
	struct wf_list list;
};

_Static_assert(sizeof(struct wf_queue) == sizeof(struct weft_queue_) &&
		       _Alignof(struct wf_queue) ==
			       _Alignof(struct weft_queue_),
	       "a queue fits into its place in a public struct");

struct wf_seat {
	struct wf_wait wait;
	struct wf_node node;
	int result; /* of the wait, for who has claimed it to say */
};

static inline struct wf_queue *queue_in(struct weft_queue_ *place)
{
	return (struct wf_queue *)(void *)place;
}

static inline struct wf_seat *seat_of(struct wf_link *link)
{
	return container_of(node_of(link), struct wf_seat, node);
}

/* `object` is shown to those who look at the waiter. */
static inline void seat_begin(struct wf_seat *s, struct weft_fiber *me,
			      const char *what, const void *object)
{
	wait_begin(&s->wait, me, what, (uintptr_t)object);
	s->wait.alone = true;
	s->node = (struct wf_node){.wait = &s->wait};
	s->result = 0;
}

/* Context of these: the lock is held. */

static inline void queue_join(struct wf_queue *q, struct wf_node *node)
{
	list_push(&q->list, &node->link);
	q->count++;
}

/* False, and nothing done, if it has been taken out already. */
static inline bool queue_leave(struct wf_queue *q, struct wf_node *node)
{
	bool linked = list_remove(&q->list, &node->link);

	q->count -= linked;
	return linked;
}

/* Take out the first, of which there is one. */
static inline struct wf_node *queue_pop(struct wf_queue *q)
{
	q->count--;
	return node_of(list_pop(&q->list));
}

/* Take out the first and let its wait end with `result`; NULL: nobody waits. */
struct wf_seat *wf_queue_claim(struct wf_queue *q, int result,
			       struct wf_wakes *wakes);

/* Context of these: the lock is not held. */

/* queue_leave(). */
bool wf_queue_leave(struct wf_queue *q, struct wf_node *node);

/*
 * Sleep until claimed, and return the result; or leave the queue with an error
 * of wf_wait_sleep().
 */
int wf_queue_wait(struct wf_queue *q, struct wf_seat *s, weft_time deadline,
		  bool shielded);

/*
 * Let all who wait now end with `result`, in passes of WF_WAKES to each hold of
 * the lock; those who come meanwhile may be among them.
 */
void wf_queue_wake_all(struct wf_queue *q, int result);

/* Debug check: nobody waits for what is to be forgotten. */
void wf_queue_check_empty(struct wf_queue *q, const char *what);

#endif
