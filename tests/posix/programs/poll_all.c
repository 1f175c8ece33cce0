/* SPDX-License-Identifier: MIT */
/*
 * poll_all.c - poll, ppoll, select and pselect: what is ready, what is wrong,
 * limits, many descriptors, and masks that hold for the wait.
 */
#include "prod.h"
#include "wire.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>

static const char *names(short events)
{
	static __thread char text[64];

	snprintf(text, sizeof(text), "%s%s%s%s%s%s",
		 events & POLLIN ? " IN" : "", events & POLLOUT ? " OUT" : "",
		 events & POLLHUP ? " HUP" : "", events & POLLERR ? " ERR" : "",
		 events & POLLNVAL ? " NVAL" : "",
		 events & POLLRDHUP ? " RDHUP" : "");
	return text;
}

static void see_poll(struct pollfd *p, int count, int ms)
{
	see("poll: %d", poll(p, count, ms));
	for (int i = 0; i < count; i++)
		see("%d:%s", i, names(p[i].revents));
}

static void *states(void *arg)
{
	int a[2], b[2], c[2];
	struct later later;

	unix_pair(a);
	MUST_ERRNO(pipe(b));
	tcp_pair(c);
	struct pollfd p[] = {
		{a[0], POLLIN | POLLRDHUP, -1},
		{b[0], POLLIN, -1},
		{c[0], POLLIN, -1},
		{-1, POLLIN, -1},
		{a[1], 0, -1},
	};
	see_poll(p, 5, 0);
	write_later(&later, c[1], "x");
	see_poll(p, 5, -1);
	join(later.thread);
	p[1] = (struct pollfd){b[1], POLLOUT, -1};
	see_poll(p, 5, -1);
	MUST_ERRNO(close(b[0]));
	see_poll(p, 2, -1);
	MUST_ERRNO(shutdown(a[1], SHUT_WR));
	see_poll(p, 1, -1);
	MUST_ERRNO(close(a[1]));
	see_poll(p, 1, -1);
	MUST_ERRNO(close(a[0]));
	see_poll(p, 3, -1);
	MUST_ERRNO(close(b[1]));
	MUST_ERRNO(pipe(b));
	MUST_ERRNO(close(b[1]));
	p[0] = (struct pollfd){b[0], 0, -1};
	see_poll(p, 1, -1);
	MUST_ERRNO(close(b[0]));
	close_both(c);
	return arg;
}

static void *hang_up(void *arg)
{
	int fd[2];

	MUST_ERRNO(pipe(fd));
	struct pollfd p = {fd[0], POLLIN, 0};
	pthread_t other = start(closes_fd, &fd[1]);
	see_poll(&p, 1, -1);
	join(other);
	MUST_ERRNO(close(fd[0]));
	unix_pair(fd);
	p = (struct pollfd){fd[0], 0, 0};
	other = start(closes_fd, &fd[1]);
	see_poll(&p, 1, -1);
	join(other);
	MUST_ERRNO(close(fd[0]));
	return arg;
}

#define NOT_BEFORE(ms, call)                                                   \
	do {                                                                   \
		struct timespec due = in_ms(CLOCK_MONOTONIC, ms);              \
		see_count(#call, call);                                        \
		see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));           \
	} while (0)

static void *limits(void *arg)
{
	struct timespec limit = {0, 30000000}, wrong = {0, 1000000000};
	struct timeval short_limit = {0, 30000};
	struct pollfd p = {.events = POLLIN};
	fd_set set;
	int fd[2];

	unix_pair(fd);
	p.fd = fd[0];
	NOT_BEFORE(30, poll(&p, 1, 30));
	NOT_BEFORE(30, poll(NULL, 0, 30));
	NOT_BEFORE(30, ppoll(&p, 1, &limit, NULL));
	NOT_BEFORE(30, ppoll(NULL, 0, &limit, NULL));
	FD_ZERO(&set);
	FD_SET(fd[0], &set);
	NOT_BEFORE(30, select(fd[0] + 1, &set, NULL, NULL, &short_limit));
	see("left: %ld.%06ld, set: %d", (long)short_limit.tv_sec,
	    (long)short_limit.tv_usec, !!FD_ISSET(fd[0], &set));
	FD_SET(fd[0], &set);
	NOT_BEFORE(30, pselect(fd[0] + 1, &set, NULL, NULL, &limit, NULL));
	see("limit kept: %ld", limit.tv_nsec);
	short_limit = (struct timeval){0, 30000};
	NOT_BEFORE(30, select(0, NULL, NULL, NULL, &short_limit));
	SEE_COUNT(ppoll(&p, 1, &wrong, NULL));
	SEE_COUNT(pselect(0, NULL, NULL, NULL, &wrong, NULL));
	short_limit = (struct timeval){-1, 0};
	SEE_COUNT(select(0, NULL, NULL, NULL, &short_limit));
	SEE_COUNT(select(-1, NULL, NULL, NULL, NULL));

	/* A limit far away, and something happens before. */
	struct later later;
	write_later(&later, fd[1], "x");
	see_poll(&p, 1, 100000);
	join(later.thread);
	close_both(fd);
	return arg;
}

