/* SPDX-License-Identifier: MIT */
/*
 * stats.h - to see inside: counters, and what each fiber does.
 */
#ifndef WEFT_STATS_H
#define WEFT_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "base.h"

/*
 * Counted since the runtime began, or as it is at this moment.  Each number is
 * right by itself; they are not all of the same instant.
 */
struct weft_counts {
	size_t size; /* sizeof(struct weft_counts), or 0 */
	/* Now. */
	unsigned workers;
	unsigned workers_asleep;
	unsigned pool_threads; /* of weft_blocking() */
	uint64_t fibers;       /* that have not ended */
	uint64_t timers;       /* armed: deadlines, sleeps */
	uint64_t descriptors;  /* that weft knows of */
	uint64_t stacks;       /* that exist, used or free */
	uint64_t stack_bytes;  /* their address space */
	/* Since the beginning. */
	uint64_t spawned;   /* fibers */
	uint64_t passes;    /* of workers through their loops */
	uint64_t steals;    /* from one worker by another, half a queue each */
	uint64_t sleeps;    /* of workers, in the kernel */
	uint64_t wakes;     /* of workers, by another thread */
	uint64_t takeovers; /* workers taken from a thread that was stuck */
};

WEFT_BEGIN

/*
 * Store the counters of the runtime.
 *
 * Context: any thread; does not block.
 * Errors: -EINVAL the size is another one; -ESRCH no runtime.
 */
WEFT_API int weft_stats(struct weft_counts *stats);

/*
 * Write to the descriptor what each fiber does: its name and function, whether
 * it runs, is queued, or waits, for what and since when, and its backtrace if
 * it waits.  Ordinary threads that wait for something of weft's are listed too.
 * Everything goes on meanwhile, so it is no picture of one instant.
 *
 * Each fiber that waits is held for a moment while it is looked at.  Nothing is
 * allocated.  Functions have names as far as the dynamic linker knows them:
 * link the program with -rdynamic.
 *
 * With WEFT_DUMP_ON_QUIT=1 (weft_options.dump_on_quit) SIGQUIT does this on
 * stderr.
 *
 * Context: any thread, not a signal handler; blocks the thread while the
 * descriptor takes nothing.  On a fiber it needs 8 KiB of stack.
 * Errors: -ESRCH no runtime; those of write(2).
 */
WEFT_API int weft_dump(int fd);

WEFT_END

#endif
