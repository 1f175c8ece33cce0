/* SPDX-License-Identifier: MIT */
/*
 * A thousand threads that wait take no thread of the kernel each.  This is so
 * on fibers alone, and says that the other programs do run on them.
 */
#include "see.h"

#include <dirent.h>
#include <semaphore.h>

#define COUNT 1000
#define FEW   50
#define LOOKS 10000

static sem_t ready, go_on;

static void *waits(void *arg)
{
	sem_post(&ready);
	sem_wait(&go_on);
	return arg;
}

static int kernel_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	EXPECT(tasks != NULL);
	for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count;
}

/* One that ends is listed for a moment longer. */
static bool become_few(void)
{
	for (int look = 0; look < LOOKS; look++) {
		if (kernel_threads() < FEW)
			return true;
		sched_yield();
	}
	return false;
}

int main(void)
{
	pthread_t threads[COUNT];
	int before;

	sem_init(&ready, 0, 0);
	sem_init(&go_on, 0, 0);
	before = kernel_threads();
	for (int i = 0; i < COUNT; i++)
		threads[i] = start(waits, NULL);
	for (int i = 0; i < COUNT; i++)
		sem_wait(&ready);
	see("before: %d", before);
	see("with %d threads: %s", COUNT, become_few() ? "few" : "many");
	for (int i = 0; i < COUNT; i++)
		sem_post(&go_on);
	for (int i = 0; i < COUNT; i++)
		join(threads[i]);
	return 0;
}
