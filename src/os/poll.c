/* SPDX-License-Identifier: MIT */
/*
 * poll.c - see poll.h.
 */
#include "os/poll.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "os/call.h"
#include "os/clock.h"
#include "os/feature.h"

#define ROOM_MOST 65536

int wf_poll_lowest;

long wf_poll_raised(long fd)
{
	long high;

	if (fd < 0 || !wf_poll_lowest)
		return fd;
	high = wf_call(fcntl, fd, F_DUPFD_CLOEXEC, wf_poll_lowest);
	if (high < 0)
		return fd;
	wf_call(close, fd);
	return high;
}

int wf_poll_open(struct wf_poll *p)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = WF_POLL_WAKE};
	long r = wf_poll_raised(wf_call(epoll_create1, EPOLL_CLOEXEC));

	if (r < 0)
		return (int)r;
	p->fd = (int)r;
	atom_store_rlx(&p->added, 0);
	r = wf_poll_raised(wf_call(eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (r < 0)
		goto close_epoll;
	p->wake_fd = (int)r;
	r = wf_call(epoll_ctl, p->fd, EPOLL_CTL_ADD, p->wake_fd, &e);
	if (r < 0)
		goto close_wake;
	return 0;

close_wake:
	wf_call(close, p->wake_fd);
close_epoll:
	wf_call(close, p->fd);
	return (int)r;
}

void wf_poll_close(struct wf_poll *p)
{
	wf_call(close, p->wake_fd);
	wf_call(close, p->fd);
}

void wf_poll_make_room(const struct wf_poll *p)
{
	struct rlimit limit;
	long last;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > ROOM_MOST)
		limit.rlim_cur = ROOM_MOST;
	last = wf_call(fcntl, p->fd, F_DUPFD_CLOEXEC, (long)limit.rlim_cur - 1);
	if (last >= 0)
		wf_call(close, last);
}

int wf_poll_add(struct wf_poll *p, int fd, uint64_t data)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					  EPOLLPRI | EPOLLET,
				.data.u64 = data};

	int r = (int)wf_call(epoll_ctl, p->fd, EPOLL_CTL_ADD, fd, &e);

	if (r == 0)
		atom_add_rlx(&p->added, 1);
	/* Left by an earlier source of the same file and number. */
	if (r == -EEXIST)
		r = (int)wf_call(epoll_ctl, p->fd, EPOLL_CTL_MOD, fd, &e);
	return r;
}

bool wf_poll_remove(struct wf_poll *p, int fd)
{
	struct epoll_event unused = {0};

	if (wf_call(epoll_ctl, p->fd, EPOLL_CTL_DEL, fd, &unused) < 0)
		return false;
	atom_sub_rlx(&p->added, 1);
	return true;
}

int wf_poll_try(struct wf_poll *p, struct epoll_event *events, int max)
{
	long n = wf_call(epoll_pwait, p->fd, events, max, 0);

	return n < 0 ? 0 : (int)n;
}

/* Whole milliseconds, rounded up so that no wait ends early. */
static int milliseconds(weft_time delay)
{
	weft_time ms = delay / WEFT_MSEC(1) + (delay % WEFT_MSEC(1) != 0);

	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static long wait_for(struct wf_poll *p, struct epoll_event *events, int max,
		     weft_time delay)
{
#ifdef SYS_epoll_pwait2
	struct timespec ts = wf_time_spec(delay);

	if (wf_feature(WF_EPOLL_NANO))
		return wf_call(epoll_pwait2, p->fd, events, max, &ts);
#endif
	return wf_call(epoll_pwait, p->fd, events, max, milliseconds(delay));
}

int wf_poll_wait(struct wf_poll *p, struct epoll_event *events, int max,
		 weft_time delay)
{
	long n;

	if (delay <= 0)
		return wf_poll_try(p, events, max);
	if (delay == WEFT_FOREVER)
		n = wf_call(epoll_pwait, p->fd, events, max, -1);
	else
		n = wait_for(p, events, max, delay);
	return n < 0 ? 0 : (int)n;
}

/* An interrupt says neither. */
long wf_ask(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	struct timespec none = {0};
	long n;

	while ((n = wf_call(ppoll, &p, 1, &none)) == -EINTR)
		;
	return n > 0 ? p.revents : n;
}

bool wf_poll_ready(struct wf_poll *p)
{
	return wf_ask(p->fd, POLLIN) > 0;
}

void wf_poll_wake(struct wf_poll *p)
{
	uint64_t one = 1;

	wf_call(write, p->wake_fd, &one, sizeof one);
}

void wf_poll_drain(struct wf_poll *p)
{
	uint64_t count;

	wf_call(read, p->wake_fd, &count, sizeof count);
}
