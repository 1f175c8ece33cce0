/* SPDX-License-Identifier: MIT */
/*
 * test_support.c - the tests' own tools, on which every other test stands.
 */
#include "support/t.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(support, .timeout = 5 * T_SLOW);

static void *fail_twice(void *arg)
{
	T_CHECK(arg == NULL);
	T_CHECK(!"second");
	return NULL;
}

Test(support, the_first_failed_check_on_a_thread_is_remembered)
{
	pthread_t t;

	cr_assert_eq(pthread_create(&t, NULL, fail_twice, "x"), 0);
	pthread_join(t, NULL);
	cr_assert_not_null(t_failed());
	cr_assert_str_eq(t_failed()->what, "arg == NULL");
	t_reset();
	cr_assert_null(t_failed());
}

Test(support, guarded_memory_ends_at_an_inaccessible_page)
{
	char *m = t_guarded(100);
	int p[2];

	memset(m, 1, 100);
	cr_assert_eq(pipe(p), 0);
	cr_assert_eq(write(p[1], m, 100), 100);
	cr_assert_eq(write(p[1], m + 100, 1), -1);
	cr_assert_eq(errno, EFAULT);
}

Test(support, a_pair_is_connected_both_ways)
{
	int fd[2];
	char c;

	cr_assert_eq(t_pair(fd), 0);
	cr_assert_eq(write(fd[0], "a", 1), 1);
	cr_assert_eq(read(fd[1], &c, 1), 1);
	cr_assert_eq(c, 'a');
	cr_assert_eq(write(fd[1], "b", 1), 1);
	cr_assert_eq(read(fd[0], &c, 1), 1);
	cr_assert_eq(c, 'b');
}

Test(support, descriptors_are_counted)
{
	int before = t_fds(), fd[2];

	cr_assert_gt(before, 2);
	cr_assert_eq(t_pair(fd), 0);
	cr_assert_eq(t_fds(), before + 2);
	close(fd[0]);
	cr_assert_eq(t_fds(), before + 1);
}

Test(support, a_seed_can_be_given_and_determines_the_numbers)
{
	uint64_t a, b;

	setenv("WEFT_SEED", "42", 1);
	a = t_seed();
	b = t_seed();
	cr_assert_eq(a, 42);
	cr_assert_eq(t_random(&a), t_random(&b));
	cr_assert_neq(t_random(&a), b);
}

Test(support, scaling_divides_and_leaves_at_least_one)
{
	unsetenv("WEFT_TEST_SCALE");
	cr_assert_eq(t_scale(1000), 1000);
	setenv("WEFT_TEST_SCALE", "10", 1);
	cr_assert_eq(t_scale(1000), 100);
	cr_assert_eq(t_scale(5), 1);
}

ParameterizedTestParameters(support, rows_are_all_run)
{
	static int rows[] = {1, 2, 8};

	return cr_make_param_array(int, rows, 3);
}

ParameterizedTest(int *row, support, rows_are_all_run)
{
	cr_assert(*row == 1 || *row == 2 || *row == 8);
}

/* Sanitizers turn the signal into a report and an exit status. */
Test(support, a_signal_may_be_what_passes, .signal = SIGSEGV,
     .disabled = T_SANITIZED)
{
	raise(SIGSEGV);
}

Test(support, a_passing_check_leaves_nothing_to_report)
{
	T_CHECK(1 == 1);
	t_verify();
}
