/* SPDX-License-Identifier: MIT */
/*
 * case.c - a descriptor as a case of a selection.
 *
 * As in poll.c the kernel says what is ready, and the source when to ask again:
 * the node is linked only if no event has come since before the kernel was
 * asked.
 */
#include <errno.h>
#include <poll.h>

#include "core/gate.h"
#include "core/sched.h"
#include "core/select.h"
#include "io/source.h"
#include "weft/io.h"

/* What was seen of the source before the kernel was asked. */
static uint64_t seen(struct weft_case *c)
{
	return (uintptr_t)c->value_;
}

/* Not beyond the end of the source, which then is not ours to ask about. */
static long ask(struct wf_source *s, short events)
{
	long revents = wf_ask(s->fd, events);

	return source_closing(s) ? POLLNVAL : revents;
}

static bool attempt(struct weft_case *c)
{
	struct wf_source *s;
	long r;

	if (c->fd_ < 0)
		return false;
	r = wf_source_enter(c->fd_, &s);
	if (r == 0) {
		c->object_ = s;
		c->value_ = (void *)(uintptr_t)source_ready(s);
		r = ask(s, c->events_);
		wf_source_leave(s);
	}
	c->result = r == -EBADF ? POLLNVAL : (int)r;
	return r != 0;
}

/* A thread waits inside the runtime, whose workers watch descriptors. */
static bool enter_runtime(struct wf_wait *wait)
{
	if (fiber_kind(wait->waiter) != WF_THREAD)
		return true;
	wait->inside = true;
	return wf_gate_enter();
}

static void leave_runtime(struct wf_wait *wait)
{
	if (fiber_kind(wait->waiter) == WF_THREAD)
		wf_sched_leave_gate();
}

/* 0: linked; -EAGAIN: look again; or what the result is. */
static int link_to(struct wf_source *s, struct weft_case *c)
{
	struct wf_node *node = case_node(c);
	int r = wf_source_arm(s);

	/* Files cannot be watched; only their end is waited for. */
	if (r < 0 && r != -EPERM)
		return r;
	node->want = source_changes(c->events_);
	if (s == c->object_ && wf_source_link(s, node, seen(c)))
		return 0;
	node->want = 0;
	return source_closing(s) ? POLLNVAL : -EAGAIN;
}

static int enter_and_link(struct weft_case *c)
{
	struct wf_source *s;
	int r = wf_source_enter(c->fd_, &s);

	if (r < 0)
		return r == -EBADF ? POLLNVAL : r;
	r = link_to(s, c);
	if (r != 0)
		wf_source_leave(s);
	return r;
}

static enum wf_linked link_case(struct weft_case *c)
{
	struct wf_wait *wait = case_node(c)->wait;
	int r = -ESRCH;

	if (c->fd_ < 0)
		return WF_LINKED;
	if (enter_runtime(wait)) {
		r = enter_and_link(c);
		if (r == 0)
			return WF_LINKED;
		leave_runtime(wait);
	}
	if (!wait_withdraw(wait))
		return WF_LOST;
	c->result = r;
	return r == -EAGAIN ? WF_NOT_DONE : WF_DONE;
}

/* The result says whether the descriptor was closed meanwhile. */
static void unlink_case(struct weft_case *c)
{
	struct wf_node *node = case_node(c);
	struct wf_source *s = c->object_;

	if (!node->want)
		return;
	wf_source_unlink(s, node);
	c->result = source_closing(s) ? POLLNVAL : 0;
	wf_source_leave(s);
	leave_runtime(node->wait);
}

static bool settle(struct weft_case *c)
{
	return c->result == POLLNVAL || attempt(c);
}

struct weft_case weft_case_fd(int fd, short events)
{
	static const struct weft_case_kind_ kind = {
		.attempt = attempt,
		.link = link_case,
		.unlink = unlink_case,
		.settle = settle,
	};

	return (struct weft_case){.kind_ = &kind, .fd_ = fd, .events_ = events};
}
