/* SPDX-License-Identifier: MIT */
/*
 * test_message.c - many messages in one call, and what MSG_WAITALL waits for.
 */
#include "support/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(message, .timeout = 20 * T_SLOW);

#define MANY 20

/* Messages of one number each. */
struct numbers {
	struct mmsghdr msgs[MANY];
	struct iovec iov[MANY];
	int values[MANY];
};

static void begin(struct numbers *n, int first)
{
	memset(n, 0, sizeof *n);
	for (int i = 0; i < MANY; i++) {
		n->values[i] = first + i;
		n->iov[i] = (struct iovec){&n->values[i], sizeof(int)};
		n->msgs[i].msg_hdr.msg_iov = &n->iov[i];
		n->msgs[i].msg_hdr.msg_iovlen = 1;
	}
}

static bool are(const struct numbers *n, int count, int first)
{
	for (int i = 0; i < count; i++)
		if (n->values[i] != first + i ||
		    n->msgs[i].msg_len != sizeof(int))
			return false;
	return true;
}

static int with_each_kind(void (*fn)(int fd[2]), bool messages)
{
	for (size_t i = 0; i < t_kinds_count; i++) {
		int fd[2];

		if (!t_kinds[i].socket || t_kinds[i].messages != messages)
			continue;
		T_CHECK(t_kinds[i].make(fd) == 0);
		fn(fd);
		weft_close(fd[0]);
		weft_close(fd[1]);
	}
	return 0;
}

/* --- at once --- */

static void at_once(int fd[2])
{
	struct numbers out, in;

	begin(&out, 100);
	begin(&in, 0);
	T_CHECK(weft_sendmmsg(fd[1], out.msgs, 5, 0) == 5 && are(&out, 5, 100));
	T_CHECK(weft_recvmmsg(fd[0], in.msgs, 2, 0) == 2 && are(&in, 2, 100));
	T_CHECK(weft_recvmmsg(fd[0], in.msgs, MANY, MSG_WAITFORONE) == 3);
	T_CHECK(are(&in, 3, 102));
	T_CHECK(weft_recvmmsg(fd[0], in.msgs, MANY, MSG_DONTWAIT) == -EAGAIN);
	T_CHECK(weft_recvmmsg_until(fd[0], in.msgs, MANY, 0, 0) == -ETIMEDOUT);
	T_CHECK(weft_recvmmsg(fd[0], in.msgs, 0, 0) == 0);
	T_CHECK(weft_sendmmsg(fd[1], out.msgs, 0, 0) == 0);
	T_CHECK(!(t_flags(fd[0]) & O_NONBLOCK));
}

static int all_at_once(void *arg)
{
	(void)arg;
	return with_each_kind(at_once, true);
}

Test(message, many_pass_in_one_call)
{
	t_in_each_way(all_at_once, NULL);
}

/* --- waiting --- */

static void *send_singly(void *arg)
{
	for (int i = 0; i < MANY; i++) {
		if (weft_self())
			weft_yield();
		T_CHECK(weft_send(*(int *)arg, &i, sizeof i, 0) == sizeof i);
	}
	return NULL;
}

static void wait_for_all(int fd[2])
{
	struct numbers in;
	struct t_task sender;

	begin(&in, -1);
	t_task_start(&sender, send_singly, &fd[1]);
	T_CHECK(weft_recvmmsg(fd[0], in.msgs, MANY, 0) == MANY);
	T_CHECK(are(&in, MANY, 0));
	t_task_end(&sender);
}

static int all_wait(void *arg)
{
	(void)arg;
	return with_each_kind(wait_for_all, true);
}

Test(message, all_are_waited_for)
{
	t_in_each_way(all_wait, NULL);
}

static void wait_for_one(int fd[2])
{
	struct numbers in;
	struct t_task sender;
	int n = 0, r;

	t_task_start(&sender, send_singly, &fd[1]);
	while (n < MANY) {
		begin(&in, -1);
		r = weft_recvmmsg(fd[0], in.msgs, MANY, MSG_WAITFORONE);
		T_CHECK(r > 0 && are(&in, r, n));
		n += r > 0 ? r : MANY;
	}
	t_task_end(&sender);
}

