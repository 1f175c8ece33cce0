/* SPDX-License-Identifier: MIT */
/*
 * run/worker.c - see run/worker.h.
 */
#include "run/worker.h"

#include <string.h>

#include "core/gate.h"
#include "core/sched.h"
#include "core/self.h"
#include "core/waiter.h"
#include "io/source.h"
#include "os/clock.h"

#define EVENTS     32 /* woken at a time, so that they are still cached */
#define INJECTED   32 /* taken in one pass */
#define LONG_SLEEP WEFT_USEC(50)
/*
 * How long a stolen fiber has to keep its thief busy: one that has never run,
 * and one that was woken, as it works with others who were left behind.
 */
#define WORTH_FRESH  WEFT_NSEC(200)
#define WORTH_WOKEN  WEFT_NSEC(2000)
#define LINGER_FIRST WEFT_USEC(50)
#define LINGER_LAST  WEFT_USEC(800)
#define FRUITLESS    3 /* spins in vain, then none until a wait was short */
#define STAND_BY     WEFT_USEC(3)
#define GLANCES      4

struct wf_loop_options wf_loop_options;
void (*wf_worker_at_over)(void);

static _Atomic bool over;
static _Atomic bool cancelled; /* every fiber has been told to stop */

bool wf_worker_over(void)
{
	return atom_load_rlx(&over);
}

void wf_worker_over_reset(void)
{
	atom_store_rlx(&over, false);
	atom_store_rlx(&cancelled, false);
}

void wf_worker_finish(void)
{
	atom_store_rlx(&over, true);
	for (uint32_t i = 0; i < wf_runtime.count; i++)
		wf_poll_wake(&wf_runtime.workers[i].poll);
	if (wf_worker_at_over)
		wf_worker_at_over();
}

/* --- events and timers --- */

static void fetch(const struct epoll_event *events, int n,
		  void (*what)(uint64_t))
{
	for (int i = 0; i < n; i++)
		if (events[i].data.u64 != WF_POLL_WAKE)
			what(events[i].data.u64);
}

/*
 * What a worker that is not wanted would be told of, another one is to be told
 * of from now on, beginning with this.
 */
static bool passed_on(struct wf_worker *w, struct wf_poll *p, uint64_t data)
{
	uint32_t wanted = atom_load_rlx(&wf_runtime.idle.wanted);
	struct wf_worker *to = &wf_runtime.workers[rng_below(&w->rng, wanted)];

	return wf_source_move(data, p, &to->poll);
}

static void serve_event(struct wf_carrier *here, struct wf_poll *p,
			const struct epoll_event *e, struct wf_wakes *wakes)
{
	struct wf_worker *w = here->worker;
	struct wf_worker *owner = container_of(p, struct wf_worker, poll);
	uint64_t data = e->data.u64;

	if (data == WF_POLL_WAKE) {
		if (owner == w)
			wf_poll_drain(p);
	} else if (likely(worker_wanted(owner)) || !passed_on(w, p, data)) {
		wf_source_event(data, e->events, wakes, here);
	}
}

/*
 * An event leads to its source, that to who waits, and that to its handle, each
 * of them in memory that has not been looked at for long.  One step at a time
 * for all events, so that the CPU waits for many of them together.
 */
static void dispatch_events(struct wf_carrier *here, struct wf_poll *p,
			    const struct epoll_event *events, int n)
{
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	fetch(events, n, wf_source_prefetch);
	fetch(events, n, wf_source_prefetch_waiter);
	for (int i = 0; i < n; i++)
		serve_event(here, p, &events[i], &wakes);
	wf_wakes_fire(&wakes, here);
}

static void serve_poll(struct wf_carrier *here, struct wf_poll *p)
{
	struct epoll_event events[EVENTS];

	return dispatch_events(here, p, events, wf_poll_try(p, events, EVENTS));
}

static void serve_timers(struct wf_carrier *here, struct wf_wheel *wheel,
			 weft_time now)
{
	struct weft_fiber *due[WF_WAKES];
	unsigned n;
	bool more;

	do {
		n = wf_wheel_expire(wheel, now, due, WF_WAKES, &more);
		for (unsigned i = 0; i < n; i++)
			wf_unpark_here(due[i], here);
	} while (more);
}

