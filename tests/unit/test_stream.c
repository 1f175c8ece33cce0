/* SPDX-License-Identifier: MIT */
/*
 * test_stream.c - streams under strain: bytes in pieces at random times, peers
 * that are slow, reset or gone, both directions at full rate.  Each byte says
 * what it has to be.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

TestSuite(stream, .timeout = 30 * T_SLOW);

/* The byte at a place of a stream; not of a short period. */
static unsigned char byte_at(uint64_t seed, size_t i)
{
	return (unsigned char)((i * 0x9e3779b97f4a7c15 + seed) >> 32);
}

static void fill(unsigned char *buf, size_t n, uint64_t seed, size_t from)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(seed, from + i);
}

static bool same(const unsigned char *buf, size_t n, uint64_t seed, size_t from)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != byte_at(seed, from + i))
			return false;
	return true;
}

/* --- a peer of its own thread, which knows nothing of weft --- */

struct peer {
	int fd;
	size_t total, most; /* bytes in all, and at a time */
	uint64_t seed;
	bool urgent;
};

static void pause_sometimes(uint64_t *random)
{
	uint64_t r = t_random(random);

	if (r % 8 == 0)
		nanosleep(&(struct timespec){.tv_nsec = r >> 8 & 0xffff}, NULL);
}

static void *send_pieces(void *arg)
{
	struct peer *p = arg;
	unsigned char buf[4096];
	uint64_t random = p->seed;
	size_t sent = 0;

	while (sent < p->total) {
		size_t n = t_random(&random) % p->most + 1;
		ssize_t w;

		n = n < p->total - sent ? n : p->total - sent;
		fill(buf, n, p->seed, sent);
		w = write(p->fd, buf, n);
		T_CHECK(w > 0);
		if (w <= 0)
			break;
		sent += (size_t)w;
		pause_sometimes(&random);
	}
	close(p->fd);
	return NULL;
}

/* Read in random lengths, some calls with a deadline that often passes. */
static void receive_pieces(int fd, struct peer *p, uint64_t random)
{
	size_t got = 0;
	ssize_t n = 1;

	while (n != 0) {
		size_t want = t_random(&random) % (2 * p->most) + 1;
		unsigned char *buf = (unsigned char[8192]){0};

		if (t_random(&random) % 2)
			n = weft_read(fd, buf, want);
		else
			n = weft_read_until(fd, buf, want,
					    weft_after(WEFT_USEC(50)));
		if (n == -ETIMEDOUT)
			continue;
		T_CHECK(n >= 0);
		if (n < 0)
			return;
		T_CHECK(same(buf, (size_t)n, p->seed, got));
		got += (size_t)n;
	}
	T_CHECK(got == p->total);
}

struct pieces {
	int (*make)(int fd[2]);
	uint64_t seed;
};

static int take_pieces(void *arg)
{
	const size_t most[] = {1, 7, 1460, 4096};
	struct pieces *pieces = arg;

	for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
		struct peer p = {.most = most[i],
				 .total = t_scale(most[i] * 1000) + 1,
				 .seed = pieces->seed + i};
		pthread_t thread;
		int fd[2];

		T_CHECK(pieces->make(fd) == 0);
		p.fd = fd[1];
		T_CHECK(pthread_create(&thread, NULL, send_pieces, &p) == 0);
		receive_pieces(fd[0], &p, p.seed ^ 1);
		pthread_join(thread, NULL);
		T_CHECK(weft_close(fd[0]) == 0);
	}
	return 0;
}

Test(stream, tcp_loses_no_byte_of_random_pieces)
{
	struct pieces p = {t_pair, t_seed()};

	t_in_each_way(take_pieces, &p);
}

Test(stream, a_pipe_loses_no_byte_of_random_pieces)
{
	struct pieces p = {pipe, t_seed()};

	t_in_each_way(take_pieces, &p);
}

/* --- a peer that is slow --- */

static void *receive_slowly(void *arg)
{
	struct peer *p = arg;
	unsigned char buf[4096];
	uint64_t random = p->seed;
	size_t got = 0;
	ssize_t n;

	while ((n = read(p->fd, buf, sizeof buf)) > 0) {
		T_CHECK(same(buf, (size_t)n, p->seed, got));
		got += (size_t)n;
		pause_sometimes(&random);
	}
	T_CHECK(got == p->total);
	return NULL;
}

