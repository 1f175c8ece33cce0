/* SPDX-License-Identifier: MIT */
/*
 * test_reuse.c - numbers of descriptors that are closed and given out again
 * under load: no byte goes to a connection that it was not meant for, and no
 * number is closed twice.
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/carrier.h"

TestSuite(reuse, .timeout = 60 * T_SLOW);

#define CLIENTS 32

struct load {
	int lfd;
	struct sockaddr_in at;
	_Atomic uint64_t next, served;
	uint64_t rounds;
};

/* Each connection says who it is, and everything on it has to say the same. */
struct message {
	uint64_t who, count;
};

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct message m, first = {0};
	uint64_t count = 0;

	while (weft_read_full(fd, &m, sizeof m, NULL) == 0) {
		if (count == 0)
			first = m;
		T_CHECK(m.who == first.who && m.count == count);
		count++;
		T_CHECK(weft_write_all(fd, &m, sizeof m, NULL) == 0);
	}
	T_CHECK(weft_close(fd) == 0);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct load *l = arg;
	int fd;

	while ((fd = weft_accept(l->lfd, NULL, NULL)) >= 0) {
		l->served++;
		T_CHECK(weft_spawn(NULL, NULL, serve, (void *)(intptr_t)fd) ==
			0);
	}
	T_CHECK(fd == -EBADF);
	return NULL;
}

static void converse(struct load *l, uint64_t who)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct linger none = {.l_onoff = 1};
	struct message m, echo;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	T_CHECK(weft_connect(fd, (void *)&l->at, sizeof l->at) == 0);
	for (uint64_t i = 0; i < 1 + who % 3; i++) {
		m = (struct message){who, i};
		T_CHECK(weft_write_all(fd, &m, sizeof m, NULL) == 0);
		T_CHECK(weft_read_full(fd, &echo, sizeof echo, NULL) == 0);
		T_CHECK(memcmp(&m, &echo, sizeof m) == 0);
	}
	T_CHECK(weft_close(fd) == 0);
}

static void *be_clients(void *arg)
{
	struct load *l = arg;
	uint64_t who;

	while ((who = l->next++) < l->rounds && !t_failed())
		converse(l, who);
	return NULL;
}

static int open_echo_close(void *arg)
{
	struct load l = {.rounds = t_scale(20000)};
	struct weft_fiber *acceptor, *clients[CLIENTS];
	socklen_t size = sizeof l.at;

	(void)arg;
	l.lfd = weft_listen("127.0.0.1:0", NULL);
	T_CHECK(getsockname(l.lfd, (void *)&l.at, &size) == 0);
	T_CHECK(weft_spawn(&acceptor, NULL, accept_all, &l) == 0);
	for (int i = 0; i < CLIENTS; i++)
		T_CHECK(weft_spawn(&clients[i], NULL, be_clients, &l) == 0);
	for (int i = 0; i < CLIENTS; i++)
		T_CHECK(weft_join(clients[i], NULL) == 0);
	T_CHECK(weft_close(l.lfd) == 0);
	T_CHECK(weft_join(acceptor, NULL) == 0);
	T_CHECK(l.served == l.rounds);
	return 0;
}

Test(reuse, no_byte_reaches_a_connection_that_has_another_ones_number)
{
	int fds = t_fds();

	t_in_way(T_FIBER, open_echo_close, NULL);
	t_in_way(T_FIBER_OF_2, open_echo_close, NULL);
	cr_assert_eq(t_fds(), fds);
}

/* --- closed while others are inside --- */

struct pair {
	int fd[2];
	uint64_t who;
	_Atomic int bad;
};

/* Reads what its own pair says, until it is closed. */
static void *read_own(void *arg)
{
	struct pair *p = arg;
	uint64_t who;
	ssize_t n;

	while ((n = weft_read(p->fd[0], &who, sizeof who)) > 0)
		T_CHECK(n == sizeof who && who == p->who);
	T_CHECK(n == -EBADF);
	p->bad++;
	return NULL;
}

/*
 * The readers wait, so the number is free only when they have left: whoever
 * gets it next must find it quiet.
 */
static void *close_under_readers(void *arg)
{
	static _Atomic uint64_t identity;
	size_t rounds = *(size_t *)arg;

	for (size_t i = 0; i < rounds; i++) {
		struct pair p = {.who = ++identity};
		struct weft_fiber *f[2];

		T_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p.fd) == 0);
		for (int k = 0; k < 2; k++)
			T_CHECK(weft_spawn(&f[k], NULL, read_own, &p) == 0);
		t_await_waiters(p.fd[0], 2);
		T_CHECK(weft_write(p.fd[1], &p.who, sizeof p.who) ==
			sizeof p.who);
		T_CHECK(weft_close(p.fd[0]) == 0);
		T_CHECK(weft_close(p.fd[1]) == 0);
		for (int k = 0; k < 2; k++)
			T_CHECK(weft_join(f[k], NULL) == 0);
		T_CHECK(p.bad == 2);
	}
	return NULL;
}

