/* SPDX-License-Identifier: MIT */
/*
 * switch.c - what does a switch from one stack to another cost?
 *
 * wf_context_switch() alone, without a scheduler: between main's stack and
 * another, at two call sites on each side, so that what predicts returns is
 * not right by chance.  First with no floating-point exception pending, then
 * after an inexact operation on one side: the status bits, which share a
 * register with the control bits on some processors, then differ at each
 * switch.  One switch is half a round trip.
 *
 * Measures as limits/fcontext.c does, so that the two compare.
 */
#include <fenv.h>

#include "arch/arch.h"
#include "bench.h"

#define ROUNDS   11
#define SWITCHES 2000000UL

static char stack[64 << 10] __attribute__((aligned(64)));
static struct wf_context here, other;

static void bounce(void *msg)
{
	(void)msg;
	for (;;) {
		wf_context_switch(&other, &here, NULL);
		wf_context_switch(&other, &here, NULL);
	}
}

static double measure(void)
{
	uint64_t began = bench_now();

	for (size_t i = 0; i < SWITCHES; i += 4) {
		wf_context_switch(&here, &other, NULL);
		wf_context_switch(&here, &other, NULL);
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
			   "Cost of a switch between two stacks, without and "
			   "with\na floating-point exception pending.");
	feclearexcept(FE_ALL_EXCEPT);
	wf_context_make(&other, stack + sizeof(stack), bounce);
	here.base = other.base = wf_base_get();
	wf_arch_probe();
	measure();
	for (int i = 0; i < ROUNDS; i++) {
		clean[i] = measure_clean();
		inexact[i] = measure_inexact();
	}
	report("switch.raw", median(clean, ROUNDS), "ns");
	report("switch.raw.inexact", median(inexact, ROUNDS), "ns");
	return 0;
}
