/* SPDX-License-Identifier: MIT */
/*
 * trace.c - see trace.h.
 */
#include "run/trace.h"

#include <stdlib.h>
#include <string.h>

#include "os/clock.h"
#include "run/sample.h"

#define SITES 256 /* are told of, then no more */

/* The lock guards all. */
static struct {
	struct wf_spin lock;
	uint32_t count;
	uint64_t keys[SITES];
	bool freed[SITES]; /* how long it took has been said */
} sites;

static bool on;

bool wf_trace_begin(void)
{
	const char *text = getenv("WEFT_TRACE_BLOCKING");

	on = text && strcmp(text, "1") == 0;
	sites.count = 0;
	return on;
}

/* FNV-1a over the addresses. */
static uint64_t key_of(void *const *frames, int count)
{
	uint64_t key = UINT64_C(0xcbf29ce484222325);

	for (int i = 0; i < count; i++)
		key = (key ^ (uintptr_t)frames[i]) * UINT64_C(0x100000001b3);
	return key;
}

/* The number of a place not seen before, from 1; 0 if it was, or no room. */
static uint32_t site_new(uint64_t key)
{
	uint32_t i, found = 0;

	spin_lock(&sites.lock);
	for (i = 0; i < sites.count && sites.keys[i] != key; i++)
		;
	if (i == sites.count && i < SITES) {
		sites.keys[i] = key;
		sites.freed[i] = false;
		found = ++sites.count;
	}
	spin_unlock(&sites.lock);
	return found;
}

void wf_trace_stuck(struct wf_carrier *c, weft_time since, bool computes)
{
	void *frames[WF_FRAMES];
	int n, inner;

	if (!on)
		return;
	n = wf_sample(atom_load_rlx(&c->tid), frames, WF_FRAMES);
	inner = n && computes;
	c->stuck_since = since;
	c->stuck_site = site_new(key_of(frames + inner, n - inner));
	if (!c->stuck_site)
		return;
	wf_say("place %u: a fiber %s for %lu ms so far, and its worker goes "
	       "on with another thread; innermost first:",
	       (unsigned)c->stuck_site,
	       computes ? "computes" : "is in a call that blocks the thread",
	       (unsigned long)((wf_clock_now() - since) / WEFT_MSEC(1)));
	if (n)
		wf_sample_print(2, frames, n);
	else
		wf_say("its thread did not answer in time");
}

void wf_trace_freed(struct wf_carrier *c)
{
	uint32_t site = on ? c->stuck_site : 0;
	bool first = false;

	if (!site)
		return;
	spin_lock(&sites.lock);
	if (site <= sites.count) {
		first = !sites.freed[site - 1];
		sites.freed[site - 1] = true;
	}
	spin_unlock(&sites.lock);
	if (first)
		wf_say("place %u: %lu ms in all", (unsigned)site,
		       (unsigned long)((wf_clock_now() - c->stuck_since) /
				       WEFT_MSEC(1)));
}
