/* SPDX-License-Identifier: MIT */
/*
 * test_local.c - variables of which each fiber has its own, and what becomes
 * of their values.
 */
#include "support/t.h"

#include <errno.h>

#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

#define MOST 256 /* locals at a time */

TestSuite(local, .timeout = 5 * T_SLOW);

static struct weft_local local;
static _Atomic int destroyed;
static int values[MOST];

static void run_and_join(weft_fn fn, void *arg)
{
	struct weft_fiber *f;

	T_CHECK(weft_spawn(&f, NULL, fn, arg) == 0);
	T_CHECK(weft_join(f, NULL) == 0);
}

static void count(void *value)
{
	T_CHECK(value != NULL);
	atomic_fetch_add(&destroyed, 1);
}

/* --- values --- */

static void *have_own(void *value)
{
	T_CHECK(weft_local_get(&local) == NULL);
	T_CHECK(weft_local_set(&local, value) == 0);
	for (int i = 0; i < 100; i++) {
		weft_yield();
		T_CHECK(weft_local_get(&local) == value);
	}
	return NULL;
}

static int many_have_own(void *arg)
{
	(void)arg;
	T_CHECK(weft_local_create(&local, NULL) == 0);
	for (int i = 0; i < 100; i++)
		T_CHECK(weft_spawn(NULL, NULL, have_own, &values[i]) == 0);
	T_CHECK(weft_local_get(&local) == NULL);
	return 0;
}

Test(local, each_fiber_has_its_own_value)
{
	t_run(2, many_have_own, NULL);
}

/* One after the other, so that each has the stack of the one before. */
static int inherit_nothing(void *arg)
{
	(void)arg;
	T_CHECK(weft_local_create(&local, NULL) == 0);
	for (int i = 0; i < 10; i++)
		run_and_join(have_own, &values[i]);
	return 0;
}

Test(local, a_new_fiber_does_not_see_an_old_ones_value)
{
	t_run(1, inherit_nothing, NULL);
}

static void *use_off_a_fiber(void *unused)
{
	T_CHECK(weft_local_get(&local) == NULL);
	T_CHECK(weft_local_set(&local, &values[0]) == -EPERM);
	T_CHECK(weft_local_get(&local) == NULL);
	return unused;
}

static void *create_and_delete(void *unused)
{
	struct weft_local mine;

	T_CHECK(weft_local_create(&mine, count) == 0);
	T_CHECK(weft_local_delete(&mine) == 0);
	T_CHECK(weft_local_delete(&mine) == -EINVAL);
	return unused;
}

static int use_everywhere(void *arg)
{
	(void)arg;
	T_CHECK(weft_local_create(&local, NULL) == 0);
	t_on_thread(use_off_a_fiber, NULL);
	create_and_delete(NULL);
	t_on_thread(create_and_delete, NULL);
	return 0;
}

Test(local, a_thread_may_create_and_delete_but_has_no_values)
{
	t_run(1, use_everywhere, NULL);
	use_off_a_fiber(NULL);
	create_and_delete(NULL);
	t_verify();
}

/* --- many --- */

static struct weft_local locals[MOST];

static void *have_many(void *which)
{
	int offset = *(int *)which;

	for (int i = 0; i < MOST; i++)
		T_CHECK(weft_local_set(&locals[i],
				       &values[(i + offset) % MOST]) == 0);
	for (int i = 0; i < MOST; i++) {
		weft_yield();
		T_CHECK(weft_local_get(&locals[i]) ==
			&values[(i + offset) % MOST]);
	}
	return NULL;
}

static int all_there_are(void *arg)
{
	static int offsets[] = {0, 17};
	struct weft_local more;

	(void)arg;
	for (int i = 0; i < MOST; i++)
		T_CHECK(weft_local_create(&locals[i], count) == 0);
	T_CHECK(weft_local_create(&more, NULL) == -EAGAIN);
	for (int i = 0; i < 2; i++)
		run_and_join(have_many, &offsets[i]);
	T_CHECK(destroyed == 2 * MOST);
	T_CHECK(weft_local_delete(&locals[100]) == 0);
	T_CHECK(weft_local_create(&more, NULL) == 0);
	return 0;
}

Test(local, there_can_be_256_and_no_more)
{
	t_run(2, all_there_are, NULL);
}

/* --- deletion --- */

static void *set_and_delete(void *unused)
{
	struct weft_local next;

	T_CHECK(weft_local_set(&local, &values[0]) == 0);
	T_CHECK(weft_local_delete(&local) == 0);
	T_CHECK(weft_local_get(&local) == NULL);
	T_CHECK(weft_local_set(&local, &values[0]) == -EINVAL);
	T_CHECK(weft_local_create(&next, count) == 0);
	T_CHECK(next.id_ == local.id_);
	T_CHECK(weft_local_get(&next) == NULL);
	return unused;
}

