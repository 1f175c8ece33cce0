/* SPDX-License-Identifier: MIT */
/*
 * message.c - messages: bytes with an address and control data, one or many at
 * a time.
 */
#include <errno.h>
#include <poll.h>

#include "core/sched.h"
#include "core/self.h"
#include "io/transfer.h"
#include "os/call.h"
#include "weft/io.h"

#define BACKOFF_UNIX WEFT_MSEC(1)

/* --- one --- */

struct message {
	struct wf_attempt attempt;
	struct msghdr *msg;
	int flags;
};

static long attempt_recvmsg(struct wf_source *s, struct wf_attempt *a)
{
	struct message *m = container_of(a, struct message, attempt);
	struct msghdr before = *m->msg;
	long n;

	while ((n = wf_call(recvmsg, s->fd, m->msg, m->flags | MSG_DONTWAIT)) ==
	       -EINTR)
		;
	/* The lengths are in and out; a try that failed leaves them. */
	if (n < 0)
		*m->msg = before;
	return n;
}

static long attempt_sendmsg(struct wf_source *s, struct wf_attempt *a)
{
	struct message *m = container_of(a, struct message, attempt);
	long n;

	while ((n = wf_call(sendmsg, s->fd, m->msg,
			    m->flags | MSG_DONTWAIT | MSG_NOSIGNAL)) == -EINTR)
		;
	return n;
}

ssize_t weft_recvmsg_until(int fd, struct msghdr *msg, int flags,
			   weft_time deadline)
{
	struct message m = {
		.attempt = {attempt_recvmsg, WF_IN, 0, deadline,
			    flags & WF_NEVER_WAIT},
		.msg = msg,
		.flags = flags,
	};

	return wf_attempt(fd, &m.attempt);
}

static bool to_unix(const struct msghdr *msg)
{
	const struct sockaddr *to = msg->msg_name;

	return to && msg->msg_namelen >= sizeof to->sa_family &&
	       to->sa_family == AF_UNIX;
}

/*
 * A Unix datagram socket that is full is another's, and its room is no event of
 * ours.
 */
static ssize_t send_to_unix(int fd, struct message *m)
{
	weft_time delay = BACKOFF_UNIX;
	struct wf_source *s;
	long n = wf_attempt_enter(fd, &s);
	int waited = 0;

	if (n < 0)
		return n;
	m->attempt.no_wait = true;
	while ((n = wf_attempt_on(s, &m->attempt)) == -EAGAIN && waited == 0)
		waited = m->flags & MSG_DONTWAIT
				 ? -EAGAIN
				 : wf_back_off(s, &delay, m->attempt.deadline);
	wf_source_leave(s);
	sched_called(wf_self(), n);
	return n == -EAGAIN ? waited : n;
}

ssize_t weft_sendmsg_until(int fd, const struct msghdr *msg, int flags,
			   weft_time deadline)
{
	struct message m = {
		.attempt = {attempt_sendmsg, WF_OUT, 0, deadline,
			    flags & MSG_DONTWAIT},
		.msg = (struct msghdr *)msg,
		.flags = flags,
	};

	return to_unix(msg) ? send_to_unix(fd, &m) : wf_attempt(fd, &m.attempt);
}

/* --- bytes and an address --- */

