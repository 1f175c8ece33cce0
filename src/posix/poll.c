/* SPDX-License-Identifier: MIT */
/*
 * poll.c - the hooks of waiting for any of several descriptors.
 *
 * A mask of signals that holds for the wait only is the fiber's for that time:
 * what it lets through ends the wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/source.h"
#include "os/call.h"
#include "os/clock.h"
#include "posix/deadline.h"
#include "posix/delivery.h"
#include "posix/interrupt.h"
#include "posix/region.h"
#include "posix/returned.h"
#include "weft/io.h"

/* --- a mask for the time of a call --- */

struct masked {
	struct wf_identity *me; /* NULL: there is none */
	uint64_t old;
};

static void mask_begin(struct masked *m, const sigset_t *set)
{
	m->me = set ? identity_self() : NULL;
	if (m->me)
		m->old = wf_signals_exchange(m->me, signal_bits(set));
}

/* Whether a handler has run. */
static bool taken(struct masked *m)
{
	return m->me && wf_signals_take(m->me) != WF_NOTHING;
}

static void mask_end(struct masked *m)
{
	if (m->me)
		wf_signals_set(m->me, m->old);
}

/* --- poll --- */

/* A handler ends it, whatever its flags. */
static int poll_until(struct pollfd *fds, nfds_t count, weft_time deadline)
{
	int n;

	wf_cancellation_point();
	do
		n = weft_poll_until(fds, count, deadline);
	while (n == -ECANCELED && !wf_handled());
	return n == -ECANCELED ? -EINTR : n;
}

static int poll_masked(struct pollfd *fds, nfds_t count, weft_time deadline,
		       const sigset_t *set)
{
	struct masked m;
	int n;

	mask_begin(&m, set);
	n = taken(&m) ? -EINTR : poll_until(fds, count, deadline);
	mask_end(&m);
	return n;
}

/* The kernel knows what is wrong with it. */
static bool refused(nfds_t count)
{
	struct rlimit most;

	return count > FD_SETSIZE && getrlimit(RLIMIT_NOFILE, &most) == 0 &&
	       count > most.rlim_cur;
}

static weft_time after_msec(int limit)
{
	if (limit < 0)
		return WEFT_FOREVER;
	return limit == 0 ? 0 : weft_after(WEFT_MSEC(limit));
}

WF_HOOK int poll(struct pollfd *fds, nfds_t count, int limit)
{
	if (!identity_hooked() || refused(count))
		return libc(poll)(fds, count, limit);
	return (int)wf_returned(poll_until(fds, count, after_msec(limit)));
}

WF_HOOK int ppoll(struct pollfd *fds, nfds_t count,
		  const struct timespec *limit, const sigset_t *set)
{
	weft_time deadline;

	if (!identity_hooked() || refused(count))
		return libc(ppoll)(fds, count, limit, set);
	if (wf_deadline_in(limit, &deadline) < 0)
		return (int)wf_returned(-EINVAL);
	return (int)wf_returned(poll_masked(fds, count, deadline, set));
}

/*
 * --- select: the same, asked in sets ---
 *
 * The kernel looks at no more of a set than its table has places, so programs
 * pass getdtablesize() with a set that is smaller: more than an fd_set holds is
 * left to the kernel.
 */

#define READS  (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define WRITES (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)

struct sets {
	fd_set *in, *out, *except;
	int count;
	struct pollfd *fds;
	nfds_t asked;
};

static short events_of(const struct sets *s, int fd)
{
	short events = 0;

	if (s->in && FD_ISSET(fd, s->in))
		events |= POLLIN;
	if (s->out && FD_ISSET(fd, s->out))
		events |= POLLOUT;
	if (s->except && FD_ISSET(fd, s->except))
		events |= POLLPRI;
	return events;
}

static void ask(struct sets *s)
{
	for (int fd = 0; fd < s->count; fd++) {
		short events = events_of(s, fd);

		if (events)
			s->fds[s->asked++] = (struct pollfd){fd, events, 0};
	}
}

static int set_if(fd_set *set, int fd, bool on)
{
	if (on)
		FD_SET(fd, set);
	return on;
}

static void clear_all(const struct sets *s)
{
	size_t bytes =
		((size_t)s->count + NFDBITS - 1) / NFDBITS * sizeof(fd_mask);

	if (s->in)
		memset(s->in, 0, bytes);
	if (s->out)
		memset(s->out, 0, bytes);
	if (s->except)
		memset(s->except, 0, bytes);
}

static int tell(const struct sets *s)
{
	int n = 0;

	clear_all(s);
	for (nfds_t i = 0; i < s->asked; i++) {
		const struct pollfd *p = &s->fds[i];

		if (p->events & POLLIN)
			n += set_if(s->in, p->fd, p->revents & READS);
		if (p->events & POLLOUT)
			n += set_if(s->out, p->fd, p->revents & WRITES);
		if (p->events & POLLPRI)
			n += set_if(s->except, p->fd, p->revents & POLLPRI);
	}
	return n;
}

static bool any_invalid(const struct sets *s)
{
	for (nfds_t i = 0; i < s->asked; i++)
		if (s->fds[i].revents & POLLNVAL)
			return true;
	return false;
}

