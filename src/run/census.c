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

static struct {
	weft_time since; /* the window's beginning */
	uint64_t done;   /* by then */
	uint32_t known;  /* workers, the first ones; 0: not asked then */
	pid_t *tids, *tids_then;
	weft_time *delays, *delays_then;
} census;

static uint64_t count_parks(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < wf_runtime.count; i++)
		n += atom_load_rlx(&wf_runtime.workers[i].parks);
	return n;
}

int wf_census_begin(void)
{
	uint32_t n = wf_runtime.count;

	census.since = wf_clock_now();
	census.done = 0;
	census.known = 0;
	census.tids = calloc(n, sizeof *census.tids);
	census.tids_then = calloc(n, sizeof *census.tids_then);
	census.delays = calloc(n, sizeof *census.delays);
	census.delays_then = calloc(n, sizeof *census.delays_then);
	if (census.tids && census.tids_then && census.delays &&
	    census.delays_then)
		return 0;
	wf_census_end();
	return -ENOMEM;
}

void wf_census_end(void)
{
	free(census.tids);
	free(census.tids_then);
	free(census.delays);
	free(census.delays_then);
	census.tids = census.tids_then = NULL;
	census.delays = census.delays_then = NULL;
}

static void ask(uint32_t wanted)
{
	for (uint32_t i = 0; i < wanted; i++) {
		/* acquire [carrier-seen] */
		struct wf_carrier *c =
			atom_load_acq(&wf_runtime.workers[i].carrier);

		census.tids[i] = atom_load_rlx(&c->tid);
	}
	wf_state_delays(census.tids, census.delays, wanted);
}

/* Since they were asked last, by those that are still the same threads. */
static weft_time waited(uint32_t wanted)
{
	uint32_t n = wanted < census.known ? wanted : census.known;
	weft_time sum = 0;

	for (uint32_t i = 0; i < n; i++)
		if (census.tids[i] == census.tids_then[i] &&
		    census.delays[i] > census.delays_then[i] &&
		    census.delays_then[i] >= 0)
			sum += census.delays[i] - census.delays_then[i];
	return sum;
}

static void remember(uint32_t wanted)
{
	for (uint32_t i = 0; i < wanted; i++) {
		census.tids_then[i] = census.tids[i];
		census.delays_then[i] = census.delays[i];
	}
	census.known = wanted;
}

bool wf_census_take(weft_time now, struct wf_crowd_view *view)
{
	uint32_t wanted = atom_load_rlx(&wf_runtime.idle.wanted);
	uint64_t done;

	if (now - census.since < WF_CROWD_WINDOW)
		return false;
	done = count_parks();
	*view = (struct wf_crowd_view){.now = now,
				       .length = now - census.since,
				       .done = done - census.done};
	census.since = now;
	census.done = done;
	census.known = wf_crowd_busy(view) ? census.known : 0;
	if (wf_crowd_busy(view)) {
		ask(wanted);
		view->waited = waited(wanted);
		remember(wanted);
	}
	return true;
}
