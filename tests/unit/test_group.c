/* SPDX-License-Identifier: MIT */
/*
 * test_group.c - a wait ends when as many are done as were added.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "support/thread.h"

#define MANY 150 /* more than one pass wakes */

TestSuite(group, .timeout = 20 * T_SLOW);

static struct weft_group group;
static _Atomic int passed;

static void *wait_for_all(void *unused)
{
	T_CHECK(weft_group_wait(&group) == 0);
	passed++;
	return unused;
}

static int count(void *unused)
{
	struct t_task t[MANY];

	(void)unused;
	group = (struct weft_group){0};
	T_CHECK(weft_group_wait(&group) == 0);
	for (int round = 0; round < 2; round++) {
		passed = 0;
		weft_group_add(&group, 2);
		for (int i = 0; i < MANY; i++)
			t_task_start(&t[i], wait_for_all, NULL);
		t_await_queued(&group.round_.queue_, MANY);
		weft_group_done(&group);
		weft_group_add(&group, 1);
		weft_group_done(&group);
		T_CHECK(t_queued(&group.round_.queue_) == MANY && passed == 0);
		weft_group_done(&group);
		for (int i = 0; i < MANY; i++)
			t_task_end(&t[i]);
		T_CHECK(passed == MANY);
		T_CHECK(weft_group_wait_until(&group, 0) == 0);
	}
	weft_group_destroy(&group);
	return 0;
}

Test(group, a_wait_ends_with_the_last_and_the_group_is_good_again)
{
	t_in_each_way(count, NULL);
}

/* Those who were let go are, even if more is added before they run. */
static int add_at_once(void *unused)
{
	struct t_task t;

	(void)unused;
	group = (struct weft_group){0};
	weft_group_add(&group, 1);
	t_task_start(&t, wait_for_all, NULL);
	t_await_queued(&group.round_.queue_, 1);
	weft_group_done(&group);
	weft_group_add(&group, 1);
	t_task_end(&t);
	T_CHECK(weft_group_wait_until(&group, 0) == -ETIMEDOUT);
	weft_group_done(&group);
	T_CHECK(weft_group_wait(&group) == 0);
	return 0;
}

Test(group, a_moment_without_anything_to_do_is_enough)
{
	t_in_each_way(add_at_once, NULL);
}

static int time_out(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));

	(void)unused;
	group = (struct weft_group){0};
	weft_group_add(&group, 1);
	T_CHECK(weft_group_wait_until(&group, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	weft_group_done(&group);
	T_CHECK(weft_group_wait_until(&group, 0) == 0);
	return 0;
}

Test(group, a_deadline_ends_the_wait)
{
	t_in_each_way(time_out, NULL);
}

static void *wait_cancelled(void *unused)
{
	T_CHECK(weft_group_wait(&group) == -ECANCELED);
	return unused;
}

static int cancel(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	group = (struct weft_group){0};
	weft_group_add(&group, 1);
	T_CHECK(weft_spawn(&f, NULL, wait_cancelled, NULL) == 0);
	t_await_queued(&group.round_.queue_, 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	weft_group_done(&group);
	weft_cancel(weft_self());
	T_CHECK(weft_group_wait(&group) == -ECANCELED);
	return 0;
}

Test(group, a_wait_can_be_cancelled)
{
	t_on_fibers(cancel, NULL);
}

Test(group, more_done_than_added_aborts, .signal = SIGABRT)
{
	weft_group_add(&group, 1);
	weft_group_done(&group);
	weft_group_done(&group);
}

Test(group, adding_less_than_nothing_aborts, .signal = SIGABRT)
{
	weft_group_add(&group, (uint64_t)-1);
}

/* --- races --- */

struct work {
	struct weft_group left;
	_Atomic int done;
};

static void *work(void *arg)
{
	struct work *w = arg;

	w->done++;
	weft_group_done(&w->left);
	return NULL;
}

/* Adds as it goes, while its own part is not done. */
static void *work_and_share(void *arg)
{
	struct work *w = arg;

	for (int i = 0; i < 2; i++) {
		weft_group_add(&w->left, 1);
		T_CHECK(weft_spawn(NULL, NULL, work, w) == 0);
	}
	return work(w);
}

static int race(void *unused)
{
	(void)unused;
	for (size_t i = t_scale(10000); i; i--) {
		struct work *w = calloc(1, sizeof *w);

		for (int k = 0; k < 3; k++) {
			weft_group_add(&w->left, 1);
			T_CHECK(weft_spawn(NULL, NULL, work_and_share, w) == 0);
		}
		T_CHECK(weft_group_wait(&w->left) == 0);
		T_CHECK(w->done == 9);
		memset(w, 0x55, sizeof *w);
		free(w);
	}
	return 0;
}

Test(group, who_is_let_go_may_free_it_at_once, .timeout = 60 * T_SLOW)
{
	t_run(2, race, NULL);
}

static struct weft_group shared;
static _Atomic int begun, ended;

static void *do_shared(void *unused)
{
	for (size_t i = t_scale(20000); i; i--) {
		weft_group_add(&shared, 1);
		begun++;
		ended++;
		weft_group_done(&shared);
	}
	return unused;
}

static void *wait_shared(void *unused)
{
	for (size_t i = t_scale(5000); i; i--) {
		int before = begun;

		T_CHECK(weft_group_wait(&shared) == 0);
		/* What had begun before is over. */
		T_CHECK(ended >= before);
	}
	return unused;
}

static int reuse(void *unused)
{
	void *(*const roles[])(void *) = {do_shared, wait_shared, do_shared,
					  wait_shared};
	struct weft_fiber *f[4];
	struct t_thread t[4];

	(void)unused;
	for (int i = 0; i < 4; i++)
		T_CHECK(weft_spawn(&f[i], NULL, roles[i], NULL) == 0);
	for (int i = 0; i < 4; i++)
		t_thread_begin(&t[i], roles[i], NULL);
	for (int i = 0; i < 4; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	for (int i = 0; i < 4; i++)
		t_thread_end(&t[i]);
	T_CHECK(weft_group_wait_until(&shared, 0) == 0);
	T_CHECK(t_queued(&shared.round_.queue_) == 0);
	return 0;
}

Test(group, fibers_and_threads_add_and_wait_at_the_same_time,
     .timeout = 60 * T_SLOW)
{
	t_run(2, reuse, NULL);
}
