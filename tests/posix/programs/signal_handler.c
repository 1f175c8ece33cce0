/* SPDX-License-Identifier: MIT */
/*
 * signal_handler.c - handlers run in the thread that is meant, on the stack
 * that is meant, may wait themselves, and may leave by a jump.
 */
#include "wire.h"
#include "prod.h"

#include <setjmp.h>
#include <sys/mman.h>

/* raise() is declared as if it did not come back here. */
static volatile pthread_t ran_in;
static __thread volatile int private;

static void note(int number)
{
	ran_in = pthread_self();
	private += number;
}

static void *raises(void *arg)
{
	handle(SIGUSR1, note, 0);
	private = 0;
	MUST(raise(SIGUSR1));
	see("here: %d, private: %d", pthread_equal(ran_in, pthread_self()),
	    private == SIGUSR1);
	MUST(pthread_kill(pthread_self(), SIGUSR1));
	see("here: %d, private: %d", pthread_equal(ran_in, pthread_self()),
	    private == 2 * SIGUSR1);
	return arg;
}

static int over;

static void *is_signalled(void *arg)
{
	private = 0;
	while (!private)
		linger();
	see("here: %d", pthread_equal(ran_in, pthread_self()));
	set(&over);
	return arg;
}

static void *another_thread(void *arg)
{
	private = 0;
	over = 0;
	pthread_t thread = start(is_signalled, NULL);
	prod_until(thread, SIGUSR1, &over);
	join(thread);
	see("mine: %d", private);
	return arg;
}

static void *yields(void *arg)
{
	while (!private)
		sched_yield();
	see("here: %d", pthread_equal(ran_in, pthread_self()));
	return arg;
}

static pthread_spinlock_t spin;

static void lets_it_go(int number)
{
	(void)number;
	pthread_spin_unlock(&spin);
}

static void *spins(void *arg)
{
	pthread_spin_lock(&spin);
	see("has the lock");
	return arg;
}

/* It waits for what its own handler does, without a call that sleeps. */
static void *waits_awake(void *arg)
{
	pthread_t thread = start(yields, NULL);

	MUST(pthread_kill(thread, SIGUSR1));
	join(thread);
	handle(SIGUSR1, lets_it_go, 0);
	pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
	pthread_spin_lock(&spin);
	thread = start(spins, NULL);
	MUST(pthread_kill(thread, SIGUSR1));
	join(thread);
	return arg;
}

static volatile siginfo_t seen;

static void take_info(int number, siginfo_t *info, void *context)
{
	EXPECT(context && number == info->si_signo);
	seen = *info;
}

static void *information(void *arg)
{
	struct sigaction action = {.sa_sigaction = take_info,
				   .sa_flags = SA_SIGINFO};

	MUST_ERRNO(sigaction(SIGUSR2, &action, NULL));
	MUST(pthread_kill(pthread_self(), SIGUSR2));
	see("SI_TKILL: %d, from here: %d", seen.si_code == SI_TKILL,
	    seen.si_pid == getpid());
	MUST(pthread_sigqueue(pthread_self(), SIGUSR2,
			      (union sigval){.sival_int = 42}));
	see("SI_QUEUE: %d, value %d, from here: %d", seen.si_code == SI_QUEUE,
	    seen.si_value.sival_int, seen.si_pid == getpid());
	return arg;
}

static char *stack_low;
static volatile bool was_on_it;

static void on_its_stack(int number)
{
	char here;

	(void)number;
	was_on_it = &here > stack_low && &here < stack_low + SIGSTKSZ;
}

/* The kernel takes less than libc advises on a CPU with large registers. */
static void small_stacks(void)
{
	static char room[8192];
	stack_t stack = {.ss_sp = room, .ss_size = sizeof room}, before;

	SEE_ERRNO(sigaltstack(&stack, NULL));
	stack.ss_size = 2047;
	SEE_ERRNO(sigaltstack(&stack, NULL));
	stack.ss_size = sizeof room;
	stack.ss_flags = 64;
	SEE_ERRNO(sigaltstack(&stack, NULL));
	stack.ss_flags = SS_DISABLE;
	MUST_ERRNO(sigaltstack(&stack, &before));
	see("it was: %d, %zu", before.ss_sp == room, before.ss_size);
}

static void *alternate_stack(void *arg)
{
	stack_t stack = {.ss_size = SIGSTKSZ}, now;

	MUST_ERRNO(sigaltstack(NULL, &now));
	see("none: %d", now.ss_flags == SS_DISABLE);
	small_stacks();
	stack.ss_sp = stack_low = malloc(SIGSTKSZ);
	MUST_ERRNO(sigaltstack(&stack, NULL));
	handle(SIGUSR1, on_its_stack, SA_ONSTACK);
	MUST(raise(SIGUSR1));
	see("on it: %d", was_on_it);
	for (int i = 0; i < 5; i++)
		linger();
	MUST(raise(SIGUSR1));
	see("on it: %d", was_on_it);
	MUST_ERRNO(sigaltstack(NULL, &now));
	see("the same: %d", now.ss_sp == stack_low);
	handle(SIGUSR1, on_its_stack, 0);
	MUST(raise(SIGUSR1));
	see("on it: %d", was_on_it);
	stack.ss_flags = SS_DISABLE;
	MUST_ERRNO(sigaltstack(&stack, NULL));
	handle(SIGUSR1, on_its_stack, SA_ONSTACK);
	MUST(raise(SIGUSR1));
	see("on it: %d", was_on_it);
	free(stack_low);
	return arg;
}

