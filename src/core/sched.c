/* SPDX-License-Identifier: MIT */
/*
 * sched.c - see sched.h.
 *
 * The order of things around a switch:
 *
 *      enter             the worker is ours, or lost
 *      pick              a successor from the worker's own queue
 *      bind              a stack, if the successor has never run
 *      switch            with the message; a fiber that yields is in the
 *                        owner's part of the queue already, where nobody looks
 *      arrive            do what the message says, then leave
 *
 * so the worker is ours from before the pick until after the arrival's work.
 */
#include "core/sched.h"

#include "base/check.h"
#include "core/gate.h"
#include "core/join.h"
#include "core/park.h"
#include "core/self.h"

struct wf_runtime wf_runtime = {.vigil = {.alarm = {.fd = -1}}};

/* --- whom to wake --- */

static void call(struct wf_worker *w)
{
	atom_add_rlx(&w->wakes, 1);
	wf_poll_wake(&w->poll);
}

/* Awake, it sees what the caller has published before it sleeps again. */
void wf_sched_wake_worker(struct wf_worker *w)
{
	uint32_t asleep;

	/* [idle-fence] */
	atom_fence_sc();
	asleep = atom_load_rlx(&w->asleep);
	/* [idle-fence] */
	if (asleep == WF_DOZING && atom_cas_sc(&w->asleep, &asleep, WF_CALLED))
		call(w);
}

void wf_sched_leave_gate(void)
{
	if (!wf_gate_leave())
		return;
	wf_sched_wake_worker(wf_runtime.workers);
	wf_gate_left();
}

/* Somebody has to be found who is asleep, and is counted for already. */
static bool rouse(void)
{
	for (uint32_t i = 0; i < wf_runtime.count; i++) {
		struct wf_worker *w = &wf_runtime.workers[i];
		uint32_t asleep = atom_load_rlx(&w->asleep);

		/* [idle-fence] */
		if (!asleep || !atom_cas_sc(&w->asleep, &asleep, 0))
			continue;
		if (asleep == WF_DOZING)
			call(w);
		return true;
	}
	return false;
}

/* Others may have counted on the one who was not found: so look again. */
void wf_sched_notify(void)
{
	while (wf_idle_rouse(&wf_runtime.idle) && !rouse())
		wf_idle_unrouse(&wf_runtime.idle);
}

/* Somebody would take work: offer it, and wake one to fetch it. */
static WF_COLD void feed(struct wf_worker *w)
{
	if (wf_runq_share(&w->runq))
		wf_sched_notify();
}

static inline void feed_the_hungry(struct wf_worker *w)
{
	if (runq_shareable(&w->runq) && idle_hungry(&wf_runtime.idle))
		feed(w);
}

/* --- queues --- */

static void inject(struct weft_fiber *f)
{
	wf_inject_push(&wf_runtime.inject, f);
	wf_sched_notify();
}

/* Once it is in the inbox, the fiber may run and be pinned no more. */
static void deliver(struct weft_fiber *f, struct wf_worker *here)
{
	struct wf_worker *home = f->pinned;

	if (home == here) {
		inbox_put(&home->inbox, f);
		return;
	}
	wf_inbox_push(&home->inbox, f);
	wf_sched_wake_worker(home);
}

static WF_NOINLINE void queue_special(struct weft_fiber *f, struct wf_worker *w)
{
	if (f->pinned)
		deliver(f, w);
	else
		inject(f);
}

/* Those that no worker's own queue takes. */
static inline bool queue_elsewhere(struct weft_fiber *f, struct wf_worker *w)
{
	if (likely(w && !f->pinned))
		return false;
	queue_special(f, w);
	return true;
}

void wf_sched_queue_here(struct weft_fiber *f, struct wf_carrier *here)
{
	struct wf_worker *w = carrier_worker(here);

	if (unlikely(queue_elsewhere(f, w)))
		return;
	runq_push(&w->runq, f);
	feed_the_hungry(w);
}

void wf_sched_queue(struct weft_fiber *f)
{
	struct weft_fiber *self = wf_self();
	struct wf_worker *w;

	if (!self) {
		/* It lasts as long as this fiber sleeps, and no longer. */
		wf_gate_hold();
		queue_elsewhere(f, NULL);
		wf_sched_leave_gate();
		return;
	}
	w = carrier_enter(self->carrier);
	if (!queue_elsewhere(f, w)) {
		runq_wake(&w->runq, f);
		feed_the_hungry(w);
	}
	carrier_leave(self->carrier);
}

void wf_sched_spawn(struct weft_fiber *f, struct wf_worker *w)
{
	if (queue_elsewhere(f, w))
		return;
	runq_spawn(&w->runq, f);
	feed_the_hungry(w);
}

