/* SPDX-License-Identifier: MIT */
/*
 * test_poll.c - waiting for any of many descriptors gives what poll(2) would.
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(poll, .timeout = 20 * T_SLOW);

#define MANY 40 /* more than fit on the stack of the call */

struct pipes {
	struct pollfd fds[MANY];
	int in[MANY];
};

static void open_pipes(struct pipes *p)
{
	for (int i = 0; i < MANY; i++) {
		int fd[2];

		T_CHECK(pipe(fd) == 0);
		p->fds[i] = (struct pollfd){.fd = fd[0], .events = POLLIN};
		p->in[i] = fd[1];
	}
}

static void close_pipes(struct pipes *p)
{
	for (int i = 0; i < MANY; i++) {
		T_CHECK(weft_close(p->fds[i].fd) == 0);
		T_CHECK(weft_close(p->in[i]) == 0);
	}
}

static int one_of_many(void *arg)
{
	struct pipes p;
	weft_time deadline;

	(void)arg;
	open_pipes(&p);
	deadline = weft_after(WEFT_MSEC(3));
	T_CHECK(weft_poll_until(p.fds, MANY, deadline) == 0);
	T_CHECK(weft_now() >= deadline);
	for (int i = 0; i < MANY; i++) {
		char c;

		T_CHECK(write(p.in[i], "x", 1) == 1);
		T_CHECK(weft_poll(p.fds, MANY) == 1);
		for (int k = 0; k < MANY; k++)
			T_CHECK(p.fds[k].revents == (k == i ? POLLIN : 0));
		T_CHECK(weft_read(p.fds[i].fd, &c, 1) == 1);
	}
	T_CHECK(weft_poll_until(p.fds, MANY, 0) == 0);
	close_pipes(&p);
	return 0;
}

Test(poll, the_ready_one_of_many_is_named)
{
	t_in_each_way(one_of_many, NULL);
}

struct later {
	struct pipes pipes;
	int which;
};

static void *write_later(void *arg)
{
	struct later *l = arg;

	t_await_waiters(l->pipes.fds[l->which].fd, t_alone() ? 0 : 1);
	T_CHECK(write(l->pipes.in[l->which], "x", 1) == 1);
	return NULL;
}

static int woken_by_each(void *arg)
{
	struct later l;

	(void)arg;
	open_pipes(&l.pipes);
	for (l.which = 0; l.which < MANY; l.which++) {
		struct t_task task;
		char c;

		t_task_start(&task, write_later, &l);
		T_CHECK(weft_poll(l.pipes.fds, MANY) == 1);
		T_CHECK(l.pipes.fds[l.which].revents == POLLIN);
		t_task_end(&task);
		T_CHECK(weft_read(l.pipes.fds[l.which].fd, &c, 1) == 1);
	}
	close_pipes(&l.pipes);
	return 0;
}

Test(poll, each_of_many_wakes)
{
	t_in_each_way(woken_by_each, NULL);
}

static int nothing_to_wait_for(void *arg)
{
	struct pollfd none[3] = {
		{.fd = -1, .events = POLLIN, .revents = 77},
		{.fd = -7, .events = POLLOUT, .revents = 77},
		{.fd = INT32_MIN, .revents = 77},
	};
	weft_time deadline = weft_after(WEFT_MSEC(3));

	(void)arg;
	T_CHECK(weft_poll_until(NULL, 0, deadline) == 0);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(weft_poll_until(NULL, 0, 0) == 0);
	deadline = weft_after(WEFT_MSEC(3));
	T_CHECK(weft_poll_until(none, 3, deadline) == 0);
	T_CHECK(weft_now() >= deadline);
	for (int i = 0; i < 3; i++)
		T_CHECK(none[i].revents == 0);
	return 0;
}

Test(poll, without_descriptors_it_sleeps)
{
	t_in_each_way(nothing_to_wait_for, NULL);
}

static int not_open(void *arg)
{
	struct pollfd p[2] = {{.fd = 19999, .events = POLLIN}, {.fd = -1}};

	(void)arg;
	T_CHECK(weft_poll(p, 2) == 1);
	T_CHECK(p[0].revents == POLLNVAL && p[1].revents == 0);
	return 0;
}

Test(poll, a_number_that_is_not_open_is_named_at_once)
{
	t_in_each_way(not_open, NULL);
}

