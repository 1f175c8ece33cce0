/* SPDX-License-Identifier: MIT */
/*
 * thread.h - ordinary threads beside a runtime, for what has to be called off
 * a fiber.  A fiber that waits for one parks: its worker goes on meanwhile.
 */
#ifndef T_THREAD_H
#define T_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "support/t.h"

#include "core/self.h"
#include "core/waiter.h"

struct t_thread {
	pthread_t id;
	void *(*fn)(void *);
	void *arg;
	struct weft_fiber *waiter; /* NULL: not a fiber */
	_Atomic bool ended;
};

static inline void *t_thread_main(void *arg)
{
	struct t_thread *t = arg;

	T_CHECK(t->fn(t->arg) == NULL);
	atomic_store(&t->ended, true);
	if (t->waiter)
		wf_unpark(t->waiter);
	return NULL;
}

static inline void t_thread_begin(struct t_thread *t, void *(*fn)(void *),
				  void *arg)
{
	t->fn = fn;
	t->arg = arg;
	t->waiter = wf_self();
	atomic_store(&t->ended, false);
	T_CHECK(pthread_create(&t->id, NULL, t_thread_main, t) == 0);
}

/* Wait for it.  Context: whoever has begun it. */
static inline void t_thread_end(struct t_thread *t)
{
	while (t->waiter && !atomic_load(&t->ended))
		wf_park(t->waiter, WEFT_FOREVER);
	pthread_join(t->id, NULL);
}

/* Run fn(arg), which returns NULL, on a thread of its own. */
static inline void t_on_thread(void *(*fn)(void *), void *arg)
{
	struct t_thread t;

	t_thread_begin(&t, fn, arg);
	t_thread_end(&t);
}

#endif
