/* SPDX-License-Identifier: MIT */
/*
 * test_interrupt.c - every second call that a signal may interrupt is
 * interrupted: nobody is told, nothing is lost, and nothing ends too early.
 */
#include "support/fail.h"
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(interrupt, .timeout = 20 * T_SLOW);

#define ROUNDS 100

static int interrupted(int (*fn)(void *arg), void *arg, unsigned at_least)
{
	int r;

	fail_interrupt();
	r = fn(arg);
	T_CHECK(fail_injected() >= at_least);
	fail_stop();
	return r;
}

/* --- to and fro --- */

static void *send_numbers(void *fd)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		T_CHECK(weft_write((int)(intptr_t)fd, &i, sizeof i) ==
			sizeof i);
		if (i % 8 == 0)
			weft_yield();
	}
	return NULL;
}

/* By plain calls, which are not to be interrupted. */
static void make(const struct t_kind *kind, int fd[2])
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	T_CHECK(kind->make(fd) == 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void numbers(const struct t_kind *kind, bool late)
{
	struct t_task task;
	uint32_t number;
	int fd[2];

	make(kind, fd);
	t_task_start(&task, send_numbers, (void *)(intptr_t)fd[1]);
	if (late)
		weft_yield();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		T_CHECK(weft_read(fd[0], &number, sizeof number) ==
			sizeof number);
		T_CHECK(number == i);
	}
	t_task_end(&task);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
}

static int all_numbers(void *late)
{
	for (size_t i = 0; i < t_kinds_count; i++)
		numbers(&t_kinds[i], late);
	return 0;
}

static int all_numbers_interrupted(void *late)
{
	return interrupted(all_numbers, late, ROUNDS);
}

Test(interrupt, what_is_sent_arrives)
{
	t_in_each_way(all_numbers_interrupted, NULL);
	t_in_each_way(all_numbers_interrupted, "late");
}

Test(interrupt, what_is_sent_arrives_on_an_old_kernel)
{
	setenv("WEFT_WITHOUT", "nowait,epoll_pwait2,membarrier", 1);
	t_in_each_way(all_numbers_interrupted, NULL);
}

/* --- by real signals, which reach the threads that do not block them --- */

static void on_alarm(int unused)
{
	(void)unused;
}

static void alarm_every(suseconds_t us)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval t = {{0, us}, {0, us}};

	sigemptyset(&action.sa_mask);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static int numbers_in_alarm(void *late)
{
	for (size_t i = t_scale(10); i; i--)
		all_numbers(late);
	return 0;
}

Test(interrupt, what_is_sent_arrives_between_signals)
{
	alarm_every(300);
	t_in_each_way(numbers_in_alarm, "late");
	alarm_every(0);
}

/* --- messages --- */

static void *receive_messages(void *fd)
{
	char buf[16];
	struct sockaddr_storage from;
	socklen_t size;

	for (int i = 0; i < ROUNDS; i++) {
		size = sizeof from;
		T_CHECK(weft_recvfrom((int)(intptr_t)fd, buf, sizeof buf, 0,
				      (void *)&from, &size) == 5);
	}
	return NULL;
}

static int messages(void *unused)
{
	struct t_task task;
	int fd[2];

	(void)unused;
	T_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) == 0);
	t_task_start(&task, receive_messages, (void *)(intptr_t)fd[0]);
	for (int i = 0; i < ROUNDS; i++)
		T_CHECK(weft_sendto(fd[1], "hello", 5, 0, NULL, 0) == 5);
	t_task_end(&task);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

static int messages_interrupted(void *unused)
{
	return interrupted(messages, unused, ROUNDS);
}

Test(interrupt, messages_arrive)
{
	t_in_each_way(messages_interrupted, NULL);
}

/* --- connections --- */

#define CONNECTIONS 30

struct meeting {
	struct sockaddr_un at;
	char address[WEFT_ADDRESS_MAX];
	int lfd;
	bool foreign; /* the sockets are not weft's, and block */
};

static int connect_to(struct meeting *m)
{
	int fd;

	if (!m->foreign)
		return weft_dial(m->address, NULL);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_CHECK(weft_connect(fd, (void *)&m->at, sizeof m->at) == 0);
	T_CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	return fd;
}

static void *call_often(void *arg)
{
	struct meeting *m = arg;
	char c = 0;

	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = connect_to(m);

		T_CHECK(fd >= 0);
		T_CHECK(weft_write(fd, "x", 1) == 1);
		T_CHECK(weft_read(fd, &c, 1) == 1 && c == 'y');
		T_CHECK(weft_close(fd) == 0);
	}
	return NULL;
}

static void answer_often(struct meeting *m)
{
	struct t_task task;
	char c = 0;

	t_task_start(&task, call_often, m);
	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = weft_accept(m->lfd, NULL, NULL);

		T_CHECK(fd >= 0);
		T_CHECK(weft_read(fd, &c, 1) == 1 && c == 'x');
		T_CHECK(weft_write(fd, "y", 1) == 1);
		T_CHECK(weft_read(fd, &c, 1) == 0);
		T_CHECK(weft_close(fd) == 0);
	}
	t_task_end(&task);
	T_CHECK(weft_close(m->lfd) == 0);
}

static int meet(void *address)
{
	struct meeting m = {.lfd = weft_listen(address, NULL)};

	T_CHECK(m.lfd >= 0);
	T_CHECK(weft_local_address(m.lfd, m.address, sizeof m.address) > 0);
	answer_often(&m);
	return 0;
}

static int meet_interrupted(void *address)
{
	return interrupted(meet, address, CONNECTIONS);
}

