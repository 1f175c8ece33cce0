/* SPDX-License-Identifier: MIT */
/* What a thread is to the scheduler: policy, processors, clocks, turns. */
#include "see.h"

#include <semaphore.h>

static sem_t go_on;

static const char *policy_name(int policy)
{
	switch (policy) {
	case SCHED_OTHER:
		return "other";
	case SCHED_FIFO:
		return "fifo";
	case SCHED_RR:
		return "rr";
	case SCHED_BATCH:
		return "batch";
	case SCHED_IDLE:
		return "idle";
	}
	return "unknown";
}

static void show_policy(const char *whose, pthread_t thread)
{
	struct sched_param param = {.sched_priority = -1};
	int policy = -1;
	int error = pthread_getschedparam(thread, &policy, &param);

	see("%s: %s %s %d", whose, err(error), policy_name(policy),
	    param.sched_priority);
}

static void *waits(void *arg)
{
	show_policy("of itself", pthread_self());
	sem_wait(&go_on);
	return arg;
}

static void *waits_unheard(void *arg)
{
	sem_wait(&go_on);
	return arg;
}

static void *batches(void *arg)
{
	struct sched_param param = {.sched_priority = 0};

	SEE_ERROR(pthread_setschedparam(pthread_self(), SCHED_BATCH, &param));
	show_policy("itself, changed", pthread_self());
	sem_wait(&go_on);
	show_policy("after a wait", pthread_self());
	return arg;
}

static void *is_changed(void *arg)
{
	sem_wait(&go_on);
	show_policy("itself, by another", pthread_self());
	return arg;
}

static void by_another(void)
{
	struct sched_param param = {.sched_priority = 0};
	pthread_t thread = start(is_changed, NULL);

	SEE_ERROR(pthread_setschedparam(thread, SCHED_BATCH, &param));
	show_policy("another, changed", thread);
	sem_post(&go_on);
	join(thread);
}

static void policies(void)
{
	struct sched_param wrong = {.sched_priority = 1000};
	pthread_t thread = start(waits, NULL);

	sem_post(&go_on);
	join(thread);
	thread = start(waits_unheard, NULL);
	show_policy("of another", thread);
	SEE_ERROR(pthread_setschedparam(thread, SCHED_OTHER, &wrong));
	SEE_ERROR(pthread_setschedparam(thread, 77, &wrong));
	SEE_ERROR(pthread_setschedprio(thread, 0));
	SEE_ERROR(pthread_setschedprio(thread, 1000));
	sem_post(&go_on);
	join(thread);
	thread = start(batches, NULL);
	sem_post(&go_on);
	join(thread);
	show_policy("main", pthread_self());
	thread = start(waits, NULL);
	sem_post(&go_on);
	join(thread);
}

static void *made_so(void *arg)
{
	show_policy("made so", pthread_self());
	return arg;
}

static void by_attribute(void)
{
	struct sched_param param = {.sched_priority = 0};
	pthread_attr_t attr;
	pthread_t thread;
	int inherit, scope, policy;

	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_getinheritsched(&attr, &inherit));
	MUST(pthread_attr_getscope(&attr, &scope));
	MUST(pthread_attr_getschedpolicy(&attr, &policy));
	MUST(pthread_attr_getschedparam(&attr, &param));
	see("inherits %d, system scope %d, %s",
	    inherit == PTHREAD_INHERIT_SCHED, scope == PTHREAD_SCOPE_SYSTEM,
	    policy_name(policy));
	SEE_ERROR(pthread_attr_setscope(&attr, PTHREAD_SCOPE_PROCESS));
	MUST(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED));
	MUST(pthread_attr_setschedpolicy(&attr, SCHED_OTHER));
	MUST(pthread_attr_setschedparam(&attr, &param));
	MUST(pthread_create(&thread, &attr, made_so, NULL));
	join(thread);
	MUST(pthread_attr_destroy(&attr));
}

static void inherited(void)
{
	struct sched_param param = {.sched_priority = 0};

	SEE_ERROR(pthread_setschedparam(pthread_self(), SCHED_BATCH, &param));
	join(start(made_so, NULL));
	SEE_ERROR(pthread_setschedparam(pthread_self(), SCHED_OTHER, &param));
	join(start(made_so, NULL));
}

static bool same_as_process(pthread_t thread)
{
	cpu_set_t process, own;

	MUST_ERRNO(sched_getaffinity(getpid(), sizeof(process), &process));
	MUST(pthread_getaffinity_np(thread, sizeof(own), &own));
	return CPU_EQUAL(&process, &own);
}

