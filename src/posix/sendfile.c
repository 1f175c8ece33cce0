/* SPDX-License-Identifier: MIT */
/*
 * sendfile.c - the hooks of what moves bytes from one descriptor to another.
 *
 * The kernel's sendfile() to a socket cannot be told not to wait, and to make
 * the socket O_NONBLOCK for it would be seen by others.  So a file is read in
 * parts and sent, which can wait without a thread; a client that is slow holds
 * none.  What is moved between other things is the kernel's, in a region.
 */
#include <stdlib.h>

#include "os/call.h"
#include "posix/known.h"
#include "posix/region.h"
#include "posix/try.h"

#define PART ((size_t)64 << 10)

struct flow {
	int out, in;
	off64_t at;
	size_t count, done;
	char *buffer;
};

/* One part; false: it is the last. */
static bool send_part(struct flow *f)
{
	size_t left = f->count - f->done, part = left < PART ? left : PART;
	long n = wf_call(pread64, f->in, f->buffer, part, f->at);
	ssize_t sent;

	if (n <= 0) {
		wf_returned(n);
		return false;
	}
	sent = send(f->out, f->buffer, (size_t)n,
		    (size_t)n < left ? MSG_MORE : 0);
	if (sent > 0) {
		f->done += (size_t)sent;
		f->at += sent;
	}
	return sent == n && f->done < f->count;
}

/* What errno says counts only if nothing has been sent. */
static ssize_t send_all(struct flow *f)
{
	errno = 0;
	while (send_part(f))
		;
	return f->done || !errno ? (ssize_t)f->done : -1;
}

static ssize_t send_file(int out, int in, off64_t *offset, size_t count)
{
	struct flow f = {.out = out, .in = in, .count = count};
	int error = errno;
	ssize_t n;

	f.at = offset ? *offset : lseek64(in, 0, SEEK_CUR);
	f.buffer = malloc(count < PART ? count : PART);
	if (!f.buffer)
		return REGION(sendfile64, out, in, offset, count);
	n = send_all(&f);
	free(f.buffer);
	if (n < 0)
		return n;
	errno = error;
	if (offset)
		*offset = f.at;
	else
		lseek64(in, f.at, SEEK_SET);
	return n;
}

/* From a file that can be read anywhere, to a socket on which calls wait. */
static bool sendable(int out, int in, const off64_t *offset, size_t count)
{
	struct wf_source *s;
	struct stat st;
	bool waits;

	if (!identity_hooked() || count == 0 || (offset && *offset < 0) ||
	    wf_call(fstat, in, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (wf_call(fcntl, in, F_GETFL) & O_ACCMODE) == O_WRONLY ||
	    wf_source_enter(out, &s) < 0)
		return false;
	waits = atom_load_rlx(&s->kind) == WF_SOCKET && !wf_known_nonblock(out);
	wf_source_leave(s);
	return waits;
}

WF_HOOK ssize_t sendfile64(int out, int in, off64_t *offset, size_t count)
{
	return sendable(out, in, offset, count)
		       ? send_file(out, in, offset, count)
		       : REGION(sendfile64, out, in, offset, count);
}

/* An offset is as wide without the 64, on all CPUs that there are here. */
_Static_assert(sizeof(off_t) == sizeof(off64_t), "64 bits");

WF_HOOK ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
	return sendfile64(out, in, offset, count);
}

WF_HOOK ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset,
		       size_t length, unsigned flags)
{
	return REGION(splice, in, in_offset, out, out_offset, length, flags);
}

WF_HOOK ssize_t tee(int in, int out, size_t length, unsigned flags)
{
	return REGION(tee, in, out, length, flags);
}

WF_HOOK ssize_t vmsplice(int fd, const struct iovec *iov, size_t count,
			 unsigned flags)
{
	return REGION(vmsplice, fd, iov, count, flags);
}
