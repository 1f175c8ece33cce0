/* SPDX-License-Identifier: MIT */
/* Names of threads. */
#include "see.h"

#include <semaphore.h>
#include <sys/prctl.h>

static sem_t named, go_on[5];

static void show(const char *whose, pthread_t thread)
{
	char name[16] = "";

	see("%s: %s", whose,
	    err(pthread_getname_np(thread, name, sizeof(name))));
	see("  \"%s\"", name);
}

static void *keeps_its_name(void *arg)
{
	int me = (int)(intptr_t)arg;
	char name[16];

	snprintf(name, sizeof(name), "thread %d", me);
	MUST(pthread_setname_np(pthread_self(), name));
	sem_post(&named);
	sem_wait(&go_on[me]);
	show("of itself", pthread_self());
	return NULL;
}

static void several(void)
{
	pthread_t threads[5];

	for (intptr_t i = 0; i < 5; i++) {
		sem_init(&go_on[i], 0, 0);
		threads[i] = start(keeps_its_name, (void *)i);
	}
	for (int i = 0; i < 5; i++)
		sem_wait(&named);
	for (int i = 0; i < 5; i++)
		show("of another", threads[i]);
	MUST(pthread_setname_np(threads[2], "by main"));
	for (int i = 0; i < 5; i++) {
		sem_post(&go_on[i]);
		join(threads[i]);
	}
}

static void *inherits(void *arg)
{
	show("from its maker", pthread_self());
	return arg;
}

static void *makes_one(void *arg)
{
	MUST(pthread_setname_np(pthread_self(), "the maker"));
	join(start(inherits, NULL));
	return arg;
}

/* As seen by the older call. */
static void *by_prctl(void *arg)
{
	char name[16];

	MUST_ERRNO(prctl(PR_SET_NAME, "prctl's"));
	show("set by prctl", pthread_self());
	MUST(pthread_setname_np(pthread_self(), "pthread's"));
	MUST_ERRNO(prctl(PR_GET_NAME, name));
	see("got by prctl: \"%s\"", name);
	return arg;
}

static void *limits(void *arg)
{
	char name[16];

	SEE_ERROR(pthread_setname_np(pthread_self(), "sixteen letters."));
	SEE_ERROR(pthread_setname_np(pthread_self(), "fifteen letters"));
	SEE_ERROR(pthread_getname_np(pthread_self(), name, 15));
	SEE_ERROR(pthread_setname_np(pthread_self(), ""));
	show("nothing", pthread_self());
	return arg;
}

int main(void)
{
	sem_init(&named, 0, 0);
	show("main", pthread_self());
	MUST(pthread_setname_np(pthread_self(), "main itself"));
	several();
	join(start(inherits, NULL));
	join(start(makes_one, NULL));
	join(start(by_prctl, NULL));
	join(start(limits, NULL));
	show("main", pthread_self());
	return 0;
}
