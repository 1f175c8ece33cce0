/* SPDX-License-Identifier: MIT */
/*
 * scope.c - scopes: see weft/scope.h; kin.h has the protocol.
 */
#include "weft/scope.h"

#include <errno.h>

#include "core/kin.h"
#include "core/self.h"
#include "core/spawn.h"
#include "core/wait.h"

_Static_assert(sizeof(struct wf_scope) <= sizeof(struct weft_scope) &&
		       _Alignof(struct wf_scope) <= _Alignof(struct weft_scope),
	       "a scope has the size that users know");

static inline struct wf_scope *inside(struct weft_scope *s)
{
	return (struct wf_scope *)s;
}

/* --- members and what is pending --- */

static void link_locked(struct wf_scope *s, struct wf_member *m)
{
	list_push(&s->members, &m->link);
	s->linked++;
}

static void unlink_locked(struct wf_scope *s, struct wf_member *m)
{
	list_remove(&s->members, &m->link);
	s->linked--;
}

/* Drop: nothing of the scope may be touched afterwards. */
static void drop_and_unlock(struct wf_scope *s)
{
	struct weft_fiber *owner = NULL;

	if (--s->pending == 0 && s->awaited)
		owner = s->owner;
	spin_unlock(&s->lock);
	if (owner)
		wf_unpark(owner);
}

static void drop(struct wf_scope *s)
{
	spin_lock(&s->lock);
	drop_and_unlock(s);
}

/* --- cancel --- */

/* True: it was not cancelled yet, and the caller walks it. */
static bool flag_locked(struct wf_scope *s)
{
	if (scope_cancelled(s) || !s->owner)
		return false;
	atom_store_rlx(&s->cancelled, 1);
	s->pending++;
	s->next = NULL;
	return true;
}

static void flag_nested(struct wf_scope *s, struct wf_scope *nested)
{
	spin_lock(&nested->lock);
	if (flag_locked(nested)) {
		nested->next = s->next;
		s->next = nested;
	}
	spin_unlock(&nested->lock);
}

/*
 * Look at the next members, `left` at most; cancel scopes, and return how many
 * children there are to be unparked.
 */
static unsigned look_at_some(struct wf_scope *s, uint32_t *left,
			     struct weft_fiber *children[WF_WAKES])
{
	unsigned count = 0;

	spin_lock(&s->lock);
	if (*left > s->linked)
		*left = s->linked;
	for (unsigned i = 0; i < WF_WAKES && *left; i++, --*left) {
		struct wf_link *n = list_pop(&s->members);
		struct wf_member *m = container_of(n, struct wf_member, link);

		list_push(&s->members, n);
		if (m->child)
			children[count++] = m->child;
		else
			flag_nested(s,
				    container_of(m, struct wf_scope, member));
	}
	spin_unlock(&s->lock);
	return count;
}

static void tell_members(struct wf_scope *s)
{
	struct weft_fiber *children[WF_WAKES];
	uint32_t left = UINT32_MAX;

	while (left) {
		unsigned count = look_at_some(s, &left, children);

		for (unsigned i = 0; i < count; i++)
			wf_unpark(children[i]);
	}
}

/* All below a scope that the caller has flagged; drops it. */
static void walk(struct wf_scope *s)
{
	struct wf_scope *next;

	for (; s; s = next) {
		wf_unpark(s->owner);
		tell_members(s);
		next = s->next;
		drop(s);
	}
}

static void cancel(struct wf_scope *s)
{
	bool first;

	spin_lock(&s->lock);
	first = flag_locked(s);
	spin_unlock(&s->lock);
	if (first)
		walk(s);
}

void weft_scope_cancel(struct weft_scope *s)
{
	cancel(inside(s));
}

/* --- a child's life --- */

static int (*function_of(const struct weft_fiber *child))(void *)
{
	return (int (*)(void *))(void (*)(void))child->entry;
}

/* On the child's stack: link it, and call its function. */
static void *run(struct weft_fiber *child)
{
	struct wf_scope *s = child->scope;
	struct wf_life *life = child->life;

	life->home = s;
	life->result = child->result;
	life->member.child = child;
	child->deadline = s->deadline;
	spin_lock(&s->lock);
	link_locked(s, &life->member);
	spin_unlock(&s->lock);
	return (void *)(intptr_t)function_of(child)(child->value);
}

/* True: the scope is to be cancelled by the caller. */
static bool note_locked(struct wf_scope *s, int result)
{
	if (result >= 0)
		return false;
	if (s->failed++ == 0)
		s->error = result;
	return s->fail_fast && flag_locked(s);
}

