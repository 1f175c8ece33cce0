/* SPDX-License-Identifier: MIT */
/*
 * threads.c - an ordinary program: fifty threads meet, and are counted.
 *
 *      threads [MOST]
 *
 * Prints how many of them there are, and how many the kernel knows of.  One
 * that ends is known for a moment longer: so it looks again while it knows of
 * more than MOST.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 50
#define LOOKS   20000

static pthread_barrier_t arrived, counted;

static void *meet(void *arg)
{
	pthread_barrier_wait(&arrived);
	pthread_barrier_wait(&counted);
	return arg;
}

static int tasks(void)
{
	DIR *all = opendir("/proc/self/task");
	struct dirent *task;
	int count = 0;

	while (all && (task = readdir(all)))
		count += task->d_name[0] != '.';
	if (all)
		closedir(all);
	return count;
}

static int tasks_but(int most)
{
	int count = tasks();

	for (int look = 1; count > most && look < LOOKS; look++) {
		sched_yield();
		count = tasks();
	}
	return count;
}

int main(int argc, char **argv)
{
	int most = argc > 1 ? atoi(argv[1]) : THREADS + 1;
	pthread_t threads[THREADS];
	void *result;
	int known, met = 0;

	pthread_barrier_init(&arrived, NULL, THREADS + 1);
	pthread_barrier_init(&counted, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, meet, &arrived) != 0)
			return 1;
	}
	pthread_barrier_wait(&arrived);
	known = tasks_but(most);
	pthread_barrier_wait(&counted);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		met += result == &arrived;
	}
	printf("%d threads, %d known to the kernel\n", met, known);
	return 0;
}
