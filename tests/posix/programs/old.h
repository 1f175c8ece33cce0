/* SPDX-License-Identifier: MIT */
/*
 * old.h - names that libc still has for old programs, but not for new ones.
 *
 * OLD(result, name, arguments, version) declares old_name(), which is libc's
 * name() of that version, as a program of that time is linked with it.
 */
#ifndef OLD_H
#define OLD_H

#include "see.h"

#if defined(__x86_64__)
#define OLD_FIRST "GLIBC_2.2.5"
#define OLD_24    "GLIBC_2.4"
#else
#define OLD_FIRST "GLIBC_2.17"
#define OLD_24    "GLIBC_2.17"
#endif

#define OLD(result, name, arguments, version)                                  \
	extern result old_##name arguments;                                    \
	__asm__(".symver old_" #name ", " #name "@" version)

/* So many threads, of which every other one is given 1. */
__attribute__((unused)) static void all(void *(*run)(void *), int count)
{
	pthread_t threads[10];

	for (intptr_t i = 0; i < count; i++)
		threads[i] = start(run, (void *)(i % 2));
	for (int i = 0; i < count; i++)
		join(threads[i]);
}

#endif
