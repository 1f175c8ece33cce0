/* SPDX-License-Identifier: MIT */
/*
 * test_scope.c - scopes: nobody is left behind, a cancel and a deadline reach
 * everyone inside and nobody outside, and errors are told.
 */
#include "support/fail.h"
#include "support/io.h"
#include "support/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/kin.h"

TestSuite(scope, .timeout = 30 * T_SLOW);

static _Atomic int count;
static _Atomic bool flag;

static void begin(struct weft_scope *s, weft_time deadline, bool fail_fast)
{
	struct weft_scope_options o = {.deadline = deadline,
				       .fail_fast = fail_fast};

	T_CHECK(weft_scope_begin(s, &o) == 0);
}

static void spawn(struct weft_scope *s, int (*fn)(void *), void *arg)
{
	T_CHECK(weft_scope_spawn(s, NULL, NULL, fn, arg) == 0);
}

static int sleep_for_ever(void *unused)
{
	(void)unused;
	count++;
	return weft_sleep_until(WEFT_FOREVER);
}

static void await(int n)
{
	while (count < n)
		weft_yield();
}

/* So that those who were running are asleep, or about to. */
static void let_others(void)
{
	for (int i = 0; i < 10; i++)
		weft_yield();
}

static bool linked(struct weft_scope *s, uint32_t n)
{
	struct wf_scope *in = (struct wf_scope *)s;
	uint32_t found;

	spin_lock(&in->lock);
	found = in->linked;
	spin_unlock(&in->lock);
	return found == n;
}

/* --- begin, spawn, end --- */

static int add_after_yields(void *n)
{
	for (intptr_t i = 0; i < (intptr_t)n; i++)
		weft_yield();
	count++;
	return (int)(intptr_t)n;
}

static int in_order(void *unused)
{
	int results[100];
	struct weft_scope s;

	(void)unused;
	count = 0;
	T_CHECK(weft_scope_begin(&s, NULL) == 0);
	T_CHECK(weft_scope_end(&s) == 0);
	T_CHECK(weft_scope_begin(&s, NULL) == 0);
	for (intptr_t i = 0; i < 100; i++)
		T_CHECK(weft_scope_spawn(&s, &results[i], NULL,
					 add_after_yields, (void *)i) == 0);
	T_CHECK(weft_scope_end(&s) == 0);
	T_CHECK(count == 100 && weft_scope_failed(&s) == 0);
	for (int i = 0; i < 100; i++)
		T_CHECK(results[i] == i);
	return 0;
}

Test(scope, its_end_waits_for_all_and_has_their_results)
{
	t_on_fibers(in_order, NULL);
}

static int exit_with(void *result)
{
	weft_exit(result);
	return 0;
}

static int leave_by_exit(void *unused)
{
	struct weft_scope s;
	int good = 0, bad = 0;

	(void)unused;
	begin(&s, 0, false);
	T_CHECK(weft_scope_spawn(&s, &good, NULL, exit_with, (void *)17) == 0);
	T_CHECK(weft_scope_spawn(&s, &bad, NULL, exit_with,
				 (void *)(intptr_t)-EIO) == 0);
	T_CHECK(weft_scope_end(&s) == -EIO);
	T_CHECK(good == 17 && bad == -EIO && weft_scope_failed(&s) == 1);
	return 0;
}

Test(scope, weft_exit_gives_a_result_too)
{
	t_on_fibers(leave_by_exit, NULL);
}

struct sibling {
	struct weft_scope *scope;
	int depth;
};

static int spawn_two_more(void *arg)
{
	struct sibling *me = arg, below = {me->scope, me->depth - 1};
	struct sibling *copy;

	count++;
	for (int i = 0; i < 2 && me->depth; i++) {
		copy = malloc(sizeof *copy);
		*copy = below;
		spawn(me->scope, spawn_two_more, copy);
	}
	free(me);
	return 0;
}

static int grow(void *unused)
{
	struct weft_scope s;
	struct sibling *first = malloc(sizeof *first);

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	*first = (struct sibling){&s, 10};
	spawn(&s, spawn_two_more, first);
	T_CHECK(weft_scope_end(&s) == 0);
	T_CHECK(count == (1 << 11) - 1);
	return 0;
}

Test(scope, children_spawn_siblings_while_the_owner_waits)
{
	t_on_fibers(grow, NULL);
}

