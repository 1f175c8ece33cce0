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
#include "run/sample.h"
#include "run/trace.h"
#include "run/worker.h"

#define GIVEN     1u
#define DISMISSED 2u

struct thread {
	struct wf_carrier carrier;
	struct wf_link link;      /* of all threads; under the lock */
	struct wf_link idle_link; /* of spares, ended, or unused; the same */
	_Atomic uint32_t given;   /* see watch.h */
	pthread_t id;
	bool own;     /* not the caller of weft_run() */
	bool started; /* there is a thread to be joined */
};

static struct wf_spin lock;
static struct wf_list threads;
static struct wf_list spares; /* sleep until they are given a worker */
static struct wf_list ended;  /* to be joined */
static struct wf_list unused; /* have been; whoever looks late finds them */
static _Atomic uint32_t spare_count;
static struct thread *first;       /* of the caller of weft_run() */
static _Atomic uint32_t lost;      /* threads whose worker has been taken */
static _Atomic uint32_t computing; /* of those */
static _Atomic uint64_t takeovers;
static _Atomic uint64_t blocked; /* of those */
static _Atomic bool taking;      /* atomic: somebody is in wf_watch_take() */

static void put(struct wf_list *l, struct thread *t)
{
	spin_lock(&lock);
	list_push(l, &t->idle_link);
	spin_unlock(&lock);
}

static struct thread *take(struct wf_list *l)
{
	struct wf_link *n;

	spin_lock(&lock);
	n = list_pop(l);
	spin_unlock(&lock);
	return n ? container_of(n, struct thread, idle_link) : NULL;
}

/* --- one carrier --- */

static void give(struct thread *t, struct wf_worker *w)
{
	t->carrier.worker = w;
	/* release [carrier-seen] */
	atom_store_rel(&w->carrier, &t->carrier);
	/* release [worker-given] */
	atom_store_rel(&t->given, GIVEN);
	wf_futex_wake(&t->given, 1);
}

static void spare_put(struct thread *t)
{
	atom_add_rlx(&spare_count, 1);
	put(&spares, t);
}

/* False: there are enough, and the thread ends. */
static bool become_spare(struct thread *t)
{
	t->carrier.worker = NULL;
	atom_store_rlx(&t->carrier.lost, 0);
	atom_store_rlx(&t->given, wf_worker_over() ? DISMISSED : 0);
	atom_sub_rlx(&lost, 1);
	atom_sub_rlx(&computing, t->carrier.computes);
	t->carrier.computes = false;
	wf_trace_freed(&t->carrier);
	if (t->own && atom_load_rlx(&spare_count) >= wf_runtime.count) {
		put(&ended, t);
		return false;
	}
	spare_put(t);
	return true;
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
	atom_store_rlx(&t->carrier.tid, wf_thread_id());
	if (wf_altstack_begin(&altstack) < 0)
		wf_say("no memory to report stack overflows from one thread");
	sigaltstack(NULL, &t->carrier.altstack);
	if (wf_sample_there())
		wf_sample_unblock();
	while (await_worker(t) && !wf_worker_run(&t->carrier))
		if (!become_spare(t))
			break;
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
	wf_carrier_begin(&t->carrier);
	t->carrier.fence = !wf_feature(WF_MEMBARRIER);
	spin_lock(&lock);
	list_push(&threads, &t->link);
	spin_unlock(&lock);
	return t;
}

/* A thread without a worker yet; NULL and the reason in `error`. */
static struct thread *thread_make(int *error)
{
	struct thread *t = take(&unused);

	if (!t)
		t = thread_new(true);
	if (!t) {
		*error = -ENOMEM;
		return NULL;
	}
	*error = wf_thread_start(&t->id, main_of_thread, t);
	t->started = *error == 0;
	if (!t->started) {
		put(&unused, t);
		return NULL;
	}
	return t;
}

/* --- takeover --- */

static struct thread *spare_take(void)
{
	struct thread *t = take(&spares);

	if (t)
		atom_sub_rlx(&spare_count, 1);
	return t;
}

