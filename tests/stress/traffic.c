/* SPDX-License-Identifier: MIT */
/*
 * traffic.c - plays about descriptors: flows, whole and broken; one reader of
 * many, one descriptor of many; closing, listening, dialling; files.
 */
#include "channel.h"
#include "crew.h"
#include "flow.h"
#include "play.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/waiters.h"

static enum channel_kind some_kind(uint64_t *random)
{
	return (enum channel_kind)stress_below(random, CHANNEL_KINDS);
}

/* --- flows --- */

/* The receiver goes first, and nobody reads any more; or the sender does. */
static void break_flow(struct flow *f, struct task *sender,
		       struct task *receiver, uint64_t *random)
{
	bool receiver_first = stress_once_in(random, 2);
	struct task *first = receiver_first ? receiver : sender;
	struct task *second = receiver_first ? sender : receiver;

	weft_sleep((weft_time)stress_below(random, 300000));
	atomic_store(&f->broken, true);
	weft_cancel(first->fiber);
	task_end(first);
	MUST(weft_close(receiver_first ? f->to : f->from) == 0);
	task_end(second);
	MUST(weft_close(receiver_first ? f->from : f->to) == 0);
	COUNT("flows broken");
}

void play_flow(uint64_t *random)
{
	bool whole = stress_once_in(random, 2);
	struct channel c;
	struct flow f;
	struct task sender, receiver;

	channel_open(&c, some_kind(random));
	flow_begin(&f, &c, false, random);
	task_start_anywhere(&receiver, random, whole ? 8 : UINT64_MAX,
			    flow_receive, &f);
	task_start_anywhere(&sender, random, whole ? 8 : UINT64_MAX, flow_send,
			    &f);
	if (!whole) {
		break_flow(&f, &sender, &receiver, random);
	} else {
		task_end(&sender);
		task_end(&receiver);
		channel_close(&c);
		COUNT("flows");
	}
	flow_check(&f);
}

/* Both ways at once, on the same two descriptors. */
void play_duplex(uint64_t *random)
{
	struct channel c;
	struct flow f[2];
	struct task t[4];

	channel_open(&c, some_kind(random));
	if (!channel_is_socket(&c)) {
		channel_close(&c);
		return;
	}
	for (int i = 0; i < 2; i++) {
		flow_begin(&f[i], &c, i, random);
		task_start_anywhere(&t[i], random, 8, flow_receive, &f[i]);
		task_start_anywhere(&t[i + 2], random, 8, flow_send, &f[i]);
	}
	for (int i = 0; i < 4; i++)
		task_end(&t[i]);
	for (int i = 0; i < 2; i++)
		flow_check(&f[i]);
	channel_close(&c);
	COUNT("flows both ways");
}

/* --- many readers share what comes --- */

#define SHARERS 4
#define SHARES  64

struct share {
	struct channel channel;
	uint64_t id;
	_Atomic uint64_t got; /* a bit each */
};

struct token {
	uint64_t id, number;
};

static void *take_shares(void *arg)
{
	struct share *s = arg;
	struct token t;
	ssize_t n;

	while ((n = weft_read(s->channel.fd[0], &t, sizeof t)) > 0) {
		uint64_t bit;

		MUST_BE(n, n == sizeof t);
		if (t.number == SHARES)
			return NULL;
		bit = UINT64_C(1) << t.number;
		MUST(t.id == s->id && t.number < SHARES);
		MUST((atomic_fetch_or(&s->got, bit) & bit) == 0);
	}
	MUST_BE(n, stopped(n));
	return NULL;
}

/* Each number once; then a last one for each of them. */
static bool give_shares(struct share *s)
{
	struct token t = {.id = s->id};
	ssize_t n = sizeof t;

	for (int i = 0; i < SHARES + SHARERS && n > 0; i++) {
		t.number = i < SHARES ? (uint64_t)i : SHARES;
		n = weft_write(s->channel.fd[1], &t, sizeof t);
		MUST_BE(n, n == sizeof t || stopped(n));
	}
	return n > 0;
}

/* Of kinds that keep what is written at once together. */
void play_share(uint64_t *random)
{
	struct share s = {.id = stress_random(random)};
	struct task t[SHARERS];
	bool all;

	channel_open(&s.channel,
		     (enum channel_kind)stress_below(random, CHANNEL_TCP));
	for (int i = 0; i < SHARERS; i++)
		task_start_anywhere(&t[i], random, 16, take_shares, &s);
	all = give_shares(&s);
	for (int i = 0; i < SHARERS; i++)
		task_end(&t[i]);
	MUST(!all || s.got == UINT64_MAX || atomic_load(&play_stopped));
	channel_close(&s.channel);
	COUNT("shares");
}