struct weft_fiber *wf_sched_pick(struct wf_worker *w)
{
	struct weft_fiber *f;

	/* Pinned fibers have a queue of their own, and every other turn. */
	if (unlikely(!inbox_empty(&w->inbox)) && worker_turns(w) & 1)
		return wf_inbox_pop(&w->inbox);
	f = runq_pop(&w->runq);
	feed_the_hungry(w);
	return f ? f : wf_inbox_pop(&w->inbox);
}

/* A successor to switch to; NULL: the worker's loop. */
static struct weft_fiber *successor(struct wf_worker *w)
{
	if (unlikely(!w || worker_turns(w) == 0))
		return NULL;
	worker_turn(w);
	return wf_sched_pick(w);
}

/* --- switching --- */

static void main_of_fiber(void *message);

static WF_NOINLINE void bind_stack(struct weft_fiber *f, struct wf_worker *w)
{
	wf_life_begin(f, wf_stack_take(&w->stacks, f->class), main_of_fiber);
}

static inline void make_ready(struct weft_fiber *f, struct wf_carrier *c)
{
	if (unlikely(!f->life))
		bind_stack(f, c->worker);
	else if (unlikely(f->carrier != c) && c->worker)
		atom_bump_rlx(&c->worker->moves);
	f->carrier = c;
	if (!f->own_base)
		f->ctx.base = c->loop.ctx.base;
	c->budget = WF_BUDGET;
}

static WF_INLINE void arrive(struct weft_fiber *self,
			     struct wf_message *message)
{
	struct wf_carrier *here = self->carrier;

	san_arrive(&self->life->san);
	if (message->then)
		message->then(message->from, here);
	if (likely(!self->own_base))
		wf_self_set(self);
	atom_store_rlx(&here->running, self);
	carrier_leave(here);
}

void wf_arrive(struct weft_fiber *self, struct wf_message *message)
{
	arrive(self, message);
}

static WF_INLINE void switch_to(struct weft_fiber *from, struct weft_fiber *to,
				wf_departure then)
{
	struct wf_message message = {then, from, to}, *arrived;

	san_leave(&from->life->san, &to->life->san, 0);
	arrived = wf_context_switch(&from->ctx, &to->ctx, &message);
	arrive(from, arrived);
}

void wf_sched_leave(struct weft_fiber *self, wf_departure then)
{
	struct wf_carrier *c = self->carrier;
	struct wf_worker *w = carrier_enter(c);
	struct weft_fiber *next = successor(w);

	if (unlikely(self->checked))
		wf_life_check(self);
	if (likely(w))
		runq_prefetch_rest(&w->runq);
	if (next)
		make_ready(next, c);
	else
		next = &c->loop;
	switch_to(self, next, then);
}

static void requeue(struct weft_fiber *f, struct wf_carrier *here)
{
	wf_sched_queue_here(f, here);
}

/*
 * The owner's part of the queue is nobody else's to look at, and not shared
 * until after the arrival, so a fiber may be put there before it has left.
 */
static void yield_to(struct weft_fiber *self, struct weft_fiber *next,
		     struct wf_carrier *c)
{
	make_ready(next, c);
	if (likely(!self->pinned)) {
		runq_push(&c->worker->runq, self);
		switch_to(self, next, NULL);
	} else {
		switch_to(self, next, requeue);
	}
}

void wf_sched_yield(struct weft_fiber *self)
{
	struct wf_carrier *c = self->carrier;
	struct wf_worker *w = carrier_enter(c);
	struct weft_fiber *next = successor(w);

	if (unlikely(self->checked))
		wf_life_check(self);
	if (likely(next)) {
		yield_to(self, next, c);
	} else if (!w || worker_turns(w) == 0) {
		switch_to(self, &c->loop, requeue);
	} else {
		c->budget = WF_BUDGET;
		carrier_leave(c);
	}
}

void wf_sched_dispatch(struct wf_carrier *c, struct weft_fiber *f)
{
	make_ready(f, c);
	/* Left by the arrival, entered again by the fiber that comes back. */
	switch_to(&c->loop, f, NULL);
	carrier_enter(c);
}

/* --- the end of a fiber --- */

static void wake_joiner(struct weft_fiber *joiner, struct wf_worker *w)
{
	if (park_permit(joiner) && !queue_elsewhere(joiner, w))
		runq_wake(&w->runq, joiner);
}

/* Its stack is free: from here on it is a handle, or nothing. */
static void finish(struct weft_fiber *f, struct weft_fiber *arrived,
		   struct wf_worker *w)
{
	/* release [join-result] */
	uintptr_t found = atom_swap_ar(&f->joiner, WF_DONE);

