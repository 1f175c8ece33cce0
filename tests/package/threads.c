/* SPDX-License-Identifier: MIT */
/*
 * threads.c - an ordinary program: fifty threads meet, and are counted.
 *
 * Prints how many of them there are, and how many the kernel knows of.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>

#define THREADS 50

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

int main(void)
{
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
	known = tasks();
	pthread_barrier_wait(&counted);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		met += result == &arrived;
	}
	printf("%d threads, %d known to the kernel\n", met, known);
	return 0;
}
