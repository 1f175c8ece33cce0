/* SPDX-License-Identifier: MIT */
/*
 * sentinel.c - see sentinel.h.
 */
#include "run/sentinel.h"

#include <errno.h>
#include <stdlib.h>

#include "core/sched.h"
#include "os/clock.h"
#include "os/state.h"
#include "os/thread.h"
#include "run/census.h"
#include "run/crowd.h"
#include "run/dump.h"
#include "run/trace.h"
#include "run/watch.h"
#include "run/worker.h"

#define PATIENCE WEFT_MSEC(5)
/* Between two looks, each of which costs as much as several requests: if a CPU
 * is idle; and if none is, so that two of them see what has lasted as long. */
#define GLANCE WEFT_MSEC(1)
#define TICK   (PATIENCE + PATIENCE / 20)
/* After a moment when all slept.  To move an alarm that is the next thing to
 * happen on a CPU costs a guest 8 us: so no less than half of it is left then,
 * which is a tick of the kernel's. */
#define SLACK     WEFT_MSEC(8)
#define LATEST    WEFT_MSEC(100) /* however often all sleep */
#define LONG_TURN WEFT_USEC(50)  /* stealing a fiber costs less */
/* A thread without CPU time for so long is blocked, if /proc does not tell. */
#define LONG_BLOCKED WEFT_MSEC(20)

/* What was seen of a worker. */
struct sight {
	struct wf_carrier *carrier;
	uint32_t turns;
	weft_time pass;
	weft_time since;         /* when it was seen like that first */
	weft_time cpu;           /* of its thread, then */
	weft_time cpu_last, ran; /* at the last look; when it was less */
	uint64_t spawned;
	bool shares; /* it has spawned since, and so shared what is there */
};

bool (*wf_sentinel_at_look)(void);

static pthread_t thread;
static struct sight *sights; /* one a worker */
static uint32_t limit;
static bool yields; /* CPUs to others, where that is no loss */
static struct wf_crowd crowd;
static bool busy; /* so that it matters how many do it: see crowd.h */

static bool asleep(struct wf_worker *w)
{
	return atom_load_rlx(&w->asleep) != 0;
}

/* --- one worker --- */

static bool moved(const struct sight *s, struct wf_worker *w)
{
	return s->carrier != atom_load_rlx(&w->carrier) ||
	       s->turns != worker_turns(w) || s->pass != atom_load_rlx(&w->now);
}

/* A thread that has not begun yet is looked at anew the next time. */
static void note(struct sight *s, struct wf_worker *w, weft_time now)
{
	/* acquire [carrier-seen] */
	struct wf_carrier *c = atom_load_acq(&w->carrier);
	pid_t tid = atom_load_rlx(&c->tid);

	s->carrier = tid ? c : NULL;
	s->turns = worker_turns(w);
	s->pass = atom_load_rlx(&w->now);
	s->since = now;
	s->cpu = wf_thread_cpu(tid);
	s->cpu_last = s->cpu;
	s->ran = now;
}

/* How much of a CPU the worker may use for one fiber. */
static weft_time patience(bool urgent)
{
	uint32_t n = wf_watch_computing();

	return urgent ? GLANCE / 2 : PATIENCE + PATIENCE * n / wf_runtime.count;
}

/* CPU time since the first look. */
static weft_time cpu_used(struct sight *s, pid_t tid, weft_time now)
{
	weft_time cpu = wf_thread_cpu(tid);

	if (cpu != s->cpu_last)
		s->ran = now;
	s->cpu_last = cpu;
	return cpu - s->cpu;
}

/* Asleep in the kernel, and not only without a CPU. */
static bool blocks(const struct sight *s, pid_t tid, weft_time now)
{
	switch (wf_state(tid)) {
	case WF_BLOCKS:
		return true;
	case WF_UNKNOWN:
		return now - s->ran >= LONG_BLOCKED;
	default:
		return false;
	}
}

/* A thread that has merely been preempted keeps its worker. */
static void take_if_held(struct wf_worker *w, struct sight *s, bool idle,
			 weft_time now)
{
	struct wf_carrier *c = s->carrier;
	pid_t tid = atom_load_rlx(&c->tid);
	bool urgent = idle && worker_waiting(w) && !s->shares;
	bool computes = cpu_used(s, tid, now) >= patience(urgent);

	/* Its loop may be slow to rise; that is no fiber. */
	if (atom_load_rlx(&c->inside))
		return;
	if (!computes &&
	    !((urgent || now - s->since >= PATIENCE) && blocks(s, tid, now)))
		return;
	wf_crowd_held(&crowd, now);
	if (wf_watch_lost() >= limit)
		return;
	wf_trace_stuck(c, s->since, computes);
	wf_watch_take(w, computes);
}

