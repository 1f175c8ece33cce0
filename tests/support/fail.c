/* SPDX-License-Identifier: MIT */
/*
 * fail.c - see fail.h.  The linker's --wrap sends each call of NAME to
 * __wrap_NAME here, and __real_NAME to where it would have gone.
 */
#include "support/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netdb.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "support/t.h"

#define GUARD_INSTALL 102
#define EVERY_SECOND  2

struct call {
	long number;
	long args[6];
};

/* --- what may fail, and how --- */

static bool adds(const struct call *c)
{
	return c->args[1] == EPOLL_CTL_ADD;
}

static bool guards(const struct call *c)
{
	return c->args[2] == GUARD_INSTALL;
}

static bool waits(const struct call *c)
{
	int operation = (int)c->args[1] & FUTEX_CMD_MASK;

	return operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET;
}

static bool blocks(const struct call *c)
{
	int flags = fcntl((int)c->args[0], F_GETFL);

	return flags >= 0 && !(flags & O_NONBLOCK);
}

static bool duplicates(const struct call *c)
{
	return c->args[1] == F_DUPFD_CLOEXEC;
}

static const struct {
	long number;
	bool (*when)(const struct call *c); /* NULL: always */
	int errors[FAIL_CHOICES];
} fallible[] = {
	{SYS_socket, NULL, {EMFILE, ENFILE, ENOBUFS, ENOMEM}},
	{SYS_accept4, NULL, {EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED}},
	{SYS_setsockopt, NULL, {ENOMEM}},
	{SYS_connect, NULL, {ENOBUFS, ENOMEM, EINTR}},
	{SYS_bind, NULL, {ENOMEM, EADDRINUSE}},
	{SYS_listen, NULL, {EADDRINUSE, ENOMEM}},
	{SYS_epoll_create1, NULL, {EMFILE, ENFILE, ENOMEM}},
	{SYS_eventfd2, NULL, {EMFILE, ENFILE, ENOMEM}},
	{SYS_epoll_ctl, adds, {ENOSPC, ENOMEM}},
	{SYS_madvise, guards, {ENOMEM}},
	{SYS_process_madvise, NULL, {ENOMEM, ENOSYS}},
	{SYS_ppoll, NULL, {ENOMEM, EINTR}},
	{SYS_recvfrom, NULL, {ENOMEM, EINTR}},
	{SYS_recvmsg, NULL, {ENOMEM, EINTR}},
	{SYS_sendto, NULL, {ENOBUFS, ENOMEM, EINTR}},
	{SYS_sendmsg, NULL, {ENOBUFS, ENOMEM, EINTR}},
	{SYS_preadv2, NULL, {ENOMEM, EINTR}},
	{SYS_pwritev2, NULL, {ENOSPC, ENOMEM, EINTR}},
	{SYS_readv, NULL, {ENOMEM, EIO}},
	{SYS_writev, NULL, {ENOSPC, EIO}},
	{SYS_preadv, NULL, {ENOMEM, EIO}},
	{SYS_pwritev, NULL, {ENOSPC, EIO}},
	{SYS_fsync, NULL, {EIO, ENOSPC}},
	{SYS_fdatasync, NULL, {EIO, ENOSPC}},
	{SYS_openat, NULL, {EMFILE, ENFILE, ENOMEM, EINTR}},
#ifdef SYS_openat2
	{SYS_openat2, NULL, {EMFILE, ENFILE, ENOMEM, EINTR}},
#endif
	{SYS_pipe2, NULL, {EMFILE, ENFILE}},
	{SYS_mprotect, NULL, {ENOMEM}},
	{SYS_signalfd4, NULL, {EMFILE, ENFILE, ENOMEM}},
	{SYS_fcntl, duplicates, {EMFILE}},
#ifdef SYS_pidfd_open
	{SYS_pidfd_open, NULL, {EMFILE, ENFILE, ENOMEM}},
#endif
	{SYS_recvmmsg, NULL, {ENOMEM, EINTR}},
	{SYS_sendmmsg, NULL, {ENOBUFS, ENOMEM, EINTR}},
	{SYS_sendfile, NULL, {EIO, ENOMEM, EINTR}},
	{SYS_splice, NULL, {EIO, ENOMEM, EINTR}},
	{SYS_tee, NULL, {ENOMEM, EINTR}},
	{FAIL_MMAP, NULL, {ENOMEM}},
	{FAIL_MALLOC, NULL, {ENOMEM}},
	{FAIL_THREAD, NULL, {EAGAIN, ENOMEM}},
	{FAIL_RESOLVE, NULL, {ENOMEM, EMFILE}},
	{FAIL_SPAWN, NULL, {EAGAIN, ENOMEM}},
};

