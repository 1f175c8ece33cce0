/* SPDX-License-Identifier: MIT */
/*
 * thread.h - the threads that weft makes: carriers, the pool, the watch.
 */
#ifndef WF_OS_THREAD_H
#define WF_OS_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "weft/time.h"

/* Errors: -EAGAIN, -ENOMEM. */
int wf_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg);
void wf_thread_join(pthread_t thread);

/* The kernel's number of the calling thread. */
pid_t wf_thread_id(void);

/*
 * CPU time that a thread of this process has used; negative if there is none of
 * that number.
 */
weft_time wf_thread_cpu(pid_t tid);

/* Of the calling thread; named in ps and gdb, up to 15 bytes. */
void wf_thread_name(const char *name);

/*
 * Block every signal but those that a fault of the thread itself raises; `old`
 * is what was blocked before.
 */
void wf_signals_block(sigset_t *old);
void wf_signals_restore(const sigset_t *old);

/*
 * Leave out of the set what nobody can wait for: what cannot be blocked, and
 * what wf_signals_block() does not block.  False if nothing is left.
 */
bool wf_signals_waitable(sigset_t *set);

/* Whether each signal of the set is in the mask. */
bool wf_signals_within(const sigset_t *set, const sigset_t *mask);

/*
 * Around a write to a pipe by a thread that may not have SIGPIPE blocked; the
 * signal is taken back if the write has `raised` it.
 */
void wf_sigpipe_block(sigset_t *old);
void wf_sigpipe_restore(const sigset_t *old, bool raised);

/*
 * A stack for signal handlers, so that the handler for an overflowing stack has
 * one.  Replaces none that is there already.
 * Errors: -ENOMEM.
 */
struct wf_altstack {
	void *memory; /* NULL: not ours */
};

int wf_altstack_begin(struct wf_altstack *a);
void wf_altstack_end(struct wf_altstack *a);

/*
 * Where the calling thread's own stack lies, for a sanitizer; 0 without one,
 * since libc allocates to find out, and at a thread's first time opens a file.
 */
void wf_thread_stack(void **bottom, size_t *size);

#endif
