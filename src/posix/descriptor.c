/* SPDX-License-Identifier: MIT */
/*
 * descriptor.c - see descriptor.h; and the hooks of what makes descriptors,
 * changes and ends them.
 */
#include "posix/descriptor.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>

#include "io/fdtab.h"
#include "os/call.h"
#include "os/clock.h"
#include "posix/begin.h"
#include "posix/identity.h"
#include "posix/interrupt.h"
#include "posix/known.h"
#include "posix/quiet.h"
#include "posix/region.h"
#include "posix/returned.h"

/* --- what the kernel knows --- */

weft_time wf_descriptor_limit(struct wf_source *s, bool send)
{
	struct timeval tv = {0};
	socklen_t size = sizeof tv;

	if (atom_load_rlx(&s->kind) != WF_SOCKET ||
	    wf_known_unlimited(s->fd, send))
		return WEFT_FOREVER;
	wf_call(getsockopt, s->fd, SOL_SOCKET, send ? SO_SNDTIMEO : SO_RCVTIMEO,
		&tv, &size);
	if (tv.tv_sec || tv.tv_usec)
		return weft_after(WEFT_SEC(tv.tv_sec) + WEFT_USEC(tv.tv_usec));
	wf_known_learn_unlimited(s->fd, send);
	return WEFT_FOREVER;
}

/* --- beginning --- */

int wf_descriptor_new(int fd, int flags)
{
	struct wf_quiet quiet;

	if (fd < 0)
		return fd;
	wf_known_begin(fd, flags);
	if (!wf_begun())
		return fd;
	quiet_begin(&quiet);
	wf_source_renew(fd);
	quiet_end(&quiet);
	return fd;
}

int wf_descriptor_came(int fd)
{
	wf_descriptor_new(fd, 0);
	wf_known_end(fd);
	return fd;
}

/* `fd` has a duplicate now. */
static int shared(int fd, int duplicate)
{
	wf_known_end(fd);
	return wf_descriptor_came(duplicate);
}

WF_HOOK int socket(int domain, int type, int protocol)
{
	return wf_descriptor_new(libc(socket)(domain, type, protocol), type);
}

WF_HOOK int socketpair(int domain, int type, int protocol, int fd[2])
{
	int r = libc(socketpair)(domain, type, protocol, fd);

	if (r == 0) {
		wf_descriptor_new(fd[0], type);
		wf_descriptor_new(fd[1], type);
	}
	return r;
}

WF_HOOK int pipe2(int fd[2], int flags)
{
	int r = libc(pipe2)(fd, flags);

	if (r == 0) {
		wf_descriptor_new(fd[0], flags);
		wf_descriptor_new(fd[1], flags);
	}
	return r;
}

WF_HOOK int pipe(int fd[2])
{
	return pipe2(fd, 0);
}

WF_HOOK int eventfd(unsigned value, int flags)
{
	return wf_descriptor_new(libc(eventfd)(value, flags), flags);
}

WF_HOOK int timerfd_create(clockid_t clock, int flags)
{
	return wf_descriptor_new(libc(timerfd_create)(clock, flags), flags);
}

WF_HOOK int signalfd(int fd, const sigset_t *mask, int flags)
{
	int r = libc(signalfd)(fd, mask, flags);

	return fd == -1 ? wf_descriptor_new(r, flags) : r;
}

WF_HOOK int inotify_init1(int flags)
{
	return wf_descriptor_new(libc(inotify_init1)(flags), flags);
}

WF_HOOK int inotify_init(void)
{
	return inotify_init1(0);
}

WF_HOOK int epoll_create1(int flags)
{
	return wf_descriptor_new(libc(epoll_create1)(flags), 0);
}

WF_HOOK int epoll_create(int size)
{
	return wf_descriptor_new(libc(epoll_create)(size), 0);
}

WF_HOOK int memfd_create(const char *name, unsigned flags)
{
	return wf_descriptor_new(libc(memfd_create)(name, flags), 0);
}

WF_HOOK int dup(int fd)
{
	return shared(fd, libc(dup)(fd));
}

/* --- opening: a FIFO waits for its other end, a file for its disk --- */

/* To which the watchdog sees; of nothing there, something may be made. */
static bool only_disk(int dir, const char *path)
{
	struct stat st;

	return wf_call(newfstatat, dir, path, &st, 0) < 0 ||
	       S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
}

