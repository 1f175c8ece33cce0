/* SPDX-License-Identifier: MIT */
/*
 * io.c - reading and writing: the calls of weft/io.h that move bytes.
 * Sockets have MSG_DONTWAIT; for all else see transfer.h.
 */
#include "weft/io.h"

#include <errno.h>

#include "io/transfer.h"
#include "os/call.h"

/* --- sockets --- */

static long socket_read(struct wf_source *s, const struct wf_transfer *t)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)t->iov,
			     .msg_iovlen = (size_t)t->count};

	if (t->count == 1)
		return wf_call(recvfrom, s->fd, t->iov->iov_base,
			       t->iov->iov_len, t->flags | MSG_DONTWAIT);
	return wf_call(recvmsg, s->fd, &msg, t->flags | MSG_DONTWAIT);
}

static long socket_write(struct wf_source *s, const struct wf_transfer *t)
{
	int flags = t->flags | MSG_DONTWAIT | MSG_NOSIGNAL;
	struct msghdr msg = {.msg_iov = (struct iovec *)t->iov,
			     .msg_iovlen = (size_t)t->count};

	if (t->count == 1)
		return wf_call(sendto, s->fd, t->iov->iov_base, t->iov->iov_len,
			       flags);
	return wf_call(sendmsg, s->fd, &msg, flags);
}

static long move_once(struct wf_source *s, const struct wf_transfer *t)
{
	if (likely(atom_load_rlx(&s->kind) == WF_SOCKET))
		return t->write ? socket_write(s, t) : socket_read(s, t);
	return wf_transfer_once(s, t);
}

static long attempt_transfer(struct wf_source *s, struct wf_attempt *a)
{
	struct wf_transfer *t = container_of(a, struct wf_transfer, attempt);
	long n;

	while ((n = move_once(s, t)) == -EINTR)
		;
	return n;
}

/* To read no bytes is no question to a socket, although to receive them is. */
static long attempt_read(struct wf_source *s, struct wf_attempt *a)
{
	if (a->expected == 0 && atom_load_rlx(&s->kind) == WF_SOCKET)
		return 0;
	return attempt_transfer(s, a);
}

/* A socket call on what is no socket is an error, as in the kernel. */
static long attempt_socket(struct wf_source *s, struct wf_attempt *a)
{
	if (atom_load_rlx(&s->kind) != WF_SOCKET)
		return -ENOTSOCK;
	return attempt_transfer(s, a);
}

/* --- read and write --- */

ssize_t weft_read_until(int fd, void *buf, size_t length, weft_time deadline)
{
	struct wf_transfer t = {
		.attempt = {attempt_read, WF_IN, length, deadline, length == 0},
		.one = {buf, length},
		.count = 1,
	};

	t.iov = &t.one;
	return wf_attempt(fd, &t.attempt);
}

ssize_t weft_write_until(int fd, const void *buf, size_t length,
			 weft_time deadline)
{
	struct wf_transfer t = {
		.attempt = {attempt_transfer, WF_OUT, 0, deadline, false},
		.one = {(void *)buf, length},
		.count = 1,
		.write = true,
	};

	t.iov = &t.one;
	return wf_attempt(fd, &t.attempt);
}

ssize_t weft_readv_until(int fd, const struct iovec *iov, int count,
			 weft_time deadline)
{
	struct wf_transfer t = {.iov = iov, .count = count};
	size_t length;

	if (count < 0 || count > WF_PIECES_MAX)
		return -EINVAL;
	length = wf_transfer_length(iov, count);
	t.attempt = (struct wf_attempt){attempt_read, WF_IN, length, deadline,
					length == 0};
	return wf_attempt(fd, &t.attempt);
}

ssize_t weft_writev_until(int fd, const struct iovec *iov, int count,
			  weft_time deadline)
{
	struct wf_transfer t = {.iov = iov, .count = count, .write = true};

	if (count < 0 || count > WF_PIECES_MAX)
		return -EINVAL;
	t.attempt = (struct wf_attempt){attempt_transfer, WF_OUT, 0, deadline,
					false};
	return wf_attempt(fd, &t.attempt);
}

static ssize_t receive(int fd, void *buf, size_t length, int flags,
		       weft_time deadline)
{
	struct wf_transfer t = {
		.attempt = {attempt_socket, WF_IN, flags ? 0 : length, deadline,
			    flags & WF_NEVER_WAIT},
		.one = {buf, length},
		.count = 1,
		.flags = flags,
	};

	t.iov = &t.one;
	return wf_attempt(fd, &t.attempt);
}