static int write_much(void *arg)
{
	static unsigned char buf[4 << 20];
	struct peer p = {.total = sizeof buf, .seed = *(uint64_t *)arg};
	int (*const make[])(int fd[2]) = {t_pair, pipe};

	fill(buf, sizeof buf, p.seed, 0);
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		size_t moved = 0;
		int fd[2], flags;

		T_CHECK(make[i](fd) == 0);
		p.fd = fd[0];
		flags = t_flags(fd[1]);
		T_CHECK(pthread_create(&thread, NULL, receive_slowly, &p) == 0);
		T_CHECK(weft_write_all(fd[1], buf, sizeof buf, &moved) == 0);
		T_CHECK(moved == sizeof buf);
		T_CHECK(t_flags(fd[1]) == flags);
		T_CHECK(weft_close(fd[1]) == 0);
		pthread_join(thread, NULL);
		close(fd[0]);
	}
	return 0;
}

Test(stream, a_big_write_to_a_slow_reader_arrives_whole)
{
	uint64_t seed = t_seed();

	t_in_each_way(write_much, &seed);
}

static int count_what_went(void *arg)
{
	static unsigned char buf[8 << 20];
	static unsigned char back[sizeof buf];
	int (*const make[])(int fd[2]) = {t_pair, pipe};

	(void)arg;
	fill(buf, sizeof buf, 5, 0);
	for (int i = 0; i < 2; i++) {
		size_t moved = 0, read = 0;
		weft_time deadline;
		int fd[2];

		T_CHECK(make[i](fd) == 0);
		deadline = weft_after(WEFT_MSEC(20));
		T_CHECK(weft_write_all_until(fd[1], buf, sizeof buf, &moved,
					     deadline) == -ETIMEDOUT);
		T_CHECK(weft_now() >= deadline);
		T_CHECK(moved > 0 && moved < sizeof buf);
		T_CHECK(weft_write_until(fd[1], buf, sizeof buf, 0) ==
			-ETIMEDOUT);
		T_CHECK(weft_read_full_until(fd[0], back, sizeof back, &read,
					     weft_after(WEFT_MSEC(20))) ==
			-ETIMEDOUT);
		T_CHECK(read == moved);
		T_CHECK(same(back, read, 5, 0));
		T_CHECK(weft_close(fd[0]) == 0);
		T_CHECK(weft_close(fd[1]) == 0);
	}
	return 0;
}

Test(stream, a_write_that_ran_out_of_time_says_what_has_gone)
{
	t_in_each_way(count_what_went, NULL);
}

/* --- both directions at full rate --- */

struct end {
	int fd;
	uint64_t seed;
	size_t total;
};

static void *send_all(void *arg)
{
	struct end *e = arg;
	unsigned char buf[8192];

	for (size_t sent = 0; sent < e->total; sent += sizeof buf) {
		fill(buf, sizeof buf, e->seed, sent);
		T_CHECK(weft_write_all(e->fd, buf, sizeof buf, NULL) == 0);
	}
	return NULL;
}

static void *receive_all(void *arg)
{
	struct end *e = arg;
	unsigned char buf[5000];
	size_t got = 0;

	while (got < e->total) {
		ssize_t n = weft_read(e->fd, buf, sizeof buf);

		T_CHECK(n > 0);
		if (n <= 0)
			break;
		T_CHECK(same(buf, (size_t)n, e->seed, got));
		got += (size_t)n;
	}
	return NULL;
}

