/* SPDX-License-Identifier: MIT */
/* How a thread rounds is its own affair, and at first its maker's. */
#include "see.h"

#include <fenv.h>

#define THREADS 16
#define TURNS   100

static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD,
			    FE_TOWARDZERO};
static pthread_barrier_t meet;

static const char *name(int mode)
{
	switch (mode) {
	case FE_TONEAREST:
		return "nearest";
	case FE_UPWARD:
		return "upward";
	case FE_DOWNWARD:
		return "downward";
	case FE_TOWARDZERO:
		return "zero";
	}
	return "unknown";
}

static double third(void)
{
	volatile double one = 1, three = 3;

	return one / three;
}

static void *keeps_its_own(void *arg)
{
	int mode = modes[(intptr_t)arg % 4];
	intptr_t wrong = 0;
	double first;

	fesetround(mode);
	first = third();
	for (int i = 0; i < TURNS; i++) {
		pthread_barrier_wait(&meet);
		wrong += fegetround() != mode || third() != first;
		sched_yield();
		wrong += fegetround() != mode || third() != first;
	}
	return (void *)wrong;
}

static void *tells(void *arg)
{
	see("%s: %s", (char *)arg, name(fegetround()));
	return NULL;
}

static void *makes_one(void *arg)
{
	fesetround(FE_DOWNWARD);
	join(start(tells, arg));
	see("itself still: %s", name(fegetround()));
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	intptr_t wrong = 0;

	MUST(pthread_barrier_init(&meet, NULL, THREADS));
	for (int round = 0; round < 2; round++) {
		for (intptr_t i = 0; i < THREADS; i++)
			threads[i] = start(keeps_its_own, (void *)i);
		for (int i = 0; i < THREADS; i++)
			wrong += (intptr_t)join(threads[i]);
	}
	see("%ld wrong", (long)wrong);
	for (int i = 0; i < 4; i++) {
		fesetround(modes[i]);
		join(start(tells, (void *)"main's"));
	}
	fesetround(FE_UPWARD);
	join(start(makes_one, (void *)"a thread's"));
	see("main still: %s", name(fegetround()));
	return 0;
}
