/* SPDX-License-Identifier: MIT */
/*
 * dl_module.c - a library to load, whose constructor takes its time.  Variables
 * of each thread are of one model, which is MODEL: initial-exec ones lie beside
 * the program's, and so have to be small.  With SETS_ITS_CPUS it asks for what
 * only the kernel can keep of a thread, while the loader's locks are held.
 */
#include "see.h"

#define OF_MODEL __attribute__((tls_model(MODEL)))

static OF_MODEL __thread int number = 11;
static OF_MODEL __thread int list[20] = {22};

static pthread_t constructed_by;
static int constructed;

static void *answers(void *arg)
{
	linger();
	return (char *)arg + 1;
}

__attribute__((constructor)) static void construct(void)
{
	for (int i = 0; i < 3; i++)
		linger();
	number++;
	constructed += join(start(answers, NULL)) == (void *)1;
	linger();
	constructed_by = pthread_self();
#ifdef SETS_ITS_CPUS
	cpu_set_t cpus;
	MUST(pthread_getaffinity_np(pthread_self(), sizeof cpus, &cpus));
	MUST(pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus));
#endif
}

__attribute__((destructor)) static void destroy(void)
{
	linger();
	constructed = 0;
}

int is_constructed(void);
int was_constructed_here(void);
int *variable(void);
int *list_variable(void);

int is_constructed(void)
{
	return constructed;
}

int was_constructed_here(void)
{
	return pthread_equal(constructed_by, pthread_self());
}

int *variable(void)
{
	return &number;
}

int *list_variable(void)
{
	return list;
}
