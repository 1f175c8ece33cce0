/* SPDX-License-Identifier: MIT */
/*
 * test_source.c - what is remembered of a descriptor: readiness that is not
 * lost, waiters that are woken, and a number that is closed once.
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/worker.h"
#include "io/source.h"

TestSuite(source, .timeout = 30 * T_SLOW);

/* --- the words of a source, without any runtime --- */

#define GENERATION(s) (source_ready(s) >> 48)

static struct wf_source *enter(int fd)
{
	struct wf_source *s = NULL;

	cr_assert_eq(wf_source_enter(fd, &s), 0);
	return s;
}

static void report(uint64_t data, uint32_t events)
{
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	wf_source_prefetch(data);
	wf_source_prefetch_waiter(data);
	wf_source_event(data, events, &wakes, NULL);
	wf_wakes_fire(&wakes, NULL);
}

static void event(struct wf_source *s, uint32_t events)
{
	report(GENERATION(s) << 32 | s->slot, events);
}

Test(source, a_new_one_may_be_ready_for_anything)
{
	struct wf_source *s = enter(eventfd(0, 0));

	cr_assert_eq(source_ready(s) & 63, WF_IN | WF_OUT | WF_PRI);
	cr_assert_not(s->tcp);
	cr_assert_not(s->nonblock);
}

Test(source, the_same_number_has_the_same_source)
{
	int fd = eventfd(0, 0);
	struct wf_source *s = enter(fd);

	cr_assert_eq(enter(fd), s);
	wf_source_leave(s);
	cr_assert_eq(wf_source_close(s), 0);
}

Test(source, emptiness_clears_one_direction)
{
	struct wf_source *s = enter(eventfd(0, 0));

	wf_source_empty(s, WF_IN, source_ready(s));
	cr_assert_eq(source_ready(s) & 63, WF_OUT | WF_PRI);
	wf_source_empty(s, WF_OUT, source_ready(s));
	cr_assert_eq(source_ready(s) & 63, WF_PRI);
	wf_source_empty(s, WF_PRI, source_ready(s));
	cr_assert_eq(source_ready(s) & 63, 0);
}

Test(source, emptiness_seen_before_an_event_clears_nothing)
{
	struct wf_source *s = enter(eventfd(0, 0));
	uint64_t seen = source_ready(s);

	event(s, EPOLLIN);
	wf_source_empty(s, WF_IN, seen);
	cr_assert(source_ready(s) & WF_IN);
	wf_source_empty(s, WF_IN, source_ready(s));
	cr_assert_not(source_ready(s) & WF_IN);
}

Test(source, an_event_of_one_direction_does_not_keep_the_other_from_clearing)
{
	struct wf_source *s = enter(eventfd(0, 0));
	uint64_t seen = source_ready(s);

	event(s, EPOLLOUT);
	wf_source_empty(s, WF_IN, seen);
	cr_assert_not(source_ready(s) & WF_IN);
}

/* As many events as the ticks can count, and one that the clear must see. */
Test(source, ticks_do_not_run_into_each_other)
{
	struct wf_source *s = enter(eventfd(0, 0));
	uint64_t generation = GENERATION(s), seen;

	for (unsigned i = 0; i < 1u << 20; i++)
		event(s, EPOLLIN | EPOLLOUT);
	cr_assert_eq(GENERATION(s), generation);
	seen = source_ready(s);
	for (unsigned i = 0; i < 1u << 16; i++)
		event(s, EPOLLIN);
	wf_source_empty(s, WF_IN, seen);
	cr_assert(source_ready(s) & WF_IN, "a tick of 16 bits has wrapped");
	wf_source_empty(s, WF_OUT, seen);
	cr_assert_not(source_ready(s) & WF_OUT);
}

Test(source, a_hang_up_is_cleared_by_emptiness_and_not_by_a_short_count)
{
	struct wf_source *s = enter(eventfd(0, 0));

	event(s, EPOLLIN | EPOLLRDHUP);
	cr_assert(source_ready(s) & WF_IN_HUP);
	cr_assert_not(source_ready(s) & WF_OUT_HUP);
	wf_source_short(s, WF_IN, source_ready(s));
	cr_assert_eq(source_ready(s) & WF_CAN_IN, WF_CAN_IN);
	wf_source_empty(s, WF_IN, source_ready(s));
	cr_assert_not(source_ready(s) & WF_CAN_IN);
	event(s, EPOLLHUP);
	cr_assert_eq(source_ready(s) & (WF_IN_HUP | WF_OUT_HUP),
		     WF_IN_HUP | WF_OUT_HUP);
}

