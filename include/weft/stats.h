/* SPDX-License-Identifier: MIT */
/*
 * stats.h - to see inside: counters, how deep stacks are used, and what each
 * fiber does.
 */
#ifndef WEFT_STATS_H
#define WEFT_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "fiber.h"

/*
 * Counted since the runtime began, or as it is at this moment.  Each number is
 * right by itself; they are not all of the same instant.
 */
struct weft_counts {
	size_t size; /* sizeof(struct weft_counts), or 0 */
	/* Now. */
	unsigned workers;
	unsigned workers_asleep;
	unsigned workers_wanted; /* the others rest: weft_options.all_workers */
	unsigned pool_threads;   /* of weft_blocking() */
	uint64_t fibers;         /* that have not ended */
	uint64_t timers;         /* armed: deadlines, sleeps */
	uint64_t descriptors;    /* that weft knows of */
	uint64_t stacks;         /* that exist, used or free */
	uint64_t stack_bytes;    /* their address space */
	/* Since the beginning. */
	uint64_t spawned;   /* fibers */
	uint64_t passes;    /* of workers through their loops */
	uint64_t steals;    /* from one worker by another, half a queue each */
	uint64_t sleeps;    /* of workers, in the kernel */
	uint64_t wakes;     /* of workers, by another thread */
	uint64_t takeovers; /* workers taken from a thread that was stuck */
	uint64_t blocked;   /* of those, whose fiber slept in the kernel */
	uint64_t parks;     /* of fibers, to wait for something */
	uint64_t moves;     /* of fibers, from one thread to another */
};

/* How deep the fibers with this entry function have used their stacks. */
struct weft_stack_mark {
	weft_fn entry;   /* NULL: all functions together that found no place */
	size_t bytes;    /* of the deepest one, see weft_stack_marks() */
	uint64_t fibers; /* that have ended, and so have been measured */
};

#define WEFT_STACK_MARKS_MAX 257 /* 256 functions, and the others together */

WEFT_BEGIN

/*
 * Store the counters of the runtime.
 *
 * Context: any thread; does not block.
 * Errors: -EINVAL the size is another one; -ESRCH no runtime.
 */
WEFT_API int weft_stats(struct weft_counts *stats);

/*
 * Store up to `max` marks, the deepest first, and return how many there are,
 * WEFT_STACK_MARKS_MAX at most.  They are of the runtime that runs, or of the
 * one before if there is none, and there are none unless it was begun with
 * WEFT_STACK_MARKS=1 (weft_options.stack_marks).
 *
 * Bytes are counted from the top of the stack to the lowest page that was
 * touched: whole pages, in which what weft keeps at the top, 2.5 KiB at most,
 * is contained.  The size of a stack should be that, what an unlucky call may
 * need beyond it, and the guard (a page, or a 16th of the stack up to 64 KiB).
 * A page that has been swapped out counts as untouched.
 *
 * Context: any thread; does not block.  On a fiber it needs 8 KiB of stack.
 */
WEFT_API int weft_stack_marks(struct weft_stack_mark *marks, int max);

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
