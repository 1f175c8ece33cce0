/* SPDX-License-Identifier: MIT */
/*
 * test_crowd.c - how many workers are wanted: what becomes of that on machines
 * that others use too, and that nothing is lost while it changes.
 */
#include "support/io.h"
#include "support/thread.h"

#include <errno.h>

#include "io/source.h"
#include "run/crowd.h"
#include "weft/runtime.h"
#include "weft/stats.h"

TestSuite(crowd, .timeout = 30 * T_SLOW);

/* --- machines, made up --- */

struct work {
	double rate;        /* done in a second */
	double ran, waited; /* on a CPU and for one, in CPUs */
};

typedef struct work (*machine)(uint32_t wanted);

static struct wf_crowd crowd;
static weft_time now;
static uint64_t random_;

static void begin(uint32_t workers)
{
	wf_crowd_begin(&crowd, workers);
	now = WEFT_SEC(1);
	random_ = 1;
}

/* Up to 2 % more or less than what the machine says. */
static double noise(void)
{
	return 0.98 + 0.04 * (double)(t_random(&random_) % 1024) / 1024;
}

/* Its length. */
static weft_time pass_window(machine m)
{
	struct work done = m(crowd.wanted);
	weft_time length = wf_crowd_window(&crowd);
	double part = (double)length / (double)WEFT_SEC(1);
	struct wf_crowd_view v = {
		.now = now += length,
		.length = length,
		.done = (uint64_t)(done.rate * noise() * part),
		.ran = (weft_time)(done.ran * (double)length),
		.waited = (weft_time)(done.waited * (double)length),
		.known = crowd.wanted};

	wf_crowd_turn(&crowd, &v);
	cr_assert(crowd.wanted >= 1 && crowd.wanted <= crowd.all);
	return length;
}

/* How long in so many seconds there were not `wanted` workers. */
static weft_time pass(unsigned seconds, machine m, uint32_t wanted)
{
	weft_time others = 0;

	for (weft_time end = now + WEFT_SEC(seconds); now < end;) {
		weft_time length = pass_window(m);

		if (crowd.wanted != wanted)
			others += length;
	}
	return others;
}

/* Trying is short, and ever less frequent. */
#define SELDOM(seconds) (WEFT_SEC(seconds) / 25)

/* Two CPUs, and a client that needs one of them. */
static struct work with_client(uint32_t wanted)
{
	return wanted == 1 ? (struct work){100000, 0.99, 0.01}
			   : (struct work){85000, 1, 0.6};
}

/* The same, and the client is the slower one. */
static struct work with_slow_client(uint32_t wanted)
{
	return wanted == 1 ? (struct work){100000, 0.93, 0.01}
			   : (struct work){85000, 1, 0.6};
}

/* The same, one is hardly better than two, and now and then a test ends. */
static struct work with_hiccups(uint32_t wanted)
{
	static unsigned windows;
	struct work done = with_client(wanted);

	done.rate = wanted == 1 ? 100000 : 98000;
	if (++windows % 7 == 0)
		done.rate /= 5;
	return done;
}

/* Where requests come in waves, and two would do a seventh more. */
static struct work in_waves(uint32_t wanted)
{
	double part = (double)(t_random(&random_) % 1024) / 1024;

	return (struct work){
		(wanted == 1 ? 86000 : 100000) * (0.6 + 0.8 * part), 0.98, 0.6};
}

/* More and more is asked, and two would do it better. */
static struct work growing(uint32_t wanted)
{
	static unsigned windows;
	struct work done = with_client(wanted);

	done.rate = (20000 + 2000 * windows++) * (wanted == 1 ? 0.8 : 1);
	return done;
}

/* Two CPUs, and a program that has nothing to do with us. */
static struct work with_stranger(uint32_t wanted)
{
	return wanted == 1 ? (struct work){100000, 0.99, 0.01}
			   : (struct work){133000, 1.33, 0.6};
}

/* Others wait for CPUs too, but two workers do twice as much as one. */
static struct work worth_two(uint32_t wanted)
{
	return (struct work){100000 * wanted, 0.98 * wanted, 0.6};
}

static struct work undisturbed(uint32_t wanted)
{
	return (struct work){100000 * wanted, 0.98 * wanted, 0.02};
}

static struct work slack(uint32_t wanted)
{
	return (struct work){9000 / wanted, 0.1, 0.6};
}

static struct work none(uint32_t wanted)
{
	(void)wanted;
	return (struct work){0, 0, 0};
}

/* 64 CPUs, 16 of them for clients who can ask that much. */
static struct work with_clients(uint32_t wanted)
{
	double share = 64.0 / (wanted + 16);

