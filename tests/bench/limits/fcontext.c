/* SPDX-License-Identifier: MIT */
/*
 * fcontext.c - what does a switch by Boost.Context cost?
 *
 * Switches between main's stack and another by jump_fcontext, at two call
 * sites on each side, so that what predicts returns is not right by chance.
 * First with no floating-point exception pending, then after an inexact
 * operation on one side: the status bits, which share a register with the
 * control bits on some processors, then differ at each switch.  One switch is
 * half a round trip.
 *
 * Links libboost_context.a (assembly only), libm and libc.
 */
#define _GNU_SOURCE
#include <fenv.h>

#include "../bench.h"

#define ROUNDS   11
#define SWITCHES 2000000UL

/* As boost/context/detail/fcontext.hpp says it in C++. */
typedef void *fcontext_t;

struct transfer {
	fcontext_t from;
	void *data;
};

fcontext_t make_fcontext(void *top, size_t size, void (*fn)(struct transfer));
struct transfer jump_fcontext(fcontext_t to, void *data);

static char stack[64 << 10] __attribute__((aligned(64)));
static fcontext_t other;

static void bounce(struct transfer t)
{
	for (;;) {
		t = jump_fcontext(t.from, NULL);
		t = jump_fcontext(t.from, NULL);
	}
}

static double measure(void)
{
	uint64_t began = bench_now();

	for (size_t i = 0; i < SWITCHES; i += 4) {
		other = jump_fcontext(other, NULL).from;
		other = jump_fcontext(other, NULL).from;
	}
	return (double)(bench_now() - began) / SWITCHES;
}

static double measure_clean(void)
{
	feclearexcept(FE_ALL_EXCEPT);
	return measure();
}

static double measure_inexact(void)
{
	volatile double three = 3, third;

	third = 1 / three;
	(void)third;
	return measure();
}

int main(int argc, char **argv)
{
	double clean[ROUNDS], inexact[ROUNDS];

	bench_no_arguments(argc, argv,
			   "Cost of a switch by Boost's jump_fcontext, without "
			   "and with\na floating-point exception pending.");
	feclearexcept(FE_ALL_EXCEPT);
	other = make_fcontext(stack + sizeof(stack), sizeof(stack), bounce);
	measure();
	for (int i = 0; i < ROUNDS; i++) {
		clean[i] = measure_clean();
		inexact[i] = measure_inexact();
	}
	report("fcontext.switch", median(clean, ROUNDS), "ns");
	report("fcontext.switch.inexact", median(inexact, ROUNDS), "ns");
	return 0;
}
