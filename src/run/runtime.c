/* SPDX-License-Identifier: MIT */
/*
 * runtime.c - beginning and end of everything: options, weft_run, weft_stop.
 */
#include "run/runtime.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/number.h"
#include "core/gate.h"
#include "core/mark.h"
#include "core/sched.h"
#include "core/self.h"
#include "core/spawn.h"
#include "core/worker.h"
#include "io/offload.h"
#include "io/process.h"
#include "io/source.h"
#include "os/cpu.h"
#include "os/feature.h"
#include "os/stack.h"
#include "os/thread.h"
#include "run/dump.h"
#include "run/fault.h"
#include "run/sample.h"
#include "run/sentinel.h"
#include "run/trace.h"
#include "run/watch.h"
#include "run/worker.h"

#define WORKERS_MAX   256
#define STACK_DEFAULT ((size_t)64 << 10)
#define SPIN_DEFAULT  WEFT_USEC(50)
#define POOL_DEFAULT  64
#define POOL_MAX      4096
#define STUCK_DEFAULT 64
#define STUCK_MAX     4096

int weft_version(void)
{
	return WEFT_VERSION;
}

/* --- options, and the variables that stand in for them --- */

static int bad_variable(const char *name, const char *text, const char *wanted)
{
	wf_say("%s=%s: not %s", name, text, wanted);
	return -EINVAL;
}

/* 1 and *value if the variable is there, 0 if not, -EINVAL. */
static int variable(const char *name, bool sizes, unsigned long min,
		    unsigned long max, unsigned long *value)
{
	const char *text = getenv(name);

	if (!text || !*text)
		return 0;
	if (number_read(text, sizes, min, max, value))
		return 1;
	return bad_variable(name, text,
			    sizes ? "a size from 16K to 64M"
				  : "a number in its range");
}

static int guard_variable(enum weft_guard *guard)
{
	static const char *const names[] = {"auto", "install", "mprotect",
					    "canary"};
	const char *text = getenv("WEFT_GUARD");

	if (!text || !*text)
		return 0;
	for (unsigned i = 0; i < array_count(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*guard = (enum weft_guard)i;
			return 0;
		}
	}
	return bad_variable("WEFT_GUARD", text, "install, mprotect or canary");
}

static int from_environment(struct weft_options *o)
{
	unsigned long n = 0;
	int r = 0;

	if (!o->workers &&
	    (r = variable("WEFT_WORKERS", false, 1, WORKERS_MAX, &n)) > 0)
		o->workers = (unsigned)n;
	if (r >= 0 && !o->stack_size &&
	    (r = variable("WEFT_STACK", true, WF_STACK_MIN, WF_STACK_MAX, &n)) >
		    0)
		o->stack_size = n;
	if (r >= 0 && !o->spin &&
	    (r = variable("WEFT_SPIN_US", false, 0, 1000000, &n)) > 0)
		o->spin = n ? WEFT_USEC(n) : -1;
	if (r >= 0 && !o->pool_threads &&
	    (r = variable("WEFT_POOL", false, 1, POOL_MAX, &n)) > 0)
		o->pool_threads = (unsigned)n;
	if (r >= 0 && !o->stuck_threads &&
	    (r = variable("WEFT_STUCK", false, 1, STUCK_MAX, &n)) > 0)
		o->stuck_threads = (unsigned)n;
	if (r >= 0 && !o->dump_on_quit &&
	    (r = variable("WEFT_DUMP_ON_QUIT", false, 0, 1, &n)) > 0)
		o->dump_on_quit = n;
	if (r >= 0 && !o->stack_marks &&
	    (r = variable("WEFT_STACK_MARKS", false, 0, 1, &n)) > 0)
		o->stack_marks = n;
	if (r >= 0 && !o->all_workers &&
	    (r = variable("WEFT_ALL_WORKERS", false, 0, 1, &n)) > 0)
		o->all_workers = n;
	if (r >= 0 && !o->guard)
		r = guard_variable(&o->guard);
	return r < 0 ? r : 0;
}