static int churn(void *arg)
{
	size_t rounds = t_scale(2000);
	struct weft_fiber *f[8];

	(void)arg;
	for (int i = 0; i < 8; i++)
		T_CHECK(weft_spawn(&f[i], NULL, close_under_readers, &rounds) ==
			0);
	for (int i = 0; i < 8; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return 0;
}

Test(reuse, a_number_is_given_out_again_only_when_all_readers_have_left)
{
	int fds = t_fds();

	t_in_way(T_FIBER, churn, NULL);
	t_in_way(T_FIBER_OF_2, churn, NULL);
	cr_assert_eq(t_fds(), fds);
}

/* --- within one call --- */

#define MESSAGES 200 /* more than a fiber may read without yielding */

static int victim[2], stranger[2];

static int successor; /* gets the number, if it is free */

/* While the reader yields, inside its call: close, and take the number. */
static void *give_the_number_away(void *unused)
{
	T_CHECK(weft_close(victim[0]) == 0);
	successor = dup(stranger[0]);
	return unused;
}

static int read_what_is_closed_meanwhile(void *unused)
{
	char all[MESSAGES];
	size_t got = 0;
	int r;

	(void)unused;
	T_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, victim) == 0);
	T_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, stranger) == 0);
	for (int i = 0; i < MESSAGES; i++) {
		T_CHECK(send(victim[1], "v", 1, 0) == 1);
		T_CHECK(send(stranger[1], "s", 1, 0) == 1);
	}
	T_CHECK(weft_spawn(NULL, NULL, give_the_number_away, NULL) == 0);
	r = weft_read_full(victim[0], all, sizeof all, &got);
	T_CHECK(r == -EBADF && got > 0 && got < sizeof all);
	for (size_t i = 0; i < got; i++)
		T_CHECK(all[i] == 'v');
	/* None of what is the stranger's has been taken. */
	for (int i = 0; i < MESSAGES; i++)
		T_CHECK(recv(successor, all, 1, MSG_DONTWAIT) == 1);
	return 0;
}

Test(reuse, a_call_of_many_steps_stays_with_its_connection)
{
	t_run(1, read_what_is_closed_meanwhile, NULL);
}

/* After this the next operation is the last that a fiber may do at once. */
static void spend_all_but_one(void)
{
	int fd[2];
	char c;

	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	weft_yield();
	for (int i = 1; i < WF_BUDGET; i++) {
		T_CHECK(send(fd[1], "x", 1, 0) == 1);
		T_CHECK(weft_read(fd[0], &c, 1) == 1);
	}
	weft_forget(fd[0]);
	close(fd[0]);
	close(fd[1]);
}

static void open_both(void)
{
	T_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, victim) == 0);
	T_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, stranger) == 0);
}

static int receive_from_what_is_closed_meanwhile(void *unused)
{
	struct mmsghdr msgs[2] = {0};
	struct iovec iov[2];
	char got[2] = "";

	(void)unused;
	open_both();
	for (int i = 0; i < 2; i++) {
		iov[i] = (struct iovec){&got[i], 1};
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	T_CHECK(send(victim[1], "v", 1, 0) == 1);
	T_CHECK(send(stranger[1], "s", 1, 0) == 1);
	spend_all_but_one();
	T_CHECK(weft_spawn(NULL, NULL, give_the_number_away, NULL) == 0);
	T_CHECK(weft_recvmmsg(victim[0], msgs, 2, 0) == 1);
	T_CHECK(got[0] == 'v' && got[1] == 0);
	T_CHECK(recv(successor, got, 1, MSG_DONTWAIT) == 1);
	return 0;
}

Test(reuse, many_messages_are_received_from_one_connection)
{
	t_run(1, receive_from_what_is_closed_meanwhile, NULL);
}

#define LARGE 4096

/* How many messages go at once. */
static unsigned room(char *message)
{
	unsigned n = 0;
	int fd[2];

	T_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) == 0);
	while (send(fd[0], message, LARGE, MSG_DONTWAIT) == LARGE)
		n++;
	close(fd[0]);
	close(fd[1]);
	return n;
}

static int send_to_what_is_closed_meanwhile(void *unused)
{
	static char message[LARGE];
	struct iovec iov = {message, sizeof message};
	unsigned n = room(message);
	struct mmsghdr *msgs = calloc(n + 1, sizeof *msgs);

	(void)unused;
	T_CHECK(n && msgs);
	open_both();
	for (unsigned i = 0; i <= n; i++) {
		msgs[i].msg_hdr.msg_iov = &iov;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	spend_all_but_one();
	T_CHECK(weft_spawn(NULL, NULL, give_the_number_away, NULL) == 0);
	T_CHECK(weft_sendmmsg(victim[0], msgs, n + 1, 0) == (int)n);
	T_CHECK(recv(stranger[1], message, 1, MSG_DONTWAIT) == -1);
	free(msgs);
	return 0;
}

Test(reuse, many_messages_are_sent_to_one_connection)
{
	t_run(1, send_to_what_is_closed_meanwhile, NULL);
}
