/* SPDX-License-Identifier: MIT */
/*
 * file.c - files by name and by offset: the calls of weft/file.h.
 */
#include "weft/file.h"

#include <errno.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>

#include "io/offload.h"
#include "io/transfer.h"
#include "os/call.h"
#include "os/clock.h"
#include "os/feature.h"

#define RESOLVE_CACHED_ 0x20
#define LOOK_FIRST      WEFT_MSEC(1)
#define LOOK_LAST       WEFT_MSEC(100)

/* --- opening --- */

struct opening {
	int dir;
	const char *path;
	int flags;
	mode_t mode;
	weft_time deadline;
	bool fifo; /* opened with O_NONBLOCK, which was not asked for */
};

/* The type of what a path names; 0 if that cannot be said. */
static mode_t type_of(int dir, const char *path, int flags)
{
	struct statx st;

	if (wf_call(statx, dir, path, flags, STATX_TYPE, &st) < 0)
		return 0;
	return st.stx_mode & S_IFMT;
}

/* -EAGAIN: not without waiting for the disk. */
static long open_cached_as(const struct opening *o, int flags)
{
	struct open_how how = {.flags = (unsigned)flags,
			       .resolve = RESOLVE_CACHED_};
	long fd;

	while ((fd = wf_call(openat2, o->dir, o->path, &how, sizeof how)) ==
	       -EINTR)
		;
	return fd;
}

static long type_of_cached(const struct opening *o)
{
	int kept = o->flags & (O_DIRECTORY | O_NOFOLLOW);
	long fd = open_cached_as(o, O_PATH | O_CLOEXEC | kept);
	mode_t type;

	if (fd < 0)
		return fd;
	type = type_of((int)fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC);
	wf_call(close, fd);
	return type;
}

/*
 * Without blocking the thread; -EAGAIN: that cannot be.  The path alone says
 * nothing of what opening does: FIFOs and devices wait, and must not even be
 * opened to find out.  A name that becomes another file's meanwhile, or a lease
 * that somebody has to be asked to give up, does block the thread.
 */
static long open_cached(const struct opening *o)
{
	long r;

	if (!wf_feature(WF_OPENAT2) || o->flags & (O_CREAT | O_TRUNC) ||
	    (o->flags & O_TMPFILE) == O_TMPFILE)
		return -EAGAIN;
	r = type_of_cached(o);
	if (r < 0)
		return r;
	if (r != S_IFREG && r != S_IFDIR)
		return -EAGAIN;
	r = open_cached_as(o, o->flags);
	return r == -EINVAL ? -EAGAIN : r; /* openat(2) has other views */
}

static bool waits_for_peer(const struct opening *o)
{
	int follow = o->flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
	int mode = o->flags & O_ACCMODE;

	return (mode == O_RDONLY || mode == O_WRONLY) &&
	       !(o->flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)) &&
	       type_of(o->dir, o->path, follow) == S_IFIFO;
}

static void *open_blocking(void *arg)
{
	struct opening *o = arg;
	int flags = o->flags;
	long r;

	o->fifo = waits_for_peer(o);
	if (o->fifo)
		flags |= O_NONBLOCK;
	do {
		r = wf_call(openat, o->dir, o->path, flags, o->mode);
	} while (r == -EINTR);
	return (void *)r;
}

static long open_once(struct opening *o)
{
	long r = open_cached(o);

	return r == -EAGAIN ? wf_offload_call(open_blocking, o, o->deadline)
			    : r;
}

/* --- the other side of a FIFO, whose coming is no event --- */

/* As long as nobody has come there is no data, no end, and no writer. */
static long writer_came(int fifo, const int scratch[2])
{
	long r = wf_ask(fifo, POLLIN);

	if (r != 0)
		return r;
	while ((r = wf_call(tee, fifo, scratch[1], 1, SPLICE_F_NONBLOCK)) ==
	       -EINTR)
		;
	return r == -EAGAIN ? 1 : r;
}

/* Time passes: 0, or the end of the caller's patience. */
static int look_later(weft_time *delay, weft_time deadline)
{
	weft_time until = weft_after(*delay);
	int r = weft_sleep_until(until < deadline ? until : deadline);

	*delay = *delay * 2 < LOOK_LAST ? *delay * 2 : LOOK_LAST;
	return r == 0 && deadline <= wf_clock_now() ? -ETIMEDOUT : r;
}

static long await_writer(const struct opening *o, int fifo)
{
	weft_time delay = LOOK_FIRST;
	int scratch[2];
	long r = wf_call(pipe2, scratch, O_CLOEXEC), late = 0;

	if (r < 0)
		return r;
	while ((r = writer_came(fifo, scratch)) == 0 && late == 0)
		late = look_later(&delay, o->deadline);
	wf_call(close, scratch[0]);
	wf_call(close, scratch[1]);
	return r != 0 ? r : late;
}

static long open_to_read(const struct opening *o, int fifo)
{
	long r = await_writer(o, fifo);

	if (r < 0) {
		wf_call(close, fifo);
		return r;
	}
	return fifo;
}

/* -ENXIO: nobody reads. */
static long open_to_write(struct opening *o)
{
	weft_time delay = LOOK_FIRST;
	long r;

	do {
		r = look_later(&delay, o->deadline);
		if (r == 0)
			r = open_once(o);
	} while (r == -ENXIO && o->fifo);
	return r;
}

