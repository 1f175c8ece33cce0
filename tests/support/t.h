/* SPDX-License-Identifier: MIT */
/*
 * t.h - what every test includes: the runner, and checks and objects that may
 * be used where the runner's own assertions may not, on fibers and threads.
 */
#ifndef T_H
#define T_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "support/crit.h"

/*
 * How much longer than natively, on a machine with nothing else to do, things
 * may take here: for timeouts, which end what hangs and measure nothing.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define T_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define T_SANITIZED 1
#endif
#endif
#ifndef T_SANITIZED
#define T_SANITIZED 0
#endif
#ifndef T_EMULATED /* told by the build */
#define T_EMULATED 0
#endif
#define T_SLOW (T_SANITIZED || T_EMULATED ? 20 : 5)

/* Whether the library checks what is slow to check. */
#ifdef WEFT_CHECKS
#define T_CHECKED 1
#else
#define T_CHECKED 0
#endif

struct t_place {
	const char *file;
	int line;
	const char *what;
};

/*
 * Note that something is not as it has to be, and go on.  The first place
 * counts; t_verify() in the body of the test reports it.
 *
 * Context: fibers, threads, signal handlers.
 */
#define T_CHECK(cond)                                                          \
	do {                                                                   \
		static const struct t_place t_here_ = {__FILE__, __LINE__,     \
						       #cond};                 \
		if (!(cond))                                                   \
			t_fail(&t_here_);                                      \
	} while (0)

void t_fail(const struct t_place *place);

/* The place that has failed, or NULL; forget it. */
const struct t_place *t_failed(void);
void t_reset(void);

/* Assert that nothing has failed.  Context: test body. */
void t_verify(void);

/*
 * Run fn(arg) as the first fiber of a runtime with `workers` workers (0: the
 * default), all else default, and assert that no T_CHECK has failed.  Returns
 * what fn did.
 *
 * Context: test body.
 */
int t_run(unsigned workers, int (*fn)(void *arg), void *arg);

/*
 * What random tests start from: WEFT_SEED, or another number each time.  Said
 * on stderr, to run it again.
 */
uint64_t t_seed(void);

/* The next of a sequence of random numbers that *state determines. */
uint64_t t_random(uint64_t *state);

/*
 * How often to repeat something: n, divided by WEFT_TEST_SCALE where things
 * are slow (a sanitizer, an emulator), and at least 1.
 */
size_t t_scale(size_t n);

/*
 * n bytes that end where an inaccessible page begins.  Never freed: they go
 * with the test's process.  NULL if there is no memory.
 */
void *t_guarded(size_t n);

/*
 * Allow this process `limit` bytes of address space; returns what it was
 * allowed before.  Where that cannot be limited the test is skipped.
 *
 * Context: test body.
 */
rlim_t t_limit_memory(rlim_t limit);

/* Two ends of one TCP connection over loopback, blocking.  0 or -E... */
int t_pair(int fd[2]);

/* Descriptors that are open in this process; -E... */
int t_fds(void);

/* The number in the line of a file under /proc that begins so; -1: none. */
long t_proc(const char *path, const char *name);

#endif