static int all_wait_for_one(void *arg)
{
	(void)arg;
	return with_each_kind(wait_for_one, true);
}

Test(message, or_one_of_them)
{
	t_in_each_way(all_wait_for_one, NULL);
}

static void some_in_time(int fd[2])
{
	struct numbers out, in;
	weft_time until = weft_after(WEFT_MSEC(20));

	begin(&out, 7);
	begin(&in, 0);
	T_CHECK(weft_sendmmsg(fd[1], out.msgs, 3, 0) == 3);
	T_CHECK(weft_recvmmsg_until(fd[0], in.msgs, MANY, 0, until) == 3);
	T_CHECK(weft_now() >= until && are(&in, 3, 7));
	T_CHECK(weft_recvmmsg_until(fd[0], in.msgs, MANY, 0, until) ==
		-ETIMEDOUT);
}

static int all_in_time(void *arg)
{
	(void)arg;
	return with_each_kind(some_in_time, true);
}

Test(message, what_came_before_the_deadline_is_given)
{
	t_in_each_way(all_in_time, NULL);
}

/* The queues of Unix datagram sockets are short, and room there is no event. */
static void *receive_singly(void *arg)
{
	for (int i = 0; i < MANY * 5; i++) {
		int value = -1;

		T_CHECK(weft_recv(*(int *)arg, &value, sizeof value, 0) ==
			sizeof value);
		T_CHECK(value == i % MANY);
	}
	return NULL;
}

static int unix_receiver(struct sockaddr_un *un, socklen_t *size)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un none = {.sun_family = AF_UNIX};

	*size = sizeof *un;
	T_CHECK(bind(fd, (struct sockaddr *)&none, sizeof(sa_family_t)) == 0);
	T_CHECK(getsockname(fd, (struct sockaddr *)un, size) == 0);
	return fd;
}

static int fill_queue(void *arg)
{
	struct sockaddr_un un;
	socklen_t size;
	struct numbers out;
	struct t_task receiver;
	int to = unix_receiver(&un, &size), from, sent = 0;

	(void)arg;
	from = socket(AF_UNIX, SOCK_DGRAM, 0);
	begin(&out, 0);
	for (int i = 0; i < MANY; i++) {
		out.msgs[i].msg_hdr.msg_name = &un;
		out.msgs[i].msg_hdr.msg_namelen = size;
	}
	t_task_start(&receiver, receive_singly, &to);
	for (int i = 0; i < 5; i++)
		T_CHECK(weft_sendmmsg(from, out.msgs, MANY, 0) == MANY);
	t_task_end(&receiver);
	/* Nobody receives any more. */
	while ((sent = weft_sendmmsg_until(from, out.msgs, MANY, 0,
					   weft_after(WEFT_MSEC(5)))) == MANY)
		;
	T_CHECK(sent > 0 || sent == -ETIMEDOUT);
	T_CHECK(weft_sendmmsg(from, out.msgs, MANY, MSG_DONTWAIT) == -EAGAIN);
	T_CHECK(weft_close(from) == 0 && weft_close(to) == 0);
	return 0;
}

Test(message, a_queue_that_is_full_is_waited_for)
{
	t_in_each_way(fill_queue, NULL);
}

/* --- streams --- */

#define BIG (1 << 20)