/* What a signal may interrupt; close is, and has closed all the same. */
static const struct {
	long number;
	bool (*when)(const struct call *c);
} interruptible[] = {
	{SYS_accept4, NULL},      {SYS_connect, NULL},   {SYS_recvfrom, NULL},
	{SYS_recvmsg, NULL},      {SYS_sendto, NULL},    {SYS_sendmsg, NULL},
	{SYS_preadv2, NULL},      {SYS_pwritev2, NULL},  {SYS_preadv, NULL},
	{SYS_pwritev, NULL},      {SYS_readv, NULL},     {SYS_writev, NULL},
	{SYS_recvmmsg, NULL},     {SYS_sendmmsg, NULL},  {SYS_sendfile, NULL},
	{SYS_splice, NULL},       {SYS_read, blocks},    {SYS_write, blocks},
	{SYS_fsync, NULL},        {SYS_fdatasync, NULL}, {SYS_openat, NULL},
	{SYS_bind, NULL},         {SYS_ppoll, NULL},     {SYS_close, NULL},
	{SYS_epoll_pwait, NULL},  {SYS_futex, waits},
#ifdef SYS_epoll_pwait2
	{SYS_epoll_pwait2, NULL},
#endif
#ifdef SYS_openat2
	{SYS_openat2, NULL},
#endif
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- the plan --- */

enum plan { NONE, NTH, NEXT, INTERRUPT, SHORTEN };

static _Atomic int plan;
static _Atomic unsigned made[FAIL_CALLS], failed;
static _Atomic int last_error;
static _Atomic long left;         /* NTH: calls; NEXT: failures */
static _Atomic unsigned choice;   /* NTH */
static _Atomic long next_call;    /* NEXT */
static _Atomic int next_error;    /* NEXT */
static _Atomic uint64_t sequence; /* SHORTEN */
static _Atomic long allocated, mapped;

static void begin(enum plan p)
{
	atomic_store(&plan, NONE);
	for (size_t i = 0; i < FAIL_CALLS; i++)
		atomic_store(&made[i], 0);
	atomic_store(&failed, 0);
	atomic_store(&last_error, 0);
	atomic_store(&plan, p);
}

void fail_nth(unsigned n, unsigned which)
{
	fail_stop();
	atomic_store(&left, n);
	atomic_store(&choice, which);
	begin(NTH);
}

void fail_next(long call, int error, unsigned times)
{
	fail_stop();
	atomic_store(&left, times);
	atomic_store(&next_call, call);
	atomic_store(&next_error, error);
	begin(NEXT);
}

void fail_interrupt(void)
{
	fail_stop();
	begin(INTERRUPT);
}

void fail_shorten(uint64_t seed)
{
	fail_stop();
	atomic_store(&sequence, seed);
	begin(SHORTEN);
}

int fail_stop(void)
{
	atomic_store(&plan, NONE);
	return -atomic_load(&last_error);
}

unsigned fail_made(long call)
{
	return atomic_load(&made[call]);
}

unsigned fail_injected(void)
{
	return atomic_load(&failed);
}

long fail_allocated(void)
{
	return atomic_load(&allocated);
}

long fail_mapped(void)
{
	return atomic_load(&mapped);
}

/* --- deciding --- */

static int nth(const struct call *c)
{
	int error = 0;

	for (size_t i = 0; i < COUNT(fallible); i++)
		if (fallible[i].number == c->number &&
		    (!fallible[i].when || fallible[i].when(c)))
			error = fallible[i].errors[atomic_load(&choice)];
	return error && atomic_fetch_sub(&left, 1) == 1 ? error : 0;
}

static int next(const struct call *c)
{
	if (c->number != atomic_load(&next_call) ||
	    (c->number == SYS_epoll_ctl && !adds(c)))
		return 0;
	return atomic_fetch_sub(&left, 1) > 0 ? atomic_load(&next_error) : 0;
}

static int interrupt(const struct call *c, unsigned count)
{
	if (count % EVERY_SECOND)
		return 0;
	for (size_t i = 0; i < COUNT(interruptible); i++)
		if (interruptible[i].number == c->number)
			return !interruptible[i].when ||
					       interruptible[i].when(c)
				       ? EINTR
				       : 0;
	return 0;
}

/* The error to fail with, 0 to make the call. */
static int decide(const struct call *c)
{
	unsigned count = atomic_fetch_add(&made[c->number], 1);
	int error = 0;

	switch (atomic_load(&plan)) {
	case NTH:
		error = nth(c);
		break;
	case NEXT:
		error = next(c);
		break;
	case INTERRUPT:
		error = interrupt(c, count);
		break;
	}
	if (error) {
		atomic_store(&last_error, error);
		atomic_fetch_add(&failed, 1);
	}
	return error;
}

static int decide_other(enum fail_other what)
{
	struct call c = {.number = what};

	if (atomic_load_explicit(&plan, memory_order_relaxed) == NONE)
		return 0;
	return decide(&c);
}

/* --- moving less --- */

/* Up to so many bytes, and one every other time. */
static size_t part(size_t length)
{
	uint64_t state = atomic_fetch_add(&sequence, 1), random;

	random = t_random(&state);
	if (length < 2 || random & 1)
		return length < 2 ? length : 1;
	length = 1 + (random >> 1) % length;
	return length < FAIL_PART_MOST ? length : FAIL_PART_MOST;
}

static bool is_tcp(int fd)
{
	int protocol = 0;
	socklen_t size = sizeof protocol;

	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
	       protocol == IPPROTO_TCP;
}

static bool is_stream(int fd)
{
	int type = SOCK_STREAM;
	socklen_t size = sizeof type;

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	return type == SOCK_STREAM;
}

/* What a call has instead of what its caller gave. */
struct less {
	struct iovec first;
	struct msghdr msg;
};

/* Only the first piece, and only a part of that. */
static const struct iovec *first_part(const struct iovec *iov, size_t count,
				      struct less *less)
{
	while (count > 1 && iov->iov_len == 0)
		iov++, count--;
	if (count)
		less->first = (struct iovec){iov->iov_base, part(iov->iov_len)};
	return count ? &less->first : iov;
}

static void shorten_vector(struct call *c, struct less *less)
{
	const struct iovec *iov = (const struct iovec *)c->args[1];
	size_t count = (size_t)c->args[2];

	c->args[1] = (long)first_part(iov, count, less);
	c->args[2] = count > 0;
}

static void shorten_message(struct call *c, struct less *less)
{
	less->msg = *(const struct msghdr *)c->args[1];
	less->msg.msg_iov = (struct iovec *)first_part(
		less->msg.msg_iov, less->msg.msg_iovlen, less);
	less->msg.msg_iovlen = less->msg.msg_iovlen > 0;
	c->args[1] = (long)&less->msg;
}

static void shorten(struct call *c, struct less *less)
{
	int fd = (int)c->args[0];

	switch (c->number) {
	case SYS_recvfrom:
		if (is_stream(fd) && !is_tcp(fd))
			c->args[2] = (long)part((size_t)c->args[2]);
		break;
	case SYS_sendto:
		if (is_stream(fd))
			c->args[2] = (long)part((size_t)c->args[2]);
		break;
	case SYS_sendmsg:
		if (is_stream(fd))
			shorten_message(c, less);
		break;
	case SYS_preadv2:
	case SYS_pwritev2:
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
		shorten_vector(c, less);
		break;
	}
}

/* --- the calls --- */

long __real_wf_syscall(long number, long a, long b, long c, long d, long e,
		       long f);
long __wrap_wf_syscall(long number, long a, long b, long c, long d, long e,
		       long f);

static long call(const struct call *c)
{
	return __real_wf_syscall(c->number, c->args[0], c->args[1], c->args[2],
				 c->args[3], c->args[4], c->args[5]);
}

static long call_or_fail(struct call *c)
{
	int error = decide(c);
	struct less less;

	if (error && c->number == SYS_close)
		call(c);
	if (error)
		return -error;
	if (atomic_load(&plan) == SHORTEN)
		shorten(c, &less);
	return call(c);
}

long __wrap_wf_syscall(long number, long a, long b, long c, long d, long e,
		       long f)
{
	struct call it = {number, {a, b, c, d, e, f}};

	if (atomic_load_explicit(&plan, memory_order_relaxed) == NONE)
		return call(&it);
	return call_or_fail(&it);
}

/* --- memory --- */

void *__real_mmap(void *at, size_t size, int access, int flags, int fd,
		  off_t offset);
void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd,
		  off_t offset);
