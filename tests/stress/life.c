/* SPDX-License-Identifier: MIT */
/*
 * life.c - plays about fibers: made, joined, left alone, cancelled, shielded,
 * pinned, stuck.
 */
#include "crew.h"
#include "play.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* --- families --- */

#define CHILDREN 6

struct parent {
	uint64_t random;
	unsigned depth;
	uintptr_t size; /* of the tree below, itself included */
};

/* A tree of random shape counts itself. */
static void *be_parent(void *arg)
{
	struct parent *p = arg, child[CHILDREN];
	struct task tasks[CHILDREN];
	unsigned n =
		p->depth ? (unsigned)stress_below(&p->random, CHILDREN + 1) : 0;

	p->size = 1;
	for (unsigned i = 0; i < n; i++) {
		child[i] = (struct parent){stress_random(&p->random),
					   p->depth - 1, 0};
		task_start(&tasks[i], NULL, be_parent, &child[i]);
	}
	if (stress_once_in(&p->random, 4))
		weft_yield();
	for (unsigned i = n; i--;) {
		MUST(task_end(&tasks[i]) == &child[i]);
		p->size += child[i].size;
	}
	return p;
}

void play_family(uint64_t *random)
{
	struct parent root = {stress_random(random), 3, 0};

	MUST(be_parent(&root) == &root);
	MUST(root.size >= 1 && root.size <= 1 + 6 + 36 + 216);
	COUNT("families");
}

static void *exit_early(void *arg)
{
	weft_yield();
	crew_exit(arg);
}

void play_exit(uint64_t *random)
{
	void *result = (void *)(uintptr_t)stress_random(random);
	struct task t;

	task_start(&t, NULL, exit_early, result);
	MUST(task_end(&t) == result);
	COUNT("early exits");
}

static void *be_alone(void *arg)
{
	uint64_t random = (uintptr_t)arg;
	int r;

	if (stress_once_in(&random, 2))
		weft_yield();
	r = weft_sleep((weft_time)stress_below(&random, 200000));
	MUST_BE(r, r == 0 || stopped(r));
	COUNT("detached fibers");
	return NULL;
}

void play_detached(uint64_t *random)
{
	void *arg = (void *)(uintptr_t)stress_random(random);
	struct weft_fiber *f;

	crew_spawn(NULL, be_alone, arg);
	crew_spawn(&f, be_alone, arg);
	MUST(weft_detach(f) == 0);
}

/* --- cancelled in every kind of wait --- */

struct victim {
	int fd; /* on which nothing comes */
	unsigned way;
	struct weft_fiber *endless;
	int end; /* on which something comes for the endless one */
};

/* A stop does not reach it: whoever joins it must not get it. */
static void *be_endless(void *arg)
{
	struct victim *v = arg;
	uint64_t value;

	MUST(weft_shield() == 0);
	MUST(weft_read(v->end, &value, sizeof value) == sizeof value);
	MUST(weft_unshield() == 0);
	return v;
}

static void end_endless(struct victim *v, struct task *endless)
{
	uint64_t one = 1;

	MUST(write(v->end, &one, sizeof one) == sizeof one);
	MUST(task_end(endless) == v);
	MUST(weft_close(v->end) == 0);
}

static int wait_in_vain(struct victim *v)
{
	struct pollfd p = {.fd = v->fd, .events = POLLIN};
	uint64_t value;

	switch (v->way) {
	case 0:
		return weft_sleep_until(WEFT_FOREVER);
	case 1:
		return (int)weft_read(v->fd, &value, sizeof value);
	case 2:
		return weft_poll(&p, 1);
	case 3:
		return weft_join(v->endless, NULL);
	case 4:
		return (int)weft_read_until(v->fd, &value, sizeof value,
					    weft_after(WEFT_SEC(1000)));
	default:
		return weft_sleep(WEFT_SEC(1000));
	}
}

/* Once cancelled, it stays so, and what need not wait says it too. */
static void *be_victim(void *arg)
{
	struct victim *v = arg;
	uint64_t value;
	int r = wait_in_vain(v);

	MUST_BE(r, r == -ECANCELED);
	MUST(weft_cancelled());
	MUST(weft_sleep(0) == -ECANCELED);
	MUST(weft_read(v->fd, &value, sizeof value) == -ECANCELED);
	return v;
}

