/* SPDX-License-Identifier: MIT */
/*
 * What is meant for one thread must not reach the next; a thread is named
 * before it runs, and is not ended where it may not be.
 */
#include "see.h"

#include <signal.h>

static pthread_mutex_t shared;
static pthread_t named;

static void *knows_its_name(void *arg)
{
	intptr_t wrong = !pthread_equal(named, pthread_self());

	(void)arg;
	return (void *)wrong;
}

static void named_before_it_runs(void)
{
	intptr_t wrong = 0;

	for (int i = 0; i < 2000; i++) {
		named = 0;
		MUST(pthread_create(&named, NULL, knows_its_name, NULL));
		wrong += (intptr_t)join(named);
	}
	see("named: %ld wrong", (long)wrong);
}

static void *ends(void *arg)
{
	return arg;
}

static void *has_pending(void *arg)
{
	sigset_t set;

	(void)arg;
	MUST_ERRNO(sigpending(&set));
	return (void *)(intptr_t)sigismember(&set, SIGUSR1);
}

static void sent_too_late(void)
{
	intptr_t wrong = 0;

	for (int i = 0; i < 300; i++) {
		pthread_t thread = start(ends, NULL);

		for (int j = 0; j < 100; j++)
			MUST(pthread_kill(thread, SIGUSR1));
		join(thread);
		wrong += (intptr_t)join(start(has_pending, NULL));
	}
	see("too late: %ld wrong", (long)wrong);
}

static void *locks(void *arg)
{
	MUST(pthread_cancel(pthread_self()));
	MUST(pthread_mutex_lock(&shared));
	see("locked");
	MUST(pthread_mutex_unlock(&shared));
	pthread_testcancel();
	return arg;
}

static void cancelled_with_a_shared_mutex(void)
{
	pthread_mutexattr_t attr;

	MUST(pthread_mutexattr_init(&attr));
	MUST(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED));
	MUST(pthread_mutex_init(&shared, &attr));
	see("cancelled: %d", join(start(locks, NULL)) == PTHREAD_CANCELED);
}

int main(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	named_before_it_runs();
	sent_too_late();
	cancelled_with_a_shared_mutex();
	return 0;
}