static long open_fifo(struct opening *o, long r)
{
	bool to_write = (o->flags & O_ACCMODE) == O_WRONLY;

	if (r == -ENXIO && to_write)
		r = open_to_write(o);
	else if (r >= 0 && !to_write)
		r = open_to_read(o, (int)r);
	if (r >= 0 && o->fifo)
		wf_call(fcntl, r, F_SETFL, o->flags);
	return r;
}

static long open_file(struct opening *o)
{
	long r = open_once(o);

	return o->fifo ? open_fifo(o, r) : r;
}

/* The directory stays what it is until the path has been walked. */
static long open_in(struct opening *o)
{
	struct wf_source *s;
	long r = wf_attempt_enter(o->dir, &s);

	if (r < 0)
		return r;
	r = open_file(o);
	wf_source_leave(s);
	return r;
}

int weft_openat_until(int dir, const char *path, int flags, mode_t mode,
		      weft_time deadline)
{
	struct opening o = {.dir = dir,
			    .path = path,
			    .flags = flags,
			    .mode = mode,
			    .deadline = deadline};
	long r;

	if (dir != AT_FDCWD && path && *path != '/') {
		r = open_in(&o);
	} else {
		r = wf_attempt_allowed();
		if (r == 0)
			r = open_file(&o);
	}
	wf_budget_spend();
	return (int)r;
}

int weft_openat(int dir, const char *path, int flags, mode_t mode)
{
	return weft_openat_until(dir, path, flags, mode, WEFT_FOREVER);
}

int weft_open_until(const char *path, int flags, mode_t mode,
		    weft_time deadline)
{
	return weft_openat_until(AT_FDCWD, path, flags, mode, deadline);
}

int weft_open(const char *path, int flags, mode_t mode)
{
	return weft_openat_until(AT_FDCWD, path, flags, mode, WEFT_FOREVER);
}

/* --- at an offset --- */

/* What has no offset is not waited for. */
static long attempt_placed(struct wf_source *s, struct wf_attempt *a)
{
	struct wf_transfer *t = container_of(a, struct wf_transfer, attempt);
	long n;

	if (atom_load_rlx(&s->kind) != WF_FILE) {
		n = wf_call(lseek, s->fd, 0, SEEK_CUR);
		if (n < 0)
			return n;
	}
	while ((n = wf_transfer_once(s, t)) == -EINTR)
		;
	return n;
}

static ssize_t transfer(int fd, struct wf_transfer *t, weft_time deadline)
{
	if (t->count < 0 || t->count > WF_PIECES_MAX || t->offset < 0)
		return -EINVAL;
	t->placed = true;
	t->attempt = (struct wf_attempt){
		attempt_placed, t->write ? WF_OUT : WF_IN, 0, deadline,
		wf_transfer_length(t->iov, t->count) == 0};
	return wf_attempt(fd, &t->attempt);
}

ssize_t weft_preadv_until(int fd, const struct iovec *iov, int count,
			  off_t offset, weft_time deadline)
{
	struct wf_transfer t = {.iov = iov, .count = count, .offset = offset};

	return transfer(fd, &t, deadline);
}

ssize_t weft_pwritev_until(int fd, const struct iovec *iov, int count,
			   off_t offset, weft_time deadline)
{
	struct wf_transfer t = {
		.iov = iov, .count = count, .offset = offset, .write = true};

	return transfer(fd, &t, deadline);
}

ssize_t weft_pread_until(int fd, void *buf, size_t length, off_t offset,
			 weft_time deadline)
{
	struct iovec iov = {buf, length};

	return weft_preadv_until(fd, &iov, 1, offset, deadline);
}

ssize_t weft_pwrite_until(int fd, const void *buf, size_t length, off_t offset,
			  weft_time deadline)
{
	struct iovec iov = {(void *)buf, length};

	return weft_pwritev_until(fd, &iov, 1, offset, deadline);
}

ssize_t weft_preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	return weft_preadv_until(fd, iov, count, offset, WEFT_FOREVER);
}

ssize_t weft_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return weft_pwritev_until(fd, iov, count, offset, WEFT_FOREVER);
}

ssize_t weft_pread(int fd, void *buf, size_t length, off_t offset)
{
	return weft_pread_until(fd, buf, length, offset, WEFT_FOREVER);
}

ssize_t weft_pwrite(int fd, const void *buf, size_t length, off_t offset)
{
	return weft_pwrite_until(fd, buf, length, offset, WEFT_FOREVER);
}

/* --- to the disk --- */

struct sync {
	struct wf_attempt attempt;
	int fd;
	bool data;
};

static void *sync_blocking(void *arg)
{
	struct sync *y = arg;
	long r;

	do {
		r = y->data ? wf_call(fdatasync, y->fd) : wf_call(fsync, y->fd);
	} while (r == -EINTR);
	return (void *)r;
}

static long attempt_sync(struct wf_source *s, struct wf_attempt *a)
{
	struct sync *y = container_of(a, struct sync, attempt);

	y->fd = s->fd;
	return wf_offload_call(sync_blocking, y, a->deadline);
}

static int sync_file(int fd, bool data, weft_time deadline)
{
	struct sync y = {
		.attempt = {attempt_sync, WF_OUT, 0, deadline, true},
		.data = data,
	};

	return (int)wf_attempt(fd, &y.attempt);
}

int weft_fsync_until(int fd, weft_time deadline)
{
	return sync_file(fd, false, deadline);
}

int weft_fdatasync_until(int fd, weft_time deadline)
{
	return sync_file(fd, true, deadline);
}

int weft_fsync(int fd)
{
	return sync_file(fd, false, WEFT_FOREVER);
}

int weft_fdatasync(int fd)
{
	return sync_file(fd, true, WEFT_FOREVER);
}
