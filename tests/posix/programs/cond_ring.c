/* SPDX-License-Identifier: MIT */
/* Producers and consumers, and a ring between them that is often full. */
#include "see.h"

#define SIDE  5     /* threads on each side */
#define ITEMS 10000 /* of each producer */

static struct ring {
	pthread_mutex_t lock;
	pthread_cond_t not_full, not_empty;
	int used, size;
	long items[64], head, tail;
} ring = {PTHREAD_MUTEX_INITIALIZER,
	  PTHREAD_COND_INITIALIZER,
	  PTHREAD_COND_INITIALIZER,
	  0,
	  0,
	  {0},
	  0,
	  0};

static void put(long item)
{
	MUST(pthread_mutex_lock(&ring.lock));
	while (ring.used == ring.size)
		MUST(pthread_cond_wait(&ring.not_full, &ring.lock));
	ring.items[ring.tail++ % ring.size] = item;
	ring.used++;
	MUST(pthread_cond_signal(&ring.not_empty));
	MUST(pthread_mutex_unlock(&ring.lock));
}

static long take(void)
{
	MUST(pthread_mutex_lock(&ring.lock));
	while (ring.used == 0)
		MUST(pthread_cond_wait(&ring.not_empty, &ring.lock));
	long item = ring.items[ring.head++ % ring.size];
	ring.used--;
	MUST(pthread_cond_signal(&ring.not_full));
	MUST(pthread_mutex_unlock(&ring.lock));
	return item;
}

static void *produces(void *arg)
{
	long first = (long)(intptr_t)arg * ITEMS;

	for (long i = 1; i <= ITEMS; i++)
		put(first + i);
	return NULL;
}

static void *consumes(void *arg)
{
	long sum = 0, last[SIDE] = {0}, item;
	int *disorder = arg;

	while ((item = take()) != 0) {
		long whose = (item - 1) / ITEMS;

		*disorder += item <= last[whose];
		last[whose] = item;
		sum += item;
	}
	return (void *)(intptr_t)sum;
}

static void flow(int size)
{
	pthread_t producers[SIDE], consumers[SIDE];
	int disorder[SIDE] = {0}, wrong = 0;
	long sum = 0;

	ring.size = size;
	for (intptr_t i = 0; i < SIDE; i++) {
		consumers[i] = start(consumes, &disorder[i]);
		producers[i] = start(produces, (void *)i);
	}
	for (int i = 0; i < SIDE; i++)
		join(producers[i]);
	for (int i = 0; i < SIDE; i++)
		put(0);
	for (int i = 0; i < SIDE; i++) {
		sum += (long)(intptr_t)join(consumers[i]);
		wrong += disorder[i];
	}
	see("through a ring of %d: %ld, %d out of order, %d left", size, sum,
	    wrong, ring.used);
}

int main(void)
{
	flow(1);
	flow(2);
	flow(64);
	return 0;
}
