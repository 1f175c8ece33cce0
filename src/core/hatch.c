/* SPDX-License-Identifier: MIT */
/*
 * hatch.c - see hatch.h.
 */
#include "core/hatch.h"

#include "core/adopt.h"
#include "core/sched.h"
#include "core/self.h"
#include "os/call.h"
#include "os/futex.h"

/* --- the shell --- */

static _Noreturn void main_of_shell(void *arrived)
{
	struct wf_message *message = arrived;

	wf_arrive(message->to, message);
	for (;;)
		wf_call(exit, 0);
}

/* --- the fiber --- */

void wf_hatch(struct wf_shell *shell, struct weft_fiber *f)
{
	struct wf_carrier *c = &shell->carrier;

	wf_call(set_tid_address, &shell->kept);
	f->ctx.base = c->loop.ctx.base = wf_base_get();
	f->carrier = c;
	wf_context_make(&c->loop.ctx, shell, main_of_shell);
	wf_self_set(f);
	/* Without a worker, to yield is to be injected. */
	wf_sched_yield(f);
}

/* --- a kernel thread of its own --- */

static void wake(struct weft_fiber *f, struct wf_carrier *here)
{
	struct wf_own_thread *t = f->value;

	(void)here;
	/* release [own-thread] */
	atom_store_rel(&t->led, 1);
	wf_futex_wake(&t->led, 1);
}

void wf_own_thread_lead(struct wf_own_thread *t, struct weft_fiber *f)
{
	wf_adopt_carrier(&t->carrier);
	t->fiber = f;
	f->value = t;
	wf_sched_leave(f, wake);
}

void wf_own_thread_carry(struct wf_own_thread *t)
{
	/* acquire [own-thread] */
	while (!atom_load_acq(&t->led))
		wf_futex_wait(&t->led, 0, WEFT_FOREVER);
	t->carrier.loop.ctx.base = wf_base_get();
	carrier_enter(&t->carrier);
	wf_sched_dispatch(&t->carrier, t->fiber);
}