/* --- one of many --- */

#define POLLED 40 /* more than a call has room for on its stack */

struct giver {
	int fd;
	weft_time delay;
};

static void *give_one(void *arg)
{
	struct giver *g = arg;
	uint64_t one = 1;

	weft_sleep(g->delay);
	MUST(write(g->fd, &one, sizeof one) == sizeof one);
	return NULL;
}

void play_poll(uint64_t *random)
{
	nfds_t n = 1 + stress_below(random, POLLED), chosen;
	struct pollfd p[POLLED];
	struct giver g = {.delay = (weft_time)stress_below(random, 200000)};
	struct task giver;
	int r;

	for (nfds_t i = 0; i < n; i++) {
		p[i] = (struct pollfd){eventfd(0, EFD_CLOEXEC), POLLIN, 0};
		MUST(p[i].fd >= 0);
	}
	chosen = stress_below(random, n);
	g.fd = p[chosen].fd;
	task_start_anywhere(&giver, random, 16, give_one, &g);
	do
		r = weft_poll_until(p, n, weft_after(WEFT_USEC(150)));
	while (r == 0);
	MUST_BE(r, r == 1 || stopped(r));
	for (nfds_t i = 0; r == 1 && i < n; i++)
		MUST(p[i].revents == (i == chosen ? POLLIN : 0));
	task_end(&giver);
	for (nfds_t i = 0; i < n; i++)
		MUST(weft_close(p[i].fd) == 0);
	COUNT("polls");
}

/* --- closed under those who wait, in whatever call --- */

#define WAITERS 5

struct closed {
	int fd;
	_Atomic unsigned inside;
};

static ssize_t wait_somehow(int fd, unsigned way)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	switch (way) {
	case 0:
		return weft_read(fd, &byte, 1);
	case 1:
		return weft_readv_until(fd, &iov, 1, weft_after(WEFT_SEC(999)));
	case 2:
		return weft_recv(fd, &byte, 1, 0);
	case 3:
		return weft_recvmsg(fd, &m, 0);
	default:
		return weft_poll(&p, 1) == 1 && p.revents & POLLNVAL
			       ? -EBADF
			       : -ECANCELED;
	}
}

static void *wait_for_close(void *arg)
{
	struct closed *c = arg;
	unsigned way = atomic_fetch_add(&c->inside, 1) % 5;
	ssize_t n = wait_somehow(c->fd, way);

	MUST_BE(n, n == -EBADF || stopped(n));
	return NULL;
}

void play_close(uint64_t *random)
{
	struct channel c;
	struct closed closed = {0};
	struct task t[WAITERS];

	channel_open(&c, CHANNEL_UNIX_STREAM);
	closed.fd = c.fd[0];
	for (int i = 0; i < WAITERS; i++)
		task_start_anywhere(&t[i], random, 16, wait_for_close, &closed);
	while (t_waiters(c.fd[0]) < WAITERS && !atomic_load(&play_stopped))
		weft_yield();
	if (atomic_load(&play_stopped)) {
		/* Who has not begun must not find another's number. */
		for (int i = 0; i < WAITERS; i++)
			task_end(&t[i]);
		channel_close(&c);
		return;
	}
	if (stress_once_in(random, 2)) {
		MUST(weft_close(c.fd[0]) == 0);
	} else {
		MUST(weft_forget(c.fd[0]) == 0);
		MUST(close(c.fd[0]) == 0);
	}
	for (int i = 0; i < WAITERS; i++)
		task_end(&t[i]);
	MUST(weft_close(c.fd[1]) == 0);
	COUNT("closes under waiters");
}

/* --- listening and dialling --- */

#define CLIENTS 4
#define WORDS   8

struct service {
	int lfd;
	char address[WEFT_ADDRESS_MAX];
	_Atomic unsigned accepted;
	_Atomic bool over;
};

