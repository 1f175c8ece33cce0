/* SPDX-License-Identifier: MIT */
/*
 * test_socket.c - accepting and connecting: whoever made the socket, from many
 * fibers, out of descriptors, and until a deadline.
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(socket, .timeout = 20 * T_SLOW);

/* A blocking listener on loopback that weft has not made. */
static int foreign_listener(struct sockaddr_in *at, int backlog)
{
	socklen_t size = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	T_CHECK(bind(fd, (struct sockaddr *)at, size) == 0);
	T_CHECK(listen(fd, backlog) == 0);
	T_CHECK(getsockname(fd, (struct sockaddr *)at, &size) == 0);
	return fd;
}

static int plain_client(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	T_CHECK(connect(fd, (const struct sockaddr *)at, sizeof *at) == 0);
	return fd;
}

/* --- accept --- */

static int accept_one(void *arg)
{
	struct sockaddr_in at, from, own;
	socklen_t size = sizeof from, own_size = sizeof own;
	int lfd = foreign_listener(&at, 8), flags = t_flags(lfd), fd, client;
	weft_time deadline = weft_after(WEFT_MSEC(3));

	(void)arg;
	T_CHECK(weft_accept_until(lfd, NULL, NULL, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	client = plain_client(&at);
	fd = weft_accept(lfd, (struct sockaddr *)&from, &size);
	T_CHECK(fd >= 0);
	T_CHECK(getsockname(client, (struct sockaddr *)&own, &own_size) == 0);
	T_CHECK(size == sizeof from && from.sin_port == own.sin_port);
	T_CHECK(t_flags(fd) & O_NONBLOCK);
	T_CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	T_CHECK(t_flags(lfd) == flags && !(flags & O_NONBLOCK));
	T_CHECK(weft_accept_until(lfd, NULL, NULL, 0) == -ETIMEDOUT);
	T_CHECK(weft_close(fd) == 0);
	T_CHECK(weft_close(client) == 0);
	T_CHECK(weft_close(lfd) == 0);
	return 0;
}

Test(socket, a_blocking_listener_accepts_and_stays_blocking)
{
	t_in_each_way(accept_one, NULL);
}

static int accept_wrong(void *arg)
{
	int fd[2], p[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	T_CHECK(pipe(p) == 0);
	T_CHECK(weft_accept(fd[0], NULL, NULL) == -EINVAL);
	T_CHECK(weft_accept(p[0], NULL, NULL) == -ENOTSOCK);
	T_CHECK(weft_accept(-1, NULL, NULL) == -EBADF);
	for (int i = 0; i < 2; i++) {
		T_CHECK(weft_close(fd[i]) == 0);
		T_CHECK(weft_close(p[i]) == 0);
	}
	return 0;
}

Test(socket, what_does_not_listen_accepts_nothing)
{
	t_in_each_way(accept_wrong, NULL);
}

#define ACCEPTORS 10

struct crowd {
	int lfd;
	_Atomic int accepted;
};

/* Until the listener is closed. */
static void *accept_many(void *arg)
{
	struct crowd *c = arg;
	int fd;

	while ((fd = weft_accept(c->lfd, NULL, NULL)) >= 0) {
		c->accepted++;
		T_CHECK(weft_write(fd, "w", 1) == 1);
		T_CHECK(weft_close(fd) == 0);
	}
	T_CHECK(fd == -EBADF);
	return NULL;
}

static int accept_in_a_crowd(void *arg)
{
	struct crowd c = {.accepted = 0};
	struct t_task tasks[ACCEPTORS];
	struct sockaddr_in at;
	int rounds = (int)t_scale(300);

	c.lfd = arg ? weft_listen("127.0.0.1:0", NULL)
		    : foreign_listener(&at, 64);
	if (arg)
		T_CHECK(getsockname(c.lfd, (struct sockaddr *)&at,
				    &(socklen_t){sizeof at}) == 0);
	for (int i = 0; i < ACCEPTORS; i++)
		t_task_start(&tasks[i], accept_many, &c);
	for (int i = 0; i < rounds; i++) {
		int fd = plain_client(&at);
		char byte;

		T_CHECK(weft_read(fd, &byte, 1) == 1);
		T_CHECK(weft_close(fd) == 0);
	}
	T_CHECK(c.accepted == rounds);
	t_await_waiters(c.lfd, ACCEPTORS);
	T_CHECK(weft_close(c.lfd) == 0);
	for (int i = 0; i < ACCEPTORS; i++)
		t_task_end(&tasks[i]);
	return 0;
}

static void crowd_on(void *arg)
{
	t_in_way(T_FIBER, accept_in_a_crowd, arg);
	t_in_way(T_FIBER_OF_2, accept_in_a_crowd, arg);
	t_in_way(T_THREAD, accept_in_a_crowd, arg);
}

Test(socket, many_accept_from_one_listener)
{
	crowd_on("made by weft");
}

Test(socket, many_accept_from_one_blocking_listener_and_none_gets_stuck)
{
	crowd_on(NULL);
}

/* --- out of descriptors --- */

struct exhausted {
	int lfd, spare;
	struct rlimit limit;
};

/* Nothing free below the limit but what is given back. */
static void exhaust(struct exhausted *e)
{
	struct rlimit low;

	e->spare = dup(e->lfd);
	getrlimit(RLIMIT_NOFILE, &e->limit);
	low = e->limit;
	low.rlim_cur = (rlim_t)e->spare + 1;
	T_CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	while (dup(e->lfd) >= 0)
		;
	T_CHECK(errno == EMFILE);
}

static void *give_back(void *arg)
{
	struct exhausted *e = arg;

	t_await_waiters(e->lfd, t_alone() ? 0 : 1);
	T_CHECK(close(e->spare) == 0);
	return NULL;
}

static int accept_exhausted(void *arg)
{
	struct exhausted e;
	struct sockaddr_in at;
	struct t_task task;
	weft_time deadline;
	int client, fd;

	(void)arg;
	e.lfd = foreign_listener(&at, 8);
	client = plain_client(&at);
	exhaust(&e);
	deadline = weft_after(WEFT_MSEC(30));
	T_CHECK(weft_accept_until(e.lfd, NULL, NULL, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	t_task_start(&task, give_back, &e);
	fd = weft_accept(e.lfd, NULL, NULL);
	T_CHECK(fd == e.spare);
	t_task_end(&task);
	T_CHECK(setrlimit(RLIMIT_NOFILE, &e.limit) == 0);
	T_CHECK(weft_close(fd) == 0);
	T_CHECK(weft_close(client) == 0);
	T_CHECK(weft_close(e.lfd) == 0);
	return 0;
}

/* One worker: a thread that starts may hold a descriptor for a moment. */
Test(socket, a_listener_out_of_descriptors_comes_back_by_itself)
{
	t_in_way(T_FIBER, accept_exhausted, NULL);
	t_in_way(T_THREAD, accept_exhausted, NULL);
	t_in_way(T_ALONE, accept_exhausted, NULL);
}

/* --- connect --- */

static int connect_one(void *arg)
{
	struct sockaddr_in at;
	int lfd = foreign_listener(&at, 8), fd, peer;
	char c;

	(void)arg;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	T_CHECK(weft_connect(fd, (void *)&at, sizeof at) == 0);
	T_CHECK(!(t_flags(fd) & O_NONBLOCK));
	peer = weft_accept(lfd, NULL, NULL);
	T_CHECK(weft_write(fd, "c", 1) == 1);
	T_CHECK(weft_read(peer, &c, 1) == 1);
	T_CHECK(weft_close(fd) == 0);
	T_CHECK(weft_close(peer) == 0);
	T_CHECK(weft_close(lfd) == 0);
	return 0;
}

Test(socket, a_blocking_socket_connects_and_stays_blocking)
{
	t_in_each_way(connect_one, NULL);
}

static int connect_refused(void *arg)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX,
				 .sun_path = "/tmp/weft-test-nobody"};
	struct sockaddr_in at;
	int lfd = foreign_listener(&at, 8), fd, p[2];

	(void)arg;
	T_CHECK(weft_close(lfd) == 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	T_CHECK(weft_connect(fd, (void *)&at, sizeof at) == -ECONNREFUSED);
	T_CHECK(!(t_flags(fd) & O_NONBLOCK));
	T_CHECK(weft_close(fd) == 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	T_CHECK(weft_connect(fd, (void *)&un, sizeof un) == -ENOENT);
	T_CHECK(weft_connect(fd, (void *)&at, sizeof at) == -EINVAL);
	T_CHECK(weft_close(fd) == 0);
	T_CHECK(pipe(p) == 0);
	T_CHECK(weft_connect(p[0], (void *)&at, sizeof at) == -ENOTSOCK);
	T_CHECK(weft_close(p[0]) == 0);
	T_CHECK(weft_close(p[1]) == 0);
	T_CHECK(weft_connect(-1, (void *)&at, sizeof at) == -EBADF);
	return 0;
}

Test(socket, a_connection_that_cannot_be_made_says_why)
{
	t_in_each_way(connect_refused, NULL);
}

/* Connections that the queue of a listener has no room for any more. */
static void fill_queue(const struct sockaddr *at, socklen_t size, int *fds,
		       int n)
{
	for (int i = 0; i < n; i++) {
		fds[i] = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fds[i], at, size) < 0)
			T_CHECK(errno == EINPROGRESS || errno == EAGAIN);
	}
}

static int connect_to_full(void *arg)
{
	struct sockaddr_in at;
	int lfd = foreign_listener(&at, 0), fds[4], fd;
	struct pollfd arrived = {.fd = lfd, .events = POLLIN};
	weft_time deadline;

	(void)arg;
	fill_queue((void *)&at, sizeof at, fds, 4);
	T_CHECK(poll(&arrived, 1, -1) == 1);
	deadline = weft_after(WEFT_MSEC(20));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	T_CHECK(weft_connect_until(fd, (void *)&at, sizeof at, deadline) ==
		-ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(!(t_flags(fd) & O_NONBLOCK));
	T_CHECK(weft_close(fd) == 0);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	T_CHECK(weft_close(lfd) == 0);
	return 0;
}

Test(socket, connecting_to_a_full_queue_ends_at_the_deadline)
{
	t_in_each_way(connect_to_full, NULL);
}

struct unix_full {
	int lfd, fds[4];
};

/* One place in the queue. */
static void *accept_one_of_them(void *arg)
{
	int fd = accept(((struct unix_full *)arg)->lfd, NULL, NULL);

	T_CHECK(fd >= 0);
	close(fd);
	return NULL;
}

static int connect_to_full_unix(void *arg)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct unix_full u;
	socklen_t size;
	pthread_t thread;
	int fd;

	(void)arg;
	size = (socklen_t)(sizeof(sa_family_t) +
			   (size_t)sprintf(un.sun_path, "%cweft-full-%d", 0,
					   getpid()));
	u.lfd = socket(AF_UNIX, SOCK_STREAM, 0);
	T_CHECK(bind(u.lfd, (void *)&un, size) == 0);
	T_CHECK(listen(u.lfd, 0) == 0);
	fill_queue((void *)&un, size, u.fds, 4);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	T_CHECK(weft_connect_until(fd, (void *)&un, size,
				   weft_after(WEFT_MSEC(10))) == -ETIMEDOUT);
	T_CHECK(pthread_create(&thread, NULL, accept_one_of_them, &u) == 0);
	T_CHECK(weft_connect(fd, (void *)&un, size) == 0);
	T_CHECK(!(t_flags(fd) & O_NONBLOCK));
	pthread_join(thread, NULL);
	T_CHECK(weft_close(fd) == 0);
	for (int i = 0; i < 4; i++)
		close(u.fds[i]);
	T_CHECK(weft_close(u.lfd) == 0);
	return 0;
}

Test(socket, a_full_unix_queue_is_tried_again_until_there_is_room)
{
	t_in_each_way(connect_to_full_unix, NULL);
}

/* --- cancel --- */

struct stuck {
	int fd;
	struct sockaddr_in at;
};

static void *accept_cancelled(void *arg)
{
	T_CHECK(weft_accept(*(int *)arg, NULL, NULL) == -ECANCELED);
	T_CHECK(weft_accept_until(*(int *)arg, NULL, NULL, 0) == -ECANCELED);
	return NULL;
}

static void *connect_cancelled(void *arg)
{
	struct stuck *s = arg;

	T_CHECK(weft_connect(s->fd, (void *)&s->at, sizeof s->at) ==
		-ECANCELED);
	return NULL;
}

static int cancel_both(void *arg)
{
	struct weft_fiber *f[2];
	struct stuck s;
	int lfd = foreign_listener(&s.at, 0), empty, fds[4];
	struct sockaddr_in other;

	(void)arg;
	empty = foreign_listener(&other, 1);
	fill_queue((void *)&s.at, sizeof s.at, fds, 4);
	s.fd = socket(AF_INET, SOCK_STREAM, 0);
	T_CHECK(weft_spawn(&f[0], NULL, accept_cancelled, &empty) == 0);
	T_CHECK(weft_spawn(&f[1], NULL, connect_cancelled, &s) == 0);
	t_await_waiters(empty, 1);
	t_await_waiters(s.fd, 1);
	for (int i = 0; i < 2; i++) {
		weft_cancel(f[i]);
		T_CHECK(weft_join(f[i], NULL) == 0);
	}
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	T_CHECK(weft_close(s.fd) == 0);
	T_CHECK(weft_close(lfd) == 0);
	T_CHECK(weft_close(empty) == 0);
	return 0;
}

Test(socket, accept_and_connect_can_be_cancelled)
{
	t_on_fibers(cancel_both, NULL);
}