static void *read_slowly(void *arg)
{
	static char buf[4096];
	ssize_t n;
	size_t total = 0;

	while ((n = weft_read(*(int *)arg, buf, sizeof buf)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			T_CHECK(buf[i] ==
				(total + (size_t)i < BIG ? 'a' : 'b'));
		total += (size_t)n;
	}
	return (void *)total;
}

/* A message that went in part is the last one, so that nothing is left out. */
static void send_big(int fd[2])
{
	static char a[BIG], b[BIG];
	struct iovec iov[2] = {{a, BIG}, {b, BIG}};
	struct mmsghdr msgs[2] = {
		{.msg_hdr = {.msg_iov = &iov[0], .msg_iovlen = 1}},
		{.msg_hdr = {.msg_iov = &iov[1], .msg_iovlen = 1}}};
	struct t_task reader;
	int next = 0;

	memset(a, 'a', BIG);
	memset(b, 'b', BIG);
	t_task_start(&reader, read_slowly, &fd[0]);
	while (next < 2) {
		int n = weft_sendmmsg(fd[1], &msgs[next], (unsigned)(2 - next),
				      0);
		struct iovec *last;

		T_CHECK(n > 0);
		next += n > 0 ? n - 1 : 2;
		last = &iov[next & 1];
		last->iov_base =
			(char *)last->iov_base + msgs[next & 1].msg_len;
		last->iov_len -= msgs[next & 1].msg_len;
		next += last->iov_len == 0;
	}
	T_CHECK(weft_shutdown(fd[1], SHUT_WR) == 0);
	T_CHECK(t_task_end(&reader) == (void *)(2 * BIG));
}

static int all_send_big(void *arg)
{
	(void)arg;
	return with_each_kind(send_big, false);
}

/* Qemu sends each message by itself, the next one after a part of one too. */
Test(message, a_stream_takes_no_message_before_the_rest_of_another,
     .disabled = T_EMULATED)
{
	t_in_each_way(all_send_big, NULL);
}

/* --- errors --- */

static int errors(void *arg)
{
	struct numbers n;
	int pipes[2], pair[2];

	(void)arg;
	begin(&n, 0);
	T_CHECK(pipe(pipes) == 0 && t_pair(pair) == 0);
	T_CHECK(weft_recvmmsg(pipes[0], n.msgs, 2, 0) == -ENOTSOCK);
	T_CHECK(weft_sendmmsg(pipes[1], n.msgs, 2, 0) == -ENOTSOCK);
	T_CHECK(weft_close(pair[1]) == 0);
	T_CHECK(weft_recvmmsg(pair[0], n.msgs, 2, 0) == 2);
	T_CHECK(n.msgs[0].msg_len == 0);
	while (weft_sendmmsg(pair[0], n.msgs, 2, 0) > 0)
		;
	T_CHECK(weft_sendmmsg(pair[0], n.msgs, 2, 0) == -EPIPE);
	T_CHECK(weft_close(pair[0]) == 0);
	T_CHECK(weft_recvmmsg(pair[0], n.msgs, 2, 0) == -EBADF);
	T_CHECK(weft_sendmmsg(pair[0], n.msgs, 2, 0) == -EBADF);
	T_CHECK(weft_close(pipes[0]) == 0 && weft_close(pipes[1]) == 0);
	return 0;
}

Test(message, the_kernels_errors_come_through)
{
	t_in_each_way(errors, NULL);
}

/* What nobody listens to says so to the call after the one that got some. */
static void *refuse_later(void *arg)
{
	int *fd = arg, value = 5;

	t_await_waiters(fd[0], 1);
	T_CHECK(weft_close(fd[1]) == 0);
	/* Its answer is the error. */
	T_CHECK(weft_send(fd[0], &value, sizeof value, 0) == sizeof value);
	return NULL;
}

static int keep_error(void *arg)
{
	struct numbers in;
	struct t_task other;
	int fd[2], value = 5;

	(void)arg;
	begin(&in, 0);
	for (size_t i = 0; i < t_kinds_count; i++)
		if (strcmp(t_kinds[i].name, "UDP") == 0)
			T_CHECK(t_kinds[i].make(fd) == 0);
	T_CHECK(weft_send(fd[1], &value, sizeof value, 0) == sizeof value);
	t_task_start(&other, refuse_later, fd);
	T_CHECK(weft_recvmmsg(fd[0], in.msgs, 2, 0) == 1);
	T_CHECK(in.values[0] == 5);
	t_task_end(&other);
	T_CHECK(weft_recvmmsg(fd[0], in.msgs, 2, 0) == -ECONNREFUSED);
	T_CHECK(weft_close(fd[0]) == 0);
	return 0;
}

Test(message, an_error_after_some_is_the_next_calls)
{
	t_on_fibers(keep_error, NULL);
}

static void *receive_cancelled(void *arg)
{
	struct numbers in;

	begin(&in, 0);
	return (void *)(intptr_t)weft_recvmmsg(*(int *)arg, in.msgs, MANY, 0);
}

static void end_wait(int fd[2], int value, bool cancel, int expected)
{
	struct weft_fiber *f;
	void *result;
	char c;

	T_CHECK(weft_spawn(&f, NULL, receive_cancelled, &fd[0]) == 0);
	t_await_waiters(fd[0], 1);
	if (value)
		T_CHECK(weft_send(fd[1], &value, sizeof value, 0) == 4);
	while (recv(fd[0], &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
		weft_yield();
	t_await_waiters(fd[0], 1);
	if (cancel)
		weft_cancel(f);
	else
		T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_join(f, &result) == 0);
	T_CHECK((intptr_t)result == expected);
}

static void end_waits(int fd[2])
{
	end_wait(fd, 0, true, -ECANCELED);
	end_wait(fd, 1, true, 1);
	end_wait(fd, 0, false, -EBADF);
}

static int all_end_waits(void *arg)
{
	(void)arg;
	return with_each_kind(end_waits, true);
}

Test(message, a_wait_ends_by_cancel_and_close_with_what_it_has)
{
	t_on_fibers(all_end_waits, NULL);
}

/* --- MSG_WAITALL --- */

static void *send_bytes(void *arg)
{
	for (int i = 0; i < 100; i++) {
		char c = (char)i;

		if (weft_self())
			weft_yield();
		T_CHECK(weft_send(*(int *)arg, &c, 1, 0) == 1);
	}
	return NULL;
}

static void wait_for_bytes(int fd[2])
{
	struct t_task sender;
	char buf[100];
	weft_time until;

	t_task_start(&sender, send_bytes, &fd[1]);
	T_CHECK(weft_recv(fd[0], buf, 60, MSG_WAITALL) == 60);
	T_CHECK(weft_recvfrom(fd[0], buf + 60, 40, MSG_WAITALL, NULL, NULL) ==
		40);
	for (int i = 0; i < 100; i++)
		T_CHECK(buf[i] == (char)i);
	t_task_end(&sender);

	T_CHECK(weft_send(fd[1], buf, 10, 0) == 10);
	T_CHECK(weft_recv(fd[0], buf, 20, MSG_WAITALL | MSG_DONTWAIT) == 10);
	T_CHECK(weft_send(fd[1], buf, 10, 0) == 10);
	until = weft_after(WEFT_MSEC(10));
	T_CHECK(weft_recv_until(fd[0], buf, 20, MSG_WAITALL, until) == 10);
	T_CHECK(weft_now() >= until);
	T_CHECK(weft_recv_until(fd[0], buf, 20, MSG_WAITALL, until) ==
		-ETIMEDOUT);
	T_CHECK(weft_send(fd[1], buf, 10, 0) == 10);
	T_CHECK(weft_shutdown(fd[1], SHUT_WR) == 0);
	T_CHECK(weft_recv(fd[0], buf, 20, MSG_WAITALL) == 10);
	T_CHECK(weft_recv(fd[0], buf, 20, MSG_WAITALL) == 0);
}

static void one_is_all(int fd[2])
{
	char buf[10];

	T_CHECK(weft_send(fd[1], "abc", 3, 0) == 3);
	T_CHECK(weft_recv(fd[0], buf, 10, MSG_WAITALL) == 3);
}

static int all_wait_for_bytes(void *arg)
{
	(void)arg;
	return with_each_kind(wait_for_bytes, false) |
	       with_each_kind(one_is_all, true);
}

Test(message, waitall_waits_for_all_bytes_of_a_stream_and_one_datagram)
{
	t_in_each_way(all_wait_for_bytes, NULL);
}
