/* SPDX-License-Identifier: MIT */
/* Deferred cancellation, at every kind of call that may wait. */
#include "see.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static const struct timespec hour = {.tv_sec = 3600, .tv_nsec = 0};
static sem_t ready, none, go_on;
static int empty[2], full[2], pair[2], listener, epoll;
static pthread_t sleeper;
static char bytes[65536];

static void in_read(void)
{
	read(empty[0], bytes, 1);
}

static void in_readv(void)
{
	struct iovec part = {bytes, 1};

	readv(empty[0], &part, 1);
}

static void in_write(void)
{
	write(full[1], bytes, sizeof(bytes));
}

static void in_recv(void)
{
	recv(pair[0], bytes, 1, 0);
}

static void in_recvmsg(void)
{
	struct iovec part = {bytes, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	recvmsg(pair[0], &message, 0);
}

static void in_accept(void)
{
	accept(listener, NULL, NULL);
}

static void in_poll(void)
{
	struct pollfd one = {.fd = empty[0], .events = POLLIN};

	poll(&one, 1, -1);
}

static void in_poll_of_nothing(void)
{
	poll(NULL, 0, 3600000);
}

static void in_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(empty[0], &set);
	select(empty[0] + 1, &set, NULL, NULL, NULL);
}

static void in_epoll_wait(void)
{
	struct epoll_event event;

	epoll_wait(epoll, &event, 1, -1);
}

static void in_nanosleep(void)
{
	nanosleep(&hour, NULL);
}

static void in_clock_nanosleep(void)
{
	struct timespec late = in_ms(CLOCK_MONOTONIC, 3600000);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &late, NULL);
}

static void in_sleep(void)
{
	sleep(3600);
}

static void in_usleep(void)
{
	usleep(900000000);
}

static void in_sem_wait(void)
{
	sem_wait(&none);
}

static void in_sem_timedwait(void)
{
	struct timespec late = in_ms(CLOCK_REALTIME, 3600000);

	sem_timedwait(&none, &late);
}

static void in_join(void)
{
	pthread_join(sleeper, NULL);
}

static void is_locked(void *arg)
{
	see("  the handler finds the mutex locked: %s",
	    err(pthread_mutex_trylock(arg)));
	MUST(pthread_mutex_unlock(arg));
}

static void in_cond_wait(void)
{
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(is_locked, &lock);
	for (;;)
		pthread_cond_wait(&never, &lock);
	pthread_cleanup_pop(0);
}

static void in_cond_timedwait(void)
{
	struct timespec late = in_ms(CLOCK_REALTIME, 3600000);

	pthread_mutex_lock(&lock);
	pthread_cleanup_push(is_locked, &lock);
	for (;;)
		pthread_cond_timedwait(&never, &lock, &late);
	pthread_cleanup_pop(0);
}

static void in_testcancel(void)
{
	for (;;) {
		pthread_testcancel();
		sched_yield();
	}
}

#define POINT(name)                                                            \
	{                                                                      \
#name, name                                                    \
	}
static const struct point {
	const char *name;
	void (*wait)(void);
} points[] = {
	POINT(in_read),           POINT(in_readv),
	POINT(in_write),          POINT(in_recv),
	POINT(in_recvmsg),        POINT(in_accept),
	POINT(in_poll),           POINT(in_poll_of_nothing),
	POINT(in_select),         POINT(in_epoll_wait),
	POINT(in_nanosleep),      POINT(in_clock_nanosleep),
	POINT(in_sleep),          POINT(in_usleep),
	POINT(in_sem_wait),       POINT(in_sem_timedwait),
	POINT(in_join),           POINT(in_cond_wait),
	POINT(in_cond_timedwait), POINT(in_testcancel),
};

static void cleaned(void *arg)
{
	see("  cleaned up %s", (const char *)arg);
}

static void *waits(void *arg)
{
	const struct point *point = arg;

	pthread_cleanup_push(cleaned, (void *)point->name);
	sem_post(&ready);
	point->wait();
	see("  %s has returned", point->name);
	pthread_cleanup_pop(0);
	return NULL;
}

/* Cancelled in the call, or so early that it finds this when it gets there. */
static void while_it_waits(const struct point *point, bool in_the_call)
{
	pthread_t thread = start(waits, (void *)point);

	if (in_the_call) {
		sem_wait(&ready);
		linger();
	}
	MUST(pthread_cancel(thread));
	see("%s: cancelled %d", point->name, join(thread) == PTHREAD_CANCELED);
	if (!in_the_call)
		sem_trywait(&ready);
}

static void *sleeps(void *arg)
{
	sem_wait(&go_on);
	return arg;
}

static void at_every_point(bool in_the_call)
{
	see("-- %s the call", in_the_call ? "in" : "before");
	sleeper = start(sleeps, NULL);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		while_it_waits(&points[i], in_the_call);
	sem_post(&go_on);
	see("joined in spite of all: %s", err(pthread_join(sleeper, NULL)));
	SEE_ERROR(pthread_mutex_trylock(&lock));
	MUST(pthread_mutex_unlock(&lock));
}

