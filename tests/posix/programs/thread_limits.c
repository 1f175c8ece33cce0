/* SPDX-License-Identifier: MIT */
/* Where memory or descriptors end, threads end by an error, and by no other. */
#include "see.h"

#include <fcntl.h>
#include <semaphore.h>
#include <sys/resource.h>

#define MOST   4000
#define STACK  (1 << 20)
#define ENOUGH 100

static sem_t go_on;

static void *waits(void *arg)
{
	sem_wait(&go_on);
	return arg;
}

static int make(pthread_t *threads, int *count)
{
	pthread_attr_t attr;
	int error = 0;

	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setstacksize(&attr, STACK));
	for (*count = 0; *count < MOST && error == 0; *count += error == 0)
		error = pthread_create(&threads[*count], &attr, waits, &go_on);
	MUST(pthread_attr_destroy(&attr));
	return error;
}

static size_t address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	EXPECT(file != NULL && fscanf(file, "%ld", &pages) == 1);
	fclose(file);
	return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* So much more than there is already. */
static void allow(size_t bytes)
{
	struct rlimit limit;

	MUST_ERRNO(getrlimit(RLIMIT_AS, &limit));
	limit.rlim_cur = address_space() + bytes;
	MUST_ERRNO(setrlimit(RLIMIT_AS, &limit));
}

static void until_memory_ends(void)
{
	static pthread_t threads[MOST];
	int error, count, wrong;

	for (int round = 0; round < 3; round++) {
		error = make(threads, &count);
		see("%s, %s", err(error),
		    count >= ENOUGH ? "after enough" : "too early");
		for (int i = 0; i < count; i++)
			sem_post(&go_on);
		wrong = 0;
		for (int i = 0; i < count; i++)
			wrong += join(threads[i]) != &go_on;
		see("%d wrong", wrong);
	}
}

static void of_memory(void)
{
	allow((size_t)3 << 30);
	until_memory_ends();
}

/* With threads from before, which the limit leaves alone. */
static void of_memory_later(void)
{
	pthread_t thread = start(waits, &go_on);

	allow((size_t)3 << 30);
	sem_post(&go_on);
	join(thread);
	until_memory_ends();
}

static void *does_nothing(void *arg)
{
	return arg;
}

/* There is room for a few at a time; it never waits for their end. */
static void *makes_many(void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int made = 0, error;

	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setstacksize(&attr, (size_t)16 << 20));
	MUST(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
	while (made < 20000) {
		error = pthread_create(&thread, &attr, does_nothing, NULL);
		EXPECT(error == 0 || error == EAGAIN);
		made += error == 0;
	}
	MUST(pthread_attr_destroy(&attr));
	return arg;
}

static void of_memory_for_now(void)
{
	pthread_attr_t attr;
	pthread_t threads[2];

	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setstacksize(&attr, STACK));
	allow((size_t)1 << 30);
	for (int i = 0; i < 2; i++)
		MUST(pthread_create(&threads[i], &attr, makes_many, NULL));
	MUST(pthread_attr_destroy(&attr));
	for (int i = 0; i < 2; i++)
		join(threads[i]);
}

static void *opens(void *arg)
{
	int fds[1000], n = 0, error = 0;

	while (n < 1000 && error == 0) {
		fds[n] = open("/dev/null", O_RDONLY);
		if (fds[n] < 0)
			error = errno;
		else
			n++;
	}
	see("%s, %s", err(error), n >= 50 ? "after enough" : "too early");
	while (n > 0)
		close(fds[--n]);
	return arg;
}

static void of_descriptors(void)
{
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};

	MUST_ERRNO(setrlimit(RLIMIT_NOFILE, &limit));
	opens(NULL);
	join(start(opens, NULL));
	join(start(opens, NULL));
}

/* While there are none left, threads can still be made and talk. */
static void *talks_without(void *arg)
{
	int ends[2], fds[1000], n = 0;
	pthread_t thread;
	char byte;

	MUST_ERRNO(pipe(ends));
	while (n < 1000 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	thread = start(waits, &go_on);
	MUST_ERRNO(write(ends[1], "x", 1));
	MUST_ERRNO(read(ends[0], &byte, 1));
	linger();
	sem_post(&go_on);
	see("joined: %d", join(thread) == &go_on);
	see("another pipe: %s", pipe(ends) == -1 ? err(errno) : "ok");
	while (n > 0)
		close(fds[--n]);
	see("another pipe: %s", pipe(ends) == -1 ? err(errno) : "ok");
	return arg;
}

static void without_descriptors(void)
{
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};

	MUST_ERRNO(setrlimit(RLIMIT_NOFILE, &limit));
	join(start(talks_without, NULL));
}

int main(void)
{
	sem_init(&go_on, 0, 0);
	in_child("of memory", of_memory);
	in_child("of memory, later", of_memory_later);
	in_child("of memory, for now", of_memory_for_now);
	in_child("of descriptors", of_descriptors);
	in_child("without descriptors", without_descriptors);
	return 0;
}
