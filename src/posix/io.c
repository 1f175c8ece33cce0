/* SPDX-License-Identifier: MIT */
/*
 * io.c - reading and writing: the hooks of what moves bytes and messages.
 *
 * A blocking write of the kernel's is whole: it returns when all has been
 * taken, unless an error or a handler comes first.  So do these.
 */
#include <errno.h>
#include <string.h>

#include "io/transfer.h"
#include "os/call.h"
#include "posix/delivery.h"
#include "posix/interrupt.h"
#include "posix/known.h"
#include "posix/region.h"
#include "posix/try.h"

/* Bytes in one piece or several, of which some have been moved. */
struct move {
	struct wf_try try;
	const struct iovec *iov;
	int count;
	size_t begun; /* of the first piece */
	int flags;    /* of a socket call */
	bool socket;  /* the call is for sockets only */
	bool write;
	bool final;    /* the kernel's answer is the last */
	bool terminal; /* which has not been asked */
	struct iovec one;
};

/* --- one try --- */

/* The pieces that are left; a piece that is begun goes alone. */
static struct wf_transfer rest_of(struct move *m)
{
	struct wf_transfer t = {
		.iov = m->iov, .count = m->count, .write = m->write};

	if (m->begun) {
		m->one.iov_base = (char *)m->iov->iov_base + m->begun;
		m->one.iov_len = m->iov->iov_len - m->begun;
		t.iov = &m->one;
		t.count = 1;
	}
	return t;
}

static long socket_receive(int fd, const struct wf_transfer *t, int flags)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)t->iov,
			     .msg_iovlen = (size_t)t->count};

	if (likely(t->count == 1))
		return wf_call(recvfrom, fd, t->iov->iov_base, t->iov->iov_len,
			       flags | MSG_DONTWAIT);
	return wf_call(recvmsg, fd, &msg, flags | MSG_DONTWAIT);
}

static long socket_send(int fd, const struct wf_transfer *t, int flags)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)t->iov,
			     .msg_iovlen = (size_t)t->count};

	flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
	if (likely(t->count == 1))
		return wf_call(sendto, fd, t->iov->iov_base, t->iov->iov_len,
			       flags);
	return wf_call(sendmsg, fd, &msg, flags);
}

static long file_move(int fd, const struct wf_transfer *t)
{
	return t->write ? wf_call(writev, fd, t->iov, t->count)
			: wf_call(readv, fd, t->iov, t->count);
}

static long other_move(struct wf_source *s, struct move *m,
		       const struct wf_transfer *t)
{
	long n;

	/* No bytes are taken, or refused, at once; and not as pieces. */
	if (wf_transfer_length(t->iov, t->count) == 0)
		return wf_call(write, s->fd, t->iov->iov_base, 0);
	m->terminal = s->terminal;
	if (m->terminal)
		return 0;
	m->final = atom_load_rlx(&s->kind) == WF_FILE;
	n = m->final ? file_move(s->fd, t) : wf_transfer_once(s, t);
	if (n == -EPIPE)
		wf_sigpipe_drop();
	return n;
}

static long move_once(struct wf_source *s, struct wf_try *try)
{
	struct move *m = container_of(try, struct move, try);
	struct wf_transfer t = rest_of(m);

	/* What is no socket is told so by the kernel. */
	if (likely(atom_load_rlx(&s->kind) == WF_SOCKET) || m->socket)
		return m->write ? socket_send(s->fd, &t, m->flags)
				: socket_receive(s->fd, &t, m->flags);
	return other_move(s, m, &t);
}

/* --- all of it --- */

static void advance(struct move *m, size_t n)
{
	n += m->begun;
	while (m->count && n >= m->iov->iov_len) {
		n -= m->iov->iov_len;
		m->iov++;
		m->count--;
	}
	m->begun = n;
}

static void send_sigpipe(void)
{
	wf_signal_send(identity_self(), SIGPIPE, NULL);
	wf_interrupted_by_signal();
}

static long failed(const struct move *m, long error)
{
	if (error == -EPIPE && m->write && !(m->flags & MSG_NOSIGNAL))
		send_sigpipe();
	return error;
}

/*
 * A terminal may be set to wait for a time between bytes, which only the kernel
 * knows how to do.  Who waits there must not keep others from the number.
 */
