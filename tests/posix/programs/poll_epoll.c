/* SPDX-License-Identifier: MIT */
/*
 * poll_epoll.c - the program's own epoll: level, edge and once, nested, from
 * several threads, changed while somebody waits.
 */
#include "prod.h"
#include "wire.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int epoll;

static void watch(int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = {.events = events, .data.u64 = tag};

	MUST_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void see_events(int ms)
{
	struct epoll_event event[4];
	int n = epoll_wait(epoll, event, 4, ms);

	see("epoll_wait: %s", n < 0 ? err(errno) : n ? "" : "nothing");
	for (int i = 0; i < n; i++)
		see("  %d:%s%s%s%s", (int)event[i].data.u64,
		    event[i].events & EPOLLIN ? " IN" : "",
		    event[i].events & EPOLLOUT ? " OUT" : "",
		    event[i].events & EPOLLHUP ? " HUP" : "",
		    event[i].events & EPOLLRDHUP ? " RDHUP" : "");
}

static void *kinds(void *arg)
{
	struct later later;
	char bytes[8];
	int a[2], b[2], c[2];

	epoll = epoll_create1(EPOLL_CLOEXEC);
	MUST_ERRNO(epoll);
	unix_pair(a);
	unix_pair(b);
	unix_pair(c);
	see_events(0);
	watch(a[0], EPOLLIN, 1);
	write_later(&later, a[1], "xy");
	see_events(-1);
	join(later.thread);
	see_events(-1);
	SEE_COUNT(read(a[0], bytes, 1));
	see_events(0);
	SEE_COUNT(read(a[0], bytes, 1));
	see_events(0);

	watch(b[0], EPOLLIN | EPOLLET, 2);
	write_later(&later, b[1], "xy");
	see_events(-1);
	join(later.thread);
	see_events(0);
	write_later(&later, b[1], "z");
	see_events(-1);
	join(later.thread);

	watch(c[0], EPOLLIN | EPOLLONESHOT, 3);
	write_later(&later, c[1], "x");
	see_events(-1);
	join(later.thread);
	see_events(0);
	struct epoll_event again = {EPOLLIN | EPOLLOUT, {.u64 = 4}};
	SEE_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, c[0], &again));
	see_events(-1);
	MUST_ERRNO(shutdown(a[1], SHUT_WR));
	see_events(-1);
	MUST_ERRNO(close(a[1]));
	see_events(-1);
	MUST_ERRNO(close(a[0]));
	see_events(0);
	close_both(b);
	close_both(c);
	MUST_ERRNO(close(epoll));
	return arg;
}

static void *mistakes(void *arg)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd[2];

	epoll = epoll_create1(0);
	MUST_ERRNO(pipe(fd));
	SEE_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, fd[0], &event));
	SEE_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, fd[0], &event));
	SEE_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, fd[0], &event));
	SEE_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event));
	SEE_ERRNO(epoll_ctl(fd[0], EPOLL_CTL_ADD, fd[1], &event));
	SEE_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, fd[1], NULL));
	SEE_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, fd[0], NULL));
	SEE_COUNT(epoll_wait(epoll, &event, 0, 0));
	SEE_COUNT(epoll_wait(fd[0], &event, 1, 0));
	SEE_COUNT(epoll_wait(-1, &event, 1, 0));
	close_both(fd);
	MUST_ERRNO(close(epoll));
	return arg;
}

static void *limits(void *arg)
{
	struct timespec limit = {0, 30000000}, due;
	struct epoll_event event;

	epoll = epoll_create1(0);
	due = in_ms(CLOCK_MONOTONIC, 30);
	see_events(30);
	see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));
	due = in_ms(CLOCK_MONOTONIC, 30);
	SEE_COUNT(epoll_pwait(epoll, &event, 1, 30, NULL));
	see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));
	due = in_ms(CLOCK_MONOTONIC, 30);
	SEE_COUNT(epoll_pwait2(epoll, &event, 1, &limit, NULL));
	see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));
	MUST_ERRNO(close(epoll));
	return arg;
}

static void *adds_what_is_ready(void *arg)
{
	linger();
	watch(*(int *)arg, EPOLLOUT, 7);
	return NULL;
}

