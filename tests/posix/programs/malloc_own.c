/* SPDX-License-Identifier: MIT */
/*
 * malloc_own.c - a program that brings its own malloc(), as one with jemalloc
 * or tcmalloc does: it takes a lock, makes a key for what each thread has of it
 * at the first call, and is called by the loader before anything else is.
 */
#include "see.h"

#define ROOM    (8 << 20)
#define THREADS 8
#define ROUNDS  200

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static char room[ROOM] __attribute__((aligned(64)));
static size_t used;  /* lock */
static bool has_key; /* lock */
static __thread bool inside;

/* With the lock held: it could not be called once more from here. */
static void set_up(void)
{
	has_key = true;
	if (pthread_key_create(&key, NULL) != 0)
		abort();
}

/* The size is in the 64 bytes before what is given. */
static void *take(size_t size)
{
	char *p;

	if (inside)
		abort();
	inside = true;
	if (pthread_mutex_trylock(&lock) != 0)
		pthread_mutex_lock(&lock);
	if (!has_key)
		set_up();
	size = (size + 127) & ~(size_t)63;
	if (size > ROOM - used)
		abort();
	p = room + used;
	used += size;
	pthread_mutex_unlock(&lock);
	inside = false;
	*(size_t *)p = size - 64;
	return p + 64;
}

void *malloc(size_t size)
{
	return take(size);
}

void free(void *p)
{
	(void)p;
}

void *calloc(size_t n, size_t size)
{
	return take(n * size);
}

void *realloc(void *p, size_t size)
{
	size_t old = p ? *(size_t *)((char *)p - 64) : 0;
	void *new = take(size);

	if (p)
		memcpy(new, p, old < size ? old : size);
	return new;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	uintptr_t p = (uintptr_t)take(size + alignment + 64);

	return (void *)((p + alignment - 1) & -alignment);
}

void *memalign(size_t alignment, size_t size)
{
	return aligned_alloc(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
	*p = aligned_alloc(alignment, size);
	return 0;
}

static void *allocates(void *arg)
{
	char *mine = NULL;

	for (int i = 1; i <= ROUNDS; i++) {
		mine = realloc(mine, (size_t)i);
		mine[i - 1] = (char)(intptr_t)arg;
		sched_yield();
	}
	for (int i = 0; i < ROUNDS; i++)
		EXPECT(mine[i] == (char)(intptr_t)arg);
	return NULL;
}

int main(void)
{
	pthread_t thread[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = start(allocates, (void *)i);
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	see("used: %d", used > 0);
	return 0;
}