Test(source, a_short_count_means_empty_unless_data_are_urgent)
{
	struct wf_source *s = enter(eventfd(0, 0));

	wf_source_short(s, WF_IN, source_ready(s));
	cr_assert_not(source_ready(s) & WF_IN);
	event(s, EPOLLIN | EPOLLPRI);
	wf_source_short(s, WF_IN, source_ready(s));
	cr_assert(source_ready(s) & WF_IN);
}

Test(source, an_error_concerns_both_directions)
{
	struct wf_source *s = enter(eventfd(0, 0));

	wf_source_empty(s, WF_IN | WF_OUT, source_ready(s));
	event(s, EPOLLERR);
	cr_assert_eq(source_ready(s) & (WF_IN | WF_OUT), WF_IN | WF_OUT);
}

Test(source, an_event_for_what_a_slot_was_before_is_dropped)
{
	int fd = eventfd(0, 0);
	struct wf_source *s = enter(fd);
	uint64_t old = GENERATION(s) << 32 | s->slot;

	cr_assert_eq(wf_source_close(s), 0);
	cr_assert_neq(GENERATION(s), old >> 32);
	report(old, EPOLLHUP);
	cr_assert_not(source_ready(s) & WF_IN_HUP);
}

Test(source, freed_slots_are_reused_the_oldest_first)
{
	int fd = eventfd(0, 0);
	struct wf_source *first = enter(fd), *next;

	cr_assert_eq(wf_source_close(first), 0);
	fd = eventfd(0, 0);
	next = enter(fd);
	cr_assert_neq(next, first);
}

Test(source, kinds_of_descriptors_are_told_apart)
{
	int tcp[2], p[2], unix_[2];

	cr_assert_eq(t_pair(tcp), 0);
	cr_assert_eq(pipe(p), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, unix_), 0);
	cr_assert_eq(atom_load_rlx(&enter(tcp[0])->kind), WF_SOCKET);
	cr_assert(enter(tcp[0])->tcp);
	cr_assert_not(enter(unix_[0])->tcp);
	cr_assert(atom_load_rlx(&enter(p[0])->kind) == WF_STREAM ||
		  atom_load_rlx(&enter(p[0])->kind) == WF_POLLED);
	cr_assert_eq(atom_load_rlx(&enter(open("/", O_RDONLY))->kind), WF_FILE);
}

Test(source, numbers_that_are_not_open_have_none)
{
	struct wf_source *s = (void *)1;

	cr_assert_eq(wf_source_enter(-1, &s), -EBADF);
	cr_assert_eq(wf_source_enter(19999, &s), -EBADF);
	cr_assert_eq(wf_source_find(-1, &s), -EBADF);
	cr_assert_eq(wf_source_find(19998, &s), 0);
	cr_assert_null(s);
}

Test(source, who_closes_first_closes_and_who_leaves_last_frees_the_number)
{
	int fd = eventfd(0, 0);
	struct wf_source *s = enter(fd), *none;

	cr_assert_eq(enter(fd), s);
	cr_assert_eq(wf_source_close(s), 0);
	cr_assert_eq(wf_source_enter(fd, &none), -EBADF);
	cr_assert_neq(fcntl(fd, F_GETFD), -1, "somebody is still inside");
	wf_source_leave(s);
	cr_assert_eq(fcntl(fd, F_GETFD), -1);
}

Test(source, a_descriptor_weft_made_replaces_what_was_known_of_the_number)
{
	int fd = eventfd(0, 0), pair[2];
	struct wf_source *old = enter(fd), *new;

	wf_source_leave(old);
	close(fd);
	cr_assert_eq(t_pair(pair), 0);
	cr_assert_eq(dup2(pair[0], fd), fd);
	wf_source_adopt(fd, NULL);
	new = enter(fd);
	cr_assert_neq(new, old);
	cr_assert(new->tcp &&new->nonblock);
	cr_assert_eq(atom_load_rlx(&new->kind), WF_SOCKET);
}

/* --- closing while others wait --- */

#define MANY 100

static void *wait_to_read(void *arg)
{
	char c;

	T_CHECK(weft_read(*(int *)arg, &c, 1) == -EBADF);
	return NULL;
}