static bool valid(const struct weft_options *o)
{
	return (!o->size || o->size == sizeof *o) &&
	       o->workers <= WORKERS_MAX && o->guard <= WEFT_GUARD_CANARY &&
	       (!o->stack_size || (o->stack_size >= WF_STACK_MIN &&
				   o->stack_size <= WF_STACK_MAX)) &&
	       o->pool_threads <= POOL_MAX && o->stuck_threads <= STUCK_MAX;
}

/* Spinning takes the CPU from whoever should answer, if there is but one. */
static void fill_defaults(struct weft_options *o)
{
	unsigned cpus = wf_cpu_count();

	if (!o->workers)
		o->workers = cpus < WORKERS_MAX ? cpus : WORKERS_MAX;
	if (!o->stack_size)
		o->stack_size = STACK_DEFAULT;
	if (!o->spin)
		o->spin = cpus > 1 ? SPIN_DEFAULT : -1;
	if (!o->stuck_threads)
		o->stuck_threads = STUCK_DEFAULT;
	if (!o->pool_threads)
		o->pool_threads = POOL_DEFAULT;
}

static int complete(struct weft_options *o, const struct weft_options *given)
{
	int r;

	*o = given ? *given : (struct weft_options){0};
	if (!valid(o))
		return -EINVAL;
	r = from_environment(o);
	if (r == 0)
		fill_defaults(o);
	return r;
}

/* --- the workers --- */

static void end_workers(uint32_t count)
{
	while (count--)
		wf_worker_end(&wf_runtime.workers[count]);
	free(wf_runtime.workers);
	wf_runtime.workers = NULL;
	wf_runtime.count = 0;
}

static int begin_workers(uint32_t count)
{
	int r;

	wf_runtime.workers = aligned_alloc(WF_CACHE_LINE,
					   count * sizeof *wf_runtime.workers);
	if (!wf_runtime.workers)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		r = wf_worker_begin(&wf_runtime.workers[i], i);
		if (r < 0) {
			end_workers(i);
			return r;
		}
	}
	r = wf_vigil_begin(&wf_runtime.vigil);
	if (r < 0) {
		end_workers(count);
		return r;
	}
	wf_idle_begin(&wf_runtime.idle, count);
	/* Last: a forked child closes what is there by then. */
	wf_runtime.count = count;
	return 0;
}

static int begin(const struct weft_options *o)
{
	int r;

	r = wf_feature_probe();
	if (r < 0)
		return r;
	r = wf_stack_open(o->guard, o->workers);
	if (r < 0)
		return r;
	wf_marks_begin(o->stack_marks);
	r = begin_workers(o->workers);
	if (r < 0)
		return r;
	wf_runtime.stack_class = (uint8_t)wf_stack_class(o->stack_size);
	wf_loop_options.spin = o->spin;
	wf_worker_over_reset();
	atom_store_rlx(&wf_runtime.stopping, false);
	atom_store_rlx(&wf_runtime.spawned, 0);
	atom_store_rlx(&wf_runtime.ended, 0);
	wf_source_epoch();
	wf_offload_begin(o->pool_threads);
	return 0;
}

static int begin_threads(const struct weft_options *o, bool carried)
{
	int r;

	if (wf_trace_begin())
		wf_sample_begin();
	if (o->dump_on_quit)
		wf_dump_begin();
	r = wf_watch_begin(carried);
	if (r < 0)
		return r;
	r = wf_sentinel_begin(o);
	if (r < 0)
		wf_watch_cancel();
	return r;
}

static void end(void)
{
	wf_dump_end();
	wf_sample_end();
	wf_offload_end();
	wf_vigil_end(&wf_runtime.vigil);
	end_workers(wf_runtime.count);
	atom_store_rlx(&wf_runtime.stopping, false);
	wf_stack_close();
}

/* --- weft_run --- */

struct first {
	int (*fn)(void *);
	void *arg;
	int result;
};

static void *run_first(void *arg)
{
	struct first *first = arg;

	return (void *)(intptr_t)first->fn(first->arg);
}

/*
 * The other workers wait already, and may run the first fiber at once.  If it
 * cannot be made there is nothing to run, unless a thread has spawned in
 * between.  Its handle is kept for its result, which weft_exit() may have
 * given.
 */