static void *spawn_from_outside(void *arg)
{
	struct weft_scope *s = arg;

	for (int i = 0; i < 10; i++)
		spawn(s, add_after_yields, NULL);
	T_CHECK(weft_scope_begin(s, NULL) == -EPERM);
	T_CHECK(weft_scope_end(s) == -EPERM);
	return NULL;
}

static int with_a_thread(void *unused)
{
	struct weft_scope s;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	t_on_thread(spawn_from_outside, &s);
	T_CHECK(weft_scope_end(&s) == 0 && count == 10);
	return 0;
}

Test(scope, a_thread_may_spawn_but_not_own)
{
	t_on_fibers(with_a_thread, NULL);
}

static int refuse(void *unused)
{
	struct weft_scope s = {0};
	struct weft_scope_options bad = {.size = 1};
	struct weft_attr attr = {.stack_size = 1};

	(void)unused;
	weft_scope_cancel(&s);
	T_CHECK(weft_scope_spawn(&s, NULL, NULL, add_after_yields, NULL) ==
		-EINVAL);
	T_CHECK(weft_scope_begin(&s, &bad) == -EINVAL);
	begin(&s, 0, false);
	T_CHECK(!weft_cancelled());
	T_CHECK(weft_scope_spawn(&s, NULL, &attr, add_after_yields, NULL) ==
		-EINVAL);
	T_CHECK(weft_scope_spawn(&s, NULL, NULL, NULL, NULL) == -EINVAL);
	weft_scope_cancel(&s);
	T_CHECK(weft_scope_spawn(&s, NULL, NULL, add_after_yields, NULL) ==
		-ECANCELED);
	T_CHECK(weft_scope_end(&s) == 0);
	weft_scope_cancel(&s);
	T_CHECK(!weft_cancelled());
	T_CHECK(weft_scope_spawn(&s, NULL, NULL, add_after_yields, NULL) ==
		-EINVAL);
	return 0;
}

Test(scope, one_that_is_not_open_or_cancelled_takes_no_children)
{
	t_on_fibers(refuse, NULL);
}

static struct weft_local local;

static void destroy(void *value)
{
	let_others();
	*(int *)value = 1;
}

static int set_local(void *value)
{
	T_CHECK(weft_local_set(&local, value) == 0);
	return 0;
}

static int end_with_locals(void *unused)
{
	struct weft_scope s;
	int destroyed = 0;

	(void)unused;
	begin(&s, 0, false);
	spawn(&s, set_local, &destroyed);
	T_CHECK(weft_scope_end(&s) == 0);
	T_CHECK(destroyed);
	return 0;
}

Test(scope, a_child_has_ended_when_its_locals_are_destroyed)
{
	cr_assert_eq(weft_local_create(&local, destroy), 0);
	t_on_fibers(end_with_locals, NULL);
}

/* --- errors --- */

static int fail_with(void *error)
{
	return (int)(intptr_t)error;
}

static int collect(void *unused)
{
	struct weft_scope s;

	(void)unused;
	begin(&s, 0, false);
	spawn(&s, fail_with, (void *)(intptr_t)-EIO);
	while (weft_scope_failed(&s) < 1)
		weft_yield();
	T_CHECK(!weft_cancelled());
	spawn(&s, fail_with, (void *)(intptr_t)-EPIPE);
	spawn(&s, fail_with, (void *)5);
	T_CHECK(weft_scope_end(&s) == -EIO);
	T_CHECK(weft_scope_failed(&s) == 2);
	return 0;
}

Test(scope, the_first_error_is_told_and_all_are_counted)
{
	t_on_fibers(collect, NULL);
}

static int fail_when_flagged(void *error)
{
	while (!flag)
		weft_yield();
	return (int)(intptr_t)error;
}

static int fail_fast(void *unused)
{
	struct weft_scope s;
	int result[200];

	(void)unused;
	count = 0;
	flag = false;
	begin(&s, 0, true);
	for (int i = 0; i < 200; i++)
		T_CHECK(weft_scope_spawn(&s, &result[i], NULL, sleep_for_ever,
					 NULL) == 0);
	spawn(&s, fail_when_flagged, (void *)(intptr_t)-EPROTO);
	await(200);
	flag = true;
	T_CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	T_CHECK(weft_cancelled());
	T_CHECK(weft_scope_end(&s) == -EPROTO);
	T_CHECK(weft_scope_failed(&s) == 201);
	for (int i = 0; i < 200; i++)
		T_CHECK(result[i] == -ECANCELED);
	T_CHECK(!weft_cancelled());
	return 0;
}

