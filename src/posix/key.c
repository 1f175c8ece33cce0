/* SPDX-License-Identifier: MIT */
/*
 * key.c - see key.h.
 */
#include "posix/key.h"

#include <limits.h>

#include "posix/libc.h"

typedef void (*destructor)(void *);

static _Atomic(destructor) destructors[PTHREAD_KEYS_MAX];
static _Atomic uint32_t end; /* keys below this have been made */

static void note(unsigned key, destructor d)
{
	uint32_t e = atom_load_rlx(&end);

	if (key >= PTHREAD_KEYS_MAX)
		return;
	atom_store_rlx(&destructors[key], d);
	while (key >= e && !atom_cas_rlx(&end, &e, key + 1))
		;
}

static void forget(unsigned key)
{
	if (key < PTHREAD_KEYS_MAX)
		atom_store_rlx(&destructors[key], NULL);
}

WF_HOOK int pthread_key_create(pthread_key_t *key, destructor d)
{
	int r = libc(pthread_key_create)(key, d);

	if (r == 0)
		note(*key, d);
	return r;
}

/* As older programs call it. */
WF_HOOK int __pthread_key_create(pthread_key_t *key, destructor d);

WF_HOOK int __pthread_key_create(pthread_key_t *key, destructor d)
{
	return pthread_key_create(key, d);
}

WF_HOOK int pthread_key_delete(pthread_key_t key)
{
	forget(key);
	return libc(pthread_key_delete)(key);
}

WF_HOOK int tss_create(tss_t *key, tss_dtor_t d)
{
	int r = libc(tss_create)(key, d);

	if (r == thrd_success)
		note(*key, d);
	return r;
}

WF_HOOK void tss_delete(tss_t key)
{
	forget(key);
	libc(tss_delete)(key);
}

/* True: a destructor has been called, which may have set something. */
static bool destroy(pthread_key_t key)
{
	void *value = pthread_getspecific(key);
	destructor d;

	if (!value)
		return false;
	pthread_setspecific(key, NULL);
	d = atom_load_rlx(&destructors[key]);
	if (d)
		d(value);
	return d;
}

void wf_keys_destroy(void)
{
	uint32_t count = atom_load_rlx(&end);
	bool again = true;

	for (int i = 0; again && i < PTHREAD_DESTRUCTOR_ITERATIONS; i++) {
		again = false;
		for (uint32_t key = 0; key < count; key++)
			again |= destroy(key);
	}
	for (uint32_t key = 0; again && key < count; key++)
		if (pthread_getspecific(key))
			pthread_setspecific(key, NULL);
}