/* --- stopping --- */

static void unpark_one(struct weft_fiber *f, void *here)
{
	wf_unpark_here(f, here);
}

/* weft_stop() may come from a signal handler; the walk is done here. */
static void stop_if_asked(struct wf_carrier *here)
{
	if (atom_load_rlx(&wf_runtime.stopping) &&
	    !atom_swap_rlx(&cancelled, true))
		wf_fiber_each(unpark_one, here);
}

/* --- one full pass --- */

static unsigned take_injected(struct wf_worker *w)
{
	struct weft_fiber *f;
	unsigned n = 0;

	while (n < INJECTED && (f = wf_inject_pop(&wf_runtime.inject))) {
		if (f->life)
			runq_push(&w->runq, f);
		else
			runq_spawn(&w->runq, f);
		n++;
	}
	return n;
}

static void pass(struct wf_carrier *here, bool poll)
{
	struct wf_worker *w = here->worker;
	weft_time now = wf_clock_now();

	atom_store_rlx(&w->turns, WF_TURNS);
	atom_bump_rlx(&w->passes);
	atom_store_rlx(&w->now, now);
	if (poll && poll_used(&w->poll))
		serve_poll(here, &w->poll);
	if (wheel_due(&w->timers, now))
		serve_timers(here, &w->timers, now);
	take_injected(w);
	stop_if_asked(here);
}

/* --- searching --- */

static struct wf_worker *another(struct wf_worker *w, uint32_t offset)
{
	uint32_t n = wf_runtime.count;

	return &wf_runtime.workers[(w->id + 1 + offset % (n - 1)) % n];
}

static void note_loot(struct wf_worker *w, const struct weft_fiber *first,
		      uint32_t count)
{
	w->stolen_at = wf_clock_now();
	w->loot = (first->life ? WORTH_WOKEN : WORTH_FRESH) * count;
}

/* A fiber from another worker's ring; or else from what it has not served. */
static struct weft_fiber *steal(struct wf_carrier *here)
{
	struct wf_worker *w = here->worker;
	uint32_t others = wf_runtime.count - 1, first, count;
	weft_time now = atom_load_rlx(&w->now);
	struct weft_fiber *f;

	if (!others)
		return NULL;
	first = rng_below(&w->rng, others);
	for (uint32_t i = 0; i < others; i++) {
		f = wf_runq_steal(&w->runq, &another(w, first + i)->runq,
				  &count);
		if (f) {
			atom_bump_rlx(&w->steals);
			note_loot(w, f, count);
			return f;
		}
	}
	for (uint32_t i = 0; i < others; i++) {
		struct wf_worker *v = another(w, first + i);

		if (poll_used(&v->poll))
			serve_poll(here, &v->poll);
		if (wheel_due(&v->timers, now))
			serve_timers(here, &v->timers, now);
	}
	return wf_sched_pick(w);
}

/*
 * After a long sleep there will hardly be an event right away, and the call to
 * sleep would report it just as well.
 */
static struct weft_fiber *look(struct wf_carrier *here, bool searching)
{
	struct wf_worker *w = here->worker;
	struct weft_fiber *f;

	pass(here, !w->slept_long);
	f = wf_sched_pick(w);
	return f || !searching ? f : steal(here);
}

/*
 * What is sent to this worker, or to all, is seen sooner than all of a look
 * takes, which asks the clock, the kernel and the others too.
 */
static bool glance(struct wf_worker *w)
{
	for (unsigned i = 0; i < GLANCES; i++) {
		if (!inbox_empty(&w->inbox) ||
		    !inject_empty(&wf_runtime.inject))
			return true;
		wf_cpu_relax();
	}
	return false;
}

/*
 * As a searcher: look again and again for a while.  After FRUITLESS times in
 * vain there is one more chance for each sleep that was shorter than a spin:
 * among waits of a millisecond a short one now and then must not cost three.
 */
static struct weft_fiber *spin(struct wf_carrier *here)
{
	struct wf_worker *w = here->worker;
	weft_time end;
	struct weft_fiber *f = NULL;

