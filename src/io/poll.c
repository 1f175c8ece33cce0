/* SPDX-License-Identifier: MIT */
/*
 * poll.c - waiting for any of many descriptors.
 *
 * The kernel's poll(2) says what is ready; the sources only say when to ask it
 * again.  So nothing that a source remembers can make the answer wrong: a node
 * is linked only if no event has come since before the kernel was asked.
 */
#include "weft/io.h"

#include <errno.h>
#include <stdlib.h>

#include "core/gate.h"
#include "core/sched.h"
#include "core/self.h"
#include "io/attempt.h"
#include "os/call.h"
#include "os/clock.h"

#define ON_STACK 32

struct entry {
	struct wf_source *source; /* entered; NULL: nothing to wait for */
	uint64_t seen;
	bool closing; /* when it was to be entered */
	struct wf_node node;
};

struct set {
	struct pollfd *fds;
	struct entry *entries;
	nfds_t count;
	struct wf_wait wait;
};

static void leave_all(struct set *set)
{
	for (nfds_t i = 0; i < set->count; i++)
		if (set->entries[i].source)
			wf_source_leave(set->entries[i].source);
}

/* A descriptor that is not open is left to poll(2), which says POLLNVAL. */
static int enter_all(struct set *set)
{
	for (nfds_t i = 0; i < set->count; i++) {
		struct entry *e = &set->entries[i];
		int r = 0;

		*e = (struct entry){
			.node = {.wait = &set->wait, .index = (uint32_t)i}};
		e->node.want = source_changes(set->fds[i].events);
		if (set->fds[i].fd >= 0)
			r = wf_source_enter(set->fds[i].fd, &e->source);
		e->closing = r == -EBADF;
		if (r == 0 || r == -EBADF)
			continue;
		leave_all(&(struct set){.entries = set->entries, .count = i});
		return r;
	}
	return 0;
}

/* Arm all; files cannot be, and are always ready. */
static int arm_all(struct set *set)
{
	for (nfds_t i = 0; i < set->count; i++) {
		struct wf_source *s = set->entries[i].source;
		int r = s ? wf_source_arm(s) : 0;

		if (r < 0 && r != -EPERM)
			return r;
	}
	return 0;
}

static void look_all(struct set *set)
{
	for (nfds_t i = 0; i < set->count; i++)
		if (set->entries[i].source)
			set->entries[i].seen =
				source_ready(set->entries[i].source);
}

static void unlink_first(struct set *set, nfds_t count)
{
	for (nfds_t i = 0; i < count; i++)
		if (set->entries[i].source)
			wf_source_unlink(set->entries[i].source,
					 &set->entries[i].node);
}

/* How many entries are linked: all, or those before the one that changed. */
static nfds_t link_all(struct set *set)
{
	nfds_t i;

	for (i = 0; i < set->count; i++) {
		struct entry *e = &set->entries[i];

		if (e->source && !wf_source_link(e->source, &e->node, e->seen))
			break;
	}
	return i;
}

/* One that is being closed stays open until the last has left: not for us. */
static int count_closing(struct set *set)
{
	int n = 0;

	for (nfds_t i = 0; i < set->count; i++) {
		if (!set->entries[i].closing &&
		    !(set->entries[i].source &&
		      source_closing(set->entries[i].source)))
			continue;
		n += !set->fds[i].revents;
		set->fds[i].revents = POLLNVAL;
	}
	return n;
}

/*
 * Whether the kernel would find nothing: TCP sockets of which it has said so,
 * and no event has come since.
 */
static bool known_quiet(struct set *set)
{
	for (nfds_t i = 0; i < set->count; i++) {
		struct entry *e = &set->entries[i];

		if (set->fds[i].fd < 0)
			continue;
		if (!e->source || !e->source->tcp || e->seen & e->node.want)
			return false;
	}
	return true;
}

static int ask_kernel(struct set *set)
{
	struct timespec none = {0};
	long n;

	while ((n = wf_call(ppoll, set->fds, set->count, &none)) == -EINTR)
		;
	return n < 0 ? (int)n : (int)n + count_closing(set);
}

/* Sleep until something may have changed since look_all(). */
static int sleep_once(struct set *set, struct weft_fiber *me,
		      weft_time deadline)
{
	nfds_t linked;
	int r = 0;

	wait_begin(&set->wait, me, "poll", set->count);
	set->wait.inside = fiber_kind(me) == WF_THREAD;
	linked = link_all(set);
	if (linked == set->count)
		r = wf_wait_sleep(&set->wait, wait_deadline(me, deadline),
				  false);
	else
		r = wf_wait_withdraw(&set->wait);
	unlink_first(set, linked);
	return r < 0 ? r : 0;
}

static int wait_for_any(struct set *set, struct weft_fiber *me,
			weft_time deadline)
{
	int n, r = wait_allowed(me);

	while (r == 0) {
		look_all(set);
		n = known_quiet(set) ? 0 : ask_kernel(set);
		if (n != 0)
			return n;
		r = arm_all(set);
		if (r == 0)
			r = sleep_once(set, me, deadline);
	}
	/* The deadline of the call is a result, that of a scope an error. */
	if (r == -ETIMEDOUT && deadline <= wf_clock_now())
		return ask_kernel(set);
	return r;
}

/* Without a runtime. */
static int poll_alone(struct pollfd *fds, nfds_t count, weft_time deadline)
{
	struct timespec ts;
	weft_time left;
	long n;

	do {
		left = wf_time_add(deadline, -wf_clock_now());
		ts = wf_time_spec(left > 0 ? left : 0);
		n = wf_call(ppoll, fds, count,
			    deadline == WEFT_FOREVER ? NULL : &ts);
	} while (n == -EINTR);
	return (int)n;
}

static int poll_as_waiter(struct set *set, weft_time deadline)
{
	struct weft_fiber *me = wf_waiter_begin();
	int r;

	if (!me)
		return -ENOMEM;
	r = enter_all(set);
	if (r == 0) {
		r = wait_for_any(set, me, deadline);
		leave_all(set);
	}
	wf_waiter_end(me);
	return r;
}

int weft_poll_until(struct pollfd *fds, nfds_t count, weft_time deadline)
{
	struct entry entries[ON_STACK], *many = NULL;
	struct set set = {.fds = fds, .entries = entries, .count = count};
	bool outside = !wf_self();
	int r;

	if (outside && !wf_gate_enter())
		return poll_alone(fds, count, deadline);
	if (count > ON_STACK)
		set.entries = many = calloc(count, sizeof *many);
	r = set.entries ? poll_as_waiter(&set, deadline) : -ENOMEM;
	free(many);
	if (outside)
		wf_sched_leave_gate();
	if (r == -ESHUTDOWN)
		return poll_alone(fds, count, deadline);
	wf_budget_spend();
	return r;
}

int weft_poll(struct pollfd *fds, nfds_t count)
{
	return weft_poll_until(fds, count, WEFT_FOREVER);
}
