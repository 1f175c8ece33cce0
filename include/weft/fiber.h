/* SPDX-License-Identifier: MIT */
/*
 * fiber.h - fibers: spawn, join, cancel, and what a fiber has of its own.
 *
 * A fiber is a function with a stack of its own.  It runs until it waits,
 * yields or ends, on whichever worker has time; thread-local variables are
 * its worker's and must not be kept across a call that may wait.
 */
#ifndef WEFT_FIBER_H
#define WEFT_FIBER_H

#include <stdbool.h>

#include "base.h"
#include "time.h"

struct weft_fiber;

typedef void *(*weft_fn)(void *arg);

/* How a fiber is made; all zero is the default. */
struct weft_attr {
	size_t size; /* sizeof(struct weft_attr), or 0 */
	/*
	 * Shown in dumps and when its stack overflows.  Not copied: it has to
	 * stay where it is as long as the fiber; see also weft_set_name().
	 */
	const char *name;
	/* As in struct weft_options; 0 is the runtime's. */
	size_t stack_size;
	/* 0, or 1 + the number of the only worker that may run the fiber. */
	unsigned pin;
};

WEFT_BEGIN

/*
 * Make a fiber that runs fn(arg).  With a handle it has to be joined or
 * detached, once; without one (NULL) it is detached from the start and cannot
 * be cancelled alone.
 *
 * On a worker the new fiber is run next when the caller waits, the newest
 * first; other workers take the oldest.
 *
 * Context: any thread; does not block, but others may run in between if the
 * caller has computed for milliseconds without waiting.
 * Errors: -ENOMEM no memory for its stack; -EINVAL an attribute is out of its
 * range; -ESRCH no runtime.
 */
WEFT_API int weft_spawn(struct weft_fiber **handle,
			const struct weft_attr *attr, weft_fn fn, void *arg);

/*
 * Wait until the fiber has ended and store what its function returned, if
 * `result` is not NULL.  The handle is gone after 0; after an error it is as
 * good as before.
 *
 * Context: any thread, one at a time for one fiber; waits.
 * Errors: -EDEADLK the fiber is the caller; -EBUSY somebody else is joining it;
 * -ETIMEDOUT; -ECANCELED: the caller was cancelled, not the fiber.
 */
WEFT_API int weft_join(struct weft_fiber *f, void **result);
WEFT_API int weft_join_until(struct weft_fiber *f, void **result,
			     weft_time deadline);

/*
 * Give up the handle; the fiber goes on, and nobody learns its result.
 *
 * Context: any thread; does not block.
 * Errors: -EBUSY somebody is joining it.
 */
WEFT_API int weft_detach(struct weft_fiber *f);

/*
 * Ask the fiber to end: from now on its calls that wait give -ECANCELED.  It
 * cannot be taken back.  A fiber that never waits never notices.
 *
 * Context: any thread that has the handle; does not block.
 */
WEFT_API void weft_cancel(struct weft_fiber *f);

/*
 * Whether the calling fiber, a scope around it or the runtime has been
 * cancelled, and it is not shielded.
 *
 * Context: any thread (false off a fiber); does not block.
 */
WEFT_API bool weft_cancelled(void);

/*
 * Between the two, which may be nested, neither cancellation nor the deadline
 * of a scope reach the calling fiber, so that it can clean up with calls that
 * wait.
 *
 * Context: fiber; does not block.
 * Errors: -EPERM not on a fiber; -EINVAL more unshield than shield.
 */
WEFT_API int weft_shield(void);
WEFT_API int weft_unshield(void);

/*
 * End the calling fiber as if its function had returned `result`.  Does not
 * return on a fiber.  Nothing is unwound: C++ destructors do not run, and it
 * aborts if a scope is open that the fiber has begun.
 *
 * Context: fiber.
 * Errors: -EPERM not on a fiber.
 */
WEFT_API int weft_exit(void *result);

/*
 * Let others run.  Returns at once when there is nobody.  Off a fiber it is
 * sched_yield(2).
 *
 * Context: any thread; does not wait for anything.
 */
WEFT_API void weft_yield(void);

/*
 * The handle of the calling fiber, NULL off a fiber.  It may be passed to
 * weft_cancel() while the fiber lives; joining it needs the handle that spawn
 * gave.
 *
 * Context: any thread; does not block.
 */
WEFT_API struct weft_fiber *weft_self(void);

/*
 * The calling fiber's name, "" if it has none.  weft_set_name() copies at most
 * 31 bytes.
 *
 * Context: fiber ("" off it); does not block.
 * Errors: -EPERM not on a fiber.
 */
WEFT_API const char *weft_name(void);
WEFT_API int weft_set_name(const char *name);

/*
 * Between the two, which may be nested, the calling fiber stays on the worker
 * where it is.  A fiber spawned with attr.pin is pinned for life.
 *
 * Context: fiber; does not block.
 * Errors: -EPERM not on a fiber; -EINVAL more unpin than pin.
 */
WEFT_API int weft_pin(void);
WEFT_API int weft_unpin(void);

/*
 * A variable of which each fiber has its own, NULL in the beginning.  Meant to
 * be static:
 *
 *      static struct weft_local request;
 *      weft_local_create(&request, free);
 *
 * `destroy`, if not NULL, is called with the value that a fiber has at its
 * end unless that is NULL, on the fiber, which is shielded then and may wait.
 * Values that destructors set are destroyed too, in up to four rounds.
 *
 * Context of create and delete: any thread; does not block.  Of get and set:
 * fiber; does not block.
 * Errors: create: -EAGAIN 256 exist already.  delete: -EINVAL it is not there.
 * get: NULL.  set: -EPERM not on a fiber, -EINVAL no such local, -ENOMEM.
 */
struct weft_local {
	uint32_t id_;
	uint32_t generation_;
};

WEFT_API int weft_local_create(struct weft_local *local,
			       void (*destroy)(void *value));
WEFT_API int weft_local_delete(struct weft_local *local);
WEFT_API void *weft_local_get(const struct weft_local *local);
WEFT_API int weft_local_set(const struct weft_local *local, void *value);

WEFT_END

#endif