static int through[2];

static void reads(int number)
{
	char byte;

	(void)number;
	EXPECT(read(through[0], &byte, 1) == 1);
	see("the handler has read %c", byte);
}

/* A handler may wait, and meanwhile others do. */
static void *waits_in_a_handler(void *arg)
{
	struct later later;

	unix_pair(through);
	handle(SIGUSR1, reads, 0);
	write_later(&later, through[1], "h");
	errno = 77;
	MUST(raise(SIGUSR1));
	see("errno %d", errno);
	join(later.thread);
	close_both(through);
	return arg;
}

static __thread sigjmp_buf escape;

static void leaves(int number)
{
	siglongjmp(escape, number);
}

static void *reads_for_ever(void *arg)
{
	sigset_t usr1 = only(SIGUSR1), now;
	char byte;

	if (sigsetjmp(escape, 1) == 0) {
		MUST(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
		for (;;)
			(void)!read(*(int *)arg, &byte, 1);
	}
	MUST(pthread_sigmask(SIG_BLOCK, NULL, &now));
	see("out of read, blocked: %d", sigismember(&now, SIGUSR1));
	set(&over);
	return NULL;
}

static void *jumps(void *arg)
{
	sigset_t usr1 = only(SIGUSR1);
	struct later later;
	char byte;
	int fd[2];

	MUST_ERRNO(pipe(fd));
	MUST(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
	handle(SIGUSR1, leaves, 0);
	over = 0;
	pthread_t thread = start(reads_for_ever, &fd[0]);
	prod_until(thread, SIGUSR1, &over);
	join(thread);
	/* The descriptor is as good as before. */
	write_later(&later, fd[1], "x");
	SEE_COUNT(read(fd[0], &byte, 1));
	join(later.thread);
	close_both(fd);
	return arg;
}

static char *page;

static void makes_it_writable(int number, siginfo_t *info, void *context)
{
	EXPECT(number == SIGSEGV && context && info->si_addr == page + 5);
	MUST_ERRNO(mprotect(page, 4096, PROT_READ | PROT_WRITE));
}

static void *faults(void *arg)
{
	struct sigaction action = {.sa_sigaction = makes_it_writable,
				   .sa_flags = SA_SIGINFO};
	struct sigaction old;

	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(page != MAP_FAILED);
	MUST_ERRNO(sigaction(SIGSEGV, &action, &old));
	page[5] = 'p';
	see("%c", page[5]);
	MUST_ERRNO(mprotect(page, 4096, PROT_NONE));
	handle(SIGSEGV, leaves, SA_NODEFER);
	if (sigsetjmp(escape, 1) == 0)
		page[6] = 'q';
	else
		see("out of a fault");
	MUST_ERRNO(sigaction(SIGSEGV, &old, NULL));
	MUST_ERRNO(munmap(page, 4096));
	return arg;
}

/* Sent like any other, though the thread has done nothing wrong. */
static void *sent_faults(void *arg)
{
	static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE,
				      SIGILL,  SIGTRAP, SIGSYS};
	struct sigaction old;
	sigset_t one;

	private = 0;
	for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++) {
		int number = numbers[i], before = private;

		MUST_ERRNO(sigaction(number, NULL, &old));
		handle(number, note, 0);
		MUST(pthread_kill(pthread_self(), number));
		one = only(number);
		MUST(pthread_sigmask(SIG_BLOCK, &one, NULL));
		MUST(pthread_kill(pthread_self(), number));
		see("%s: %d while it is not blocked", sigabbrev_np(number),
		    (private - before) / number);
		MUST(pthread_sigmask(SIG_UNBLOCK, &one, NULL));
		see("%d in all", (private - before) / number);
		MUST_ERRNO(sigaction(number, &old, NULL));
	}
	return arg;
}

static void nested(int number)
{
	see("begin %d", number == SIGUSR1 ? 1 : 2);
	if (number == SIGUSR1)
		MUST(raise(SIGUSR2));
	see("end %d", number == SIGUSR1 ? 1 : 2);
}

static void *within_another(void *arg)
{
	struct sigaction action = {.sa_handler = nested};

	handle(SIGUSR1, nested, 0);
	handle(SIGUSR2, nested, 0);
	MUST(raise(SIGUSR1));
	sigaddset(&action.sa_mask, SIGUSR2);
	MUST_ERRNO(sigaction(SIGUSR1, &action, NULL));
	MUST(raise(SIGUSR1));
	return arg;
}

int main(void)
{
	IN_THREAD(raises);
	IN_MAIN(raises);
	IN_THREAD(another_thread);
	IN_MAIN(another_thread);
	IN_MAIN(waits_awake);
	IN_THREAD(information);
	IN_THREAD(alternate_stack);
	IN_MAIN(alternate_stack);
	IN_THREAD(waits_in_a_handler);
	IN_THREAD(jumps);
	IN_THREAD(faults);
	IN_THREAD(sent_faults);
	IN_MAIN(sent_faults);
	IN_THREAD(within_another);
	return 0;
}
