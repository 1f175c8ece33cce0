/* SPDX-License-Identifier: MIT */
/* Ways in which a thread ends, and with the last of them the process. */
#include "see.h"

#include <semaphore.h>

static sem_t go_on, done;
static pthread_t caller;

static void left(void *what)
{
	see("left: %s", (const char *)what);
}

static void inner(void *result)
{
	pthread_cleanup_push(left, (void *)"inner");
	pthread_exit(result);
	pthread_cleanup_pop(0);
}

static void outer(void *result)
{
	pthread_cleanup_push(left, (void *)"outer");
	pthread_cleanup_push(left, (void *)"never: already popped");
	pthread_cleanup_pop(0);
	inner(result);
	pthread_cleanup_pop(0);
	see("never here");
}

static void *exits_from_below(void *arg)
{
	pthread_cleanup_push(left, (void *)"the start");
	pthread_cleanup_push(left, (void *)"nothing yet: popped and called");
	pthread_cleanup_pop(1);
	outer(arg);
	pthread_cleanup_pop(0);
	see("never here");
	return NULL;
}

static void *returns(void *arg)
{
	return arg;
}

static void *exits(void *arg)
{
	pthread_exit(arg);
}

static void results(void)
{
	int here;

	see("from below: %d", join(start(exits_from_below, &here)) == &here);
	see("by return: %d", join(start(returns, &here)) == &here);
	see("by exit: %d", join(start(exits, &here)) == &here);
	see("all ones: %d", join(start(exits, (void *)-1)) == (void *)-1);
}

static void at_exit(void)
{
	see("at exit, in the thread that called it: %d",
	    pthread_equal(caller, pthread_self()) != 0);
}

static void at_last(void)
{
	see("at exit, at last");
}

static void *goes_on(void *arg)
{
	join(*(pthread_t *)arg);
	see("goes on without main");
	atexit(at_last);
	return NULL;
}

static void *joins_main(void *arg)
{
	see("main's result: %ld", (long)join(*(pthread_t *)arg));
	return NULL;
}

static void destroy(void *what)
{
	see("destroyed: %s", (const char *)what);
}

static void main_leaves_first(void)
{
	static pthread_t self, joiner;
	pthread_key_t key;

	self = pthread_self();
	MUST(pthread_key_create(&key, destroy));
	MUST(pthread_setspecific(key, "main's value"));
	joiner = start(joins_main, &self);
	start(goes_on, &joiner);
	pthread_exit((void *)42);
}

static void main_leaves_alone(void)
{
	caller = pthread_self();
	atexit(at_exit);
	pthread_exit((void *)42);
}

static void *waits_for_ever(void *arg)
{
	sem_post(&done);
	for (;;)
		sem_wait(&go_on);
	return arg;
}

static void main_returns_before_others(void)
{
	for (int i = 0; i < 10; i++)
		start(waits_for_ever, NULL);
	for (int i = 0; i < 10; i++)
		sem_wait(&done);
}

static void *exits_the_process(void *arg)
{
	caller = pthread_self();
	exit((int)(intptr_t)arg);
}

static void a_thread_calls_exit(void)
{
	atexit(at_exit);
	join(start(exits_the_process, (void *)7));
}

static void *ends_the_process(void *arg)
{
	_exit((int)(intptr_t)arg);
}

static void a_thread_calls__exit(void)
{
	atexit(at_exit);
	join(start(ends_the_process, (void *)8));
}

static void *aborts(void *arg)
{
	(void)arg;
	abort();
}

static void a_thread_aborts(void)
{
	join(start(aborts, NULL));
}

int main(void)
{
	sem_init(&go_on, 0, 0);
	sem_init(&done, 0, 0);
	in_child("main leaves alone", main_leaves_alone);
	in_child("main leaves first", main_leaves_first);
	results();
	in_child("main leaves first, after threads", main_leaves_first);
	in_child("main returns before others", main_returns_before_others);
	in_child("a thread calls exit", a_thread_calls_exit);
	in_child("a thread calls _exit", a_thread_calls__exit);
	in_child("a thread aborts", a_thread_aborts);
	return 0;
}