/* At its end, on its stack still. */
static void leave(struct weft_fiber *child, void *value)
{
	struct wf_scope *s = child->life->home;
	int result = (int)(intptr_t)value;
	bool to_cancel;

	if (child->life->result)
		*child->life->result = result;
	child->scope = NULL;
	spin_lock(&s->lock);
	unlink_locked(s, &child->life->member);
	to_cancel = note_locked(s, result);
	drop_and_unlock(s);
	if (to_cancel)
		walk(s);
}

static const struct wf_kin kin = {.run = run, .leave = leave};

int weft_scope_spawn(struct weft_scope *scope, int *result,
		     const struct weft_attr *attr, int (*fn)(void *arg),
		     void *arg)
{
	struct wf_scope *s = inside(scope);
	struct wf_home home = {s, result};
	int r = 0;

	spin_lock(&s->lock);
	if (unlikely(!s->owner))
		r = -EINVAL;
	else if (unlikely(scope_cancelled(s)))
		r = -ECANCELED;
	else
		s->pending++;
	spin_unlock(&s->lock);
	if (unlikely(r < 0))
		return r;
	r = wf_spawn_child(&home, attr, (weft_fn)(void (*)(void))fn, arg);
	if (unlikely(r < 0))
		drop(s);
	return r;
}

/* --- begin and end --- */

static weft_time nearest(const struct weft_fiber *self,
			 const struct weft_scope_options *options)
{
	weft_time own = options ? options->deadline : 0;
	weft_time outer = self->shield ? WEFT_FOREVER : self->deadline;

	return own && own < outer ? own : outer;
}

static void join_parent(struct wf_scope *s, struct wf_scope *parent)
{
	spin_lock(&parent->lock);
	atom_store_rlx(&s->cancelled, scope_cancelled(parent));
	link_locked(parent, &s->member);
	spin_unlock(&parent->lock);
}

int weft_scope_begin(struct weft_scope *scope,
		     const struct weft_scope_options *options)
{
	struct wf_scope *s = inside(scope);
	struct weft_fiber *self = wf_self();

	if (!self)
		return -EPERM;
	if (options && options->size && options->size != sizeof *options)
		return -EINVAL;
	if (self->scope == s)
		wf_panic("fiber '%s': a scope was begun twice",
			 wf_life_name(self));
	*s = (struct wf_scope){
		.owner = self,
		.kin = &kin,
		.outer = self->scope,
		.parent = self->shield ? NULL : self->scope,
		.deadline = nearest(self, options),
		.fail_fast = options && options->fail_fast,
	};
	if (s->parent)
		join_parent(s, s->parent);
	self->scope = s;
	self->deadline = s->deadline;
	return 0;
}

/* True if nothing is pending: then it is closed, and nobody finds it. */
static bool close_locked(struct wf_scope *s)
{
	s->awaited = true;
	if (s->pending)
		return false;
	if (s->parent)
		unlink_locked(s->parent, &s->member);
	s->owner = NULL;
	return true;
}

static bool try_close(struct wf_scope *s)
{
	struct wf_scope *parent = s->parent;
	bool closed;

	if (parent)
		spin_lock(&parent->lock);
	spin_lock(&s->lock);
	closed = close_locked(s);
	spin_unlock(&s->lock);
	if (parent)
		spin_unlock(&parent->lock);
	return closed;
}

static void wait_for_all(struct wf_scope *s, struct weft_fiber *self)
{
	struct wf_wait wait;

	wait_begin(&wait, self, "scope", (uintptr_t)s);
	while (!try_close(s)) {
		if (wf_cancelled(self))
			cancel(s);
		wf_park_for(self, &wait, WEFT_FOREVER);
	}
}

int weft_scope_end(struct weft_scope *scope)
{
	struct wf_scope *s = inside(scope);
	struct weft_fiber *self = wf_self();

	if (!self)
		return -EPERM;
	if (self->scope != s || s->owner != self)
		wf_panic("fiber '%s' ends a scope that is not its innermost",
			 wf_life_name(self));
	wait_for_all(s, self);
	self->scope = s->outer;
	self->deadline = s->outer ? s->outer->deadline : WEFT_FOREVER;
	return s->error;
}

size_t weft_scope_failed(struct weft_scope *scope)
{
	struct wf_scope *s = inside(scope);
	size_t failed;

	spin_lock(&s->lock);
	failed = s->failed;
	spin_unlock(&s->lock);
	return failed;
}