int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);
void *__real_mremap(void *old, size_t old_size, size_t size, int flags, ...);
void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...);
int __real_mprotect(void *at, size_t size, int access);
int __wrap_mprotect(void *at, size_t size, int access);

void *__wrap_mmap(void *at, size_t size, int access, int flags, int fd,
		  off_t offset)
{
	void *p = MAP_FAILED;
	int error = decide_other(FAIL_MMAP);

	if (!error)
		p = __real_mmap(at, size, access, flags, fd, offset);
	else
		errno = error;
	if (p != MAP_FAILED)
		atomic_fetch_add(&mapped, (long)size);
	return p;
}

int __wrap_munmap(void *at, size_t size)
{
	int r = __real_munmap(at, size);

	if (r == 0)
		atomic_fetch_sub(&mapped, (long)size);
	return r;
}

void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...)
{
	void *p = MAP_FAILED;
	int error = decide_other(FAIL_MMAP);

	if (!error)
		p = __real_mremap(old, old_size, size, flags);
	else
		errno = error;
	if (p != MAP_FAILED)
		atomic_fetch_add(&mapped, (long)size - (long)old_size);
	return p;
}

int __wrap_mprotect(void *at, size_t size, int access)
{
	int error = decide_other(FAIL_MMAP);

	if (!error)
		return __real_mprotect(at, size, access);
	errno = error;
	return -1;
}

