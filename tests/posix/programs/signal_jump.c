/* SPDX-License-Identifier: MIT */
/*
 * signal_jump.c - jumps out of handlers, and past changes of the mask: what the
 * buffer has kept is so again.
 */
#include "wire.h"
#include "prod.h"

#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <sys/file.h>

/* The mask is kept by this one; and with _FORTIFY_SOURCE jumps look first. */
int kept_by_setjmp(struct __jmp_buf_tag *env) __asm__("setjmp")
	__attribute__((returns_twice));
_Noreturn void __longjmp_chk(struct __jmp_buf_tag env[1], int value);

static __thread sigjmp_buf back;

static void jumps(int number)
{
	siglongjmp(back, number);
}

static void takes(int number, int with, int flags)
{
	struct sigaction action = {.sa_handler = jumps, .sa_flags = flags};

	sigemptyset(&action.sa_mask);
	if (with)
		sigaddset(&action.sa_mask, with);
	MUST_ERRNO(sigaction(number, &action, NULL));
}

static void see_blocked(const char *where)
{
	sigset_t now;

	MUST(pthread_sigmask(SIG_BLOCK, NULL, &now));
	see("%s: %s%s", where, sigismember(&now, SIGUSR1) ? "USR1 " : "",
	    sigismember(&now, SIGUSR2) ? "USR2" : "");
}

static void see_stack(const char *where)
{
	stack_t now;

	MUST_ERRNO(sigaltstack(NULL, &now));
	see("%s: on another stack: %d", where, !!(now.ss_flags & SS_ONSTACK));
}

static void change(int how, int number)
{
	sigset_t set = only(number);

	MUST(pthread_sigmask(how, &set, NULL));
}

/* --- out of handlers --- */

static void *out_of_handlers(void *arg)
{
	takes(SIGUSR1, SIGUSR2, 0);
	for (volatile int i = 0; i < 3; i++) {
		if (sigsetjmp(back, 1) == 0) {
			MUST(raise(SIGUSR1));
			see("never here");
		}
		see_blocked("kept");
	}
	if (sigsetjmp(back, 0) == 0)
		MUST(raise(SIGUSR1));
	see_blocked("not kept");
	change(SIG_UNBLOCK, SIGUSR1);
	change(SIG_UNBLOCK, SIGUSR2);
	return arg;
}

static void raises_another(int number)
{
	(void)number;
	MUST(raise(SIGUSR2));
	see("never here");
}

static void *out_of_two(void *arg)
{
	handle(SIGUSR1, raises_another, 0);
	takes(SIGUSR2, 0, 0);
	if (sigsetjmp(back, 1) == 0)
		MUST(raise(SIGUSR1));
	see_blocked("out of two");
	return arg;
}

static void *off_another_stack(void *arg)
{
	stack_t stack = {.ss_size = 64 << 10};

	stack.ss_sp = malloc(stack.ss_size);
	MUST_ERRNO(sigaltstack(&stack, NULL));
	takes(SIGUSR1, 0, SA_ONSTACK);
	for (volatile int i = 0; i < 3; i++) {
		if (sigsetjmp(back, 1) == 0)
			MUST(raise(SIGUSR1));
		see_stack("jumped");
	}
	see_blocked("off a stack");
	stack.ss_flags = SS_DISABLE;
	MUST_ERRNO(sigaltstack(&stack, NULL));
	return arg;
}

static int *volatile nowhere = (int *)8;

static void *out_of_a_fault(void *arg)
{
	takes(SIGSEGV, 0, 0);
	for (volatile int i = 0; i < 3; i++) {
		if (sigsetjmp(back, 1) == 0)
			*nowhere = 1;
		see("a fault");
	}
	handle(SIGSEGV, SIG_DFL, 0);
	see_blocked("after faults");
	return arg;
}

/* --- out of what it was about --- */

static volatile bool jumped;

static void *computes(void *arg)
{
	static volatile unsigned sink;

	for (volatile int i = 0; i < 3; i++) {
		jumped = false;
		if (sigsetjmp(back, 1) == 0)
			for (*(volatile bool *)arg = true;; sink++)
				;
		jumped = true;
		see_blocked("out of a loop");
		while (*(volatile bool *)arg)
			sched_yield();
	}
	return NULL;
}