/* One byte more than there is room for, by whole buffers. */
static void *wait_to_write(void *arg)
{
	static char buf[1 << 16];
	ssize_t n;

	while ((n = weft_write(*(int *)arg, buf, sizeof buf)) > 0)
		;
	T_CHECK(n == -EBADF);
	return NULL;
}

struct company {
	int (*make)(int fd[2]);
	int (*end)(int fd);
	size_t readers, writers;
};

/* The end that has readers and writers, and then is closed. */
static int close_on_company(void *arg)
{
	const struct company *c = arg;
	struct t_task tasks[2 * MANY];
	size_t n = c->readers + c->writers;
	int fd[2];

	T_CHECK(c->make(fd) == 0);
	for (size_t i = 0; i < n; i++)
		t_task_start(&tasks[i],
			     i < c->readers ? wait_to_read : wait_to_write,
			     &fd[0]);
	t_await_waiters(fd[0], n);
	T_CHECK(c->end(fd[0]) == 0);
	for (size_t i = 0; i < n; i++)
		t_task_end(&tasks[i]);
	if (c->end == weft_close) {
		T_CHECK(fcntl(fd[0], F_GETFD) == -1);
		T_CHECK(weft_close(fd[0]) == -EBADF);
	} else {
		T_CHECK(fcntl(fd[0], F_GETFD) != -1);
		T_CHECK(close(fd[0]) == 0);
	}
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

static void in_company(int (*end)(int fd))
{
	const size_t counts[] = {1, 3, MANY};
	int fds = t_fds();

	for (int i = 0; i < 3; i++) {
		struct company c = {t_pair, end, counts[i], counts[i]};

		t_in_way(T_FIBER, close_on_company, &c);
		t_in_way(T_FIBER_OF_2, close_on_company, &c);
		t_in_way(T_THREAD, close_on_company, &c);
	}
	cr_assert_eq(t_fds(), fds);
}

Test(source, a_close_wakes_every_reader_and_writer_and_frees_the_number_once)
{
	in_company(weft_close);
}

Test(source, forgetting_wakes_everybody_and_leaves_the_number_open)
{
	in_company(weft_forget);
}

Test(source, a_pipe_is_closed_to_its_readers)
{
	struct company c = {pipe, weft_close, 3, 0};

	t_on_fibers(close_on_company, &c);
}

/* Make `fd` a duplicate of another, once nobody in the process has it. */
static void take_number(int fd, int of)
{
	int n;

	while ((n = fcntl(of, F_DUPFD, fd)) > fd)
		close(n);
	T_CHECK(n == fd);
}

/* --- forgetting --- */

static int forget_and_reuse(void *arg)
{
	int a[2], b[2];
	char c;

	(void)arg;
	T_CHECK(pipe(a) == 0);
	T_CHECK(weft_read_until(a[0], &c, 1, 0) == -ETIMEDOUT);
	T_CHECK(weft_forget(a[0]) == 0);
	T_CHECK(weft_forget(a[0]) == 0);
	/* The same number, another kind, ready for nothing. */
	T_CHECK(t_pair(b) == 0);
	T_CHECK(dup2(b[0], a[0]) == a[0]);
	T_CHECK(weft_read_until(a[0], &c, 1, weft_after(WEFT_MSEC(2))) ==
		-ETIMEDOUT);
	T_CHECK(weft_write(b[1], "n", 1) == 1);
	T_CHECK(weft_read(a[0], &c, 1) == 1 && c == 'n');
	T_CHECK(weft_close(a[0]) == 0);
	T_CHECK(weft_close(a[1]) == 0);
	T_CHECK(weft_close(b[0]) == 0);
	T_CHECK(weft_close(b[1]) == 0);
	T_CHECK(weft_forget(-1) == -EBADF);
	return 0;
}

Test(source, a_forgotten_number_may_be_closed_and_used_by_others)
{
	t_in_each_way(forget_and_reuse, NULL);
}

/* The kernel must not know the pair of file and number any more. */
static int use_again(void *arg)
{
	int fd[2], kept;
	char c;

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	T_CHECK(weft_read_until(fd[0], &c, 1, 0) == -ETIMEDOUT);
	T_CHECK(weft_forget(fd[0]) == 0);
	T_CHECK(weft_read_until(fd[0], &c, 1, 0) == -ETIMEDOUT);
	kept = dup(fd[0]);
	T_CHECK(weft_close(fd[0]) == 0);
	take_number(fd[0], kept);
	T_CHECK(weft_read_until(fd[0], &c, 1, 0) == -ETIMEDOUT);
	T_CHECK(weft_write(fd[1], "z", 1) == 1);
	T_CHECK(weft_read(fd[0], &c, 1) == 1 && c == 'z');
	T_CHECK(weft_close(kept) == 0);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return 0;
}

Test(source, the_same_file_may_come_back_under_its_number)
{
	t_in_each_way(use_again, NULL);
}

static int forget_cancelled(void *arg)
{
	int fd[2];
	char c;

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	T_CHECK(weft_read_until(fd[0], &c, 1, 0) == -ETIMEDOUT);
	weft_cancel(weft_self());
	T_CHECK(weft_read(fd[0], &c, 1) == -ECANCELED);
	T_CHECK(weft_write(fd[0], &c, 1) == -ECANCELED);
	T_CHECK(weft_forget(fd[0]) == 0);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	T_CHECK(fcntl(fd[0], F_GETFD) == -1);
	return 0;
}

Test(source, cancellation_reaches_neither_close_nor_forget)
{
	t_on_fibers(forget_cancelled, NULL);
}

/* --- several runtimes, and a duplicate that outlives --- */

static int wait_a_moment(void *arg)
{
	char c;

	return weft_read_until(*(int *)arg, &c, 1, weft_after(WEFT_MSEC(1))) ==
			       -ETIMEDOUT
		       ? 0
		       : -1;
}

static int read_one(void *arg)
{
	char c;

	return weft_read(*(int *)arg, &c, 1) == 1 ? 0 : -1;
}

Test(source, a_descriptor_may_be_used_in_one_runtime_after_another)
{
	int fd[2];

	cr_assert_eq(t_pair(fd), 0);
	for (int i = 0; i < 3; i++) {
		t_in_each_way(wait_a_moment, &fd[0]);
		cr_assert_eq(write(fd[1], "abcd", 4), 4);
		t_in_each_way(read_one, &fd[0]);
	}
}

static int close_with_duplicate(void *arg)
{
	int fd[2], other[2], dup_;
	char c;

	(void)arg;
	T_CHECK(t_pair(fd) == 0);
	T_CHECK(t_pair(other) == 0);
	T_CHECK(weft_read_until(fd[0], &c, 1, 0) == -ETIMEDOUT);
	dup_ = dup(fd[0]);
	T_CHECK(weft_close(fd[0]) == 0);
	take_number(fd[0], other[0]);
	T_CHECK(weft_write(fd[1], "x", 1) == 1);
	T_CHECK(weft_read_until(fd[0], &c, 1, weft_after(WEFT_MSEC(2))) ==
		-ETIMEDOUT);
	T_CHECK(weft_write(other[1], "y", 1) == 1);
	T_CHECK(weft_read(fd[0], &c, 1) == 1 && c == 'y');
	T_CHECK(weft_read(dup_, &c, 1) == 1 && c == 'x');
	T_CHECK(weft_close(dup_) == 0);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	T_CHECK(weft_close(other[0]) == 0);
	T_CHECK(weft_close(other[1]) == 0);
	return 0;
}

Test(source, a_duplicate_of_a_closed_descriptor_does_not_wake_its_successor)
{
	t_in_each_way(close_with_duplicate, NULL);
}

/* --- events and others that come while a source ends --- */

static int end_with_an_event(void *arg)
{
	struct pollfd p = {.events = POLLIN};
	char c;

	(void)arg;
	for (size_t i = t_scale(20000); i; i--) {
		int fd[2];

		T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
		p.fd = fd[0];
		T_CHECK(weft_read_until(fd[0], &c, 1, 0) == -ETIMEDOUT);
		T_CHECK(write(fd[1], "x", 1) == 1);
		T_CHECK(weft_poll(&p, 1) == 1);
		T_CHECK(weft_close(fd[0]) == 0);
		T_CHECK(weft_close(fd[1]) == 0);
	}
	return 0;
}

Test(source, an_event_that_comes_while_a_source_ends_harms_nobody,
     .timeout = 60 * T_SLOW)
{
	t_in_way(T_THREAD, end_with_an_event, NULL);
	t_in_way(T_FIBER_OF_2, end_with_an_event, NULL);
}

struct race {
	int fd[2];
	_Atomic int closed;
};

static void *read_or_bad(void *arg)
{
	struct race *r = arg;
	char c;

	T_CHECK(weft_read(r->fd[0], &c, 1) == -EBADF);
	return NULL;
}

static void *close_once(void *arg)
{
	struct race *r = arg;
	int n = weft_close(r->fd[0]);

	T_CHECK(n == 0 || n == -EBADF);
	r->closed += n == 0;
	return NULL;
}

static int race_to_close(void *arg)
{
	char c;

	(void)arg;
	for (size_t i = t_scale(3000); i; i--) {
		struct race r = {.closed = 0};
		struct t_task tasks[4];

		T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, r.fd) == 0);
		T_CHECK(weft_read_until(r.fd[0], &c, 1, 0) == -ETIMEDOUT);
		for (int k = 0; k < 4; k++)
			t_task_start(&tasks[k],
				     k % 2 ? close_once : read_or_bad, &r);
		for (int k = 0; k < 4; k++)
			t_task_end(&tasks[k]);
		T_CHECK(r.closed == 1);
		T_CHECK(weft_close(r.fd[1]) == 0);
	}
	return 0;
}

