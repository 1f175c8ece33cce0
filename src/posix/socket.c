/* SPDX-License-Identifier: MIT */
/*
 * socket.c - the hooks of accept and connect.
 */
#include <errno.h>

#include "os/call.h"
#include "os/clock.h"
#include "posix/known.h"
#include "posix/lot.h"
#include "posix/region.h"
#include "posix/try.h"

/* --- accept --- */

/*
 * A listener that blocks is asked first, and no other fiber may come in
 * between.  A thread of the kernel's may, or another process: then the fiber
 * waits in the kernel, and those who wait for its turn wait with it.
 *
 *      0        free
 *      HELD     somebody is between question and call   [accept-turn]
 *      WANTED   and others wait
 */
#define HELD   1u
#define WANTED 2u
#define TURNS  4096 /* so that hardly any two listeners have the same */

static _Atomic uint32_t turns[TURNS];

/* In a forked child those who had one are not there. */
static void forget_turns(void)
{
	for (int i = 0; i < TURNS; i++)
		if (atom_load_rlx(&turns[i]))
			atom_store_rlx(&turns[i], 0);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forget_turns);
}

/* False: interrupted, and it may have been our turn, which is passed on. */
static bool turn_begin(_Atomic uint32_t *turn)
{
	uint32_t found = 0;

	/* acquire [accept-turn] */
	if (atom_cas_acq(turn, &found, HELD))
		return true;
	/* acquire [accept-turn] */
	while (atom_swap_acq(turn, WANTED)) {
		if (wf_lot_wait(turn, WANTED, "accept", WEFT_FOREVER, true) !=
		    -EINTR)
			continue;
		wf_lot_wake(turn, 1);
		return false;
	}
	return true;
}

static void turn_end(_Atomic uint32_t *turn)
{
	/* release [accept-turn] */
	if (atom_swap_ar(turn, 0) == WANTED)
		wf_lot_wake(turn, 1);
}

struct accept {
	struct wf_try try;
	struct sockaddr *addr;
	socklen_t *addrlen;
	int flags;
};

static long accept_now(int fd, struct accept *a)
{
	return wf_call(accept4, fd, a->addr, a->addrlen, a->flags);
}

/* What is held by who waits in the kernel. */
struct accepting {
	struct wf_held held;
	struct wf_source *source;
	_Atomic uint32_t *turn;
};

static void give_up(struct wf_held *held)
{
	struct accepting *h = container_of(held, struct accepting, held);

	turn_end(h->turn);
	wf_source_leave(h->source);
}

/*
 * Another process may be faster, and then it waits in the kernel: where only
 * the kernel can tell it of a signal.
 */
static long accept_there(struct wf_source *s, struct accept *a,
			 _Atomic uint32_t *turn)
{
	struct accepting h = {{.let_go = give_up}, s, turn};
	long r;

	wf_region_enter_holding(&h.held);
	r = accept_now(s->fd, a);
	wf_region_leave_holding(&h.held);
	return r;
}

/*
 * What does not listen refuses at once.  A thread of the kernel's, which it may
 * have become since it waits, is told of signals wherever it is.
 */
static long accept_once(struct wf_source *s, struct wf_try *try)
{
	struct accept *a = container_of(try, struct accept, try);
	_Atomic uint32_t *turn = &turns[(unsigned)s->fd % TURNS];
	long r;

	if (!identity_self() || wf_known_nonblock(s->fd) ||
	    !wf_socket_listens(s->fd))
		return accept_now(s->fd, a);
	if (!turn_begin(turn))
		return -ECANCELED;
	r = wf_ask(s->fd, POLLIN);
	r = r == 0 ? -EAGAIN : accept_there(s, a, turn);
	turn_end(turn);
	return r;
}

static int accept_on(int fd, struct sockaddr *addr, socklen_t *addrlen,
		     int flags)
{
	const int known = SOCK_NONBLOCK | SOCK_CLOEXEC;
	struct accept a = {.try = {.call = accept_once,
				   .want = WF_IN,
				   .what = "accept",
				   .asks = true},
			   .addr = addr,
			   .addrlen = addrlen,
			   .flags = flags};

	return (int)wf_returned(flags & ~known ? -EINVAL : wf_try(fd, &a.try));
}

WF_HOOK int accept4(int fd, struct sockaddr *addr, socklen_t *addrlen,
		    int flags)
{
	int r = identity_hooked() ? accept_on(fd, addr, addrlen, flags)
				  : libc(accept4)(fd, addr, addrlen, flags);

	return wf_descriptor_new(r, flags);
}

WF_HOOK int accept(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
	return accept4(fd, addr, addrlen, 0);
}

/* --- connect --- */

struct connect {
	struct wf_try try;
	const struct sockaddr *addr;
	socklen_t addrlen;
	bool begun;
};

/* There is no MSG_DONTWAIT for connecting: the flag is on for a moment. */
static long connect_now(struct wf_source *s, struct connect *c)
{
	long flags = wf_call(fcntl, s->fd, F_GETFL), r;

	wf_call(fcntl, s->fd, F_SETFL, flags | O_NONBLOCK);
	r = wf_call(connect, s->fd, c->addr, c->addrlen);
	wf_call(fcntl, s->fd, F_SETFL, flags);
	return r;
}

/*
 * To ask again once it is decided gives the result, and leaves the socket as
 * one blocking call would have left it, which SO_ERROR does not.
 */
static long connect_once(struct wf_source *s, struct wf_try *try)
{
	struct connect *c = container_of(try, struct connect, try);
	long r;

	if (!c->begun && wf_known_nonblock(s->fd))
		return wf_call(connect, s->fd, c->addr, c->addrlen);
	if (c->begun && wf_ask(s->fd, POLLOUT) == 0)
		return -EAGAIN;
	r = connect_now(s, c);
	/* A Unix listener's queue is full, and no event says when it is not. */
	if (r == -EAGAIN)
		return wf_call(connect, s->fd, c->addr, c->addrlen);
	if (r == -EISCONN && c->begun)
		return 0;
	if (r != -EINPROGRESS && r != -EALREADY)
		return r;
	c->begun = true;
	return -EAGAIN;
}

static long connect_on(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
	struct connect c = {.try = {.call = connect_once,
				    .want = WF_OUT,
				    .what = "connect"},
			    .addr = addr,
			    .addrlen = addrlen};
	long r = wf_try(fd, &c.try);

	/* Its time is over, and it goes on. */
	return r == -EAGAIN && c.begun ? -EINPROGRESS : r;
}

WF_HOOK int connect(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
	return identity_hooked()
		       ? (int)wf_returned(connect_on(fd, addr, addrlen))
		       : libc(connect)(fd, addr, addrlen);
}