static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint64_t word;

	while (weft_read_full(fd, &word, sizeof word, NULL) == 0 &&
	       weft_write_all(fd, &word, sizeof word, NULL) == 0)
		;
	MUST(weft_close(fd) == 0);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct service *s = arg;
	int fd;

	while ((fd = weft_accept(s->lfd, NULL, NULL)) >= 0) {
		atomic_fetch_add(&s->accepted, 1);
		crew_spawn(NULL, echo, (void *)(intptr_t)fd);
	}
	MUST_BE(fd, fd == -EBADF || stopped(fd));
	atomic_store(&s->over, true);
	return NULL;
}

static int exchange(int fd, uint64_t word)
{
	uint64_t reply = 0;
	int r = weft_write_all(fd, &word, sizeof word, NULL);

	if (r == 0)
		r = weft_read_full(fd, &reply, sizeof reply, NULL);
	MUST(r < 0 || reply == word);
	return r;
}

/* Ends by a reset, so that no port is held back. */
static void *converse(void *arg)
{
	struct service *s = arg;
	struct linger reset = {.l_onoff = 1};
	uint64_t random = stress_sequence();
	int fd = weft_dial(s->address, NULL), r = 0;

	if (stopped(fd))
		return NULL;
	MUST_BE(fd, fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	for (int i = 0; i < WORDS && r == 0; i++)
		r = exchange(fd, stress_random(&random));
	/* If it is the other side that has been stopped: the end, a reset. */
	MUST_BE(r, r == 0 || atomic_load(&play_stopped));
	MUST(weft_close(fd) == 0);
	COUNT("conversations");
	return NULL;
}

static void listen_somewhere(struct service *s, uint64_t *random)
{
	if (stress_once_in(random, 2))
		snprintf(s->address, sizeof s->address, "127.0.0.1:0");
	else
		snprintf(s->address, sizeof s->address, "unix:@stress-%d-%llx",
			 getpid(), (unsigned long long)stress_random(random));
	s->lfd = weft_listen(s->address, NULL);
	MUST_BE(s->lfd, s->lfd >= 0 || stopped(s->lfd));
	if (s->lfd >= 0)
		MUST(weft_local_address(s->lfd, s->address, sizeof s->address) >
		     0);
}

/* The acceptor has taken all there are, and waits, before it is closed. */
void play_serve(uint64_t *random)
{
	struct service s = {0};
	struct task acceptor, clients[CLIENTS];

	listen_somewhere(&s, random);
	if (s.lfd < 0)
		return;
	task_start_anywhere(&acceptor, random, 16, accept_all, &s);
	for (int i = 0; i < CLIENTS; i++)
		task_start_anywhere(&clients[i], random, 16, converse, &s);
	for (int i = 0; i < CLIENTS; i++)
		task_end(&clients[i]);
	while (!atomic_load(&s.over) &&
	       (s.accepted < CLIENTS || !t_waiters(s.lfd)))
		weft_yield();
	MUST(weft_close(s.lfd) == 0);
	task_end(&acceptor);
	COUNT("services");
}

/* --- files --- */

#define BLOCKS 8

struct block {
	uint64_t words[512];
};

/* Write a block, and read it back. */
static int keep_block(int fd, uint64_t i, uint64_t id)
{
	struct block b, back;
	off_t at = (off_t)(i * sizeof b);
	ssize_t n;

	for (uint64_t w = 0; w < 512; w++)
		b.words[w] = stress_mix(id + i * 512 + w);
	n = weft_pwrite(fd, &b, sizeof b, at);
	if (stopped(n))
		return -ECANCELED;
	MUST_BE(n, n == sizeof b);
	n = weft_pread(fd, &back, sizeof back, at);
	if (stopped(n))
		return -ECANCELED;
	MUST_BE(n, n == sizeof back);
	for (uint64_t w = 0; w < 512; w++)
		MUST(back.words[w] == b.words[w]);
	return 0;
}

void play_file(uint64_t *random)
{
	uint64_t id = stress_random(random);
	char name[64];
	int fd, r = 0;

	snprintf(name, sizeof name, "/dev/shm/weft-stress-%d-%llx", getpid(),
		 (unsigned long long)id);
	fd = weft_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (stopped(fd)) {
		unlink(name);
		return;
	}
	MUST_BE(fd, fd >= 0);
	MUST(unlink(name) == 0);
	for (uint64_t i = 0; i < BLOCKS && r == 0; i++)
		r = keep_block(fd, i, id);
	if (r == 0)
		r = weft_fsync(fd);
	MUST_BE(r, r == 0 || stopped(r));
	MUST(weft_close(fd) == 0);
	COUNT("files");
}
