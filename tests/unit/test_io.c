/* SPDX-License-Identifier: MIT */
/*
 * test_io.c - the calls that move bytes, on every kind of descriptor and from
 * every place that may call: what they give, what they leave alone, and that
 * nothing is lost when bytes come in pieces or a deadline comes between them.
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SHORT WEFT_MSEC(5)

TestSuite(io, .timeout = 30 * T_SLOW);

/* --- every kind of channel --- */

static int on_each_kind(int (*fn)(const struct t_kind *kind, int fd[2]))
{
	for (size_t i = 0; i < t_kinds_count; i++) {
		int fd[2], flags[2];

		T_CHECK(t_kinds[i].make(fd) == 0);
		flags[0] = t_flags(fd[0]);
		flags[1] = t_flags(fd[1]);
		if (fn(&t_kinds[i], fd) != 0 || t_failed()) {
			fprintf(stderr, "on %s\n", t_kinds[i].name);
			return -1;
		}
		T_CHECK(flags[0] == t_flags(fd[0]));
		T_CHECK(flags[1] == t_flags(fd[1]));
		T_CHECK(weft_close(fd[0]) == 0);
		T_CHECK(weft_close(fd[1]) == 0);
	}
	return 0;
}

static int carry(const struct t_kind *kind, int fd[2])
{
	char buf[16] = "";

	T_CHECK(weft_write(fd[1], "hello", 5) == 5);
	T_CHECK(weft_read(fd[0], buf, sizeof buf) == 5);
	T_CHECK(memcmp(buf, "hello", 5) == 0);
	if (!kind->both_ways)
		return 0;
	T_CHECK(weft_write_until(fd[0], "back", 4, weft_after(WEFT_SEC(9))) ==
		4);
	T_CHECK(weft_read_until(fd[1], buf, 4, WEFT_FOREVER) == 4);
	T_CHECK(memcmp(buf, "back", 4) == 0);
	return 0;
}

static int carry_all(void *arg)
{
	(void)arg;
	return on_each_kind(carry);
}

Test(io, bytes_pass_through_every_kind_of_blocking_descriptor)
{
	t_in_each_way(carry_all, NULL);
}

