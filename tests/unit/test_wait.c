/* SPDX-License-Identifier: MIT */
/*
 * test_wait.c - of all that could end a wait exactly one does: a notifier, the
 * deadline, or cancellation, whoever else tries at the same time.
 */
#include "support/t.h"

#include <errno.h>
#include <string.h>

#include "core/self.h"
#include "core/wait.h"
#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

#define OBJECTS 3

TestSuite(wait, .timeout = 10 * T_SLOW);

/* The least that can be waited on. */
struct object {
	struct wf_spin lock;
	struct wf_list nodes;
};

static struct object objects[OBJECTS];

static void join_queue(struct object *o, struct wf_node *n, struct wf_wait *w,
		       uint32_t index)
{
	*n = (struct wf_node){.wait = w, .index = index};
	spin_lock(&o->lock);
	list_push(&o->nodes, &n->link);
	spin_unlock(&o->lock);
}

static void leave_queue(struct object *o, struct wf_node *n)
{
	spin_lock(&o->lock);
	list_remove(&o->nodes, &n->link);
	spin_unlock(&o->lock);
}

/* Claim up to `max` waiters of the object; how many there were. */
static unsigned claim(struct object *o, struct wf_wakes *l, unsigned max)
{
	unsigned count = 0;

	spin_lock(&o->lock);
	list_for_each (n, &o->nodes) {
		struct wf_node *node = container_of(n, struct wf_node, link);

		if (count < max && wait_claim(node, l)) {
			list_remove(&o->nodes, n);
			count++;
		}
	}
	spin_unlock(&o->lock);
	return count;
}

static unsigned notify(struct object *o, unsigned max)
{
	struct wf_wakes l;
	unsigned count;

	wakes_begin(&l);
	count = claim(o, &l, max);
	wf_wakes_fire(&l, NULL);
	return count;
}

/* Wait on all objects; the index, 1 for the first, or an error. */
static int wait_for_any(weft_time deadline, bool shielded)
{
	struct weft_fiber *me = wf_waiter_begin();
	struct wf_wait w;
	struct wf_node n[OBJECTS];
	int r;

	wait_begin(&w, me, "test", 0);
	for (uint32_t i = 0; i < OBJECTS; i++)
		join_queue(&objects[i], &n[i], &w, i + 1);
	r = wf_wait_sleep(&w, deadline, shielded);
	for (uint32_t i = 0; i < OBJECTS; i++)
		leave_queue(&objects[i], &n[i]);
	wf_waiter_end(me);
	memset(&w, 0xaa, sizeof w);
	memset(n, 0xaa, sizeof n);
	return r;
}

static void all_queues_are_empty(void)
{
	for (int i = 0; i < OBJECTS; i++)
		T_CHECK(list_empty(&objects[i].nodes));
}

/* --- one waiter --- */

static void *wait_for_second(void *unused)
{
	(void)unused;
	T_CHECK(wait_for_any(WEFT_FOREVER, false) == 2);
	return NULL;
}

static void notify_second(void)
{
	while (notify(&objects[1], 1) == 0)
		weft_yield();
	T_CHECK(notify(&objects[0], 1) == 0);
	T_CHECK(notify(&objects[2], 1) == 0);
}

static int notify_a_fiber(void *arg)
{
	struct weft_fiber *f;

	(void)arg;
	T_CHECK(weft_spawn(&f, NULL, wait_for_second, NULL) == 0);
	notify_second();
	T_CHECK(weft_join(f, NULL) == 0);
	all_queues_are_empty();
	return 0;
}

Test(wait, a_fiber_learns_which_of_its_nodes_has_fired)
{
	t_run(1, notify_a_fiber, NULL);
}

static int notify_a_thread(void *arg)
{
	struct t_thread t;

	(void)arg;
	t_thread_begin(&t, wait_for_second, NULL);
	notify_second();
	t_thread_end(&t);
	all_queues_are_empty();
	return 0;
}

Test(wait, a_thread_learns_which_of_its_nodes_has_fired)
{
	t_run(1, notify_a_thread, NULL);
}

