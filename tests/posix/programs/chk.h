/* SPDX-License-Identifier: MIT */
/*
 * chk.h - what _FORTIFY_SOURCE makes of calls.  GCC finds it in libc's headers;
 * Clang does not, and is told here.  Buffers have to be arrays.
 */
#ifndef CHK_H
#define CHK_H

#if __USE_FORTIFY_LEVEL < 1
#error "to be compiled with optimisation and -D_FORTIFY_SOURCE=2"
#endif

#include <stddef.h>

#ifdef __clang__
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void *, size_t, off64_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *,
		       socklen_t *);
int __poll_chk(struct pollfd *, nfds_t, int, size_t);
int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *,
		const sigset_t *, size_t);
char *__fgets_chk(char *, size_t, int, FILE *);
char *__fgets_unlocked_chk(char *, size_t, int, FILE *);
size_t __fread_chk(void *, size_t, size_t, size_t, FILE *);
size_t __fread_unlocked_chk(void *, size_t, size_t, size_t, FILE *);

#define read(fd, buf, n)        __read_chk(fd, buf, n, sizeof(buf))
#define pread(fd, buf, n, at)   __pread_chk(fd, buf, n, at, sizeof(buf))
#define pread64(fd, buf, n, at) __pread64_chk(fd, buf, n, at, sizeof(buf))
#define recv(fd, buf, n, flags) __recv_chk(fd, buf, n, sizeof(buf), flags)
#define recvfrom(fd, buf, n, ...)                                              \
	__recvfrom_chk(fd, buf, n, sizeof(buf), __VA_ARGS__)
#define poll(fds, n, limit)        __poll_chk(fds, n, limit, sizeof(fds))
#define ppoll(fds, n, limit, mask) __ppoll_chk(fds, n, limit, mask, sizeof(fds))
#define fgets(s, n, file)          __fgets_chk(s, sizeof(s), n, file)
#define fgets_unlocked(s, n, file) __fgets_unlocked_chk(s, sizeof(s), n, file)
#define fread(to, size, n, file)   __fread_chk(to, sizeof(to), size, n, file)
#define fread_unlocked(to, size, n, file)                                      \
	__fread_unlocked_chk(to, sizeof(to), size, n, file)
#endif

/* A number that the compiler does not know, so that it has to be checked. */
__attribute__((unused)) static size_t unknown(size_t n)
{
	__asm__("" : "+r"(n));
	return n;
}

#endif
