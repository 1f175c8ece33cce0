/* SPDX-License-Identifier: MIT */
/*
 * stack.h - memory for fibers to stand on.
 *
 * Stacks come in classes of a power of two, side by side in large mappings
 * that the kernel commits when they are touched.  The lowest part of each is
 * its guard, see guard.h.  Knows nothing of fibers; whoever frees a stack is
 * not on it.
 *
 * A stack is reserved long before it is taken: reserving is where memory can
 * run out, taking cannot fail.  Free stacks are kept in small caches, one a
 * worker, and behind them in a pool; both give out the one freed last, whose
 * top is most likely still in the CPU's cache.  Since a taker looks only into
 * its own cache and the pool, the pool always has as many more than are
 * reserved as all caches together can hide.
 *
 * Free stacks are listed outside of themselves, so that listing one does not
 * touch it.  And so they can be cold, which is without memory: those that have
 * never been used, and those that nobody has wanted for 200 ms.  Warm ones are
 * given out first.  What it takes:
 *
 *      - the pool knows the fewest warm ones that it has had since it looked
 *        last: one number, kept where the lock is held anyway
 *      - a worker that is about to sleep looks, and gives back the memory of so
 *        many, in batches, some 32 MiB of stacks a time; then it looks for
 *        other work first.  It keeps 4 warm stacks of each class (1 of those of
 *        a MiB and more), and as long as more are warm sleeps 200 ms at most
 *      - giving one back costs about 1 us and its next user the page faults, so
 *        that it must not happen to those that come and go: a worker that does
 *        not sleep makes no system call for free stacks at all, and gives none
 *        of their memory back
 */
#ifndef WF_STACK_H
#define WF_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/runtime.h"

#define WF_STACK_CLASSES 13 /* 16 KiB << class */
#define WF_STACK_MIN     ((size_t)16 << 10)
#define WF_STACK_MAX     (WF_STACK_MIN << (WF_STACK_CLASSES - 1))
#define WF_STACK_CACHED  32 /* stacks of a class in one cache */

/* Owner: one worker.  Zero is empty. */
struct wf_stack_cache {
	struct wf_stack_shelf {
		uint32_t credit; /* reserved here, for nobody yet */
		uint32_t count;
		void *stacks[WF_STACK_CACHED];
	} shelves[WF_STACK_CLASSES];
	weft_time rests; /* when to give the older ones to the pool */
	weft_time again; /* nothing to trim before; 0 if some were put here, */
	uint32_t seen;   /* and as long as the pool got no more than these */
};

/* The class for so many bytes, -1 if there is none. */
int wf_stack_class(size_t bytes);
size_t wf_stack_size(int class);
size_t wf_stack_guard_size(int class);

/* How many there are of the class, in use or free. */
size_t wf_stack_count(int class);

/*
 * Begin with nothing mapped, for `caches` caches; end, when every stack is
 * free, with nothing mapped.
 * Errors: -ENOTSUP this kind of guard does not work here.
 */
int wf_stack_open(enum weft_guard guard, unsigned caches);
void wf_stack_close(void);

/*
 * In a forked child: begin anew.  What was mapped stays, as the child may stand
 * on it, and is lost.
 */
void wf_stack_forget(void);

/*
 * A promise that a stack can be taken, or the end of one.  `cache` may be NULL
 * for those who have none.
 * Errors: -ENOMEM.
 */
int wf_stack_reserve(struct wf_stack_cache *cache, int class);
void wf_stack_unreserve(struct wf_stack_cache *cache, int class);

/*
 * The lowest byte of a stack, guard included; on a promise.  Putting it back
 * does not end the promise.  Here too `cache` may be NULL.
 */
void *wf_stack_take(struct wf_stack_cache *cache, int class);
void wf_stack_put(struct wf_stack_cache *cache, int class, void *stack);

/*
 * Give back the memory of the whole pages from `low` to `high`; and how much of
 * a stack, counted from its top, has been used since, in whole pages.
 */
void wf_stack_chill(char *low, char *high);
size_t wf_stack_depth(char *stack, int class);

/*
 * About to sleep: give back the memory of stacks that nobody has wanted for a
 * while.  Returns when to call again, which may be at once: there is more, and
 * this has taken long enough.
 */
weft_time wf_stack_trim(struct wf_stack_cache *cache, weft_time now);

/* Give the cache's stacks and promises to the pool. */
void wf_stack_flush(struct wf_stack_cache *cache);

#endif
