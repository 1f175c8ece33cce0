/* SPDX-License-Identifier: MIT */
/* A stack that is too small is a segmentation fault, and nothing else. */
#include "see.h"

static volatile int stop;

/* One page at a time, so that no guard is passed over. */
static int dive(int depth)
{
	volatile char page[4096];

	page[0] = (char)depth;
	if (stop)
		return page[0];
	return dive(depth + 1) + page[0];
}

static void *overflows(void *arg)
{
	return (void *)(intptr_t)dive((int)(intptr_t)arg);
}

static void by_default(void)
{
	join(start(overflows, NULL));
}

static void of_64k(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setstacksize(&attr, 65536));
	MUST(pthread_create(&thread, &attr, overflows, NULL));
	join(thread);
}

static void *ends(void *arg)
{
	return arg;
}

/* Also where a stack has been used before. */
static void of_a_later_one(void)
{
	for (int i = 0; i < 100; i++)
		join(start(ends, NULL));
	join(start(overflows, NULL));
}

int main(void)
{
	in_child("by default", by_default);
	in_child("of 64K", of_64k);
	in_child("of a later one", of_a_later_one);
	return 0;
}
