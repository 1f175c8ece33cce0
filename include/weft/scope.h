/* SPDX-License-Identifier: MIT */
/*
 * scope.h - structured concurrency: fibers that end before the block ends in
 * which they were spawned.
 *
 *      struct weft_scope_options o = {.deadline = weft_after(WEFT_SEC(2)),
 *                                     .fail_fast = true};
 *      struct weft_scope s;
 *      int a, b;
 *
 *      weft_scope_begin(&s, &o);
 *      weft_scope_spawn(&s, &a, NULL, fetch, "alpha");
 *      weft_scope_spawn(&s, &b, NULL, fetch, "beta");
 *      err = weft_scope_end(&s);
 *
 * Inside a scope are its owner, between begin and end, the fibers spawned in
 * it, and all that is inside the scopes which these begin: nested ones.  Fibers
 * made by weft_spawn() are outside.
 *
 * Once a scope is cancelled every call that waits, of every fiber inside, gives
 * -ECANCELED.  Its deadline bounds these calls like one of their own:
 * -ETIMEDOUT once it has passed; of a nested scope's and that around it the
 * nearer one counts.  Cancel wins over a deadline.  weft_shield() keeps both
 * from a fiber, and from all that is inside a scope begun under it, so that
 * clean-up may use scopes as well.
 *
 * Scopes nest: a fiber ends first the one that it has begun last, and all of
 * them before it ends itself.  If it does not, the program aborts and names the
 * fiber.
 */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <stdbool.h>

#include "base.h"
#include "fiber.h"
#include "time.h"

/* All zero is the default. */
struct weft_scope_options {
	size_t size;        /* sizeof(struct weft_scope_options), or 0 */
	weft_time deadline; /* of all calls inside that wait; 0: none */
	bool fail_fast;     /* the first error cancels the scope */
};

/*
 * Meant to lie on the stack of its owner, between begin and end.  Zero bytes
 * are a scope that is not open.
 */
struct weft_scope {
	uint64_t private_[16];
};

WEFT_BEGIN

/*
 * Begin a scope, of which the caller is the owner.  After 0 it has to be ended.
 *
 * Context: fiber; does not block.
 * Errors: -EPERM not on a fiber; -EINVAL the options' size.
 */
WEFT_API int weft_scope_begin(struct weft_scope *s,
			      const struct weft_scope_options *options);

/*
 * Make a fiber that runs fn(arg) inside the scope.  What fn returns is stored
 * in *result, if that is not NULL, and is there once the scope has ended; a
 * negative result is an error.  A child that calls weft_exit() gives a number
 * too: weft_exit((void *)(intptr_t)-EIO).
 *
 * Besides the owner any fiber inside may spawn, also while the owner waits for
 * the end; and any thread that knows that the end is not reached.
 *
 * Context: any thread; as weft_spawn().
 * Errors: -ECANCELED the scope is cancelled; -EINVAL it is not open, or an
 * attribute is out of its range; -ENOMEM; -ESRCH.  Nothing has been spawned
 * then, and the scope is as before.
 */
WEFT_API int weft_scope_spawn(struct weft_scope *s, int *result,
			      const struct weft_attr *attr,
			      int (*fn)(void *arg), void *arg);

/*
 * Cancel all inside.  It cannot be taken back.  Of a scope that has ended
 * nothing is cancelled: the caller has to know that it was begun and that its
 * memory is there, and no more.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_scope_cancel(struct weft_scope *s);

/*
 * Wait until every child has ended.  If the caller is cancelled, the scope is,
 * and the wait goes on: no child is ever left behind.  Afterwards neither its
 * cancel nor its deadline reach the caller any more.
 *
 * Returns 0 if no child gave an error, else the one that came first.  That the
 * scope was cancelled or late is no error by itself.
 *
 * Context: the owner; waits, shielded.
 * Errors: a child's; -EPERM not on a fiber.
 */
WEFT_API int weft_scope_end(struct weft_scope *s);

/*
 * How many of the children that have ended so far gave an error.
 *
 * Context: any thread, between begin and end; the owner afterwards too.  Does
 * not block.
 */
WEFT_API size_t weft_scope_failed(struct weft_scope *s);

WEFT_END

#endif
