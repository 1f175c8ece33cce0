/* SPDX-License-Identifier: MIT */
/*
 * census.c - see census.h.
 */
#include "run/census.h"

#include <errno.h>
#include <stdlib.h>

#include "core/sched.h"
#include "os/clock.h"
#include "os/state.h"
#include "run/worker.h"

struct done {
	uint64_t calls, parks; /* of all workers */
};

static struct {
	weft_time since;             /* the window's beginning */
	struct done done;            /* by then */
	struct wf_share *now, *then; /* of the workers' threads */
	uint32_t known;              /* of `then`, the first ones */
} census;

static struct done count_done(void)
{
	struct done all = {0};

	for (uint32_t i = 0; i < wf_runtime.count; i++) {
		struct wf_worker *w = &wf_runtime.workers[i];

		all.calls += atom_load_rlx(&w->calls);
		all.parks += atom_load_rlx(&w->parks);
	}
	return all;
}

int wf_census_begin(void)
{
	uint32_t n = wf_runtime.count;

	census.since = wf_clock_now();
	census.done = (struct done){0};
	census.known = 0;
	census.now = calloc(n, sizeof *census.now);
	census.then = calloc(n, sizeof *census.then);
	if (census.now && census.then)
		return 0;
	wf_census_end();
	return -ENOMEM;
}

void wf_census_end(void)
{
	free(census.now);
	free(census.then);
	census.now = census.then = NULL;
}

static void ask(uint32_t wanted)
{
	for (uint32_t i = 0; i < wanted; i++) {
		/* acquire [carrier-seen] */
		struct wf_carrier *c =
			atom_load_acq(&wf_runtime.workers[i].carrier);

		census.now[i].tid = atom_load_rlx(&c->tid);
	}
	wf_state_shares(census.now, wanted);
}

static weft_time since(weft_time then, weft_time now)
{
	return now > then ? now - then : 0;
}

/* By one of those that are wanted, unless it was another thread before. */
static void add(struct wf_crowd_view *v, const struct wf_share *then,
		const struct wf_share *now)
{
	if (then->tid != now->tid || then->ran < 0 || now->ran < 0)
		return;
	v->ran += since(then->ran, now->ran);
	v->waited += since(then->waited, now->waited);
	v->known++;
}

static void view_shares(struct wf_crowd_view *v, uint32_t wanted)
{
	struct wf_share *then = census.then;

	ask(wanted);
	for (uint32_t i = 0; i < wanted && i < census.known; i++)
		add(v, &then[i], &census.now[i]);
	census.then = census.now;
	census.now = then;
	census.known = wanted;
}

bool wf_census_take(weft_time now, weft_time window, struct wf_crowd_view *view)
{
	struct wf_lives n;
	struct done done;
	uint64_t calls, parks;

	if (now - census.since < window)
		return false;
	n = wf_worker_lives();
	done = count_done();
	calls = done.calls - census.done.calls;
	parks = done.parks - census.done.parks;
	*view = (struct wf_crowd_view){.now = now,
				       .length = now - census.since,
				       .done = calls > parks ? calls : parks,
				       .fibers = n.begun - n.ended};
	census.since = now;
	census.done = done;
	if (wf_crowd_busy(view))
		view_shares(view, atom_load_rlx(&wf_runtime.idle.wanted));
	else
		census.known = 0;
	return true;
}