Test(scope, the_first_error_cancels_the_others_if_asked)
{
	t_on_fibers(fail_fast, NULL);
}

/* --- cancel --- */

static int cancel_it(void *scope)
{
	weft_scope_cancel(scope);
	T_CHECK(weft_cancelled());
	T_CHECK(weft_sleep(0) == -ECANCELED);
	return 0;
}

static int by_a_sibling(void *unused)
{
	struct weft_scope s;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	for (int i = 0; i < 10; i++)
		spawn(&s, sleep_for_ever, NULL);
	await(10);
	spawn(&s, cancel_it, &s);
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	T_CHECK(weft_scope_failed(&s) == 10);
	return 0;
}

Test(scope, a_child_may_cancel_it_while_the_owner_waits)
{
	t_on_fibers(by_a_sibling, NULL);
}

static void *cancel_from_outside(void *scope)
{
	weft_scope_cancel(scope);
	return NULL;
}

static int by_a_thread(void *unused)
{
	struct weft_scope s;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	for (int i = 0; i < 100; i++)
		spawn(&s, sleep_for_ever, NULL);
	await(100);
	t_on_thread(cancel_from_outside, &s);
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	T_CHECK(weft_scope_failed(&s) == 100);
	return 0;
}

Test(scope, a_thread_may_cancel_it)
{
	t_on_fibers(by_a_thread, NULL);
}

static int start_late(void *unused)
{
	(void)unused;
	T_CHECK(weft_cancelled());
	return weft_sleep(0);
}

static int before_they_start(void *unused)
{
	struct weft_scope s;

	(void)unused;
	begin(&s, 0, false);
	for (int i = 0; i < 10; i++)
		spawn(&s, start_late, NULL);
	weft_scope_cancel(&s);
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	T_CHECK(weft_scope_failed(&s) == 10);
	return 0;
}

Test(scope, children_that_start_after_the_cancel_know_it)
{
	t_run(1, before_they_start, NULL);
}

/* A chain of scopes, each on a child of the one above; the last one sleeps. */
static int descend(void *depth)
{
	struct weft_scope s;
	int r;

	if ((intptr_t)depth == 0)
		return sleep_for_ever(NULL);
	begin(&s, 0, false);
	spawn(&s, descend, (void *)((intptr_t)depth - 1));
	r = weft_scope_end(&s);
	T_CHECK(r == -ECANCELED && weft_cancelled());
	return r;
}

static int deep(void *unused)
{
	struct weft_scope s;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	for (intptr_t i = 1; i <= 3; i++)
		spawn(&s, descend, (void *)(i * 100));
	await(3);
	weft_scope_cancel(&s);
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	T_CHECK(weft_scope_failed(&s) == 3);
	return 0;
}

Test(scope, a_cancel_reaches_any_depth)
{
	t_on_fibers(deep, NULL);
}

/* Its child sleeps; it does not come to any call that would notice. */
static int compute_until_flag(void *unused)
{
	struct weft_scope s;
	int result = 0;

	(void)unused;
	begin(&s, 0, false);
	T_CHECK(weft_scope_spawn(&s, &result, NULL, sleep_for_ever, NULL) == 0);
	while (weft_scope_failed(&s) == 0)
		weft_yield();
	flag = true;
	T_CHECK(weft_scope_end(&s) == -ECANCELED && result == -ECANCELED);
	return 0;
}

static int past_a_busy_owner(void *unused)
{
	struct weft_scope s;

	(void)unused;
	count = 0;
	flag = false;
	begin(&s, 0, false);
	spawn(&s, compute_until_flag, NULL);
	await(1);
	weft_scope_cancel(&s);
	T_CHECK(weft_scope_end(&s) == 0 && flag);
	return 0;
}

Test(scope, a_grandchild_is_woken_while_its_owner_computes)
{
	t_on_fibers(past_a_busy_owner, NULL);
}

/* Scopes of one fiber in one another: the third one of five is cancelled. */
static int on_one_fiber(void *unused)
{
	struct weft_scope s[5];

	(void)unused;
	for (int i = 0; i < 5; i++)
		begin(&s[i], 0, false);
	weft_scope_cancel(&s[2]);
	for (int i = 4; i >= 0; i--) {
		T_CHECK(weft_cancelled() == (i >= 2));
		T_CHECK(weft_sleep(0) == (i >= 2 ? -ECANCELED : 0));
		T_CHECK(weft_scope_end(&s[i]) == 0);
	}
	T_CHECK(!weft_cancelled() && weft_sleep(0) == 0);
	return 0;
}

