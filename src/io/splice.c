/* SPDX-License-Identifier: MIT */
/*
 * splice.c - bytes from one descriptor to another: sendfile and splice.
 *
 * SPLICE_F_NONBLOCK holds for the pipe alone, and sendfile has no such flag.
 * What may block beside the pipe is met thus:
 *
 *      a file to read      in parts; first the ends of a part are tried in the
 *                          page cache, and if they are not there a thread of
 *                          the pool reads it in
 *      a file to write,    the whole call is made by the pool
 *      a terminal
 *      a socket            is O_NONBLOCK if weft made it; else it is asked by
 *                          poll(2) first, and given no more than it has room
 *                          for
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "core/sched.h"
#include "core/self.h"
#include "io/attempt.h"
#include "io/offload.h"
#include "os/call.h"
#include "os/feature.h"
#include "os/thread.h"
#include "weft/file.h"

#define RWF_NOWAIT_ 8
#define PART        ((size_t)128 << 10) /* of a file, at a time */
#define PAGE        4096
#define SMALL       4096 /* what a socket takes that says it is writable */
#define FIRST_DELAY WEFT_USEC(100)

#ifdef SYS_sendfile64
#define SYS_sendfile_ SYS_sendfile64
#else
#define SYS_sendfile_ SYS_sendfile
#endif

struct end {
	struct wf_source *source;
	int64_t offset;
	bool placed; /* at the offset, else at the file's position */
};

struct flow {
	struct end in, out;
	size_t length;
	unsigned flags;
	bool sendfile;
	weft_time deadline;
	weft_time delay;
};

/* --- the call --- */

static long move(struct flow *f)
{
	int64_t *in_at = f->in.placed ? &f->in.offset : NULL;
	int64_t *out_at = f->out.placed ? &f->out.offset : NULL;

	/* To a pipe it is the same, and there can be told not to wait. */
	if (f->sendfile && atom_load_rlx(&f->out.source->kind) != WF_STREAM &&
	    atom_load_rlx(&f->out.source->kind) != WF_POLLED)
		return wf_call(sendfile_, f->out.source->fd, f->in.source->fd,
			       in_at, f->length);
	return wf_call(splice, f->in.source->fd, in_at, f->out.source->fd,
		       out_at, f->length, f->flags | SPLICE_F_NONBLOCK);
}

static void *move_in_pool(void *arg)
{
	return (void *)move(arg);
}

/* Workers and the pool have SIGPIPE blocked; other threads may not. */
static long move_quietly(struct flow *f)
{
	sigset_t old;
	long n;

	if (wf_self())
		return move(f);
	wf_sigpipe_block(&old);
	n = move(f);
	wf_sigpipe_restore(&old, n == -EPIPE);
	return n;
}

static bool is_file(const struct end *e)
{
	return atom_load_rlx(&e->source->kind) == WF_FILE;
}

/* --- what is not in the page cache --- */

static bool cached(struct flow *f, int64_t at)
{
	char c;
	struct iovec iov = {&c, 1};
	long n = -EAGAIN;

	if (wf_feature(WF_NOWAIT))
		n = wf_call(preadv2, f->in.source->fd, &iov, 1, at, at >> 32,
			    RWF_NOWAIT_);
	return n != -EAGAIN && n != -EOPNOTSUPP;
}

static int64_t position(const struct flow *f)
{
	return f->in.placed ? f->in.offset
			    : wf_call(lseek, f->in.source->fd, 0, SEEK_CUR);
}

static void *read_in(void *arg)
{
	struct flow *f = arg;
	int64_t at = position(f), end = at + (int64_t)f->length;
	long n = 1;
	char c;

	for (; at < end && n > 0; at = (at | (PAGE - 1)) + 1)
		n = wf_call(pread64, f->in.source->fd, &c, 1, at);
	return (void *)(n < 0 && n != -EINTR ? n : 0);
}

/* Errors are left to the call itself. */
static long warm(struct flow *f)
{
	int64_t at = position(f);

	if (f->length > PART)
		f->length = PART;
	if (at < 0 || f->length == 0 ||
	    (cached(f, at) && cached(f, at + (int64_t)f->length - 1)))
		return 0;
	return wf_offload_call(read_in, f, f->deadline);
}

/* --- one try --- */

/* Neither made by us nor a pipe, which is told not to wait. */
static bool to_be_asked(struct end *e)
{
	return (atom_load_rlx(&e->source->kind) == WF_SOCKET ||
		e->source->terminal) &&
	       wf_blocks(e->source);
}

