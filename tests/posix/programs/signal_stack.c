/* SPDX-License-Identifier: MIT */
/*
 * signal_stack.c - handlers with SA_ONSTACK that wait, many at a time: each is
 * on the stack that its thread has for them, or on the thread's own.
 */
#include "wire.h"
#include "prod.h"

#include <semaphore.h>

enum { THREADS = 8, STACK = 64 << 10, ROUNDS = 3 };

struct one {
	pthread_t thread;
	char *stack; /* NULL: it has none */
	sem_t go_on, ended;
};

static struct one all[THREADS];
static sem_t inside;
static __thread struct one *me;

static bool on_it(const struct one *o, const void *here)
{
	const char *at = here;

	return o->stack && at >= o->stack && at < o->stack + STACK;
}

/* What is here stays as it is while others come and go. */
static void waits(int number)
{
	volatile char mine[4096];

	(void)number;
	memset((char *)mine, (int)(me - all) + 1, sizeof mine);
	EXPECT(on_it(me, (char *)mine) == (me->stack != NULL));
	MUST_ERRNO(sem_post(&inside));
	while (sem_wait(&me->go_on) == -1)
		EXPECT(errno == EINTR);
	for (size_t i = 0; i < sizeof mine; i++)
		EXPECT(mine[i] == (int)(me - all) + 1);
	MUST_ERRNO(sem_post(&me->ended));
}

static void *lives(void *arg)
{
	stack_t stack = {.ss_size = STACK}, now;

	me = arg;
	stack.ss_sp = me->stack;
	if (me->stack)
		MUST_ERRNO(sigaltstack(&stack, NULL));
	MUST_ERRNO(sem_post(&inside));
	for (int round = 0; round < ROUNDS; round++)
		while (sem_wait(&me->ended) == -1)
			EXPECT(errno == EINTR);
	MUST_ERRNO(sigaltstack(NULL, &now));
	EXPECT(now.ss_sp == me->stack);
	return NULL;
}

static void await_all(sem_t *sem)
{
	for (int i = 0; i < THREADS; i++)
		while (sem_wait(sem) == -1)
			EXPECT(errno == EINTR);
}

int main(void)
{
	handle(SIGUSR1, waits, SA_ONSTACK);
	sem_init(&inside, 0, 0);
	for (int i = 0; i < THREADS; i++) {
		all[i].stack = i % 2 ? malloc(STACK) : NULL;
		sem_init(&all[i].go_on, 0, 0);
		sem_init(&all[i].ended, 0, 0);
		all[i].thread = start(lives, &all[i]);
	}
	await_all(&inside);
	for (int round = 1; round <= ROUNDS; round++) {
		for (int i = 0; i < THREADS; i++)
			MUST(pthread_kill(all[i].thread, SIGUSR1));
		await_all(&inside);
		for (int i = 0; i < THREADS; i++)
			sem_post(&all[i].go_on);
		see("round %d", round);
	}
	for (int i = 0; i < THREADS; i++) {
		join(all[i].thread);
		free(all[i].stack);
	}
	return 0;
}