ssize_t weft_recvfrom_until(int fd, void *buf, size_t length, int flags,
			    struct sockaddr *addr, socklen_t *addrlen,
			    weft_time deadline)
{
	struct iovec iov = {buf, length};
	struct msghdr msg = {.msg_name = addr,
			     .msg_namelen = addrlen ? *addrlen : 0,
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	ssize_t n;

	if (!addr)
		return weft_recv_until(fd, buf, length, flags, deadline);
	n = weft_recvmsg_until(fd, &msg, flags, deadline);
	if (n >= 0 && addrlen)
		*addrlen = msg.msg_namelen;
	return n;
}

ssize_t weft_sendto_until(int fd, const void *buf, size_t length, int flags,
			  const struct sockaddr *addr, socklen_t addrlen,
			  weft_time deadline)
{
	struct iovec iov = {(void *)buf, length};
	struct msghdr msg = {.msg_name = (struct sockaddr *)addr,
			     .msg_namelen = addr ? addrlen : 0,
			     .msg_iov = &iov,
			     .msg_iovlen = 1};

	return weft_sendmsg_until(fd, &msg, flags, deadline);
}

/*
 * --- many ---
 *
 * A call stays with its source from the first message to the last: closed
 * meanwhile, the number may be somebody else's.
 */

struct batch {
	struct wf_attempt attempt;
	struct mmsghdr *msgs;
	unsigned count, done;
	int flags;
};

/* An error is kept for the next call: this one has messages to return. */
static bool failed(int fd)
{
	long r = wf_ask(fd, 0);

	return r > 0 && r & POLLERR;
}

/* 0: no more. */
static long attempt_recvmmsg(struct wf_source *s, struct wf_attempt *a)
{
	struct batch *b = container_of(a, struct batch, attempt);
	long n;

	if (b->done && failed(s->fd))
		return 0;
	while ((n = wf_call(recvmmsg, s->fd, b->msgs + b->done,
			    b->count - b->done, b->flags | MSG_DONTWAIT,
			    NULL)) == -EINTR)
		;
	return n;
}

int weft_recvmmsg_until(int fd, struct mmsghdr *msgs, unsigned count, int flags,
			weft_time deadline)
{
	struct batch b = {
		.attempt = {attempt_recvmmsg, WF_IN, 0, deadline,
			    flags & WF_NEVER_WAIT || count == 0},
		.msgs = msgs,
		.count = count,
		.flags = flags,
	};
	bool once = b.attempt.no_wait || flags & MSG_WAITFORONE;
	struct wf_source *s;
	long n = wf_attempt_enter(fd, &s);

	if (n < 0)
		return (int)n;
	do {
		n = wf_attempt_step(s, &b.attempt);
		if (n > 0)
			b.done += (unsigned)n;
	} while (n > 0 && b.done < count && !once);
	wf_source_leave(s);
	if (n == 0 && b.done == 0 && count > 0) {
		/* Shut down, which a message of no bytes says. */
		msgs[0].msg_len = 0;
		return 1;
	}
	return b.done ? (int)b.done : (int)n;
}

static long attempt_sendmmsg(struct wf_source *s, struct wf_attempt *a)
{
	struct batch *b = container_of(a, struct batch, attempt);
	long n;

	while ((n = wf_call(sendmmsg, s->fd, b->msgs + b->done,
			    b->count - b->done,
			    b->flags | MSG_DONTWAIT | MSG_NOSIGNAL)) == -EINTR)
		;
	return n;
}

/* The first that does not go at once is waited for. */
static long send_next(struct wf_source *s, struct batch *b)
{
	struct mmsghdr *m = &b->msgs[b->done];
	long n = wf_attempt_step(s, &b->attempt);

	if (n != -EAGAIN || b->flags & MSG_DONTWAIT)
		return n;
	n = weft_sendmsg_until(s->fd, &m->msg_hdr, b->flags,
			       b->attempt.deadline);
	if (n < 0)
		return n;
	m->msg_len = (unsigned)n;
	return 1;
}

/* A stream may take a part; what follows must not go before its rest. */
static bool whole(const struct mmsghdr *m)
{
	return m->msg_len == wf_transfer_length(m->msg_hdr.msg_iov,
						(int)m->msg_hdr.msg_iovlen);
}

int weft_sendmmsg_until(int fd, struct mmsghdr *msgs, unsigned count, int flags,
			weft_time deadline)
{
	struct batch b = {
		.attempt = {attempt_sendmmsg, WF_OUT, 0, deadline, true},
		.msgs = msgs,
		.count = count,
		.flags = flags,
	};
	struct wf_source *s;
	long n = wf_attempt_enter(fd, &s);

	if (n < 0)
		return (int)n;
	do {
		n = send_next(s, &b);
		if (n > 0)
			b.done += (unsigned)n;
	} while (n > 0 && b.done < count && whole(&msgs[b.done - 1]));
	wf_source_leave(s);
	return b.done ? (int)b.done : (int)n;
}

/* --- without a deadline --- */

ssize_t weft_recvfrom(int fd, void *buf, size_t length, int flags,
		      struct sockaddr *addr, socklen_t *addrlen)
{
	return weft_recvfrom_until(fd, buf, length, flags, addr, addrlen,
				   WEFT_FOREVER);
}

ssize_t weft_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return weft_recvmsg_until(fd, msg, flags, WEFT_FOREVER);
}

ssize_t weft_sendto(int fd, const void *buf, size_t length, int flags,
		    const struct sockaddr *addr, socklen_t addrlen)
{
	return weft_sendto_until(fd, buf, length, flags, addr, addrlen,
				 WEFT_FOREVER);
}

ssize_t weft_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return weft_sendmsg_until(fd, msg, flags, WEFT_FOREVER);
}

int weft_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	return weft_recvmmsg_until(fd, msgs, count, flags, WEFT_FOREVER);
}

int weft_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	return weft_sendmmsg_until(fd, msgs, count, flags, WEFT_FOREVER);
}
