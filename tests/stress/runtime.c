/* SPDX-License-Identifier: MIT */
/*
 * runtime.c - runtimes that begin and end while ordinary threads make fibers,
 * join and cancel them, sleep, read and write from outside, and try to begin
 * or to stop one themselves.
 *
 * One runtime is there at a time; every fiber that could be made has run when
 * all is over; no byte between two threads is lost, whatever becomes of the
 * runtime meanwhile; and no call fails but as it may.
 */
#include "stress.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define RUNNERS   2
#define OUTSIDERS 3

/* Threads of a phase, which lasts for up to half a second. */
static weft_time phase_end;
static bool stops; /* somebody stops runtimes in this phase */

static _Atomic uint64_t made, run;
static _Atomic bool running;

static bool on(void)
{
	return weft_now() < phase_end;
}

/* --- fibers --- */

static void *count_me(void *arg)
{
	atomic_fetch_add(&run, 1);
	return arg;
}

/* Also what has become of fibers that nobody waits for. */
static void *sleep_a_little(void *arg)
{
	int r = weft_sleep((weft_time)(uintptr_t)arg % 100000);

	MUST_BE(r, r == 0 || (stops && r == -ECANCELED));
	return count_me(arg);
}

/* Makes others until there are enough. */
static void *make_more(void *arg)
{
	uintptr_t n = (uintptr_t)arg;

	if (n) {
		atomic_fetch_add(&made, 1);
		MUST(weft_spawn(NULL, NULL, make_more, (void *)(n - 1)) == 0);
		weft_yield();
	}
	return count_me(arg);
}

static void make_some(uint64_t *random)
{
	weft_fn fn = stress_once_in(random, 2) ? sleep_a_little : make_more;

	for (uint64_t n = stress_below(random, 6); n; n--) {
		uintptr_t arg = stress_random(random);

		arg = fn == make_more ? arg % 5 : arg;
		atomic_fetch_add(&made, 1);
		MUST(weft_spawn(NULL, NULL, fn, (void *)arg) == 0);
	}
}

/* --- those who begin runtimes --- */

/* The first fiber; others may be left when it ends. */
static int first(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	int r;

	MUST(!atomic_exchange(&running, true));
	make_some(&random);
	if (stress_once_in(&random, 2)) {
		r = weft_sleep((weft_time)stress_below(&random, 2000000));
		MUST_BE(r, r == 0 || (stops && r == -ECANCELED));
	}
	make_some(&random);
	MUST(weft_run(NULL, first, arg) == -EBUSY);
	MUST(atomic_exchange(&running, false));
	return 7;
}

static void *begin_runtimes(void *unused)
{
	uint64_t random = stress_sequence();
	struct weft_options o = {0};

	while (on()) {
		int r;

		o.workers = 1 + (unsigned)stress_below(&random, 3);
		o.spin = stress_once_in(&random, 2) ? -1 : 0;
		r = weft_run(&o, first, &random);
		stress_random(&random);
		if (r == -EBUSY) {
			COUNT("runtimes refused");
			usleep((useconds_t)stress_below(&random, 200));
			continue;
		}
		MUST_BE(r, r == 7);
		COUNT("runtimes");
	}
	return unused;
}

/* --- those who come from outside --- */

/* A handle is good until it is joined or detached, runtime or not. */
static void give_up(struct weft_fiber *f, int r)
{
	MUST_BE(r, stops && r == -ECANCELED);
	MUST(weft_detach(f) == 0);
	COUNT("joins stopped");
}

static void spawn_and_join(uint64_t *random)
{
	void *arg = (void *)(uintptr_t)stress_random(random), *result = NULL;
	struct weft_fiber *f;
	int r = weft_spawn(&f, NULL, sleep_a_little, arg);

	if (r == -ESRCH) {
		COUNT("spawns without a runtime");
		return;
	}
	MUST_BE(r, r == 0);
	atomic_fetch_add(&made, 1);
	if (stress_once_in(random, 4))
		usleep((useconds_t)stress_below(random, 100));
	r = weft_join(f, &result);
	if (r < 0) {
		give_up(f, r);
		return;
	}
	MUST(result == arg);
	COUNT("joins");
}