	if (found == WF_DETACHED)
		wf_fiber_free(w ? &w->handles : NULL, f);
	else if (found && found != (uintptr_t)arrived)
		wake_joiner((struct weft_fiber *)found, w);
	if (w) {
		atom_bump_rlx(&w->ended);
		return;
	}
	/* It may have been the last one, which workers find out when idle. */
	atom_add_rlx(&wf_runtime.ended, 1);
	wf_sched_wake_worker(wf_runtime.workers);
}

static void release_stack(struct weft_fiber *f, struct wf_worker *w)
{
	struct wf_stack_cache *cache = w ? &w->stacks : NULL;

	san_destroy(&f->life->san);
	wf_stack_put(cache, f->class, f->life->stack);
	wf_stack_unreserve(cache, f->class);
}

/* Run by wf_arrive() after a fiber has left for good. */
static void retire(struct weft_fiber *f, struct wf_carrier *here)
{
	struct wf_worker *w = carrier_worker(here);

	release_stack(f, w);
	finish(f, NULL, w);
}

/*
 * The same where its joiner has arrived, whom claim_joiner() has left in the
 * link, as another one may be waiting by now.
 */
static void retire_to_joiner(struct weft_fiber *f, struct wf_carrier *here)
{
	struct wf_worker *w = carrier_worker(here);

	release_stack(f, w);
	finish(f, fiber_of(f->link.next), w);
}

/* Whoever sleeps until `self` has ended, now to be run by the caller. */
static struct weft_fiber *claim_joiner(struct weft_fiber *self,
				       struct wf_worker *w)
{
	uintptr_t found = atom_load_rlx(&self->joiner);
	struct weft_fiber *joiner = (struct weft_fiber *)found;

	if (!w || !worker_turns(w) || !found || found == WF_DETACHED)
		return NULL;
	if (!park_permit(joiner) || queue_elsewhere(joiner, w))
		return NULL;
	worker_turn(w);
	self->link.next = &joiner->link;
	return joiner;
}

static _Noreturn SAN_REAL_LOCALS void leave_for_good(struct weft_fiber *self,
						     struct weft_fiber *next,
						     struct wf_carrier *c,
						     wf_departure then)
{
	struct wf_message message = {then, self, next ? next : &c->loop};

	if (next)
		make_ready(next, c);
	san_leave(&self->life->san, &message.to->life->san, 1);
	wf_context_switch(&self->ctx, &message.to->ctx, &message);
	__builtin_unreachable();
}

static WF_NOINLINE void leave_home(struct weft_fiber *self, void *result)
{
	struct wf_scope *home = self->life->home;

	if (self->scope != home)
		wf_life_left_open(self);
	home->kin->leave(self, result);
}

static void end(struct weft_fiber *self, void *result)
{
	if (self->life->at_end)
		self->life->at_end(self);
	if (unlikely(self->scope))
		leave_home(self, result);
	wf_timer_disarm(&self->life->timer);
	if (unlikely(self->checked))
		wf_life_end(self);
	self->value = result;
}

_Noreturn void wf_sched_exit(struct weft_fiber *self, void *result)
{
	struct wf_carrier *c;

	CHECK(fiber_kind(self) == WF_NATIVE);
	end(self, result);
	c = self->carrier;
	leave_for_good(self, successor(carrier_enter(c)), c, retire);
}

/*
 * The function has returned to the top of the stack, so a successor that has
 * never run may have the stack as it is.
 */
static struct weft_fiber *succeed(struct weft_fiber *self, void *result)
{
	struct wf_carrier *c;
	struct wf_worker *w;
	struct weft_fiber *next;

	end(self, result);
	c = self->carrier;
	w = carrier_enter(c);
	next = claim_joiner(self, w);
	if (next)
		leave_for_good(self, next, c, retire_to_joiner);
	next = successor(w);
	if (!next || next->life || next->class != self->class)
		leave_for_good(self, next, c, retire);
	wf_life_inherit(next, self);
	make_ready(next, c);
	wf_self_set(next);
	atom_store_rlx(&c->running, next);
	wf_stack_unreserve(&w->stacks, self->class);
	finish(self, NULL, w);
	carrier_leave(c);
	return next;
}

static inline void *run(struct weft_fiber *self)
{
	if (unlikely(self->scope))
		return self->scope->kin->run(self);
	return self->entry(self->value);
}

static void main_of_fiber(void *arrived)
{
	struct wf_message *message = arrived;
	struct weft_fiber *self = message->to;

	wf_arrive(self, message);
	for (;;)
		self = succeed(self, run(self));
}