static void *out_of_a_computation(void *arg)
{
	volatile bool begun = false;
	pthread_t thread;

	takes(SIGUSR1, 0, 0);
	thread = start(computes, (void *)&begun);
	for (int i = 0; i < 3; i++) {
		while (!begun || jumped)
			sched_yield();
		MUST(pthread_kill(thread, SIGUSR1));
		while (!jumped)
			sched_yield();
		begun = false;
	}
	join(thread);
	return arg;
}

static int over;
static sem_t can_jump;
static char file[] = "/tmp/signal_jump.XXXXXX";

/* Libc waits in the kernel for it. */
static void *waits_for_the_file(void *arg)
{
	sigset_t usr1 = only(SIGUSR1), now;
	int fd = open(file, O_RDWR);
	sem_t sem;

	MUST_ERRNO(fd);
	if (sigsetjmp(back, 1) == 0) {
		MUST_ERRNO(sem_post(&can_jump));
		flock(fd, LOCK_EX);
		see("never here");
	}
	/* It may jump more than once to here, and no more from now on. */
	MUST(pthread_sigmask(SIG_BLOCK, &usr1, &now));
	set(&over);
	see("out of a lock, blocked: %d", sigismember(&now, SIGUSR1));
	/* And waits as before. */
	MUST_ERRNO(sem_init(&sem, 0, 0));
	struct timespec soon = in_ms(CLOCK_REALTIME, 1);
	SEE_ERRNO(sem_timedwait(&sem, &soon));
	MUST_ERRNO(close(fd));
	return arg;
}

static void *out_of_a_wait(void *arg)
{
	int fd = mkstemp(file);
	pthread_t thread;

	MUST_ERRNO(fd);
	MUST_ERRNO(flock(fd, LOCK_EX));
	takes(SIGUSR1, 0, 0);
	MUST_ERRNO(sem_init(&can_jump, 0, 0));
	thread = start(waits_for_the_file, NULL);
	MUST_ERRNO(sem_wait(&can_jump));
	prod_until(thread, SIGUSR1, &over);
	join(thread);
	MUST_ERRNO(unlink(file));
	MUST_ERRNO(close(fd));
	return arg;
}

/* --- without a handler --- */

static void *past_the_mask(void *arg)
{
	handle(SIGUSR2, count_signal, 0);
	handled_here = 0;
	if (sigsetjmp(back, 1) == 0) {
		change(SIG_BLOCK, SIGUSR2);
		MUST(raise(SIGUSR2));
		see("handled: %d", handled_here);
		siglongjmp(back, 1);
	}
	see("handled: %d", handled_here);
	see_blocked("past a change");
	if (kept_by_setjmp(back) == 0) {
		change(SIG_BLOCK, SIGUSR1);
		longjmp(back, 1);
	}
	see_blocked("kept by setjmp");
	if (kept_by_setjmp(back) == 0) {
		change(SIG_BLOCK, SIGUSR1);
		_longjmp(back, 1);
	}
	see_blocked("the same");
	if (sigsetjmp(back, 1) == 0) {
		change(SIG_BLOCK, SIGUSR1);
		__longjmp_chk(back, 1);
	}
	see_blocked("and again");
	if (setjmp(back) == 0) {
		change(SIG_BLOCK, SIGUSR1);
		longjmp(back, 1);
	}
	see_blocked("not kept");
	change(SIG_UNBLOCK, SIGUSR1);
	return arg;
}

/* A thread that becomes one of the kernel's has the mask of the buffer. */
static void *elsewhere(void *arg)
{
	cpu_set_t set;

	if (sigsetjmp(back, 1) == 0) {
		MUST_ERRNO(sched_getaffinity(0, sizeof set, &set));
		MUST_ERRNO(sched_setaffinity(0, sizeof set, &set));
		change(SIG_BLOCK, SIGUSR1);
		siglongjmp(back, 1);
	}
	see_blocked("elsewhere");
	return arg;
}

int main(void)
{
	IN_THREAD(out_of_handlers);
	IN_THREAD(out_of_two);
	IN_THREAD(off_another_stack);
	IN_THREAD(out_of_a_fault);
	IN_THREAD(out_of_a_computation);
	IN_THREAD(out_of_a_wait);
	IN_THREAD(past_the_mask);
	IN_THREAD(elsewhere);
	see("-- main");
	past_the_mask(NULL);
	return 0;
}