static void *be_endless(void *arg)
{
	MUST(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return count_me(arg);
}

/* Nothing but the cancel lets it end, and the runtime with it. */
static void spawn_and_cancel(uint64_t *random)
{
	struct weft_fiber *f;
	int r = weft_spawn(&f, NULL, be_endless, random);

	if (r == -ESRCH)
		return;
	MUST_BE(r, r == 0);
	atomic_fetch_add(&made, 1);
	r = weft_join_until(f, NULL, weft_after(WEFT_USEC(20)));
	MUST_BE(r, r == -ETIMEDOUT || (stops && (r == -ECANCELED || r == 0)));
	if (r == 0)
		return;
	weft_cancel(f);
	r = weft_join(f, NULL);
	if (r < 0)
		give_up(f, r);
	COUNT("cancels");
}

static void spawn_detached(uint64_t *random)
{
	struct weft_fiber *f;
	void *arg = (void *)(uintptr_t)stress_random(random);
	int r = weft_spawn(&f, NULL, sleep_a_little, arg);

	if (r == -ESRCH)
		return;
	MUST_BE(r, r == 0);
	atomic_fetch_add(&made, 1);
	MUST(weft_detach(f) == 0);
	COUNT("detached");
}

static void sleep_outside(uint64_t *random)
{
	weft_time end = weft_after((weft_time)stress_below(random, 500000));
	int r = weft_sleep_until(end);

	if (stops && r == -ECANCELED)
		return;
	MUST_BE(r, r == 0);
	MUST(weft_now() >= end);
	COUNT("sleeps");
}

static void *double_it(void *arg)
{
	return (void *)((uintptr_t)arg * 2);
}

static void call_outside(uint64_t *random)
{
	uintptr_t n = stress_random(random) / 2;
	void *result;
	int r = weft_blocking(double_it, (void *)n, &result);

	MUST_BE(r, r == 0 || (stops && r == -ECANCELED));
	MUST(r < 0 || (uintptr_t)result == n * 2);
	MUST(weft_workers() <= 3 && weft_worker() == -EPERM);
	COUNT("calls");
}

static void stop_sometimes(uint64_t *random)
{
	if (!stops || !stress_once_in(random, 20))
		return;
	weft_stop();
	COUNT("stops");
}

static void *be_outsider(void *unused)
{
	static void (*const ways[])(uint64_t *) = {
		spawn_and_join, spawn_and_cancel, spawn_detached,
		sleep_outside,  call_outside,     stop_sometimes,
	};
	uint64_t random = stress_sequence();

	while (on())
		ways[stress_below(&random, 6)](&random);
	return unused;
}

/* --- two threads that talk to each other --- */

struct talk {
	int fd[2];
};

static bool repeat(ssize_t n)
{
	return stops && n == -ECANCELED;
}

static void *say(void *arg)
{
	struct talk *t = arg;
	uint64_t random = stress_sequence();

	for (uint64_t i = 0; on(); i++) {
		ssize_t n;

		while (repeat(n = weft_write(t->fd[1], &i, sizeof i)))
			;
		MUST_BE(n, n == sizeof i);
		if (stress_once_in(&random, 8))
			usleep((useconds_t)stress_below(&random, 100));
	}
	MUST(shutdown(t->fd[1], SHUT_WR) == 0);
	return NULL;
}

static void *hear(void *arg)
{
	struct talk *t = arg;
	uint64_t i, expected = 0;
	ssize_t n;

	do {
		while (repeat(n = weft_read(t->fd[0], &i, sizeof i)))
			;
		MUST_BE(n, n == sizeof i || n == 0);
		MUST(n == 0 || i == expected++);
	} while (n);
	COUNT_N("words", expected);
	return NULL;
}

/* --- phases --- */

static void talk_begin(struct talk *t)
{
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t->fd) == 0);
}

static void talk_end(struct talk *t)
{
	for (int i = 0; i < 2; i++)
		MUST(weft_close(t->fd[i]) == 0);
}

static void start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	MUST(pthread_create(thread, NULL, fn, arg) == 0);
}

static void phase(uint64_t *random)
{
	pthread_t threads[RUNNERS + OUTSIDERS + 2];
	struct talk t;
	int n = 0;

	phase_end = weft_after((weft_time)stress_below(random, 500000000));
	stops = stress_once_in(random, 2);
	talk_begin(&t);
	while (n < RUNNERS)
		start(&threads[n++], begin_runtimes, NULL);
	while (n < RUNNERS + OUTSIDERS)
		start(&threads[n++], be_outsider, NULL);
	start(&threads[n++], say, &t);
	start(&threads[n++], hear, &t);
	while (n--)
		pthread_join(threads[n], NULL);
	talk_end(&t);
	MUST_BE(made - run, made == run);
	COUNT("phases");
}

int main(int argc, char **argv)
{
	struct stress_held held;
	uint64_t random;

	stress_begin(argc, argv, "Runtimes begin and end under their users.",
		     0);
	random = stress_sequence();
	for (int i = 0; i < 3 || !stress_over(); i++) {
		phase(&random);
		if (i >= 3)
			stress_compare(&held);
		else
			stress_look(&held);
	}
	return stress_end();
}
