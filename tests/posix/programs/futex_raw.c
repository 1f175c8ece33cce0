/* SPDX-License-Identifier: MIT */
/* Libraries that wait by the kernel's futex call, without asking libc. */
#include "see.h"

#include <limits.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define THREADS 8
#define TURNS   3000

static long futex(int *word, int op, int value, const struct timespec *t,
		  int bits)
{
	return syscall(SYS_futex, word, op, value, t, NULL, bits);
}

static int own_word, *word = &own_word;
static int private_flag = FUTEX_PRIVATE_FLAG;
static long total;

/* The usual lock of three states. */
static void lock(void)
{
	int was = 0;

	if (__atomic_compare_exchange_n(word, &was, 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0)
		futex(word, FUTEX_WAIT | private_flag, 2, NULL, 0);
}

static void unlock(void)
{
	if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2)
		futex(word, FUTEX_WAKE | private_flag, 1, NULL, 0);
}

static void *counts(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		lock();
		total++;
		if (i % 100 == 0)
			sched_yield();
		unlock();
	}
	return arg;
}

static void contended(const char *name)
{
	pthread_t threads[THREADS];

	total = 0;
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(counts, NULL);
	counts(NULL);
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	see("%s: %ld", name, total);
}

static void *fails(void *arg)
{
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 10000000};
	struct timespec bad = {.tv_sec = 0, .tv_nsec = -1};
	struct timespec due = in_ms(CLOCK_MONOTONIC, 10);
	int here = 5;

	SEE_ERRNO(futex(&here, FUTEX_WAIT, 4, NULL, 0));
	SEE_ERRNO(futex(&here, FUTEX_WAIT_PRIVATE, 4, NULL, 0));
	SEE_ERRNO(futex(&here, FUTEX_WAIT_PRIVATE, 5, &brief, 0));
	see("late enough: %d", is_past(CLOCK_MONOTONIC, due));
	SEE_ERRNO(futex(&here, FUTEX_WAIT_PRIVATE, 5, &bad, 0));
	due = in_ms(CLOCK_MONOTONIC, 10);
	SEE_ERRNO(futex(&here, FUTEX_WAIT_BITSET_PRIVATE, 5, &due, -1));
	see("late enough: %d", is_past(CLOCK_MONOTONIC, due));
	due = in_ms(CLOCK_REALTIME, 10);
	SEE_ERRNO(futex(&here, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME,
			5, &due, -1));
	see("late enough: %d", is_past(CLOCK_REALTIME, due));
	SEE_ERRNO(futex(&here, FUTEX_WAIT_BITSET_PRIVATE, 5, NULL, 0));
	SEE_ERRNO(futex((int *)((char *)&here + 1), FUTEX_WAIT_PRIVATE, 5, NULL,
			0));
	see("woken: %ld", futex(&here, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, 0));
	see("woken: %ld", futex(&here, FUTEX_WAKE, INT_MAX, NULL, 0));
	return arg;
}

static int gate, gone;

static void *waits(void *arg)
{
	int bits = (int)(intptr_t)arg;

	while (__atomic_load_n(&gate, __ATOMIC_ACQUIRE) == 0)
		futex(&gate, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, bits);
	__atomic_add_fetch(&gone, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* However many of them wait already. */
static void all_at_once(void)
{
	pthread_t threads[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		threads[i] = start(waits, (void *)(i % 2 + 1));
	linger();
	__atomic_store_n(&gate, 1, __ATOMIC_RELEASE);
	futex(&gate, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, 1);
	futex(&gate, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, 2);
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	see("gone: %d", gone);
}

static void *passes(void *arg)
{
	int *page = word, mine = (int)(intptr_t)arg, seen;

	for (int i = 0; i < 300; i++) {
		while ((seen = __atomic_load_n(page, __ATOMIC_ACQUIRE)) % 2 !=
		       mine)
			futex(page, FUTEX_WAIT, seen, NULL, 0);
		__atomic_add_fetch(page, 1, __ATOMIC_RELEASE);
		futex(page, FUTEX_WAKE, INT_MAX, NULL, 0);
	}
	return NULL;
}

static void answer(void)
{
	join(start(passes, (void *)1));
}

static void *asks(void *arg)
{
	passes((void *)0);
	return arg;
}

static void between_processes(void)
{
	pthread_t asker;

	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(word != MAP_FAILED);
	asker = start(asks, NULL);
	in_child("the child", answer);
	join(asker);
	see("turns: %d", *word);
	*word = 0;
	private_flag = 0;
	contended("in shared memory");
}

int main(void)
{
	contended("private");
	private_flag = 0;
	contended("not said to be private");
	fails(NULL);
	join(start(fails, NULL));
	all_at_once();
	between_processes();
	return 0;
}
