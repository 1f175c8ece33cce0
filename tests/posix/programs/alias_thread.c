/* SPDX-License-Identifier: MIT */
/* Keys, once and yielding, by the names that older programs have for them. */
#include "see.h"

#include "old.h"

OLD(int, __pthread_key_create, (pthread_key_t *, void (*)(void *)), OLD_FIRST);
OLD(int, __pthread_once, (pthread_once_t *, void (*)(void)), OLD_FIRST);
OLD(int, __sched_yield, (void), OLD_FIRST);
OLD(int, pthread_yield, (void), OLD_FIRST);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int calls, destroyed, ball;

static void call(void)
{
	linger();
	calls++;
}

static void destroy(void *value)
{
	__atomic_add_fetch(&destroyed, *(int *)value, __ATOMIC_RELAXED);
}

static void *calls_once(void *arg)
{
	static int one = 1;

	MUST(arg ? old___pthread_once(&once, call) : pthread_once(&once, call));
	EXPECT(calls == 1);
	MUST(pthread_setspecific(key, &one));
	return arg;
}

/* Each lets the other one run, by either name. */
static void *plays(void *arg)
{
	int mine = (int)(intptr_t)arg;

	for (int i = 0; i < 1000; i++) {
		while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) % 2 != mine) {
			MUST_ERRNO(old___sched_yield());
			MUST(old_pthread_yield());
		}
		__atomic_add_fetch(&ball, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

int main(void)
{
	MUST(old___pthread_key_create(&key, destroy));
	all(calls_once, 10);
	see("called %d times, destroyed %d", calls, destroyed);
	all(plays, 2);
	see("the ball: %d", ball);
	return 0;
}
