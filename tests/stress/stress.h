/* SPDX-License-Identifier: MIT */
/*
 * stress.h - what every stress program stands on: a seed, a time, counts of
 * what was done, what must be true, what the process holds, and a watchman
 * that ends a run in which nothing happens any more.
 *
 * A run prints its seed first and its counts last.  It ends with status 1 and
 * the reason as soon as anything is not as it has to be.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRESS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STRESS_SANITIZED 1
#endif
#endif
#ifndef STRESS_SANITIZED
#define STRESS_SANITIZED 0
#endif

/*
 * Read the options, which go before the variables, and start the watchman:
 *
 *      -s SEED     WEFT_SEED             what all random numbers come from
 *      -t SECONDS  WEFT_STRESS_SECONDS   how long, 10 by default
 *      -n ROUNDS                         how many instead, where there are any
 *
 * `rounds` is how many there are by default, 0 for as many as the time allows;
 * WEFT_TEST_SCALE divides it.
 *
 * Context: the main thread, once; also of stress_end(), which returns the exit
 * status.
 */
void stress_begin(int argc, char **argv, const char *what, uint64_t rounds);
int stress_end(void);

/* Whether the time is up.  Always false where rounds are asked for. */
bool stress_over(void);

/* The rounds asked for, or 0. */
uint64_t stress_rounds(void);

/*
 * Random numbers: a new sequence, each time another one; its next number; one
 * in 0..n-1; true once in n times.
 */
uint64_t stress_sequence(void);
uint64_t stress_random(uint64_t *sequence);
uint64_t stress_below(uint64_t *sequence, uint64_t n);

static inline bool stress_once_in(uint64_t *sequence, uint64_t n)
{
	return stress_below(sequence, n) == 0;
}

/* A number that depends on every bit of another one. */
uint64_t stress_mix(uint64_t z);

/* Say why, and end with status 1. */
_Noreturn void stress_die(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* Context: anywhere, as long as the stack has room for printf. */
#define MUST(cond)                                                             \
	do {                                                                   \
		if (!(cond))                                                   \
			stress_die("%s:%d: %s", __FILE__, __LINE__, #cond);    \
	} while (0)

/* The same for a result, which is said. */
#define MUST_BE(result, cond)                                                  \
	do {                                                                   \
		if (!(cond))                                                   \
			stress_die("%s:%d: %s, but it is %lld", __FILE__,      \
				   __LINE__, #cond, (long long)(result));      \
	} while (0)

/* How often something was done.  Static; zero but for its name. */
struct tally {
	const char *name;
	_Atomic uint64_t count;
	_Atomic bool known;
};

void stress_count(struct tally *t, uint64_t n);

#define COUNT_N(what, n)                                                       \
	do {                                                                   \
		static struct tally tally_ = {.name = what};                   \
		stress_count(&tally_, n);                                      \
	} while (0)
#define COUNT(what) COUNT_N(what, 1)

/*
 * What the process holds now.  The runtime keeps some for the next one, handles
 * and sources: so take the first look when it has been in use for a while.
 */
struct stress_held {
	int fds, threads;
	size_t heap, mapped; /* bytes */
};

void stress_look(struct stress_held *held);

/* Die if it is more than before, by more than what libc itself may keep. */
void stress_compare(const struct stress_held *before);

#endif
