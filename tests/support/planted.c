/* SPDX-License-Identifier: MIT */
/*
 * planted.c - mistakes made on purpose, on fibers.  A sanitizer has to find
 * them: else its silence about everything else would mean nothing.
 *
 *	planted MISTAKE
 */
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <weft.h>

static volatile int *kept;

static __attribute__((noinline)) void keep_local(void)
{
	volatile int local = 1;

	kept = &local;
}

static int use_after_return(void *unused)
{
	(void)unused;
	keep_local();
	weft_yield();
	return *kept;
}

static int write_beyond_local(void *unused)
{
	char local[8] = "", *volatile end = local + sizeof local;

	(void)unused;
	weft_yield();
	*end = 1;
	return local[0];
}

static int overflow_sum(void *unused)
{
	volatile int large = INT_MAX;

	(void)unused;
	return large + 1 > 0;
}

static int shared;

/* Relaxed: that both are there orders nothing. */
static void *add(void *there)
{
	atomic_int *n = there;

	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
	while (atomic_load_explicit(n, memory_order_relaxed) < 2)
		;
	/* Often: two accesses at the very same time escape notice. */
	for (volatile int i = 0; i < 1000; i++)
		shared++;
	return NULL;
}

static int race(void *unused)
{
	static atomic_int there;
	struct weft_fiber *f[2] = {0};

	(void)unused;
	for (int i = 0; i < 2; i++)
		if (weft_spawn(&f[i], NULL, add, &there) < 0)
			return -1;
	for (int i = 0; i < 2; i++)
		weft_join(f[i], NULL);
	return shared;
}

static const struct {
	const char *name;
	int (*make)(void *);
} mistakes[] = {
	{"use-after-return", use_after_return},
	{"write-beyond-local", write_beyond_local},
	{"overflow-sum", overflow_sum},
	{"race", race},
};

int main(int argc, char **argv)
{
	struct weft_options options = {.workers = 2};

	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
		if (argc == 2 && strcmp(argv[1], mistakes[i].name) == 0)
			return weft_run(&options, mistakes[i].make, NULL);
	fprintf(stderr, "usage: planted MISTAKE\n");
	return 2;
}