static void *time_out(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));

	T_CHECK(wait_for_any(deadline, false) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(wait_for_any(weft_now(), false) == -ETIMEDOUT);
	T_CHECK(wait_for_any(0, false) == -ETIMEDOUT);
	T_CHECK(wait_for_any(-1, false) == -ETIMEDOUT);
	all_queues_are_empty();
	T_CHECK(notify(&objects[0], 1) == 0);
	return unused;
}

static int time_out_everywhere(void *arg)
{
	(void)arg;
	time_out(NULL);
	t_on_thread(time_out, NULL);
	return 0;
}

Test(wait, a_deadline_ends_it_and_not_before)
{
	t_run(1, time_out_everywhere, NULL);
}

static void *wait_to_be_cancelled(void *unused)
{
	T_CHECK(wait_for_any(WEFT_FOREVER, false) == -ECANCELED);
	return unused;
}

static int cancel_a_waiter(void *arg)
{
	struct weft_fiber *f;

	(void)arg;
	T_CHECK(weft_spawn(&f, NULL, wait_to_be_cancelled, NULL) == 0);
	while (list_empty(&objects[OBJECTS - 1].nodes))
		weft_yield();
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	all_queues_are_empty();
	return 0;
}

Test(wait, cancellation_ends_it)
{
	t_run(1, cancel_a_waiter, NULL);
}

static void *wait_shielded(void *unused)
{
	T_CHECK(wait_for_any(WEFT_FOREVER, true) == 2);
	return unused;
}