static long terminal_move(int fd, struct move *m)
{
	struct wf_transfer t = rest_of(m);
	long n;

	m->final = true;
	wf_region_enter();
	n = file_move(fd, &t);
	wf_region_leave();
	return n;
}

static long move_some(int fd, struct move *m)
{
	long n = wf_try(fd, &m->try);

	return m->terminal ? terminal_move(fd, m) : n;
}

static long move_all(int fd, struct move *m)
{
	size_t length = wf_transfer_length(m->iov, m->count), done = 0;
	long n;

	do {
		n = move_some(fd, m);
		if (n > 0) {
			done += (size_t)n;
			advance(m, (size_t)n);
			m->try.partly = true;
		}
	} while (n > 0 && done < length && !m->final && !m->try.no_wait);
	return done ? (long)done : failed(m, n);
}

/* --- read and write --- */

static ssize_t read_pieces(int fd, const struct iovec *iov, int count)
{
	size_t length = wf_transfer_length(iov, count);
	struct move m = {.try = {.call = move_once,
				 .want = WF_IN,
				 .expected = length,
				 .what = "read",
				 .no_wait = length == 0},
			 .iov = iov,
			 .count = count};

	return wf_returned(move_some(fd, &m));
}

static ssize_t write_pieces(int fd, const struct iovec *iov, int count)
{
	struct move m = {
		.try = {.call = move_once, .want = WF_OUT, .what = "write"},
		.iov = iov,
		.count = count,
		.write = true};

	return wf_returned(move_all(fd, &m));
}

WF_HOOK ssize_t read(int fd, void *buf, size_t length)
{
	struct iovec iov = {buf, length};

	/* To read no bytes waits for none. */
	return identity_hooked() && length ? read_pieces(fd, &iov, 1)
					   : libc(read)(fd, buf, length);
}

/* Of no bytes in pieces, or too many pieces, the kernel says so at once. */
static bool worth_trying(const struct iovec *iov, int count)
{
	return count > 0 && count <= WF_PIECES_MAX &&
	       wf_transfer_length(iov, count) > 0;
}

WF_HOOK ssize_t readv(int fd, const struct iovec *iov, int count)
{
	if (!identity_hooked() || !worth_trying(iov, count))
		return libc(readv)(fd, iov, count);
	return read_pieces(fd, iov, count);
}

WF_HOOK ssize_t write(int fd, const void *buf, size_t length)
{
	struct iovec iov = {(void *)buf, length};

	return identity_hooked() ? write_pieces(fd, &iov, 1)
				 : libc(write)(fd, buf, length);
}

WF_HOOK ssize_t writev(int fd, const struct iovec *iov, int count)
{
	if (!identity_hooked() || !worth_trying(iov, count))
		return libc(writev)(fd, iov, count);
	return write_pieces(fd, iov, count);
}

/* --- sockets, without an address --- */

/* Whether all has to come; of datagrams one is all. */
static bool waits_for_all(int fd, int flags)
{
	return flags & MSG_WAITALL && wf_socket_is_stream(fd);
}

/* To look at all without taking it is left to the kernel. */
static bool peeks_at_all(int flags)
{
	return flags & MSG_PEEK && flags & MSG_WAITALL;
}

static long receive(int fd, void *buf, size_t length, int flags)
{
	struct iovec iov = {buf, length};
	struct move m = {.try = {.call = move_once,
				 .want = WF_IN,
				 .expected = flags ? 0 : length,
				 .what = "recv",
				 .no_wait = flags & WF_NEVER_WAIT},
			 .iov = &iov,
			 .count = 1,
			 .flags = flags & ~MSG_WAITALL,
			 .socket = true};

	return waits_for_all(fd, flags) ? move_all(fd, &m) : move_some(fd, &m);
}

static long transmit(int fd, const void *buf, size_t length, int flags)
{
	struct iovec iov = {(void *)buf, length};
	struct move m = {.try = {.call = move_once,
				 .want = WF_OUT,
				 .what = "send",
				 .no_wait = flags & MSG_DONTWAIT},
			 .iov = &iov,
			 .count = 1,
			 .flags = flags,
			 .socket = true,
			 .write = true};

	return move_all(fd, &m);
}

WF_HOOK ssize_t recv(int fd, void *buf, size_t length, int flags)
{
	if (!identity_hooked() || peeks_at_all(flags))
		return REGION(recv, fd, buf, length, flags);
	return wf_returned(receive(fd, buf, length, flags));
}

