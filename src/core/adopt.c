/* SPDX-License-Identifier: MIT */
/*
 * adopt.c - see adopt.h.
 */
#include "core/adopt.h"

#include <errno.h>
#include <string.h>

#include "core/gate.h"
#include "core/join.h"
#include "core/sched.h"
#include "core/self.h"
#include "os/futex.h"
#include "os/thread.h"

/* --- the orphan --- */

static void sleep_until_home(struct wf_adoption *a)
{
	/* acquire [adopt-home] */
	while (!atom_load_acq(&a->home))
		wf_futex_wait(&a->home, 0, WEFT_FOREVER);
}

static void main_of_orphan(void *arrived)
{
	struct wf_message *message = arrived;
	struct weft_fiber *loop = message->to;
	struct wf_adoption *a =
		container_of(loop->carrier, struct wf_adoption, carrier);

	wf_arrive(loop, message);
	sleep_until_home(a);
	carrier_enter(&a->carrier);
	wf_sched_dispatch(&a->carrier, a->fiber);
	wf_panic("an adopted thread has left its home twice");
}

void wf_adopt_carrier(struct wf_carrier *c)
{
	wf_carrier_begin(c);
	c->loop.own_base = true;
	atom_store_rlx(&c->lost, WF_TAKEN);
}

static void make_orphan(struct wf_adoption *a, char *scratch, size_t size)
{
	struct weft_fiber *loop = &a->carrier.loop;

	wf_adopt_carrier(&a->carrier);
	loop->ctx.base = wf_base_get();
	san_make(&loop->life->san, scratch, size);
	wf_context_make(&loop->ctx, scratch + size, main_of_orphan);
}

/* --- the fiber --- */

void wf_adopt_handle(struct weft_fiber *f, struct wf_life *life)
{
	atom_store_rlx(&f->kind, WF_ADOPTED);
	f->own_base = true;
	f->checked = 0;
	f->life = life;
	f->deadline = WEFT_FOREVER;
	f->shield = f->pins = 0;
	atom_store_rlx(&f->due, WF_DUE_UNKNOWN);
	f->pinned = NULL;
	f->scope = NULL;
	f->entry = NULL;
	f->name = NULL;
	atom_store_rlx(&f->cancel, 0);
	atom_store_rlx(&f->joiner, WF_DETACHED);
}

static void make_fiber(struct wf_adoption *a, struct weft_fiber *f)
{
	void *bottom;
	size_t size;

	wf_adopt_handle(f, &a->life);
	f->ctx.base = wf_base_get();
	f->carrier = &a->carrier;
	wf_thread_stack(&bottom, &size);
	san_adopt(&a->life.san, bottom, size);
	a->fiber = f;
}

static int begin(struct wf_adoption *a, void *scratch, size_t size)
{
	struct weft_fiber *f = wf_fiber_alloc(NULL);

	if (!f)
		return -ENOMEM;
	memset(a, 0, sizeof *a);
	make_orphan(a, scratch, size);
	make_fiber(a, f);
	atom_add_rlx(&wf_runtime.spawned, 1);
	wf_self_set(f);
	/* Without a worker, to yield is to be injected. */
	wf_sched_yield(f);
	return 0;
}

int wf_adopt_begin(struct wf_adoption *a, void *scratch, size_t size)
{
	int r;

	if (!WF_BASE_SWITCHED || SAN_BASE_FIXED)
		return -ENOTSUP;
	if (!wf_gate_enter())
		return -ESRCH;
	r = begin(a, scratch, size);
	wf_sched_leave_gate();
	return r;
}

/* Run by wf_arrive() where the fiber has left. */
static void wake_orphan(struct weft_fiber *gone, struct wf_carrier *here)
{
	struct wf_adoption *a =
		container_of(gone->life, struct wf_adoption, life);

	(void)here;
	/* release [adopt-home] */
	atom_store_rel(&a->home, 1);
	wf_futex_wake(&a->home, 1);
}

void wf_adopt_end(struct wf_adoption *a)
{
	if (a->life.at_end)
		a->life.at_end(a->fiber);
	if (a->fiber->scope)
		wf_life_left_open(a->fiber);
	wf_timer_disarm(&a->life.timer);
	wf_sched_leave(a->fiber, wake_orphan);
	wf_self_set(NULL);
	wf_fiber_free(NULL, a->fiber);
	/* Inside the gate the runtime outlasts its last fiber. */
	wf_gate_hold();
	atom_add_rlx(&wf_runtime.ended, 1);
	wf_sched_wake_worker(wf_runtime.workers);
	wf_sched_leave_gate();
}