Test(scope, what_is_around_a_cancelled_one_is_not_cancelled)
{
	t_on_fibers(on_one_fiber, NULL);
}

static int begin_in_a_cancelled_one(void *unused)
{
	struct weft_scope outer, inner;

	(void)unused;
	begin(&outer, 0, false);
	weft_scope_cancel(&outer);
	begin(&inner, 0, false);
	T_CHECK(weft_cancelled() && weft_sleep(0) == -ECANCELED);
	T_CHECK(weft_scope_spawn(&inner, NULL, NULL, sleep_for_ever, NULL) ==
		-ECANCELED);
	T_CHECK(weft_scope_end(&inner) == 0);
	T_CHECK(weft_scope_end(&outer) == 0);
	T_CHECK(weft_sleep(0) == 0);
	return 0;
}

Test(scope, one_begun_inside_a_cancelled_one_is_cancelled)
{
	t_on_fibers(begin_in_a_cancelled_one, NULL);
}

/* A sleep in a nested scope, for which only the outer one is cancelled. */
static int sleep_nested(void *unused)
{
	struct weft_scope s;
	int r;

	begin(&s, 0, false);
	r = sleep_for_ever(unused);
	T_CHECK(weft_scope_end(&s) == 0);
	return r;
}

static int owners_that_sleep(void *unused)
{
	struct weft_scope s;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	for (int i = 0; i < 100; i++)
		spawn(&s, sleep_nested, NULL);
	await(100);
	let_others();
	weft_scope_cancel(&s);
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	T_CHECK(weft_scope_failed(&s) == 100);
	return 0;
}

Test(scope, a_cancel_wakes_owners_of_nested_ones)
{
	t_on_fibers(owners_that_sleep, NULL);
}

static void *end_cancelled(void *arg)
{
	struct weft_scope s;

	begin(&s, 0, false);
	for (int i = 0; i < 10; i++)
		spawn(&s, sleep_for_ever, NULL);
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	T_CHECK(weft_scope_failed(&s) == 10 && weft_cancelled());
	return arg;
}

