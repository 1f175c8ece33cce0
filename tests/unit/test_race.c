/* SPDX-License-Identifier: MIT */
/*
 * test_race.c - of data, deadline, cancel and stop, whichever comes first:
 * nothing is lost, and everybody who waits ends.
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

TestSuite(race, .timeout = 30 * T_SLOW);

/* --- data against deadlines --- */

struct flow {
	int fd[2];
	uint64_t seed;
	size_t total;
};

static void spin(uint64_t n)
{
	for (volatile uint64_t i = 0; i < n; i++)
		;
}

/* Numbers, one after the other, at random times. */
static void *send_numbers(void *arg)
{
	struct flow *f = arg;
	uint64_t random = f->seed;

	for (uint32_t i = 0; i < f->total; i++) {
		spin(t_random(&random) % 20000);
		T_CHECK(write(f->fd[1], &i, sizeof i) == sizeof i);
	}
	return NULL;
}

/* Deadlines that pass at about the time when the numbers come. */
static void take_numbers(struct flow *f)
{
	uint64_t random = ~f->seed;

	for (uint32_t i = 0; i < f->total;) {
		weft_time delay = WEFT_NSEC(t_random(&random) % 20000);
		uint32_t number = ~i;
		ssize_t n = weft_read_until(f->fd[0], &number, sizeof number,
					    weft_after(delay));

		T_CHECK(n == sizeof number || n == -ETIMEDOUT);
		if (n == -ETIMEDOUT)
			continue;
		T_CHECK(number == i);
		i++;
	}
}

static int race_deadline(void *arg)
{
	struct flow *f = arg;
	pthread_t thread;

	T_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, f->fd) == 0);
	T_CHECK(pthread_create(&thread, NULL, send_numbers, f) == 0);
	take_numbers(f);
	pthread_join(thread, NULL);
	T_CHECK(weft_close(f->fd[0]) == 0);
	T_CHECK(weft_close(f->fd[1]) == 0);
	return 0;
}

Test(race, no_datum_is_lost_to_a_deadline)
{
	struct flow f = {.seed = t_seed(), .total = t_scale(5000)};

	t_in_each_way(race_deadline, &f);
}

/* --- data against cancel --- */

struct turn {
	int fd[2];
	ssize_t n;
	char got;
};

static void *read_once(void *arg)
{
	struct turn *t = arg;

	t->n = weft_read(t->fd[0], &t->got, 1);
	T_CHECK(weft_read_until(t->fd[0], &(char){0}, 1, WEFT_FOREVER) ==
			-ECANCELED ||
		!weft_cancelled());
	return NULL;
}

/* A byte and a cancel at a time: it is read now, or it is still there. */
static void race_once(struct turn *t, uint64_t *random, unsigned char value)
{
	bool write_first = t_random(random) % 2;
	uint64_t between = t_random(random) % 3000;
	struct weft_fiber *f;
	char c = 0;

	T_CHECK(weft_spawn(&f, NULL, read_once, t) == 0);
	if (t_random(random) % 4)
		weft_yield();
	if (write_first)
		T_CHECK(write(t->fd[1], &value, 1) == 1);
	spin(between);
	weft_cancel(f);
	if (!write_first)
		T_CHECK(write(t->fd[1], &value, 1) == 1);
	T_CHECK(weft_join(f, NULL) == 0);
	if (t->n == 1) {
		T_CHECK(t->got == (char)value);
		T_CHECK(recv(t->fd[0], &c, 1, MSG_DONTWAIT) == -1);
	} else {
		T_CHECK(t->n == -ECANCELED);
		T_CHECK(recv(t->fd[0], &c, 1, MSG_DONTWAIT) == 1);
		T_CHECK(c == (char)value);
	}
}

static int race_cancel(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	struct turn t;

	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, t.fd) == 0);
	for (size_t i = 0; i < t_scale(5000); i++)
		race_once(&t, &random, (unsigned char)i);
	T_CHECK(t_waiters(t.fd[0]) == 0);
	T_CHECK(weft_close(t.fd[0]) == 0);
	T_CHECK(weft_close(t.fd[1]) == 0);
	return 0;
}

Test(race, a_byte_is_read_or_left_when_a_cancel_comes_with_it)
{
	uint64_t seed = t_seed();

	t_on_fibers(race_cancel, &seed);
}

/* --- one byte for many readers, of whom some give up --- */

#define READERS 16

struct share {
	int fd[2];
	uint64_t seed;
	_Atomic size_t taken;
	size_t total;
	_Atomic unsigned number;
};

