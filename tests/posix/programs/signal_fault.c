/* SPDX-License-Identifier: MIT */
/*
 * signal_fault.c - handlers of faults, which may wait while other threads
 * fault; what is said of them afterwards, and faults that kill.
 */
#include "prod.h"

#include <setjmp.h>
#include <sys/mman.h>

enum { THREADS = 4, EACH = 5, PAGE = 4096 };

typedef int sigaction_fn(int, const struct sigaction *, struct sigaction *);
typedef sighandler_t signal_fn(int, sighandler_t);

/* Headers declare them for some programs only, or for none. */
sigaction_fn __sigaction;
signal_fn bsd_signal, __sysv_signal;

static char *pages;
static int fixed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void linger_holding(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	linger();
	pthread_mutex_unlock(mutex);
}

/* What a Java machine does: it takes a lock, and others want it too. */
static void fix(int number, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & -PAGE);

	(void)context;
	EXPECT(number == SIGSEGV && info->si_code > 0);
	linger_holding(&lock);
	/* Comes when this one returns. */
	MUST(pthread_kill(pthread_self(), SIGUSR1));
	__atomic_add_fetch(&fixed, 1, __ATOMIC_SEQ_CST);
	MUST_ERRNO(mprotect(page, PAGE, PROT_READ | PROT_WRITE));
}

static void waits_too(int number)
{
	count_signal(number);
	linger_holding(&lock);
}

static void *touches(void *arg)
{
	char *mine = pages + (intptr_t)arg * EACH * PAGE;

	handled_here = 0;
	for (int i = 0; i < EACH; i++) {
		sigset_t mask;

		mine[i * PAGE] = 1;
		EXPECT(handled_here == i + 1);
		MUST(pthread_sigmask(SIG_BLOCK, NULL, &mask));
		EXPECT(!sigismember(&mask, SIGSEGV));
	}
	return NULL;
}

static void all_touch(const char *how, int flags)
{
	struct sigaction action = {.sa_sigaction = fix,
				   .sa_flags = SA_SIGINFO | flags};
	size_t size = THREADS * EACH * PAGE;
	pthread_t thread[THREADS];

	fixed = 0;
	handle(SIGUSR1, waits_too, 0);
	sigaddset(&action.sa_mask, SIGUSR1);
	MUST_ERRNO(sigaction(SIGSEGV, &action, NULL));
	pages = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(pages != MAP_FAILED);
	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = start(touches, (void *)i);
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	see("%s: %d pages", how, fixed);
	MUST_ERRNO(munmap(pages, size));
}

/* --- what is said of them --- */

static void nothing(int number)
{
	(void)number;
}

static void other(int number)
{
	(void)number;
}

static const char *name_of(sighandler_t handler)
{
	return handler == SIG_DFL   ? "default"
	       : handler == SIG_IGN ? "ignored"
	       : handler == SIG_ERR ? err(errno)
	       : handler == nothing ? "nothing"
	       : handler == other   ? "other"
				    : "somebody else's";
}

static void ask(int number, sigaction_fn *by)
{
	struct sigaction now;

	MUST_ERRNO(by(number, NULL, &now));
	see("%s: %s, flags %x, mask %d%d", sigabbrev_np(number),
	    name_of(now.sa_handler),
	    now.sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER |
			    SA_RESETHAND),
	    sigismember(&now.sa_mask, SIGUSR1),
	    sigismember(&now.sa_mask, number));
}

static void actions(int number)
{
	struct sigaction action = {.sa_handler = nothing,
				   .sa_flags = SA_ONSTACK | SA_NODEFER};
	static signal_fn *const ways[] = {signal, bsd_signal, ssignal,
					  sysv_signal, __sysv_signal};

	sigaddset(&action.sa_mask, SIGUSR1);
	MUST_ERRNO(sigaction(number, &action, NULL));
	ask(number, sigaction);
	/* The same place for both. */
	action.sa_handler = other;
	action.sa_flags = SA_RESTART;
	MUST_ERRNO(__sigaction(number, &action, &action));
	see("it was %s", name_of(action.sa_handler));
	ask(number, __sigaction);
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		see("%zu: was %s", i, name_of(ways[i](number, nothing)));
		ask(number, sigaction);
		see("%zu: was %s", i, name_of(ways[i](number, SIG_IGN)));
		see("%zu: was %s", i, name_of(ways[i](number, SIG_DFL)));
		see("%zu: %s", i, name_of(ways[i](number, SIG_ERR)));
		see("%zu: was %s", i, name_of(ways[i](number, other)));
	}
	ask(number, sigaction);
	MUST_ERRNO(sigaction(number, &(struct sigaction){0}, NULL));
}

