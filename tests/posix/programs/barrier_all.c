/* SPDX-License-Identifier: MIT */
/* Barriers: nobody is a round ahead, and one of each round is told apart. */
#include "see.h"

#define MOST   12
#define ROUNDS 300

static pthread_barrier_t barrier;
static int arrived[MOST], crowd;
static int serials, ahead;

static void *goes_round(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		__atomic_add_fetch(&arrived[me], 1, __ATOMIC_RELAXED);
		int was = pthread_barrier_wait(&barrier);
		if (was == PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
		else
			MUST(was);
		for (int j = 0; j < crowd; j++) {
			int his =
				__atomic_load_n(&arrived[j], __ATOMIC_RELAXED);
			if (his < i + 1 || his > i + 2)
				__atomic_add_fetch(&ahead, 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

static void together(int count)
{
	pthread_t threads[MOST];

	crowd = count;
	serials = ahead = 0;
	memset(arrived, 0, sizeof(arrived));
	MUST(pthread_barrier_init(&barrier, NULL, count));
	for (intptr_t i = 1; i < count; i++)
		threads[i] = start(goes_round, (void *)i);
	goes_round(NULL);
	for (int i = 1; i < count; i++)
		join(threads[i]);
	see("%d in %d rounds: %d times serial, %d out of step", count, ROUNDS,
	    serials, ahead);
	SEE_ERROR(pthread_barrier_destroy(&barrier));
}

static pthread_barrier_t *brief;

static void *meets_once(void *arg)
{
	pthread_barrier_t *own = arg;

	if (pthread_barrier_wait(own) == PTHREAD_BARRIER_SERIAL_THREAD) {
		MUST(pthread_barrier_destroy(own));
		memset(own, 0xff, sizeof(*own));
		free(own);
	}
	return NULL;
}

/* Whoever is told apart may destroy it, though the others are still in. */
static void destroyed_at_once(void)
{
	pthread_t threads[5];

	for (int round = 0; round < 200; round++) {
		brief = malloc(sizeof(*brief));
		MUST(pthread_barrier_init(brief, NULL, 5));
		for (int i = 0; i < 5; i++)
			threads[i] = start(meets_once, brief);
		for (int i = 0; i < 5; i++)
			join(threads[i]);
	}
	see("200 destroyed at once");
}

static void attributes(void)
{
	pthread_barrierattr_t attr;
	int shared = -1;

	MUST(pthread_barrierattr_init(&attr));
	MUST(pthread_barrierattr_getpshared(&attr, &shared));
	see("shared: %d", shared);
	SEE_ERROR(pthread_barrierattr_setpshared(&attr, 77));
	MUST(pthread_barrierattr_destroy(&attr));
	SEE_ERROR(pthread_barrier_init(&barrier, NULL, 0));
	SEE_ERROR(pthread_barrier_init(&barrier, NULL, (unsigned)-1));
	SEE_ERROR(pthread_barrier_init(&barrier, NULL, 1));
	see("alone: %d",
	    pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD);
	SEE_ERROR(pthread_barrier_destroy(&barrier));
}

int main(void)
{
	together(1);
	together(2);
	together(MOST);
	destroyed_at_once();
	attributes();
	return 0;
}