Test(source, of_two_who_close_one_does_whoever_reads_meanwhile)
{
	t_on_fibers(race_to_close, NULL);
}

/* --- by whom they are served --- */

#define WORKERS 3
#define POLLED  200
#define READERS 200

static struct pollfd polled[POLLED];
static int read_[READERS];
static _Atomic unsigned awake;
static _Atomic bool over;

static void *stay_awake(void *unused)
{
	awake++;
	while (!over)
		weft_yield();
	return unused;
}

static void *read_number(void *fd)
{
	uint64_t number;

	T_CHECK(weft_read(*(int *)fd, &number, sizeof number) == 8);
	return NULL;
}

struct armed {
	uint32_t most, least, all;
};

static struct armed look_at_workers(void)
{
	struct armed a = {.least = UINT32_MAX};

	for (int i = 0; i < WORKERS; i++) {
		struct wf_worker *w = &wf_runtime.workers[i];
		uint32_t n = atom_load_rlx(&w->poll.added);

		a.most = n > a.most ? n : a.most;
		a.least = n < a.least ? n : a.least;
		a.all += n;
	}
	return a;
}

static void poll_many(void)
{
	struct armed a;

	for (int i = 0; i < POLLED; i++) {
		polled[i] =
			(struct pollfd){.fd = eventfd(0, 0), .events = POLLIN};
		T_CHECK(polled[i].fd >= 0);
	}
	T_CHECK(weft_poll_until(polled, POLLED, weft_after(WEFT_MSEC(1))) == 0);
	a = look_at_workers();
	T_CHECK(a.all == POLLED && a.most == POLLED);
}