WF_HOOK ssize_t send(int fd, const void *buf, size_t length, int flags)
{
	return identity_hooked() ? wf_returned(transmit(fd, buf, length, flags))
				 : libc(send)(fd, buf, length, flags);
}

/* --- messages --- */

struct message {
	struct wf_try try;
	struct msghdr *msg;
	int flags;
};

/* The lengths are in and out; a try that failed leaves them. */
static long receive_message(struct wf_source *s, struct wf_try *try)
{
	struct message *m = container_of(try, struct message, try);
	struct msghdr before = *m->msg;
	long n = wf_call(recvmsg, s->fd, m->msg, m->flags | MSG_DONTWAIT);

	if (n < 0)
		*m->msg = before;
	return n;
}

static long send_message(struct wf_source *s, struct wf_try *try)
{
	struct message *m = container_of(try, struct message, try);

	return wf_call(sendmsg, s->fd, m->msg,
		       m->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Descriptors that have come along. */
static void look_at_rights(const struct msghdr *msg)
{
	struct cmsghdr *c;

	if (!msg->msg_control)
		return;
	for (c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		wf_known_share();
		for (size_t i = 0; i < count; i++)
			wf_descriptor_came(((int *)CMSG_DATA(c))[i]);
	}
}

static long recvmsg_at(int fd, struct msghdr *msg, int flags, bool partly)
{
	struct message m = {.try = {.call = receive_message,
				    .want = WF_IN,
				    .what = "recvmsg",
				    .partly = partly,
				    .no_wait = flags & WF_NEVER_WAIT},
			    .msg = msg,
			    .flags = flags};
	long n = wf_try(fd, &m.try);

	if (n >= 0)
		look_at_rights(msg);
	return n;
}

WF_HOOK ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n;

	/* To wait for all of several pieces is left to the kernel. */
	if (identity_hooked() && !(flags & MSG_WAITALL))
		return wf_returned(recvmsg_at(fd, msg, flags, false));
	n = REGION(recvmsg, fd, msg, flags);
	if (n >= 0)
		look_at_rights(msg);
	return n;
}

WF_HOOK ssize_t recvfrom(int fd, void *buf, size_t length, int flags,
			 struct sockaddr *addr, socklen_t *addrlen)
{
	struct iovec iov = {buf, length};
	struct msghdr msg = {.msg_name = addr,
			     .msg_namelen = addr && addrlen ? *addrlen : 0,
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	long n;

	if (!identity_hooked())
		return libc(recvfrom)(fd, buf, length, flags, addr, addrlen);
	if (!addr && !peeks_at_all(flags))
		return wf_returned(receive(fd, buf, length, flags));
	if (flags & MSG_WAITALL)
		return REGION(recvfrom, fd, buf, length, flags, addr, addrlen);
	n = recvmsg_at(fd, &msg, flags, false);
	if (n >= 0 && addrlen)
		*addrlen = msg.msg_namelen;
	return wf_returned(n);
}

/* What a stream has not taken of it, without the control data. */
static long send_rest(int fd, const struct msghdr *msg, int flags, size_t done)
{
	struct move m = {.try = {.call = move_once,
				 .want = WF_OUT,
				 .what = "sendmsg",
				 .partly = true},
			 .iov = msg->msg_iov,
			 .count = (int)msg->msg_iovlen,
			 .flags = flags | MSG_NOSIGNAL,
			 .socket = true,
			 .write = true};
	size_t length = wf_transfer_length(m.iov, m.count);
	long n;

	advance(&m, done);
	while (done < length) {
		n = wf_try(fd, &m.try);
		if (n <= 0)
			break;
		done += (size_t)n;
		advance(&m, (size_t)n);
	}
	return (long)done;
}

static long sendmsg_on(int fd, const struct msghdr *msg, int flags, bool partly)
{
	struct message m = {.try = {.call = send_message,
				    .want = WF_OUT,
				    .what = "sendmsg",
				    .partly = partly,
				    .no_wait = flags & MSG_DONTWAIT},
			    .msg = (struct msghdr *)msg,
			    .flags = flags};
	long n = wf_try(fd, &m.try);

	if (n == -EPIPE && !(flags & MSG_NOSIGNAL))
		send_sigpipe();
	if (n <= 0 || m.try.no_wait)
		return n;
	return send_rest(fd, msg, flags, (size_t)n);
}

/* What connects on the way waits for that as well: left to the kernel. */
static bool connects(int flags)
{
	return flags & MSG_FASTOPEN;
}

WF_HOOK ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (msg->msg_controllen)
		wf_known_share();
	if (!identity_hooked() || connects(flags))
		return REGION(sendmsg, fd, msg, flags);
	return wf_returned(sendmsg_on(fd, msg, flags, false));
}

WF_HOOK ssize_t sendto(int fd, const void *buf, size_t length, int flags,
		       const struct sockaddr *addr, socklen_t addrlen)
{
	struct iovec iov = {(void *)buf, length};
	struct msghdr msg = {.msg_name = (struct sockaddr *)addr,
			     .msg_namelen = addr ? addrlen : 0,
			     .msg_iov = &iov,
			     .msg_iovlen = 1};

	if (!identity_hooked() || connects(flags))
		return REGION(sendto, fd, buf, length, flags, addr, addrlen);
	return wf_returned(addr ? sendmsg_on(fd, &msg, flags, false)
				: transmit(fd, buf, length, flags));
}

/* --- many messages --- */

/* The limit is looked at after each message, as the kernel does. */
static long receive_many(int fd, struct mmsghdr *msgs, unsigned count,
			 int flags, struct timespec *limit)
{
	weft_time end =
		limit ? weft_after(WEFT_SEC(limit->tv_sec) + limit->tv_nsec)
		      : WEFT_FOREVER;
	unsigned done = 0;
	long n = 0;

	while (done < count && (done == 0 || weft_now() < end)) {
		n = recvmsg_at(fd, &msgs[done].msg_hdr,
			       (flags & ~MSG_WAITFORONE) |
				       (done && flags & MSG_WAITFORONE
						? MSG_DONTWAIT
						: 0),
			       done > 0);
		if (n < 0)
			break;
		msgs[done++].msg_len = (unsigned)n;
	}
	return done ? (long)done : n;
}

WF_HOOK int recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags,
		     struct timespec *limit)
{
	int n;

