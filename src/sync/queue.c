/* SPDX-License-Identifier: MIT */
/*
 * queue.c - see queue.h.
 */
#include "sync/queue.h"

#include "base/check.h"

struct wf_seat *wf_queue_claim(struct wf_queue *q, int result,
			       struct wf_wakes *wakes)
{
	struct wf_seat *s;

	if (list_empty(&q->list))
		return NULL;
	s = container_of(queue_pop(q), struct wf_seat, node);
	wait_claim(&s->node, wakes);
	s->result = result;
	return s;
}

bool wf_queue_leave(struct wf_queue *q, struct wf_node *node)
{
	bool linked;

	spin_lock(&q->lock);
	linked = queue_leave(q, node);
	spin_unlock(&q->lock);
	return linked;
}

int wf_queue_wait(struct wf_queue *q, struct wf_seat *s, weft_time deadline,
		  bool shielded)
{
	int r = wf_wait_sleep(&s->wait, deadline, shielded);

	if (r < 0 && wf_queue_leave(q, &s->node))
		return r;
	if (r < 0)
		wf_wait_sleep(&s->wait, WEFT_FOREVER, true);
	return s->result;
}

void wf_queue_wake_all(struct wf_queue *q, int result)
{
	uint32_t left = UINT32_MAX;
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	do {
		spin_lock(&q->lock);
		if (left > q->count)
			left = q->count;
		while (left && wakes.count < WF_WAKES) {
			left--;
			wf_queue_claim(q, result, &wakes);
		}
		spin_unlock(&q->lock);
		wf_wakes_fire(&wakes, NULL);
	} while (left);
}

void wf_queue_check_empty(struct wf_queue *q, const char *what)
{
#ifdef WEFT_CHECKS
	bool empty;

	spin_lock(&q->lock);
	empty = list_empty(&q->list);
	spin_unlock(&q->lock);
	if (!empty)
		wf_panic("a %s is destroyed while somebody waits for it", what);
#else
	(void)q, (void)what;
#endif
}