Test(interrupt, connections_are_made)
{
	char path[64];

	t_in_each_way(meet_interrupted, "127.0.0.1:0");
	snprintf(path, sizeof path, "unix:/tmp/weft-interrupt-%d", getpid());
	t_in_each_way(meet_interrupted, path);
	unlink(path + 5);
}

/* What is not weft's blocks, and is asked by poll(2) first. */
static int meet_foreign(void *unused)
{
	struct meeting m = {.at.sun_family = AF_UNIX, .foreign = true};

	(void)unused;
	snprintf(m.at.sun_path, sizeof m.at.sun_path, "/tmp/weft-interrupt-%d",
		 getpid());
	m.lfd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_CHECK(bind(m.lfd, (void *)&m.at, sizeof m.at) == 0);
	T_CHECK(listen(m.lfd, 8) == 0);
	answer_often(&m);
	T_CHECK(unlink(m.at.sun_path) == 0);
	return 0;
}

static int meet_foreign_interrupted(void *unused)
{
	return interrupted(meet_foreign, unused, CONNECTIONS);
}

Test(interrupt, connections_are_made_with_sockets_that_block)
{
	t_in_each_way(meet_foreign_interrupted, NULL);
}

/* Not taken for a connection that has been begun. */
static int connect_to_nobody(void *unused)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX,
				 .sun_path = "/tmp/weft-nobody-is-here"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	fail_next(SYS_connect, EINTR, 3);
	T_CHECK(weft_connect(fd, (void *)&at, sizeof at) == -ENOENT);
	T_CHECK(fail_made(SYS_connect) == 4);
	fail_stop();
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(interrupt, a_connection_that_could_not_begin_is_not_made)
{
	t_in_each_way(connect_to_nobody, NULL);
}

/* --- poll --- */

static void *write_to_each(void *arg)
{
	int(*fd)[2] = arg;

	for (int i = 0; i < ROUNDS; i++) {
		T_CHECK(weft_write(fd[i % 2][1], "x", 1) == 1);
		weft_yield();
	}
	return NULL;
}

static int poll_both(void *unused)
{
	struct pollfd p[2];
	struct t_task task;
	int fd[2][2], n = 0;
	char c;

	(void)unused;
	for (int i = 0; i < 2; i++) {
		T_CHECK(pipe(fd[i]) == 0);
		p[i] = (struct pollfd){.fd = fd[i][0], .events = POLLIN};
	}
	t_task_start(&task, write_to_each, fd);
	while (n < ROUNDS) {
		T_CHECK(weft_poll(p, 2) > 0);
		for (int i = 0; i < 2; i++)
			if (p[i].revents)
				n += (int)weft_read(p[i].fd, &c, 1);
	}
	t_task_end(&task);
	for (int i = 0; i < 2; i++) {
		T_CHECK(weft_close(fd[i][0]) == 0);
		T_CHECK(weft_close(fd[i][1]) == 0);
	}
	return 0;
}

static int poll_both_interrupted(void *unused)
{
	return interrupted(poll_both, unused, ROUNDS / 4);
}

Test(interrupt, poll_sees_what_comes)
{
	t_in_each_way(poll_both_interrupted, NULL);
}

/* --- time --- */

static int wait_for_nothing(void *unused)
{
	struct pollfd p = {.events = POLLIN};
	weft_time deadline;
	int fd[2];
	char c;

	(void)unused;
	T_CHECK(pipe(fd) == 0);
	p.fd = fd[0];
	for (int i = 0; i < 10; i++) {
		deadline = weft_after(WEFT_USEC(300));
		T_CHECK(weft_sleep_until(deadline) == 0);
		T_CHECK(weft_now() >= deadline);
		deadline = weft_after(WEFT_USEC(300));
		T_CHECK(weft_read_until(fd[0], &c, 1, deadline) == -ETIMEDOUT);
		T_CHECK(weft_now() >= deadline);
		deadline = weft_after(WEFT_USEC(300));
		T_CHECK(weft_poll_until(&p, 1, deadline) == 0);
		T_CHECK(weft_now() >= deadline);
	}
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

static int wait_for_nothing_interrupted(void *unused)
{
	return interrupted(wait_for_nothing, unused, 10);
}

Test(interrupt, no_wait_ends_early)
{
	t_in_each_way(wait_for_nothing_interrupted, NULL);
}

/* --- the pool --- */

static void *plus_one(void *arg)
{
	return (void *)((intptr_t)arg + 1);
}

static int ask_the_pool(void *unused)
{
	struct addrinfo *list;
	void *result = NULL;

	(void)unused;
	for (intptr_t i = 0; i < ROUNDS; i++) {
		T_CHECK(weft_blocking(plus_one, (void *)i, &result) == 0);
		T_CHECK((intptr_t)result == i + 1);
	}
	T_CHECK(weft_resolve("localhost", "80", NULL, &list) == 0);
	freeaddrinfo(list);
	return 0;
}

static int ask_the_pool_interrupted(void *unused)
{
	return interrupted(ask_the_pool, unused, 1);
}

Test(interrupt, the_pool_answers)
{
	t_on_fibers(ask_the_pool_interrupted, NULL);
}

/* --- a life --- */

static int nothing(void *unused)
{
	(void)unused;
	return 7;
}

Test(interrupt, runtimes_begin_and_end)
{
	struct weft_options o = {.workers = 3};

	for (size_t i = t_scale(20); i; i--) {
		fail_interrupt();
		cr_assert_eq(weft_run(&o, nothing, NULL), 7);
		fail_stop();
	}
}
