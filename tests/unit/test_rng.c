/* SPDX-License-Identifier: MIT */
/*
 * test_rng.c - the small generator: determined, in range, and spread.
 */
#include "support/t.h"

#include "base/rng.h"

#define ROUNDS  64000
#define BUCKETS 64

TestSuite(rng, .timeout = 5 * T_SLOW);

Test(rng, a_state_determines_what_follows)
{
	struct wf_rng a = {42}, b = {42};

	for (int i = 0; i < 1000; i++)
		cr_assert_eq(rng_next(&a), rng_next(&b));
}

Test(rng, different_states_differ)
{
	struct wf_rng a = {1}, b = {2};
	int same = 0;

	for (int i = 0; i < 1000; i++)
		same += rng_next(&a) == rng_next(&b);
	cr_assert_lt(same, 10);
}

Test(rng, zero_is_a_valid_seed)
{
	struct wf_rng r = {0};
	uint32_t first = rng_next(&r);

	cr_assert_neq(r.state, 0);
	cr_assert_neq(rng_next(&r), first);
}

Test(rng, below_stays_below)
{
	struct wf_rng r = {0};

	for (uint32_t n = 1; n < 1000; n++)
		cr_assert_lt(rng_below(&r, n), n);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(rng_below(&r, 1), 0);
	cr_assert_lt(rng_below(&r, UINT32_MAX), UINT32_MAX);
}

/* The seed is fixed: either all of these hold for ever or never. */
Test(rng, all_values_below_a_limit_come_about_equally_often)
{
	struct wf_rng r = {7};
	int seen[BUCKETS] = {0};

	for (int i = 0; i < ROUNDS; i++)
		seen[rng_below(&r, BUCKETS)]++;
	for (int i = 0; i < BUCKETS; i++) {
		cr_assert_gt(seen[i], ROUNDS / BUCKETS * 8 / 10);
		cr_assert_lt(seen[i], ROUNDS / BUCKETS * 12 / 10);
	}
}
