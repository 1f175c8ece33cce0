/* SPDX-License-Identifier: MIT */
/* Thread-specific data: values, destructors and their rounds. */
#include "see.h"

#include <limits.h>
#include <semaphore.h>

#define KEYS 100

static pthread_key_t keys[KEYS], once_more, unlucky;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int destroyed, rounds, wrong;

static void count(void *value)
{
	pthread_mutex_lock(&lock);
	destroyed++;
	wrong += *(int *)value != 17;
	pthread_mutex_unlock(&lock);
	free(value);
}

static void *set_all(void *arg)
{
	int found = 0;

	for (int i = 0; i < KEYS; i++)
		found += pthread_getspecific(keys[i]) != NULL;
	for (int i = 0; i < KEYS; i++) {
		int *value = malloc(sizeof(int));

		*value = 17;
		MUST(pthread_setspecific(keys[i], value));
	}
	sched_yield();
	for (int i = 0; i < KEYS; i++)
		found += *(int *)pthread_getspecific(keys[i]) != 17;
	if (arg)
		pthread_exit((void *)(intptr_t)found);
	return (void *)(intptr_t)found;
}

static void a_hundred(void)
{
	intptr_t found = 0;

	for (int i = 0; i < KEYS; i++)
		MUST(pthread_key_create(&keys[i], count));
	for (intptr_t i = 0; i < 50; i++)
		found += (intptr_t)join(start(set_all, (void *)(i % 2)));
	see("50 threads, one after the other: %ld found, %d destroyed, "
	    "%d wrong",
	    (long)found, destroyed, wrong);
}

static void at_the_same_time(void)
{
	pthread_t threads[50];
	intptr_t found = 0;

	destroyed = 0;
	for (int i = 0; i < 50; i++)
		threads[i] = start(set_all, NULL);
	for (int i = 0; i < 50; i++)
		found += (intptr_t)join(threads[i]);
	see("50 threads at a time: %ld found, %d destroyed, %d wrong",
	    (long)found, destroyed, wrong);
}

/* Sets itself again, and so is called again. */
static void again(void *value)
{
	rounds++;
	see("round %ld, value now %s", (long)value,
	    pthread_getspecific(once_more) ? "set" : "NULL");
	linger(); /* a destructor may wait */
	MUST(pthread_setspecific(once_more, (void *)((intptr_t)value + 1)));
}

static void left(void *arg)
{
	see("the handler comes first, value %ld",
	    (long)pthread_getspecific(once_more));
	(void)arg;
}

static void *goes_round(void *arg)
{
	pthread_cleanup_push(left, arg);
	MUST(pthread_setspecific(once_more, (void *)1));
	pthread_exit(arg);
	pthread_cleanup_pop(0);
}

static void in_rounds(void)
{
	MUST(pthread_key_create(&once_more, again));
	for (int i = 0; i < 2; i++)
		join(start(goes_round, NULL));
	see("%d rounds in two threads, %d are allowed each", rounds,
	    PTHREAD_DESTRUCTOR_ITERATIONS);
	MUST(pthread_key_delete(once_more));
}

static void never(void *value)
{
	see("never destroyed: %ld", (long)value);
}

static sem_t set, deleted;

static void *keeps(void *arg)
{
	MUST(pthread_setspecific(unlucky, arg));
	sem_post(&set);
	sem_wait(&deleted);
	see("of another key: %ld", (long)pthread_getspecific(unlucky));
	return NULL;
}

static void *takes_back(void *arg)
{
	MUST(pthread_setspecific(unlucky, arg));
	MUST(pthread_setspecific(unlucky, NULL));
	return NULL;
}

static void without_destructor(void)
{
	pthread_t thread;

	sem_init(&set, 0, 0);
	sem_init(&deleted, 0, 0);
	MUST(pthread_key_create(&unlucky, never));
	join(start(takes_back, (void *)1));
	thread = start(keeps, (void *)2);
	sem_wait(&set);
	MUST(pthread_key_delete(unlucky));
	MUST(pthread_key_create(&unlucky, never));
	sem_post(&deleted);
	join(thread);
	MUST(pthread_key_delete(unlucky));
	SEE_ERROR(pthread_key_delete(unlucky));
	SEE_ERROR(pthread_setspecific(unlucky, &set));
}

static void all_there_are(void)
{
	static pthread_key_t all[PTHREAD_KEYS_MAX];
	int n = 0, error = 0;

	while (n < PTHREAD_KEYS_MAX &&
	       (error = pthread_key_create(&all[n], NULL)) == 0)
		n++;
	see("at least %d more: %d, then %s", _POSIX_THREAD_KEYS_MAX,
	    n >= _POSIX_THREAD_KEYS_MAX, err(error));
	while (n > 0)
		MUST(pthread_key_delete(all[--n]));
}

int main(void)
{
	a_hundred();
	at_the_same_time();
	in_rounds();
	without_destructor();
	all_there_are();
	return 0;
}
