/* SPDX-License-Identifier: MIT */
/*
 * inject.c - see inject.h.
 */
#include "core/inject.h"

void wf_inject_push(struct wf_inject *q, struct weft_fiber *f)
{
	spin_lock(&q->lock);
	list_push(&q->list, &f->link);
	atom_store_rlx(&q->count, atom_load_rlx(&q->count) + 1);
	spin_unlock(&q->lock);
}

struct weft_fiber *wf_inject_pop(struct wf_inject *q)
{
	struct wf_link *n;

	if (inject_empty(q))
		return NULL;
	spin_lock(&q->lock);
	n = list_pop(&q->list);
	if (n)
		atom_store_rlx(&q->count, atom_load_rlx(&q->count) - 1);
	spin_unlock(&q->lock);
	return n ? fiber_of(n) : NULL;
}
