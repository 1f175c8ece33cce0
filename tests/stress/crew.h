/* SPDX-License-Identifier: MIT */
/*
 * crew.h - whom the work is given to: fibers, each of which is counted when it
 * is made and when it ends, and a few ordinary threads, which stay while
 * runtimes come and go.
 */
#ifndef STRESS_CREW_H
#define STRESS_CREW_H

#include "stress.h"

struct hand;

/* Work that has been given away; it stays where it is until its end. */
struct task {
	weft_fn fn;
	void *arg;
	struct weft_fiber *fiber; /* NULL: a thread has it */
	struct hand *hand;
};

/*
 * Begin fn(arg) on a fiber with such attributes, or on one of the threads,
 * which is false if none is free.
 *
 * Context: fiber.
 */
void task_start(struct task *t, const struct weft_attr *attr, weft_fn fn,
		void *arg);
bool task_start_on_thread(struct task *t, weft_fn fn, void *arg);

/* On a thread once in n times, if one is free; else on a fiber. */
void task_start_anywhere(struct task *t, uint64_t *random, uint64_t n,
			 weft_fn fn, void *arg);

/* Wait for its end, shielded, and return its result.  Context: fiber. */
void *task_end(struct task *t);

/*
 * A counted fiber of the caller's own; with NULL nobody waits for it.
 *
 * Context: any thread.
 */
void crew_spawn(struct weft_fiber **f, weft_fn fn, void *arg);

/* What a fiber that calls weft_exit() has to call instead. */
_Noreturn void crew_exit(void *result);

/*
 * The threads.  Context: the main thread, without a runtime; crew_end() too,
 * and crew_check(), which dies unless every fiber has ended.
 */
void crew_begin(void);
void crew_end(void);
void crew_check(void);

#endif