static int always_ready(void *arg)
{
	struct pollfd p[2] = {{.events = POLLIN | POLLOUT}, {.events = POLLIN}};
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	p[0].fd = open("/dev/null", O_RDWR);
	p[1].fd = fd[0];
	T_CHECK(weft_poll(p, 2) == 1);
	T_CHECK(p[0].revents == (POLLIN | POLLOUT));
	T_CHECK(weft_close(p[0].fd) == 0);
	p[0].fd = open("/etc/passwd", O_RDONLY);
	T_CHECK(weft_poll(p, 2) == 1);
	/* A file of which nothing is asked: the other one is waited for. */
	p[0].events = 0;
	T_CHECK(weft_poll_until(p, 2, weft_after(WEFT_MSEC(2))) == 0);
	T_CHECK(weft_write(fd[1], "x", 1) == 1);
	T_CHECK(weft_poll(p, 2) == 1 && p[1].revents == POLLIN);
	T_CHECK(weft_close(p[0].fd) == 0);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(poll, files_are_always_ready)
{
	t_in_each_way(always_ready, NULL);
}

static void *drain(void *arg)
{
	int *fd = arg;
	static char buf[1 << 16];

	t_await_waiters(fd[0], t_alone() ? 0 : 1);
	for (int i = 0; i < 64; i++)
		if (recv(fd[1], buf, sizeof buf, MSG_DONTWAIT) < 0)
			break;
	return NULL;
}

static void *hang_up(void *arg)
{
	int *fd = arg;

	t_await_waiters(fd[0], t_alone() ? 0 : 1);
	T_CHECK(close(fd[1]) == 0);
	return NULL;
}

static int each_direction(void *arg)
{
	static char buf[1 << 16];
	struct pollfd p = {.events = POLLOUT};
	struct t_task task;
	int fd[2];

	(void)arg;
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	p.fd = fd[0];
	T_CHECK(weft_poll(&p, 1) == 1 && p.revents == POLLOUT);
	while (send(fd[0], buf, sizeof buf, MSG_DONTWAIT) > 0)
		;
	T_CHECK(weft_poll_until(&p, 1, 0) == 0);
	t_task_start(&task, drain, fd);
	T_CHECK(weft_poll(&p, 1) == 1 && p.revents == POLLOUT);
	t_task_end(&task);
	p.events = POLLIN | POLLRDHUP;
	t_task_start(&task, hang_up, fd);
	T_CHECK(weft_poll(&p, 1) == 1);
	T_CHECK((p.revents & (POLLIN | POLLHUP | POLLRDHUP)) ==
		(POLLIN | POLLHUP | POLLRDHUP));
	t_task_end(&task);
	T_CHECK(weft_close(fd[0]) == 0);
	return 0;
}

Test(poll, each_direction_and_a_hang_up_wake)
{
	t_in_each_way(each_direction, NULL);
}

static void *poll_for_nothing(void *arg)
{
	struct pollfd p = {.fd = *(int *)arg};

	T_CHECK(weft_poll(&p, 1) == 1 && p.revents == POLLERR);
	return NULL;
}

static int lose_the_reader(void *arg)
{
	struct t_task task;
	int fd[2];

	(void)arg;
	T_CHECK(pipe(fd) == 0);
	t_task_start(&task, poll_for_nothing, &fd[1]);
	t_await_waiters(fd[1], t_alone() ? 0 : 1);
	T_CHECK(close(fd[0]) == 0);
	t_task_end(&task);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(poll, an_error_wakes_who_asks_for_nothing)
{
	t_in_each_way(lose_the_reader, NULL);
}

static int same_twice(void *arg)
{
	struct pollfd p[3];
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	for (int i = 0; i < 3; i++)
		p[i] = (struct pollfd){fd[0], POLLIN, 0};
	p[1].events = POLLOUT;
	T_CHECK(weft_poll(p, 3) == 1 && p[1].revents == POLLOUT);
	p[1].events = 0;
	T_CHECK(weft_poll_until(p, 3, weft_after(WEFT_MSEC(2))) == 0);
	T_CHECK(weft_write(fd[1], "x", 1) == 1);
	T_CHECK(weft_poll(p, 3) == 2);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(poll, a_descriptor_may_be_named_twice)
{
	t_in_each_way(same_twice, NULL);
}

/* --- several at once, and a reader beside --- */

static void *poll_one(void *arg)
{
	struct pollfd p = {.fd = *(int *)arg, .events = POLLIN};

	T_CHECK(weft_poll(&p, 1) == 1 && p.revents & POLLIN);
	return NULL;
}

static int many_pollers(void *arg)
{
	struct t_task tasks[50];
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	for (int i = 0; i < 50; i++)
		t_task_start(&tasks[i], poll_one, &fd[0]);
	t_await_waiters(fd[0], t_alone() ? 0 : 50);
	T_CHECK(weft_write(fd[1], "x", 1) == 1);
	for (int i = 0; i < 50; i++)
		t_task_end(&tasks[i]);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(poll, one_event_wakes_all_who_poll)
{
	t_in_each_way(many_pollers, NULL);
}

static void *poll_closed(void *arg)
{
	int *fd = arg;
	struct pollfd p[2] = {{.fd = fd[1], .events = POLLIN},
			      {.fd = fd[0], .events = POLLIN}};

	T_CHECK(weft_poll(p, 2) == 1);
	T_CHECK(p[0].revents == 0 && p[1].revents == POLLNVAL);
	return NULL;
}

static int close_to_pollers(void *arg)
{
	struct t_task tasks[3];
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	for (int i = 0; i < 3; i++)
		t_task_start(&tasks[i], poll_closed, fd);
	t_await_waiters(fd[0], 3);
	T_CHECK(weft_close(fd[0]) == 0);
	for (int i = 0; i < 3; i++)
		t_task_end(&tasks[i]);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(poll, a_close_wakes_those_who_poll)
{
	t_in_way(T_FIBER, close_to_pollers, NULL);
	t_in_way(T_FIBER_OF_2, close_to_pollers, NULL);
	t_in_way(T_THREAD, close_to_pollers, NULL);
}

static void *cancelled(void *arg)
{
	struct pollfd p = {.fd = *(int *)arg, .events = POLLIN};

	T_CHECK(weft_poll(&p, 1) == -ECANCELED);
	p.events = POLLOUT;
	T_CHECK(weft_poll(&p, 1) == -ECANCELED);
	T_CHECK(weft_poll_until(&p, 1, 0) == -ECANCELED);
	return NULL;
}

static int cancel_polling(void *arg)
{
	struct weft_fiber *f;
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	T_CHECK(weft_spawn(&f, NULL, cancelled, &fd[0]) == 0);
	t_await_waiters(fd[0], 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(t_waiters(fd[0]) == 0);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(poll, it_can_be_cancelled)
{
	t_on_fibers(cancel_polling, NULL);
}