static void spawn_many(struct weft_fiber *reader[READERS])
{
	struct armed a;

	for (int i = 0; i < READERS; i++) {
		read_[i] = eventfd(0, 0);
		T_CHECK(weft_spawn(&reader[i], NULL, read_number, &read_[i]) ==
			0);
	}
	for (int i = 0; i < READERS; i++)
		t_await_waiters(read_[i], 1);
	a = look_at_workers();
	T_CHECK(a.all == POLLED + READERS && a.most <= 4 * a.least);
}

/* No worker is ever without something to do, so none steals. */
static int poll_and_spawn(void *unused)
{
	struct weft_fiber *busy[WORKERS], *reader[READERS];

	(void)unused;
	for (unsigned i = 0; i < WORKERS; i++)
		T_CHECK(weft_spawn(&busy[i], &(struct weft_attr){.pin = i + 1},
				   stay_awake, NULL) == 0);
	while (awake < WORKERS)
		weft_yield();
	poll_many();
	spawn_many(reader);
	for (int i = 0; i < READERS; i++) {
		T_CHECK(eventfd_write(read_[i], 1) == 0);
		T_CHECK(weft_join(reader[i], NULL) == 0);
		T_CHECK(weft_close(read_[i]) == 0);
	}
	for (int i = 0; i < POLLED; i++)
		T_CHECK(weft_close(polled[i].fd) == 0);
	over = true;
	for (int i = 0; i < WORKERS; i++)
		T_CHECK(weft_join(busy[i], NULL) == 0);
	return 0;
}

Test(source, those_of_one_fiber_stay_together_and_many_fibers_are_spread)
{
	t_run(WORKERS, poll_and_spawn, NULL);
}