/* Under the lock, so that no other fiber is faster than the answer is old. */
static long ask_and_move(struct flow *f, struct end *e, short events)
{
	long n;

	spin_lock(&e->source->lock);
	n = wf_ask(e->source->fd, events);
	if (n > 0)
		n = move_quietly(f);
	else if (n == 0)
		n = -EAGAIN;
	spin_unlock(&e->source->lock);
	return n;
}

static long move_ends(struct flow *f)
{
	if (to_be_asked(&f->out)) {
		if (f->length > SMALL)
			f->length = SMALL;
		return ask_and_move(f, &f->out, POLLOUT);
	}
	if (!is_file(&f->in) && to_be_asked(&f->in))
		return ask_and_move(f, &f->in, POLLIN);
	return move_quietly(f);
}

static long try(struct flow *f)
{
	long r = 0;

	if (is_file(&f->out) || f->out.source->terminal)
		return wf_offload_call(move_in_pool, f, f->deadline);
	if (is_file(&f->in))
		r = warm(f);
	return r < 0 ? r : move_ends(f);
}

/* --- again and again --- */

static int await(struct flow *f, struct end *e, struct end *other,
		 uint64_t want, uint64_t seen)
{
	wf_source_empty(e->source, want, seen);
	return wf_source_wait_beside(e->source, other->source, want,
				     f->sendfile ? "sendfile" : "splice",
				     f->deadline);
}

/* The kernel does not say which end it was that would have blocked. */
static int await_ends(struct flow *f, uint64_t in, uint64_t out)
{
	long r = wf_ask(f->in.source->fd, POLLIN);

	if (r == 0)
		return await(f, &f->in, &f->out, WF_IN, in);
	if (r > 0)
		r = wf_ask(f->out.source->fd, POLLOUT);
	if (r == 0)
		return await(f, &f->out, &f->in, WF_OUT, out);
	/* Neither would now; no event may come for what it was. */
	return r < 0 ? (int)r
		     : wf_back_off(f->out.source, &f->delay, f->deadline);
}

static bool closing(const struct flow *f)
{
	return source_closing(f->in.source) || source_closing(f->out.source);
}

static long flow(struct flow *f)
{
	bool wait = !(f->flags & SPLICE_F_NONBLOCK);
	long n;
	int r = 0;

	for (;;) {
		uint64_t in = source_ready(f->in.source);
		uint64_t out = source_ready(f->out.source);

		n = try(f);
		if (n == -EINTR)
			continue;
		if (n != -EAGAIN || !wait)
			return n;
		if (closing(f))
			return -EBADF;
		if (r < 0)
			return r;
		r = await_ends(f, in, out);
		/* At the deadline the kernel is asked once more. */
		if (r < 0 && r != -ETIMEDOUT)
			return r;
	}
}

static long run(struct flow *f, int in, int out)
{
	long n = wf_attempt_enter(in, &f->in.source);

	if (n < 0)
		return n;
	n = wf_source_enter(out, &f->out.source);
	if (n == 0) {
		f->delay = FIRST_DELAY;
		n = flow(f);
		wf_source_leave(f->out.source);
	}
	wf_source_leave(f->in.source);
	sched_called(wf_self(), n);
	return n;
}

/* --- the calls --- */

static struct end end_at(const off_t *offset)
{
	return (struct end){.offset = offset ? *offset : 0,
			    .placed = offset != NULL};
}

static void give_back(const struct end *e, off_t *offset)
{
	if (offset)
		*offset = (off_t)e->offset;
}

ssize_t weft_sendfile_until(int out, int in, off_t *offset, size_t count,
			    weft_time deadline)
{
	struct flow f = {.in = end_at(offset),
			 .length = count,
			 .sendfile = true,
			 .deadline = deadline};
	long n = run(&f, in, out);

	give_back(&f.in, offset);
	return n;
}

ssize_t weft_splice_until(int in, off_t *in_offset, int out, off_t *out_offset,
			  size_t length, unsigned flags, weft_time deadline)
{
	struct flow f = {.in = end_at(in_offset),
			 .out = end_at(out_offset),
			 .length = length,
			 .flags = flags,
			 .deadline = deadline};
	long n = run(&f, in, out);

	give_back(&f.in, in_offset);
	give_back(&f.out, out_offset);
	return n;
}

ssize_t weft_sendfile(int out, int in, off_t *offset, size_t count)
{
	return weft_sendfile_until(out, in, offset, count, WEFT_FOREVER);
}

ssize_t weft_splice(int in, off_t *in_offset, int out, off_t *out_offset,
		    size_t length, unsigned flags)
{
	return weft_splice_until(in, in_offset, out, out_offset, length, flags,
				 WEFT_FOREVER);
}