static int select_until(struct sets *s, weft_time deadline, const sigset_t *set)
{
	int n;

	ask(s);
	n = poll_masked(s->fds, s->asked, deadline, set);
	if (n < 0)
		return n;
	return any_invalid(s) ? -EBADF : tell(s);
}

static int select_with(struct sets *s, weft_time deadline, const sigset_t *set)
{
	int n;

	if (s->count < 0)
		return -EINVAL;
	s->fds = calloc((size_t)s->count + 1, sizeof *s->fds);
	if (!s->fds)
		return -ENOMEM;
	n = select_until(s, deadline, set);
	free(s->fds);
	return n;
}

/* What is left of the time is told, as Linux does. */
static void tell_left(struct timeval *limit, weft_time deadline)
{
	weft_time left = deadline - wf_clock_now();

	if (left < 0)
		left = 0;
	limit->tv_sec = left / WEFT_SEC(1);
	limit->tv_usec = left % WEFT_SEC(1) / 1000;
}

WF_HOOK int select(int count, fd_set *in, fd_set *out, fd_set *except,
		   struct timeval *limit)
{
	struct sets s = {in, out, except, count, NULL, 0};
	weft_time deadline = WEFT_FOREVER;
	int n;

	if (!identity_hooked() || count > FD_SETSIZE)
		return REGION(select, count, in, out, except, limit);
	if (limit && (limit->tv_sec < 0 || limit->tv_usec < 0))
		return (int)wf_returned(-EINVAL);
	if (limit)
		deadline = weft_after(WEFT_SEC(limit->tv_sec) +
				      WEFT_USEC(limit->tv_usec));
	n = select_with(&s, deadline, NULL);
	if (limit)
		tell_left(limit, deadline);
	return (int)wf_returned(n);
}

WF_HOOK int pselect(int count, fd_set *in, fd_set *out, fd_set *except,
		    const struct timespec *limit, const sigset_t *set)
{
	struct sets s = {in, out, except, count, NULL, 0};
	weft_time deadline;

	if (!identity_hooked() || count > FD_SETSIZE)
		return REGION(pselect, count, in, out, except, limit, set);
	if (wf_deadline_in(limit, &deadline) < 0)
		return (int)wf_returned(-EINVAL);
	return (int)wf_returned(select_with(&s, deadline, set));
}

/* --- the program's own epoll, which is a descriptor like others --- */

/* What it watches may become ready again without an edge: so it is asked. */
static int epoll_until(int fd, struct epoll_event *events, int count,
		       weft_time deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct wf_source *s;
	long n;
	int r;

	wf_cancellation_point();
	for (;;) {
		r = wf_source_enter(fd, &s);
		if (r < 0)
			return r;
		n = wf_call(epoll_pwait, s->fd, events, count, 0, NULL, 0);
		wf_source_leave(s);
		if (n != 0)
			return (int)n;
		if (deadline == 0 || wf_clock_now() >= deadline)
			return 0;
		r = poll_until(&p, 1, deadline);
		if (r < 0)
			return r;
	}
}

static int epoll_masked(int fd, struct epoll_event *events, int count,
			weft_time deadline, const sigset_t *set)
{
	struct masked m;
	int n;

	mask_begin(&m, set);
	n = taken(&m) ? -EINTR : epoll_until(fd, events, count, deadline);
	mask_end(&m);
	return (int)wf_returned(n);
}

WF_HOOK int epoll_wait(int fd, struct epoll_event *events, int count, int limit)
{
	if (!identity_hooked())
		return libc(epoll_wait)(fd, events, count, limit);
	return epoll_masked(fd, events, count, after_msec(limit), NULL);
}

WF_HOOK int epoll_pwait(int fd, struct epoll_event *events, int count,
			int limit, const sigset_t *set)
{
	if (!identity_hooked())
		return libc(epoll_pwait)(fd, events, count, limit, set);
	return epoll_masked(fd, events, count, after_msec(limit), set);
}

WF_HOOK int epoll_pwait2(int fd, struct epoll_event *events, int count,
			 const struct timespec *limit, const sigset_t *set)
{
	weft_time deadline;

	if (!identity_hooked())
		return libc(epoll_pwait2)(fd, events, count, limit, set);
	if (wf_deadline_in(limit, &deadline) < 0)
		return (int)wf_returned(-EINVAL);
	return epoll_masked(fd, events, count, deadline, set);
}

/* --- as compiled with _FORTIFY_SOURCE --- */

WF_HOOK int __poll_chk(struct pollfd *fds, nfds_t count, int limit,
		       size_t room);
WF_HOOK int __ppoll_chk(struct pollfd *fds, nfds_t count,
			const struct timespec *limit, const sigset_t *set,
			size_t room);

WF_HOOK int __poll_chk(struct pollfd *fds, nfds_t count, int limit, size_t room)
{
	if (room / sizeof *fds < count)
		__chk_fail();
	return poll(fds, count, limit);
}

WF_HOOK int __ppoll_chk(struct pollfd *fds, nfds_t count,
			const struct timespec *limit, const sigset_t *set,
			size_t room)
{
	if (room / sizeof *fds < count)
		__chk_fail();
	return ppoll(fds, count, limit, set);
}