/* --- out of a handler, and sent --- */

static __thread sigjmp_buf back;

static void jumps(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

/* What Ruby does: it jumps back with the mask as the handler has left it. */
static void unblocks(int number)
{
	sigset_t mask = only(number);

	MUST(pthread_sigmask(SIG_UNBLOCK, &mask, NULL));
	siglongjmp(back, 1);
}

static void *faults_and_jumps(void *save_mask)
{
	volatile int times = 0;

	for (volatile int i = 0; i < 3; i++)
		if (sigsetjmp(back, save_mask != NULL) == 0)
			*(volatile char *)NULL = 1;
		else
			times++;
	see("jumped %d times", times);
	return NULL;
}

static void *raises(void *arg)
{
	int before = handled_here;

	MUST(raise(SIGSEGV));
	EXPECT(handled_here == before + 1);
	MUST(pthread_kill(pthread_self(), SIGBUS));
	EXPECT(handled_here == before + 2);
	return arg;
}

/* --- those that kill --- */

static void faults_again(int number)
{
	static int times;

	if (times++ == 0)
		see("handles %s", sigabbrev_np(number));
	*(volatile char *)NULL = 1;
}

static void *traps(void *arg)
{
	sigset_t mask = only(SIGTRAP);

	handle(SIGTRAP, nothing, 0);
	MUST(pthread_sigmask(SIG_BLOCK, &mask, NULL));
#if defined(__x86_64__)
	__asm__ volatile("int3");
#else
	__asm__ volatile("brk #0");
#endif
	return arg;
}

static void *faults(void *arg)
{
	*(volatile char *)NULL = 1;
	return arg;
}

static void *faults_while_blocked(void *arg)
{
	sigset_t mask = only(SIGSEGV);

	MUST(pthread_sigmask(SIG_BLOCK, &mask, NULL));
	return faults(arg);
}

static void a_handler_faults(void)
{
	handle(SIGSEGV, faults_again, 0);
	join(start(faults, NULL));
}

static void one_that_is_blocked(void)
{
	handle(SIGSEGV, nothing, 0);
	join(start(faults_while_blocked, NULL));
}

static void one_by_default(void)
{
	handle(SIGSEGV, nothing, 0);
	EXPECT(signal(SIGSEGV, SIG_DFL) == nothing);
	join(start(faults, NULL));
}

static void a_trap_that_is_blocked(void)
{
	join(start(traps, NULL));
}

static void deaths(void)
{
	in_child("a handler faults", a_handler_faults);
	in_child("one that is blocked", one_that_is_blocked);
	in_child("one by default", one_by_default);
	in_child("a trap that is blocked", a_trap_that_is_blocked);
}

static void *has_a_stack(void *arg)
{
	stack_t stack = {.ss_size = 64 << 10};

	stack.ss_sp = malloc(stack.ss_size);
	MUST_ERRNO(sigaltstack(&stack, NULL));
	stack.ss_flags = SS_DISABLE;
	MUST_ERRNO(sigaltstack(&stack, NULL));
	free(stack.ss_sp);
	return arg;
}

int main(void)
{
	all_touch("on the thread's stack", 0);
	all_touch("on another, which nobody has", SA_ONSTACK);
	all_touch("let in again", SA_NODEFER);
	actions(SIGSEGV);
	actions(SIGFPE);
	actions(SIGUSR2);
	handle(SIGSEGV, jumps, 0);
	join(start(faults_and_jumps, "with the mask"));
	handle(SIGSEGV, unblocks, 0);
	join(start(faults_and_jumps, NULL));
	handle(SIGSEGV, count_signal, 0);
	handle(SIGBUS, count_signal, SA_ONSTACK);
	join(start(raises, NULL));
	deaths();
	join(start(has_a_stack, NULL));
	handle(SIGSEGV, jumps, SA_ONSTACK);
	join(start(faults_and_jumps, "with the mask"));
	return 0;
}
