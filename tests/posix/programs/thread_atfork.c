/* SPDX-License-Identifier: MIT */
/* fork with threads: what the child has of them, and what handlers may do. */
#include "see.h"

#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static __thread int own = 1;
static bool tracing = true;
static char trail[256]; /* of handlers that this process has called */

#define HANDLER(name)                                                          \
	static void name(void)                                                 \
	{                                                                      \
		if (tracing)                                                   \
			strcat(trail, " " #name);                              \
	}
HANDLER(first_before)
HANDLER(first_in_parent)
HANDLER(first_in_child)
HANDLER(second_before)
HANDLER(second_in_child)

static void take(void)
{
	MUST(pthread_mutex_lock(&lock));
}

static void give(void)
{
	MUST(pthread_mutex_unlock(&lock));
}

/* Forks; the child does `run` and exits with what it returns. */
static int child_does(int (*run)(void *), void *arg)
{
	pid_t child;
	int status;

	MUST_ERRNO(child = fork());
	if (child == 0)
		exit(run(arg));
	MUST_ERRNO(waitpid(child, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int tells(void *arg)
{
	see("in the child:%s", trail);
	(void)arg;
	return 3;
}

static void *forks(void *arg)
{
	trail[0] = '\0';
	see("exit %d", child_does(tells, arg));
	see("in the parent:%s", trail);
	return arg;
}

static void order(void)
{
	forks(NULL);
	join(start(forks, NULL));
	tracing = false;
}

static void *twice(void *arg)
{
	return (void *)((intptr_t)arg * 2);
}

struct self {
	pthread_t thread;
	int *own;
};

/* The one thread that there is in the child is the one that has forked. */
static int is_the_same(void *arg)
{
	struct self *self = arg;
	intptr_t sum = 0;

	see("  the same: %d", pthread_equal(self->thread, pthread_self()) != 0);
	see("  its variables: %d %d", self->own == &own, own);
	see("  its value: %s", (char *)pthread_getspecific(key));
	SEE_ERROR(pthread_mutex_trylock(&lock));
	SEE_ERROR(pthread_mutex_unlock(&lock));
	for (intptr_t i = 0; i < 100; i++)
		sum += (intptr_t)join(start(twice, (void *)i));
	see("  its threads: %ld", (long)sum);
	return 4;
}

static void *forks_as_itself(void *arg)
{
	struct self self = {pthread_self(), &own};

	own = 5;
	MUST(pthread_setspecific(key, arg));
	see("exit %d", child_does(is_the_same, &self));
	return NULL;
}

static int forks_again(void *arg)
{
	forks_as_itself(arg);
	join(start(forks_as_itself, arg));
	return 5;
}

static void *forks_deeply(void *arg)
{
	see("exit %d", child_does(forks_again, arg));
	return NULL;
}

static int leaves(void *arg)
{
	pthread_exit(arg);
}

static void *forks_and_leaves(void *arg)
{
	see("exit %d", child_does(leaves, arg));
	return NULL;
}

static int stop;

static void *is_busy(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		free(malloc(100 + rand() % 1000));
		pthread_mutex_lock(&lock);
		sched_yield();
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static int allocates(void *arg)
{
	int wrong = pthread_mutex_lock(&lock) != 0;

	for (int i = 0; i < 100; i++)
		free(malloc(100 * i));
	wrong += pthread_mutex_unlock(&lock) != 0;
	wrong += join(start(twice, arg)) != (void *)8;
	return wrong;
}

static void *forks_often(void *arg)
{
	intptr_t wrong = 0;

	for (int i = 0; i < 10; i++)
		wrong += child_does(allocates, arg) != 0;
	return (void *)wrong;
}

/* The others hold locks all the time, and allocate. */
static void among_others(void)
{
	pthread_t busy[4], forking[3];
	intptr_t wrong = 0;

	for (int i = 0; i < 4; i++)
		busy[i] = start(is_busy, NULL);
	for (int i = 0; i < 3; i++)
		forking[i] = start(forks_often, (void *)4);
	wrong += (intptr_t)forks_often((void *)4);
	for (int i = 0; i < 3; i++)
		wrong += (intptr_t)join(forking[i]);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++)
		join(busy[i]);
	see("40 children, %ld wrong", (long)wrong);
}

int main(void)
{
	MUST(pthread_key_create(&key, NULL));
	MUST(pthread_atfork(first_before, first_in_parent, first_in_child));
	MUST(pthread_atfork(second_before, NULL, second_in_child));
	order();
	MUST(pthread_atfork(take, give, give));
	see("-- what is left of main");
	forks_as_itself((void *)"main's");
	see("-- of a thread");
	join(start(forks_as_itself, (void *)"a thread's"));
	see("-- of a child's thread");
	join(start(forks_deeply, (void *)"a child's"));
	see("-- the last one leaves");
	join(start(forks_and_leaves, NULL));
	see("-- among others");
	among_others();
	return 0;
}
