/* SPDX-License-Identifier: MIT */
/*
 * socket.c - accept, connect, shutdown; and the end of any descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "base/sanitize.h"
#include "io/attempt.h"
#include "os/call.h"
#include "os/clock.h"
#include "weft/io.h"

#define BACKOFF_FIRST WEFT_MSEC(5)

/* --- accept --- */

struct accept {
	struct wf_attempt attempt;
	struct sockaddr *addr;
	socklen_t *addrlen;
	socklen_t size;
};

/* A connection that failed before it was accepted is none of our business. */
static bool other_peers_error(long r)
{
	switch (r) {
	case -EINTR:
	case -ECONNABORTED:
	case -EPROTO:
	case -ENOPROTOOPT:
	case -ENETDOWN:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -EHOSTUNREACH:
	case -ENONET:
		return true;
	default:
		return false;
	}
}

static long accept_once(struct wf_source *s, struct accept *a)
{
	long r;

	do {
		if (a->addrlen)
			*a->addrlen = a->size;
		r = wf_call(accept4, s->fd, a->addr, a->addrlen,
			    SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (other_peers_error(r));
	return r;
}

static long accept_error(struct wf_source *s)
{
	return atom_load_rlx(&s->kind) == WF_SOCKET ? -EINVAL : -ENOTSOCK;
}

/*
 * A listener that is not O_NONBLOCK is asked first, under its lock, so that no
 * other fiber takes the connection in between.
 */
static long attempt_accept(struct wf_source *s, struct wf_attempt *attempt)
{
	struct accept *a = container_of(attempt, struct accept, attempt);
	long r;

	if (likely(!wf_blocks(s)))
		return accept_once(s, a);
	if (!wf_socket_listens(s->fd))
		return accept_error(s);
	spin_lock(&s->lock);
	r = wf_ask(s->fd, POLLIN);
	if (r > 0)
		r = accept_once(s, a);
	else if (r == 0)
		r = -EAGAIN;
	spin_unlock(&s->lock);
	return r;
}

static bool ran_out(long r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM;
}

static long accept_on(struct wf_source *s, struct accept *a)
{
	weft_time delay = BACKOFF_FIRST;
	long r;
	int waited;

	while (ran_out(r = wf_attempt_to("accept", s, &a->attempt))) {
		waited = wf_back_off(s, &delay, a->attempt.deadline);
		if (waited < 0)
			return waited;
	}
	return r;
}

int weft_accept_until(int fd, struct sockaddr *addr, socklen_t *addrlen,
		      weft_time deadline)
{
	struct accept a = {
		.attempt = {attempt_accept, WF_IN, 0, deadline, false},
		.addr = addr,
		.addrlen = addrlen,
		.size = addrlen ? *addrlen : 0,
	};
	struct wf_source *s;
	long r = wf_attempt_enter(fd, &s);

	if (r < 0)
		return (int)r;
	r = accept_on(s, &a);
	if (r >= 0)
		wf_source_adopt((int)r, s);
	wf_source_leave(s);
	wf_budget_spend();
	return (int)r;
}

int weft_accept(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
	return weft_accept_until(fd, addr, addrlen, WEFT_FOREVER);
}

/* --- connect --- */

struct connect {
	struct wf_attempt attempt;
	int error;
};

/* There is no MSG_DONTWAIT for connecting: the flag is on for a moment. */
static long connect_nonblock(struct wf_source *s, const struct sockaddr *addr,
			     socklen_t addrlen)
{
	long flags, r;

	if (s->nonblock)
		return wf_call(connect, s->fd, addr, addrlen);
	flags = wf_call(fcntl, s->fd, F_GETFL);
	if (flags < 0)
		return flags;
	if (!(flags & O_NONBLOCK))
		wf_call(fcntl, s->fd, F_SETFL, flags | O_NONBLOCK);
	r = wf_call(connect, s->fd, addr, addrlen);
	if (!(flags & O_NONBLOCK))
		wf_call(fcntl, s->fd, F_SETFL, flags);
	return r;
}

/* The one place where SO_ERROR is read: it takes the error away. */
static long attempt_finish(struct wf_source *s, struct wf_attempt *a)
{
	struct connect *c = container_of(a, struct connect, attempt);
	socklen_t size = sizeof c->error;
	long r = wf_ask(s->fd, POLLOUT);

	if (r <= 0)
		return r == 0 ? -EAGAIN : r;
	r = wf_call(getsockopt, s->fd, SOL_SOCKET, SO_ERROR, &c->error, &size);
	return r < 0 ? r : -c->error;
}

static long finish_connecting(struct wf_source *s, weft_time deadline)
{
	struct connect c = {
		.attempt = {attempt_finish, WF_OUT, 0, deadline, false}};

	return wf_attempt_to("connect", s, &c.attempt);
}

static long connect_on(struct wf_source *s, const struct sockaddr *addr,
		       socklen_t addrlen, weft_time deadline)
{
	weft_time delay = BACKOFF_FIRST / 5;
	uint64_t seen = source_ready(s);
	bool interrupted = false;
	long r;
	int waited = 0;

	while (waited == 0) {
		r = connect_nonblock(s, addr, addrlen);
		/* It may have begun, or may not: the next one says. */
		if (r == -EINTR)
			interrupted = true;
		/* A Unix listener's queue is full, which no event ends. */
		else if (r == -EAGAIN)
			waited = wf_back_off(s, &delay, deadline);
		else
			break;
	}
	if (waited < 0)
		return waited;
	if (interrupted && r == -EISCONN)
		return 0;
	if (r != -EINPROGRESS && !(interrupted && r == -EALREADY))
		return r;
	wf_source_empty(s, WF_OUT, seen);
	return finish_connecting(s, deadline);
}

int weft_connect_until(int fd, const struct sockaddr *addr, socklen_t addrlen,
		       weft_time deadline)
{
	struct wf_source *s;
	long r = wf_attempt_enter(fd, &s);

	if (r < 0)
		return (int)r;
	r = atom_load_rlx(&s->kind) == WF_SOCKET
		    ? connect_on(s, addr, addrlen, deadline)
		    : -ENOTSOCK;
	wf_source_leave(s);
	return (int)r;
}

int weft_connect(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
	return weft_connect_until(fd, addr, addrlen, WEFT_FOREVER);
}

/* --- shutdown, close, forget --- */

int weft_shutdown(int fd, int how)
{
	struct wf_source *s;
	int r = wf_source_enter(fd, &s);

	if (r < 0)
		return r;
	r = (int)wf_call(shutdown, fd, how);
	if (r == 0 && how != SHUT_WR)
		wf_source_nudge(s, WF_CAN_IN);
	if (r == 0 && how != SHUT_RD)
		wf_source_nudge(s, WF_CAN_OUT);
	wf_source_leave(s);
	return r;
}

int weft_close(int fd)
{
	struct wf_source *s;
	int r = wf_source_find(fd, &s);

	if (r < 0)
		return r;
	if (s)
		return wf_source_close(s);
	san_close(fd);
	r = (int)wf_call(close, fd);
	return r == -EINTR ? 0 : r;
}

int weft_forget(int fd)
{
	struct wf_source *s;
	int r = wf_source_find(fd, &s);

	if (r < 0)
		return r;
	return s ? wf_source_forget(s) : 0;
}
