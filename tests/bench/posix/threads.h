/* SPDX-License-Identifier: MIT */
/*
 * threads.h - what the programs here share: threads, or death.
 *
 * They are ordinary programs of threads, which know nothing of weft; what they
 * measure is of threads or of fibers, as they are started.
 */
#ifndef THREADS_H
#define THREADS_H

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>

#include "../bench.h"

static inline pthread_t thread_begin(void *(*fn)(void *), void *arg)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, fn, arg);

	if (err)
		bench_die("pthread_create: %s", strerror(err));
	return thread;
}

static inline void thread_join(pthread_t thread)
{
	int err = pthread_join(thread, NULL);

	if (err)
		bench_die("pthread_join: %s", strerror(err));
}

static inline void wait_for(sem_t *sem)
{
	while (sem_wait(sem) < 0)
		if (errno != EINTR)
			bench_die("sem_wait: %s", strerror(errno));
}

/* How many threads the kernel has for this process. */
static inline double kernel_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	double n = 0;

	if (!dir)
		bench_die("/proc/self/task: %s", strerror(errno));
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

#endif