static int carry(struct first *first)
{
	struct weft_attr attr = {.name = "main"};
	struct weft_fiber *f;
	int r;

	wf_fault_begin();
	wf_gate_open();
	r = wf_spawn_first(&f, &attr, run_first, first);
	wf_watch_carry();
	wf_sentinel_end();
	wf_watch_end();
	wf_fault_end();
	if (r == 0) {
		first->result = (int)(intptr_t)f->value;
		wf_fiber_free(NULL, f);
	}
	return r;
}

static int run(const struct weft_options *given, struct first *first)
{
	struct weft_options o;
	int r = complete(&o, given);

	if (r < 0)
		return r;
	r = begin(&o);
	if (r < 0)
		return r;
	/*
	 * As long as there may be one thread, for which it is cheap.  Not in
	 * wf_runtime_begin(): programs that know nothing of weft call select()
	 * with the number of all descriptors there may be and a set for 1,024,
	 * which goes well as long as the table has no more.
	 */
	wf_poll_make_room(&wf_runtime.workers[0].poll);
	r = begin_threads(&o, true);
	if (r == 0)
		r = carry(first);
	end();
	return r;
}

static _Atomic bool busy;

/* A runtime does not follow a fork: the child is a thread without one. */
static void forget_in_child(void)
{
	/* A worker blocks every signal; a process, and what it executes, does
	 * not. */
	if (wf_self())
		wf_signals_restore(&wf_runtime.mask);
	wf_self_set(NULL);
	wf_dump_end();
	wf_sample_end();
	wf_gate_forget();
	wf_stack_forget();
	wf_fiber_forget();
	wf_source_forget_all();
	wf_offload_forget();
	wf_process_forget();
	wf_sentinel_forget();
	wf_watch_forget();
	if (wf_runtime.count)
		wf_vigil_end(&wf_runtime.vigil);
	for (uint32_t i = 0; i < wf_runtime.count; i++)
		wf_poll_close(&wf_runtime.workers[i].poll);
	memset(&wf_runtime, 0, sizeof wf_runtime);
	wf_runtime.vigil.alarm.fd = -1;
	atom_store_rlx(&busy, false);
}

/* Under `busy`; once a process. */
static int watch_forks(void)
{
	static bool watched;
	int r = watched ? 0 : -pthread_atfork(NULL, NULL, forget_in_child);

	watched = r == 0;
	return r;
}

int weft_run(const struct weft_options *options, int (*fn)(void *arg),
	     void *arg)
{
	struct first first = {fn, arg, 0};
	int r;

	if (!fn)
		return -EINVAL;
	/* acquire [one-runtime] */
	if (wf_self() || atom_swap_acq(&busy, true))
		return -EBUSY;
	r = watch_forks();
	if (r == 0)
		r = run(options, &first);
	/* release [one-runtime] */
	atom_store_rel(&busy, false);
	return r < 0 ? r : first.result;
}

static int start(const struct weft_options *given)
{
	struct weft_options o;
	int r = complete(&o, given);

	if (r == 0)
		r = begin(&o);
	if (r < 0)
		return r;
	/* One that never ends, so that the runtime does not. */
	atom_store_rlx(&wf_runtime.spawned, 1);
	r = begin_threads(&o, false);
	if (r < 0)
		end();
	else
		wf_gate_open();
	return r;
}

int wf_runtime_begin(const struct weft_options *options)
{
	int r;

	/* acquire [one-runtime] */
	if (atom_swap_acq(&busy, true))
		return -EBUSY;
	r = watch_forks();
	if (r == 0)
		r = start(options);
	if (r < 0)
		/* release [one-runtime] */
		atom_store_rel(&busy, false);
	return r;
}

void weft_stop(void)
{
	if (!wf_gate_enter())
		return;
	atom_store_rlx(&wf_runtime.stopping, true);
	for (uint32_t i = 0; i < wf_runtime.count; i++)
		wf_poll_wake(&wf_runtime.workers[i].poll);
	wf_sched_leave_gate();
}
