/* SPDX-License-Identifier: MIT */
/*
 * select.h - a wait for any of several things of whatever kind.
 *
 * What a kind of case can do it hands up in a table; the floors that have the
 * things need not know each other.  A selection goes through
 *
 *      attempt   each case in turn, from one chosen at random: can it be done?
 *      link      each case, by its node in its object, under that one's lock.
 *                The wait may be claimed from the first on.  If a case can be
 *                done now, the waiter withdraws its wait first, under the
 *                lock: so never are two cases done
 *      sleep     until one has been claimed and fired
 *      unlink    all that were linked
 *
 * Two selections that meet, each linked where the other one looks, may both
 * have withdrawn: then both start over.
 */
#ifndef WF_SELECT_H
#define WF_SELECT_H

#include "core/wait.h"
#include "weft/select.h"

enum wf_linked {
	WF_LINKED,   /* it waits */
	WF_DONE,     /* it could be done, and the wait has been withdrawn */
	WF_NOT_DONE, /* the wait has been withdrawn, but somebody was faster */
	WF_LOST,     /* the wait has been claimed by now, for another case */
};

struct weft_case_kind_ {
	/* Do it if that is possible now: true, and its result is there. */
	bool (*attempt)(struct weft_case *c);
	/* The node is ready to be linked. */
	enum wf_linked (*link)(struct weft_case *c);
	/* After link, whatever came of it; fired or not. */
	void (*unlink)(struct weft_case *c);
	/*
	 * Its node has fired and is unlinked: true, if its result is there; or
	 * look again.  NULL: always.
	 */
	bool (*settle)(struct weft_case *c);
};

_Static_assert(sizeof(struct wf_node) == sizeof(((struct weft_case *)0)->node_),
	       "a node fits into its place in the public struct");

static inline struct wf_node *case_node(struct weft_case *c)
{
	return (struct wf_node *)(void *)c->node_;
}

/*
 * Wait for one case, and return its result; `what` and `object` are for those
 * who look.
 *
 * Errors: as weft_select_until().
 */
int wf_select_one(struct weft_case *c, const char *what, const void *object,
		  weft_time deadline);

static inline struct weft_case *case_of(struct wf_node *node)
{
	return (struct weft_case *)((char *)node -
				    offsetof(struct weft_case, node_));
}

#endif