void play_cancel(uint64_t *random)
{
	struct victim v = {.fd = eventfd(0, EFD_CLOEXEC),
			   .end = eventfd(0, EFD_CLOEXEC),
			   .way = (unsigned)stress_below(random, 6)};
	struct task endless, victim;

	MUST(v.fd >= 0 && v.end >= 0);
	task_start(&endless, NULL, be_endless, &v);
	v.endless = endless.fiber;
	task_start(&victim, NULL, be_victim, &v);
	for (uint64_t n = stress_below(random, 4); n; n--)
		weft_yield();
	weft_cancel(victim.fiber);
	MUST(task_end(&victim) == &v);
	end_endless(&v, &endless);
	MUST(weft_close(v.fd) == 0);
	COUNT("cancels");
}

/* A cancel does not reach it before it has read what it waits for. */
static void *be_shielded(void *arg)
{
	struct victim *v = arg;
	uint64_t value = 0;
	ssize_t n;

	MUST(weft_shield() == 0);
	n = weft_read(v->fd, &value, sizeof value);
	MUST_BE(n, n == sizeof value && value == 7);
	MUST(!weft_cancelled());
	MUST(weft_unshield() == 0);
	return wait_in_vain(v) == -ECANCELED ? v : NULL;
}

void play_shield(uint64_t *random)
{
	struct victim v = {.fd = eventfd(0, EFD_CLOEXEC),
			   .way = (unsigned)stress_below(random, 3)};
	uint64_t value = 7;
	struct task victim;

	MUST(v.fd >= 0);
	task_start(&victim, NULL, be_shielded, &v);
	if (stress_once_in(random, 2))
		weft_yield();
	weft_cancel(victim.fiber);
	if (stress_once_in(random, 2))
		weft_yield();
	MUST(write(v.fd, &value, sizeof value) == sizeof value);
	MUST(task_end(&victim) == &v);
	MUST(weft_close(v.fd) == 0);
	COUNT("shielded reads");
}

/* --- time and place --- */

void play_sleep(uint64_t *random)
{
	weft_time deadline = weft_after((weft_time)stress_below(
		random, (uint64_t)1 << stress_below(random, 22)));
	int r = weft_sleep_until(deadline);

	if (stopped(r))
		return;
	MUST_BE(r, r == 0);
	MUST(weft_now() >= deadline);
	COUNT("sleeps");
}

void play_yield(uint64_t *random)
{
	int worker = weft_worker(), now;
	uint64_t moves = 0;

	for (uint64_t n = stress_below(random, 500); n; n--) {
		weft_yield();
		now = weft_worker();
		MUST(now >= 0 && now < (int)weft_workers());
		moves += now != worker;
		worker = now;
	}
	COUNT("storms of yields");
	COUNT_N("migrations", moves);
}

static void stay(int worker, uint64_t *random)
{
	for (uint64_t n = stress_below(random, 50); n; n--) {
		weft_yield();
		MUST_BE(weft_worker(), weft_worker() == worker);
	}
	weft_sleep((weft_time)stress_below(random, 100000));
	MUST_BE(weft_worker(), weft_worker() == worker);
}

struct pinned {
	uint64_t random;
	int worker;
};

static void *be_pinned(void *arg)
{
	struct pinned *p = arg;

	MUST_BE(weft_worker(), weft_worker() == p->worker);
	stay(p->worker, &p->random);
	return p;
}

void play_pin(uint64_t *random)
{
	struct pinned p = {stress_random(random),
			   (int)stress_below(random, weft_workers())};
	struct weft_attr attr = {.pin = 1 + (unsigned)p.worker};
	struct task t;

	task_start(&t, &attr, be_pinned, &p);
	MUST(weft_pin() == 0);
	stay(weft_worker(), random);
	MUST(weft_unpin() == 0);
	MUST(task_end(&t) == &p);
	COUNT("pins");
}

/* --- locals --- */

static struct weft_local local;
static _Atomic uint64_t locals_set, locals_destroyed;

