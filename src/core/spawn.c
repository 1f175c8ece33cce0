/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - fibers as their users see them: made, joined, cancelled, named.
 */
#include <errno.h>
#include <string.h>

#include "core/gate.h"
#include "core/join.h"
#include "core/sched.h"
#include "core/self.h"
#include "core/spawn.h"
#include "core/wait.h"
#include "os/clock.h"

/* --- spawn --- */

static int class_of(const struct weft_attr *attr)
{
	if (!attr || !attr->stack_size)
		return wf_runtime.stack_class;
	return wf_stack_class(attr->stack_size);
}

static bool valid(const struct weft_attr *attr)
{
	if (!attr)
		return true;
	return (attr->size == 0 || attr->size == sizeof *attr) &&
	       attr->pin <= wf_runtime.count &&
	       (!attr->stack_size || (attr->stack_size >= WF_STACK_MIN &&
				      attr->stack_size <= WF_STACK_MAX));
}

static void fill(struct weft_fiber *f, const struct weft_attr *attr, weft_fn fn,
		 void *arg, const struct wf_home *home)
{
	atom_store_rlx(&f->kind, WF_NATIVE);
	f->own_base = false;
	f->checked = 0;
	f->life = NULL;
	f->entry = fn;
	f->value = arg;
	atom_store_rlx(&f->cancel, 0);
	f->shield = 0;
	f->pins = 0;
	atom_store_rlx(&f->due, WF_DUE_UNKNOWN);
	f->pinned = NULL;
	f->scope = NULL;
	f->deadline = WEFT_FOREVER;
	if (unlikely(home)) {
		f->scope = home->scope;
		f->result = home->result;
	}
	f->name = attr ? attr->name : NULL;
	if (attr && attr->pin) {
		f->pinned = &wf_runtime.workers[attr->pin - 1];
		f->pins = WF_PINNED_FOR_LIFE;
	}
}

/*
 * `home` is NULL if it is no child; `w` is the caller's worker, NULL if it has
 * none.
 */
static int spawn(struct weft_fiber **handle, const struct weft_attr *attr,
		 weft_fn fn, void *arg, const struct wf_home *home,
		 struct wf_worker *w)
{
	int class = class_of(attr), r;
	struct weft_fiber *f;

	r = wf_stack_reserve(w ? &w->stacks : NULL, class);
	if (r < 0)
		return r;
	f = wf_fiber_alloc(w ? &w->handles : NULL);
	if (!f) {
		wf_stack_unreserve(w ? &w->stacks : NULL, class);
		return -ENOMEM;
	}
	f->class = (uint8_t) class;
	fill(f, attr, fn, arg, home);
	atom_store_rlx(&f->joiner, handle ? 0 : WF_DETACHED);
	if (handle)
		*handle = f;
	if (w)
		atom_bump_rlx(&w->spawned);
	else
		atom_add_rlx(&wf_runtime.spawned, 1);
	wf_sched_spawn(f, w);
	return 0;
}

int wf_spawn_first(struct weft_fiber **handle, const struct weft_attr *attr,
		   weft_fn fn, void *arg)
{
	return spawn(handle, attr, fn, arg, NULL, NULL);
}

static int spawn_from_outside(struct weft_fiber **handle,
			      const struct weft_attr *attr, weft_fn fn,
			      void *arg, const struct wf_home *home)
{
	int r;

	if (!wf_gate_enter())
		return -ESRCH;
	r = valid(attr) ? spawn(handle, attr, fn, arg, home, NULL) : -EINVAL;
	wf_sched_leave_gate();
	return r;
}

static inline int spawn_anywhere(struct weft_fiber **handle,
				 const struct weft_attr *attr, weft_fn fn,
				 void *arg, const struct wf_home *home)
{
	struct weft_fiber *self = wf_self();
	struct wf_worker *w;
	int r;

	if (unlikely(!fn))
		return -EINVAL;
	if (unlikely(!self))
		return spawn_from_outside(handle, attr, fn, arg, home);
	if (unlikely(!valid(attr)))
		return -EINVAL;
	w = carrier_enter(self->carrier);
	r = spawn(handle, attr, fn, arg, home, w);
	carrier_leave(self->carrier);
	/* Without a worker it takes the long way round: get one again. */
	if (unlikely(!w))
		wf_sched_yield(self);
	return r;
}

int weft_spawn(struct weft_fiber **handle, const struct weft_attr *attr,
	       weft_fn fn, void *arg)
{
	return spawn_anywhere(handle, attr, fn, arg, NULL);
}

int wf_spawn_child(const struct wf_home *home, const struct weft_attr *attr,
		   weft_fn fn, void *arg)
{
	return spawn_anywhere(NULL, attr, fn, arg, home);
}

/* --- join, see join.h --- */

