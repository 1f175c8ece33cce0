/* SPDX-License-Identifier: MIT */
/*
 * vigil.c - see vigil.h.
 */
#include "core/vigil.h"

#include "os/clock.h"

int wf_vigil_begin(struct wf_vigil *v)
{
	atom_store_rlx(&v->due, WF_LOOKING);
	wf_vigil_allow(v, 0, 0);
	return wf_alarm_open(&v->alarm);
}

void wf_vigil_end(struct wf_vigil *v)
{
	wf_alarm_close(&v->alarm);
}

/* --- the sentinel --- */

void wf_vigil_allow(struct wf_vigil *v, weft_time slack, weft_time latest)
{
	atom_store_rlx(&v->slack, slack);
	atom_store_rlx(&v->latest, latest);
}

static void set(struct wf_vigil *v, weft_time from, weft_time to)
{
	if (!atom_cas_rlx(&v->due, &from, to))
		return;
	wf_alarm_set(&v->alarm, to);
	if (atom_load_rlx(&v->due) == WF_DISTURBED)
		wf_alarm_set(&v->alarm, WF_DISTURBED);
}

static void await_alarm(struct wf_vigil *v)
{
	wf_alarm_wait(&v->alarm);
	/* acquire [vigil-disturbed] */
	atom_swap_acq(&v->due, WF_LOOKING);
}

void wf_vigil_sleep(struct wf_vigil *v, weft_time at)
{
	set(v, WF_LOOKING, at);
	await_alarm(v);
}

void wf_vigil_rest(struct wf_vigil *v, struct wf_idle *i, uint64_t seen)
{
	weft_time looking = WF_LOOKING;

	if (atom_cas_rlx(&v->due, &looking, WF_RESTING)) {
		/* [vigil-rest] */
		atom_fence_sc();
		if (wf_idle_all_asleep(i) != seen)
			wf_vigil_move(v, WF_RESTING, wf_clock_now());
	}
	await_alarm(v);
}

/* --- others --- */

void wf_vigil_move(struct wf_vigil *v, weft_time from, weft_time now)
{
	weft_time latest = atom_load_rlx(&v->latest);
	weft_time slack = atom_load_rlx(&v->slack), to = now + slack;

	if (from == WF_DISTURBED)
		wf_alarm_set(&v->alarm, WF_DISTURBED);
	else if (from == WF_RESTING)
		set(v, from, now + slack / 2);
	else if (latest > from)
		set(v, from, to < latest ? to : latest);
}

void wf_vigil_disturb(struct wf_vigil *v)
{
	/* release [vigil-disturbed]; a swap, or another's would be cut off */
	atom_swap_ar(&v->due, WF_DISTURBED);
	wf_alarm_set(&v->alarm, WF_DISTURBED);
}
