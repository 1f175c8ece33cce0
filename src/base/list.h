/* SPDX-License-Identifier: MIT */
/*
 * list.h - intrusive doubly linked list, with owner.
 *
 * The list does not allocate and does not lock: an element carries its own
 * struct wf_link, and whoever calls holds whatever protects the list.
 *
 * All zero is an empty list and an unlinked link, so that an object made of
 * zero bytes has a valid queue.  That is why this is not the usual ring with a
 * sentinel, and why removal needs the list as well as the link.
 *
 * Invariant: head == NULL iff tail == NULL; for each linked n,
 * n->prev ? n->prev->next == n : head == n, and likewise for next and tail.
 */
#ifndef WF_LIST_H
#define WF_LIST_H

#include <stdbool.h>

#include "base/cc.h"

struct wf_link {
	struct wf_link *next, *prev;
};

struct wf_list {
	struct wf_link *head, *tail;
};

static inline bool list_empty(const struct wf_list *l)
{
	return l->head == NULL;
}

static inline bool list_linked(const struct wf_list *l, const struct wf_link *n)
{
	return n->prev != NULL || l->head == n;
}

static inline void list_push(struct wf_list *l, struct wf_link *n)
{
	n->next = NULL;
	n->prev = l->tail;
	*(l->tail ? &l->tail->next : &l->head) = n;
	l->tail = n;
}

static inline void list_push_first(struct wf_list *l, struct wf_link *n)
{
	n->prev = NULL;
	n->next = l->head;
	*(l->head ? &l->head->prev : &l->tail) = n;
	l->head = n;
}

/*
 * Unlink n.  False, and nothing done, if n is in no list: so of two who race
 * to take a waiter off its queue, under the queue's lock, exactly one wins.
 */
static inline bool list_remove(struct wf_list *l, struct wf_link *n)
{
	if (!list_linked(l, n))
		return false;
	*(n->prev ? &n->prev->next : &l->head) = n->next;
	*(n->next ? &n->next->prev : &l->tail) = n->prev;
	n->next = n->prev = NULL;
	return true;
}

static inline struct wf_link *list_pop(struct wf_list *l)
{
	struct wf_link *n = l->head;

	if (!n)
		return NULL;
	l->head = n->next;
	*(l->head ? &l->head->prev : &l->tail) = NULL;
	n->next = NULL;
	return n;
}

/* n may be removed inside the loop. */
#define list_for_each(n, l)                                                    \
	for (struct wf_link *n = (l)->head, *next_ = n ? n->next : NULL; n;    \
	     n = next_, next_ = n ? n->next : NULL)

#endif