/* One step more: the next byte is the first that has not been moved. */
static long step(struct wf_source *s, struct wf_transfer *t)
{
	long n = wf_attempt_step(s, &t->attempt);

	if (n > 0) {
		t->one.iov_base = (char *)t->one.iov_base + n;
		t->one.iov_len -= (size_t)n;
		if (t->attempt.expected)
			t->attempt.expected = t->one.iov_len;
	}
	return n;
}

/* Elsewhere MSG_WAITALL means nothing: a message is a message. */
static ssize_t receive_all(int fd, void *buf, size_t length, int flags,
			   weft_time deadline)
{
	struct wf_transfer t = {
		.attempt = {attempt_socket, WF_IN, flags ? 0 : length, deadline,
			    false},
		.one = {buf, length},
		.count = 1,
		.flags = flags,
	};
	struct wf_source *s;
	long n = wf_attempt_enter(fd, &s);
	size_t done;

	if (n < 0)
		return n;
	t.iov = &t.one;
	do
		n = step(s, &t);
	while (n > 0 && t.one.iov_len && wf_socket_is_stream(fd));
	wf_source_leave(s);
	done = length - t.one.iov_len;
	return done ? (ssize_t)done : n;
}

ssize_t weft_recv_until(int fd, void *buf, size_t length, int flags,
			weft_time deadline)
{
	const int alone = WF_NEVER_WAIT | MSG_PEEK;

	if (flags & MSG_WAITALL && !(flags & alone))
		return receive_all(fd, buf, length, flags & ~MSG_WAITALL,
				   deadline);
	return receive(fd, buf, length, flags, deadline);
}

ssize_t weft_send_until(int fd, const void *buf, size_t length, int flags,
			weft_time deadline)
{
	struct wf_transfer t = {
		.attempt = {attempt_socket, WF_OUT, 0, deadline,
			    flags & MSG_DONTWAIT},
		.one = {(void *)buf, length},
		.count = 1,
		.flags = flags,
		.write = true,
	};

	t.iov = &t.one;
	return wf_attempt(fd, &t.attempt);
}

/* --- all of it --- */

/*
 * On one source from the first byte to the last: if somebody closes the
 * descriptor in between, the rest is not another's who has got its number.
 */
static long move_all(int fd, struct wf_transfer *t, size_t *moved)
{
	size_t length = t->one.iov_len;
	struct wf_source *s;
	long n = length ? wf_attempt_enter(fd, &s) : 1;

	if (length && n == 0) {
		t->iov = &t->one;
		do
			n = step(s, t);
		while (n > 0 && t->one.iov_len);
		wf_source_leave(s);
	}
	if (moved)
		*moved = length - t->one.iov_len;
	return n;
}

int weft_read_full_until(int fd, void *buf, size_t length, size_t *moved,
			 weft_time deadline)
{
	struct wf_transfer t = {
		.attempt = {attempt_read, WF_IN, length, deadline, false},
		.one = {buf, length},
		.count = 1,
	};
	long n = move_all(fd, &t, moved);

	return n < 0 ? (int)n : n == 0 ? -ENODATA : 0;
}

int weft_write_all_until(int fd, const void *buf, size_t length, size_t *moved,
			 weft_time deadline)
{
	struct wf_transfer t = {
		.attempt = {attempt_transfer, WF_OUT, 0, deadline, false},
		.one = {(void *)buf, length},
		.count = 1,
		.write = true,
	};
	long n = move_all(fd, &t, moved);

	return n < 0 ? (int)n : 0;
}

/* --- without a deadline --- */

ssize_t weft_read(int fd, void *buf, size_t length)
{
	return weft_read_until(fd, buf, length, WEFT_FOREVER);
}

ssize_t weft_readv(int fd, const struct iovec *iov, int count)
{
	return weft_readv_until(fd, iov, count, WEFT_FOREVER);
}

ssize_t weft_recv(int fd, void *buf, size_t length, int flags)
{
	return weft_recv_until(fd, buf, length, flags, WEFT_FOREVER);
}

ssize_t weft_write(int fd, const void *buf, size_t length)
{
	return weft_write_until(fd, buf, length, WEFT_FOREVER);
}

ssize_t weft_writev(int fd, const struct iovec *iov, int count)
{
	return weft_writev_until(fd, iov, count, WEFT_FOREVER);
}

ssize_t weft_send(int fd, const void *buf, size_t length, int flags)
{
	return weft_send_until(fd, buf, length, flags, WEFT_FOREVER);
}

int weft_read_full(int fd, void *buf, size_t length, size_t *moved)
{
	return weft_read_full_until(fd, buf, length, moved, WEFT_FOREVER);
}

int weft_write_all(int fd, const void *buf, size_t length, size_t *moved)
{
	return weft_write_all_until(fd, buf, length, moved, WEFT_FOREVER);
}
