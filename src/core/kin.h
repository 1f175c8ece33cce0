/* SPDX-License-Identifier: MIT */
/*
 * kin.h - scopes and their children, as those know them who start, end and
 * park fibers; what users call is in scope.c.
 *
 * A scope lies on its owner's stack.  It knows who is inside: its children once
 * they have started, by a member on the child's stack, and the scopes nested in
 * it, on the owner's stack or a child's.  So all scopes form trees, and who
 * cancels one walks what is below it.  A fiber that waits looks at one word,
 * `cancelled` of the innermost scope it is in.
 *
 *      pending   what the end waits for: children, from before the spawn until
 *                their last touch of the scope; and walks
 *      linked    how many members there are
 *
 *      begin, the owner     under the parent's lock: copy its `cancelled`, link
 *      spawn, anybody       refused once cancelled; pending + 1; if the fiber
 *                           cannot be made, drop
 *      start, the child     link
 *      leave, the child     store the result; unlink, note an error, drop
 *      drop, anybody        pending - 1; unlock, the last touch; if nothing is
 *                           pending and the owner waits, unpark the owner
 *      cancel, anybody      if it is not cancelled: set it, pending + 1; walk
 *      walk, who has set    unpark the owner, and each member that is a child;
 *                           cancel each that is a scope, to walk it next; drop
 *      end, the owner       wait until pending is 0; if it is still 0 under the
 *                           parent's lock and its own: unlink, close
 *
 * Nobody inside sleeps through a cancel.  Who is linked before the flag is set
 * is found by the walk; who is linked later has seen the flag.  And a fiber
 * that is unparked after the flag was set sees it before it sleeps, by
 * [wake-reason].
 *
 * A walk looks at WF_WAKES members in one hold of the lock, and unparks after
 * it: handles are type-stable.  It moves each member that it has seen to the
 * end of the list, and stops after as many as there were when it began: those
 * who come later, come behind.
 *
 * A scope does not go while it is walked, since its end waits for the walk.  A
 * nested one is found under its parent's lock, which its end takes to unlink
 * it.  Those to be walked are linked by `next`, which belongs to who has set
 * their flag: so no depth of nesting needs a deep stack.
 *
 * A scope that is begun under a shield has no parent: what is around it reaches
 * nobody inside.
 *
 * Locks: a scope's, then that of one nested in it; inside, no others.
 */
#ifndef WF_KIN_H
#define WF_KIN_H

#include "base/spin.h"
#include "core/fiber.h"

/* What is inside a scope and linked in it. */
struct wf_member {
	struct wf_link link;      /* the scope's lock */
	struct weft_fiber *child; /* constant; NULL: a nested scope */
};

/* Handed down to those who start and end children. */
struct wf_kin {
	/* Starts on the child's stack; returns what its function has. */
	void *(*run)(struct weft_fiber *child);
	/* At its end: it touches nothing of the scope afterwards. */
	void (*leave)(struct weft_fiber *child, void *result);
};

/* In the memory of a struct weft_scope. */
struct wf_scope {
	_Atomic uint32_t cancelled; /* lock; read by anyone */
	struct wf_spin lock;
	uint32_t pending;         /* lock */
	uint32_t linked;          /* lock */
	struct wf_list members;   /* lock */
	struct wf_member member;  /* its own, in the parent */
	struct weft_fiber *owner; /* lock: NULL if it is not open */
	const struct wf_kin *kin; /* constant */
	struct wf_scope *outer;   /* constant: where its owner goes back to */
	struct wf_scope *parent;  /* constant: the same, or NULL if shielded */
	weft_time deadline;       /* constant: the nearest */
	struct wf_scope *next;    /* who has cancelled it */
	size_t failed;            /* lock */
	int error;                /* lock: the first */
	bool fail_fast;           /* constant */
	bool awaited;             /* lock: the owner waits for the end */
} __attribute__((may_alias));

/* Whether those inside are.  It may be new: then the unpark follows. */
static inline bool scope_cancelled(const struct wf_scope *s)
{
	return atom_load_rlx(&s->cancelled);
}

#endif