static int delete_while_set(void *arg)
{
	(void)arg;
	T_CHECK(weft_local_create(&local, count) == 0);
	run_and_join(set_and_delete, NULL);
	T_CHECK(destroyed == 0);
	return 0;
}

Test(local, a_deleted_ones_value_is_neither_seen_nor_destroyed)
{
	t_run(1, delete_while_set, NULL);
}

Test(local, what_was_never_created_is_refused)
{
	struct weft_local none = {0}, wild = {.id_ = 9999, .generation_ = 1};

	cr_assert_eq(weft_local_delete(&none), -EINVAL);
	cr_assert_eq(weft_local_delete(&wild), -EINVAL);
	cr_assert_null(weft_local_get(&none));
	cr_assert_null(weft_local_get(&wild));
}

static int set_what_is_not(void *arg)
{
	struct weft_local none = {0}, wild = {.id_ = 9999, .generation_ = 1};

	(void)arg;
	T_CHECK(weft_local_set(&none, &none) == -EINVAL);
	T_CHECK(weft_local_set(&wild, &wild) == -EINVAL);
	T_CHECK(weft_local_get(&none) == NULL);
	T_CHECK(weft_local_get(&wild) == NULL);
	return 0;
}

Test(local, what_was_never_created_cannot_be_set)
{
	t_run(1, set_what_is_not, NULL);
}

/* --- destructors --- */

static void look_around(void *value)
{
	T_CHECK(value == &values[3]);
	T_CHECK(weft_self() != NULL);
	T_CHECK(!weft_cancelled());
	T_CHECK(weft_sleep(WEFT_USEC(10)) == 0);
	T_CHECK(weft_local_get(&local) == NULL);
	atomic_fetch_add(&destroyed, 1);
}

static void *set_third(void *exit)
{
	T_CHECK(weft_local_set(&local, &values[3]) == 0);
	weft_cancel(weft_self());
	if (exit)
		weft_exit(NULL);
	return NULL;
}

static int destroy_on_the_fiber(void *arg)
{
	(void)arg;
	T_CHECK(weft_local_create(&local, look_around) == 0);
	run_and_join(set_third, NULL);
	T_CHECK(destroyed == 1);
	run_and_join(set_third, "exit");
	T_CHECK(destroyed == 2);
	return 0;
}

Test(local, values_are_destroyed_on_the_fiber_which_may_wait)
{
	t_run(1, destroy_on_the_fiber, NULL);
}

static void *set_and_reset(void *unused)
{
	T_CHECK(weft_local_set(&local, &values[0]) == 0);
	T_CHECK(weft_local_set(&local, &values[1]) == 0);
	T_CHECK(weft_local_set(&local, NULL) == 0);
	T_CHECK(weft_local_get(&local) == NULL);
	return unused;
}

static int destroy_nothing(void *arg)
{
	(void)arg;
	T_CHECK(weft_local_create(&local, count) == 0);
	run_and_join(set_and_reset, NULL);
	T_CHECK(destroyed == 0);
	return 0;
}

Test(local, neither_null_nor_a_replaced_value_is_destroyed)
{
	t_run(1, destroy_nothing, NULL);
}

static void set_again(void *value)
{
	count(value);
	T_CHECK(weft_local_set(&local, value) == 0);
}

static void *set_first(void *unused)
{
	T_CHECK(weft_local_set(&local, &values[0]) == 0);
	return unused;
}

static int destroy_for_ever(void *arg)
{
	(void)arg;
	T_CHECK(weft_local_create(&local, set_again) == 0);
	run_and_join(set_first, NULL);
	T_CHECK(destroyed == 4);
	return 0;
}

Test(local, a_destructor_that_sets_again_is_called_four_times)
{
	t_run(1, destroy_for_ever, NULL);
}

static void set_last(void *value)
{
	T_CHECK(weft_local_set(&locals[MOST / 2], value) == 0);
}

/* The destructor is the first to need more than the inline slots. */
static int destroy_into_more(void *arg)
{
	(void)arg;
	T_CHECK(weft_local_create(&local, set_last) == 0);
	for (int i = 0; i <= MOST / 2; i++)
		T_CHECK(weft_local_create(&locals[i], count) == 0);
	run_and_join(set_first, NULL);
	T_CHECK(destroyed == 1);
	return 0;
}

Test(local, values_that_destructors_set_elsewhere_are_destroyed_too)
{
	t_run(1, destroy_into_more, NULL);
}
