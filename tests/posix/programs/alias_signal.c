/* SPDX-License-Identifier: MIT */
/* Signals by the calls of BSD and of System V, and by libc's other names. */
#include "see.h"

#include <semaphore.h>
#include <signal.h>

#include "old.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

extern int __sigaction(int, const struct sigaction *, struct sigaction *);
extern int __sigsuspend(const sigset_t *);
extern int __sigpause(int, int);
extern int __xpg_sigpause(int);
extern int sigblock(int);
extern int sigsetmask(int);
OLD(int, siggetmask, (void), OLD_FIRST);
#undef sigmask
#define sigmask(signal) (1 << ((signal)-1))
/* The header's is X/Open's; this is what was there before. */
extern int bsd_sigpause(int) __asm__("sigpause");

static volatile sig_atomic_t caught;
static sem_t ready;

static void catch (int signal)
{
	caught = signal;
}

static int mask_now(void)
{
	sigset_t set;

	MUST(pthread_sigmask(SIG_SETMASK, NULL, &set));
	return sigismember(&set, SIGUSR1) + 2 * sigismember(&set, SIGUSR2);
}

/* Both signals are blocked when it begins, and afterwards. */
static void *masks(void *arg)
{
	see("blocked: %d", mask_now());
	see("by BSD: %d", (old_siggetmask() & sigmask(SIGUSR1)) != 0 &&
				  (old_siggetmask() & sigmask(SIGUSR2)) != 0);
	sigsetmask(0);
	see("none: %d", mask_now());
	see("before: %d", sigblock(sigmask(SIGUSR1)));
	see("one: %d", mask_now());
	SEE_ERRNO(sighold(SIGUSR2));
	see("both: %d", mask_now());
	SEE_ERRNO(sigrelse(SIGUSR1));
	see("the other: %d", mask_now());
	SEE_ERRNO(sighold(SIGUSR1));
	return arg;
}

static void *waits(void *arg)
{
	int how = (int)(intptr_t)arg, result = 0;
	sigset_t none;

	sigemptyset(&none);
	sem_post(&ready);
	switch (how) {
	case 0:
		result = __sigsuspend(&none);
		break;
	case 1:
		result = __xpg_sigpause(SIGUSR1);
		break;
	case 2:
		result = __sigpause(sigmask(SIGUSR2), 0);
		break;
	case 3:
		result = bsd_sigpause(sigmask(SIGUSR2));
		break;
	default:
		result = __sigpause(SIGUSR1, 1);
	}
	see("%d: %s, caught %d, blocked again %d", how,
	    result == -1 ? err(errno) : "ok", caught == SIGUSR1, mask_now());
	return NULL;
}

/* Sent before it waits or later: it is blocked until then. */
static void one(int how)
{
	pthread_t thread;

	caught = 0;
	thread = start(waits, (void *)(intptr_t)how);
	sem_wait(&ready);
	if (how % 2)
		linger();
	MUST(pthread_kill(thread, SIGUSR1));
	join(thread);
}

static void dispositions(void)
{
	struct sigaction action = {.sa_handler = catch}, old;

	MUST_ERRNO(__sigaction(SIGUSR1, &action, NULL));
	MUST_ERRNO(__sigaction(SIGUSR1, NULL, &old));
	see("kept: %d", old.sa_handler == catch);
	see("first default: %d", sigset(SIGUSR2, catch) == SIG_DFL);
	see("then ours: %d", sigset(SIGUSR2, SIG_HOLD) == catch);
	see("then held: %d", sigset(SIGUSR2, SIG_HOLD) == SIG_HOLD);
}

int main(void)
{
	sem_init(&ready, 0, 0);
	dispositions();
	sighold(SIGUSR1);
	sighold(SIGUSR2);
	masks(NULL);
	join(start(masks, NULL));
	for (int i = 0; i < 5; i++)
		one(i);
	return 0;
}