static cpu_set_t first_of_process(void)
{
	cpu_set_t set, one;

	MUST_ERRNO(sched_getaffinity(getpid(), sizeof(set), &set));
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set)) {
			CPU_SET(i, &one);
			break;
		}
	return one;
}

static void *moves(void *arg)
{
	cpu_set_t one = first_of_process(), now;
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 1000};
	int elsewhere = 0;

	SEE_ERROR(pthread_setaffinity_np(pthread_self(), sizeof(one), &one));
	MUST(pthread_getaffinity_np(pthread_self(), sizeof(now), &now));
	see("itself on one: %d", CPU_EQUAL(&one, &now));
	for (int i = 0; i < 50; i++) {
		nanosleep(&brief, NULL);
		elsewhere += !CPU_ISSET(sched_getcpu(), &one);
	}
	see("elsewhere %d times", elsewhere);
	return arg;
}

/* The same by the older calls, which mean the thread that calls. */
static void *by_number(void *arg)
{
	struct sched_param param = {.sched_priority = 0};
	cpu_set_t one = first_of_process(), now;
	struct timespec slice;

	SEE_ERRNO(sched_setaffinity(0, sizeof(one), &one));
	MUST_ERRNO(sched_getaffinity(0, sizeof(now), &now));
	see("itself on one: %d", CPU_EQUAL(&one, &now));
	SEE_ERRNO(sched_setscheduler(0, SCHED_BATCH, &param));
	see("now %s", policy_name(sched_getscheduler(0)));
	SEE_ERRNO(sched_setparam(0, &param));
	SEE_ERRNO(sched_getparam(0, &param));
	SEE_ERRNO(sched_rr_get_interval(0, &slice));
#if __GLIBC_PREREQ(2, 41)
	struct sched_attr attr;
	MUST_ERRNO(sched_getattr(0, &attr, sizeof(attr), 0));
	SEE_ERRNO(sched_setattr(0, &attr, 0));
#endif
	sem_wait(&go_on);
	see("still %s", policy_name(sched_getscheduler(0)));
	return arg;
}

static void processors(void)
{
	pthread_t thread = start(waits_unheard, NULL);
	pthread_attr_t attr;
	cpu_set_t one = first_of_process(), none;

	CPU_ZERO(&none);
	see("as the process: %d", same_as_process(thread));
	SEE_ERROR(pthread_setaffinity_np(thread, sizeof(none), &none));
	sem_post(&go_on);
	join(thread);
	join(start(moves, NULL));
	thread = start(by_number, NULL);
	sem_post(&go_on);
	join(thread);
	see("main is not moved: %d", same_as_process(pthread_self()));
	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setaffinity_np(&attr, sizeof(one), &one));
	MUST(pthread_attr_getaffinity_np(&attr, sizeof(none), &none));
	EXPECT(CPU_EQUAL(&one, &none));
	MUST(pthread_create(&thread, &attr, moves, NULL));
	join(thread);
	MUST(pthread_attr_destroy(&attr));
}

static int64_t time_of(clockid_t clock)
{
	struct timespec t = in_ms(clock, 0);

	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void *works(void *arg)
{
	clockid_t clock;

	sem_wait(&go_on);
	MUST(pthread_getcpuclockid(pthread_self(), &clock));
	int64_t began = time_of(clock), by_id = began;
	while (by_id == began)
		by_id = time_of(clock);
	see("its own clock goes on: %d", by_id > began);
	began = time_of(CLOCK_THREAD_CPUTIME_ID);
	while (time_of(CLOCK_THREAD_CPUTIME_ID) == began)
		;
	see("and by its other name");
	return arg;
}

static void clocks(void)
{
	pthread_t thread = start(works, NULL);
	clockid_t clock;

	SEE_ERROR(pthread_getcpuclockid(thread, &clock));
	see("can be read: %d", time_of(clock) >= 0);
	sem_post(&go_on);
	join(thread);
}

/* Each waits for the other without sleeping: yields have to let it run. */
static volatile int ball;

static void *plays(void *arg)
{
	int mine = (int)(intptr_t)arg;

	for (int i = 0; i < 2000; i++) {
		while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) % 5 != mine)
			sched_yield();
		__atomic_add_fetch(&ball, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void turns(void)
{
	pthread_t players[5];

	for (intptr_t i = 0; i < 5; i++)
		players[i] = start(plays, (void *)i);
	for (int i = 0; i < 5; i++)
		join(players[i]);
	see("five players, the ball went round to %d", ball);
}

int main(void)
{
	sem_init(&go_on, 0, 0);
	policies();
	by_another();
	by_attribute();
	inherited();
	processors();
	clocks();
	turns();
	MUST(pthread_setconcurrency(4));
	see("concurrency %d", pthread_getconcurrency());
	return 0;
}
