/* SPDX-License-Identifier: MIT */
/*
 * runq.h - the fibers that a worker runs next.
 *
 * The owner's own part needs no locked instruction, and nobody else may touch
 * it.  The shared part is a ring that thieves reach; the owner fills it, when
 * somebody is hungry, with the older half of its own.
 *
 *      owner's     next    the fiber woken last: taken first, but only STREAK
 *                          times in a row, then it queues up behind `woken`
 *                  fresh   newly spawned and never run: the newest first, so
 *                          that a fork-join tree is walked depth-first
 *                  woken   in order
 *      shared      ring    older than all of those; in order, for thieves and
 *                          for the owner alike
 *
 * Order of taking: next; then fresh, but one turn in FIFO_EVERY goes past it;
 * then ring; then woken.
 *
 * The ring: `tail` is the owner's, `head` moves by compare-and-swap only.
 *
 *      push    owner   slots[tail] = f; tail + 1          release [ring-filled]
 *      take    anyone  read head, tail, the slots; then   acquire [ring-filled]
 *                      head + n by CAS                    release [ring-taken]
 *              The owner reuses a slot only after it has  acquire [ring-taken]
 *              seen a head beyond it.
 *
 * A taker reads head first, and acquires: so tail is never behind it, and if
 * head has moved since, which alone can make them seem further apart than they
 * are, the CAS fails.  What a taker has read from a slot counts only if its CAS
 * succeeds: while head stands, the owner does not write that slot.  The
 * counters are 32 bits and wrap; a CAS is fooled only by 2^32 fibers passing
 * during one steal.
 *
 * Rejected: Chase and Lev's deque, whose owner needs a full fence a take; and
 * a ring alone for everything (Go, Tokio), whose owner needs a CAS a take,
 * three times a yield's cost.
 *
 * A fiber alone in the queue is not shared: to steal it costs more than to run
 * it.  Where fibers run for long between two switches that is wrong, and the
 * owner does not know, as it reads no clock; the sentinel does (run/sentinel.h)
 * and makes the queue eager: then everything is shared with whoever would take
 * it, `next` too.
 */
#ifndef WF_RUNQ_H
#define WF_RUNQ_H

#include "core/fiber.h"

#ifndef WF_RUNQ_CAP
#define WF_RUNQ_CAP 256 /* a power of two */
#endif

/* Cache lines of the stack through which a fiber comes back. */
#define WF_LINES_YIELD 4
#define WF_LINES_WAIT  10

struct wf_runq {
	_Atomic(struct weft_fiber *) next; /* owner writes */
	struct wf_list fresh;              /* owner: the newest at the tail */
	struct wf_list woken;              /* owner: the oldest at the head */
	_Atomic uint32_t count;            /* owner writes: fresh and woken */
	_Atomic bool eager;                /* sentinel writes: see below */
	uint32_t streak; /* owner: times in a row `next` was taken */
	uint32_t turn;   /* owner */
	/* atomic: see above */
	_Atomic uint32_t tail WF_ALIGNED(WF_CACHE_LINE);
	_Atomic uint32_t head WF_ALIGNED(WF_CACHE_LINE);
	_Atomic(struct weft_fiber *) ring[WF_RUNQ_CAP];
};

/* Context of these: the owner. */

/* A fiber was woken by an event, or yields. */
static inline void runq_push(struct wf_runq *q, struct weft_fiber *f)
{
	list_push(&q->woken, &f->link);
	atom_bump_rlx(&q->count);
}

/* A fiber was woken by the one that runs; it goes on soon. */
static inline void runq_wake(struct wf_runq *q, struct weft_fiber *f)
{
	struct weft_fiber *before = atom_load_rlx(&q->next);

	if (before)
		runq_push(q, before);
	atom_store_rlx(&q->next, f);
}

/* A fiber that has never run. */
static inline void runq_spawn(struct wf_runq *q, struct weft_fiber *f)
{
	list_push(&q->fresh, &f->link);
	atom_bump_rlx(&q->count);
}

/* Whether there is something to steal, at this moment.  Context: anyone. */
static inline bool runq_offers(struct wf_runq *q)
{
	return atom_load_rlx(&q->tail) != atom_load_rlx(&q->head);
}

/* Whether anything waits here, at this moment.  Context: anyone. */
static inline bool runq_waiting(struct wf_runq *q)
{
	return atom_load_rlx(&q->next) || atom_load_rlx(&q->count) ||
	       runq_offers(q);
}

/* Fetch what the switch after the next one will need first. */
static inline void runq_prefetch(struct wf_runq *q)
{
	struct wf_link *head = q->woken.head;

	if (!head)
		return;
	if (head->next)
		wf_prefetch(fiber_of(head->next));
	fiber_prefetch(fiber_of(head), 0, WF_LINES_YIELD, wf_prefetch);
}

/*
 * And what that fiber needs then if it has waited: who waits is most often
 * among others who do.
 */
static inline void runq_prefetch_rest(struct wf_runq *q)
{
	struct wf_link *head = q->woken.head;

	if (head)
		fiber_prefetch(fiber_of(head), WF_LINES_YIELD, WF_LINES_WAIT,
			       wf_prefetch);
}

/* NULL if there is none. */
struct weft_fiber *wf_runq_pop(struct wf_runq *q);

/* The same; most of the time there are only woken ones. */
static inline struct weft_fiber *runq_pop(struct wf_runq *q)
{
	struct weft_fiber *f;

	if (unlikely(atom_load_rlx(&q->next) || q->fresh.tail ||
		     !q->woken.head || runq_offers(q)))
		return wf_runq_pop(q);
	q->streak = 0;
	atom_drop_rlx(&q->count);
	f = fiber_of(list_pop(&q->woken));
	runq_prefetch(q);
	return f;
}

/*
 * Put the older half into the ring, as much as fits, and say whether there is
 * anything in it.
 */
bool wf_runq_share(struct wf_runq *q);

/* More than a thief would leave alone. */
static inline bool runq_shareable(struct wf_runq *q)
{
	if (unlikely(atom_load_rlx(&q->eager)))
		return atom_load_rlx(&q->count) || atom_load_rlx(&q->next);
	return atom_load_rlx(&q->count) > 1;
}

/* Context of these: anyone. */

/*
 * Take half of the ring of `from`, the oldest; return one, and queue the rest
 * in `to`, which the caller owns; *count is how many.  NULL if there is
 * nothing, or a thief was faster: the caller goes on to the next victim.
 */
struct weft_fiber *wf_runq_steal(struct wf_runq *to, struct wf_runq *from,
				 uint32_t *count);

#endif