/* Once disabled, calls go on as if nothing were. */
static void *is_disabled(void *arg)
{
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 1000000};
	int state;

	(void)arg;
	MUST(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state));
	see("enabled from the start: %d", state == PTHREAD_CANCEL_ENABLE);
	sem_post(&ready);
	sem_wait(&go_on);
	see("disabled: %s", err(nanosleep(&brief, NULL) ? errno : 0));
	pthread_testcancel();
	see("still disabled");
	MUST(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state));
	see("enabled, which by itself does nothing");
	pthread_testcancel();
	see("never here");
	return NULL;
}

static void *is_never_enabled(void *arg)
{
	int state;

	MUST(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state));
	sem_post(&ready);
	sem_wait(&go_on);
	pthread_testcancel();
	return arg;
}

static void when_disabled(void)
{
	pthread_t thread;
	int here;

	see("-- disabled");
	thread = start(is_disabled, NULL);
	sem_wait(&ready);
	MUST(pthread_cancel(thread));
	sem_post(&go_on);
	see("cancelled %d", join(thread) == PTHREAD_CANCELED);
	thread = start(is_never_enabled, &here);
	sem_wait(&ready);
	MUST(pthread_cancel(thread));
	linger();
	sem_post(&go_on);
	see("its own result %d", join(thread) == &here);
}

static void *cancels_itself(void *arg)
{
	MUST(pthread_cancel(pthread_self()));
	see("goes on");
	pthread_testcancel();
	return arg;
}

static void *ends_without_a_point(void *arg)
{
	sem_post(&ready);
	while (sem_trywait(&go_on) != 0)
		sched_yield();
	return arg;
}

static void *sees_the_world(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	sem_post(arg);
	return NULL;
}

/* To make a process is no point: the child is known to somebody. */
static void *makes_processes(void *arg)
{
	char *words[] = {"true", NULL}, *none[] = {NULL};
	pid_t child;

	MUST(pthread_cancel(pthread_self()));
	MUST(posix_spawnp(&child, "true", NULL, NULL, words, none));
	child = fork();
	MUST_ERRNO(child);
	if (child == 0)
		_exit(0);
	see("has made two");
	pthread_testcancel();
	return arg;
}

static void *reads_from(void *arg)
{
	char byte;

	sem_post(&ready);
	(void)!read(*(int *)arg, &byte, 1);
	return arg;
}

/* What it waits for is closed after it has been cancelled, not before. */
static void and_closed(void)
{
	int all = 0, fd[2];

	for (int i = 0; i < 50; i++) {
		MUST_ERRNO(pipe(fd));
		pthread_t thread = start(reads_from, &fd[0]);
		MUST_ERRNO(sem_wait(&ready));
		linger();
		MUST(pthread_cancel(thread));
		MUST_ERRNO(close(fd[0]));
		all += join(thread) == PTHREAD_CANCELED;
		MUST_ERRNO(close(fd[1]));
	}
	see("cancelled, and then closed: %d", all);
}

static void the_rest(void)
{
	pthread_t thread;
	int state, here;

	see("-- the rest");
	see("itself: %d",
	    join(start(cancels_itself, &here)) == PTHREAD_CANCELED);
	see("with children: %d",
	    join(start(makes_processes, &here)) == PTHREAD_CANCELED);
	while (wait(NULL) > 0)
		;
	and_closed();
	thread = start(ends_without_a_point, &here);
	sem_wait(&ready);
	MUST(pthread_cancel(thread));
	sem_post(&go_on);
	see("no point on the way: %d", join(thread) == &here);
	thread = start(sees_the_world, &go_on);
	sem_wait(&go_on);
	linger();
	SEE_ERROR(pthread_cancel(thread));
	see("too late: %d", join(thread) == NULL);
	SEE_ERROR(pthread_setcancelstate(77, &state));
	SEE_ERROR(pthread_setcanceltype(77, &state));
}

static void prepare(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct epoll_event event = {.events = EPOLLIN};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sem_init(&ready, 0, 0);
	sem_init(&none, 0, 0);
	sem_init(&go_on, 0, 0);
	MUST_ERRNO(pipe(empty));
	MUST_ERRNO(pipe(full));
	MUST_ERRNO(write(full[1], bytes, fcntl(full[1], F_GETPIPE_SZ)));
	MUST_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	MUST_ERRNO(listener = socket(AF_INET, SOCK_STREAM, 0));
	MUST_ERRNO(bind(listener, (void *)&address, sizeof(address)));
	MUST_ERRNO(listen(listener, 8));
	MUST_ERRNO(epoll = epoll_create1(EPOLL_CLOEXEC));
	MUST_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, empty[0], &event));
}

int main(void)
{
	prepare();
	at_every_point(true);
	at_every_point(false);
	when_disabled();
	the_rest();
	return 0;
}