static int both_ways(void *arg)
{
	size_t total = (t_scale(16 << 20) + 8191) / 8192 * 8192;
	struct t_task tasks[4];
	struct end ends[4];
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	for (int i = 0; i < 4; i++) {
		/* What 0 sends 3 receives, what 1 sends 2 receives. */
		ends[i] = (struct end){fd[i % 2], i == 0 || i == 3, total};
		t_task_start(&tasks[i], i < 2 ? send_all : receive_all,
			     &ends[i]);
	}
	for (int i = 0; i < 4; i++)
		t_task_end(&tasks[i]);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(stream, both_directions_at_full_rate_all_arrive)
{
	t_in_each_way(both_ways, NULL);
}

/* --- a peer that is gone --- */

static ssize_t write_until_error(int fd)
{
	char buf[4096] = "";
	ssize_t n;

	do
		n = weft_write_until(fd, buf, sizeof buf,
				     weft_after(WEFT_SEC(20)));
	while (n > 0);
	return n;
}

static int write_to_nobody(void *arg)
{
	for (size_t i = 0; i < t_kinds_count; i++) {
		struct iovec iov = {"x", 1};
		struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;
		int fd[2];

		if (t_kinds[i].socket != (arg != NULL) ||
		    t_kinds[i].make == t_pair || t_kinds[i].messages ||
		    strcmp(t_kinds[i].name, "pty") == 0)
			continue;
		T_CHECK(t_kinds[i].make(fd) == 0);
		T_CHECK(weft_close(fd[0]) == 0);
		n = write_until_error(fd[1]);
		T_CHECK(n == -EPIPE);
		T_CHECK(weft_writev(fd[1], &iov, 1) == -EPIPE);
		T_CHECK(weft_write_all(fd[1], "x", 1, NULL) == -EPIPE);
		if (t_kinds[i].socket) {
			T_CHECK(weft_send(fd[1], "x", 1, 0) == -EPIPE);
			T_CHECK(weft_sendmsg(fd[1], &msg, 0) == -EPIPE);
		}
		T_CHECK(weft_close(fd[1]) == 0);
	}
	return 0;
}

Test(stream, a_socket_without_a_peer_gives_an_error_and_no_signal)
{
	t_in_each_way(write_to_nobody, "sockets");
}

/* Not even after weft_run(), when signals are let in again. */
Test(stream, a_pipe_without_a_reader_gives_an_error_and_no_signal)
{
	t_in_each_way(write_to_nobody, NULL);
}

/* The program's own pending SIGPIPE and its handler are left alone. */
static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
	(void)signal;
	signals++;
}

Test(stream, a_handler_of_sigpipe_is_not_called)
{
	struct sigaction act = {.sa_handler = count_signal};

	cr_assert_eq(sigaction(SIGPIPE, &act, NULL), 0);
	t_in_each_way(write_to_nobody, NULL);
	t_in_each_way(write_to_nobody, "sockets");
	cr_assert_eq(signals, 0);
}

static void reset(int fd)
{
	struct linger none = {.l_onoff = 1};

	T_CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0);
	T_CHECK(close(fd) == 0);
}

static void *reset_later(void *arg)
{
	int *fd = arg;

	t_await_waiters(fd[0], t_alone() ? 0 : 1);
	reset(fd[1]);
	return NULL;
}

static int peer_resets(void *arg)
{
	struct t_task task;
	char c;
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	reset(fd[1]);
	T_CHECK(weft_read(fd[0], &c, 1) == -ECONNRESET);
	T_CHECK(weft_close(fd[0]) == 0);

	T_CHECK(t_pair(fd) == 0);
	t_task_start(&task, reset_later, fd);
	T_CHECK(weft_read(fd[0], &c, 1) == -ECONNRESET);
	T_CHECK(weft_write(fd[0], &c, 1) == -EPIPE);
	t_task_end(&task);
	T_CHECK(weft_close(fd[0]) == 0);
	return 0;
}

Test(stream, a_reset_by_the_peer_is_an_error_and_no_end)
{
	t_in_each_way(peer_resets, NULL);
}

static int reset_while_writing(void *arg)
{
	struct t_task task;
	ssize_t n;
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	t_task_start(&task, reset_later, fd);
	n = write_until_error(fd[0]);
	T_CHECK(n == -ECONNRESET || n == -EPIPE);
	t_task_end(&task);
	T_CHECK(weft_close(fd[0]) == 0);
	return 0;
}

Test(stream, a_writer_that_waits_learns_of_a_reset)
{
	t_in_each_way(reset_while_writing, NULL);
}