	if (wf_loop_options.spin <= 0 || w->fruitless >= FRUITLESS)
		return NULL;
	w->slept_long = false;
	end = wf_time_add(atom_load_rlx(&w->now), wf_loop_options.spin);
	while (!f && !wf_worker_over() && atom_load_rlx(&w->now) < end) {
		f = glance(w) ? wf_sched_pick(w) : NULL;
		if (!f)
			f = look(here, true);
	}
	if (!f)
		w->fruitless++;
	else if (w->fruitless)
		w->fruitless--;
	return f;
}

/*
 * Another one searches, so this one would sleep; but where two wake each other
 * in turns the other one is about to find what we have just made ready, and we
 * shall be woken in a moment.  True: it is our turn to search.
 */
static bool stand_by(struct wf_worker *w)
{
	weft_time end;

	if (wf_loop_options.spin <= 0 || w->fruitless >= FRUITLESS)
		return false;
	end = wf_time_add(wf_clock_now(), STAND_BY);
	while (!glance(w) && !wf_worker_over() && wf_clock_now() < end)
		if (wf_idle_search(&wf_runtime.idle))
			return true;
	return false;
}

/*
 * To steal a fiber costs its victim more than to run one that ends at once.  A
 * thief who is back so soon leaves the others alone for a while, which doubles
 * each time; what is its own, and what is injected, it runs meanwhile.
 */
static struct weft_fiber *linger(struct wf_carrier *here)
{
	struct wf_worker *w = here->worker;
	struct weft_fiber *f = NULL;
	weft_time now, end;

	if (!w->loot)
		return NULL;
	now = wf_clock_now();
	if (now - w->stolen_at > w->loot)
		w->linger = 0;
	else if (w->linger < LINGER_LAST)
		w->linger = w->linger ? 2 * w->linger : LINGER_FIRST;
	w->loot = 0;
	end = now + w->linger;
	while (!f && w->linger && !wf_worker_over() && wf_clock_now() < end)
		f = look(here, false);
	return f;
}

/* --- sleeping --- */

static bool others_offer(void)
{
	for (uint32_t i = 0; i < wf_runtime.count; i++)
		if (runq_offers(&wf_runtime.workers[i].runq))
			return true;
	return false;
}

/* Something that a publisher may have relied on this worker to see. */
static bool work_in_sight(struct wf_worker *w)
{
	return !inject_empty(&wf_runtime.inject) || !inbox_empty(&w->inbox) ||
	       (worker_wanted(w) && others_offer()) || wf_worker_over() ||
	       (atom_load_rlx(&wf_runtime.stopping) &&
		!atom_load_rlx(&cancelled));
}

struct wf_lives wf_worker_lives(void)
{
	struct wf_lives n = {.ended = atom_load_rlx(&wf_runtime.ended)};

	for (uint32_t i = 0; i < wf_runtime.count; i++)
		n.ended += atom_load_rlx(&wf_runtime.workers[i].ended);
	n.begun = atom_load_rlx(&wf_runtime.spawned);
	for (uint32_t i = 0; i < wf_runtime.count; i++)
		n.begun += atom_load_rlx(&wf_runtime.workers[i].spawned);
	return n;
}

static bool any_living(void)
{
	struct wf_lives n = wf_worker_lives();

	return n.begun != n.ended;
}

/* Or it cannot be known, as somebody is awake. */
static bool any_may_live(void)
{
	uint64_t asleep = wf_idle_all_asleep(&wf_runtime.idle);

	return !asleep || any_living() ||
	       wf_idle_all_asleep(&wf_runtime.idle) != asleep;
}

static void unpark(struct weft_fiber *f, void *unused)
{
	(void)unused;
	wf_unpark(f);
}

static bool still_open(void)
{
	wf_gate_reopen();
	return false;
}

/*
 * The last one awake has gone to sleep: is anything left to be done?  As a rule
 * there is, and that is seen without a look at the gate.
 */
static bool end_if_done(void)
{
	enum wf_gate_end end;
	uint64_t seen;

	do {
		if (likely(any_living()))
			return still_open();
		seen = wf_gate_look();
		if (any_may_live())
			return still_open();
		end = wf_gate_close(seen);
	} while (end == WF_GATE_CHANGED);
	if (end == WF_GATE_ASKED) {
		/* Threads that wait inside leave when they are woken. */
		wf_fiber_each(unpark, NULL);
		return false;
	}
	wf_worker_finish();
	return true;
}