/* It may wait, as it is shielded. */
static void destroy_local(void *value)
{
	int r = weft_sleep(1000);

	MUST_BE(r, r == 0);
	free(value);
	atomic_fetch_add(&locals_destroyed, 1);
}

static void *have_local(void *arg)
{
	uint64_t *value = malloc(sizeof *value);

	MUST(value && !weft_local_get(&local));
	*value = (uintptr_t)arg;
	MUST(weft_local_set(&local, value) == 0);
	atomic_fetch_add(&locals_set, 1);
	weft_yield();
	MUST(weft_local_get(&local) == value && *value == (uintptr_t)arg);
	return NULL;
}

void play_local(uint64_t *random)
{
	struct task t[3];

	for (int i = 0; i < 3; i++)
		task_start(&t[i], NULL, have_local,
			   (void *)(uintptr_t)stress_random(random));
	for (int i = 0; i < 3; i++)
		task_end(&t[i]);
	COUNT_N("locals", 3);
}

void play_local_begin(void)
{
	MUST(weft_local_create(&local, destroy_local) == 0);
}

void play_local_end(void)
{
	MUST(locals_set == locals_destroyed);
	MUST(weft_local_delete(&local) == 0);
}

/* --- the pool, and what should have used it --- */

static void block_raw(weft_time delay)
{
	struct timespec t = {.tv_nsec = delay};

	syscall(SYS_nanosleep, &t, NULL);
}

static void *compute(void *arg)
{
	uint64_t *n = arg;

	if (*n % 4 == 0)
		block_raw(WEFT_USEC(*n % 1000));
	*n = stress_mix(*n);
	return n;
}

void play_blocking(uint64_t *random)
{
	uint64_t before = stress_random(random), n = before;
	weft_time deadline =
		stress_once_in(random, 2)
			? WEFT_FOREVER
			: weft_after(WEFT_USEC(stress_below(random, 500)));
	void *result = NULL;
	int r = weft_blocking_until(compute, &n, &result, deadline);

	if (r == 0) {
		MUST(result == &n && n == stress_mix(before));
		COUNT("calls of the pool");
		return;
	}
	MUST_BE(r, stopped(r) || r == -ETIMEDOUT);
	MUST(n == before && !result);
	COUNT("calls withdrawn from the pool");
}

/* What a fiber should not do: keep its worker, in the kernel or computing. */
void play_stuck(uint64_t *random)
{
	weft_time length = WEFT_MSEC(stress_below(random, 15));
	weft_time end = weft_after(length);
	volatile uint64_t n = 0;

	if (!stress_once_in(random, 20))
		return;
	if (stress_once_in(random, 2))
		block_raw(length);
	while (weft_now() < end)
		n = stress_mix(n);
	COUNT("stuck fibers");
}

/* --- from outside --- */

static void *same(void *arg)
{
	weft_yield();
	return arg;
}

/* An ordinary thread cannot be shielded: a stop leaves it with the handle. */
static void *join_outside(void *arg)
{
	struct weft_fiber *f;
	void *result = NULL;
	int r;

	MUST(!weft_self() && weft_worker() == -EPERM);
	crew_spawn(&f, same, arg);
	r = weft_join(f, &result);
	if (stopped(r)) {
		MUST(weft_detach(f) == 0);
		return arg;
	}
	MUST_BE(r, r == 0);
	r = weft_sleep(1000);
	MUST_BE(r, r == 0 || stopped(r));
	COUNT("joins from outside");
	return result;
}

void play_outside(uint64_t *random)
{
	struct task t;

	if (task_start_on_thread(&t, join_outside, random))
		MUST(task_end(&t) == random);
}

/* --- looking at all of it --- */

/* Each fiber that sleeps is held for a moment, and goes on. */
void play_look(uint64_t *random)
{
	struct weft_counts counts = {0};
	int fd, r;

	MUST(weft_stats(&counts) == 0);
	MUST(counts.fibers && counts.workers == weft_workers());
	COUNT("looks");
	if (!stress_once_in(random, 10))
		return;
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	MUST(fd >= 0);
	r = weft_dump(fd);
	MUST_BE(r, r == 0);
	MUST(close(fd) == 0);
	COUNT("dumps");
}