static void *nested(void *arg)
{
	struct epoll_event event = {EPOLLIN, {.u64 = 9}};
	struct later later;
	int fd[2], outer = epoll_create1(0);

	epoll = epoll_create1(0);
	unix_pair(fd);
	watch(fd[0], EPOLLIN, 5);
	MUST_ERRNO(epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &event));
	write_later(&later, fd[1], "x");
	SEE_COUNT(epoll_wait(outer, &event, 1, -1));
	see("%d", (int)event.data.u64);
	join(later.thread);
	see_events(-1);

	/* An epoll is itself something to poll. */
	char byte;
	struct pollfd p = {.fd = outer, .events = POLLIN};
	SEE_COUNT(read(fd[0], &byte, 1));
	SEE_COUNT(poll(&p, 1, 0));
	write_later(&later, fd[1], "x");
	SEE_COUNT(poll(&p, 1, -1));
	join(later.thread);
	SEE_COUNT(read(fd[0], &byte, 1));

	/* Something is added while somebody waits. */
	pthread_t other = start(adds_what_is_ready, &fd[1]);
	see_events(-1);
	join(other);
	close_both(fd);
	MUST_ERRNO(close(epoll));
	MUST_ERRNO(close(outer));
	return arg;
}

enum { THREADS = 4, EVENTS = 200 };
static sem_t taken;
static int counts[THREADS];

/* Takes events until one says that it is over. */
static void *serves(void *arg)
{
	int *count = arg;

	for (;;) {
		struct epoll_event event;
		uint64_t value;

		EXPECT(epoll_wait(epoll, &event, 1, -1) == 1);
		if (event.data.u64 == UINT64_MAX)
			return NULL;
		EXPECT(read(event.data.fd, &value, 8) == 8);
		++*count;
		event.events = EPOLLIN | EPOLLONESHOT;
		MUST_ERRNO(
			epoll_ctl(epoll, EPOLL_CTL_MOD, event.data.fd, &event));
		sem_post(&taken);
	}
}

static void *several_threads(void *arg)
{
	pthread_t thread[THREADS];
	int fd[8], sum = 0, over = eventfd(0, 0);

	epoll = epoll_create1(0);
	MUST_ERRNO(sem_init(&taken, 0, 0));
	for (int i = 0; i < 8; i++) {
		fd[i] = eventfd(0, EFD_SEMAPHORE);
		watch(fd[i], EPOLLIN | EPOLLONESHOT, fd[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		counts[i] = 0;
		thread[i] = start(serves, &counts[i]);
	}
	for (int i = 0; i < EVENTS; i++)
		MUST_ERRNO(eventfd_write(fd[i * 5 % 8], 1));
	for (int i = 0; i < EVENTS; i++)
		MUST_ERRNO(sem_wait(&taken));
	MUST_ERRNO(eventfd_write(over, 1));
	watch(over, EPOLLIN, UINT64_MAX);
	for (int i = 0; i < THREADS; i++) {
		join(thread[i]);
		sum += counts[i];
	}
	see("events: %d", sum);
	for (int i = 0; i < 8; i++)
		MUST_ERRNO(close(fd[i]));
	MUST_ERRNO(close(over));
	MUST_ERRNO(close(epoll));
	return arg;
}

static void *masks(void *arg)
{
	struct epoll_event event;
	sigset_t none, usr1;

	epoll = epoll_create1(0);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	MUST(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
	MUST(pthread_kill(pthread_self(), SIGUSR1));
	SEE_COUNT(epoll_pwait(epoll, &event, 1, 0, &usr1));
	see("handled: %d", (int)handled_here);
	SEE_COUNT(epoll_pwait(epoll, &event, 1, -1, &none));
	see("handled: %d", (int)handled_here);
	MUST(pthread_kill(pthread_self(), SIGUSR1));
	SEE_COUNT(epoll_pwait2(epoll, &event, 1, NULL, &none));
	see("handled: %d", (int)handled_here);
	MUST(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
	MUST_ERRNO(close(epoll));
	return arg;
}

int main(void)
{
	handle(SIGUSR1, count_signal, SA_RESTART);
	IN_THREAD(kinds);
	IN_MAIN(kinds);
	IN_THREAD(mistakes);
	IN_THREAD(limits);
	IN_THREAD(nested);
	IN_MAIN(nested);
	IN_THREAD(several_threads);
	IN_MAIN(several_threads);
	IN_THREAD(masks);
	return 0;
}