static int cancel_the_owner(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	count = 0;
	T_CHECK(weft_spawn(&f, NULL, end_cancelled, NULL) == 0);
	await(10);
	let_others();
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(scope, an_owner_cancelled_at_the_end_cancels_its_children)
{
	t_on_fibers(cancel_the_owner, NULL);
}

static int stop(void *unused)
{
	struct weft_scope s;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	for (intptr_t i = 0; i < 10; i++)
		spawn(&s, descend, (void *)i);
	await(10);
	weft_stop();
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	T_CHECK(weft_scope_failed(&s) == 10);
	return 7;
}

Test(scope, weft_stop_ends_what_is_in_open_ones)
{
	cr_assert_eq(t_run(1, stop, NULL), 7);
	cr_assert_eq(t_run(2, stop, NULL), 7);
}

/* --- what it reaches --- */

struct reader {
	int fd;
	struct weft_fiber *other;
};

static int read_from(void *arg)
{
	struct reader *r = arg;
	char c;

	count++;
	return (int)weft_read(r->fd, &c, 1);
}

static int join_other(void *arg)
{
	struct reader *r = arg;

	count++;
	return weft_join(r->other, NULL);
}

static int acquire(void *sem)
{
	count++;
	return weft_sem_acquire(sem, 1);
}

static void *live_until_flag(void *unused)
{
	while (!flag)
		weft_yield();
	return unused;
}

/* Every kind of wait, which ends with `error` and by nothing else. */
static void wait_in_many_ways(weft_time deadline, bool cancel, int error)
{
	struct weft_sem sem = {0};
	struct weft_scope s;
	struct reader r;
	int result[5], ends[2];

	count = 0;
	flag = false;
	T_CHECK(pipe(ends) == 0);
	r.fd = ends[0];
	T_CHECK(weft_spawn(&r.other, NULL, live_until_flag, NULL) == 0);
	begin(&s, deadline, false);
	weft_scope_spawn(&s, &result[0], NULL, sleep_for_ever, NULL);
	weft_scope_spawn(&s, &result[1], NULL, read_from, &r);
	weft_scope_spawn(&s, &result[2], NULL, join_other, &r);
	weft_scope_spawn(&s, &result[3], NULL, acquire, &sem);
	weft_scope_spawn(&s, &result[4], NULL, sleep_nested, NULL);
	await(5);
	if (cancel)
		weft_scope_cancel(&s);
	T_CHECK(weft_sleep_until(WEFT_FOREVER) == error);
	T_CHECK(weft_scope_end(&s) == error);
	for (int i = 0; i < 5; i++)
		T_CHECK(result[i] == error);
	T_CHECK(deadline == 0 || weft_now() >= deadline);
	flag = true;
	T_CHECK(weft_join(r.other, NULL) == 0);
	weft_close(ends[0]);
	weft_close(ends[1]);
}

static int reach_all(void *unused)
{
	(void)unused;
	wait_in_many_ways(0, true, -ECANCELED);
	wait_in_many_ways(weft_after(WEFT_MSEC(20)), false, -ETIMEDOUT);
	wait_in_many_ways(1, false, -ETIMEDOUT);
	return 0;
}

Test(scope, cancel_and_deadline_reach_every_call_that_waits)
{
	t_on_fibers(reach_all, NULL);
}

static int late_and_cancelled(void *unused)
{
	struct weft_scope s;

	(void)unused;
	begin(&s, 1, false);
	T_CHECK(weft_sleep(0) == -ETIMEDOUT && !weft_cancelled());
	weft_scope_cancel(&s);
	T_CHECK(weft_sleep(0) == -ECANCELED && weft_cancelled());
	T_CHECK(weft_scope_end(&s) == 0);
	return 0;
}

Test(scope, cancel_wins_over_a_deadline)
{
	t_on_fibers(late_and_cancelled, NULL);
}

static int nearer(void *unused)
{
	weft_time near = weft_after(WEFT_MSEC(5)),
		  far = weft_after(WEFT_SEC(9));
	struct weft_scope outer, inner;

	(void)unused;
	begin(&outer, far, false);
	begin(&inner, near, false);
	T_CHECK(weft_sleep_until(WEFT_FOREVER) == -ETIMEDOUT);
	T_CHECK(weft_now() >= near);
	T_CHECK(weft_sleep(0) == -ETIMEDOUT && !weft_cancelled());
	T_CHECK(weft_scope_end(&inner) == 0);
	T_CHECK(weft_sleep(0) == 0);
	T_CHECK(weft_scope_end(&outer) == 0);

	near = weft_after(WEFT_MSEC(5));
	begin(&outer, near, false);
	begin(&inner, far, false);
	T_CHECK(weft_sleep_until(far) == -ETIMEDOUT);
	T_CHECK(weft_now() >= near);
	T_CHECK(weft_scope_end(&inner) == 0);
	T_CHECK(weft_sleep(0) == -ETIMEDOUT);
	T_CHECK(weft_scope_end(&outer) == 0);
	T_CHECK(weft_sleep(0) == 0);
	return 0;
}

Test(scope, of_nested_deadlines_the_nearer_counts)
{
	t_on_fibers(nearer, NULL);
}

static int inherit(void *deadline)
{
	weft_time until = *(weft_time *)deadline;
	struct weft_scope s;
	int r;

	begin(&s, 0, false);
	r = weft_sleep_until(WEFT_FOREVER);
	T_CHECK(weft_now() >= until);
	T_CHECK(weft_scope_end(&s) == 0);
	return r;
}

static int to_children(void *unused)
{
	weft_time until = weft_after(WEFT_MSEC(5));
	struct weft_scope s;

	(void)unused;
	begin(&s, until, false);
	for (int i = 0; i < 10; i++)
		spawn(&s, inherit, &until);
	T_CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	T_CHECK(weft_scope_failed(&s) == 10);
	return 0;
}

Test(scope, children_have_its_deadline)
{
	t_on_fibers(to_children, NULL);
}

/* A call's own deadline is what it was, where the scope's is later. */
static int shorter_calls(void *unused)
{
	weft_time until = weft_after(WEFT_MSEC(2));
	struct weft_scope s;

	(void)unused;
	begin(&s, weft_after(WEFT_SEC(60)), false);
	T_CHECK(weft_sleep_until(until) == 0 && weft_now() >= until);
	T_CHECK(weft_scope_end(&s) == 0);
	return 0;
}

Test(scope, a_sleep_that_ends_before_the_deadline_succeeds)
{
	t_on_fibers(shorter_calls, NULL);
}

/* --- shield --- */

static int sleep_a_little(void *unused)
{
	(void)unused;
	count++;
	return weft_sleep(WEFT_USEC(100));
}

static int shield(void *unused)
{
	struct weft_scope s, inner;

	(void)unused;
	count = 0;
	begin(&s, 1, false);
	weft_scope_cancel(&s);
	T_CHECK(weft_shield() == 0);
	T_CHECK(!weft_cancelled() && weft_sleep(1) == 0);
	begin(&inner, 0, false);
	for (int i = 0; i < 10; i++)
		spawn(&inner, sleep_a_little, NULL);
	T_CHECK(weft_scope_end(&inner) == 0 && count == 10);
	/* Children are not shielded from their own scope. */
	begin(&inner, 0, false);
	spawn(&inner, sleep_for_ever, NULL);
	weft_scope_cancel(&inner);
	T_CHECK(!weft_cancelled() && weft_sleep(1) == 0);
	T_CHECK(weft_scope_end(&inner) == -ECANCELED);
	begin(&inner, 1, false);
	spawn(&inner, sleep_for_ever, NULL);
	T_CHECK(weft_sleep(1) == 0);
	T_CHECK(weft_scope_end(&inner) == -ETIMEDOUT);
	T_CHECK(weft_unshield() == 0);
	T_CHECK(weft_cancelled() && weft_sleep(0) == -ECANCELED);
	T_CHECK(weft_scope_end(&s) == 0);
	return 0;
}

Test(scope, a_shield_keeps_cancel_and_deadline_from_all_inside)
{
	t_on_fibers(shield, NULL);
}

static int set_flag(void *unused)
{
	(void)unused;
	let_others();
	flag = true;
	return weft_sleep(0);
}

static void *end_shielded(void *arg)
{
	struct weft_scope s;

	weft_cancel(weft_self());
	begin(&s, 0, false);
	T_CHECK(weft_shield() == 0);
	spawn(&s, set_flag, NULL);
	T_CHECK(weft_scope_end(&s) == 0 && flag);
	T_CHECK(weft_unshield() == 0);
	return arg;
}

static int shield_the_end(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	flag = false;
	T_CHECK(weft_spawn(&f, NULL, end_shielded, NULL) == 0);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(scope, a_shielded_owner_does_not_pass_its_cancel_on)
{
	t_on_fibers(shield_the_end, NULL);
}

/* --- many --- */

static int many(void *unused)
{
	int n = (int)t_scale(100000), refused = 0;
	struct weft_scope s;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	for (int i = 0; i < n; i++)
		refused += weft_scope_spawn(&s, NULL, NULL, sleep_for_ever,
					    NULL) < 0;
	await(n - refused);
	T_CHECK(refused == 0 && linked(&s, (uint32_t)n));
	weft_scope_cancel(&s);
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	T_CHECK(weft_scope_failed(&s) == (size_t)n);
	return 0;
}

Test(scope, a_hundred_thousand_sleepers_are_woken, .timeout = 60 * T_SLOW)
{
	t_run(2, many, NULL);
}

static int many_nested(void *unused)
{
	int n = (int)t_scale(20000);
	struct weft_scope s;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	for (intptr_t i = 0; i < n; i++)
		spawn(&s, descend, (void *)(i % 4));
	await(n);
	weft_scope_cancel(&s);
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	T_CHECK(weft_scope_failed(&s) == (size_t)n);
	return 0;
}

Test(scope, thousands_of_nested_ones_are_found, .timeout = 60 * T_SLOW)
{
	t_run(2, many_nested, NULL);
}

/* --- races --- */

/* The one that all may cancel; it may have ended, but its memory stays. */
static _Atomic(struct weft_scope *) current;
static _Atomic bool over;

static void *cancel_again_and_again(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;

	while (!over) {
		for (uint64_t i = t_random(&random) % 2000; i; i--)
			wf_cpu_relax();
		weft_scope_cancel(current);
	}
	return NULL;
}

static int nest_at_random(void *seed)
{
	uint64_t random = (uint64_t)(uintptr_t)seed;
	struct weft_scope s;
	int r = 0;

	for (uint64_t i = t_random(&random) % 4; i; i--)
		weft_yield();
	switch (t_random(&random) % 5) {
	case 0:
		return weft_sleep_until(WEFT_FOREVER);
	case 1:
		return weft_sleep(0);
	case 2:
		weft_scope_cancel(current);
		return 0;
	default:
		break;
	}
	T_CHECK(weft_scope_begin(&s, NULL) == 0);
	for (uint64_t i = t_random(&random) % 3; i && r == 0; i--)
		r = weft_scope_spawn(&s, NULL, NULL, nest_at_random,
				     (void *)(uintptr_t)t_random(&random));
	T_CHECK(r == 0 || r == -ECANCELED);
	r = weft_scope_end(&s);
	T_CHECK(r == 0 || r == -ECANCELED);
	return r;
}

static int cancel_after_yields(void *n)
{
	for (intptr_t i = 0; i < (intptr_t)n; i++)
		weft_yield();
	weft_scope_cancel(current);
	return 0;
}

/* Those that sleep for ever end because one child cancels, or a thread has. */
static void race_once(struct weft_scope *s, uint64_t *random)
{
	T_CHECK(weft_scope_begin(s, NULL) == 0);
	current = s;
	for (uint64_t i = t_random(random) % 8; i; i--)
		weft_scope_spawn(s, NULL, NULL, nest_at_random,
				 (void *)(uintptr_t)t_random(random));
	weft_scope_spawn(s, NULL, NULL, cancel_after_yields,
			 (void *)(uintptr_t)(t_random(random) % 32));
	weft_scope_end(s);
	T_CHECK(linked(s, 0));
}

static int race(void *seed)
{
	uint64_t random = *(uint64_t *)seed;
	size_t n = t_scale(20000);
	struct weft_scope none, *scopes = calloc(n, sizeof *scopes);
	struct t_thread threads[2];

	over = false;
	T_CHECK(weft_scope_begin(&none, NULL) == 0);
	T_CHECK(weft_scope_end(&none) == 0);
	current = &none;
	for (int i = 0; i < 2; i++)
		t_thread_begin(&threads[i], cancel_again_and_again,
			       (void *)(uintptr_t)t_random(&random));
	for (size_t i = 0; i < n; i++)
		race_once(&scopes[i], &random);
	over = true;
	for (int i = 0; i < 2; i++)
		t_thread_end(&threads[i]);
	free(scopes);
	return 0;
}

Test(scope, cancels_race_with_begin_spawn_and_end, .timeout = 60 * T_SLOW)
{
	uint64_t seed = t_seed();

	t_run(1, race, &seed);
	t_run(2, race, &seed);
	t_run(4, race, &seed);
}

static int fail_at_random(void *seed)
{
	uint64_t random = (uint64_t)(uintptr_t)seed;

	for (uint64_t i = t_random(&random) % 8; i; i--)
		weft_yield();
	return t_random(&random) % 2 ? -EIO : weft_sleep_until(WEFT_FOREVER);
}

static int race_of_errors(void *seed)
{
	uint64_t random = *(uint64_t *)seed;
	struct weft_scope s;

	for (size_t n = t_scale(20000); n; n--) {
		size_t spawned = 0;
		int r;

		begin(&s, 0, true);
		for (int i = 0; i < 8; i++)
			spawned +=
				weft_scope_spawn(&s, NULL, NULL, fail_at_random,
						 (void *)(uintptr_t)t_random(
							 &random)) == 0;
		spawned += weft_scope_spawn(&s, NULL, NULL, fail_with,
					    (void *)(intptr_t)-EIO) == 0;
		r = weft_scope_end(&s);
		T_CHECK(r == -EIO && weft_scope_failed(&s) == spawned);
	}
	return 0;
}

Test(scope, of_errors_that_race_the_first_is_told, .timeout = 60 * T_SLOW)
{
	uint64_t seed = t_seed();

	t_run(1, race_of_errors, &seed);
	t_run(2, race_of_errors, &seed);
	t_run(4, race_of_errors, &seed);
}

/* --- without memory --- */

static int without_memory(void *unused)
{
	struct weft_attr attr = {.stack_size = (size_t)32 << 20};
	struct weft_scope s;
	int r = 0, spawned = 0;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	fail_next(FAIL_MMAP, ENOMEM, 1000);
	while (r == 0 && spawned < 100)
		if ((r = weft_scope_spawn(&s, NULL, &attr, add_after_yields,
					  NULL)) == 0)
			spawned++;
	fail_stop();
	T_CHECK(r == -ENOMEM);
	spawn(&s, add_after_yields, NULL);
	T_CHECK(weft_scope_end(&s) == 0);
	T_CHECK(count == spawned + 1 && weft_scope_failed(&s) == 0);
	return 0;
}

Test(scope, a_child_without_memory_is_refused_and_nothing_lost)
{
	t_on_fibers(without_memory, NULL);
}

/* --- what is said of it --- */

static char said[1 << 16];

static int wait_in_end(void *name)
{
	struct weft_scope s;

	weft_set_name(name);
	begin(&s, 0, false);
	spawn(&s, sleep_for_ever, NULL);
	return weft_scope_end(&s);
}

static int dump(void *unused)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	struct weft_scope s;
	ssize_t n;

	(void)unused;
	count = 0;
	begin(&s, 0, false);
	spawn(&s, wait_in_end, "owner");
	await(1);
	let_others();
	T_CHECK(weft_dump(fd) == 0);
	n = pread(fd, said, sizeof said - 1, 0);
	T_CHECK(n > 0);
	close(fd);
	T_CHECK(strstr(said, "'owner' ") != NULL);
	T_CHECK(strstr(said, " waits: scope 0x") != NULL);
	weft_scope_cancel(&s);
	T_CHECK(weft_scope_end(&s) == -ECANCELED);
	return 0;
}

Test(scope, a_dump_says_who_waits_for_the_end_of_one)
{
	t_run(1, dump, NULL);
}

/* --- mistakes --- */

/* Run fn on a fiber named "culprit" in a child process, which aborts. */
static void dies(int (*fn)(void *), const char *words)
{
	int p[2], status;
	size_t n = 0;
	ssize_t r;
	pid_t pid;

	cr_assert_eq(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 2);
		signal(SIGABRT, SIG_DFL);
		weft_run(NULL, fn, NULL);
		_exit(0);
	}
	close(p[1]);
	while ((r = read(p[0], said + n, sizeof said - 1 - n)) > 0)
		n += (size_t)r;
	said[n] = '\0';
	close(p[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_neq(status, 0);
	cr_assert_not_null(strstr(said, "fiber 'culprit'"), "%s", said);
	cr_assert_not_null(strstr(said, words), "no '%s' in: %s", words, said);
}

static int leave_open(void *unused)
{
	static struct weft_scope s;

	(void)unused;
	weft_set_name("culprit");
	begin(&s, 0, false);
	return 0;
}

static int leave_open_by_exit(void *unused)
{
	leave_open(unused);
	weft_exit(NULL);
	return 0;
}

static int leave_open_in(void *unused)
{
	struct weft_scope s;

	begin(&s, 0, false);
	spawn(&s, leave_open, unused);
	return weft_scope_end(&s);
}

Test(scope, a_fiber_that_ends_with_one_open_is_named)
{
	dies(leave_open, "has ended with a scope open");
	dies(leave_open_by_exit, "has ended with a scope open");
	dies(leave_open_in, "has ended with a scope open");
}

static int end_the_outer_first(void *unused)
{
	struct weft_scope outer, inner;

	(void)unused;
	weft_set_name("culprit");
	begin(&outer, 0, false);
	begin(&inner, 0, false);
	return weft_scope_end(&outer);
}

static int end_twice(void *unused)
{
	struct weft_scope s;

	(void)unused;
	weft_set_name("culprit");
	begin(&s, 0, false);
	weft_scope_end(&s);
	return weft_scope_end(&s);
}

static int end_my_parents(void *scope)
{
	weft_set_name("culprit");
	return weft_scope_end(scope);
}

static int let_a_child_end_it(void *unused)
{
	struct weft_scope s;

	(void)unused;
	begin(&s, 0, false);
	spawn(&s, end_my_parents, &s);
	return weft_scope_end(&s);
}

static int begin_twice(void *unused)
{
	struct weft_scope s;

	(void)unused;
	weft_set_name("culprit");
	begin(&s, 0, false);
	return weft_scope_begin(&s, NULL);
}

Test(scope, who_ends_another_one_than_its_last_is_named)
{
	dies(end_the_outer_first, "not its innermost");
	dies(end_twice, "not its innermost");
	dies(let_a_child_end_it, "not its innermost");
	dies(begin_twice, "begun twice");
}
