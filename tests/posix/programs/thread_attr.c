/* SPDX-License-Identifier: MIT */
/* Attributes that threads have without being asked, and the rarer ones. */
#include "see.h"

#include <limits.h>
#include <signal.h>

static void describe(const char *what, const pthread_attr_t *attr)
{
	size_t size, guard;
	int state, inherit, policy;
	struct sched_param param;

	MUST(pthread_attr_getstacksize(attr, &size));
	MUST(pthread_attr_getguardsize(attr, &guard));
	MUST(pthread_attr_getdetachstate(attr, &state));
	MUST(pthread_attr_getinheritsched(attr, &inherit));
	MUST(pthread_attr_getschedpolicy(attr, &policy));
	MUST(pthread_attr_getschedparam(attr, &param));
	see("%s: stack %zu, guard %zu, detached %d, inherits %d, policy %d, "
	    "priority %d",
	    what, size, guard, state == PTHREAD_CREATE_DETACHED,
	    inherit == PTHREAD_INHERIT_SCHED, policy, param.sched_priority);
}

static void *describes_itself(void *arg)
{
	cpu_set_t cpus, set;
	pthread_attr_t attr;
	char *low;
	size_t size;

	MUST(pthread_getattr_np(pthread_self(), &attr));
	MUST(pthread_attr_getstack(&attr, (void **)&low, &size));
	see("it has as much: %d", size == *(size_t *)arg);
	see("it is on it: %d",
	    (char *)&size > low && (char *)&size < low + size);
	MUST(pthread_attr_getaffinity_np(&attr, sizeof set, &set));
	MUST(pthread_getaffinity_np(pthread_self(), sizeof cpus, &cpus));
	see("its CPUs: %d", CPU_EQUAL(&set, &cpus));
	MUST(pthread_attr_destroy(&attr));
	return arg;
}

static void by_default(void)
{
	pthread_attr_t attr, before;
	size_t size;

	MUST(pthread_getattr_default_np(&before));
	describe("by default", &before);
	MUST(pthread_attr_getstacksize(&before, &size));
	join(start(describes_itself, &size));
	MUST(pthread_attr_init(&attr));
	describe("of init", &attr);
	size = 16 << 20;
	MUST(pthread_attr_setstacksize(&attr, size));
	SEE_ERROR(pthread_setattr_default_np(&attr));
	MUST(pthread_attr_destroy(&attr));
	MUST(pthread_getattr_default_np(&attr));
	describe("by default now", &attr);
	join(start(describes_itself, &size));
	MUST(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
	SEE_ERROR(pthread_setattr_default_np(&attr));
	MUST(pthread_attr_destroy(&attr));
	SEE_ERROR(pthread_setattr_default_np(&before));
	MUST(pthread_attr_destroy(&before));
}

/* A priority that the policy does not know. */
static void wrong_priority(void)
{
	struct sched_param param = {.sched_priority = 1};
	pthread_attr_t attr;
	pthread_t thread;
	size_t size;

	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED));
	MUST(pthread_attr_setschedpolicy(&attr, SCHED_FIFO));
	MUST(pthread_attr_setschedparam(&attr, &param));
	MUST(pthread_attr_setschedpolicy(&attr, SCHED_OTHER));
	SEE_ERROR(pthread_create(&thread, &attr, describes_itself, &size));
	MUST(pthread_attr_destroy(&attr));
}

static void *tells_mask(void *arg)
{
	sigset_t mask;

	MUST(pthread_sigmask(SIG_SETMASK, NULL, &mask));
	see("%s: USR1 %d, USR2 %d", (char *)arg, sigismember(&mask, SIGUSR1),
	    sigismember(&mask, SIGUSR2));
	return NULL;
}

static void *makes_one(void *arg)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	MUST(pthread_sigmask(SIG_SETMASK, &mask, NULL));
	join(start(tells_mask, (void *)"of a thread's"));
	return arg;
}

static void masks(void)
{
	pthread_attr_t attr;
	sigset_t mask, old, got;
	pthread_t thread;

	join(start(tells_mask, (void *)"main has none"));
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	MUST(pthread_sigmask(SIG_BLOCK, &mask, &old));
	join(start(tells_mask, (void *)"main's"));
	join(start(makes_one, NULL));
	MUST(pthread_attr_init(&attr));
	see("in the attributes: %s", pthread_attr_getsigmask_np(&attr, &got) ==
						     PTHREAD_ATTR_NO_SIGMASK_NP
					     ? "none"
					     : "one");
	sigaddset(&mask, SIGUSR2);
	MUST(pthread_attr_setsigmask_np(&attr, &mask));
	MUST(pthread_attr_getsigmask_np(&attr, &got));
	see("then: %d", sigismember(&got, SIGUSR2));
	MUST(pthread_create(&thread, &attr, tells_mask,
			    (void *)"by attribute"));
	join(thread);
	MUST(pthread_attr_destroy(&attr));
	MUST(pthread_sigmask(SIG_SETMASK, &old, NULL));
	join(start(tells_mask, (void *)"none again"));
}

int main(void)
{
	by_default();
	wrong_priority();
	masks();
	return 0;
}
