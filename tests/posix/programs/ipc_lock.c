/* SPDX-License-Identifier: MIT */
/*
 * ipc_lock.c - locks of files: who waits for one keeps nobody else.
 */
#include "wire.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

static char path[] = "/tmp/ipc_lock.XXXXXX";
static int go[2], done[2];

static int open_again(void)
{
	int fd = open(path, O_RDWR);

	MUST_ERRNO(fd);
	return fd;
}

static void tell(int fd)
{
	EXPECT(write(fd, "x", 1) == 1);
}

static void await(int fd)
{
	char byte;

	EXPECT(read(fd, &byte, 1) == 1);
}

static void *flocks(void *arg)
{
	int fd = open_again();

	(void)arg;
	SEE_ERRNO(flock(fd, LOCK_EX | LOCK_NB));
	tell(go[1]);
	MUST_ERRNO(flock(fd, LOCK_EX));
	see("the other has it");
	MUST_ERRNO(close(fd));
	return NULL;
}

static void *flock_waits(void *arg)
{
	int fd = open_again();
	pthread_t other;

	SEE_ERRNO(flock(fd, LOCK_EX));
	other = start(flocks, NULL);
	await(go[0]);
	linger();
	see("we let go");
	MUST_ERRNO(flock(fd, LOCK_UN));
	join(other);
	SEE_ERRNO(flock(fd, LOCK_SH));
	SEE_ERRNO(flock(-1, LOCK_SH));
	MUST_ERRNO(close(fd));
	return arg;
}

enum { MANY = 20 };

static void *shares(void *arg)
{
	int fd = open_again();

	MUST_ERRNO(flock(fd, LOCK_SH));
	tell(done[1]);
	await(go[0]);
	MUST_ERRNO(close(fd));
	return arg;
}

/* All of them wait in the kernel at once, and all come in at once. */
static void *many_wait(void *arg)
{
	pthread_t thread[MANY];
	int fd = open_again();

	MUST_ERRNO(flock(fd, LOCK_EX));
	for (int i = 0; i < MANY; i++)
		thread[i] = start(shares, NULL);
	linger();
	MUST_ERRNO(flock(fd, LOCK_UN));
	for (int i = 0; i < MANY; i++)
		await(done[0]);
	see("%d share it", MANY);
	for (int i = 0; i < MANY; i++)
		tell(go[1]);
	for (int i = 0; i < MANY; i++)
		join(thread[i]);
	MUST_ERRNO(close(fd));
	return arg;
}

/* Another process has the lock, until it is told. */
static void hold(int from, int to)
{
	int fd = open_again();

	if (lockf(fd, F_LOCK, 10) == -1)
		_exit(1);
	tell(to);
	await(from);
	_exit(0);
}

static pid_t start_holder(int orders[2])
{
	int ready[2];
	pid_t child;

	MUST_ERRNO(pipe(orders));
	MUST_ERRNO(pipe(ready));
	child = fork();
	MUST_ERRNO(child);
	if (child == 0)
		hold(orders[0], ready[1]);
	await(ready[0]);
	close_both(ready);
	return child;
}

typedef int (*locks)(int fd, int command, off_t length);

struct waiter {
	locks lock;
	int fd;
};

static void *waits_for_it(void *arg)
{
	struct waiter *w = arg;

	tell(go[1]);
	MUST_ERRNO(w->lock(w->fd, F_LOCK, 5));
	see("we have it");
	return NULL;
}

static void lock_with(locks lock)
{
	struct waiter w = {.lock = lock, .fd = open_again()};
	pthread_t thread;
	int orders[2], status;
	pid_t holder;

	holder = start_holder(orders);
	SEE_ERRNO(lock(w.fd, F_TLOCK, 5));
	SEE_ERRNO(lock(w.fd, F_TEST, 5));
	thread = start(waits_for_it, &w);
	await(go[0]);
	linger();
	see("it lets go");
	tell(orders[1]);
	join(thread);
	SEE_ERRNO(lock(w.fd, F_ULOCK, 5));
	SEE_ERRNO(lock(w.fd, 77, 5));
	MUST_ERRNO(waitpid(holder, &status, 0));
	see("status %d", status);
	close_both(orders);
	MUST_ERRNO(close(w.fd));
}

static void *lockf_waits(void *arg)
{
	lock_with(lockf);
	return arg;
}

static void *lockf64_waits(void *arg)
{
	lock_with(lockf64);
	return arg;
}

int main(void)
{
	int fd = mkstemp(path);

	MUST_ERRNO(fd);
	MUST_ERRNO(pipe(go));
	MUST_ERRNO(pipe(done));
	IN_THREAD(flock_waits);
	IN_MAIN(flock_waits);
	IN_THREAD(many_wait);
	IN_THREAD(lockf_waits);
	IN_MAIN(lockf_waits);
	IN_THREAD(lockf64_waits);
	MUST_ERRNO(unlink(path));
	return 0;
}
