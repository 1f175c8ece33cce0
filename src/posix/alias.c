/* SPDX-License-Identifier: MIT */
/*
 * alias.c - hooks by their other names: those with which libraries of libc once
 * called each other, those that calls get which are compiled with
 * _FORTIFY_SOURCE, and what is only another way to read and write.
 */
#include <stdarg.h>

#include "posix/libc.h"

/* --- bytes --- */

WF_HOOK ssize_t __read(int fd, void *buf, size_t length)
{
	return read(fd, buf, length);
}

WF_HOOK ssize_t __write(int fd, const void *buf, size_t length)
{
	return write(fd, buf, length);
}

WF_HOOK ssize_t __send(int fd, const void *buf, size_t length, int flags)
{
	return send(fd, buf, length, flags);
}

WF_HOOK int eventfd_read(int fd, eventfd_t *value)
{
	return read(fd, value, sizeof *value) == sizeof *value ? 0 : -1;
}

WF_HOOK int eventfd_write(int fd, eventfd_t value)
{
	return write(fd, &value, sizeof value) == sizeof value ? 0 : -1;
}

/* Without an offset they are readv() and writev(). */

WF_HOOK ssize_t preadv2(int fd, const struct iovec *iov, int count,
			off_t offset, int flags)
{
	return offset == -1 && !flags
		       ? readv(fd, iov, count)
		       : libc(preadv2)(fd, iov, count, offset, flags);
}

WF_HOOK ssize_t pwritev2(int fd, const struct iovec *iov, int count,
			 off_t offset, int flags)
{
	return offset == -1 && !flags
		       ? writev(fd, iov, count)
		       : libc(pwritev2)(fd, iov, count, offset, flags);
}

WF_HOOK ssize_t preadv64v2(int fd, const struct iovec *iov, int count,
			   off64_t offset, int flags)
{
	return preadv2(fd, iov, count, offset, flags);
}

WF_HOOK ssize_t pwritev64v2(int fd, const struct iovec *iov, int count,
			    off64_t offset, int flags)
{
	return pwritev2(fd, iov, count, offset, flags);
}

/* --- descriptors --- */

#define NEEDS_MODE(flags) ((flags) & (O_CREAT | __O_TMPFILE))

#define MODE(flags)                                                            \
	__extension__({                                                        \
		mode_t mode_ = 0;                                              \
		va_list rest_;                                                 \
                                                                               \
		va_start(rest_, flags);                                        \
		if (NEEDS_MODE(flags))                                         \
			mode_ = va_arg(rest_, mode_t);                         \
		va_end(rest_);                                                 \
		mode_;                                                         \
	})

WF_HOOK int __open(const char *path, int flags, ...)
{
	return open(path, flags, MODE(flags));
}

WF_HOOK int __open64(const char *path, int flags, ...)
{
	return open64(path, flags, MODE(flags));
}

/* Where a mode is missing, libc ends the program. */

WF_HOOK int __open_2(const char *path, int flags)
{
	return NEEDS_MODE(flags) ? libc(__open_2)(path, flags)
				 : open(path, flags);
}

WF_HOOK int __open64_2(const char *path, int flags)
{
	return NEEDS_MODE(flags) ? libc(__open64_2)(path, flags)
				 : open64(path, flags);
}

WF_HOOK int __openat_2(int dir, const char *path, int flags)
{
	return NEEDS_MODE(flags) ? libc(__openat_2)(dir, path, flags)
				 : openat(dir, path, flags);
}

WF_HOOK int __openat64_2(int dir, const char *path, int flags)
{
	return NEEDS_MODE(flags) ? libc(__openat64_2)(dir, path, flags)
				 : openat64(dir, path, flags);
}

WF_HOOK int __close(int fd)
{
	return close(fd);
}

WF_HOOK int __dup2(int fd, int to)
{
	return dup2(fd, to);
}

WF_HOOK int __fcntl(int fd, int command, ...)
{
	va_list rest;
	long arg;

	va_start(rest, command);
	arg = va_arg(rest, long);
	va_end(rest);
	return fcntl(fd, command, arg);
}

WF_HOOK int __pipe(int fd[2])
{
	return pipe(fd);
}

WF_HOOK int __connect(int fd, const struct sockaddr *address, socklen_t length)
{
	return connect(fd, address, length);
}

WF_HOOK int __poll(struct pollfd *fds, nfds_t count, int timeout)
{
	return poll(fds, count, timeout);
}

WF_HOOK int __select(int count, fd_set *in, fd_set *out, fd_set *except,
		     struct timeval *limit)
{
	return select(count, in, out, except, limit);
}

/* --- time --- */

WF_HOOK int __nanosleep(const struct timespec *time, struct timespec *rest)
{
	return nanosleep(time, rest);
}

WF_HOOK int __sched_yield(void)
{
	return sched_yield();
}

int wf_pthread_yield(void) __asm__("pthread_yield");

/* No header has it any more under this name. */
WF_HOOK int wf_pthread_yield(void)
{
	return sched_yield();
}

/* --- signals and processes --- */

WF_HOOK int __sigsuspend(const sigset_t *mask)
{
	return sigsuspend(mask);
}

WF_HOOK pid_t __fork(void)
{
	return fork();
}

/* Ours is a fork: it may return twice from here. */
WF_HOOK pid_t __vfork(void)
{
	return vfork();
}

WF_HOOK pid_t __wait(int *status)
{
	return wait(status);
}

WF_HOOK pid_t __waitpid(pid_t pid, int *status, int options)
{
	return waitpid(pid, status, options);
}