	if (wanted <= 48)
		return (struct work){wanted * 10000, wanted, 0.1};
	return (struct work){16 * share * 30000, wanted * share,
			     wanted * (1 - share)};
}

Test(crowd, one_worker_is_wanted_where_the_client_needs_the_other_cpu)
{
	begin(2);
	pass(1, with_client, 1);
	cr_assert_eq(crowd.wanted, 1);
	cr_assert_leq(pass(60, with_client, 1), SELDOM(60));
}

Test(crowd, a_hiccup_does_not_spoil_a_trial)
{
	begin(2);
	cr_assert_leq(pass(1, with_hiccups, 1), WEFT_MSEC(160));
}

Test(crowd, a_load_that_grows_is_no_proof)
{
	begin(2);
	cr_assert_leq(pass(1, growing, 2), WEFT_MSEC(400));
}

Test(crowd, waves_prove_little)
{
	begin(2);
	cr_assert_leq(pass(1000, in_waves, 2), 2 * SELDOM(1000));
}

Test(crowd, a_load_that_has_just_begun_is_not_compared_with)
{
	begin(2);
	pass(1, none, 2);
	for (int i = 0; i < 9; i++) {
		struct wf_crowd_view v = {.now = now += WEFT_MSEC(10),
					  .length = WEFT_MSEC(10),
					  .done = 1000,
					  .ran = WEFT_MSEC(10),
					  .waited = WEFT_MSEC(6),
					  .known = 2};

		wf_crowd_turn(&crowd, &v);
		cr_assert_eq(crowd.wanted, 2);
	}
}

Test(crowd, a_trial_without_hope_is_short)
{
	begin(2);
	cr_assert_leq(pass(1, worth_two, 2), WEFT_MSEC(100));
}

Test(crowd, all_are_seldom_tried_where_those_wanted_have_time_left)
{
	begin(2);
	pass(1, with_slow_client, 1);
	cr_assert_eq(pass(30, with_slow_client, 1), 0);
	cr_assert_gt(pass(30, with_slow_client, 1), 0);
	cr_assert_eq(crowd.wanted, 1);
}

Test(crowd, all_are_wanted_soon_when_those_wanted_have_no_time_left)
{
	begin(2);
	pass(3, with_slow_client, 1);
	cr_assert_eq(crowd.wanted, 1);
	pass(1, undisturbed, 2);
	cr_assert_eq(crowd.wanted, 2);
}

Test(crowd, all_are_wanted_beside_a_stranger)
{
	begin(2);
	cr_assert_leq(pass(60, with_stranger, 2), SELDOM(60));
}

Test(crowd, all_are_wanted_where_there_is_no_crowd)
{
	begin(2);
	cr_assert_eq(pass(60, undisturbed, 2), 0);
	begin(64);
	cr_assert_eq(pass(60, undisturbed, 64), 0);
}

Test(crowd, nothing_is_tried_where_little_is_done)
{
	begin(2);
	cr_assert_eq(pass(60, slack, 2), 0);
}

Test(crowd, all_are_wanted_when_the_load_is_over)
{
	begin(2);
	pass(1, with_client, 1);
	cr_assert_eq(crowd.wanted, 1);
	cr_assert_eq(pass(1, none, 2), 0);
	cr_assert_eq(pass(1, undisturbed, 2), 0);
}

Test(crowd, what_was_found_is_taken_up_after_a_lull)
{
	begin(2);
	pass(1, with_client, 1);
	cr_assert_eq(pass(100, none, 2), 0);
	cr_assert_eq(pass(1, with_client, 1), 0);
	cr_assert_eq(pass(1, none, 2), 0);
	cr_assert_eq(pass(1, with_client, 1), 0);
}

Test(crowd, what_was_found_is_given_up_where_it_is_wrong_after_a_lull)
{
	begin(2);
	pass(1, with_client, 1);
	pass(1, none, 2);
	cr_assert_leq(pass(60, with_stranger, 2), WEFT_MSEC(2500) + SELDOM(60));
}

Test(crowd, all_are_wanted_again_when_the_crowd_has_gone)
{
	begin(2);
	pass(60, with_client, 1);
	pass(40, undisturbed, 2);
	cr_assert_eq(crowd.wanted, 2);
	cr_assert_eq(pass(60, undisturbed, 2), 0);
}

Test(crowd, all_are_wanted_for_a_while_after_one_was_held)
{
	begin(2);
	pass(1, with_client, 1);
	cr_assert_eq(crowd.wanted, 1);
	wf_crowd_held(&crowd, now);
	cr_assert_eq(crowd.wanted, 2);
	pass(3, with_client, 1);
	cr_assert_eq(crowd.wanted, 1, "the crowd is still there");
}