/* The same of a stream's descriptor, to which closing it may still write. */
static bool only_disk_behind(int fd)
{
	struct stat st;

	return wf_call(fstat, fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* A region costs four system calls, and most of what is opened is a file. */
#define REGION_UNLESS(brief, name, ...)                                        \
	__extension__({                                                        \
		__typeof__(libc(name)(__VA_ARGS__)) opened_;                   \
                                                                               \
		if (identity_hooked() && (brief)) {                            \
			wf_cancellation_point();                               \
			opened_ = libc(name)(__VA_ARGS__);                     \
		} else {                                                       \
			opened_ = REGION(name, __VA_ARGS__);                   \
		}                                                              \
		opened_;                                                       \
	})

#define MODE(flags, last)                                                      \
	__extension__({                                                        \
		mode_t mode_ = 0;                                              \
		va_list rest_;                                                 \
                                                                               \
		va_start(rest_, last);                                         \
		if ((flags) & (O_CREAT | __O_TMPFILE))                         \
			mode_ = va_arg(rest_, mode_t);                         \
		va_end(rest_);                                                 \
		mode_;                                                         \
	})

static int opened(int dir, const char *path, int flags, mode_t mode)
{
	int fd = REGION_UNLESS(only_disk(dir, path), openat, dir, path, flags,
			       mode);

	return wf_descriptor_new(fd, flags);
}

WF_HOOK int open(const char *path, int flags, ...)
{
	return opened(AT_FDCWD, path, flags, MODE(flags, flags));
}

WF_HOOK int open64(const char *path, int flags, ...)
{
	return opened(AT_FDCWD, path, flags, MODE(flags, flags));
}

WF_HOOK int openat(int dir, const char *path, int flags, ...)
{
	return opened(dir, path, flags, MODE(flags, flags));
}

WF_HOOK int openat64(int dir, const char *path, int flags, ...)
{
	return opened(dir, path, flags, MODE(flags, flags));
}

WF_HOOK int creat(const char *path, mode_t mode)
{
	return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

WF_HOOK int creat64(const char *path, mode_t mode)
{
	return creat(path, mode);
}

/* --- changing --- */

static int duplicated(int fd, int command, long arg)
{
	return shared(fd, libc(fcntl)(fd, command, arg));
}

static int lock_waiting(int fd, int command, long arg)
{
	return REGION(fcntl, fd, command, arg);
}

static int control(int fd, int command, long arg)
{
	int r;

	switch (command) {
	case F_SETFL:
		r = libc(fcntl)(fd, command, arg);
		wf_known_flags_changed(fd);
		return r;
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return duplicated(fd, command, arg);
	case F_SETLKW:
	case F_OFD_SETLKW:
		return lock_waiting(fd, command, arg);
	default:
		return libc(fcntl)(fd, command, arg);
	}
}

#define LONG(last)                                                             \
	__extension__({                                                        \
		va_list rest_;                                                 \
		long arg_;                                                     \
                                                                               \
		va_start(rest_, last);                                         \
		arg_ = va_arg(rest_, long);                                    \
		va_end(rest_);                                                 \
		arg_;                                                          \
	})

WF_HOOK int fcntl(int fd, int command, ...)
{
	return control(fd, command, LONG(command));
}

WF_HOOK int fcntl64(int fd, int command, ...)
{
	return control(fd, command, LONG(command));
}

WF_HOOK int ioctl(int fd, unsigned long request, ...)
{
	int r = libc(ioctl)(fd, request, LONG(request));

	if (request == FIONBIO)
		wf_known_flags_changed(fd);
	return r;
}

WF_HOOK int setsockopt(int fd, int level, int name, const void *value,
		       socklen_t length)
{
	int r = libc(setsockopt)(fd, level, name, value, length);

	if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO))
		wf_known_limits_changed(fd);
	return r;
}

/* --- ending --- */

/* NULL: nothing is known of it; the caller ends it as weft knows it not. */
static int entered(int fd, struct wf_source **s)
{
	*s = NULL;
	return wf_begun() ? wf_source_find(fd, s) : 0;
}

void wf_descriptor_drop(int fd)
{
	struct wf_quiet quiet;
	struct wf_source *s;

	wf_known_end(fd);
	quiet_begin(&quiet);
	if (entered(fd, &s) == 0 && s)
		wf_source_forget(s);
	quiet_end(&quiet);
}

static int close_now(int fd)
{
	struct wf_quiet quiet;
	struct wf_source *s;
	int r;

	wf_known_end(fd);
	quiet_begin(&quiet);
	r = entered(fd, &s);
	if (r == 0)
		r = s ? wf_source_close(s) : (int)wf_call(close, fd);
	quiet_end(&quiet);
	return r;
}

/* To the program a descriptor of weft's is none. */
WF_HOOK int close(int fd)
{
	if (!wf_begun()) {
		wf_known_end(fd);
		return libc(close)(fd);
	}
	if (wf_begin_owns(fd))
		return (int)wf_returned(-EBADF);
	wf_cancellation_point();
	return (int)wf_returned(close_now(fd));
}

/* The kernel has done it, or has not, without our help. */
static int same_as(int fd, int to, int r)
{
	wf_known_end(fd);
	wf_known_end(to);
	return r;
}

/* Whether the kernel will do it; if not, who waits at `to` goes on waiting. */
static bool replaceable(int fd, int to, int flags)
{
	struct rlimit most;

	return wf_begun() && fd != to && to >= 0 && !(flags & ~O_CLOEXEC) &&
	       wf_call(fcntl, fd, F_GETFD) >= 0 &&
	       getrlimit(RLIMIT_NOFILE, &most) == 0 &&
	       (rlim_t)to < most.rlim_cur;
}

WF_HOOK int dup2(int fd, int to)
{
	if (wf_begin_owns(to))
		return (int)wf_returned(-EBUSY);
	if (!replaceable(fd, to, 0))
		return same_as(fd, to, libc(dup2)(fd, to));
	wf_descriptor_drop(to);
	return shared(fd, libc(dup2)(fd, to));
}

WF_HOOK int dup3(int fd, int to, int flags)
{
	if (wf_begin_owns(to))
		return (int)wf_returned(-EBUSY);
	if (!replaceable(fd, to, flags))
		return same_as(fd, to, libc(dup3)(fd, to, flags));
	wf_descriptor_drop(to);
	return shared(fd, libc(dup3)(fd, to, flags));
}

/* Who waits for one of them is told before the kernel closes it. */
static void drop_all(unsigned first, unsigned last)
{
	int fd = first < INT_MAX ? wf_fdtab_next((int)first) : -1;

	for (; fd >= 0 && (unsigned)fd <= last; fd = wf_fdtab_next(fd + 1))
		wf_descriptor_drop(fd);
	wf_known_share();
}

/* UINT_MAX: there is none. */
static unsigned next_own(unsigned from)
{
	int own = from < INT_MAX ? wf_begin_own_from((int)from) : INT_MAX;

	return own < INT_MAX ? (unsigned)own : UINT_MAX;
}

/* The kernel's way, between one of weft's own and the next. */
static int close_around(unsigned first, unsigned last)
{
	unsigned own;
	int r = 0;

	drop_all(first, last);
	for (; r == 0 && first <= last; first = own + 1) {
		own = next_own(first);
		if (own > last || own == UINT_MAX)
			return libc(close_range)(first, last, 0);
		if (own > first)
			r = libc(close_range)(first, own - 1, 0);
	}
	return r;
}

/* Older kernels close one at a time. */
WF_HOOK void closefrom(int low)
{
	int most = getdtablesize();

	if (low < 0)
		low = 0;
	if (!wf_begun())
		libc(closefrom)(low);
	else if (close_around((unsigned)low, UINT_MAX) < 0)
		for (; low < most; low++)
			if (!wf_begin_owns(low))
				close_now(low);
}

WF_HOOK int close_range(unsigned first, unsigned last, int flags)
{
	if (!wf_begun() || flags || first > last)
		return libc(close_range)(first, last, flags);
	return close_around(first, last);
}

/* --- streams of stdio, which close what is theirs by themselves --- */

static FILE *made(FILE *f)
{
	if (f)
		wf_descriptor_new(fileno(f), 0);
	return f;
}

WF_HOOK FILE *fopen(const char *path, const char *mode)
{
	return made(
		REGION_UNLESS(only_disk(AT_FDCWD, path), fopen, path, mode));
}

WF_HOOK FILE *fopen64(const char *path, const char *mode)
{
	return made(
		REGION_UNLESS(only_disk(AT_FDCWD, path), fopen64, path, mode));
}

static int drop_stream(FILE *f)
{
	int fd = fileno(f);

	if (fd >= 0)
		wf_descriptor_drop(fd);
	return fd;
}

WF_HOOK FILE *freopen(const char *path, const char *mode, FILE *f)
{
	drop_stream(f);
	return made(REGION(freopen, path, mode, f));
}

WF_HOOK FILE *freopen64(const char *path, const char *mode, FILE *f)
{
	drop_stream(f);
	return made(REGION(freopen64, path, mode, f));
}

WF_HOOK int fclose(FILE *f)
{
	int fd = drop_stream(f);

	return REGION_UNLESS(only_disk_behind(fd), fclose, f);
}

WF_HOOK DIR *opendir(const char *path)
{
	DIR *dir = REGION_UNLESS(true, opendir, path);

	if (dir)
		wf_descriptor_new(dirfd(dir), 0);
	return dir;
}

WF_HOOK int closedir(DIR *dir)
{
	wf_descriptor_drop(dirfd(dir));
	return libc(closedir)(dir);
}