static void wait_for_events(struct wf_carrier *here)
{
	struct wf_worker *w = here->worker;
	struct epoll_event events[EVENTS];
	weft_time until = wheel_next(&w->timers), begin, slept;
	/* Which may take a while. */
	weft_time trim = wf_stack_trim(&w->stacks, atom_load_rlx(&w->now));
	int n;

	begin = wf_clock_now();
	n = wf_poll_wait(&w->poll, events, EVENTS,
			 wf_time_until(until < trim ? until : trim, begin));

	atom_store_rlx(&w->now, wf_clock_now());
	slept = atom_load_rlx(&w->now) - begin;
	w->slept_long = slept > LONG_SLEEP;
	if (slept < wf_loop_options.spin && w->fruitless == FRUITLESS)
		w->fruitless--;
	dispatch_events(here, &w->poll, events, n);
}

/* Returns whether the caller is a searcher afterwards. */
static bool sleep_and_rise(struct wf_carrier *here, bool searching)
{
	struct wf_worker *w = here->worker;
	uint32_t asleep;
	bool last, first;

	atom_store_rlx(&w->asleep, WF_DOZING);
	last = wf_idle_sleep(&wf_runtime.idle, searching);
	if (!work_in_sight(w) && !(last && end_if_done())) {
		atom_bump_rlx(&w->sleeps);
		wait_for_events(here);
	}
	first = wf_idle_rise(&wf_runtime.idle);
	vigil_risen(&wf_runtime.vigil, first && w->slept_long,
		    atom_load_rlx(&w->now));
	/* [idle-fence] */
	asleep = atom_swap_sc(&w->asleep, 0);
	if (asleep == 0)
		wf_idle_unrise(&wf_runtime.idle);
	return asleep == 0;
}

/* --- the loop --- */

/* A searcher has found something; if it was the last, another may be needed. */
static void found(struct wf_worker *w)
{
	if (wf_idle_found(&wf_runtime.idle) &&
	    (!inject_empty(&wf_runtime.inject) || others_offer()))
		wf_sched_notify();
	atom_store_rlx(&w->turns, WF_TURNS);
}

/* NULL: the runtime is over. */
static struct weft_fiber *find(struct wf_carrier *here)
{
	struct wf_worker *w = here->worker;
	struct weft_fiber *f = NULL;
	bool searching = false;

	f = linger(here);
	while (!f && !wf_worker_over()) {
		if (!searching && worker_wanted(w))
			searching =
				wf_idle_search(&wf_runtime.idle) || stand_by(w);
		f = wf_sched_pick(w);
		if (!f)
			f = look(here, searching);
		if (!f && searching)
			f = spin(here);
		if (f)
			break;
		searching = sleep_and_rise(here, searching);
		/* What it woke up for, as a rule. */
		f = wf_sched_pick(w);
	}
	if (searching)
		found(w);
	return f;
}

static struct weft_fiber *next(struct wf_carrier *here)
{
	struct wf_worker *w = here->worker;
	struct weft_fiber *f;

	if (worker_turns(w) == 0)
		pass(here, true);
	worker_turn(w);
	f = wf_sched_pick(w);
	return f ? f : find(here);
}

bool wf_worker_run(struct wf_carrier *c)
{
	struct weft_fiber *f;

	carrier_enter(c);
	wf_self_set(&c->loop);
	while (carrier_settled(c)) {
		f = next(c);
		if (!f)
			break;
		wf_sched_dispatch(c, f);
	}
	wf_self_set(NULL);
	carrier_leave(c);
	return wf_worker_over();
}

int wf_worker_begin(struct wf_worker *w, uint32_t id)
{
	memset(w, 0, sizeof *w);
	w->id = id;
	atom_store_rlx(&w->turns, WF_TURNS);
	w->rng.state = id + 1;
	atom_store_rlx(&w->now, wf_clock_now());
	wf_wheel_begin(&w->timers, atom_load_rlx(&w->now));
	return wf_poll_open(&w->poll);
}

void wf_worker_end(struct wf_worker *w)
{
	wf_poll_close(&w->poll);
	wf_stack_flush(&w->stacks);
	wf_fiber_flush(&w->handles);
}