/* Whether its fibers run for long, on the average since its last pass. */
static bool slow(const struct sight *s, weft_time now)
{
	return now - s->pass > LONG_TURN * (weft_time)(WF_TURNS - s->turns + 1);
}

/* What others may serve, behind a fiber that does not end: let one do so. */
static void offer(struct wf_worker *w, weft_time now)
{
	if (runq_offers(&w->runq) || wf_poll_ready(&w->poll) ||
	    !inject_empty(&wf_runtime.inject) || wheel_next(&w->timers) <= now)
		wf_sched_notify();
}

static void look_at(struct wf_worker *w, struct sight *s, bool idle,
		    weft_time now)
{
	uint64_t spawned = atom_load_rlx(&w->spawned);
	bool changed = moved(s, w);

	s->shares = s->spawned != spawned;
	s->spawned = spawned;
	if (changed)
		note(s, w, now);
	atom_store_rlx(&w->runq.eager,
		       idle && worker_waiting(w) && slow(s, now));
	if (changed)
		return;
	if (idle)
		offer(w, now);
	take_if_held(w, s, idle, now);
}

/* --- all of them --- */

/* That could be woken. */
static bool any_asleep(void)
{
	for (uint32_t i = 0; i < wf_runtime.count; i++)
		if (asleep(&wf_runtime.workers[i]) &&
		    worker_wanted(&wf_runtime.workers[i]))
			return true;
	return false;
}

static void look(bool idle, weft_time now)
{
	for (uint32_t i = 0; i < wf_runtime.count; i++) {
		struct wf_worker *w = &wf_runtime.workers[i];

		if (!asleep(w))
			look_at(w, &sights[i], idle, now);
	}
}

static void want_more_or_fewer(weft_time now)
{
	struct wf_crowd_view view;
	uint32_t before;

	if (!wf_census_take(now, wf_crowd_window(&crowd), &view))
		return;
	wf_crowd_turn(&crowd, &view);
	busy = wf_crowd_busy(&view);
	before = atom_load_rlx(&wf_runtime.idle.wanted);
	atom_store_rlx(&wf_runtime.idle.wanted, crowd.wanted);
	/* Who published meanwhile has relied on fewer. */
	if (crowd.wanted > before)
		wf_sched_notify();
}

static weft_time period(bool idle, bool all_asleep)
{
	if (all_asleep)
		return SLACK;
	return idle ? GLANCE : TICK;
}

static void tick(void)
{
	bool idle = any_asleep(), again;
	weft_time now = wf_clock_now();
	uint64_t word;

	look(idle, now);
	if (yields)
		want_more_or_fewer(now);
	again = wf_sentinel_at_look && wf_sentinel_at_look();
	wf_vigil_allow(&wf_runtime.vigil, SLACK,
		       busy || again ? 0 : now + LATEST);
	word = wf_idle_all_asleep(&wf_runtime.idle);
	if (word && !again)
		wf_vigil_rest(&wf_runtime.vigil, &wf_runtime.idle, word);
	else
		wf_vigil_sleep(&wf_runtime.vigil,
			       wf_clock_now() + period(idle, word));
}

static void *main_of_sentinel(void *unused)
{
	(void)unused;
	wf_thread_name("weft-watch");
	wf_signals_restore(&wf_runtime.mask);
	while (!wf_worker_over()) {
		if (wf_dump_asked())
			weft_dump(2);
		tick();
	}
	return NULL;
}

/* --- beginning and end --- */

int wf_sentinel_begin(const struct weft_options *o)
{
	int r = wf_census_begin();

	if (r < 0)
		return r;
	sights = calloc(wf_runtime.count, sizeof *sights);
	limit = o->stuck_threads;
	yields = wf_runtime.count > 1 && !o->all_workers;
	wf_crowd_begin(&crowd, wf_runtime.count);
	busy = false;
	r = sights ? wf_thread_start(&thread, main_of_sentinel, NULL) : -ENOMEM;
	if (r < 0)
		wf_sentinel_forget();
	return r;
}

void wf_sentinel_end(void)
{
	wf_vigil_disturb(&wf_runtime.vigil);
	wf_thread_join(thread);
	wf_state_end();
	wf_sentinel_forget();
}

void wf_sentinel_forget(void)
{
	free(sights);
	sights = NULL;
	wf_census_end();
	wf_state_forget();
}
