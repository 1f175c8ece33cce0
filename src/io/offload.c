/* SPDX-License-Identifier: MIT */
/*
 * offload.c - see offload.h.
 */
#include "io/offload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/spin.h"
#include "core/self.h"
#include "core/wait.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/thread.h"

#define IDLE_LIMIT WEFT_SEC(10)

struct job {
	struct wf_link link; /* in the list until a thread begins it */
	weft_fn fn;
	void *arg;
	void *result;
	int error; /* no thread could be made */
	bool done; /* under the lock */
	struct wf_wait wait;
	struct wf_node node;
};

struct worker {
	struct wf_link link;
	pthread_t id;
};

/* The lock guards all but the futex. */
static struct {
	struct wf_spin lock;
	struct wf_list jobs;
	struct wf_list ended; /* struct worker, to be joined */
	unsigned threads, idle, queued, limit;
	bool over;
	_Atomic uint32_t calls; /* the futex: grows with each job */
} pool;

/* --- a thread of the pool --- */

static void finish(struct job *j, void *result)
{
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	spin_lock(&pool.lock);
	j->result = result;
	j->done = true;
	wait_claim(&j->node, &wakes);
	spin_unlock(&pool.lock);
	wf_wakes_fire(&wakes, NULL);
}

/* Idle until there is a call; false after too long. */
static bool idle(uint32_t calls)
{
	int r = wf_futex_wait(&pool.calls, calls,
			      wf_time_add(wf_clock_now(), IDLE_LIMIT));

	return r != -ETIMEDOUT;
}

/* A job; NULL, and the thread only to be joined any more, when it should end.
 */
static struct job *next_job(struct worker *me)
{
	struct wf_link *n;
	bool patient = true;

	spin_lock(&pool.lock);
	while (!(n = list_pop(&pool.jobs)) && !pool.over && patient) {
		uint32_t calls = atom_load_rlx(&pool.calls);

		pool.idle++;
		spin_unlock(&pool.lock);
		patient = idle(calls);
		spin_lock(&pool.lock);
		pool.idle--;
	}
	if (!n) {
		pool.threads--;
		list_push(&pool.ended, &me->link);
	}
	pool.queued -= n != NULL;
	spin_unlock(&pool.lock);
	return n ? container_of(n, struct job, link) : NULL;
}

static void *main_of_pool(void *arg)
{
	struct worker *me = arg;
	struct wf_altstack altstack;
	struct job *j;

	wf_thread_name("weft-pool");
	wf_signals_block(NULL);
	wf_altstack_begin(&altstack);
	while ((j = next_job(me)))
		finish(j, j->fn(j->arg));
	wf_altstack_end(&altstack);
	atom_add_rlx(&pool.calls, 1);
	wf_futex_wake(&pool.calls, INT32_MAX);
	return NULL;
}

static void join_ended(void)
{
	struct wf_link *n;

	for (;;) {
		struct worker *w;

		spin_lock(&pool.lock);
		n = list_pop(&pool.ended);
		spin_unlock(&pool.lock);
		if (!n)
			return;
		w = container_of(n, struct worker, link);
		wf_thread_join(w->id);
		free(w);
	}
}

static int start_thread(void)
{
	struct worker *w = malloc(sizeof *w);
	int r;

	join_ended();
	if (!w)
		return -EAGAIN;
	r = wf_thread_start(&w->id, main_of_pool, w);
	if (r < 0)
		free(w);
	return r;
}

/* --- who waits for a job --- */

static void wake_one(void)
{
	atom_add_rlx(&pool.calls, 1);
	wf_futex_wake(&pool.calls, 1);
}

