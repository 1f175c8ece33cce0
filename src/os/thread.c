/* SPDX-License-Identifier: MIT */
/*
 * thread.c - see thread.h.
 */
#define _GNU_SOURCE
#include "os/thread.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "os/call.h"

/* What a backtrace takes, beside what the kernel saves. */
#define ALTSTACK_ROOM ((size_t)64 << 10)

int wf_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	return -pthread_create(thread, NULL, fn, arg);
}

void wf_thread_join(pthread_t thread)
{
	pthread_join(thread, NULL);
}

pid_t wf_thread_id(void)
{
	return (pid_t)wf_call(gettid);
}

/* How the kernel names the CPU clock of one thread, see clock_getres(2). */
static clockid_t cpu_clock(pid_t tid)
{
	return (clockid_t)(~(unsigned)tid << 3 | 6);
}

weft_time wf_thread_cpu(pid_t tid)
{
	struct timespec ts;
	long r = wf_call(clock_gettime, cpu_clock(tid), &ts);

	return r < 0 ? r : WEFT_SEC(ts.tv_sec) + ts.tv_nsec;
}

void wf_thread_name(const char *name)
{
	wf_call(prctl, PR_SET_NAME, name);
}

static void leave_out_faults(sigset_t *set)
{
	static const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE,
				     SIGILL,  SIGTRAP, SIGABRT};

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		sigdelset(set, faults[i]);
}

void wf_signals_block(sigset_t *old)
{
	sigset_t set;

	sigfillset(&set);
	leave_out_faults(&set);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

bool wf_signals_waitable(sigset_t *set)
{
	leave_out_faults(set);
	sigdelset(set, SIGKILL);
	sigdelset(set, SIGSTOP);
	for (int i = 1; i < NSIG; i++)
		if (sigismember(set, i) == 1)
			return true;
	return false;
}

bool wf_signals_within(const sigset_t *set, const sigset_t *mask)
{
	for (int i = 1; i < NSIG; i++)
		if (sigismember(set, i) == 1 && sigismember(mask, i) != 1)
			return false;
	return true;
}

static void take_sigpipe(void)
{
	struct timespec none = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigtimedwait(&set, NULL, &none);
}

void wf_sigpipe_block(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, old);
}

void wf_sigpipe_restore(const sigset_t *old, bool raised)
{
	if (raised && !sigismember(old, SIGPIPE))
		take_sigpipe();
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

/* What fibers' writes to closed pipes have left pending goes with the mask. */
void wf_signals_restore(const sigset_t *old)
{
	if (!sigismember(old, SIGPIPE))
		take_sigpipe();
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

static size_t altstack_size(void)
{
	long least = sysconf(_SC_MINSIGSTKSZ);

	return ALTSTACK_ROOM + (least > 0 ? (size_t)least : 0);
}

int wf_altstack_begin(struct wf_altstack *a)
{
	stack_t stack = {.ss_size = altstack_size()}, old;

	a->memory = NULL;
	if (sigaltstack(NULL, &old) == 0 && !(old.ss_flags & SS_DISABLE))
		return 0;
	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return -ENOMEM;
	sigaltstack(&stack, NULL);
	a->memory = stack.ss_sp;
	return 0;
}

void wf_altstack_end(struct wf_altstack *a)
{
	stack_t none = {.ss_flags = SS_DISABLE};

	if (!a->memory)
		return;
	sigaltstack(&none, NULL);
	munmap(a->memory, altstack_size());
	a->memory = NULL;
}

void wf_thread_stack(void **bottom, size_t *size)
{
	pthread_attr_t attr;

	*bottom = NULL;
	*size = 0;
	if (!SAN_STACKS)
		return;
	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return;
	pthread_attr_getstack(&attr, bottom, size);
	pthread_attr_destroy(&attr);
}
