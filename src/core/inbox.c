/* SPDX-License-Identifier: MIT */
/*
 * inbox.c - see inbox.h.
 */
#include "core/inbox.h"

void wf_inbox_push(struct wf_inbox *b, struct weft_fiber *f)
{
	struct weft_fiber *newest = atom_load_rlx(&b->incoming);

	do
		f->link.next = newest ? &newest->link : NULL;
	/* release [inbox-filled] */
	while (!atom_cas_rel(&b->incoming, &newest, f));
}

/* Put the incoming in front of `mine`'s end, oldest first. */
static void collect(struct wf_inbox *b)
{
	/* acquire [inbox-filled] */
	struct weft_fiber *newest = atom_swap_acq(&b->incoming, NULL);
	struct wf_link *n = newest ? &newest->link : NULL, *older = NULL, *next;

	for (; n; n = next) {
		next = n->next;
		n->next = older;
		older = n;
	}
	for (n = older; n; n = next) {
		next = n->next;
		inbox_put(b, fiber_of(n));
	}
}

struct weft_fiber *wf_inbox_pop(struct wf_inbox *b)
{
	struct wf_link *n;

	if (atom_load_rlx(&b->incoming))
		collect(b);
	n = list_pop(&b->mine);
	if (!n)
		return NULL;
	atom_drop_rlx(&b->count);
	return fiber_of(n);
}