/* A thread could not be made: others serve the jobs, or nobody does. */
static void give_up_thread(void)
{
	struct wf_wakes wakes;
	struct wf_link *n;

	wakes_begin(&wakes);
	spin_lock(&pool.lock);
	if (--pool.threads == 0) {
		while ((n = list_pop(&pool.jobs))) {
			struct job *j = container_of(n, struct job, link);

			pool.queued--;
			j->error = -EAGAIN;
			j->done = true;
			wait_claim(&j->node, &wakes);
		}
	}
	spin_unlock(&pool.lock);
	wf_wakes_fire(&wakes, NULL);
}

static void submit(struct job *j)
{
	bool more;

	spin_lock(&pool.lock);
	list_push(&pool.jobs, &j->link);
	pool.queued++;
	more = pool.queued > pool.idle && pool.threads < pool.limit;
	if (more)
		pool.threads++;
	spin_unlock(&pool.lock);
	if (more && start_thread() < 0)
		give_up_thread();
	else
		wake_one();
}

static void begin_wait(struct job *j, struct weft_fiber *me)
{
	wait_begin(&j->wait, me, "blocking call", (uintptr_t)j->fn);
}

/* After giving up: true if nobody has begun the job; else wait on. */
static bool withdraw(struct job *j, struct weft_fiber *me)
{
	bool out, done;

	spin_lock(&pool.lock);
	out = list_remove(&pool.jobs, &j->link);
	pool.queued -= out;
	done = j->done;
	if (!out && !done)
		begin_wait(j, me);
	spin_unlock(&pool.lock);
	if (!out && !done)
		wf_wait_sleep(&j->wait, WEFT_FOREVER, true);
	return out;
}

static int run_in_pool(struct job *j, struct weft_fiber *me, weft_time deadline)
{
	int r = wait_allowed(me);

	if (r < 0)
		return r;
	begin_wait(j, me);
	j->node.wait = &j->wait;
	submit(j);
	r = wf_wait_sleep(&j->wait, wait_deadline(me, deadline), false);
	return r < 0 && withdraw(j, me) ? r : j->error;
}

int wf_offload_run(weft_fn fn, void *arg, void **result, weft_time deadline)
{
	struct weft_fiber *self = wf_self();
	struct job j = {.fn = fn, .arg = arg};
	int r = 0;

	if (self)
		r = run_in_pool(&j, self, deadline);
	else
		j.result = fn(arg);
	if (r == 0 && result)
		*result = j.result;
	return r;
}

long wf_offload_call(weft_fn fn, void *arg, weft_time deadline)
{
	void *result;
	int r = wf_offload_run(fn, arg, &result, deadline);

	if (r < 0)
		return r == -EAGAIN ? -ENOMEM : r;
	return (long)result;
}

int weft_blocking_until(weft_fn fn, void *arg, void **result,
			weft_time deadline)
{
	return fn ? wf_offload_run(fn, arg, result, deadline) : -EINVAL;
}

int weft_blocking(weft_fn fn, void *arg, void **result)
{
	return weft_blocking_until(fn, arg, result, WEFT_FOREVER);
}

/* --- beginning and end --- */

void wf_offload_begin(unsigned threads)
{
	pool.limit = threads;
	pool.over = false;
}

void wf_offload_end(void)
{
	spin_lock(&pool.lock);
	pool.over = true;
	spin_unlock(&pool.lock);
	for (;;) {
		uint32_t calls = atom_load_rlx(&pool.calls);
		bool gone;

		spin_lock(&pool.lock);
		gone = pool.threads == 0;
		spin_unlock(&pool.lock);
		if (gone)
			break;
		atom_add_rlx(&pool.calls, 1);
		wf_futex_wake(&pool.calls, INT32_MAX);
		wf_futex_wait(&pool.calls, calls + 1, WEFT_FOREVER);
	}
	join_ended();
}

void wf_offload_forget(void)
{
	memset(&pool, 0, sizeof pool);
}

unsigned wf_offload_threads(void)
{
	unsigned n;

	spin_lock(&pool.lock);
	n = pool.threads;
	spin_unlock(&pool.lock);
	return n;
}
