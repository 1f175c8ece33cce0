/* SPDX-License-Identifier: MIT */
/*
 * crew.c - see crew.h.
 */
#include "crew.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/self.h"
#include "core/waiter.h"

#define HANDS 4

/* A thread, and what it has to do. */
struct hand {
	pthread_t thread;
	pthread_cond_t given;
	struct hand *next_free;    /* under the lock */
	struct task *task;         /* under the lock */
	void *result;              /* its task's, before `done` */
	struct weft_fiber *waiter; /* whoever gave it */
	_Atomic bool done;
};

static struct hand hands[HANDS];
static struct hand *free_hands;
static bool leaving;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t begun, ended;

/* --- fibers --- */

static void count_end(void)
{
	atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
	COUNT("fibers");
}

static void *counted(void *arg)
{
	struct task *t = arg;
	void *result = t->fn(t->arg);

	count_end();
	return result;
}

void crew_exit(void *result)
{
	count_end();
	weft_exit(result);
	stress_die("weft_exit() has returned");
}

void task_start(struct task *t, const struct weft_attr *attr, weft_fn fn,
		void *arg)
{
	int r;

	*t = (struct task){.fn = fn, .arg = arg};
	atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
	r = weft_spawn(&t->fiber, attr, counted, t);
	MUST_BE(r, r == 0);
}

static void *counted_alone(void *arg)
{
	struct task t = *(struct task *)arg;

	free(arg);
	return counted(&t);
}

void crew_spawn(struct weft_fiber **f, weft_fn fn, void *arg)
{
	struct task *t = malloc(sizeof *t);
	int r;

	MUST(t);
	*t = (struct task){.fn = fn, .arg = arg};
	atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
	r = weft_spawn(f, NULL, counted_alone, t);
	MUST_BE(r, r == 0);
}

void crew_check(void)
{
	uint64_t living = atomic_load(&begun) - atomic_load(&ended);

	MUST_BE(living, living == 0);
}

/* --- threads --- */

/* The next task, or NULL at the end. */
static struct task *take(struct hand *h)
{
	struct task *t;

	pthread_mutex_lock(&lock);
	while (!h->task && !leaving)
		pthread_cond_wait(&h->given, &lock);
	t = h->task;
	h->task = NULL;
	pthread_mutex_unlock(&lock);
	return t;
}

/* The task is over with `done`: nothing of it may be touched after that. */
static void *be_hand(void *arg)
{
	struct hand *h = arg;
	struct task *t;

	while ((t = take(h))) {
		struct weft_fiber *waiter = h->waiter;

		h->result = t->fn(t->arg);
		COUNT("tasks of threads");
		atomic_store(&h->done, true);
		wf_unpark(waiter);
	}
	return NULL;
}

static struct hand *take_free_hand(void)
{
	struct hand *h;

	pthread_mutex_lock(&lock);
	h = free_hands;
	if (h)
		free_hands = h->next_free;
	pthread_mutex_unlock(&lock);
	return h;
}

static void put_free_hand(struct hand *h)
{
	pthread_mutex_lock(&lock);
	h->next_free = free_hands;
	free_hands = h;
	pthread_mutex_unlock(&lock);
}

bool task_start_on_thread(struct task *t, weft_fn fn, void *arg)
{
	struct hand *h = take_free_hand();

	if (!h)
		return false;
	*t = (struct task){.fn = fn, .arg = arg, .hand = h};
	h->waiter = wf_self();
	atomic_store(&h->done, false);
	pthread_mutex_lock(&lock);
	h->task = t;
	pthread_cond_signal(&h->given);
	pthread_mutex_unlock(&lock);
	return true;
}

void task_start_anywhere(struct task *t, uint64_t *random, uint64_t n,
			 weft_fn fn, void *arg)
{
	if (!stress_once_in(random, n) || !task_start_on_thread(t, fn, arg))
		task_start(t, NULL, fn, arg);
}

static void *end_on_thread(struct hand *h)
{
	void *result;

	while (!atomic_load(&h->done))
		wf_park(h->waiter, WEFT_FOREVER);
	result = h->result;
	put_free_hand(h);
	return result;
}

void *task_end(struct task *t)
{
	void *result = NULL;
	int r;

	if (t->hand)
		return end_on_thread(t->hand);
	MUST(weft_shield() == 0);
	r = weft_join(t->fiber, &result);
	MUST_BE(r, r == 0);
	MUST(weft_unshield() == 0);
	return result;
}

void crew_begin(void)
{
	for (int i = 0; i < HANDS; i++) {
		MUST(pthread_cond_init(&hands[i].given, NULL) == 0);
		MUST(pthread_create(&hands[i].thread, NULL, be_hand,
				    &hands[i]) == 0);
		put_free_hand(&hands[i]);
	}
}

void crew_end(void)
{
	pthread_mutex_lock(&lock);
	leaving = true;
	for (int i = 0; i < HANDS; i++)
		pthread_cond_signal(&hands[i].given);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < HANDS; i++) {
		pthread_join(hands[i].thread, NULL);
		pthread_cond_destroy(&hands[i].given);
	}
	crew_check();
}
