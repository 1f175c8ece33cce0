/* SPDX-License-Identifier: MIT */
/*
 * signal_mask.c - each thread has a mask of its own, which it inherits; what is
 * blocked waits, and comes when it is let in.
 */
#include "prod.h"

#include <semaphore.h>

static void see_mask(const char *whose)
{
	sigset_t now;

	MUST(pthread_sigmask(SIG_BLOCK, NULL, &now));
	see("%s: USR1 %d, USR2 %d, TERM %d", whose, sigismember(&now, SIGUSR1),
	    sigismember(&now, SIGUSR2), sigismember(&now, SIGTERM));
}

static void see_pending(void)
{
	sigset_t set;

	MUST_ERRNO(sigpending(&set));
	see("pending: USR1 %d, USR2 %d", sigismember(&set, SIGUSR1),
	    sigismember(&set, SIGUSR2));
}

static void *child(void *arg)
{
	sigset_t usr2 = only(SIGUSR2);

	see_mask("inherited");
	see_pending();
	MUST(pthread_sigmask(SIG_SETMASK, &usr2, NULL));
	see_mask("changed");
	return arg;
}

static void *inherits(void *arg)
{
	sigset_t usr1 = only(SIGUSR1), term = only(SIGTERM), old;

	see_mask("at first");
	MUST(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
	MUST(pthread_sigmask(SIG_BLOCK, &term, &old));
	see("old: USR1 %d, TERM %d", sigismember(&old, SIGUSR1),
	    sigismember(&old, SIGTERM));
	MUST(raise(SIGUSR1));
	see_pending();
	join(start(child, NULL));
	see_mask("still");
	see("handled: %d", handled_here);
	MUST_ERRNO(sigprocmask(SIG_UNBLOCK, &usr1, NULL));
	see("handled: %d", handled_here);
	see_pending();
	see_mask("then");
	MUST(pthread_sigmask(SIG_UNBLOCK, &term, NULL));
	return arg;
}

static sem_t blocked, sent;

static void *blocks(void *arg)
{
	sigset_t set = only(SIGUSR1);

	sigaddset(&set, SIGUSR2);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	MUST_ERRNO(sem_post(&blocked));
	MUST_ERRNO(sem_wait(&sent));
	see("handled: %d", handled_here);
	see_pending();
	/* Those that wait come once each, however many there were. */
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	see("handled: %d", handled_here);
	return arg;
}

static void *pending(void *arg)
{
	pthread_t thread;
	int before = handled_here;

	MUST_ERRNO(sem_init(&blocked, 0, 0));
	MUST_ERRNO(sem_init(&sent, 0, 0));
	thread = start(blocks, NULL);
	MUST_ERRNO(sem_wait(&blocked));
	for (int i = 0; i < 3; i++) {
		MUST(pthread_kill(thread, SIGUSR1));
		MUST(pthread_kill(thread, SIGUSR2));
	}
	see_pending();
	MUST_ERRNO(sem_post(&sent));
	join(thread);
	see("handled by the sender: %d", handled_here - before);
	return arg;
}

static void *queues(void *arg)
{
	sigset_t set = only(SIGRTMIN);
	int before;

	/* Real-time signals are counted. */
	handle(SIGRTMIN, count_signal, 0);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < 5; i++)
		MUST(pthread_kill(pthread_self(), SIGRTMIN));
	before = handled_here;
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	see("handled: %d", handled_here - before);
	return arg;
}

static void *in_vain(void *arg)
{
	sigset_t set, old;

	/* Blocking these two changes nothing. */
	sigfillset(&set);
	MUST(pthread_sigmask(SIG_SETMASK, &set, &old));
	MUST(pthread_sigmask(SIG_SETMASK, &old, &set));
	see("KILL %d, STOP %d", sigismember(&set, SIGKILL),
	    sigismember(&set, SIGSTOP));
	SEE_ERROR(pthread_sigmask(99, &set, NULL));
	SEE_ERROR(pthread_sigmask(99, NULL, &old));
	SEE_ERROR(pthread_kill(pthread_self(), 0));
	SEE_ERROR(pthread_kill(pthread_self(), -1));
	SEE_ERROR(pthread_kill(pthread_self(), 65));
	/* Ignored, and so lost even if blocked meanwhile. */
	handle(SIGUSR2, SIG_IGN, 0);
	MUST(pthread_kill(pthread_self(), SIGUSR2));
	handle(SIGUSR2, count_signal, 0);
	see("handled: %d", handled_here);
	return arg;
}

static void during(int number)
{
	sigset_t now;

	(void)number;
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	see("in the handler: USR1 %d, USR2 %d, TERM %d",
	    sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2),
	    sigismember(&now, SIGTERM));
}

static void *in_handlers(void *arg)
{
	struct sigaction action = {.sa_handler = during};

	sigaddset(&action.sa_mask, SIGTERM);
	MUST_ERRNO(sigaction(SIGUSR1, &action, NULL));
	MUST(raise(SIGUSR1));
	see_mask("after");
	action.sa_flags = SA_NODEFER;
	MUST_ERRNO(sigaction(SIGUSR1, &action, NULL));
	MUST(raise(SIGUSR1));
	action.sa_flags = SA_RESETHAND;
	MUST_ERRNO(sigaction(SIGUSR1, &action, NULL));
	MUST(raise(SIGUSR1));
	MUST_ERRNO(sigaction(SIGUSR1, NULL, &action));
	see("reset: %d", action.sa_handler == SIG_DFL);
	see_mask("after");
	handle(SIGUSR1, count_signal, 0);
	return arg;
}

/* Masks stay with their threads, however often these change places. */
static void *keeps_its_mask(void *arg)
{
	int mine = (intptr_t)arg % 2 ? SIGUSR1 : SIGUSR2;
	sigset_t set = only(mine), now;

	MUST(pthread_sigmask(SIG_SETMASK, &set, NULL));
	for (int i = 0; i < 50; i++) {
		linger();
		MUST(pthread_sigmask(SIG_BLOCK, NULL, &now));
		EXPECT(sigismember(&now, SIGUSR1) == (mine == SIGUSR1));
		EXPECT(sigismember(&now, SIGUSR2) == (mine == SIGUSR2));
		MUST(raise(mine));
		EXPECT(handled_here == 0);
	}
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	EXPECT(handled_here == 1);
	return NULL;
}

static void *many(void *arg)
{
	pthread_t thread[20];

	for (intptr_t i = 0; i < 20; i++)
		thread[i] = start(keeps_its_mask, (void *)i);
	for (int i = 0; i < 20; i++)
		join(thread[i]);
	see("20 masks");
	return arg;
}

static void in_thread(void *(*run)(void *))
{
	join(start(run, NULL));
}

int main(void)
{
	handle(SIGUSR1, count_signal, 0);
	handle(SIGUSR2, count_signal, 0);
	in_thread(inherits);
	inherits(NULL);
	in_thread(pending);
	in_thread(queues);
	in_thread(in_vain);
	in_thread(in_handlers);
	in_thread(many);
	return 0;
}
