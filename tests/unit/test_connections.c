/* SPDX-License-Identifier: MIT */
/*
 * test_connections.c - ten thousand connections at a time, a fiber each, with
 * another process at the other ends.
 */
#include "support/io.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(connections, .timeout = 90 * T_SLOW);

#define ROUNDS 3

/* --- the other process: plain blocking calls --- */

struct message {
	uint32_t connection, round;
};

static int dial(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (const void *)at, sizeof *at) == 0)
		return fd;
	perror("connect");
	_exit(2);
}

static void say(int fd, uint32_t connection, uint32_t round)
{
	struct message m = {connection, round};

	if (write(fd, &m, sizeof m) != sizeof m)
		_exit(3);
}

static void hear(int fd, uint32_t connection, uint32_t round)
{
	struct message m;

	if (recv(fd, &m, sizeof m, MSG_WAITALL) != sizeof m ||
	    m.connection != connection || m.round != round)
		_exit(4);
}

/* All are open before the first is spoken on. */
static void be_clients(const struct sockaddr_in *at, uint32_t n)
{
	int *fds = calloc(n, sizeof *fds);

	for (uint32_t i = 0; i < n; i++)
		fds[i] = dial(at);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < n; i++)
			say(fds[i], i, round);
		for (uint32_t i = 0; i < n; i++)
			hear(fds[i], i, round);
	}
	_exit(0);
}

/* --- this process --- */

struct server {
	int lfd;
	uint32_t n;
	_Atomic uint32_t open, most, ended;
};

static struct server server;

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint32_t open = ++server.open, most = server.most;
	struct message m;

	while (open > most &&
	       !atomic_compare_exchange_weak(&server.most, &most, open))
		;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		T_CHECK(weft_read_full(fd, &m, sizeof m, NULL) == 0);
		T_CHECK(m.round == round);
		T_CHECK(weft_write_all(fd, &m, sizeof m, NULL) == 0);
	}
	T_CHECK(weft_read(fd, &m, sizeof m) == 0);
	T_CHECK(weft_close(fd) == 0);
	server.open--;
	server.ended++;
	return NULL;
}

static int accept_all(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < server.n; i++) {
		int fd = weft_accept(server.lfd, NULL, NULL);

		T_CHECK(fd >= 0);
		T_CHECK(weft_spawn(NULL, NULL, serve, (void *)(intptr_t)fd) ==
			0);
	}
	return 0;
}

static bool room_for(uint32_t n)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur >= n + 100;
}

static void serve_clients(enum t_way way)
{
	struct sockaddr_in at;
	socklen_t size = sizeof at;
	int status = -1, fds = t_fds();
	pid_t child;

	server = (struct server){.n = (uint32_t)t_scale(10000)};
	if (!room_for(server.n))
		cr_skip_test("too few descriptors allowed");
	server.lfd = weft_listen("127.0.0.1:0", NULL);
	cr_assert_eq(getsockname(server.lfd, (void *)&at, &size), 0);
	child = fork();
	if (child == 0)
		be_clients(&at, server.n);
	t_in_way(way, accept_all, NULL);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(server.most, server.n);
	cr_assert_eq(server.ended, server.n);
	cr_assert_eq(weft_close(server.lfd), 0);
	cr_assert_eq(t_fds(), fds);
}

Test(connections, one_worker_keeps_ten_thousand_apart)
{
	serve_clients(T_FIBER);
}

Test(connections, two_workers_keep_ten_thousand_apart)
{
	serve_clients(T_FIBER_OF_2);
}