/* Where no thread can be had to take the worker over. */
Test(crowd, one_that_is_held_for_long_counts_once)
{
	begin(2);
	pass(1, with_client, 1);
	for (weft_time end = now + WEFT_SEC(10); now < end; now += WEFT_MSEC(1))
		wf_crowd_held(&crowd, now);
	cr_assert_eq(crowd.wanted, 2);
	pass(1, with_client, 1);
	cr_assert_eq(crowd.wanted, 1);
}

Test(crowd, while_one_is_held_no_fewer_are_tried)
{
	begin(2);
	for (weft_time end = now + WEFT_SEC(10); now < end;) {
		wf_crowd_held(&crowd, now);
		pass_window(with_client);
		cr_assert_eq(crowd.wanted, 2);
	}
}

Test(crowd, of_many_workers_so_many_rest_as_clients_need_cpus)
{
	begin(64);
	pass(10, with_clients, 0);
	cr_assert(crowd.wanted >= 40 && crowd.wanted <= 52, "%u", crowd.wanted);
}

/* --- real workers, told how many of them are wanted --- */

static void want(uint32_t wanted)
{
	atom_store_rlx(&wf_runtime.idle.wanted, wanted);
}

static uint32_t armed(unsigned worker)
{
	return atom_load_rlx(&wf_runtime.workers[worker].poll.added);
}

/* Its own decisions would come in between. */
static void run_with(unsigned workers, int (*fn)(void *))
{
	struct weft_options o = {.workers = workers, .all_workers = true};

	t_reset();
	cr_assert_eq(weft_run(&o, fn, NULL), 0);
	t_verify();
}

struct couple {
	int fd[2];
	uint64_t rounds;
	bool pinned;
};

static void send_(int fd, uint64_t n)
{
	T_CHECK(weft_write_all(fd, &n, sizeof n, NULL) == 0);
}

static void receive(int fd, uint64_t *n)
{
	T_CHECK(weft_read_full(fd, n, sizeof *n, NULL) == 0);
}

static void *answer(void *arg)
{
	struct couple *c = arg;
	uint64_t n = 0;

	while (n != c->rounds) {
		receive(c->fd[1], &n);
		send_(c->fd[1], n);
	}
	return NULL;
}

static void *ask(void *arg)
{
	struct couple *c = arg;
	struct weft_attr attr = {.pin = c->pinned ? 2 : 0};
	struct weft_fiber *other;
	uint64_t n, answered;

	T_CHECK(t_pair(c->fd) == 0);
	T_CHECK(weft_spawn(&other, &attr, answer, c) == 0);
	for (n = 1; n <= c->rounds; n++) {
		send_(c->fd[0], n);
		receive(c->fd[0], &answered);
		T_CHECK(answered == n);
	}
	T_CHECK(weft_join(other, NULL) == 0);
	T_CHECK(!c->pinned || armed(1) >= 1);
	T_CHECK(weft_close(c->fd[0]) == 0);
	T_CHECK(weft_close(c->fd[1]) == 0);
	return NULL;
}

#define COUPLES 16

/* It waits, so it is armed; but as if by a fiber that was here by chance. */
static void arm(int fd)
{
	struct wf_source *s;
	char byte;

	T_CHECK(weft_read_until(fd, &byte, 1, weft_after(WEFT_USEC(1))) ==
		-ETIMEDOUT);
	T_CHECK(wf_source_find(fd, &s) == 0);
	T_CHECK(s->fixed);
	s->fixed = false;
	wf_source_leave(s);
}

/* On the second worker. */
static void *begin_there(void *arg)
{
	struct couple *c = arg;

	T_CHECK(weft_worker() == 1);
	T_CHECK(t_pair(c->fd) == 0);
	arm(c->fd[0]);
	arm(c->fd[1]);
	return NULL;
}

static void exchange(struct couple couples[COUPLES], uint64_t n)
{
	uint64_t answered;

	for (int i = 0; i < COUPLES; i++)
		send_(couples[i].fd[0], n);
	for (int i = 0; i < COUPLES; i++) {
		receive(couples[i].fd[0], &answered);
		T_CHECK(answered == n);
	}
}

