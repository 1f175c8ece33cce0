/* SPDX-License-Identifier: MIT */
/* Programs that switch stacks themselves, and wait while on another one. */
#include "see.h"

#include <semaphore.h>
#include <setjmp.h>
#include <ucontext.h>

#define THREADS 8
#define INNER   5 /* contexts in each thread */
#define TURNS   20

static sem_t turn;
static int ends[2];

struct inner {
	ucontext_t own, *outer;
	char *stack;
	int number, turns, wrong;
	pthread_t thread;
};

static void wait_somehow(int i)
{
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 1000};
	char byte;

	switch (i % 4) {
	case 0:
		sched_yield();
		break;
	case 1:
		MUST_ERRNO(write(ends[1], "x", 1));
		MUST_ERRNO(read(ends[0], &byte, 1));
		break;
	case 2:
		nanosleep(&brief, NULL);
		break;
	default:
		sem_post(&turn);
		sem_wait(&turn);
	}
}

static void runs(unsigned high, unsigned low)
{
	struct inner *me =
		(void *)(uintptr_t)((uint64_t)high << 32 | (uint64_t)low);
	volatile int mark = me->number;

	for (int i = 0; i < TURNS; i++) {
		wait_somehow(i + me->number);
		me->wrong += !pthread_equal(me->thread, pthread_self());
		me->wrong += mark != me->number;
		me->turns++;
		swapcontext(&me->own, me->outer);
	}
}

static void prepare(struct inner *me, int number, ucontext_t *outer)
{
	uint64_t address = (uintptr_t)me;

	*me = (struct inner){.number = number, .thread = pthread_self()};
	me->outer = outer;
	me->stack = malloc(65536);
	EXPECT(me->stack != NULL && getcontext(&me->own) == 0);
	me->own.uc_stack.ss_sp = me->stack;
	me->own.uc_stack.ss_size = 65536;
	me->own.uc_link = outer;
	makecontext(&me->own, (void (*)(void))runs, 2,
		    (unsigned)(address >> 32), (unsigned)address);
}

static void *switches(void *arg)
{
	struct inner inner[INNER];
	ucontext_t outer;
	intptr_t wrong = 0;

	for (int i = 0; i < INNER; i++)
		prepare(&inner[i], i, &outer);
	for (int t = 0; t < TURNS + 1; t++)
		for (int i = 0; i < INNER; i++)
			swapcontext(&outer, &inner[i].own);
	for (int i = 0; i < INNER; i++) {
		wrong += inner[i].wrong + (inner[i].turns != TURNS);
		free(inner[i].stack);
	}
	(void)arg;
	return (void *)wrong;
}

/* Down and up again, or from the bottom by a jump. */
static void go_down(int depth, jmp_buf *back)
{
	wait_somehow(depth);
	if (depth > 0)
		go_down(depth - 1, back);
	else if (back)
		longjmp(*back, 7);
	wait_somehow(depth);
}

static void *jumps(void *arg)
{
	volatile intptr_t wrong = 0;
	jmp_buf back;

	for (volatile int i = 0; i < TURNS; i++) {
		int value = setjmp(back);

		if (value == 0)
			go_down(10, i % 2 ? &back : NULL);
		wrong += value != (i % 2 ? 7 : 0);
	}
	(void)arg;
	return (void *)wrong;
}

static void all(const char *name, void *(*run)(void *))
{
	pthread_t threads[THREADS];
	intptr_t wrong = 0;

	for (int i = 0; i < THREADS; i++)
		threads[i] = start(run, NULL);
	for (int i = 0; i < THREADS; i++)
		wrong += (intptr_t)join(threads[i]);
	see("%s: %ld wrong", name, (long)wrong);
}

int main(void)
{
	MUST_ERRNO(pipe(ends));
	sem_init(&turn, 0, 0);
	all("contexts", switches);
	all("jumps", jumps);
	return 0;
}
