/* SPDX-License-Identifier: MIT */
/*
 * So many threads at once, by default 20,000, all waiting for one condition
 * and then gone.
 */
#include "see.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_wait = PTHREAD_COND_INITIALIZER;
static pthread_cond_t go_on = PTHREAD_COND_INITIALIZER;
static int count = 20000, waiting;
static bool released;

static __thread int own = 17;

static void *waits(void *arg)
{
	own += (int)(intptr_t)arg;
	pthread_mutex_lock(&lock);
	if (++waiting == count)
		pthread_cond_signal(&all_wait);
	while (!released)
		pthread_cond_wait(&go_on, &lock);
	pthread_mutex_unlock(&lock);
	return (void *)(intptr_t)own;
}

static void make(pthread_t *threads)
{
	pthread_attr_t attr;

	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setstacksize(&attr, 65536));
	for (intptr_t i = 0; i < count; i++)
		MUST(pthread_create(&threads[i], &attr, waits, (void *)i));
	MUST(pthread_attr_destroy(&attr));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		count = atoi(argv[1]);
	pthread_t *threads = calloc(count, sizeof(*threads));
	int wrong = 0;

	EXPECT(threads != NULL);
	for (int round = 0; round < 2; round++) {
		waiting = released = 0;
		make(threads);
		pthread_mutex_lock(&lock);
		while (waiting < count)
			pthread_cond_wait(&all_wait, &lock);
		see("%d wait", waiting);
		released = true;
		pthread_cond_broadcast(&go_on);
		pthread_mutex_unlock(&lock);
		for (intptr_t i = 0; i < count; i++)
			wrong += join(threads[i]) != (void *)(17 + i);
		see("%d wrong", wrong);
	}
	free(threads);
	return 0;
}
