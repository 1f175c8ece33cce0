/* SPDX-License-Identifier: MIT */
/*
 * io.h - for tests of calls that wait: every place to call from, company that
 * fits the place, channels of every kind, and who waits on a descriptor.
 */
#ifndef T_IO_H
#define T_IO_H

#include <pthread.h>
#include <stdbool.h>

#include "support/t.h"
#include "support/waiters.h"
#include "weft.h"

/* Where calls that "any thread" may make are made from. */
enum t_way {
	T_FIBER,      /* a fiber of the only worker */
	T_FIBER_OF_2, /* a fiber of two workers */
	T_THREAD,     /* a thread beside a runtime */
	T_ALONE,      /* a thread without a runtime */
	T_WAYS,
};

/*
 * Run fn(arg) in one way or in each, and assert that it returns 0 and that no
 * T_CHECK has failed.
 *
 * Context: test body.
 */
void t_in_way(enum t_way way, int (*fn)(void *arg), void *arg);
void t_in_each_way(int (*fn)(void *arg), void *arg);

/* The same for those ways in which somebody else can end a wait. */
void t_on_fibers(int (*fn)(void *arg), void *arg);

/* Whether the caller has no runtime. */
bool t_alone(void);

/* Company: a fiber if the caller is one, else a thread. */
struct t_task {
	struct weft_fiber *fiber; /* NULL: a thread */
	pthread_t thread;
};

void t_task_start(struct t_task *t, void *(*fn)(void *arg), void *arg);
void *t_task_end(struct t_task *t);

/*
 * A descriptor of each kind that has two ends, in blocking mode: what is
 * written to fd[1] can be read from fd[0].
 */
struct t_kind {
	const char *name;
	int (*make)(int fd[2]); /* 0 or -1 */
	bool socket, both_ways, messages;
};

extern const struct t_kind t_kinds[];
extern const size_t t_kinds_count;

/* Until so many wait on the descriptor. */
void t_await_waiters(int fd, size_t n);

/* The flags of an open file, to see that nobody has changed them. */
int t_flags(int fd);

#endif