static int half_close(void *arg)
{
	char buf[8];
	int fd[2];

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	T_CHECK(weft_write(fd[1], "last", 4) == 4);
	T_CHECK(weft_shutdown(fd[1], SHUT_WR) == 0);
	T_CHECK(weft_write(fd[1], "x", 1) == -EPIPE);
	T_CHECK(weft_read_full(fd[0], buf, 4, NULL) == 0);
	T_CHECK(weft_read(fd[0], buf, 8) == 0);
	for (int i = 0; i < 3; i++) {
		T_CHECK(weft_write(fd[0], "still", 5) == 5);
		T_CHECK(weft_read_full(fd[1], buf, 5, NULL) == 0);
		T_CHECK(weft_read(fd[0], buf, 8) == 0);
	}
	T_CHECK(weft_shutdown(fd[0], 17) == -EINVAL);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	T_CHECK(weft_shutdown(fd[1], SHUT_WR) == -EBADF);
	return 0;
}

Test(stream, after_a_half_close_the_other_direction_works)
{
	t_in_each_way(half_close, NULL);
}

static void *shut_down_later(void *arg)
{
	int *fd = arg;

	t_await_waiters(fd[0], t_alone() ? 0 : 1);
	T_CHECK(weft_shutdown(fd[0], SHUT_RD) == 0);
	return NULL;
}

static int shut_own_end(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < t_kinds_count; i++) {
		struct t_task task;
		char c;
		int fd[2];

		if (!t_kinds[i].socket)
			continue;
		T_CHECK(t_kinds[i].make(fd) == 0);
		t_task_start(&task, shut_down_later, fd);
		T_CHECK(weft_read(fd[0], &c, 1) == 0);
		t_task_end(&task);
		T_CHECK(weft_close(fd[0]) == 0);
		T_CHECK(weft_close(fd[1]) == 0);
	}
	return 0;
}

Test(stream, shutting_down_an_end_wakes_its_own_reader)
{
	t_in_each_way(shut_own_end, NULL);
}

/* --- a Unix receiver that others have filled --- */

struct full {
	int to, other, mine;
	struct sockaddr_un un;
	socklen_t size;
};

static void fill_receiver(struct full *f)
{
	f->un.sun_family = AF_UNIX;
	f->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			      (size_t)sprintf(f->un.sun_path, "%cweft-%d", 0,
					      getpid()));
	f->to = socket(AF_UNIX, SOCK_DGRAM, 0);
	f->other = socket(AF_UNIX, SOCK_DGRAM, 0);
	f->mine = socket(AF_UNIX, SOCK_DGRAM, 0);
	T_CHECK(bind(f->to, (void *)&f->un, f->size) == 0);
	while (sendto(f->other, "o", 1, MSG_DONTWAIT, (void *)&f->un, f->size) >
	       0)
		;
}

static void *send_to_full(void *arg)
{
	struct full *f = arg;

	T_CHECK(weft_sendto(f->mine, "m", 1, 0, (void *)&f->un, f->size) == 1);
	return NULL;
}

static int full_receiver(void *arg)
{
	weft_time deadline = weft_after(WEFT_MSEC(5));
	struct full f = {.to = -1};
	struct t_task task;
	char c = 0;

	(void)arg;
	fill_receiver(&f);
	T_CHECK(weft_sendto(f.mine, "m", 1, MSG_DONTWAIT, (void *)&f.un,
			    f.size) == -EAGAIN);
	T_CHECK(weft_sendto_until(f.mine, "m", 1, 0, (void *)&f.un, f.size,
				  deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	t_task_start(&task, send_to_full, &f);
	t_await_waiters(f.mine, t_alone() ? 0 : 1);
	while (c != 'm')
		T_CHECK(weft_recv(f.to, &c, 1, 0) == 1);
	t_task_end(&task);
	T_CHECK(weft_close(f.to) == 0);
	T_CHECK(weft_close(f.other) == 0);
	T_CHECK(weft_close(f.mine) == 0);
	return 0;
}

Test(stream, a_datagram_goes_once_a_full_receiver_has_room)
{
	t_in_each_way(full_receiver, NULL);
}