static int leave_the_second(void *unused)
{
	static struct couple couples[COUPLES];
	struct weft_attr second = {.pin = 2};
	struct weft_counts counts = {.size = sizeof counts};
	struct weft_fiber *f, *answering[COUPLES];

	(void)unused;
	T_CHECK(weft_stats(&counts) == 0 && counts.workers_wanted == 2);
	for (int i = 0; i < COUPLES; i++) {
		couples[i].rounds = 1;
		T_CHECK(weft_spawn(&f, &second, begin_there, &couples[i]) == 0);
		T_CHECK(weft_join(f, NULL) == 0);
		T_CHECK(weft_spawn(&answering[i], NULL, answer, &couples[i]) ==
			0);
	}
	T_CHECK(armed(1) == 2 * COUPLES);
	want(1);
	T_CHECK(weft_stats(&counts) == 0 && counts.workers_wanted == 1);
	while (armed(1))
		exchange(couples, 2);
	T_CHECK(armed(0) == 2 * COUPLES);
	exchange(couples, 1);
	for (int i = 0; i < COUPLES; i++) {
		T_CHECK(weft_join(answering[i], NULL) == 0);
		T_CHECK(weft_close(couples[i].fd[0]) == 0);
		T_CHECK(weft_close(couples[i].fd[1]) == 0);
	}
	T_CHECK(armed(0) == 0);
	return 0;
}

Test(crowd, the_descriptors_of_a_worker_go_to_one_that_is_wanted)
{
	run_with(2, leave_the_second);
}

#define CALLS 100

static uint64_t calls_of(unsigned worker)
{
	return atom_load_rlx(&wf_runtime.workers[worker].calls);
}

/* A thread that loses its worker in between keeps what it has counted. */
static int count_calls(void *unused)
{
	uint64_t before, made = 0, n;
	int fd[2];

	(void)unused;
	T_CHECK(t_pair(fd) == 0);
	T_CHECK(weft_sleep(WEFT_USEC(1)) == 0);
	before = calls_of(0);
	while (calls_of(0) < before + CALLS) {
		send_(fd[0], 1);
		receive(fd[1], &n);
		made += 2;
		T_CHECK(weft_recv(fd[1], &n, sizeof n, MSG_DONTWAIT) ==
			-EAGAIN);
		T_CHECK(weft_sleep(WEFT_USEC(1)) == 0);
	}
	T_CHECK(calls_of(0) <= before + made);
	T_CHECK(weft_close(fd[0]) == 0 && weft_close(fd[1]) == 0);
	return 0;
}

Test(crowd, calls_on_descriptors_are_counted)
{
	run_with(1, count_calls);
}

static int ask_a_pinned_one(void *unused)
{
	struct couple c = {.rounds = 100, .pinned = true};

	(void)unused;
	want(1);
	ask(&c);
	return 0;
}

Test(crowd, a_pinned_fiber_runs_where_it_is_pinned)
{
	run_with(2, ask_a_pinned_one);
}

/* --- while that changes all the time --- */

#define WORKERS 4

static _Atomic bool over;
static _Atomic uint64_t come_and_gone;

static void *change_wanted(void *arg)
{
	uint64_t *random = arg;

	while (!atom_load_rlx(&over)) {
		want(1 + (uint32_t)(t_random(random) % WORKERS));
		for (uint64_t n = t_random(random) % 64; n; n--)
			sched_yield();
	}
	return NULL;
}

static void *come_and_go(void *arg)
{
	T_CHECK(weft_sleep(WEFT_USEC(20)) == 0);
	atom_add_rlx(&come_and_gone, 1);
	return arg;
}

static void *spawn_from_outside(void *unused)
{
	uint64_t n = 0;

	(void)unused;
	for (; !atom_load_rlx(&over); n++) {
		struct weft_fiber *f;

		T_CHECK(weft_spawn(&f, NULL, come_and_go, NULL) == 0);
		T_CHECK(weft_join(f, NULL) == 0);
	}
	T_CHECK(atom_load_rlx(&come_and_gone) == n);
	return NULL;
}

static int storm(void *unused)
{
	static struct couple couples[COUPLES];
	uint64_t random = t_seed();
	struct weft_fiber *asking[COUPLES];
	struct t_thread changing, spawning;

	(void)unused;
	t_thread_begin(&changing, change_wanted, &random);
	t_thread_begin(&spawning, spawn_from_outside, NULL);
	for (int i = 0; i < COUPLES; i++) {
		couples[i].rounds = t_scale(4000);
		couples[i].pinned = i == 0;
		T_CHECK(weft_spawn(&asking[i], NULL, ask, &couples[i]) == 0);
	}
	for (int i = 0; i < COUPLES; i++)
		T_CHECK(weft_join(asking[i], NULL) == 0);
	atom_store_rlx(&over, true);
	t_thread_end(&changing);
	t_thread_end(&spawning);
	for (unsigned i = 0; i < WORKERS; i++)
		T_CHECK(armed(i) == 0);
	return 0;
}

Test(crowd, nothing_is_lost_while_it_changes)
{
	run_with(WORKERS, storm);
}