	if (identity_hooked())
		return (int)wf_returned(
			receive_many(fd, msgs, count, flags, limit));
	n = libc(recvmmsg)(fd, msgs, count, flags, limit);
	for (int i = 0; i < n; i++)
		look_at_rights(&msgs[i].msg_hdr);
	return n;
}

static long send_many(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	unsigned done = 0;
	long n = 0;

	while (done < count) {
		n = sendmsg_on(fd, &msgs[done].msg_hdr, flags, done > 0);
		if (n < 0)
			break;
		msgs[done++].msg_len = (unsigned)n;
	}
	return done ? (long)done : n;
}

WF_HOOK int sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	return identity_hooked()
		       ? (int)wf_returned(send_many(fd, msgs, count, flags))
		       : libc(sendmmsg)(fd, msgs, count, flags);
}

/* --- as compiled with _FORTIFY_SOURCE --- */

#define CHECK_ROOM(length, room)                                               \
	do {                                                                   \
		if ((length) > (room))                                         \
			__chk_fail();                                          \
	} while (0)

WF_HOOK ssize_t __read_chk(int fd, void *buf, size_t length, size_t room);
WF_HOOK ssize_t __recv_chk(int fd, void *buf, size_t length, size_t room,
			   int flags);
WF_HOOK ssize_t __recvfrom_chk(int fd, void *buf, size_t length, size_t room,
			       int flags, struct sockaddr *addr,
			       socklen_t *addrlen);

WF_HOOK ssize_t __read_chk(int fd, void *buf, size_t length, size_t room)
{
	CHECK_ROOM(length, room);
	return read(fd, buf, length);
}

WF_HOOK ssize_t __recv_chk(int fd, void *buf, size_t length, size_t room,
			   int flags)
{
	CHECK_ROOM(length, room);
	return recv(fd, buf, length, flags);
}

WF_HOOK ssize_t __recvfrom_chk(int fd, void *buf, size_t length, size_t room,
			       int flags, struct sockaddr *addr,
			       socklen_t *addrlen)
{
	CHECK_ROOM(length, room);
	return recvfrom(fd, buf, length, flags, addr, addrlen);
}