static int run_out_of_time(const struct t_kind *kind, int fd[2])
{
	weft_time deadline = weft_after(SHORT);
	char c;

	(void)kind;
	T_CHECK(weft_read_until(fd[0], &c, 1, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(weft_read_until(fd[0], &c, 1, 0) == -ETIMEDOUT);
	T_CHECK(weft_read_until(fd[0], &c, 1, INT64_MIN) == -ETIMEDOUT);
	return carry(kind, fd);
}

static int all_run_out_of_time(void *arg)
{
	(void)arg;
	return on_each_kind(run_out_of_time);
}

Test(io, a_read_ends_at_its_deadline_and_not_before)
{
	t_in_each_way(all_run_out_of_time, NULL);
}

static int read_in_the_past(const struct t_kind *kind, int fd[2])
{
	struct pollfd p = {.fd = fd[0], .events = POLLIN};
	char c = 0;

	(void)kind;
	for (int i = 0; i < 10; i++) {
		T_CHECK(write(fd[1], "x", 1) == 1);
		T_CHECK(weft_poll(&p, 1) == 1);
		T_CHECK(weft_read_until(fd[0], &c, 1, 1) == 1 && c == 'x');
		T_CHECK(weft_read_until(fd[0], &c, 1, 1) == -ETIMEDOUT);
	}
	return 0;
}

static int all_read_in_the_past(void *arg)
{
	(void)arg;
	return on_each_kind(read_in_the_past);
}

Test(io, what_is_there_is_read_although_the_deadline_has_passed)
{
	t_in_each_way(all_read_in_the_past, NULL);
}

/* Somebody writes while the caller waits. */
static void *write_later(void *arg)
{
	t_await_waiters(((int *)arg)[0], t_alone() ? 0 : 1);
	T_CHECK(write(((int *)arg)[1], "later", 5) == 5);
	return NULL;
}

static int wait_for_bytes(const struct t_kind *kind, int fd[2])
{
	struct t_task writer;
	char buf[8];

	(void)kind;
	t_task_start(&writer, write_later, fd);
	T_CHECK(weft_read(fd[0], buf, sizeof buf) == 5);
	T_CHECK(memcmp(buf, "later", 5) == 0);
	t_task_end(&writer);
	return 0;
}

static int all_wait_for_bytes(void *arg)
{
	(void)arg;
	return on_each_kind(wait_for_bytes);
}

Test(io, a_reader_that_waits_is_woken_by_bytes)
{
	t_in_each_way(all_wait_for_bytes, NULL);
}

/* --- nothing asked for --- */

static int read_nothing(const struct t_kind *kind, int fd[2])
{
	struct iovec none = {NULL, 0};
	size_t moved = 9;
	char c = 0;

	(void)kind;
	for (int there = 0; there < 2; there++) {
		T_CHECK(weft_read_until(fd[0], &c, 0, 0) == 0);
		T_CHECK(weft_readv_until(fd[0], NULL, 0, 0) == 0);
		T_CHECK(weft_readv(fd[0], &none, 1) == 0);
		T_CHECK(weft_read_full(fd[0], NULL, 0, &moved) == 0);
		T_CHECK(moved == 0);
		T_CHECK(weft_write_all(fd[1], NULL, 0, &moved) == 0);
		T_CHECK(moved == 0);
		T_CHECK(there || write(fd[1], "x", 1) == 1);
	}
	T_CHECK(weft_read(fd[0], &c, 1) == 1 && c == 'x');
	return 0;
}

static int all_read_nothing(void *arg)
{
	(void)arg;
	return on_each_kind(read_nothing);
}

Test(io, reading_no_bytes_gives_none_at_once_and_takes_no_datagram)
{
	t_in_each_way(all_read_nothing, NULL);
}

/* --- pieces --- */

static int scatter_and_gather(const struct t_kind *kind, int fd[2])
{
	struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
	char a[1], b[9];
	struct iovec in[3] = {{a, 1}, {NULL, 0}, {b, sizeof b}};
	size_t left = 5, first;
	ssize_t n;

	/* A terminal may take them one after the other. */
	n = weft_writev(fd[1], out, 3);
	T_CHECK(n == 5 || (!kind->socket && n > 0));
	if (n < 5 && n > 0)
		T_CHECK(weft_write_all(fd[1], &"abcde"[n], 5 - (size_t)n,
				       NULL) == 0);
	n = weft_readv(fd[0], in, 3);
	T_CHECK(n >= 1 && a[0] == 'a');
	first = n > 0 ? (size_t)n : 1;
	if (first < left)
		T_CHECK(weft_read_full(fd[0], b + first - 1, left - first,
				       NULL) == 0);
	T_CHECK(memcmp(b, "bcde", 4) == 0);
	T_CHECK(weft_readv_until(fd[0], in, 3, weft_after(SHORT)) ==
		-ETIMEDOUT);
	T_CHECK(weft_writev_until(fd[1], out, 1, WEFT_FOREVER) == 2);
	T_CHECK(weft_read_full(fd[0], b, 2, NULL) == 0 || kind->messages);
	return 0;
}

static int scatter_all(void *arg)
{
	(void)arg;
	return on_each_kind(scatter_and_gather);
}

Test(io, pieces_are_gathered_and_scattered_in_order)
{
	t_in_each_way(scatter_all, NULL);
}

static int empty_first(const struct t_kind *kind, int fd[2])
{
	struct iovec out[3] = {{NULL, 0}, {"", 0}, {"ab", 2}};
	char buf[2];

	(void)kind;
	T_CHECK(weft_writev(fd[1], out, 3) == 2);
	T_CHECK(weft_read(fd[0], buf, 2) == 2 && !memcmp(buf, "ab", 2));
	return 0;
}

static int all_empty_first(void *arg)
{
	(void)arg;
	return on_each_kind(empty_first);
}

Test(io, a_first_piece_of_no_bytes_does_not_end_a_write)
{
	t_in_each_way(all_empty_first, NULL);
}

Test(io, nor_does_it_where_pipes_have_to_be_asked_first)
{
	setenv("WEFT_WITHOUT", "nowait", 1);
	t_in_each_way(all_empty_first, NULL);
}

static int wrong_pieces(void *arg)
{
	struct iovec one = {(char[1]){0}, 1};
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	T_CHECK(weft_readv(fd[0], &one, -1) == -EINVAL);
	T_CHECK(weft_writev(fd[0], &one, -1) == -EINVAL);
	T_CHECK(weft_readv(fd[0], &one, 1025) == -EINVAL);
	T_CHECK(weft_writev(fd[0], &one, 1025) == -EINVAL);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(io, a_number_of_pieces_that_the_kernel_refuses_is_refused)
{
	t_in_each_way(wrong_pieces, NULL);
}

/* --- sockets --- */

static int flags_and_addresses(const struct t_kind *kind, int fd[2])
{
	struct sockaddr_storage from;
	socklen_t size = sizeof from;
	char buf[8];

	if (!kind->socket)
		return 0;
	T_CHECK(weft_send(fd[1], "peek", 4, 0) == 4);
	T_CHECK(weft_recv(fd[0], buf, 8, MSG_PEEK) == 4);
	T_CHECK(weft_recv_until(fd[0], buf, 8, 0, WEFT_FOREVER) == 4);
	T_CHECK(memcmp(buf, "peek", 4) == 0);
	T_CHECK(weft_recv_until(fd[0], buf, 8, MSG_PEEK, weft_after(SHORT)) ==
		-ETIMEDOUT);
	T_CHECK(weft_sendto(fd[1], "to", 2, 0, NULL, 0) == 2);
	T_CHECK(weft_recvfrom(fd[0], buf, 8, 0, (void *)&from, &size) == 2);
	T_CHECK(weft_send_until(fd[1], "to", 2, 0, WEFT_FOREVER) == 2);
	T_CHECK(weft_recvfrom(fd[0], buf, 8, 0, NULL, NULL) == 2);
	T_CHECK(weft_recvfrom_until(fd[0], buf, 8, 0, NULL, NULL, 0) ==
		-ETIMEDOUT);
	return 0;
}

static int all_flags_and_addresses(void *arg)
{
	(void)arg;
	return on_each_kind(flags_and_addresses);
}

Test(io, flags_and_addresses_work_on_every_kind_of_socket)
{
	t_in_each_way(all_flags_and_addresses, NULL);
}

static int no_socket(const struct t_kind *kind, int fd[2])
{
	char c = 0;
	struct iovec one = {&c, 1};
	struct msghdr msg = {.msg_iov = &one, .msg_iovlen = 1};

	if (kind->socket)
		return 0;
	T_CHECK(weft_recv(fd[0], &c, 1, 0) == -ENOTSOCK);
	T_CHECK(weft_send(fd[1], &c, 1, 0) == -ENOTSOCK);
	T_CHECK(weft_recvfrom(fd[0], &c, 1, 0, NULL, NULL) == -ENOTSOCK);
	T_CHECK(weft_sendto(fd[1], &c, 1, 0, NULL, 0) == -ENOTSOCK);
	T_CHECK(weft_recvmsg(fd[0], &msg, 0) == -ENOTSOCK);
	T_CHECK(weft_sendmsg(fd[1], &msg, 0) == -ENOTSOCK);
	return 0;
}

static int all_no_sockets(void *arg)
{
	(void)arg;
	return on_each_kind(no_socket);
}

Test(io, socket_calls_on_no_socket_fail)
{
	t_in_each_way(all_no_sockets, NULL);
}

static int udp_socket(struct sockaddr_in *at)
{
	socklen_t size = sizeof *at;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	T_CHECK(bind(fd, (struct sockaddr *)at, size) == 0);
	T_CHECK(getsockname(fd, (struct sockaddr *)at, &size) == 0);
	return fd;
}

static int exchange_datagrams(void *arg)
{
	struct sockaddr_in a, b, from;
	socklen_t size = sizeof from;
	int fa = udp_socket(&a), fb = udp_socket(&b);
	char buf[8];

	(void)arg;
	T_CHECK(weft_sendto(fa, "one", 3, 0, (void *)&b, sizeof b) == 3);
	T_CHECK(weft_sendto_until(fa, "", 0, 0, (void *)&b, sizeof b,
				  WEFT_FOREVER) == 0);
	T_CHECK(weft_recvfrom(fb, buf, 8, 0, (void *)&from, &size) == 3);
	T_CHECK(size == sizeof a && from.sin_port == a.sin_port);
	/* A datagram of no bytes is one. */
	T_CHECK(weft_recvfrom(fb, buf, 8, 0, NULL, NULL) == 0);
	T_CHECK(weft_recvfrom_until(fb, buf, 8, 0, NULL, NULL, 0) ==
		-ETIMEDOUT);
	T_CHECK(weft_close(fa) == 0);
	T_CHECK(weft_close(fb) == 0);
	return 0;
}

Test(io, datagrams_keep_their_bounds_and_name_their_sender)
{
	t_in_each_way(exchange_datagrams, NULL);
}

/* --- messages --- */

union control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void put_descriptor(struct msghdr *msg, int fd)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

static int pass_descriptor(void *arg)
{
	union control out = {{0}}, in = {{0}};
	struct iovec iov = {(char[1]){'d'}, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = out.room,
			     .msg_controllen = sizeof out.room};
	int fd[2], p[2], passed = -1;
	char c;

	(void)arg;
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	T_CHECK(pipe(p) == 0);
	put_descriptor(&msg, p[0]);
	T_CHECK(weft_sendmsg(fd[0], &msg, 0) == 1);
	msg.msg_control = in.room;
	T_CHECK(weft_recvmsg(fd[1], &msg, MSG_CMSG_CLOEXEC) == 1);
	if (CMSG_FIRSTHDR(&msg))
		memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof passed);
	T_CHECK(weft_write(p[1], "!", 1) == 1);
	T_CHECK(weft_read(passed, &c, 1) == 1 && c == '!');
	T_CHECK(weft_close(passed) == 0);
	for (int i = 0; i < 2; i++) {
		T_CHECK(weft_close(fd[i]) == 0);
		T_CHECK(weft_close(p[i]) == 0);
	}
	return 0;
}

Test(io, a_descriptor_passes_with_a_message)
{
	t_in_each_way(pass_descriptor, NULL);
}

/* recvmsg(2) sets lengths; one that had to wait must not see shorter ones. */
static int keep_lengths(void *arg)
{
	struct sockaddr_in name;
	union control room;
	struct iovec iov = {(char[1]){0}, 1};
	struct msghdr msg = {.msg_name = &name,
			     .msg_namelen = sizeof name,
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = room.room,
			     .msg_controllen = sizeof room.room};
	int fd[2];

	(void)arg;
	T_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) == 0);
	T_CHECK(weft_recvmsg_until(fd[0], &msg, 0, weft_after(SHORT)) ==
		-ETIMEDOUT);
	T_CHECK(msg.msg_namelen == sizeof name);
	T_CHECK(msg.msg_controllen == sizeof room.room);
	T_CHECK(weft_sendmsg_until(
			fd[1],
			&(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1}, 0,
			WEFT_FOREVER) == 1);
	T_CHECK(weft_recvmsg_until(fd[0], &msg, 0, WEFT_FOREVER) == 1);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(io, a_message_that_did_not_come_leaves_the_lengths)
{
	t_in_each_way(keep_lengths, NULL);
}

/* Urgent data cut the stream in two, and cut reads short. */
static int urgent(void *arg)
{
	int fd[2];
	char buf[8];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	T_CHECK(weft_read_until(fd[0], buf, 8, 0) == -ETIMEDOUT);
	T_CHECK(weft_send(fd[1], "ab!", 3, MSG_OOB) == 3);
	T_CHECK(weft_send(fd[1], "cd", 2, 0) == 2);
	T_CHECK(weft_poll(&(struct pollfd){.fd = fd[0], .events = POLLPRI},
			  1) == 1);
	T_CHECK(weft_read(fd[0], buf, 8) == 2 && !memcmp(buf, "ab", 2));
	T_CHECK(weft_recv(fd[0], buf, 1, MSG_OOB) == 1 && buf[0] == '!');
	T_CHECK(weft_read(fd[0], buf, 8) == 2 && !memcmp(buf, "cd", 2));
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(io, what_comes_after_urgent_data_is_read_without_waiting)
{
	t_in_each_way(urgent, NULL);
}

static int urgent_alone(void *arg)
{
	struct pollfd p = {.events = POLLPRI};
	int fd[2];
	char c;

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	p.fd = fd[0];
	T_CHECK(weft_read_until(fd[0], &c, 1, 0) == -ETIMEDOUT);
	T_CHECK(weft_recv(fd[0], &c, 1, MSG_OOB) == -EINVAL);
	T_CHECK(weft_send(fd[1], "!", 1, MSG_OOB) == 1);
	T_CHECK(weft_poll(&p, 1) == 1);
	T_CHECK(weft_recv(fd[0], &c, 1, MSG_OOB) == 1 && c == '!');
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(io, urgent_data_is_received_when_nothing_else_is_there)
{
	t_in_each_way(urgent_alone, NULL);
}

/* --- what never waits in the kernel either --- */

static int do_not_wait(const struct t_kind *kind, int fd[2])
{
	char c;
	struct iovec one = {&c, 1};
	struct msghdr msg = {.msg_iov = &one, .msg_iovlen = 1};

	if (!kind->socket)
		return 0;
	T_CHECK(weft_read_until(fd[0], &c, 1, 0) == -ETIMEDOUT);
	T_CHECK(weft_recv(fd[0], &c, 1, MSG_DONTWAIT) == -EAGAIN);
	T_CHECK(weft_recvfrom(fd[0], &c, 1, MSG_DONTWAIT, NULL, NULL) ==
		-EAGAIN);
	T_CHECK(weft_recvmsg(fd[0], &msg, MSG_DONTWAIT) == -EAGAIN);
	T_CHECK(weft_recv(fd[0], &c, 1, MSG_ERRQUEUE) == -EAGAIN);
	T_CHECK(weft_recvmsg(fd[0], &msg, MSG_ERRQUEUE) == -EAGAIN);
	T_CHECK(weft_send(fd[1], "n", 1, MSG_DONTWAIT) == 1);
	T_CHECK(weft_recv(fd[0], &c, 1, 0) == 1 && c == 'n');
	return 0;
}

static int all_do_not_wait(void *arg)
{
	(void)arg;
	return on_each_kind(do_not_wait);
}

Test(io, flags_that_forbid_to_wait_are_obeyed)
{
	t_in_each_way(all_do_not_wait, NULL);
}

/* That there are no errors says nothing of the datagrams. */
static int ask_for_errors(void *arg)
{
	struct sockaddr_in at;
	char c;
	struct iovec one = {&c, 1};
	struct msghdr msg = {.msg_iov = &one, .msg_iovlen = 1};
	int fd = udp_socket(&at);

	(void)arg;
	T_CHECK(weft_recv_until(fd, &c, 1, 0, 0) == -ETIMEDOUT);
	for (int i = 0; i < 2; i++)
		T_CHECK(weft_sendto(fd, &"12"[i], 1, 0, (void *)&at,
				    sizeof at) == 1);
	T_CHECK(weft_recv(fd, &c, 1, 0) == 1 && c == '1');
	T_CHECK(weft_recvmsg(fd, &msg, MSG_ERRQUEUE) == -EAGAIN);
	T_CHECK(weft_recv(fd, &c, 1, 0) == 1 && c == '2');
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(io, asking_for_errors_loses_no_datagram)
{
	t_in_each_way(ask_for_errors, NULL);
}

/* Until there is no room any more. */
static int send_without_waiting(void *arg)
{
	static char buf[1 << 16];
	ssize_t n;
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	do
		n = weft_send(fd[1], buf, sizeof buf, MSG_DONTWAIT);
	while (n > 0);
	T_CHECK(n == -EAGAIN);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(io, sending_may_be_forbidden_to_wait_too)
{
	t_in_each_way(send_without_waiting, NULL);
}

/* --- what has no second end --- */

static int count_events(void *arg)
{
	uint64_t n = 3, most = UINT64_MAX - 1;
	int fd = eventfd(0, 0);

	(void)arg;
	T_CHECK(weft_read_until(fd, &n, sizeof n, weft_after(SHORT)) ==
		-ETIMEDOUT);
	T_CHECK(weft_write(fd, &n, sizeof n) == sizeof n);
	T_CHECK(weft_write(fd, &n, sizeof n) == sizeof n);
	T_CHECK(weft_read(fd, &n, sizeof n) == sizeof n && n == 6);
	T_CHECK(weft_write(fd, &most, sizeof most) == sizeof most);
	n = 1;
	T_CHECK(weft_write_until(fd, &n, sizeof n, weft_after(SHORT)) ==
		-ETIMEDOUT);
	T_CHECK(!(t_flags(fd) & O_NONBLOCK));
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(io, an_eventfd_counts_and_waits_both_ways)
{
	t_in_each_way(count_events, NULL);
}

/* The one who is told that there is something may be late. */
struct counters {
	int fd;
	_Atomic size_t sum;
};

static void *count_down(void *arg)
{
	struct counters *c = arg;
	uint64_t one;
	ssize_t n;

	while ((n = weft_read(c->fd, &one, sizeof one)) == sizeof one)
		c->sum++;
	T_CHECK(n == -ECANCELED);
	return NULL;
}

static int share_eventfd(void *arg)
{
	struct counters c = {.fd = eventfd(0, EFD_SEMAPHORE)};
	struct weft_fiber *f[6];
	size_t all = t_scale(20000);
	uint64_t one = 1;

	(void)arg;
	for (int i = 0; i < 6; i++)
		T_CHECK(weft_spawn(&f[i], NULL, count_down, &c) == 0);
	for (size_t i = 0; i < all; i++) {
		T_CHECK(weft_write(c.fd, &one, sizeof one) == sizeof one);
		if (i % 3 == 0)
			weft_yield();
	}
	while (c.sum < all)
		weft_yield();
	for (int i = 0; i < 6; i++) {
		weft_cancel(f[i]);
		T_CHECK(weft_join(f[i], NULL) == 0);
	}
	T_CHECK(weft_close(c.fd) == 0);
	return 0;
}

Test(io, many_read_a_blocking_eventfd_and_none_gets_stuck)
{
	t_on_fibers(share_eventfd, NULL);
	t_run(4, share_eventfd, NULL);
}

static int use_file(void *arg)
{
	char name[] = "/tmp/weft-test-XXXXXX", buf[8192];
	struct iovec two[2] = {{buf, 100}, {buf + 100, 8000}};
	size_t moved;
	int fd = mkstemp(name);

	(void)arg;
	unlink(name);
	memset(buf, 'f', sizeof buf);
	T_CHECK(weft_write_all(fd, buf, sizeof buf, &moved) == 0);
	T_CHECK(moved == sizeof buf);
	T_CHECK(lseek(fd, 1000, SEEK_SET) == 1000);
	T_CHECK(weft_readv(fd, two, 2) == 7192);
	T_CHECK(weft_read(fd, buf, 1) == 0);
	T_CHECK(weft_writev(fd, two, 2) == 8100);
	T_CHECK(lseek(fd, 0, SEEK_CUR) == 16292);
	T_CHECK(lseek(fd, 0, SEEK_SET) == 0);
	T_CHECK(weft_read_full_until(fd, buf, 1000, &moved, WEFT_FOREVER) == 0);
	T_CHECK(weft_recv(fd, buf, 1, 0) == -ENOTSOCK);
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(io, files_are_read_and_written_at_their_offset)
{
	t_in_each_way(use_file, NULL);
}

static int odd_ones(void *arg)
{
	char buf[8] = "x";
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
	int dir = open("/", O_RDONLY | O_DIRECTORY);

	(void)arg;
	T_CHECK(weft_read(null, buf, 8) == 0);
	T_CHECK(weft_write(null, buf, 8) == 8);
	T_CHECK(weft_read(zero, buf, 8) == 8 && buf[0] == 0);
	T_CHECK(weft_read(dir, buf, 8) == -EISDIR);
	T_CHECK(weft_close(null) == 0);
	T_CHECK(weft_close(zero) == 0);
	T_CHECK(weft_close(dir) == 0);
	return 0;
}

Test(io, devices_and_directories_answer_as_the_kernel_does)
{
	t_in_each_way(odd_ones, NULL);
}

/* --- errors --- */

static int use_closed(void *arg)
{
	struct iovec iov = {(char[1]){0}, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	const int numbers[] = {-1, -100, 19999, INT32_MAX, INT32_MIN};

	(void)arg;
	for (int i = 0; i < 5; i++) {
		int fd = numbers[i];

		T_CHECK(weft_read(fd, iov.iov_base, 1) == -EBADF);
		T_CHECK(weft_readv(fd, &iov, 1) == -EBADF);
		T_CHECK(weft_recv(fd, iov.iov_base, 1, 0) == -EBADF);
		T_CHECK(weft_recvfrom(fd, iov.iov_base, 1, 0, NULL, NULL) ==
			-EBADF);
		T_CHECK(weft_recvmsg(fd, &msg, 0) == -EBADF);
		T_CHECK(weft_write(fd, iov.iov_base, 1) == -EBADF);
		T_CHECK(weft_writev(fd, &iov, 1) == -EBADF);
		T_CHECK(weft_send(fd, iov.iov_base, 1, 0) == -EBADF);
		T_CHECK(weft_sendto(fd, iov.iov_base, 1, 0, NULL, 0) == -EBADF);
		T_CHECK(weft_sendmsg(fd, &msg, 0) == -EBADF);
		T_CHECK(weft_read_full(fd, iov.iov_base, 1, NULL) == -EBADF);
		T_CHECK(weft_write_all(fd, iov.iov_base, 1, NULL) == -EBADF);
		T_CHECK(weft_shutdown(fd, SHUT_RD) == -EBADF);
		T_CHECK(weft_close(fd) == -EBADF);
	}
	return 0;
}

Test(io, numbers_that_are_not_open_are_refused_by_every_call)
{
	t_in_each_way(use_closed, NULL);
}

static int wrong_direction(void *arg)
{
	int p[2];
	char c = 0;

	(void)arg;
	T_CHECK(pipe(p) == 0);
	T_CHECK(weft_read(p[1], &c, 1) == -EBADF);
	T_CHECK(weft_write(p[0], &c, 1) == -EBADF);
	T_CHECK(weft_write(p[1], (void *)1, 1) == -EFAULT);
	T_CHECK(weft_close(p[0]) == 0);
	T_CHECK(weft_close(p[1]) == 0);
	return 0;
}

Test(io, the_kernels_own_errors_come_through)
{
	t_in_each_way(wrong_direction, NULL);
}

/* --- the other end --- */

static int end_of_stream(void *arg)
{
	int (*const make[])(int fd[2]) = {t_pair, pipe};
	char buf[4];
	size_t moved;

	(void)arg;
	for (int i = 0; i < 2; i++) {
		int fd[2];

		T_CHECK(make[i](fd) == 0);
		T_CHECK(weft_write(fd[1], "abc", 3) == 3);
		T_CHECK(weft_close(fd[1]) == 0);
		T_CHECK(weft_read_full(fd[0], buf, 4, &moved) == -ENODATA);
		T_CHECK(moved == 3 && memcmp(buf, "abc", 3) == 0);
		T_CHECK(weft_read(fd[0], buf, 4) == 0);
		T_CHECK(weft_read(fd[0], buf, 4) == 0);
		T_CHECK(weft_read_full(fd[0], buf, 4, &moved) == -ENODATA);
		T_CHECK(moved == 0);
		T_CHECK(weft_close(fd[0]) == 0);
	}
	return 0;
}

Test(io, the_end_of_a_stream_comes_after_its_last_byte_and_stays)
{
	t_in_each_way(end_of_stream, NULL);
}

/* A terminal that can be written to promises room for one byte only. */
static int write_to_full_terminal(void *arg)
{
	static char buf[200000];
	size_t moved = 0;
	int fd[2];

	(void)arg;
	for (size_t i = 0; i < t_kinds_count; i++)
		if (strcmp(t_kinds[i].name, "pty") == 0)
			T_CHECK(t_kinds[i].make(fd) == 0);
	T_CHECK(weft_write_all_until(fd[1], buf, sizeof buf, &moved,
				     weft_after(WEFT_MSEC(5))) == -ETIMEDOUT);
	T_CHECK(moved > 0 && moved < sizeof buf);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(io, a_write_to_a_full_terminal_ends_at_its_deadline)
{
	t_in_way(T_FIBER, write_to_full_terminal, NULL);
}