#if T_SANITIZED
bool fail_counts_memory(void)
{
	return false;
}
#else
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);

bool fail_counts_memory(void)
{
	return true;
}

static bool refused(void)
{
	int error = decide_other(FAIL_MALLOC);

	if (error)
		errno = error;
	return error;
}

static void *counted(void *p)
{
	if (p)
		atomic_fetch_add(&allocated, 1);
	return p;
}

void *__wrap_malloc(size_t size)
{
	return refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return refused() ? NULL
			 : counted(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *p)
{
	if (p)
		atomic_fetch_sub(&allocated, 1);
	__real_free(p);
}

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void),
			  void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void),
			  void (*child)(void));

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void),
			  void (*child)(void))
{
	int error = decide_other(FAIL_MALLOC);

	return error ? error : __real_pthread_atfork(prepare, parent, child);
}
#endif

/* --- threads and names --- */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*fn)(void *), void *arg);
int __real_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **result);
int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **result);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*fn)(void *), void *arg)
{
	int error = decide_other(FAIL_THREAD);

	return error ? error : __real_pthread_create(thread, attr, fn, arg);
}

int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **result)
{
	int error = decide_other(FAIL_RESOLVE);

	if (!error)
		return __real_getaddrinfo(host, service, hints, result);
	errno = error;
	return error == ENOMEM ? EAI_MEMORY : EAI_SYSTEM;
}

int __real_posix_spawnp(pid_t *pid, const char *name,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[],
			char *const env[]);
int __wrap_posix_spawnp(pid_t *pid, const char *name,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[],
			char *const env[]);

int __wrap_posix_spawnp(pid_t *pid, const char *name,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[],
			char *const env[])
{
	int error = decide_other(FAIL_SPAWN);

	return error ? error
		     : __real_posix_spawnp(pid, name, actions, attributes, argv,
					   env);
}
