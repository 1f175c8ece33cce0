/* SPDX-License-Identifier: MIT */
/*
 * bell.c - see bell.h.
 */
#include "sync/bell.h"

static const struct wf_bell_kind *kind_of(struct weft_case *c)
{
	return container_of(c->kind_, struct wf_bell_kind, as);
}

bool wf_bell_attempt(struct weft_case *c)
{
	const struct wf_bell_kind *kind = kind_of(c);
	struct wf_queue *bell = kind->bell(c);
	bool ready;

	spin_lock(&bell->lock);
	ready = kind->ready(c);
	if (ready)
		c->result = kind->take(c);
	spin_unlock(&bell->lock);
	return ready;
}

enum wf_linked wf_bell_link(struct weft_case *c)
{
	const struct wf_bell_kind *kind = kind_of(c);
	struct wf_queue *bell = kind->bell(c);
	struct wf_node *node = case_node(c);
	bool ready;

	spin_lock(&bell->lock);
	ready = kind->ready(c);
	if (!ready)
		queue_join(bell, node);
	spin_unlock(&bell->lock);
	if (!ready)
		return WF_LINKED;
	return wait_withdraw(node->wait) ? WF_NOT_DONE : WF_LOST;
}

void wf_bell_unlink(struct weft_case *c)
{
	wf_queue_leave(kind_of(c)->bell(c), case_node(c));
}

/* Up to `left` of them, as many as one hold may; how many are left then. */
static uint32_t claim(struct wf_queue *bell, uint32_t left,
		      struct wf_wakes *wakes)
{
	if (left > bell->count)
		left = bell->count;
	while (left && wakes->count < WF_WAKES) {
		wait_claim(queue_pop(bell), wakes);
		left--;
	}
	return left;
}

void wf_bell_ring(struct wf_queue *bell)
{
	uint32_t left = bell->count;
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	for (;;) {
		left = claim(bell, left, &wakes);
		spin_unlock(&bell->lock);
		wf_wakes_fire(&wakes, NULL);
		if (!left)
			return;
		spin_lock(&bell->lock);
	}
}
