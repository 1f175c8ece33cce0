/* SPDX-License-Identifier: MIT */
/*
 * test_fdtab.c - a place for each descriptor's number.
 */
#include "support/t.h"

#include <limits.h>
#include <pthread.h>

#include "io/fdtab.h"

TestSuite(fdtab, .timeout = 5 * T_SLOW);

Test(fdtab, what_is_no_number_has_no_place)
{
	cr_assert_null(wf_fdtab_place(-1));
	cr_assert_null(wf_fdtab_place(INT_MIN));
	cr_assert_null(wf_fdtab_find(-1));
	cr_assert_null(wf_fdtab_find(INT_MIN));
}

Test(fdtab, nothing_is_found_near_where_nothing_was_used)
{
	cr_assert_null(wf_fdtab_find(0));
	cr_assert_null(wf_fdtab_find(INT_MAX));
	cr_assert_not_null(wf_fdtab_place(0));
	cr_assert_not_null(wf_fdtab_find(0));
	cr_assert_null(wf_fdtab_find(1 << 20));
}

Test(fdtab, a_place_is_empty_first_and_stays_where_it_is)
{
	_Atomic(struct wf_source *) *place = wf_fdtab_place(INT_MAX);

	cr_assert_not_null(place);
	cr_assert_null(atom_load_rlx(place));
	cr_assert_eq(wf_fdtab_place(INT_MAX), place);
	cr_assert_eq(wf_fdtab_find(INT_MAX), place);
}

/* Over the bounds of some parts. */
Test(fdtab, different_numbers_have_different_places)
{
	for (int fd = 0; fd < 20000; fd++) {
		_Atomic(struct wf_source *) *place = wf_fdtab_place(fd);

		cr_assert_not_null(place);
		cr_assert_null(atom_load_rlx(place));
		atom_store_rlx(place, (struct wf_source *)(intptr_t)(fd + 1));
	}
	for (int fd = 0; fd < 20000; fd++)
		cr_assert_eq((intptr_t)atom_load_rlx(wf_fdtab_find(fd)),
			     fd + 1);
}

#define PART 4096

static void *ask_for_places(void *arg)
{
	_Atomic(struct wf_source *) **places = arg;

	for (int i = 0; i < 64; i++)
		places[i] = wf_fdtab_place(i * PART);
	return NULL;
}

Test(fdtab, all_who_ask_at_a_time_get_the_same_place)
{
	_Atomic(struct wf_source *) *places[4][64];
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, ask_for_places,
					    places[i]),
			     0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 1; i < 4; i++)
		for (int k = 0; k < 64; k++)
			cr_assert_eq(places[i][k], places[0][k]);
}
