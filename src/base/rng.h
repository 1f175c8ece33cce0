/* SPDX-License-Identifier: MIT */
/*
 * rng.h - random numbers for choices that only have to be spread: where a
 * thief begins, how a test goes on.
 *
 * Marsaglia's xorshift with a multiplication behind it ("Xorshift RNGs", 2003;
 * Vigna, "An experimental exploration of Marsaglia's xorshift generators,
 * scrambled", 2016).
 */
#ifndef WF_RNG_H
#define WF_RNG_H

#include <stdint.h>

struct wf_rng {
	uint64_t state; /* zero is a valid seed */
};

static inline uint32_t rng_next(struct wf_rng *r)
{
	uint64_t x = r->state ? r->state : 0x9e3779b97f4a7c15;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->state = x;
	return (uint32_t)(x * 0x2545f4914f6cdd1d >> 32);
}

/* Below `n`, which is not 0. */
static inline uint32_t rng_below(struct wf_rng *r, uint32_t n)
{
	return (uint32_t)((uint64_t)rng_next(r) * n >> 32);
}

#endif