static void *take_shares(void *arg)
{
	struct share *s = arg;
	uint64_t random = s->seed + s->number++;

	for (;;) {
		weft_time delay = WEFT_NSEC(t_random(&random) % 50000);
		char c;
		ssize_t n = weft_read_until(s->fd[0], &c, 1, weft_after(delay));

		T_CHECK(n == 1 || n == 0 || n == -ETIMEDOUT);
		if (n == 1)
			s->taken++;
		else if (n != -ETIMEDOUT)
			return NULL;
	}
}

static int share_bytes(void *arg)
{
	struct share s = {.seed = *(uint64_t *)arg, .total = t_scale(20000)};
	struct t_task tasks[READERS];

	T_CHECK(t_pair(s.fd) == 0);
	for (int i = 0; i < READERS; i++)
		t_task_start(&tasks[i], take_shares, &s);
	for (size_t i = 0; i < s.total; i++) {
		T_CHECK(weft_write(s.fd[1], "b", 1) == 1);
		if (i % 7 == 0)
			weft_yield();
	}
	T_CHECK(weft_shutdown(s.fd[1], SHUT_WR) == 0);
	for (int i = 0; i < READERS; i++)
		t_task_end(&tasks[i]);
	T_CHECK(s.taken == s.total);
	T_CHECK(weft_close(s.fd[0]) == 0);
	T_CHECK(weft_close(s.fd[1]) == 0);
	return 0;
}

Test(race, many_readers_who_give_up_and_come_back_lose_nothing)
{
	uint64_t seed = t_seed();

	t_in_each_way(share_bytes, &seed);
}

/* --- stop --- */

struct stop {
	int pair[2], full[2], pipe[2], listener;
	_Atomic int ended;
};

static void *stop_reading(void *arg)
{
	struct stop *s = arg;
	char c;

	T_CHECK(weft_read(s->pair[0], &c, 1) == -ECANCELED);
	s->ended++;
	return NULL;
}

static void *stop_piping(void *arg)
{
	struct stop *s = arg;
	char c;

	T_CHECK(weft_read_until(s->pipe[0], &c, 1, weft_after(WEFT_SEC(900))) ==
		-ECANCELED);
	s->ended++;
	return NULL;
}

static void *stop_writing(void *arg)
{
	static char much[1 << 16];
	struct stop *s = arg;
	ssize_t n;

	while ((n = weft_write(s->full[0], much, sizeof much)) > 0)
		;
	T_CHECK(n == -ECANCELED);
	s->ended++;
	return NULL;
}

static void *stop_accepting(void *arg)
{
	struct stop *s = arg;

	T_CHECK(weft_accept(s->listener, NULL, NULL) == -ECANCELED);
	s->ended++;
	return NULL;
}

static void *stop_polling(void *arg)
{
	struct stop *s = arg;
	struct pollfd p[2] = {{s->pair[0], POLLPRI, 0},
			      {s->pipe[0], POLLIN, 0}};

	T_CHECK(weft_poll(p, 2) == -ECANCELED);
	T_CHECK(weft_poll(NULL, 0) == -ECANCELED);
	s->ended++;
	return NULL;
}

static void *wait_all(void *arg)
{
	struct stop *s = arg;

	t_await_waiters(s->pair[0], 2);
	t_await_waiters(s->pipe[0], 2);
	t_await_waiters(s->full[0], 1);
	t_await_waiters(s->listener, 1);
	weft_stop();
	return NULL;
}

static int stop_all(void *arg)
{
	void *(*const kinds[])(void *arg) = {
		stop_reading,   stop_piping,  stop_writing,
		stop_accepting, stop_polling, wait_all,
	};
	struct stop *s = arg;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		T_CHECK(weft_spawn(NULL, NULL, kinds[i], s) == 0);
	return 0;
}

Test(race, stopping_ends_every_kind_of_wait)
{
	struct stop s = {.ended = 0};

	cr_assert_eq(t_pair(s.pair), 0);
	cr_assert_eq(t_pair(s.full), 0);
	cr_assert_eq(pipe(s.pipe), 0);
	s.listener = weft_listen("127.0.0.1:0", NULL);
	t_on_fibers(stop_all, &s);
	cr_assert_eq(s.ended, 10);
}

/* A thread beside the runtime waits like a fiber of it. */
static void *stop_soon(void *arg)
{
	struct stop *s = arg;

	t_await_waiters(s->pair[0], 1);
	weft_stop();
	return NULL;
}

static int wait_over_stop(void *arg)
{
	struct stop *s = arg;
	struct t_task task;
	char c;

	t_task_start(&task, stop_soon, s);
	T_CHECK(weft_read(s->pair[0], &c, 1) == -ECANCELED);
	t_task_end(&task);
	return 0;
}

Test(race, stopping_ends_the_wait_of_a_thread_too)
{
	struct stop s;

	cr_assert_eq(t_pair(s.pair), 0);
	t_in_way(T_THREAD, wait_over_stop, &s);
}
