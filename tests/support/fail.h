/* SPDX-License-Identifier: MIT */
/*
 * fail.h - system calls and allocations that fail when a test says so.
 *
 * A program linked with FAIL (see CMakeLists.txt) makes every system call of
 * weft, and what it asks of libc that can fail, by way of fail.c.  Until a test
 * asks for more they are made as they are.  Only what can fail in reality is
 * failed, and only with an error that it can have: never a wake, a clock, or
 * the rest of what is said to always work.
 *
 * One plan at a time, for the whole process.  The program's own calls of
 * malloc, mmap and pthread_create are taken for weft's.
 *
 * Context: any thread or fiber.
 */
#ifndef T_FAIL_H
#define T_FAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/* What is counted and failed beside system calls, which go by their numbers. */
enum fail_other {
	FAIL_MMAP = 1000, /* and mremap, mprotect */
	FAIL_MALLOC,      /* and calloc, aligned_alloc, pthread_atfork */
	FAIL_THREAD,      /* pthread_create */
	FAIL_RESOLVE,     /* getaddrinfo */
	FAIL_SPAWN,       /* posix_spawnp */
	FAIL_CALLS
};

/*
 * From now on, fail the n-th (from 1) of the calls that can fail in more than
 * `which` ways, in that way.
 */
void fail_nth(unsigned n, unsigned which);
#define FAIL_CHOICES 5 /* ways in which any call can fail, at most */

/* From now on, fail the next `times` of one call with an error. */
void fail_next(long call, int error, unsigned times);

/*
 * From now on, interrupt each second call of every kind that a signal may
 * interrupt, before it has done anything.
 */
void fail_interrupt(void);

/*
 * From now on, calls that move bytes of a stream move only a part of what they
 * are asked to, of random size, one byte often.  Not what TCP receives, of
 * which the kernel gives all that is there.
 */
void fail_shorten(uint64_t seed);
#define FAIL_PART_MOST 4096 /* bytes in one call */

/*
 * Let every call succeed again.  Returns the error (-E...) that was injected
 * last, 0 if none was.
 */
int fail_stop(void);

/* How many calls have been made, and failed by us, since the plan began. */
unsigned fail_made(long call);
unsigned fail_injected(void);

/*
 * What is allocated now, in blocks, and mapped, in bytes; counted from the
 * beginning of the process.
 */
long fail_allocated(void);
long fail_mapped(void);

/* False where the sanitizer's allocator is not to be come between. */
bool fail_counts_memory(void);

#endif
