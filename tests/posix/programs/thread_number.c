/* SPDX-License-Identifier: MIT */
/*
 * thread_number.c - the number of a thread is its own, and stays: a lock may
 * have it as its owner.  What is called for by it concerns that thread alone.
 */
#include "wire.h"
#include "prod.h"

#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { THREADS = 8, ROUNDS = 200 };

static pid_t numbers[THREADS];
static pthread_barrier_t all;

/* --- a lock that knows its owner by number, and lets it in again --- */

static pid_t owner;
static int depth, total;

static void take(void)
{
	pid_t me = (pid_t)syscall(SYS_gettid), nobody = 0;

	if (__atomic_load_n(&owner, __ATOMIC_RELAXED) == me) {
		depth++;
		return;
	}
	while (!__atomic_compare_exchange_n(&owner, &nobody, me, false,
					    __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		nobody = 0;
		sched_yield();
	}
	depth = 1;
}

static void let_go(void)
{
	EXPECT(owner == gettid());
	if (--depth == 0)
		__atomic_store_n(&owner, 0, __ATOMIC_RELEASE);
}

static void *locks(void *arg)
{
	pid_t *mine = arg, before = gettid();

	*mine = before;
	for (int i = 0; i < ROUNDS; i++) {
		take();
		int seen = total;
		sched_yield();
		take();
		EXPECT(depth == 2 && total == seen);
		total = seen + 1;
		let_go();
		let_go();
		EXPECT(gettid() == before && syscall(SYS_gettid) == before);
	}
	pthread_barrier_wait(&all);
	return NULL;
}

static void see_lock(void)
{
	pthread_t threads[THREADS];
	int same = 0;

	pthread_barrier_init(&all, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(locks, &numbers[i]);
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	for (int i = 0; i < THREADS; i++)
		for (int j = 0; j < i; j++)
			same += numbers[i] == numbers[j];
	see("total: %d, with the same number: %d", total, same);
	see("main's is the process's: %d", gettid() == getpid());
}

/* --- signals --- */

static sem_t told, handled_one;
static pid_t told_number;

static void *is_told(void *arg)
{
	handled_here = 0;
	told_number = gettid();
	sem_post(&told);
	while (!handled_here)
		sched_yield();
	sem_post(&handled_one);
	sem_wait(&told);
	return arg;
}

static void see_signals(void)
{
	pthread_t thread;
	pid_t number;

	handle(SIGUSR1, count_signal, 0);
	sem_init(&told, 0, 0);
	sem_init(&handled_one, 0, 0);
	thread = start(is_told, NULL);
	sem_wait(&told);
	number = told_number;
	SEE_ERRNO(tgkill(getpid(), number, 0));
	SEE_ERRNO(tgkill(getpid(), number, SIGUSR1));
	sem_wait(&handled_one);
	SEE_ERRNO((int)syscall(SYS_tgkill, getpid(), number, 0));
	sem_post(&told);
	join(thread);
	SEE_ERRNO(tgkill(getpid(), -5, 0));
}

/* --- CPUs and priority --- */

static sem_t set_priority;
static int usual; /* of this process, which may be a nice one */

static void *is_nice(void *arg)
{
	pid_t before = gettid();
	int policy = -1;
	struct sched_param param;
	struct timespec slice;

	EXPECT(getpriority(PRIO_PROCESS, (id_t)gettid()) == usual);
	policy = sched_getscheduler(gettid());
	MUST_ERRNO(sched_getparam(gettid(), &param));
	MUST_ERRNO(sched_rr_get_interval(gettid(), &slice));
	MUST_ERRNO((int)syscall(SYS_sched_getscheduler, gettid()));
	MUST_ERRNO((int)syscall(SYS_sched_getparam, gettid(), &param));
	MUST_ERRNO((int)syscall(SYS_getpriority, PRIO_PROCESS, gettid()));
	see("policy %d, priority %d", policy, param.sched_priority);
	MUST_ERRNO(setpriority(PRIO_PROCESS, (id_t)gettid(), usual + 1));
	see("nicer by %d", getpriority(PRIO_PROCESS, (id_t)gettid()) - usual);
	/* Whoever has noted it, has not noted it in vain. */
	SEE_ERRNO(tgkill(getpid(), before, 0));
	see("by that number: %d",
	    getpriority(PRIO_PROCESS, (id_t)before) - usual);
	sem_post(&set_priority);
	return arg;
}

static void *is_as_before(void *arg)
{
	cpu_set_t set;

	while (sem_wait(&set_priority) == -1)
		;
	for (int i = 0; i < 20; i++) {
		sched_yield();
		EXPECT(getpriority(PRIO_PROCESS, 0) == usual);
		EXPECT(getpriority(PRIO_PROCESS, (id_t)gettid()) == usual);
	}
	MUST_ERRNO(sched_getaffinity(gettid(), sizeof set, &set));
	see("the other one is not, and has CPUs: %d", CPU_COUNT(&set) > 0);
	return arg;
}

static void *has_one_cpu(void *arg)
{
	cpu_set_t set, one;
	int cpu = 0;

	MUST_ERRNO(sched_getaffinity(gettid(), sizeof set, &set));
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	MUST_ERRNO(sched_setaffinity(gettid(), sizeof one, &one));
	MUST_ERRNO(sched_getaffinity(gettid(), sizeof set, &set));
	see("on one CPU: %d", CPU_EQUAL(&one, &set));
	return arg;
}

/* --- of threads that follow each other --- */

enum { FOLLOWERS = 10 };

static void *its_number(void *arg)
{
	*(pid_t *)arg = gettid();
	return NULL;
}

static void see_followers(void)
{
	pid_t of[FOLLOWERS];
	int same = 0;

	for (int i = 0; i < FOLLOWERS; i++) {
		join(start(its_number, &of[i]));
		for (int j = 0; j < i; j++)
			same += of[i] == of[j];
	}
	see("one after the other, with the same number: %d", same);
}

int main(void)
{
	pthread_t one, other;

	usual = getpriority(PRIO_PROCESS, 0);
	see_lock();
	see_signals();
	sem_init(&set_priority, 0, 0);
	one = start(is_nice, NULL);
	join(one);
	other = start(is_as_before, NULL);
	join(other);
	join(start(has_one_cpu, NULL));
	see_followers();
	return 0;
}