static void *sets(void *arg)
{
	fd_set in, out, except;
	struct later later;
	int a[2], b[2];

	unix_pair(a);
	unix_pair(b);
	int most = (a[0] > b[0] ? a[0] : b[0]) + 1;
	FD_ZERO(&in);
	FD_SET(a[0], &in);
	FD_SET(b[0], &in);
	out = except = in;
	SEE_COUNT(select(most, &in, &out, &except, NULL));
	see("in %d%d, out %d%d, except %d%d", !!FD_ISSET(a[0], &in),
	    !!FD_ISSET(b[0], &in), !!FD_ISSET(a[0], &out),
	    !!FD_ISSET(b[0], &out), !!FD_ISSET(a[0], &except),
	    !!FD_ISSET(b[0], &except));
	FD_SET(a[0], &in);
	FD_SET(b[0], &in);
	write_later(&later, b[1], "x");
	SEE_COUNT(select(most, &in, NULL, NULL, NULL));
	see("in %d%d", !!FD_ISSET(a[0], &in), !!FD_ISSET(b[0], &in));
	join(later.thread);
	MUST_ERRNO(close(a[1]));
	FD_SET(a[0], &in);
	SEE_COUNT(pselect(most, &in, NULL, NULL, NULL, NULL));
	see("in %d%d", !!FD_ISSET(a[0], &in), !!FD_ISSET(b[0], &in));
	MUST_ERRNO(close(a[0]));
	FD_SET(a[0], &in);
	SEE_COUNT(select(most, &in, NULL, NULL, NULL));
	close_both(b);
	return arg;
}

/* As many as getdtablesize() says; behind the set is something else. */
static void *large_count(void *arg)
{
	struct {
		fd_set in;
		unsigned char other[256];
	} s;
	int fd[2];

	MUST_ERRNO(pipe(fd));
	EXPECT(write(fd[1], "x", 1) == 1);
	memset(s.other, 0xff, sizeof(s.other));
	FD_ZERO(&s.in);
	FD_SET(fd[0], &s.in);
	SEE_COUNT(select(FD_SETSIZE + 1024, &s.in, NULL, NULL, NULL));
	SEE_COUNT(pselect(FD_SETSIZE + 1024, &s.in, NULL, NULL, NULL, NULL));
	see("in %d, other %x", !!FD_ISSET(fd[0], &s.in), s.other[255]);
	close_both(fd);
	return arg;
}

enum { MANY = 1000 };

static void *many(void *arg)
{
	static struct pollfd p[MANY];
	static int fd[MANY];
	struct later later;

	for (int i = 0; i < MANY; i++) {
		fd[i] = eventfd(0, 0);
		MUST_ERRNO(fd[i]);
		p[i] = (struct pollfd){fd[i], POLLIN, 0};
	}
	SEE_COUNT(poll(p, MANY, 0));
	write_later(&later, fd[MANY - 1], "8 bytes!");
	SEE_COUNT(poll(p, MANY, -1));
	see("the last: %d", p[MANY - 1].revents == POLLIN);
	join(later.thread);
	for (int i = 0; i < MANY; i += 10)
		EXPECT(write(fd[i], "8 bytes!", 8) == 8);
	SEE_COUNT(poll(p, MANY, -1));
	for (int i = 0; i < MANY; i++)
		MUST_ERRNO(close(fd[i]));
	SEE_COUNT(poll(p, MANY, 0));
	/* One descriptor, many times. */
	int one = eventfd(0, 0);
	for (int i = 0; i < 3; i++)
		p[i].fd = one;
	write_later(&later, one, "8 bytes!");
	SEE_COUNT(poll(p, 3, -1));
	join(later.thread);
	MUST_ERRNO(close(one));
	return arg;
}

/* Pending and blocked, and let in for the time of the wait. */
static void *masks(void *arg)
{
	sigset_t none, usr1, now;
	struct pollfd p = {.events = POLLIN};
	int fd[2];

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	MUST(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
	unix_pair(fd);
	p.fd = fd[0];
	MUST(pthread_kill(pthread_self(), SIGUSR1));
	see("handled: %d", (int)handled_here);
	SEE_COUNT(ppoll(&p, 1, NULL, &none));
	see("handled: %d", (int)handled_here);
	MUST(pthread_kill(pthread_self(), SIGUSR1));
	SEE_COUNT(pselect(0, NULL, NULL, NULL, NULL, &none));
	see("handled: %d", (int)handled_here);
	MUST(pthread_sigmask(SIG_BLOCK, NULL, &now));
	see("blocked again: %d", sigismember(&now, SIGUSR1));

	/* Still blocked by the mask of the wait. */
	struct later later;
	MUST(pthread_kill(pthread_self(), SIGUSR1));
	write_later(&later, fd[1], "x");
	SEE_COUNT(ppoll(&p, 1, NULL, &usr1));
	join(later.thread);
	see("handled: %d", (int)handled_here);
	MUST(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
	see("handled: %d", (int)handled_here);
	close_both(fd);
	return arg;
}

int main(void)
{
	handle(SIGUSR1, count_signal, 0);
	IN_THREAD(states);
	IN_MAIN(states);
	IN_THREAD(hang_up);
	IN_THREAD(limits);
	IN_MAIN(limits);
	IN_THREAD(sets);
	IN_THREAD(large_count);
	IN_THREAD(many);
	IN_THREAD(masks);
	IN_MAIN(masks);
	return 0;
}
