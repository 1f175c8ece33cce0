/* SPDX-License-Identifier: MIT */
/*
 * runq.c - see runq.h.
 */
#include "core/runq.h"

#include "base/check.h"

#define STREAK     3
#define FIFO_EVERY 61

static struct weft_fiber *take(struct wf_runq *q, struct wf_list *l,
			       struct wf_link *n)
{
	list_remove(l, n);
	atom_drop_rlx(&q->count);
	return fiber_of(n);
}

/* --- the ring --- */

static bool ring_full(struct wf_runq *q)
{
	/* acquire [ring-taken] */
	uint32_t head = atom_load_acq(&q->head);

	return atom_load_rlx(&q->tail) - head == WF_RUNQ_CAP;
}

/* From here on the fiber is a thief's to touch. */
static void ring_push(struct wf_runq *q, struct weft_fiber *f)
{
	uint32_t tail = atom_load_rlx(&q->tail);

	atom_store_rlx(&q->ring[tail % WF_RUNQ_CAP], f);
	/* release [ring-filled] */
	atom_store_rel(&q->tail, tail + 1);
}

/* Up to `max` fibers from the head, oldest first; at most half, rounded up. */
static uint32_t ring_take(struct wf_runq *q, struct weft_fiber **to,
			  uint32_t max)
{
	/* acquire [ring-taken]: the tail read next is at least as new */
	uint32_t head = atom_load_acq(&q->head), n;

	for (;;) {
		/* acquire [ring-filled] */
		n = atom_load_acq(&q->tail) - head;
		if (n == 0)
			return 0;
		n = n - n / 2;
		n = n < max ? n : max;
		for (uint32_t i = 0; i < n; i++)
			to[i] = atom_load_rlx(
				&q->ring[(head + i) % WF_RUNQ_CAP]);
		/* release [ring-taken]; on failure acquire */
		if (atom_cas_ar(&q->head, &head, head + n))
			return n;
	}
}

static struct weft_fiber *ring_pop(struct wf_runq *q)
{
	struct weft_fiber *f = NULL;

	/* What was read is ours only if it was taken. */
	return runq_offers(q) && ring_take(q, &f, 1) ? f : NULL;
}

/* --- the owner's part --- */

/* Nobody is kept waiting by it. */
static bool alone_is_next(struct wf_runq *q)
{
	return !atom_load_rlx(&q->count) && !runq_offers(q);
}

static struct weft_fiber *pop_next(struct wf_runq *q)
{
	struct weft_fiber *f = atom_load_rlx(&q->next);

	if (!f)
		return NULL;
	atom_store_rlx(&q->next, NULL);
	if (q->streak++ < STREAK || alone_is_next(q))
		return f;
	runq_push(q, f);
	return NULL;
}

struct weft_fiber *wf_runq_pop(struct wf_runq *q)
{
	struct weft_fiber *f = pop_next(q);

	if (f)
		return f;
	q->streak = 0;
	if (q->fresh.tail && ++q->turn % FIFO_EVERY)
		return take(q, &q->fresh, q->fresh.tail);
	if ((f = ring_pop(q)))
		return f;
	if (q->woken.head) {
		f = take(q, &q->woken, q->woken.head);
		runq_prefetch(q);
		return f;
	}
	if (q->fresh.tail)
		return take(q, &q->fresh, q->fresh.tail);
	return NULL;
}

/* Move up to `n` fibers from the head of a list into the ring. */
static void share_from(struct wf_runq *q, struct wf_list *l, uint32_t n)
{
	while (n-- && l->head && !ring_full(q))
		ring_push(q, take(q, l, l->head));
}

static void give_up_next(struct wf_runq *q)
{
	struct weft_fiber *f = atom_load_rlx(&q->next);

	if (!f)
		return;
	atom_store_rlx(&q->next, NULL);
	runq_push(q, f);
}

bool wf_runq_share(struct wf_runq *q)
{
	uint32_t half;

	if (atom_load_rlx(&q->eager)) {
		give_up_next(q);
		half = (atom_load_rlx(&q->count) + 1) / 2;
	} else {
		half = atom_load_rlx(&q->count) / 2;
	}
	/* One share at a time: what is offered has to be wanted first. */
	if (!runq_offers(q)) {
		share_from(q, &q->woken, half);
		if (!runq_offers(q))
			share_from(q, &q->fresh, half);
	}
	return runq_offers(q);
}

struct weft_fiber *wf_runq_steal(struct wf_runq *to, struct wf_runq *from,
				 uint32_t *count)
{
	struct weft_fiber *loot[WF_RUNQ_CAP / 2];
	uint32_t n = ring_take(from, loot, array_count(loot));

	for (uint32_t i = 1; i < n; i++) {
		if (loot[i]->life)
			runq_push(to, loot[i]);
		else
			runq_spawn(to, loot[i]);
	}
	*count = n;
	return n ? loot[0] : NULL;
}
