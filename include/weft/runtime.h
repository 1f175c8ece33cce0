/* SPDX-License-Identifier: MIT */
/*
 * runtime.h - starting and stopping the workers.
 *
 *      int main(void)
 *      {
 *              return -weft_run(NULL, serve, "127.0.0.1:7777");
 *      }
 *
 * A process has one runtime at a time, and may start another when it has
 * ended.  Outside of weft_run() nothing of weft is active: no thread, no
 * signal handler.  While it runs, workers block every signal but faults, so
 * that the program's handlers run on its other threads or on the helper
 * thread that weft keeps for them, and never on a fiber's stack.
 *
 * Raise RLIMIT_NOFILE before: weft_run() has the kernel make room for so many
 * descriptors, up to 65,536, 8 bytes each.  To make it later, when threads
 * share them, holds up whoever opens one for 5 to 16 ms, at every power of two.
 * select() looks at as many bits as it is told from then on, past FD_SETSIZE.
 */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <stdbool.h>

#include "time.h"

/* How overflowing stacks are caught; see WEFT_GUARD. */
enum weft_guard {
	WEFT_GUARD_AUTO,     /* the best that works here */
	WEFT_GUARD_INSTALL,  /* MADV_GUARD_INSTALL, Linux 6.13 */
	WEFT_GUARD_MPROTECT, /* two mappings a stack: ends near 32,000 stacks */
	WEFT_GUARD_CANARY,   /* a word below the stack, looked at on switches */
};

/*
 * Zero means the default.  Each may also be set by an environment variable,
 * which is used where the field is zero.
 */
struct weft_options {
	size_t size; /* sizeof(struct weft_options), or 0 */
	/*
	 * Workers; by default as many as the affinity mask and the cgroup's
	 * CPU quota let run at once.  At most 256.  WEFT_WORKERS.
	 */
	unsigned workers;
	/* How overflows are caught.  WEFT_GUARD=install|mprotect|canary. */
	enum weft_guard guard;
	/*
	 * Bytes of a fiber's stack, guard included: 16 KiB to 64 MiB, rounded
	 * up to a power of two; 64 KiB by default.  Only what is touched takes
	 * memory.  WEFT_STACK, with an optional K or M.
	 */
	size_t stack_size;
	/*
	 * How long an idle worker looks for events before it sleeps in the
	 * kernel: 50 us by default, negative not at all.  Off with one CPU.
	 * weft_run() may return as much later, since a worker that looks has
	 * not noticed that there is nobody left.  WEFT_SPIN_US, in
	 * microseconds, 0 for not at all.
	 */
	weft_time spin;
	/* Threads for weft_blocking(), 64 by default.  WEFT_POOL. */
	unsigned pool_threads;
	/*
	 * How many threads may be held at a time by fibers that compute for
	 * milliseconds or sit in a system call: their worker goes on with
	 * another thread meanwhile.  64 by default.  WEFT_STUCK.
	 */
	unsigned stuck_threads;
	/*
	 * SIGQUIT writes what all fibers do to stderr, see weft_dump().
	 * WEFT_DUMP_ON_QUIT=1.
	 */
	bool dump_on_quit;
	/*
	 * Note how deep fibers use their stacks, see weft_stack_marks(): two
	 * system calls a fiber more, and page faults.  WEFT_STACK_MARKS=1.
	 */
	bool stack_marks;
	/*
	 * Have all workers run what there is, always.  By default fewer do
	 * where other programs want the CPUs too, as a client on the same
	 * machine does, and that turns out to do as much.  WEFT_ALL_WORKERS=1.
	 */
	bool all_workers;
};

WEFT_BEGIN

/*
 * Start the workers, run fn(arg) as the first fiber, and return its result
 * once it and every other fiber have ended.  The calling thread carries one
 * of the workers.
 *
 * Installs a SIGSEGV handler that names the fiber whose stack has overflowed
 * and passes anything else on to the program's own; WEFT_NO_SEGV=1 leaves it
 * out.
 *
 * Context: a thread that is no fiber; blocks.
 * Errors: -EBUSY a runtime runs already; -EINVAL an option or a variable is
 * out of its range, said on stderr if it is a variable; -ENOTSUP a guard was
 * asked for that does not work here; -ENOMEM, -EAGAIN, -EMFILE: what the start
 * ran out of.  Nothing is left behind.
 */
WEFT_API int weft_run(const struct weft_options *options, int (*fn)(void *arg),
		      void *arg);

/*
 * Cancel every fiber, now and those to come: calls that wait give -ECANCELED,
 * so that a program which treats that as the end ends.  Without a runtime
 * nothing happens.
 *
 * Context: any thread, and signal handlers; does not block.
 */
WEFT_API void weft_stop(void);

/*
 * How many workers the runtime has, 0 without one; and which of them runs the
 * caller, counted from 0.  The answer to the second may be old when it arrives
 * unless the fiber is pinned.
 *
 * Context: any thread; does not block.
 * Errors: -EPERM not on a fiber.
 */
WEFT_API unsigned weft_workers(void);
WEFT_API int weft_worker(void);

WEFT_END

#endif
