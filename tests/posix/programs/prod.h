/* SPDX-License-Identifier: MIT */
/*
 * prod.h - signals for a thread that is about to wait, or waits already: sent
 * again and again until it has been heard, since nobody can see whether the
 * thread has come to where it waits.
 */
#ifndef PROD_H
#define PROD_H

#include "see.h"

#include <signal.h>

/* How many times the handler has run, in this thread and in all. */
__attribute__((unused)) static __thread volatile sig_atomic_t handled_here;
__attribute__((unused)) static int handled;

__attribute__((unused)) static void count_signal(int number)
{
	(void)number;
	handled_here++;
	__atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

__attribute__((unused)) static void handle(int number, void (*handler)(int),
					   int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	MUST_ERRNO(sigaction(number, &action, NULL));
}

__attribute__((unused)) static sigset_t only(int number)
{
	sigset_t set;

	sigemptyset(&set);
	if (number)
		sigaddset(&set, number);
	return set;
}

__attribute__((unused)) static bool is_set(const int *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

__attribute__((unused)) static void set(int *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
}

/* Send to a thread that may be at its end. */
__attribute__((unused)) static void prod(pthread_t thread, int number)
{
	int error = pthread_kill(thread, number);

	EXPECT(error == 0 || error == ESRCH);
}

/* Send until the thread has set the flag. */
__attribute__((unused)) static void prod_until(pthread_t thread, int number,
					       const int *flag)
{
	while (!is_set(flag)) {
		prod(thread, number);
		linger();
	}
}

/* Send so many, each when the one before has been handled. */
__attribute__((unused)) static void prod_times(pthread_t thread, int number,
					       int times)
{
	for (int i = 0; i < times; i++) {
		int before = __atomic_load_n(&handled, __ATOMIC_SEQ_CST);

		MUST(pthread_kill(thread, number));
		do
			linger();
		while (__atomic_load_n(&handled, __ATOMIC_SEQ_CST) == before);
	}
}

#endif