static int sleep_for_end(struct weft_fiber *f, struct weft_fiber *me,
			 weft_time deadline)
{
	struct wf_wait wait;
	int r = 0;

	/* Nobody fires this wait: the end of a fiber unparks its joiner. */
	wait_begin(&wait, me, "join", (uintptr_t)f);
	/* acquire [join-result] */
	while (r == 0 && atom_load_acq(&f->joiner) != WF_DONE)
		r = wf_wait_once(&wait, deadline, false);
	return r;
}

/* 0 when the fiber has ended. */
static int await(struct weft_fiber *f, struct weft_fiber *me,
		 weft_time deadline)
{
	uintptr_t found = 0, mine = (uintptr_t)me;
	int r;

	/* release: our handle is ready; on failure acquire [join-result] */
	if (!atom_cas_ar(&f->joiner, &found, mine)) {
		CHECK(found != WF_DETACHED);
		return found == WF_DONE ? 0 : -EBUSY;
	}
	r = sleep_for_end(f, me, deadline);
	if (r == 0)
		return 0;
	/* acquire [join-result] if it has ended after all */
	return atom_cas_ar(&f->joiner, &mine, 0) ? r : 0;
}

static void forget(struct weft_fiber *f)
{
	struct weft_fiber *self = wf_self();
	struct wf_worker *w = self ? carrier_enter(self->carrier) : NULL;

	wf_fiber_free(w ? &w->handles : NULL, f);
	if (self)
		carrier_leave(self->carrier);
}

int weft_join_until(struct weft_fiber *f, void **result, weft_time deadline)
{
	struct weft_fiber *me;
	int r;

	if (f == wf_self())
		return -EDEADLK;
	me = wf_waiter_begin();
	if (!me)
		return -ENOMEM;
	r = wait_allowed(me);
	if (r == 0)
		r = await(f, me, wait_deadline(me, deadline));
	wf_waiter_end(me);
	if (r < 0)
		return r;
	if (result)
		*result = f->value;
	forget(f);
	return 0;
}

int weft_join(struct weft_fiber *f, void **result)
{
	return weft_join_until(f, result, WEFT_FOREVER);
}

int weft_detach(struct weft_fiber *f)
{
	uintptr_t found = 0;

	/* acquire [join-result]: the handle is ours to free */
	if (atom_cas_ar(&f->joiner, &found, WF_DETACHED))
		return 0;
	CHECK(found != WF_DETACHED);
	if (found != WF_DONE)
		return -EBUSY;
	forget(f);
	return 0;
}

/* --- cancel and shield --- */

void weft_cancel(struct weft_fiber *f)
{
	atom_store_rlx(&f->cancel, 1);
	/* The unpark releases it [wake-reason]. */
	wf_unpark(f);
}

bool weft_cancelled(void)
{
	struct weft_fiber *self = wf_self();

	return self && wf_cancelled(self);
}

int weft_shield(void)
{
	struct weft_fiber *self = wf_self();

	if (!self)
		return -EPERM;
	self->shield++;
	return 0;
}

int weft_unshield(void)
{
	struct weft_fiber *self = wf_self();

	if (!self)
		return -EPERM;
	if (!self->shield)
		return -EINVAL;
	self->shield--;
	return 0;
}

/* --- what a fiber does of itself --- */

int weft_exit(void *result)
{
	struct weft_fiber *self = wf_self();

	if (!self)
		return -EPERM;
	wf_sched_exit(self, result);
}

struct weft_fiber *weft_self(void)
{
	return wf_self();
}

const char *weft_name(void)
{
	struct weft_fiber *self = wf_self();

	return self ? wf_life_name(self) : "";
}

int weft_set_name(const char *name)
{
	struct weft_fiber *self = wf_self();

	if (!self)
		return -EPERM;
	strncpy(self->life->name, name ? name : "", WF_NAME_SIZE - 1);
	self->life->name[WF_NAME_SIZE - 1] = '\0';
	if (!self->life->name[0])
		self->name = NULL;
	return 0;
}

int weft_pin(void)
{
	struct weft_fiber *self = wf_self();

	if (!self)
		return -EPERM;
	if (self->pins++ == 0)
		self->pinned = self->carrier->worker;
	return 0;
}

int weft_unpin(void)
{
	struct weft_fiber *self = wf_self();

	if (!self)
		return -EPERM;
	if (!(self->pins & ~WF_PINNED_FOR_LIFE))
		return -EINVAL;
	if (--self->pins == 0)
		self->pinned = NULL;
	return 0;
}

int weft_worker(void)
{
	struct weft_fiber *self = wf_self();

	return self ? (int)self->carrier->worker->id : -EPERM;
}

unsigned weft_workers(void)
{
	unsigned count;

	if (wf_self())
		return wf_runtime.count;
	if (!wf_gate_enter())
		return 0;
	count = wf_runtime.count;
	wf_sched_leave_gate();
	return count;
}
