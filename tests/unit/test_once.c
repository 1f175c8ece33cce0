/* SPDX-License-Identifier: MIT */
/*
 * test_once.c - of all who come one does it, and nobody goes on before that.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>

#include "support/thread.h"

#define MANY 100

TestSuite(once, .timeout = 20 * T_SLOW);

static struct weft_once once;
static struct weft_sem go;
static _Atomic int runs;
static int made; /* written by what runs once */

static void set_up(void)
{
	once = (struct weft_once){0};
	go = (struct weft_sem){0};
	runs = made = 0;
}

static int make(void *arg)
{
	runs++;
	made = (int)(intptr_t)arg;
	return 0;
}

static int make_when_told(void *arg)
{
	T_CHECK(weft_sem_acquire(&go, 1) == 0);
	return make(arg);
}

static int fail_when_told(void *arg)
{
	T_CHECK(weft_sem_acquire(&go, 1) == 0);
	runs++;
	return (int)(intptr_t)arg;
}

static int twice(void *unused)
{
	(void)unused;
	set_up();
	T_CHECK(weft_once_run(&once, make, (void *)3) == 0);
	T_CHECK(weft_once_run(&once, make, (void *)4) == 0);
	T_CHECK(runs == 1 && made == 3);
	weft_once_destroy(&once);
	return 0;
}

Test(once, only_the_first_call_does_it)
{
	t_in_each_way(twice, NULL);
}

/* --- waiting for it --- */

static void *begin(void *unused)
{
	T_CHECK(weft_once_run(&once, make_when_told, (void *)5) == 0);
	return unused;
}

static void *come_late(void *unused)
{
	T_CHECK(weft_once_run(&once, make, (void *)6) == 0);
	T_CHECK(made == 5);
	return unused;
}

static int wait_for_it(void *unused)
{
	struct t_task first, t[MANY];

	(void)unused;
	set_up();
	t_task_start(&first, begin, NULL);
	t_await_queued_batch(&go, 1);
	for (int i = 0; i < MANY; i++)
		t_task_start(&t[i], come_late, NULL);
	t_await_queued(&once.queue_, MANY);
	T_CHECK(weft_sem_release(&go, 1) == 0);
	for (int i = 0; i < MANY; i++)
		t_task_end(&t[i]);
	t_task_end(&first);
	T_CHECK(runs == 1);
	return 0;
}

Test(once, all_others_wait_until_it_is_done)
{
	t_in_each_way(wait_for_it, NULL);
}

static void *come_cancelled(void *unused)
{
	weft_cancel(weft_self());
	return come_late(unused);
}

static int cancelled_too(void *unused)
{
	struct weft_fiber *first, *other, *cancelled;

	(void)unused;
	set_up();
	T_CHECK(weft_spawn(&first, NULL, begin, NULL) == 0);
	t_await_queued_batch(&go, 1);
	T_CHECK(weft_spawn(&other, NULL, come_late, NULL) == 0);
	T_CHECK(weft_spawn(&cancelled, NULL, come_cancelled, NULL) == 0);
	t_await_queued(&once.queue_, 2);
	weft_cancel(other);
	for (int i = 0; i < 10; i++)
		weft_yield();
	T_CHECK(t_queued(&once.queue_) == 2);
	T_CHECK(weft_sem_release(&go, 1) == 0);
	T_CHECK(weft_join(first, NULL) == 0);
	T_CHECK(weft_join(other, NULL) == 0);
	T_CHECK(weft_join(cancelled, NULL) == 0);
	return 0;
}

Test(once, who_is_cancelled_waits_too)
{
	t_on_fibers(cancelled_too, NULL);
}

/* --- failing --- */

static int fail_twice(void *unused)
{
	(void)unused;
	set_up();
	T_CHECK(weft_sem_release(&go, 2) == 0);
	T_CHECK(weft_once_run(&once, fail_when_told, (void *)-EIO) == -EIO);
	T_CHECK(weft_once_run(&once, fail_when_told, (void *)-ENOENT) ==
		-ENOENT);
	T_CHECK(weft_once_run(&once, make, (void *)1) == 0);
	T_CHECK(weft_once_run(&once, make, (void *)2) == 0);
	T_CHECK(runs == 3 && made == 1);
	return 0;
}

Test(once, what_has_failed_has_not_happened)
{
	t_in_each_way(fail_twice, NULL);
}

static void *begin_and_fail(void *unused)
{
	T_CHECK(weft_once_run(&once, fail_when_told, (void *)-EIO) == -EIO);
	return unused;
}

static int next_tries(void *unused)
{
	struct t_task failing[2], t[4];

	(void)unused;
	set_up();
	t_task_start(&failing[0], begin_and_fail, NULL);
	t_await_queued_batch(&go, 1);
	t_task_start(&failing[1], begin_and_fail, NULL);
	t_await_queued(&once.queue_, 1);
	t_task_start(&t[0], begin, NULL);
	t_await_queued(&once.queue_, 2);
	for (int i = 1; i < 4; i++)
		t_task_start(&t[i], come_late, NULL);
	t_await_queued(&once.queue_, 5);
	T_CHECK(weft_sem_release(&go, 3) == 0);
	for (int i = 0; i < 2; i++)
		t_task_end(&failing[i]);
	for (int i = 0; i < 4; i++)
		t_task_end(&t[i]);
	T_CHECK(runs == 3);
	return 0;
}

Test(once, after_a_failure_the_first_who_waits_tries)
{
	t_in_each_way(next_tries, NULL);
}

static int make_by_itself(void *arg)
{
	return weft_once_run(&once, make, arg);
}

static int recurse(void *unused)
{
	return weft_once_run(&once, make_by_itself, unused);
}

Test(once, to_call_it_from_inside_aborts, .signal = SIGABRT)
{
	t_run(1, recurse, NULL);
}

/* --- races --- */

#define ROUNDS 2000
#define RACERS 4

static struct weft_once onces[ROUNDS];
static int values[ROUNDS];
static _Atomic int attempts[ROUNDS], successes;

/* Fails at the first and second attempt. */
static int make_one(void *arg)
{
	size_t i = (size_t)arg;

	if (atomic_fetch_add(&attempts[i], 1) < 2)
		return -EAGAIN;
	weft_yield();
	values[i]++;
	successes++;
	return 0;
}

static void *run_all(void *unused)
{
	for (size_t i = t_scale(ROUNDS); i--;) {
		while (weft_once_run(&onces[i], make_one, (void *)i) == -EAGAIN)
			;
		T_CHECK(values[i] == 1);
	}
	return unused;
}

static int race(void *unused)
{
	struct weft_fiber *f[RACERS];
	struct t_thread t[2];

	(void)unused;
	for (int i = 0; i < RACERS; i++)
		T_CHECK(weft_spawn(&f[i], NULL, run_all, NULL) == 0);
	for (int i = 0; i < 2; i++)
		t_thread_begin(&t[i], run_all, NULL);
	for (int i = 0; i < RACERS; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	for (int i = 0; i < 2; i++)
		t_thread_end(&t[i]);
	T_CHECK((size_t)successes == t_scale(ROUNDS));
	return 0;
}

Test(once, whoever_returns_sees_what_was_done_once, .timeout = 60 * T_SLOW)
{
	t_run(2, race, NULL);
}
