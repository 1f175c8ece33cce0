/* SPDX-License-Identifier: MIT */
/* A daemon closes all that it has not opened, also when it has threads. */
#include "see.h"

static void *waits(void *arg)
{
	struct timespec brief = {0, 1000000};

	nanosleep(&brief, NULL);
	return arg;
}

static void a_thread_runs(const char *after)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, waits, NULL));
	MUST(pthread_join(thread, NULL));
	see("after %s: a thread runs", after);
}

int main(void)
{
	int fd;

	a_thread_runs("nothing");
	fd = dup(0);
	see("the first one free: %d", fd);
	for (int i = 3; i < 20000; i++)
		close(i);
	see("the first one free: %d", dup(0));
	a_thread_runs("close, one by one");
	closefrom(3);
	a_thread_runs("closefrom");
	MUST_ERRNO(close_range(3, ~0u, 0));
	a_thread_runs("close_range");
	return 0;
}