static int cancel_a_shielded_waiter(void *arg)
{
	struct weft_fiber *f;

	(void)arg;
	T_CHECK(weft_spawn(&f, NULL, wait_shielded, NULL) == 0);
	while (list_empty(&objects[OBJECTS - 1].nodes))
		weft_yield();
	weft_cancel(f);
	for (int i = 0; i < 10; i++)
		weft_yield();
	notify_second();
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(wait, cancellation_does_not_end_a_shielded_one)
{
	t_run(1, cancel_a_shielded_waiter, NULL);
}

/* --- the claim --- */

Test(wait, only_the_first_claim_succeeds)
{
	struct wf_wait w;
	struct wf_node a = {.wait = &w, .index = 1},
		       b = {.wait = &w, .index = 2};
	struct wf_wakes l;

	wait_begin(&w, wf_waiter_begin(), "test", 0);
	wakes_begin(&l);
	cr_assert(wait_claim(&a, &l));
	cr_assert_not(wait_claim(&a, &l));
	cr_assert_not(wait_claim(&b, &l));
	cr_assert_eq(l.count, 1);
	wf_wakes_fire(&l, NULL);
	cr_assert_eq(l.count, 0);
	cr_assert_eq(wf_wait_sleep(&w, 0, false), 1,
		     "what was granted counts, whatever the deadline");
}

Test(wait, a_wait_that_is_withdrawn_cannot_be_claimed)
{
	struct wf_wait w;
	struct wf_node n = {.wait = &w, .index = 1};
	struct wf_wakes l;

	wait_begin(&w, wf_waiter_begin(), "test", 0);
	wakes_begin(&l);
	cr_assert_eq(wf_wait_withdraw(&w), 0);
	cr_assert_not(wait_claim(&n, &l));
}

Test(wait, withdrawing_what_has_fired_says_which_node_it_was)
{
	struct wf_wait w;
	struct wf_node n = {.wait = &w, .index = 5};
	struct wf_wakes l;

	wait_begin(&w, wf_waiter_begin(), "test", 0);
	wakes_begin(&l);
	wait_claim(&n, &l);
	wf_wakes_fire(&l, NULL);
	cr_assert_eq(wf_wait_withdraw(&w), 5);
}

static struct wf_wakes collected;

static void *fire_collected(void *unused)
{
	wf_wakes_fire(&collected, NULL);
	return unused;
}

/* Claimed but not fired: the notifier is still going to touch the frame. */
Test(wait, who_has_been_claimed_waits_to_be_fired)
{
	struct wf_wait w;
	struct wf_node n = {.wait = &w, .index = 3};
	struct t_thread t;

	wait_begin(&w, wf_waiter_begin(), "test", 0);
	wakes_begin(&collected);
	wait_claim(&n, &collected);
	t_thread_begin(&t, fire_collected, NULL);
	cr_assert_eq(wf_wait_withdraw(&w), 3);
	t_thread_end(&t);
}

static void *wait_for_first_or_so(void *granted)
{
	int r = wait_for_any(WEFT_FOREVER, false);

	T_CHECK(r == 1 || r == 3);
	atomic_fetch_add((_Atomic int *)granted, 1);
	return NULL;
}

static int notify_many(void *arg)
{
	struct weft_fiber *f[10];
	_Atomic int granted = 0;
	unsigned first = 0, third = 0;

	(void)arg;
	for (int i = 0; i < 10; i++)
		T_CHECK(weft_spawn(&f[i], NULL, wait_for_first_or_so,
				   (void *)&granted) == 0);
	while (first < 4)
		first += notify(&objects[0], 4 - first), weft_yield();
	while (third < 6)
		third += notify(&objects[2], 10), weft_yield();
	for (int i = 0; i < 10; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	T_CHECK(first + third == 10 && granted == 10);
	all_queues_are_empty();
	return 0;
}

Test(wait, a_notify_passes_over_those_whose_wait_has_ended)
{
	t_run(2, notify_many, NULL);
}

/* --- races --- */

static _Atomic unsigned long grants;
static _Atomic bool over;

static void *notify_always(void *which)
{
	while (!atomic_load(&over))
		atomic_fetch_add(&grants, notify(which, 1));
	return NULL;
}

static struct counts {
	unsigned long granted, timed_out, cancelled;
} counts[2];

static void wait_at_random(struct counts *c, uint64_t *seed)
{
	weft_time deadline = weft_after((weft_time)(t_random(seed) % 3000));
	int r = wait_for_any(deadline, false);

	T_CHECK(r > 0 || r == -ETIMEDOUT);
	if (r > 0)
		c->granted++;
	else
		c->timed_out++;
	T_CHECK(r > 0 || weft_now() >= deadline);
}

static uint64_t seeds[2];

static void *wait_often(void *which)
{
	uintptr_t me = (uintptr_t)which;

	for (size_t i = t_scale(20000); i; i--)
		wait_at_random(&counts[me], &seeds[me]);
	return NULL;
}

static int race(void *arg)
{
	struct t_thread notifiers[2], waiter;

	(void)arg;
	seeds[0] = t_seed();
	seeds[1] = seeds[0] + 1;
	for (int i = 0; i < 2; i++)
		t_thread_begin(&notifiers[i], notify_always, &objects[i]);
	t_thread_begin(&waiter, wait_often, (void *)1);
	wait_often((void *)0);
	t_thread_end(&waiter);
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		t_thread_end(&notifiers[i]);
	T_CHECK(grants == counts[0].granted + counts[1].granted);
	all_queues_are_empty();
	return 0;
}

Test(wait, each_grant_reaches_exactly_one_waiter, .timeout = 30 * T_SLOW)
{
	t_run(2, race, NULL);
}

static void *wait_cancelled_or_granted(void *unused)
{
	int r = wait_for_any(WEFT_FOREVER, false);

	T_CHECK(r == 1 || r == -ECANCELED);
	atomic_fetch_sub(&grants, r == 1);
	return unused;
}

static int race_with_cancel(void *arg)
{
	struct t_thread notifier;
	struct weft_fiber *f;

	(void)arg;
	t_thread_begin(&notifier, notify_always, &objects[0]);
	for (size_t i = t_scale(10000); i; i--) {
		T_CHECK(weft_spawn(&f, NULL, wait_cancelled_or_granted, NULL) ==
			0);
		if (i % 2)
			weft_yield();
		weft_cancel(f);
		T_CHECK(weft_join(f, NULL) == 0);
	}
	atomic_store(&over, true);
	t_thread_end(&notifier);
	T_CHECK(grants == 0);
	all_queues_are_empty();
	return 0;
}

Test(wait, a_grant_is_not_lost_to_cancellation, .timeout = 30 * T_SLOW)
{
	t_run(2, race_with_cancel, NULL);
}
