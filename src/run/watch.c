/* SPDX-License-Identifier: MIT */
/*
 * watch.c - see watch.h.
 */
#include "run/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/self.h"
#include "os/feature.h"
#include "os/futex.h"
#include "os/thread.h"
#include "run/worker.h"

#define GIVEN     1u
#define DISMISSED 2u

struct thread {
	struct wf_carrier carrier;
	struct wf_link link; /* of all threads; under the lock */
	struct wf_link spare_link;
	bool spare;             /* under the lock */
	_Atomic uint32_t given; /* see watch.h */
	pthread_t id;
	bool own; /* not the caller of weft_run() */
};

static struct wf_spin lock;
static struct wf_list threads, spares;
static sigset_t callers_mask;
static pthread_t watch;
static _Atomic uint32_t watch_over;
static struct thread *first; /* of the caller of weft_run() */

/* --- one carrier --- */

static void give(struct thread *t, struct wf_worker *w)
{
	t->carrier.worker = w;
	w->carrier = &t->carrier;
	/* release [worker-given] */
	atom_store_rel(&t->given, GIVEN);
	wf_futex_wake(&t->given, 1);
}

static void become_spare(struct thread *t)
{
	t->carrier.worker = NULL;
	atom_store_rlx(&t->carrier.lost, 0);
	atom_store_rlx(&t->given, wf_worker_over() ? DISMISSED : 0);
	spin_lock(&lock);
	t->spare = true;
	list_push(&spares, &t->spare_link);
	spin_unlock(&lock);
}

/* False: the runtime is over. */
static bool await_worker(struct thread *t)
{
	uint32_t given;

	/* acquire [worker-given] */
	while (!(given = atom_load_acq(&t->given)) && !wf_worker_over())
		wf_futex_wait(&t->given, 0, WEFT_FOREVER);
	return given == GIVEN;
}

static void carry(struct thread *t)
{
	struct weft_fiber *loop = &t->carrier.loop;
	struct wf_altstack altstack;
	void *bottom;
	size_t size;

	wf_thread_stack(&bottom, &size);
	san_adopt(&loop->life->san, bottom, size);
	loop->ctx.base = wf_base_get();
	t->carrier.tid = wf_thread_id();
	if (wf_altstack_begin(&altstack) < 0)
		wf_say("no memory to report stack overflows from one thread");
	while (await_worker(t) && !wf_worker_run(&t->carrier))
		become_spare(t);
	wf_altstack_end(&altstack);
}

static void *main_of_thread(void *arg)
{
	struct thread *t = arg;

	/* Not the mask of whoever has asked for a takeover. */
	wf_signals_block(NULL);
	wf_thread_name("weft");
	carry(t);
	return NULL;
}

static struct thread *thread_new(bool own)
{
	struct thread *t = aligned_alloc(WF_CACHE_LINE, sizeof *t);

	if (!t)
		return NULL;
	memset(t, 0, sizeof *t);
	t->own = own;
	atom_store_rlx(&t->carrier.loop.kind, WF_LOOP);
	t->carrier.loop.life = &t->carrier.loop_life;
	t->carrier.loop.carrier = &t->carrier;
	t->carrier.loop.deadline = WEFT_FOREVER;
	t->carrier.fence = !wf_feature(WF_MEMBARRIER);
	t->carrier.budget = WF_BUDGET;
	spin_lock(&lock);
	list_push(&threads, &t->link);
	spin_unlock(&lock);
	return t;
}

static void thread_free(struct thread *t)
{
	spin_lock(&lock);
	list_remove(&threads, &t->link);
	spin_unlock(&lock);
	free(t);
}

/* A thread without a worker yet; NULL and the reason in `error`. */
static struct thread *thread_make(int *error)
{
	struct thread *t = thread_new(true);

	if (!t) {
		*error = -ENOMEM;
		return NULL;
	}
	*error = wf_thread_start(&t->id, main_of_thread, t);
	if (*error < 0) {
		thread_free(t);
		return NULL;
	}
	return t;
}

/* --- takeover --- */

static struct thread *spare_take(void)
{
	struct wf_link *n;
	struct thread *t = NULL;

	spin_lock(&lock);
	n = list_pop(&spares);
	if (n) {
		t = container_of(n, struct thread, spare_link);
		t->spare = false;
	}
	spin_unlock(&lock);
	return t;
}

static void spare_put(struct thread *t)
{
	spin_lock(&lock);
	t->spare = true;
	list_push(&spares, &t->spare_link);
	spin_unlock(&lock);
}

int wf_watch_takeover(struct wf_worker *w)
{
	struct thread *t = spare_take();
	int error = 0;

	if (!t)
		t = thread_make(&error);
	if (!t)
		return error;
	if (!wf_carrier_take(w->carrier)) {
		spare_put(t);
		return -EBUSY;
	}
	give(t, w);
	return 0;
}

/* --- beginning and end --- */

static void *main_of_watch(void *unused)
{
	(void)unused;
	wf_thread_name("weft-watch");
	wf_signals_restore(&callers_mask);
	while (!atom_load_rlx(&watch_over))
		wf_futex_wait(&watch_over, 0, WEFT_FOREVER);
	return NULL;
}

static void dismiss(void)
{
	spin_lock(&lock);
	list_for_each (n, &threads) {
		struct thread *t = container_of(n, struct thread, link);
		uint32_t none = 0;

		atom_cas_rlx(&t->given, &none, DISMISSED);
		wf_futex_wake(&t->given, 1);
	}
	spin_unlock(&lock);
}

/* Under the lock: the one who ended the runtime may still be dismissing. */
static struct thread *thread_take(void)
{
	struct wf_link *n;

	spin_lock(&lock);
	n = list_pop(&threads);
	spin_unlock(&lock);
	return n ? container_of(n, struct thread, link) : NULL;
}

static void join_all(void)
{
	struct thread *t;

	atom_store_rlx(&watch_over, 1);
	wf_futex_wake(&watch_over, 1);
	wf_thread_join(watch);
	dismiss();
	while ((t = thread_take())) {
		if (t->own)
			wf_thread_join(t->id);
		free(t);
	}
	spares = (struct wf_list){0};
	wf_signals_restore(&callers_mask);
}

static int start_threads(void)
{
	struct thread *t;
	int r = 0;

	for (uint32_t i = 1; i < wf_runtime.count; i++) {
		t = thread_make(&r);
		if (!t)
			return r;
		give(t, &wf_runtime.workers[i]);
	}
	return 0;
}

int wf_watch_begin(void)
{
	int r;

	wf_worker_at_over = dismiss;
	atom_store_rlx(&watch_over, 0);
	first = thread_new(false);
	if (!first)
		return -ENOMEM;
	wf_signals_block(&callers_mask);
	r = wf_thread_start(&watch, main_of_watch, NULL);
	if (r < 0) {
		wf_signals_restore(&callers_mask);
		thread_free(first);
		return r;
	}
	give(first, &wf_runtime.workers[0]);
	r = start_threads();
	if (r < 0) {
		wf_worker_finish();
		join_all();
	}
	return r;
}

void wf_watch_carry(void)
{
	carry(first);
}

void wf_watch_end(void)
{
	join_all();
}

void wf_watch_forget(void)
{
	lock = (struct wf_spin){0};
	threads = spares = (struct wf_list){0};
}
