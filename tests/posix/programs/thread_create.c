/* SPDX-License-Identifier: MIT */
/* Threads are made as their attributes say, run, and give back a result. */
#include "see.h"

#include <limits.h>
#include <semaphore.h>
#include <sys/mman.h>

#define KB 1024UL

static sem_t go_on;

static void *successor(void *arg)
{
	return (void *)((intptr_t)arg + 1);
}

static void one_after_the_other(void)
{
	intptr_t sum = 0;

	for (intptr_t i = 0; i < 1000; i++)
		sum += (intptr_t)join(start(successor, (void *)i));
	see("1000 threads, results sum to %ld", (long)sum);
}

static void *itself(void *arg)
{
	pthread_t *self = arg;

	*self = pthread_self();
	return arg;
}

static void all_at_once(void)
{
	pthread_t made[100], told[100];
	int wrong = 0, same = 0;

	for (int i = 0; i < 100; i++)
		made[i] = start(itself, &told[i]);
	for (int i = 0; i < 100; i++)
		wrong += join(made[i]) != &told[i] ||
			 !pthread_equal(made[i], told[i]);
	for (int i = 0; i < 100; i++)
		same += pthread_equal(made[i], pthread_self()) != 0;
	see("100 threads, %d of another name, %d named as main", wrong, same);
}

/* Each makes the next one, and does not wait for it. */
static void *chain(void *arg)
{
	pthread_t *rest = arg;

	if (rest[1] == 0)
		return NULL;
	rest[1] = start(chain, rest + 1);
	return rest + 1;
}

static void made_by_threads(void)
{
	pthread_t links[12] = {0};
	int count = 1;

	for (int i = 1; i < 11; i++)
		links[i] = 1;
	links[0] = start(chain, links);
	for (pthread_t *link = links; (link = join(*link)) != NULL;)
		count++;
	see("a chain of %d threads, joined by main", count);
}

static void describe(const char *whose, pthread_t thread, size_t asked)
{
	pthread_attr_t attr;
	size_t size, guard;
	void *low;
	int state;

	MUST(pthread_getattr_np(thread, &attr));
	MUST(pthread_attr_getstack(&attr, &low, &size));
	MUST(pthread_attr_getguardsize(&attr, &guard));
	MUST(pthread_attr_getdetachstate(&attr, &state));
	see("%s: %s, guard %zu, stack %s", whose,
	    state == PTHREAD_CREATE_DETACHED ? "detached" : "joinable", guard,
	    size >= asked ? "as large as asked" : "too small");
	MUST(pthread_attr_destroy(&attr));
}

struct asked {
	const char *whose;
	size_t size;
	char *low; /* the stack, if the program brings it */
};

static bool on_own_stack(const void *here)
{
	pthread_attr_t attr;
	char *low;
	size_t size;

	MUST(pthread_getattr_np(pthread_self(), &attr));
	MUST(pthread_attr_getstack(&attr, (void **)&low, &size));
	MUST(pthread_attr_destroy(&attr));
	return (char *)here > low && (char *)here < low + size;
}

/* So deep that most of the stack is used. */
static size_t dive(size_t left)
{
	volatile char water[4096];

	memset((void *)water, (int)left, sizeof(water));
	if (left < 2 * sizeof(water))
		return water[17] != (char)left;
	return dive(left - sizeof(water) - 256) + (water[4095] != (char)left);
}

static void *diver(void *arg)
{
	struct asked *asked = arg;
	char here;

	sem_wait(&go_on);
	describe("of itself", pthread_self(), asked->size);
	see("on its own stack: %d", on_own_stack(&here));
	if (asked->low)
		see("in the memory given: %d",
		    &here > asked->low && &here < asked->low + asked->size);
	see("spoilt at the bottom: %zu", dive(asked->size * 3 / 4));
	return NULL;
}

static void make(struct asked *asked, const pthread_attr_t *attr)
{
	pthread_t thread;

	see("-- %s", asked->whose);
	MUST(pthread_create(&thread, attr, diver, asked));
	describe("of another", thread, asked->size);
	sem_post(&go_on);
	join(thread);
}

static void stacks(void)
{
	struct asked asked[] = {{"64K", 64 * KB, NULL},
				{"100K", 100 * KB, NULL},
				{"1M", 1024 * KB, NULL},
				{"32M", 32768 * KB, NULL}};
	pthread_attr_t attr;
	size_t size;

	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_getstacksize(&attr, &size));
	struct asked usual = {"the usual", size, NULL};
	see("usual size %zu", size);
	make(&usual, NULL);
	for (int i = 0; i < 4; i++) {
		MUST(pthread_attr_setstacksize(&attr, asked[i].size));
		make(&asked[i], &attr);
	}
	MUST(pthread_attr_destroy(&attr));
}

static void guards(void)
{
	size_t sizes[] = {0, 1, 4096, 65536};
	struct asked asked = {"a guard", 512 * KB, NULL};
	pthread_attr_t attr;

	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setstacksize(&attr, asked.size));
	for (int i = 0; i < 4; i++) {
		MUST(pthread_attr_setguardsize(&attr, sizes[i]));
		make(&asked, &attr);
	}
	MUST(pthread_attr_destroy(&attr));
}

static void memory_of_its_own(void)
{
	struct asked asked = {"own memory", 256 * KB, NULL};
	pthread_attr_t attr;

	asked.low = mmap(NULL, asked.size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(asked.low != MAP_FAILED);
	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setstack(&attr, asked.low, asked.size));
	for (int i = 0; i < 3; i++)
		make(&asked, &attr);
	MUST(pthread_attr_destroy(&attr));
	see("given back: %s", err(munmap(asked.low, asked.size) ? errno : 0));
}

static void *detached(void *arg)
{
	sem_wait(&go_on);
	sem_post(arg);
	return NULL;
}

static void detached_from_the_start(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sem_t done;

	see("-- detached");
	sem_init(&done, 0, 0);
	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
	MUST(pthread_create(&thread, &attr, detached, &done));
	describe("of another", thread, 0);
	SEE_ERROR(pthread_join(thread, NULL));
	SEE_ERROR(pthread_detach(thread));
	sem_post(&go_on);
	sem_wait(&done);
	MUST(pthread_attr_destroy(&attr));
}

static void *join_itself(void *arg)
{
	(void)arg;
	SEE_ERROR(pthread_join(pthread_self(), NULL));
	return NULL;
}

static void what_cannot_be(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	see("-- what cannot be");
	SEE_ERROR(pthread_join(pthread_self(), NULL));
	join(start(join_itself, NULL));
	MUST(pthread_attr_init(&attr));
	SEE_ERROR(pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN - 1));
	SEE_ERROR(pthread_attr_setdetachstate(&attr, 77));
	SEE_ERROR(pthread_attr_setstacksize(&attr, (size_t)1 << 48));
	SEE_ERROR(pthread_create(&thread, &attr, successor, NULL));
	MUST(pthread_attr_destroy(&attr));
}

int main(void)
{
	sem_init(&go_on, 0, 0);
	one_after_the_other();
	all_at_once();
	made_by_threads();
	stacks();
	guards();
	memory_of_its_own();
	detached_from_the_start();
	what_cannot_be();
	return 0;
}
