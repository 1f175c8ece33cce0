/* SPDX-License-Identifier: MIT */
/*
 * transfer.c - see transfer.h.
 */
#include "io/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>

#include "core/self.h"
#include "io/offload.h"
#include "os/call.h"
#include "os/feature.h"
#include "os/thread.h"

#define RWF_NOWAIT_ 8

size_t wf_transfer_length(const struct iovec *iov, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

/* An offset as the kernel takes it, in two halves. */
#define HALVES(offset) (long)(offset), (long)((uint64_t)(offset) >> 32)

static long plain(int fd, const struct wf_transfer *t)
{
	if (t->placed)
		return t->write ? wf_call(pwritev, fd, t->iov, t->count,
					  HALVES(t->offset))
				: wf_call(preadv, fd, t->iov, t->count,
					  HALVES(t->offset));
	return t->write ? wf_call(writev, fd, t->iov, t->count)
			: wf_call(readv, fd, t->iov, t->count);
}

/* -EOPNOTSUPP: the kernel, or this descriptor, knows no other way but wait. */
static long nowait(int fd, const struct wf_transfer *t)
{
	off_t at = t->placed ? t->offset : -1;

	if (!wf_feature(WF_NOWAIT))
		return -EOPNOTSUPP;
	return t->write ? wf_call(pwritev2, fd, t->iov, t->count, HALVES(at),
				  RWF_NOWAIT_)
			: wf_call(preadv2, fd, t->iov, t->count, HALVES(at),
				  RWF_NOWAIT_);
}

/* --- what is asked first --- */

/*
 * A pipe that is said to be writable has room for PIPE_BUF bytes at least.
 * There are bytes.
 */
static long small_write(int fd, const struct wf_transfer *t)
{
	struct wf_transfer small = {.write = true,
				    .placed = t->placed,
				    .offset = t->offset,
				    .count = 1};
	int i = 0;

	while (t->iov[i].iov_len == 0)
		i++;
	small.one = t->iov[i];
	if (small.one.iov_len > PIPE_BUF)
		small.one.iov_len = PIPE_BUF;
	small.iov = &small.one;
	return plain(fd, &small);
}

/*
 * A terminal promises room for one byte only, and has no call that does not
 * block: so the flag is on for a moment.
 */
static long terminal_write(int fd, const struct wf_transfer *t)
{
	long flags = wf_call(fcntl, fd, F_GETFL), n;

	if (flags & O_NONBLOCK)
		return plain(fd, t);
	wf_call(fcntl, fd, F_SETFL, flags | O_NONBLOCK);
	n = plain(fd, t);
	wf_call(fcntl, fd, F_SETFL, flags);
	return n;
}

static long polled_write(struct wf_source *s, const struct wf_transfer *t)
{
	return s->terminal ? terminal_write(s->fd, t) : small_write(s->fd, t);
}

/*
 * poll(2) says nothing of a descriptor that is open the other way only, nor of
 * a FIFO that nobody has opened to write yet, which only who opened it with
 * O_NONBLOCK has.
 */
static long move_unready(int fd, const struct wf_transfer *t)
{
	long flags = wf_call(fcntl, fd, F_GETFL), mode = flags & O_ACCMODE;

	if (mode != O_RDWR && mode != (t->write ? O_WRONLY : O_RDONLY))
		return -EBADF;
	return flags & O_NONBLOCK ? plain(fd, t) : -EAGAIN;
}

static long ask_and_move(struct wf_source *s, const struct wf_transfer *t)
{
	long n;

	/* The kernel asks no descriptor for no bytes, and does not wait. */
	if (wf_transfer_length(t->iov, t->count) == 0)
		return plain(s->fd, t);
	n = wf_ask(s->fd, t->write ? POLLOUT : POLLIN);
	if (n <= 0)
		return n == 0 ? move_unready(s->fd, t) : n;
	return t->write ? polled_write(s, t) : plain(s->fd, t);
}

/* Under the lock, so that no other fiber is faster than the answer is old. */
static long poll_first(struct wf_source *s, const struct wf_transfer *t)
{
	long n;

	spin_lock(&s->lock);
	n = ask_and_move(s, t);
	spin_unlock(&s->lock);
	return n;
}

/* --- files --- */

/* A transfer under way. */
struct progress {
	int fd;
	const struct wf_transfer *whole;
	const struct iovec *iov; /* the pieces that are not finished */
	int count;
	size_t begun; /* bytes of the first one that have been moved */
	size_t done;
	size_t length;
};

static void advance(struct progress *p, size_t n)
{
	p->done += n;
	n += p->begun;
	while (p->count > 0 && n >= p->iov->iov_len) {
		n -= p->iov->iov_len;
		p->iov++;
		p->count--;
	}
	p->begun = n;
}

typedef long move_fn(int fd, const struct wf_transfer *t);

/* Move what is left: the rest of a piece that has been begun alone. */
static long next(struct progress *p, move_fn *move, size_t *asked)
{
	struct wf_transfer t = *p->whole;
	long n;

	t.iov = p->iov;
	t.count = p->count;
	t.offset += (off_t)p->done;
	*asked = p->length - p->done;
	if (p->begun) {
		t.one.iov_base = (char *)p->iov->iov_base + p->begun;
		t.one.iov_len = p->iov->iov_len - p->begun;
		t.iov = &t.one;
		t.count = 1;
		*asked = t.one.iov_len;
	}
	do {
		n = move(p->fd, &t);
	} while (n == -EINTR);
	if (n > 0)
		advance(p, (size_t)n);
	return n;
}

/*
 * Less than asked for is the page cache's end, or the file's: the next answer
 * tells.
 */
static long move_cached(struct progress *p)
{
	size_t asked;
	long n;

	do {
		n = next(p, nowait, &asked);
	} while (n > 0 && p->done < p->length);
	return n;
}

/* Here less is the end; to ask again may block in what only looks like a file.
 */
static void *move_blocking(void *arg)
{
	struct progress *p = arg;
	size_t asked;
	long n;

	do {
		n = next(p, plain, &asked);
	} while (n > 0 && (size_t)n == asked && p->done < p->length);
	return (void *)n;
}

/*
 * A write where others may write too, at the end or at a position that is
 * shared, is one system call: it must not be torn.
 */
static bool tearable(const struct wf_transfer *t)
{
	return !t->write || t->placed;
}

static long file(struct wf_source *s, const struct wf_transfer *t)
{
	struct progress p = {.fd = s->fd,
			     .whole = t,
			     .iov = t->iov,
			     .count = t->count,
			     .length = wf_transfer_length(t->iov, t->count)};
	long r = tearable(t) ? move_cached(&p) : -EOPNOTSUPP;

	if (r == -EAGAIN || r == -EOPNOTSUPP)
		r = wf_offload_call(move_blocking, &p, t->attempt.deadline);
	return p.done ? (long)p.done : r;
}

/* --- one try --- */

static long attempt_stream(struct wf_source *s, const struct wf_transfer *t)
{
	long n;

	switch (atom_load_rlx(&s->kind)) {
	case WF_STREAM:
		n = nowait(s->fd, t);
		if (n != -EOPNOTSUPP)
			return n;
		/* An eventfd can be read so, but not written. */
		if (!t->write)
			atom_store_rlx(&s->kind, WF_POLLED);
		return poll_first(s, t);
	case WF_FILE:
		return file(s, t);
	default:
		return poll_first(s, t);
	}
}

/* Workers have SIGPIPE blocked; other threads may not. */
long wf_transfer_once(struct wf_source *s, const struct wf_transfer *t)
{
	sigset_t old;
	long n;

	if (!t->write || wf_self())
		return attempt_stream(s, t);
	wf_sigpipe_block(&old);
	n = attempt_stream(s, t);
	wf_sigpipe_restore(&old, n == -EPIPE);
	return n;
}