/* Whoever looks at a carrier late still finds one. */
static void join_ended(void)
{
	struct thread *t;

	while ((t = take(&ended))) {
		wf_thread_join(t->id);
		t->started = false;
		/* The next one's, once it has begun. */
		atom_store_rlx(&t->carrier.tid, 0);
		put(&unused, t);
	}
}

static int take_over(struct wf_worker *w, bool computes)
{
	struct wf_carrier *c = atom_load_rlx(&w->carrier);
	struct thread *t;
	int error = 0;

	join_ended();
	t = spare_take();
	if (!t)
		t = thread_make(&error);
	if (!t)
		return error;
	c->computes = computes;
	if (!wf_carrier_take(c)) {
		c->computes = false;
		spare_put(t);
		return -EBUSY;
	}
	atom_add_rlx(&lost, 1);
	atom_add_rlx(&computing, computes);
	atom_add_rlx(&takeovers, 1);
	atom_add_rlx(&blocked, !computes);
	give(t, w);
	return 0;
}

int wf_watch_take(struct wf_worker *w, bool computes)
{
	int r;

	/* acquire [one-taker] */
	if (atom_swap_acq(&taking, true))
		return -EBUSY;
	r = take_over(w, computes);
	/* release [one-taker] */
	atom_store_rel(&taking, false);
	return r;
}

uint32_t wf_watch_lost(void)
{
	return atom_load_rlx(&lost);
}

uint32_t wf_watch_computing(void)
{
	return atom_load_rlx(&computing);
}

uint64_t wf_watch_takeovers(void)
{
	return atom_load_rlx(&takeovers);
}

uint64_t wf_watch_blocked(void)
{
	return atom_load_rlx(&blocked);
}

/* --- where fibers run --- */

static int worker_of(const struct wf_carrier *c)
{
	for (uint32_t i = 0; i < wf_runtime.count; i++)
		if (atom_load_rlx(&wf_runtime.workers[i].carrier) == c)
			return (int)i;
	return -1;
}

bool wf_watch_finds(const struct wf_carrier *c, const struct weft_fiber *f,
		    struct wf_place *place)
{
	bool found = false;

	spin_lock(&lock);
	list_for_each (n, &threads) {
		struct thread *t = container_of(n, struct thread, link);

		if (&t->carrier != c)
			continue;
		found = atom_load_rlx(&t->carrier.running) == f;
		place->tid = atom_load_rlx(&t->carrier.tid);
	}
	spin_unlock(&lock);
	place->carrier = c;
	place->worker = found ? worker_of(c) : -1;
	return found;
}

/* --- beginning and end --- */

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

static void forget_lists(void)
{
	threads = spares = ended = unused = (struct wf_list){0};
	atom_store_rlx(&spare_count, 0);
}

static void join_all(void)
{
	struct thread *t;

	dismiss();
	while ((t = thread_take())) {
		if (t->started)
			wf_thread_join(t->id);
		free(t);
	}
	forget_lists();
	wf_signals_restore(&wf_runtime.mask);
}

static int start_threads(uint32_t i)
{
	struct thread *t;
	int r = 0;

	for (; i < wf_runtime.count; i++) {
		t = thread_make(&r);
		if (!t)
			return r;
		give(t, &wf_runtime.workers[i]);
	}
	return 0;
}

static int begin_carried(void)
{
	first = thread_new(false);
	if (!first)
		return -ENOMEM;
	give(first, &wf_runtime.workers[0]);
	return 0;
}

int wf_watch_begin(bool carried)
{
	int r;

	wf_worker_at_over = dismiss;
	atom_store_rlx(&takeovers, 0);
	atom_store_rlx(&blocked, 0);
	atom_store_rlx(&lost, 0);
	atom_store_rlx(&computing, 0);
	wf_signals_block(&wf_runtime.mask);
	r = carried ? begin_carried() : 0;
	if (r == 0)
		r = start_threads(carried);
	if (r < 0)
		wf_watch_cancel();
	return r;
}

void wf_watch_cancel(void)
{
	wf_worker_finish();
	join_all();
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
	forget_lists();
	atom_store_rlx(&taking, false);
}
